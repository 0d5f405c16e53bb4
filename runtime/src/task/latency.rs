//! The time from a wake to the poll that follows, of some tasks.
//!
//! A look at the clock at every wake and every poll would cost a tenth of a channel operation. So
//! some wakes stand for all: the one who queues the task writes the time, and for how many wakes it
//! stands, into the task's wait note, which nobody needs until the next poll empties it, and sets a
//! bit in the state word. Whoever starts the poll finds the bit by a test that it makes anyway.
//!
//! Which wakes those are is for the scheduler to choose: see `scheduler/worker/sampling.rs`.
#![forbid(unsafe_code)]

use super::header::Header;
use crate::time::clock;

/// A note of the time of a wake.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stamp(u64);

/// The time's lowest bits: differences up to four hours are right.
const TIME: u32 = 44;

/// Above the wait note's lowest byte, below the time.
const WEIGHT: u32 = 12;
const _: () = assert!(TIME + WEIGHT + 8 == 64);

impl Stamp {
    /// A wake at this moment, which stands for so many; for some thousands at the most.
    pub(crate) fn now(stands_for: u64) -> Self {
        let weight = stands_for.min((1 << WEIGHT) - 1);
        Self(clock::real() << (64 - TIME) | weight << 8)
    }

    /// The nanoseconds since then.
    pub(crate) fn age(self) -> u64 {
        (clock::real() << (64 - TIME)).wrapping_sub(self.0 >> (64 - TIME) << (64 - TIME))
            >> (64 - TIME)
    }

    pub(crate) fn stands_for(self) -> u64 {
        self.0 >> 8 & ((1 << WEIGHT) - 1)
    }

    /// As a wait note, whose lowest byte is free.
    pub(super) fn into_raw(self) -> u64 {
        self.0
    }

    pub(super) fn from_raw(raw: u64) -> Self {
        Self(raw & !0xff)
    }
}

impl Header {
    /// Notes the time of a wake; the caller is about to queue the task.
    pub(crate) fn stamp(&self, stamp: Stamp) {
        self.set_stamp(stamp);
        self.state.set_stamped();
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn a_stamp_knows_its_age_and_weight() {
        assert_eq!(Stamp::now(1 << 40).stands_for(), 4095);
        let stamp = Stamp::now(2000);
        assert_eq!(stamp.stands_for(), 2000);
        assert_eq!(Stamp::from_raw(stamp.into_raw() | 3), stamp);
        // In steps of one nanosecond, so that this is seconds at the most, and not hours.
        assert!(stamp.age() < 60_000_000_000);
    }
}
