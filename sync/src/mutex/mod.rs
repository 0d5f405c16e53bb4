//! ⚠ `Mutex`: one at a time, across awaits.
//!
//! The lock itself is [`raw`]; here is the value that it protects; the guards are in [`guard`] and
//! [`mapped`].
//!
//! Invariant, which the SAFETY comments cite: the value is reached only by who holds the raw lock,
//! by `&mut Mutex`, or by owning it. A guard exists exactly while the raw lock is held for it, and
//! `raw` gives the lock to one at a time.
//!
//! There is no poisoning: a panic while a guard is alive frees the lock, as in Go, and the value is
//! as the panic left it.

use std::cell::UnsafeCell;
use std::fmt;
use std::future::Future;
use std::panic::Location;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use pin_project_lite::pin_project;
use runtime::task::WaitReason;

mod guard;
mod light;
mod mapped;
mod mapped_owned;
mod raw;

pub use guard::{MutexGuard, OwnedMutexGuard};
pub use mapped::MappedMutexGuard;
pub use mapped_owned::OwnedMappedMutexGuard;
pub(crate) use raw::RawMutex;
use raw::{Owner, RawLock};

use crate::blocking;

/// Mutual exclusion whose guard may be held across an `.await`.
///
/// Waiting suspends the task, allocates nothing, and is first come, first served but for one thing:
/// a task that finds the lock free takes it, even if another has just been woken for it. One that
/// has waited for more than a millisecond is overtaken no more, so nobody starves. An uncontended
/// lock and unlock are one atomic operation each, and soon, while that stays so, an unlock is a
/// plain store.
///
/// (For the latter Linux is asked by `membarrier(2)`, when a task has to wait after all. A filter
/// of system calls that is put in place after the runtime has started has to allow it: otherwise
/// who would wait panics, and says so.)
///
/// Where a critical section has no `.await` in it and is short, `std::sync::Mutex` does as well. A
/// panic while it is locked does not poison it.
///
/// ```
/// use std::sync::Arc;
/// use sync::{Mutex, WaitGroup};
///
/// # runtime::block_on(async {
/// let total = Arc::new(Mutex::new(0));
/// let group = WaitGroup::new();
/// for n in 1..=10 {
///     let total = total.clone();
///     group.spawn(async move { *total.lock().await += n });
/// }
/// group.wait().await;
/// assert_eq!(*total.lock().await, 55);
/// # });
/// ```
///
/// The tempting wrong way is to lock twice in one task, as with a helper that locks again: it waits
/// for itself.
///
/// ```
/// # let mutex = sync::Mutex::new(1);
/// # runtime::block_on(async {
/// let guard = mutex.lock().await;
/// assert!(mutex.try_lock().is_none()); // `mutex.lock().await` would never return
/// drop(guard);
/// # });
/// ```
///
/// **Go:** `sync.Mutex`, with what it protects inside. Unlocking what is not locked, a fatal error
/// there, cannot be written.
pub struct Mutex<T: ?Sized> {
    raw: RawMutex,
    /// Reached by who holds `raw`.
    value: UnsafeCell<T>,
}

// SAFETY: with the mutex the value goes to the other thread.
unsafe impl<T: ?Sized + Send> Send for Mutex<T> {}
// SAFETY: threads that share it reach the value one at a time, by the invariant, so it needs to be
// `Send` only.
unsafe impl<T: ?Sized + Send> Sync for Mutex<T> {}

impl<T: ?Sized> std::panic::UnwindSafe for Mutex<T> {}
impl<T: ?Sized> std::panic::RefUnwindSafe for Mutex<T> {}

impl<T> Mutex<T> {
    constant! {
        /// An unlocked mutex. It can be a `static`.
        ///
        /// ```
        /// static LOG: sync::Mutex<Vec<String>> = sync::Mutex::new(Vec::new());
        ///
        /// # runtime::block_on(async {
        /// LOG.lock().await.push("started".into());
        /// # });
        /// ```
        ///
        /// **Go:** `var mu sync.Mutex`.
        pub const fn new(value: T) -> Self {
            Self {
                raw: RawMutex::new(),
                value: UnsafeCell::new(value),
            }
        }
    }

