//! Tasks that hold their worker up, time and again: a task whose poll was long, and which is
//! runnable still, will be long again.
//!
//! Such a task waits in queues of its own ([`Heavy`](crate::scheduler::heavy::Heavy)), and whoever
//! takes it steps aside first, as for `block_in_place`: another worker is woken for all else before
//! the poll begins, and not when the monitor has noticed, some milliseconds later. So tasks that
//! compute for long, and yield now and then, delay the others once, and not each time. A poll that
//! turns out to be short puts the task back among the others.
//!
//! A worker takes a heavy task when it has nothing else to do, and at each `maintain`, so that
//! heavy tasks starve no more than those that come through the shared queue do.
#![forbid(unsafe_code)]

use super::{Mode, Worker};
use crate::scheduler::heavy::Admission;
use crate::scheduler::kernel::Slice;
use crate::scheduler::refused::refuse;
use crate::scheduler::{Slot, current};
use crate::task::Runnable;
use crate::time::clock;

/// A poll that takes so long, in nanoseconds, is worth the wake-up of another worker and a few
/// system calls by far.
const LONG: u64 = 1_000_000;

/// A timer that is due so soon, in nanoseconds, does not wait for the monitor to come by.
const SOON: u64 = 10_000_000;

/// When a poll began, in nanoseconds.
struct Began {
    clock: u64,
    /// The CPU time that the worker had had by then. `None`: the system does not tell.
    cpu: Option<u64>,
}

/// What a poll took, in nanoseconds.
struct Took {
    time: u64,
    /// The CPU time of this.
    computed: Option<u64>,
}

impl Began {
    fn now(slot: &Slot) -> Self {
        Self {
            clock: clock::real(),
            cpu: slot.cpu_time(),
        }
    }

    fn took(&self, slot: &Slot) -> Took {
        let now = Self::now(slot);
        Took {
            time: now.clock - self.clock,
            computed: now.cpu.zip(self.cpu).map(|(now, then)| now - then),
        }
    }
}

impl Took {
    fn was_long(&self) -> bool {
        self.time >= LONG
    }

    /// Otherwise it computed, or the monitor has seen that it blocked.
    fn is_known_to_have_blocked(&self) -> bool {
        self.computed.is_some_and(|computed| computed < LONG)
    }
}

impl Worker {
    /// The poll of a task was long, and it is runnable still.
    #[cold]
    pub(super) fn requeue_heavy(&self, task: Runnable) {
        if self.scheduler.seed().is_some() {
            // Side by side with others it would end what a seed is for.
            return self.requeue::<false>(task);
        }
        self.slot.counters.count_yield();
        if let Err(task) = self.scheduler.heavy.push(task, self.slot.poll.blocks()) {
            refuse(task);
        }
    }

    /// Runs the heavy task that has waited longest, if one may begin. `false`: there is none.
    #[cold]
    pub(super) fn run_heavy(&self) -> bool {
        let Some((task, admission)) = self.scheduler.heavy.take(self.scheduler.max_procs()) else {
            return false;
        };
        if self.searching.replace(false) {
            // Whoever counted on the search counts on the one who is woken now.
            let _ = self.scheduler.idle.stop_searching();
        }
        let poll = &self.slot.poll;
        poll.begin(task.header().id().as_u64(), task.header().spawned_at());
        if admission == Admission::Counted {
            poll.admit();
        }
        poll.set_blocks(false);
        let began = Began::now(&self.slot);
        self.step_aside();
        self.slot.set_slice(Slice::Longest);
        self.scheduler.notify();
        let ran = task.run(self.arena());
        current::leave_forgotten();
        let was_stuck = poll.end();
        let took = began.took(&self.slot);
        if took.is_known_to_have_blocked() {
            poll.set_blocks(true);
        }
        if poll.take_admission() {
            self.scheduler.heavy.release();
        }
        self.ran::<false>(ran, took.was_long() && was_stuck);
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

    /// The task that runs here is about to block the thread: another worker takes this one's place
    /// at once, until the poll returns.
    ///
    /// `false`: it does so already.
    pub(crate) fn go_away(&self) -> bool {
        if self.mode.get() == Mode::Away {
            return false;
        }
        self.mode.set(Mode::Away);
        self.slot.poll.set_on_purpose(true);
        self.slot.poll.set_blocks(true);
        self.step_aside();
        true
    }

    /// The call has returned; that the worker does not count goes on until the poll ends.
    pub(crate) fn come_back(&self) {
        self.mode.set(self.mode_of_polls());
        self.slot.poll.set_on_purpose(false);
    }
}
