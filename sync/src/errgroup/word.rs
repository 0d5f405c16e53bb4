//! The word of a group: who holds it, what runs, and whether starting and ending is as simple as
//! that.
//!
//! ```text
//!  63            32 31             2    1        0
//! ┌────────────────┬────────────────┬────────┬───────┐
//! │    running     │    holders     │ WAITED │ GATED │
//! └────────────────┴────────────────┴────────┴───────┘
//! ```
//!
//! A member is counted and holds the group in one step, and mostly ends in one, too. All the rest
//! is under the group's lock, and says in the two bits that it wants to be asked.
//!
//! *Rejected*: a member's end in one subtraction, and counts on several lines: see
//! [`wait_group`](crate::WaitGroup), where it was tried. Here the former gained 1 %.
//!
//! Invariants:
//!
//! 1. The two bits change only under the lock, and after it is released say: GATED, that there is a
//!    limit or the group is stopped; WAITED, that the waker of `wait` is there.
//! 2. While GATED is set, places are given back under the lock only, and taken there, but by who
//!    finds GATED in the step in which it takes one: that one gives it back at once, and with it
//!    whatever was withheld from others meanwhile. While WAITED is set, the last place is given
//!    back under the lock.
//! 3. Holders are the handles and the members. They are given up by a step that makes the number
//!    less, and who has made it zero frees the group.
#![forbid(unsafe_code)]

use crate::primitive::atomic::{AtomicU64, Ordering};

/// Places are taken and given back under the lock.
const GATED: u64 = 1;
/// Somebody is in `wait`.
const WAITED: u64 = 1 << 1;
/// One holder, in the word.
const HOLDER: u64 = 1 << 2;
/// One place that is taken, in the word.
const ONE: u64 = 1 << 32;
/// So many holders are refused: half of those that there is room for, so that those who find it out
/// do not overflow it together.
const TOO_MANY: u64 = 1 << 29;

pub(super) struct Word(AtomicU64);

/// Without the lock.
impl Word {
    /// One holder, who has just made it.
    pub(super) fn new() -> Self {
        Self(AtomicU64::new(HOLDER))
    }

    /// Takes a place, where nothing is in the way (2).
    #[inline]
    pub(super) fn try_take_place(&self) -> bool {
        let mut word = self.0.load(Ordering::Relaxed);
        while word & GATED == 0 {
            // Acquire: pairs with the `Release` in `renew`, so that what was reset for the next use
            // is. Taking a place publishes nothing; the start of the member does.
            match self.change(word, word + ONE, Ordering::Acquire) {
                Ok(()) => return true,
                Err(now) => word = now,
            }
        }
        false
    }

    /// Takes a place for a new holder, and says whether nothing was in the way. If something was,
    /// the caller gives it back under the lock (2).
    ///
    /// One addition, and no look before it: while members end on other threads, a look would fetch
    /// the word from there once, and an exchange again.
    #[inline]
    #[must_use]
    pub(super) fn enter(&self) -> bool {
        // Acquire: as in `try_take_place`.
        let before = self.0.fetch_add(ONE + HOLDER, Ordering::Acquire);
        before & GATED == 0 && holders(before) < TOO_MANY
    }

    /// Gives a place back, where nobody waits for it (2).
    #[inline]
    pub(super) fn try_give_back(&self) -> bool {
        self.try_subtract(ONE).is_some()
    }

    /// Gives a place back, and a holder up, where nobody waits for it (2). Then says whether that
    /// was the last holder.
    #[inline]
    pub(super) fn try_leave(&self) -> Option<bool> {
        let before = self.try_subtract(ONE + HOLDER)?;
        Some(holders(before) == 1)
    }

    #[inline]
    fn try_subtract(&self, what: u64) -> Option<u64> {
        let mut word = self.0.load(Ordering::Relaxed);
        while word & GATED == 0 && (word & WAITED == 0 || word >= 2 * ONE) {
            // Release: pairs with the `Acquire` of who finds none running, in `give_back` and in
            // `begin_wait`. AcqRel: as in `let_go`.
            match self.change(word, word - what, Ordering::AcqRel) {
                Ok(()) => return Some(word),
                Err(now) => word = now,
            }
        }
        None
    }

    #[inline]
    fn change(&self, from: u64, to: u64, success: Ordering) -> Result<(), u64> {
        (self.0)
            .compare_exchange_weak(from, to, success, Ordering::Relaxed)
            .map(drop)
    }

    /// One holder more, who is made by another one. `false`, and nothing is done: there are too
    /// many.
    #[must_use]
    pub(super) fn hold(&self) -> bool {
        // Relaxed: the other one keeps the group meanwhile, as with an `Arc` that is cloned.
        let before = self.0.fetch_add(HOLDER, Ordering::Relaxed);
        if holders(before) >= TOO_MANY {
            // Relaxed: nothing was done as a holder.
            self.0.fetch_sub(HOLDER, Ordering::Relaxed);
            return false;
        }
        true
    }

    /// One holder less; says whether it was the last.
    #[inline]
    #[must_use]
    pub(super) fn let_go(&self) -> bool {
        // AcqRel: whoever frees the group comes after all that others did with it.
        holders(self.0.fetch_sub(HOLDER, Ordering::AcqRel)) == 1
    }
}

/// Under the group's lock; Relaxed, where nothing else is said, because of that (1).
impl Word {
    /// How many places are taken: those that are given back at once included, and others may give
    /// theirs back meanwhile (2).
    pub(super) fn running(&self) -> usize {
        (self.0.load(Ordering::Relaxed) / ONE) as usize
    }

    /// Takes a place that there is.
    pub(super) fn take_place(&self) {
        self.0.fetch_add(ONE, Ordering::Relaxed);
    }

    /// Gives a place back. AcqRel: whoever makes it none passes on, by waking, what the others
    /// released.
    pub(super) fn give_back(&self) {
        self.0.fetch_sub(ONE, Ordering::AcqRel);
    }

    /// From now on places are taken under the lock.
    pub(super) fn gate(&self) {
        self.0.fetch_or(GATED, Ordering::Relaxed);
    }

    /// Sets or clears GATED, provided that nothing runs; else says how much does.
    pub(super) fn set_gate(&self, gated: bool) -> Result<(), usize> {
        let gate = if gated { GATED } else { 0 };
        let mut word = self.0.load(Ordering::Relaxed);
        loop {
            if word >= ONE {
                return Err((word / ONE) as usize);
            }
            match self.change(word, word & !GATED | gate, Ordering::Relaxed) {
                Ok(()) => return Ok(()),
                Err(now) => word = now,
            }
        }
    }

    /// Somebody waits from now on: the last one comes for the waker. Says whether anything runs.
    /// Acquire: if not, pairs with the `Release` in `try_subtract`.
    pub(super) fn begin_wait(&self) -> bool {
        self.0.fetch_or(WAITED, Ordering::Acquire) >= ONE
    }

    /// The waker is there no more.
    pub(super) fn end_wait(&self) {
        self.0.fetch_and(!WAITED, Ordering::Relaxed);
    }

    /// The wait is over, and the group as new but for its limit. Release: pairs with the `Acquire`
    /// in `try_add`.
    pub(super) fn renew(&self, gated: bool) {
        let gate = if gated { GATED } else { 0 };
        (self.0).fetch_and(!(GATED | WAITED) | gate, Ordering::Release);
    }
}

#[inline]
fn holders(word: u64) -> u64 {
    (word & (ONE - 1)) / HOLDER
}
