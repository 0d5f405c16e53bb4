//! How long the polls of a worker take, and what follows from that: how often it calls `maintain`,
//! and whether what waits here is worth waking another worker.
//!
//! Measured between two looks at the clock that there are anyway, one `maintain` and the next. A
//! worker that has little to do may never come to a second `maintain` between two sleeps; of it one
//! time in a few that it is awake is measured: a server that handles a request in two milliseconds,
//! and sleeps between, has long polls too.
//!
//! The average follows a faster pace at once and a slower one with hesitation: where the kernel
//! takes the CPU away for a moment, a short poll looks long. A guess that is too low costs the
//! tasks that wait some milliseconds, until the monitor sees them; one that is too high wakes
//! threads for nothing, time and again.
//!
//! Rejected: *counting the tasks that wait*, whatever they do: sixteen are too many to leave to one
//! worker where each takes a millisecond, and not worth a second one where they are gone in a tenth
//! of that.
#![forbid(unsafe_code)]

use std::cell::Cell;

/// How long a worker with work may go without `maintain`, in nanoseconds: long polls shorten the
/// interval accordingly. A compromise: a look at the clock and the reactor costs some hundred
/// nanoseconds.
pub(super) const MAINTAIN_EVERY: u64 = 50_000;

/// Polls between two calls of `maintain`, at the most. Go's number (`schedtick%61`): prime, so that
/// no periodic pattern of tasks can always be at the same place when it comes.
pub(super) const MAX_INTERVAL: u32 = 61;

/// Above this polls are long, in nanoseconds: about what waking another worker costs. A task that
/// spends its whole budget on channel operations takes one or two microseconds.
const LONG: u64 = 5_000;

/// So many polls weigh as much as all that were before them.
const INERTIA: u64 = 16;

/// After so many sleeps one time awake is measured: two looks at the clock, of some 30 ns each,
/// beside as many sleeps of some microseconds.
const SLEEPS: u8 = 8;

/// In the place of a time: nothing is measured.
const UNKNOWN: u64 = u64::MAX;

/// See the module.
#[derive(Debug)]
pub(super) struct Pace {
    /// The last look at the clock, in nanoseconds, and the polls until then. `UNKNOWN`: the worker
    /// has slept since.
    since: Cell<u64>,
    polls: Cell<u64>,
    /// Nanoseconds a poll.
    average: Cell<u64>,
    interval: Cell<u32>,
    /// Sleeps until the next one after which it is measured.
    sleeps: Cell<u8>,
    fixed: bool,
}

impl Pace {
    pub(super) fn new() -> Self {
        Self {
            since: Cell::new(UNKNOWN),
            polls: Cell::new(0),
            average: Cell::new(0),
            interval: Cell::new(MAX_INTERVAL),
            sleeps: Cell::new(1),
            fixed: false,
        }
    }

    /// One that never changes, for what must not depend on how fast the machine is: all polls are
    /// long.
    pub(super) fn fixed() -> Self {
        Self {
            average: Cell::new(u64::MAX),
            interval: Cell::new(1),
            fixed: true,
            ..Self::new()
        }
    }

    /// The worker has slept. `polls`: how many it has ever made.
    pub(super) fn wake_up(&self, clock: impl FnOnce() -> u64, polls: u64) {
        let sleeps = self.sleeps.get() - 1;
        if sleeps > 0 {
            self.sleeps.set(sleeps);
            self.since.set(UNKNOWN);
            return;
        }
        self.sleeps.set(SLEEPS);
        self.since.set(clock());
        self.polls.set(polls);
    }

    /// The worker is about to sleep, after so many polls.
    pub(super) fn fall_asleep(&self, clock: impl FnOnce() -> u64, polls: u64) {
        if self.since.get() != UNKNOWN {
            let _ = self.note(clock(), polls);
        }
    }

    /// The worker has made so many polls by now. Returns how long ago the last look was, if it has
    /// not slept since.
    pub(super) fn note(&self, now: u64, polls: u64) -> Option<u64> {
        let since = self.since.replace(now);
        let new = polls - self.polls.replace(polls);
        if since == UNKNOWN {
            return None;
        }
        let time = now.saturating_sub(since);
        if new > 0 && !self.fixed {
            let average = next_average(self.average.get(), time, new);
            self.average.set(average);
            self.interval.set(interval(average));
        }
        Some(time)
    }

    /// When it last looked at the clock, if it has not slept since; else never.
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

/// Aims at one `maintain` every `MAINTAIN_EVERY`, or every `MAX_INTERVAL` polls where that is more
/// often.
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

    /// A pace that is measured from now on.
    fn measured() -> Pace {
        let pace = Pace::new();
        pace.wake_up(|| 0, 0);
        pace
    }

    #[test]
    fn the_average_comes_near_what_polls_take() {
        let pace = measured();
        let (mut now, mut polls) = (0, 0);
        for time in [10_000, 300] {
            for _ in 0..100 {
                now += time * 10;
                polls += 10;
                assert_eq!(pace.note(now, polls), Some(time * 10));
            }
            let ten = pace.time_for(10);
            assert!(ten.abs_diff(time * 10) <= time, "{ten} for {time} each");
        }
        assert!(!pace.is_slow());
    }

    #[test]
    fn one_long_poll_among_many_is_soon_forgotten() {
        let pace = measured();
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
    fn sleep_does_not_count_and_some_times_awake_do() {
        let pace = Pace::new();
        let mut now = 0;
        let mut looks = 0;
        for n in 0..1_000 {
            now += 1_000_000_000;
            let clock = || {
                looks += 1;
                now
            };
            pace.wake_up(clock, n);
            now += 8_000;
            pace.fall_asleep(|| now, n + 1);
        }
        assert_eq!(looks, 1_000 / usize::from(SLEEPS));
        assert!(pace.time_for(1).abs_diff(8_000) < 1_000, "{pace:?}");
    }

    #[test]
    fn between_a_sleep_and_the_next_look_nothing_is_known() {
        let pace = measured();
        pace.wake_up(|| unreachable!(), 1);
        assert_eq!(pace.note(1_000_000, 2), None);
        assert_eq!(pace.note(1_000_500, 3), Some(500));
        assert!(pace.time_for(1) <= 500);
        // Nor does a look without polls say anything.
        pace.note(2_000_000_000, 3);
        assert!(pace.time_for(1) <= 500);
    }

    #[test]
    fn with_a_seed_all_polls_are_long_and_maintained() {
        let pace = Pace::fixed();
        pace.wake_up(|| 0, 0);
        pace.note(1_000, 1_000);
        assert!(pace.is_slow());
        assert_eq!(pace.interval(), 1);
        assert_eq!(pace.time_for(2), u64::MAX);
    }
}
