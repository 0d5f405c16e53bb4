//! What the monitor remembers of a worker between two looks, and what it concludes: whether a poll
//! lasts, and whether it blocks or computes.
//!
//! A thread that blocks gets no CPU time. Neither does one that waits for a CPU; so where the clock
//! stood from one look to the next, the kernel is asked for the thread's state, which costs more,
//! but only once for a poll that blocks. Where the kernel says nothing, a poll is taken to compute
//! all the time.
#![forbid(unsafe_code)]

use crate::scheduler::Slot;

/// Two looks that are closer than this, in nanoseconds, say nothing about what was done between
/// them.
const MOMENT: u64 = 50_000;

/// A thread that had less than one part in this many of the time did not compute.
const PART: u64 = 8;

/// A poll that has computed for so many nanoseconds is long.
const LONG: u64 = 150_000;

/// A worker that makes less than a poll in so many nanoseconds may be in one that lasts.
const SUSPECT: u64 = 100_000;

/// What the monitor remembers of a slot.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Watched {
    sequence: u64,
    /// When this poll was first seen, and the owner's CPU time then.
    since: u64,
    began: Option<u64>,
    /// When the CPU time was last read, and what it was.
    seen: u64,
    cpu: Option<u64>,
    blocks: bool,
    /// When the task was asked to yield; 0: not yet.
    asked: u64,
    pub(super) reported: bool,
}

/// What became of the poll that a slot was last seen in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Poll {
    /// The slot is in none.
    Over,
    /// It is in another one.
    New,
    /// The same, or one that its owner has stepped aside for.
    Lasts(Stay),
}

/// A poll that lasts. Times in nanoseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stay {
    /// Since it was first seen.
    pub(super) time: u64,
    /// The CPU time that it has had of this; all of it where that is not known.
    pub(super) computed: u64,
    pub(super) blocks: bool,
}

impl Stay {
    /// Whether the poll is there still because its thread has had hardly any CPU, which says
    /// nothing about the task. After a slice it does not matter why: others wait.
    pub(super) fn starves(self, slice: u64) -> bool {
        !self.blocks && self.time < slice && self.computed < self.time / PART
    }

    /// Whether the task itself takes long. Where threads share a CPU, a short poll is there for a
    /// while, too.
    pub(super) fn is_long(self) -> bool {
        self.blocks || self.computed >= LONG
    }
}

impl Watched {
    /// How many polls the slot has begun since the last look.
    pub(super) fn polls(&self, slot: &Slot) -> u64 {
        slot.poll.sequence().wrapping_sub(self.sequence) / 2
    }

    /// Whether a poll that has just been seen for the first time may last, after so many others in
    /// so many nanoseconds.
    pub(super) fn is_suspicious(polls: u64, time: u64) -> bool {
        polls.saturating_mul(SUSPECT) < time
    }

    /// Looks at the slot.
    pub(super) fn poll(&mut self, slot: &Slot, now: u64) -> Poll {
        let sequence = slot.poll.sequence();
        if sequence % 2 == 0 {
            *self = Self::of(sequence, now, None);
            return Poll::Over;
        }
        if sequence == self.sequence {
            return Poll::Lasts(self.compare(slot, now));
        }
        *self = Self::of(sequence, now, slot.cpu_time());
        if !slot.poll.is_stuck() {
            return Poll::New;
        }
        // Whoever stepped aside before it began relies on us from now on.
        Poll::Lasts(self.stay(now))
    }

    /// Whether the slot is in this poll still.
    pub(super) fn is_in(&self, slot: &Slot) -> bool {
        slot.poll.sequence() == self.sequence
    }

    /// The task is asked to yield. `true`: for the first time.
    pub(super) fn ask(&mut self, now: u64) -> bool {
        let first = self.asked == 0;
        if first {
            self.asked = now;
        }
        first
    }

    /// Whether it was, and has had its chance.
    pub(super) fn asked(&self, now: u64) -> bool {
        self.asked != 0 && now - self.asked >= MOMENT
    }

    fn of(sequence: u64, now: u64, cpu: Option<u64>) -> Self {
        Self {
            sequence,
            since: now,
            began: cpu,
            seen: now,
            cpu,
            ..Self::default()
        }
    }

    /// The same poll again.
    fn compare(&mut self, slot: &Slot, now: u64) -> Stay {
        let time = now - self.seen;
        if time < MOMENT {
            return self.stay(now);
        }
        let before = self.cpu;
        (self.seen, self.cpu) = (now, slot.cpu_time());
        let ran = self
            .cpu
            .zip(before)
            .map(|(cpu, before)| cpu.saturating_sub(before));
        let stood = ran.is_some_and(|ran| ran < time / PART);
        // Without /proc we cannot tell it from one that waits for a CPU, and it is no worse to
        // replace that.
        self.blocks = stood && (self.blocks || slot.waits().unwrap_or(true));
        self.stay(now)
    }

    fn stay(&self, now: u64) -> Stay {
        let time = now - self.since;
        let computed = self.cpu.zip(self.began);
        Stay {
            time,
            computed: computed.map_or(time, |(cpu, began)| cpu.saturating_sub(began)),
            blocks: self.blocks,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SLICE: u64 = 10_000_000;

    fn stay(time: u64, computed: u64) -> Stay {
        Stay {
            time,
            computed,
            blocks: false,
        }
    }

    #[test]
    fn a_poll_whose_thread_had_no_cpu_starves_until_a_slice_is_over() {
        assert!(stay(5_000_000, 20_000).starves(SLICE));
        assert!(!stay(5_000_000, 625_000).starves(SLICE), "it computes");
        assert!(!stay(SLICE, 20_000).starves(SLICE), "others wait too long");
        let blocked = Stay {
            blocks: true,
            ..stay(5_000_000, 0)
        };
        assert!(!blocked.starves(SLICE));
    }

    #[test]
    fn a_poll_is_long_by_its_own_time_and_not_by_that_of_others() {
        assert!(!stay(5_000_000, 149_999).is_long());
        assert!(stay(150_000, 150_000).is_long());
        let blocked = Stay {
            blocks: true,
            ..stay(70_000, 0)
        };
        assert!(blocked.is_long());
    }
}
