//! The one place that reads the clock.
//!
//! Time inside the runtime is a `u64`: nanoseconds of the monotonic clock, counted from [`EPOCH`]
//! nanoseconds before the first read. The head start leaves room for instants that lie before the
//! program began, such as `Instant::now() - one_hour`; the rest of the range reaches more than five
//! hundred years ahead.
//!
//! There are two of it. [`real`] is the system's clock, for whatever watches threads: the monitor,
//! the stamps of the dump. [`now`] is the clock of the current runtime, for all that tasks can see;
//! it is the same until a test pauses it ([`Timeline`](super::Timeline)). As long as no runtime of
//! the process ever had a clock of its own, `now` costs one load and a branch more than `real`.
#![forbid(unsafe_code)]

use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};

use crossbeam_utils::CachePadded;

use crate::scheduler::current;

/// What [`real`] returned at the first read: 2^60 ns, about 36 years.
pub(crate) const EPOCH: u64 = 1 << 60;

/// The latest instant there is, and as a deadline: never.
pub(crate) const NEVER: u64 = u64::MAX;

/// Deadlines from here on are no moments, but so far from their first poll: they were made where no
/// runtime's clock was at hand. No moment is so late, but for [`NEVER`]: it would be more than two
/// hundred years away.
pub(crate) const RELATIVE: u64 = 1 << 63;

static ORIGIN: OnceLock<std::time::Instant> = OnceLock::new();

/// Some runtime's clock differs from the system's, or did.
static DIVERGED: AtomicBool = AtomicBool::new(false);

/// From now on a look at the clock asks whose it is.
pub(crate) fn diverge() {
    // Relaxed: whoever reads a clock that differs has been told of its runtime, and by that of
    // this.
    DIVERGED.store(true, Relaxed);
}

/// Nanoseconds of the current runtime's clock; where there is no runtime, of the system's. Never
/// goes back within one runtime.
#[inline]
pub(crate) fn now() -> u64 {
    if DIVERGED.load(Relaxed) {
        return now_of_runtime();
    }
    real()
}

#[cold]
fn now_of_runtime() -> u64 {
    current::with_timeline(|timeline| timeline.map_or_else(real, super::Timeline::now))
}

/// The deadline of something that takes so long from now.
#[inline]
pub(crate) fn deadline_after(duration: std::time::Duration) -> u64 {
    if DIVERGED.load(Relaxed) {
        return deadline_of_runtime(nanos(duration));
    }
    in_reach(real().saturating_add(nanos(duration)))
}

/// Where there is no runtime, nobody knows by whose clock it will be:
/// `rt.block_on(time::sleep(second))` makes its sleep outside.
#[cold]
fn deadline_of_runtime(nanos: u64) -> u64 {
    let outside = in_reach(nanos).saturating_add(RELATIVE);
    current::with_timeline(|timeline| {
        timeline.map_or(outside, |timeline| {
            in_reach(timeline.now().saturating_add(nanos))
        })
    })
}

/// A moment as a deadline: one that is too far away becomes never.
#[inline]
pub(crate) fn in_reach(at: u64) -> u64 {
    if at >= RELATIVE { NEVER } else { at }
}

/// A moment of the calling thread's clock on another one, and the time there. Without another one,
/// as it is. One that has passed is now.
pub(crate) fn translate(at: Option<u64>, to: Option<&super::Timeline>) -> (u64, Option<u64>) {
    let real = real();
    if !DIVERGED.load(Relaxed) {
        return (real, at);
    }
    let here = current::with_timeline(|timeline| timeline.map_or(real, |it| it.at(real)));
    let there = to.map_or(here, |timeline| timeline.at(real));
    let translated = |at: u64| there.saturating_add(at.saturating_sub(here));
    (there, at.map(translated))
}

/// How far the current runtime's clock was ahead of the system's when the runtime began; wraps.
fn lead() -> u64 {
    if DIVERGED.load(Relaxed) {
        return current::with_timeline(|timeline| timeline.map_or(0, super::Timeline::lead));
    }
    0
}

/// Nanoseconds of the system's monotonic clock; never goes back.
#[inline]
pub(crate) fn real() -> u64 {
    EPOCH + nanos(std::time::Instant::now().saturating_duration_since(origin()))
}

/// Nanoseconds in a unit of the coarse clock: a power of two, so that nobody divides.
const COARSE_UNIT: u64 = 1 << 20;

/// What the monitors last read, in units of the coarse clock; 0 before the first runtime. On a line
/// of its own, since every task that parks reads it, and it is written every few milliseconds at
/// the most.
static COARSE: CachePadded<AtomicU64> = CachePadded::new(AtomicU64::new(0));

/// The coarse clock: one load, a tenth of a second late at the most while some worker runs. For
/// stamps that nobody computes with.
#[inline]
pub(crate) fn coarse() -> u64 {
    COARSE.load(Relaxed)
}

/// Sets the coarse clock to a reading of the fine one. Called by each monitor as long as it
/// watches, and by whoever wakes it up; also by a thread about to sleep in `block_on`, which may
/// have run while all monitors slept.
pub(crate) fn advance_coarse(now: u64) {
    // Relaxed: nothing rides on it. The largest: a monitor that was held up after its reading does
    // not put the clock back. Only if it changes anything: the line is in the caches of all who
    // read it.
    let now = now / COARSE_UNIT;
    if COARSE.load(Relaxed) < now {
        COARSE.fetch_max(now, Relaxed);
    }
}

/// The time from a stamp of the coarse clock to `now`.
pub(crate) fn since_coarse(stamp: u64, now: u64) -> std::time::Duration {
    std::time::Duration::from_nanos(now.saturating_sub(stamp.saturating_mul(COARSE_UNIT)))
}

/// The same moment on std's clock, or its start where that clock cannot reach back so far. Where
/// the clocks differ, that is so far from the runtime's beginning as `at` is.
pub(crate) fn to_std(at: u64) -> std::time::Instant {
    let origin = origin();
    let at = at.wrapping_sub(lead());
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
    let real = match at.checked_duration_since(origin) {
        Some(after) => EPOCH.saturating_add(nanos(after)),
        None => EPOCH.saturating_sub(nanos(origin.saturating_duration_since(at))),
    };
    if real == NEVER {
        return NEVER;
    }
    real.wrapping_add(lead())
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
