//! ⚠ Where tasks live: an allocator of small blocks that is at the same time the list of all tasks.
//!
//! A slab has an *arena* for each worker slot, and each arena has *chunks* of 64 KiB, each cut into
//! *slots* of one size. Its owner takes and frees slots with a few plain loads and stores. Any
//! other thread frees by pushing the slot onto a stack in the chunk, one atomic exchange; the owner
//! takes these stacks over when it runs out. Nothing here is shared by all but the registry of
//! chunks, whose lock is taken once for hundreds of tasks; and by walking the chunks every task is
//! found, so that no task needs to be in a list.
//!
//! ```text
//!   Slab ── Shared ─┬─ arenas: [Arena] ──► Bins, for each size: the current chunk ──► a list of others with room
//!                   │                       ▲ call                ▲ alloc, free by the owner
//!                   └─ registry: all chunks ┴──────────── Chunk: header │ slot │ slot │ slot │ …
//!                                                           ▲ returns: frees by others
//! ```
//!
//! The parts: `size_class`, `pages`, `returns` (the word that others push to),
//! `chunk`, `calls` (how they call the owner), `bins` (the owner's lists),
//! `registry`.
//!
//! **The first word** of a slot is an `AtomicU64` that is 0 while the slot is vacant, so that a
//! visitor of [`Slab::for_each`] may read it at any time, and take a reference by an exchange where
//! it is not 0. Who allocates stores something else with Release once the task is whole, and 0
//! again just before it frees. A slot that the visitor took a reference to stays out, and with it
//! its chunk.
//!
//! **The end.** A slab that is [abandoned](Slab::abandon) leaves each chunk to who frees its last
//! slot. Until then the chunk keeps alive what the frees still touch.
//!
//! Rejected: malloc with a sharded list of all tasks, which pays a lock or an atomic on spawn and
//! on completion and keeps the burst's memory in its heap; one free list for all workers; moving a
//! task's memory with its task to the thief, since a task is freed once and a push is cheaper than
//! any bookkeeping of moves.

use std::any::Any;
use std::cell::Cell;
use std::fmt;
use std::ptr::NonNull;
use std::sync::Arc;

mod bins;
mod calls;
mod chunk;
mod pages;
mod registry;
mod returns;
mod size_class;

use bins::Bins;
use chunk::Chunk;
use registry::Registry;
pub(crate) use registry::Trim;
pub(crate) use size_class::MAX_SIZE;
use size_class::class_of;

#[cfg(all(test, not(loom)))]
mod tests;

/// The memory of a scheduler's tasks. `C`, the cookie, is a thin copyable value that can be read
/// from any slot.
///
/// Dropped without having been [abandoned](Self::abandon) it gives everything back if all slots are
/// free; else it leaks, so that a late free stays sound.
pub(crate) struct Slab<C: Copy>(NonNull<Shared<C>>);

/// What all slots of a slab reach.
pub(super) struct Shared<C> {
    cookie: C,
    arenas: Box<[Arena<C>]>,
    registry: Registry<C>,
}

/// A worker slot's share of a slab.
///
/// One thread at a time owns it, that is, allocates from it and names it as `here` when it frees;
/// ownership passes from one thread to the next with a happens-before edge, which is the
/// scheduler's affair.
pub(crate) struct Arena<C> {
    /// Built by the first allocation. Owner only; others learn the address from a chunk.
    bins: Cell<Option<NonNull<Bins<C>>>>,
}

// SAFETY: the slab's own parts are atomics, locked, or for the owner of an arena, of which the
// unsafe functions demand that there is one thread. The cookie is only read through `cookie`, whose
// caller answers for what it does with it.
unsafe impl<C: Copy> Send for Slab<C> {}
// SAFETY: as above.
unsafe impl<C: Copy> Sync for Slab<C> {}

impl<C: Copy> Slab<C> {
    /// An empty slab. An arena is a pointer until it is used.
    pub(crate) fn new(arenas: usize, cookie: C) -> Self {
        let arenas = (0..arenas)
            .map(|_| Arena {
                bins: Cell::new(None),
            })
            .collect();
        let shared = Box::new(Shared {
            cookie,
            arenas,
            registry: Registry::new(),
        });
        Self(NonNull::from(Box::leak(shared)))
    }

