//! The streams of an HTTP/2 connection: how many are open, and how long one may take.
//!
//! *Open* is a stream from the call of the handler until hyper has passed on the last of its answer ([`Open`] goes along with it, in HTTP/1, too), for which
//! the client has to grant room: `reply.rs` sees to it that little is passed on before. A connection without any has [`Idle`] look at
//! the clock: pings do not count, so that a client which does nothing else is told to go, and is cut off if it does not.
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
use std::task::{Context, Poll, ready};

use pin_project_lite::pin_project;
use runtime::time::{Instant, Sleep, sleep_until};

use super::limits::Progress;

/// The streams of a connection that are open.
#[derive(Debug, Default)]
pub(super) struct Streams {
    open: AtomicUsize,
    /// The connection's age when the last one ended, in nanoseconds.
    ended: AtomicU64,
}

/// Evidence that a request is being answered: of HTTP/2, that a stream is open.
#[derive(Debug)]
pub(super) struct Open {
    progress: Arc<Progress>,
    /// Whether others may be open on the same connection.
    shares: bool,
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
        }
    }

    pub(super) fn shares(&self) -> bool {
        self.shares
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        if !self.shares {
            self.progress.answered();
            return;
        }
        let streams = &self.progress.streams;
        let now = u64::try_from(self.progress.age().as_nanos()).unwrap_or(u64::MAX);
        // The latest, whoever comes first. Relaxed: the next line publishes it.
        streams.ended.fetch_max(now, Ordering::Relaxed);
        // Release: pairs with the Acquire in `Idle::since`.
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

/// Looks, once in a while, whether a connection has been without streams for too long.
#[cfg(feature = "http2")]
#[derive(Debug)]
pub(super) struct Idle {
    progress: Arc<Progress>,
    limit: std::time::Duration,
    sleep: Pin<Box<Sleep>>,
}

#[cfg(feature = "http2")]
impl Idle {
    /// `None` where there is no limit.
    pub(super) fn new(progress: &Arc<Progress>) -> Option<Self> {
        let limit = progress.limits().idle?;
        Some(Self {
            progress: Arc::clone(progress),
            limit,
            sleep: Box::pin(runtime::time::sleep(limit)),
        })
    }

    /// Ready when the client is to be told to go, and once more when it has not gone by then.
    ///
    /// A stream that ends wakes nobody here: after a look that finds one open, the next is due when one that had ended just
    /// then would have been gone for long enough.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        loop {
            ready!(self.sleep.as_mut().poll(cx));
            let now = Instant::now();
            let by = match self.since() {
                Some(since) => since.checked_add(self.limit),
                None => now.checked_add(self.limit),
            };
            // What is due after the end of the clock is never due.
            let Some(by) = by else {
                return Poll::Pending;
            };
            if by > now {
                self.sleep.as_mut().reset(by);
                continue;
            }
            let again = now.checked_add(self.limit).unwrap_or(now);
            self.sleep.as_mut().reset(again);
            return Poll::Ready(());
        }
    }

    /// Since when no stream is open.
    fn since(&self) -> Option<Instant> {
        let streams = &self.progress.streams;
        // Acquire: pairs with the Release of the last one's end.
        if streams.open.load(Ordering::Acquire) > 0 {
            return None;
        }
        let age = std::time::Duration::from_nanos(streams.ended.load(Ordering::Relaxed));
        self.progress.at_age(age)
    }
}
