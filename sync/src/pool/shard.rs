//! The part of a pool that serves some of the threads: a stack under a lock that nobody waits for.
#![forbid(unsafe_code)]

use std::cell::Cell;
use std::collections::VecDeque;
use std::sync::PoisonError;
use std::sync::TryLockError;

use crate::primitive::{Mutex, MutexGuard, POOL_WINDOW};

/// Alone on its cache lines, two of which the processor fetches at a time: the shards of different
/// threads share nothing.
#[repr(align(128))]
pub(super) struct Shard<T> {
    items: Mutex<Items<T>>,
}

struct Items<T> {
    /// The oldest in front.
    stack: VecDeque<T>,
    capacity: usize,
    /// The fewest that there were since the window began.
    low: usize,
    /// How many operations are left of the window.
    left: u32,
}

/// What came out of a shard, to be looked at when its lock is gone.
pub(super) struct Popped<T> {
    pub(super) item: Option<T>,
    pub(super) unneeded: VecDeque<T>,
}

impl<T> Shard<T> {
    pub(super) fn new(capacity: usize) -> Self {
        Self {
            items: Mutex::new(Items {
                stack: VecDeque::new(),
                capacity,
                low: 0,
                left: POOL_WINDOW,
            }),
        }
    }

    /// `None` if somebody else is inside.
    fn try_lock(&self) -> Option<MutexGuard<'_, Items<T>>> {
        match self.items.try_lock() {
            Ok(items) => Some(items),
            // Nothing foreign runs under the lock, so all is as it should be.
            Err(TryLockError::Poisoned(poisoned)) => Some(PoisonError::into_inner(poisoned)),
            Err(TryLockError::WouldBlock) => None,
        }
    }

    /// Takes the newest item.
    pub(super) fn pop(&self) -> Popped<T> {
        let Some(mut items) = self.try_lock() else {
            return Popped {
                item: None,
                unneeded: VecDeque::new(),
            };
        };
        let item = items.stack.pop_back();
        Popped {
            item,
            unneeded: items.count(),
        }
    }

    /// Takes the oldest item, for another thread.
    pub(super) fn steal(&self) -> Option<T> {
        let mut items = self.try_lock()?;
        let item = items.stack.pop_front();
        items.low = items.low.min(items.stack.len());
        item
    }

    /// Takes the item, if there is room; returns what the shard gives back.
    pub(super) fn push(&self, item: &mut Option<T>) -> VecDeque<T> {
        let Some(mut items) = self.try_lock() else {
            return VecDeque::new();
        };
        if items.stack.len() < items.capacity {
            items.stack.extend(item.take());
        }
        items.count()
    }

    pub(super) fn len(&self) -> usize {
        self.try_lock().map_or(0, |items| items.stack.len())
    }

    pub(super) fn take_all(&self) -> VecDeque<T> {
        let Some(mut items) = self.try_lock() else {
            return VecDeque::new();
        };
        items.low = 0;
        std::mem::take(&mut items.stack)
    }
}

impl<T> Items<T> {
    /// One more operation. At the end of the window, half of what lay untouched, to be dropped when
    /// the lock is gone.
    fn count(&mut self) -> VecDeque<T> {
        self.low = self.low.min(self.stack.len());
        self.left -= 1;
        if self.left > 0 {
            return VecDeque::new();
        }
        self.left = POOL_WINDOW;
        let unneeded: VecDeque<T> = self.stack.drain(..self.low.div_ceil(2)).collect();
        if !unneeded.is_empty() {
            // The memory that they lay in, too; a little is kept for those that come and go.
            self.stack.shrink_to(2 * self.stack.len());
        }
        self.low = self.stack.len();
        unneeded
    }
}

/// The number of the calling thread, which says where its shard is.
pub(super) fn of_this_thread() -> usize {
    use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

    /// The number of the next thread that comes. Relaxed: it only has to be another one each time.
    static NEXT: AtomicUsize = AtomicUsize::new(0);

    thread_local! {
        static NUMBER: Cell<usize> = const { Cell::new(usize::MAX) };
    }

    let number = NUMBER.get();
    if number != usize::MAX {
        return number;
    }
    // It wraps after as many threads as no machine will ever start; shards are found modulo their
    // number anyway.
    let number = NEXT.fetch_add(1, Relaxed) % (usize::MAX >> 1);
    NUMBER.set(number);
    number
}
