//! ⚠ A receiver as a stream: its place in the queue has to live from one poll to the next, beside
//! the receiver.
//!
//! Invariant, which the SAFETY comment cites: a [`Waiting`] keeps the channel alive for as long as
//! its waiter is there, since fields are dropped in the order in which they are written.

use std::fmt;
use std::panic::Location;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use futures_core::Stream;
use runtime::task::coop::poll_proceed;
use runtime::task::{WaitReason, waiting};

use super::error::{Lagged, RecvError};
use super::receiver::Receiver;
use super::recv::{Entry, poll_receive};
use super::shared::{Shared, Taken};
use crate::primitive::Arc;
use crate::waiters::{Waiter, Waiters};

/// A place in the queue that borrows nothing.
pub(super) struct Waiting<T> {
    /// In a box, where it is pinned. Dropped before `shared`.
    waiter: Pin<Box<Entry<'static>>>,
    /// What the waiter refers to.
    shared: Arc<Shared<T>>,
}

impl<T> Waiting<T> {
    fn new(shared: &Arc<Shared<T>>) -> Self {
        let waiters: *const Waiters<_, ()> = &shared.waiters;
        // SAFETY: what is shared does not move and lives as long as `shared`, which is dropped
        // after the waiter; nobody outside this file gets at either, and the reference leaves it
        // with neither.
        let waiters = unsafe { &*waiters };
        Self {
            waiter: Box::pin(Waiter::new(waiters, ())),
            shared: shared.clone(),
        }
    }
}

impl<T: Clone> Stream for Receiver<T> {
    type Item = Result<T, Lagged>;

    /// The next value; `None` once the channel is closed and drained. The first wait of a receiver
    /// allocates once.
    #[track_caller]
    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let proceed = ready!(poll_proceed(cx));
        let this = self.get_mut();
        let place = (this.waiting).get_or_insert_with(|| Waiting::new(&this.shared));
        let received = poll_receive(&place.shared, &mut this.next, place.waiter.as_mut(), cx);
        let Poll::Ready(received) = received else {
            waiting(WaitReason::ChanReceive, Location::caller());
            return Poll::Pending;
        };
        proceed.made_progress();
        Poll::Ready(match received.map(Taken::into_value) {
            Ok(value) => Some(Ok(value)),
            Err(RecvError::Lagged(missed)) => Some(Err(Lagged(missed))),
            Err(RecvError::Closed) => None,
        })
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.len(), None)
    }
}

impl<T> fmt::Debug for Waiting<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.waiter, f)
    }
}
