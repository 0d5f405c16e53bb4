//! The streams of an HTTP/2 connection: how many are open, and how long one may take.
//!
//! *Open* is a stream from the call of the handler until hyper has passed on the last of its answer ([`Open`] goes along with it, in HTTP/1, too), for which
//! the client has to grant room: `reply.rs` sees to it that nothing is passed on before where there is a limit of time, and little otherwise. What becomes of a connection without any is in
//! `idle.rs`.
//!
//! *How long.* hyper gives each stream a task, in which it calls the handler and then waits for room for the answer. While it waits it polls
//! nothing of ours. So the executor wraps the task's future ([`Limited`]), and the handler's future, which is polled first, says until when it
//! may go on ([`limit`]). When that time has come the task ends, and h2 resets the stream. The other streams of the connection go on.
#![forbid(unsafe_code)]

use std::cell::Cell;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::task::{Context, Poll};

use pin_project_lite::pin_project;
use runtime::time::{Instant, Sleep, sleep_until};

use super::limits::Progress;

/// The streams of a connection that are open.
#[derive(Debug, Default)]
pub(super) struct Streams {
    pub(super) open: AtomicUsize,
    /// The connection's age when the last one ended, in nanoseconds.
    pub(super) ended: AtomicU64,
}

/// Evidence that a request is being answered: of HTTP/2, that a stream is open.
#[derive(Debug)]
pub(super) struct Open {
    progress: Arc<Progress>,
    /// Whether others may be open on the same connection.
    shares: bool,
    /// It goes on as something else than HTTP, of which nobody here knows when it ends.
    stays: bool,
}

impl Open {
    pub(super) fn new(progress: &Arc<Progress>) -> Self {
        let shares = !progress.is_strict();
        if shares {
            // Relaxed: the connection's task calls this, and it is the one that reads the number.
            progress.streams.open.fetch_add(1, Ordering::Relaxed);
        }
        Self {
            progress: Arc::clone(progress),
            shares,
            stays: false,
        }
    }

    pub(super) fn shares(&self) -> bool {
        self.shares
    }

    /// The handler has answered that it takes the stream over. There are no limits from now on, but those that it sets.
    pub(super) fn stay(&mut self) {
        self.stays = true;
        if !self.shares {
            self.progress.release();
        }
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        if self.stays {
            return;
        }
        if !self.shares {
            self.progress.answered();
            return;
        }
        let streams = &self.progress.streams;
        let now = u64::try_from(self.progress.age().as_nanos()).unwrap_or(u64::MAX);
        // The latest, whoever comes first. Relaxed: the next line publishes it.
        streams.ended.fetch_max(now, Ordering::Relaxed);
        // Release: pairs with the Acquire in `idle.rs`.
        streams.open.fetch_sub(1, Ordering::Release);
    }
}

thread_local! {
    /// Until when the stream may go on whose task is being polled.
    static BY: Cell<Option<Instant>> = const { Cell::new(None) };
}

/// Has the task that is being polled end at this time, if it is a stream's.
pub(super) fn limit(by: Instant) {
    BY.set(Some(by));
}

pin_project! {
    /// A task of hyper's, perhaps a stream's, which may have to end before it wants to.
    #[derive(Debug)]
    pub(super) struct Limited<F> {
        #[pin]
        future: F,
        by: Option<Instant>,
        sleep: Option<Pin<Box<Sleep>>>,
    }
}

impl<F> Limited<F> {
    pub(super) fn new(future: F) -> Self {
        Self {
            future,
            by: None,
            sleep: None,
        }
    }
}

impl<F: Future> Future for Limited<F> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = self.project();
        let lent = Lent(BY.replace(*this.by));
        let polled = this.future.poll(cx);
        *this.by = BY.get();
        drop(lent);
        if polled.is_ready() {
            return Poll::Ready(());
        }
        let Some(by) = *this.by else {
            return Poll::Pending;
        };
        let sleep = this.sleep.get_or_insert_with(|| Box::pin(sleep_until(by)));
        sleep.as_mut().poll(cx)
    }
}

/// Puts back what was there before, also when the future panics.
struct Lent(Option<Instant>);

impl Drop for Lent {
    fn drop(&mut self) {
        BY.set(self.0);
    }
}
