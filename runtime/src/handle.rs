//! `Handle`: a runtime as seen by those who do not own it.
#![forbid(unsafe_code)]

use std::fmt;
use std::future::Future;
use std::marker::PhantomData;
use std::panic::Location;
use std::sync::Arc;

use crate::block_on;
use crate::dump::Dump;
use crate::io::Driver;
use crate::leaks::Leaks;
use crate::metrics::Metrics;
use crate::procs::MAX_MAX_PROCS;
use crate::scheduler::{Scheduler, current};
use crate::task::JoinHandle;

/// What is said wherever a runtime is needed and there is none.
pub(crate) const NO_RUNTIME: &str = "no runtime: call this from a task, or inside Runtime::block_on or Handle::enter; \
     the simplest cure is #[runtime::main] on an async fn main";

/// A handle of a runtime: spawns onto it from anywhere.
///
/// Cloning it is one atomic increment. It does not keep the runtime going: on a runtime that has
/// ended, tasks are dropped unrun and their handles say that they were cancelled.
///
/// ```
/// # runtime::block_on(async {
/// let handle = runtime::Handle::current();
/// std::thread::spawn(move || handle.spawn(async { 1 + 1 })).join().unwrap().await.unwrap();
/// # });
/// ```
///
/// **Go:** none: there is one runtime.
#[derive(Clone)]
pub struct Handle {
    scheduler: Arc<Scheduler>,
}

impl Handle {
    pub(crate) fn from_scheduler(scheduler: Arc<Scheduler>) -> Self {
        Self { scheduler }
    }

    pub(crate) fn scheduler(&self) -> &Arc<Scheduler> {
        &self.scheduler
    }

    /// The reactor.
    pub(crate) fn driver(&self) -> &Arc<Driver> {
        self.scheduler.driver()
    }

    /// The runtime that the calling thread is in.
    ///
    /// # Panics
    ///
    /// If there is none; [`try_current`](Self::try_current) asks.
    ///
    /// ```
    /// # runtime::block_on(async {
    /// let handle = runtime::Handle::current();
    /// assert!(handle.max_procs() >= 1);
    /// # });
    /// ```
    ///
    /// **Go:** none.
    #[track_caller]
    pub fn current() -> Self {
        match Self::try_current() {
            Ok(handle) => handle,
            Err(error) => panic!("Handle::current: {error}"),
        }
    }

    /// The runtime that the calling thread is in: as one of its own, or by [`enter`](Self::enter)
    /// or `block_on`. A runtime's own threads are inside it to the end, also while their
    /// thread-locals are destroyed.
    ///
    /// # Errors
    ///
    /// If it is in none.
    ///
    /// ```
    /// assert!(runtime::Handle::try_current().is_err()); // no runtime here
    /// runtime::block_on(async {
    ///     assert!(runtime::Handle::try_current().is_ok());
    /// });
    /// ```
    ///
    /// **Go:** none.
    pub fn try_current() -> Result<Self, TryCurrentError> {
        current::scheduler()
            .map(Self::from_scheduler)
            .ok_or(TryCurrentError(()))
    }

