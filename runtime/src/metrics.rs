//! Metrics: what a runtime has done so far, and how it stands.
//!
//! Counters that grow on a worker's path belong to its slot and are written by it alone, by plain
//! stores; what happens seldom, or under a lock anyway, is counted there. Nothing is summed before
//! somebody asks. Each number is exact when nothing moves; read while the runtime works, they are
//! of about the same moment.
#![forbid(unsafe_code)]

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

pub use crate::histogram::Histogram;
use crate::scheduler::{Scheduler, Slot};

/// Counters and gauges of a runtime: from [`Handle::metrics`](crate::Handle::metrics).
///
/// Counters begin with the runtime and only grow; the others say how things stand. Both are plain
/// numbers, to be passed on to whatever collects them.
///
/// ```
/// # runtime::block_on(async {
/// runtime::spawn(async {}).await.unwrap();
/// let metrics = runtime::Handle::current().metrics();
/// assert!(metrics.spawned >= 1);
/// println!("{} polls by {} workers", metrics.polls(), metrics.workers.len());
/// # });
/// ```
///
/// **Go:** `runtime/metrics`, under `/sched/`.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Metrics {
    /// Workers that run tasks at a time, as set.
    pub max_procs: usize,
    /// Every worker that there is or was, stuck ones and those asleep included. One whose thread
    /// has ended, since it was not needed, stays here with what it has done, until another thread
    /// takes its place.
    pub workers: Vec<WorkerMetrics>,
    /// Workers that are awake and not stuck.
    pub workers_running: usize,
    /// Of these, those that look for work.
    pub workers_searching: usize,
    /// Worker threads beyond `max_procs`, started because others were stuck. They end when they
    /// have not been needed for a second.
    pub spares: usize,
    /// Tasks that were spawned and have not ended; blocking jobs are counted apart.
    pub tasks: usize,
    /// Tasks ever spawned. Counter.
    pub spawned: u64,
    /// Tasks in the queue that all workers share.
    pub shared_queue: usize,
    /// Tasks queued there by threads that are no workers of this runtime: spawned, or woken.
    /// Counter.
    pub injected: u64,
    /// Workers woken because there was work. Counter.
    pub wakes: u64,
    /// The time from a task's wake (or spawn, or yield) to its poll, in which it waited for a
    /// worker. It is taken of some wakes, each of which is counted as many times as there were
    /// wakes like it: of all wakes in one poll of some five hundred, of every sixteenth by a timer
    /// or the reactor, of every eighth by a thread that is no worker. The counts are estimates,
    /// therefore. Counter.
    pub wake_to_run: Histogram,
    /// Times that the monitor asked a task to yield at its next operation. Counter.
    pub preemptions: u64,
    /// Times that a worker did not come back from a poll, and what it owned was served by others.
    /// Counter.
    pub handoffs: u64,
    /// Timers that are set and have not fired: sleeps, timeouts, tickers, deadlines.
    pub timers_armed: usize,
    /// Times that ready tasks had to wait, since
    /// [`Builder::max_threads`](crate::Builder::max_threads) workers were there and all of them
    /// stuck. Counter.
    pub threads_exhausted: u64,
    /// Timers fired. Counter.
    pub timers_fired: u64,
    /// Descriptors registered with the reactor.
    pub descriptors: usize,
    /// Events that the reactor delivered. Counter.
    pub io_events: u64,
    /// Threads for blocking jobs.
    pub blocking_threads: usize,
    /// Of these, those that wait for a job.
    pub blocking_idle: usize,
    /// Blocking jobs that wait for a thread.
    pub blocking_queue: usize,
    /// Blocking jobs started. Counter.
    pub blocking_jobs: u64,
}

