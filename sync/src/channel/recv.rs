//! [`Recv`], the future of [`Receiver::recv`](super::Receiver::recv).
#![forbid(unsafe_code)]

use std::fmt;
use std::future::Future;
use std::panic::Location;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use pin_project_lite::pin_project;
use runtime::task::{WaitReason, coop, waiting};

use super::Channel;
use super::receiving::Receiving;
use crate::select::arm::{ChannelCase, ChannelOperation};

pin_project! {
    /// Future of [`Receiver::recv`](super::Receiver::recv): the next value, or `None` once the
    /// channel is closed and drained.
    ///
    /// # Cancel safety
    ///
    /// Dropping it loses nothing; a value that it had been handed goes to the next receiver, in
    /// front of all others.
    ///
    /// ```
    /// # runtime::block_on(async {
    /// let (tx, rx) = sync::channel(1);
    /// let next: sync::Recv<'_, u32> = rx.recv();
    /// tx.send(7).await.unwrap();
    /// assert_eq!(next.await, Some(7));
    /// # });
    /// ```
    ///
    /// **Go:** `<-ch`.
    #[must_use = "futures do nothing unless awaited"]
    pub struct Recv<'a, T> {
        #[pin]
        receiving: Receiving<&'a Channel<T>, T>,
        place: &'static Location<'static>,
    }
}

impl<'a, T> Recv<'a, T> {
    #[inline(always)]
    pub(super) fn new(channel: &'a Channel<T>, place: &'static Location<'static>) -> Self {
        Self {
            receiving: Receiving::new(channel),
            place,
        }
    }
}

impl<T> Future for Recv<'_, T> {
    type Output = Option<T>;

    #[inline(always)]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<T>> {
        let proceed = ready!(coop::poll_proceed(cx));
        let this = self.into_ref().project_ref();
        match this.receiving.poll(cx) {
            Poll::Ready(value) => {
                proceed.made_progress();
                Poll::Ready(value)
            }
            Poll::Pending => {
                waiting(reason(this.receiving.channel()), this.place);
                Poll::Pending
            }
        }
    }
}

/// Why a receive on this channel waits.
#[inline]
pub(super) fn reason<T>(channel: &Channel<T>) -> WaitReason {
    if channel.is_never() {
        WaitReason::ChanReceiveNil
    } else {
        WaitReason::ChanReceive
    }
}

impl<T> ChannelOperation for Recv<'_, T> {
    type Output = Option<T>;

    fn case(self: Pin<&Self>) -> ChannelCase<'_> {
        self.project_ref().receiving.as_case()
    }

    fn outcome(self: Pin<&mut Self>) -> Option<T> {
        self.into_ref().project_ref().receiving.outcome()
    }
}

impl<T> fmt::Debug for Recv<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Recv").field(&self.receiving).finish()
    }
}