    /// The arena of worker slot `i`; its address is the same as long as the slab.
    ///
    /// # Panics
    ///
    /// Panics if there is no arena `i`.
    #[inline]
    pub(crate) fn arena(&self, i: usize) -> &Arena<C> {
        &self.shared().arenas[i]
    }

    /// Takes a slot of at least `size` bytes from arena `i`, aligned to 16. Its first word is 0.
    ///
    /// The pointer reaches the whole chunk; one that was narrowed by a reference on the way must
    /// not come back to [`free`](Self::free).
    ///
    /// # Safety
    ///
    /// The calling thread is the arena's only owner now, and the slab is not abandoned.
    ///
    /// # Panics
    ///
    /// Panics if `size` is beyond [`MAX_SIZE`], or there is no arena `i`.
    #[inline]
    pub(crate) unsafe fn alloc(&self, i: usize, size: usize) -> NonNull<u8> {
        let class = class_of(size);
        if let Some(bins) = self.arena(i).bins.get() {
            // SAFETY: the bins are built once, and live as long as the slab.
            if let Some(slot) = unsafe { bins.as_ref() }.pop(class) {
                return slot;
            }
        }
        self.alloc_slow(i, class)
    }

    /// Called by the owner of arena `i`.
    #[cold]
    #[inline(never)]
    fn alloc_slow(&self, i: usize, class: usize) -> NonNull<u8> {
        let arena = self.arena(i);
        let bins = arena
            .bins
            .get()
            .unwrap_or_else(|| NonNull::from(Box::leak(Box::new(Bins::new()))));
        arena.bins.set(Some(bins));
        let fresh = || {
            let shared = self.shared();
            shared.registry.add(|block| {
                let (cookie, index) = (shared.cookie, i as u32);
                // SAFETY: the registry gives the block away; the slab outlives its chunks.
                unsafe {
                    Chunk::init(
                        block,
                        class,
                        cookie,
                        index,
                        self.0,
                        NonNull::from(arena),
                        bins,
                    )
                }
            })
        };
        // SAFETY: as in `alloc`.
        unsafe { bins.as_ref() }.refill(class, fresh)
    }

    /// Frees a slot, from any thread. It and the slab may be gone afterwards.
    ///
    /// The owner's frees are seen by its next allocations at once, those of others when it runs
    /// out. What the freeing thread did with the slot happens before it is allocated anew.
    ///
    /// # Safety
    ///
    /// `slot` is from [`alloc`](Self::alloc) of some `Slab<C>`, its first word is 0, and nobody
    /// uses it any more. `here` is the arena that the calling thread owns now, or null; null if the
    /// slab is abandoned.
    #[inline]
    pub(crate) unsafe fn free(slot: NonNull<u8>, here: *const Arena<C>) {
        // SAFETY: by contract, here and below.
        unsafe {
            let chunk = Chunk::<C>::of(slot);
            if chunk.arena().as_ptr().cast_const() == here {
                if chunk.put(slot) {
                    chunk.bins().as_ref().attend(chunk);
                }
            } else if chunk.give_back(slot) {
                Self::free_abandoned(chunk);
            }
        }
    }

    /// Frees a chunk after its last slot, when it has no owner.
    #[cold]
    fn free_abandoned(chunk: Chunk<C>) {
        let keep = chunk.take_keep();
        release(chunk);
        // Last: the slab itself may go with it, and whatever else hangs on it.
        drop(keep);
    }

    /// The cookie of the slab that a slot is from.
    ///
    /// # Safety
    ///
    /// `slot` is from [`alloc`](Self::alloc) of some `Slab<C>`, and not freed.
    #[inline]
    pub(crate) unsafe fn cookie(slot: NonNull<u8>) -> C {
        // SAFETY: by contract.
        unsafe { Chunk::<C>::of(slot) }.cookie()
    }

    /// The index of the arena that a slot is from.
    ///
    /// # Safety
    ///
    /// As [`cookie`](Self::cookie).
    #[inline]
    #[cfg(all(test, not(loom)))]
    pub(crate) unsafe fn slot_arena(slot: NonNull<u8>) -> u32 {
        // SAFETY: by contract.
        unsafe { Chunk::<C>::of(slot) }.index()
    }

