//! The scheduler: which queue a runnable task goes to, who runs it, and how it all ends.
//!
//! One [`Scheduler`] is one runtime. It owns the slots of its workers, the queue that they share, the reactor, the slab that all tasks
//! live in, and the pool for blocking jobs. In the order in which a task meets them:
//!
//! - [`spawning`]: how it comes into being;
//! - [`run_queue`], [`injector`]: where runnable tasks wait ([`queued`]: what these demand of a task);
//! - [`worker`], [`slot`], [`mark`]: who takes them out, what belongs to it, and whether it is in a poll (`worker::heavy`: tasks that hold it up);
//! - [`idle`], [`parker`]: who sleeps, who is woken (the protocol is in `README.md` in this folder);
//! - [`monitor`]: who notices a task that holds its worker up ([`kernel`]: what it asks of the system for that);
//! - [`blocking`]: threads for code that blocks;
//! - [`sleepers`], [`threads`]: who else sleeps, and which threads there are, for the deadlock check;
//! - [`stillness`]: whether no task can run, and what a paused clock does then;
//! - [`current`]: what the calling thread is in;
//! - [`shutdown`]: the end.

use std::fmt;
use std::io;
use std::sync::atomic::{
    AtomicBool, AtomicU64, AtomicUsize,
    Ordering::{Acquire, Relaxed, Release, SeqCst},
    fence,
};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, Weak};
use std::task::{Wake, Waker};
use std::thread;
use std::time::Duration;

pub(crate) mod blocking;
pub(crate) mod contention;
pub(crate) mod current;
pub(crate) mod idle;
pub(crate) mod injector;
mod kernel;
pub(crate) mod mark;
pub(crate) mod monitor;
pub(crate) mod parker;
mod prefetch;
pub(crate) mod queued;
pub(crate) mod rand;
pub(crate) mod run_queue;
pub(crate) mod shutdown;
pub(crate) mod sleepers;
pub(crate) mod slot;
mod spawning;
pub(crate) mod stillness;
pub(crate) mod threads;
pub(crate) mod worker;

use blocking::{Blocking, BlockingConfig};
use contention::Contention;
use idle::{Idle, Notify};
use injector::Injector;
use monitor::Monitor;
use parker::Unpark;
use rand::Rng;
use shutdown::Ending;
use sleepers::Sleepers;
use spawning::Outside;
use worker::Worker;

pub(crate) use slot::Slot;
pub(crate) use spawning::spawn;

use crate::deadlock::{self, Bystanders};
use crate::io::Driver;
use crate::metrics::{Tally, count};
use crate::procs::CpuLimits;
use crate::task::{Cookie, Names, Runnable, Slab, Stamp};
use crate::time::{Timeline, Timers};
use crate::unhandled_panic::{Downfall, UnhandledPanic};

/// Of so many tasks from outside one tells how long it waits. A look at the clock is little beside the lock and the wake-up here. A guess.
const INJECTIONS_STAMPED: u64 = 8;

/// How a scheduler is set up.
#[derive(Clone, Debug)]
pub(crate) struct Config {
    pub(crate) max_procs: usize,
    /// Where `max_procs` comes from, if nobody has set it.
    pub(crate) limits: Option<CpuLimits>,
    /// Workers at a time, the stuck ones included.
    pub(crate) max_threads: usize,
    pub(crate) time_slice: Duration,
    /// A task that has been in one poll for so long is named on stderr.
    pub(crate) report_stuck: Option<Duration>,
    pub(crate) thread_name: Arc<str>,
    pub(crate) stack_size: Option<usize>,
    pub(crate) blocking: BlockingConfig,
    /// Whether to look for deadlocks, and which threads do not count then.
    pub(crate) deadlock: Option<Bystanders>,
    /// Print a line about the scheduler each time this has passed.
    pub(crate) schedtrace: Option<Duration>,
    pub(crate) unhandled_panic: UnhandledPanic,
    /// The clock is paused from the beginning.
    pub(crate) start_paused: bool,
    /// What all choices of the scheduler are made by; `None`: by chance and speed.
    pub(crate) seed: Option<u64>,
    /// Whether somebody watches the workers.
    pub(crate) monitor: bool,
}

