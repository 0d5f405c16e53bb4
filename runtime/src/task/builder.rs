//! `task::Builder`: spawn a task that has a name.
#![forbid(unsafe_code)]

use std::future::Future;
use std::panic::Location;
use std::sync::Arc;

use super::JoinHandle;
use crate::handle::{Handle, NO_RUNTIME};
use crate::scheduler::current;

/// Spawns a task with a name, which the dump and the report of a panic show.
///
/// A name costs a table entry as long as the task lives; tasks without one pay nothing.
///
/// ```
/// use runtime::task;
///
/// # runtime::block_on(async {
/// let handle = task::Builder::new().name("greeter").spawn(async {
///     assert_eq!(task::name().as_deref(), Some("greeter"));
/// });
/// handle.await.unwrap();
/// # });
/// ```
///
/// **Go:** `pprof.Do` with a label, which a traceback shows as well.
#[derive(Clone, Debug, Default)]
#[must_use = "a builder does nothing until `spawn`"]
pub struct Builder {
    name: Option<Arc<str>>,
}

impl Builder {
    /// A task without a name so far.
    ///
    /// ```
    /// # runtime::block_on(async {
    /// let task = runtime::task::Builder::new().spawn(async { 42 });
    /// assert_eq!(task.await.unwrap(), 42);
    /// # });
    /// ```
    ///
    /// **Go:** none.
    pub fn new() -> Self {
        Self::default()
    }

    /// The task's name. It need not be unique.
    ///
    /// ```
    /// # runtime::block_on(async {
    /// let task = runtime::task::Builder::new()
    ///     .name("reader")
    ///     .spawn(async { runtime::task::name() });
    /// assert_eq!(task.await.unwrap().as_deref(), Some("reader"));
    /// # });
    /// ```
    ///
    /// **Go:** `pprof.SetGoroutineLabels`.
    pub fn name(mut self, name: impl Into<Arc<str>>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// Spawns the task on the current runtime: see [`spawn`](crate::spawn()).
    ///
    /// # Panics
    ///
    /// Outside a runtime.
    ///
    /// ```
    /// # runtime::block_on(async {
    /// let task = runtime::task::Builder::new().name("answer").spawn(async { 42 });
    /// assert_eq!(task.await.unwrap(), 42);
    /// # });
    /// ```
    ///
    /// **Go:** `go f()`.
    #[track_caller]
    pub fn spawn<F>(self, future: F) -> JoinHandle<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        match Handle::try_current() {
            Ok(handle) => self.spawn_on(future, &handle),
            Err(_) => panic!("task::Builder::spawn: {NO_RUNTIME}"),
        }
    }

    /// Spawns the task on the runtime of `handle`.
    ///
    /// ```
    /// let rt = runtime::Runtime::new()?;
    /// let task = runtime::task::Builder::new().name("answer").spawn_on(async { 42 }, rt.handle());
    /// assert_eq!(rt.block_on(task).unwrap(), 42);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    ///
    /// **Go:** `go f()`.
    #[track_caller]
    pub fn spawn_on<F>(self, future: F, handle: &Handle) -> JoinHandle<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        let (scheduler, place) = (handle.scheduler(), Location::caller());
        match self.name {
            None => scheduler.spawn(future, place),
            Some(name) => scheduler.spawn_named(name, future, place),
        }
    }
}

/// The name of the current task; `None` if it has none, and outside tasks.
///
/// ```
/// # runtime::block_on(async {
/// assert_eq!(runtime::task::name(), None);
/// # });
/// ```
///
/// **Go:** none.
pub fn name() -> Option<Arc<str>> {
    let id = current::task_id()?;
    current::scheduler()?.names().of(id)
}
