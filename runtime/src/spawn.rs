//! The free functions: spawn a task, block on a future, yield.
#![forbid(unsafe_code)]

use std::future::Future;
use std::panic::Location;
use std::pin::Pin;
use std::task::{Context, Poll};

use crate::handle::{Handle, NO_RUNTIME};
use crate::runtime::Runtime;
use crate::scheduler::worker::Worker;
use crate::scheduler::{self, current};
use crate::task::{JoinHandle, coop};

/// Starts a task.
///
/// It runs concurrently with the caller; dropping the handle lets it go on. A panic in it ends this
/// task alone and is delivered by the handle.
///
/// # Panics
///
/// Outside a runtime.
///
/// # Memory ordering
///
/// What the caller did before happens before the task starts.
///
/// ```
/// # runtime::block_on(async {
/// let handle = runtime::spawn(async { "hello from a task" });
/// assert_eq!(handle.await.unwrap(), "hello from a task");
/// # });
/// ```
///
/// **Go:** `go f()`.
#[inline]
#[track_caller]
pub fn spawn<F>(future: F) -> JoinHandle<F::Output>
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    match scheduler::spawn(future, Location::caller()) {
        Some(handle) => handle,
        None => panic!("spawn: {NO_RUNTIME}"),
    }
}

/// Starts a task as [`spawn`] does, and notes `place` as where that was.
///
/// For authors of groups and other things that spawn inside a future, where `#[track_caller]` finds
/// only the future itself.
///
/// # Panics
///
/// Outside a runtime.
///
/// ```
/// use std::panic::Location;
///
/// # runtime::block_on(async {
/// let handle = runtime::task::spawn_at(async { 42 }, Location::caller());
/// assert_eq!(handle.await.unwrap(), 42);
/// # });
/// ```
///
/// **Go:** none; a traceback names the `go` statement.
#[inline]
#[track_caller]
pub fn spawn_at<F>(future: F, place: &'static Location<'static>) -> JoinHandle<F::Output>
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    match scheduler::spawn(future, place) {
        Some(handle) => handle,
        None => panic!("spawn: {NO_RUNTIME}"),
    }
}

/// Runs code that blocks on a thread of its own pool, so that it holds no worker up.
///
/// Aborting the handle forgets a job that has not started; one that runs goes on to its end.
///
/// # Panics
///
/// Outside a runtime, or if not even one thread can be started.
///
/// ```
/// # runtime::block_on(async {
/// let sum: u64 = runtime::spawn_blocking(|| (0..1_000_000).sum()).await.unwrap();
/// # assert_eq!(sum, 499999500000);
/// # });
/// ```
///
/// **Go:** not needed: there a blocking call gets a thread of its own by itself.
#[track_caller]
pub fn spawn_blocking<F, T>(f: F) -> JoinHandle<T>
where
    F: FnOnce() -> T + Send + 'static,
    T: Send + 'static,
{
    match Handle::try_current() {
        Ok(handle) => handle.spawn_blocking(f),
        Err(_) => panic!("spawn_blocking: {NO_RUNTIME}"),
    }
}

/// Runs code that blocks on this very thread, after another one has taken over the other tasks of
/// this worker.
///
/// Unlike [`spawn_blocking`] it needs neither `Send` nor `'static`, and inside it `block_on` and
/// the `blocking_` operations are allowed. Outside a task it just calls `f`; in the body of
/// [`block_on()`] the same are allowed inside it. The rest of the task's poll runs beside the
/// replacement; from the next one on all is as before.
///
/// A task that blocks without it stalls nobody for more than some milliseconds either: the monitor
/// does the same, only later.
///
/// # Panics
///
/// If `f` does.
///
/// ```
/// # runtime::block_on(async {
/// runtime::spawn(async {
///     let text = String::from("not 'static");
///     let length = runtime::block_in_place(|| text.len()); // something that takes its time
///     assert_eq!(length, text.len());
/// })
/// .await
/// .unwrap();
/// # });
/// ```
///
/// **Go:** what the runtime does around each system call (`entersyscall`, `exitsyscall`).
pub fn block_in_place<F, T>(f: F) -> T
where
    F: FnOnce() -> T,
{
    // Whatever runtime the task has entered.
    let _away = Away(current::with_own_worker(|worker| {
        current::in_task() && worker.is_some_and(Worker::go_away)
    }));
    let _task = current::leave_task();
    let _body = current::leave_block_on();
    let _budget = coop::stop();
    f()
}

