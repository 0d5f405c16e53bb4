//! The queue that all workers share: tasks from outside the runtime, and what overflowed a worker's
//! ring.
//!
//! A mutex, as in Go (`sched.runq`), but not Go's linked list through the tasks: that touches every
//! task when it is queued and again when it is taken out, each time a cache miss that waits for the
//! one before. Here blocks of pointers are moved; a ring's overflow comes as a block of its own and
//! goes into the queue as it is. `len` can be read without the lock, so that the usual answer,
//! "nothing there", costs one load.
#![forbid(unsafe_code)]

use std::collections::VecDeque;
use std::mem;

use crate::primitive::{
    Mutex, MutexGuard,
    atomic::{
        AtomicUsize,
        Ordering::{Acquire, Relaxed, Release},
    },
};
use crate::task::Runnable;

/// Room for so many tasks is kept when the queue is empty: what a burst took is given back.
const KEPT: usize = 4096;

/// See the module.
// Two cache lines, as the hardware fetches pairs: its neighbours in the scheduler are read at each
// spawn.
#[repr(align(128))]
pub(crate) struct Injector<T = Runnable> {
    list: Mutex<List<T>>,
    /// Written under the lock.
    len: AtomicUsize,
}

/// Oldest first: `front`, the blocks, `back`. The two ends keep their room, so that tasks which
/// come one by one allocate nothing. Before them all come those that are urgent.
struct List<T> {
    urgent: VecDeque<T>,
    front: VecDeque<T>,
    blocks: VecDeque<Vec<T>>,
    back: VecDeque<T>,
    closed: bool,
}

impl<T> Injector<T> {
    pub(crate) fn new() -> Self {
        let list = List {
            urgent: VecDeque::new(),
            front: VecDeque::new(),
            blocks: VecDeque::new(),
            back: VecDeque::new(),
            closed: false,
        };
        Self {
            list: Mutex::new(list),
            len: AtomicUsize::new(0),
        }
    }

    /// Appends a task; it comes back if the queue is closed.
    pub(crate) fn push(&self, task: T) -> Result<(), T> {
        let mut list = self.lock();
        if list.closed {
            return Err(task);
        }
        list.push(task);
        self.len.store(self.len.load(Relaxed) + 1, Release);
        Ok(())
    }

    /// Puts a task before all others, but behind those that came here so before.
    ///
    /// For what the monitor delivers in place of workers that are in long polls: each of them would
    /// have run it next, and in this queue may be a hundred tasks as long. It delivers nothing
    /// while some worker makes short polls, so that the others' turn comes.
    pub(crate) fn push_urgent(&self, task: T) -> Result<(), T> {
        let mut list = self.lock();
        if list.closed {
            return Err(task);
        }
        list.urgent.push_back(task);
        self.len.store(self.len.load(Relaxed) + 1, Release);
        Ok(())
    }

    /// Appends tasks, under one lock. If the queue is closed they are dropped, which only drops
    /// references.
    pub(crate) fn push_batch(&self, tasks: Vec<T>) {
        let n = tasks.len();
        let mut list = self.lock();
        if list.closed {
            drop(list);
            drop(tasks);
            return;
        }
        list.push_block(tasks);
        self.len.store(self.len.load(Relaxed) + n, Release);
    }

    /// Takes the oldest task.
    pub(crate) fn pop(&self) -> Option<T> {
        let mut first = None;
        self.pop_batch(1, |task| first = Some(task));
        first
    }

    /// Takes up to `n` of the oldest tasks.
    pub(crate) fn pop_batch(&self, n: usize, mut take: impl FnMut(T)) {
        if self.is_empty() {
            return;
        }
        let mut list = self.lock();
        let mut taken = 0;
        while taken < n {
            let Some(task) = list.pop() else { break };
            taken += 1;
            take(task);
        }
        self.len.store(self.len.load(Relaxed) - taken, Release);
    }

    /// Tasks in the queue. Acquire: who sees a task here can take it.
    #[inline]
    pub(crate) fn len(&self) -> usize {
        self.len.load(Acquire)
    }

    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Refuses tasks from now on; the caller pops what is left.
    pub(crate) fn close(&self) {
        self.lock().closed = true;
    }

    fn lock(&self) -> MutexGuard<'_, List<T>> {
        // Nothing that can panic runs under this lock, but for an allocation failure.
        self.list
            .lock()
            .unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

impl<T> List<T> {
    fn push(&mut self, task: T) {
        if self.blocks.is_empty() {
            self.front.push_back(task);
        } else {
            self.back.push_back(task);
        }
    }

    fn push_block(&mut self, tasks: Vec<T>) {
        if !self.back.is_empty() {
            self.blocks.push_back(mem::take(&mut self.back).into());
        }
        self.blocks.push_back(tasks);
    }

    fn pop(&mut self) -> Option<T> {
        if let Some(task) = self.urgent.pop_front() {
            return Some(task);
        }
        if self.front.is_empty() {
            match self.blocks.pop_front() {
                Some(block) => self.front.extend(block),
                None => return None,
            }
            if self.blocks.is_empty() {
                self.front.append(&mut self.back);
            }
        }
        let task = self.front.pop_front();
        if self.front.is_empty() && self.front.capacity() > KEPT {
            self.front = VecDeque::new();
        }
        task
    }
}

impl<T> std::fmt::Debug for Injector<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Injector")
            .field("len", &self.len())
            .finish()
    }
}
