//! ⚠ The guards of a [`Mutex`]: the right to its value, until they are dropped.
//!
//! A guard is made only by who has just taken the raw lock, and its drop is the only thing that
//! frees it: the invariant of [`super`].

use std::fmt;
use std::ops::{Deref, DerefMut};
use std::sync::Arc;

use super::Mutex;

/// The lock of a [`Mutex`], and access to its value; dropping it unlocks.
///
/// It may be held across an `.await`, and may go to another thread.
///
/// ```
/// # runtime::block_on(async {
/// let mutex = sync::Mutex::new(String::new());
/// let mut guard: sync::MutexGuard<'_, String> = mutex.lock().await;
/// guard.push_str("mine");
/// # });
/// ```
///
/// **Go:** `defer mu.Unlock()`.
#[must_use = "dropped at once, it protects nothing"]
pub struct MutexGuard<'a, T: ?Sized> {
    pub(super) mutex: &'a Mutex<T>,
}

// SAFETY: through a shared guard one gets `&T`. (It is `Send` by itself, if `Mutex<T>` is `Sync`,
// that is for `T: Send`.)
unsafe impl<T: ?Sized + Send + Sync> Sync for MutexGuard<'_, T> {}

impl<'a, T: ?Sized> MutexGuard<'a, T> {
    /// The caller has just taken the lock and leaves it to the guard.
    #[inline]
    pub(super) fn new(mutex: &'a Mutex<T>) -> Self {
        Self { mutex }
    }

    /// The mutex of this guard.
    ///
    /// ```
    /// # runtime::block_on(async {
    /// let mutex = sync::Mutex::new(1);
    /// let guard = mutex.lock().await;
    /// assert!(sync::MutexGuard::mutex(&guard).is_locked());
    /// # });
    /// ```
    ///
    /// **Go:** none.
    pub fn mutex(guard: &Self) -> &'a Mutex<T> {
        guard.mutex
    }
}

impl<T: ?Sized> Deref for MutexGuard<'_, T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        // SAFETY: the guard holds the lock, so nobody else reaches the value while it is borrowed.
        unsafe { &*self.mutex.value.get() }
    }
}

impl<T: ?Sized> DerefMut for MutexGuard<'_, T> {
    #[inline]
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: as above, and the guard is borrowed uniquely.
        unsafe { &mut *self.mutex.value.get() }
    }
}

impl<T: ?Sized> Drop for MutexGuard<'_, T> {
    #[inline]
    fn drop(&mut self) {
        self.mutex.raw.unlock();
    }
}

impl<T: ?Sized + fmt::Debug> fmt::Debug for MutexGuard<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&**self, f)
    }
}

impl<T: ?Sized + fmt::Display> fmt::Display for MutexGuard<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&**self, f)
    }
}

/// A [`MutexGuard`] that shares the mutex instead of borrowing it. From [`Mutex::lock_owned`].
///
/// ```
/// # runtime::block_on(async {
/// let mutex = std::sync::Arc::new(sync::Mutex::new(1));
/// let guard: sync::OwnedMutexGuard<i32> = mutex.lock_owned().await;
/// assert_eq!(*guard, 1);
/// # });
/// ```
///
/// **Go:** a lock that another goroutine unlocks.
#[must_use = "dropped at once, it protects nothing"]
pub struct OwnedMutexGuard<T: ?Sized> {
    pub(super) mutex: Arc<Mutex<T>>,
}

// SAFETY: as for `MutexGuard`.
unsafe impl<T: ?Sized + Send + Sync> Sync for OwnedMutexGuard<T> {}

impl<T: ?Sized> OwnedMutexGuard<T> {
    /// The caller has just taken the lock and leaves it to the guard.
    pub(super) fn new(mutex: Arc<Mutex<T>>) -> Self {
        Self { mutex }
    }

    /// The mutex of this guard.
    ///
    /// ```
    /// # runtime::block_on(async {
    /// let guard = std::sync::Arc::new(sync::Mutex::new(1)).lock_owned().await;
    /// assert!(sync::OwnedMutexGuard::mutex(&guard).is_locked());
    /// # });
    /// ```
    ///
    /// **Go:** none.
    pub fn mutex(guard: &Self) -> &Arc<Mutex<T>> {
        &guard.mutex
    }
}

impl<T: ?Sized> Deref for OwnedMutexGuard<T> {
    type Target = T;

    fn deref(&self) -> &T {
        // SAFETY: the guard holds the lock, so nobody else reaches the value while it is borrowed.
        unsafe { &*self.mutex.value.get() }
    }
}

impl<T: ?Sized> DerefMut for OwnedMutexGuard<T> {
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: as above, and the guard is borrowed uniquely.
        unsafe { &mut *self.mutex.value.get() }
    }
}

impl<T: ?Sized> Drop for OwnedMutexGuard<T> {
    fn drop(&mut self) {
        self.mutex.raw.unlock();
    }
}

impl<T: ?Sized + fmt::Debug> fmt::Debug for OwnedMutexGuard<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&**self, f)
    }
}

impl<T: ?Sized + fmt::Display> fmt::Display for OwnedMutexGuard<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&**self, f)
    }
}
