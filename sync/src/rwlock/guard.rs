//! ⚠ The guards of an [`RwLock`]: the right to read its value, or to write it, until they are
//! dropped.
//!
//! A guard is made only by who has just taken the raw lock on its side, and its drop is the only
//! thing that gives it back: the invariant of [`super`].

use std::fmt;
use std::mem::{self, ManuallyDrop};
use std::ops::{Deref, DerefMut};
use std::ptr;
use std::sync::Arc;

use super::light::Share;
use super::raw::Side;
use super::{RwLock, RwLockUpgradableReadGuard};

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
    pub(super) lock: &'a RwLock<T>,
    pub(super) share: Share,
}

// SAFETY: through a shared guard one gets `&T`, and so through the guard itself.
unsafe impl<T: ?Sized + Send + Sync> Sync for RwLockReadGuard<'_, T> {}

impl<'a, T: ?Sized> RwLockReadGuard<'a, T> {
    /// The caller has just taken the lock and leaves it to the guard.
    #[inline]
    pub(super) fn new(lock: &'a RwLock<T>, share: Share) -> Self {
        Self { lock, share }
    }

    /// The lock of this guard.
    ///
    /// ```
    /// # runtime::block_on(async {
    /// let lock = sync::RwLock::new(1);
    /// let guard = lock.read().await;
    /// assert!(sync::RwLockReadGuard::rwlock(&guard).try_write().is_none());
    /// # });
    /// ```
    ///
    /// **Go:** none.
    pub fn rwlock(guard: &Self) -> &'a RwLock<T> {
        guard.lock
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
        self.lock.raw.unlock_read(self.share);
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
    pub(super) lock: &'a RwLock<T>,
}

// SAFETY: through a shared guard one gets `&T`.
unsafe impl<T: ?Sized + Send + Sync> Sync for RwLockWriteGuard<'_, T> {}

impl<'a, T: ?Sized> RwLockWriteGuard<'a, T> {
    /// The caller has just taken the lock and leaves it to the guard.
    pub(super) fn new(lock: &'a RwLock<T>) -> Self {
        Self { lock }
    }

    /// The lock of this guard.
    ///
    /// ```
    /// # runtime::block_on(async {
    /// let lock = sync::RwLock::new(1);
    /// let guard = lock.write().await;
    /// assert!(sync::RwLockWriteGuard::rwlock(&guard).try_write().is_none());
    /// # });
    /// ```
    ///
    /// **Go:** none.
    pub fn rwlock(guard: &Self) -> &'a RwLock<T> {
        guard.lock
    }

    /// Goes on as a reader, without letting another writer in between. Readers that wait by now
    /// join.
    ///
    /// # Memory ordering
    ///
    /// What was written is visible to the readers that join.
    ///
    /// ```
    /// # use sync::{RwLock, RwLockWriteGuard};
    /// # runtime::block_on(async {
    /// let lock = RwLock::new(1);
    /// let mut writer = lock.write().await;
    /// *writer = 2;
    /// let reader = RwLockWriteGuard::downgrade(writer);
    /// assert_eq!(*lock.read().await + *reader, 4);
    /// # });
    /// ```
    ///
    /// **Go:** none; `mu.Unlock()` and `mu.RLock()`, with writers in between.
    pub fn downgrade(guard: Self) -> RwLockReadGuard<'a, T> {
        let lock = guard.lock;
        mem::forget(guard);
        // First, so that the lock is given back in any case, should a waker panic.
        let reader = RwLockReadGuard::new(lock, Share::COUNTED);
        lock.raw.downgrade(Side::Write, Side::Read);
        reader
    }

    /// Goes on as the reader that may become the writer again, without letting another writer in
    /// between. Readers that wait by now join.
    ///
    /// # Memory ordering
    ///
    /// What was written is visible to the readers that join.
    ///
    /// ```
    /// # use sync::{RwLock, RwLockUpgradableReadGuard, RwLockWriteGuard};
    /// # runtime::block_on(async {
    /// let lock = RwLock::new(1);
    /// let reader = RwLockWriteGuard::downgrade_to_upgradable(lock.write().await);
    /// assert!(lock.try_read().is_some() && lock.try_write().is_none());
    /// *RwLockUpgradableReadGuard::upgrade(reader).await += 1;
    /// # });
    /// ```
    ///
    /// **Go:** none.
    pub fn downgrade_to_upgradable(guard: Self) -> RwLockUpgradableReadGuard<'a, T> {
        let lock = guard.lock;
        mem::forget(guard);
        // First, as above.
        let reader = RwLockUpgradableReadGuard::new(lock);
        lock.raw.downgrade(Side::Write, Side::Upgradable);
        reader
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

