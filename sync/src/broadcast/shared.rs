//! What senders and receivers share: the ring, its slots, and the tail; see the invariants of
//! [`super`].
#![forbid(unsafe_code)]

use std::ops::Range;
use std::sync::PoisonError;

use super::error::RecvError;
use crate::gone::Gone;
use crate::primitive::atomic::{AtomicUsize, Ordering};
use crate::primitive::{Arc, Mutex, MutexGuard};
use crate::waiters::{Batch, Waiters};

pub(super) struct Shared<T> {
    slots: Box<[Mutex<Slot<T>>]>,
    /// How many there are.
    senders: AtomicUsize,
    /// Receivers that have seen everything wait here.
    pub(super) waiters: Waiters<Tail, ()>,
    /// Senders that wait until there are no receivers.
    pub(super) gone: Gone,
}

/// Under the lock of the queue.
pub(super) struct Tail {
    /// The number of the next value; 64 bits, so that it never wraps.
    pub(super) next: u64,
    receivers: usize,
    closed: bool,
}

struct Slot<T> {
    /// The number of its value, plus one; zero before the first.
    stamp: u64,
    /// How many receivers have yet to pass it (2).
    unseen: usize,
    /// `None` before the first value, and where a receiver that is still cloning has kept the cell.
    cell: Option<Cell<T>>,
}

/// Where a value lies. It is empty when everybody has seen it.
type Cell<T> = Arc<Option<T>>;

/// A value on its way to a receiver, outside all locks.
pub(super) enum Taken<T> {
    /// The receiver was the last: the value is its own.
    Owned(T),
    /// Others may want it, too.
    Shared(Cell<T>),
}

impl<T: Clone> Taken<T> {
    pub(super) fn into_value(self) -> T {
        match self {
            Self::Owned(value) => value,
            // The last to clone drops the value with the cell, if the ring has gone on without it.
            Self::Shared(cell) => (*cell)
                .clone()
                .expect("a cell is emptied only by its last owner"),
        }
    }
}

/// What a look at the slot of a number shows.
pub(super) enum Look<T> {
    Value(Taken<T>),
    /// It has not been sent yet.
    Nothing,
    /// A newer value is there.
    Overwritten,
}

impl<T> Shared<T> {
    pub(super) fn new(capacity: usize) -> Arc<Self> {
        let slot = || {
            Mutex::new(Slot {
                stamp: 0,
                unseen: 0,
                cell: None,
            })
        };
        Arc::new(Self {
            slots: (0..capacity).map(|_| slot()).collect(),
            senders: AtomicUsize::new(1),
            waiters: Waiters::new(Tail {
                next: 0,
                receivers: 0,
                closed: false,
            }),
            gone: Gone::new(),
        })
    }

    pub(super) fn capacity(&self) -> usize {
        self.slots.len()
    }

