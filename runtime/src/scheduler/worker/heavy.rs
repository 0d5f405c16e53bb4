//! Tasks that hold their worker up, time and again: a task whose poll was long, and which is runnable still, will be long again.
//!
//! Such a task waits in a queue of its own, and whoever takes it steps aside first, as for `block_in_place`: another worker is woken for all
//! else before the poll begins, and not when the monitor has noticed, some milliseconds later. So tasks that compute for long, and yield
//! now and then, delay the others once, and not each time. A poll that turns out to be short puts the task back among the others.
//!
//! A worker takes a heavy task when it has nothing else to do, and at each `maintain`, so that heavy tasks starve no more than those that
//! come through the shared queue do.
//!
//! *Rejected*: as many heavy tasks at a time as there are CPUs. It would be the best use of the CPUs if all of them computed; but those
//! that block would wait for each other, and nobody here knows which is which.
#![forbid(unsafe_code)]

use super::{Mode, Worker};
use crate::scheduler::kernel::Slice;
use crate::task::Runnable;
use crate::time::clock;

/// A poll that takes so long, in nanoseconds, is worth the wake-up of another worker and a few system calls by far.
const LONG: u64 = 1_000_000;

/// A timer that is due so soon, in nanoseconds, does not wait for the monitor to come by.
const SOON: u64 = 10_000_000;

impl Worker {
    /// The poll of a task was long, and it is runnable still.
    #[cold]
    pub(super) fn requeue_heavy(&self, task: Runnable) {
        if self.scheduler.seed().is_some() {
            // Side by side with others it would end what a seed is for.
            return self.requeue::<false>(task);
        }
        self.slot.counters.count_yield();
        if let Err(task) = self.scheduler.heavy.push(task) {
            self.scheduler.refuse(task);
        }
    }

    /// Runs the heavy task that has waited longest. `false`: there is none.
    #[cold]
    pub(super) fn run_heavy(&self) -> bool {
        let Some(task) = self.scheduler.heavy.pop() else {
            return false;
        };
        if self.searching.replace(false) {
            // Whoever counted on the search counts on the one who is woken now.
            let _ = self.scheduler.idle.stop_searching();
        }
        let poll = &self.slot.poll;
        poll.begin(task.header().id().as_u64(), task.header().spawned_at());
        let began = clock::real();
        self.step_aside();
        self.slot.set_slice(Slice::Longest);
        self.scheduler.notify();
        let ran = task.run(self.arena());
        let was_stuck = poll.end();
        let long = clock::real() - began >= LONG;
        self.ran::<false>(ran, long && was_stuck);
        if was_stuck {
            self.back_from_stuck();
        }
        true
    }

    /// From now on until the poll ends this worker does not count, and others serve what it owns.
    pub(super) fn step_aside(&self) {
        if self.slot.poll.stick() {
            self.scheduler.idle.remove_running();
        }
        if self.give_away() {
            self.scheduler.notify();
        }
        let deadline = self.timers().next_deadline();
        if deadline != u64::MAX && deadline <= clock::now() + SOON {
            self.scheduler.monitor.hurry();
        }
    }

    /// The task that runs here is about to block the thread: another worker takes this one's place at once, until the poll returns.
    ///
    /// `false`: it does so already.
    pub(crate) fn go_away(&self) -> bool {
        if self.mode.get() == Mode::Away {
            return false;
        }
        self.mode.set(Mode::Away);
        self.slot.poll.set_on_purpose(true);
        self.step_aside();
        true
    }

    /// The call has returned; that the worker does not count goes on until the poll ends.
    pub(crate) fn come_back(&self) {
        self.mode.set(self.running());
        self.slot.poll.set_on_purpose(false);
    }
}
