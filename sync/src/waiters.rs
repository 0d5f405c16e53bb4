//! ⚠ A queue of tasks that wait for one thing: first come, first served, without an allocation.
//!
//! The entry of a waiting task, a [`Waiter`], lies inside the future that waits, which is pinned, and links itself into the queue. (Go
//! does the same with its sudog.) A primitive puts its own state `S` under the queue's lock, so that "is there room? else queue up" is one
//! step, and may give each waiter a note `T`, such as how many permits it wants.
//!
//! ```text
//!   idle ──enqueue──► waiting ──take──► notified        Waiter::status
//!    ▲                   │
//!    └─────withdraw──────┘   (the future is dropped)
//!
//!   idle, notified ──finish──► finished                 (its owner has what it came for)
//! ```
//!
//! Who wants to wake somebody takes the lock, moves wakers from the front of the queue into a [`Batch`], unlocks, and only then calls them:
//! a waker is foreign code, so none is cloned, called or dropped under the lock. A batch has a bounded size; whoever is to be woken is
//! known by the [`Ticket`] drawn at the beginning, so that one who queues up between two batches is not woken for the old reason.
//!
//! Invariants, which the SAFETY comments cite:
//!
//! 1. `Node::links` is touched only under the lock of the `Waiters` that its `Waiter` refers to.
//! 2. A node is in the queue exactly while its status is `WAITING`, and status leaves `WAITING` only under the lock.
//! 3. A node in the queue is pinned, and leaves the queue before its memory goes: `Waiter::drop` sees to it.
//! 4. Storing `NOTIFIED` is the last access to a node by anyone but its owner, who may free it at once.
//! 5. `Links::place` is written when the node is put into the queue. From then on the ticket stays; the waker is there exactly while the
//!    node is in the queue.
//! 6. `Waiters::queue` is reached only through a [`Locked`], of which there is one at a time, since it holds the lock.
//!
//! Most operations never wait, but their future has a waiter in it all the same. So a new one is little: where it would stand in the queue
//! is not even written (5), and dropping one that does not wait is a look at its status.
//!
//! *Rejected*: a slab of wakers, which allocates and has to be kept in step with the futures; a lock-free queue, whose cancellation costs
//! more than this lock, which is taken only by those who wait or have somebody to wake.

use std::fmt;
use std::marker::{PhantomData, PhantomPinned};
use std::mem::{ManuallyDrop, MaybeUninit};
use std::ops::{Deref, DerefMut};
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::pin::Pin;
use std::ptr::{self, NonNull};
use std::task::{Context, Poll, Waker};

use runtime::leaks::trial::{self, On};

mod batch;
#[cfg(all(test, not(loom)))]
mod tests;

pub(crate) use batch::Batch;

use crate::primitive::atomic::{AtomicU8, Ordering};
use crate::primitive::{Held, Lock, UnsafeCell};

/// The queue, and beside it the state `S` of the primitive that it serves.
pub(crate) struct Waiters<S, T> {
    lock: Lock,
    /// Under `lock` (6).
    queue: UnsafeCell<Queue<S, T>>,
}

struct Queue<S, T> {
    state: S,
    /// The one that has waited longest.
    front: Option<NonNull<Node<T>>>,
    back: Option<NonNull<Node<T>>>,
    next_ticket: u64,
}

// SAFETY: the pointers lead to nodes inside `Waiter`s, which are `Send` for these `T`; they are followed only under the lock (1), and a
// `Waker` may be used from any thread.
unsafe impl<S: Send, T: Send> Send for Queue<S, T> {}
// SAFETY: threads that share it reach the queue one at a time (6), so it needs to be `Send` only.
unsafe impl<S: Send, T: Send> Sync for Waiters<S, T> {}

// Nothing foreign runs under the lock, so a panic leaves nothing half done.
impl<S, T> UnwindSafe for Waiters<S, T> {}
impl<S, T> RefUnwindSafe for Waiters<S, T> {}

/// Where a waiter stands in the order of arrival; 64 bits, so that it never wraps.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Ticket(u64);

impl Ticket {
    /// Nobody stands before this one.
    pub(crate) const FIRST: Self = Self(0);
}

impl<S, T> Waiters<S, T> {
    constant! {
        /// An empty queue.
        pub(crate) const fn new(state: S) -> Self {
            Self {
                lock: Lock::new(),
                queue: UnsafeCell::new(Queue {
                    state,
                    front: None,
                    back: None,
                    next_ticket: 0,
                }),
            }
        }
    }

