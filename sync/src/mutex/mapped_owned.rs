//! ⚠ As [`mapped`](super::mapped), for guards that share the mutex instead of borrowing it.

use std::fmt;
use std::marker::PhantomData;
use std::mem;
use std::ops::{Deref, DerefMut};
use std::ptr::{self, NonNull};
use std::sync::Arc;

#[cfg(doc)]
use super::MappedMutexGuard;
use super::{Mutex, OwnedMutexGuard};

impl<T: ?Sized> OwnedMutexGuard<T> {
    /// A guard of a part of the value only, which `part` picks. It unlocks as this one would.
    ///
    /// # Panics
    ///
    /// If `part` does; that unlocks.
    ///
    /// ```
    /// # use std::sync::Arc;
    /// # use sync::{Mutex, OwnedMutexGuard};
    /// # runtime::block_on(async {
    /// let pair = Arc::new(Mutex::new((1, "one")));
    /// let name = OwnedMutexGuard::map(pair.lock_owned().await, |pair| &mut pair.1);
    /// assert_eq!(*name, "one");
    /// # });
    /// ```
    ///
    /// **Go:** none; a pointer into what the mutex protects.
    pub fn map<U: ?Sized>(
        mut guard: Self,
        part: impl FnOnce(&mut T) -> &mut U,
    ) -> OwnedMappedMutexGuard<T, U> {
        let value = NonNull::from(part(&mut guard));
        OwnedMappedMutexGuard::take_over(guard, value)
    }

    /// As [`map`](Self::map), where the part may not be there.
    ///
    /// # Errors
    ///
    /// This guard, if `part` returns `None`.
    ///
    /// ```
    /// # use std::sync::Arc;
    /// # use sync::{Mutex, OwnedMutexGuard};
    /// # runtime::block_on(async {
    /// let list = Arc::new(Mutex::new(vec![1, 2, 3]));
    /// let first = OwnedMutexGuard::try_map(list.lock_owned().await, |list| list.first_mut()).unwrap();
    /// assert_eq!(*first, 1);
    /// # });
    /// ```
    ///
    /// **Go:** none.
    pub fn try_map<U: ?Sized>(
        mut guard: Self,
        part: impl FnOnce(&mut T) -> Option<&mut U>,
    ) -> Result<OwnedMappedMutexGuard<T, U>, Self> {
        match part(&mut guard).map(NonNull::from) {
            Some(value) => Ok(OwnedMappedMutexGuard::take_over(guard, value)),
            None => Err(guard),
        }
    }
}

/// A [`MappedMutexGuard`] that shares the lock instead of borrowing it. From
/// [`OwnedMutexGuard::map`].
///
/// ```
/// # use std::sync::Arc;
/// # use sync::{OwnedMappedMutexGuard, Mutex, OwnedMutexGuard};
/// # runtime::block_on(async {
/// let pair = Arc::new(Mutex::new((1, 2)));
/// let part: OwnedMappedMutexGuard<(i32, i32), i32> = OwnedMutexGuard::map(pair.lock_owned().await, |pair| &mut pair.1);
/// assert_eq!(runtime::spawn(async move { *part }).await.unwrap(), 2);
/// # });
/// ```
///
/// **Go:** a lock that another goroutine unlocks.
#[must_use = "dropped at once, it protects nothing"]
pub struct OwnedMappedMutexGuard<T: ?Sized, U: ?Sized> {
    mutex: Arc<Mutex<T>>,
    /// Valid as long as the lock is held, which keeps what is in it alive.
    value: NonNull<U>,
    /// One can write a `U` through it, so a guard of another type is no guard of this one.
    invariant: PhantomData<*mut U>,
}

// SAFETY: with the guard go a share of the lock, and a `&mut U`, which may go to another thread if
// `U` may.
unsafe impl<T: ?Sized + Send, U: ?Sized + Send> Send for OwnedMappedMutexGuard<T, U> {}
// SAFETY: through a shared guard one gets `&U`, and nothing else.
unsafe impl<T: ?Sized + Send, U: ?Sized + Sync> Sync for OwnedMappedMutexGuard<T, U> {}

