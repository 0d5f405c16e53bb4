//! Workers that fight over a lock: one of them leaves the tasks to the other.
//!
//! Tasks that talk to each other over one channel do an operation in some ten nanoseconds on one
//! core. On two cores each operation fetches the channel from the other one first, and finds its
//! lock taken: four senders and four receivers take ten times as long. No scheduler can tell
//! beforehand; but a lock can tell that it was taken ([`contended`]), and a worker, at each
//! `maintain`, how much of its time went there. If that is a twentieth, and another worker is
//! awake, this one hands over what waits in its ring, and sleeps. For [`HOLD`] nobody wakes a
//! worker for the sake of a few short polls; then it is tried again, which costs one span between
//! two `maintain`, some 50 µs.
//!
//! Tasks that have nothing to do with each other fight over nothing, so that they spread over all
//! cores.
//!
//! Rejected: *waking nobody while polls are short*, which is blind to tasks that could run side by
//! side; and *comparing the polls a second of one and two workers*, which says little, since a poll
//! is one operation or a hundred.
#![forbid(unsafe_code)]

use std::cell::Cell;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

/// How long one worker is left alone after another one has made way for it.
const HOLD: Duration = Duration::from_millis(50);

/// What a lock that is found taken costs, in nanoseconds: the line comes from the other core, often
/// twice. An estimate from below.
const FIGHT: u64 = 100;

/// A worker makes way if the fights took more than one part in this many of its time: one fight in
/// two microseconds. Each comes with as many lines that have to be fetched without one. Tasks that
/// share a channel and have a microsecond of work each fight far less.
const PART: u64 = 20;

thread_local! {
    static FIGHTS: Cell<u32> = const { Cell::new(0) };
}

/// Tells the scheduler that the calling thread found a lock taken by another core and waited for
/// it.
///
/// For locks that are held for some nanoseconds inside an operation, such as a channel's. A worker
/// that spends much of its time on this leaves its tasks to another one. Costs one addition to a
/// thread-local; outside a runtime it does nothing.
///
/// ```
/// use std::sync::{Mutex, MutexGuard};
///
/// /// The lock of some structure that tasks share.
/// fn hold<T>(lock: &Mutex<T>) -> MutexGuard<'_, T> {
///     lock.try_lock().unwrap_or_else(|_| {
///         runtime::task::coop::contended();
///         lock.lock().unwrap()
///     })
/// }
///
/// assert_eq!(*hold(&Mutex::new(1)), 1);
/// ```
///
/// **Go:** none; `sync.Mutex` spins and sleeps, and the scheduler does not hear of it.
#[cold]
pub fn contended() {
    FIGHTS.set(FIGHTS.get().saturating_add(1));
}

/// How often this thread was in [`contended`] since the last call.
pub(crate) fn take_fights() -> u32 {
    FIGHTS.take()
}

/// Whether `fights` took too large a part of `time` nanoseconds.
pub(crate) fn is_too_much(fights: u32, time: u64) -> bool {
    u64::from(fights) * FIGHT * PART > time
}

/// Until when workers are left alone, in nanoseconds of `time::clock`.
#[derive(Debug, Default)]
pub(crate) struct Contention {
    until: AtomicU64,
}

impl Contention {
    /// A worker makes way at `now`. Relaxed here and below: a hint, which may be seen late.
    pub(crate) fn note(&self, now: u64) {
        let hold = HOLD.as_nanos() as u64;
        self.until.store(now + hold, Relaxed);
    }

    /// Whether one made way a moment before `now`.
    pub(crate) fn is_recent(&self, now: u64) -> bool {
        now < self.until.load(Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fights_are_counted_from_one_look_to_the_next() {
        contended();
        contended();
        assert_eq!(take_fights(), 2);
        assert_eq!(take_fights(), 0);
    }

    #[test]
    fn a_fight_now_and_then_is_not_too_much() {
        assert!(!is_too_much(0, 0));
        assert!(!is_too_much(25, 50_000));
        assert!(is_too_much(26, 50_000));
    }

    #[test]
    fn a_hold_ends() {
        let contention = Contention::default();
        assert!(!contention.is_recent(1));
        contention.note(1_000);
        assert!(contention.is_recent(1_000));
        assert!(!contention.is_recent(1_000 + HOLD.as_nanos() as u64));
    }
}