    /// Spawns a task on this runtime: see [`spawn`](crate::spawn()).
    ///
    /// ```
    /// # runtime::block_on(async {
    /// let handle = runtime::Handle::current();
    /// assert_eq!(handle.spawn(async { 42 }).await.unwrap(), 42);
    /// # });
    /// ```
    ///
    /// **Go:** `go f()`.
    #[track_caller]
    pub fn spawn<F>(&self, future: F) -> JoinHandle<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        self.scheduler.spawn(future, Location::caller())
    }

    /// Spawns a task on this runtime, and notes `place` as where that was: see
    /// [`task::spawn_at`](crate::task::spawn_at).
    ///
    /// ```
    /// use std::panic::Location;
    ///
    /// # runtime::block_on(async {
    /// let handle = runtime::Handle::current();
    /// assert_eq!(handle.spawn_at(async { 42 }, Location::caller()).await.unwrap(), 42);
    /// # });
    /// ```
    ///
    /// **Go:** none; a traceback names the `go` statement.
    pub fn spawn_at<F>(&self, future: F, place: &'static Location<'static>) -> JoinHandle<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        self.scheduler.spawn(future, place)
    }

    /// Runs blocking code on a thread of this runtime's pool: see
    /// [`spawn_blocking`](crate::spawn_blocking).
    ///
    /// ```
    /// # runtime::block_on(async {
    /// let handle = runtime::Handle::current();
    /// assert_eq!(handle.spawn_blocking(|| 42).await.unwrap(), 42);
    /// # });
    /// ```
    ///
    /// **Go:** not needed: a goroutine may block.
    #[track_caller]
    pub fn spawn_blocking<F, T>(&self, f: F) -> JoinHandle<T>
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send + 'static,
    {
        self.scheduler.spawn_blocking(f, Location::caller())
    }

    /// Runs a future to its end on the calling thread, inside this runtime: see
    /// [`Runtime::block_on`](crate::Runtime::block_on).
    ///
    /// # Panics
    ///
    /// If called from inside a task.
    ///
    /// ```
    /// let rt = runtime::Runtime::new()?;
    /// let handle = rt.handle().clone();
    /// let answer = std::thread::spawn(move || handle.block_on(async { 42 })).join().unwrap();
    /// assert_eq!(answer, 42);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    ///
    /// **Go:** `main` itself.
    #[track_caller]
    pub fn block_on<F: Future>(&self, future: F) -> F::Output {
        block_on::block_on(&self.scheduler, future)
    }

    /// Makes this the calling thread's current runtime until the guard is dropped, so that `spawn`,
    /// timers and sockets find it.
    ///
    /// Guards nest: one that is dropped before a later one of the same thread ends that one as
    /// well. Inside a task, or a job of [`spawn_blocking`](crate::spawn_blocking), a guard lasts no
    /// longer than the poll, or the job, that made it, even if it is forgotten.
    ///
    /// ```
    /// let rt = runtime::Runtime::new()?;
    /// let _guard = rt.enter();
    /// let task = runtime::spawn(async { 7 });
    /// assert_eq!(rt.block_on(task).unwrap(), 7);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    ///
    /// **Go:** none.
    pub fn enter(&self) -> EnterGuard<'_> {
        EnterGuard {
            _entered: current::enter(self.scheduler.clone()),
            _handle: PhantomData,
        }
    }

    /// Tasks that were spawned on this runtime and have not ended.
    ///
    /// ```
    /// # runtime::block_on(async {
    /// let task = runtime::spawn(std::future::pending::<()>());
    /// assert_eq!(runtime::Handle::current().num_tasks(), 1);
    /// # drop(task);
    /// # });
    /// ```
    ///
    /// **Go:** `runtime.NumGoroutine()`, which counts `main` as well.
    pub fn num_tasks(&self) -> usize {
        self.scheduler.num_tasks()
    }

    /// Every task of this runtime: what it does, why, where and for how long it waits.
    ///
    /// It stops nobody and takes part in nothing, so it works also when every worker is stuck. It
    /// takes time and memory in proportion to the number of tasks.
    ///
    /// ```
    /// # runtime::block_on(async {
    /// runtime::spawn(std::future::pending::<()>());
    /// eprintln!("{}", runtime::Handle::current().dump());
    /// # });
    /// ```
    ///
    /// **Go:** `runtime.Stack(buf, true)`.
    pub fn dump(&self) -> Dump {
        self.scheduler.dump()
    }

    /// Tasks that can never be woken again: every handle of what they wait for is held by tasks in
    /// the same position.
    ///
    /// A task that is listed is parked, and nothing can ever wake it: no handle, no timer, no
    /// descriptor, no thread, no waker in unknown hands, and nobody can abort it. Known are
    /// channels and `select!`, [`never`](https://docs.rs/weftline-sync), `WaitGroup`, the ends of
    /// other tasks, futures that nobody wakes, and the other primitives of `sync` where they lie in
    /// the task itself. A task is *not* listed, though it may be leaked, if a handle lies on the
    /// heap (in a `Box`, a `Vec`, an `Arc`), in another thread, in `block_on`, or in a task that
    /// may still run; or if somebody who may still act holds its [`JoinHandle`].
    ///
    /// To find out it makes a copy of the process (`fork`), and drops the futures of parked tasks
    /// there, cut off from everything: their destructors run, and have no effect outside. The
    /// thread that calls waits meanwhile, some milliseconds as a rule, and longer with much memory
    /// or very many tasks (about 5 µs of CPU time for each parked one); other tasks go on. Linux on
    /// x86-64 and 64-bit ARM only: elsewhere, and where the system refuses, [`Leaks::unknown`] says
    /// so.
    ///
    /// ```
    /// # runtime::block_on(async {
    /// let leaks = runtime::Handle::current().leaks();
    /// assert!(leaks.is_empty(), "{leaks}");
    /// # });
    /// ```
    ///
    /// **Go:** `pprof.Lookup("goroutineleak")`, which collects garbage to find out.
    pub fn leaks(&self) -> Leaks {
        self.scheduler.leaks()
    }

    /// Counters and gauges of this runtime. Cheap: it reads a few numbers for each worker.
    ///
    /// ```
    /// # runtime::block_on(async {
    /// let metrics = runtime::Handle::current().metrics();
    /// println!("{} tasks, {} in queues", metrics.tasks, metrics.queued());
    /// # });
    /// ```
    ///
    /// **Go:** `metrics.Read`.
    pub fn metrics(&self) -> Metrics {
        self.scheduler.metrics()
    }

    /// Changes how many workers run tasks at a time, and returns what it was. More start at once;
    /// surplus ones sleep as soon as they are through with the task they run, and what waits in
    /// their queues goes to the others; their threads end when they have not been needed for a
    /// second. The number no longer follows the limits of the process, as the default does.
    ///
    /// # Panics
    ///
    /// If `n` is 0 or more than 4096.
    ///
    /// ```
    /// # runtime::block_on(async {
    /// let handle = runtime::Handle::current();
    /// let before = handle.set_max_procs(3);
    /// assert_eq!(handle.set_max_procs(before), 3);
    /// # });
    /// ```
    ///
    /// **Go:** `runtime.GOMAXPROCS(n)`.
    #[track_caller]
    pub fn set_max_procs(&self, n: usize) -> usize {
        assert!(
            (1..=MAX_MAX_PROCS).contains(&n),
            "set_max_procs({n}): give a number from 1 to {MAX_MAX_PROCS}"
        );
        self.scheduler.set_max_procs(n)
    }

    /// What the runtime's random choices follow from, if that is set: see
    /// [`Builder::seed`](crate::Builder::seed).
    ///
    /// ```
    /// let rt = runtime::Builder::new().seed(7).build()?;
    /// assert_eq!(rt.handle().seed(), Some(7));
    /// # Ok::<(), std::io::Error>(())
    /// ```
    ///
    /// **Go:** none.
    pub fn seed(&self) -> Option<u64> {
        self.scheduler.seed()
    }

    /// Workers of this runtime.
    ///
    /// ```
    /// let rt = runtime::Builder::new().max_procs(3).build()?;
    /// assert_eq!(rt.handle().max_procs(), 3);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    ///
    /// **Go:** `runtime.GOMAXPROCS(0)`.
    pub fn max_procs(&self) -> usize {
        self.scheduler.max_procs()
    }
}

impl fmt::Debug for Handle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Handle").field(&self.scheduler).finish()
    }
}

/// Keeps a runtime current on a thread: from [`Handle::enter`].
///
/// ```
/// let rt = runtime::Runtime::new()?;
/// let guard: runtime::EnterGuard<'_> = rt.enter();
/// assert!(runtime::Handle::try_current().is_ok());
/// drop(guard);
/// assert!(runtime::Handle::try_current().is_err());
/// # Ok::<(), std::io::Error>(())
/// ```
///
/// **Go:** none.
#[must_use = "the runtime is current only until the guard is dropped"]
pub struct EnterGuard<'a> {
    _entered: current::Entered,
    _handle: PhantomData<&'a Handle>,
}

impl fmt::Debug for EnterGuard<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("EnterGuard")
    }
}

/// The calling thread is in no runtime: from [`Handle::try_current`].
///
/// ```
/// let error = runtime::Handle::try_current().unwrap_err();
/// assert!(error.to_string().starts_with("no runtime"));
/// ```
///
/// **Go:** none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TryCurrentError(());

impl fmt::Display for TryCurrentError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(NO_RUNTIME)
    }
}

impl std::error::Error for TryCurrentError {}
