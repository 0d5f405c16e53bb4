//! Calls on a registered descriptor: tried when its direction may be ready, and waited for when
//! they would block.
#![forbid(unsafe_code)]

use std::io;
use std::mem;
use std::panic::Location;
use std::task::{Context, Poll, ready};

use super::error::stopped;
use super::operation::{Operation, Readiness};
use super::registration::Registration;
use super::state::{Direction, State, Stop};
use crate::scheduler::current::ends_after_poll;
use crate::task::coop;
use crate::task::{WaitReason, waiting};

/// One try of an operation: the state of the descriptor just before its system call.
///
/// ```
/// use runtime::io::{Attempt, Direction, Registration, mio};
///
/// # runtime::block_on(async {
/// let (sender, mut receiver) = mio::unix::pipe::new()?;
/// let registration = Registration::new(&mut receiver)?;
/// let tried = registration.try_io(Direction::Read, |attempt: &Attempt<'_>| Ok(format!("{attempt:?}")));
/// assert!(tried.is_ok());
/// # drop(sender);
/// # std::io::Result::Ok(()) }).unwrap();
/// ```
///
/// **Go:** none.
#[derive(Debug)]
pub struct Attempt<'a> {
    registration: &'a Registration,
    direction: Direction,
    seen: State,
}

impl Attempt<'_> {
    /// Says that the call moved fewer bytes than it was offered: on a **stream** that means that
    /// the kernel's buffer is empty (reading) or full (writing), so that the next operation waits
    /// for an event instead of asking the kernel.
    ///
    /// Nothing is forgotten: an event that came in since the attempt began stands, and so does the
    /// end of the stream. Not for datagrams, and not for a peek.
    ///
    /// ```
    /// # use runtime::io::{Direction, Registration};
    /// # use std::io::{self, Read};
    /// async fn read<S>(stream: &S, readiness: &Registration, buf: &mut [u8]) -> io::Result<usize>
    /// where
    ///     for<'a> &'a S: Read,
    /// {
    ///     let mut stream = stream;
    ///     readiness
    ///         .io(Direction::Read, |attempt| {
    ///             let n = stream.read(buf)?;
    ///             if n < buf.len() {
    ///                 attempt.drained();
    ///             }
    ///             Ok(n)
    ///         })
    ///         .await
    /// }
    /// # let _ = read::<std::net::TcpStream>;
    /// ```
    ///
    /// **Go:** none: there every wait ends with a call that would block.
    #[inline]
    pub fn drained(&self) {
        if EDGE_AFTER_SHORT {
            self.registration
                .record()
                .clear_drained(self.direction, self.seen);
        }
    }
}

/// Whether the system reports a new edge after a short read or write. Linux and the BSDs do; mio's
/// other backends arm again only after a call that would block.
const EDGE_AFTER_SHORT: bool = cfg!(any(
    target_os = "linux",
    target_os = "android",
    target_vendor = "apple",
    target_os = "freebsd",
    target_os = "netbsd",
    target_os = "openbsd",
    target_os = "dragonfly",
));

impl Registration {
    /// Whether a call in this direction may succeed now. `false` means that it would block.
    ///
    /// ```
    /// use runtime::io::{Direction, Registration, mio};
    ///
    /// # runtime::block_on(async {
    /// let (sender, mut receiver) = mio::unix::pipe::new()?;
    /// let registration = Registration::new(&mut receiver)?;
    /// assert!(registration.is_ready(Direction::Read));
    /// # drop(sender);
    /// # std::io::Result::Ok(()) }).unwrap();
    /// ```
    ///
    /// **Go:** none.
    #[inline]
    pub fn is_ready(&self, direction: Direction) -> bool {
        self.record().state().is_ready(direction)
    }

