//! `Pool`: things that are costly to make and easy to use again, such as buffers.
//!
//! Each thread has a shard of its own, as nearly as that can be had: threads are numbered, and a
//! shard serves those numbers that fall on it. An item is put into the shard of the thread that has
//! it and taken from there, the newest first, since that is still in the cache. Who finds nothing
//! in its shard takes the oldest item of another.
//!
//! Nobody ever waits. A shard that somebody else is just inside of is passed over: who wants an
//! item looks into the next shard, and makes one if all are busy or empty; who has one to put back
//! tries the next, and drops the item if none takes it.
//!
//! **Giving memory back.** A shard holds so many items at most. And it gives back what it does not
//! need: it remembers how few items it had at the least within a [window](shard) of so many
//! operations. So many lay untouched all the time, at the bottom, and half of them are dropped when
//! the window ends. What a burst has left behind is gone after some windows of ordinary use. (Go
//! clears its pools with the garbage collector, and has a victim cache to soften that. Here there
//! is no such beat, and a clock or a thread for it would wake an idle program, which is not to
//! happen. A pool that nobody uses keeps what it has; [`Pool::clear`] empties it.)
//!
//! Invariants:
//!
//! 1. An item is in one shard, or with whoever got it, never both; what does not fit anywhere is
//!    dropped.
//! 2. Under the lock of a shard no item is made, dropped or looked at; the lock is tried, never
//!    waited for.
//!
//! *Rejected*: one list for all, whose line every core would fight over; time stamps, which ask the
//! clock at each operation.
#![forbid(unsafe_code)]

use std::fmt;
use std::sync::{Arc, OnceLock};

mod guard;
mod shard;

pub use guard::{OwnedPooled, Pooled};
use shard::Shard;

use crate::primitive::pool_shards;

/// How many items a pool keeps at most unless it is told otherwise. A guess: as many as tasks that
/// are likely to be inside at once.
const CAPACITY: usize = 1024;

/// Things to use again, made by `new` when there is none.
///
/// What is got from it comes back when its guard is dropped, in the state that it is left in: clear
/// it when you get it. A guard that is dropped by a panic drops the item instead, since nobody
/// knows what state that is in.
///
/// It never waits, and keeps a bounded number of items; those that lie unused while others come and
/// go are dropped by and by.
///
/// ```
/// static BUFFERS: sync::Pool<Vec<u8>> = sync::Pool::new(Vec::new);
///
/// fn frame(payload: &[u8]) -> usize {
///     let mut buffer = BUFFERS.get();
///     buffer.clear();
///     buffer.extend_from_slice(&[0x81, payload.len() as u8]);
///     buffer.extend_from_slice(payload);
///     buffer.len()
/// }
///
/// assert_eq!(frame(b"hello"), 7);
/// assert_eq!(frame(b"you"), 5); // in the same memory
/// ```
///
/// **Go:** `sync.Pool`, with a guard for `defer pool.Put(x)`. There the garbage collector empties
/// it.
pub struct Pool<T, F = fn() -> T> {
    new: F,
    capacity: usize,
    /// Made when the first item comes back.
    shards: OnceLock<Box<[Shard<T>]>>,
}

impl<T, F> Pool<T, F> {
    /// An empty pool that makes items by `new`. It can be a `static`, and allocates nothing before
    /// the first item comes back.
    ///
    /// ```
    /// static BUFFERS: sync::Pool<Vec<u8>> = sync::Pool::new(|| Vec::with_capacity(4096));
    /// assert_eq!(BUFFERS.get().capacity(), 4096);
    /// ```
    ///
    /// **Go:** `sync.Pool{New: f}`.
    pub const fn new(new: F) -> Self {
        Self::with_capacity(CAPACITY, new)
    }

    /// An empty pool that keeps at most about `capacity` items: each thread's shard keeps its part
    /// of them, rounded up.
    ///
    /// ```
    /// static BLOCKS: sync::Pool<Box<[u8; 65536]>> = sync::Pool::with_capacity(16, || Box::new([0; 65536]));
    /// # drop(BLOCKS.get());
    /// ```
    ///
    /// **Go:** none: there is no bound.
    pub const fn with_capacity(capacity: usize, new: F) -> Self {
        Self {
            new,
            capacity,
            shards: OnceLock::new(),
        }
    }

    /// An item of the pool, if there is one at hand; it is yours. Give it back by
    /// [`put`](Self::put), or keep it.
    ///
    /// ```
    /// let pool: sync::Pool<String> = sync::Pool::new(String::new);
    /// assert!(pool.try_take().is_none());
    /// pool.put("used".into());
    /// assert_eq!(pool.try_take().unwrap(), "used");
    /// ```
    ///
    /// **Go:** `pool.Get()` with a nil `New`.
    pub fn try_take(&self) -> Option<T> {
        self.take_as(shard::of_this_thread())
    }

    /// As the thread with this number.
    pub(crate) fn take_as(&self, thread: usize) -> Option<T> {
        let mut shards = around(self.shards.get()?, thread);
        let popped = shards.next()?.pop();
        // Here, under no lock (2).
        drop(popped.unneeded);
        popped.item.or_else(|| shards.find_map(Shard::steal))
    }

