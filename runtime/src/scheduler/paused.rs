//! A runtime's paused clock: what the scheduler answers when [`stillness`](super::stillness) asks
//! whether anything moves, who has it ask, and what users do to the clock.
#![forbid(unsafe_code)]

use std::sync::atomic::Ordering::Relaxed;
use std::task::Waker;
use std::time::Duration;

use super::Scheduler;
use super::stillness::{Facts, Next, Obstacle, look_around, move_clock};
use crate::task::call_waker;
use crate::time::{Resolution, Timeline};

impl Facts for Scheduler {
    fn timeline(&self) -> &Timeline {
        &self.timeline
    }

    fn workers(&self) -> usize {
        self.started_slots().count()
    }

    fn is_asleep(&self, worker: usize) -> bool {
        self.idle.is_asleep(worker) || self.slot(worker).is_vacant()
    }

    fn polls(&self, worker: usize) -> u64 {
        self.slot(worker).poll.sequence()
    }

    fn has_next(&self, worker: usize) -> bool {
        self.slot(worker).queue.has_next()
    }

    fn has_work(&self) -> bool {
        self.has_work()
    }

    fn has_job(&self) -> bool {
        self.blocking.unfinished() > 0
    }

    fn sleeps(&self) -> Option<u64> {
        // In this order: see `Sleepers::covered`.
        let covered = self.sleepers.covered();
        let (inside, sleepers) = (self.sleepers.inside(), self.sleepers.innermost());
        let mut numbers = sleepers.iter().map(|sleeper| sleeper.asleep());
        (inside == covered + sleepers.len())
            .then(|| numbers.try_fold(0, |sum, n| Some(sum + n?)))?
    }

    fn is_awaited(&self) -> bool {
        self.sleepers.inside() > 0
    }

    fn delivers(&self) -> bool {
        self.driver.is_busy()
    }

    fn events(&self) -> u64 {
        self.driver.events()
    }

    fn awaits_events(&self) -> bool {
        self.driver.has_waiters()
    }

    fn look_for_events(&self) -> usize {
        if self.driver.registered() == 0 {
            return 0;
        }
        match self.driver.try_turn() {
            Some(mut turn) => self.reactor_result(turn.wait(Some(Duration::ZERO))),
            // Whoever sleeps there delivers them.
            None => 0,
        }
    }

    fn next_timer(&self) -> u64 {
        let timers = self.started_slots().map(|slot| slot.timers.next_deadline());
        timers.min().unwrap_or(u64::MAX)
    }

    fn fire_all(&self, now: u64) -> usize {
        let mut woken = 0;
        for slot in self.started_slots() {
            woken += slot.timers.fire(now, usize::MAX);
        }
        self.tally.timers_fired.fetch_add(woken as u64, Relaxed);
        woken
    }

    fn call(&self, waker: Waker) {
        call_waker(waker);
    }
}

impl Scheduler {
    /// What worker `me` does, which has said that it sleeps. It may deliver: wakers are called.
    pub(crate) fn move_clock(&self, me: usize) -> Next {
        move_clock(self, me)
    }

    /// Has a worker ask again whether the clock can move: something has ended that kept it.
    pub(crate) fn reconsider_clock(&self) {
        if self.timeline.is_paused() {
            self.unpark(0);
        }
    }

    // ---- what others want to know ----

    /// Why a paused clock stands although somebody waits for it. Asked by the monitor, when all
    /// workers have slept for a while.
    pub(super) fn why_clock_stands(&self) -> Option<&'static str> {
        let awaited = self.next_timer() != u64::MAX || self.timeline.has_wishes();
        if !self.timeline.is_paused() || !awaited || self.is_stopping() {
            return None;
        }
        Some(match look_around(self, None) {
            Err(Obstacle::Job) => "a blocking job has not ended",
            Err(Obstacle::BlockOn) => "a thread inside block_on is at work, or blocked",
            Err(Obstacle::Task | Obstacle::Reactor) => "a task runs, or blocks its thread",
            Ok(_) if self.driver.has_waiters() => {
                "a task waits for a descriptor, which may yet be ready"
            }
            Ok(_) if self.sleepers.inside() == 0 => {
                "no thread is inside block_on to wait for an outcome"
            }
            // It is about to move.
            Ok(_) => return None,
        })
    }

    // ---- what the users do to the clock ----

    /// Stops the clock.
    pub(crate) fn pause_clock(&self) {
        // No worker is started meanwhile, with a wheel of the other kind.
        let starting = self.starting();
        if let Some(now) = self.timeline.pause() {
            for slot in self.started_slots() {
                slot.timers.change_resolution(Resolution::Exact, now);
            }
        }
        drop(starting);
        self.reconsider_clock();
    }

    /// Lets it run.
    pub(crate) fn resume_clock(&self) {
        // One that panics takes neither the others along nor the workers that are to be told.
        self.timeline.resume().into_iter().for_each(call_waker);
        // They sleep without a limit.
        for (index, _) in self.started_slots().enumerate() {
            self.unpark(index);
        }
        // So does it, and fires the timers of slots without a worker.
        self.monitor.hurry();
    }

    /// What a new worker's wheel is to have.
    pub(super) fn resolution(&self) -> Resolution {
        if self.timeline.is_paused() {
            Resolution::Exact
        } else {
            Resolution::Coarse
        }
    }
}
