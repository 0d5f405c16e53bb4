//! The futures of a [`RwLock`] that end with a guard: each waits by its [`RawAcquire`], and wraps
//! what it then has.
#![forbid(unsafe_code)]

use std::fmt;
use std::future::Future;
use std::panic::Location;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use pin_project_lite::pin_project;

use super::acquire::{RawAcquire, Read, Upgradable, Write};
use super::{RwLock, RwLockReadGuard, RwLockUpgradableReadGuard, RwLockWriteGuard};

pin_project! {
    /// Future of [`RwLock::read`].
    ///
    /// ```
    /// # runtime::block_on(async {
    /// let lock = sync::RwLock::new(1);
    /// let read: sync::RwLockRead<'_, i32> = lock.read();
    /// assert_eq!(*read.await, 1);
    /// # });
    /// ```
    ///
    /// **Go:** a goroutine inside `mu.RLock()`.
    #[must_use = "futures do nothing unless awaited"]
    pub struct RwLockRead<'a, T: ?Sized> {
        #[pin]
        raw: RawAcquire<'a, RwLock<T>, Read>,
    }
}

impl<'a, T: ?Sized> RwLockRead<'a, T> {
    #[inline]
    pub(super) fn new(lock: &'a RwLock<T>, place: &'static Location<'static>) -> Self {
        Self {
            raw: RawAcquire::new(lock, place),
        }
    }
}

impl<'a, T: ?Sized> Future for RwLockRead<'a, T> {
    type Output = RwLockReadGuard<'a, T>;

    // Two modes are more than the compiler takes in by itself.
    #[inline(always)]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut raw = self.project().raw;
        let share = ready!(raw.as_mut().poll(cx));
        Poll::Ready(RwLockReadGuard::new(raw.owner(), share))
    }
}

impl<T: ?Sized> fmt::Debug for RwLockRead<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RwLockRead").finish_non_exhaustive()
    }
}

pin_project! {
    /// Future of [`RwLock::write`].
    ///
    /// ```
    /// # runtime::block_on(async {
    /// let lock = sync::RwLock::new(1);
    /// let write: sync::RwLockWrite<'_, i32> = lock.write();
    /// assert_eq!(*write.await, 1);
    /// # });
    /// ```
    ///
    /// **Go:** a goroutine inside `mu.Lock()`.
    #[must_use = "futures do nothing unless awaited"]
    pub struct RwLockWrite<'a, T: ?Sized> {
        #[pin]
        raw: RawAcquire<'a, RwLock<T>, Write>,
    }
}

impl<'a, T: ?Sized> RwLockWrite<'a, T> {
    #[inline]
    pub(super) fn new(lock: &'a RwLock<T>, place: &'static Location<'static>) -> Self {
        Self {
            raw: RawAcquire::new(lock, place),
        }
    }
}

impl<'a, T: ?Sized> Future for RwLockWrite<'a, T> {
    type Output = RwLockWriteGuard<'a, T>;

    #[inline]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut raw = self.project().raw;
        ready!(raw.as_mut().poll(cx));
        Poll::Ready(RwLockWriteGuard::new(raw.owner()))
    }
}

impl<T: ?Sized> fmt::Debug for RwLockWrite<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RwLockWrite").finish_non_exhaustive()
    }
}

pin_project! {
    /// Future of [`RwLock::upgradable_read`].
    ///
    /// ```
    /// # runtime::block_on(async {
    /// let lock = sync::RwLock::new(1);
    /// let read: sync::RwLockUpgradableRead<'_, i32> = lock.upgradable_read();
    /// assert_eq!(*read.await, 1);
    /// # });
    /// ```
    ///
    /// **Go:** none.
    #[must_use = "futures do nothing unless awaited"]
    pub struct RwLockUpgradableRead<'a, T: ?Sized> {
        #[pin]
        raw: RawAcquire<'a, RwLock<T>, Upgradable>,
    }
}

impl<'a, T: ?Sized> RwLockUpgradableRead<'a, T> {
    #[inline]
    pub(super) fn new(lock: &'a RwLock<T>, place: &'static Location<'static>) -> Self {
        Self {
            raw: RawAcquire::new(lock, place),
        }
    }
}

impl<'a, T: ?Sized> Future for RwLockUpgradableRead<'a, T> {
    type Output = RwLockUpgradableReadGuard<'a, T>;

    #[inline]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut raw = self.project().raw;
        ready!(raw.as_mut().poll(cx));
        Poll::Ready(RwLockUpgradableReadGuard::new(raw.owner()))
    }
}

impl<T: ?Sized> fmt::Debug for RwLockUpgradableRead<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RwLockUpgradableRead")
            .finish_non_exhaustive()
    }
}
