//! ⚠ As [`mapped`](super::mapped), for guards that share the lock instead of borrowing it.

use std::fmt;
use std::marker::PhantomData;
use std::mem;
use std::ops::{Deref, DerefMut};
use std::ptr::{self, NonNull};
use std::sync::Arc;

use super::RwLock;
use super::guard::{OwnedRwLockReadGuard, OwnedRwLockWriteGuard};
use super::light::Share;
#[cfg(doc)]
use super::mapped::{MappedRwLockReadGuard, MappedRwLockWriteGuard};
use super::raw::Side;

impl<T: ?Sized> OwnedRwLockReadGuard<T> {
    /// A guard of a part of the value only, which `part` picks. It unlocks as this one would.
    ///
    /// # Panics
    ///
    /// If `part` does; that unlocks.
    ///
    /// ```
    /// # use std::sync::Arc;
    /// # use sync::{RwLock, OwnedRwLockReadGuard};
    /// # runtime::block_on(async {
    /// let pair = Arc::new(RwLock::new((1, "one")));
    /// let name = OwnedRwLockReadGuard::map(pair.read_owned().await, |pair| &pair.1);
    /// assert_eq!(*name, "one");
    /// # });
    /// ```
    ///
    /// **Go:** none; a pointer into what the mutex protects.
    pub fn map<U: ?Sized>(
        guard: Self,
        part: impl FnOnce(&T) -> &U,
    ) -> OwnedMappedRwLockReadGuard<T, U> {
        let value = NonNull::from(part(&guard));
        OwnedMappedRwLockReadGuard::take_over(guard, value)
    }

    /// As [`map`](Self::map), where the part may not be there.
    ///
    /// # Errors
    ///
    /// This guard, if `part` returns `None`.
    ///
    /// ```
    /// # use std::sync::Arc;
    /// # use sync::{RwLock, OwnedRwLockReadGuard};
    /// # runtime::block_on(async {
    /// let list = Arc::new(RwLock::new(vec![1, 2, 3]));
    /// let first = OwnedRwLockReadGuard::try_map(list.read_owned().await, |list| list.first()).unwrap();
    /// assert_eq!(*first, 1);
    /// # });
    /// ```
    ///
    /// **Go:** none.
    pub fn try_map<U: ?Sized>(
        guard: Self,
        part: impl FnOnce(&T) -> Option<&U>,
    ) -> Result<OwnedMappedRwLockReadGuard<T, U>, Self> {
        match part(&guard).map(NonNull::from) {
            Some(value) => Ok(OwnedMappedRwLockReadGuard::take_over(guard, value)),
            None => Err(guard),
        }
    }
}

/// A [`MappedRwLockReadGuard`] that shares the lock instead of borrowing it. From
/// [`OwnedRwLockReadGuard::map`].
///
/// ```
/// # use std::sync::Arc;
/// # use sync::{OwnedMappedRwLockReadGuard, RwLock, OwnedRwLockReadGuard};
/// # runtime::block_on(async {
/// let pair = Arc::new(RwLock::new((1, 2)));
/// let part: OwnedMappedRwLockReadGuard<(i32, i32), i32> = OwnedRwLockReadGuard::map(pair.read_owned().await, |pair| &pair.1);
/// assert_eq!(runtime::spawn(async move { *part }).await.unwrap(), 2);
/// # });
/// ```
///
/// **Go:** `mu.RUnlock()` in another goroutine.
#[must_use = "dropped at once, it protects nothing"]
pub struct OwnedMappedRwLockReadGuard<T: ?Sized, U: ?Sized> {
    lock: Arc<RwLock<T>>,
    share: Share,
    /// Valid as long as the lock is held, which keeps what is in it alive.
    value: NonNull<U>,
}

// SAFETY: with the guard go a share of the lock, and a `&U`, as others may have at the same time.
unsafe impl<T: ?Sized + Send + Sync, U: ?Sized + Sync> Send for OwnedMappedRwLockReadGuard<T, U> {}
// SAFETY: through a shared guard one gets `&U`, and nothing else.
unsafe impl<T: ?Sized + Send + Sync, U: ?Sized + Sync> Sync for OwnedMappedRwLockReadGuard<T, U> {}

