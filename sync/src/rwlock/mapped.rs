//! ⚠ Guards of a part of what an [`RwLock`] protects: from `map` and `try_map` of its guards.
//!
//! Such a guard has taken the right over from the guard that it was made of, which is forgotten; so
//! the invariant of [`super`] holds for it: the raw lock is held on its side exactly while it
//! exists. Its pointer leads into the value, by way of that guard's borrow, a unique one for
//! writing, and nobody else writes there before it is dropped.

use std::fmt;
use std::marker::PhantomData;
use std::mem;
use std::ops::{Deref, DerefMut};
use std::ptr::NonNull;

#[cfg(doc)]
use super::RwLock;
use super::guard::{RwLockReadGuard, RwLockWriteGuard};
use super::light::Share;
use super::raw::{RawRwLock, Side};

impl<'a, T: ?Sized> RwLockReadGuard<'a, T> {
    /// A guard of a part of the value only, which `part` picks. It unlocks as this one would.
    ///
    /// # Panics
    ///
    /// If `part` does; that unlocks.
    ///
    /// ```
    /// # use sync::{RwLock, RwLockReadGuard};
    /// # runtime::block_on(async {
    /// let pair = RwLock::new((1, "one"));
    /// let name = RwLockReadGuard::map(pair.read().await, |pair| &pair.1);
    /// assert_eq!(*name, "one");
    /// # });
    /// ```
    ///
    /// **Go:** none; a pointer into what the mutex protects.
    pub fn map<U: ?Sized>(
        guard: Self,
        part: impl FnOnce(&T) -> &U,
    ) -> MappedRwLockReadGuard<'a, U> {
        let value = NonNull::from(part(&guard));
        MappedRwLockReadGuard::take_over(guard, value)
    }

    /// As [`map`](Self::map), where the part may not be there.
    ///
    /// # Errors
    ///
    /// This guard, if `part` returns `None`.
    ///
    /// ```
    /// # use sync::{RwLock, RwLockReadGuard};
    /// # runtime::block_on(async {
    /// let list = RwLock::new(vec![1, 2, 3]);
    /// let first = RwLockReadGuard::try_map(list.read().await, |list| list.first()).unwrap();
    /// assert_eq!(*first, 1);
    /// # });
    /// ```
    ///
    /// **Go:** none.
    pub fn try_map<U: ?Sized>(
        guard: Self,
        part: impl FnOnce(&T) -> Option<&U>,
    ) -> Result<MappedRwLockReadGuard<'a, U>, Self> {
        match part(&guard).map(NonNull::from) {
            Some(value) => Ok(MappedRwLockReadGuard::take_over(guard, value)),
            None => Err(guard),
        }
    }
}

/// Access to a part of the value of an [`RwLock`] for one of its readers; dropping it unlocks. From
/// [`RwLockReadGuard::map`].
///
/// ```
/// # use sync::{MappedRwLockReadGuard, RwLock, RwLockReadGuard};
/// # runtime::block_on(async {
/// let user = RwLock::new((7, "Ada".to_string()));
/// let name: MappedRwLockReadGuard<'_, String> = RwLockReadGuard::map(user.read().await, |user| &user.1);
/// drop(name);
/// assert_eq!(user.read().await.1, "Ada");
/// # });
/// ```
///
/// **Go:** `defer mu.RUnlock()`.
#[must_use = "dropped at once, it protects nothing"]
pub struct MappedRwLockReadGuard<'a, U: ?Sized> {
    raw: &'a RawRwLock,
    share: Share,
    /// Valid as long as `raw` is held.
    value: NonNull<U>,
    borrows: PhantomData<&'a U>,
}

// SAFETY: whoever has the guard has a `&U`, as others may at the same time; the raw lock may be
// freed by any thread.
unsafe impl<U: ?Sized + Sync> Send for MappedRwLockReadGuard<'_, U> {}
// SAFETY: through a shared guard one gets `&U`.
unsafe impl<U: ?Sized + Sync> Sync for MappedRwLockReadGuard<'_, U> {}

impl<'a, U: ?Sized> MappedRwLockReadGuard<'a, U> {
    /// `value` leads into what the guard protects, and was got by borrowing it.
    fn take_over<T: ?Sized>(guard: RwLockReadGuard<'a, T>, value: NonNull<U>) -> Self {
        let (raw, share) = (&guard.lock.raw, guard.share);
        mem::forget(guard);
        Self {
            raw,
            share,
            value,
            borrows: PhantomData,
        }
    }

