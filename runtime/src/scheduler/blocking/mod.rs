//! Threads for code that blocks: `spawn_blocking`.
//!
//! A job is a task like any other, one allocation with a handle, but it is run here and its only
//! poll runs to the end. Threads are started when no idle one is left, up to a bound, and end after
//! some idle seconds. Beyond the bound jobs wait in line.
//!
//! [`pool`] is the line of jobs and the count of the threads, and says who ends; here is how a
//! thread lives. One that ends leaves its handle behind and takes the one of the thread that ended
//! before, which it joins: so the end of the runtime waits until the system has taken every thread
//! back.
#![forbid(unsafe_code)]

use std::cell::Cell;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::ptr;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::thread;
use std::time::{Duration, Instant};

mod pool;

/// What the models see of the private files.
#[cfg(all(test, loom))]
pub(crate) mod for_models {
    pub(crate) use super::pool::Pool;
}

use pool::Pool;

use super::threads::{self, ThreadNumber};
use super::{Scheduler, current};
use crate::task::{Runnable, coop};

/// How the pool is set up.
#[derive(Clone, Debug)]
pub(crate) struct BlockingConfig {
    pub(crate) max_threads: usize,
    pub(crate) keep_alive: Duration,
    pub(crate) thread_name: Arc<str>,
    pub(crate) stack_size: Option<usize>,
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Blocking {
    thread_name: Arc<str>,
    stack_size: Option<usize>,
    pool: Pool<Runnable, thread::JoinHandle<()>>,
}

/// How the pool stands.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Gauges {
    pub(crate) threads: usize,
    pub(crate) idle: usize,
    /// Jobs in line.
    pub(crate) queue: usize,
    /// Jobs ever taken.
    pub(crate) jobs: u64,
}

impl Blocking {
    pub(crate) fn new(config: BlockingConfig) -> Self {
        Self {
            thread_name: config.thread_name,
            stack_size: config.stack_size,
            pool: Pool::new(config.max_threads, config.keep_alive),
        }
    }

    /// Runs a job on a pool thread.
    ///
    /// # Errors
    ///
    /// The job comes back if the pool is closed, or if not one thread could be started.
    pub(crate) fn submit(
        &self,
        scheduler: &Arc<Scheduler>,
        job: Runnable,
    ) -> Result<(), (Runnable, io::Error)> {
        self.pool
            .submit(job, |number| self.start_thread(scheduler, number))
    }

    fn start_thread(
        &self,
        scheduler: &Arc<Scheduler>,
        number: usize,
    ) -> io::Result<thread::JoinHandle<()>> {
        let mut builder =
            thread::Builder::new().name(format!("{}-blocking-{number}", self.thread_name));
        if let Some(size) = self.stack_size {
            builder = builder.stack_size(size);
        }
        let scheduler = scheduler.clone();
        builder.spawn(move || run_jobs(scheduler, number))
    }

    /// How many jobs were ever taken, and the numbers of the threads that wait for one, if none of
    /// these will be there soon. All other threads run jobs, or begin, or end.
    pub(crate) fn waiting(&self) -> Option<(u64, Vec<ThreadNumber>)> {
        self.pool.waiting()
    }

    /// Jobs that wait for a thread or run.
    pub(crate) fn unfinished(&self) -> usize {
        self.pool.unfinished()
    }

    pub(crate) fn gauges(&self) -> Gauges {
        self.pool.gauges()
    }

    /// No more jobs. Those that have not started are cancelled by the walk over all tasks that
    /// follows; here they only leave the line.
    pub(crate) fn close(&self) {
        self.pool.close();
    }

    /// Waits until every thread has ended. Returns how many are still busy when the time is over.
    pub(crate) fn wait(&self, deadline: Option<Instant>) -> usize {
        let (left, ended) = self.pool.wait(deadline);
        if let Some(thread) = ended {
            // It has done its work, and joins those before it. A panic there has been printed.
            let _ = thread.join();
        }
        left
    }
}

thread_local! {
    /// The scheduler whose pool this thread belongs to.
    static POOL_OF: Cell<*const Scheduler> = const { Cell::new(ptr::null()) };
}

/// Whether the calling thread is one of this scheduler's pool, and so cannot wait for the pool's
/// end.
pub(crate) fn is_pool_thread_of(scheduler: &Arc<Scheduler>) -> bool {
    ptr::eq(POOL_OF.get(), Arc::as_ptr(scheduler))
}

/// A pool thread's life. Its count on the scheduler is no cycle: every end of a runtime calls
/// `close`, which ends the thread.
fn run_jobs(scheduler: Arc<Scheduler>, number: usize) {
    current::begin_thread(&scheduler);
    POOL_OF.set(Arc::as_ptr(&scheduler));
    let pool = &scheduler.blocking.pool;
    let me = threads::current();
    while let Some(job) = pool.next_job(me) {
        {
            // Anew for each job: one that leaves a guard of its own behind does not put the next
            // one into another runtime.
            let _entered = current::enter(scheduler.clone());
            // A job ends in its one poll; a panic is in its handle.
            let _ = job.run(ptr::null());
        }
        pool.job_ends();
        scheduler.reconsider_clock();
    }
    let before = pool.thread_ends(number);
    // It may be the last count, and must be gone when somebody has joined this thread.
    drop(scheduler);
    if let Some(thread) = before {
        let _ = thread.join();
    }
}

/// The future of a job.
#[derive(Debug)]
pub(crate) struct Job<F>(Option<F>);

impl<F> Job<F> {
    pub(crate) fn new(f: F) -> Self {
        Self(Some(f))
    }
}

impl<F> Unpin for Job<F> {}

impl<F, T> Future for Job<F>
where
    F: FnOnce() -> T,
{
    type Output = T;

    fn poll(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<T> {
        let f = self.0.take().expect("a job is polled once");
        // It is a task for its handle's sake only: inside, `block_on` is allowed and there is no
        // budget.
        let _task = current::leave_task();
        let _budget = coop::stop();
        Poll::Ready(f())
    }
}
