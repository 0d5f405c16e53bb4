//! ⚠ Who holds a group: its handles, which are the [`Group`](super::Group) and its spawners, and its members.
//!
//! An `Arc` would count them in a word of its own, so that a member would take two atomic operations where it begins and two where it
//! ends, on two words that all workers write. Here they are counted beside what runs, in [`Word`](super::word::Word), in the same step.
//!
//! Invariant, which the SAFETY comments cite: each [`Handle`] and each [`Member`] is one of the word's holders, and the group is freed by
//! the one that gave up the last, after that; nobody else touches it.

use std::mem;
use std::ops::Deref;
use std::ptr::NonNull;

use super::members::Place;
use super::shared::{Outcome, Shared};

/// Keeps the group, as an `Arc` would.
pub(super) struct Handle<E>(NonNull<Shared<E>>);

// SAFETY: it is a reference to what threads may share, and any thread may free it.
unsafe impl<E> Send for Handle<E> where Shared<E>: Send + Sync {}
// SAFETY: as above.
unsafe impl<E> Sync for Handle<E> where Shared<E>: Send + Sync {}

impl<E> Handle<E> {
    /// The first, of a group that nobody has yet.
    pub(super) fn new(shared: Shared<E>) -> Self {
        Self(NonNull::from(Box::leak(Box::new(shared))))
    }

    /// A member with a place, where nothing is in the way.
    #[inline]
    pub(super) fn try_enter(&self) -> Option<Member<E>> {
        self.word.try_enter().then(|| Member(self.0))
    }

    /// A member for a place that the caller has taken.
    pub(super) fn admit(&self) -> Member<E> {
        if !self.word.hold() {
            self.end(None, Outcome::Ok);
            panic!("errgroup: too many members at a time; set a limit");
        }
        Member(self.0)
    }
}

impl<E> Deref for Handle<E> {
    type Target = Shared<E>;

    #[inline]
    fn deref(&self) -> &Shared<E> {
        // SAFETY: a handle is a holder, so it is there.
        unsafe { self.0.as_ref() }
    }
}

impl<E> Clone for Handle<E> {
    fn clone(&self) -> Self {
        assert!(
            self.word.hold(),
            "errgroup: too many members and spawners at a time"
        );
        Self(self.0)
    }
}

impl<E> Drop for Handle<E> {
    fn drop(&mut self) {
        if self.word.let_go() {
            // SAFETY: this was the last holder.
            unsafe { free(self.0) }
        }
    }
}

/// The place of a member, which is to [`end`](Self::end).
pub(super) struct Member<E>(NonNull<Shared<E>>);

// SAFETY: as for `Handle`.
unsafe impl<E> Send for Member<E> where Shared<E>: Send + Sync {}
// SAFETY: as for `Handle`.
unsafe impl<E> Sync for Member<E> where Shared<E>: Send + Sync {}

impl<E> Member<E> {
    /// Ends it well, in one step, unless somebody has to be told: then it comes back, and is still to end. It has never waited.
    #[inline]
    pub(super) fn leave(self) -> Option<Self> {
        let Some(last) = self.word.try_leave() else {
            return Some(self);
        };
        let shared = self.0;
        // It is a holder no more.
        mem::forget(self);
        if last {
            // SAFETY: it was the last.
            unsafe { free(shared) }
        }
        None
    }

    /// The member has ended so; `place` is where its waker is, if it has ever waited.
    pub(super) fn end(self, place: Option<Place>, outcome: Outcome<E>) {
        // The drop of this one is what lets go, also if a waker panics.
        self.end_slow(place, outcome);
    }
}

impl<E> Deref for Member<E> {
    type Target = Shared<E>;

    #[inline]
    fn deref(&self) -> &Shared<E> {
        // SAFETY: a member is a holder, so it is there.
        unsafe { self.0.as_ref() }
    }
}

impl<E> Drop for Member<E> {
    fn drop(&mut self) {
        if self.word.let_go() {
            // SAFETY: this was the last holder.
            unsafe { free(self.0) }
        }
    }
}

/// # Safety
///
/// There are no holders any more.
#[cold]
unsafe fn free<E>(shared: NonNull<Shared<E>>) {
    // SAFETY: it comes from a box, in `Handle::new`, and nobody has it any more.
    drop(unsafe { Box::from_raw(shared.as_ptr()) });
}
