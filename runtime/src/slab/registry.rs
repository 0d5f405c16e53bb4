//! ⚠ All chunks of a slab, so that every task can be found; and the blocks kept for the next chunk.
//!
//! One lock guards it, taken once for hundreds of allocations. A visitor takes it only to copy the
//! list and to leave: meanwhile chunks come and go freely, but one that goes while somebody visits
//! is only *condemned*; its block is given back, or made a chunk again, when the last visitor has
//! left. A visitor therefore sees memory that is mapped and cut as the chunk it found says.
//!
//! Blocks that were given up are kept for reuse, so that a slab that breathes neither maps nor
//! unmaps, nor has the system clear its pages each time, which would take longer than all the rest
//! of a short task's life. Somebody who has the time [trims](Registry::trim) what nobody has missed
//! for a while, or all at once when nothing moves, to a share of the chunks in use.
//!
//! *Rejected*: to unmap at once what is beyond that share. A task that spawned 100,000 short ones
//! again and again, on one worker, took twice as long for it.

use std::fmt;
use std::ptr::NonNull;

use super::chunk::Chunk;
use super::pages;
use crate::primitive::{Mutex, MutexGuard};

/// The least number of blocks that are left: 256 KiB. A guess.
const KEPT: usize = 4;

/// With so many chunks in use for each, one more block is left.
const IN_USE_PER_KEPT: usize = 8;

/// The largest number of blocks mapped at once: a mebibyte, for three system calls.
const BATCH: usize = 16;

/// The largest number of blocks that are given back in one go: 16 MiB, which takes a millisecond or
/// two.
const TRIMMED: usize = 256;

/// Which blocks are given back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Trim {
    /// Those that have been spare all the time since this was last asked for.
    Unused,
    /// All that are spare.
    All,
}

/// The chunks and the spare blocks.
pub(super) struct Registry<C>(Mutex<Inner<C>>);

struct Inner<C> {
    /// Each knows its position here.
    chunks: Vec<Chunk<C>>,
    spare: Vec<NonNull<u8>>,
    /// How many have been spare all the time since they were last trimmed: the least number.
    unused: usize,
    /// Given up while there were visitors.
    condemned: Vec<NonNull<u8>>,
    visitors: usize,
    /// Keeps nothing any more.
    closed: bool,
}

impl<C: Copy> Registry<C> {
    pub(super) fn new() -> Self {
        Self(Mutex::new(Inner {
            chunks: Vec::new(),
            spare: Vec::new(),
            unused: 0,
            condemned: Vec::new(),
            visitors: 0,
            closed: false,
        }))
    }

    /// Registers a chunk that `init` makes of a block.
    pub(super) fn add(&self, init: impl FnOnce(NonNull<u8>) -> Chunk<C>) -> Chunk<C> {
        let mut inner = self.lock();
        // Under the lock `init` does no more than write a header.
        let chunk = init(inner.block());
        chunk.set_position(inner.chunks.len());
        inner.chunks.push(chunk);
        chunk
    }

    /// Takes a chunk out that no slot is out of, and gives its block back sooner or later.
    ///
    /// # Safety
    ///
    /// The chunk is the caller's to free, and in this registry.
    pub(super) unsafe fn remove(&self, chunk: Chunk<C>) {
        let mut inner = self.lock();
        inner.forget(chunk);
        inner.give_up(chunk.block());
        if inner.closed {
            drop(inner);
            self.trim(Trim::All);
        }
    }

    /// Gives spare blocks back, but for a share of the chunks in use. `true`: there are more.
    pub(super) fn trim(&self, which: Trim) -> bool {
        let mut surplus = Vec::with_capacity(TRIMMED);
        let mut inner = self.lock();
        let mut left = inner.surplus(which);
        while left > 0 && surplus.len() < TRIMMED {
            surplus.extend(inner.spare.pop());
            left -= 1;
        }
        inner.unused = inner.spare.len();
        drop(inner);
        let refused = surplus.into_iter().filter(|&block| !self.unmap(block));
        refused.count() == 0 && left > 0
    }

