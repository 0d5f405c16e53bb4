//! The queue that all workers share: tasks from outside the runtime, and what overflowed a worker's ring.
//!
//! A mutex and an intrusive list, as in Go (`sched.runq`): each task has the link, so nothing is allocated, and a batch costs one lock.
//! `len` can be read without the lock, so that the usual answer, "nothing there", costs one load.

use std::ptr::{self, NonNull};

use super::queued::Queued;
use crate::primitive::{
    Mutex, MutexGuard,
    atomic::{
        AtomicUsize,
        Ordering::{Acquire, Relaxed, Release},
    },
};
use crate::task::Runnable;

/// See the module.
pub(crate) struct Injector<T: Queued = Runnable> {
    list: Mutex<List<T>>,
    /// Written under the lock.
    len: AtomicUsize,
}

struct List<T: Queued> {
    head: *mut T::Node,
    tail: *mut T::Node,
    closed: bool,
}

// SAFETY: the list owns the tasks that its pointers name, and their owner is `Send`.
unsafe impl<T: Queued + Send> Send for List<T> {}

impl<T: Queued> Injector<T> {
    pub(crate) fn new() -> Self {
        let list = List {
            head: ptr::null_mut(),
            tail: ptr::null_mut(),
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
        for task in tasks {
            list.push(task);
        }
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
        // Nothing that can panic runs under this lock, but for an allocation failure in `take`.
        self.list
            .lock()
            .unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

impl<T: Queued> List<T> {
    fn push(&mut self, task: T) {
        let task = task.into_node();
        // SAFETY: the list owns the task and with it the link, until `pop`.
        unsafe {
            T::link(task.as_ref()).store(ptr::null_mut(), Relaxed);
            match NonNull::new(self.tail) {
                Some(tail) => T::link(tail.as_ref()).store(task.as_ptr(), Relaxed),
                None => self.head = task.as_ptr(),
            }
        }
        self.tail = task.as_ptr();
    }

    fn pop(&mut self) -> Option<T> {
        let task = NonNull::new(self.head)?;
        // SAFETY: the list owns the task; it was pushed by `into_node`.
        unsafe {
            self.head = T::link(task.as_ref()).load(Relaxed);
            if self.head.is_null() {
                self.tail = ptr::null_mut();
            }
            Some(T::from_node(task))
        }
    }
}

impl<T: Queued> Drop for Injector<T> {
    fn drop(&mut self) {
        while let Some(task) = self.pop() {
            drop(task);
        }
    }
}

impl<T: Queued> std::fmt::Debug for Injector<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Injector")
            .field("len", &self.len())
            .finish()
    }
}
