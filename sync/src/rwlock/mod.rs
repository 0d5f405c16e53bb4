//! ⚠ `RwLock`: many readers or one writer, across awaits.
//!
//! The lock itself is [`raw`], its mode for readers only [`light`], which notes them in [`slots`],
//! and [`acquire`] waits for it; here is the value that it protects.
//! [`locking`] has the futures of its methods, and [`guard`], [`upgradable`] and [`mapped`] what
//! they end with.
//!
//! Invariant, which the SAFETY comments cite: the value is read only by who holds the raw lock on
//! either side, and written only by who holds it for writing, by `&mut RwLock`, or by owning it. A
//! guard exists exactly while the raw lock is held for it.

use std::cell::UnsafeCell;
use std::fmt;
use std::future::Future;
use std::panic::Location;
use std::sync::Arc;

mod acquire;
mod guard;
mod light;
mod locking;
mod mapped;
mod mapped_owned;
mod raw;
mod slots;
mod upgradable;

use acquire::{Owner, RawAcquire, Read, Write};
pub use guard::{OwnedRwLockReadGuard, OwnedRwLockWriteGuard, RwLockReadGuard, RwLockWriteGuard};
pub use locking::{RwLockRead, RwLockUpgradableRead, RwLockWrite};
pub use mapped::{MappedRwLockReadGuard, MappedRwLockWriteGuard};
pub use mapped_owned::{OwnedMappedRwLockReadGuard, OwnedMappedRwLockWriteGuard};
use raw::{RawRwLock, Side};
pub use upgradable::{RwLockUpgradableReadGuard, RwLockUpgrade};

use crate::blocking;

/// Many readers at a time, or one writer; the guards may be held across an `.await`.
///
/// A writer that waits keeps new readers out. When a writer unlocks, all readers that wait by then
/// go first, and then the next writer: the phases alternate, and neither side starves. One waits
/// from its first poll on; in a task that has been at work in the same poll for a while, from the
/// next: others run first, once ([`poll_give_way`](runtime::task::coop::poll_give_way)). Waiting
/// allocates nothing. A panic under the lock does not poison it.
///
/// It pays where reading takes long or is done by many. For short sections of which some write, a
/// [`Mutex`](crate::Mutex) is faster.
///
/// A lock that was read a thousand times in a row becomes light, on Linux: its readers then write
/// only to a cache line of their thread's, so that they do not slow each other down on however many
/// cores. The first writer after that ends it, and pays some microseconds; each time it takes twice
/// as many reads to get there again, up to a million. (What the writer asks of Linux is
/// `membarrier(2)`. A filter of system calls that is put in place after the runtime has started has
/// to allow it: otherwise who wants to write panics, and says so.)
///
/// ```
/// # runtime::block_on(async {
/// let routes = sync::RwLock::new(vec!["/"]);
/// assert_eq!(routes.read().await.len(), 1);
/// routes.write().await.push("/about");
/// assert_eq!(routes.read().await.len(), 2);
/// # });
/// ```
///
/// **Go:** `sync.RWMutex`, with what it protects inside.
pub struct RwLock<T: ?Sized> {
    raw: RawRwLock,
    /// Reached by who holds `raw`.
    value: UnsafeCell<T>,
}

// SAFETY: with the lock the value goes to the other thread.
unsafe impl<T: ?Sized + Send> Send for RwLock<T> {}
// SAFETY: threads that share it read the value at the same time, hence `Sync`, and write it one at
// a time, hence `Send`.
unsafe impl<T: ?Sized + Send + Sync> Sync for RwLock<T> {}

impl<T: ?Sized> std::panic::UnwindSafe for RwLock<T> {}
impl<T: ?Sized> std::panic::RefUnwindSafe for RwLock<T> {}

impl<T> RwLock<T> {
    constant! {
        /// An unlocked lock. It can be a `static`.
        ///
        /// ```
        /// static ROUTES: sync::RwLock<Vec<String>> = sync::RwLock::new(Vec::new());
        /// ```
        ///
        /// **Go:** `var mu sync.RWMutex`.
        pub const fn new(value: T) -> Self {
            Self {
                raw: RawRwLock::new(),
                value: UnsafeCell::new(value),
            }
        }
    }

