//! ⚠ A queue of tasks that wait for one thing: first come, first served, without an allocation.
//!
//! The entry of a waiting task, a [`Waiter`], lies inside the future that waits, which is pinned,
//! and links itself into the queue. (Go does the same with its sudog.) A primitive puts its own
//! state `S` under the queue's lock, so that "is there room? else queue up" is one step, and may
//! give each waiter a note `T`, such as how many permits it wants.
//!
//! ```text
//!   idle ──enqueue──► waiting ──take──► notified        Waiter::status
//!    ▲                   │
//!    └─────withdraw──────┘   (the future is dropped)
//! ```
//!
//! Who wants to wake somebody takes the lock, moves wakers from the front of the queue into a
//! [`Batch`], unlocks, and only then calls them: a waker is foreign code, so none is cloned, called
//! or dropped under the lock. A batch has a bounded size; whoever is to be woken is known by the
//! [`Ticket`] drawn at the beginning, so that one who queues up between two batches is not woken
//! for the old reason.
//!
//! Invariants, which the SAFETY comments cite:
//!
//! 1. `Node::links` is touched only under the lock of the `Waiters` that its `Waiter` refers to.
//! 2. A node is in the queue exactly while its status is `WAITING`, and status leaves `WAITING`
//!    only under the lock.
//! 3. A node in the queue is pinned, and leaves the queue before its memory goes: `Waiter::drop`
//!    sees to it.
//! 4. Storing `NOTIFIED` is the last access to a node by anyone but its owner, who may free it at
//!    once.
//! 5. `Links::place` is written when the node is put into the queue. From then on the ticket stays;
//!    the waker is there exactly while the node is in the queue.
//! 6. `Waiters::queue` is reached only through a [`Locked`], of which there is one at a time, since
//!    it holds the lock.
//!
//! A new waiter is little: where it would stand in the queue is not even written (5), and dropping
//! one that does not wait is a look at its status. Futures of operations that hardly ever wait make
//! theirs when they have to.
//!
//! Here is the queue as its primitive holds it; [`locked`] is what can be done under the lock,
//! [`waiter`] the entry and its owner's side of it, [`queue`] the links, [`batch`] the wakers on
//! their way out.
//!
//! *Rejected*: a slab of wakers, which allocates and has to be kept in step with the futures; a
//! lock-free queue, whose cancellation costs more than this lock, which is taken only by those who
//! wait or have somebody to wake.

use std::fmt;
use std::panic::{RefUnwindSafe, UnwindSafe};

mod batch;
mod locked;
mod queue;
#[cfg(all(test, not(loom)))]
mod tests;
mod waiter;

pub(crate) use batch::Batch;
pub(crate) use locked::Locked;
pub(crate) use waiter::{Waiter, Withdrawn};

use crate::primitive::{Lock, UnsafeCell};
use queue::Queue;

/// The queue, and beside it the state `S` of the primitive that it serves.
pub(crate) struct Waiters<S, T> {
    lock: Lock,
    /// Under `lock` (6).
    queue: UnsafeCell<Queue<S, T>>,
}

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
                queue: UnsafeCell::new(Queue::new(state)),
            }
        }
    }

    /// Locks the queue and the state with it.
    pub(crate) fn lock(&self) -> Locked<'_, S, T> {
        Locked::new(self, self.lock.hold())
    }
}

impl<S, T> fmt::Debug for Waiters<S, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Waiters").finish_non_exhaustive()
    }
}