/// What one worker has done: in [`Metrics`]. All but `queue`, `is_stuck` and `has_thread` are
/// counters.
///
/// ```
/// # runtime::block_on(async {
/// for (n, worker) in runtime::Handle::current().metrics().workers.iter().enumerate() {
///     println!("worker {n}: {} polls, {} steals", worker.polls, worker.steals);
/// }
/// # });
/// ```
///
/// **Go:** one `P` in a line of `schedtrace`.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct WorkerMetrics {
    /// Polls of tasks begun.
    pub polls: u64,
    /// Polls after which the task was runnable still: it yielded, or was woken meanwhile.
    pub yields: u64,
    /// Of these, or within one poll: operations that were put off because the budget was spent or
    /// the time slice over.
    pub budget_yields: u64,
    /// Times that it took work from another worker.
    pub steals: u64,
    /// Times that its queue was full and half of it went to the shared one.
    pub overflows: u64,
    /// Times that it went to sleep.
    pub parks: u64,
    /// Tasks in its queue, with the one that runs next.
    pub queue: usize,
    /// It is inside a poll that does not return, and does not count as running.
    pub is_stuck: bool,
    /// Its thread is there.
    pub has_thread: bool,
}

impl Metrics {
    /// Polls of all workers. Counter.
    ///
    /// ```
    /// # runtime::block_on(async {
    /// runtime::spawn(async {}).await.unwrap();
    /// assert!(runtime::Handle::current().metrics().polls() >= 1);
    /// # });
    /// ```
    ///
    /// **Go:** none.
    pub fn polls(&self) -> u64 {
        self.workers.iter().map(|worker| worker.polls).sum()
    }

    /// Times that a worker took work from another. Counter.
    ///
    /// ```
    /// # runtime::block_on(async {
    /// println!("{}", runtime::Handle::current().metrics().steals());
    /// # });
    /// ```
    ///
    /// **Go:** none.
    pub fn steals(&self) -> u64 {
        self.workers.iter().map(|worker| worker.steals).sum()
    }

    /// Times that a worker went to sleep. Counter.
    ///
    /// ```
    /// # runtime::block_on(async {
    /// println!("{}", runtime::Handle::current().metrics().parks());
    /// # });
    /// ```
    ///
    /// **Go:** none.
    pub fn parks(&self) -> u64 {
        self.workers.iter().map(|worker| worker.parks).sum()
    }

    /// Operations that were put off because a budget was spent or a time slice over. Counter.
    ///
    /// ```
    /// # runtime::block_on(async {
    /// runtime::spawn(async {}).await.unwrap();
    /// assert!(runtime::Handle::current().metrics().budget_yields() == 0);
    /// # });
    /// ```
    ///
    /// **Go:** none.
    pub fn budget_yields(&self) -> u64 {
        self.workers.iter().map(|worker| worker.budget_yields).sum()
    }

    /// Tasks in all queues.
    ///
    /// ```
    /// # runtime::block_on(async {
    /// println!("{}", runtime::Handle::current().metrics().queued());
    /// # });
    /// ```
    ///
    /// **Go:** `/sched/goroutines/runnable:goroutines`.
    pub fn queued(&self) -> usize {
        let own: usize = self.workers.iter().map(|worker| worker.queue).sum();
        own + self.shared_queue
    }
}

impl WorkerMetrics {
    fn of(slot: &Slot) -> Self {
        let counters = &slot.counters;
        Self {
            // Two more with each, and odd inside one.
            polls: slot.poll.sequence().div_ceil(2),
            yields: counters.yields(),
            budget_yields: counters.budget_yields(),
            steals: counters.steals(),
            overflows: counters.overflows(),
            parks: counters.parks(),
            queue: slot.queue.len() + usize::from(slot.queue.has_next()),
            is_stuck: slot.poll.is_stuck(),
            has_thread: !slot.is_vacant(),
        }
    }
}

