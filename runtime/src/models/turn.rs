//! The turn at the reactor, as the models have it.
//!
//! Not a mutex: loom blocks a `try_lock` that meets a lock on its way. And not a flag that is
//! swapped up and stored down: whoever finds it up must not write it, and it must go down by an
//! exchange, as std's mutex does both. Loom takes two stores of which neither happens before the
//! other to come in any order, even where one of them belongs to an exchange that read what the
//! other's thread had written before; so it would leave the turn taken by nobody.

use loom::sync::atomic::{AtomicBool, Ordering::SeqCst};

use super::event::Event;

/// The turn, and the eventfd that interrupts whoever has it.
pub(super) struct Reactor {
    pub(super) turn: Turn,
    pub(super) interrupt: Event,
}

impl Reactor {
    pub(super) fn new() -> Self {
        Self {
            turn: Turn::new(),
            interrupt: Event::new(),
        }
    }
}

pub(super) struct Turn(AtomicBool);

impl Turn {
    pub(super) fn new() -> Self {
        Self(AtomicBool::new(false))
    }

    /// `false`: somebody has it.
    pub(super) fn take(&self) -> bool {
        self.0.compare_exchange(false, true, SeqCst, SeqCst).is_ok()
    }

    pub(super) fn give_up(&self) {
        assert!(self.0.swap(false, SeqCst), "it was ours");
    }
}