    /// Locks the queue and the state with it.
    pub(crate) fn lock(&self) -> Locked<'_, S, T> {
        Locked {
            waiters: self,
            _held: self.lock.hold(),
            _queue: PhantomData,
        }
    }
}

impl<S, T> fmt::Debug for Waiters<S, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Waiters").finish_non_exhaustive()
    }
}

/// The queue under its lock. Dereferences to the primitive's state.
pub(crate) struct Locked<'a, S, T> {
    waiters: &'a Waiters<S, T>,
    _held: Held<'a>,
    /// What it stands for: unique access to the queue.
    _queue: PhantomData<&'a mut Queue<S, T>>,
}

impl<S, T> Locked<'_, S, T> {
    fn queue(&self) -> &Queue<S, T> {
        // SAFETY: the lock is held (6), and the borrow of `self` keeps a unique reference away.
        self.waiters.queue.with(|queue| unsafe { &*queue })
    }

    fn queue_mut(&mut self) -> &mut Queue<S, T> {
        // SAFETY: the lock is held (6), and the unique borrow of `self` keeps any other reference away.
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
        // SAFETY: in the queue, so alive (3), and touched under the lock (1), which the returned borrow of `self` keeps.
        unsafe {
            front
                .as_ref()
                .links
                .with_mut(|links| Some(&mut (*links).note))
        }
    }

    /// Notifies the one who has waited longest, and hands over its waker, to be woken once the lock is gone.
    #[must_use = "the waiter has to be woken"]
    pub(crate) fn take_front(&mut self) -> Option<Waker> {
        let queue = self.queue_mut();
        let front = queue.front?;
        // SAFETY: `front` is in this queue and the lock is held.
        let waker = unsafe { queue.unlink(front) };
        // SAFETY: nobody but us has turned it from `WAITING`, which takes the lock (2), so its owner has not let it go (3). `Release`:
        // pairs with the `Acquire` in `Waiter::status`, so that the owner sees what happened before the notification; it is our last
        // access (4).
        unsafe { front.as_ref().status.store(NOTIFIED, Ordering::Release) };
        Some(waker)
    }

    /// Notifies those who arrived before `until`, oldest first, as many as the batch has room for. Says whether some are left.
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

impl<S, T> Queue<S, T> {
    /// Puts a node that was taken out of the front back there, with the ticket that it had.
    ///
    /// # Safety
    ///
    /// The lock is held; `node` belongs to a pinned waiter of this queue, has been in it, and is in no queue.
    unsafe fn push_front(&mut self, node: NonNull<Node<T>>, waker: Waker) {
        let next = self.front.replace(node);
        // SAFETY: by the caller, `node` is alive and the lock is held (1); it has been in the queue, so it has a ticket (5).
        unsafe {
            let ticket = node.as_ref().ticket();
            node.as_ref().settle(None, next, ticket, waker);
        }
        match next {
            // SAFETY: `next` was the front of the queue, so it is alive (3), and the lock is held (1).
            Some(next) => unsafe { next.as_ref().with_place(|place| place.prev = Some(node)) },
            None => self.back = Some(node),
        }
    }

    /// # Safety
    ///
    /// The lock is held; `node` belongs to a pinned waiter of this queue and is in no queue.
    unsafe fn push_back(&mut self, node: NonNull<Node<T>>, waker: Waker) {
        let ticket = self.next_ticket;
        self.next_ticket += 1;
        let prev = self.back.replace(node);
        // SAFETY: by the caller, `node` is alive and the lock is held (1).
        unsafe { node.as_ref().settle(prev, None, ticket, waker) };
        match prev {
            // SAFETY: `prev` was the back of the queue, so it is alive (3), and the lock is held (1).
            Some(prev) => unsafe { prev.as_ref().with_place(|place| place.next = Some(node)) },
            None => self.front = Some(node),
        }
    }

