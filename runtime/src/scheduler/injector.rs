//! The queue that all workers share: tasks from outside the runtime, and what overflowed a worker's ring.
//!
//! A mutex, as in Go (`sched.runq`), but not Go's linked list through the tasks: that touches every task when it is queued and again when
//! it is taken out, each time a cache miss that waits for the one before. Here blocks of pointers are moved; a ring's overflow comes as a
//! block of its own and goes into the queue as it is. `len` can be read without the lock, so that the usual answer, "nothing there",
//! costs one load.
#![forbid(unsafe_code)]

use std::collections::VecDeque;
use std::vec;

use crate::primitive::{
    Mutex, MutexGuard,
    atomic::{
        AtomicUsize,
        Ordering::{Acquire, Relaxed, Release},
    },
};
use crate::task::Runnable;

/// Room for tasks that come one by one: 512 bytes a block.
const BLOCK: usize = 64;

/// See the module.
pub(crate) struct Injector<T = Runnable> {
    list: Mutex<List<T>>,
    /// Written under the lock.
    len: AtomicUsize,
}

/// Oldest first: what is left of the block that is being taken out, then the others.
struct List<T> {
    front: vec::IntoIter<T>,
    blocks: VecDeque<Vec<T>>,
    closed: bool,
}

impl<T> Injector<T> {
    pub(crate) fn new() -> Self {
        let list = List {
            front: Vec::new().into_iter(),
            blocks: VecDeque::new(),
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

    /// Appends tasks, under one lock. If the queue is closed they are dropped, which only drops references.
    pub(crate) fn push_batch(&self, tasks: Vec<T>) {
        let n = tasks.len();
        let mut list = self.lock();
        if list.closed {
            drop(list);
            drop(tasks);
            return;
        }
        list.blocks.push_back(tasks);
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
        match self.blocks.back_mut() {
            Some(block) if block.len() < BLOCK => block.push(task),
            _ => {
                let mut block = Vec::with_capacity(BLOCK);
                block.push(task);
                self.blocks.push_back(block);
            }
        }
    }

    fn pop(&mut self) -> Option<T> {
        loop {
            if let Some(task) = self.front.next() {
                return Some(task);
            }
            self.front = self.blocks.pop_front()?.into_iter();
        }
    }
}

impl<T> std::fmt::Debug for Injector<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Injector")
            .field("len", &self.len())
            .finish()
    }
}
