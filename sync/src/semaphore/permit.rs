//! The permits of a [`Semaphore`]: what was taken, given back when dropped.
#![forbid(unsafe_code)]

use std::fmt;
use std::sync::Arc;
use std::thread;

use super::{Semaphore, TOO_MANY};

#[inline]
fn give_back(semaphore: &Semaphore, count: usize) {
    if count > 0 && !semaphore.raw.give_back(count) {
        complain();
    }
}

/// Only a `release` of too many can bring us here. A second panic would end the process and hide
/// the first.
#[cold]
fn complain() {
    if !thread::panicking() {
        panic!("{TOO_MANY}");
    }
}

/// Permits of a [`Semaphore`]; dropping them gives them back.
///
/// ```
/// # runtime::block_on(async {
/// let semaphore = sync::Semaphore::new(2);
/// let permit: sync::SemaphorePermit<'_> = semaphore.acquire().await;
/// drop(permit);
/// assert_eq!(semaphore.available(), 2);
/// # });
/// ```
///
/// **Go:** `defer s.Release(n)`.
#[must_use = "dropped at once, it permits nothing"]
pub struct SemaphorePermit<'a> {
    semaphore: &'a Semaphore,
    count: usize,
}

impl<'a> SemaphorePermit<'a> {
    #[inline]
    pub(super) fn new(semaphore: &'a Semaphore, count: usize) -> Self {
        Self { semaphore, count }
    }

    /// How many permits these are.
    ///
    /// ```
    /// assert_eq!(sync::Semaphore::new(3).try_acquire_many(2).unwrap().count(), 2);
    /// ```
    ///
    /// **Go:** the `n` of `s.Acquire`.
    pub fn count(&self) -> usize {
        self.count
    }

    /// Keeps the permits taken; [`Semaphore::release`] gives them back.
    ///
    /// ```
    /// let semaphore = sync::Semaphore::new(1);
    /// semaphore.try_acquire().unwrap().forget();
    /// assert_eq!(semaphore.available(), 0);
    /// ```
    ///
    /// **Go:** `s.Acquire` without a `s.Release`.
    pub fn forget(mut self) {
        self.count = 0;
    }

    /// Takes `n` of these permits off, as a guard of their own. `None`, and nothing has changed, if
    /// there are fewer.
    ///
    /// ```
    /// let semaphore = sync::Semaphore::new(3);
    /// let mut permit = semaphore.try_acquire_many(3).unwrap();
    /// let part = permit.split(1).unwrap();
    /// assert_eq!((permit.count(), part.count()), (2, 1));
    /// ```
    ///
    /// **Go:** an `s.Release` of fewer than were acquired.
    pub fn split(&mut self, n: usize) -> Option<Self> {
        self.count = self.count.checked_sub(n)?;
        Some(Self {
            semaphore: self.semaphore,
            count: n,
        })
    }

    /// Adds the permits of `other` to these.
    ///
    /// # Panics
    ///
    /// If they are of another semaphore.
    ///
    /// ```
    /// let semaphore = sync::Semaphore::new(3);
    /// let mut permit = semaphore.try_acquire_many(3).unwrap();
    /// let part = permit.split(1).unwrap();
    /// permit.merge(part);
    /// assert_eq!(permit.count(), 3);
    /// ```
    ///
    /// **Go:** one `s.Release` for several acquisitions.
    #[track_caller]
    pub fn merge(&mut self, mut other: Self) {
        assert!(
            std::ptr::eq(self.semaphore, other.semaphore),
            "SemaphorePermit::merge: the permits are of different semaphores; keep both guards"
        );
        self.count += std::mem::take(&mut other.count);
    }
}

impl Drop for SemaphorePermit<'_> {
    #[inline]
    fn drop(&mut self) {
        give_back(self.semaphore, self.count);
    }
}

impl fmt::Debug for SemaphorePermit<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SemaphorePermit")
            .field("count", &self.count)
            .finish_non_exhaustive()
    }
}

/// A [`SemaphorePermit`] that shares the semaphore instead of borrowing it. From
/// [`Semaphore::acquire_owned`].
///
/// ```
/// # runtime::block_on(async {
/// let semaphore = std::sync::Arc::new(sync::Semaphore::new(2));
/// let permit: sync::OwnedSemaphorePermit = semaphore.acquire_owned().await;
/// assert_eq!(permit.count(), 1);
/// # });
/// ```
///
/// **Go:** `defer s.Release(n)` in another goroutine.
#[must_use = "dropped at once, it permits nothing"]
pub struct OwnedSemaphorePermit {
    semaphore: Arc<Semaphore>,
    count: usize,
}

impl OwnedSemaphorePermit {
    pub(super) fn new(semaphore: Arc<Semaphore>, count: usize) -> Self {
        Self { semaphore, count }
    }

    /// How many permits these are.
    ///
    /// ```
    /// let semaphore = std::sync::Arc::new(sync::Semaphore::new(1));
    /// assert_eq!(semaphore.try_acquire_owned().unwrap().count(), 1);
    /// ```
    ///
    /// **Go:** the `n` of `s.Acquire`.
    pub fn count(&self) -> usize {
        self.count
    }

    /// Keeps the permits taken; [`Semaphore::release`] gives them back.
    ///
    /// ```
    /// let semaphore = std::sync::Arc::new(sync::Semaphore::new(1));
    /// semaphore.clone().try_acquire_owned().unwrap().forget();
    /// assert_eq!(semaphore.available(), 0);
    /// ```
    ///
    /// **Go:** `s.Acquire` without a `s.Release`.
    pub fn forget(mut self) {
        self.count = 0;
    }

    /// Takes `n` of these permits off, as a guard of their own. `None`, and nothing has changed, if
    /// there are fewer.
    ///
    /// ```
    /// let semaphore = std::sync::Arc::new(sync::Semaphore::new(3));
    /// let mut permit = semaphore.clone().try_acquire_many_owned(3).unwrap();
    /// let part = permit.split(1).unwrap();
    /// assert_eq!((permit.count(), part.count()), (2, 1));
    /// ```
    ///
    /// **Go:** an `s.Release` of fewer than were acquired.
    pub fn split(&mut self, n: usize) -> Option<Self> {
        self.count = self.count.checked_sub(n)?;
        Some(Self {
            semaphore: self.semaphore.clone(),
            count: n,
        })
    }

    /// Adds the permits of `other` to these.
    ///
    /// # Panics
    ///
    /// If they are of another semaphore.
    ///
    /// ```
    /// let semaphore = std::sync::Arc::new(sync::Semaphore::new(3));
    /// let mut permit = semaphore.clone().try_acquire_many_owned(3).unwrap();
    /// let part = permit.split(1).unwrap();
    /// permit.merge(part);
    /// assert_eq!(permit.count(), 3);
    /// ```
    ///
    /// **Go:** one `s.Release` for several acquisitions.
    #[track_caller]
    pub fn merge(&mut self, mut other: Self) {
        assert!(
            Arc::ptr_eq(&self.semaphore, &other.semaphore),
            "OwnedSemaphorePermit::merge: the permits are of different semaphores; keep both guards"
        );
        self.count += std::mem::take(&mut other.count);
    }
}

impl Drop for OwnedSemaphorePermit {
    fn drop(&mut self) {
        give_back(&self.semaphore, self.count);
    }
}

impl fmt::Debug for OwnedSemaphorePermit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OwnedSemaphorePermit")
            .field("count", &self.count)
            .finish_non_exhaustive()
    }
}
