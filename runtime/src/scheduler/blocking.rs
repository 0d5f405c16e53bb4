//! Threads for code that blocks: `spawn_blocking`.
//!
//! A job is a task like any other, one allocation with a handle, but it is run here and its only poll runs to the end. Threads are
//! started when no idle one is left, up to a bound, and end after some idle seconds. Beyond the bound jobs wait in line.
//!
//! A thread that ends says so under the lock in which it saw that there is no job, so that the next job does not count on it. It leaves its
//! handle behind and takes the one of the thread that ended before, which it joins: so one handle at most is kept for all that are gone,
//! and the end of the runtime waits until the system has taken every thread back.
#![forbid(unsafe_code)]

use std::cell::Cell;
use std::collections::{HashMap, VecDeque};
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::ptr;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::task::{Context, Poll};
use std::thread;
use std::time::{Duration, Instant};

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
    config: BlockingConfig,
    shared: Mutex<Shared>,
    /// Jobs that were submitted and have not ended. SeqCst: what a job wakes is queued before it counts as ended.
    unfinished: AtomicUsize,
    /// A job is there, or the pool closes.
    work: Condvar,
    /// A thread has ended.
    ended: Condvar,
}

#[derive(Debug, Default)]
struct Shared {
    jobs: VecDeque<Runnable>,
    /// Threads that will take another job.
    serving: usize,
    /// Threads that have not ended, by number.
    threads: HashMap<usize, thread::JoinHandle<()>>,
    /// The one that ended last.
    ended: Option<thread::JoinHandle<()>>,
    /// The system's numbers of those that have begun.
    numbers: Vec<ThreadNumber>,
    /// Threads that wait for a job and have not been promised one.
    idle: usize,
    /// Jobs for which an idle thread was woken that has not come yet.
    promised: usize,
    /// Jobs that were taken.
    taken: u64,
    closed: bool,
    started: usize,
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
            config,
            shared: Mutex::default(),
            unfinished: AtomicUsize::new(0),
            work: Condvar::new(),
            ended: Condvar::new(),
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
        let mut shared = self.lock();
        if shared.closed {
            return Err((job, io::Error::other("the runtime has shut down")));
        }
        self.unfinished.fetch_add(1, SeqCst);
        shared.jobs.push_back(job);
        if shared.idle > 0 {
            shared.idle -= 1;
            shared.promised += 1;
            drop(shared);
            self.work.notify_one();
            return Ok(());
        }
        if shared.serving >= self.config.max_threads {
            return Ok(());
        }
        match self.add_thread(scheduler, &mut shared) {
            Ok(()) => Ok(()),
            // Those that run will come to it.
            Err(_) if shared.serving > 0 => Ok(()),
            Err(error) => match shared.jobs.pop_back() {
                Some(job) => {
                    self.unfinished.fetch_sub(1, SeqCst);
                    Err((job, error))
                }
                None => Ok(()),
            },
        }
    }

    fn add_thread(&self, scheduler: &Arc<Scheduler>, shared: &mut Shared) -> io::Result<()> {
        let number = shared.started;
        let thread = self.start_thread(scheduler, number)?;
        shared.threads.insert(number, thread);
        shared.serving += 1;
        shared.started += 1;
        Ok(())
    }

    fn start_thread(
        &self,
        scheduler: &Arc<Scheduler>,
        number: usize,
    ) -> io::Result<thread::JoinHandle<()>> {
        let mut builder =
            thread::Builder::new().name(format!("{}-blocking-{number}", self.config.thread_name));
        if let Some(size) = self.config.stack_size {
            builder = builder.stack_size(size);
        }
        let scheduler = scheduler.clone();
        builder.spawn(move || run_jobs(scheduler, number))
    }

    /// The next job; `None`: the thread is to end, and does not count as serving any more.
    fn next_job(&self) -> Option<Runnable> {
        let mut shared = self.lock();
        loop {
            if let Some(job) = shared.jobs.pop_front() {
                shared.taken += 1;
                return Some(job);
            }
            if shared.closed {
                shared.serving -= 1;
                return None;
            }
            shared.idle += 1;
            // Beyond the clock's end: for ever.
            let deadline = Instant::now().checked_add(self.config.keep_alive);
            loop {
                let left = deadline.map(|at| at.saturating_duration_since(Instant::now()));
                shared = self.wait_for_work(shared, left);
                if shared.promised > 0 {
                    shared.promised -= 1;
                    break;
                }
                if shared.closed || left.is_some_and(|left| left.is_zero()) {
                    shared.idle -= 1;
                    if shared.jobs.is_empty() {
                        shared.serving -= 1;
                        return None;
                    }
                    break;
                }
            }
        }
    }

    fn wait_for_work<'a>(
        &self,
        shared: MutexGuard<'a, Shared>,
        left: Option<Duration>,
    ) -> MutexGuard<'a, Shared> {
        match left {
            None => self
                .work
                .wait(shared)
                .unwrap_or_else(|poisoned| poisoned.into_inner()),
            Some(left) => {
                self.work
                    .wait_timeout(shared, left)
                    .unwrap_or_else(|poisoned| poisoned.into_inner())
                    .0
            }
        }
    }

    /// How many jobs were ever taken, and the numbers of all threads, if each of these waits for a job and there is none.
    pub(crate) fn idle(&self) -> Option<(u64, Vec<ThreadNumber>)> {
        let shared = self.lock();
        let threads = shared.threads.len();
        let idle = shared.jobs.is_empty() && shared.idle == threads;
        (idle && shared.numbers.len() == threads).then(|| (shared.taken, shared.numbers.clone()))
    }

    /// Jobs that wait for a thread or run.
    pub(crate) fn unfinished(&self) -> usize {
        self.unfinished.load(SeqCst)
    }

    pub(crate) fn gauges(&self) -> Gauges {
        let shared = self.lock();
        Gauges {
            threads: shared.threads.len(),
            idle: shared.idle,
            queue: shared.jobs.len(),
            jobs: shared.taken,
        }
    }

    fn thread_begins(&self) {
        let number = threads::current();
        self.lock().numbers.extend(number);
    }

    /// A thread is through, but for giving itself back to the system. Returns the one before it, to be joined.
    fn thread_ends(&self, number: usize) -> Option<thread::JoinHandle<()>> {
        let mut shared = self.lock();
        let mine = threads::current();
        shared.numbers.retain(|&other| Some(other) != mine);
        let mine = shared.threads.remove(&number);
        let before = std::mem::replace(&mut shared.ended, mine);
        drop(shared);
        self.ended.notify_all();
        before
    }

    /// No more jobs. Those that have not started are cancelled by the walk over all tasks that follows; here they only leave the line.
    pub(crate) fn close(&self) {
        let mut shared = self.lock();
        shared.closed = true;
        let left = std::mem::take(&mut shared.jobs);
        drop(shared);
        self.work.notify_all();
        drop(left);
    }

    /// Waits until every thread has ended. Returns how many are still busy when the time is over.
    pub(crate) fn wait(&self, deadline: Option<Instant>) -> usize {
        let mut shared = self.lock();
        while !shared.threads.is_empty() {
            let Some(deadline) = deadline else {
                shared = self
                    .ended
                    .wait(shared)
                    .unwrap_or_else(|poisoned| poisoned.into_inner());
                continue;
            };
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            shared = self
                .ended
                .wait_timeout(shared, left)
                .unwrap_or_else(|poisoned| poisoned.into_inner())
                .0;
        }
        let left = shared.threads.len();
        let ended = shared.ended.take();
        drop(shared);
        if let Some(thread) = ended {
            // It has done its work, and joins those before it. A panic there has been printed.
            let _ = thread.join();
        }
        left
    }

    fn lock(&self) -> MutexGuard<'_, Shared> {
        self.shared
            .lock()
            .unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