/// See the module.
pub(crate) struct Scheduler {
    config: Config,
    /// Filled from the front, one for each thread that was ever needed at a time.
    slots: Box<[OnceLock<Arc<Slot>>]>,
    /// From this one on all are vacant; written under `starting`.
    started: AtomicUsize,
    starting: Mutex<()>,
    injector: Injector,
    /// Tasks whose last poll was long.
    heavy: Injector,
    idle: Idle,
    driver: Arc<Driver>,
    /// Arena `i` belongs to the owner of slot `i`; the last one to whoever holds `outside`.
    slab: Slab<Cookie>,
    outside: Mutex<Outside>,
    /// Tasks spawned under `outside`, and tasks ended by the shutdown.
    outside_spawned: AtomicU64,
    outside_completed: AtomicU64,
    blocking: Blocking,
    monitor: Monitor,
    sleepers: Sleepers,
    contention: Contention,
    tally: Tally,
    /// What `max_procs` follows; `None`: somebody has set it. Held while it is changed, either way.
    limits: Mutex<Option<CpuLimits>>,
    names: Arc<Names>,
    timeline: Timeline,
    /// Set once, at shutdown; workers look at it before each task.
    stopping: AtomicBool,
    ending: Ending,
    downfall: Downfall,
}

impl Scheduler {
    /// Builds a scheduler and starts its workers.
    pub(crate) fn start(config: Config) -> io::Result<Arc<Self>> {
        let driver = Arc::new(Driver::new()?);
        let workers = config.max_procs;
        let slots = config.max_threads.max(workers);
        let scheduler = Arc::new_cyclic(|this: &Weak<Self>| Self {
            slots: (0..slots).map(|_| OnceLock::new()).collect(),
            started: AtomicUsize::new(0),
            starting: Mutex::new(()),
            injector: Injector::new(),
            heavy: Injector::new(),
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
            stopping: AtomicBool::new(false),
            ending: Ending::new(),
            downfall: Downfall::default(),
            config,
        });
        for _ in 0..workers {
            if let Err(error) = scheduler.start_worker() {
                scheduler.shut_down(None);
                return Err(error.into());
            }
        }
        if scheduler.config.monitor {
            if let Err(error) = scheduler.start_monitor() {
                scheduler.shut_down(None);
                return Err(error);
            }
        }
        deadlock::enter(&scheduler);
        Ok(scheduler)
    }

    /// Starts one more worker, in the first slot that has none.
    fn start_worker(self: &Arc<Self>) -> Result<(), NotStarted> {
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
        slot.set_vacant(false);
        let started = self.started.load(Relaxed);
        // Release: who sees the number finds the slot. Before the thread: what it pushes is looked for.
        self.started.store(started.max(index + 1), Release);
        self.start_thread(index).map_err(|error| {
            self.vacate(index);
            NotStarted::Refused(error)
        })
    }

    /// A slot has no thread from now on. Called under `starting`.
    fn vacate(&self, index: usize) {
        let slot = self.slot(index);
        slot.set_vacant(true);
        let mut started = self.started.load(Relaxed);
        while started > 0 && self.slot(started - 1).is_vacant() {
            started -= 1;
        }
        self.started.store(started, Release);
        // Pairs with the fence in `Interrupt`: either we see the timer, or whoever inserts it sees that the slot is vacant.
        fence(SeqCst);
        if slot.timers.next_deadline() != u64::MAX {
            self.monitor.hurry();
        }
        // It may have had the turn at the reactor a moment ago.
        self.hand_turn_on();
    }

    /// Only one at a time starts a worker, and nobody once the runtime is stopping.
    fn starting(&self) -> MutexGuard<'_, ()> {
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

    // ---- queueing ----

    /// Queues a task from a thread that is no worker of this scheduler. The caller keeps the scheduler alive.
    pub(crate) fn inject(&self, task: Runnable) {
        if self.tally.injected.fetch_add(1, Relaxed) % INJECTIONS_STAMPED == 0 {
            task.header().stamp(Stamp::now(INJECTIONS_STAMPED));
        }
        match self.injector.push(task) {
            Ok(()) => self.notify(),
            Err(task) => self.refuse(task),
        }
    }

