//! The packed word that owns a task: where it is in its life, who is interested, and how many
//! references point at it.
//!
//! ```text
//!   63                         7     6         5            4           3         2         1         0
//!  ┌────────────────────────────┬─────────┬───────────┬──────────────┬─────────┬──────────┬─────────┬───────────┐
//!  │         references         │ STAMPED │JOIN_WAKER │JOIN_INTEREST │ ABORTED │ COMPLETE │ RUNNING │ SCHEDULED │
//!  └────────────────────────────┴─────────┴───────────┴──────────────┴─────────┴──────────┴─────────┴───────────┘
//!
//!    spawn ──► SCHEDULED ──start_poll──► RUNNING ──end_poll──► idle ──wake──► SCHEDULED …
//!                                          │  ▲ woken meanwhile: SCHEDULED too, end_poll says Requeue
//!                                          └──complete──► COMPLETE
//! ```
//!
//! Invariants, cited by number in the SAFETY comments of `cell.rs`, `header.rs` and `runnable.rs`:
//!
//! 1. Whoever set `RUNNING` is the only one to touch the future, until it clears `RUNNING` or sets
//!    `COMPLETE`.
//! 2. From `COMPLETE` on the output belongs to the handle while `JOIN_INTEREST` is set, else to
//!    whoever completed the task.
//! 3. The join waker belongs to the handle while `JOIN_WAKER` is clear, and to whoever completes
//!    the task while it is set. After `COMPLETE` the bit never changes again.
//! 4. A task that is not complete has a reference of its own, dropped by whoever completes it. So a
//!    count of zero means complete.
//! 5. The run queue's reference exists exactly while `SCHEDULED` is set and `RUNNING` is not; the
//!    runner inherits it. One exception: a shutdown that cancels a queued task sets `RUNNING` and
//!    leaves `SCHEDULED`; the queue keeps its reference, finds the task gone when it comes to it,
//!    and drops it.
//! 6. The word is zero exactly while the slot it lives in is vacant (see `slab`).
//!
//! Each wake is a read-modify-write with Release, also when the task is scheduled already: what the
//! waker's thread wrote before must be visible to the poll that the earlier wake leads to, and that
//! poll acquires this word. For the same reason all exchanges here are AcqRel, where nothing else
//! is said: the word hands the task from one to the next, and whoever changes it sees what was done
//! before the change that it follows.
#![forbid(unsafe_code)]

use std::fmt;

use crate::primitive::atomic::{
    AtomicU64,
    Ordering::{AcqRel, Acquire, Relaxed, Release},
};

/// In a run queue, or to be put back there by the thread that polls it. Set by a wake, cleared by
/// [`State::start_poll`].
const SCHEDULED: u64 = 1;
/// Somebody polls or cancels it. Excludes every other access to the future.
const RUNNING: u64 = 1 << 1;
/// The future is gone and its output stored. Set once.
const COMPLETE: u64 = 1 << 2;
/// The next one to run it shall drop the future instead. Set once.
const ABORTED: u64 = 1 << 3;
/// The `JoinHandle` exists. Set at birth, cleared by its drop.
const JOIN_INTEREST: u64 = 1 << 4;
/// The join waker is there for whoever completes the task.
const JOIN_WAKER: u64 = 1 << 5;
/// The wait note holds the time of the wake instead: see [`latency`](super::latency). Set by
/// whoever queues the task, cleared by [`State::start_poll`]. It shares that function's one test
/// for what is unusual, and so costs nothing where it is not set.
const STAMPED: u64 = 1 << 6;
/// One reference.
const REF: u64 = 1 << 7;

/// At birth: the task's own reference, the queue's and the handle's.
const INITIAL: u64 = SCHEDULED | JOIN_INTEREST | (3 * REF);

/// See the module.
pub(crate) struct State(AtomicU64);

/// What the holder of a runnable task has to do.
#[derive(Debug, PartialEq, Eq)]
#[must_use]
pub(crate) enum StartPoll {
    /// Poll it.
    Poll,
    /// The same, and the time of its wake has been noted.
    PollStamped,
    /// It was aborted: cancel it.
    Cancel,
    /// Another thread runs or has ended it: drop the reference.
    Gone,
}

/// What follows a poll that returned `Pending`.
#[derive(Debug, PartialEq, Eq)]
#[must_use]
pub(crate) enum EndPoll {
    /// Parked; the runner's reference is gone, and with it the right to touch the task.
    Idle,
    /// Woken meanwhile: put it at the back of the queue with the runner's reference.
    Requeue,
    /// Aborted meanwhile: cancel it now.
    Cancel,
}

