//! Waiting until all members have ended.
#![forbid(unsafe_code)]

use std::future::Future;
use std::panic::Location;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use runtime::task::coop::poll_proceed;
use runtime::task::{WaitReason, waiting};

use super::shared::Shared;

/// Completes with the errors of the members. There is one at a time, as the group is borrowed
/// uniquely for it.
pub(super) struct Ended<'a, E> {
    shared: &'a Shared<E>,
    location: &'static Location<'static>,
}

impl<'a, E> Ended<'a, E> {
    pub(super) fn new(shared: &'a Shared<E>, location: &'static Location<'static>) -> Self {
        Self { shared, location }
    }
}

impl<E> Future for Ended<'_, E> {
    type Output = Vec<E>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Vec<E>> {
        let proceed = ready!(poll_proceed(cx));
        let polled = self.shared.poll_ended(cx);
        match polled {
            Poll::Ready(_) => proceed.made_progress(),
            Poll::Pending => waiting(WaitReason::WaitGroupWait, self.location),
        }
        polled
    }
}

impl<E> Drop for Ended<'_, E> {
    fn drop(&mut self) {
        self.shared.forget_waker();
    }
}
