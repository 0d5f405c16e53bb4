//! How one worker sleeps: on a futex, or inside the reactor, and is woken from either.
//!
//! | state | the worker | `unpark` does |
//! |---|---|---|
//! | `EMPTY` | runs | leaves a token |
//! | `PARKED` | in `thread::park` | token, and wakes the thread |
//! | `POLLING` | in the reactor's wait | token, and interrupts the reactor |
//! | `NOTIFIED` | runs, with a token | nothing |
//!
//! `std::thread::park` alone would not do: its token belongs to the thread, and a task may consume
//! it by parking the thread itself. So the token is ours, and std's is only the means.
#![forbid(unsafe_code)]

use std::time::Duration;

use crate::primitive::{
    Mutex,
    atomic::{
        AtomicU8,
        Ordering::{Acquire, Relaxed, Release},
    },
    thread::{self, Thread},
};

const EMPTY: u8 = 0;
const PARKED: u8 = 1;
const POLLING: u8 = 2;
const NOTIFIED: u8 = 3;

/// See the module.
#[derive(Debug)]
pub(crate) struct Parker {
    state: AtomicU8,
    /// Whom to wake; set before the first sleep of a thread that runs with this slot.
    thread: Mutex<Option<Thread>>,
}

/// What the caller of `unpark` still has to do.
#[derive(Debug, PartialEq, Eq)]
#[must_use]
pub(crate) enum Unpark {
    Done,
    /// The worker sleeps in the reactor: interrupt that.
    InterruptReactor,
}

/// Where a worker sleeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Bed {
    Futex,
    /// Or is about to, or is delivering what the reactor told it.
    Reactor,
}

impl Parker {
    pub(crate) fn new() -> Self {
        Self {
            state: AtomicU8::new(EMPTY),
            thread: Mutex::new(None),
        }
    }

    /// The calling thread is the one that sleeps here from now on.
    pub(crate) fn adopt(&self) {
        *self
            .thread
            .lock()
            .unwrap_or_else(|poisoned| poisoned.into_inner()) = Some(thread::current());
    }

    /// Sleeps until a token is there, or the time is over. A token is consumed.
    pub(crate) fn park(&self, timeout: Option<Duration>) {
        if !self.enter(PARKED) {
            return;
        }
        match timeout {
            // A wake-up without a token is somebody else's business, and the wait goes on.
            None => {
                while self.state.load(Relaxed) == PARKED {
                    thread::park();
                }
            }
            // One wait is enough: the caller looks at the clock anyway.
            Some(timeout) => park_timeout(timeout),
        }
        self.leave();
    }

    /// Runs `wait`, which an `unpark` interrupts by way of the reactor. `None`: there was a token
    /// already. A token is consumed.
    pub(crate) fn poll<R>(&self, wait: impl FnOnce() -> R) -> Option<R> {
        if !self.enter(POLLING) {
            return None;
        }
        let result = wait();
        self.leave();
        Some(result)
    }

    /// `false`: there was a token, which is consumed.
    fn enter(&self, how: u8) -> bool {
        // Release pairs with the load in `asleep`. Not Acquire: what it finds is its own, or a
        // token, and that is taken below.
        if self
            .state
            .compare_exchange(EMPTY, how, Release, Relaxed)
            .is_ok()
        {
            return true;
        }
        self.take_token();
        false
    }

    fn leave(&self) {
        self.take_token();
    }

    fn take_token(&self) {
        // Acquire pairs with the exchange in `unpark`, of all who came until now: what they did
        // before is visible after the sleep. Nobody acquires from it.
        self.state.swap(EMPTY, Acquire);
    }

    /// Leaves a token and wakes the sleeper.
    pub(crate) fn unpark(&self) -> Unpark {
        // Release pairs with the exchange in `take_token`. Not Acquire: whom to wake is known by
        // the lock.
        match self.state.swap(NOTIFIED, Release) {
            PARKED => {
                let thread = self
                    .thread
                    .lock()
                    .unwrap_or_else(|poisoned| poisoned.into_inner())
                    .clone();
                if let Some(thread) = thread {
                    thread.unpark();
                }
                Unpark::Done
            }
            POLLING => Unpark::InterruptReactor,
            _ => Unpark::Done,
        }
    }

    /// Where the worker sleeps, if it does and there is no token. Acquire: what it did before it
    /// went to sleep is visible.
    pub(crate) fn asleep(&self) -> Option<Bed> {
        match self.state.load(Acquire) {
            PARKED => Some(Bed::Futex),
            POLLING => Some(Bed::Reactor),
            _ => None,
        }
    }

    /// Whether the worker sleeps in the reactor; a hint for choosing whom to wake.
    pub(crate) fn is_polling(&self) -> bool {
        self.state.load(Relaxed) == POLLING
    }
}

#[cfg(not(loom))]
fn park_timeout(timeout: Duration) {
    thread::park_timeout(timeout);
}

/// Loom knows no time: any moment may be the end of it.
#[cfg(loom)]
fn park_timeout(_: Duration) {
    thread::yield_now();
}
