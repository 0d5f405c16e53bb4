//! `Semaphore`: a number of permits, taken some at a time, first come, first served.
//!
//! Here is what its users see. [`raw`] has the word that counts, and the queue; [`acquire`] the
//! futures, [`permit`] the guards.
//!
//! *Rejected*: `add_permits`, as Tokio has it. With a fixed size a request that can never be met is
//! a mistake that is seen at once. Who wants to wait for events takes a channel or a `Notify`. And
//! an `acquire` that everybody has to unwrap, for the sake of the few who close their semaphore:
//! these take `checked_acquire`.
#![forbid(unsafe_code)]

use std::fmt;
use std::future::Future;
use std::panic::Location;
use std::sync::Arc;

mod acquire;
mod permit;
mod raw;

pub use acquire::{Acquire, CheckedAcquire, SemaphoreClosed};
pub use permit::{OwnedSemaphorePermit, SemaphorePermit};
use raw::{MAX_SIZE, RawSemaphore};

use crate::blocking;

/// A number of permits that tasks take and give back: at most so many of something at once.
///
/// Requests are served in the order in which they came, each with the number of permits that it
/// wants; a large one is not overtaken by small ones. A request comes when it is first polled; in a
/// task that has been at work in the same poll for a while, and finds too few permits, at the next
/// poll: others run first, once ([`poll_give_way`](runtime::task::coop::poll_give_way)). Waiting
/// allocates nothing.
///
/// ```
/// use std::sync::Arc;
/// use sync::{Semaphore, WaitGroup};
///
/// # runtime::block_on(async {
/// let connections = Arc::new(Semaphore::new(10)); // at most ten at once
/// let group = WaitGroup::new();
/// for n in 0..100 {
///     let permit = connections.clone().acquire_owned().await;
///     group.spawn(async move {
///         let _permit = permit; // given back when the task ends, however it ends
///         println!("fetching {n}");
///     });
/// }
/// group.wait().await;
/// assert_eq!(connections.available(), 10);
/// # });
/// ```
///
/// **Go:** `semaphore.Weighted` of `golang.org/x/sync`; a permit that is dropped is its `Release`.
pub struct Semaphore {
    raw: RawSemaphore,
}

const TOO_MANY: &str = "semaphore: released more than held: dropping a permit gives it back; release() only what was forgotten";

impl Semaphore {
    constant! {
        /// A semaphore with `size` permits, all of them free. It can be a `static`.
        ///
        /// # Panics
        ///
        /// If `size` is more than an eighth of `usize::MAX`.
        ///
        /// ```
        /// static DISK: sync::Semaphore = sync::Semaphore::new(4);
        /// assert_eq!(DISK.available(), 4);
        /// ```
        ///
        /// **Go:** `semaphore.NewWeighted(size)`.
        pub const fn new(size: usize) -> Self {
            assert!(size <= MAX_SIZE, "Semaphore::new: more permits than an eighth of usize::MAX");
            Self {
                raw: RawSemaphore::new(size),
            }
        }
    }

