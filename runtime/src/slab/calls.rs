//! ⚠ The queue through which other threads call an arena's owner to a chunk.
//!
//! A stack: others push one chunk at a time, the owner takes all of it, so that a pop never races
//! with a push of the same chunk (no ABA). A chunk is on it at most once: only who claimed a call
//! pushes, and the owner asks for the next one after it took the chunk.

use std::fmt;
use std::marker::PhantomData;
use std::ptr;

use super::chunk::Chunk;
use crate::primitive::atomic::AtomicPtr;
use crate::primitive::atomic::Ordering::{Acquire, Relaxed, Release};
use crate::primitive::guess;

/// The queue; there is one an arena, for all sizes, so that the owner has one place to look at.
pub(super) struct Calls<C> {
    top: AtomicPtr<()>,
    chunks: PhantomData<Chunk<C>>,
}

impl<C: Copy> Calls<C> {
    pub(super) fn new() -> Self {
        Self {
            top: AtomicPtr::new(ptr::null_mut()),
            chunks: PhantomData,
        }
    }

    /// For any thread, as a hint; for the owner, whatever happened before is on it.
    pub(super) fn is_empty(&self) -> bool {
        // Relaxed: `take` is what acquires.
        self.top.load(Relaxed).is_null()
    }

    /// Queues a chunk whose call the caller has claimed, and one of whose slots it has out.
    ///
    /// *Memory ordering*: Release pairs with `take`, for the chunk's link.
    pub(super) fn push(&self, chunk: Chunk<C>) {
        // Relaxed: nothing is read through it here.
        let mut top = guess!(self.top, ptr::null_mut());
        loop {
            // SAFETY: a chunk on the queue is mapped until the owner has taken it, and nobody looks
            // at the link before that. If the owner takes it now the exchange fails, and the link
            // is written anew.
            chunk.set_queued(unsafe { Chunk::from_raw(top) });
            match self
                .top
                .compare_exchange_weak(top, chunk.to_raw(), Release, Relaxed)
            {
                Ok(_) => return,
                Err(now) => top = now,
            }
        }
    }

    /// Takes all chunks. Owner only. Each may be released as soon as it was handed out; the
    /// iterator is past it.
    pub(super) fn take(&self) -> Taken<C> {
        if self.is_empty() {
            return Taken(None);
        }
        let top = self.top.swap(ptr::null_mut(), Acquire);
        // SAFETY: a queued chunk is mapped until the owner, which is the caller, releases it.
        Taken(unsafe { Chunk::from_raw(top) })
    }
}

impl<C> fmt::Debug for Calls<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Calls({:p})", self.top.load(Relaxed))
    }
}

/// The chunks that were taken; the owner goes through them to the end.
#[derive(Debug)]
pub(super) struct Taken<C>(Option<Chunk<C>>);

impl<C: Copy> Iterator for Taken<C> {
    type Item = Chunk<C>;

    fn next(&mut self) -> Option<Chunk<C>> {
        let chunk = self.0?;
        self.0 = chunk.called();
        Some(chunk)
    }
}
