//! [`Alarm`]: how the monitor waits, and who ends that.
//!
//! It waits in two ways. Between two looks it *pauses*: the time is over soon, and only what cannot
//! wait for that cuts it short. When nothing has moved for a while it *sleeps*, for ever if need
//! be: whoever sets something in motion wakes it.
//!
//! | state | the monitor | a worker wakes | there is work and nobody to do it | the runtime ends |
//! |---|---|---|---|---|
//! | `WATCHING` | looks, or pauses | – | flag; notified | `STOPPED`; notified |
//! | `ASLEEP` | sleeps, or is about to | `WATCHING`; notified | the same, and the flag | the same |
//! | `STOPPED` | ends | – | – | – |
//!
//! **No wake-up is lost.** The monitor says that it sleeps, then asks once more whether anything
//! moves; who moves something does that first, then asks whether the monitor sleeps. Each writes by
//! a read-modify-write, SeqCst, before it reads, so that one of the two sees the other. Whoever
//! changes the state takes the lock before he notifies: the monitor is either before its check, and
//! sees the change, or in its wait.
//!
//! [`hurry`](Alarm::hurry) is a flag beside the state, for it has to be heard in a pause, too, and
//! by the look that follows a sleep.
#![forbid(unsafe_code)]

use std::sync::PoisonError;
use std::time::Duration;

use crate::primitive::atomic::{
    AtomicBool, AtomicU8,
    Ordering::{Acquire, Relaxed, SeqCst},
};
use crate::primitive::{Condvar, Limit, Mutex, MutexGuard, look};

const WATCHING: u8 = 0;
const ASLEEP: u8 = 1;
const STOPPED: u8 = 2;

/// See the module.
#[derive(Debug)]
pub(crate) struct Alarm {
    state: AtomicU8,
    /// Look now. Whoever raises it has pushed work before; it is taken down by an exchange, which
    /// makes that visible to the look.
    hurry: AtomicBool,
    lock: Mutex<()>,
    changed: Condvar,
}

impl Alarm {
    pub(crate) fn new() -> Self {
        Self {
            state: AtomicU8::new(WATCHING),
            hurry: AtomicBool::new(false),
            lock: Mutex::new(()),
            changed: Condvar::new(),
        }
    }

    /// Something has been set in motion: ends a sleep, and a pause not. One load, if there is none.
    /// `first` is called before the monitor goes on, if it slept.
    #[inline]
    pub(crate) fn wake(&self, first: impl FnOnce()) {
        // SeqCst pairs with the exchange in `sleep`; see the story.
        if look!(self.state) == ASLEEP {
            self.wake_slow(first);
        }
    }

    #[cold]
    fn wake_slow(&self, first: impl FnOnce()) {
        // Relaxed, if it fails: another one was first, or it is over. SeqCst pairs with the
        // exchanges in `sleep`.
        let ours = self
            .state
            .compare_exchange(ASLEEP, WATCHING, SeqCst, Relaxed);
        if ours.is_ok() {
            first();
            self.notify();
        }
    }

    /// There is work and nobody to do it: ends a pause and a sleep.
    pub(crate) fn hurry(&self, first: impl FnOnce()) {
        // Who finds it up need not notify: it is taken down before the look, which sees his work by
        // that.
        if !self.hurry.swap(true, SeqCst) {
            self.wake(first);
            self.notify();
        }
    }

    /// It is over.
    pub(crate) fn stop(&self) {
        // An exchange, as all other changes are: so it comes after those that it has not seen, also
        // for loom. Relaxed: nothing rides on it.
        self.state.swap(STOPPED, Relaxed);
        self.notify();
    }

    fn notify(&self) {
        // The lock makes sure that the monitor is either before its check or in its wait.
        drop(self.lock());
        self.changed.notify_all();
    }

    /// Waits for the time of the next look. `false`: it is over.
    pub(crate) fn pause(&self, time: Duration) -> bool {
        // Relaxed: what was written before a notification is seen by the lock, and what the flag is
        // for, by its exchange.
        self.wait(Some(time), || {
            self.state.load(Relaxed) != STOPPED && !self.hurry.load(Relaxed)
        });
        // An exchange, since it acquires: whoever raised the flag pushed work before, and the look
        // that follows has to see it.
        self.hurry.swap(false, SeqCst);
        self.state.load(Relaxed) != STOPPED
    }

    /// Sleeps until it is woken, which is `true`, or until the time is over. `moves`: whether
    /// anything has been set in motion since the last look at everything; it is asked when the
    /// sleep has been announced.
    pub(crate) fn sleep(&self, time: Option<Duration>, moves: impl FnOnce() -> bool) -> bool {
        // SeqCst pairs with the load in `wake`.
        let announced = self
            .state
            .compare_exchange(WATCHING, ASLEEP, SeqCst, Relaxed);
        if announced.is_err() {
            return true;
        }
        let moves = moves() || look!(self.hurry);
        if !moves {
            self.wait(time, || self.state.load(Relaxed) == ASLEEP);
        }
        // Acquire, where it fails: what was done before a `wake` that came first is seen by the
        // look that follows. Relaxed: it was nobody.
        let time_is_up = self
            .state
            .compare_exchange(ASLEEP, WATCHING, Relaxed, Acquire)
            .is_ok();
        moves || !time_is_up
    }

    fn wait(&self, time: Option<Duration>, calm: impl Fn() -> bool) {
        let limit = Limit::after(time);
        let mut guard = self.lock();
        while calm() && !limit.is_over() {
            guard = limit.wait(&self.changed, guard);
        }
    }

    fn lock(&self) -> MutexGuard<'_, ()> {
        self.lock.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
