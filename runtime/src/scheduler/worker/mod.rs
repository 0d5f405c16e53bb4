//! A worker: a thread that runs tasks from its slot, and finds or waits for more.
//!
//! The order of looking ([`find`]) is Go's `findRunnable`: what the current task woke (run-next),
//! the own ring, the shared queue, the others' rings; then sleep ([`sleep`]), in the reactor if
//! nobody is there, else on a futex. Every so often [`maintain`] looks at the shared queue, the
//! timers and the reactor first, so that a worker that always has work does not starve them; how
//! often, and whether what waits is worth another worker, [`pace`] tells; [`crumbs`], when a thief
//! comes again. [`heavy`] is about tasks that hold a worker up, [`sampling`] about how long woken
//! tasks wait, [`retire`] about a worker's end.
//!
//! Run-next inherits its waker's time slice: two tasks that wake each other run back to back, but
//! only until the next `maintain`, which puts run-next to the end of the ring.
#![forbid(unsafe_code)]

use std::cell::Cell;
use std::sync::Arc;

use self::crumbs::Crumbs;
use self::pace::{MAX_INTERVAL, Pace};
use self::sampling::Sampling;
use super::kernel::Slice;
use super::rand::Rng;
use super::{Scheduler, Slot, current};
use crate::task::{Arena, Cookie, IdBlock, Ran, Runnable, random};
use crate::time::Timers;

mod crumbs;
mod find;
mod heavy;
mod maintain;
mod pace;
mod retire;
mod sampling;
mod sleep;

/// With a seed: among how many tasks at the head of the ring the next is chosen. Each that is
/// passed over goes to the ring's end.
const CHOICE: usize = 8;

/// So many tasks that wait in the ring are worth another worker, however short their polls.
const CROWD: u32 = 16;

/// See the module.
#[derive(Debug)]
pub(crate) struct Worker {
    scheduler: Arc<Scheduler>,
    slot: Arc<Slot>,
    index: usize,
    /// Polls until the next `maintain`.
    countdown: Cell<u32>,
    pace: Pace,
    /// With a seed, where the interval stays 1: polls until the next real `maintain`.
    until_maintain: Cell<u32>,
    /// When this worker last looked at the reactor, in nanoseconds of the system's clock; `None`:
    /// just now, when it slept there.
    reactor_seen: Cell<Option<u64>>,
    /// The ring's end when the reactor had last been looked at.
    delivered: Cell<u32>,
    /// Counted in `Idle::searching`.
    searching: Cell<bool>,
    crumbs: Crumbs,
    mode: Cell<Mode>,
    /// Since when this worker has been one too many; `NEEDED`: it is not, or was needed.
    unneeded_since: Cell<u64>,
    sampling: Sampling,
    ids: Cell<IdBlock>,
    rng: Rng,
}

/// What the thread does, and so where a task goes that it wakes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    /// It polls a task: what that wakes runs next.
    Running,
    /// The same, in a poll that is watched: what that wakes is stamped with the time.
    Watched,
    /// It polls a task, with a seed: what that wakes runs next, or goes to the end of the ring.
    Shuffling,
    /// It delivers events or fires timers: what they wake goes into the ring, and others are woken
    /// once at the end.
    Delivering,
    /// It blocks, inside `block_in_place`: what it wakes is for others.
    Away,
}

impl Worker {
    /// A worker for slot `index`, of which the calling thread becomes the owner.
    pub(crate) fn new(scheduler: Arc<Scheduler>, index: usize) -> Self {
        let slot = scheduler.slot(index).clone();
        slot.adopt();
        let seeded = scheduler.seed().is_some();
        Self {
            scheduler,
            slot,
            index,
            countdown: Cell::new(if seeded { 1 } else { MAX_INTERVAL }),
            pace: if seeded { Pace::fixed() } else { Pace::new() },
            until_maintain: Cell::new(MAX_INTERVAL),
            reactor_seen: Cell::new(None),
            delivered: Cell::new(0),
            crumbs: Crumbs::default(),
            searching: Cell::new(false),
            mode: Cell::new(Mode::Running),
            unneeded_since: Cell::new(retire::NEEDED),
            sampling: Sampling::new(),
            ids: Cell::new(IdBlock::new()),
            rng: Rng::new(index as u64 + 1),
        }
    }

    /// Runs tasks until the runtime stops, or until this worker has not been needed for a while,
    /// which is `true`.
    pub(crate) fn run(&self) -> bool {
        current::with_worker_set(self, || {
            let seed = self.scheduler.seed();
            let _seeded = seed.map(|seed| random::reseed(seed, self.index as u64));
            self.mode.set(self.mode_of_polls());
            while !self.scheduler.is_stopping() {
                match self.next_task() {
                    Some(task) => self.run_task::<false>(task),
                    None if self.run_heavy() => {}
                    None if self.retire() => return true,
                    None => self.sleep(),
                }
            }
            self.scheduler.end_child();
            if self.searching.replace(false) {
                let _ = self.scheduler.idle.stop_searching();
            }
            self.slot.leave();
            false
        })
    }

