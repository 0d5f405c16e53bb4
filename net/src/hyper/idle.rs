//! When an HTTP/2 connection has been without streams for too long: pings do not count, so that a
//! client which does nothing else is told to go, and is cut off if it does not.
#![forbid(unsafe_code)]

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use runtime::time::{Instant, Sleep, sleep};

use super::limits::Progress;

/// Looks, once in a while, whether a connection has been without streams for too long.
#[derive(Debug)]
pub(super) struct Idle {
    progress: Arc<Progress>,
    limit: Duration,
    sleep: Pin<Box<Sleep>>,
}

impl Idle {
    /// `None` where there is no limit.
    pub(super) fn new(progress: &Arc<Progress>) -> Option<Self> {
        let limit = progress.limits().idle?;
        Some(Self {
            progress: Arc::clone(progress),
            limit,
            sleep: Box::pin(sleep(limit)),
        })
    }

    /// Ready when the client is to be told to go, and once more when it has not gone by then.
    ///
    /// A stream that ends wakes nobody here: after a look that finds one open, the next is due when
    /// one that had ended just then would have been gone for long enough.
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
        let age = Duration::from_nanos(streams.ended.load(Ordering::Relaxed));
        self.progress.at_age(age)
    }
}
