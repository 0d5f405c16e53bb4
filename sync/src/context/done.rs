//! Waiting for a context to end.
#![forbid(unsafe_code)]

use std::fmt;
use std::future::Future;
use std::panic::Location;
use std::pin::Pin;
use std::task::{Context as TaskContext, Poll, ready};

use pin_project_lite::pin_project;
use runtime::task::coop::poll_proceed;
use runtime::task::{WaitReason, waiting};

use super::error::ContextError;
use super::node::{Node, Tree};
use crate::waiters::Waiter;

pin_project! {
    /// Future of [`Context::done`](super::Context::done). Polled after it was ready, it is ready
    /// again.
    ///
    /// ```
    /// # use sync::context::{Context, ContextError, Done};
    /// # runtime::block_on(async {
    /// let (ctx, cancel) = Context::background().with_cancel();
    /// let done: Done<'_> = ctx.done();
    /// cancel.cancel();
    /// assert_eq!(done.await, ContextError::Canceled);
    /// # });
    /// ```
    ///
    /// **Go:** the channel that `ctx.Done()` returns.
    #[must_use = "futures do nothing unless awaited"]
    pub struct Done<'a> {
        #[pin]
        entry: Option<Entry<'a>>,
        place: &'static Location<'static>,
    }
}

pin_project! {
    /// What there is of a context that can end.
    struct Entry<'a> {
        node: &'a Node,
        #[pin]
        waiter: Waiter<'a, Tree, ()>,
    }
}

impl<'a> Done<'a> {
    pub(super) fn new(node: Option<&'a Node>, place: &'static Location<'static>) -> Self {
        Self {
            entry: node.map(|node| Entry {
                node,
                waiter: Waiter::new(&node.waiters, ()),
            }),
            place,
        }
    }
}

impl<'a> Done<'a> {
    /// What it waits for, if that can end.
    pub(super) fn into_node(self) -> Option<&'a Node> {
        self.entry.map(|entry| entry.node)
    }
}

impl Future for Done<'_> {
    type Output = ContextError;

    fn poll(self: Pin<&mut Self>, cx: &mut TaskContext<'_>) -> Poll<ContextError> {
        let proceed = ready!(poll_proceed(cx));
        let this = self.project();
        let ended = this.entry.as_pin_mut().and_then(|entry| entry.look(cx));
        match ended {
            Some(err) => {
                proceed.made_progress();
                Poll::Ready(err)
            }
            None => {
                waiting(WaitReason::ContextDone, this.place);
                Poll::Pending
            }
        }
    }
}

impl Entry<'_> {
    /// How the context ended, or a place in the queue.
    fn look(self: Pin<&mut Self>, cx: &mut TaskContext<'_>) -> Option<ContextError> {
        let mut this = self.project();
        if let Some(err) = this.node.ask() {
            return Some(err);
        }
        if !this.waiter.is_idle() {
            let woken = this.waiter.as_mut().poll_notified(cx).is_ready();
            return woken.then(|| this.node.err()).flatten();
        }
        let waker = cx.waker().clone();
        let mut locked = this.node.waiters.lock();
        // Under the lock, so that the marking either is seen here or finds this waiter.
        if let Some(err) = this.node.err() {
            drop(locked);
            return Some(err);
        }
        this.waiter.enqueue(&mut locked, waker);
        None
    }
}

impl fmt::Debug for Done<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let err = self.entry.as_ref().and_then(|entry| entry.node.err());
        f.debug_struct("Done")
            .field("err", &err)
            .finish_non_exhaustive()
    }
}
