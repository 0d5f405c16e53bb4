//! [`Closed`], the future of [`Sender::closed`](super::Sender::closed).
#![forbid(unsafe_code)]

use std::fmt;
use std::future::Future;
use std::panic::Location;
use std::pin::Pin;
use std::task::{Context, Poll};

use pin_project_lite::pin_project;

use super::Channel;
use crate::gone::UntilGone;

pin_project! {
    /// Future of [`Sender::closed`](super::Sender::closed). Polled after it was ready, it is ready
    /// again.
    ///
    /// ```
    /// # runtime::block_on(async {
    /// let (tx, rx) = sync::channel::<u32>(0);
    /// drop(rx);
    /// let closed: sync::Closed<'_, u32> = tx.closed();
    /// closed.await;
    /// # });
    /// ```
    ///
    /// **Go:** a goroutine inside `<-ctx.Done()`.
    #[must_use = "futures do nothing unless awaited"]
    pub struct Closed<'a, T> {
        channel: &'a Channel<T>,
        #[pin]
        until: UntilGone<'a>,
    }
}

impl<'a, T> Closed<'a, T> {
    pub(super) fn new(channel: &'a Channel<T>, place: &'static Location<'static>) -> Self {
        Self {
            channel,
            until: UntilGone::new(channel.gone(), place),
        }
    }
}

impl<T> Future for Closed<'_, T> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = self.project();
        let channel = *this.channel;
        this.until.poll(cx, || channel.is_closed_for_good())
    }
}

impl<T> fmt::Debug for Closed<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Closed")
            .field("closed", &self.channel.is_closed())
            .finish_non_exhaustive()
    }
}
