//! [`timeout()`]: a limit on how long a future may take.
//!
//! The future goes first in every poll, so that one that is ready wins even when the limit has
//! passed. Only when it has to wait is the clock read and a timer armed: a limit around an
//! operation that is ready costs nothing but the poll.
//!
//! A limit that has passed spends a unit of the budget, so that a loop over such limits yields now
//! and then. Where there is none left it yields once and then has passed in any case: otherwise a
//! future that spends the whole budget of each poll could never be stopped.
#![forbid(unsafe_code)]

use std::fmt;
use std::future::{Future, IntoFuture};
use std::io;
use std::panic::Location;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use pin_project_lite::pin_project;

use super::clock;
use super::{Instant, Sleep};
use crate::task::coop;

/// In place of a limit: it has passed, and was put off to this poll.
const PUT_OFF: u64 = u64::MAX;

/// Gives `future` at most `limit` to wait.
///
/// In every poll the future goes first: if it is ready, its output is returned, however late. The
/// limit runs from the first poll that finds the future waiting; until then neither the clock nor a
/// timer is touched. When the limit has passed and the future still waits, the result is
/// [`Elapsed`], and dropping the [`Timeout`] drops the future, which is how Rust cancels. A limit
/// of [`Duration::ZERO`] asks once. A limit that the clock cannot express is none.
///
/// To count from another moment, such as the start of several operations, use [`timeout_at`].
///
/// # Errors
///
/// [`Elapsed`] if the limit passed first.
///
/// # Panics
///
/// When it is polled, has to wait, and there is no runtime.
///
/// # Cancel safety
///
/// That of `future`, which is dropped with it. To keep the future when the limit passes, give
/// `&mut` of a pinned one.
///
/// ```
/// use runtime::time;
/// use std::time::Duration;
///
/// # runtime::block_on(async {
/// let answer = time::timeout(Duration::from_secs(60), async { 42 }).await;
/// assert_eq!(answer, Ok(42));
///
/// let never = std::future::pending::<()>();
/// assert!(time::timeout(Duration::from_millis(1), never).await.is_err());
/// # });
/// ```
///
/// **Go:** `context.WithTimeout`, or a `select` with `time.After`; here the work itself ends too.
#[track_caller]
pub fn timeout<F: IntoFuture>(limit: Duration, future: F) -> Timeout<F::IntoFuture> {
    Timeout {
        future: future.into_future(),
        // What counts when the limit is zero: a deadline that has passed since ever.
        sleep: Sleep::new(0, Location::caller()),
        unstarted: clock::nanos(limit).min(PUT_OFF - 1),
    }
}

/// Gives `future` until `deadline`; otherwise as [`timeout()`].
///
/// # Errors
///
/// [`Elapsed`] if the deadline passed first.
///
/// # Panics
///
/// When it is polled, has to wait, and there is no runtime.
///
/// # Cancel safety
///
/// That of `future`, which is dropped with it.
///
/// ```
/// use runtime::time::{self, Instant};
/// use std::time::Duration;
///
/// # runtime::block_on(async {
/// let deadline = Instant::now() + Duration::from_secs(60);
/// assert_eq!(time::timeout_at(deadline, async { 1 }).await, Ok(1));
/// assert_eq!(time::timeout_at(deadline, async { 2 }).await, Ok(2));
/// # });
/// ```
///
/// **Go:** `context.WithDeadline`.
#[track_caller]
pub fn timeout_at<F: IntoFuture>(deadline: Instant, future: F) -> Timeout<F::IntoFuture> {
    Timeout {
        future: future.into_future(),
        sleep: Sleep::new(clock::in_reach(deadline.as_nanos()), Location::caller()),
        unstarted: 0,
    }
}

pin_project! {
    /// Future of [`timeout()`] and [`timeout_at`].
    ///
    /// ```
    /// use runtime::time::{self, Timeout};
    /// use std::time::Duration;
    ///
    /// let limited: Timeout<_> = time::timeout(Duration::from_secs(60), async { 42 });
    /// # assert_eq!(runtime::block_on(limited), Ok(42));
    /// ```
    ///
    /// **Go:** no counterpart.
    #[must_use = "futures do nothing unless awaited"]
    pub struct Timeout<F> {
        #[pin]
        future: F,
        #[pin]
        sleep: Sleep,
        // The limit in nanoseconds until it starts to run, then zero, or `PUT_OFF`.
        unstarted: u64,
    }
}

impl<F: Future> Future for Timeout<F> {
    type Output = Result<F::Output, Elapsed>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        if let Poll::Ready(output) = this.future.poll(cx) {
            return Poll::Ready(Ok(output));
        }
        let passed = match std::mem::take(this.unstarted) {
            0 => this.sleep.poll_deadline(cx),
            PUT_OFF => return Poll::Ready(Err(Elapsed(()))),
            limit => this.sleep.poll_first(limit, cx),
        };
        ready!(passed);
        match coop::poll_proceed(cx) {
            Poll::Ready(proceed) => {
                proceed.made_progress();
                Poll::Ready(Err(Elapsed(())))
            }
            Poll::Pending => {
                *this.unstarted = PUT_OFF;
                Poll::Pending
            }
        }
    }
}

impl<F> fmt::Debug for Timeout<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = f.debug_struct("Timeout");
        match self.unstarted {
            0 | PUT_OFF => debug.field("deadline", &self.sleep.deadline()),
            limit => debug.field("limit", &Duration::from_nanos(limit)),
        };
        debug.finish_non_exhaustive()
    }
}

/// The error of [`timeout()`]: the limit passed first.
///
/// It turns into an [`io::Error`] of kind [`TimedOut`](io::ErrorKind::TimedOut), so that `?` works
/// in functions that do I/O.
///
/// ```
/// use runtime::time;
/// use std::io;
/// use std::time::Duration;
///
/// async fn read() -> io::Result<()> {
///     let never = std::future::pending::<io::Result<()>>();
///     time::timeout(Duration::from_millis(1), never).await?
/// }
///
/// let error = runtime::block_on(read()).unwrap_err();
/// assert_eq!(error.kind(), io::ErrorKind::TimedOut);
/// assert_eq!(error.to_string(), "deadline has elapsed");
/// ```
///
/// **Go:** `context.DeadlineExceeded`, `os.ErrDeadlineExceeded`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Elapsed(());

impl fmt::Display for Elapsed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("deadline has elapsed")
    }
}

impl std::error::Error for Elapsed {}

impl From<Elapsed> for io::Error {
    fn from(elapsed: Elapsed) -> Self {
        Self::new(io::ErrorKind::TimedOut, elapsed)
    }
}
