//! ⚠ Who holds a group: its handles, which are the [`Group`](super::Group) and its spawners, and
//! its members.
//!
//! An `Arc` would count them in a word of its own, so that a member would take two atomic
//! operations where it begins and two where it ends, on two words that all workers write. Here they
//! are counted beside what runs, in [`Word`](super::word::Word), in the same step.
//!
//! A member's future carries it as a [`Seat`], one word: what a member adds to the future decides
//! which slot of the slab the task gets, and a word more took a third more memory for the smallest
//! tasks. So the marks of a seat are in the pointer, and the group finds the waker of a member by
//! where its seat is.
//!
//! Invariant, which the SAFETY comments cite: each [`Handle`], each [`Member`], and each [`Seat`]
//! that has not [`LEFT`] is one of the word's holders, and the group is freed by the one that gave
//! up the last, after that; nobody else touches it.

use std::mem;
use std::ops::Deref;
use std::ptr::NonNull;
use std::task::Waker;

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
        if self.is_gated() {
            return None;
        }
        let entered = self.word.enter();
        let member = Member(self.0);
        match entered {
            true => Some(member),
            false => member.turn_back(),
        }
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
    /// The member has ended so; `place` is where its waker is, if it has ever waited.
    #[inline]
    pub(super) fn end(self, place: Option<Place>, outcome: Outcome<E>) {
        let left = match (place, &outcome) {
            (None, Outcome::Ok) => self.leave(),
            _ => Some(self),
        };
        if let Some(member) = left {
            member.end_told(place, outcome);
        }
    }

    /// Ends it well, in one step, unless somebody has to be told: then it comes back, and is still
    /// to end. It has never waited.
    #[inline]
    fn leave(self) -> Option<Self> {
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

    /// There was something in the way: the place goes back.
    #[cold]
    fn turn_back(self) -> Option<Self> {
        self.end_told(None, Outcome::Ok);
        None
    }

    /// Ends it where somebody has to be told. The drop of this one is what lets go, also if a waker
    /// panics.
    #[inline(never)]
    fn end_told(self, place: Option<Place>, outcome: Outcome<E>) {
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

/// A member inside its future, which does not move once it is polled.
///
/// Dropped before it is taken, it ends the member as one that was dropped.
pub(super) struct Seat<E>(NonNull<Shared<E>>);

/// The group has the member's waker. In the address, whose low bits the alignment leaves free.
const WAITED: usize = 1;
/// The member has been taken.
const LEFT: usize = 1 << 1;
const MARKS: usize = WAITED | LEFT;

// SAFETY: as for `Handle`.
unsafe impl<E> Send for Seat<E> where Shared<E>: Send + Sync {}
// SAFETY: as for `Handle`.
unsafe impl<E> Sync for Seat<E> where Shared<E>: Send + Sync {}

impl<E> Seat<E> {
    #[inline]
    pub(super) fn new(member: Member<E>) -> Self {
        const { assert!(align_of::<Shared<E>>() > MARKS) };
        let shared = member.0;
        // The seat is the holder from now on.
        mem::forget(member);
        Self(shared)
    }

    #[inline]
    fn has(&self, mark: usize) -> bool {
        self.0.addr().get() & mark != 0
    }

    #[inline]
    fn mark(&mut self, mark: usize) {
        self.0 = self.0.map_addr(|address| address | mark);
    }

    #[inline]
    fn shared(&self) -> NonNull<Shared<E>> {
        let shared = self.0.as_ptr().map_addr(|address| address & !MARKS);
        // SAFETY: only marks have been added to a pointer that is not null.
        unsafe { NonNull::new_unchecked(shared) }
    }

    /// # Panics
    ///
    /// If it has been taken.
    #[inline]
    pub(super) fn group(&self) -> &Shared<E> {
        assert!(!self.has(LEFT), "a member is polled until it ends");
        // SAFETY: it has not left, so it is a holder, and the group is there.
        unsafe { self.shared().as_ref() }
    }

    /// Leaves the waker where the group finds it; once is enough, as a task has one waker all its
    /// life. Says no if the group has given up.
    #[inline]
    pub(super) fn waits(&mut self, waker: &Waker) -> bool {
        if !self.has(WAITED) && self.group().enter(Place::of(self), waker) {
            self.mark(WAITED);
        }
        self.has(WAITED)
    }

    /// The member, which is to end, and where its waker is, if it has ever waited. `None` the
    /// second time.
    #[inline]
    pub(super) fn take(&mut self) -> Option<(Member<E>, Option<Place>)> {
        if self.has(LEFT) {
            return None;
        }
        let place = self.has(WAITED).then(|| Place::of(self));
        self.mark(LEFT);
        Some((Member(self.shared()), place))
    }
}

impl<E> Drop for Seat<E> {
    #[inline]
    fn drop(&mut self) {
        if let Some((member, place)) = self.take() {
            member.end(place, Outcome::Dropped);
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
