//! `WaitGroup`: wait until a number of things are done.
//!
//! The counter and the number of waiters are one word ([`State`]), as in Go, so that the last `done` learns in the very step that makes the
//! counter zero whether anyone has to be woken. `add`, `done` and a `wait` that finds zero are one atomic operation each; a lock is taken
//! only to wait and to wake those who wait.
//!
//! Invariants:
//!
//! 1. The number of waiters in the word changes only under the queue's lock, and under it equals the number of nodes in the queue, less
//!    those before [`Released`], who are about to be woken.
//! 2. Nobody queues up while the counter is zero: the step that counts a waiter checks the counter.
//! 3. Whoever makes the counter zero while there are waiters calls [`Inner::release`]. It looks again under the lock, because meanwhile the
//!    waiters may have gone and others come who wait for a later zero.
//! 4. The waiters are off the word before the first of them is notified, so that one who has returned can use the group again.
//!
//! So no waiter is left behind: one that queued up before the last `done` is in the number that it sees (2), and is in the queue by the time
//! `release` has the lock (1).
//!
//! *Rejected*: Go's rule that a task whose `Go` function panics is never done. There the program dies; here the panic belongs to the handle,
//! and a group that never reached zero would hang those who wait.
#![forbid(unsafe_code)]

use std::fmt;
use std::future::Future;
use std::panic::Location;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use pin_project_lite::pin_project;
use runtime::JoinHandle;
use runtime::leaks::trial::{self, Side};
use runtime::task::coop::poll_proceed;
use runtime::task::{WaitReason, waiting};

use crate::blocking;
use crate::primitive::Arc;
use crate::primitive::atomic::{AtomicU64, Ordering};
use crate::waiters::{Batch, Ticket, Waiter, Waiters, Withdrawn};

/// Waits for a number of tasks, or of anything else, to be done.
///
/// A counter that [`add`](Self::add) and [`guard`](Self::guard) raise and [`done`](Self::done) lowers; [`wait`](Self::wait) returns when it
/// is zero. Clones count together. Once `wait` has returned, the group can be used again.
///
/// Most often [`spawn`](Self::spawn) is all that is needed: it does the counting.
///
/// ```
/// use std::sync::atomic::{AtomicUsize, Ordering};
/// use sync::WaitGroup;
///
/// static SUM: AtomicUsize = AtomicUsize::new(0);
///
/// # runtime::block_on(async {
/// let group = WaitGroup::new();
/// for n in 1..=10 {
///     group.spawn(async move {
///         SUM.fetch_add(n, Ordering::Relaxed);
///     });
/// }
/// group.wait().await;
/// assert_eq!(SUM.load(Ordering::Relaxed), 55);
/// # });
/// ```
///
/// The tempting wrong way is to count inside the task: `wait` may well come before the task first runs, find zero, and return.
///
/// ```
/// # use sync::WaitGroup;
/// # runtime::block_on(async {
/// let group = WaitGroup::new();
/// let guard = group.guard(); // counted here, before the task exists …
/// runtime::spawn(async move {
///     let _guard = guard; // … and done when the task ends, however it ends
/// });
/// group.wait().await;
/// # });
/// ```
///
/// **Go:** `sync.WaitGroup`; a clone takes the place of the pointer.
#[derive(Clone)]
pub struct WaitGroup {
    inner: Arc<Inner>,
}

struct Inner {
    /// Atomic; see [`State`]. First, so that it shares a cache line with the `Arc`'s count, which the same tasks touch at the same time.
    state: AtomicU64,
    waiters: Waiters<Released, ()>,
}

/// Under the queue's lock: all waiters before this ticket are no longer in the word; their `wait` is over, and they are being woken.
struct Released(Ticket);

/// The word: the counter above, the number of waiters below.
///
/// ```text
///  63            32 31             0
/// ┌────────────────┬────────────────┐
/// │ counter, as i32│    waiters     │
/// └────────────────┴────────────────┘
/// ```
///
/// The counter is signed only to tell too many `done`s from very many `add`s, as in Go; who makes it negative takes that back.
#[derive(Clone, Copy)]
struct State(u64);

