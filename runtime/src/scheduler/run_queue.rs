//! ⚠ A worker's own queue: a ring of runnable tasks that one owner pushes to and anybody takes
//! from.
//!
//! After Go's `runq` (`runtime/proc.go`). One thread, the owner, writes `tail` and the slots;
//! `head` is claimed by CAS, by the owner for one task and by thieves for half of what is there.
//!
//! Invariants:
//!
//! 1. Slots `head..tail` (wrapping) hold tasks that the queue owns; `tail - head <= CAPACITY`.
//! 2. Only the owner moves `tail` and writes slots, and only slots outside `head..tail`. A thief
//!    that reads slots which the owner overwrites meanwhile fails its CAS, because the owner can
//!    only have got there after `head` moved.
//! 3. Whoever moves `head` over a slot owns the task that was in it.
//!
//! A slot without a running owner is no problem: everything in it can be stolen.
//!
//! `head` has a cache line for itself, and the owner remembers what it last saw there: an older
//! `head` is a lower one, so there is at least as much room as it says, and there are at most as
//! many tasks. While a thief takes what the owner spawns, a look at every push would fetch the line
//! from the other core each time.

use std::fmt;
use std::ptr::NonNull;

use crossbeam_utils::CachePadded;

use super::prefetch::prefetch;
use super::queued::Queued;
use crate::primitive::atomic::{
    AtomicPtr, AtomicU32,
    Ordering::{AcqRel, Acquire, Relaxed, Release},
};
use crate::task::Runnable;

/// Go's and Tokio's number. A guess of theirs, and a good one: 2 KiB, some microseconds of work.
#[cfg(not(loom))]
pub(crate) const CAPACITY: u32 = 256;
/// Small enough for a model to fill it.
#[cfg(loom)]
pub(crate) const CAPACITY: u32 = 4;

/// See the module.
pub(crate) struct RunQueue<T: Queued = Runnable> {
    head: CachePadded<AtomicU32>,
    tail: AtomicU32,
    /// `head` when the owner last looked while it pushed. Owner only.
    known_head: AtomicU32,
    slots: Box<[AtomicPtr<T::Node>]>,
    /// The task to run next, before the ring. Pushed by the owner, taken by anybody.
    next: AtomicPtr<T::Node>,
}

/// Tasks that did not fit, to be given to the injector in one go.
pub(crate) type Overflow<T> = Vec<T>;

impl<T: Queued> RunQueue<T> {
    pub(crate) fn new() -> Self {
        Self {
            head: CachePadded::new(AtomicU32::new(0)),
            tail: AtomicU32::new(0),
            known_head: AtomicU32::new(0),
            slots: (0..CAPACITY)
                .map(|_| AtomicPtr::new(std::ptr::null_mut()))
                .collect(),
            next: AtomicPtr::new(std::ptr::null_mut()),
        }
    }

    /// Puts a task into the run-next slot; its previous occupant is returned and belongs into the
    /// ring. Owner only.
    #[inline]
    pub(crate) fn replace_next(&self, task: T) -> Option<T> {
        let task = task.into_node().as_ptr();
        // Relaxed: others only ever empty the slot, so what is empty now stays empty until we fill
        // it, and needs no exchange.
        if self.next.load(Relaxed).is_null() {
            // Release: the task's content comes with it to whoever takes it.
            self.next.store(task, Release);
            return None;
        }
        // SAFETY: what the slot held was put there by `into_node`, and the swap took it.
        unsafe { Self::from_slot(self.next.swap(task, AcqRel)) }
    }

    /// Takes the task to run next.
    #[inline]
    pub(crate) fn take_next(&self) -> Option<T> {
        // Relaxed: only the owner fills the slot; a thief that looks is content with an older
        // answer.
        if self.next.load(Relaxed).is_null() {
            return None;
        }
        // SAFETY: as in `replace_next`.
        unsafe { Self::from_slot(self.next.swap(std::ptr::null_mut(), AcqRel)) }
    }

    /// Whether there is a task to run next.
    pub(crate) fn has_next(&self) -> bool {
        !self.next.load(Relaxed).is_null()
    }

    /// Appends a task. Owner only. If the ring is full, half of it and the task come back for the
    /// injector.
    #[inline]
    pub(crate) fn push(&self, task: T) -> Result<(), Overflow<T>> {
        // Relaxed: only we write it.
        let tail = self.tail.load(Relaxed);
        if self.owned_len(CAPACITY) < CAPACITY {
            self.slot(tail).store(task.into_node().as_ptr(), Relaxed);
            // Release: the slot's content comes with it to whoever acquires `tail`.
            self.tail.store(tail.wrapping_add(1), Release);
            return Ok(());
        }
        self.push_slow(task)
    }

    #[cold]
    fn push_slow(&self, task: T) -> Result<(), Overflow<T>> {
        // Relaxed: our own, and just looked at.
        let head = self.known_head.load(Relaxed);
        let mut overflow = Vec::with_capacity(CAPACITY as usize / 2 + 1);
        match self.claim(head, CAPACITY / 2, |task| overflow.push(task)) {
            Ok(()) => {
                overflow.push(task);
                Err(overflow)
            }
            // A thief was first, so there is room now.
            Err(_) => self.push(task),
        }
    }

    /// Takes the oldest task. Owner or anybody.
    #[inline]
    pub(crate) fn pop(&self) -> Option<T> {
        let mut head = self.head.load(Acquire);
        loop {
            let tail = self.tail.load(Acquire);
            if head == tail {
                return None;
            }
            let task = self.slot(head).load(Relaxed);
            let after = head.wrapping_add(1);
            if after != tail {
                prefetch(self.slot(after).load(Relaxed));
            }
            // AcqRel: pairs with other claims; Release lets the owner write the slot again.
            match self
                .head
                .compare_exchange_weak(head, head.wrapping_add(1), AcqRel, Acquire)
            {
                // SAFETY: invariant 3.
                Ok(_) => return unsafe { Self::from_slot(task) },
                Err(seen) => head = seen,
            }
        }
    }