    /// Waits until a call in this direction may succeed: it makes progress, meets the end or an
    /// error, or, now and then, would block all the same.
    ///
    /// # Errors
    ///
    /// The registration was [closed](Self::close), or its runtime has shut down.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: nothing is consumed.
    ///
    /// ```
    /// use runtime::io::{Direction, Registration, mio};
    ///
    /// # runtime::block_on(async {
    /// let (sender, mut receiver) = mio::unix::pipe::new()?;
    /// let registration = Registration::new_unready(&mut receiver)?;
    /// drop(sender);
    /// registration.ready(Direction::Read).await?; // there is the end to read
    /// # std::io::Result::Ok(()) }).unwrap();
    /// ```
    ///
    /// **Go:** `syscall.RawConn.Read` with a function that says whether it would block.
    #[track_caller]
    pub fn ready(&self, direction: Direction) -> Readiness<'_> {
        Readiness::new(self, direction, Location::caller())
    }

    /// Polls for readiness, as [`ready`](Self::ready) does.
    ///
    /// Several tasks may wait through this function at once; each is woken. A task that lost
    /// interest is woken once for nothing.
    ///
    /// # Errors
    ///
    /// The registration was [closed](Self::close), or its runtime has shut down.
    ///
    /// ```
    /// use runtime::io::{Direction, Registration, mio};
    /// use std::future::poll_fn;
    ///
    /// # runtime::block_on(async {
    /// let (sender, mut receiver) = mio::unix::pipe::new()?;
    /// let registration = Registration::new(&mut receiver)?;
    /// poll_fn(|cx| registration.poll_ready(Direction::Read, cx)).await?;
    /// # drop(sender);
    /// # std::io::Result::Ok(()) }).unwrap();
    /// ```
    ///
    /// **Go:** none.
    #[track_caller]
    pub fn poll_ready(&self, direction: Direction, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let proceed = ready!(coop::poll_proceed(cx));
        let state = self.record().state();
        if state.stop(direction).is_some() || !state.is_ready(direction) {
            ready!(self.poll_wait(direction, cx))?;
        }
        proceed.made_progress();
        Poll::Ready(Ok(()))
    }

    /// Makes a non-blocking call if the direction may be ready, without waiting.
    ///
    /// # Errors
    ///
    /// [`WouldBlock`](io::ErrorKind::WouldBlock) if it is not ready, or the call said so; then the
    /// next wait waits for an event. An error that [`is_closed`](super::is_closed) knows after a
    /// close. Whatever else the call says.
    ///
    /// ```
    /// use runtime::io::{Direction, Registration, mio};
    /// use std::io::Read;
    ///
    /// # runtime::block_on(async {
    /// let (sender, mut receiver) = mio::unix::pipe::new()?;
    /// let registration = Registration::new(&mut receiver)?;
    /// let nothing = registration.try_io(Direction::Read, |_| (&receiver).read(&mut [0; 16]));
    /// assert_eq!(nothing.unwrap_err().kind(), std::io::ErrorKind::WouldBlock);
    /// # drop(sender);
    /// # std::io::Result::Ok(()) }).unwrap();
    /// ```
    ///
    /// **Go:** none.
    pub fn try_io<R>(
        &self,
        direction: Direction,
        mut call: impl FnMut(&Attempt<'_>) -> io::Result<R>,
    ) -> io::Result<R> {
        match self.attempt(direction, false, &mut call) {
            Some(result) => result,
            None => Err(io::ErrorKind::WouldBlock.into()),
        }
    }

    /// Makes a non-blocking call, and waits and tries again as long as it would block. A call that
    /// was interrupted is repeated.
    ///
    /// # Errors
    ///
    /// What the call says, other than `WouldBlock` and `Interrupted`; the registration was
    /// [closed](Self::close); the runtime has shut down while it waited.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe if the call is: it has either completed, and the future is ready, or done
    /// nothing.
    ///
    /// ```
    /// use runtime::io::{Direction, Registration, mio};
    /// use std::io::Read;
    ///
    /// # runtime::block_on(async {
    /// let (sender, mut receiver) = mio::unix::pipe::new()?;
    /// let registration = Registration::new(&mut receiver)?;
    /// drop(sender);
    /// let read = registration.io(Direction::Read, |_| (&receiver).read(&mut [0; 16]));
    /// assert_eq!(read.await?, 0); // the end
    /// # std::io::Result::Ok(()) }).unwrap();
    /// ```
    ///
    /// **Go:** `syscall.RawConn.Read`.
    #[track_caller]
    pub fn io<R, F>(&self, direction: Direction, call: F) -> Operation<'_, F>
    where
        F: FnMut(&Attempt<'_>) -> io::Result<R>,
    {
        Operation::new(self, direction, call, Location::caller())
    }

    /// The poll form of [`io`](Self::io); tasks wait as in [`poll_ready`](Self::poll_ready).
    ///
    /// # Errors
    ///
    /// As for [`io`](Self::io).
    ///
    /// ```
    /// use runtime::io::{Direction, Registration, mio};
    /// use std::future::poll_fn;
    /// use std::io::Read;
    ///
    /// # runtime::block_on(async {
    /// let (sender, mut receiver) = mio::unix::pipe::new()?;
    /// let registration = Registration::new(&mut receiver)?;
    /// drop(sender);
    /// let n = poll_fn(|cx| {
    ///     registration.poll_io(Direction::Read, cx, |_| (&receiver).read(&mut [0; 16]))
    /// });
    /// assert_eq!(n.await?, 0); // the end
    /// # std::io::Result::Ok(()) }).unwrap();
    /// ```
    ///
    /// **Go:** none.
    #[track_caller]
    pub fn poll_io<R>(
        &self,
        direction: Direction,
        cx: &mut Context<'_>,
        mut call: impl FnMut(&Attempt<'_>) -> io::Result<R>,
    ) -> Poll<io::Result<R>> {
        let proceed = ready!(coop::poll_proceed(cx));
        loop {
            if let Some(result) = self.attempt(direction, false, &mut call) {
                proceed.made_progress();
                return Poll::Ready(result);
            }
            ready!(self.poll_wait(direction, cx))?;
        }
    }

    /// One try. `None`: it would block, and the state says so now.
    #[inline]
    pub(super) fn attempt<R>(
        &self,
        direction: Direction,
        mut eager: bool,
        call: &mut impl FnMut(&Attempt<'_>) -> io::Result<R>,
    ) -> Option<io::Result<R>> {
        loop {
            let seen = self.record().state();
            if let Some(refusal) = seen.refusal(direction) {
                return Some(Err(stopped(refusal)));
            }
            if !seen.is_ready(direction) && !mem::take(&mut eager) {
                return None;
            }
            let attempt = Attempt {
                registration: self,
                direction,
                seen,
            };
            match call(&attempt) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    self.record().clear_blocked(direction, seen);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                result => return Some(result),
            }
        }
    }

    #[track_caller]
    fn poll_wait(&self, direction: Direction, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.record().poll_wait(direction, cx.waker()) {
            Poll::Ready(Err(Stop::Shutdown)) if ends_after_poll(cx.waker()) => Poll::Pending,
            Poll::Ready(result) => Poll::Ready(result.map_err(stopped)),
            Poll::Pending => {
                waiting(WaitReason::IoWait, Location::caller());
                Poll::Pending
            }
        }
    }
}
