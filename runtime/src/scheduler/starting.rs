//! How a scheduler begins, how worker threads come, and how their slots are left again.
//!
//! A worker is started in the first slot that has none: a new one, or one whose thread has ended.
//! All of it happens under one lock (`starting`), which the shutdown takes too, so that nobody
//! starts a thread that it would not see.
//!
//! A slot that is left keeps its timers. From then on they are the monitor's ([`Interrupt`]), until
//! another thread comes.
#![forbid(unsafe_code)]

use std::io;
use std::sync::atomic::{
    AtomicU64, AtomicUsize,
    Ordering::{Relaxed, Release},
};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, Weak};
use std::task::{Wake, Waker};
use std::thread;

use super::blocking::Blocking;
use super::contention::Contention;
use super::heavy::Heavy;
use super::idle::Idle;
use super::injector::Injector;
use super::life::Life;
use super::monitor::Monitor;
use super::shutdown::{self, Ending};
use super::sleepers::Sleepers;
use super::spawning::Outside;
use super::vacancy::Keeper;
use super::worker::Worker;
use super::{Config, Scheduler, Slot, current};
use crate::deadlock;
use crate::io::Driver;
use crate::metrics::Tally;
use crate::task::{Cookie, Slab};
use crate::time::{Timeline, lasting};
use crate::unhandled_panic::Downfall;

impl Scheduler {
    /// Builds a scheduler and starts its workers.
    pub(crate) fn start(config: Config) -> io::Result<Arc<Self>> {
        let driver = Arc::new(Driver::new().map_err(no_reactor)?);
        let workers = config.max_procs;
        let slots = config.max_threads.max(workers);
        let scheduler = Arc::new_cyclic(|this: &Weak<Self>| Self {
            slots: (0..slots).map(|_| OnceLock::new()).collect(),
            started: AtomicUsize::new(0),
            starting: Mutex::new(()),
            injector: Injector::new(),
            heavy: Heavy::new(),
            idle: Idle::new(slots, workers),
            driver,
            slab: Slab::new(slots + 1, Cookie(this.as_ptr())),
            outside: Mutex::new(Outside::new()),
            outside_spawned: AtomicU64::new(0),
            outside_completed: AtomicU64::new(0),
            blocking: Blocking::new(config.blocking.clone()),
            monitor: Monitor::new(config.time_slice, config.report_stuck),
            sleepers: Sleepers::default(),
            contention: Contention::default(),
            tally: Tally::default(),
            limits: Mutex::new(config.limits.clone()),
            names: Arc::default(),
            timeline: Timeline::new(config.start_paused),
            life: Life::new(),
            ending: Ending::new(),
            downfall: Downfall::default(),
            config,
        });
        scheduler.driver.belong_to(&scheduler);
        for _ in 0..workers {
            if let Err(error) = scheduler.start_worker() {
                scheduler.shut_down(None, false);
                return Err(error.into());
            }
        }
        if scheduler.config.monitor {
            if let Err(error) = scheduler.start_monitor() {
                scheduler.shut_down(None, false);
                return Err(error);
            }
        }
        deadlock::enter(&scheduler);
        lasting::adopt();
        Ok(scheduler)
    }

    /// Starts one more worker, in the first slot that has none.
    pub(super) fn start_worker(self: &Arc<Self>) -> Result<(), NotStarted> {
        let _starting = self.starting();
        if self.is_stopping() {
            return Err(NotStarted::Stopping);
        }
        let is_free = |slot: &OnceLock<Arc<Slot>>| slot.get().is_none_or(|slot| slot.is_vacant());
        let Some(index) = self.slots.iter().position(is_free) else {
            return Err(NotStarted::TooMany);
        };
        let slot = self.slots[index].get_or_init(|| {
            let slot = Slot::new(self.resolution());
            let interrupt = Interrupt {
                scheduler: Arc::downgrade(self),
                index,
            };
            slot.timers.set_interrupt(Waker::from(Arc::new(interrupt)));
            Arc::new(slot)
        });
        slot.vacancy.fill();
        let started = self.started.load(Relaxed);
        // Release: who sees the number finds the slot. Before the thread: what it pushes is looked
        // for.
        self.started.store(started.max(index + 1), Release);
        self.start_thread(index).map_err(|error| {
            self.vacate(index);
            NotStarted::Refused(error)
        })
    }

