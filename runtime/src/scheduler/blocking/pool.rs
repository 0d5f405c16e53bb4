//! [`Pool`]: who takes which job, who is started, who ends; everything under one lock.
//!
//! **Promises.** A job that finds a thread waiting is promised to one: that thread counts as idle
//! no more, so that the next job does not rely on it, too. It is not said which thread: the first
//! that comes takes the promise, be it the one that was notified or one whose time was just over.
//! Nor is it said which job: a thread that was busy may take it before; then the promise is kept by
//! looking once more.
//!
//! Invariants, whenever the lock is free:
//!
//! 1. While a thread is idle there are no more jobs than promises: a job comes without a promise
//!    only when nobody is idle, and a thread becomes idle only when there is no job. So a thread
//!    whose time is over, and which finds no promise, leaves no job behind.
//! 2. `serving` threads will look for a job before they end; one that ends leaves that number under
//!    the lock in which it saw that there is none, so that the next job does not count on it.
//! 3. A thread's handle is in `threads` until the thread has ended all but itself; then in `ended`,
//!    until the next one to end takes it along and joins it. So one handle at most is kept for all
//!    that are gone.
#![forbid(unsafe_code)]

use std::collections::{HashMap, VecDeque};
use std::io;
use std::sync::PoisonError;
use std::time::{Duration, Instant};

use super::Gauges;
use crate::primitive::atomic::{AtomicUsize, Ordering::SeqCst};
use crate::primitive::{Condvar, Limit, Mutex, MutexGuard};
use crate::scheduler::threads::ThreadNumber;

/// See the module. Of jobs `J` and threads' handles `H`.
#[derive(Debug)]
pub(crate) struct Pool<J, H> {
    max_threads: usize,
    keep_alive: Duration,
    shared: Mutex<Shared<J, H>>,
    /// Jobs that were submitted and have not ended. SeqCst: what a job wakes is queued before it
    /// counts as ended.
    unfinished: AtomicUsize,
    /// A job is there, or the pool closes.
    work: Condvar,
    /// A thread has ended.
    ended: Condvar,
}

#[derive(Debug)]
struct Shared<J, H> {
    jobs: VecDeque<J>,
    /// Threads that will take another job.
    serving: usize,
    /// Threads that have not ended, by number.
    threads: HashMap<usize, H>,
    /// The one that ended last.
    ended: Option<H>,
    /// The system's numbers of those that wait for a job.
    waiting: Vec<ThreadNumber>,
    /// Threads that wait for a job and have not been promised one.
    idle: usize,
    /// Jobs for which an idle thread was woken that has not come yet.
    promised: usize,
    /// Jobs that were taken.
    taken: u64,
    closed: bool,
    started: usize,
}

impl<J, H> Shared<J, H> {
    fn no_longer_waits(&mut self, number: Option<ThreadNumber>) {
        self.waiting.retain(|&other| Some(other) != number);
    }
}

impl<J, H> Pool<J, H> {
    pub(crate) fn new(max_threads: usize, keep_alive: Duration) -> Self {
        Self {
            max_threads,
            keep_alive,
            shared: Mutex::new(Shared {
                jobs: VecDeque::new(),
                serving: 0,
                threads: HashMap::new(),
                ended: None,
                waiting: Vec::new(),
                idle: 0,
                promised: 0,
                taken: 0,
                closed: false,
                started: 0,
            }),
            unfinished: AtomicUsize::new(0),
            work: Condvar::new(),
            ended: Condvar::new(),
        }
    }

    /// Puts a job in line, and sees to a thread for it. `start` starts the thread of this number,
    /// which is to serve from then on.
    ///
    /// # Errors
    ///
    /// The job comes back if the pool is closed, or if not one thread could be started.
    pub(crate) fn submit(
        &self,
        job: J,
        start: impl FnOnce(usize) -> io::Result<H>,
    ) -> Result<(), (J, io::Error)> {
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
        if shared.serving >= self.max_threads {
            return Ok(());
        }
        let number = shared.started;
        match start(number) {
            Ok(thread) => {
                shared.threads.insert(number, thread);
                shared.serving += 1;
                shared.started += 1;
                Ok(())
            }
            // Those that run will come to it.
            Err(_) if shared.serving > 0 => Ok(()),
            Err(error) => match shared.jobs.pop_back() {
                Some(job) => {
                    self.job_ends();
                    Err((job, error))
                }
                None => Ok(()),
            },
        }
    }