    /// The value, without locking: nobody else has the lock.
    ///
    /// ```
    /// assert_eq!(sync::RwLock::new(7).into_inner(), 7);
    /// ```
    ///
    /// **Go:** none; whoever knows that he is alone reads the field.
    pub fn into_inner(self) -> T {
        self.value.into_inner()
    }
}

impl<T: ?Sized> Owner for RwLock<T> {
    #[inline]
    fn raw(&self) -> &RawRwLock {
        &self.raw
    }
}

impl<T: ?Sized> RwLock<T> {
    /// Locks for reading; waits while a writer holds the lock, or waits for it. It is unlocked when
    /// the guard is dropped.
    ///
    /// Do not lock for reading again while holding a guard: if a writer has come meanwhile, both
    /// wait for each other.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: dropping the future gives its place in the queue up, and a lock that it was
    /// just being given goes on.
    ///
    /// # Memory ordering
    ///
    /// What writers did before is visible, and what is read comes before what the next writer does,
    /// in any mode of the lock.
    ///
    /// ```
    /// # runtime::block_on(async {
    /// let lock = sync::RwLock::new(1);
    /// let (one, two) = (lock.read().await, lock.read().await);
    /// assert_eq!(*one, *two);
    /// # });
    /// ```
    ///
    /// **Go:** `mu.RLock()`.
    #[inline]
    #[track_caller]
    pub fn read(&self) -> RwLockRead<'_, T> {
        RwLockRead::new(self, Location::caller())
    }

    /// Locks for reading if that is possible at once. `None` if a writer holds the lock, or others
    /// wait.
    ///
    /// ```
    /// assert!(sync::RwLock::new(1).try_read().is_some());
    /// ```
    ///
    /// **Go:** `mu.TryRLock()`.
    #[inline]
    pub fn try_read(&self) -> Option<RwLockReadGuard<'_, T>> {
        let share = self.raw.try_read()?;
        Some(RwLockReadGuard::new(self, share))
    }

    /// Locks for reading, blocking the thread. For threads outside the runtime.
    ///
    /// # Panics
    ///
    /// Inside a task or the body of `block_on`, which it would hold up.
    ///
    /// ```
    /// assert_eq!(*sync::RwLock::new(1).blocking_read(), 1);
    /// ```
    ///
    /// **Go:** `mu.RLock()` on a thread of one's own.
    #[track_caller]
    pub fn blocking_read(&self) -> RwLockReadGuard<'_, T> {
        blocking::wait(self.read(), "RwLock::blocking_read", "read().await")
    }

    /// Locks for reading, with a guard that borrows nothing: it may go into a task.
    ///
    /// # Cancel safety
    ///
    /// As [`read`](Self::read).
    ///
    /// ```
    /// # runtime::block_on(async {
    /// let lock = std::sync::Arc::new(sync::RwLock::new(1));
    /// let guard = lock.read_owned().await;
    /// runtime::spawn(async move { drop(guard) }).await.unwrap();
    /// # });
    /// ```
    ///
    /// **Go:** `mu.RLock()` here, and the unlocking in another goroutine.
    #[track_caller]
    pub fn read_owned(self: Arc<Self>) -> impl Future<Output = OwnedRwLockReadGuard<T>> {
        let place = Location::caller();
        async move {
            let share = RawAcquire::<_, Read>::new(&*self, place).await;
            OwnedRwLockReadGuard::new(self, share)
        }
    }

    /// Locks like [`try_read`](Self::try_read), with a guard that borrows nothing.
    ///
    /// ```
    /// let lock = std::sync::Arc::new(sync::RwLock::new(1));
    /// assert!(lock.try_read_owned().is_some());
    /// ```
    ///
    /// **Go:** `mu.TryRLock()`.
    pub fn try_read_owned(self: Arc<Self>) -> Option<OwnedRwLockReadGuard<T>> {
        let share = self.raw.try_read()?;
        Some(OwnedRwLockReadGuard::new(self, share))
    }

    /// Locks like [`blocking_read`](Self::blocking_read), with a guard that borrows nothing.
    ///
    /// # Panics
    ///
    /// Inside a task or the body of `block_on`, which it would hold up.
    ///
    /// ```
    /// let lock = std::sync::Arc::new(sync::RwLock::new(1));
    /// assert_eq!(*lock.blocking_read_owned(), 1);
    /// ```
    ///
    /// **Go:** `mu.RLock()` on a thread of one's own.
    #[track_caller]
    pub fn blocking_read_owned(self: Arc<Self>) -> OwnedRwLockReadGuard<T> {
        blocking::wait(
            self.read_owned(),
            "RwLock::blocking_read_owned",
            "read_owned().await",
        )
    }

    /// Locks for reading, with the right to become the writer: see [`RwLockUpgradableReadGuard`].
    /// Others read beside it, but there is one with this right at a time. Waits while a writer, or
    /// another of its kind, holds the lock, or others wait for it.
    ///
    /// # Cancel safety
    ///
    /// As [`read`](Self::read).
    ///
    /// # Memory ordering
    ///
    /// As `read`.
    ///
    /// ```
    /// # use sync::{RwLock, RwLockUpgradableReadGuard};
    /// # runtime::block_on(async {
    /// let lock = RwLock::new(String::new());
    /// let guard = lock.upgradable_read().await;
    /// if guard.is_empty() {
    ///     RwLockUpgradableReadGuard::upgrade(guard).await.push_str("made once");
    /// }
    /// # });
    /// ```
    ///
    /// **Go:** none: there one unlocks, locks for writing, and looks again.
    #[inline]
    #[track_caller]
    pub fn upgradable_read(&self) -> RwLockUpgradableRead<'_, T> {
        RwLockUpgradableRead::new(self, Location::caller())
    }

    /// Locks like [`upgradable_read`](Self::upgradable_read) if that is possible at once.
    ///
    /// ```
    /// let lock = sync::RwLock::new(1);
    /// let guard = lock.try_upgradable_read().unwrap();
    /// assert!(lock.try_read().is_some());
    /// assert!(lock.try_upgradable_read().is_none());
    /// # drop(guard);
    /// ```
    ///
    /// **Go:** none.
    pub fn try_upgradable_read(&self) -> Option<RwLockUpgradableReadGuard<'_, T>> {
        (self.raw.try_lock(Side::Upgradable)).then(|| RwLockUpgradableReadGuard::new(self))
    }

    /// Locks like [`upgradable_read`](Self::upgradable_read), blocking the thread. For threads
    /// outside the runtime.
    ///
    /// # Panics
    ///
    /// Inside a task or the body of `block_on`, which it would hold up.
    ///
    /// ```
    /// assert_eq!(*sync::RwLock::new(1).blocking_upgradable_read(), 1);
    /// ```
    ///
    /// **Go:** none.
    #[track_caller]
    pub fn blocking_upgradable_read(&self) -> RwLockUpgradableReadGuard<'_, T> {
        blocking::wait(
            self.upgradable_read(),
            "RwLock::blocking_upgradable_read",
            "upgradable_read().await",
        )
    }

    /// Locks for writing; waits while anyone else holds the lock. It is unlocked when the guard is
    /// dropped.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: dropping the future gives its place in the queue up, and a lock that it was
    /// just being given goes on.
    ///
    /// # Memory ordering
    ///
    /// What was done under the lock before is visible.
    ///
    /// ```
    /// # runtime::block_on(async {
    /// let lock = sync::RwLock::new(1);
    /// let mut guard = lock.write().await;
    /// *guard += 1;
    /// # });
    /// ```
    ///
    /// **Go:** `mu.Lock()`.
    #[inline]
    #[track_caller]
    pub fn write(&self) -> RwLockWrite<'_, T> {
        RwLockWrite::new(self, Location::caller())
    }

    /// Locks for writing if that is possible at once. `None` if anyone holds the lock, or others
    /// wait.
    ///
    /// ```
    /// assert!(sync::RwLock::new(1).try_write().is_some());
    /// ```
    ///
    /// **Go:** `mu.TryLock()`.
    #[inline]
    pub fn try_write(&self) -> Option<RwLockWriteGuard<'_, T>> {
        (self.raw.try_lock(Side::Write)).then(|| RwLockWriteGuard::new(self))
    }

    /// Locks for writing, blocking the thread. For threads outside the runtime.
    ///
    /// # Panics
    ///
    /// Inside a task or the body of `block_on`, which it would hold up.
    ///
    /// ```
    /// assert_eq!(*sync::RwLock::new(1).blocking_write(), 1);
    /// ```
    ///
    /// **Go:** `mu.Lock()` on a thread of one's own.
    #[track_caller]
    pub fn blocking_write(&self) -> RwLockWriteGuard<'_, T> {
        blocking::wait(self.write(), "RwLock::blocking_write", "write().await")
    }

    /// Locks for writing, with a guard that borrows nothing: it may go into a task.
    ///
    /// # Cancel safety
    ///
    /// As [`write`](Self::write).
    ///
    /// ```
    /// # runtime::block_on(async {
    /// let lock = std::sync::Arc::new(sync::RwLock::new(1));
    /// let guard = lock.write_owned().await;
    /// runtime::spawn(async move { drop(guard) }).await.unwrap();
    /// # });
    /// ```
    ///
    /// **Go:** `mu.Lock()` here, and the unlocking in another goroutine.
    #[track_caller]
    pub fn write_owned(self: Arc<Self>) -> impl Future<Output = OwnedRwLockWriteGuard<T>> {
        let place = Location::caller();
        async move {
            RawAcquire::<_, Write>::new(&*self, place).await;
            OwnedRwLockWriteGuard::new(self)
        }
    }

    /// Locks like [`try_write`](Self::try_write), with a guard that borrows nothing.
    ///
    /// ```
    /// let lock = std::sync::Arc::new(sync::RwLock::new(1));
    /// assert!(lock.try_write_owned().is_some());
    /// ```
    ///
    /// **Go:** `mu.TryLock()`.
    pub fn try_write_owned(self: Arc<Self>) -> Option<OwnedRwLockWriteGuard<T>> {
        (self.raw.try_lock(Side::Write)).then(|| OwnedRwLockWriteGuard::new(self))
    }

    /// Locks like [`blocking_write`](Self::blocking_write), with a guard that borrows nothing.
    ///
    /// # Panics
    ///
    /// Inside a task or the body of `block_on`, which it would hold up.
    ///
    /// ```
    /// let lock = std::sync::Arc::new(sync::RwLock::new(1));
    /// assert_eq!(*lock.blocking_write_owned(), 1);
    /// ```
    ///
    /// **Go:** `mu.Lock()` on a thread of one's own.
    #[track_caller]
    pub fn blocking_write_owned(self: Arc<Self>) -> OwnedRwLockWriteGuard<T> {
        blocking::wait(
            self.write_owned(),
            "RwLock::blocking_write_owned",
            "write_owned().await",
        )
    }

    /// The value, without locking: `&mut` proves that nobody else has it.
    ///
    /// ```
    /// let mut lock = sync::RwLock::new(1);
    /// *lock.get_mut() = 2;
    /// assert_eq!(lock.into_inner(), 2);
    /// ```
    ///
    /// **Go:** none.
    pub fn get_mut(&mut self) -> &mut T {
        self.value.get_mut()
    }
}

impl<T: Default> Default for RwLock<T> {
    fn default() -> Self {
        Self::new(T::default())
    }
}

impl<T> From<T> for RwLock<T> {
    fn from(value: T) -> Self {
        Self::new(value)
    }
}

impl<T: ?Sized + fmt::Debug> fmt::Debug for RwLock<T> {
    /// Never waits: a lock that cannot be read now shows `<locked>` for its value.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = f.debug_struct("RwLock");
        match self.try_read() {
            Some(guard) => debug.field("value", &&*guard),
            None => debug.field("value", &format_args!("<locked>")),
        };
        debug.finish()
    }
}
