//! A worker's slot: what a worker owns, and what others may take from it at any time.
//!
//! A slot is not a thread: threads end when they are not needed, and slots stay, and wait for
//! another one. The thread that runs with a slot is its *owner*: it alone pushes into the ring, and
//! allocates from the slab's arena of the same number. Anybody may take from the ring and run-next,
//! and fire the timers, so that nothing is stranded when the owner is busy or gone.
#![forbid(unsafe_code)]

use std::panic::Location;
use std::sync::atomic::{
    AtomicBool, AtomicU32, AtomicU64,
    Ordering::{AcqRel, Acquire, Relaxed, Release},
};
use std::sync::{Mutex, MutexGuard};
use std::time::Duration;

use crossbeam_utils::CachePadded;

use super::kernel::{self, KernelThread, Slice};
use super::mark::Mark;
use super::parker::{Bed, Parker};
use super::run_queue::RunQueue;
use super::threads::{self, ThreadNumber};
use super::vacancy::{Keeper, Vacancy};
use crate::histogram::Counts as LatencyCounts;
use crate::io::Driver;
use crate::task::{Id, Names, Place, Preempt};
use crate::time::{Resolution, Timers};

/// See the module.
#[derive(Debug)]
pub(crate) struct Slot {
    pub(crate) queue: RunQueue,
    pub(crate) timers: &'static Timers,
    /// What the owner writes at each poll, and the monitor reads now and then.
    pub(crate) poll: CachePadded<PollMark>,
    pub(crate) counters: Counters,
    /// How long tasks waited that the owner ran. Written by it alone.
    pub(crate) latencies: LatencyCounts,
    pub(crate) parker: Parker,
    /// The number of the owner's thread; 0: unknown.
    thread: AtomicU32,
    /// The owner, while it lives: whoever holds the lock keeps it from ending.
    owner: Mutex<Option<KernelThread>>,
    /// Whether it has an owner.
    pub(crate) vacancy: Vacancy,
}

impl Slot {
    pub(crate) fn new(resolution: Resolution) -> Self {
        Self {
            queue: RunQueue::new(),
            timers: Timers::acquire(resolution),
            poll: CachePadded::new(PollMark::new()),
            counters: Counters::default(),
            latencies: LatencyCounts::default(),
            parker: Parker::new(),
            thread: AtomicU32::new(0),
            owner: Mutex::new(None),
            vacancy: Vacancy::new(),
        }
    }

    /// The calling thread becomes the owner.
    pub(crate) fn adopt(&self) {
        self.parker.adopt();
        self.poll.preempt.adopt();
        // Release pairs with the Acquire in `thread`, though nothing rides on it but the number.
        self.thread.store(threads::current().unwrap_or(0), Release);
        *self.owner() = Some(KernelThread::current());
    }

    /// The owner's thread is about to end.
    pub(crate) fn leave(&self) {
        *self.owner() = None;
        self.thread.store(0, Release);
    }

    /// Whether its owner has ended, and no other one has come.
    pub(crate) fn is_vacant(&self) -> bool {
        self.vacancy.is_open()
    }

    /// Who fires its timers.
    pub(crate) fn keeper(&self) -> Keeper {
        self.vacancy.keeper(&self.poll.mark)
    }

    /// How long the kernel lets the owner run.
    pub(crate) fn set_slice(&self, slice: Slice) {
        if let Some(owner) = *self.owner() {
            kernel::set_slice(owner, slice);
        }
    }

    /// The CPU time that the owner has had.
    pub(crate) fn cpu_time(&self) -> Option<u64> {
        let owner = self.owner();
        (*owner).and_then(kernel::cpu_time)
    }

    /// Whether the owner waits for something else than a CPU. `None`: unknown.
    pub(crate) fn waits(&self) -> Option<bool> {
        threads::waits(self.thread()?)
    }

    fn owner(&self) -> MutexGuard<'_, Option<KernelThread>> {
        self.owner
            .lock()
            .unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    /// The number of the owner's thread.
    pub(crate) fn thread(&self) -> Option<ThreadNumber> {
        Some(self.thread.load(Acquire)).filter(|&number| number != 0)
    }

    /// The number of the owner's sleep, if it sleeps and nobody has woken it: two equal answers
    /// mean that it slept all the while.
    pub(crate) fn asleep(&self, driver: &Driver) -> Option<u64> {
        match self.parker.asleep()? {
            Bed::Futex => {}
            Bed::Reactor if driver.is_waiting() => {}
            Bed::Reactor => return None,
        }
        // After the state: a sleep that we have seen is counted.
        Some(self.counters.parks())
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.timers.release();
    }
}

/// Which poll the owner is in. All of it is written by the owner, by plain stores, but for the mark
/// that the monitor sets.
#[derive(Debug)]
pub(crate) struct PollMark {
    mark: Mark,
    /// The task, and where it was spawned: copies, since the task itself may be gone when they are
    /// read.
    task: AtomicU64,
    spawned_at: Place,
    /// The task said that it would block, so that nobody need be told of it.
    on_purpose: AtomicBool,
    /// The poll that is stuck blocks, and does not compute. Set by the monitor too, perhaps a
    /// moment too late: a hint.
    blocks: AtomicBool,
    /// The poll counts among those of heavy tasks, see `heavy`. Whoever takes this down takes it
    /// out of the count.
    admitted: AtomicBool,
    /// The task is to yield at its next budgeted operation.
    pub(crate) preempt: &'static Preempt,
}

