//! How long the polls of a worker take, and what follows from that: how often it calls `maintain`, and whether what waits here is worth
//! waking another worker.
//!
//! Measured between two looks at the clock that there are anyway, one `maintain` and the next, and for a worker that has little to do, from
//! its waking up to its next sleep: a server that handles a request in two milliseconds, and sleeps between, has long polls too.
//!
//! The average follows a faster pace at once and a slower one with hesitation: where the kernel takes the CPU away for a moment, a short poll
//! looks long. A guess that is too low costs the tasks that wait some milliseconds, until the monitor sees them; one that is too high wakes
//! threads for nothing, time and again.
//!
//! Rejected: *counting the tasks that wait*, whatever they do: sixteen are too many to leave to one worker where each takes a millisecond, and
//! not worth a second one where they are gone in a tenth of that.
#![forbid(unsafe_code)]

use std::cell::Cell;

/// How long a worker with work may go without `maintain`, in nanoseconds: long polls shorten the interval accordingly. A compromise: a
/// look at the clock and the reactor costs some hundred nanoseconds.
pub(super) const MAINTAIN_EVERY: u64 = 50_000;

/// Polls between two calls of `maintain`, at the most. Go's number (`schedtick%61`): prime, so that no periodic pattern of tasks can
/// always be at the same place when it comes.
pub(super) const MAX_INTERVAL: u32 = 61;

/// Above this polls are long, in nanoseconds: about what waking another worker costs. A task that spends its whole budget on channel
/// operations takes one or two microseconds.
const LONG: u64 = 5_000;

/// So many polls weigh as much as all that were before them.
const INERTIA: u64 = 16;

/// See the module.
#[derive(Debug)]
pub(super) struct Pace {
    /// The last look at the clock, in nanoseconds, and the polls until then.
    since: Cell<u64>,
    polls: Cell<u64>,
    /// Nanoseconds a poll.
    average: Cell<u64>,
    interval: Cell<u32>,
    fixed: bool,
}

impl Pace {
    pub(super) fn new() -> Self {
        Self {
            since: Cell::new(0),
            polls: Cell::new(0),
            average: Cell::new(0),
            interval: Cell::new(MAX_INTERVAL),
            fixed: false,
        }
    }

    /// One that never changes, for what must not depend on how fast the machine is: all polls are long.
    pub(super) fn fixed() -> Self {
        Self {
            average: Cell::new(u64::MAX),
            interval: Cell::new(1),
            fixed: true,
            ..Self::new()
        }
    }

    /// The worker begins after a pause. `polls`: how many it has ever made.
    pub(super) fn begin(&self, now: u64, polls: u64) {
        self.since.set(now);
        self.polls.set(polls);
    }

    /// The worker has made so many polls by now. Returns how long ago the last look was.
    pub(super) fn note(&self, now: u64, polls: u64) -> u64 {
        let time = now.saturating_sub(self.since.replace(now));
        let new = polls - self.polls.replace(polls);
        if new > 0 && !self.fixed {
            let average = next_average(self.average.get(), time, new);
            self.average.set(average);
            self.interval.set(interval(average));
        }
        time
    }

    /// When it last looked at the clock.
    #[inline]
    pub(super) fn since(&self) -> u64 {
        self.since.get()
    }

    /// Polls from one `maintain` to the next.
    #[inline]
    pub(super) fn interval(&self) -> u32 {
        self.interval.get()
    }

    /// Whether one poll takes as long as waking a worker.
    #[inline]
    pub(super) fn is_slow(&self) -> bool {
        self.average.get() >= LONG
    }

    /// How long so many polls will take.
    pub(super) fn time_for(&self, polls: usize) -> u64 {
        self.average.get().saturating_mul(polls as u64)
    }
}

fn next_average(average: u64, time: u64, polls: u64) -> u64 {
    let sample = time / polls;
    if sample < average {
        return average.midpoint(sample);
    }
    (average * INERTIA + time) / (INERTIA + polls)
}

/// Aims at one `maintain` every `MAINTAIN_EVERY`, or every `MAX_INTERVAL` polls where that is more often.
fn interval(average: u64) -> u32 {
    u32::try_from(MAINTAIN_EVERY / average.max(1))
        .unwrap_or(MAX_INTERVAL)
        .clamp(1, MAX_INTERVAL)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_interval_follows_the_length_of_polls() {
        assert_eq!(interval(0), 61);
        assert_eq!(interval(50), 61);
        assert_eq!(interval(5_000), 10);
        assert_eq!(interval(1_000_000), 1);
    }

    #[test]
    fn the_average_comes_near_what_polls_take() {
        let pace = Pace::new();
        let (mut now, mut polls) = (1_000, 7);
        pace.begin(now, polls);
        for time in [10_000, 300] {
            for _ in 0..100 {
                now += time * 10;
                polls += 10;
                assert_eq!(pace.note(now, polls), time * 10);
            }
            let ten = pace.time_for(10);
            assert!(ten.abs_diff(time * 10) <= time, "{ten} for {time} each");
        }
        assert!(!pace.is_slow());
    }

    #[test]
    fn one_long_poll_among_many_is_soon_forgotten() {
        let pace = Pace::new();
        pace.begin(0, 0);
        pace.note(4_000_000, 61);
        assert!(pace.is_slow());
        let mut now = 4_000_000;
        for n in 1..=8 {
            now += 600;
            pace.note(now, 61 + n);
        }
        assert!(!pace.is_slow());
        assert_eq!(pace.interval(), interval(pace.time_for(1)));
    }

    #[test]
    fn a_pause_does_not_count() {
        let pace = Pace::new();
        pace.begin(0, 0);
        pace.begin(1_000_000_000, 0);
        pace.note(1_000_001_000, 1);
        assert!(pace.time_for(1) <= 1_000);
        // Nor does a look without polls.
        pace.note(2_000_000_000, 1);
        assert!(pace.time_for(1) <= 1_000);
    }

    #[test]
    fn with_a_seed_all_polls_are_long_and_maintained() {
        let pace = Pace::fixed();
        pace.begin(0, 0);
        pace.note(1_000, 1_000);
        assert!(pace.is_slow());
        assert_eq!(pace.interval(), 1);
        assert_eq!(pace.time_for(2), u64::MAX);
    }
}