    /// The next job; `None`: the thread is to end, and does not count as serving any more. `number`
    /// is the system's for the calling thread, if that tells.
    pub(crate) fn next_job(&self, number: Option<ThreadNumber>) -> Option<J> {
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
            shared.waiting.extend(number);
            // Beyond the clock's end: for ever.
            let patience = Limit::after(Some(self.keep_alive));
            while shared.promised == 0 {
                if shared.closed || patience.is_over() {
                    // There is no job: invariant 1.
                    shared.no_longer_waits(number);
                    shared.idle -= 1;
                    shared.serving -= 1;
                    return None;
                }
                shared = patience.wait(&self.work, shared);
            }
            shared.no_longer_waits(number);
            shared.promised -= 1;
        }
    }

    /// A job has been run.
    pub(crate) fn job_ends(&self) {
        self.unfinished.fetch_sub(1, SeqCst);
    }

    /// How many jobs were ever taken, and the numbers of the threads that wait for one, if none of
    /// these will be there soon. All other threads run jobs, or begin, or end.
    pub(crate) fn waiting(&self) -> Option<(u64, Vec<ThreadNumber>)> {
        let shared = self.lock();
        // Then no thread is idle while there is a job: invariant 1.
        (shared.promised == 0).then(|| (shared.taken, shared.waiting.clone()))
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

    /// A thread is through, but for giving itself back to the system. Returns the one before it, to
    /// be joined.
    pub(crate) fn thread_ends(&self, thread: usize) -> Option<H> {
        let mut shared = self.lock();
        let mine = shared.threads.remove(&thread);
        let before = std::mem::replace(&mut shared.ended, mine);
        drop(shared);
        self.ended.notify_all();
        before
    }

    /// No more jobs. Those that have not started are cancelled by the walk over all tasks that
    /// follows; here they only leave the line.
    pub(crate) fn close(&self) {
        let mut shared = self.lock();
        shared.closed = true;
        let left = std::mem::take(&mut shared.jobs);
        drop(shared);
        self.work.notify_all();
        drop(left);
    }

    /// Waits until every thread has ended. Returns how many are still busy when the time is over,
    /// and the one that ended last, to be joined.
    pub(crate) fn wait(&self, deadline: Option<Instant>) -> (usize, Option<H>) {
        let time = deadline.map(|at| at.saturating_duration_since(Instant::now()));
        let patience = Limit::after(time);
        let mut shared = self.lock();
        while !shared.threads.is_empty() && !patience.is_over() {
            shared = patience.wait(&self.ended, shared);
        }
        (shared.threads.len(), shared.ended.take())
    }

    fn lock(&self) -> MutexGuard<'_, Shared<J, H>> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The time of those who wait for a job is over.
    #[cfg(all(test, loom))]
    pub(crate) fn time_passes(&self) {
        let shared = self.lock();
        Limit::pass();
        drop(shared);
        self.work.notify_all();
    }

    /// All have ended: the counts say so.
    #[cfg(all(test, loom))]
    pub(crate) fn check(&self) {
        let shared = self.lock();
        let counts = [shared.serving, shared.idle, shared.jobs.len()];
        assert_eq!(counts, [0; 3], "serving, idle, jobs");
        assert!(shared.threads.is_empty() && shared.ended.is_none());
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    /// Of jobs that are numbers and threads that are none.
    fn pool(max_threads: usize, keep_alive: Duration) -> Pool<u32, ()> {
        Pool::new(max_threads, keep_alive)
    }

    fn refused() -> io::Result<()> {
        Err(io::ErrorKind::WouldBlock.into())
    }

    #[test]
    fn no_more_threads_are_started_than_may_be() {
        let pool = pool(2, Duration::ZERO);
        let mut started = Vec::new();
        for job in 0..4 {
            let start = |number| {
                started.push(number);
                Ok(())
            };
            assert!(pool.submit(job, start).is_ok());
        }
        assert_eq!(started, [0, 1]);
        assert_eq!((pool.gauges().threads, pool.gauges().queue), (2, 4));
    }

    #[test]
    fn a_job_that_gets_no_thread_comes_back_and_counts_no_more() {
        let pool = pool(2, Duration::ZERO);
        assert!(matches!(pool.submit(7, |_| refused()), Err((7, _))));
        assert_eq!(pool.unfinished(), 0);
        // One that serves will come to it.
        assert!(pool.submit(8, |_| Ok(())).is_ok());
        assert!(pool.submit(9, |_| refused()).is_ok());
        assert_eq!(
            (pool.next_job(None), pool.next_job(None)),
            (Some(8), Some(9))
        );
        assert_eq!(pool.unfinished(), 2, "they have not ended");
    }

    #[test]
    fn a_thread_is_known_to_wait_while_it_does() {
        let pool = pool(1, Duration::from_secs(3600));
        assert!(pool.submit(1, |_| Ok(())).is_ok());
        std::thread::scope(|scope| {
            let thread = scope.spawn(|| {
                let first = pool.next_job(Some(77));
                (first, pool.next_job(Some(77)))
            });
            while pool.waiting() != Some((1, vec![77])) {
                std::thread::yield_now();
            }
            assert!(pool.submit(2, |_| refused()).is_ok());
            assert_eq!(thread.join().unwrap(), (Some(1), Some(2)));
        });
        assert_eq!(pool.waiting(), Some((2, vec![])));
    }

    #[test]
    fn a_thread_whose_time_is_over_is_not_known_any_more() {
        let pool = pool(1, Duration::ZERO);
        assert_eq!(pool.submit(1, |_| Ok(())).map_err(|_| ()), Ok(()));
        assert_eq!(pool.next_job(Some(77)), Some(1));
        assert_eq!(pool.next_job(Some(77)), None);
        assert_eq!(pool.waiting(), Some((1, vec![])));
    }
}
