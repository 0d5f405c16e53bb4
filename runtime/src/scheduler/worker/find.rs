//! Where a worker finds the next task, in the order of Go's `findRunnable`: run-next, the own ring,
//! the shared queue, the others' rings, and last another one's run-next.
#![forbid(unsafe_code)]

use std::hint;
use std::sync::Arc;

use super::Worker;
use crate::scheduler::Slot;
use crate::scheduler::run_queue::CAPACITY;
use crate::task::Runnable;

/// Tasks that one visit takes from the shared queue at the most, as Go does: half a ring.
const INJECTED_BATCH: usize = CAPACITY as usize / 2;

/// Turns of a thief's wait before it takes the run-next of a worker that seems stuck in a poll:
/// about two microseconds, many times a channel operation, so that a worker that is about to run it
/// itself gets the chance.
const STEAL_NEXT_SPINS: u32 = 100;

impl Worker {
    #[inline]
    pub(super) fn next_task(&self) -> Option<Runnable> {
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

    /// `true` each time that `maintain` is due.
    #[inline]
    fn tick(&self) -> bool {
        let left = self.countdown.get() - 1;
        self.countdown.set(if left == 0 {
            self.pace.interval()
        } else {
            left
        });
        left == 0
    }

    #[inline]
    pub(super) fn local(&self) -> Option<Runnable> {
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
        let share = if self.scheduler.monitor.is_strained() {
            // Whoever is stuck next would keep the rest.
            1
        } else {
            (len / self.scheduler.max_procs() + 1).min(INJECTED_BATCH)
        };
        let mut first = None;
        injector.pop_batch(share, |task| match first {
            None => first = Some(task),
            Some(_) => self.push(task),
        });
        first
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
        self.crumbs.let_gather();
        let stolen = self.steal_half().or_else(|| self.steal_next());
        if stolen.is_some() {
            self.slot.counters.count_steal();
            // The first of them is in hand, and does not count.
            let worth_it = |many| self.slot.queue.has(many);
            self.crumbs.note(worth_it, self.pace.time_for(1));
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
}
