//! `Semaphore`: a number of permits, taken some at a time, first come, first served.
//!
//! The permits that are free and a bit that says whether anyone waits are one word, so that taking and giving back is one atomic operation
//! while nobody waits. As soon as somebody does, the bit keeps everyone else from taking, and permits that come back are handed to the first
//! in the queue; one that wants many holds up those behind it until it has them. That is on purpose, as in Go: small requests would
//! otherwise starve a large one for ever.
//!
//! Invariants:
//!
//! 1. [`QUEUED`] changes only under the queue's lock, and under it says whether the queue is empty.
//! 2. While it is set, the word changes only under the lock: permits are taken for the first in the queue, and given back by
//!    [`Inner::hand_out`], which needs no atomic operation but the lock's.
//! 3. Whoever adds permits while it is set, or changes who is first, calls `hand_out`.
//! 4. The free permits and those that somebody holds are [`size`](Semaphore::size) together.
//!
//! *Rejected*: `add_permits` and `close`, as Tokio has them. With a fixed size a request that can never be met is a mistake that is seen at
//! once, and `acquire` has no error that everybody unwraps. Who wants to wait for events takes a channel or a `Notify`.
#![forbid(unsafe_code)]

use std::fmt;
use std::future::Future;
use std::panic::Location;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use pin_project_lite::pin_project;
use runtime::task::coop::poll_proceed;
use runtime::task::{WaitReason, waiting};

use crate::blocking;
use crate::primitive::atomic::{AtomicUsize, Ordering};
use crate::waiters::{Batch, Locked, Waiter, Waiters, Withdrawn};

mod permit;

pub use permit::{OwnedSemaphorePermit, SemaphorePermit};

/// A number of permits that tasks take and give back: at most so many of something at once.
///
/// Requests are served in the order in which they came, each with the number of permits that it wants; a large one is not overtaken by
/// small ones. Waiting allocates nothing.
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
    inner: Inner,
}

pub(crate) struct Inner {
    /// Atomic: twice the free permits, plus [`QUEUED`].
    state: AtomicUsize,
    size: usize,
    /// The note is how many permits the waiter wants.
    waiters: Waiters<(), usize>,
}

/// Somebody waits.
const QUEUED: usize = 1;
/// One permit, in the word.
const ONE: usize = 2;
/// The word has this much room for permits.
const MAX_SIZE: usize = usize::MAX >> 2;

const TOO_MANY: &str = "semaphore: released more than held: dropping a permit gives it back; release() only what was forgotten";

impl Semaphore {
    constant! {
        /// A semaphore with `size` permits, all of them free. It can be a `static`.
        ///
        /// # Panics
        ///
        /// If `size` is more than a quarter of `usize::MAX`.
        ///
        /// ```
        /// static DISK: sync::Semaphore = sync::Semaphore::new(4);
        /// assert_eq!(DISK.available(), 4);
        /// ```
        ///
        /// **Go:** `semaphore.NewWeighted(size)`.
        pub const fn new(size: usize) -> Self {
            assert!(size <= MAX_SIZE, "Semaphore::new: more permits than a quarter of usize::MAX");
            Self {
                inner: Inner {
                    state: AtomicUsize::new(size * ONE),
                    size,
                    waiters: Waiters::new(()),
                },
            }
        }
    }

    /// Takes one permit; waits until it is its turn and one is free.
    ///
    /// # Panics
    ///
    /// If the semaphore has no permits at all: it would wait for ever.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: dropping the future gives its place up, and a permit that it was just being given goes to the next.
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

    /// Takes `n` permits at once; waits until it is its turn and so many are free. Zero permits are taken in turn, too.
    ///
    /// # Panics
    ///
    /// If `n` is more than [`size`](Self::size): it would wait for ever. Ask first, where `n` comes from elsewhere.
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
        self.inner.check_size(n);
        Acquire {
            raw: self.inner.acquire(n, Location::caller()),
            semaphore: self,
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
        self.inner
            .try_take(n)
            .then(|| SemaphorePermit::new(self, n))
    }

    /// Takes one permit as [`acquire`](Self::acquire) does, and borrows nothing: it may go into a task.
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
        self.inner.check_size(n);
        let place = Location::caller();
        async move {
            self.inner.acquire(n, place).await;
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
        self.inner
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
        self.inner
            .try_take(n)
            .then(|| OwnedSemaphorePermit::new(self, n))
    }