/// Access to the value of an [`RwLock`] for one of its readers, sharing the lock instead of
/// borrowing it; dropping it unlocks.
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
    pub(super) lock: Arc<RwLock<T>>,
    pub(super) share: Share,
}

// SAFETY: through a shared guard one gets `&T`.
unsafe impl<T: ?Sized + Send + Sync> Sync for OwnedRwLockReadGuard<T> {}

impl<T: ?Sized> OwnedRwLockReadGuard<T> {
    /// The caller has just taken the lock and leaves it to the guard.
    pub(super) fn new(lock: Arc<RwLock<T>>, share: Share) -> Self {
        Self { lock, share }
    }

    /// The lock of this guard.
    ///
    /// ```
    /// # runtime::block_on(async {
    /// let guard = std::sync::Arc::new(sync::RwLock::new(1)).read_owned().await;
    /// assert!(sync::OwnedRwLockReadGuard::rwlock(&guard).try_write().is_none());
    /// # });
    /// ```
    ///
    /// **Go:** none.
    pub fn rwlock(guard: &Self) -> &Arc<RwLock<T>> {
        &guard.lock
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
        self.lock.raw.unlock_read(self.share);
    }
}

impl<T: ?Sized + fmt::Debug> fmt::Debug for OwnedRwLockReadGuard<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&**self, f)
    }
}

/// Access to the value of an [`RwLock`] for one writer, sharing the lock instead of borrowing it;
/// dropping it unlocks.
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
    pub(super) lock: Arc<RwLock<T>>,
}

// SAFETY: through a shared guard one gets `&T`.
unsafe impl<T: ?Sized + Send + Sync> Sync for OwnedRwLockWriteGuard<T> {}

impl<T: ?Sized> OwnedRwLockWriteGuard<T> {
    /// The caller has just taken the lock and leaves it to the guard.
    pub(super) fn new(lock: Arc<RwLock<T>>) -> Self {
        Self { lock }
    }

    /// The lock of this guard.
    ///
    /// ```
    /// # runtime::block_on(async {
    /// let guard = std::sync::Arc::new(sync::RwLock::new(1)).write_owned().await;
    /// assert!(sync::OwnedRwLockWriteGuard::rwlock(&guard).try_write().is_none());
    /// # });
    /// ```
    ///
    /// **Go:** none.
    pub fn rwlock(guard: &Self) -> &Arc<RwLock<T>> {
        &guard.lock
    }

    /// Goes on as a reader; see [`RwLockWriteGuard::downgrade`].
    ///
    /// ```
    /// # use sync::{OwnedRwLockWriteGuard, RwLock};
    /// # runtime::block_on(async {
    /// let lock = std::sync::Arc::new(RwLock::new(1));
    /// let writer = lock.clone().write_owned().await;
    /// let reader = OwnedRwLockWriteGuard::downgrade(writer);
    /// assert_eq!(*lock.read().await, *reader);
    /// # });
    /// ```
    ///
    /// **Go:** none.
    pub fn downgrade(guard: Self) -> OwnedRwLockReadGuard<T> {
        let guard = ManuallyDrop::new(guard);
        // SAFETY: the guard is never used or dropped again, so its share is ours.
        let lock = unsafe { ptr::read(&guard.lock) };
        // First, as above.
        let reader = OwnedRwLockReadGuard::new(lock, Share::COUNTED);
        reader.lock.raw.downgrade(Side::Write, Side::Read);
        reader
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