    fn slot(&self, number: u64) -> MutexGuard<'_, Slot<T>> {
        let index = (number % self.slots.len() as u64) as usize;
        // Nothing foreign runs under the lock (3), so a poisoned one has still all its invariants.
        (self.slots[index].lock()).unwrap_or_else(PoisonError::into_inner)
    }

    /// Fills the next slot, and wakes who waits for it. The value comes back if there is no
    /// receiver.
    pub(super) fn send(&self, value: T) -> Result<usize, T> {
        let mut tail = self.waiters.lock();
        let receivers = tail.receivers;
        if receivers == 0 {
            drop(tail);
            return Err(value);
        }
        let mut slot = self.slot(tail.next);
        let old = slot.fill(tail.next, receivers, value);
        drop(slot);
        tail.next += 1;
        tail.wake_all();
        drop(old);
        Ok(receivers)
    }

    /// Takes the value with this number, if it is there. The caller is a receiver that has not
    /// passed it, and passes it by this.
    pub(super) fn look(&self, number: u64) -> Look<T> {
        let mut slot = self.slot(number);
        match slot.stamp.cmp(&(number + 1)) {
            std::cmp::Ordering::Equal => Look::Value(slot.take()),
            std::cmp::Ordering::Less => Look::Nothing,
            std::cmp::Ordering::Greater => Look::Overwritten,
        }
    }

    /// The value that a receiver wants next, which it then has seen, or why it has missed it;
    /// `None` if it has not been sent.
    pub(super) fn receive(&self, next: &mut u64) -> Option<Result<Taken<T>, RecvError>> {
        match self.look(*next) {
            Look::Value(taken) => {
                *next += 1;
                Some(Ok(taken))
            }
            Look::Overwritten => Some(Err(self.catch_up(next))),
            Look::Nothing => None,
        }
    }

    /// Moves a receiver on to the oldest value that is still there.
    #[cold]
    fn catch_up(&self, next: &mut u64) -> RecvError {
        let oldest = self.oldest(self.waiters.lock().next);
        let missed = oldest - *next;
        *next = oldest;
        RecvError::Lagged(missed)
    }

    /// The oldest number in the ring.
    pub(super) fn oldest(&self, tail: u64) -> u64 {
        tail.saturating_sub(self.slots.len() as u64)
    }

    /// The number that a new receiver is to begin with.
    pub(super) fn add_receiver(&self) -> u64 {
        let mut tail = self.waiters.lock();
        tail.receivers += 1;
        tail.next
    }

    /// A receiver that had come as far as `next` goes away, and passes all that it has not seen
    /// (2).
    pub(super) fn remove_receiver(&self, next: u64) {
        let mut tail = self.waiters.lock();
        tail.receivers -= 1;
        // What is sent from here on does not count it.
        let (end, last) = (tail.next, tail.receivers == 0);
        drop(tail);
        Leaving {
            shared: self,
            numbers: next.max(self.oldest(end))..end,
            last,
        }
        .pass_all();
    }

    pub(super) fn add_sender(&self) {
        // Relaxed: the one that is cloned keeps the count above zero.
        self.senders.fetch_add(1, Ordering::Relaxed);
    }

    /// One more sender, if there is any: none comes after the last.
    #[must_use]
    pub(super) fn add_sender_if_any(&self) -> bool {
        // Relaxed: either this comes before the last sender goes, who is not the last then, or
        // after; all else is under locks.
        let mut count = self.senders.load(Ordering::Relaxed);
        while count != 0 {
            match (self.senders).compare_exchange_weak(
                count,
                count + 1,
                Ordering::Relaxed,
                Ordering::Relaxed,
            ) {
                Ok(_) => return true,
                Err(now) => count = now,
            }
        }
        false
    }

    pub(super) fn remove_sender(&self) {
        // AcqRel: what the other senders did comes before the closing by the last.
        if self.senders.fetch_sub(1, Ordering::AcqRel) == 1 {
            let mut tail = self.waiters.lock();
            tail.closed = true;
            tail.wake_all();
        }
    }

    pub(super) fn senders(&self) -> usize {
        // Relaxed: something to look at.
        self.senders.load(Ordering::Relaxed)
    }

    pub(super) fn receivers(&self) -> usize {
        self.waiters.lock().receivers
    }

    /// How many values somebody has yet to see.
    pub(super) fn len(&self) -> usize {
        let tail = self.waiters.lock();
        let (mut seen, mut end) = (self.oldest(tail.next), tail.next);
        let newest = end;
        // Who has passed a value has passed all before it, so those that everybody has passed come
        // first.
        while seen < end {
            let middle = seen + (end - seen) / 2;
            if self.slot(middle).unseen == 0 {
                seen = middle + 1;
            } else {
                end = middle;
            }
        }
        (newest - seen) as usize
    }
}

/// What a receiver that goes away has not seen. It is passed to the end, also if a value panics
/// when it is dropped.
struct Leaving<'a, T> {
    shared: &'a Shared<T>,
    numbers: Range<u64>,
    /// Whether it was the last receiver.
    last: bool,
}

impl<T> Leaving<'_, T> {
    fn pass_all(&mut self) {
        for number in self.numbers.by_ref() {
            let unseen = self.shared.look(number);
            drop(unseen);
        }
        if std::mem::take(&mut self.last) {
            let mut batch = Batch::default();
            self.shared.gone.tell(&mut batch);
            batch.finish();
        }
    }
}

impl<T> Drop for Leaving<'_, T> {
    fn drop(&mut self) {
        self.pass_all();
    }
}

impl Tail {
    pub(super) fn is_closed(&self) -> bool {
        self.closed
    }

    /// Whether a receiver that wants this number next will never get it.
    pub(super) fn is_over_at(&self, next: u64) -> bool {
        self.closed && self.next == next
    }
}

impl<T> Slot<T> {
    /// Puts a value in. What was there is to be dropped when the locks are gone.
    fn fill(&mut self, number: u64, receivers: usize, value: T) -> (Option<T>, Option<Cell<T>>) {
        self.stamp = number + 1;
        self.unseen = receivers;
        if let Some(place) = self.cell.as_mut().and_then(Arc::get_mut) {
            return (place.replace(value), None);
        }
        // The first round, or somebody still clones from the cell.
        (None, self.cell.replace(Arc::new(Some(value))))
    }

    /// The value for one more receiver; the last takes it away.
    fn take(&mut self) -> Taken<T> {
        self.unseen -= 1;
        let cell = self.cell.as_mut().expect("it stays until all have seen it");
        if self.unseen > 0 {
            return Taken::Shared(cell.clone());
        }
        if let Some(value) = Arc::get_mut(cell).and_then(Option::take) {
            return Taken::Owned(value);
        }
        // Somebody still clones from the cell. It goes with us, so that nothing is kept here.
        Taken::Shared(self.cell.take().expect("it is there"))
    }
}
