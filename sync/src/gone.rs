//! Waiting until the other side has gone, for those who would otherwise go on making what nobody
//! wants: the `closed` of the senders.
//!
//! Whether it has gone is the channel's to know. It says so first and [tells](Gone::tell) those who
//! wait then; and who queues up asks once more under the queue's lock, so that nobody waits for
//! what has been.
#![forbid(unsafe_code)]

use std::future::poll_fn;
use std::panic::Location;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, ready};

use pin_project_lite::pin_project;
use runtime::task::coop::poll_proceed;
use runtime::task::{WaitReason, waiting};

use crate::waiters::{Batch, Waiter, Waiters};

/// Those who wait for the end.
pub(crate) struct Gone(Waiters<(), ()>);

impl Gone {
    pub(crate) fn new() -> Self {
        Self(Waiters::new(()))
    }

    /// By which the wakers of those who wait name it in a trial.
    pub(crate) fn address(&self) -> usize {
        std::ptr::from_ref(&self.0).addr()
    }

    /// The other side has gone, and whoever asks is told so. What is in the batch already is woken,
    /// too.
    pub(crate) fn tell(&self, batch: &mut Batch) {
        let until = self.0.lock().ticket();
        loop {
            let more = self.0.lock().take_until(until, batch);
            batch.wake();
            if !more {
                return;
            }
        }
    }
}

pin_project! {
    /// A wait for the end.
    pub(crate) struct UntilGone<'a> {
        #[pin]
        waiter: Waiter<'a, (), ()>,
        gone: &'a Gone,
        place: &'static Location<'static>,
    }
}

impl<'a> UntilGone<'a> {
    pub(crate) fn new(gone: &'a Gone, place: &'static Location<'static>) -> Self {
        Self {
            waiter: Waiter::new(&gone.0, ()),
            gone,
            place,
        }
    }

    /// Ready once `has_gone`, also when it is polled again.
    pub(crate) fn poll(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        has_gone: impl Fn() -> bool,
    ) -> Poll<()> {
        let proceed = ready!(poll_proceed(cx));
        let place = self.place;
        if !has_gone() && self.queue_up(cx, has_gone).is_pending() {
            waiting(WaitReason::ChanSend, place);
            return Poll::Pending;
        }
        proceed.made_progress();
        Poll::Ready(())
    }

    /// The same as a future.
    pub(crate) async fn wait(self, has_gone: impl Fn() -> bool) {
        let mut until = pin!(self);
        poll_fn(|cx| until.as_mut().poll(cx, &has_gone)).await;
    }

    fn queue_up(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        has_gone: impl Fn() -> bool,
    ) -> Poll<()> {
        let mut this = self.project();
        if !this.waiter.is_idle() {
            ready!(this.waiter.as_mut().poll_notified(cx));
            // It had gone, and somebody has come since: that can be where one may subscribe.
            this.waiter.as_mut().reset();
        }
        let waker = cx.waker().clone();
        let mut locked = this.gone.0.lock();
        if has_gone() {
            // The waker is dropped after the lock.
            drop(locked);
            return Poll::Ready(());
        }
        this.waiter.enqueue(&mut locked, waker);
        Poll::Pending
    }
}