    /// With a seed: brings a task to the head of the ring that chance has chosen.
    fn shuffle(&self) {
        let queue = &self.slot.queue;
        let waiting = queue.len().min(CHOICE);
        if waiting > 1 {
            for _ in 0..random::below(waiting) {
                queue.pop().into_iter().for_each(|task| self.push(task));
            }
        }
    }

    /// The mode in which tasks are polled.
    fn mode_of_polls(&self) -> Mode {
        match self.scheduler.seed() {
            None => Mode::Running,
            Some(_) => Mode::Shuffling,
        }
    }

    pub(crate) fn scheduler(&self) -> &Arc<Scheduler> {
        &self.scheduler
    }

    /// An operation of the current task was put off.
    pub(crate) fn count_budget_yield(&self) {
        self.slot.counters.count_budget_yield();
    }

    pub(crate) fn index(&self) -> usize {
        self.index
    }

    /// Polls that this slot has begun.
    fn polls(&self) -> u64 {
        self.slot.poll.sequence() / 2
    }

    #[inline]
    pub(crate) fn arena(&self) -> *const Arena<Cookie> {
        self.scheduler.slab.arena(self.index)
    }

    pub(crate) fn timers(&self) -> &'static Timers {
        self.slot.timers
    }

    #[inline]
    pub(crate) fn next_id(&self) -> crate::task::Id {
        let mut ids = self.ids.get();
        let id = ids.next();
        self.ids.set(ids);
        id
    }

    // ---- running ----

    /// Polls a task once. `WATCHED`: see [`sampling`]; a constant, so that a poll that is not
    /// watched asks nothing.
    #[inline(always)] // Twice: into the loop, and into `run_watched`.
    fn run_task<const WATCHED: bool>(&self, task: Runnable) {
        let poll = &self.slot.poll;
        poll.begin(task.header().id().as_u64(), task.header().spawned_at());
        let ran = task.run(self.arena());
        current::leave_forgotten();
        let was_stuck = poll.end();
        self.ran::<WATCHED>(ran, was_stuck);
        if was_stuck {
            self.back_from_stuck();
        }
    }

    #[inline(always)] // As above.
    fn ran<const WATCHED: bool>(&self, ran: Ran, was_long: bool) {
        match ran {
            Ran::Parked | Ran::Gone => {}
            Ran::Completed => self.slot.counters.count_completed(),
            Ran::Requeue(task) if was_long => self.requeue_heavy(task),
            Ran::Requeue(task) => self.requeue::<WATCHED>(task),
        }
    }

    /// The poll that was given up has returned. While it lasted another worker was woken or started
    /// in place of this one.
    #[cold]
    fn back_from_stuck(&self) {
        self.slot.poll.set_blocks(false);
        self.scheduler.idle.add_running();
        self.slot.set_slice(Slice::Default);
        self.make_room();
    }

    /// A task that yielded goes to the back.
    #[inline(always)] // Into its one caller, for a call costs as much as what it does.
    fn requeue<const WATCHED: bool>(&self, task: Runnable) {
        if WATCHED {
            self.stamp_yielded(&task);
        }
        self.slot.counters.count_yield();
        let others = !self.slot.queue.is_empty() || self.slot.queue.has_next();
        self.push(task);
        let room = self.scheduler.idle.running() < self.scheduler.max_procs();
        if others && room && self.is_worth_a_worker() {
            self.scheduler.notify();
        }
    }

    // ---- queueing, called from within polls ----

    /// A task was woken or spawned by this worker: it runs next.
    #[inline(always)] // Left to itself the compiler makes it a call from the one that it is most of.
    pub(crate) fn schedule(&self, task: Runnable) {
        match self.mode.get() {
            Mode::Running => {}
            Mode::Watched => self.stamp_woken(&task),
            Mode::Delivering => return self.push_delivered(task),
            Mode::Shuffling if random::random() >> 63 == 0 => {}
            Mode::Shuffling => return self.push(task),
            // Nobody looks at this worker's queue until the call returns.
            Mode::Away => return self.scheduler.inject(task),
        }
        // The waker goes on with its poll and then runs this task, so pushing into an empty slot
        // wakes nobody. What it displaces waits longer.
        if let Some(displaced) = self.slot.queue.replace_next(task) {
            self.push(displaced);
            if self.is_worth_a_worker() {
                self.scheduler.notify();
            }
        }
    }

    /// Whether what waits in the ring takes longer than waking another worker, which costs some
    /// microseconds and moves what the tasks share from one core to the other: it does if polls are
    /// not short, or if many tasks wait.
    ///
    /// A guess from the polls so far. Where it is wrong, because a short poll is followed by a long
    /// one, the monitor sees work beside a sleeping worker at its next look, within some
    /// milliseconds, and wakes it.
    #[inline]
    fn is_worth_a_worker(&self) -> bool {
        let long = self.pace.is_slow() || self.slot.queue.has(CROWD);
        long && !self.scheduler.contention.is_recent(self.pace.since())
    }

    fn push(&self, task: Runnable) {
        if let Err(overflow) = self.slot.queue.push(task) {
            self.slot.counters.count_overflow();
            self.scheduler.injector.push_batch(overflow);
        }
    }
}
