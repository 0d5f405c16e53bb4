//! The guards of a [`Pool`]: an item that goes back when it is dropped.
#![forbid(unsafe_code)]

use std::fmt;
use std::ops::{Deref, DerefMut};
use std::sync::Arc;
use std::thread;

use super::Pool;

/// Back into the pool, unless a panic is under way, which may have left the item half changed.
fn put_back<T, F>(pool: &Pool<T, F>, item: Option<T>) {
    if let Some(item) = item {
        if !thread::panicking() {
            pool.put(item);
        }
    }
}

const GONE: &str = "the item is there until the guard is dropped or taken apart";

/// An item of a [`Pool`], which goes back there when this is dropped. From [`Pool::get`].
///
/// ```
/// let pool: sync::Pool<Vec<u8>> = sync::Pool::new(Vec::new);
/// let buffer: sync::Pooled<'_, Vec<u8>> = pool.get();
/// drop(buffer);
/// assert_eq!(pool.len(), 1);
/// ```
///
/// **Go:** `defer pool.Put(x)`.
#[must_use = "dropped at once, the item goes back unused"]
pub struct Pooled<'a, T, F = fn() -> T> {
    pool: &'a Pool<T, F>,
    /// `None` only while this is dropped or taken apart.
    item: Option<T>,
}

impl<'a, T, F> Pooled<'a, T, F> {
    pub(super) fn new(pool: &'a Pool<T, F>, item: T) -> Self {
        Self {
            pool,
            item: Some(item),
        }
    }

    /// The item alone: it does not go back by itself.
    ///
    /// ```
    /// let pool: sync::Pool<String> = sync::Pool::new(String::new);
    /// let kept: String = sync::Pooled::into_inner(pool.get());
    /// assert!(pool.is_empty() && kept.is_empty());
    /// ```
    ///
    /// **Go:** a `pool.Get()` without a `pool.Put(x)`.
    pub fn into_inner(mut guard: Self) -> T {
        guard.item.take().expect(GONE)
    }
}

impl<T, F> Deref for Pooled<'_, T, F> {
    type Target = T;

    fn deref(&self) -> &T {
        self.item.as_ref().expect(GONE)
    }
}

impl<T, F> DerefMut for Pooled<'_, T, F> {
    fn deref_mut(&mut self) -> &mut T {
        self.item.as_mut().expect(GONE)
    }
}

impl<T, F> Drop for Pooled<'_, T, F> {
    fn drop(&mut self) {
        put_back(self.pool, self.item.take());
    }
}

impl<T: fmt::Debug, F> fmt::Debug for Pooled<'_, T, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&**self, f)
    }
}

/// A [`Pooled`] that shares the pool instead of borrowing it. From [`Pool::get_owned`].
///
/// ```
/// let pool = std::sync::Arc::new(sync::Pool::<String>::new(String::new));
/// let name: sync::OwnedPooled<String> = pool.get_owned();
/// drop(name);
/// assert_eq!(pool.len(), 1);
/// ```
///
/// **Go:** `defer pool.Put(x)` in another goroutine.
#[must_use = "dropped at once, the item goes back unused"]
pub struct OwnedPooled<T, F = fn() -> T> {
    pool: Arc<Pool<T, F>>,
    /// `None` only while this is dropped or taken apart.
    item: Option<T>,
}

impl<T, F> OwnedPooled<T, F> {
    pub(super) fn new(pool: &Arc<Pool<T, F>>, item: T) -> Self {
        Self {
            pool: pool.clone(),
            item: Some(item),
        }
    }

    /// The item alone: it does not go back by itself.
    ///
    /// ```
    /// let pool = std::sync::Arc::new(sync::Pool::<String>::new(String::new));
    /// let kept: String = sync::OwnedPooled::into_inner(pool.get_owned());
    /// assert!(pool.is_empty() && kept.is_empty());
    /// ```
    ///
    /// **Go:** a `pool.Get()` without a `pool.Put(x)`.
    pub fn into_inner(mut guard: Self) -> T {
        guard.item.take().expect(GONE)
    }
}

impl<T, F> Deref for OwnedPooled<T, F> {
    type Target = T;

    fn deref(&self) -> &T {
        self.item.as_ref().expect(GONE)
    }
}

impl<T, F> DerefMut for OwnedPooled<T, F> {
    fn deref_mut(&mut self) -> &mut T {
        self.item.as_mut().expect(GONE)
    }
}

impl<T, F> Drop for OwnedPooled<T, F> {
    fn drop(&mut self) {
        put_back(&self.pool, self.item.take());
    }
}

impl<T: fmt::Debug, F> fmt::Debug for OwnedPooled<T, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&**self, f)
    }
}
