//! Who fires a slot's timers: its owner, or the monitor, since the owner has ended or is in a poll
//! that does not return.
//!
//! The hand-over is a race with whoever puts a timer into the slot's wheel at that moment, and
//! calls its interrupt:
//!
//! ```text
//! the owner goes                                      a timer comes
//!   1 is vacant, or marked as stuck                     1 the deadline is an earlier one
//!   2 fence                                             2 fence
//!   3 is there a deadline? the monitor is told          3 vacant or marked? the monitor is told, else the owner
//! ```
//!
//! Both fences are SeqCst, so that one of the two sees the other. (Of the mark the fence is in
//! [`Mark::stick`].)
//!
//! The way back is the same race. A timer that was told to the monitor is nobody's once the slot
//! has an owner again, unless that one sees it: it is not vacant any more, fence, and what the
//! owner reads before its first sleep; against the same three steps on the right.
#![forbid(unsafe_code)]

use super::mark::Mark;
use crate::primitive::atomic::{AtomicBool, Ordering::SeqCst, fence};
use crate::time::Timers;

/// Whether a slot has an owner. Written under the scheduler's `starting`.
#[derive(Debug)]
pub(crate) struct Vacancy(AtomicBool);

/// Who fires the timers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Keeper {
    Owner,
    Monitor,
}

impl Vacancy {
    /// Of a slot that has an owner, or is about to.
    pub(crate) fn new() -> Self {
        Self(AtomicBool::new(false))
    }

    /// Another owner comes. It looks for a deadline before it sleeps.
    pub(crate) fn fill(&self) {
        self.0.store(false, SeqCst);
        // Pairs with the fence in `keeper`.
        fence(SeqCst);
    }

    /// The owner has ended. `true`: there are timers, of which the monitor is to be told.
    #[must_use]
    pub(crate) fn open(&self, timers: &Timers) -> bool {
        self.0.store(true, SeqCst);
        // Pairs with the fence in `keeper`.
        fence(SeqCst);
        timers.next_deadline() != u64::MAX
    }

    /// Whether the owner has ended, and no other one has come.
    pub(crate) fn is_open(&self) -> bool {
        self.0.load(SeqCst)
    }

    /// Who is to be told of a deadline that has become an earlier one.
    pub(crate) fn keeper(&self, mark: &Mark) -> Keeper {
        // Pairs with the fences in `open`, in `fill` and in `Mark::stick`.
        fence(SeqCst);
        if self.is_open() || mark.is_stuck() {
            Keeper::Monitor
        } else {
            Keeper::Owner
        }
    }
}