    /// Takes one permit, blocking the thread. For threads outside the runtime.
    ///
    /// # Panics
    ///
    /// As [`acquire`](Self::acquire), and inside a task, whose worker it would block.
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

    /// Takes `n` permits, blocking the thread, and borrows nothing. For threads outside the runtime.
    ///
    /// # Panics
    ///
    /// As [`acquire_many`](Self::acquire_many), and inside a task, whose worker it would block.
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
    /// As [`acquire_many`](Self::acquire_many), and inside a task, whose worker it would block.
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
        if !self.inner.give_back(n) {
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
        self.inner.size
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
        // Relaxed: something to look at.
        self.inner.state.load(Ordering::Relaxed) / ONE
    }
}

impl fmt::Debug for Semaphore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.inner.state.load(Ordering::Relaxed);
        f.debug_struct("Semaphore")
            .field("size", &self.inner.size)
            .field("available", &(state / ONE))
            .field("waited_for", &(state & QUEUED != 0))
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

impl Inner {
    #[inline]
    #[track_caller]
    fn check_size(&self, n: usize) {
        if n > self.size {
            refuse(n, self.size);
        }
    }

    /// Takes `n` permits if there are so many and nobody waits.
    #[inline]
    fn try_take(&self, n: usize) -> bool {
        let mut state = self.state.load(Ordering::Relaxed);
        while state & QUEUED == 0 && state / ONE >= n {
            match self.change(state, state - n * ONE) {
                Ok(()) => return true,
                Err(now) => state = now,
            }
        }
        false
    }

    /// Acquire on success: pairs with the `Release` in `give_back`, for who takes permits, or queues up and has them handed out.
    #[inline]
    fn change(&self, from: usize, to: usize) -> Result<(), usize> {
        (self.state)
            .compare_exchange_weak(from, to, Ordering::Acquire, Ordering::Relaxed)
            .map(drop)
    }

    /// Adds permits; says `false`, and has not done it, if there would be more than there are.
    #[inline]
    fn give_back(&self, n: usize) -> bool {
        let mut state = self.state.load(Ordering::Relaxed);
        while state & QUEUED == 0 {
            if n > self.size - state / ONE {
                return false;
            }
            // Release: pairs with the `Acquire` of whoever takes these permits.
            match (self.state).compare_exchange_weak(
                state,
                state + n * ONE,
                Ordering::Release,
                Ordering::Relaxed,
            ) {
                Ok(_) => return true,
                Err(now) => state = now,
            }
        }
        self.give_back_slow(n)
    }

    /// Somebody waits for them.
    #[cold]
    fn give_back_slow(&self, n: usize) -> bool {
        let locked = self.waiters.lock();
        // Relaxed: under the lock (1).
        let state = self.state.load(Ordering::Relaxed);
        if state & QUEUED == 0 {
            drop(locked);
            return self.give_back(n);
        }
        if n > self.size - state / ONE {
            return false;
        }
        self.hand_out(locked, n);
        true
    }

    /// Adds permits, while QUEUED is set, and serves those in front as long as there are enough (invariant 3).
    fn hand_out<'a>(&'a self, mut locked: Locked<'a, (), usize>, n: usize) {
        let mut batch = Batch::default();
        // Acquire: pairs with the `Release` of those who gave these permits back; the notifications, and the store, pass it on.
        // Not more than there are: a `release` of too many may have been quicker than the one whose permits these were.
        let mut free = (self.state.load(Ordering::Acquire) / ONE + n).min(self.size);
        loop {
            let more = serve(&mut locked, &mut batch, &mut free);
            let queued = if locked.is_empty() { 0 } else { QUEUED };
            // A plain store, since nobody else changes the word (2). Release: as in `give_back`.
            self.state.store(free * ONE + queued, Ordering::Release);
            drop(locked);
            batch.wake();
            if !more {
                return batch.finish();
            }
            locked = self.waiters.lock();
            // Acquire: as above.
            let state = self.state.load(Ordering::Acquire);
            if state & QUEUED == 0 {
                drop(locked);
                return batch.finish();
            }
            free = state / ONE;
        }
    }

    /// A future that takes `n` permits, at most the size.
    #[inline]
    fn acquire(&self, n: usize, place: &'static Location<'static>) -> RawAcquire<'_> {
        RawAcquire {
            inner: self,
            waiter: Waiter::new(&self.waiters, n),
            wanted: n,
            place,
        }
    }
}

