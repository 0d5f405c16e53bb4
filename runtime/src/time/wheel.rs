//! ⚠ The timer wheel: a hierarchical hashed wheel of intrusive nodes (Varghese and Lauck, *Hashed
//! and Hierarchical Timing Wheels*, 1987).
//!
//! Time is cut into ticks of 2^15 ns. A deadline is rounded up to the next tick, so that no timer
//! is early, and the tick's number says which slot the node goes to (`dial.rs`): level 0 has a slot
//! for each tick of this block of 64, level 1 one for each other block of this block of blocks, and
//! so on; nine levels hold every `u64`. (Where the clock is paused a tick is one nanosecond, so
//! that timers fire in the order of their deadlines and exactly at them; two more levels are there
//! for that.) When time reaches a slot of level 0 its nodes are due; when it reaches a slot above,
//! its nodes move down (*cascade*). Insert and cancel touch one list; nothing is ever sorted,
//! searched or allocated.
//!
//! ```text
//! level   0        1        2        3        4       5       6       7       8
//! slot    32.8 µs  2.1 ms   134 ms   8.6 s    9.2 min 9.8 h   26 d    4.6 y   293 y     (9 and 10: exact ticks only)
//! ```
//!
//! Each slot is a circular list with the slot as its sentinel, first in first out. Slots remember
//! the earliest tick that was put into them, so that a sleeping worker wakes for the timer and not
//! for each of its cascades.
//!
//! # Invariants
//!
//! 1. The wheel is one half of a lock's contents: whoever has `&mut Wheel` is alone with the links
//!    of all its nodes.
//! 2. A node is linked exactly while its [`word`](Node::word) is a deadline. A linked node is
//!    pinned, and lives until it is unlinked: its owner, finding a deadline in the word, takes the
//!    lock to unlink it before the memory goes away.
//! 3. The waker of a linked node is initialised. Whoever unlinks the node moves it out. Only the
//!    owner writes it, and only with the node unlinked or the lock held.
//! 4. Storing [`FIRED`] or [`IDLE`] into the word is the last thing that the wheel does to a node:
//!    from then on it belongs to its owner again, who may free it at once.
//! 5. No node is linked for a tick before `elapsed`; one linked at `elapsed` is due, or waits for a
//!    cascade to go on.
//!
//! # Rejected
//!
//! - *A heap* (Go, async-io): O(log n) to insert and to cancel, and an allocation that grows.
//! - *Lazy cancel*: the node is in the future, whose memory ends with its drop.
//! - *Draining a slot in one go*: 100,000 timers of one tick would hold the lock for milliseconds.
//!   [`Wheel::advance`] stops when the batch is full or after [`MOVES`] nodes, in the middle of a
//!   slot if need be, and the next call goes on from there.

use std::cell::Cell;
use std::fmt;
use std::mem::MaybeUninit;
use std::ptr::{self, NonNull};
use std::task::Waker;

use super::dial::{Occupied, Resolution, SLOTS, is_above, slot_for, start_of};
use super::timers::Batch;
use crate::primitive::UnsafeCell;
use crate::primitive::atomic::{AtomicU64, Ordering};

/// How many nodes one call moves at most, cascades included; at some 10 ns each the lock is held
/// for a few microseconds. A guess.
const MOVES: usize = 256;

/// A word: linked nowhere, and nothing has happened. (Any smaller word is the deadline of a linked
/// node.)
pub(super) const IDLE: u64 = u64::MAX - 1;

/// A word: the deadline has passed, and the waker was taken to be woken.
pub(super) const FIRED: u64 = u64::MAX;

/// One timer: the part of it that the wheel sees.
#[repr(C)] // A pointer to the node is a pointer to its `link`, and back.
pub(super) struct Node {
    /// Guarded by the wheel's lock while linked, the owner's otherwise.
    link: Link,
    /// The deadline while linked, else [`IDLE`] or [`FIRED`]. The wheel changes it under the lock.
    /// The owner changes it with the node unlinked, under the lock, or, to a later deadline, by
    /// compare and exchange at any time.
    pub(super) word: AtomicU64,
    /// See invariant 3.
    pub(super) waker: UnsafeCell<MaybeUninit<Waker>>,
}