impl PollMark {
    fn new() -> Self {
        Self {
            mark: Mark::new(),
            task: AtomicU64::new(0),
            spawned_at: Place::unknown(),
            on_purpose: AtomicBool::new(false),
            blocks: AtomicBool::new(false),
            admitted: AtomicBool::new(false),
            preempt: Preempt::acquire(),
        }
    }

    /// The owner begins a poll.
    #[inline]
    pub(crate) fn begin(&self, task: u64, spawned_at: &'static Location<'static>) {
        self.task.store(task, Relaxed);
        self.spawned_at.set(spawned_at);
        self.mark.begin();
    }

    /// See [`Mark::end`].
    #[inline]
    pub(crate) fn end(&self) -> bool {
        self.mark.end()
    }

    /// See [`Mark::unstick`].
    pub(crate) fn unstick(&self) -> bool {
        self.mark.unstick()
    }

    /// See [`Mark::stick`].
    pub(crate) fn stick(&self) -> bool {
        self.mark.stick()
    }

    /// The owner notes whether its task blocks because it says so.
    pub(crate) fn set_on_purpose(&self, on_purpose: bool) {
        self.on_purpose.store(on_purpose, Relaxed);
    }

    pub(crate) fn is_on_purpose(&self) -> bool {
        self.on_purpose.load(Relaxed)
    }

    /// Notes whether the poll blocks.
    pub(crate) fn set_blocks(&self, blocks: bool) {
        self.blocks.store(blocks, Relaxed);
    }

    pub(crate) fn blocks(&self) -> bool {
        self.blocks.load(Relaxed)
    }

    /// The owner begins a poll that counts. Relaxed: the count itself is
    /// [`Heavy`](super::heavy::Heavy)'s.
    pub(crate) fn admit(&self) {
        self.admitted.store(true, Relaxed);
    }

    pub(crate) fn is_admitted(&self) -> bool {
        self.admitted.load(Relaxed)
    }

    /// `true`: the caller takes it out of the count.
    #[must_use]
    pub(crate) fn take_admission(&self) -> bool {
        self.is_admitted() && self.admitted.swap(false, AcqRel)
    }

    pub(crate) fn is_stuck(&self) -> bool {
        self.mark.is_stuck()
    }

    pub(crate) fn sequence(&self) -> u64 {
        self.mark.sequence()
    }

    /// Names a task that has been in its poll for `time` nanoseconds.
    pub(crate) fn report(&self, time: u64, names: &Names) {
        let place = self
            .spawned_at
            .get()
            .map_or_else(|| "?".into(), Location::to_string);
        let task = self.task.load(Relaxed);
        let name = Id::from_u64(task).and_then(|id| names.of(id));
        let name = name.map_or_else(String::new, |name| format!(" {name:?}"));
        crate::stderr::say(format_args!(
            "task {task}{name} has been running for {:.1?} without yielding, and holds a thread; it was created at {place}; \
             let it .await more often, or move blocking work to runtime::spawn_blocking",
            Duration::from_nanos(time),
        ));
    }
}

/// What happened in a slot. Written by its owner alone, by plain loads and stores; summed by
/// whoever asks.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    spawned: AtomicU64,
    completed: AtomicU64,
    yields: AtomicU64,
    budget_yields: AtomicU64,
    steals: AtomicU64,
    overflows: AtomicU64,
    /// Sleeps begun.
    parks: AtomicU64,
    timers_fired: AtomicU64,
}

impl Counters {
    #[inline]
    pub(crate) fn count_spawned(&self) {
        add(&self.spawned, 1);
    }

    #[inline]
    pub(crate) fn count_completed(&self) {
        add(&self.completed, 1);
    }

    pub(crate) fn count_yield(&self) {
        add(&self.yields, 1);
    }

    pub(crate) fn count_budget_yield(&self) {
        add(&self.budget_yields, 1);
    }

    pub(crate) fn count_steal(&self) {
        add(&self.steals, 1);
    }

    pub(crate) fn count_overflow(&self) {
        add(&self.overflows, 1);
    }

    pub(crate) fn count_park(&self) {
        add(&self.parks, 1);
    }

    pub(crate) fn count_timers_fired(&self, n: usize) {
        add(&self.timers_fired, n as u64);
    }

    pub(crate) fn yields(&self) -> u64 {
        self.yields.load(Relaxed)
    }

    pub(crate) fn budget_yields(&self) -> u64 {
        self.budget_yields.load(Relaxed)
    }

    pub(crate) fn steals(&self) -> u64 {
        self.steals.load(Relaxed)
    }

    pub(crate) fn overflows(&self) -> u64 {
        self.overflows.load(Relaxed)
    }

    pub(crate) fn parks(&self) -> u64 {
        self.parks.load(Relaxed)
    }

    pub(crate) fn timers_fired(&self) -> u64 {
        self.timers_fired.load(Relaxed)
    }

    pub(crate) fn spawned(&self) -> u64 {
        self.spawned.load(Relaxed)
    }

    pub(crate) fn completed(&self) -> u64 {
        self.completed.load(Relaxed)
    }
}

/// Not an atomic addition: there is one writer.
#[inline]
fn add(counter: &AtomicU64, n: u64) {
    counter.store(counter.load(Relaxed) + n, Relaxed);
}
