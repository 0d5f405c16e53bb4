//! ⚠ The guards of an [`RwLock`]: the right to read its value, or to write it, until they are dropped.
//!
//! A guard is made only by who has just taken the raw lock on its side, and its drop is the only thing that gives it back: the invariant of
//! [`super`].

use std::fmt;
use std::ops::{Deref, DerefMut};
use std::sync::Arc;

use super::RwLock;
use super::raw::Side;

/// Access to the value of an [`RwLock`] for one of its readers; dropping it unlocks.
///
/// It may be held across an `.await`, and may go to another thread.
///
/// ```
/// # runtime::block_on(async {
/// let lock = sync::RwLock::new(1);
/// let guard: sync::RwLockReadGuard<'_, i32> = lock.read().await;
/// assert_eq!(*guard, 1);
/// # });
/// ```
///
/// **Go:** `defer mu.RUnlock()`.
#[must_use = "dropped at once, it protects nothing"]
pub struct RwLockReadGuard<'a, T: ?Sized> {
    lock: &'a RwLock<T>,
}

// SAFETY: through a shared guard one gets `&T`, and so through the guard itself.
unsafe impl<T: ?Sized + Send + Sync> Sync for RwLockReadGuard<'_, T> {}

impl<'a, T: ?Sized> RwLockReadGuard<'a, T> {
    /// The caller has just taken the lock and leaves it to the guard.
    pub(super) fn new(lock: &'a RwLock<T>) -> Self {
        Self { lock }
    }
}

impl<T: ?Sized> Deref for RwLockReadGuard<'_, T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        // SAFETY: while the guard holds the lock there are readers only.
        unsafe { &*self.lock.value.get() }
    }
}

impl<T: ?Sized> Drop for RwLockReadGuard<'_, T> {
    #[inline]
    fn drop(&mut self) {
        self.lock.raw.unlock(Side::Read);
    }
}

impl<T: ?Sized + fmt::Debug> fmt::Debug for RwLockReadGuard<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&**self, f)
    }
}

/// Access to the value of an [`RwLock`] for one writer; dropping it unlocks.
///
/// It may be held across an `.await`, and may go to another thread.
///
/// ```
/// # runtime::block_on(async {
/// let lock = sync::RwLock::new(1);
/// let mut guard: sync::RwLockWriteGuard<'_, i32> = lock.write().await;
/// *guard += 1;
/// # });
/// ```
///
/// **Go:** `defer mu.Unlock()`.
#[must_use = "dropped at once, it protects nothing"]
pub struct RwLockWriteGuard<'a, T: ?Sized> {
    lock: &'a RwLock<T>,
}

// SAFETY: through a shared guard one gets `&T`.
unsafe impl<T: ?Sized + Send + Sync> Sync for RwLockWriteGuard<'_, T> {}

impl<'a, T: ?Sized> RwLockWriteGuard<'a, T> {
    /// The caller has just taken the lock and leaves it to the guard.
    pub(super) fn new(lock: &'a RwLock<T>) -> Self {
        Self { lock }
    }
}

impl<T: ?Sized> Deref for RwLockWriteGuard<'_, T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        // SAFETY: the guard holds the lock alone.
        unsafe { &*self.lock.value.get() }
    }
}

impl<T: ?Sized> DerefMut for RwLockWriteGuard<'_, T> {
    #[inline]
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: as above, and the guard is borrowed uniquely.
        unsafe { &mut *self.lock.value.get() }
    }
}

impl<T: ?Sized> Drop for RwLockWriteGuard<'_, T> {
    #[inline]
    fn drop(&mut self) {
        self.lock.raw.unlock(Side::Write);
    }
}

impl<T: ?Sized + fmt::Debug> fmt::Debug for RwLockWriteGuard<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&**self, f)
    }
}

/// Access to the value of an [`RwLock`] for one of its readers, sharing the lock instead of borrowing it; dropping it unlocks.
///
/// It may be held across an `.await`, and may go to another thread.
///
/// ```
/// # runtime::block_on(async {
/// let lock = std::sync::Arc::new(sync::RwLock::new(1));
/// let guard: sync::OwnedRwLockReadGuard<i32> = lock.read_owned().await;
/// assert_eq!(*guard, 1);
/// # });
/// ```
///
/// **Go:** `defer mu.RUnlock()`.
#[must_use = "dropped at once, it protects nothing"]
pub struct OwnedRwLockReadGuard<T: ?Sized> {
    lock: Arc<RwLock<T>>,
}

// SAFETY: through a shared guard one gets `&T`.
unsafe impl<T: ?Sized + Send + Sync> Sync for OwnedRwLockReadGuard<T> {}

impl<T: ?Sized> OwnedRwLockReadGuard<T> {
    /// The caller has just taken the lock and leaves it to the guard.
    pub(super) fn new(lock: Arc<RwLock<T>>) -> Self {
        Self { lock }
    }
}

impl<T: ?Sized> Deref for OwnedRwLockReadGuard<T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        // SAFETY: while the guard holds the lock there are readers only.
        unsafe { &*self.lock.value.get() }
    }
}

impl<T: ?Sized> Drop for OwnedRwLockReadGuard<T> {
    #[inline]
    fn drop(&mut self) {
        self.lock.raw.unlock(Side::Read);
    }
}

impl<T: ?Sized + fmt::Debug> fmt::Debug for OwnedRwLockReadGuard<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&**self, f)
    }
}

/// Access to the value of an [`RwLock`] for one writer, sharing the lock instead of borrowing it; dropping it unlocks.
///
/// It may be held across an `.await`, and may go to another thread.
///
/// ```
/// # runtime::block_on(async {
/// let lock = std::sync::Arc::new(sync::RwLock::new(1));
/// let mut guard: sync::OwnedRwLockWriteGuard<i32> = lock.write_owned().await;
/// *guard += 1;
/// # });
/// ```
///
/// **Go:** `defer mu.Unlock()`.
#[must_use = "dropped at once, it protects nothing"]
pub struct OwnedRwLockWriteGuard<T: ?Sized> {
    lock: Arc<RwLock<T>>,
}

// SAFETY: through a shared guard one gets `&T`.
unsafe impl<T: ?Sized + Send + Sync> Sync for OwnedRwLockWriteGuard<T> {}

impl<T: ?Sized> OwnedRwLockWriteGuard<T> {
    /// The caller has just taken the lock and leaves it to the guard.
    pub(super) fn new(lock: Arc<RwLock<T>>) -> Self {
        Self { lock }
    }
}

impl<T: ?Sized> Deref for OwnedRwLockWriteGuard<T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        // SAFETY: the guard holds the lock alone.
        unsafe { &*self.lock.value.get() }
    }
}

impl<T: ?Sized> DerefMut for OwnedRwLockWriteGuard<T> {
    #[inline]
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: as above, and the guard is borrowed uniquely.
        unsafe { &mut *self.lock.value.get() }
    }
}

impl<T: ?Sized> Drop for OwnedRwLockWriteGuard<T> {
    #[inline]
    fn drop(&mut self) {
        self.lock.raw.unlock(Side::Write);
    }
}

impl<T: ?Sized + fmt::Debug> fmt::Debug for OwnedRwLockWriteGuard<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&**self, f)
    }
}
