//! The scheduler: which queue a runnable task goes to, who runs it, and how it all ends.
//!
//! One [`Scheduler`] is one runtime. It owns the slots of its workers, the queue that they share,
//! the reactor, the slab that all tasks live in, and the pool for blocking jobs. In the order in
//! which a task meets them:
//!
//! - [`spawning`]: how it comes into being;
//! - [`mod@schedule`], [`run_queue`], [`injector`]: where runnable tasks wait ([`queued`]: what
//!   these demand of a task);
//! - [`worker`], [`slot`], [`mark`]: who takes them out, what belongs to it, and whether it is in a
//!   poll;
//! - [`starting`], [`mod@max_procs`]: how workers come, and how many run at a time;
//! - [`heavy`]: tasks that hold a worker up, time and again;
//! - [`idle`], [`parker`]: who sleeps, who is woken (the protocol is in `README.md` in this
//!   folder);
//! - [`monitor`]: who notices a task that holds its worker up ([`kernel`]: what it asks of the
//!   system for that);
//! - [`life`]: whether the runtime runs, and in this process;
//! - [`blocking`]: threads for code that blocks;
//! - [`sleepers`], [`threads`], [`strangers`]: who else sleeps, which threads there are, and
//!   whether those of nobody here sleep, too, for the deadlock check;
//! - [`stillness`]: whether no task can run, and what a paused clock does then; [`paused`] is the
//!   clock's owner;
//! - [`current`]: what the calling thread is in;
//! - [`shutdown`]: the end ([`refused`]: of tasks that come after it).

use std::fmt;
use std::io;
use std::sync::atomic::{
    AtomicU64, AtomicUsize,
    Ordering::{Acquire, SeqCst},
};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

pub(crate) mod blocking;
pub(crate) mod contention;
pub(crate) mod current;
pub(crate) mod heavy;
pub(crate) mod idle;
pub(crate) mod injector;
mod kernel;
pub(crate) mod life;
pub(crate) mod mark;
mod max_procs;
pub(crate) mod monitor;
pub(crate) mod parker;
mod paused;
mod prefetch;
pub(crate) mod queued;
pub(crate) mod rand;
mod refused;
pub(crate) mod run_queue;
mod schedule;
pub(crate) mod shutdown;
pub(crate) mod sleepers;
pub(crate) mod slot;
mod spawning;
mod starting;
pub(crate) mod stillness;
pub(crate) mod strangers;
pub(crate) mod threads;
pub(crate) mod vacancy;
pub(crate) mod worker;

use blocking::{Blocking, BlockingConfig};
use contention::Contention;
use heavy::Heavy;
use idle::Idle;
use injector::Injector;
use life::Life;
use monitor::Monitor;
use rand::Rng;
use shutdown::Ending;
use sleepers::Sleepers;
use spawning::Outside;
use starting::NotStarted;

pub(crate) use refused::catch_up;
pub(crate) use schedule::schedule;
pub(crate) use slot::Slot;
pub(crate) use spawning::spawn;

use crate::deadlock::Harness;
use crate::io::Driver;
use crate::metrics::Tally;
use crate::procs::CpuLimits;
use crate::task::{Cookie, Names, Slab};
use crate::time::{Timeline, Timers};
use crate::unhandled_panic::{Downfall, UnhandledPanic};

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
    pub(crate) deadlock: Option<Harness>,
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
    heavy: Heavy,
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
    /// Stopped once, at shutdown; workers look at it before each task.
    life: Life,
    ending: Ending,
    downfall: Downfall,
}

impl Scheduler {
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

    pub(crate) fn max_procs(&self) -> usize {
        self.idle.max_procs()
    }

    pub(crate) fn driver(&self) -> &Arc<Driver> {
        &self.driver
    }

    #[inline]
    pub(crate) fn is_stopping(&self) -> bool {
        self.life.is_over()
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

    /// Whether deadlocks are reported here, and which thread does not count then.
    pub(crate) fn detects_deadlock(&self) -> Option<Harness> {
        self.config.deadlock
    }

    /// A thread inside `block_on` has gone to sleep: the monitor looks whether anything will wake
    /// it.
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

    /// The wheel for timers of threads that are no workers; its worker is woken when it has to look
    /// earlier than it meant to.
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

    /// What a look at the reactor brought. An error there would silence every socket: it is said
    /// aloud, once a second at the most.
    fn reactor_result(&self, woken: io::Result<usize>) -> usize {
        woken.unwrap_or_else(|error| {
            self.ending.complain(&format!(
                "the reactor cannot wait for events: {error}; sockets of this runtime stand still"
            ));
            0
        })
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
