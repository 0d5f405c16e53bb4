//! One worker slot's timers: its wheel behind a lock, and what others may know of it without the
//! lock.
//!
//! The owner of the slot inserts and cancels; the lock is then uncontended and its line in the
//! owner's cache. A future that has moved to another worker cancels through the same lock, and any
//! thread may [`fire`](Timers::fire): a thief, the monitor, the owner itself. So no timer waits for
//! a thread that is busy or blocked.
//!
//! A `Timers` is never freed. It comes from a pool and goes back there when nobody can reach its
//! scheduler any more, for a [`Sleep`](super::Sleep) may outlive the runtime that it was polled on
//! and still point here. It is closed before, when the runtime ends: a handle that is left then
//! finds it closed, and not the wheel of another runtime, whose clock may tell another time.
//!
//! # Invariants
//!
//! 1. `next` is what [`Wheel::next_deadline`] says, or earlier; it is written under the wheel's
//!    lock.
//! 2. Lock order: nothing is locked under the wheel's lock. No waker is cloned, called or dropped
//!    under it: the wakers of due timers leave in a [`Batch`].
//! 3. Between `acquire` and `release` the wheel is open; a closed wheel takes no timer, since
//!    nobody would fire it.
#![forbid(unsafe_code)]

use std::fmt;
use std::sync::PoisonError;
use std::task::Waker;

use super::dial::Resolution;
use super::wheel::{Progress, Wheel};
use crate::primitive::atomic::{AtomicU64, Ordering};
use crate::primitive::{Arc, Mutex, MutexGuard};
use crate::task::call_waker;

/// How many wakers are taken under one hold of the lock. Half a kilobyte of stack, and a few
/// microseconds of wheel work. A guess.
const BATCH: usize = 32;

/// The pool. Std's lock also under loom: it is no part of any protocol modelled.
static POOL: std::sync::Mutex<Vec<&'static Timers>> = std::sync::Mutex::new(Vec::new());

/// A worker slot's timers.
// Two cache lines, as the hardware fetches pairs: thieves and the monitor read `next` of all slots.
#[repr(align(128))]
pub(crate) struct Timers {
    /// When the first timer fires, in nanoseconds of the clock; `u64::MAX`: there is none. Written
    /// under `shared`.
    next: AtomicU64,
    shared: Mutex<Shared>,
    /// Wakes the owner when it sleeps. In an `Arc`, because cloning a waker is foreign code, which
    /// may not run under the lock.
    interrupt: Mutex<Option<Arc<Waker>>>,
}

/// What the lock guards.
pub(super) struct Shared {
    pub(super) wheel: Wheel,
    /// A runtime drives this wheel.
    pub(super) open: bool,
}

