//! ⚠ A place in the queue, as its owner sees it: the future that waits.
//!
//! The invariants are those of [`super`].

use std::fmt;
use std::pin::Pin;
use std::ptr::{self, NonNull};
use std::task::{Context, Poll, Waker};

use runtime::leaks::trial::{self, On};

use super::queue::Node;
use super::{Locked, Ticket, Waiters};
use crate::primitive::atomic::Ordering;

/// A place in the queue; part of the future that waits.
pub(crate) struct Waiter<'a, S, T> {
    waiters: &'a Waiters<S, T>,
    node: Node<T>,
}

/// Not in the queue: never was, or has withdrawn.
pub(super) const IDLE: u8 = 0;
/// In the queue.
pub(super) const WAITING: u8 = 1;
/// Taken out by somebody else, whose waker call follows.
pub(super) const NOTIFIED: u8 = 2;

// SAFETY: what the node shares with others is touched under the lock (1) or atomic; the note moves
// with the waiter, hence `T: Send`.
unsafe impl<S: Send, T: Send> Send for Waiter<'_, S, T> {}
// SAFETY: through `&Waiter` only the atomic status can be read.
unsafe impl<S: Send, T: Send> Sync for Waiter<'_, S, T> {}

/// What a waiter was when it [withdrew](Waiter::withdraw).
#[derive(Debug)]
#[must_use = "a notification may have to be passed on, and the waker dropped after the lock"]
pub(crate) enum Withdrawn {
    /// Never in the queue.
    Idle,
    /// In the queue, with this ticket, and now no longer. The waker is to be dropped after the
    /// lock.
    Waiting(
        Ticket,
        #[expect(dead_code, reason = "kept only to be dropped in the right place")] Waker,
    ),
    /// Notified before; where a notification is meant for one, it has to go to the next.
    Notified,
}

impl<'a, S, T> Waiter<'a, S, T> {
    /// A waiter that does not wait yet.
    #[inline]
    pub(crate) fn new(waiters: &'a Waiters<S, T>, note: T) -> Self {
        Self {
            waiters,
            node: Node::new(note),
        }
    }

    /// Whether it has never queued up, or has withdrawn.
    #[inline]
    pub(crate) fn is_idle(&self) -> bool {
        self.status() == IDLE
    }

    /// Whether it is in the queue; another thread may take it out the next moment, but only its
    /// owner puts it in.
    #[inline]
    pub(crate) fn is_waiting(&self) -> bool {
        self.status() == WAITING
    }

    /// Whether somebody has taken it out of the queue.
    #[inline]
    pub(crate) fn is_notified(&self) -> bool {
        self.status() == NOTIFIED
    }

    /// What the note says now; `None` while in the queue, where others may change it.
    pub(crate) fn note(&self) -> Option<T>
    where
        T: Copy,
    {
        if self.is_waiting() {
            return None;
        }
        // SAFETY: not in the queue, where nobody else finds it (2), and only its owner puts it
        // there; who took it out was done with it when the status said so (4).
        Some(unsafe { self.node.links.with(|links| (*links).note) })
    }

    /// Takes its place at the front again, for one that was notified and found nothing left. The
    /// note is `note` from now on.
    ///
    /// # Panics
    ///
    /// If it has not been notified, or the lock is another queue's.
    pub(crate) fn requeue(
        self: Pin<&mut Self>,
        locked: &mut Locked<'_, S, T>,
        waker: Waker,
        note: T,
    ) {
        assert!(
            ptr::eq(self.waiters, locked.waiters),
            "the lock belongs to another queue"
        );
        assert!(self.is_notified(), "only who was notified may come back");
        // SAFETY: notified, so in no queue (2), and nobody but us touches it (4).
        unsafe { self.node.links.with_mut(|links| (*links).note = note) };
        let node = NonNull::from(&self.node);
        // SAFETY: the lock is held; the waiter is pinned and, as its status says, has been taken
        // out of the queue (2).
        unsafe { locked.queue_mut().push_front(node, waker) };
        // Relaxed: whoever takes the node out holds the lock that we hold now.
        self.node.status.store(WAITING, Ordering::Relaxed);
    }

    /// Forgets that it was notified, so that it may queue up anew.
    ///
    /// # Panics
    ///
    /// If it is in the queue.
    pub(crate) fn reset(self: Pin<&mut Self>) {
        assert!(!self.is_waiting(), "the waiter is in the queue");
        // Relaxed: only its owner looks at a waiter outside the queue.
        self.node.status.store(IDLE, Ordering::Relaxed);
    }