/// Serves those in front until the batch is full; says whether it was.
fn serve(locked: &mut Locked<'_, (), usize>, batch: &mut Batch, free: &mut usize) -> bool {
    while let Some(&mut wanted) = locked.front_mut() {
        if wanted > *free {
            return false;
        }
        if batch.is_full() {
            return true;
        }
        *free -= wanted;
        batch.extend(locked.take_front());
    }
    false
}

pin_project! {
    /// Completes with the permits taken.
    #[must_use = "futures do nothing unless awaited"]
    struct RawAcquire<'a> {
        inner: &'a Inner,
        #[pin]
        waiter: Waiter<'a, (), usize>,
        wanted: usize,
        place: &'static Location<'static>,
    }

    impl PinnedDrop for RawAcquire<'_> {
        #[inline]
        fn drop(this: Pin<&mut Self>) {
            let this = this.project();
            if this.waiter.is_under_way() {
                give_up(this.inner, this.waiter, *this.wanted);
            }
        }
    }
}

impl Future for RawAcquire<'_> {
    type Output = ();

    #[inline]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let proceed = ready!(poll_proceed(cx));
        let mut this = self.project();
        let waiter = this.waiter.as_mut();
        let taken = if waiter.is_idle() {
            this.inner.try_take(*this.wanted) || queue_up(this.inner, waiter, *this.wanted, cx)
        } else {
            waiter.poll_notified(cx).is_ready()
        };
        if taken {
            this.waiter.finish();
            proceed.made_progress();
            return Poll::Ready(());
        }
        waiting(WaitReason::SemAcquire, this.place);
        Poll::Pending
    }
}

/// Into the queue, or the permits after all if they have just come.
#[cold]
fn queue_up(
    inner: &Inner,
    waiter: Pin<&mut Waiter<'_, (), usize>>,
    wanted: usize,
    cx: &mut Context<'_>,
) -> bool {
    let waker = cx.waker().clone();
    let mut locked = inner.waiters.lock();
    let mut state = inner.state.load(Ordering::Relaxed);
    loop {
        let free = state & QUEUED == 0 && state / ONE >= wanted;
        let next = if free {
            state - wanted * ONE
        } else {
            state | QUEUED
        };
        match inner.change(state, next) {
            Ok(()) if free => {
                drop(locked);
                return true;
            }
            Ok(()) => {
                waiter.enqueue(&mut locked, waker);
                return false;
            }
            Err(now) => state = now,
        }
    }
}

/// Takes a waiter back that is dropped before it is served, or before it has seen that it was.
#[cold]
fn give_up(inner: &Inner, waiter: Pin<&mut Waiter<'_, (), usize>>, wanted: usize) {
    let mut locked = inner.waiters.lock();
    let withdrawn = waiter.withdraw(&mut locked);
    let n = match withdrawn {
        Withdrawn::Notified => wanted,
        _ => 0,
    };
    // Relaxed: under the lock (1).
    if inner.state.load(Ordering::Relaxed) & QUEUED == 0 {
        drop(locked);
        // There is room for them, unless somebody has released what was not his, and then he was told.
        inner.give_back(n);
    } else {
        // There may be enough now for who is first now (3).
        inner.hand_out(locked, n);
    }
    drop(withdrawn);
}

pin_project! {
    /// Future of [`Semaphore::acquire`] and [`Semaphore::acquire_many`].
    ///
    /// ```
    /// # runtime::block_on(async {
    /// let semaphore = sync::Semaphore::new(1);
    /// let acquire: sync::Acquire<'_> = semaphore.acquire();
    /// drop(acquire.await);
    /// # });
    /// ```
    ///
    /// **Go:** a goroutine inside `s.Acquire(ctx, n)`.
    #[must_use = "futures do nothing unless awaited"]
    pub struct Acquire<'a> {
        #[pin]
        raw: RawAcquire<'a>,
        semaphore: &'a Semaphore,
    }
}

impl<'a> Future for Acquire<'a> {
    type Output = SemaphorePermit<'a>;

    #[inline]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let wanted = this.raw.wanted;
        ready!(this.raw.poll(cx));
        Poll::Ready(SemaphorePermit::new(this.semaphore, wanted))
    }
}

impl fmt::Debug for Acquire<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Acquire")
            .field("wanted", &self.raw.wanted)
            .field("waiter", &self.raw.waiter)
            .finish_non_exhaustive()
    }
}