/// Brings the worker back, also when the call panics.
struct Away(bool);

impl Drop for Away {
    fn drop(&mut self) {
        if self.0 {
            current::with_own_worker(|worker| {
                if let Some(worker) = worker {
                    worker.come_back();
                }
            });
        }
    }
}

/// Runs a future to its end: on the current runtime if the thread has entered one, else on a new
/// one with default settings that ends with the call.
///
/// # Panics
///
/// Inside a task, and if no runtime can be built. A panic of the future comes through.
///
/// ```
/// let answer = runtime::block_on(async { 6 * 7 });
/// assert_eq!(answer, 42);
/// ```
///
/// **Go:** `main` itself.
#[track_caller]
pub fn block_on<F: Future>(future: F) -> F::Output {
    if let Ok(handle) = Handle::try_current() {
        return handle.block_on(future);
    }
    match Runtime::new() {
        Ok(runtime) => runtime.block_on(future),
        Err(error) => panic!("block_on: cannot build a runtime: {error}"),
    }
}

/// Lets the other runnable tasks of this worker go first.
///
/// # Cancel safety
///
/// Cancel safe: there is nothing to lose.
///
/// ```
/// # runtime::block_on(async {
/// runtime::yield_now().await;
/// # });
/// ```
///
/// **Go:** `runtime.Gosched()`.
pub fn yield_now() -> YieldNow {
    YieldNow { yielded: false }
}

/// Future of [`yield_now`].
///
/// ```
/// # runtime::block_on(async {
/// let yields: runtime::YieldNow = runtime::yield_now();
/// yields.await;
/// # });
/// ```
///
/// **Go:** none.
#[derive(Debug)]
#[must_use = "futures do nothing unless awaited"]
pub struct YieldNow {
    yielded: bool,
}

impl Future for YieldNow {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        if self.yielded {
            return Poll::Ready(());
        }
        self.yielded = true;
        // A task that is woken while it runs goes to the back of the queue.
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}

/// Tasks of the current runtime that have been spawned and have not ended; 0 outside a runtime.
///
/// ```
/// # runtime::block_on(async {
/// let task = runtime::spawn(std::future::pending::<()>());
/// assert_eq!(runtime::num_tasks(), 1);
/// # drop(task);
/// # });
/// ```
///
/// **Go:** `runtime.NumGoroutine()`, which counts `main` as well.
pub fn num_tasks() -> usize {
    Handle::try_current().map_or(0, |handle| handle.num_tasks())
}

/// Workers of the current runtime.
///
/// # Panics
///
/// Outside a runtime.
///
/// ```
/// # runtime::block_on(async {
/// assert!(runtime::max_procs() >= 1);
/// # });
/// ```
///
/// **Go:** `runtime.GOMAXPROCS(0)`.
#[track_caller]
pub fn max_procs() -> usize {
    match Handle::try_current() {
        Ok(handle) => handle.max_procs(),
        Err(_) => panic!("max_procs: {NO_RUNTIME}"),
    }
}

/// Changes how many workers of the current runtime run tasks at a time: see
/// [`Handle::set_max_procs`].
///
/// # Panics
///
/// Outside a runtime, and if `n` is 0 or more than 4096.
///
/// ```
/// # runtime::block_on(async {
/// let before = runtime::set_max_procs(2);
/// assert_eq!(runtime::set_max_procs(before), 2);
/// # });
/// ```
///
/// **Go:** `runtime.GOMAXPROCS(n)`.
#[track_caller]
pub fn set_max_procs(n: usize) -> usize {
    Handle::current().set_max_procs(n)
}