/// What a wake has to do.
#[derive(Debug, PartialEq, Eq)]
#[must_use]
pub(crate) enum Wake {
    /// Put the task into a run queue, which owns a reference from now on.
    Submit,
    /// Nothing.
    Done,
    /// That was the last reference: free the slot.
    Free,
}

/// What happened at completion.
#[derive(Debug, PartialEq, Eq)]
#[must_use]
pub(crate) struct Completed {
    /// The handle is there and will take the output; otherwise the caller drops it.
    pub(crate) join_interest: bool,
    /// The join waker belongs to the caller, to be woken.
    pub(crate) join_waker: bool,
}

/// What the drop of the handle has to do.
#[derive(Debug, PartialEq, Eq)]
#[must_use]
pub(crate) struct HandleDropped {
    /// The output is there and nobody else will ever look at it.
    pub(crate) output: bool,
    /// The join waker, if there is one, is the handle's.
    pub(crate) waker: bool,
}

impl State {
    /// The word of a task that was just spawned, outside a slab.
    #[cfg(all(test, loom))]
    pub(crate) fn new() -> Self {
        Self(AtomicU64::new(INITIAL))
    }

    /// That of a vacant slot.
    #[cfg(all(test, loom))]
    pub(crate) fn vacant() -> Self {
        Self(AtomicU64::new(0))
    }

    /// Stores the initial word into a vacant slot; Release makes the header visible to the slab's
    /// visitors, who acquire it.
    pub(crate) fn publish(&self) {
        self.0.store(INITIAL, Release);
    }

    /// Marks the slot vacant (invariant 6). Relaxed: the slab's lists order what follows.
    pub(crate) fn vacate(&self) {
        self.0.store(0, Relaxed);
    }

    /// From the queue to the runner.
    #[inline]
    pub(crate) fn start_poll(&self) -> StartPoll {
        let mut now = self.0.load(Relaxed);
        loop {
            if now & (RUNNING | COMPLETE | STAMPED) != 0 {
                return self.start_unusual_poll();
            }
            let next = (now & !SCHEDULED) | RUNNING;
            // Acquire: what the waking thread wrote before its wake is visible to the poll.
            // Release: nothing rides on it but the chain.
            match self.0.compare_exchange_weak(now, next, AcqRel, Relaxed) {
                Ok(_) if now & ABORTED != 0 => return StartPoll::Cancel,
                Ok(_) => return StartPoll::Poll,
                Err(seen) => now = seen,
            }
        }
    }

    #[cold]
    fn start_unusual_poll(&self) -> StartPoll {
        let mut now = self.0.load(Relaxed);
        loop {
            if now & (RUNNING | COMPLETE) != 0 {
                return StartPoll::Gone;
            }
            let next = (now & !(SCHEDULED | STAMPED)) | RUNNING;
            // As in `start_poll`; what whoever stamped it has written is visible, too.
            match self.0.compare_exchange_weak(now, next, AcqRel, Relaxed) {
                Ok(_) if now & ABORTED != 0 => return StartPoll::Cancel,
                Ok(_) if now & STAMPED != 0 => return StartPoll::PollStamped,
                Ok(_) => return StartPoll::Poll,
                Err(seen) => now = seen,
            }
        }
    }

    /// Whoever is about to queue the task has noted the time of its wake. Release pairs with the
    /// Acquire of `start_poll`.
    pub(crate) fn set_stamped(&self) {
        let before = self.0.fetch_or(STAMPED, Release);
        debug_assert!(before & SCHEDULED != 0);
    }

    /// The poll returned `Pending`.
    #[inline]
    pub(crate) fn end_poll(&self) -> EndPoll {
        let mut now = self.0.load(Relaxed);
        loop {
            debug_assert!(now & RUNNING != 0 && now & COMPLETE == 0);
            if now & ABORTED != 0 {
                // Acquire pairs with the abort's Release.
                let _ = self.0.load(Acquire);
                return EndPoll::Cancel;
            }
            let (next, result) = if now & SCHEDULED != 0 {
                (now & !RUNNING, EndPoll::Requeue)
            } else {
                ((now & !RUNNING) - REF, EndPoll::Idle)
            };
            // Release: the future's new state is visible to the next runner. Acquire: see the wakes
            // that set SCHEDULED.
            match self.0.compare_exchange_weak(now, next, AcqRel, Relaxed) {
                Ok(_) => return result,
                Err(seen) => now = seen,
            }
        }
    }