    /// The chunks there are; they stay mapped as long as the visit lasts.
    pub(super) fn visit(&self) -> Visit<'_, C> {
        let mut inner = self.lock();
        inner.visitors += 1;
        Visit {
            chunks: inner.chunks.clone(),
            registry: self,
        }
    }

    /// Stops keeping blocks, and calls `abandon` with each chunk, under the lock; those for which
    /// it says `true` are taken out. Returns how many were left to others. A second call finds
    /// nothing to do.
    pub(super) fn close(&self, mut abandon: impl FnMut(Chunk<C>) -> bool) -> usize {
        let mut inner = self.lock();
        if inner.closed {
            return 0;
        }
        inner.closed = true;
        // From the end, since `forget` moves the last chunk to the gap. A chunk with slots out may
        // be given up by another thread right after `abandon`, but that takes the lock before it
        // frees anything.
        for n in (0..inner.chunks.len()).rev() {
            let chunk = inner.chunks[n];
            if abandon(chunk) {
                inner.forget(chunk);
                inner.give_up(chunk.block());
            }
        }
        for block in std::mem::take(&mut inner.spare) {
            // A refused block stays lost: its memory is given up, and the end of a slab is the end
            // of its books. SAFETY: a spare block is nobody's.
            let _ = unsafe { pages::unmap(block) };
        }
        inner.chunks.len()
    }

    /// How many chunks there are, and how many blocks besides.
    pub(super) fn counts(&self) -> (usize, usize) {
        let inner = self.lock();
        (
            inner.chunks.len(),
            inner.spare.len() + inner.condemned.len(),
        )
    }

    /// Gives a block back that was spare. `false`: the system refuses, and it is spare again.
    fn unmap(&self, block: NonNull<u8>) -> bool {
        // SAFETY: a block that was taken from the spare ones is nobody's.
        let unmapped = unsafe { pages::unmap(block) };
        if !unmapped {
            self.lock().spare.push(block);
        }
        unmapped
    }

    fn lock(&self) -> MutexGuard<'_, Inner<C>> {
        // Nothing that panics runs under the lock and leaves it half done.
        self.0
            .lock()
            .unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

impl<C: Copy> Inner<C> {
    fn block(&mut self) -> NonNull<u8> {
        if self.spare.is_empty() {
            let batch = (self.chunks.len() / IN_USE_PER_KEPT).clamp(1, BATCH);
            pages::map(batch, &mut self.spare);
        }
        let block = self.spare.pop().expect("at least one block was mapped");
        self.unused = self.unused.min(self.spare.len());
        block
    }

    fn forget(&mut self, chunk: Chunk<C>) {
        let position = chunk.position();
        debug_assert!(self.chunks[position] == chunk, "a chunk knows its position");
        self.chunks.swap_remove(position);
        if let Some(moved) = self.chunks.get(position) {
            moved.set_position(position);
        }
    }

    fn give_up(&mut self, block: NonNull<u8>) {
        let list = if self.visitors == 0 {
            &mut self.spare
        } else {
            &mut self.condemned
        };
        list.push(block);
    }

    /// How many of the spare blocks are to be given back.
    fn surplus(&self, which: Trim) -> usize {
        let left = match self.closed {
            true => 0,
            false => KEPT + self.chunks.len() / IN_USE_PER_KEPT,
        };
        let candidates = match which {
            Trim::Unused => self.unused,
            Trim::All => self.spare.len(),
        };
        candidates.saturating_sub(left)
    }
}

impl<C> fmt::Debug for Registry<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Registry").finish_non_exhaustive()
    }
}

/// A look at all chunks.
#[derive(Debug)]
pub(super) struct Visit<'a, C: Copy> {
    chunks: Vec<Chunk<C>>,
    registry: &'a Registry<C>,
}

impl<C: Copy> Visit<'_, C> {
    pub(super) fn chunks(&self) -> impl Iterator<Item = Chunk<C>> {
        self.chunks.iter().copied()
    }
}

impl<C: Copy> Drop for Visit<'_, C> {
    fn drop(&mut self) {
        let mut inner = self.registry.lock();
        inner.visitors -= 1;
        if inner.visitors > 0 {
            return;
        }
        let condemned = std::mem::take(&mut inner.condemned);
        inner.spare.extend(condemned);
        if inner.closed {
            drop(inner);
            while self.registry.trim(Trim::All) {}
        }
    }
}
