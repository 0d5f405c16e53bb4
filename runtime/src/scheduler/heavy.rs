//! The queues of tasks that hold a worker up, time and again, and how many of those that compute
//! may be in a poll at once.
//!
//! A task whose poll was long is expected to be long again; so it waits here, and whoever takes it
//! steps aside first (`worker::heavy`). Each such poll needs a thread of its own, and what another
//! thread is good for depends on what the poll does:
//!
//! - one that **blocks** needs no CPU: it is taken at once, whatever else goes on;
//! - one that **computes** gains nothing from a thread if all CPUs compute already. As many as
//!   `max_procs` are *admitted*; the others wait for one of these to end.
//!
//! What it did last is what a task is taken to do next. If that was wrong the monitor sees the
//! thread block, and takes the poll out of the count. It does the same when a poll has computed for
//! ten time slices, for nobody knows whether it ever ends. So with polls of `L` slices there are
//! some `L / 10` threads a worker; and with any number of tasks that compute for ever all others
//! still get their turn, while the number of threads grows with the square root of time, since each
//! one has to compete for its ten slices.
//!
//! *No task is forgotten.* A task waits beside a full count, so that [`has_work`](Heavy::has_work)
//! denies it: workers may fall asleep. Whoever makes room afterwards looks: a worker goes on to
//! find its next task, and looks again after the fence in its `fall_asleep`; the monitor looks for
//! work at the end of each round. The count goes up before the queue is looked at, by an exchange,
//! and down again if that was in vain; then the same worker looks again before it sleeps.
//!
//! *Rejected*: as many at a time as there are CPUs, whatever they do: those that block would wait
//! for each other.
#![forbid(unsafe_code)]

use super::injector::Injector;
use crate::primitive::atomic::{
    AtomicUsize,
    Ordering::{Relaxed, SeqCst},
};
use crate::task::Runnable;

/// See the module.
pub(crate) struct Heavy<T = Runnable> {
    /// Tasks that blocked.
    blocking: Injector<T>,
    /// Tasks that computed.
    computing: Injector<T>,
    /// Polls of these that count.
    admitted: AtomicUsize,
}

/// How a heavy task comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Admission {
    /// It is expected to block.
    Free,
    /// It counts, and is [taken out](Heavy::release) of the count by somebody.
    Counted,
}

impl<T> Heavy<T> {
    pub(crate) fn new() -> Self {
        Self {
            blocking: Injector::new(),
            computing: Injector::new(),
            admitted: AtomicUsize::new(0),
        }
    }

    /// Appends a task; it comes back if the queues are closed.
    pub(crate) fn push(&self, task: T, blocks: bool) -> Result<(), T> {
        if blocks {
            self.blocking.push(task)
        } else {
            self.computing.push(task)
        }
    }

    /// Takes a task, if one may begin; no more than `most` that compute may be in a poll.
    pub(crate) fn take(&self, most: usize) -> Option<(T, Admission)> {
        if let Some(task) = self.blocking.pop() {
            return Some((task, Admission::Free));
        }
        if self.computing.is_empty() || !self.admit(most) {
            return None;
        }
        let task = self.computing.pop();
        if task.is_none() {
            self.release();
        }
        task.map(|task| (task, Admission::Counted))
    }

    fn admit(&self, most: usize) -> bool {
        let room = |admitted| (admitted < most).then_some(admitted + 1);
        self.admitted.fetch_update(SeqCst, SeqCst, room).is_ok()
    }

    /// A poll that was admitted counts no more. The caller looks for work afterwards, or has
    /// somebody look.
    pub(crate) fn release(&self) {
        // SeqCst: before the look at the queue, which a fence separates from this; see the module.
        self.admitted.fetch_sub(1, SeqCst);
    }

    /// Whether [`take`](Self::take) would find something.
    pub(crate) fn has_work(&self, most: usize) -> bool {
        !self.blocking.is_empty()
            // Relaxed: after the fence of whoever is about to sleep.
            || (!self.computing.is_empty() && self.admitted.load(Relaxed) < most)
    }

    /// Whether a task waits for another one to end.
    pub(crate) fn has_waiting(&self) -> bool {
        !self.computing.is_empty()
    }

    /// Tasks that wait here.
    pub(crate) fn len(&self) -> usize {
        self.blocking.len() + self.computing.len()
    }

    /// Refuses tasks from now on.
    pub(crate) fn close(&self) {
        self.blocking.close();
        self.computing.close();
    }

    /// Takes any task, at the end.
    pub(crate) fn drain(&self) -> Option<T> {
        self.blocking.pop().or_else(|| self.computing.pop())
    }
}

impl<T> std::fmt::Debug for Heavy<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Heavy")
            .field("blocking", &self.blocking.len())
            .field("computing", &self.computing.len())
            .field("admitted", &self.admitted.load(Relaxed))
            .finish()
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn those_that_compute_wait_for_each_other_and_those_that_block_do_not() {
        let heavy = Heavy::new();
        for task in 0..3 {
            heavy.push(task, false).unwrap();
            heavy.push(10 + task, true).unwrap();
        }
        let taken: Vec<_> = std::iter::from_fn(|| heavy.take(2)).collect();
        let free = |task| (task, Admission::Free);
        let counted = |task| (task, Admission::Counted);
        assert_eq!(
            taken,
            [free(10), free(11), free(12), counted(0), counted(1)]
        );
        assert!(heavy.has_waiting() && !heavy.has_work(2));
        heavy.release();
        assert!(heavy.has_work(2));
        assert_eq!(heavy.take(2), Some(counted(2)));
        // Nothing is there: what was admitted in vain does not count.
        heavy.release();
        assert_eq!(heavy.take(2), None);
        heavy.push(3, false).unwrap();
        assert_eq!(heavy.take(2), Some(counted(3)));
    }
}
