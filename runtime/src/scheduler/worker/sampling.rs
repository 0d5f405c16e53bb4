//! Which wakes note the time, so that the runtime can tell how long woken tasks wait for their
//! turn.
//!
//! To note the time at each wake would cost too much (`task/latency.rs` has how a note travels, and
//! what it costs), so a few stand for all:
//!
//! - of the polls, one in some five hundred is *watched*: what it wakes, and the task itself if it
//!   yields, is stamped with the time and with the number of polls since the last one that was
//!   watched, for which it stands;
//! - of the *deliveries*, which are wakes by a timer or by the reactor, one in sixteen.
#![forbid(unsafe_code)]

use std::cell::Cell;

use super::{Mode, Worker};
use crate::task::{Runnable, Stamp};

/// Of so many calls of `maintain` one is followed by a watched poll: of some 500 polls in all, so
/// that the looks at the clock cost less than a hundredth of the cheapest operations.
const MAINTAINS: u8 = 8;

/// Of so many deliveries one is stamped: some nanoseconds an event. A guess.
const DELIVERIES: u8 = 16;

/// How long it is until the next sample.
#[derive(Debug)]
pub(super) struct Sampling {
    /// The number of the last poll that was watched.
    watched: Cell<u64>,
    /// Calls of `maintain` until the next poll that is.
    maintains: Cell<u8>,
    /// Deliveries until the next that is stamped.
    deliveries: Cell<u8>,
}

impl Sampling {
    pub(super) fn new() -> Self {
        Self {
            watched: Cell::new(0),
            maintains: Cell::new(1),
            deliveries: Cell::new(DELIVERIES),
        }
    }

    /// Counts a `maintain`. `true`: the poll that follows is to be watched, if that is `possible`;
    /// else it stays due.
    pub(super) fn is_poll_due(&self, possible: bool) -> bool {
        let left = self.maintains.get() - 1;
        if left > 0 || !possible {
            self.maintains.set(left.max(1));
            return false;
        }
        self.maintains.set(MAINTAINS);
        true
    }

    /// For a task that is queued in a watched poll, or right after one; `sequence` has gone up by
    /// two with each poll until then.
    fn stamp(&self, sequence: u64) -> Stamp {
        let polls = (sequence - self.watched.get()) / 2;
        Stamp::now(polls.max(1))
    }

    /// Counts a delivery.
    fn stamp_delivery(&self) -> Option<Stamp> {
        let left = self.deliveries.get() - 1;
        if left > 0 {
            self.deliveries.set(left);
            return None;
        }
        self.deliveries.set(DELIVERIES);
        Some(Stamp::now(u64::from(DELIVERIES)))
    }
}

impl Worker {
    /// Runs a task in a poll that is watched.
    ///
    /// Off the loop, since watching then costs nothing in all other polls: the mode is asked at
    /// each wake anyway.
    #[cold]
    pub(super) fn run_watched(&self, task: Runnable) {
        self.mode.set(Mode::Watched);
        self.run_task::<true>(task);
        self.mode.set(Mode::Running);
        self.sampling.watched.set(self.slot.poll.sequence());
    }

    /// The task whose poll was watched has yielded.
    pub(super) fn stamp_yielded(&self, task: &Runnable) {
        let stamp = self.sampling.stamp(self.slot.poll.sequence());
        task.header().stamp(stamp);
    }

    /// The task that is polled, and watched, has woken this one.
    #[cold]
    pub(super) fn stamp_woken(&self, task: &Runnable) {
        // Odd inside the poll, which counts too.
        let stamp = self.sampling.stamp(self.slot.poll.sequence() + 1);
        task.header().stamp(stamp);
    }

    /// A timer or the reactor has woken a task.
    pub(super) fn push_delivered(&self, task: Runnable) {
        if let Some(stamp) = self.sampling.stamp_delivery() {
            task.header().stamp(stamp);
        }
        self.push(task);
    }

    /// A task is about to be polled here that was stamped when it was woken.
    pub(crate) fn note_latency(&self, stamp: Stamp) {
        self.slot.latencies.count(stamp.age(), stamp.stands_for());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_poll_after_one_maintain_in_eight_is_watched() {
        let sampling = Sampling::new();
        let due: Vec<_> = (0..17).filter(|_| sampling.is_poll_due(true)).collect();
        assert_eq!(due, [0, 8, 16]);
    }

    #[test]
    fn a_poll_that_cannot_be_watched_stays_due() {
        let sampling = Sampling::new();
        assert!(!sampling.is_poll_due(false));
        assert!(!sampling.is_poll_due(false));
        assert!(sampling.is_poll_due(true));
        assert!(!sampling.is_poll_due(true));
    }

    #[test]
    fn one_delivery_in_sixteen_stands_for_all() {
        let sampling = Sampling::new();
        let stamps: Vec<_> = (0..32).filter_map(|_| sampling.stamp_delivery()).collect();
        assert_eq!(stamps.len(), 2);
        assert!(stamps.iter().all(|stamp| stamp.stands_for() == 16));
    }

    #[test]
    fn a_stamp_in_a_watched_poll_stands_for_the_polls_since_the_last() {
        let sampling = Sampling::new();
        sampling.watched.set(100);
        assert_eq!(sampling.stamp(1_100).stands_for(), 500);
        assert_eq!(sampling.stamp(100).stands_for(), 1);
    }
}