    /// Moves half of the ring, rounded up, to `thief`'s ring, of which the caller is the owner and
    /// which is empty; one of the tasks is returned to be run at once.
    pub(crate) fn steal_into(&self, thief: &Self) -> Option<T> {
        let mut head = self.head.load(Acquire);
        loop {
            let tail = self.tail.load(Acquire);
            let available = tail.wrapping_sub(head);
            if available == 0 {
                return None;
            }
            let n = available - available / 2;
            if n > CAPACITY / 2 {
                // `head` is older than `tail`: the two do not belong together.
                head = self.head.load(Acquire);
                continue;
            }
            let mut batch = [std::ptr::null_mut(); CAPACITY as usize / 2];
            for i in 0..n {
                batch[i as usize] = self.slot(head.wrapping_add(i)).load(Relaxed);
            }
            match self
                .head
                .compare_exchange_weak(head, head.wrapping_add(n), AcqRel, Acquire)
            {
                // SAFETY: invariant 3, for each of the batch.
                Ok(_) => return unsafe { thief.accept(&batch[..n as usize]) },
                Err(seen) => head = seen,
            }
        }
    }

    /// Takes stolen tasks over and returns the first.
    ///
    /// # Safety
    ///
    /// The caller owns the tasks and this ring, and they fit.
    unsafe fn accept(&self, batch: &[*mut T::Node]) -> Option<T> {
        let (first, rest) = batch.split_first()?;
        let tail = self.tail.load(Relaxed);
        debug_assert!(tail.wrapping_sub(self.head.load(Relaxed)) + rest.len() as u32 <= CAPACITY);
        for (i, &task) in (0u32..).zip(rest) {
            self.slot(tail.wrapping_add(i)).store(task, Relaxed);
        }
        self.tail
            .store(tail.wrapping_add(rest.len() as u32), Release);
        // SAFETY: the caller's.
        unsafe { Self::from_slot(*first) }
    }

    /// Takes `n` tasks from a ring whose head is `head`, or none if it is not there any more.
    fn claim(&self, head: u32, n: u32, mut take: impl FnMut(T)) -> Result<(), u32> {
        let mut batch = [std::ptr::null_mut(); CAPACITY as usize / 2];
        for i in 0..n {
            batch[i as usize] = self.slot(head.wrapping_add(i)).load(Relaxed);
        }
        self.head
            .compare_exchange(head, head.wrapping_add(n), AcqRel, Acquire)?;
        for &task in &batch[..n as usize] {
            // SAFETY: invariant 3.
            take(unsafe { Self::from_slot(task) }.expect("slots between head and tail are filled"));
        }
        Ok(())
    }

    /// Tasks in the ring, without the one to run next. Others may see too many, since they see an
    /// older `head` than `tail`, but never too few: a worker that is about to sleep, and has passed
    /// its fence, sees each push that was followed by one before.
    #[inline]
    pub(crate) fn len(&self) -> usize {
        // Acquire pairs with the claims of others, so that `tail` is not older than `head`.
        let head = self.head.load(Acquire);
        // Relaxed: no slot is read.
        let tail = self.tail.load(Relaxed);
        tail.wrapping_sub(head) as usize
    }

    /// Whether there are so many tasks in the ring. Owner only.
    #[inline]
    pub(crate) fn has(&self, many: u32) -> bool {
        self.owned_len(many) >= many
    }

    /// Tasks in the ring, or more, as long as that is less than `enough`. Owner only.
    #[inline]
    fn owned_len(&self, enough: u32) -> u32 {
        // Relaxed: only we write these.
        let tail = self.tail.load(Relaxed);
        let len = tail.wrapping_sub(self.known_head.load(Relaxed));
        if len < enough {
            return len;
        }
        // Acquire: a thief's claim of a slot happens before we write the slot again.
        let head = self.head.load(Acquire);
        self.known_head.store(head, Relaxed);
        tail.wrapping_sub(head)
    }

    /// The place behind the last task, for [`has_left`](Self::has_left). Owner only.
    pub(crate) fn end(&self) -> u32 {
        // Relaxed: only the owner writes it.
        self.tail.load(Relaxed)
    }

    /// Whether all that was there when `end` was asked for has been taken since. To be asked before
    /// the places wrap.
    pub(crate) fn has_left(&self, end: u32) -> bool {
        // Relaxed: a hint.
        self.head.load(Relaxed).wrapping_sub(end) as i32 >= 0
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// # Safety
    ///
    /// `pointer` is null or comes from `into_node`, and the caller owns it.
    #[inline]
    unsafe fn from_slot(pointer: *mut T::Node) -> Option<T> {
        // SAFETY: the caller's promise.
        NonNull::new(pointer).map(|node| unsafe { T::from_node(node) })
    }

    fn slot(&self, index: u32) -> &AtomicPtr<T::Node> {
        &self.slots[(index % CAPACITY) as usize]
    }
}

impl<T: Queued> Drop for RunQueue<T> {
    fn drop(&mut self) {
        drop(self.take_next());
        while let Some(task) = self.pop() {
            drop(task);
        }
    }
}

impl<T: Queued> fmt::Debug for RunQueue<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RunQueue")
            .field("len", &self.len())
            .field("has_next", &self.has_next())
            .finish()
    }
}