impl<T: ?Sized, U: ?Sized> OwnedMappedRwLockReadGuard<T, U> {
    /// `value` leads into what the guard protects, and was got by borrowing it.
    fn take_over(guard: OwnedRwLockReadGuard<T>, value: NonNull<U>) -> Self {
        let guard = mem::ManuallyDrop::new(guard);
        // SAFETY: the guard is never used or dropped again, so its share is ours.
        let lock = unsafe { ptr::read(&guard.lock) };
        let share = guard.share;
        Self { lock, share, value }
    }

    /// A guard of a part of the part; see [`OwnedRwLockReadGuard::map`].
    ///
    /// ```
    /// # use std::sync::Arc;
    /// # use sync::{OwnedMappedRwLockReadGuard, RwLock, OwnedRwLockReadGuard};
    /// # runtime::block_on(async {
    /// let nested = Arc::new(RwLock::new(((1, 2), 3)));
    /// let pair = OwnedRwLockReadGuard::map(nested.read_owned().await, |nested| &nested.0);
    /// assert_eq!(*OwnedMappedRwLockReadGuard::map(pair, |pair| &pair.1), 2);
    /// # });
    /// ```
    ///
    /// **Go:** none.
    pub fn map<V: ?Sized>(
        guard: Self,
        part: impl FnOnce(&U) -> &V,
    ) -> OwnedMappedRwLockReadGuard<T, V> {
        let value = NonNull::from(part(&guard));
        guard.narrow(value)
    }

    /// As [`map`](Self::map), where the part may not be there.
    ///
    /// # Errors
    ///
    /// This guard, if `part` returns `None`.
    ///
    /// ```
    /// # use std::sync::Arc;
    /// # use sync::{OwnedMappedRwLockReadGuard, RwLock, OwnedRwLockReadGuard};
    /// # runtime::block_on(async {
    /// let nested = Arc::new(RwLock::new((vec![1], 3)));
    /// let list = OwnedRwLockReadGuard::map(nested.read_owned().await, |nested| &nested.0);
    /// let list = OwnedMappedRwLockReadGuard::try_map(list, |list| list.get(1)).unwrap_err();
    /// assert_eq!(*list, [1]);
    /// # });
    /// ```
    ///
    /// **Go:** none.
    pub fn try_map<V: ?Sized>(
        guard: Self,
        part: impl FnOnce(&U) -> Option<&V>,
    ) -> Result<OwnedMappedRwLockReadGuard<T, V>, Self> {
        match part(&guard).map(NonNull::from) {
            Some(value) => Ok(guard.narrow(value)),
            None => Err(guard),
        }
    }

    fn narrow<V: ?Sized>(self, value: NonNull<V>) -> OwnedMappedRwLockReadGuard<T, V> {
        let guard = mem::ManuallyDrop::new(self);
        // SAFETY: the guard is never used or dropped again, so its share is ours.
        let lock = unsafe { ptr::read(&guard.lock) };
        let share = guard.share;
        OwnedMappedRwLockReadGuard { lock, share, value }
    }
}

impl<T: ?Sized, U: ?Sized> Deref for OwnedMappedRwLockReadGuard<T, U> {
    type Target = U;

    fn deref(&self) -> &U {
        // SAFETY: the lock is held, and the pointer leads into what it protects.
        unsafe { self.value.as_ref() }
    }
}

impl<T: ?Sized, U: ?Sized> Drop for OwnedMappedRwLockReadGuard<T, U> {
    fn drop(&mut self) {
        self.lock.raw.unlock_read(self.share);
    }
}

impl<T: ?Sized, U: ?Sized + fmt::Debug> fmt::Debug for OwnedMappedRwLockReadGuard<T, U> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&**self, f)
    }
}

impl<T: ?Sized, U: ?Sized + fmt::Display> fmt::Display for OwnedMappedRwLockReadGuard<T, U> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&**self, f)
    }
}