    /// Calls `f` with every slot that was ever handed out and whose chunk still exists, vacant or
    /// not, in no order.
    ///
    /// Of a slot it may read the first word, and nothing more unless that word lets it take a
    /// reference. Allocations and frees go on meanwhile, also by `f` itself: no lock is held. What
    /// is allocated after the call began may be missed. Memory that becomes free meanwhile is kept
    /// until the walk is over.
    pub(crate) fn for_each(&self, f: &mut dyn FnMut(NonNull<u8>)) {
        for chunk in self.shared().registry.visit().chunks() {
            chunk.visit(f);
        }
    }

    /// Gives memory back that became free without the owner's noticing, as far as that takes little
    /// time; for an owner about to be idle.
    ///
    /// `true`: it did find some, and calling again may find more.
    ///
    /// # Safety
    ///
    /// The calling thread is the only owner of arena `i` now, and the slab is not abandoned.
    pub(crate) unsafe fn collect(&self, i: usize) -> bool {
        // SAFETY: as in `alloc`.
        self.arena(i)
            .bins
            .get()
            .is_some_and(|bins| unsafe { bins.as_ref() }.collect())
    }

    /// Gives memory back that no task is in, to the system. `true`: there is more. For a thread
    /// that has the time, for it may take milliseconds; nobody waits for it meanwhile.
    pub(crate) fn trim(&self, which: Trim) -> bool {
        self.shared().registry.trim(which)
    }

    /// Chunks in use, and blocks kept for the next ones, of 64 KiB each.
    pub(crate) fn chunks(&self) -> (usize, usize) {
        self.shared().registry.counts()
    }

    /// Ends the slab: chunks without a slot out are released at once, each other one when its last
    /// slot is freed, by whatever thread.
    ///
    /// Until then each of these holds a clone of `keep`, which is dropped after everything else. A
    /// second call does nothing.
    ///
    /// # Safety
    ///
    /// No arena has an owner any more: nobody allocates or collects, and later frees name null as
    /// `here`; what owners did happens before. `keep` keeps alive what the cookie points to as far
    /// as tasks use it, and this slab itself.
    pub(crate) unsafe fn abandon(&self, keep: Arc<dyn Any + Send + Sync>) {
        self.shared().registry.close(|chunk| {
            // SAFETY: by contract; a registry is closed once.
            let done = unsafe { chunk.abandon(Some(Arc::clone(&keep))) };
            if done {
                // Never the last one, since we hold `keep`.
                drop(chunk.take_keep());
            }
            done
        });
    }

    fn shared(&self) -> &Shared<C> {
        // SAFETY: made by `new`, freed by `drop`.
        unsafe { self.0.as_ref() }
    }
}

/// Gives back a chunk that no slot is out of, and that is the caller's to free.
fn release<C: Copy>(chunk: Chunk<C>) {
    // SAFETY: the slab outlives its chunks; the chunk is in its registry.
    unsafe { chunk.shared().as_ref().registry.remove(chunk) };
}

impl<C: Copy> Drop for Slab<C> {
    fn drop(&mut self) {
        let shared = self.shared();
        // SAFETY: that we have `&mut self` means that no arena has an owner; a registry is closed
        // once.
        let left = shared
            .registry
            .close(|chunk| unsafe { chunk.abandon(None) });
        // What is left has slots out, without anything to keep the slab for them: their frees need
        // it, so that it has to stay. An abandoned slab is only dropped when there is nothing left,
        // by the contract of `abandon`, and is closed already.
        if left == 0 {
            // SAFETY: no slot, no chunk, and no owner is left to use it.
            drop(unsafe { Box::from_raw(self.0.as_ptr()) });
        }
    }
}

impl<C> Drop for Arena<C> {
    fn drop(&mut self) {
        if let Some(bins) = self.bins.get() {
            // SAFETY: made by `alloc_slow`; the slab goes, and so no chunk is left that knows them.
            drop(unsafe { Box::from_raw(bins.as_ptr()) });
        }
    }
}

impl<C: Copy> fmt::Debug for Slab<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (chunks, spare) = self.chunks();
        f.debug_struct("Slab")
            .field("arenas", &self.shared().arenas.len())
            .field("chunks", &chunks)
            .field("spare", &spare)
            .finish()
    }
}

impl<C> fmt::Debug for Arena<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Arena")
            .field("used", &self.bins.get().is_some())
            .finish()
    }
}
