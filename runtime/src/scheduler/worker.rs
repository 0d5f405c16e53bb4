//! A worker: a thread that runs tasks from its slot, and finds or waits for more.
//!
//! The order of looking is Go's `findRunnable`: what the current task woke (run-next), the own ring, the shared queue, the others' rings;
//! then sleep, in the reactor if nobody is there, else on a futex. Every so often [`Worker::maintain`] looks at the shared queue, the
//! timers and the reactor first, so that a worker that always has work does not starve them.
//!
//! Run-next inherits its waker's time slice: two tasks that wake each other run back to back, but only until the next `maintain`, which
//! puts run-next to the end of the ring.
#![forbid(unsafe_code)]

use std::cell::Cell;
use std::hint;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use super::idle::StepDown;
use super::kernel::Slice;
use super::rand::Rng;
use super::run_queue::CAPACITY;
use super::stillness::Next;
use super::{Scheduler, Slot, contention, current};
use crate::task::{self, Arena, ArenaIndex, Cookie, IdBlock, Ran, Runnable, Stamp, random};
use crate::time::{Timers, clock};

#[path = "heavy.rs"]
mod heavy;
#[path = "retire.rs"]
mod retire;

/// Polls between two calls of `maintain`, at the most. Go's number (`schedtick%61`): prime, so that no periodic pattern of tasks can
/// always be at the same place when it comes.
const MAX_INTERVAL: u32 = 61;

/// How long a worker with work may go without `maintain`, in nanoseconds: long polls shorten the interval accordingly. A compromise: a
/// look at the clock and the reactor costs some hundred nanoseconds.
const MAINTAIN_EVERY: u64 = 50_000;

/// Below this interval polls take more than five microseconds on average, about what waking another worker costs. A task that spends its
/// whole budget on channel operations takes one or two.
const LONG_POLLS: u32 = 10;

/// The worker has slept since `maintain` last ran, so that the time between says nothing about the length of polls.
const UNKNOWN: u64 = u64::MAX;

/// Timers that one call fires at the most, so that tasks get their turn in between.
const TIMER_BATCH: usize = 256;

/// Tasks that one visit takes from the shared queue at the most, as Go does: half a ring.
const INJECTED_BATCH: usize = CAPACITY as usize / 2;

/// Turns of a thief's wait before it takes the run-next of a worker that seems stuck in a poll: about two microseconds, many times a
/// channel operation, so that a worker that is about to run it itself gets the chance.
const STEAL_NEXT_SPINS: u32 = 100;

/// Of so many polls that follow a `maintain` one is watched: of some 500 in all, so that the looks at the clock cost less than a
/// hundredth of the cheapest operations.
const MAINTAINS_WATCHED: u8 = 8;

/// Of so many tasks that a timer or the reactor wakes one tells how long it waits: some nanoseconds an event. A guess.
const DELIVERIES_STAMPED: u8 = 16;

/// With a seed: among how many tasks at the head of the ring the next is chosen. Each that is passed over goes to the ring's end.
const CHOICE: usize = 8;

/// Ready tasks that one look at the reactor brings before another worker is woken to help: waking one costs more than running a few tasks.
const REACTOR_SHARE: usize = 16;

/// See the module.
#[derive(Debug)]
pub(crate) struct Worker {
    scheduler: Arc<Scheduler>,
    slot: Arc<Slot>,
    index: usize,
    /// Polls until the next `maintain`.
    countdown: Cell<u32>,
    interval: Cell<u32>,
    /// With a seed, where `interval` stays 1: polls until the next real `maintain`.
    until_maintain: Cell<u32>,
    /// When `maintain` last ran, and when it last looked at the reactor, in nanoseconds of the system's clock.
    maintained: Cell<u64>,
    reactor_seen: Cell<u64>,
    /// Counted in `Idle::searching`.
    searching: Cell<bool>,
    mode: Cell<Mode>,
    /// Since when this worker has been one too many; `NEEDED`: it is not, or was needed.
    unneeded_since: Cell<u64>,
    /// The number of the last poll that was watched.
    watched: Cell<u64>,
    /// Calls of `maintain` until the next that is followed by such a poll.
    unwatched: Cell<u8>,
    /// Deliveries until the next that is stamped.
    unstamped: Cell<u8>,
    ids: Cell<IdBlock>,
    rng: Rng,
}