impl<T: ?Sized> OwnedRwLockWriteGuard<T> {
    /// A guard of a part of the value only, which `part` picks. It unlocks as this one would.
    ///
    /// # Panics
    ///
    /// If `part` does; that unlocks.
    ///
    /// ```
    /// # use std::sync::Arc;
    /// # use sync::{RwLock, OwnedRwLockWriteGuard};
    /// # runtime::block_on(async {
    /// let pair = Arc::new(RwLock::new((1, "one")));
    /// let name = OwnedRwLockWriteGuard::map(pair.write_owned().await, |pair| &mut pair.1);
    /// assert_eq!(*name, "one");
    /// # });
    /// ```
    ///
    /// **Go:** none; a pointer into what the mutex protects.
    pub fn map<U: ?Sized>(
        mut guard: Self,
        part: impl FnOnce(&mut T) -> &mut U,
    ) -> OwnedMappedRwLockWriteGuard<T, U> {
        let value = NonNull::from(part(&mut guard));
        OwnedMappedRwLockWriteGuard::take_over(guard, value)
    }

    /// As [`map`](Self::map), where the part may not be there.
    ///
    /// # Errors
    ///
    /// This guard, if `part` returns `None`.
    ///
    /// ```
    /// # use std::sync::Arc;
    /// # use sync::{RwLock, OwnedRwLockWriteGuard};
    /// # runtime::block_on(async {
    /// let list = Arc::new(RwLock::new(vec![1, 2, 3]));
    /// let first = OwnedRwLockWriteGuard::try_map(list.write_owned().await, |list| list.first_mut()).unwrap();
    /// assert_eq!(*first, 1);
    /// # });
    /// ```
    ///
    /// **Go:** none.
    pub fn try_map<U: ?Sized>(
        mut guard: Self,
        part: impl FnOnce(&mut T) -> Option<&mut U>,
    ) -> Result<OwnedMappedRwLockWriteGuard<T, U>, Self> {
        match part(&mut guard).map(NonNull::from) {
            Some(value) => Ok(OwnedMappedRwLockWriteGuard::take_over(guard, value)),
            None => Err(guard),
        }
    }
}

/// A [`MappedRwLockWriteGuard`] that shares the lock instead of borrowing it. From
/// [`OwnedRwLockWriteGuard::map`].
///
/// ```
/// # use std::sync::Arc;
/// # use sync::{OwnedMappedRwLockWriteGuard, RwLock, OwnedRwLockWriteGuard};
/// # runtime::block_on(async {
/// let pair = Arc::new(RwLock::new((1, 2)));
/// let part: OwnedMappedRwLockWriteGuard<(i32, i32), i32> = OwnedRwLockWriteGuard::map(pair.write_owned().await, |pair| &mut pair.1);
/// assert_eq!(runtime::spawn(async move { *part }).await.unwrap(), 2);
/// # });
/// ```
///
/// **Go:** a lock that another goroutine unlocks.
#[must_use = "dropped at once, it protects nothing"]
pub struct OwnedMappedRwLockWriteGuard<T: ?Sized, U: ?Sized> {
    lock: Arc<RwLock<T>>,
    /// Valid as long as the lock is held, which keeps what is in it alive.
    value: NonNull<U>,
    /// One can write a `U` through it, so a guard of another type is no guard of this one.
    invariant: PhantomData<*mut U>,
}

// SAFETY: with the guard go a share of the lock, and a `&mut U`, which may go to another thread if
// `U` may.
unsafe impl<T: ?Sized + Send + Sync, U: ?Sized + Send> Send for OwnedMappedRwLockWriteGuard<T, U> {}
// SAFETY: through a shared guard one gets `&U`, and nothing else.
unsafe impl<T: ?Sized + Send + Sync, U: ?Sized + Sync> Sync for OwnedMappedRwLockWriteGuard<T, U> {}