    /// Puts an item into the pool. It is dropped if the pool is full, or others are busy with all
    /// of its shards.
    ///
    /// ```
    /// let pool: sync::Pool<Vec<u8>> = sync::Pool::new(Vec::new);
    /// pool.put(Vec::with_capacity(100));
    /// assert_eq!(pool.get().capacity(), 100);
    /// ```
    ///
    /// **Go:** `pool.Put(x)`.
    pub fn put(&self, item: T) {
        let refused = self.put_as(shard::of_this_thread(), item);
        drop(refused);
    }

    /// As the thread with this number. The item comes back if no shard takes it.
    pub(crate) fn put_as(&self, thread: usize, item: T) -> Option<T> {
        let mut item = Some(item);
        for shard in around(self.shards(), thread) {
            let unneeded = shard.push(&mut item);
            drop(unneeded);
            if item.is_none() {
                break;
            }
        }
        item
    }

    fn shards(&self) -> &[Shard<T>] {
        if let Some(shards) = self.shards.get() {
            return shards;
        }
        let number = pool_shards();
        let each = self.capacity.div_ceil(number);
        // Of two who come here at once one has worked in vain; no item is in it yet.
        let made = (0..number).map(|_| Shard::new(each)).collect();
        let _ = self.shards.set(made);
        self.shards.get().expect("it has just been set")
    }

    /// How many items are in the pool; by the time that the caller looks it may be otherwise.
    /// Shards that somebody is inside of count for nothing.
    ///
    /// ```
    /// let pool: sync::Pool<u32> = sync::Pool::new(|| 0);
    /// pool.put(1);
    /// assert_eq!(pool.len(), 1);
    /// ```
    ///
    /// **Go:** none.
    pub fn len(&self) -> usize {
        let shards = self.shards.get().into_iter().flatten();
        shards.map(Shard::len).sum()
    }

    /// Whether no item is in the pool, as far as [`len`](Self::len) can tell.
    ///
    /// ```
    /// assert!(sync::Pool::<u32>::new(|| 0).is_empty());
    /// ```
    ///
    /// **Go:** none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Drops the items that are in the pool, but for those in shards that somebody is just inside
    /// of. What is out still comes back.
    ///
    /// ```
    /// let pool: sync::Pool<u32> = sync::Pool::new(|| 0);
    /// pool.put(1);
    /// pool.clear();
    /// assert!(pool.is_empty());
    /// ```
    ///
    /// **Go:** `runtime.GC()`, twice.
    pub fn clear(&self) {
        for shard in self.shards.get().into_iter().flatten() {
            let items = shard.take_all();
            drop(items);
        }
    }
}

/// All shards, that of the thread with this number first. Their number is a power of two.
fn around<T>(shards: &[Shard<T>], thread: usize) -> impl Iterator<Item = &Shard<T>> {
    (0..shards.len()).map(move |step| &shards[thread.wrapping_add(step) & (shards.len() - 1)])
}

impl<T, F: Fn() -> T> Pool<T, F> {
    /// An item, made by `new` if there is none at hand. It comes back when the guard is dropped.
    ///
    /// # Panics
    ///
    /// If `new` does.
    ///
    /// ```
    /// let pool: sync::Pool<String> = sync::Pool::new(String::new);
    /// let mut name = pool.get();
    /// name.push_str("Ada");
    /// drop(name);
    /// assert_eq!(*pool.get(), "Ada"); // as it was left
    /// ```
    ///
    /// **Go:** `x := pool.Get()` and `defer pool.Put(x)`.
    pub fn get(&self) -> Pooled<'_, T, F> {
        Pooled::new(self, self.take())
    }

    /// An item as [`get`](Self::get) has it, with a guard that shares the pool: it may go into a
    /// task.
    ///
    /// # Panics
    ///
    /// If `new` does.
    ///
    /// ```
    /// # runtime::block_on(async {
    /// let pool = std::sync::Arc::new(sync::Pool::new(Vec::<u8>::new));
    /// let mut buffer = pool.get_owned();
    /// runtime::spawn(async move { buffer.push(1) }).await.unwrap();
    /// assert_eq!(pool.len(), 1);
    /// # });
    /// ```
    ///
    /// **Go:** `pool.Get()` here and `pool.Put(x)` in another goroutine.
    pub fn get_owned(self: &Arc<Self>) -> OwnedPooled<T, F> {
        OwnedPooled::new(self, self.take())
    }

    /// An item that is yours, made by `new` if there is none at hand. Give it back by
    /// [`put`](Self::put), or keep it.
    ///
    /// # Panics
    ///
    /// If `new` does.
    ///
    /// ```
    /// let pool: sync::Pool<String> = sync::Pool::new(String::new);
    /// let name: String = pool.take();
    /// pool.put(name);
    /// ```
    ///
    /// **Go:** `pool.Get()`.
    pub fn take(&self) -> T {
        self.try_take().unwrap_or_else(&self.new)
    }
}

impl<T: Default> Default for Pool<T> {
    fn default() -> Self {
        Self::new(T::default)
    }
}

impl<T, F> fmt::Debug for Pool<T, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pool")
            .field("capacity", &self.capacity)
            .field("len", &self.len())
            .finish_non_exhaustive()
    }
}