    /// The output is stored; the caller still has the runner's reference and the task's own.
    #[inline]
    pub(crate) fn complete(&self) -> Completed {
        // AcqRel: the output is visible to the handle, the handle's waker to us.
        let before = self.0.fetch_xor(RUNNING | COMPLETE, AcqRel);
        debug_assert!(before & RUNNING != 0 && before & COMPLETE == 0);
        Completed {
            join_interest: before & JOIN_INTEREST != 0,
            join_waker: before & JOIN_WAKER != 0,
        }
    }

    /// A wake that gives its reference away.
    #[inline]
    pub(crate) fn wake_by_value(&self) -> Wake {
        let mut now = self.0.load(Relaxed);
        loop {
            let (next, result) = if now & (COMPLETE | SCHEDULED) != 0 {
                let left = now - REF;
                (left, if left < REF { Wake::Free } else { Wake::Done })
            } else if now & RUNNING != 0 {
                // The runner has a reference, so this cannot be the last one.
                ((now | SCHEDULED) - REF, Wake::Done)
            } else {
                (now | SCHEDULED, Wake::Submit)
            };
            match self.0.compare_exchange_weak(now, next, AcqRel, Relaxed) {
                Ok(_) => return result,
                Err(seen) => now = seen,
            }
        }
    }

    /// A wake by somebody who keeps the reference. Never says `Free`.
    #[inline]
    pub(crate) fn wake_by_ref(&self) -> Wake {
        let mut now = self.0.load(Relaxed);
        loop {
            let (next, result) = if now & COMPLETE != 0 {
                return Wake::Done;
            } else if now & (SCHEDULED | RUNNING) != 0 {
                (now | SCHEDULED, Wake::Done)
            } else {
                ((now | SCHEDULED) + REF, Wake::Submit)
            };
            match self.0.compare_exchange_weak(now, next, AcqRel, Relaxed) {
                Ok(_) => return result,
                Err(seen) => now = seen,
            }
        }
    }

    /// Asks for cancellation. `Submit`: the task was parked, and has to be queued so that a worker
    /// drops its future.
    pub(crate) fn abort(&self) -> Wake {
        let mut now = self.0.load(Relaxed);
        loop {
            let (next, result) = if now & (COMPLETE | ABORTED) != 0 {
                return Wake::Done;
            } else if now & (SCHEDULED | RUNNING) != 0 {
                (now | ABORTED, Wake::Done)
            } else {
                ((now | ABORTED | SCHEDULED) + REF, Wake::Submit)
            };
            match self.0.compare_exchange_weak(now, next, AcqRel, Relaxed) {
                Ok(_) => return result,
                Err(seen) => now = seen,
            }
        }
    }

    /// Shutdown: takes the right to cancel the task, from a queue or from its sleep. `false`: it is
    /// complete, or someone runs it (and will cancel it, since it is marked aborted).
    ///
    /// The caller's reference becomes the runner's.
    #[must_use]
    pub(crate) fn start_cancel(&self) -> bool {
        let mut now = self.0.load(Relaxed);
        loop {
            let free = now & (RUNNING | COMPLETE) == 0;
            // SCHEDULED stays: the queue still has its reference, and will find the task gone.
            let next = now | ABORTED | if free { RUNNING } else { 0 };
            match self.0.compare_exchange_weak(now, next, AcqRel, Relaxed) {
                Ok(_) => return free,
                Err(seen) => now = seen,
            }
        }
    }

    /// The same, but one that is running is left alone, and is none the wiser.
    #[must_use]
    pub(crate) fn start_cancel_if_idle(&self) -> bool {
        let mut now = self.0.load(Relaxed);
        loop {
            if now & (RUNNING | COMPLETE) != 0 {
                return false;
            }
            let next = now | ABORTED | RUNNING;
            match self.0.compare_exchange_weak(now, next, AcqRel, Relaxed) {
                Ok(_) => return true,
                Err(seen) => now = seen,
            }
        }
    }

    /// One more reference. Relaxed: it is made from an existing one, and given to others by means
    /// that synchronise.
    #[inline]
    pub(crate) fn ref_inc(&self) {
        let before = self.0.fetch_add(REF, Relaxed);
        assert!(before < u64::MAX / 2, "too many references to one task");
    }

    /// Whether there is a task that is not complete, asked by visitors of the slab. Acquire: a task
    /// that is complete has dropped its future.
    pub(crate) fn is_alive(&self) -> bool {
        let now = self.0.load(Acquire);
        now >= REF && now & COMPLETE == 0
    }