/// What the thread does, and so where a task goes that it wakes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    /// It polls a task: what that wakes runs next.
    Running,
    /// The same, in a poll whose wakes tell how long they wait.
    Watched,
    /// It polls a task, with a seed: what that wakes runs next, or goes to the end of the ring.
    Shuffling,
    /// It delivers events or fires timers: what they wake goes into the ring, and others are woken once at the end.
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
            interval: Cell::new(if seeded { 1 } else { MAX_INTERVAL }),
            until_maintain: Cell::new(MAX_INTERVAL),
            maintained: Cell::new(UNKNOWN),
            reactor_seen: Cell::new(0),
            searching: Cell::new(false),
            mode: Cell::new(Mode::Running),
            unneeded_since: Cell::new(retire::NEEDED),
            watched: Cell::new(0),
            unwatched: Cell::new(1),
            unstamped: Cell::new(DELIVERIES_STAMPED),
            ids: Cell::new(IdBlock::new()),
            rng: Rng::new(index as u64 + 1),
        }
    }

    /// Runs tasks until the runtime stops, or until this worker has not been needed for a while, which is `true`.
    pub(crate) fn run(&self) -> bool {
        current::with_worker_set(self, || {
            let seed = self.scheduler.seed();
            let _seeded = seed.map(|seed| random::reseed(seed, self.index as u64));
            self.mode.set(self.running());
            while !self.scheduler.is_stopping() {
                match self.next_task() {
                    Some(task) => self.run_task::<false>(task),
                    None if self.run_heavy() => {}
                    None if self.retire() => return true,
                    None => self.sleep(),
                }
            }
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
    fn running(&self) -> Mode {
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

    /// `WATCHED`: what the task wakes, and the task itself if it yields, tells how long it waits. A constant, so that a poll that is not
    /// watched asks nothing.
    #[inline(always)] // Twice: into the loop, and into `run_watched`.
    fn run_task<const WATCHED: bool>(&self, task: Runnable) {
        let poll = &self.slot.poll;
        poll.begin(task.header().id().as_u64(), task.header().spawned_at());
        let ran = task.run(self.arena());
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

    /// Runs a task, one of some five hundred, and has those whom it wakes note the time.
    ///
    /// Here, off the loop, since it then costs nothing where nobody is watched: the mode is asked at each wake anyway.
    #[cold]
    fn run_watched(&self, task: Runnable) {
        self.mode.set(Mode::Watched);
        self.run_task::<true>(task);
        self.mode.set(Mode::Running);
        self.watched.set(self.slot.poll.sequence());
    }

    /// A wake or a yield in a poll that is watched stands for those in all polls since the last such one.
    fn stamp(&self, task: &Runnable, sequence: u64) {
        // Two numbers a poll.
        let polls = (sequence - self.watched.get()) / 2;
        task.header().stamp(Stamp::now(polls.max(1)));
    }

    #[cold]
    fn stamp_watched(&self, task: &Runnable) {
        // Odd inside the poll, which counts too.
        self.stamp(task, self.slot.poll.sequence() + 1);
    }

    /// A timer or the reactor has woken a task.
    fn push_delivered(&self, task: Runnable) {
        let left = self.unstamped.get() - 1;
        self.unstamped.set(left);
        if left == 0 {
            self.unstamped.set(DELIVERIES_STAMPED);
            task.header()
                .stamp(Stamp::now(u64::from(DELIVERIES_STAMPED)));
        }
        self.push(task);
    }

    /// A task is about to be polled here that was stamped when it was woken.
    pub(crate) fn note_latency(&self, stamp: Stamp) {
        self.slot.latencies.count(stamp.age(), stamp.stands_for());
    }

    /// The poll that was given up has returned. While it lasted another worker was woken or started in place of this one.
    #[cold]
    fn back_from_stuck(&self) {
        self.scheduler.idle.add_running();
        self.slot.set_slice(Slice::Default);
        self.make_room();
    }

    /// A task that yielded goes to the back.
    #[inline(always)] // Into its one caller, for a call costs as much as what it does.
    fn requeue<const WATCHED: bool>(&self, task: Runnable) {
        if WATCHED {
            self.stamp(&task, self.slot.poll.sequence());
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
            Mode::Watched => self.stamp_watched(&task),
            Mode::Delivering => return self.push_delivered(task),
            Mode::Shuffling if random::random() >> 63 == 0 => {}
            Mode::Shuffling => return self.push(task),
            // Nobody looks at this worker's queue until the call returns.
            Mode::Away => return self.scheduler.inject(task),
        }
        // The waker goes on with its poll and then runs this task, so pushing into an empty slot wakes nobody. What it displaces waits
        // longer.
        if let Some(displaced) = self.slot.queue.replace_next(task) {
            self.push(displaced);
            if self.is_worth_a_worker() {
                self.scheduler.notify();
            }
        }
    }

    /// Whether what waits in the ring takes longer than waking another worker, which costs some microseconds and moves what the tasks
    /// share from one core to the other: it does if polls are not short, or if many tasks wait.
    ///
    /// A guess from the polls so far. Where it is wrong, because a short poll is followed by a long one, the monitor sees work beside a
    /// sleeping worker within [`SLOW`](super::monitor) and wakes it.
    #[inline]
    fn is_worth_a_worker(&self) -> bool {
        let long = self.interval.get() < LONG_POLLS || self.slot.queue.len() >= REACTOR_SHARE;
        long && !self.scheduler.contention.is_recent(self.maintained.get())
    }

    fn push(&self, task: Runnable) {
        if let Err(overflow) = self.slot.queue.push(task) {
            self.slot.counters.count_overflow();
            self.scheduler.injector.push_batch(overflow);
        }
    }

    // ---- finding ----

    #[inline]
    fn next_task(&self) -> Option<Runnable> {
        let due = self.tick();
        let task = due
            .then(|| self.maintain())
            .flatten()
            .or_else(|| self.local())
            .or_else(|| self.injected())
            .or_else(|| self.search());
        if task.is_some() && self.searching.replace(false) && self.scheduler.idle.stop_searching() {
            // The last searcher found something, so there may be more: the next one looks.
            self.scheduler.notify();
        }
        task
    }

    /// `true` every `interval` calls.
    #[inline]
    fn tick(&self) -> bool {
        let left = self.countdown.get() - 1;
        self.countdown
            .set(if left == 0 { self.interval.get() } else { left });
        left == 0
    }

    #[inline]
    fn local(&self) -> Option<Runnable> {
        let queue = &self.slot.queue;
        queue.take_next().or_else(|| queue.pop())
    }

    /// Takes this worker's share of the shared queue.
    fn injected(&self) -> Option<Runnable> {
        let injector = &self.scheduler.injector;
        let len = injector.len();
        if len == 0 || self.is_due_to_retire() {
            return None;
        }
        let share = (len / self.scheduler.max_procs() + 1).min(INJECTED_BATCH);
        let mut first = None;
        injector.pop_batch(share, |task| match first {
            None => first = Some(task),
            Some(_) => self.push(task),
        });
        first
    }

    /// Looks at what a busy worker would forget: the shared queue, timers, the reactor.
    #[cold]
    fn maintain(&self) -> Option<Runnable> {
        if self.scheduler.seed().is_some() {
            return self.maintain_by_count();
        }
        let now = clock::real();
        let before = self.maintained.replace(now);
        let fights = contention::take_fights();
        if before != UNKNOWN {
            let elapsed = now - before;
            self.interval
                .set(next_interval(self.interval.get(), elapsed));
            if contention::is_too_much(fights, elapsed) {
                self.make_way(now);
            }
        }
        self.end_slice();
        self.fire_timers(self.scheduler.timeline.at(now));
        self.make_room();
        if self.is_due_to_retire() {
            // It has given away what it had.
            return None;
        }
        if now - self.reactor_seen.get() >= MAINTAIN_EVERY {
            self.reactor_seen.set(now);
            self.look_at_reactor();
        }
        let _ = self.run_heavy();
        let task = self.scheduler.injector.pop();
        let left = self.unwatched.get() - 1;
        // Not while this worker searches, which somebody may rely on: that has to be ended first.
        if left > 0 || self.searching.get() {
            self.unwatched.set(left.max(1));
            return task;
        }
        self.unwatched.set(MAINTAINS_WATCHED);
        let task = task.or_else(|| self.local());
        task.into_iter().for_each(|task| self.run_watched(task));
        None
    }

    /// With a seed: called before each look for a task, and does what `maintain` does after so many of them. Nothing depends on how fast
    /// this machine is.
    fn maintain_by_count(&self) -> Option<Runnable> {
        self.shuffle();
        let left = self.until_maintain.get() - 1;
        self.until_maintain
            .set(if left == 0 { MAX_INTERVAL } else { left });
        if left > 0 {
            return None;
        }
        self.end_slice();
        self.fire_timers(clock::now());
        self.make_room();
        self.look_at_reactor();
        let _ = self.run_heavy();
        self.scheduler.injector.pop()
    }

    /// The end of run-next's slice.
    fn end_slice(&self) {
        let queue = &self.slot.queue;
        if !queue.is_empty() {
            queue
                .take_next()
                .into_iter()
                .for_each(|next| self.push(next));
        }
    }

    fn fire_timers(&self, now: u64) {
        let timers = self.timers();
        if timers.next_deadline() <= now {
            let woken = self.deliver(|| timers.fire(now, TIMER_BATCH));
            self.slot.counters.count_timers_fired(woken);
            self.share(woken);
        }
    }

    fn look_at_reactor(&self) {
        if self.scheduler.driver.registered() == 0 {
            return;
        }
        if let Some(mut turn) = self.scheduler.driver.try_turn() {
            let woken = self.deliver(|| {
                self.scheduler
                    .reactor_result(turn.wait(Some(Duration::ZERO)))
            });
            drop(turn);
            self.share(woken);
        }
    }

    /// Runs `f`, which wakes tasks, so that they land in the ring.
    ///
    /// A waker may be anybody's code. If one panics, that is said where it happens, and this worker goes on.
    fn deliver<R: Default>(&self, f: impl FnOnce() -> R) -> R {
        self.mode.set(Mode::Delivering);
        let result = catch_unwind(AssertUnwindSafe(f));
        self.mode.set(self.running());
        result.unwrap_or_default()
    }

    /// A batch of tasks was woken into the ring: a large one is shared.
    fn share(&self, woken: usize) {
        if woken >= REACTOR_SHARE {
            self.scheduler.notify();
        }
    }

    /// Takes from the other workers.
    #[cold]
    fn search(&self) -> Option<Runnable> {
        if self.is_due_to_retire() {
            return None;
        }
        if !self.searching.get() {
            if !self.scheduler.idle.start_searching() {
                return None;
            }
            self.searching.set(true);
        }
        let stolen = self.steal_half().or_else(|| self.steal_next());
        if stolen.is_some() {
            self.slot.counters.count_steal();
        }
        stolen.or_else(|| self.injected())
    }

    fn steal_half(&self) -> Option<Runnable> {
        let mine = &self.slot.queue;
        self.victims()
            .find_map(|victim| victim.queue.steal_into(mine))
    }

    /// Takes the run-next of a worker that has been in one poll for a while.
    fn steal_next(&self) -> Option<Runnable> {
        self.victims().find_map(|victim| {
            if !victim.queue.has_next() {
                return None;
            }
            let poll = victim.poll.sequence();
            for _ in 0..STEAL_NEXT_SPINS {
                if victim.poll.sequence() != poll {
                    return None;
                }
                hint::spin_loop();
            }
            victim.queue.take_next()
        })
    }

    /// The other slots, from a random one on.
    fn victims(&self) -> impl Iterator<Item = &Slot> {
        let slots = self.scheduler.slots_from(&self.rng);
        slots
            .filter(|slot| !Arc::ptr_eq(slot, &self.slot))
            .map(Arc::as_ref)
    }

    // ---- sleeping ----

    /// Sleeps until there is work, I/O, or a timer is due. The protocol is in the README beside this file.
    #[cold]
    fn sleep(&self) {
        let scheduler = &*self.scheduler;
        if self.slot.poll.is_stuck() && self.slot.poll.unstick() {
            // Marked a moment too late: the poll had ended.
            return self.back_from_stuck();
        }
        // The clock is read only where it matters: a worker that finds work again at once comes through here once a task.
        let deadline = self.timers().next_deadline();
        if deadline != u64::MAX {
            let now = clock::now();
            if deadline <= now {
                return self.fire_timers(now);
            }
        }
        let searched = self.searching.replace(false);
        scheduler.idle.fall_asleep(self.index, searched);
        let (found, mut woken) = (scheduler.has_work(), 0);
        if !found && !scheduler.is_stopping() {
            task::collect(&scheduler.slab, ArenaIndex::worker(self));
            woken = if scheduler.timeline.is_paused() {
                self.sleep_while_paused()
            } else {
                self.park(self.nap(deadline))
            };
            self.maintained.set(UNKNOWN);
        }
        self.awake();
        if found && searched && !self.searching.replace(true) {
            // Whoever pushed it may have counted on our search, which therefore goes on: the next is woken when we have taken it.
            scheduler.idle.resume_searching();
        }
        self.share(woken);
        self.make_room();
    }

    /// Moves the paused clock if no task can run, else sleeps. Returns how many tasks were woken.
    fn sleep_while_paused(&self) -> usize {
        match self.deliver(|| self.scheduler.move_clock(self.index)) {
            Next::Woken(n) => n,
            Next::Sleep(limit) => self.park(limit),
        }
    }

    /// The end of a sleep.
    fn awake(&self) {
        if !self.scheduler.idle.wake_up(self.index) {
            // Chosen by somebody who pushed work, and counted as searching.
            self.searching.set(true);
            self.unneeded_since.set(retire::NEEDED);
        }
        // The countdown goes on, so that a worker that seldom has much to do is watched, too. With a seed it begins anew,
        // for how often a worker sleeps and wakes depends on the machine.
        self.until_maintain.set(MAX_INTERVAL);
        self.scheduler.monitor.wake();
    }

    /// If more workers are awake than there are meant to be, one of them sleeps until it is chosen again: this one.
    ///
    /// What it has goes to the shared queue; its timers stay, and wake it for as long as it takes to pass their tasks on.
    fn make_room(&self) {
        let idle = &self.scheduler.idle;
        while idle.is_crowded() && !self.scheduler.is_stopping() {
            self.fire_timers(clock::now());
            if self.give_away() {
                self.scheduler.notify();
            }
            if !self.step_down(idle.max_procs()) || self.is_due_to_retire() {
                return;
            }
        }
    }

    /// This worker and another one spend their time on each other's locks: it leaves its tasks to the other. See `contention`.
    #[cold]
    fn make_way(&self, now: u64) {
        if self.scheduler.idle.running() > 1 && !self.scheduler.is_stopping() {
            self.scheduler.contention.note(now);
            // Nobody is woken: whoever is awake looks at the shared queue before it sleeps.
            self.give_away();
            self.step_down(1);
        }
    }

    /// Sleeps, having given away its tasks, if more than `enough` are awake. `true`: it has slept.
    fn step_down(&self, enough: usize) -> bool {
        if self.searching.replace(false) {
            let _ = self.scheduler.idle.stop_searching();
        }
        match self.scheduler.idle.step_down(self.index, enough) {
            StepDown::Sleep => {}
            StepDown::Stay => return false,
            StepDown::Search => {
                self.searching.set(true);
                return false;
            }
        }
        let woken = self.park(self.nap(self.timers().next_deadline()));
        self.maintained.set(UNKNOWN);
        self.awake();
        self.share(woken);
        true
    }

    /// Moves all that waits here to the shared queue. `true`: there was something.
    fn give_away(&self) -> bool {
        let queue = &self.slot.queue;
        let mut all: Vec<_> = std::iter::from_fn(|| queue.pop()).collect();
        all.extend(queue.take_next());
        let some = !all.is_empty();
        if some {
            self.scheduler.injector.push_batch(all);
        }
        some
    }

    /// How long to sleep for a deadline in nanoseconds, of which `u64::MAX` is none. While the clock stands no sleep brings it nearer.
    fn until(&self, deadline: u64) -> Option<Duration> {
        (deadline != u64::MAX && !self.scheduler.timeline.is_paused())
            .then(|| Duration::from_nanos(deadline.saturating_sub(clock::now())))
    }

    /// Returns how many tasks the reactor woke.
    fn park(&self, timeout: Option<Duration>) -> usize {
        self.slot.counters.count_park();
        let parker = &self.slot.parker;
        let Some(mut turn) = self.scheduler.driver.try_turn() else {
            parker.park(timeout);
            return 0;
        };
        let wait = || self.scheduler.reactor_result(turn.wait(timeout));
        parker.poll(|| self.deliver(wait)).unwrap_or_default()
    }
}

/// Aims at one `maintain` every `MAINTAIN_EVERY`, or every `MAX_INTERVAL` polls where that is more often.
fn next_interval(interval: u32, elapsed: u64) -> u32 {
    let per_poll = (elapsed / u64::from(interval)).max(1);
    u32::try_from(MAINTAIN_EVERY / per_poll)
        .unwrap_or(MAX_INTERVAL)
        .clamp(1, MAX_INTERVAL)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn interval_follows_the_length_of_polls() {
        assert_eq!(next_interval(61, 61 * 50), 61);
        assert_eq!(next_interval(61, 61 * 5_000), 10);
        assert_eq!(next_interval(10, 10 * 1_000_000), 1);
        assert_eq!(next_interval(1, 40), 61);
    }
}