// SAFETY: the raw pointers in `link` are used under the wheel's lock only (invariant 1), the waker
// is accessed as invariant 3 says, and a `Waker` may be sent and shared.
unsafe impl Send for Node {}
// SAFETY: as above; through a shared reference alone only `word` can be read.
unsafe impl Sync for Node {}

impl Node {
    #[inline]
    pub(super) fn new() -> Self {
        Self {
            link: Link::new(),
            word: AtomicU64::new(IDLE),
            // Zeros, which are nobody's waker: they are stored in place. What is not initialised is
            // copied there from wherever the node was made, and processors stall on such a copy of
            // what was just written in smaller pieces, for longer than all the rest takes.
            waker: UnsafeCell::new(MaybeUninit::zeroed()),
        }
    }
}

/// The links of a node or of a slot's sentinel; meaningless while the node is unlinked or the
/// slot's bit clear.
struct Link {
    next: Cell<*const Link>,
    prev: Cell<*const Link>,
}

impl Link {
    #[inline]
    const fn new() -> Self {
        Self {
            next: Cell::new(ptr::null()),
            prev: Cell::new(ptr::null()),
        }
    }
}

/// One list of the wheel.
struct Slot {
    sentinel: Link,
    /// When the earliest tick begins, in nanoseconds, that was linked here since the slot was last
    /// empty; that node may have left.
    earliest: Cell<u64>,
}

type Slots = [Slot; SLOTS];

/// What [`Wheel::advance`] left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use = "a wheel that has more to do must be called again"]
pub(super) enum Progress {
    /// Nothing is due.
    Done,
    /// The batch is full, or the call had moved [`MOVES`] nodes: call again.
    More,
}

/// The deadline had passed when the node was to be inserted; it is not linked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Due;

/// The wheel; see the top of this file.
pub(super) struct Wheel {
    /// Allocated once, and reached by raw pointer only: the nodes point back at the sentinels,
    /// which a `Box` would claim to be unique.
    slots: NonNull<Slots>,
    /// The slots whose lists are not empty.
    occupied: Occupied,
    resolution: Resolution,
    /// The tick up to which everything has been expired.
    elapsed: u64,
    /// Nodes that are linked.
    len: usize,
    /// A slot above level 0 of which a call has moved only some nodes; it goes before all others.
    cascading: Option<usize>,
}

// SAFETY: the wheel owns its slots, and `&mut Wheel` is the permission to touch the links of its
// nodes, on whatever thread (invariant 1).
unsafe impl Send for Wheel {}

impl Wheel {
    pub(super) fn new() -> Self {
        let slots: Box<Slots> = Box::new(
            [const {
                Slot {
                    sentinel: Link::new(),
                    earliest: Cell::new(0),
                }
            }; SLOTS],
        );
        Self {
            slots: NonNull::from(Box::leak(slots)),
            occupied: Occupied::new(),
            resolution: Resolution::Coarse,
            elapsed: 0,
            len: 0,
            cascading: None,
        }
    }

    /// Nodes that are linked.
    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// Begins anew at time zero, with ticks of another length. The wheel is empty.
    pub(super) fn restart(&mut self, resolution: Resolution) {
        debug_assert!(self.is_empty());
        self.resolution = resolution;
        self.elapsed = 0;
        self.cascading = None;
    }

    /// Goes on with ticks of another length: every node is linked anew, in the order in which they
    /// would have fired. Those that are due at `now` are so one tick later.
    pub(super) fn change_resolution(&mut self, resolution: Resolution, now: u64) {
        if self.resolution == resolution {
            return;
        }
        let mut new = Self::new();
        new.resolution = resolution;
        new.elapsed = resolution.tick_before(now);
        while let Some(slot) = self.unfinished().or_else(|| self.occupied.first()) {
            let node = self.first(slot);
            self.unlink(&node.link);
            // Relaxed: only the number counts; the owner may put it off at any time, which is found
            // out when the node is reached.
            let tick = resolution.tick_of(node.word.load(Ordering::Relaxed));
            new.link(node, tick.max(new.elapsed + 1));
        }
        new.len = self.len;
        // The old one is empty, and is freed.
        *self = new;
    }

    pub(super) fn is_empty(&self) -> bool {
        self.occupied.is_empty()
    }