    /// The value, without locking: nobody else has the mutex.
    ///
    /// ```
    /// assert_eq!(sync::Mutex::new(7).into_inner(), 7);
    /// ```
    ///
    /// **Go:** none; whoever knows that he is alone reads the field.
    pub fn into_inner(self) -> T {
        self.value.into_inner()
    }
}

impl<T: ?Sized> Owner for Mutex<T> {
    const REASON: WaitReason = WaitReason::MutexLock;

    #[inline]
    fn raw(&self) -> &RawMutex {
        &self.raw
    }
}

impl<T: ?Sized> Mutex<T> {
    /// Locks; waits while another holds the lock. It is unlocked when the guard is dropped.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: dropping the future gives its place in the queue up, and a lock that it was
    /// just being given goes to the next.
    ///
    /// # Memory ordering
    ///
    /// What was done under the lock before is visible.
    ///
    /// ```
    /// # runtime::block_on(async {
    /// let names = sync::Mutex::new(Vec::new());
    /// names.lock().await.push("Ada");
    /// # });
    /// ```
    ///
    /// **Go:** `mu.Lock()`, and `defer mu.Unlock()` for free.
    #[inline]
    #[track_caller]
    pub fn lock(&self) -> MutexLock<'_, T> {
        self.lock_at(Location::caller())
    }

    /// As [`lock`](Self::lock), on behalf of who waits at `place`.
    #[inline]
    pub(crate) fn lock_at(&self, place: &'static Location<'static>) -> MutexLock<'_, T> {
        MutexLock {
            raw: RawLock::new(self, place),
        }
    }

    /// Locks if that is possible at once. `None` if it is locked, or owed to a task that has waited
    /// for long.
    ///
    /// ```
    /// let mutex = sync::Mutex::new(1);
    /// let guard = mutex.try_lock().unwrap();
    /// assert!(mutex.try_lock().is_none());
    /// # drop(guard);
    /// ```
    ///
    /// **Go:** `mu.TryLock()`.
    #[inline]
    pub fn try_lock(&self) -> Option<MutexGuard<'_, T>> {
        self.raw.try_lock().then(|| MutexGuard::new(self))
    }

    /// Locks, blocking the thread. For threads outside the runtime.
    ///
    /// # Panics
    ///
    /// Inside a task or the body of `block_on`, which it would hold up.
    ///
    /// ```
    /// let mutex = sync::Mutex::new(1);
    /// *mutex.blocking_lock() += 1;
    /// assert_eq!(mutex.into_inner(), 2);
    /// ```
    ///
    /// **Go:** `mu.Lock()` on a thread of one's own.
    #[track_caller]
    pub fn blocking_lock(&self) -> MutexGuard<'_, T> {
        blocking::wait(self.lock(), "Mutex::blocking_lock", "lock().await")
    }

    /// Locks like [`lock`](Self::lock), with a guard that borrows nothing: it may go into a task.
    ///
    /// # Cancel safety
    ///
    /// As `lock`.
    ///
    /// ```
    /// # runtime::block_on(async {
    /// let mutex = std::sync::Arc::new(sync::Mutex::new(1));
    /// let mut guard = mutex.clone().lock_owned().await;
    /// runtime::spawn(async move { *guard += 1 }).await.unwrap();
    /// assert_eq!(*mutex.lock().await, 2);
    /// # });
    /// ```
    ///
    /// **Go:** `mu.Lock()` here and `mu.Unlock()` in another goroutine.
    #[track_caller]
    pub fn lock_owned(self: Arc<Self>) -> impl Future<Output = OwnedMutexGuard<T>> {
        let place = Location::caller();
        async move {
            RawLock::new(&*self, place).await;
            OwnedMutexGuard::new(self)
        }
    }

    /// Locks like [`blocking_lock`](Self::blocking_lock), with a guard that borrows nothing.
    ///
    /// # Panics
    ///
    /// Inside a task or the body of `block_on`, which it would hold up.
    ///
    /// ```
    /// let mutex = std::sync::Arc::new(sync::Mutex::new(1));
    /// let mut guard = mutex.blocking_lock_owned();
    /// std::thread::spawn(move || *guard += 1).join().unwrap();
    /// ```
    ///
    /// **Go:** `mu.Lock()` on a thread of one's own, and `mu.Unlock()` on another.
    #[track_caller]
    pub fn blocking_lock_owned(self: Arc<Self>) -> OwnedMutexGuard<T> {
        blocking::wait(
            self.lock_owned(),
            "Mutex::blocking_lock_owned",
            "lock_owned().await",
        )
    }

    /// Locks like [`try_lock`](Self::try_lock), with a guard that borrows nothing.
    ///
    /// ```
    /// let mutex = std::sync::Arc::new(sync::Mutex::new(1));
    /// let guard = mutex.clone().try_lock_owned().unwrap();
    /// assert!(mutex.try_lock_owned().is_none());
    /// # drop(guard);
    /// ```
    ///
    /// **Go:** `mu.TryLock()`.
    pub fn try_lock_owned(self: Arc<Self>) -> Option<OwnedMutexGuard<T>> {
        self.raw.try_lock().then(|| OwnedMutexGuard::new(self))
    }

    /// The value, without locking: `&mut` proves that nobody else has it.
    ///
    /// ```
    /// let mut mutex = sync::Mutex::new(1);
    /// *mutex.get_mut() = 2;
    /// assert_eq!(mutex.into_inner(), 2);
    /// ```
    ///
    /// **Go:** none.
    pub fn get_mut(&mut self) -> &mut T {
        self.value.get_mut()
    }

    /// Whether somebody holds the lock; by the time that the caller looks it may be otherwise.
    ///
    /// ```
    /// assert!(!sync::Mutex::new(1).is_locked());
    /// ```
    ///
    /// **Go:** none.
    pub fn is_locked(&self) -> bool {
        self.raw.is_locked()
    }
}