impl Timers {
    /// Takes one from the pool, for a new worker slot.
    pub(crate) fn acquire(resolution: Resolution) -> &'static Self {
        let pooled = lock_pool().pop();
        let timers = pooled.unwrap_or_else(|| Box::leak(Box::new(Self::new())));
        let mut shared = timers.lock();
        // The last runtime's clock may have been ahead of the new one's.
        shared.wheel.restart(resolution);
        shared.open = true;
        drop(shared);
        timers
    }

    /// Goes on with ticks of another length, at the time `now`.
    pub(crate) fn change_resolution(&self, resolution: Resolution, now: u64) {
        let mut shared = self.lock();
        shared.wheel.change_resolution(resolution, now);
        self.publish(&shared);
    }

    /// How many timers are armed.
    pub(crate) fn armed(&self) -> usize {
        self.lock().wheel.len()
    }

    /// One that no other test has used.
    #[cfg(test)]
    pub(crate) fn leak() -> &'static Self {
        /// What is listed here is no leak for those who look for some.
        static LISTED: std::sync::Mutex<Vec<&Timers>> = std::sync::Mutex::new(Vec::new());
        let timers: &'static Self = Box::leak(Box::new(Self::new()));
        timers.lock().open = true;
        LISTED
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(timers);
        timers
    }

    /// Gives it back: nobody knows it any more but timers that are not in it.
    pub(crate) fn release(&'static self) {
        self.close();
        lock_pool().push(self);
    }

    /// When the first timer fires, in nanoseconds of `clock::now`, or `u64::MAX` if there is none.
    /// May be early where timers have been cancelled or put off; `fire` then corrects it.
    ///
    /// # Memory ordering
    ///
    /// Acquire, with the Release stores by whoever changed it.
    #[inline]
    pub(crate) fn next_deadline(&self) -> u64 {
        self.next.load(Ordering::Acquire)
    }

    /// Wakes the tasks whose timers are due at `now`, but no more than `limit`, and returns how
    /// many they were. If there are more, [`next_deadline`](Self::next_deadline) stays in the past.
    /// Any thread may call it.
    pub(crate) fn fire(&self, now: u64, limit: usize) -> usize {
        let mut woken = 0;
        // Looked at again after each batch: another thread may be firing too.
        while now >= self.next_deadline() && woken < limit {
            let mut batch = Batch::new(limit - woken);
            let progress = {
                let mut shared = self.lock();
                let progress = shared.wheel.advance(now, &mut batch);
                self.publish(&shared);
                progress
            };
            woken += batch.len();
            batch.wake();
            if progress == Progress::Done {
                break;
            }
        }
        woken
    }

    /// Sets the waker to be called when a thread that does not own this wheel has made the next
    /// deadline an earlier one, so that an owner that sleeps until the old one re-arms.
    pub(crate) fn set_interrupt(&self, waker: Waker) {
        let old = lock(&self.interrupt).replace(Arc::new(waker));
        drop(old);
    }

    /// Calls the waker set by [`set_interrupt`](Self::set_interrupt).
    pub(super) fn interrupt(&self) {
        let waker = lock(&self.interrupt).clone();
        if let Some(waker) = waker {
            waker.wake_by_ref();
        }
    }

    /// The lock. Nothing under it can panic half-way, so that poisoning says nothing.
    pub(super) fn lock(&self) -> MutexGuard<'_, Shared> {
        lock(&self.shared)
    }

    /// Notes an insertion for the time `at`; returns whether it is now the earliest.
    pub(super) fn note_inserted(&self, _locked: &Shared, at: u64) -> bool {
        // Relaxed: written under the lock only, which we hold.
        let earlier = at < self.next.load(Ordering::Relaxed);
        if earlier {
            // Release pairs with the Acquire load in `next_deadline`.
            self.next.store(at, Ordering::Release);
        }
        earlier
    }

    /// Brings `next` up to date after the wheel lost nodes.
    pub(super) fn publish(&self, locked: &Shared) {
        // Release pairs with the Acquire load in `next_deadline`.
        self.next
            .store(locked.wheel.next_deadline(), Ordering::Release);
    }

    fn new() -> Self {
        Self {
            next: AtomicU64::new(u64::MAX),
            shared: Mutex::new(Shared {
                wheel: Wheel::new(),
                open: false,
            }),
            interrupt: Mutex::new(None),
        }
    }

    /// Takes no more timers: the runtime has shut down. Those that are here are detached and their
    /// tasks woken; polled again they find another runtime, or panic.
    pub(crate) fn close(&self) {
        loop {
            let mut batch = Batch::new(BATCH);
            let progress = {
                let mut shared = self.lock();
                shared.open = false;
                let progress = shared.wheel.drain(&mut batch);
                self.publish(&shared);
                progress
            };
            batch.wake();
            if progress == Progress::Done {
                break;
            }
        }
        let interrupt = lock(&self.interrupt).take();
        drop(interrupt);
    }
}

impl fmt::Debug for Timers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Timers")
            .field("next_deadline", &self.next_deadline())
            .finish_non_exhaustive()
    }
}

/// Wakers on their way out of the lock. Dropping it wakes them; one that panics takes neither the
/// rest nor the thread along.
pub(super) struct Batch {
    wakers: [Option<Waker>; BATCH],
    len: usize,
    capacity: usize,
}

impl Batch {
    /// Room for `capacity` wakers, though not more than fit.
    pub(super) fn new(capacity: usize) -> Self {
        Self {
            wakers: [const { None }; BATCH],
            len: 0,
            capacity: capacity.min(BATCH),
        }
    }

    pub(super) fn is_full(&self) -> bool {
        self.len == self.capacity
    }

    pub(super) fn push(&mut self, waker: Waker) {
        self.wakers[self.len] = Some(waker);
        self.len += 1;
    }

    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// Wakes them in the order in which they came. The lock must be free.
    pub(super) fn wake(self) {
        drop(self);
    }
}

impl Drop for Batch {
    fn drop(&mut self) {
        self.wakers
            .iter_mut()
            .filter_map(Option::take)
            .for_each(call_waker);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn lock_pool() -> std::sync::MutexGuard<'static, Vec<&'static Timers>> {
    POOL.lock().unwrap_or_else(PoisonError::into_inner)
}