    /// The time, in nanoseconds, at which [`advance`](Self::advance) next has a node to fire, or
    /// `u64::MAX`. May be early, where that node has been cancelled or put off, and is never late.
    pub(super) fn next_deadline(&self) -> u64 {
        let Some(first) = self.occupied.first() else {
            return u64::MAX;
        };
        let mut earliest = self.slot(first).earliest.get();
        if let Some(rest) = self.unfinished() {
            earliest = earliest.min(self.slot(rest).earliest.get());
        }
        earliest
    }

    /// Links a node for the deadline in its word, and returns when it will fire in nanoseconds (at
    /// most a tick later). `now` is a time that has been read from the clock, not necessarily the
    /// last.
    ///
    /// # Safety
    ///
    /// The node is linked nowhere, its word is a deadline and its waker initialised; the caller
    /// keeps invariant 2.
    #[inline]
    pub(super) unsafe fn insert(&mut self, node: &Node, now: u64) -> Result<u64, Due> {
        if self.is_empty() {
            // Nothing to expire on the way: catch up, so that the node starts on the lowest level
            // that it can.
            self.elapsed = self.elapsed.max(self.resolution.tick_before(now));
        }
        // Relaxed: the caller has stored it itself, and only it can change it before the node is
        // linked.
        let tick = self.resolution.tick_of(node.word.load(Ordering::Relaxed));
        if tick <= self.elapsed {
            return Err(Due);
        }
        self.len += 1;
        Ok(self.link(node, tick))
    }

    /// Unlinks a node whose owner has found a deadline in its word under the lock. The owner then
    /// takes the waker out and changes the word. Returns whether
    /// [`next_deadline`](Self::next_deadline) may have changed.
    ///
    /// # Safety
    ///
    /// The node is linked in this wheel.
    pub(super) unsafe fn remove(&mut self, node: &Node) -> bool {
        self.len -= 1;
        self.unlink(&node.link)
    }

    /// Moves time forward to `now` and fires what is due, in the order of ticks, until the batch is
    /// full: the nodes are unlinked and their words [`FIRED`], and their wakers are in the batch,
    /// to be woken after unlocking.
    #[inline]
    pub(super) fn advance(&mut self, now: u64, batch: &mut Batch) -> Progress {
        let target = self.resolution.tick_before(now);
        let mut moves = MOVES;
        while let Some(slot) = self.unfinished().or_else(|| self.occupied.first()) {
            let start = start_of(slot, self.elapsed);
            if start > target {
                break;
            }
            self.elapsed = start;
            if is_above(slot) {
                self.cascading = Some(slot);
            }
            while self.occupied.contains(slot) {
                if batch.is_full() || moves == 0 {
                    return Progress::More;
                }
                moves -= 1;
                if let Some(waker) = self.take_first(slot) {
                    batch.push(waker);
                }
            }
            self.cascading = None;
        }
        self.elapsed = self.elapsed.max(target);
        Progress::Done
    }

    /// Unlinks nodes until the batch is full, leaving their words [`IDLE`]: the runtime that drove
    /// this wheel is gone.
    pub(super) fn drain(&mut self, batch: &mut Batch) -> Progress {
        while let Some(slot) = self.occupied.first() {
            if batch.is_full() {
                return Progress::More;
            }
            let node = self.first(slot);
            self.unlink(&node.link);
            self.len -= 1;
            // SAFETY: the node was linked, so that the waker is initialised, and is ours now that
            // it is not (invariant 3).
            let waker = unsafe { node.waker.with(|waker| waker.read().assume_init()) };
            // The owner may be putting off the deadline at this moment, and loses. Release pairs
            // with the Acquire load of `word` by the owner: what we did to the node happens before
            // what the owner does next (invariant 4).
            node.word.swap(IDLE, Ordering::Release);
            batch.push(waker);
        }
        self.cascading = None;
        Progress::Done
    }

