//! A flag to wait for, as the models have it: an eventfd, or what one item of a queue waits for.

use loom::sync::{Condvar, Mutex};

pub(super) struct Event {
    raised: Mutex<bool>,
    changed: Condvar,
}

impl Event {
    pub(super) fn new() -> Self {
        Self {
            raised: Mutex::new(false),
            changed: Condvar::new(),
        }
    }

    pub(super) fn raise(&self) {
        *self.raised.lock().unwrap() = true;
        self.changed.notify_one();
    }

    /// Waits for it and takes it down.
    pub(super) fn wait(&self) {
        let mut raised = self.raised.lock().unwrap();
        while !*raised {
            raised = self.changed.wait(raised).unwrap();
        }
        *raised = false;
    }
}
