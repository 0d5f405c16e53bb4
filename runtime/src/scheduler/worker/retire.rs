//! The end of a worker that is not needed any more.
//!
//! When a stuck worker's poll returns there is a thread too many; so there is after `set_max_procs`
//! to a lower number. A worker that sleeps then does so for a second at the most, and if nobody has
//! chosen it in that time, and there is still one too many, its thread ends. So a program that
//! blocks now and then keeps its spares between, and one that has done so once gives them back.
//!
//! It ends as it would fall asleep, but without a bit: what was pushed before it left the counts it
//! sees, and has another one woken; what is pushed later, the pusher finds room for one. Its slot
//! stays, with the tasks' memory and the timers in it, which the monitor fires until another thread
//! takes the slot over.
//!
//! The slots with the lowest numbers keep their threads, so that those with one are found at the
//! front. A worker of these that notices the surplus tells the others, who may have gone to sleep
//! when there was none.
#![forbid(unsafe_code)]

use std::time::Duration;

use super::Worker;
use crate::task::{self, ArenaIndex};
use crate::time::clock;

/// A worker that was not needed for so long ends. A thread costs some 50 µs to start again, so that
/// this is little even where it happens each time.
const UNNEEDED: u64 = 1_000_000_000;

/// For `Worker::unneeded_since`.
pub(super) const NEEDED: u64 = u64::MAX;

impl Worker {
    /// For how long to sleep with this deadline: a worker that is one too many sleeps no longer
    /// than [`UNNEEDED`], of the system's time.
    pub(super) fn nap(&self, deadline: u64) -> Option<Duration> {
        let wait = self.until(deadline);
        let idle = &self.scheduler.idle;
        if !idle.is_surplus() || self.scheduler.timeline.is_paused() {
            self.unneeded_since.set(NEEDED);
            return wait;
        }
        let now = clock::real();
        let new = self.unneeded_since.get() == NEEDED;
        if new {
            self.unneeded_since.set(now);
        }
        if self.index < idle.max_procs() {
            if new {
                self.scheduler.unpark_surplus();
            }
            return wait;
        }
        let end = self.unneeded_since.get().saturating_add(UNNEEDED);
        let left = Duration::from_nanos(end.saturating_sub(now));
        Some(wait.map_or(left, |wait| wait.min(left)))
    }

    /// Whether it has been one too many for so long that it is to end.
    pub(super) fn is_due_to_retire(&self) -> bool {
        let since = self.unneeded_since.get();
        since != NEEDED
            && self.index >= self.scheduler.idle.max_procs()
            && clock::real().saturating_sub(since) >= UNNEEDED
            // Whoever goes to sleep then may have to move the clock.
            && !self.scheduler.timeline.is_paused()
    }

    /// Ends this worker if it is due. `true`: it counts no more, has nothing, and its thread is to
    /// end.
    pub(super) fn retire(&self) -> bool {
        if !self.is_due_to_retire() {
            return false;
        }
        self.unneeded_since.set(NEEDED);
        if self.slot.poll.is_stuck() && self.slot.poll.unstick() {
            // Marked a moment too late: the poll had ended.
            self.scheduler.idle.add_running();
        }
        let scheduler = &self.scheduler;
        // Nobody takes the slot over before this thread has left it.
        let _starting = scheduler.starting();
        if scheduler.is_stopping() {
            return false;
        }
        if !scheduler.idle.retire(self.searching.get()) {
            return false;
        }
        self.searching.set(false);
        task::collect(&scheduler.slab, ArenaIndex::worker(self));
        self.slot.leave();
        scheduler.vacate(self.index);
        if scheduler.has_work() {
            // Whoever pushed it may have counted on us.
            scheduler.notify();
        }
        true
    }
}
