//! Where a runnable task goes, and who is told.
//!
//! A task that a worker wakes is that worker's own (`worker`); all others come through the shared
//! queue. What a monitor wakes in place of workers that are in long polls goes first there. The
//! protocol of telling is in `README.md` in this folder.
#![forbid(unsafe_code)]

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use super::idle::Notify;
use super::parker::Unpark;
use super::refused::refuse;
use super::{Scheduler, current, monitor};
use crate::metrics::count;
use crate::task::{Runnable, Stamp};

/// Of so many tasks from outside one tells how long it waits. A look at the clock is little beside
/// the lock and the wake-up here. A guess.
const INJECTIONS_STAMPED: u64 = 8;

/// Queues a task that was woken: with the calling worker if it is one of the task's scheduler, else
/// with all.
#[inline]
pub(crate) fn schedule(task: Runnable) {
    let scheduler = task.scheduler();
    current::with_worker(|worker| match worker {
        Some(worker) if std::ptr::eq(Arc::as_ptr(worker.scheduler()), scheduler) => {
            worker.schedule(task)
        }
        _ => task.inject(),
    });
}

impl Scheduler {
    /// Queues a task that a thread wakes which is no worker of this scheduler. The caller keeps the
    /// scheduler alive.
    ///
    /// One that comes too late is left to the end of the runtime, which cancels it where it lies.
    /// Not here: whoever wakes may hold a lock that the task's destructors want.
    pub(crate) fn inject(&self, task: Runnable) {
        if let Err(task) = self.try_inject(task) {
            // The queue's reference.
            drop(task);
            self.has_refused();
        }
    }

    /// Queues a new task from such a thread.
    pub(super) fn inject_new(&self, task: Runnable) {
        if let Err(task) = self.try_inject(task) {
            refuse(task);
        }
    }

    fn try_inject(&self, task: Runnable) -> Result<(), Runnable> {
        if self.tally.injected.fetch_add(1, Relaxed) % INJECTIONS_STAMPED == 0 {
            task.header().stamp(Stamp::now(INJECTIONS_STAMPED));
        }
        let queued = if monitor::delivers() {
            self.injector.push_urgent(task)
        } else {
            self.injector.push(task)
        };
        queued.map(|()| self.notify())
    }

    /// Wakes a worker to look for work, if one sleeps and nobody searches.
    #[inline]
    pub(crate) fn notify(&self) {
        let whom = self.idle.worker_to_notify(|i| self.is_polling(i));
        self.wake(whom);
    }

    /// The calling thread has had the turn at the reactor, and is not going to sleep there.
    pub(super) fn hand_turn_on(&self) {
        let whom = self.idle.hand_turn_on(|i| self.is_polling(i));
        self.wake(whom);
    }

    fn is_polling(&self, worker: usize) -> bool {
        self.slot(worker).parker.is_polling()
    }

    #[inline]
    fn wake(&self, whom: Notify) {
        match whom {
            Notify::Nobody => {}
            Notify::Worker(worker) => {
                count(&self.tally.wakes);
                self.unpark(worker);
            }
            // Whoever is here has no time to start a thread, and may not even be allowed to.
            Notify::AllStuck => self.monitor.hurry(),
        }
    }

    pub(super) fn unpark(&self, worker: usize) {
        if self.slot(worker).parker.unpark() == Unpark::InterruptReactor {
            self.driver.wake();
        }
    }

    /// Whether a worker that has nothing itself would find something: asked after
    /// `Idle::fall_asleep`.
    pub(crate) fn has_work(&self) -> bool {
        !self.injector.is_empty()
            || self.heavy.has_work(self.max_procs())
            || self.occupied_slots().any(|slot| !slot.queue.is_empty())
    }
}