impl<T: ?Sized, U: ?Sized> OwnedMappedMutexGuard<T, U> {
    /// `value` leads into what the guard protects, and was got by borrowing it uniquely.
    fn take_over(guard: OwnedMutexGuard<T>, value: NonNull<U>) -> Self {
        let guard = mem::ManuallyDrop::new(guard);
        // SAFETY: the guard is never used or dropped again, so its share is ours.
        let mutex = unsafe { ptr::read(&guard.mutex) };
        Self {
            mutex,
            value,
            invariant: PhantomData,
        }
    }

    /// A guard of a part of the part; see [`OwnedMutexGuard::map`].
    ///
    /// ```
    /// # use std::sync::Arc;
    /// # use sync::{OwnedMappedMutexGuard, Mutex, OwnedMutexGuard};
    /// # runtime::block_on(async {
    /// let nested = Arc::new(Mutex::new(((1, 2), 3)));
    /// let pair = OwnedMutexGuard::map(nested.lock_owned().await, |nested| &mut nested.0);
    /// assert_eq!(*OwnedMappedMutexGuard::map(pair, |pair| &mut pair.1), 2);
    /// # });
    /// ```
    ///
    /// **Go:** none.
    pub fn map<V: ?Sized>(
        mut guard: Self,
        part: impl FnOnce(&mut U) -> &mut V,
    ) -> OwnedMappedMutexGuard<T, V> {
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
    /// # use sync::{OwnedMappedMutexGuard, Mutex, OwnedMutexGuard};
    /// # runtime::block_on(async {
    /// let nested = Arc::new(Mutex::new((vec![1], 3)));
    /// let list = OwnedMutexGuard::map(nested.lock_owned().await, |nested| &mut nested.0);
    /// let list = OwnedMappedMutexGuard::try_map(list, |list| list.get_mut(1)).unwrap_err();
    /// assert_eq!(*list, [1]);
    /// # });
    /// ```
    ///
    /// **Go:** none.
    pub fn try_map<V: ?Sized>(
        mut guard: Self,
        part: impl FnOnce(&mut U) -> Option<&mut V>,
    ) -> Result<OwnedMappedMutexGuard<T, V>, Self> {
        match part(&mut guard).map(NonNull::from) {
            Some(value) => Ok(guard.narrow(value)),
            None => Err(guard),
        }
    }

    fn narrow<V: ?Sized>(self, value: NonNull<V>) -> OwnedMappedMutexGuard<T, V> {
        let guard = mem::ManuallyDrop::new(self);
        // SAFETY: the guard is never used or dropped again, so its share is ours.
        let mutex = unsafe { ptr::read(&guard.mutex) };
        OwnedMappedMutexGuard {
            mutex,
            value,
            invariant: PhantomData,
        }
    }
}

impl<T: ?Sized, U: ?Sized> Deref for OwnedMappedMutexGuard<T, U> {
    type Target = U;

    fn deref(&self) -> &U {
        // SAFETY: the lock is held, and the pointer leads into what it protects.
        unsafe { self.value.as_ref() }
    }
}

impl<T: ?Sized, U: ?Sized> DerefMut for OwnedMappedMutexGuard<T, U> {
    fn deref_mut(&mut self) -> &mut U {
        // SAFETY: as above, and the guard is borrowed uniquely.
        unsafe { self.value.as_mut() }
    }
}

impl<T: ?Sized, U: ?Sized> Drop for OwnedMappedMutexGuard<T, U> {
    fn drop(&mut self) {
        self.mutex.raw.unlock();
    }
}

impl<T: ?Sized, U: ?Sized + fmt::Debug> fmt::Debug for OwnedMappedMutexGuard<T, U> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&**self, f)
    }
}

impl<T: ?Sized, U: ?Sized + fmt::Display> fmt::Display for OwnedMappedMutexGuard<T, U> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&**self, f)
    }
}
