//! ⚠ The links of the queue: what is in front of and behind a waiter, and where it stands.
//!
//! The invariants are those of [`super`].

use std::marker::PhantomPinned;
use std::mem::{ManuallyDrop, MaybeUninit};
use std::ptr::NonNull;
use std::task::Waker;

use super::waiter::IDLE;
use crate::primitive::UnsafeCell;
use crate::primitive::atomic::AtomicU8;

/// All that is under the lock.
pub(super) struct Queue<S, T> {
    pub(super) state: S,
    /// The one that has waited longest.
    pub(super) front: Option<NonNull<Node<T>>>,
    pub(super) back: Option<NonNull<Node<T>>>,
    pub(super) next_ticket: u64,
}

// SAFETY: the pointers lead to nodes inside `Waiter`s, which are `Send` for these `T`; they are
// followed only under the lock (1), and a `Waker` may be used from any thread.
unsafe impl<S: Send, T: Send> Send for Queue<S, T> {}
impl<S, T> Queue<S, T> {
    constant! {
        pub(super) const fn new(state: S) -> Self {
            Self {
                state,
                front: None,
                back: None,
                next_ticket: 0,
            }
        }
    }

    /// Puts a node that was taken out of the front back there, with the ticket that it had.
    ///
    /// # Safety
    ///
    /// The lock is held; `node` belongs to a pinned waiter of this queue, has been in it, and is in
    /// no queue.
    pub(super) unsafe fn push_front(&mut self, node: NonNull<Node<T>>, waker: Waker) {
        let next = self.front.replace(node);
        // SAFETY: by the caller, `node` is alive and the lock is held (1); it has been in the
        // queue, so it has a ticket (5).
        unsafe {
            let ticket = node.as_ref().ticket();
            node.as_ref().settle(None, next, ticket, waker);
        }
        match next {
            // SAFETY: `next` was the front of the queue, so it is alive (3), and the lock is held
            // (1).
            Some(next) => unsafe { next.as_ref().with_place(|place| place.prev = Some(node)) },
            None => self.back = Some(node),
        }
    }

    /// # Safety
    ///
    /// The lock is held; `node` belongs to a pinned waiter of this queue and is in no queue.
    pub(super) unsafe fn push_back(&mut self, node: NonNull<Node<T>>, waker: Waker) {
        let ticket = self.next_ticket;
        self.next_ticket += 1;
        let prev = self.back.replace(node);
        // SAFETY: by the caller, `node` is alive and the lock is held (1).
        unsafe { node.as_ref().settle(prev, None, ticket, waker) };
        match prev {
            // SAFETY: `prev` was the back of the queue, so it is alive (3), and the lock is held
            // (1).
            Some(prev) => unsafe { prev.as_ref().with_place(|place| place.next = Some(node)) },
            None => self.front = Some(node),
        }
    }

    /// Takes a node out and returns its waker.
    ///
    /// # Safety
    ///
    /// The lock is held and `node` is in this queue.
    pub(super) unsafe fn unlink(&mut self, node: NonNull<Node<T>>) -> Waker {
        // SAFETY: in the queue, so alive (3), and the lock is held (1). The waker is there (5), and
        // is taken once, as the node is out of the queue from now on.
        let (prev, next, waker) = unsafe {
            (node.as_ref()).with_place(|place| {
                let waker = ManuallyDrop::take(&mut place.waker);
                (place.prev, place.next, waker)
            })
        };
        match prev {
            // SAFETY: a neighbour of a node in the queue is in the queue, so alive (3), and the
            // lock is held (1).
            Some(prev) => unsafe { prev.as_ref().with_place(|place| place.next = next) },
            None => self.front = next,
        }
        match next {
            // SAFETY: as above.
            Some(next) => unsafe { next.as_ref().with_place(|place| place.prev = prev) },
            None => self.back = prev,
        }
        waker
    }
}

/// What of a waiter is linked.
pub(super) struct Node<T> {
    /// Under the lock (1).
    pub(super) links: UnsafeCell<Links<T>>,
    /// Atomic: [`IDLE`], [`WAITING`](super::waiter::WAITING) or
    /// [`NOTIFIED`](super::waiter::NOTIFIED); see the drawing in [`super`].
    pub(super) status: AtomicU8,
    _pinned: PhantomPinned,
}

pub(super) struct Links<T> {
    /// Not written before it first stands in the queue (5).
    place: MaybeUninit<Place<T>>,
    pub(super) note: T,
}

/// Where a node stands.
pub(super) struct Place<T> {
    prev: Option<NonNull<Node<T>>>,
    next: Option<NonNull<Node<T>>>,
    /// There exactly while the node is in the queue (5).
    pub(super) waker: ManuallyDrop<Waker>,
    ticket: u64,
}

impl<T> Node<T> {
    /// One that is in no queue.
    #[inline]
    pub(super) fn new(note: T) -> Self {
        Self {
            links: UnsafeCell::new(Links {
                place: MaybeUninit::uninit(),
                note,
            }),
            status: AtomicU8::new(IDLE),
            _pinned: PhantomPinned,
        }
    }

    /// Writes where it stands.
    ///
    /// # Safety
    ///
    /// The lock is held, and the node is in no queue, or only just linked from its neighbours.
    unsafe fn settle(
        &self,
        prev: Option<NonNull<Self>>,
        next: Option<NonNull<Self>>,
        ticket: u64,
        waker: Waker,
    ) {
        let place = Place {
            prev,
            next,
            waker: ManuallyDrop::new(waker),
            ticket,
        };
        // SAFETY: under the lock (1). What was there before has no waker any more (5).
        self.links.with_mut(|links| unsafe {
            (*links).place.write(place);
        });
    }

    /// Looks at where it stands, or changes it.
    ///
    /// # Safety
    ///
    /// The lock is held, and the node has been put into the queue at least once.
    pub(super) unsafe fn with_place<R>(&self, look: impl FnOnce(&mut Place<T>) -> R) -> R {
        // SAFETY: under the lock (1), and written, as it has been in the queue (5).
        self.links
            .with_mut(|links| look(unsafe { (*links).place.assume_init_mut() }))
    }

    /// # Safety
    ///
    /// As [`with_place`](Self::with_place).
    pub(super) unsafe fn ticket(&self) -> u64 {
        // SAFETY: the caller's promise.
        unsafe { self.with_place(|place| place.ticket) }
    }
}
