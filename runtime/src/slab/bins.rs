//! The owner's side of an arena: for each slot size the chunk it allocates from and the others that
//! have room.
//!
//! A chunk moves between three places. *Current* is allocated from. When its list is empty and
//! nothing is left to carve it becomes *full*, which is to be in no list at all, with a request to
//! be called when a sixteenth of it has come back from other threads; if so many have come back
//! already, or the call comes, or the owner frees one itself, it is *listed*, at the end, with a
//! request to be called when everything has come back. The chunk at the front of the list becomes
//! current next: the longer a chunk waits, the more slots others return to it meanwhile, so that
//! owner and others meet at its word once a batch and not once a slot.
//!
//! A chunk that is not current and has no slot out is released at once: by the owner's free that
//! makes it so, or by the call. A call for everything counts on all slots coming back through
//! others; where the owner freed some itself the last of the others may pass without a call. Such
//! chunks are found when they come to the front, or by [`Bins::collect`], which looks at a few of
//! them each time.
//!
//! Everything but [`Bins::call`] is for the owner alone.
#![forbid(unsafe_code)]

use std::cell::Cell;
use std::fmt;
use std::ptr::NonNull;

use crossbeam_utils::CachePadded;

use super::calls::Calls;
use super::chunk::{Chunk, Standing};
use super::release;
use super::returns::Asked;
use super::size_class::CLASSES;

/// How many listed chunks of a size [`Bins::collect`] looks at. A guess.
const LOOKS: usize = 4;

/// All sizes of one arena.
pub(super) struct Bins<C> {
    bins: [Bin<C>; CLASSES],
    /// A bit for each class whose list has chunks, or had some when [`collect`](Self::collect) last
    /// looked at it: every sleep of a worker comes by, most find nothing, and the lists of all
    /// sizes are eighteen cache lines.
    listed: Cell<u64>,
    /// On a line of its own: others write it.
    calls: CachePadded<Calls<C>>,
}

/// One size.
struct Bin<C> {
    current: Cell<Option<Chunk<C>>>,
    first: Cell<Option<Chunk<C>>>,
    last: Cell<Option<Chunk<C>>>,
}

impl<C: Copy> Bins<C> {
    pub(super) fn new() -> Self {
        Self {
            bins: std::array::from_fn(|_| Bin::default()),
            listed: Cell::new(0),
            calls: CachePadded::new(Calls::new()),
        }
    }

    /// A slot of the current chunk's list.
    #[inline]
    pub(super) fn pop(&self, class: usize) -> Option<NonNull<u8>> {
        self.bins[class].current.get()?.pop()
    }

    /// A slot when the current chunk's list is empty; `fresh` makes a chunk.
    pub(super) fn refill(&self, class: usize, fresh: impl FnOnce() -> Chunk<C>) -> NonNull<u8> {
        let bin = &self.bins[class];
        let chunk = self.find_room(bin).unwrap_or_else(fresh);
        self.make_current(bin, chunk);
        chunk
            .pop()
            .or_else(|| chunk.carve().then(|| chunk.pop())?)
            .expect("a chunk with room has a slot")
    }

    fn find_room(&self, bin: &Bin<C>) -> Option<Chunk<C>> {
        let current = bin.current.get();
        if current.is_some_and(Chunk::carve) {
            return current;
        }
        self.answer_calls();
        while let Some(chunk) = bin.pop_front() {
            if chunk.has_free() || chunk.absorb() {
                return Some(chunk);
            }
            self.file(chunk);
        }
        // Last, so that its slots gather meanwhile.
        current.filter(|chunk| chunk.absorb())
    }

    fn make_current(&self, bin: &Bin<C>, chunk: Chunk<C>) {
        let before = bin.current.replace(Some(chunk));
        chunk.set_standing(Standing::Current);
        if let Some(before) = before.filter(|before| *before != chunk) {
            self.file(before);
        }
    }

    /// Finds the place of an unlisted chunk whose list is empty.
    fn file(&self, chunk: Chunk<C>) {
        chunk.set_standing(Standing::Full);
        match chunk.ask_for_some() {
            Asked::Yes | Asked::Called => {}
            Asked::There => self.list(chunk),
        }
    }

