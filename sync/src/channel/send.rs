//! [`Send`] and [`SendFrom`], the futures of [`Sender`](super::Sender).
#![forbid(unsafe_code)]

use std::fmt;
use std::future::Future;
use std::panic::Location;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use pin_project_lite::pin_project;
use runtime::task::{WaitReason, coop, waiting};

use super::sending::Sending;
use super::{Channel, SendError};
use crate::select::arm::{ChannelCase, ChannelOperation};

pin_project! {
    /// Future of [`Sender::send`](super::Sender::send).
    ///
    /// # Cancel safety
    ///
    /// When it is dropped the value has been sent, once, or not at all, and then it is dropped too;
    /// to keep it, use [`send_from`](super::Sender::send_from).
    ///
    /// ```
    /// # runtime::block_on(async {
    /// let (tx, rx) = sync::channel(1);
    /// let sending: sync::Send<'_, u32> = tx.send(7);
    /// sending.await.unwrap();
    /// assert_eq!(rx.recv().await, Some(7));
    /// # });
    /// ```
    ///
    /// **Go:** `ch <- v`.
    #[must_use = "futures do nothing unless awaited"]
    pub struct Send<'a, T> {
        #[pin]
        sending: Sending<'a, T>,
        place: &'static Location<'static>,
    }
}

impl<'a, T> Send<'a, T> {
    #[inline(always)]
    pub(super) fn new(
        channel: &'a Channel<T>,
        value: T,
        place: &'static Location<'static>,
    ) -> Self {
        Self {
            sending: Sending::new(channel, value),
            place,
        }
    }
}

impl<T> Future for Send<'_, T> {
    type Output = Result<(), SendError<T>>;

    #[inline(always)]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.into_ref().project_ref();
        poll(this.sending, this.place, cx)
    }
}

impl<T> ChannelOperation for Send<'_, T> {
    type Output = Result<(), SendError<T>>;

    fn case(self: Pin<&Self>) -> ChannelCase<'_> {
        self.project_ref().sending.as_case()
    }

    fn outcome(self: Pin<&mut Self>) -> Self::Output {
        self.into_ref()
            .project_ref()
            .sending
            .outcome()
            .map_err(SendError)
    }
}

impl<T> fmt::Debug for Send<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Send").field(&self.sending).finish()
    }
}

pin_project! {
    /// Future of [`Sender::send_from`](super::Sender::send_from).
    ///
    /// # Cancel safety
    ///
    /// When it is dropped the value has been sent, once, or it is back in its `Option`.
    ///
    /// ```
    /// # runtime::block_on(async {
    /// let (tx, rx) = sync::channel(1);
    /// let mut value = Some(7);
    /// let sending: sync::SendFrom<'_, u32> = tx.send_from(&mut value);
    /// sending.await.unwrap();
    /// assert_eq!((rx.recv().await, value), (Some(7), None));
    /// # });
    /// ```
    ///
    /// **Go:** `ch <- v`, where `v` stays with who lost the `select`.
    #[must_use = "futures do nothing unless awaited"]
    pub struct SendFrom<'a, T> {
        #[pin]
        sending: Sending<'a, T>,
        // The value itself travels with the future, which peers can reach also if it is leaked; a
        // leaked borrow would dangle.
        home: &'a mut Option<T>,
        place: &'static Location<'static>,
    }

    impl<T> PinnedDrop for SendFrom<'_, T> {
        fn drop(this: Pin<&mut Self>) {
            let this = this.project();
            if let Some(value) = this.sending.cancel() {
                **this.home = Some(value);
            }
        }
    }
}

impl<'a, T> SendFrom<'a, T> {
    #[track_caller]
    pub(super) fn new(
        channel: &'a Channel<T>,
        home: &'a mut Option<T>,
        place: &'static Location<'static>,
    ) -> Self {
        let Some(value) = home.take() else {
            panic!(
                "`send_from` found no value to send: the option is `None`; in a `select!`, guard the arm with `if option.is_some()`"
            );
        };
        Self {
            sending: Sending::new(channel, value),
            home,
            place,
        }
    }
}

impl<T> Future for SendFrom<'_, T> {
    type Output = Result<(), SendError<T>>;

    #[inline(always)]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.into_ref().project_ref();
        poll(this.sending, this.place, cx)
    }
}

impl<T> ChannelOperation for SendFrom<'_, T> {
    type Output = Result<(), SendError<T>>;

    fn case(self: Pin<&Self>) -> ChannelCase<'_> {
        self.project_ref().sending.as_case()
    }

    fn outcome(self: Pin<&mut Self>) -> Self::Output {
        self.into_ref()
            .project_ref()
            .sending
            .outcome()
            .map_err(SendError)
    }
}

impl<T> fmt::Debug for SendFrom<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("SendFrom").field(&self.sending).finish()
    }
}

#[inline(always)]
fn poll<T>(
    sending: Pin<&Sending<'_, T>>,
    place: &'static Location<'static>,
    cx: &mut Context<'_>,
) -> Poll<Result<(), SendError<T>>> {
    let proceed = ready!(coop::poll_proceed(cx));
    match sending.poll(cx) {
        Poll::Ready(outcome) => {
            proceed.made_progress();
            Poll::Ready(outcome.map_err(SendError))
        }
        Poll::Pending => {
            waiting(WaitReason::ChanSend, place);
            Poll::Pending
        }
    }
}
