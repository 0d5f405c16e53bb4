//! The future that waits for the next version of a `watch`.
#![forbid(unsafe_code)]

use std::fmt;
use std::future::Future;
use std::panic::Location;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use pin_project_lite::pin_project;
use runtime::task::coop::poll_proceed;
use runtime::task::{WaitReason, waiting};

use super::Shared;
use crate::waiters::Waiter;

pin_project! {
    /// Future of [`Receiver::changed`](super::Receiver::changed).
    ///
    /// ```
    /// # runtime::block_on(async {
    /// let (tx, mut rx) = sync::watch::channel(1);
    /// let changed: sync::watch::Changed<'_, i32> = rx.changed();
    /// tx.send(2).unwrap();
    /// assert!(changed.await);
    /// # });
    /// ```
    ///
    /// **Go:** none.
    #[must_use = "futures do nothing unless awaited"]
    pub struct Changed<'a, T> {
        #[pin]
        waiter: Waiter<'a, (), ()>,
        shared: &'a Shared<T>,
        seen: &'a mut usize,
        place: &'static Location<'static>,
    }
}

impl<'a, T> Changed<'a, T> {
    pub(super) fn new(
        shared: &'a Shared<T>,
        seen: &'a mut usize,
        place: &'static Location<'static>,
    ) -> Self {
        Self {
            waiter: Waiter::new(shared.waiters(), ()),
            shared,
            seen,
            place,
        }
    }
}

impl<T> Future for Changed<'_, T> {
    type Output = bool;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<bool> {
        let proceed = ready!(poll_proceed(cx));
        let mut this = self.project();
        let news = (this.shared.news(this.seen))
            .or_else(|| queue_up(this.shared, this.seen, this.waiter.as_mut(), cx));
        match news {
            Some(changed) => {
                proceed.made_progress();
                Poll::Ready(changed)
            }
            None => {
                waiting(WaitReason::WatchChanged, this.place);
                Poll::Pending
            }
        }
    }
}

/// Into the queue, unless it is there, or there are news after all.
fn queue_up<T>(
    shared: &Shared<T>,
    seen: &mut usize,
    mut waiter: Pin<&mut Waiter<'_, (), ()>>,
    cx: &mut Context<'_>,
) -> Option<bool> {
    if !waiter.is_idle() {
        ready_or_none(waiter.as_mut().poll_notified(cx))?;
        if let Some(changed) = shared.news(seen) {
            return Some(changed);
        }
        // Woken for a version that it had seen before it queued up: the sender had raised it, but
        // not come to the queue yet.
        waiter.as_mut().reset();
    }
    let waker = cx.waker().clone();
    let mut locked = shared.waiters().lock();
    // Under the lock: invariant 1.
    if let Some(changed) = shared.news(seen) {
        drop(locked);
        return Some(changed);
    }
    waiter.enqueue(&mut locked, waker);
    None
}

fn ready_or_none(poll: Poll<()>) -> Option<()> {
    match poll {
        Poll::Ready(()) => Some(()),
        Poll::Pending => None,
    }
}

impl<T> fmt::Debug for Changed<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Changed").finish_non_exhaustive()
    }
}
