//! [`Instant`]: a moment on the runtime's clock.
//!
//! A newtype over nanoseconds rather than std's instant, because the timers compute with the
//! number, because a clock that tests can pause has no counterpart in std, and because it is half
//! the size. It converts both ways.
#![forbid(unsafe_code)]

use std::fmt;
use std::ops::{Add, AddAssign, Sub, SubAssign};
use std::time::Duration;

use super::clock;

/// A moment on the runtime's monotonic clock, with a resolution of one nanosecond.
///
/// It behaves as [`std::time::Instant`] does and converts to and from it.
///
/// ```
/// use runtime::time::Instant;
/// use std::time::Duration;
///
/// let start = Instant::now();
/// let later = start + Duration::from_millis(5);
/// assert_eq!(later - start, Duration::from_millis(5));
/// assert_eq!(start - later, Duration::ZERO); // never negative, never a panic
///
/// let std: std::time::Instant = start.into();
/// assert_eq!(Instant::from(std), start);
/// ```
///
/// **Go:** `time.Time`, its monotonic half only.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Instant(u64);

impl Instant {
    /// The present moment.
    ///
    /// ```
    /// use runtime::time::Instant;
    ///
    /// let first = Instant::now();
    /// assert!(Instant::now() >= first);
    /// ```
    ///
    /// **Go:** `time.Now()`.
    #[inline]
    pub fn now() -> Self {
        Self(clock::now())
    }

    /// How long ago this moment was, or zero if it is still to come.
    ///
    /// ```
    /// use runtime::time::Instant;
    /// use std::time::Duration;
    ///
    /// let ahead = Instant::now() + Duration::from_secs(3600);
    /// assert_eq!(ahead.elapsed(), Duration::ZERO);
    /// ```
    ///
    /// **Go:** `time.Since(t)`.
    #[inline]
    pub fn elapsed(&self) -> Duration {
        Self::now().duration_since(*self)
    }

    /// The time from `earlier` to this moment, or zero if `earlier` is the later one.
    ///
    /// ```
    /// use runtime::time::Instant;
    /// use std::time::Duration;
    ///
    /// let now = Instant::now();
    /// let later = now + Duration::from_secs(1);
    /// assert_eq!(later.duration_since(now), Duration::from_secs(1));
    /// assert_eq!(now.duration_since(later), Duration::ZERO);
    /// ```
    ///
    /// **Go:** `t.Sub(u)`, which may be negative.
    #[inline]
    pub fn duration_since(&self, earlier: Self) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }

    /// The time from `earlier` to this moment, or `None` if `earlier` is the later one.
    ///
    /// ```
    /// use runtime::time::Instant;
    /// use std::time::Duration;
    ///
    /// let now = Instant::now();
    /// let later = now + Duration::from_secs(1);
    /// assert_eq!(later.checked_duration_since(now), Some(Duration::from_secs(1)));
    /// assert_eq!(now.checked_duration_since(later), None);
    /// ```
    ///
    /// **Go:** `t.Sub(u)` with a look at the sign.
    #[inline]
    pub fn checked_duration_since(&self, earlier: Self) -> Option<Duration> {
        self.0.checked_sub(earlier.0).map(Duration::from_nanos)
    }

    /// The time from `earlier` to this moment, or zero if `earlier` is the later one: another name
    /// of [`duration_since`](Self::duration_since), as std has it.
    ///
    /// ```
    /// use runtime::time::Instant;
    /// use std::time::Duration;
    ///
    /// let now = Instant::now();
    /// let later = now + Duration::from_secs(1);
    /// assert_eq!(now.saturating_duration_since(later), Duration::ZERO);
    /// ```
    ///
    /// **Go:** `max(0, t.Sub(u))`.
    #[inline]
    pub fn saturating_duration_since(&self, earlier: Self) -> Duration {
        self.duration_since(earlier)
    }

    /// This moment plus `duration`, or `None` if the clock cannot express it.
    ///
    /// ```
    /// use runtime::time::Instant;
    /// use std::time::Duration;
    ///
    /// assert!(Instant::now().checked_add(Duration::from_secs(1)).is_some());
    /// assert!(Instant::now().checked_add(Duration::MAX).is_none());
    /// ```
    ///
    /// **Go:** `t.Add(d)`, which wraps.
    #[inline]
    pub fn checked_add(&self, duration: Duration) -> Option<Self> {
        let nanos = u64::try_from(duration.as_nanos()).ok()?;
        self.0.checked_add(nanos).map(Self)
    }

    /// This moment minus `duration`, or `None` if the clock cannot express it.
    ///
    /// ```
    /// use runtime::time::Instant;
    /// use std::time::Duration;
    ///
    /// assert!(Instant::now().checked_sub(Duration::from_secs(1)).is_some());
    /// assert!(Instant::now().checked_sub(Duration::MAX).is_none());
    /// ```
    ///
    /// **Go:** `t.Add(-d)`, which wraps.
    #[inline]
    pub fn checked_sub(&self, duration: Duration) -> Option<Self> {
        let nanos = u64::try_from(duration.as_nanos()).ok()?;
        self.0.checked_sub(nanos).map(Self)
    }

    /// `duration` from now; where that is past the end of the clock, the latest instant there is,
    /// which never comes.
    #[inline]
    pub(crate) fn after(duration: Duration) -> Self {
        Self(clock::now().saturating_add(clock::nanos(duration)))
    }

    /// The number that the timers compute with.
    #[inline]
    pub(crate) const fn as_nanos(self) -> u64 {
        self.0
    }

    /// The reverse of [`as_nanos`](Self::as_nanos).
    #[inline]
    pub(crate) const fn from_nanos(nanos: u64) -> Self {
        Self(nanos)
    }
}

