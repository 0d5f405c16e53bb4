//! Waiting for permits.
#![forbid(unsafe_code)]

use std::fmt;
use std::future::Future;
use std::panic::Location;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use pin_project_lite::pin_project;
use runtime::task::coop::{poll_give_way, poll_proceed};
use runtime::task::{WaitReason, waiting};

use super::raw::{Ask, Turn};
use super::{Semaphore, SemaphorePermit};

/// The semaphore has been closed, and gives no permits any more. From
/// [`Semaphore::checked_acquire`].
///
/// ```
/// # runtime::block_on(async {
/// let semaphore = sync::Semaphore::new(1);
/// semaphore.close();
/// let closed: sync::SemaphoreClosed = semaphore.checked_acquire(1).await.unwrap_err();
/// assert_eq!(closed.to_string(), "semaphore closed");
/// # });
/// ```
///
/// **Go:** `ctx.Err()`, from `s.Acquire`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SemaphoreClosed(pub(super) ());

impl fmt::Display for SemaphoreClosed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("semaphore closed")
    }
}

impl std::error::Error for SemaphoreClosed {}

pin_project! {
    /// Completes with the permits taken, or not to be had. What it needs to wait is made when it
    /// has to, as the mutex does it.
    #[must_use = "futures do nothing unless awaited"]
    pub(super) struct Take<'a> {
        semaphore: &'a Semaphore,
        wanted: usize,
        // `None` before it waits, and once it is served or refused.
        #[pin]
        turn: Option<Turn<'a>>,
        place: &'static Location<'static>,
    }

    impl PinnedDrop for Take<'_> {
        #[inline]
        fn drop(this: Pin<&mut Self>) {
            let this = this.project();
            if let Some(turn) = this.turn.as_pin_mut() {
                this.semaphore.raw.give_up(turn);
            }
        }
    }
}

/// A future that takes `n` permits, at most the size.
#[inline]
pub(super) fn take<'a>(
    semaphore: &'a Semaphore,
    n: usize,
    place: &'static Location<'static>,
) -> Take<'a> {
    Take {
        semaphore,
        wanted: n,
        turn: None,
        place,
    }
}

/// For who has no way to tell that it is closed.
#[inline]
pub(super) fn or_panic(taken: Result<(), SemaphoreClosed>, place: &'static Location<'static>) {
    if taken.is_err() {
        closed(place);
    }
}

#[cold]
fn closed(place: &'static Location<'static>) -> ! {
    panic!(
        "Semaphore::acquire at {place}: the semaphore has been closed; where that can happen, await checked_acquire, which says so"
    );
}

impl Future for Take<'_> {
    type Output = Result<(), SemaphoreClosed>;

    #[inline]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let proceed = ready!(poll_proceed(cx));
        let taken = if self.turn.is_none() && self.semaphore.raw.try_take(self.wanted) {
            Ok(())
        } else {
            ready!(self.poll_slow(cx))
        };
        proceed.made_progress();
        Poll::Ready(taken)
    }
}

impl Take<'_> {
    /// There are not enough, or this is not the first poll.
    #[cold]
    fn poll_slow(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), SemaphoreClosed>> {
        let mut this = self.project();
        let polled = match this.turn.as_mut().as_pin_mut() {
            Some(mut turn) if !turn.is_idle() => {
                (turn.as_mut().poll_notified(cx)).map(|()| match turn.note() {
                    Some(Ask::Refused) => Err(SemaphoreClosed(())),
                    _ => Ok(()),
                })
            }
            // One that is not in the queue says that it has been asked.
            None if poll_give_way(cx).is_pending() => {
                (this.turn).set(Some(this.semaphore.raw.turn(*this.wanted)));
                Poll::Pending
            }
            _ => (this.semaphore.raw).queue_up(this.turn.as_mut(), *this.wanted, cx),
        };
        match &polled {
            // Nothing is left to give up.
            Poll::Ready(_) => this.turn.set(None),
            Poll::Pending => waiting(WaitReason::SemAcquire, this.place),
        }
        polled
    }
}

pin_project! {
    /// Future of [`Semaphore::acquire`] and [`Semaphore::acquire_many`].
    ///
    /// ```
    /// # runtime::block_on(async {
    /// let semaphore = sync::Semaphore::new(1);
    /// let acquire: sync::Acquire<'_> = semaphore.acquire();
    /// drop(acquire.await);
    /// # });
    /// ```
    ///
    /// **Go:** a goroutine inside `s.Acquire(ctx, n)`.
    #[must_use = "futures do nothing unless awaited"]
    pub struct Acquire<'a> {
        #[pin]
        take: Take<'a>,
    }
}

impl<'a> Acquire<'a> {
    #[inline]
    pub(crate) fn new(
        semaphore: &'a Semaphore,
        n: usize,
        place: &'static Location<'static>,
    ) -> Self {
        Self {
            take: take(semaphore, n, place),
        }
    }
}

impl<'a> Future for Acquire<'a> {
    type Output = SemaphorePermit<'a>;

    #[inline]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut take = self.project().take;
        or_panic(ready!(take.as_mut().poll(cx)), take.place);
        Poll::Ready(SemaphorePermit::new(take.semaphore, take.wanted))
    }
}

impl fmt::Debug for Acquire<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.take.debug(f, "Acquire")
    }
}

pin_project! {
    /// Future of [`Semaphore::checked_acquire`].
    ///
    /// ```
    /// # runtime::block_on(async {
    /// let semaphore = sync::Semaphore::new(1);
    /// let acquire: sync::CheckedAcquire<'_> = semaphore.checked_acquire(1);
    /// assert!(acquire.await.is_ok());
    /// # });
    /// ```
    ///
    /// **Go:** a goroutine inside `s.Acquire(ctx, n)`.
    #[must_use = "futures do nothing unless awaited"]
    pub struct CheckedAcquire<'a> {
        #[pin]
        take: Take<'a>,
    }
}

impl<'a> CheckedAcquire<'a> {
    #[inline]
    pub(super) fn new(
        semaphore: &'a Semaphore,
        n: usize,
        place: &'static Location<'static>,
    ) -> Self {
        Self {
            take: take(semaphore, n, place),
        }
    }
}

impl<'a> Future for CheckedAcquire<'a> {
    type Output = Result<SemaphorePermit<'a>, SemaphoreClosed>;

    #[inline]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut take = self.project().take;
        let taken = ready!(take.as_mut().poll(cx));
        Poll::Ready(taken.map(|()| SemaphorePermit::new(take.semaphore, take.wanted)))
    }
}

impl fmt::Debug for CheckedAcquire<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.take.debug(f, "CheckedAcquire")
    }
}

impl Take<'_> {
    fn debug(&self, f: &mut fmt::Formatter<'_>, name: &str) -> fmt::Result {
        f.debug_struct(name)
            .field("wanted", &self.wanted)
            .field("waiter", &self.turn)
            .finish_non_exhaustive()
    }
}