    /// A guard of a part of the part; see [`RwLockReadGuard::map`].
    ///
    /// ```
    /// # use sync::{MappedRwLockReadGuard, RwLock, RwLockReadGuard};
    /// # runtime::block_on(async {
    /// let nested = RwLock::new(((1, 2), 3));
    /// let pair = RwLockReadGuard::map(nested.read().await, |nested| &nested.0);
    /// assert_eq!(*MappedRwLockReadGuard::map(pair, |pair| &pair.1), 2);
    /// # });
    /// ```
    ///
    /// **Go:** none.
    pub fn map<V: ?Sized>(
        guard: Self,
        part: impl FnOnce(&U) -> &V,
    ) -> MappedRwLockReadGuard<'a, V> {
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
    /// # use sync::{MappedRwLockReadGuard, RwLock, RwLockReadGuard};
    /// # runtime::block_on(async {
    /// let nested = RwLock::new((vec![1], 3));
    /// let list = RwLockReadGuard::map(nested.read().await, |nested| &nested.0);
    /// let list = MappedRwLockReadGuard::try_map(list, |list| list.get(1)).unwrap_err();
    /// assert_eq!(*list, [1]);
    /// # });
    /// ```
    ///
    /// **Go:** none.
    pub fn try_map<V: ?Sized>(
        guard: Self,
        part: impl FnOnce(&U) -> Option<&V>,
    ) -> Result<MappedRwLockReadGuard<'a, V>, Self> {
        match part(&guard).map(NonNull::from) {
            Some(value) => Ok(guard.narrow(value)),
            None => Err(guard),
        }
    }

    fn narrow<V: ?Sized>(self, value: NonNull<V>) -> MappedRwLockReadGuard<'a, V> {
        let (raw, share) = (self.raw, self.share);
        mem::forget(self);
        MappedRwLockReadGuard {
            raw,
            share,
            value,
            borrows: PhantomData,
        }
    }
}

impl<U: ?Sized> Deref for MappedRwLockReadGuard<'_, U> {
    type Target = U;

    fn deref(&self) -> &U {
        // SAFETY: the lock is held, and the pointer leads into what it protects.
        unsafe { self.value.as_ref() }
    }
}

impl<U: ?Sized> Drop for MappedRwLockReadGuard<'_, U> {
    fn drop(&mut self) {
        self.raw.unlock_read(self.share);
    }
}

impl<U: ?Sized + fmt::Debug> fmt::Debug for MappedRwLockReadGuard<'_, U> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&**self, f)
    }
}

impl<U: ?Sized + fmt::Display> fmt::Display for MappedRwLockReadGuard<'_, U> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&**self, f)
    }
}

impl<'a, T: ?Sized> RwLockWriteGuard<'a, T> {
    /// A guard of a part of the value only, which `part` picks. It unlocks as this one would.
    ///
    /// # Panics
    ///
    /// If `part` does; that unlocks.
    ///
    /// ```
    /// # use sync::{RwLock, RwLockWriteGuard};
    /// # runtime::block_on(async {
    /// let pair = RwLock::new((1, "one"));
    /// let name = RwLockWriteGuard::map(pair.write().await, |pair| &mut pair.1);
    /// assert_eq!(*name, "one");
    /// # });
    /// ```
    ///
    /// **Go:** none; a pointer into what the mutex protects.
    pub fn map<U: ?Sized>(
        mut guard: Self,
        part: impl FnOnce(&mut T) -> &mut U,
    ) -> MappedRwLockWriteGuard<'a, U> {
        let value = NonNull::from(part(&mut guard));
        MappedRwLockWriteGuard::take_over(guard, value)
    }

    /// As [`map`](Self::map), where the part may not be there.
    ///
    /// # Errors
    ///
    /// This guard, if `part` returns `None`.
    ///
    /// ```
    /// # use sync::{RwLock, RwLockWriteGuard};
    /// # runtime::block_on(async {
    /// let list = RwLock::new(vec![1, 2, 3]);
    /// let first = RwLockWriteGuard::try_map(list.write().await, |list| list.first_mut()).unwrap();
    /// assert_eq!(*first, 1);
    /// # });
    /// ```
    ///
    /// **Go:** none.
    pub fn try_map<U: ?Sized>(
        mut guard: Self,
        part: impl FnOnce(&mut T) -> Option<&mut U>,
    ) -> Result<MappedRwLockWriteGuard<'a, U>, Self> {
        match part(&mut guard).map(NonNull::from) {
            Some(value) => Ok(MappedRwLockWriteGuard::take_over(guard, value)),
            None => Err(guard),
        }
    }
}