    /// Wakes a worker to look for work, if one sleeps and nobody searches.
    #[inline]
    pub(crate) fn notify(&self) {
        match self
            .idle
            .worker_to_notify(|i| self.slot(i).parker.is_polling())
        {
            Notify::Nobody => {}
            Notify::Worker(worker) => {
                count(&self.tally.wakes);
                self.unpark(worker);
            }
            // Whoever is here has no time to start a thread, and may not even be allowed to.
            Notify::AllStuck => self.monitor.hurry(),
        }
    }

    fn unpark(&self, worker: usize) {
        if self.slot(worker).parker.unpark() == Unpark::InterruptReactor {
            self.driver.wake();
        }
    }

    /// Whether a worker that has nothing itself would find something: asked after `Idle::fall_asleep`.
    pub(crate) fn has_work(&self) -> bool {
        !self.injector.is_empty()
            || !self.heavy.is_empty()
            || self.occupied_slots().any(|slot| !slot.queue.is_empty())
    }

    // ---- what workers and the rest of the crate look at ----

    pub(crate) fn slot(&self, index: usize) -> &Arc<Slot> {
        self.slots[index]
            .get()
            .expect("a worker's slot is there before the worker")
    }

    /// Those among which all are that have a worker now.
    fn occupied_slots(&self) -> impl Iterator<Item = &Arc<Slot>> {
        // Acquire pairs with the Release in `start_worker`.
        let slots = &self.slots[..self.started.load(Acquire)];
        slots.iter().filter_map(OnceLock::get)
    }

    /// The slots that have had a worker.
    pub(crate) fn started_slots(&self) -> impl Iterator<Item = &Arc<Slot>> {
        self.slots.iter().map_while(OnceLock::get)
    }

    /// The same, from a random one on.
    pub(crate) fn slots_from(&self, rng: &Rng) -> impl Iterator<Item = &Arc<Slot>> {
        let started = self.started.load(Acquire);
        let start = rng.below(started);
        let (before, from) = self.slots[..started].split_at(start);
        from.iter().chain(before).filter_map(OnceLock::get)
    }

    /// Lets those that sleep without need notice that they may be surplus.
    fn unpark_surplus(&self) {
        let started = self.started.load(Acquire);
        (self.max_procs()..started).for_each(|index| self.unpark(index));
    }

    pub(crate) fn max_procs(&self) -> usize {
        self.idle.max_procs()
    }

    /// Changes the number of workers that run at a time; missing ones are started by the monitor, surplus ones step down by themselves.
    pub(crate) fn set_max_procs(&self, n: usize) -> usize {
        let mut limits = self.limits();
        *limits = None;
        self.change_max_procs(n)
    }

    /// Lets it follow the limits of the process, unless somebody has set it. Reads some small files.
    fn follow_limits(&self) {
        let limits = self.limits();
        if let Some(limits) = &*limits {
            let cpus = limits.cpus();
            if cpus != self.max_procs() {
                self.change_max_procs(cpus);
            }
        }
    }

    /// Lets it follow limits that a test controls.
    #[cfg(all(test, not(loom)))]
    pub(crate) fn set_limits(&self, limits: CpuLimits) {
        *self.limits() = Some(limits);
    }

    fn change_max_procs(&self, n: usize) -> usize {
        let before = self.idle.set_max_procs(n);
        self.monitor.hurry();
        if n < before {
            self.unpark_surplus();
        }
        before
    }

    fn limits(&self) -> MutexGuard<'_, Option<CpuLimits>> {
        self.limits
            .lock()
            .unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    pub(crate) fn driver(&self) -> &Arc<Driver> {
        &self.driver
    }

    #[inline]
    pub(crate) fn is_stopping(&self) -> bool {
        self.stopping.load(Relaxed)
    }

    pub(crate) fn on_unhandled_panic(&self) -> UnhandledPanic {
        self.config.unhandled_panic
    }

    /// Whether the runtime has ended because of a panic.
    pub(crate) fn downfall(&self) -> &Downfall {
        &self.downfall
    }

