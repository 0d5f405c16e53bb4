//! ⚠ The guard of an [`RwLock`]'s upgradable reader, and the future in which it becomes the writer.
//!
//! The invariant is that of [`super`]: the guard exists exactly while the raw lock is held for it
//! as the upgradable reader.

use std::fmt;
use std::future::Future;
use std::mem;
use std::ops::Deref;
use std::panic::Location;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use pin_project_lite::pin_project;

use super::acquire::RawUpgrade;
use super::light::Share;
use super::raw::Side;
use super::{RwLock, RwLockReadGuard, RwLockWriteGuard};

/// Access to the value of an [`RwLock`] for the one reader that may become the writer; dropping it
/// unlocks.
///
/// Others may read beside it. From [`RwLock::upgradable_read`].
///
/// ```
/// use std::collections::HashMap;
/// use sync::{RwLock, RwLockUpgradableReadGuard, RwLockWriteGuard};
///
/// # runtime::block_on(async {
/// let cache = RwLock::new(HashMap::new());
/// let found = cache.upgradable_read().await;
/// let entry = if found.contains_key("a") {
///     RwLockUpgradableReadGuard::downgrade(found)
/// } else {
///     // Nobody has written since the look.
///     let mut cache = RwLockUpgradableReadGuard::upgrade(found).await;
///     cache.insert("a", 1);
///     RwLockWriteGuard::downgrade(cache)
/// };
/// assert_eq!(entry["a"], 1);
/// # });
/// ```
///
/// **Go:** none: there one unlocks, locks for writing, and looks again.
#[must_use = "dropped at once, it protects nothing"]
pub struct RwLockUpgradableReadGuard<'a, T: ?Sized> {
    lock: &'a RwLock<T>,
}

// SAFETY: through a shared guard one gets `&T`. (It is `Send` by itself, if `RwLock<T>` is `Sync`;
// and then it may become a writer's, which needs `T: Send`, as that does.)
unsafe impl<T: ?Sized + Send + Sync> Sync for RwLockUpgradableReadGuard<'_, T> {}

impl<'a, T: ?Sized> RwLockUpgradableReadGuard<'a, T> {
    /// The caller has just taken the lock and leaves it to the guard.
    #[inline]
    pub(super) fn new(lock: &'a RwLock<T>) -> Self {
        Self { lock }
    }

