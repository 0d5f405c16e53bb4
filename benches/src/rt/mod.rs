//! The runtimes, behind one small trait, so that every workload is written once and each runtime
//! does the same work.
//!
//! Dispatch is static: a workload is compiled for each runtime, and nothing stands between it and
//! the runtime's own functions. May has no futures; its workloads are written again with closures
//! in [`crate::may`].
#![forbid(unsafe_code)]

pub(crate) mod smol;
pub(crate) mod tokio;
pub(crate) mod weftline;

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use crate::gate::Gate;

/// What a workload asks of a runtime.
pub(crate) trait Rt: Send + Sync + 'static {
    /// Waits for the output of a task; a task that panicked makes it panic.
    type Join<T: Send + 'static>: Future<Output = T> + Send;

    /// Its WaitGroup, or the plainest one there is where it brings none.
    type WaitGroup: WaitGroup;

    /// Runs `future` as a task on a runtime with so many workers, and waits for it.
    fn run<F>(workers: usize, future: F) -> F::Output
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static;

    /// Starts a task.
    fn spawn<F>(future: F) -> Self::Join<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static;

    /// Starts a task that nobody waits for.
    fn detach<F>(future: F)
    where
        F: Future<Output = ()> + Send + 'static;

    /// Goes to the back of the queue once.
    fn yield_now() -> impl Future<Output = ()> + Send;

    /// Sleeps.
    fn sleep(duration: Duration) -> impl Future<Output = ()> + Send;

    /// The output of `future`, or nothing when the time is up first.
    fn timeout<F: Future + Send>(
        limit: Duration,
        future: F,
    ) -> impl Future<Output = Option<F::Output>> + Send;
}

/// Counts tasks down, and lets one wait for the last.
pub(crate) trait WaitGroup: Clone + Send + Sync + 'static {
    /// For so many tasks.
    fn of(tasks: usize) -> Self;

    /// One less.
    fn done(&self);

    /// Waits for zero.
    fn wait(&self) -> impl Future<Output = ()> + Send;
}

impl WaitGroup for Arc<Gate> {
    fn of(tasks: usize) -> Self {
        Gate::new(tasks)
    }

    fn done(&self) {
        Gate::done(self);
    }

    fn wait(&self) -> impl Future<Output = ()> + Send {
        Gate::wait(self)
    }
}

/// An async mutex round a counter.
pub(crate) trait Lock: Send + Sync + 'static {
    /// A new one that counts from zero.
    fn new() -> Self;

    /// Takes the lock and adds one.
    fn add(&self) -> impl Future<Output = ()> + Send;

    /// Takes the lock and reads.
    fn total(&self) -> impl Future<Output = usize> + Send;
}
