//! [`RecvMany`], the future of [`Receiver::recv_many`](super::Receiver::recv_many).
#![forbid(unsafe_code)]

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use pin_project_lite::pin_project;
use runtime::task::coop;

use super::{Channel, Recv};

pin_project! {
    /// Future of [`Receiver::recv_many`](super::Receiver::recv_many): how many values it has
    /// appended.
    ///
    /// # Cancel safety
    ///
    /// It waits as a [`Recv`] does, and takes all the others when that is ready: dropped before, it
    /// has received nothing.
    ///
    /// ```
    /// # runtime::block_on(async {
    /// let (tx, rx) = sync::channel(2);
    /// tx.send(7).await.unwrap();
    /// let mut batch = Vec::new();
    /// let many: sync::RecvMany<'_, u32> = rx.recv_many(&mut batch, 10);
    /// assert_eq!(many.await, 1);
    /// # });
    /// ```
    ///
    /// **Go:** none.
    #[must_use = "futures do nothing unless awaited"]
    pub struct RecvMany<'a, T> {
        #[pin]
        first: Recv<'a, T>,
        channel: &'a Channel<T>,
        buffer: &'a mut Vec<T>,
        limit: usize,
    }
}

impl<'a, T> RecvMany<'a, T> {
    pub(super) fn new(
        channel: &'a Channel<T>,
        first: Recv<'a, T>,
        buffer: &'a mut Vec<T>,
        limit: usize,
    ) -> Self {
        Self {
            first,
            channel,
            buffer,
            limit,
        }
    }
}

impl<T> Future for RecvMany<'_, T> {
    type Output = usize;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<usize> {
        let this = self.project();
        if *this.limit == 0 {
            ready!(coop::poll_proceed(cx)).made_progress();
            return Poll::Ready(0);
        }
        Poll::Ready(match ready!(this.first.poll(cx)) {
            Some(value) => {
                this.buffer.push(value);
                1 + this.channel.receive_many(this.buffer, *this.limit - 1)
            }
            None => 0,
        })
    }
}

impl<T> fmt::Debug for RecvMany<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RecvMany")
            .field("first", &self.first)
            .field("limit", &self.limit)
            .finish_non_exhaustive()
    }
}
