//! Waiting for the next value.
#![forbid(unsafe_code)]

use std::fmt;
use std::future::Future;
use std::panic::Location;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use pin_project_lite::pin_project;
use runtime::task::coop::poll_proceed;
use runtime::task::{WaitReason, waiting};

use super::error::RecvError;
use super::receiver::Receiver;
use super::shared::{Shared, Tail, Taken};
use crate::waiters::Waiter;

/// A receiver's place in the queue.
pub(super) type Entry<'a> = Waiter<'a, Tail, ()>;

pin_project! {
    /// Future of [`Receiver::recv`].
    ///
    /// ```
    /// # runtime::block_on(async {
    /// let (tx, mut rx) = sync::broadcast::channel(4);
    /// let recv: sync::broadcast::Recv<'_, i32> = rx.recv();
    /// tx.send(1).unwrap();
    /// assert_eq!(recv.await, Ok(1));
    /// # });
    /// ```
    ///
    /// **Go:** a goroutine inside `<-c`.
    #[must_use = "futures do nothing unless awaited"]
    pub struct Recv<'a, T> {
        #[pin]
        waiter: Entry<'a>,
        shared: &'a Shared<T>,
        next: &'a mut u64,
        place: &'static Location<'static>,
    }
}

impl<'a, T> Recv<'a, T> {
    pub(super) fn new(receiver: &'a mut Receiver<T>, place: &'static Location<'static>) -> Self {
        Self {
            waiter: Waiter::new(&receiver.shared.waiters, ()),
            shared: &receiver.shared,
            next: &mut receiver.next,
            place,
        }
    }
}

impl<T: Clone> Future for Recv<'_, T> {
    type Output = Result<T, RecvError>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let proceed = ready!(poll_proceed(cx));
        let this = self.project();
        let Poll::Ready(received) = poll_receive(this.shared, this.next, this.waiter, cx) else {
            waiting(WaitReason::ChanReceive, this.place);
            return Poll::Pending;
        };
        proceed.made_progress();
        Poll::Ready(received.map(Taken::into_value))
    }
}

/// What a receiver wants next, or a place in the queue.
pub(super) fn poll_receive<T>(
    shared: &Shared<T>,
    next: &mut u64,
    mut waiter: Pin<&mut Entry<'_>>,
    cx: &mut Context<'_>,
) -> Poll<Result<Taken<T>, RecvError>> {
    loop {
        if let Some(received) = shared.receive(next) {
            return Poll::Ready(received);
        }
        if waiter.is_waiting() {
            ready!(waiter.as_mut().poll_notified(cx));
            continue;
        }
        // Woken for a value that it has seen by itself, if at all.
        waiter.as_mut().reset();
        let waker = cx.waker().clone();
        let mut tail = shared.waiters.lock();
        // Under the lock, so that whoever sends it either is seen here or finds this waiter (1).
        if tail.is_over_at(*next) {
            drop(tail);
            return Poll::Ready(Err(RecvError::Closed));
        }
        if tail.next == *next {
            waiter.enqueue(&mut tail, waker);
            return Poll::Pending;
        }
        drop(tail);
    }
}

impl<T> fmt::Debug for Recv<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Recv")
            .field("next", &self.next)
            .finish_non_exhaustive()
    }
}