    /// Lists an unlisted chunk, or releases it.
    fn list(&self, chunk: Chunk<C>) {
        self.push_back(chunk);
        self.watch(chunk);
    }

    fn push_back(&self, chunk: Chunk<C>) {
        const { assert!(CLASSES <= u64::BITS as usize, "a bit a class") };
        self.listed.set(self.listed.get() | 1 << chunk.class());
        self.bins[chunk.class()].push_back(chunk);
    }

    /// Makes sure that a listed chunk is released when all of it has come back.
    fn watch(&self, chunk: Chunk<C>) {
        match chunk.ask_for_all() {
            Asked::Yes | Asked::Called => {}
            Asked::There => self.release(chunk),
        }
    }

    /// Releases a listed chunk that is idle and not queued.
    fn release(&self, chunk: Chunk<C>) {
        self.bins[chunk.class()].unlink(chunk);
        release(chunk);
    }

    /// After the owner freed a slot of a chunk that is not current and is full, or idle now.
    #[cold]
    pub(super) fn attend(&self, chunk: Chunk<C>) {
        if chunk.standing() == Standing::Full {
            self.push_back(chunk);
        }
        if !chunk.is_idle() {
            return;
        }
        if chunk.is_queued() {
            self.answer_calls();
        } else {
            self.release(chunk);
        }
    }

    /// Releases what can be released cheaply; for an owner that is about to be idle. `true`:
    /// something more may be found by calling again.
    pub(super) fn collect(&self) -> bool {
        self.answer_calls();
        let (mut more, mut classes) = (false, self.listed.get());
        while classes != 0 {
            let class = classes.trailing_zeros() as usize;
            classes &= classes - 1;
            more |= self.collect_class(class);
        }
        more
    }

    /// The same for one size.
    fn collect_class(&self, class: usize) -> bool {
        let (mut more, bin) = (false, &self.bins[class]);
        for _ in 0..LOOKS {
            let Some(chunk) = bin.first.get() else {
                self.listed.set(self.listed.get() & !(1 << class));
                break;
            };
            bin.unlink(chunk);
            bin.push_back(chunk);
            if chunk.is_idle() {
                more = true;
                self.attend(chunk);
            }
        }
        more
    }

    /// Queues a chunk. By another thread, which has claimed the call and has a slot of the chunk
    /// out.
    pub(super) fn call(&self, chunk: Chunk<C>) {
        self.calls.push(chunk);
    }

    fn answer_calls(&self) {
        for chunk in self.calls.take() {
            self.answer(chunk);
        }
    }

    /// Sees to a chunk just taken from the queue.
    fn answer(&self, chunk: Chunk<C>) {
        match chunk.standing() {
            Standing::Current => {}
            // The caller may not have pushed its slot yet.
            Standing::Full => self.file(chunk),
            Standing::Listed => self.watch(chunk),
        }
    }
}

impl<C: Copy> Bin<C> {
    fn push_back(&self, chunk: Chunk<C>) {
        chunk.set_standing(Standing::Listed);
        let last = self.last.replace(Some(chunk));
        chunk.previous().set(last);
        chunk.next().set(None);
        match last {
            Some(last) => last.next().set(Some(chunk)),
            None => self.first.set(Some(chunk)),
        }
    }

    fn pop_front(&self) -> Option<Chunk<C>> {
        let chunk = self.first.get()?;
        self.unlink(chunk);
        Some(chunk)
    }

    fn unlink(&self, chunk: Chunk<C>) {
        let (previous, next) = (chunk.previous().take(), chunk.next().take());
        match previous {
            Some(previous) => previous.next().set(next),
            None => self.first.set(next),
        }
        match next {
            Some(next) => next.previous().set(previous),
            None => self.last.set(previous),
        }
    }
}

impl<C> Default for Bin<C> {
    fn default() -> Self {
        Self {
            current: Cell::new(None),
            first: Cell::new(None),
            last: Cell::new(None),
        }
    }
}

impl<C> fmt::Debug for Bins<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Bins").finish_non_exhaustive()
    }
}
