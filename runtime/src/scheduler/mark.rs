//! Whether a worker is in a poll, in which one, and whether it has been given up.
//!
//! The owner numbers its polls by plain stores. The monitor looks at the number twice: an odd one
//! that stays the same is a poll that lasts. Then it marks the worker as stuck; so does the owner
//! itself when it knows that it will block. Whoever sets the mark takes the worker out of
//! [`Idle`](super::idle::Idle)'s counts, and whoever takes it off, which is the owner when the poll
//! is over, puts it back. The monitor may set it a moment too late, when that poll has ended. The
//! owner then finds it at the end of the next poll, or before it sleeps; and if it has ended
//! meanwhile, the monitor at its next look.
#![forbid(unsafe_code)]

use crate::primitive::atomic::{
    AtomicBool, AtomicU64,
    Ordering::{AcqRel, Acquire, Relaxed, Release, SeqCst},
    fence,
};

/// See the module.
#[derive(Debug)]
pub(crate) struct Mark {
    /// Odd inside a poll; two more with each. Written by the owner.
    sequence: AtomicU64,
    stuck: AtomicBool,
}

impl Mark {
    pub(crate) fn new() -> Self {
        Self {
            sequence: AtomicU64::new(0),
            stuck: AtomicBool::new(false),
        }
    }

    /// The owner begins a poll.
    #[inline]
    pub(crate) fn begin(&self) {
        // Release pairs with the load in `sequence`: who sees the new number sees the task that
        // goes with it, or a later one.
        self.sequence
            .store(self.sequence.load(Relaxed) + 1, Release);
    }

    /// The owner's poll has returned. `true`: it was stuck, and is not any more.
    #[inline]
    pub(crate) fn end(&self) -> bool {
        // Relaxed: nothing goes with an even number. That it is there when the worker sleeps is
        // seen by the worker's bit in `Idle`, which is set afterwards.
        self.sequence
            .store(self.sequence.load(Relaxed) + 1, Relaxed);
        self.stuck.load(Relaxed) && self.unstick()
    }

    /// The owner counts as running again. `false`: it did already.
    #[cold]
    pub(crate) fn unstick(&self) -> bool {
        self.stuck.swap(false, AcqRel)
    }

    /// The owner does not count as running from now on. `false`: it was marked already. The caller
    /// sees to the timers, see [`vacancy`](super::vacancy).
    pub(crate) fn stick(&self) -> bool {
        let new = !self.stuck.swap(true, AcqRel);
        // Pairs with the fence in `Vacancy::keeper`: whoever puts a timer here sees the mark, or
        // who marks sees the timer.
        fence(SeqCst);
        new
    }

    pub(crate) fn is_stuck(&self) -> bool {
        self.stuck.load(Relaxed)
    }

    /// An older number is as good. What `begin` was told before an odd one is seen.
    pub(crate) fn sequence(&self) -> u64 {
        // Acquire pairs with the store in `begin`.
        self.sequence.load(Acquire)
    }
}