    /// The lock of this guard.
    ///
    /// ```
    /// # runtime::block_on(async {
    /// let lock = sync::RwLock::new(1);
    /// let guard = lock.upgradable_read().await;
    /// assert!(sync::RwLockUpgradableReadGuard::rwlock(&guard).try_read().is_some());
    /// # });
    /// ```
    ///
    /// **Go:** none.
    pub fn rwlock(guard: &Self) -> &'a RwLock<T> {
        guard.lock
    }

    /// Becomes the writer; waits until the other readers are gone. No other writer comes in
    /// between, and no new readers.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future drops the guard: the lock is given back. Nothing else is lost.
    ///
    /// # Memory ordering
    ///
    /// What the other readers did under the lock is visible.
    ///
    /// ```
    /// # use sync::{RwLock, RwLockUpgradableReadGuard};
    /// # runtime::block_on(async {
    /// let lock = RwLock::new(1);
    /// let guard = lock.upgradable_read().await;
    /// *RwLockUpgradableReadGuard::upgrade(guard).await += 1;
    /// assert_eq!(*lock.read().await, 2);
    /// # });
    /// ```
    ///
    /// **Go:** none.
    #[track_caller]
    pub fn upgrade(guard: Self) -> RwLockUpgrade<'a, T> {
        RwLockUpgrade {
            raw: RawUpgrade::new(&guard.lock.raw, Location::caller()),
            guard: Some(guard),
        }
    }

    /// Becomes the writer, if there is no other reader at this moment.
    ///
    /// # Errors
    ///
    /// The guard, as it was, if there is one.
    ///
    /// ```
    /// # use sync::{RwLock, RwLockUpgradableReadGuard};
    /// let lock = RwLock::new(1);
    /// let guard = lock.try_upgradable_read().unwrap();
    /// let reader = lock.try_read().unwrap();
    /// let guard = RwLockUpgradableReadGuard::try_upgrade(guard).unwrap_err();
    /// drop(reader);
    /// *RwLockUpgradableReadGuard::try_upgrade(guard).unwrap() += 1;
    /// assert_eq!(lock.into_inner(), 2);
    /// ```
    ///
    /// **Go:** none.
    pub fn try_upgrade(guard: Self) -> Result<RwLockWriteGuard<'a, T>, Self> {
        match guard.lock.raw.try_upgrade() {
            true => Ok(guard.upgraded()),
            false => Err(guard),
        }
    }

    /// Goes on as a plain reader; another may be the upgradable one.
    ///
    /// ```
    /// # use sync::{RwLock, RwLockUpgradableReadGuard};
    /// let lock = RwLock::new(1);
    /// let reader = RwLockUpgradableReadGuard::downgrade(lock.try_upgradable_read().unwrap());
    /// assert_eq!(*lock.try_upgradable_read().unwrap(), *reader);
    /// ```
    ///
    /// **Go:** none.
    pub fn downgrade(guard: Self) -> RwLockReadGuard<'a, T> {
        let lock = guard.lock;
        mem::forget(guard);
        // First, so that the lock is given back in any case, should a waker panic.
        let reader = RwLockReadGuard::new(lock, Share::COUNTED);
        lock.raw.downgrade(Side::Upgradable, Side::Read);
        reader
    }

    /// The raw lock has just made it the writer.
    fn upgraded(self) -> RwLockWriteGuard<'a, T> {
        let lock = self.lock;
        mem::forget(self);
        RwLockWriteGuard::new(lock)
    }
}

impl<T: ?Sized> Deref for RwLockUpgradableReadGuard<'_, T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        // SAFETY: while the guard holds the lock there are readers only.
        unsafe { &*self.lock.value.get() }
    }
}

impl<T: ?Sized> Drop for RwLockUpgradableReadGuard<'_, T> {
    #[inline]
    fn drop(&mut self) {
        self.lock.raw.unlock(Side::Upgradable);
    }
}

impl<T: ?Sized + fmt::Debug> fmt::Debug for RwLockUpgradableReadGuard<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&**self, f)
    }
}

pin_project! {
    /// Future of [`RwLockUpgradableReadGuard::upgrade`].
    ///
    /// ```
    /// # use sync::{RwLock, RwLockUpgradableReadGuard, RwLockUpgrade};
    /// # runtime::block_on(async {
    /// let lock = RwLock::new(1);
    /// let guard = lock.upgradable_read().await;
    /// let upgrade: RwLockUpgrade<'_, i32> = RwLockUpgradableReadGuard::upgrade(guard);
    /// drop(upgrade);
    /// assert!(lock.try_write().is_some());
    /// # });
    /// ```
    ///
    /// **Go:** none.
    #[must_use = "futures do nothing unless awaited; dropping it unlocks"]
    pub struct RwLockUpgrade<'a, T: ?Sized> {
        // Dropped in this order: first what waits, which leaves an upgradable reader, and then
        // that.
        #[pin]
        raw: RawUpgrade<'a>,
        // `None` once it is the writer.
        guard: Option<RwLockUpgradableReadGuard<'a, T>>,
    }
}

impl<'a, T: ?Sized> Future for RwLockUpgrade<'a, T> {
    type Output = RwLockWriteGuard<'a, T>;

    #[track_caller]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        assert!(
            this.guard.is_some(),
            "RwLockUpgrade polled after it returned: await it once"
        );
        ready!(this.raw.poll(cx));
        let guard = this.guard.take().expect("looked at above");
        Poll::Ready(guard.upgraded())
    }
}

impl<T: ?Sized> fmt::Debug for RwLockUpgrade<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RwLockUpgrade")
            .field("upgraded", &self.guard.is_none())
            .finish_non_exhaustive()
    }
}