    /// Takes a node out and returns its waker.
    ///
    /// # Safety
    ///
    /// The lock is held and `node` is in this queue.
    unsafe fn unlink(&mut self, node: NonNull<Node<T>>) -> Waker {
        // SAFETY: in the queue, so alive (3), and the lock is held (1). The waker is there (5), and is taken once, as the node is out of
        // the queue from now on.
        let (prev, next, waker) = unsafe {
            (node.as_ref()).with_place(|place| {
                let waker = ManuallyDrop::take(&mut place.waker);
                (place.prev, place.next, waker)
            })
        };
        match prev {
            // SAFETY: a neighbour of a node in the queue is in the queue, so alive (3), and the lock is held (1).
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

/// A place in the queue; part of the future that waits.
pub(crate) struct Waiter<'a, S, T> {
    waiters: &'a Waiters<S, T>,
    node: Node<T>,
}

struct Node<T> {
    /// Under the lock (1).
    links: UnsafeCell<Links<T>>,
    /// Atomic: [`IDLE`], [`WAITING`], [`NOTIFIED`] or [`FINISHED`]; see the drawing above.
    status: AtomicU8,
    _pinned: PhantomPinned,
}

struct Links<T> {
    /// Not written before it first stands in the queue (5).
    place: MaybeUninit<Place<T>>,
    note: T,
}

/// Where a node stands.
struct Place<T> {
    prev: Option<NonNull<Node<T>>>,
    next: Option<NonNull<Node<T>>>,
    /// There exactly while the node is in the queue (5).
    waker: ManuallyDrop<Waker>,
    ticket: u64,
}

impl<T> Node<T> {
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
    unsafe fn with_place<R>(&self, look: impl FnOnce(&mut Place<T>) -> R) -> R {
        // SAFETY: under the lock (1), and written, as it has been in the queue (5).
        self.links
            .with_mut(|links| look(unsafe { (*links).place.assume_init_mut() }))
    }

    /// # Safety
    ///
    /// As [`with_place`](Self::with_place).
    unsafe fn ticket(&self) -> u64 {
        // SAFETY: the caller's promise.
        unsafe { self.with_place(|place| place.ticket) }
    }
}

/// Not in the queue: never was, or has withdrawn.
const IDLE: u8 = 0;
/// In the queue.
const WAITING: u8 = 1;
/// Taken out by somebody else, whose waker call follows.
const NOTIFIED: u8 = 2;
/// Its owner has what it came for.
const FINISHED: u8 = 3;

// SAFETY: what the node shares with others is touched under the lock (1) or atomic; the note moves with the waiter, hence `T: Send`.
unsafe impl<S: Send, T: Send> Send for Waiter<'_, S, T> {}
// SAFETY: through `&Waiter` only the atomic status can be read.
unsafe impl<S: Send, T: Send> Sync for Waiter<'_, S, T> {}

/// What a waiter was when it [withdrew](Waiter::withdraw).
#[derive(Debug)]
#[must_use = "a notification may have to be passed on, and the waker dropped after the lock"]
pub(crate) enum Withdrawn {
    /// Never in the queue.
    Idle,
    /// In the queue, with this ticket, and now no longer. The waker is to be dropped after the lock.
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
            node: Node {
                links: UnsafeCell::new(Links {
                    place: MaybeUninit::uninit(),
                    note,
                }),
                status: AtomicU8::new(IDLE),
                _pinned: PhantomPinned,
            },
        }
    }

    /// Whether it has never queued up, or has withdrawn.
    #[inline]
    pub(crate) fn is_idle(&self) -> bool {
        self.status() == IDLE
    }

    /// Whether it is in the queue; another thread may take it out the next moment, but only its owner puts it in.
    #[inline]
    pub(crate) fn is_waiting(&self) -> bool {
        self.status() == WAITING
    }

    /// Whether it is in the queue, or has been taken out of it by somebody whose call its owner has not followed yet. If so, its owner has
    /// something to put right when it goes away.
    #[inline]
    pub(crate) fn is_under_way(&self) -> bool {
        matches!(self.status(), WAITING | NOTIFIED)
    }

    /// Its owner has what it came for.
    ///
    /// # Panics
    ///
    /// In debug builds if it is in the queue.
    #[inline]
    pub(crate) fn finish(self: Pin<&mut Self>) {
        debug_assert!(!self.is_waiting(), "the waiter is in the queue");
        // Relaxed: only its owner looks at a waiter outside the queue.
        self.node.status.store(FINISHED, Ordering::Relaxed);
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
        // SAFETY: not in the queue, where nobody else finds it (2), and only its owner puts it there; who took it out was done with it when
        // the status said so (4).
        Some(unsafe { self.node.links.with(|links| (*links).note) })
    }

    /// Takes its place at the front again, for one that was notified and found nothing left. The note is `note` from now on.
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
        // SAFETY: the lock is held; the waiter is pinned and, as its status says, has been taken out of the queue (2).
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

    /// Ready once notified. While it waits it makes sure that the waker to be called is that of `cx`.
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
                FINISHED => panic!("polled after it was ready: await it once"),
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
            IDLE | FINISHED => Withdrawn::Idle,
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
    /// Keeps invariant 3 whatever the primitive does; it will have withdrawn before if it has anything to put right.
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
            FINISHED => "finished",
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
