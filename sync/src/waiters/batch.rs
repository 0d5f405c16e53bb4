//! ⚠ Wakers on their way from the queue to being called.
//!
//! They are collected under the lock and called after it. Most often there is one, so that the room
//! for the others is not even zeroed.
//!
//! Invariant: exactly the places from `first` to `len` hold a waker.

use std::any::Any;
use std::fmt;
use std::mem::MaybeUninit;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::task::Waker;

use crate::primitive::WAKE_BATCH;

/// Some wakers, oldest first.
///
/// A waker that panics does not keep the others from being called: the first panic is carried on
/// when all is done.
pub(crate) struct Batch {
    wakers: [MaybeUninit<Waker>; WAKE_BATCH],
    first: usize,
    len: usize,
    panic: Option<Box<dyn Any + Send>>,
}

impl Default for Batch {
    #[inline]
    fn default() -> Self {
        Self {
            wakers: [const { MaybeUninit::uninit() }; WAKE_BATCH],
            first: 0,
            len: 0,
            panic: None,
        }
    }
}

impl Batch {
    /// Whether it has to be [called](Self::wake) before more goes in.
    #[inline]
    pub(crate) fn is_full(&self) -> bool {
        self.len == WAKE_BATCH
    }

    /// How many wakers are in it.
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// Calls all wakers, oldest first, and empties the batch. No lock may be held.
    pub(crate) fn wake(&mut self) {
        while let Some(waker) = self.take_first() {
            if let Err(panic) = catch_unwind(AssertUnwindSafe(|| waker.wake())) {
                self.panic.get_or_insert(panic);
            }
        }
        (self.first, self.len) = (0, 0);
    }

    #[inline]
    fn take_first(&mut self) -> Option<Waker> {
        if self.first == self.len {
            return None;
        }
        let place = &self.wakers[self.first];
        self.first += 1;
        // SAFETY: it held a waker, by the invariant, and from now on it counts as empty.
        Some(unsafe { place.assume_init_read() })
    }

    /// Carries on the first panic of a waker, if there was one. Not by value, which would be a copy
    /// of half a kilobyte.
    #[inline]
    pub(crate) fn finish(&mut self) {
        if let Some(panic) = self.panic.take() {
            resume_unwind(panic);
        }
    }
}

impl Extend<Waker> for Batch {
    #[inline]
    fn extend<I: IntoIterator<Item = Waker>>(&mut self, wakers: I) {
        for waker in wakers {
            self.wakers[self.len].write(waker);
            self.len += 1;
        }
    }
}

impl Drop for Batch {
    #[inline]
    fn drop(&mut self) {
        while let Some(waker) = self.take_first() {
            drop(waker);
        }
    }
}

impl fmt::Debug for Batch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Batch")
            .field("len", &self.len)
            .finish_non_exhaustive()
    }
}
