//! A worker's slot: what a worker owns, and what others may take from it at any time.
//!
//! A slot is not a thread. The thread that runs with it is the owner of the ring's tail and of the slab arena of the same number; ring,
//! run-next and timers can be taken from or fired by anybody, so that nothing is stranded when the owner is busy or gone.
#![forbid(unsafe_code)]

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use super::parker::Parker;
use super::run_queue::RunQueue;
use crate::time::Timers;

/// See the module.
#[derive(Debug)]
pub(crate) struct Slot {
    pub(crate) queue: RunQueue,
    pub(crate) parker: Parker,
    pub(crate) timers: &'static Timers,
    pub(crate) counters: Counters,
}

impl Slot {
    pub(crate) fn new() -> Self {
        Self {
            queue: RunQueue::new(),
            parker: Parker::new(),
            timers: Timers::acquire(),
            counters: Counters::default(),
        }
    }
}

/// What happened in a slot. Written by its owner alone, by plain loads and stores; summed by whoever asks.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    polls: AtomicU64,
    spawned: AtomicU64,
    completed: AtomicU64,
}

impl Counters {
    #[inline]
    pub(crate) fn count_poll(&self) {
        add_one(&self.polls);
    }

    #[inline]
    pub(crate) fn count_spawned(&self) {
        add_one(&self.spawned);
    }

    #[inline]
    pub(crate) fn count_completed(&self) {
        add_one(&self.completed);
    }

    pub(crate) fn polls(&self) -> u64 {
        self.polls.load(Relaxed)
    }

    pub(crate) fn spawned(&self) -> u64 {
        self.spawned.load(Relaxed)
    }

    pub(crate) fn completed(&self) -> u64 {
        self.completed.load(Relaxed)
    }
}

/// Not an atomic increment: there is one writer.
#[inline]
fn add_one(counter: &AtomicU64) {
    counter.store(counter.load(Relaxed) + 1, Relaxed);
}
