//! How soon the monitor has a worker replaced that is in a long poll, and by how many.
//!
//! Where ready tasks wait and no worker is free, it depends on what the poll does:
//!
//! - one that **blocks** leaves its CPU to others, so that another worker costs nothing: it takes
//!   over within a fraction of a millisecond. Where many tasks block, so will the next ones: of
//!   those that were found to block in one look, twice as many take over, and so on.
//! - one that **computes** has to share its CPU with whoever takes over. It may use a part of its
//!   slice up, *in CPU time*; a larger part the more threads compete already. So a few such tasks
//!   delay the others by a millisecond or two, while a hundred of them do not come to a hundred
//!   threads: where each takes `L` slices, there are some `L` threads a worker.
//!
//! Where nobody waits a poll may use the whole slice up.
#![forbid(unsafe_code)]

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use super::look::Notes;
use super::rhythm::FAST;
use super::watched::Stay;
use crate::scheduler::{NotStarted, Scheduler};
use crate::stderr::say;

/// The part of its slice that a poll which computes may use up where ready tasks wait, and as much
/// again for each set of `max_procs` that compute already, up to the whole. A guess: short beside
/// what a person or a peer notices, long beside what a thread costs to start.
const IMPATIENT: u64 = 8;

/// The part of the slice that one may block for.
const PROMPT: u64 = 64;

/// But no less than this, in nanoseconds: what it takes to start a thread, and some.
const LEAST_PATIENCE: u64 = 150_000;

/// A poll that is still there after so many slices is replaced though it has had no CPU time, and
/// did not block: the machine has none left, and another thread gets a share of its own.
const STARVED: u64 = 100;

/// A heavy poll that has computed for so many slices does not keep others from beginning any
/// longer.
const ADMITTED: u64 = 10;

/// How long a poll may last. In nanoseconds.
#[derive(Clone, Copy, Debug)]
pub(super) struct Patience {
    /// Of CPU time, where it computes.
    compute: u64,
    /// Where it blocks; the whole slice if nobody waits.
    block: u64,
    /// Where it does neither, since there is no CPU.
    starve: u64,
    /// Whether tasks wait, and no worker is free.
    pressed: bool,
}

impl Patience {
    /// With a slice of so many nanoseconds, and `crowd` computing polls a worker that have been
    /// replaced already.
    pub(super) fn new(slice: u64, pressed: bool, crowd: u64) -> Self {
        let starve = slice.saturating_mul(STARVED);
        if !pressed {
            return Self {
                compute: slice,
                block: slice,
                starve,
                pressed,
            };
        }
        let compute = (slice / IMPATIENT).saturating_mul(1 + crowd).min(slice);
        Self {
            compute: compute.max(LEAST_PATIENCE),
            block: (slice / PROMPT).max(LEAST_PATIENCE),
            starve,
            pressed,
        }
    }

    /// Whether the task is to yield as soon as it can.
    pub(super) fn asks_to_yield(self, stay: Stay) -> bool {
        stay.time >= self.compute
    }

    /// Whether the worker is to be replaced; `asked`: the task was asked to yield before, and has
    /// had its chance.
    pub(super) fn ends(self, stay: Stay, asked: bool) -> bool {
        if stay.blocks {
            return stay.time >= self.block;
        }
        asked && (!self.pressed || stay.computed >= self.compute || stay.time >= self.starve)
    }

    /// When to look at the poll again.
    pub(super) fn again(self, stay: Stay) -> Duration {
        if self.pressed && stay.time < self.block {
            return self.soon();
        }
        Duration::from_nanos(self.compute / 2).min(FAST)
    }

    /// When to look again at what may block.
    pub(super) fn soon(self) -> Duration {
        Duration::from_nanos(self.block / 2).min(FAST)
    }
}

impl Scheduler {
    /// Whether a heavy poll has had its share of what keeps others from beginning.
    pub(super) fn is_past_admission(&self, stay: Stay) -> bool {
        stay.blocks || stay.computed >= self.monitor.slice.saturating_mul(ADMITTED)
    }

    /// Sets how many workers may be awake: more than `max_procs` while those that take over block
    /// as well.
    pub(super) fn set_limit(&self, notes: &Notes, now: u64) {
        let procs = self.max_procs();
        let boost = notes.boost(now).min(self.slots.len());
        self.idle.set_limit(procs.max(boost));
    }

    /// Ready tasks, fewer workers awake than there should be, and none to wake: some more are
    /// started.
    pub(super) fn replace_stuck(self: &Arc<Self>) {
        // More than usual only if each finds a task.
        let wanted = self.idle.limit().min(self.waiting());
        while !self.is_stopping() {
            let (running, procs) = (self.idle.running(), self.max_procs());
            if running >= procs.max(wanted) {
                break;
            }
            if self.idle.has_sleeper() {
                return self.notify();
            }
            match self.start_worker() {
                Ok(()) => {}
                Err(NotStarted::Stopping) => return,
                // As many are awake as there have to be.
                Err(_) if running >= procs => break,
                // Or one is: tasks wait for it, as they would for any other.
                Err(NotStarted::TooMany) if running > 0 => return,
                Err(NotStarted::TooMany) => return self.no_thread_left(),
                Err(NotStarted::Refused(error)) => return self.ending.complain(&format!(
                    "ready tasks wait, since every worker is stuck in a task and none can be added: {error}"
                )),
            }
        }
        self.monitor.exhausted.store(false, Relaxed);
    }

    /// Every worker is stuck, and no task waits; but descriptors may bring some at any moment, and
    /// somebody has to sleep there.
    pub(super) fn man_reactor(self: &Arc<Self>) {
        if self.idle.is_deserted() && self.driver.registered() > 0 {
            // If there cannot be one, the monitor looks now and then.
            let _ = self.start_worker();
        }
    }

    /// Tasks that are in a queue, and may begin.
    fn waiting(&self) -> usize {
        let rings = self.occupied_slots().map(|slot| slot.queue.len());
        self.injector.len() + self.heavy.len() + rings.sum::<usize>()
    }

    /// `Builder::max_threads` are there, and all are stuck: counted each time that it comes to
    /// this, and said the first time.
    fn no_thread_left(&self) {
        if self.monitor.exhausted.swap(true, Relaxed) {
            return;
        }
        let before = self.tally.exhausted.fetch_add(1, Relaxed);
        if before == 0 {
            say(format_args!(
                "ready tasks wait, since all {} worker threads are stuck in tasks that block or compute: \
                 move blocking work to runtime::spawn_blocking, or raise Builder::max_threads; this is said once",
                self.slots.len()
            ));
        }
    }
}