    /// One more reference, unless the task is complete or the slot vacant: for visitors of the
    /// slab, who have none.
    #[must_use]
    pub(crate) fn ref_inc_if_alive(&self) -> bool {
        let mut now = self.0.load(Acquire);
        while now >= REF && now & COMPLETE == 0 {
            match self
                .0
                .compare_exchange_weak(now, now + REF, Acquire, Acquire)
            {
                Ok(_) => return true,
                Err(seen) => now = seen,
            }
        }
        false
    }

    /// Drops `n` references; `true`: these were the last, free the slot.
    #[inline]
    #[must_use]
    pub(crate) fn ref_dec(&self, n: u64) -> bool {
        // AcqRel: all uses by others happen before the slot is freed.
        let before = self.0.fetch_sub(n * REF, AcqRel);
        debug_assert!(before >= n * REF);
        before < (n + 1) * REF
    }

    /// The handle is dropped right after the spawn, as for `go f()`: one CAS. `false`: take the
    /// long way.
    #[inline]
    #[must_use]
    pub(crate) fn drop_handle_fast(&self) -> bool {
        // Release pairs with the Acquire of the last reference's drop.
        self.0
            .compare_exchange(INITIAL, (INITIAL & !JOIN_INTEREST) - REF, Release, Relaxed)
            .is_ok()
    }

    /// The handle is dropped; its reference stays until the caller drops that too.
    pub(crate) fn drop_join_interest(&self) -> HandleDropped {
        let mut now = self.0.load(Relaxed);
        loop {
            debug_assert!(now & JOIN_INTEREST != 0);
            let complete = now & COMPLETE != 0;
            // Invariant 3: before completion the handle takes its waker back, afterwards a set bit
            // says that it is not ours any more.
            let next = now & !JOIN_INTEREST & if complete { !0 } else { !JOIN_WAKER };
            match self.0.compare_exchange_weak(now, next, AcqRel, Relaxed) {
                Ok(_) => {
                    return HandleDropped {
                        output: complete,
                        waker: next & JOIN_WAKER == 0,
                    };
                }
                Err(seen) => now = seen,
            }
        }
    }

    /// Hands the join waker over to whoever completes the task. `false`: it is complete already,
    /// and the waker stays the handle's.
    #[must_use]
    pub(crate) fn set_join_waker(&self) -> bool {
        self.change_join_waker(JOIN_WAKER)
    }

    /// Takes the join waker back. `false`: the task is complete, and the waker is not the handle's
    /// any more.
    #[must_use]
    pub(crate) fn unset_join_waker(&self) -> bool {
        self.change_join_waker(0)
    }

    fn change_join_waker(&self, bit: u64) -> bool {
        let mut now = self.0.load(Relaxed);
        loop {
            if now & COMPLETE != 0 {
                // Acquire: the caller reads the output next.
                let _ = self.0.load(Acquire);
                return false;
            }
            let next = (now & !JOIN_WAKER) | bit;
            match self.0.compare_exchange_weak(now, next, AcqRel, Relaxed) {
                Ok(_) => return true,
                Err(seen) => now = seen,
            }
        }
    }

    /// A look at the word. Acquire: who sees `complete` may read the output.
    #[inline]
    pub(crate) fn load(&self) -> Snapshot {
        Snapshot(self.0.load(Acquire))
    }
}

/// A copy of the word, to ask questions of.
#[derive(Clone, Copy)]
pub(crate) struct Snapshot(u64);

impl Snapshot {
    #[inline]
    pub(crate) fn is_complete(self) -> bool {
        self.0 & COMPLETE != 0
    }

    pub(crate) fn is_running(self) -> bool {
        self.0 & RUNNING != 0
    }

    pub(crate) fn is_scheduled(self) -> bool {
        self.0 & SCHEDULED != 0
    }

    /// Neither queued nor run, and not ended.
    pub(crate) fn is_parked(self) -> bool {
        self.0 & (SCHEDULED | RUNNING | COMPLETE) == 0 && self.0 != 0
    }

    pub(crate) fn has_join_waker(self) -> bool {
        self.0 & JOIN_WAKER != 0
    }

    pub(crate) fn refs(self) -> u64 {
        self.0 / REF
    }
}

impl fmt::Debug for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.load().fmt(f)
    }
}

impl fmt::Debug for Snapshot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let phase = match () {
            () if self.0 == 0 => "vacant",
            () if self.is_complete() => "complete",
            () if self.is_running() => "running",
            () if self.is_scheduled() => "runnable",
            () => "waiting",
        };
        write!(f, "{phase} ({} refs)", self.refs())
    }
}
