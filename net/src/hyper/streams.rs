//! The streams of an HTTP/2 connection: how many are open, and how long one may take.
//!
//! *Open* is a stream from the call of the handler until hyper has passed on the last of its answer
//! ([`Open`] goes along with it, in HTTP/1, too), for which the client has to grant room:
//! `reply.rs` sees to it that nothing is passed on before where there is a limit of time, and
//! little otherwise. What becomes of a connection without any is in `idle.rs`.
//!
//! *How long.* hyper gives each stream a task, in which it calls the handler and then waits for
//! room for the answer. While it waits it polls nothing of ours. So the executor wraps the task's
//! future ([`Limited`]), and the handler's future, which is polled first, says until when it may go
//! on ([`limit`]). When that time has come the task ends, and h2 resets the stream. The other
//! streams of the connection go on. It may go on until the answer has to be taken, and until the
//! request has to be there, if it is not and the handler cannot be told (`uploads.rs`); in the
//! latter case the handler is polled once more, to give way to an answer that says so.
#![forbid(unsafe_code)]

use std::cell::Cell;
use std::future::Future;
use std::mem;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::task::{Context, Poll, ready};

use pin_project_lite::pin_project;
use runtime::time::{Instant, Sleep, sleep_until};

use super::limits::Progress;
use super::uploads::Upload;

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

    /// The handler has answered that it takes the stream over. There are no limits from now on, but
    /// those that it sets.
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

/// Until when a stream may go on.
#[derive(Debug, Default)]
pub(super) struct Ends {
    /// Until the answer has been taken.
    pub(super) answer: Option<Instant>,
    /// As long as this is complete, or not due, or tells its reader.
    pub(super) upload: Option<Arc<Upload>>,
}

impl Ends {
    fn next(&self) -> Option<Instant> {
        let upload = self.upload.as_ref().and_then(|upload| upload.stream_due());
        self.answer.into_iter().chain(upload).min()
    }

    fn is_answer_late(&self) -> bool {
        self.answer.is_some_and(|by| Instant::now() >= by)
    }
}

thread_local! {
    /// Until when the stream may go on whose task is being polled.
    static ENDS: Cell<Ends> = const { Cell::new(Ends { answer: None, upload: None }) };
}

/// Has the task that is being polled end at these times, if it is a stream's.
pub(super) fn limit(ends: Ends) {
    drop(ENDS.replace(ends));
}

pin_project! {
    /// A task of hyper's, perhaps a stream's, which may have to end before it wants to.
    #[derive(Debug)]
    pub(super) struct Limited<F> {
        #[pin]
        future: F,
        ends: Ends,
        sleep: Option<Pin<Box<Sleep>>>,
    }
}

impl<F> Limited<F> {
    pub(super) fn new(future: F) -> Self {
        Self {
            future,
            ends: Ends::default(),
            sleep: None,
        }
    }
}

impl<F: Future> Future for Limited<F> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let mut this = self.project();
        let mut told = false;
        loop {
            let lent = Lent(ENDS.replace(mem::take(this.ends)));
            let polled = this.future.as_mut().poll(cx);
            *this.ends = ENDS.take();
            drop(lent);
            if polled.is_ready() {
                return Poll::Ready(());
            }
            let Some(by) = this.ends.next() else {
                return Poll::Pending;
            };
            let sleep = this.sleep.get_or_insert_with(|| Box::pin(sleep_until(by)));
            if sleep.deadline() != by {
                sleep.as_mut().reset(by);
            }
            ready!(sleep.as_mut().poll(cx));
            if this.ends.is_answer_late() || mem::replace(&mut told, true) {
                return Poll::Ready(());
            }
        }
    }
}

/// Puts back what was there before, also when the future panics.
struct Lent(Ends);

impl Drop for Lent {
    fn drop(&mut self) {
        drop(ENDS.replace(mem::take(&mut self.0)));
    }
}
