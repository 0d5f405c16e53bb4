//! Waiting for tokens: in line, and at its front for the time when they have come.
//!
//! The line is a semaphore of one permit, which is first come, first served. Who has the permit is
//! at the front, and sleeps until there is enough, or the limit changes; the others sleep for their
//! turn alone, so that there is one timer, however many wait. Dropping one that waits drops its
//! places, and that is all.
#![forbid(unsafe_code)]

use std::error::Error;
use std::fmt;
use std::future::{Future, poll_fn};
use std::panic::Location;
use std::pin::pin;
use std::task::{Poll, ready};

use runtime::task::coop::{poll_proceed, unconstrained};
use runtime::task::{WaitReason, waiting};
use runtime::time::{Instant, sleep_until};

use super::Limiter;
use super::bucket::Line;
use crate::context::{Context, ContextError};
use crate::semaphore::Acquire;

/// Why [`Limiter::wait_with`] did not get its tokens.
///
/// ```
/// use sync::rate::WaitError;
///
/// assert_eq!(WaitError::DeadlineTooClose.to_string(), "rate: the wait would exceed the context's deadline");
/// ```
///
/// **Go:** the errors of `lim.WaitN(ctx, n)`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WaitError {
    /// More tokens than the bucket holds: they would never be there.
    ExceedsBurst,
    /// The context has ended.
    Context(ContextError),
    /// The tokens would not be there by the context's deadline; nothing was waited for.
    DeadlineTooClose,
}

impl fmt::Display for WaitError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ExceedsBurst => f.write_str("rate: more tokens are wanted than the burst"),
            Self::Context(error) => error.fmt(f),
            Self::DeadlineTooClose => {
                f.write_str("rate: the wait would exceed the context's deadline")
            }
        }
    }
}

impl Error for WaitError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Context(error) => Some(error),
            Self::ExceedsBurst | Self::DeadlineTooClose => None,
        }
    }
}

impl From<ContextError> for WaitError {
    fn from(error: ContextError) -> Self {
        Self::Context(error)
    }
}

/// A place in line, until it is served or dropped.
struct InLine<'a> {
    limiter: &'a Limiter,
    line: Line,
}

impl Drop for InLine<'_> {
    fn drop(&mut self) {
        self.limiter.with(|bucket| bucket.leave(&self.line));
    }
}

/// Completes with the tokens taken.
pub(super) async fn wait(limiter: &Limiter, n: usize, place: &'static Location<'static>) {
    let Some(line) = poll_fn(|cx| {
        let proceed = ready!(poll_proceed(cx));
        let line = limiter.with(|bucket| (!bucket.take(n)).then(|| bucket.join(n)));
        proceed.made_progress();
        Poll::Ready(line)
    })
    .await
    else {
        return;
    };
    let line = InLine { limiter, line };
    // Without a budget, whose end would let one pass that comes after this one has joined. Dropped
    // before the line: the next looks at what it wants itself, and not at who is in line.
    let _turn = unconstrained(Acquire::new(&limiter.turn, 1, place)).await;
    front(&line, place).await;
}

/// The same under a context, by whose deadline it must be there.
pub(super) async fn wait_with(
    limiter: &Limiter,
    n: usize,
    ctx: &Context,
    place: &'static Location<'static>,
) -> Result<(), WaitError> {
    if let Some(error) = ctx.err() {
        return Err(error.into());
    }
    let now = Instant::now();
    let (too_many, in_time) = limiter.with(|bucket| {
        let too_many = n > bucket.burst && bucket.wait_of(n).is_none_or(|wait| !wait.is_zero());
        let due = bucket.wait_of(n).and_then(|wait| now.checked_add(wait));
        let in_time = |deadline| due.is_some_and(|due| due <= deadline);
        (too_many, ctx.deadline().is_none_or(in_time))
    });
    if too_many {
        return Err(WaitError::ExceedsBurst);
    }
    if !in_time {
        return Err(WaitError::DeadlineTooClose);
    }
    Ok(ctx.run(wait(limiter, n, place)).await?)
}

/// At the front of the line, until it is served.
async fn front(line: &InLine<'_>, place: &'static Location<'static>) {
    loop {
        // Made before the look, so that no change in between is missed.
        let mut changed = pin!(line.limiter.changed.notified());
        let served = line.limiter.with(|bucket| bucket.serve(&line.line));
        let Err(due) = served else {
            return;
        };
        let mut sleep = pin!(due.map(sleep_until));
        poll_fn(|cx| {
            if changed.as_mut().poll(cx).is_ready() {
                return Poll::Ready(());
            }
            let slept = match sleep.as_mut().as_pin_mut() {
                Some(sleep) => sleep.poll(cx),
                None => Poll::Pending,
            };
            if slept.is_pending() {
                // The place of who called us, and not of these two.
                waiting(WaitReason::SemAcquire, place);
            }
            slept
        })
        .await;
    }
}
