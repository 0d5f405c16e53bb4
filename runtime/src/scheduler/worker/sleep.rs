//! How a worker falls asleep and wakes, and how it makes room for others. The protocol is in
//! `scheduler/README.md`.
#![forbid(unsafe_code)]

use std::time::Duration;

use super::pace::MAX_INTERVAL;
use super::{Worker, retire};
use crate::scheduler::contention;
use crate::scheduler::idle::StepDown;
use crate::scheduler::stillness::Next;
use crate::task::{self, ArenaIndex};
use crate::time::clock;

impl Worker {
    /// Sleeps until there is work, I/O, or a timer is due.
    #[cold]
    pub(super) fn sleep(&self) {
        let scheduler = &*self.scheduler;
        if self.slot.poll.is_stuck() && self.slot.poll.unstick() {
            // Marked a moment too late: the poll had ended.
            return self.back_from_stuck();
        }
        // The clock is read only where it matters: a worker that finds work again at once comes
        // through here once a task.
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
        }
        self.awake();
        if found && searched && !self.searching.replace(true) {
            // Whoever pushed it may have counted on our search, which therefore goes on: the next
            // is woken when we have taken it.
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
        // The countdown goes on, so that a worker that seldom has much to do is watched, too. With
        // a seed it begins anew, for how often a worker sleeps and wakes depends on the machine.
        self.until_maintain.set(MAX_INTERVAL);
        self.scheduler.monitor.wake();
    }

    /// If more workers are awake than there are meant to be, one of them sleeps until it is chosen
    /// again: this one.
    ///
    /// What it has goes to the shared queue; its timers stay, and wake it for as long as it takes
    /// to pass their tasks on.
    pub(super) fn make_room(&self) {
        let idle = &self.scheduler.idle;
        while idle.is_crowded() && !self.scheduler.is_stopping() {
            self.fire_timers(clock::now());
            if self.give_away() {
                self.scheduler.notify();
            }
            if !self.step_down(idle.limit()) || self.is_due_to_retire() {
                return;
            }
        }
    }

    /// This worker and another one spend their time on each other's locks: it leaves its tasks to
    /// the other. See `contention`.
    #[cold]
    pub(super) fn make_way(&self, now: u64) {
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
        self.awake();
        self.share(woken);
        true
    }

    /// Moves all that waits here to the shared queue. `true`: there was something.
    pub(super) fn give_away(&self) -> bool {
        let queue = &self.slot.queue;
        let mut all: Vec<_> = std::iter::from_fn(|| queue.pop()).collect();
        all.extend(queue.take_next());
        let some = !all.is_empty();
        if some {
            self.scheduler.injector.push_batch(all);
        }
        some
    }

    /// How long to sleep for a deadline in nanoseconds, of which `u64::MAX` is none. While the
    /// clock stands no sleep brings it nearer.
    pub(super) fn until(&self, deadline: u64) -> Option<Duration> {
        (deadline != u64::MAX && !self.scheduler.timeline.is_paused())
            .then(|| Duration::from_nanos(deadline.saturating_sub(clock::now())))
    }

    /// Returns how many tasks the reactor woke.
    fn park(&self, timeout: Option<Duration>) -> usize {
        self.slot.counters.count_park();
        self.pace.fall_asleep(clock::real, self.polls());
        self.crumbs.forget();
        let woken = self.park_somewhere(timeout);
        self.pace.wake_up(clock::real, self.polls());
        // Those before the sleep are no part of the time after it.
        let _ = contention::take_fights();
        woken
    }

    fn park_somewhere(&self, timeout: Option<Duration>) -> usize {
        let parker = &self.slot.parker;
        let Some(mut turn) = self.scheduler.driver.try_turn() else {
            parker.park(timeout);
            return 0;
        };
        let wait = || self.scheduler.reactor_result(turn.wait(timeout));
        let woken = parker.poll(|| self.deliver(wait)).unwrap_or_default();
        self.has_seen_reactor(None);
        woken
    }
}
