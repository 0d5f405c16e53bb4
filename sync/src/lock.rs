//! The lock of a channel: four bytes, taken with one atomic instruction and released with a plain
//! store.
//!
//! It is held for some dozen instructions. Whoever finds it taken spins for about that long, and
//! then sleeps, because a holder that has not let go by then has lost its core, and spinning on
//! would keep it from getting one.
//!
//! ```text
//!   held │ sleepers │
//!   ─────┼──────────┼─────────────────────────────────────────────────────────────────────
//!    no  │    0     │ free
//!    yes │    0     │ taken; others may be spinning
//!    yes │   > 0    │ taken; whoever releases it wakes the sleepers, and they try again
//!    no  │   > 0    │ free; sleepers are on their way out
//! ```
//!
//! Sleepers wait in one of a few [beds](crate::bed) that all locks share, picked by address. A
//! release looks for sleepers *after* a plain store, so that the processor may do the two the other
//! way round: a thread that goes to sleep within these nanoseconds may be missed. That is the price
//! of a release without an atomic instruction, and it is bounded: nobody sleeps for longer than a
//! [nap](crate::bed::NAP) without looking again.
//!
//! Rejected: std's mutex, whose release is an atomic exchange (a buffered send and receive took a
//! tenth longer with it); and spinning with `sched_yield`, which with more threads than cores burns
//! what the holder needs.
#![forbid(unsafe_code)]

use runtime::task::coop::contended;

use crate::primitive::{
    Bed, LOCK_SPINS,
    atomic::{AtomicBool, AtomicU16, Ordering::*},
    spin,
};

/// See the module.
#[derive(Debug)]
pub(crate) struct Lock {
    held: AtomicBool,
    sleepers: AtomicU16,
}

impl Lock {
    constant! {
        pub(crate) const fn new() -> Self {
            Self {
                held: AtomicBool::new(false),
                sleepers: AtomicU16::new(0),
            }
        }
    }

    /// Takes the lock.
    #[inline]
    pub(crate) fn hold(&self) -> Held<'_> {
        if !self.try_take() {
            self.hold_slow();
        }
        Held { lock: self }
    }

    #[inline]
    fn try_take(&self) -> bool {
        // Acquire pairs with the release in `Held::drop`.
        self.held
            .compare_exchange(false, true, Acquire, Relaxed)
            .is_ok()
    }

    #[cold]
    fn hold_slow(&self) {
        contended();
        for _ in 0..LOCK_SPINS {
            spin();
            // Looks first, so as not to take the line away from the holder in vain. Relaxed:
            // `try_take` has the acquire.
            if !self.held.load(Relaxed) && self.try_take() {
                return;
            }
        }
        self.sleep();
    }

    fn sleep(&self) {
        let mut lying = Bed::of(self).lie_down();
        // SeqCst, an atomic read-modify-write: is in memory before `try_take` looks, so that a
        // release which happens later sees it.
        self.sleepers.fetch_add(1, SeqCst);
        while !self.try_take() {
            lying = lying.nap();
        }
        // Relaxed: one that is missed here only wakes the others needlessly.
        self.sleepers.fetch_sub(1, Relaxed);
    }

    /// How many sleep, or are about to.
    #[cfg(test)]
    pub(crate) fn sleepers(&self) -> u16 {
        self.sleepers.load(Relaxed)
    }

    #[cold]
    fn wake(&self) {
        // Whoever has counted itself and not got the lock has lain down by then.
        Bed::of(self).wake_all();
    }
}

/// A lock that is held; dropping it releases the lock.
#[derive(Debug)]
#[must_use = "the lock is released when this is dropped"]
pub(crate) struct Held<'a> {
    lock: &'a Lock,
}

impl Drop for Held<'_> {
    #[inline]
    fn drop(&mut self) {
        // Release pairs with the acquire in `try_take`.
        self.lock.held.store(false, Release);
        // Relaxed, and not ordered after the store: see the module.
        if self.lock.sleepers.load(Relaxed) != 0 {
            self.lock.wake();
        }
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use std::sync::Arc;
    use std::sync::atomic::AtomicU64;
    use std::thread;

    #[test]
    fn many_threads_exclude_each_other() {
        // More threads than any machine in sight has cores, so that holders lose theirs.
        const THREADS: u64 = if cfg!(miri) { 4 } else { 32 };
        const ROUNDS: u64 = if cfg!(miri) { 20 } else { 20_000 };
        let shared = Arc::new((Lock::new(), AtomicU64::new(0)));
        let threads: Vec<_> = (0..THREADS)
            .map(|_| {
                let shared = shared.clone();
                thread::spawn(move || {
                    for _ in 0..ROUNDS {
                        let _held = shared.0.hold();
                        // Not atomic as a whole: two at once would lose counts.
                        let n = shared.1.load(Relaxed);
                        std::hint::spin_loop();
                        shared.1.store(n + 1, Relaxed);
                    }
                })
            })
            .collect();
        for thread in threads {
            thread.join().unwrap();
        }
        assert_eq!(shared.1.load(Relaxed), THREADS * ROUNDS);
        assert_eq!(shared.0.sleepers(), 0);
    }

    #[test]
    fn a_sleeper_gets_the_lock_when_it_is_released() {
        let lock = Arc::new(Lock::new());
        let held = lock.hold();
        let other = lock.clone();
        let sleeper = thread::spawn(move || drop(other.hold()));
        while lock.sleepers() == 0 {
            thread::yield_now();
        }
        drop(held);
        sleeper.join().unwrap();
    }

    #[test]
    fn it_is_four_bytes() {
        assert_eq!(size_of::<Lock>(), 4);
    }
}