impl<T: ?Sized, U: ?Sized> OwnedMappedRwLockWriteGuard<T, U> {
    /// `value` leads into what the guard protects, and was got by borrowing it uniquely.
    fn take_over(guard: OwnedRwLockWriteGuard<T>, value: NonNull<U>) -> Self {
        let guard = mem::ManuallyDrop::new(guard);
        // SAFETY: the guard is never used or dropped again, so its share is ours.
        let lock = unsafe { ptr::read(&guard.lock) };
        Self {
            lock,
            value,
            invariant: PhantomData,
        }
    }

    /// A guard of a part of the part; see [`OwnedRwLockWriteGuard::map`].
    ///
    /// ```
    /// # use std::sync::Arc;
    /// # use sync::{OwnedMappedRwLockWriteGuard, RwLock, OwnedRwLockWriteGuard};
    /// # runtime::block_on(async {
    /// let nested = Arc::new(RwLock::new(((1, 2), 3)));
    /// let pair = OwnedRwLockWriteGuard::map(nested.write_owned().await, |nested| &mut nested.0);
    /// assert_eq!(*OwnedMappedRwLockWriteGuard::map(pair, |pair| &mut pair.1), 2);
    /// # });
    /// ```
    ///
    /// **Go:** none.
    pub fn map<V: ?Sized>(
        mut guard: Self,
        part: impl FnOnce(&mut U) -> &mut V,
    ) -> OwnedMappedRwLockWriteGuard<T, V> {
        let value = NonNull::from(part(&mut guard));
        guard.narrow(value)
    }

    /// As [`map`](Self::map), where the part may not be there.
    ///
    /// # Errors
    ///
    /// This guard, if `part` returns `None`.
    ///
    /// ```
    /// # use std::sync::Arc;
    /// # use sync::{OwnedMappedRwLockWriteGuard, RwLock, OwnedRwLockWriteGuard};
    /// # runtime::block_on(async {
    /// let nested = Arc::new(RwLock::new((vec![1], 3)));
    /// let list = OwnedRwLockWriteGuard::map(nested.write_owned().await, |nested| &mut nested.0);
    /// let list = OwnedMappedRwLockWriteGuard::try_map(list, |list| list.get_mut(1)).unwrap_err();
    /// assert_eq!(*list, [1]);
    /// # });
    /// ```
    ///
    /// **Go:** none.
    pub fn try_map<V: ?Sized>(
        mut guard: Self,
        part: impl FnOnce(&mut U) -> Option<&mut V>,
    ) -> Result<OwnedMappedRwLockWriteGuard<T, V>, Self> {
        match part(&mut guard).map(NonNull::from) {
            Some(value) => Ok(guard.narrow(value)),
            None => Err(guard),
        }
    }

    fn narrow<V: ?Sized>(self, value: NonNull<V>) -> OwnedMappedRwLockWriteGuard<T, V> {
        let guard = mem::ManuallyDrop::new(self);
        // SAFETY: the guard is never used or dropped again, so its share is ours.
        let lock = unsafe { ptr::read(&guard.lock) };
        OwnedMappedRwLockWriteGuard {
            lock,
            value,
            invariant: PhantomData,
        }
    }
}

impl<T: ?Sized, U: ?Sized> Deref for OwnedMappedRwLockWriteGuard<T, U> {
    type Target = U;

    fn deref(&self) -> &U {
        // SAFETY: the lock is held, and the pointer leads into what it protects.
        unsafe { self.value.as_ref() }
    }
}

impl<T: ?Sized, U: ?Sized> DerefMut for OwnedMappedRwLockWriteGuard<T, U> {
    fn deref_mut(&mut self) -> &mut U {
        // SAFETY: as above, and the guard is borrowed uniquely.
        unsafe { self.value.as_mut() }
    }
}

impl<T: ?Sized, U: ?Sized> Drop for OwnedMappedRwLockWriteGuard<T, U> {
    fn drop(&mut self) {
        self.lock.raw.unlock(Side::Write);
    }
}

impl<T: ?Sized, U: ?Sized + fmt::Debug> fmt::Debug for OwnedMappedRwLockWriteGuard<T, U> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&**self, f)
    }
}

impl<T: ?Sized, U: ?Sized + fmt::Display> fmt::Display for OwnedMappedRwLockWriteGuard<T, U> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&**self, f)
    }
}