/// Access to a part of the value of an [`RwLock`] for one writer; dropping it unlocks. From
/// [`RwLockWriteGuard::map`].
///
/// ```
/// # use sync::{MappedRwLockWriteGuard, RwLock, RwLockWriteGuard};
/// # runtime::block_on(async {
/// let user = RwLock::new((7, "Ada".to_string()));
/// let mut name: MappedRwLockWriteGuard<'_, String> = RwLockWriteGuard::map(user.write().await, |user| &mut user.1);
/// *name = "Grace".to_string();
/// drop(name);
/// assert_eq!(user.write().await.1, "Grace");
/// # });
/// ```
///
/// **Go:** `defer mu.Unlock()`.
#[must_use = "dropped at once, it protects nothing"]
pub struct MappedRwLockWriteGuard<'a, U: ?Sized> {
    raw: &'a RawRwLock,
    /// Valid as long as `raw` is held.
    value: NonNull<U>,
    borrows: PhantomData<&'a mut U>,
}

// SAFETY: whoever has the guard has a `&mut U`, which may go to another thread if `U` may; the raw
// lock may be freed by any thread.
unsafe impl<U: ?Sized + Send> Send for MappedRwLockWriteGuard<'_, U> {}
// SAFETY: through a shared guard one gets `&U`.
unsafe impl<U: ?Sized + Sync> Sync for MappedRwLockWriteGuard<'_, U> {}

impl<'a, U: ?Sized> MappedRwLockWriteGuard<'a, U> {
    /// `value` leads into what the guard protects, and was got by borrowing it uniquely.
    fn take_over<T: ?Sized>(guard: RwLockWriteGuard<'a, T>, value: NonNull<U>) -> Self {
        let raw = &guard.lock.raw;
        mem::forget(guard);
        Self {
            raw,
            value,
            borrows: PhantomData,
        }
    }

    /// A guard of a part of the part; see [`RwLockWriteGuard::map`].
    ///
    /// ```
    /// # use sync::{MappedRwLockWriteGuard, RwLock, RwLockWriteGuard};
    /// # runtime::block_on(async {
    /// let nested = RwLock::new(((1, 2), 3));
    /// let pair = RwLockWriteGuard::map(nested.write().await, |nested| &mut nested.0);
    /// assert_eq!(*MappedRwLockWriteGuard::map(pair, |pair| &mut pair.1), 2);
    /// # });
    /// ```
    ///
    /// **Go:** none.
    pub fn map<V: ?Sized>(
        mut guard: Self,
        part: impl FnOnce(&mut U) -> &mut V,
    ) -> MappedRwLockWriteGuard<'a, V> {
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
    /// # use sync::{MappedRwLockWriteGuard, RwLock, RwLockWriteGuard};
    /// # runtime::block_on(async {
    /// let nested = RwLock::new((vec![1], 3));
    /// let list = RwLockWriteGuard::map(nested.write().await, |nested| &mut nested.0);
    /// let list = MappedRwLockWriteGuard::try_map(list, |list| list.get_mut(1)).unwrap_err();
    /// assert_eq!(*list, [1]);
    /// # });
    /// ```
    ///
    /// **Go:** none.
    pub fn try_map<V: ?Sized>(
        mut guard: Self,
        part: impl FnOnce(&mut U) -> Option<&mut V>,
    ) -> Result<MappedRwLockWriteGuard<'a, V>, Self> {
        match part(&mut guard).map(NonNull::from) {
            Some(value) => Ok(guard.narrow(value)),
            None => Err(guard),
        }
    }

    fn narrow<V: ?Sized>(self, value: NonNull<V>) -> MappedRwLockWriteGuard<'a, V> {
        let raw = self.raw;
        mem::forget(self);
        MappedRwLockWriteGuard {
            raw,
            value,
            borrows: PhantomData,
        }
    }
}

impl<U: ?Sized> Deref for MappedRwLockWriteGuard<'_, U> {
    type Target = U;

    fn deref(&self) -> &U {
        // SAFETY: the lock is held, and the pointer leads into what it protects.
        unsafe { self.value.as_ref() }
    }
}

impl<U: ?Sized> DerefMut for MappedRwLockWriteGuard<'_, U> {
    fn deref_mut(&mut self) -> &mut U {
        // SAFETY: as above, and the guard is borrowed uniquely.
        unsafe { self.value.as_mut() }
    }
}

impl<U: ?Sized> Drop for MappedRwLockWriteGuard<'_, U> {
    fn drop(&mut self) {
        self.raw.unlock(Side::Write);
    }
}

impl<U: ?Sized + fmt::Debug> fmt::Debug for MappedRwLockWriteGuard<'_, U> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&**self, f)
    }
}

impl<U: ?Sized + fmt::Display> fmt::Display for MappedRwLockWriteGuard<'_, U> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&**self, f)
    }
}
