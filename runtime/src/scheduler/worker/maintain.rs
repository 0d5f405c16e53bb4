//! What a worker that always has work would forget: the shared queue, timers, the reactor, and that
//! there may be too many workers.
#![forbid(unsafe_code)]

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use super::pace::{MAINTAIN_EVERY, MAX_INTERVAL};
use super::{Mode, Worker};
use crate::scheduler::contention;
use crate::task::Runnable;
use crate::time::clock;

/// How long the reactor may wait for tasks that it has woken before, in nanoseconds. They come
/// first, or else connections that are quick to come back would keep those in the shared queue, or
/// in the kernel's, waiting. Ten milliseconds, as Go's `sysmon` looks at the poller.
const REACTOR_PATIENCE: u64 = 10_000_000;

/// Timers that one call fires at the most, so that tasks get their turn in between.
const TIMER_BATCH: usize = 256;

/// A batch of ready tasks that takes this worker longer, in nanoseconds, is worth another one. A
/// compromise: waking it costs some microseconds, and where it pushes another thread from its core,
/// as much time as it then has, so that with a quarter of this a server that shares two cores with
/// its clients does a tenth less; where cores are idle, the last task of a batch waits for up to
/// this long behind the others.
const SHARED: u64 = 500_000;

impl Worker {
    /// Looks at what a busy worker would forget, and returns the task to run next if one was found
    /// in the shared queue.
    #[cold]
    pub(super) fn maintain(&self) -> Option<Runnable> {
        if self.scheduler.seed().is_some() {
            return self.maintain_by_count();
        }
        let now = clock::real();
        let (elapsed, fights) = (self.pace.note(now, self.polls()), contention::take_fights());
        if elapsed.is_some_and(|elapsed| contention::is_too_much(fights, elapsed)) {
            self.make_way(now);
        }
        self.end_slice();
        self.fire_timers(self.scheduler.timeline.at(now));
        self.make_room();
        if self.is_due_to_retire() {
            // It has given away what it had.
            return None;
        }
        if self.is_reactor_due(now) {
            self.look_at_reactor();
            self.has_seen_reactor(Some(now));
        }
        let _ = self.run_heavy();
        let task = self.scheduler.injector.pop();
        // Not while this worker searches, which somebody may rely on: that has to be ended first.
        if !self.sampling.is_poll_due(!self.searching.get()) {
            return task;
        }
        if let Some(task) = task.or_else(|| self.local()) {
            self.run_watched(task);
        }
        None
    }

    /// With a seed: called before each look for a task, and does what `maintain` does after so many
    /// of them. Nothing depends on how fast this machine is.
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

    pub(super) fn fire_timers(&self, now: u64) {
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

    /// Whether to look at the reactor. A worker that has slept there has just seen it, and the time
    /// counts from its first question.
    fn is_reactor_due(&self, now: u64) -> bool {
        let Some(seen) = self.reactor_seen.get() else {
            self.reactor_seen.set(Some(now));
            return false;
        };
        // It may have slept, and looked, since it read the clock.
        let unseen = now.saturating_sub(seen);
        unseen >= REACTOR_PATIENCE || (unseen >= MAINTAIN_EVERY && self.has_run_delivered())
    }

    /// What the reactor had, at that time or just now, is in the ring.
    pub(super) fn has_seen_reactor(&self, at: Option<u64>) {
        self.reactor_seen.set(at);
        self.delivered.set(self.slot.queue.end());
    }

    /// Whether all that was in the ring after the last look at the reactor has left it.
    fn has_run_delivered(&self) -> bool {
        self.slot.queue.has_left(self.delivered.get())
    }

    /// Runs `f`, which wakes tasks, so that they land in the ring.
    ///
    /// A waker may be anybody's code. If one panics, that is said where it happens, and this worker
    /// goes on.
    pub(super) fn deliver<R: Default>(&self, f: impl FnOnce() -> R) -> R {
        self.mode.set(Mode::Delivering);
        let result = catch_unwind(AssertUnwindSafe(f));
        self.mode.set(self.mode_of_polls());
        result.unwrap_or_default()
    }

    /// A batch of tasks was woken into the ring: one that keeps this worker busy for long is
    /// shared.
    pub(super) fn share(&self, woken: usize) {
        if woken > 1 && self.pace.time_for(woken) >= SHARED {
            self.scheduler.notify();
        }
    }
}
