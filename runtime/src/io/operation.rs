//! The futures that wait for readiness: [`Readiness`] for it alone, [`Operation`] for a system
//! call.
//!
//! Each remembers where in the record its waker is, and takes it back when it is dropped or done,
//! so that a record holds the wakers of those who wait and no others.
#![forbid(unsafe_code)]

use std::fmt;
use std::future::Future;
use std::io;
use std::mem;
use std::panic::Location;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use super::attempt::Attempt;
use super::error::stopped;
use super::readiness::Seat;
use super::registration::Registration;
use super::state::{Direction, Stop};
use crate::scheduler::current::ends_after_poll;
use crate::task::coop;
use crate::task::{WaitReason, waiting};

/// Future of [`Registration::ready`]: waits until a call may succeed.
///
/// ```
/// use runtime::io::{Direction, Registration, mio};
///
/// # runtime::block_on(async {
/// let (sender, mut receiver) = mio::unix::pipe::new()?;
/// let registration = Registration::new_unready(&mut receiver)?;
/// let readiness = registration.ready(Direction::Read);
/// drop(sender); // the end of the pipe is something to read, too
/// readiness.await?;
/// # std::io::Result::Ok(()) }).unwrap();
/// ```
///
/// **Go:** none; the poller is not public there.
#[must_use = "futures do nothing unless awaited"]
pub struct Readiness<'a> {
    waiter: Waiter<'a>,
}

impl<'a> Readiness<'a> {
    pub(super) fn new(
        registration: &'a Registration,
        direction: Direction,
        caller: &'static Location<'static>,
    ) -> Self {
        Self {
            waiter: Waiter::new(registration, direction, caller),
        }
    }
}

impl Future for Readiness<'_> {
    type Output = io::Result<()>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let proceed = ready!(coop::poll_proceed(cx));
        let waiter = &mut self.waiter;
        let state = waiter.registration.record().state();
        if state.stop(waiter.direction).is_some() || !state.is_ready(waiter.direction) {
            ready!(waiter.poll(cx))?;
        }
        waiter.forget();
        proceed.made_progress();
        Poll::Ready(Ok(()))
    }
}

/// Future of [`Registration::io`]: makes a call, waiting as long as it would block. It may be
/// polled again when it is done, and then makes the next call.
///
/// ```
/// use runtime::io::{Direction, Registration, mio};
/// use std::io::Read;
///
/// # runtime::block_on(async {
/// let (sender, mut receiver) = mio::unix::pipe::new()?;
/// let registration = Registration::new(&mut receiver)?;
/// drop(sender);
/// let mut buf = [0; 16];
/// let operation = registration.io(Direction::Read, |_| (&receiver).read(&mut buf));
/// assert_eq!(operation.await?, 0); // the end
/// # std::io::Result::Ok(()) }).unwrap();
/// ```
///
/// **Go:** `fd.pd.waitRead` around a `syscall.Read`, inside `internal/poll`.
#[must_use = "futures do nothing unless awaited"]
pub struct Operation<'a, F> {
    waiter: Waiter<'a>,
    /// The next try asks the kernel whatever the readiness says.
    eager: bool,
    call: F,
}

impl<'a, F> Operation<'a, F> {
    pub(super) fn new(
        registration: &'a Registration,
        direction: Direction,
        call: F,
        caller: &'static Location<'static>,
    ) -> Self {
        Self {
            waiter: Waiter::new(registration, direction, caller),
            eager: false,
            call,
        }
    }

    /// Whether the first try is made even if the direction is known not to be ready: for a call
    /// that is certain not to block, such as a read of no bytes.
    ///
    /// ```
    /// use runtime::io::{Direction, Registration, mio};
    /// use std::io::Read;
    ///
    /// # runtime::block_on(async {
    /// let (sender, mut receiver) = mio::unix::pipe::new()?;
    /// let registration = Registration::new_unready(&mut receiver)?;
    /// let nothing = registration.io(Direction::Read, |_| (&receiver).read(&mut []));
    /// assert_eq!(nothing.eager(true).await?, 0);
    /// # drop(sender);
    /// # std::io::Result::Ok(()) }).unwrap();
    /// ```
    ///
    /// **Go:** none.
    pub fn eager(mut self, eager: bool) -> Self {
        self.eager = eager;
        self
    }

    /// Names the place that a dump shows for a task which waits here, instead of the caller of
    /// [`Registration::io`].
    ///
    /// ```
    /// use runtime::io::{Direction, Registration, mio};
    /// use std::panic::Location;
    ///
    /// # runtime::block_on(async {
    /// let (sender, mut receiver) = mio::unix::pipe::new()?;
    /// let registration = Registration::new(&mut receiver)?;
    /// let reads = registration.io(Direction::Read, |_| Ok(()));
    /// reads.at(Location::caller()).await?;
    /// # drop(sender);
    /// # std::io::Result::Ok(()) }).unwrap();
    /// ```
    ///
    /// **Go:** none.
    pub fn at(mut self, place: &'static Location<'static>) -> Self {
        self.waiter.caller = place;
        self
    }
}

/// The call is a closure that is only called, never pinned.
impl<F> Unpin for Operation<'_, F> {}

impl<R, F> Future for Operation<'_, F>
where
    F: FnMut(&Attempt<'_>) -> io::Result<R>,
{
    type Output = io::Result<R>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let proceed = ready!(coop::poll_proceed(cx));
        let Self {
            waiter,
            eager,
            call,
        } = &mut *self;
        loop {
            let eager = mem::take(eager);
            if let Some(result) = waiter.registration.attempt(waiter.direction, eager, call) {
                waiter.forget();
                proceed.made_progress();
                return Poll::Ready(result);
            }
            ready!(waiter.poll(cx))?;
        }
    }
}

/// A future's seat among those who wait for a record.
struct Waiter<'a> {
    registration: &'a Registration,
    direction: Direction,
    seat: Seat,
    caller: &'static Location<'static>,
}

impl<'a> Waiter<'a> {
    fn new(
        registration: &'a Registration,
        direction: Direction,
        caller: &'static Location<'static>,
    ) -> Self {
        Self {
            registration,
            direction,
            seat: Seat::None,
            caller,
        }
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let record = self.registration.record();
        match record.wait(self.direction, &mut self.seat, cx.waker()) {
            Poll::Ready(Err(Stop::Shutdown)) if ends_after_poll(cx.waker()) => Poll::Pending,
            Poll::Ready(result) => Poll::Ready(result.map_err(stopped)),
            Poll::Pending => {
                waiting(WaitReason::IoWait, self.caller);
                Poll::Pending
            }
        }
    }

    #[inline]
    fn forget(&mut self) {
        let record = self.registration.record();
        record.forget(self.direction, &mut self.seat);
    }
}

impl Drop for Waiter<'_> {
    #[inline]
    fn drop(&mut self) {
        self.forget();
    }
}

impl fmt::Debug for Readiness<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Readiness")
            .field("direction", &self.waiter.direction)
            .finish_non_exhaustive()
    }
}

impl<F> fmt::Debug for Operation<'_, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Operation")
            .field("direction", &self.waiter.direction)
            .finish_non_exhaustive()
    }
}