/// One more to be done, in the word.
const ONE: u64 = 1 << 32;

impl State {
    fn counter(self) -> i32 {
        (self.0 >> 32) as i32
    }

    fn waiters(self) -> u32 {
        self.0 as u32
    }

    fn plus(self, n: u32) -> Self {
        Self(self.0.wrapping_add(u64::from(n) * ONE))
    }

    fn minus_one(self) -> Self {
        Self(self.0.wrapping_sub(ONE))
    }

    /// Zero, with somebody waiting for it.
    fn is_due(self) -> bool {
        self.counter() == 0 && self.waiters() != 0
    }
}

impl WaitGroup {
    /// A group with nothing to wait for.
    ///
    /// ```
    /// # runtime::block_on(async {
    /// sync::WaitGroup::new().wait().await; // returns at once
    /// # });
    /// ```
    ///
    /// **Go:** `var wg sync.WaitGroup`.
    pub fn new() -> Self {
        Self {
            inner: Arc::new(Inner {
                state: AtomicU64::new(0),
                waiters: Waiters::new(Released(Ticket::FIRST)),
            }),
        }
    }

    /// Raises the counter by `n`.
    ///
    /// Call it before the tasks that call [`done`](Self::done) start, and, when the counter may be zero, not while anyone is waiting.
    ///
    /// # Panics
    ///
    /// - With Go's `sync: WaitGroup misuse: Add called concurrently with Wait` if the counter has just become zero and those who waited for
    ///   that are still being woken. The counter stays as it was.
    /// - If the counter would exceed `i32::MAX`.
    ///
    /// # Memory ordering
    ///
    /// None: it is the start of the task that makes visible what was done before.
    ///
    /// ```
    /// let group = sync::WaitGroup::new();
    /// group.add(2);
    /// group.done();
    /// group.done();
    /// # group.blocking_wait();
    /// ```
    ///
    /// **Go:** `wg.Add(n)`; a negative `n` is [`done`](Self::done), so that `n` may be a length.
    #[track_caller]
    pub fn add(&self, n: usize) {
        if let Err(mistake) = self.inner.add(n) {
            panic!("{mistake}");
        }
    }

    /// Lowers the counter by one; at zero, wakes everyone in [`wait`](Self::wait).
    ///
    /// # Panics
    ///
    /// With Go's `sync: negative WaitGroup counter` if the counter is zero already: there were more calls of `done` than were added. The
    /// counter stays zero.
    ///
    /// # Memory ordering
    ///
    /// What happened before it is visible to those whom it lets return from `wait`.
    ///
    /// ```
    /// let group = sync::WaitGroup::new();
    /// group.add(1);
    /// group.done();
    /// # group.blocking_wait();
    /// ```
    ///
    /// **Go:** `wg.Done()`; for `defer wg.Done()` see [`guard`](Self::guard).
    #[inline]
    #[track_caller]
    pub fn done(&self) {
        if let Err(mistake) = self.inner.done() {
            panic!("{mistake}");
        }
    }

