//! Whether no task of a runtime can run, and what its paused clock does then.
//!
//! A worker asks when it is about to sleep ([`Scheduler::move_clock`]). If nothing moves, the first of these is done, and the worker stays
//! awake for what it has woken:
//!
//! 1. somebody in `time::settle` is woken; one at a time, since the next has to wait until that one is still again;
//! 2. the clock goes on to the next timer, or to where `time::advance` wants it, whichever is first;
//! 3. the clock goes on by itself to the next timer, if no task waits for a descriptor, and some thread waits in `block_on`. Without such a
//!    thread nobody waits for an outcome; and so the clock stands from the moment at which a test's body has ended.
//!
//! **What moves** ([`Obstacle`]): a task in a queue or in a poll (also one that blocks its thread), a blocking job, a thread that is inside
//! `block_on` and does not sleep. Threads that are no part of the runtime are not seen.
//!
//! **Who asks last.** Each worker says that it sleeps before it asks, and the question is put by one at a time
//! ([`Timeline::in_turn`](crate::time::Timeline::in_turn)), so that the last of several sees all others asleep. Whatever else may end a
//! motion (a blocking job, a thread in `block_on`) has a worker ask anew afterwards: [`Scheduler::reconsider_clock`].
//!
//! **One moment.** The facts are read one after another. But a worker that takes a task out of a queue says before that it is awake, and
//! counts the poll before it can fall asleep again: two looks that find everybody asleep and equal counts had all queues empty in between.
#![forbid(unsafe_code)]

use std::time::Duration;

use super::Scheduler;
use crate::task::call_waker;
use crate::time::Resolution;

/// How long a worker sleeps that found another one between falling asleep and sleeping in the reactor. It is asked for seldom, and only
/// where there are several workers.
const SHORTLY: Duration = Duration::from_millis(1);

/// Why the clock does not move by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Obstacle {
    /// A task is in a queue or in a poll.
    Task,
    /// A worker may be delivering events.
    Reactor,
    /// A blocking job waits for a thread or runs.
    Job,
    /// A thread is inside `block_on` and does not sleep there.
    BlockOn,
}

/// What a look saw: sums of counters that only grow.
#[derive(Debug, PartialEq, Eq)]
struct Look {
    polls: u64,
    sleeps: u64,
    events: u64,
}

/// What a worker does that found nothing to run while the clock is paused.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Next {
    /// So many wakers have been called: it looks for their tasks.
    Woken(usize),
    /// Nothing: it sleeps, until it is woken or this time is over.
    Sleep(Option<Duration>),
}

impl Default for Next {
    /// After a panic that has been caught.
    fn default() -> Self {
        Self::Sleep(Some(SHORTLY))
    }
}

impl Scheduler {
    /// What worker `me` does, which has said that it sleeps. It may deliver: wakers are called.
    pub(crate) fn move_clock(&self, me: usize) -> Next {
        let mut retry = None;
        let woken = self.timeline.in_turn(|| {
            retry = None;
            match self.is_still(me) {
                Ok(()) => self.make_move(),
                Err(Obstacle::Reactor) => {
                    retry = Some(SHORTLY);
                    None
                }
                Err(_) => None,
            }
        });
        woken.map_or(Next::Sleep(retry), Next::Woken)
    }

    /// Has a worker ask again whether the clock can move: something has ended that kept it.
    pub(crate) fn reconsider_clock(&self) {
        if self.timeline.is_paused() {
            self.unpark(0);
        }
    }

    /// Whether no task can run now. `me`: a worker that asks, and has no task itself.
    fn is_still(&self, me: usize) -> Result<(), Obstacle> {
        let first = self.look_around(Some(me))?;
        if self.look_around(Some(me))? == first {
            Ok(())
        } else {
            Err(Obstacle::Task)
        }
    }

    /// One look.
    fn look_around(&self, me: Option<usize>) -> Result<Look, Obstacle> {
        let mut still = Look {
            polls: 0,
            sleeps: 0,
            events: self.driver.events(),
        };
        for (index, slot) in self.started_slots().enumerate() {
            let polls = slot.poll.sequence();
            let asleep = me == Some(index) || self.idle.is_asleep(index) || slot.is_vacant();
            if !asleep || polls % 2 == 1 || slot.queue.has_next() {
                return Err(Obstacle::Task);
            }
            still.polls += polls;
        }
        if self.has_work() {
            return Err(Obstacle::Task);
        }
        if self.blocking.unfinished() > 0 {
            return Err(Obstacle::Job);
        }
        // In this order: see `Sleepers::covered`.
        let covered = self.sleepers.covered();
        let (inside, sleepers) = (self.sleepers.inside(), self.sleepers.innermost());
        if inside != covered + sleepers.len() {
            return Err(Obstacle::BlockOn);
        }
        for sleeper in sleepers {
            still.sleeps += sleeper.asleep().ok_or(Obstacle::BlockOn)?;
        }
        if self.driver.is_busy() {
            return Err(Obstacle::Reactor);
        }
        Ok(still)
    }

    /// No task can run. Returns how many wakers were called; `None`: nothing is to be done.
    fn make_move(&self) -> Option<usize> {
        let events = self.look_for_events();
        if events > 0 {
            return Some(events);
        }
        if let Some(waker) = self.timeline.take_still() {
            call_waker(waker);
            return Some(1);
        }
        loop {
            let now = self.timeline.frozen_at()?;
            let timer = self.next_timer();
            let wish = self.timeline.next_wish().unwrap_or(u64::MAX);
            let by_itself = !self.driver.has_waiters() && self.sleepers.inside() > 0;
            let to = match timer.min(wish) {
                u64::MAX => return None,
                at if wish == u64::MAX && !by_itself => {
                    // Unless it is overdue: a timer that was set while the clock stood there.
                    (at <= now).then_some(at)?
                }
                at => at,
            };
            let to = to.max(now);
            if !self.timeline.step(now, to) {
                return None;
            }
            // The timers first, so that who waited for this time finds done what was to happen by then.
            let woken = self.fire_all(to);
            if woken > 0 {
                return Some(woken);
            }
            if let Some(waker) = self.timeline.take_due(to) {
                call_waker(waker);
                return Some(1);
            }
            // What was there has been cancelled or put off.
        }
    }

    /// What the reactor has for the tasks now.
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

    /// Wakes all whose time has come.
    fn fire_all(&self, now: u64) -> usize {
        let mut woken = 0;
        for slot in self.started_slots() {
            woken += slot.timers.fire(now, usize::MAX);
        }
        self.tally
            .timers_fired
            .fetch_add(woken as u64, super::Relaxed);
        woken
    }

    // ---- what others want to know ----

    /// Why a paused clock stands although somebody waits for it. Asked by the monitor, when all workers have slept for a while.
    pub(super) fn why_clock_stands(&self) -> Option<&'static str> {
        let awaited = self.next_timer() != u64::MAX || self.timeline.has_wishes();
        if !self.timeline.is_paused() || !awaited || self.is_stopping() {
            return None;
        }
        Some(match self.look_around(None) {
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
        for waker in self.timeline.resume() {
            waker.wake();
        }
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
