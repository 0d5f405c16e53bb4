//! The light mode of a mutex: one that nobody contends for is freed by a plain store instead of an
//! atomic operation, which takes a third of the time off a lock that is free.
//!
//! ```text
//!                  freed so many times in a row, nobody waits
//!   counted ────────────────────────────────────────────────────► light
//!   unlock: atomic  ◄──────────────────────────────────────────── unlock: a store, and a look
//!                  the first who has to wait
//! ```
//!
//! Whoever frees a lock has to hear of one who has just queued up. In the counted mode both sides
//! do an atomic operation on the same word, so one comes first. In the light mode the unlock stores
//! and then looks at `quiet`; the newcomer ends the mode by writing `quiet`, pays for the
//! [barrier](runtime::asymmetric) that the unlock has gone without, and only then looks at the lock
//! and queues up. So either the newcomer finds the lock free, or the unlock finds that the mode has
//! ended. In the latter case its store may have wiped out the newcomer's QUEUED, the only bit that
//! can have been set meanwhile, and it [puts that right](RawMutex::recover).
//!
//! The barrier takes some microseconds. So the way back into the light mode takes a thousand
//! unlocks, and each return from it doubles that: a lock pays for a handful of barriers in its
//! life.
//!
//! Invariants, beside those of [`raw`](super::raw):
//!
//! 5. `quiet` becomes `LIGHT` only under the queue's lock, by the holder, with nobody queued and no
//!    other bit set; it leaves `LIGHT` only under the queue's lock, before anybody is queued.
//! 6. Between a revocation and the end of an unlock that had not seen it, (1) may be broken: QUEUED
//!    may be missing. That unlock restores it before it passes the lock on.
//!
//! *Rejected*: a store that is followed by a fence, which takes as long as the atomic operation; a
//! light mode without a way back, whose barriers a lock that is contended now and then would pay
//! for each time.
#![forbid(unsafe_code)]

use runtime::asymmetric;
use runtime::leaks::trial;

use super::raw::{Call, LOCKED, QUEUED, RawMutex};
use crate::primitive::PATIENCE;
use crate::primitive::atomic::Ordering;
use crate::waiters::Locked;

/// What `quiet` is where an unlock is a plain store.
pub(super) const LIGHT: u32 = 0;

/// Where `quiet` starts from when somebody has queued up.
#[derive(Clone, Copy, Debug)]
pub(super) struct Patience(u32);

impl Patience {
    pub(super) const fn new() -> Self {
        Self(PATIENCE)
    }
}

impl RawMutex {
    /// Frees a lock that nobody has queued up for since it became light.
    #[inline(always)]
    pub(super) fn unlock_light(&self) {
        debug_assert!(self.is_locked(), "unlock of unlocked mutex");
        // Release: pairs with the `Acquire` of the next who takes it. No other bit is set (5), or
        // else `recover` sets it again.
        overwrite!(self.state, 0, Ordering::Release);
        // Pairs with `heavy` in `revoke`: if that one did not see the store, we see its `quiet`.
        asymmetric::light();
        if self.quiet.load(Ordering::Relaxed) != LIGHT {
            self.recover();
        }
    }

    /// Somebody has queued up while we took the lock to be light.
    #[cold]
    fn recover(&self) {
        if trial::is_on() {
            return;
        }
        let locked = self.waiters.lock();
        if !locked.is_empty() {
            // Relaxed: under the queue's lock (6).
            self.state.fetch_or(QUEUED, Ordering::Relaxed);
        }
        self.call_next(locked);
    }

    /// From the next unlock on, if nobody waits (5). The caller holds the lock.
    #[cold]
    pub(super) fn become_light(&self) {
        let locked = self.waiters.lock();
        let alone = locked.is_empty() && self.state.load(Ordering::Relaxed) == LOCKED;
        let next = match alone && asymmetric::is_there() {
            true => LIGHT,
            false => locked.0,
        };
        self.quiet.store(next, Ordering::Relaxed);
    }

    /// Somebody is about to queue up: no unlock that comes may be a plain store.
    pub(super) fn revoke(&self, locked: &mut Locked<'_, Patience, Call>) {
        // Relaxed: under the queue's lock it cannot change from or to `LIGHT` (5).
        if self.quiet.load(Ordering::Relaxed) != LIGHT {
            self.quiet.store(locked.0, Ordering::Relaxed);
            return;
        }
        locked.0 = locked.0.saturating_mul(2);
        self.quiet.store(locked.0, Ordering::Relaxed);
        // Pairs with `light` in `unlock_light`: what we see of the lock from here on is what such
        // an unlock has left, or it sees that it was one too many.
        asymmetric::heavy();
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use std::pin::pin;
    use std::task::{Context, Waker};

    use super::*;

    fn free(mutex: &RawMutex, times: u32) {
        for _ in 0..times {
            assert!(mutex.try_lock());
            mutex.unlock();
        }
    }

    fn is_light(mutex: &RawMutex) -> bool {
        mutex.quiet.load(Ordering::Relaxed) == LIGHT
    }

    /// Whether there is a light mode here: once the first runtime's monitor has asked the system.
    fn can_be_light() -> bool {
        let runtime = runtime::Runtime::new().unwrap();
        let begin = std::time::Instant::now();
        while cfg!(all(target_os = "linux", not(miri))) && !asymmetric::is_there() {
            if begin.elapsed() > std::time::Duration::from_secs(20) {
                eprintln!("skipped: this system has no membarrier(2)");
                break;
            }
            std::thread::yield_now();
        }
        drop(runtime);
        asymmetric::is_there()
    }

    #[test]
    fn a_quiet_lock_becomes_light_and_one_who_waits_ends_that_for_twice_as_long() {
        if !can_be_light() {
            return;
        }
        let mutex = RawMutex::new();
        free(&mutex, PATIENCE - 1);
        assert!(!is_light(&mutex));
        free(&mutex, 1);
        assert!(is_light(&mutex));
        for round in 1..4 {
            assert!(mutex.try_lock());
            let place = std::panic::Location::caller();
            let mut waiter = pin!(mutex.lock(place));
            let cx = &mut Context::from_waker(Waker::noop());
            assert!(waiter.as_mut().poll(cx).is_pending());
            assert!(!is_light(&mutex));
            mutex.unlock();
            assert!(waiter.as_mut().poll(cx).is_ready());
            mutex.unlock();
            free(&mutex, (PATIENCE << round) - 3);
            assert!(!is_light(&mutex), "round {round}");
            free(&mutex, 3);
            assert!(is_light(&mutex), "round {round}");
        }
    }
}
