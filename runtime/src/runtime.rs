//! `Runtime`: a scheduler with an owner, who ends it by dropping it.
#![forbid(unsafe_code)]

use std::fmt;
use std::future::Future;
use std::io;
use std::panic::Location;
use std::sync::Arc;
use std::time::Duration;

use crate::builder::Builder;
use crate::handle::{EnterGuard, Handle};
use crate::scheduler::Scheduler;
use crate::scheduler::blocking::is_pool_thread_of;
use crate::task::JoinHandle;

/// A runtime: its workers, its reactor, its timers and the tasks on them.
///
/// Most programs never name it: [`#[runtime::main]`](macro@crate::main) builds one around `main`.
///
/// Dropping it waits until each worker is done with the poll it is in, drops every task that is
/// left, with its destructors, waits until each running blocking job is done with its closure, and
/// returns: no thread and no descriptor stays behind. [`shutdown`](Self::shutdown) does the same
/// with a deadline.
///
/// A child that is made by `fork` has none of its parent's threads: a runtime that it has inherited
/// panics there where it is used, and says so, and dropping it does nothing. It may build one of
/// its own. Children made by `std::process::Command` are not concerned.
///
/// ```
/// let rt = runtime::Runtime::new()?;
/// let answer = rt.block_on(async { runtime::spawn(async { 42 }).await });
/// assert_eq!(answer.unwrap(), 42);
/// # Ok::<(), std::io::Error>(())
/// ```
///
/// **Go:** a program has exactly one, and it ends with the process.
pub struct Runtime {
    handle: Handle,
    /// `shutdown` has done what the drop would do.
    ended: bool,
}

impl Runtime {
    /// A runtime with the default settings of [`Builder`].
    ///
    /// # Errors
    ///
    /// If the system refuses a thread or the reactor's descriptors.
    ///
    /// ```
    /// let rt = runtime::Runtime::new()?;
    /// # drop(rt);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    ///
    /// **Go:** what happens before `main`.
    pub fn new() -> io::Result<Self> {
        Builder::new().build()
    }

    pub(crate) fn from_scheduler(scheduler: Arc<Scheduler>) -> Self {
        Self {
            handle: Handle::from_scheduler(scheduler),
            ended: false,
        }
    }

    /// Runs a future to its end on the calling thread; the tasks that it spawns run on the workers.
    ///
    /// The future need not be `Send` or `'static`. Between its polls the thread sleeps.
    ///
    /// # Panics
    ///
    /// If called from inside a task: that would block the worker. A panic of the future comes
    /// through. If nothing in the process can ever run again it panics with
    /// `all tasks are asleep - deadlock!` and the [`Dump`](crate::Dump); see
    /// [`Builder::detect_deadlock`].
    ///
    /// ```
    /// let rt = runtime::Runtime::new()?;
    /// let text = String::from("borrowed");
    /// let length = rt.block_on(async { text.len() });
    /// assert_eq!(length, 8);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    ///
    /// **Go:** `main` itself.
    #[track_caller]
    pub fn block_on<F: Future>(&self, future: F) -> F::Output {
        self.handle.block_on(future)
    }