    /// Waits until the counter is zero. Returns at once if it is already.
    ///
    /// Any number of tasks may wait; they are woken in the order in which they came.
    ///
    /// # Panics
    ///
    /// With Go's `sync: WaitGroup is reused before previous Wait has returned` if the counter was zero and has been raised again by the time
    /// that this task gets to see it.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: dropping the future forgets this waiter only.
    ///
    /// # Memory ordering
    ///
    /// Everything before each [`done`](Self::done) is visible after `wait` returns.
    ///
    /// ```
    /// # runtime::block_on(async {
    /// let group = sync::WaitGroup::new();
    /// group.spawn(async { println!("working") });
    /// group.wait().await;
    /// # });
    /// ```
    ///
    /// **Go:** `wg.Wait()`; here it suspends the task.
    #[track_caller]
    pub fn wait(&self) -> Wait<'_> {
        Wait {
            waiter: Waiter::new(&self.inner.waiters, ()),
            inner: &self.inner,
            place: Location::caller(),
        }
    }

    /// Waits like [`wait`](Self::wait), blocking the thread. For threads outside the runtime, such as a plain `fn main`.
    ///
    /// # Panics
    ///
    /// As `wait` does, and inside a task, whose worker it would block.
    ///
    /// ```
    /// let group = sync::WaitGroup::new();
    /// let guard = group.guard();
    /// std::thread::spawn(move || drop(guard));
    /// group.blocking_wait();
    /// ```
    ///
    /// **Go:** `wg.Wait()` on a thread of one's own.
    #[track_caller]
    pub fn blocking_wait(&self) {
        blocking::wait(self.wait(), "WaitGroup::blocking_wait", "wait().await");
    }

    /// Spawns a task that counts until it ends.
    ///
    /// It ends by returning, by a panic, which its handle delivers, or by being aborted; each is done here, once everything that the future
    /// owned has been dropped. The handle may be dropped: the task goes on.
    ///
    /// # Panics
    ///
    /// As [`add`](Self::add) and [`runtime::spawn`] do.
    ///
    /// ```
    /// # runtime::block_on(async {
    /// let group = sync::WaitGroup::new();
    /// let handle = group.spawn(async { 6 * 7 });
    /// group.wait().await;
    /// assert_eq!(handle.await.unwrap(), 42);
    /// # });
    /// ```
    ///
    /// **Go:** `wg.Go(f)`, where a panic in `f` ends the program and so is never done.
    #[track_caller]
    pub fn spawn<F>(&self, future: F) -> JoinHandle<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        let guard = self.guard();
        runtime::spawn(Counted { future, guard })
    }

    /// Raises the counter by one until the guard is dropped, also by a panic.
    ///
    /// # Panics
    ///
    /// As [`add`](Self::add) does.
    ///
    /// ```
    /// let group = sync::WaitGroup::new();
    /// let guard = group.guard();
    /// let thread = std::thread::spawn(move || {
    ///     let _guard = guard;
    ///     panic!("done all the same");
    /// });
    /// group.blocking_wait();
    /// assert!(thread.join().is_err());
    /// ```
    ///
    /// **Go:** `wg.Add(1)` now and `defer wg.Done()` there.
    #[track_caller]
    pub fn guard(&self) -> WaitGroupGuard {
        self.add(1);
        WaitGroupGuard {
            group: self.clone(),
        }
    }
}

impl Default for WaitGroup {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for WaitGroup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&*self.inner, f)
    }
}

/// What a caller got wrong, in Go's words, and what helps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mistake {
    Negative,
    AddDuringWait,
    Reused,
    Overflow,
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Negative => {
                "sync: negative WaitGroup counter: more calls of done() than add() counted; spawn() and guard() keep the count themselves"
            }
            Self::AddDuringWait => {
                "sync: WaitGroup misuse: Add called concurrently with Wait: count a task before it is started, not inside it"
            }
            Self::Reused => {
                "sync: WaitGroup is reused before previous Wait has returned: add() again only when all wait() are back"
            }
            Self::Overflow => "sync: WaitGroup counter overflow: at most i32::MAX at a time",
        })
    }
}

impl fmt::Debug for Inner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Relaxed: figures to look at.
        let state = State(self.state.load(Ordering::Relaxed));
        f.debug_struct("WaitGroup")
            .field("counter", &state.counter())
            .field("waiters", &state.waiters())
            .finish()
    }
}

impl Inner {
    fn add(&self, n: usize) -> Result<(), Mistake> {
        let n = u32::try_from(n)
            .ok()
            .filter(|&n| n <= i32::MAX as u32)
            .ok_or(Mistake::Overflow)?;
        // Relaxed: raising the counter publishes nothing, and what earlier `done`s published passes through it all the same, because a
        // read-modify-write continues their release sequence.
        let before = State(self.state.fetch_add(u64::from(n) * ONE, Ordering::Relaxed));
        let after = before.plus(n);
        if after.counter() < 0 && before.counter() >= 0 {
            self.take_back(n);
            return Err(Mistake::Overflow);
        }
        if before.is_due() && n > 0 {
            self.take_back(n);
            return Err(Mistake::AddDuringWait);
        }
        Ok(())
    }