    /// Takes one permit; waits until it is its turn and one is free.
    ///
    /// # Panics
    ///
    /// If the semaphore has no permits at all: it would wait for ever. The future panics if the
    /// semaphore is [closed](Self::close).
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: dropping the future gives its place up, and a permit that it was just being
    /// given goes to the next.
    ///
    /// # Memory ordering
    ///
    /// What happened before permits were given back is visible to whom they are given.
    ///
    /// ```
    /// # runtime::block_on(async {
    /// let semaphore = sync::Semaphore::new(1);
    /// let permit = semaphore.acquire().await;
    /// assert!(semaphore.try_acquire().is_none());
    /// drop(permit);
    /// # });
    /// ```
    ///
    /// **Go:** `s.Acquire(ctx, 1)`; under a context, `ctx.run(semaphore.acquire()).await`.
    #[inline]
    #[track_caller]
    pub fn acquire(&self) -> Acquire<'_> {
        self.acquire_many(1)
    }

    /// Takes `n` permits at once; waits until it is its turn and so many are free. Zero permits are
    /// taken in turn, too.
    ///
    /// # Panics
    ///
    /// If `n` is more than [`size`](Self::size): it would wait for ever. Ask first, where `n` comes
    /// from elsewhere. The future panics if the semaphore is [closed](Self::close).
    ///
    /// # Cancel safety
    ///
    /// As [`acquire`](Self::acquire).
    ///
    /// ```
    /// # runtime::block_on(async {
    /// let memory = sync::Semaphore::new(1 << 20);
    /// let permit = memory.acquire_many(4096).await;
    /// assert_eq!(permit.count(), 4096);
    /// # });
    /// ```
    ///
    /// **Go:** `s.Acquire(ctx, n)`, which for too large an `n` waits until the context ends.
    #[inline]
    #[track_caller]
    pub fn acquire_many(&self, n: usize) -> Acquire<'_> {
        self.check_size(n);
        Acquire::new(self, n, Location::caller())
    }

    /// Takes `n` permits as [`acquire_many`](Self::acquire_many) does, unless the semaphore is
    /// [closed](Self::close) before it has them.
    ///
    /// # Errors
    ///
    /// If the semaphore is closed, or is closed while it waits.
    ///
    /// # Panics
    ///
    /// If `n` is more than [`size`](Self::size): it would wait for ever.
    ///
    /// # Cancel safety
    ///
    /// As [`acquire`](Self::acquire).
    ///
    /// ```
    /// # runtime::block_on(async {
    /// let semaphore = sync::Semaphore::new(1);
    /// let permit = semaphore.checked_acquire(1).await.unwrap();
    /// semaphore.close();
    /// assert!(semaphore.checked_acquire(1).await.is_err());
    /// # drop(permit);
    /// # });
    /// ```
    ///
    /// **Go:** `err := s.Acquire(ctx, n)`, where it is the context that ends it.
    #[inline]
    #[track_caller]
    pub fn checked_acquire(&self, n: usize) -> CheckedAcquire<'_> {
        self.check_size(n);
        CheckedAcquire::new(self, n, Location::caller())
    }

    /// Takes `n` permits as [`checked_acquire`](Self::checked_acquire) does, and borrows nothing.
    ///
    /// # Errors
    ///
    /// As `checked_acquire`.
    ///
    /// # Panics
    ///
    /// As `checked_acquire`.
    ///
    /// # Cancel safety
    ///
    /// As [`acquire`](Self::acquire).
    ///
    /// ```
    /// # runtime::block_on(async {
    /// let semaphore = std::sync::Arc::new(sync::Semaphore::new(2));
    /// let permit = semaphore.clone().checked_acquire_owned(2).await.unwrap();
    /// semaphore.close();
    /// runtime::spawn(async move { drop(permit) }).await.unwrap();
    /// assert_eq!(semaphore.available(), 2);
    /// # });
    /// ```
    ///
    /// **Go:** `err := s.Acquire(ctx, n)`.
    #[track_caller]
    pub fn checked_acquire_owned(
        self: Arc<Self>,
        n: usize,
    ) -> impl Future<Output = Result<OwnedSemaphorePermit, SemaphoreClosed>> {
        self.check_size(n);
        let place = Location::caller();
        async move {
            acquire::take(&self, n, place).await?;
            Ok(OwnedSemaphorePermit::new(self, n))
        }
    }

    /// Takes one permit if that is possible at once. `None` if none is free or others wait.
    ///
    /// ```
    /// assert!(sync::Semaphore::new(1).try_acquire().is_some());
    /// ```
    ///
    /// **Go:** `s.TryAcquire(1)`.
    #[inline]
    pub fn try_acquire(&self) -> Option<SemaphorePermit<'_>> {
        self.try_acquire_many(1)
    }

    /// Takes `n` permits if that is possible at once. `None` if there are fewer, or others wait.
    ///
    /// ```
    /// let semaphore = sync::Semaphore::new(3);
    /// let permit = semaphore.try_acquire_many(2);
    /// assert!(permit.is_some() && semaphore.try_acquire_many(2).is_none());
    /// ```
    ///
    /// **Go:** `s.TryAcquire(n)`.
    #[inline]
    pub fn try_acquire_many(&self, n: usize) -> Option<SemaphorePermit<'_>> {
        self.raw.try_take(n).then(|| SemaphorePermit::new(self, n))
    }

    /// Takes one permit as [`acquire`](Self::acquire) does, and borrows nothing: it may go into a
    /// task.
    ///
    /// # Panics
    ///
    /// As `acquire`.
    ///
    /// # Cancel safety
    ///
    /// As `acquire`.
    ///
    /// ```
    /// # runtime::block_on(async {
    /// let semaphore = std::sync::Arc::new(sync::Semaphore::new(1));
    /// let permit = semaphore.clone().acquire_owned().await;
    /// runtime::spawn(async move { drop(permit) }).await.unwrap();
    /// assert_eq!(semaphore.available(), 1);
    /// # });
    /// ```
    ///
    /// **Go:** `s.Acquire(ctx, 1)`.
    #[track_caller]
    pub fn acquire_owned(self: Arc<Self>) -> impl Future<Output = OwnedSemaphorePermit> {
        self.acquire_many_owned(1)
    }

    /// Takes `n` permits as [`acquire_many`](Self::acquire_many) does, and borrows nothing.
    ///
    /// # Panics
    ///
    /// As `acquire_many`.
    ///
    /// # Cancel safety
    ///
    /// As `acquire`.
    ///
    /// ```
    /// # runtime::block_on(async {
    /// let semaphore = std::sync::Arc::new(sync::Semaphore::new(3));
    /// let permit = semaphore.acquire_many_owned(2).await;
    /// assert_eq!(permit.count(), 2);
    /// # });
    /// ```
    ///
    /// **Go:** `s.Acquire(ctx, n)`.
    #[track_caller]
    pub fn acquire_many_owned(
        self: Arc<Self>,
        n: usize,
    ) -> impl Future<Output = OwnedSemaphorePermit> {
        self.check_size(n);
        let place = Location::caller();
        async move {
            acquire::or_panic(acquire::take(&self, n, place).await, place);
            OwnedSemaphorePermit::new(self, n)
        }
    }

    /// Takes one permit if that is possible at once, and borrows nothing.
    ///
    /// ```
    /// let semaphore = std::sync::Arc::new(sync::Semaphore::new(1));
    /// assert!(semaphore.try_acquire_owned().is_some());
    /// ```
    ///
    /// **Go:** `s.TryAcquire(1)`.
    pub fn try_acquire_owned(self: Arc<Self>) -> Option<OwnedSemaphorePermit> {
        self.raw
            .try_take(1)
            .then(|| OwnedSemaphorePermit::new(self, 1))
    }

    /// Takes `n` permits if that is possible at once, and borrows nothing.
    ///
    /// ```
    /// let semaphore = std::sync::Arc::new(sync::Semaphore::new(3));
    /// assert_eq!(semaphore.try_acquire_many_owned(2).unwrap().count(), 2);
    /// ```
    ///
    /// **Go:** `s.TryAcquire(n)`.
    pub fn try_acquire_many_owned(self: Arc<Self>, n: usize) -> Option<OwnedSemaphorePermit> {
        self.raw
            .try_take(n)
            .then(|| OwnedSemaphorePermit::new(self, n))
    }

    /// Takes one permit, blocking the thread. For threads outside the runtime.
    ///
    /// # Panics
    ///
    /// As [`acquire`](Self::acquire), and inside a task or the body of `block_on`, which it would
    /// hold up.
    ///
    /// ```
    /// let semaphore = sync::Semaphore::new(1);
    /// assert_eq!(semaphore.blocking_acquire().count(), 1);
    /// ```
    ///
    /// **Go:** `s.Acquire(ctx, 1)` on a thread of one's own.
    #[track_caller]
    pub fn blocking_acquire(&self) -> SemaphorePermit<'_> {
        blocking::wait(
            self.acquire(),
            "Semaphore::blocking_acquire",
            "acquire().await",
        )
    }

    /// Takes `n` permits, blocking the thread, and borrows nothing. For threads outside the
    /// runtime.
    ///
    /// # Panics
    ///
    /// As [`acquire_many`](Self::acquire_many), and inside a task or the body of `block_on`, which
    /// it would hold up.
    ///
    /// ```
    /// let semaphore = std::sync::Arc::new(sync::Semaphore::new(3));
    /// let permit = semaphore.blocking_acquire_many_owned(2);
    /// std::thread::spawn(move || drop(permit)).join().unwrap();
    /// ```
    ///
    /// **Go:** `s.Acquire(ctx, n)` on a thread of one's own.
    #[track_caller]
    pub fn blocking_acquire_many_owned(self: Arc<Self>, n: usize) -> OwnedSemaphorePermit {
        blocking::wait(
            self.acquire_many_owned(n),
            "Semaphore::blocking_acquire_many_owned",
            "acquire_many_owned(n).await",
        )
    }

    /// Takes `n` permits, blocking the thread. For threads outside the runtime.
    ///
    /// # Panics
    ///
    /// As [`acquire_many`](Self::acquire_many), and inside a task or the body of `block_on`, which
    /// it would hold up.
    ///
    /// ```
    /// let semaphore = sync::Semaphore::new(3);
    /// assert_eq!(semaphore.blocking_acquire_many(2).count(), 2);
    /// ```
    ///
    /// **Go:** `s.Acquire(ctx, n)` on a thread of one's own.
    #[track_caller]
    pub fn blocking_acquire_many(&self, n: usize) -> SemaphorePermit<'_> {
        blocking::wait(
            self.acquire_many(n),
            "Semaphore::blocking_acquire_many",
            "acquire_many(n).await",
        )
    }

    /// Gives back `n` permits that were [forgotten](SemaphorePermit::forget).
    ///
    /// # Panics
    ///
    /// With Go's `semaphore: released more than held` if more would be free than there are.
    ///
    /// ```
    /// # runtime::block_on(async {
    /// let semaphore = sync::Semaphore::new(1);
    /// semaphore.acquire().await.forget();
    /// semaphore.release(1);
    /// assert_eq!(semaphore.available(), 1);
    /// # });
    /// ```
    ///
    /// **Go:** `s.Release(n)`.
    #[track_caller]
    pub fn release(&self, n: usize) {
        if !self.raw.give_back(n) {
            panic!("{TOO_MANY}");
        }
    }

    /// How many permits there are, free or not.
    ///
    /// ```
    /// assert_eq!(sync::Semaphore::new(3).size(), 3);
    /// ```
    ///
    /// **Go:** what was given to `NewWeighted`.
    pub fn size(&self) -> usize {
        self.raw.size()
    }

    /// How many permits are free; by the time that the caller looks it may be otherwise.
    ///
    /// ```
    /// let semaphore = sync::Semaphore::new(3);
    /// let _permit = semaphore.try_acquire();
    /// assert_eq!(semaphore.available(), 2);
    /// ```
    ///
    /// **Go:** none.
    pub fn available(&self) -> usize {
        self.raw.look().available
    }

    /// Ends the waiting: whoever waits now, or comes later, gets no permit. Says whether it was
    /// this call that did it.
    ///
    /// [`checked_acquire`](Self::checked_acquire) fails from now on,
    /// [`try_acquire`](Self::try_acquire) returns `None`, and [`acquire`](Self::acquire) panics,
    /// since it has no other way to tell. Permits that are out stay so, and can be given back.
    ///
    /// # Memory ordering
    ///
    /// What happened before is visible to those who are refused.
    ///
    /// ```
    /// use std::sync::Arc;
    ///
    /// # runtime::block_on(async {
    /// let slots = Arc::new(sync::Semaphore::new(1));
    /// let busy = slots.try_acquire().unwrap();
    /// let late = runtime::spawn(slots.clone().checked_acquire_owned(1));
    /// runtime::yield_now().await;
    /// assert!(slots.close()); // shutting down: no new work
    /// assert!(late.await.unwrap().is_err());
    /// drop(busy);
    /// # });
    /// ```
    ///
    /// **Go:** none; the contexts of those who wait are cancelled.
    pub fn close(&self) -> bool {
        self.raw.close()
    }

    /// Whether it has been [closed](Self::close).
    ///
    /// ```
    /// assert!(!sync::Semaphore::new(1).is_closed());
    /// ```
    ///
    /// **Go:** none.
    pub fn is_closed(&self) -> bool {
        self.raw.look().closed
    }

    #[inline]
    #[track_caller]
    fn check_size(&self, n: usize) {
        if n > self.raw.size() {
            refuse(n, self.raw.size());
        }
    }
}

impl fmt::Debug for Semaphore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let look = self.raw.look();
        f.debug_struct("Semaphore")
            .field("size", &self.raw.size())
            .field("available", &look.available)
            .field("waited_for", &look.queued)
            .field("closed", &look.closed)
            .finish()
    }
}

#[cold]
#[track_caller]
fn refuse(n: usize, size: usize) -> ! {
    panic!(
        "Semaphore::acquire_many: {n} permits of a semaphore of {size} would never come; compare with size() first, or make the \
         semaphore larger"
    );
}
