//! ⚠ Guards of a part of what a [`Mutex`] protects: from `map` and `try_map` of its guards.
//!
//! Such a guard has taken the right over from the guard that it was made of, which is forgotten; so
//! the invariant of [`super`] holds for it: the raw lock is held exactly while it exists. Its
//! pointer leads into the value, by way of that guard's unique borrow, and nobody else reaches the
//! value before it is dropped.

use std::fmt;
use std::marker::PhantomData;
use std::mem;
use std::ops::{Deref, DerefMut};
use std::ptr::NonNull;

#[cfg(doc)]
use super::Mutex;
use super::{MutexGuard, RawMutex};

impl<'a, T: ?Sized> MutexGuard<'a, T> {
    /// A guard of a part of the value only, which `part` picks. It unlocks as this one would.
    ///
    /// # Panics
    ///
    /// If `part` does; that unlocks.
    ///
    /// ```
    /// # use sync::{Mutex, MutexGuard};
    /// # runtime::block_on(async {
    /// let pair = Mutex::new((1, "one"));
    /// let name = MutexGuard::map(pair.lock().await, |pair| &mut pair.1);
    /// assert_eq!(*name, "one");
    /// # });
    /// ```
    ///
    /// **Go:** none; a pointer into what the mutex protects.
    pub fn map<U: ?Sized>(
        mut guard: Self,
        part: impl FnOnce(&mut T) -> &mut U,
    ) -> MappedMutexGuard<'a, U> {
        let value = NonNull::from(part(&mut guard));
        MappedMutexGuard::take_over(guard, value)
    }

    /// As [`map`](Self::map), where the part may not be there.
    ///
    /// # Errors
    ///
    /// This guard, if `part` returns `None`.
    ///
    /// ```
    /// # use sync::{Mutex, MutexGuard};
    /// # runtime::block_on(async {
    /// let list = Mutex::new(vec![1, 2, 3]);
    /// let first = MutexGuard::try_map(list.lock().await, |list| list.first_mut()).unwrap();
    /// assert_eq!(*first, 1);
    /// # });
    /// ```
    ///
    /// **Go:** none.
    pub fn try_map<U: ?Sized>(
        mut guard: Self,
        part: impl FnOnce(&mut T) -> Option<&mut U>,
    ) -> Result<MappedMutexGuard<'a, U>, Self> {
        match part(&mut guard).map(NonNull::from) {
            Some(value) => Ok(MappedMutexGuard::take_over(guard, value)),
            None => Err(guard),
        }
    }
}

/// Access to a part of the value of a [`Mutex`]; dropping it unlocks. From
/// [`MutexGuard::map`].
///
/// ```
/// # use sync::{MappedMutexGuard, Mutex, MutexGuard};
/// # runtime::block_on(async {
/// let user = Mutex::new((7, "Ada".to_string()));
/// let mut name: MappedMutexGuard<'_, String> = MutexGuard::map(user.lock().await, |user| &mut user.1);
/// *name = "Grace".to_string();
/// drop(name);
/// assert_eq!(user.lock().await.1, "Grace");
/// # });
/// ```
///
/// **Go:** `defer mu.Unlock()`.
#[must_use = "dropped at once, it protects nothing"]
pub struct MappedMutexGuard<'a, U: ?Sized> {
    raw: &'a RawMutex,
    /// Valid as long as `raw` is held.
    value: NonNull<U>,
    borrows: PhantomData<&'a mut U>,
}

// SAFETY: whoever has the guard has a `&mut U`, which may go to another thread if `U` may; the raw
// lock may be freed by any thread.
unsafe impl<U: ?Sized + Send> Send for MappedMutexGuard<'_, U> {}
// SAFETY: through a shared guard one gets `&U`.
unsafe impl<U: ?Sized + Sync> Sync for MappedMutexGuard<'_, U> {}

impl<'a, U: ?Sized> MappedMutexGuard<'a, U> {
    /// `value` leads into what the guard protects, and was got by borrowing it uniquely.
    fn take_over<T: ?Sized>(guard: MutexGuard<'a, T>, value: NonNull<U>) -> Self {
        let raw = &guard.mutex.raw;
        mem::forget(guard);
        Self {
            raw,
            value,
            borrows: PhantomData,
        }
    }

    /// A guard of a part of the part; see [`MutexGuard::map`].
    ///
    /// ```
    /// # use sync::{MappedMutexGuard, Mutex, MutexGuard};
    /// # runtime::block_on(async {
    /// let nested = Mutex::new(((1, 2), 3));
    /// let pair = MutexGuard::map(nested.lock().await, |nested| &mut nested.0);
    /// assert_eq!(*MappedMutexGuard::map(pair, |pair| &mut pair.1), 2);
    /// # });
    /// ```
    ///
    /// **Go:** none.
    pub fn map<V: ?Sized>(
        mut guard: Self,
        part: impl FnOnce(&mut U) -> &mut V,
    ) -> MappedMutexGuard<'a, V> {
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
    /// # use sync::{MappedMutexGuard, Mutex, MutexGuard};
    /// # runtime::block_on(async {
    /// let nested = Mutex::new((vec![1], 3));
    /// let list = MutexGuard::map(nested.lock().await, |nested| &mut nested.0);
    /// let list = MappedMutexGuard::try_map(list, |list| list.get_mut(1)).unwrap_err();
    /// assert_eq!(*list, [1]);
    /// # });
    /// ```
    ///
    /// **Go:** none.
    pub fn try_map<V: ?Sized>(
        mut guard: Self,
        part: impl FnOnce(&mut U) -> Option<&mut V>,
    ) -> Result<MappedMutexGuard<'a, V>, Self> {
        match part(&mut guard).map(NonNull::from) {
            Some(value) => Ok(guard.narrow(value)),
            None => Err(guard),
        }
    }

    fn narrow<V: ?Sized>(self, value: NonNull<V>) -> MappedMutexGuard<'a, V> {
        let raw = self.raw;
        mem::forget(self);
        MappedMutexGuard {
            raw,
            value,
            borrows: PhantomData,
        }
    }
}

impl<U: ?Sized> Deref for MappedMutexGuard<'_, U> {
    type Target = U;

    fn deref(&self) -> &U {
        // SAFETY: the lock is held, and the pointer leads into what it protects.
        unsafe { self.value.as_ref() }
    }
}

impl<U: ?Sized> DerefMut for MappedMutexGuard<'_, U> {
    fn deref_mut(&mut self) -> &mut U {
        // SAFETY: as above, and the guard is borrowed uniquely.
        unsafe { self.value.as_mut() }
    }
}

impl<U: ?Sized> Drop for MappedMutexGuard<'_, U> {
    fn drop(&mut self) {
        self.raw.unlock();
    }
}

impl<U: ?Sized + fmt::Debug> fmt::Debug for MappedMutexGuard<'_, U> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&**self, f)
    }
}

impl<U: ?Sized + fmt::Display> fmt::Display for MappedMutexGuard<'_, U> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&**self, f)
    }
}