    #[inline]
    fn done(&self) -> Result<(), Mistake> {
        // Release: pairs with the `Acquire` of those who find zero, here, in `release` and in `Wait`. Acquire: whoever makes it zero passes
        // on, by waking, what the `done`s before it released.
        let before = State(self.state.fetch_sub(ONE, Ordering::AcqRel));
        let after = before.minus_one();
        if after.counter() <= 0 {
            return self.done_slow(after);
        }
        Ok(())
    }

    #[cold]
    fn done_slow(&self, after: State) -> Result<(), Mistake> {
        if after.counter() < 0 {
            // What another thread sees meanwhile is a negative counter, which nobody takes for zero; so if it becomes zero by this, and
            // somebody has come to wait, it falls to us.
            let before = State(self.state.fetch_add(ONE, Ordering::AcqRel));
            if before.plus(1).is_due() {
                self.release();
            }
            return Err(Mistake::Negative);
        }
        if after.is_due() {
            self.release();
        }
        Ok(())
    }

    /// Undoes an `add`. Those who were being woken may have been passed over because of it, so it falls to us to look after them.
    #[cold]
    fn take_back(&self, n: u32) {
        let before = State(self.state.fetch_sub(u64::from(n) * ONE, Ordering::AcqRel));
        if State(before.0.wrapping_sub(u64::from(n) * ONE)).is_due() {
            self.release();
        }
    }

    /// Wakes those who wait, provided that the counter is still zero (invariant 3).
    #[cold]
    fn release(&self) {
        let mut locked = self.waiters.lock();
        // Acquire: if this is a later zero than the one that brought us here, its `done`s are passed on too.
        let state = State(self.state.load(Ordering::Acquire));
        if state.counter() != 0 {
            return;
        }
        // Relaxed: the notifications below publish it to those for whom it matters (4). The number cannot have changed since (1).
        self.state
            .fetch_sub(u64::from(state.waiters()), Ordering::Relaxed);
        let until = locked.ticket();
        *locked = Released(until);
        let mut batch = Batch::default();
        while locked.take_until(until, &mut batch) {
            drop(locked);
            batch.wake();
            locked = self.waiters.lock();
        }
        drop(locked);
        batch.wake();
        batch.finish();
    }

    /// For a waiter that has been woken and now looks.
    fn check_not_reused(&self) {
        // Relaxed: nothing is read after it, and the notification has ordered what came before.
        if State(self.state.load(Ordering::Relaxed)).counter() != 0 {
            panic!("{}", Mistake::Reused);
        }
    }

    /// Counts a waiter unless the counter is zero. The lock is held.
    fn count_waiter(&self) -> Result<(), Zero> {
        // Acquire: finding zero is returning from `wait`, so it pairs with the `Release` of every `done`.
        let mut state = State(self.state.load(Ordering::Acquire));
        loop {
            if state.counter() == 0 {
                return Err(Zero);
            }
            // Relaxed on success: the lock, which the last `done` will take, orders the rest.
            match (self.state).compare_exchange_weak(
                state.0,
                state.0 + 1,
                Ordering::Relaxed,
                Ordering::Acquire,
            ) {
                Ok(_) => return Ok(()),
                Err(now) => state = State(now),
            }
        }
    }
}

/// The counter is zero, so there is nothing to wait for.
struct Zero;

/// Keeps the counter raised by one; dropping it is [`WaitGroup::done`]. From [`WaitGroup::guard`].
///
/// # Panics
///
/// Its drop panics as `done` does, unless the thread is panicking already.
///
/// ```
/// struct Connection {
///     _open: sync::WaitGroupGuard,
/// }
///
/// let open = sync::WaitGroup::new();
/// let connection = Connection { _open: open.guard() };
/// drop(connection);
/// open.blocking_wait();
/// ```
///
/// **Go:** `defer wg.Done()`, which can travel here with what it stands for.
#[derive(Debug)]
#[must_use = "dropped at once, it counts for nothing"]
pub struct WaitGroupGuard {
    group: WaitGroup,
}