impl<T: Default> Default for Mutex<T> {
    fn default() -> Self {
        Self::new(T::default())
    }
}

impl<T> From<T> for Mutex<T> {
    fn from(value: T) -> Self {
        Self::new(value)
    }
}

impl<T: ?Sized + fmt::Debug> fmt::Debug for Mutex<T> {
    /// Never waits: a locked mutex shows `<locked>` for its value.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = f.debug_struct("Mutex");
        match self.try_lock() {
            Some(guard) => debug.field("value", &&*guard),
            None => debug.field("value", &format_args!("<locked>")),
        };
        debug.finish()
    }
}

pin_project! {
    /// Future of [`Mutex::lock`].
    ///
    /// ```
    /// # runtime::block_on(async {
    /// let mutex = sync::Mutex::new(1);
    /// let lock: sync::MutexLock<'_, i32> = mutex.lock();
    /// assert_eq!(*lock.await, 1);
    /// # });
    /// ```
    ///
    /// **Go:** a goroutine inside `mu.Lock()`.
    #[must_use = "futures do nothing unless awaited"]
    pub struct MutexLock<'a, T: ?Sized> {
        #[pin]
        raw: RawLock<'a, Mutex<T>>,
    }
}

impl<'a, T: ?Sized> Future for MutexLock<'a, T> {
    type Output = MutexGuard<'a, T>;

    #[inline]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut raw = self.project().raw;
        ready!(raw.as_mut().poll(cx));
        Poll::Ready(MutexGuard::new(raw.owner()))
    }
}

impl<T: ?Sized> fmt::Debug for MutexLock<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MutexLock").finish_non_exhaustive()
    }
}
