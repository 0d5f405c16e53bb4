//! How often the monitor looks.
//!
//! Every [`SLOW`] while all polls are short; every [`FAST`] for a while after one was long, or
//! sooner, where a poll or a timer asks for that; and not at all once nobody has been awake for
//! [`CALM`].
#![forbid(unsafe_code)]

use std::time::Duration;

use super::look::Seen;
use super::nanos;

/// Between two looks while every poll is short.
pub(super) const SLOW: Duration = Duration::from_millis(5);

/// Between two looks while some poll is long.
pub(super) const FAST: Duration = Duration::from_millis(1);

/// After a long poll the next one is expected: for so long the monitor looks every [`FAST`], and so
/// sees it within two milliseconds.
const ALERT: Duration = Duration::from_millis(300);

/// Without a worker awake for so long, the monitor sleeps until it is woken. Long enough that a
/// program with a request now and then does not pay a wake-up of the monitor for each.
pub(super) const CALM: Duration = Duration::from_millis(100);

/// See the module. Times in nanoseconds.
#[derive(Debug)]
pub(super) struct Rhythm {
    pause: Duration,
    alert_until: u64,
    /// When it was first seen that no worker was awake; `None`: one is.
    calm_since: Option<u64>,
}

impl Rhythm {
    pub(super) fn new() -> Self {
        Self {
            pause: SLOW,
            alert_until: 0,
            calm_since: None,
        }
    }

    /// How long to wait before the next look.
    pub(super) fn pause(&self) -> Duration {
        self.pause
    }

    /// A look at `now` brought this.
    pub(super) fn follow(&mut self, seen: &Seen, now: u64) {
        if seen.new {
            self.alert_until = now + nanos(ALERT);
        }
        let usual = if now < self.alert_until { FAST } else { SLOW };
        let asked = seen.again.into_iter().chain(seen.due);
        self.pause = asked.fold(usual, Duration::min);
    }

    /// Whether it has been calm for long enough to sleep; from then on it has to be so anew.
    pub(super) fn is_time_to_sleep(&mut self, calm: bool, now: u64) -> bool {
        if !calm {
            self.calm_since = None;
            return false;
        }
        let long = now - *self.calm_since.get_or_insert(now) > nanos(CALM);
        if long {
            self.calm_since = None;
        }
        long
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOTHING: Seen = Seen {
        again: None,
        due: None,
        new: false,
    };

    #[test]
    fn a_long_poll_makes_it_look_fast_for_a_while() {
        let mut rhythm = Rhythm::new();
        let long = Seen {
            new: true,
            ..NOTHING
        };
        rhythm.follow(&long, 0);
        assert_eq!(rhythm.pause(), FAST);
        rhythm.follow(&NOTHING, nanos(ALERT) - 1);
        assert_eq!(rhythm.pause(), FAST);
        rhythm.follow(&NOTHING, nanos(ALERT));
        assert_eq!(rhythm.pause(), SLOW);
    }

    #[test]
    fn it_looks_no_later_than_a_poll_or_a_timer_asks_for() {
        let mut rhythm = Rhythm::new();
        let (soon, later) = (Duration::from_micros(70), Duration::from_micros(90));
        let again = Seen {
            again: Some(soon),
            due: Some(later),
            new: false,
        };
        rhythm.follow(&again, 0);
        assert_eq!(rhythm.pause(), soon);
        let due = Seen {
            again: None,
            ..again
        };
        rhythm.follow(&due, 0);
        assert_eq!(rhythm.pause(), later);
    }

    #[test]
    fn it_sleeps_when_it_has_been_calm_without_a_break() {
        let mut rhythm = Rhythm::new();
        let (half, whole) = (nanos(CALM) / 2, nanos(CALM) + 1);
        assert!(!rhythm.is_time_to_sleep(true, 0));
        assert!(!rhythm.is_time_to_sleep(false, half));
        assert!(!rhythm.is_time_to_sleep(true, whole));
        assert!(rhythm.is_time_to_sleep(true, 2 * whole));
        assert!(!rhythm.is_time_to_sleep(true, 2 * whole + half));
    }
}