impl From<std::time::Instant> for Instant {
    /// The same moment; one out of this clock's range becomes the nearest in it.
    fn from(at: std::time::Instant) -> Self {
        Self(clock::from_std(at))
    }
}

impl From<Instant> for std::time::Instant {
    fn from(at: Instant) -> Self {
        clock::to_std(at.0)
    }
}

impl Add<Duration> for Instant {
    type Output = Self;

    /// # Panics
    ///
    /// If the clock cannot express the sum; [`Instant::checked_add`] tells instead.
    #[track_caller]
    fn add(self, duration: Duration) -> Self {
        self.checked_add(duration)
            .expect("overflow when adding a duration to an instant: use `checked_add`")
    }
}

impl AddAssign<Duration> for Instant {
    #[track_caller]
    fn add_assign(&mut self, duration: Duration) {
        *self = *self + duration;
    }
}

impl Sub<Duration> for Instant {
    type Output = Self;

    /// # Panics
    ///
    /// If the clock cannot express the difference; [`Instant::checked_sub`] tells instead.
    #[track_caller]
    fn sub(self, duration: Duration) -> Self {
        self.checked_sub(duration)
            .expect("overflow when subtracting a duration from an instant: use `checked_sub`")
    }
}

impl SubAssign<Duration> for Instant {
    #[track_caller]
    fn sub_assign(&mut self, duration: Duration) {
        *self = *self - duration;
    }
}

impl Sub for Instant {
    type Output = Duration;

    fn sub(self, earlier: Self) -> Duration {
        self.duration_since(earlier)
    }
}

impl fmt::Debug for Instant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Instant")
            .field(&Duration::from_nanos(self.0))
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn converts_to_std_and_back_on_both_sides_of_the_start() {
        for offset in [0, 1, 1 << 20, (1 << 60) - 1, 1 << 60] {
            let now = Instant::now();
            let after = Instant(now.0 + offset);
            assert_eq!(
                Instant::from(std::time::Instant::from(after)),
                after,
                "+{offset}"
            );
        }
        let hour_ago = Instant::now() - Duration::from_secs(3600);
        assert_eq!(Instant::from(std::time::Instant::from(hour_ago)), hour_ago);
    }

    #[test]
    fn the_far_end_saturates() {
        let far = std::time::Instant::now() + Duration::from_secs(1 << 35);
        assert_eq!(Instant::from(far), Instant(clock::NEVER));
        assert_eq!(Instant::after(Duration::MAX), Instant(clock::NEVER));
    }

    #[test]
    fn agrees_with_std_about_differences() {
        let a = std::time::Instant::now();
        let b = a + Duration::from_nanos(1_234_567);
        assert_eq!(Instant::from(b) - Instant::from(a), b - a);
    }

    #[test]
    #[should_panic(expected = "checked_add")]
    fn adding_past_the_end_panics() {
        let _ = Instant::now() + Duration::MAX;
    }

    #[test]
    #[should_panic(expected = "checked_sub")]
    fn subtracting_past_the_start_panics() {
        let _ = Instant::now() - Duration::MAX;
    }
}
