//! Whether no task of a runtime can run, and what its paused clock does then.
//!
//! A worker asks when it is about to sleep ([`move_clock`]). If nothing moves, the first of these
//! is done, and the worker stays awake for what it has woken:
//!
//! 1. somebody in `time::settle` is woken; one at a time, since the next has to wait until that one
//!    is still again;
//! 2. the clock goes on to the next timer, or to where `time::advance` wants it, whichever is
//!    first;
//! 3. the clock goes on by itself to the next timer, if no task waits for a descriptor, and some
//!    thread waits in `block_on`. Without such a thread nobody waits for an outcome; and so the
//!    clock stands from the moment at which a test's body has ended.
//!
//! **What moves** ([`Obstacle`]): a task in a queue or in a poll (also one that blocks its thread),
//! a blocking job, a thread that is inside `block_on` and does not sleep. Threads that are no part
//! of the runtime are not seen.
//!
//! **Who asks last.** Each worker says that it sleeps before it asks, and the question is put by
//! one at a time ([`Timeline::in_turn`](crate::time::Timeline::in_turn)), so that the last of
//! several sees all others asleep. Whatever else may end a motion (a blocking job, a thread in
//! `block_on`) has a worker ask anew afterwards: `Scheduler::reconsider_clock`.
//!
//! **One moment.** The facts are read one after another. But a worker that takes a task out of a
//! queue says before that it is awake, and counts the poll before it can fall asleep again: two
//! looks that find everybody asleep and equal counts had all queues empty in between. For that a
//! look reads of each worker first that it sleeps, then the count: the other way round a whole poll
//! finds room between the two, and what it has woken may run in a worker that the look is through
//! with. And the jobs and the threads in `block_on` come before the workers, the queues last: what
//! a job has woken before it ended is in a queue or in a poll when the look comes there.
//!
//! Here is what is asked, and in which order; [`paused`](super::paused) has what the scheduler
//! answers.
#![forbid(unsafe_code)]

use std::task::Waker;
use std::time::Duration;

use crate::time::Timeline;

/// How long a worker sleeps that found another one between falling asleep and sleeping in the
/// reactor. It is asked for seldom, and only where there are several workers.
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
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Look {
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

/// What is asked of a runtime, and what is done to it: of the scheduler, or of a model.
pub(crate) trait Facts {
    fn timeline(&self) -> &Timeline;

    /// How many workers there are to be asked after.
    fn workers(&self) -> usize;

    /// Whether this worker has said that it sleeps, or has no thread.
    fn is_asleep(&self, worker: usize) -> bool;

    /// The beginnings and ends of its polls.
    fn polls(&self, worker: usize) -> u64;

    /// Whether a task is to be its next.
    fn has_next(&self, worker: usize) -> bool;

    /// Whether a queue has a task.
    fn has_work(&self) -> bool;

    /// Whether a blocking job waits for a thread or runs.
    fn has_job(&self) -> bool;

    /// The numbers of the sleeps in `block_on`, summed up, if all who are inside sleep.
    fn sleeps(&self) -> Option<u64>;

    /// Whether a thread is inside `block_on`.
    fn is_awaited(&self) -> bool;

    /// Whether somebody may be delivering events.
    fn delivers(&self) -> bool;

    /// Events ever delivered.
    fn events(&self) -> u64;

    /// Whether a task waits for a descriptor.
    fn awaits_events(&self) -> bool;

    /// Delivers what the reactor has now, and returns how many that were.
    fn look_for_events(&self) -> usize;

    /// When the first timer is due; `u64::MAX`: there is none.
    fn next_timer(&self) -> u64;

    /// Fires the timers that are due then, and returns how many wakers were called.
    fn fire_all(&self, now: u64) -> usize;

    fn call(&self, waker: Waker);
}

/// What worker `me` does, which has said that it sleeps. It may deliver: wakers are called.
pub(crate) fn move_clock(facts: &impl Facts, me: usize) -> Next {
    let mut retry = None;
    let woken = facts.timeline().in_turn(|| {
        retry = None;
        match is_still(facts, me) {
            Ok(()) => make_move(facts),
            Err(Obstacle::Reactor) => {
                retry = Some(SHORTLY);
                None
            }
            Err(_) => None,
        }
    });
    woken.map_or(Next::Sleep(retry), Next::Woken)
}

/// Whether no task can run now. `me`: a worker that asks, and has no task itself.
fn is_still(facts: &impl Facts, me: usize) -> Result<(), Obstacle> {
    let first = look_around(facts, Some(me))?;
    if look_around(facts, Some(me))? == first {
        Ok(())
    } else {
        Err(Obstacle::Task)
    }
}

/// One look.
pub(crate) fn look_around(facts: &impl Facts, me: Option<usize>) -> Result<Look, Obstacle> {
    let mut still = Look {
        events: facts.events(),
        ..Look::default()
    };
    // Where motion comes from, before where it is: what these have set going is seen below, in a
    // queue or in a poll.
    if facts.has_job() {
        return Err(Obstacle::Job);
    }
    still.sleeps = facts.sleeps().ok_or(Obstacle::BlockOn)?;
    if facts.delivers() {
        return Err(Obstacle::Reactor);
    }
    for worker in 0..facts.workers() {
        // In this order: whoever has slept again since the first look has counted his poll before.
        let asleep = me == Some(worker) || facts.is_asleep(worker);
        let polls = facts.polls(worker);
        if !asleep || polls % 2 == 1 || facts.has_next(worker) {
            return Err(Obstacle::Task);
        }
        still.polls += polls;
    }
    if facts.has_work() {
        return Err(Obstacle::Task);
    }
    Ok(still)
}

/// No task can run. Returns how many wakers were called; `None`: nothing is to be done.
fn make_move(facts: &impl Facts) -> Option<usize> {
    let events = facts.look_for_events();
    if events > 0 {
        return Some(events);
    }
    let timeline = facts.timeline();
    if let Some(waker) = timeline.take_still() {
        facts.call(waker);
        return Some(1);
    }
    loop {
        let now = timeline.frozen_at()?;
        let timer = facts.next_timer();
        let wish = timeline.next_wish().unwrap_or(u64::MAX);
        let by_itself = !facts.awaits_events() && facts.is_awaited();
        let to = match timer.min(wish) {
            u64::MAX => return None,
            at if wish == u64::MAX && !by_itself => {
                // Unless it is overdue: a timer that was set while the clock stood there.
                (at <= now).then_some(at)?
            }
            at => at,
        };
        let to = to.max(now);
        if !timeline.step(now, to) {
            return None;
        }
        // The timers first, so that who waited for this time finds done what was to happen by then.
        let woken = facts.fire_all(to);
        if woken > 0 {
            return Some(woken);
        }
        if let Some(waker) = timeline.take_due(to) {
            facts.call(waker);
            return Some(1);
        }
        // What was there has been cancelled or put off.
    }
}
