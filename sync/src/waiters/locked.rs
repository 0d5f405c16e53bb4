//! ⚠ What can be done to a queue of waiters under its lock, by those who wake.
//!
//! The invariants are those of [`super`].

use std::marker::PhantomData;
use std::ops::{Deref, DerefMut};
use std::ptr::NonNull;
use std::task::Waker;

use super::queue::{Node, Queue};
use super::waiter::NOTIFIED;
use super::{Batch, Ticket, Waiters};
use crate::primitive::Held;
use crate::primitive::atomic::Ordering;

/// The queue under its lock. Dereferences to the primitive's state.
pub(crate) struct Locked<'a, S, T> {
    pub(super) waiters: &'a Waiters<S, T>,
    _held: Held<'a>,
    /// What it stands for: unique access to the queue.
    _queue: PhantomData<&'a mut Queue<S, T>>,
}

impl<'a, S, T> Locked<'a, S, T> {
    pub(super) fn new(waiters: &'a Waiters<S, T>, held: Held<'a>) -> Self {
        Self {
            waiters,
            _held: held,
            _queue: PhantomData,
        }
    }

    /// Notifies and wakes those who arrived before `until`, oldest first. The lock is released to
    /// wake them, and for a moment between one batch and the next.
    ///
    /// Under the lock, `prepare` sees the note of each before it is notified, and `settle` the
    /// queue after each batch: there a primitive brings its state in line with it.
    pub(crate) fn wake_until(
        mut self,
        until: Ticket,
        mut prepare: impl FnMut(&mut T),
        mut settle: impl FnMut(&mut Self),
    ) {
        let waiters = self.waiters;
        let mut batch = Batch::default();
        loop {
            while self.is_before(until) && !batch.is_full() {
                self.front_mut().into_iter().for_each(&mut prepare);
                batch.extend(self.take_front());
            }
            settle(&mut self);
            let more = self.is_before(until);
            drop(self);
            batch.wake();
            if !more {
                return batch.finish();
            }
            self = waiters.lock();
        }
    }

    /// Notifies and wakes all who wait now, oldest first, as [`wake_until`](Self::wake_until) does.
    #[inline]
    pub(crate) fn wake_all(self) {
        if self.is_empty() {
            return;
        }
        let until = self.ticket();
        self.wake_until(until, |_| {}, |_| {});
    }

    fn queue(&self) -> &Queue<S, T> {
        // SAFETY: the lock is held (6), and the borrow of `self` keeps a unique reference away.
        self.waiters.queue.with(|queue| unsafe { &*queue })
    }

    pub(super) fn queue_mut(&mut self) -> &mut Queue<S, T> {
        // SAFETY: the lock is held (6), and the unique borrow of `self` keeps any other reference
        // away.
        self.waiters.queue.with_mut(|queue| unsafe { &mut *queue })
    }

    /// The ticket of the next to arrive: all who wait now are before it.
    pub(crate) fn ticket(&self) -> Ticket {
        Ticket(self.queue().next_ticket)
    }

    /// Whether nobody waits.
    pub(crate) fn is_empty(&self) -> bool {
        self.queue().front.is_none()
    }

    /// Whether exactly one waits.
    pub(crate) fn is_single(&self) -> bool {
        let queue = self.queue();
        queue.front.is_some() && queue.front == queue.back
    }

    /// The note of the one who has waited longest.
    pub(crate) fn front_mut(&mut self) -> Option<&mut T> {
        let front = self.queue().front?;
        // SAFETY: in the queue, so alive (3), and touched under the lock (1), which the returned
        // borrow of `self` keeps.
        unsafe {
            front
                .as_ref()
                .links
                .with_mut(|links| Some(&mut (*links).note))
        }
    }

    /// Notifies the one who has waited longest, and hands over its waker, to be woken once the lock
    /// is gone.
    #[must_use = "the waiter has to be woken"]
    pub(crate) fn take_front(&mut self) -> Option<Waker> {
        let front = self.queue().front?;
        // SAFETY: the front of the queue is in it.
        Some(unsafe { self.take(front) })
    }

    /// The note of the one who came last.
    pub(crate) fn back_mut(&mut self) -> Option<&mut T> {
        let back = self.queue().back?;
        // SAFETY: as in `front_mut`.
        unsafe { (back.as_ref().links).with_mut(|links| Some(&mut (*links).note)) }
    }

    /// Notifies the one who came last, as [`take_front`](Self::take_front) does the first.
    #[must_use = "the waiter has to be woken"]
    pub(crate) fn take_back(&mut self) -> Option<Waker> {
        let back = self.queue().back?;
        // SAFETY: the back of the queue is in it.
        Some(unsafe { self.take(back) })
    }

    /// Notifies one that waits.
    ///
    /// # Safety
    ///
    /// It is in this queue.
    unsafe fn take(&mut self, node: NonNull<Node<T>>) -> Waker {
        // SAFETY: it is in this queue, by the caller, and the lock is held.
        let waker = unsafe { self.queue_mut().unlink(node) };
        // SAFETY: nobody but us has turned it from `WAITING`, which takes the lock (2), so its
        // owner has not let it go (3). `Release`: pairs with the `Acquire` in `Waiter::status`, so
        // that the owner sees what happened before the notification; it is our last access (4).
        unsafe { node.as_ref().status.store(NOTIFIED, Ordering::Release) };
        waker
    }

    /// Notifies those who arrived before `until`, oldest first, as many as the batch has room for.
    /// Says whether some are left.
    pub(crate) fn take_until(&mut self, until: Ticket, batch: &mut Batch) -> bool {
        while self.is_before(until) {
            if batch.is_full() {
                return true;
            }
            batch.extend(self.take_front());
        }
        false
    }

    /// Whether the one who has waited longest arrived before `until`.
    pub(crate) fn is_before(&self, until: Ticket) -> bool {
        self.front_ticket().is_some_and(|front| front < until)
    }

    fn front_ticket(&self) -> Option<Ticket> {
        let front = self.queue().front?;
        // SAFETY: in the queue, so alive (3), and read under the lock (1).
        Some(Ticket(unsafe { front.as_ref().ticket() }))
    }
}

/// A queue whose state is the ticket of the next to arrive when all were called: those before it
/// are being woken, some at a time, and are in the queue only until the caller comes to them.
impl<T> Locked<'_, Ticket, T> {
    /// Whether the first in the queue has been called with all others, and is not to be taken for a
    /// later call.
    #[inline]
    pub(crate) fn is_called(&self) -> bool {
        self.is_before(**self)
    }

    /// Notifies those whom that caller has not come to yet, as it would. The lock is released to
    /// wake them; what is left of them is in the batch.
    pub(crate) fn pass_called(mut self, batch: &mut Batch) -> Self {
        let waiters = self.waiters;
        loop {
            let until = *self;
            if !self.take_until(until, batch) && !batch.is_full() {
                return self;
            }
            drop(self);
            batch.wake();
            self = waiters.lock();
        }
    }
}

impl<S, T> Deref for Locked<'_, S, T> {
    type Target = S;

    fn deref(&self) -> &S {
        &self.queue().state
    }
}

impl<S, T> DerefMut for Locked<'_, S, T> {
    fn deref_mut(&mut self) -> &mut S {
        &mut self.queue_mut().state
    }
}
