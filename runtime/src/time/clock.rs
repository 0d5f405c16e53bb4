//! The one place that reads the clock.
//!
//! Time inside the runtime is a `u64`: nanoseconds of the monotonic clock, counted from [`EPOCH`] nanoseconds before the first read.
//! The head start leaves room for instants that lie before the program began, such as `Instant::now() - one_hour`; the rest of the
//! range reaches more than five hundred years ahead.
//!
//! Everything else asks [`now`], so that a clock that tests can pause needs to be added here and nowhere else.
#![forbid(unsafe_code)]

use std::sync::OnceLock;

/// What [`now`] returned at the first read: 2^60 ns, about 36 years.
const EPOCH: u64 = 1 << 60;

/// The latest instant there is, and as a deadline: never.
pub(crate) const NEVER: u64 = u64::MAX;

static ORIGIN: OnceLock<std::time::Instant> = OnceLock::new();

/// Nanoseconds of the monotonic clock; never goes back.
#[inline]
pub(crate) fn now() -> u64 {
    EPOCH + nanos(std::time::Instant::now().saturating_duration_since(origin()))
}

/// The same moment on std's clock, or its start where that clock cannot reach back so far.
pub(crate) fn to_std(at: u64) -> std::time::Instant {
    let origin = origin();
    match at.checked_sub(EPOCH) {
        Some(after) => origin + std::time::Duration::from_nanos(after),
        None => origin
            .checked_sub(std::time::Duration::from_nanos(EPOCH - at))
            .unwrap_or(origin),
    }
}

/// The same moment on this clock; one out of range becomes the nearest that is in it.
pub(crate) fn from_std(at: std::time::Instant) -> u64 {
    let origin = origin();
    match at.checked_duration_since(origin) {
        Some(after) => EPOCH.saturating_add(nanos(after)),
        None => EPOCH.saturating_sub(nanos(origin.saturating_duration_since(at))),
    }
}

/// A duration in nanoseconds; one that is too long for them becomes the longest.
#[inline]
pub(crate) fn nanos(duration: std::time::Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

#[inline]
fn origin() -> std::time::Instant {
    *ORIGIN.get_or_init(std::time::Instant::now)
}
