//! `WaitGroup`: wait until a number of things are done.
//!
//! Here is what its users see; [`shared`] has the word that counts, and who keeps it alive,
//! [`wait`] the future of those who wait.
//!
//! *Rejected*: Go's rule that a task whose `Go` function panics is never done. There the program
//! dies; here the panic belongs to the handle, and a group that never reached zero would hang those
//! who wait.

use std::fmt;
use std::future::Future;
use std::panic::Location;
use std::pin::Pin;
use std::task::{Context, Poll};

use pin_project_lite::pin_project;
use runtime::JoinHandle;

mod shared;
mod wait;

use crate::blocking;
use shared::{Handle, Member};
pub use wait::Wait;

/// Waits for a number of tasks, or of anything else, to be done.
///
/// A counter that [`add`](Self::add) and [`guard`](Self::guard) raise and [`done`](Self::done)
/// lowers; [`wait`](Self::wait) returns when it is zero. Clones count together. Once `wait` has
/// returned, the group can be used again.
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
/// The tempting wrong way is to count inside the task: `wait` may well come before the task first
/// runs, find zero, and return.
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
    handle: Handle,
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
            handle: Handle::new(),
        }
    }

    /// Raises the counter by `n`.
    ///
    /// Call it before the tasks that call [`done`](Self::done) start, and, when the counter may be
    /// zero, not while anyone is waiting.
    ///
    /// # Panics
    ///
    /// - With Go's `sync: WaitGroup misuse: Add called concurrently with Wait` if the counter has
    ///   just become zero and those who waited for that are still being woken. The counter stays as
    ///   it was.
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
        if let Err(mistake) = self.handle.add(n) {
            panic!("{mistake}");
        }
    }

    /// Lowers the counter by one; at zero, wakes everyone in [`wait`](Self::wait).
    ///
    /// # Panics
    ///
    /// With Go's `sync: negative WaitGroup counter` if the counter is zero already: there were more
    /// calls of `done` than were added. The counter stays zero.
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
        if let Err(mistake) = self.handle.done() {
            panic!("{mistake}");
        }
    }

    /// Waits until the counter is zero. Returns at once if it is already.
    ///
    /// Any number of tasks may wait; they are woken in the order in which they came.
    ///
    /// # Panics
    ///
    /// With Go's `sync: WaitGroup is reused before previous Wait has returned` if the counter was
    /// zero and has been raised again by the time that this task gets to see it.
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
        Wait::new(&self.handle, Location::caller())
    }

    /// Waits like [`wait`](Self::wait), blocking the thread. For threads outside the runtime, such
    /// as a plain `fn main`.
    ///
    /// # Panics
    ///
    /// As `wait` does, and inside a task or the body of `block_on`, which it would hold up.
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
    /// It ends by returning, by a panic, which its handle delivers, or by being aborted; each is
    /// done here, once everything that the future owned has been dropped. The handle may be
    /// dropped: the task goes on.
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
    #[inline]
    #[track_caller]
    pub fn spawn<F>(&self, future: F) -> JoinHandle<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        let member = self.enter();
        runtime::spawn(Counted { future, member })
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
        WaitGroupGuard {
            member: self.enter(),
        }
    }

    #[inline]
    #[track_caller]
    fn enter(&self) -> Member {
        match self.handle.enter() {
            Ok(member) => member,
            Err(mistake) => panic!("{mistake}"),
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
        fmt::Debug::fmt(&*self.handle, f)
    }
}

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
#[must_use = "dropped at once, it counts for nothing"]
pub struct WaitGroupGuard {
    member: Member,
}

impl fmt::Debug for WaitGroupGuard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WaitGroupGuard")
            .field("group", &*self.member)
            .finish()
    }
}

pin_project! {
    /// A task of the group. The fields are dropped in this order, so that the future's belongings
    /// are gone before it counts as done. (An `async` block would do the same, but hold the future
    /// twice.)
    struct Counted<F> {
        #[pin]
        future: F,
        member: Member,
    }
}

impl<F: Future> Future for Counted<F> {
    type Output = F::Output;

    #[inline]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        self.project().future.poll(cx)
    }
}