    /// Spawns a task: see [`spawn`](crate::spawn()).
    ///
    /// ```
    /// let rt = runtime::Runtime::new()?;
    /// let task = rt.spawn(async { 42 });
    /// assert_eq!(rt.block_on(task).unwrap(), 42);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    ///
    /// **Go:** `go f()`.
    #[track_caller]
    pub fn spawn<F>(&self, future: F) -> JoinHandle<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        self.handle.scheduler().spawn(future, Location::caller())
    }

    /// Runs blocking code on a pool thread: see [`spawn_blocking`](crate::spawn_blocking).
    ///
    /// ```
    /// let rt = runtime::Runtime::new()?;
    /// let job = rt.spawn_blocking(|| 42);
    /// assert_eq!(rt.block_on(job).unwrap(), 42);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    ///
    /// **Go:** not needed: a goroutine may block.
    #[track_caller]
    pub fn spawn_blocking<F, T>(&self, f: F) -> JoinHandle<T>
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send + 'static,
    {
        self.handle.spawn_blocking(f)
    }

    /// A handle, to be kept and cloned anywhere; it does not keep the runtime alive.
    ///
    /// ```
    /// let rt = runtime::Runtime::new()?;
    /// let handle = rt.handle().clone();
    /// let task = std::thread::spawn(move || handle.spawn(async { 42 })).join().unwrap();
    /// assert_eq!(rt.block_on(task).unwrap(), 42);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    ///
    /// **Go:** none: there is one runtime.
    pub fn handle(&self) -> &Handle {
        &self.handle
    }

    /// Makes this the calling thread's current runtime until the guard is dropped: see
    /// [`Handle::enter`].
    ///
    /// ```
    /// let rt = runtime::Runtime::new()?;
    /// let _guard = rt.enter();
    /// let task = runtime::spawn(async { 7 });
    /// assert_eq!(rt.block_on(task).unwrap(), 7);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    ///
    /// **Go:** none: there is one runtime.
    pub fn enter(&self) -> EnterGuard<'_> {
        self.handle.enter()
    }

    /// Ends the runtime as a drop does, but waits for busy threads only so long.
    ///
    /// Returns whether everything ended in time. If not, the threads that are still inside a poll
    /// or a blocking job are left to themselves, and end when that returns; all other tasks have
    /// been dropped.
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// let rt = runtime::Runtime::new()?;
    /// rt.spawn(std::future::pending::<()>());
    /// assert!(rt.shutdown(Duration::from_secs(10)));
    /// # Ok::<(), std::io::Error>(())
    /// ```
    ///
    /// **Go:** none: it ends with the process.
    pub fn shutdown(mut self, timeout: Duration) -> bool {
        self.ended = true;
        end(self.handle.scheduler(), Some(timeout))
    }
}

/// For how long a panic that reports a deadlock waits for blocking jobs. Those that waited for
/// tasks end at once when these are cancelled, and are busy a little after that; the others never
/// end.
const AFTER_DEADLOCK: Duration = Duration::from_secs(1);

/// Ends a runtime.
///
/// On one of its own threads a runtime cannot wait for its own end: another thread does.
fn end(scheduler: &Arc<Scheduler>, timeout: Option<Duration>) -> bool {
    if scheduler.is_in_child() {
        // The threads are the parent's, and so is the descriptors' registration. Tasks may be in
        // the middle of a poll that nobody will end: all stays as it is.
        return false;
    }
    // Whatever runtime the task has entered.
    let own_worker = crate::scheduler::current::with_own_worker(|worker| {
        worker.is_some_and(|worker| Arc::ptr_eq(worker.scheduler(), scheduler))
    });
    if !own_worker && !is_pool_thread_of(scheduler) {
        return scheduler.shut_down(timeout);
    }
    let waits = scheduler.clone();
    let thread = std::thread::Builder::new().name("weftline-shutdown".into());
    if thread.spawn(move || waits.shut_down(timeout)).is_err() {
        // Nobody can wait, then: whatever is busy ends by itself, and the last worker does the
        // rest.
        scheduler.shut_down(Some(Duration::ZERO));
    }
    false
}

impl Drop for Runtime {
    fn drop(&mut self) {
        if std::thread::panicking() {
            print_seed(self.handle.seed());
        }
        if self.ended {
            return;
        }
        let scheduler = self.handle.scheduler();
        let deadlocked = std::thread::panicking() && scheduler.sleepers().was_deadlocked();
        end(scheduler, deadlocked.then_some(AFTER_DEADLOCK));
    }
}

/// Says how to run the same again, if there is a way.
pub(crate) fn print_seed(seed: Option<u64>) {
    if let Some(seed) = seed {
        // Not to stderr itself: a test's words belong to the test.
        eprintln!(
            "the seed of this run was {seed}: the same again with SEED={seed}, or with seed = {seed}"
        );
    }
}

impl fmt::Debug for Runtime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Runtime")
            .field(self.handle.scheduler())
            .finish()
    }
}
