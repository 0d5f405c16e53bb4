//! What the two ends of a `watch` share: the value, and the word that counts its versions. The
//! invariants are those of the module above.
#![forbid(unsafe_code)]

use std::fmt;
use std::ops::Deref;
use std::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard, TryLockError};

use super::held::{Held, refuse_to_wait_for_oneself};
use crate::gone::Gone;
use crate::primitive::atomic::{AtomicUsize, Ordering};
use crate::waiters::{Batch, Waiters};

pub(super) struct Shared<T> {
    value: RwLock<T>,
    /// `CLOSED`, and the version above it.
    state: AtomicUsize,
    /// How many senders there are, and receivers.
    senders: AtomicUsize,
    receivers: AtomicUsize,
    waiters: Waiters<(), ()>,
    /// Senders that wait until there are no receivers.
    pub(super) gone: Gone,
}

/// All senders are gone.
const CLOSED: usize = 1;
/// One version, in the word.
const VERSION: usize = 2;

impl<T> Shared<T> {
    /// For one sender and one receiver.
    pub(super) fn new(initial: T) -> Self {
        Self {
            value: RwLock::new(initial),
            state: AtomicUsize::new(0),
            senders: AtomicUsize::new(1),
            receivers: AtomicUsize::new(1),
            waiters: Waiters::new(()),
            gone: Gone::new(),
        }
    }

    /// Those who wait for a version.
    pub(super) fn waiters(&self) -> &Waiters<(), ()> {
        &self.waiters
    }

    /// A look at the value.
    #[track_caller]
    pub(super) fn borrow(&self) -> Ref<'_, T> {
        let guard = match self.value.try_read() {
            Ok(guard) => guard,
            Err(TryLockError::Poisoned(guard)) => guard.into_inner(),
            Err(TryLockError::WouldBlock) => self.read_slow(),
        };
        Ref {
            guard,
            _held: Held::note(self),
        }
    }

    /// Behind a sender, that holds the value or waits for it.
    #[cold]
    #[track_caller]
    fn read_slow(&self) -> RwLockReadGuard<'_, T> {
        refuse_to_wait_for_oneself(self);
        self.value.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Behind others, that look or change.
    #[cold]
    #[track_caller]
    fn write_slow(&self) -> RwLockWriteGuard<'_, T> {
        refuse_to_wait_for_oneself(self);
        self.value.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes the value by `change`, and wakes those who wait if it says `true`.
    #[track_caller]
    pub(super) fn modify(&self, change: impl FnOnce(&mut T) -> bool) -> bool {
        let mut value = match self.value.try_write() {
            Ok(value) => value,
            Err(TryLockError::Poisoned(value)) => value.into_inner(),
            Err(TryLockError::WouldBlock) => self.write_slow(),
        };
        let held = Held::note(self);
        let changed = change(&mut value);
        if changed {
            // Release pairs with the Acquire in `look`. Under the value's lock, so that versions
            // rise in the order of the values.
            self.state.fetch_add(VERSION, Ordering::Release);
        }
        drop(value);
        drop(held);
        if changed {
            self.wake_all();
        }
        changed
    }

    /// The newest version.
    pub(super) fn version(&self) -> usize {
        self.look() / VERSION
    }

    /// Whether there is a new version, which then counts as seen, or there never will be one.
    pub(super) fn news(&self, seen: &mut usize) -> Option<bool> {
        let state = self.look();
        if state / VERSION != *seen {
            *seen = state / VERSION;
            return Some(true);
        }
        (state & CLOSED != 0).then_some(false)
    }

    /// Acquire pairs with the Release of whoever raised the version, or closed.
    fn look(&self) -> usize {
        self.state.load(Ordering::Acquire)
    }

    fn wake_all(&self) {
        self.waiters.lock().wake_all();
    }

    pub(super) fn add_sender(&self) {
        // Relaxed: the one that is cloned keeps the count above zero.
        self.senders.fetch_add(1, Ordering::Relaxed);
    }

    /// The last one closes.
    pub(super) fn remove_sender(&self) {
        // AcqRel: what the other senders did comes before the closing by the last.
        if self.senders.fetch_sub(1, Ordering::AcqRel) == 1 {
            // Release: as in `modify`.
            self.state.fetch_or(CLOSED, Ordering::Release);
            self.wake_all();
        }
    }

    pub(super) fn receivers(&self) -> usize {
        // Acquire: pairs with the `Release` of the last receiver, whose end is what `closed` waits
        // for.
        self.receivers.load(Ordering::Acquire)
    }

    pub(super) fn add_receiver(&self) {
        // Relaxed: nothing rides on it; a receiver that comes at this moment may be counted or not.
        self.receivers.fetch_add(1, Ordering::Relaxed);
    }

    /// The last one tells the senders that wait for it.
    pub(super) fn remove_receiver(&self) {
        // AcqRel: what the other receivers did comes before the end of the last.
        if self.receivers.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.all_receivers_are_gone();
        }
    }

    #[cold]
    fn all_receivers_are_gone(&self) {
        let mut batch = Batch::default();
        self.gone.tell(&mut batch);
        batch.finish();
    }
}

/// A look at the value, which cannot change meanwhile.
///
/// ```
/// let (_tx, rx) = sync::watch::channel(1);
/// let value: sync::watch::Ref<'_, i32> = rx.borrow();
/// assert_eq!(*value, 1);
/// ```
///
/// **Go:** `defer mu.RUnlock()`.
#[must_use = "dropped at once, it shows nothing"]
pub struct Ref<'a, T> {
    guard: RwLockReadGuard<'a, T>,
    _held: Held,
}

impl<T> Deref for Ref<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.guard
    }
}

impl<T: fmt::Debug> fmt::Debug for Ref<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&**self, f)
    }
}
