//! The monitor: a thread that watches the workers, as Go's `sysmon` does.
//!
//! A task is a future, and nothing can interrupt its poll. So what happens around a poll that does
//! not return is this thread's business:
//!
//! 1. the task is asked to yield at its next operation (the preempt flag in `coop`);
//! 2. if it does not, its worker is marked as stuck, counts as running no more, and another one is
//!    woken or started in its place. What the stuck worker owns needs no hand-over: ring and
//!    run-next can be taken by anybody, its timers are fired from here;
//! 3. when the poll returns at last, the worker finds itself marked; if it is one too many now, it
//!    sleeps until it is needed, and ends if it is not needed for a second.
//!
//! [`look`] is what it does when it is awake, [`watched`] what it remembers of a worker's poll and
//! how it tells one that blocks from one that computes, [`spares`] how soon it loses patience with
//! either and how many it has take over. [`rhythm`] is how often it looks, [`rest`] what it asks
//! before it sleeps, [`alarm`] how it waits for either.
//!
//! It also does what the workers leave undone for speed's sake: it sees to a run-next that nobody
//! was woken for, and to a reactor that nobody looks at because all workers are in long polls; and
//! it gives the memory of tasks that are gone back to the system.
//!
//! It costs nothing when there is nothing to watch: after [`CALM`](rhythm::CALM) without a worker
//! awake it sleeps until one wakes it, and while all polls are short it looks every
//! [`SLOW`](rhythm::SLOW). On the workers' hot path there are two plain stores a poll.
#![forbid(unsafe_code)]

use std::io;
use std::sync::Arc;
use std::sync::OnceLock;
use std::sync::atomic::{
    AtomicBool, AtomicU64,
    Ordering::{Relaxed, SeqCst},
};
use std::thread;
use std::time::Duration;

mod alarm;
mod look;
mod rest;
mod rhythm;
mod spares;
mod watched;

/// What the models see of the private files.
#[cfg(all(test, loom))]
pub(crate) mod for_models {
    pub(crate) use super::alarm::Alarm;
}

pub(super) use look::delivers;

use alarm::Alarm;
use look::Notes;
use rest::Traced;
use rhythm::Rhythm;

use super::Scheduler;
use super::kernel::{self, KernelThread, Slice};
use super::threads::{self, ThreadNumber};
use crate::asymmetric;
use crate::slab::Trim;
use crate::time::clock;

/// Between two looks at what the process may use of the CPUs, as in Go, and at what memory nobody
/// has missed since the last one.
const LIMITS: Duration = Duration::from_secs(1);

/// See the module.
#[derive(Debug)]
pub(crate) struct Monitor {
    slice: u64,
    report: Option<u64>,
    alarm: Alarm,
    /// Some worker was marked as stuck a slice ago at the most.
    strained: AtomicBool,
    /// No worker could be added when it was last tried, since there are as many as may be. Used by
    /// the monitor alone.
    exhausted: AtomicBool,
    /// Odd while it looks: one more with each beginning and end.
    looks: AtomicU64,
    /// The number of its thread, once it has begun.
    thread: OnceLock<Option<ThreadNumber>>,
}

impl Monitor {
    pub(crate) fn new(slice: Duration, report: Option<Duration>) -> Self {
        Self {
            slice: nanos(slice),
            report: report.map(nanos),
            alarm: Alarm::new(),
            strained: AtomicBool::new(false),
            exhausted: AtomicBool::new(false),
            looks: AtomicU64::new(0),
            thread: OnceLock::new(),
        }
    }

    /// A worker wakes: so does the monitor, if it sleeps. One load otherwise.
    #[inline]
    pub(crate) fn wake(&self) {
        self.alarm.wake(set_coarse_clock);
    }

    /// There is work and nobody to do it.
    pub(crate) fn hurry(&self) {
        self.alarm.hurry(set_coarse_clock);
    }

    pub(crate) fn stop(&self) {
        self.alarm.stop();
    }

    /// Sleeps until a worker or a `block_on` wakes it, which is `true`, or until the time is over.
    /// `seen`: the sleeps in `block_on` that were counted before the last look at everything.
    fn sleep(&self, scheduler: &Scheduler, seen: u64, time: Option<Duration>) -> bool {
        let moves = || !scheduler.idle.is_quiet() || scheduler.sleepers().epoch() != seen;
        self.alarm.sleep(time, moves)
    }

    /// The number of its looks, if it is not in the middle of one.
    pub(crate) fn resting(&self) -> Option<u64> {
        let looks = self.looks.load(SeqCst);
        (looks % 2 == 0).then_some(looks)
    }

    /// The number of its thread.
    pub(crate) fn thread(&self) -> Option<ThreadNumber> {
        self.thread.get().copied().flatten()
    }

    /// Whether workers have been marked as stuck, a moment ago. Relaxed: a hint.
    pub(crate) fn is_strained(&self) -> bool {
        self.strained.load(Relaxed)
    }
}

impl Scheduler {
    pub(crate) fn start_monitor(self: &Arc<Self>) -> io::Result<()> {
        let scheduler = self.clone();
        let name = format!("{}-monitor", self.config.thread_name);
        let thread = thread::Builder::new()
            .name(name)
            .spawn(move || scheduler.watch())
            .map_err(|error| {
                let hint = "cannot start the monitor's thread: lower max_procs or raise the limit of processes (ulimit -u)";
                io::Error::new(error.kind(), format!("{hint}: {error}"))
            })?;
        self.ending.keep(thread);
        Ok(())
    }

    /// The monitor's life.
    fn watch(self: Arc<Self>) {
        self.monitor.thread.get_or_init(threads::current);
        kernel::set_slice(KernelThread::current(), Slice::Shortest);
        // Here, since it may take milliseconds, and nobody waits for this thread.
        asymmetric::register();
        let begin = clock::real();
        clock::advance_coarse(begin);
        let mut notes = Notes::new(self.slots.len(), begin);
        let mut traced = Traced::new(begin);
        let mut rhythm = Rhythm::new();
        let mut limits_read = begin;
        while self.monitor.alarm.pause(rhythm.pause()) {
            let now = clock::real();
            clock::advance_coarse(now);
            self.trace(&mut traced, now);
            if now - limits_read >= nanos(LIMITS) {
                limits_read = now;
                self.follow_limits();
                self.slab.trim(Trim::Unused);
            }
            // SeqCst, for the deadlock check: what a look sets in motion comes between the two.
            self.monitor.looks.fetch_add(1, SeqCst);
            let seen = self.look(&mut notes, now);
            self.monitor.looks.fetch_add(1, SeqCst);
            rhythm.follow(&seen, now);
            let calm = seen.again.is_none() && self.idle.running() == 0;
            if rhythm.is_time_to_sleep(calm, now) {
                self.rest();
            }
        }
    }
}

/// All was idle, so the coarse clock stood still, and tasks are about to read it.
fn set_coarse_clock() {
    clock::advance_coarse(clock::real());
}

fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}