thread_local! {
    /// The scheduler whose pool this thread belongs to.
    static POOL_OF: Cell<*const Scheduler> = const { Cell::new(ptr::null()) };
}

/// Whether the calling thread is one of this scheduler's pool, and so cannot wait for the pool's end.
pub(crate) fn is_pool_thread_of(scheduler: &Arc<Scheduler>) -> bool {
    ptr::eq(POOL_OF.get(), Arc::as_ptr(scheduler))
}

/// A pool thread's life. Its count on the scheduler is no cycle: every end of a runtime calls `close`, which ends the thread.
fn run_jobs(scheduler: Arc<Scheduler>, number: usize) {
    POOL_OF.set(Arc::as_ptr(&scheduler));
    scheduler.blocking.thread_begins();
    while let Some(job) = scheduler.blocking.next_job() {
        {
            // Anew for each job: one that leaves a guard of its own behind does not put the next one into another runtime.
            let _entered = current::enter(scheduler.clone());
            // A job ends in its one poll; a panic is in its handle.
            let _ = job.run(ptr::null());
        }
        scheduler.blocking.unfinished.fetch_sub(1, SeqCst);
        scheduler.reconsider_clock();
    }
    let before = scheduler.blocking.thread_ends(number);
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
        // It is a task for its handle's sake only: inside, `block_on` is allowed and there is no budget.
        let _task = current::leave_task();
        let _budget = coop::stop();
        Poll::Ready(f())
    }
}