    pub(crate) fn slab(&self) -> &Slab<Cookie> {
        &self.slab
    }

    pub(crate) fn monitor(&self) -> &Monitor {
        &self.monitor
    }

    pub(crate) fn blocking(&self) -> &Blocking {
        &self.blocking
    }

    pub(crate) fn tally(&self) -> &Tally {
        &self.tally
    }

    /// Workers that are awake and not stuck.
    pub(crate) fn running(&self) -> usize {
        self.idle.running()
    }

    pub(crate) fn searching(&self) -> usize {
        self.idle.searching()
    }

    /// Tasks in the shared queue.
    pub(crate) fn injected(&self) -> usize {
        self.injector.len() + self.heavy.len()
    }

    pub(crate) fn sleepers(&self) -> &Sleepers {
        &self.sleepers
    }

    pub(crate) fn names(&self) -> &Arc<Names> {
        &self.names
    }

    /// Whether deadlocks are reported here, and which threads do not count then.
    pub(crate) fn detects_deadlock(&self) -> Option<&Bystanders> {
        self.config.deadlock.as_ref()
    }

    /// A thread inside `block_on` has gone to sleep: the monitor looks whether anything will wake it.
    pub(crate) fn count_sleep(&self) {
        self.sleepers.count_sleep();
        self.monitor.wake();
        self.reconsider_clock();
    }

    /// The clock of this runtime's tasks.
    pub(crate) fn timeline(&self) -> &Timeline {
        &self.timeline
    }

    /// What the choices are made by.
    pub(crate) fn seed(&self) -> Option<u64> {
        self.config.seed
    }

    /// The wheel for timers of threads that are no workers; its worker is woken when it has to look earlier than it meant to.
    pub(crate) fn timers_for_outsiders(&self) -> &'static Timers {
        self.slot(0).timers
    }

    /// Tasks spawned and not ended.
    pub(crate) fn num_tasks(&self) -> usize {
        // Ends first: a task that ends in between is counted as alive, never a negative number.
        let completed: u64 = self
            .started_slots()
            .map(|slot| slot.counters.completed())
            .sum::<u64>()
            + self.outside_completed.load(SeqCst);
        let alive = self.num_spawned().saturating_sub(completed);
        usize::try_from(alive).unwrap_or(usize::MAX)
    }

    /// Tasks ever spawned.
    pub(crate) fn num_spawned(&self) -> u64 {
        let by_workers: u64 = self
            .started_slots()
            .map(|slot| slot.counters.spawned())
            .sum();
        by_workers + self.outside_spawned.load(SeqCst)
    }

    /// What a look at the reactor brought. An error there would silence every socket: it is said aloud, once a second at the most.
    fn reactor_result(&self, woken: io::Result<usize>) -> usize {
        woken.unwrap_or_else(|error| {
            self.ending.complain(&format!(
                "the reactor cannot wait for events: {error}; sockets of this runtime stand still"
            ));
            0
        })
    }
}

/// Queues a task that was woken: with the calling worker if it is one of the task's scheduler, else with all.
#[inline]
pub(crate) fn schedule(task: Runnable) {
    let scheduler = task.scheduler();
    current::with_worker(|worker| match worker {
        Some(worker) if std::ptr::eq(Arc::as_ptr(worker.scheduler()), scheduler) => {
            worker.schedule(task)
        }
        _ => task.inject(),
    });
}

/// Why there is no further worker.
#[derive(Debug)]
enum NotStarted {
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
            // Foreign code is caught where it is called, so this is an error of the runtime. Its tasks would wait for ever, silently.
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
        // Pairs with the fence in `Scheduler::vacate`.
        fence(SeqCst);
        let slot = scheduler.slot(self.index);
        if slot.is_vacant() || slot.poll.is_stuck() {
            scheduler.monitor.hurry();
        } else {
            scheduler.unpark(self.index);
        }
    }
}

impl fmt::Debug for Scheduler {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Scheduler")
            .field("max_procs", &self.max_procs())
            .field("tasks", &self.num_tasks())
            .field("running", &self.idle.running())
            .field("searching", &self.idle.searching())
            .field("injected", &self.injector.len())
            .finish()
    }
}