impl Scheduler {
    /// See [`Handle::metrics`](crate::Handle::metrics).
    pub(crate) fn metrics(&self) -> Metrics {
        let workers: Vec<_> = self.started_slots().map(|s| WorkerMetrics::of(s)).collect();
        let threads = workers.iter().filter(|worker| worker.has_thread).count();
        let pool = self.blocking().gauges();
        let timers_fired = self.started_slots().map(|s| s.counters.timers_fired());
        Metrics {
            max_procs: self.max_procs(),
            workers_running: self.running(),
            workers_searching: self.searching(),
            spares: threads.saturating_sub(self.max_procs()),
            tasks: self.num_tasks(),
            spawned: self.num_spawned(),
            shared_queue: self.injected(),
            injected: self.tally().injected.load(Relaxed),
            wakes: self.tally().wakes.load(Relaxed),
            wake_to_run: {
                let mut all = Histogram::new();
                self.started_slots().for_each(|s| all.add(&s.latencies));
                all
            },
            preemptions: self.tally().preemptions.load(Relaxed),
            handoffs: self.tally().handoffs.load(Relaxed),
            timers_armed: self.started_slots().map(|s| s.timers.armed()).sum(),
            threads_exhausted: self.tally().exhausted.load(Relaxed),
            timers_fired: timers_fired.sum::<u64>() + self.tally().timers_fired.load(Relaxed),
            descriptors: self.driver().registered(),
            io_events: self.driver().events(),
            blocking_threads: pool.threads,
            blocking_idle: pool.idle,
            blocking_queue: pool.queue,
            blocking_jobs: pool.jobs,
            workers,
        }
    }
}

/// What happens too seldom to be counted by each worker for itself.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    pub(crate) injected: AtomicU64,
    pub(crate) wakes: AtomicU64,
    pub(crate) preemptions: AtomicU64,
    pub(crate) handoffs: AtomicU64,
    pub(crate) exhausted: AtomicU64,
    /// By the monitor.
    pub(crate) timers_fired: AtomicU64,
}

/// Counts one more. Relaxed: nothing rides on a count.
pub(crate) fn count(counter: &AtomicU64) {
    counter.fetch_add(1, Relaxed);
}

/// A line like that of Go's `GODEBUG=schedtrace`, after so much time.
pub(crate) struct TraceLine<'a>(pub(crate) &'a Metrics, pub(crate) Duration);

impl fmt::Display for TraceLine<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(metrics, time) = self;
        let threads = metrics.workers.iter().filter(|w| w.has_thread).count();
        let stuck = metrics.workers.iter().filter(|w| w.is_stuck).count();
        let asleep = threads.saturating_sub(stuck + metrics.workers_running);
        write!(
            f,
            "SCHED {}ms: maxprocs={} idleprocs={} threads={} spinningthreads={} stuckthreads={stuck} idlethreads={asleep} \
             tasks={} blocking={} runqueue={} [",
            time.as_millis(),
            metrics.max_procs,
            metrics.max_procs.saturating_sub(metrics.workers_running),
            // And the monitor.
            threads + metrics.blocking_threads + 1,
            metrics.workers_searching,
            metrics.tasks,
            metrics.blocking_threads - metrics.blocking_idle.min(metrics.blocking_threads),
            metrics.shared_queue,
        )?;
        for worker in &metrics.workers {
            write!(f, " {}", worker.queue)?;
        }
        f.write_str(" ] polls=[")?;
        for worker in &metrics.workers {
            write!(f, " {}", worker.polls)?;
        }
        f.write_str(" ]")
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn a_trace_line_reads_like_go_s() {
        let worker = |polls, queue, is_stuck| WorkerMetrics {
            polls,
            queue,
            is_stuck,
            has_thread: true,
            ..WorkerMetrics::default()
        };
        let metrics = Metrics {
            max_procs: 2,
            workers: vec![worker(7, 3, true), worker(9, 0, false), worker(0, 1, false)],
            workers_running: 1,
            workers_searching: 1,
            tasks: 12,
            shared_queue: 4,
            blocking_threads: 2,
            blocking_idle: 1,
            ..Metrics::default()
        };
        assert_eq!(
            TraceLine(&metrics, Duration::from_millis(1009)).to_string(),
            "SCHED 1009ms: maxprocs=2 idleprocs=1 threads=6 spinningthreads=1 stuckthreads=1 idlethreads=1 tasks=12 blocking=1 \
             runqueue=4 [ 3 0 1 ] polls=[ 7 9 0 ]"
        );
    }
}
