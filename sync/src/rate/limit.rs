//! [`Limit`]: how fast the tokens come.
#![forbid(unsafe_code)]

use std::fmt;
use std::time::Duration;

/// Events a second; a half is one in two seconds.
///
/// ```
/// use std::time::Duration;
/// use sync::rate::Limit;
///
/// assert_eq!(Limit::every(Duration::from_millis(100)), Limit::per_second(10.0));
/// ```
///
/// **Go:** `rate.Limit`.
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd)]
pub struct Limit(f64);

impl Limit {
    /// Everything goes at once, whatever the burst.
    ///
    /// ```
    /// use sync::rate::{Limit, Limiter};
    ///
    /// assert!(Limiter::new(Limit::INFINITE, 0).allow_n(1_000_000));
    /// ```
    ///
    /// **Go:** `rate.Inf`.
    pub const INFINITE: Self = Self(f64::INFINITY);

    /// Nothing goes but what the bucket holds.
    ///
    /// ```
    /// use sync::rate::{Limit, Limiter};
    ///
    /// let limiter = Limiter::new(Limit::ZERO, 1);
    /// assert!(limiter.allow());
    /// assert!(!limiter.allow());
    /// ```
    ///
    /// **Go:** `rate.Limit(0)`.
    pub const ZERO: Self = Self(0.0);

    /// So many events a second.
    ///
    /// # Panics
    ///
    /// If it is negative, or no number.
    ///
    /// ```
    /// # use sync::rate::Limit;
    /// assert!(Limit::per_second(0.5) < Limit::per_second(1.0));
    /// ```
    ///
    /// **Go:** `rate.Limit(n)`, where a negative one is zero.
    #[track_caller]
    pub const fn per_second(events: f64) -> Self {
        assert!(
            events >= 0.0,
            "Limit::per_second: events a second are zero or more; Limit::INFINITE lets everything go"
        );
        Self(events)
    }

    /// One event in each `interval`. With an interval of zero it is [`INFINITE`](Self::INFINITE).
    ///
    /// ```
    /// use std::time::Duration;
    /// use sync::rate::Limit;
    ///
    /// assert_eq!(Limit::every(Duration::from_secs(4)).events_per_second(), 0.25);
    /// assert_eq!(Limit::every(Duration::ZERO), Limit::INFINITE);
    /// ```
    ///
    /// **Go:** `rate.Every(d)`.
    pub const fn every(interval: Duration) -> Self {
        // Of a zero it is infinite.
        Self(1.0 / interval.as_secs_f64())
    }

    /// The number of events a second.
    ///
    /// ```
    /// # use sync::rate::Limit;
    /// assert_eq!(Limit::per_second(5.0).events_per_second(), 5.0);
    /// ```
    ///
    /// **Go:** `float64(limit)`.
    pub const fn events_per_second(self) -> f64 {
        self.0
    }

    pub(super) fn is_infinite(self) -> bool {
        self.0 == f64::INFINITY
    }

    /// How many tokens come in this time; of no time none, whatever the limit.
    pub(super) fn tokens_in(self, time: Duration) -> f64 {
        match time.is_zero() {
            true => 0.0,
            false => time.as_secs_f64() * self.0,
        }
    }

    /// How long so many tokens take; `None` is for ever, or longer than can be said. Rounded up, so
    /// that they are there by then.
    pub(super) fn time_for(self, tokens: f64) -> Option<Duration> {
        if tokens <= 0.0 || self.is_infinite() {
            return Some(Duration::ZERO);
        }
        let nanos = (tokens / self.0 * 1e9).ceil();
        // Beyond that it is saturated, and of a limit of zero infinite.
        (nanos < u64::MAX as f64).then(|| Duration::from_nanos(nanos as u64))
    }
}

impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.is_infinite() {
            true => f.write_str("no limit"),
            false => write!(f, "{}/s", self.0),
        }
    }
}
