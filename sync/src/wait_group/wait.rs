//! Waiting for the counter of a `WaitGroup` to be zero.
#![forbid(unsafe_code)]

use std::future::Future;
use std::panic::Location;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use pin_project_lite::pin_project;
use runtime::task::coop::poll_proceed;
use runtime::task::{WaitReason, waiting};

use super::shared::{Released, Shared};
use crate::waiters::{Waiter, Withdrawn};

pin_project! {
    /// Future of [`WaitGroup::wait`](super::WaitGroup::wait).
    ///
    /// ```
    /// # runtime::block_on(async {
    /// let group = sync::WaitGroup::new();
    /// let wait: sync::Wait<'_> = group.wait();
    /// wait.await;
    /// # });
    /// ```
    ///
    /// **Go:** a goroutine inside `wg.Wait()`.
    #[derive(Debug)]
    #[must_use = "futures do nothing unless awaited"]
    pub struct Wait<'a> {
        #[pin]
        waiter: Waiter<'a, Released, ()>,
        shared: &'a Shared,
        place: &'static Location<'static>,
    }

    impl PinnedDrop for Wait<'_> {
        fn drop(this: Pin<&mut Self>) {
            let this = this.project();
            if this.waiter.is_waiting() {
                forget(this.shared, this.waiter);
            }
        }
    }
}

impl<'a> Wait<'a> {
    pub(super) fn new(shared: &'a Shared, place: &'static Location<'static>) -> Self {
        Self {
            waiter: Waiter::new(&shared.waiters, ()),
            shared,
            place,
        }
    }
}

impl Future for Wait<'_> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let proceed = ready!(poll_proceed(cx));
        let mut this = self.project();
        let polled = if this.waiter.is_idle() {
            start(this.shared, this.waiter.as_mut(), cx)
        } else {
            let notified = this.waiter.as_mut().poll_notified(cx);
            notified.map(|()| this.shared.check_not_reused())
        };
        match polled {
            Poll::Ready(()) => proceed.made_progress(),
            Poll::Pending => waiting(WaitReason::WaitGroupWait, this.place),
        }
        polled
    }
}

/// The first poll: nothing to wait for, or into the queue.
fn start(
    shared: &Shared,
    waiter: Pin<&mut Waiter<'_, Released, ()>>,
    cx: &mut Context<'_>,
) -> Poll<()> {
    if shared.is_zero() {
        return Poll::Ready(());
    }
    let waker = cx.waker().clone();
    let mut locked = shared.waiters.lock();
    if shared.count_waiter(&mut locked) {
        waiter.enqueue(&mut locked, waker);
        return Poll::Pending;
    }
    drop(locked);
    drop(waker);
    Poll::Ready(())
}

/// Takes a waiter back that is not going to wait to the end.
#[cold]
fn forget(shared: &Shared, waiter: Pin<&mut Waiter<'_, Released, ()>>) {
    let mut locked = shared.waiters.lock();
    let withdrawn = waiter.withdraw(&mut locked);
    if let Withdrawn::Waiting(ticket, _) = withdrawn {
        shared.uncount_waiter(&mut locked, ticket);
    }
    drop(locked);
    drop(withdrawn);
}