impl Drop for WaitGroup {
    #[inline]
    fn drop(&mut self) {
        if trial::is_on() {
            rehearse(self);
        }
    }
}

/// In a trial: a handle of the group goes.
#[cold]
fn rehearse(group: &WaitGroup) {
    let of = Side {
        primitive: std::ptr::from_ref(&group.inner.waiters).addr(),
        side: 0,
        sides: 1,
        handles: Arc::strong_count(&group.inner),
    };
    trial::handle(group, std::ptr::from_ref(&*group.inner).addr(), of);
    // The count stays as it was.
    std::mem::forget(group.inner.clone());
}

impl Drop for WaitGroupGuard {
    fn drop(&mut self) {
        if trial::is_on() {
            return;
        }
        if let Err(mistake) = self.group.inner.done() {
            // A second panic would end the process and hide the first.
            if !std::thread::panicking() {
                panic!("{mistake}");
            }
        }
    }
}

pin_project! {
    /// A task of the group. The fields are dropped in this order, so that the future's belongings are gone before it counts as done. (An
    /// `async` block would do the same, but hold the future twice.)
    struct Counted<F> {
        #[pin]
        future: F,
        guard: WaitGroupGuard,
    }
}

impl<F: Future> Future for Counted<F> {
    type Output = F::Output;

    #[inline]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        self.project().future.poll(cx)
    }
}

pin_project! {
    /// Future of [`WaitGroup::wait`].
    ///
    /// ```
    /// # runtime::block_on(async {
    /// let group = sync::WaitGroup::new();
    /// let wait: sync::Wait<'_> = group.wait();
    /// wait.await;
    /// # });
    /// ```
    ///
    /// **Go:** a goroutine inside `wg.Wait()`.
    #[derive(Debug)]
    #[must_use = "futures do nothing unless awaited"]
    pub struct Wait<'a> {
        #[pin]
        waiter: Waiter<'a, Released, ()>,
        inner: &'a Inner,
        place: &'static Location<'static>,
    }

    impl PinnedDrop for Wait<'_> {
        fn drop(this: Pin<&mut Self>) {
            let this = this.project();
            if this.waiter.is_waiting() {
                forget(this.inner, this.waiter);
            }
        }
    }
}

impl Future for Wait<'_> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let proceed = ready!(poll_proceed(cx));
        let mut this = self.project();
        let polled = if this.waiter.is_idle() {
            start(this.inner, this.waiter.as_mut(), cx)
        } else {
            let notified = this.waiter.as_mut().poll_notified(cx);
            notified.map(|()| this.inner.check_not_reused())
        };
        match polled {
            Poll::Ready(()) => proceed.made_progress(),
            Poll::Pending => waiting(WaitReason::WaitGroupWait, this.place),
        }
        polled
    }
}

/// The first poll: nothing to wait for, or into the queue.
fn start(
    inner: &Inner,
    waiter: Pin<&mut Waiter<'_, Released, ()>>,
    cx: &mut Context<'_>,
) -> Poll<()> {
    // Acquire: pairs with the `Release` of every `done`.
    if State(inner.state.load(Ordering::Acquire)).counter() == 0 {
        return Poll::Ready(());
    }
    let waker = cx.waker().clone();
    let mut locked = inner.waiters.lock();
    match inner.count_waiter() {
        Ok(()) => {
            waiter.enqueue(&mut locked, waker);
            Poll::Pending
        }
        Err(Zero) => {
            drop(locked);
            drop(waker);
            Poll::Ready(())
        }
    }
}

/// Takes a waiter back that is not going to wait to the end.
#[cold]
fn forget(inner: &Inner, waiter: Pin<&mut Waiter<'_, Released, ()>>) {
    let mut locked = inner.waiters.lock();
    let withdrawn = waiter.withdraw(&mut locked);
    if let Withdrawn::Waiting(ticket, _) = withdrawn {
        if ticket >= locked.0 {
            // Relaxed: under the lock (1).
            inner.state.fetch_sub(1, Ordering::Relaxed);
        }
    }
    drop(locked);
    drop(withdrawn);
}