    /// A slot has no thread from now on. Called under `starting`.
    pub(super) fn vacate(&self, index: usize) {
        let slot = self.slot(index);
        let has_timers = slot.vacancy.open(slot.timers);
        let mut started = self.started.load(Relaxed);
        while started > 0 && self.slot(started - 1).is_vacant() {
            started -= 1;
        }
        self.started.store(started, Release);
        if has_timers {
            self.monitor.hurry();
        }
        // It may have had the turn at the reactor a moment ago.
        self.hand_turn_on();
    }

    /// Only one at a time starts a worker, and nobody once the runtime is stopping.
    pub(super) fn starting(&self) -> MutexGuard<'_, ()> {
        self.starting
            .lock()
            .unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    fn start_thread(self: &Arc<Self>, index: usize) -> io::Result<()> {
        let mut builder =
            thread::Builder::new().name(format!("{}-{index}", self.config.thread_name));
        if let Some(size) = self.config.stack_size {
            builder = builder.stack_size(size);
        }
        let scheduler = self.clone();
        self.ending.worker_starts();
        self.idle.add_running();
        let started = builder.spawn(move || {
            current::begin_thread(&scheduler);
            let ended = WorkerEnds(&scheduler);
            let retired = Worker::new(scheduler.clone(), index).run();
            drop(ended);
            if retired {
                shutdown::thread_retires(scheduler);
            }
        });
        match started {
            Ok(thread) => {
                self.ending.keep(thread);
                Ok(())
            }
            Err(error) => {
                self.ending.worker_ends();
                self.idle.remove_running();
                let hint = "cannot start a worker thread: lower max_procs or raise the limit of processes (ulimit -u)";
                Err(io::Error::new(error.kind(), format!("{hint}: {error}")))
            }
        }
    }
}

fn no_reactor(error: io::Error) -> io::Error {
    let hint = "cannot open the reactor's descriptors: raise the limit of open files (ulimit -n), and let epoll and eventfd through where system calls are filtered";
    io::Error::new(error.kind(), format!("{hint}: {error}"))
}

/// Why there is no further worker.
#[derive(Debug)]
pub(super) enum NotStarted {
    Stopping,
    /// `Builder::max_threads` are there.
    TooMany,
    /// By the system.
    Refused(io::Error),
}

impl From<NotStarted> for io::Error {
    fn from(reason: NotStarted) -> Self {
        match reason {
            NotStarted::Stopping => Self::other("the runtime is shutting down"),
            NotStarted::TooMany => Self::other("Builder::max_threads is reached"),
            NotStarted::Refused(error) => error,
        }
    }
}

/// Signs a worker off when its loop has returned.
struct WorkerEnds<'a>(&'a Arc<Scheduler>);

impl Drop for WorkerEnds<'_> {
    fn drop(&mut self) {
        if thread::panicking() {
            // Foreign code is caught where it is called, so this is an error of the runtime. Its
            // tasks would wait for ever, silently.
            crate::stderr::say(format_args!(
                "a worker thread of the runtime panicked: this is a bug in the runtime, and the process cannot go on"
            ));
            std::process::abort();
        }
        self.0.worker_ended();
    }
}

/// Wakes the worker of a slot so that it looks at its timers anew; where it cannot, the monitor.
struct Interrupt {
    scheduler: Weak<Scheduler>,
    index: usize,
}

impl Wake for Interrupt {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        let Some(scheduler) = self.scheduler.upgrade() else {
            return;
        };
        match scheduler.slot(self.index).keeper() {
            Keeper::Monitor => scheduler.monitor.hurry(),
            Keeper::Owner => scheduler.unpark(self.index),
        }
    }
}