    /// Unlinks the slot's first node. If it is due, fires it and returns its waker; else it goes
    /// where it belongs as of `elapsed`.
    fn take_first(&mut self, slot: usize) -> Option<Waker> {
        let node = self.first(slot);
        self.unlink(&node.link);
        loop {
            // Relaxed: only the number counts. The owner can make it a later one at any time.
            let deadline = node.word.load(Ordering::Relaxed);
            let tick = self.resolution.tick_of(deadline);
            if tick > self.elapsed {
                // A cascade, or the deadline had been put off without moving the node.
                self.link(node, tick);
                return None;
            }
            // A copy of the bytes: not the waker until the exchange has succeeded, for until then
            // the node keeps it.
            let waker = node.waker.with(|waker| {
                // SAFETY: the owner writes it under the lock only, while the word is a deadline
                // (invariant 3).
                unsafe { waker.read() }
            });
            // Release pairs with the Acquire load of `word` by the owner: our reads of the node
            // happen before what the owner does with it next. Failure means that the owner has put
            // off the deadline.
            if node
                .word
                .compare_exchange(deadline, FIRED, Ordering::Release, Ordering::Relaxed)
                .is_ok()
            {
                self.len -= 1;
                // SAFETY: it was initialised (invariant 3), and is ours by the exchange; the owner
                // will not look at it again.
                return Some(unsafe { waker.assume_init() });
            }
        }
    }

    /// Appends the node to the slot of its tick, which is later than `elapsed`, and returns when
    /// that tick begins.
    fn link(&mut self, node: &Node, tick: u64) -> u64 {
        let index = slot_for(self.elapsed, tick);
        let newly = self.occupied.insert(index);
        let at = self.resolution.nanos_of(tick);
        let slot = self.slot(index);
        let sentinel = &raw const slot.sentinel;
        // From the whole node, not from its field: the way back must be allowed to reach all of it.
        let link = ptr::from_ref(node).cast::<Link>();
        if newly {
            slot.earliest.set(at);
            slot.sentinel.prev.set(sentinel);
        } else if at < slot.earliest.get() {
            slot.earliest.set(at);
        }
        let last = slot.sentinel.prev.get();
        node.link.prev.set(last);
        node.link.next.set(sentinel);
        slot.sentinel.prev.set(link);
        // SAFETY: `last` is the sentinel or the last node of the list, which is linked and
        // therefore alive (invariant 2).
        unsafe { (*last).next.set(link) };
        at
    }

    /// Takes a linked node out of its list; returns whether that has emptied its slot.
    fn unlink(&mut self, link: &Link) -> bool {
        let (next, prev) = (link.next.get(), link.prev.get());
        if next == prev {
            // Only the sentinel can be on both sides: the node was alone.
            self.occupied.remove(self.index_of(next));
            return true;
        }
        // SAFETY: both are the sentinel or linked nodes, which are alive (invariant 2).
        unsafe {
            (*next).prev.set(prev);
            (*prev).next.set(next);
        }
        false
    }

    /// The first node of an occupied slot.
    ///
    /// The lifetime is a promise: the node is used until its word is given back, and not after.
    fn first<'a>(&self, slot: usize) -> &'a Node {
        debug_assert!(self.occupied.contains(slot));
        let link = self.slot(slot).sentinel.next.get();
        // SAFETY: the list is not empty, so that this is the link of a node, made from a pointer to
        // the whole of it, and the node is alive (invariant 2) until its word says that it is
        // unlinked (invariant 4).
        unsafe { &*link.cast::<Node>() }
    }

    fn slot(&self, index: usize) -> &Slot {
        // SAFETY: the allocation lives as long as the wheel, and is never borrowed uniquely.
        let slots: &Slots = unsafe { self.slots.as_ref() };
        &slots[index]
    }

    /// Which slot a sentinel belongs to.
    fn index_of(&self, sentinel: *const Link) -> usize {
        (sentinel.addr() - self.slots.addr().get()) / size_of::<Slot>()
    }

    /// The slot whose cascade has been interrupted, if any of its nodes are left.
    fn unfinished(&self) -> Option<usize> {
        self.cascading.filter(|&slot| self.occupied.contains(slot))
    }
}

impl Drop for Wheel {
    fn drop(&mut self) {
        assert!(
            self.is_empty(),
            "a timer wheel was dropped with timers in it"
        );
        // SAFETY: allocated by `Box` in `new`; no node points at the sentinels any more.
        drop(unsafe { Box::from_raw(self.slots.as_ptr()) });
    }
}

impl fmt::Debug for Wheel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Wheel")
            .field("elapsed", &self.resolution.nanos_of(self.elapsed))
            .field("next_deadline", &self.next_deadline())
            .finish_non_exhaustive()
    }
}