    /// Queues up, at the back.
    ///
    /// # Panics
    ///
    /// If it waits already, or the lock is another queue's.
    pub(crate) fn enqueue(self: Pin<&mut Self>, locked: &mut Locked<'_, S, T>, waker: Waker) {
        assert!(
            ptr::eq(self.waiters, locked.waiters),
            "the lock belongs to another queue"
        );
        assert!(self.is_idle(), "the waiter is in the queue already");
        let node = NonNull::from(&self.node);
        // SAFETY: the lock is held; the waiter is pinned and, being idle, in no queue (2).
        unsafe { locked.queue_mut().push_back(node, waker) };
        // Relaxed: whoever takes the node out holds the lock that we hold now.
        self.node.status.store(WAITING, Ordering::Relaxed);
    }

    /// Ready once notified. While it waits it makes sure that the waker to be called is that of
    /// `cx`.
    ///
    /// # Panics
    ///
    /// If it has not queued up: nobody would ever wake it.
    pub(crate) fn poll_notified(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let mut fresh = None;
        loop {
            match self.status() {
                NOTIFIED => return Poll::Ready(()),
                WAITING => {}
                _ => panic!("the waiter has not queued up"),
            }
            let locked = self.waiters.lock();
            if self.status() != WAITING {
                continue;
            }
            // SAFETY: the lock is held, and the node is in the queue, so its waker is there (5).
            let old = unsafe {
                (self.node).with_place(|place| exchange(&mut place.waker, &mut fresh, cx))
            };
            drop(locked);
            match old {
                Exchange::Done(_unused) => return Poll::Pending,
                Exchange::NeedsClone => fresh = Some(cx.waker().clone()),
            }
        }
    }

    /// Leaves the queue, as a future does that is dropped.
    ///
    /// # Panics
    ///
    /// If the lock is another queue's.
    pub(crate) fn withdraw(self: Pin<&mut Self>, locked: &mut Locked<'_, S, T>) -> Withdrawn {
        assert!(
            ptr::eq(self.waiters, locked.waiters),
            "the lock belongs to another queue"
        );
        self.leave(locked)
    }

    fn leave(&self, locked: &mut Locked<'_, S, T>) -> Withdrawn {
        match self.status() {
            IDLE => Withdrawn::Idle,
            NOTIFIED => Withdrawn::Notified,
            _ => {
                // SAFETY: the lock is held and, as the status says (2), the node is in the queue.
                let ticket = Ticket(unsafe { self.node.ticket() });
                let node = NonNull::from(&self.node);
                // SAFETY: as above.
                let waker = unsafe { locked.queue_mut().unlink(node) };
                // Relaxed: only the owner looks at it from now on.
                self.node.status.store(IDLE, Ordering::Relaxed);
                if trial::is_on() {
                    let queue = ptr::from_ref(self.waiters).addr();
                    trial::waker(&waker, ptr::from_ref(&self.node).addr(), On::At(queue));
                }
                Withdrawn::Waiting(ticket, waker)
            }
        }
    }

    /// `Acquire`: pairs with the `Release` in [`Locked::take_front`].
    #[inline]
    fn status(&self) -> u8 {
        self.node.status.load(Ordering::Acquire)
    }
}

impl<S, T> Drop for Waiter<'_, S, T> {
    /// Keeps invariant 3 whatever the primitive does; it will have withdrawn before if it has
    /// anything to put right.
    #[inline]
    fn drop(&mut self) {
        if self.is_waiting() {
            self.drop_slow();
        }
    }
}

impl<S, T> Waiter<'_, S, T> {
    #[cold]
    fn drop_slow(&self) {
        let mut locked = self.waiters.lock();
        let withdrawn = self.leave(&mut locked);
        drop(locked);
        drop(withdrawn);
    }
}

impl<S, T> fmt::Debug for Waiter<'_, S, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let status = match self.status() {
            IDLE => "idle",
            WAITING => "waiting",
            _ => "notified",
        };
        f.debug_struct("Waiter")
            .field("status", &status)
            .finish_non_exhaustive()
    }
}

enum Exchange {
    /// The right waker is in place; here is the one that is not, to be dropped after the lock.
    Done(Option<Waker>),
    /// The waker in place is another one, and a clone of the right one has to be brought.
    NeedsClone,
}

fn exchange(stored: &mut Waker, fresh: &mut Option<Waker>, cx: &Context<'_>) -> Exchange {
    if stored.will_wake(cx.waker()) {
        return Exchange::Done(fresh.take());
    }
    match fresh.take() {
        Some(fresh) => Exchange::Done(Some(std::mem::replace(stored, fresh))),
        None => Exchange::NeedsClone,
    }
}
