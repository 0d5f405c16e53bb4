//! A descriptor's place in the reactor: registered once, asked before each system call, waited on after one that would block.
//!
//! A [`Registration`] is the half of a [`Source`](super::Source) that knows nothing of the descriptor but its readiness. Whoever
//! wants to keep the descriptor elsewhere (behind a lock, so that it can be closed while others hold the registration) uses it alone.
#![forbid(unsafe_code)]

use std::fmt;
use std::future::Future;
use std::io;
use std::mem;
use std::panic::Location;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use super::driver::Driver;
use super::error::stopped;
use super::operation::{Operation, Readiness};
use super::readiness::Record;
use super::records::{Page, Token};
use super::state::{Direction, Ready, State};
use crate::task::coop;
use crate::task::{WaitReason, waiting};
use crate::time::Instant;

/// Readiness of one descriptor, as the reactor reports it.
///
/// The reactor reports edges: a direction becomes ready, once. So the registration remembers it until a system call has found the
/// descriptor drained; [`try_io`](Self::try_io) and [`io`](Self::io) do that by themselves.
///
/// Dropping a registration frees its place and makes no system call. The kernel forgets a descriptor when it is closed; for one that
/// stays open call [`deregister`](Self::deregister).
///
/// ```
/// use runtime::io::{Direction, Registration, mio};
/// use std::io::{Read, Write};
///
/// # runtime::block_on(async {
/// let (mut sender, mut receiver) = mio::unix::pipe::new()?;
/// let registration = Registration::new(&mut receiver)?;
/// sender.write_all(b"hello")?;
///
/// let mut buf = [0; 16];
/// let n = registration.io(Direction::Read, |_| (&receiver).read(&mut buf)).await?;
/// assert_eq!(&buf[..n], b"hello");
/// # std::io::Result::Ok(()) }).unwrap();
/// ```
///
/// **Go:** `runtime.pollDesc`, which is not public there.
pub struct Registration {
    page: Arc<Page>,
    token: Token,
}

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
    /// Says that the call moved fewer bytes than it was offered: on a **stream** that means that the kernel's buffer is empty (reading)
    /// or full (writing), so that the next operation waits for an event instead of asking the kernel.
    ///
    /// Nothing is forgotten: an event that came in since the attempt began stands, and so does the end of the stream.
    /// Not for datagrams, and not for a peek.
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

fn both() -> mio::Interest {
    mio::Interest::READABLE | mio::Interest::WRITABLE
}

/// Whether the system reports a new edge after a short read or write. Linux and the BSDs do; mio's other backends arm again only
/// after a call that would block.
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
    /// Registers a descriptor with the current runtime, for both directions.
    ///
    /// Both directions count as ready at first: the first operation tries its system call.
    ///
    /// # Errors
    ///
    /// What the system says (the descriptor cannot be polled, is registered already, memory is short); an error that
    /// [`is_shutdown`](super::is_shutdown) knows if the runtime is shutting down.
    ///
    /// # Panics
    ///
    /// Outside a runtime.
    ///
    /// ```
    /// use runtime::io::{Direction, Registration, mio};
    ///
    /// # runtime::block_on(async {
    /// let (sender, mut receiver) = mio::unix::pipe::new()?;
    /// let registration = Registration::new(&mut receiver)?;
    /// assert!(registration.is_ready(Direction::Read)); // until a call has found out better
    /// # drop(sender);
    /// # std::io::Result::Ok(()) }).unwrap();
    /// ```
    ///
    /// **Go:** `poll.FD.Init`.
    #[track_caller]
    pub fn new<S>(source: &mut S) -> io::Result<Self>
    where
        S: mio::event::Source + ?Sized,
    {
        Self::on(&super::current_driver(), source, Ready::BOTH, both())
    }

    /// Registers a descriptor for reading alone: for one that the system reports as writable again and again, such as a datagram or Unix
    /// socket, of which the peer's every read is an event.
    ///
    /// Writing counts as ready. A call that would block has to call [`also_writing`](Self::also_writing) before it says so, or nobody
    /// will say when it may be repeated; and a short write must not be taken for [drained](Attempt::drained) before that.
    ///
    /// # Errors
    ///
    /// As for [`new`](Self::new).
    ///
    /// # Panics
    ///
    /// Outside a runtime.
    ///
    /// ```
    /// use runtime::io::{Direction, Registration, mio};
    ///
    /// # runtime::block_on(async {
    /// let (sender, mut receiver) = mio::unix::pipe::new()?;
    /// let registration = Registration::new_reading(&mut receiver)?;
    /// assert!(registration.is_ready(Direction::Write));
    /// # drop(sender);
    /// # std::io::Result::Ok(()) }).unwrap();
    /// ```
    ///
    /// **Go:** none.
    #[track_caller]
    pub fn new_reading<S>(source: &mut S) -> io::Result<Self>
    where
        S: mio::event::Source + ?Sized,
    {
        let reading = mio::Interest::READABLE;
        Self::on(&super::current_driver(), source, Ready::BOTH, reading)
    }

    /// Has writing reported from now on, too: see [`new_reading`](Self::new_reading). If the descriptor is writable at this moment, that is
    /// reported, so that no event is missed between the call that would have blocked and this one.
    ///
    /// # Errors
    ///
    /// What the system says, for instance that `source` is not the descriptor that was registered.
    ///
    /// ```
    /// use runtime::io::{Registration, mio};
    ///
    /// # runtime::block_on(async {
    /// let (sender, mut receiver) = mio::unix::pipe::new()?;
    /// let registration = Registration::new_reading(&mut receiver)?;
    /// registration.also_writing(&mut receiver)?;
    /// # drop(sender);
    /// # std::io::Result::Ok(()) }).unwrap();
    /// ```
    ///
    /// **Go:** none.
    pub fn also_writing<S>(&self, source: &mut S) -> io::Result<()>
    where
        S: mio::event::Source + ?Sized,
    {
        match self.page.driver() {
            Some(driver) => driver.reregister(source, self.token, both()),
            None => Ok(()),
        }
    }

    /// Registers a descriptor of which nothing is ready yet, such as a socket that is being connected: the first wait in each
    /// direction waits for an event.
    ///
    /// # Errors
    ///
    /// As for [`new`](Self::new).
    ///
    /// # Panics
    ///
    /// Outside a runtime.
    ///
    /// ```
    /// use runtime::io::{Direction, Registration, mio};
    ///
    /// # runtime::block_on(async {
    /// let (sender, mut receiver) = mio::unix::pipe::new()?;
    /// let registration = Registration::new_unready(&mut receiver)?;
    /// assert!(!registration.is_ready(Direction::Read));
    /// # drop(sender);
    /// # std::io::Result::Ok(()) }).unwrap();
    /// ```
    ///
    /// **Go:** none.
    #[track_caller]
    pub fn new_unready<S>(source: &mut S) -> io::Result<Self>
    where
        S: mio::event::Source + ?Sized,
    {
        Self::on(&super::current_driver(), source, Ready::NONE, both())
    }

    pub(super) fn on<S>(
        driver: &Driver,
        source: &mut S,
        ready: Ready,
        interest: mio::Interest,
    ) -> io::Result<Self>
    where
        S: mio::event::Source + ?Sized,
    {
        let (page, token) = driver.shared().register(source, ready, interest)?;
        Ok(Self { page, token })
    }

    /// Takes the descriptor out of the reactor, so that it can go on elsewhere.
    ///
    /// # Errors
    ///
    /// What the system says, for instance that `source` is not the descriptor that was registered. The registration is gone all the same.
    /// After the runtime has been dropped there is nothing to do, and no error.
    ///
    /// ```
    /// use runtime::io::{Registration, mio};
    ///
    /// # runtime::block_on(async {
    /// let (sender, mut receiver) = mio::unix::pipe::new()?;
    /// let registration = Registration::new(&mut receiver)?;
    /// registration.deregister(&mut receiver)?;
    /// # drop(sender);
    /// # std::io::Result::Ok(()) }).unwrap();
    /// ```
    ///
    /// **Go:** `os.File.Fd`, which takes a descriptor out of the poller.
    pub fn deregister<S>(self, source: &mut S) -> io::Result<()>
    where
        S: mio::event::Source + ?Sized,
    {
        self.deregister_in_place(source)
    }

    pub(super) fn deregister_in_place<S>(&self, source: &mut S) -> io::Result<()>
    where
        S: mio::event::Source + ?Sized,
    {
        match self.page.driver() {
            Some(driver) => driver.deregister(source),
            None => Ok(()),
        }
    }

    /// Says that calls may succeed in both directions, without an event having said so; wakes nobody.
    ///
    /// For a socket whose connecting turned out to be complete at once.
    ///
    /// ```
    /// use runtime::io::{Direction, Registration, mio};
    ///
    /// # runtime::block_on(async {
    /// let (sender, mut receiver) = mio::unix::pipe::new()?;
    /// let registration = Registration::new_unready(&mut receiver)?;
    /// registration.assume_ready();
    /// assert!(registration.is_ready(Direction::Read));
    /// # drop(sender);
    /// # std::io::Result::Ok(()) }).unwrap();
    /// ```
    ///
    /// **Go:** none.
    pub fn assume_ready(&self) {
        self.record().assume_ready(Ready::BOTH);
    }

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

    /// Waits until a call in this direction may succeed: it makes progress, meets the end or an error, or, now and then, would block
    /// all the same.
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
    /// Several tasks may wait through this function at once; each is woken. A task that lost interest is woken once for nothing.
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
    /// [`WouldBlock`](io::ErrorKind::WouldBlock) if it is not ready, or the call said so; then the next wait waits for an event.
    /// An error that [`is_closed`](super::is_closed) knows after a close. Whatever else the call says.
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

    /// Makes a non-blocking call, and waits and tries again as long as it would block. A call that was interrupted is repeated.
    ///
    /// # Errors
    ///
    /// What the call says, other than `WouldBlock` and `Interrupted`; the registration was [closed](Self::close); the runtime has
    /// shut down while it waited.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe if the call is: it has either completed, and the future is ready, or done nothing.
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

    /// Ends all waiting: whoever waits, and whoever calls from now on, gets an error that [`is_closed`](super::is_closed) knows.
    ///
    /// The descriptor itself is the caller's to close. Closing twice does nothing more.
    ///
    /// ```
    /// use runtime::io::{Direction, Registration, mio};
    ///
    /// # runtime::block_on(async {
    /// let (sender, mut receiver) = mio::unix::pipe::new()?;
    /// let registration = Registration::new_unready(&mut receiver)?;
    /// registration.close();
    /// let error = registration.ready(Direction::Read).await.unwrap_err();
    /// assert!(runtime::io::is_closed(&error));
    /// # drop(sender);
    /// # std::io::Result::Ok(()) }).unwrap();
    /// ```
    ///
    /// **Go:** `poll.FD.Close`, without the closing.
    pub fn close(&self) {
        let mut wakers = Vec::new();
        self.record().close(&mut wakers);
        for waker in wakers {
            waker.wake();
        }
    }

    /// Sets the time at which operations in this direction fail, those that wait and those to come, until another deadline is set. A
    /// time that has passed fails them now, also where data are ready. `None`: never.
    ///
    /// The error has the kind [`TimedOut`](io::ErrorKind::TimedOut) and the text `i/o timeout`;
    /// [`is_deadline`](super::is_deadline) knows it.
    ///
    /// Putting a deadline off, as for each request, takes two locks and sets no timer: the one that is set looks again when it fires.
    /// A registration without a deadline pays nothing for this.
    ///
    /// # Panics
    ///
    /// Outside a runtime, when the deadline needs a timer.
    ///
    /// ```
    /// use runtime::io::{Direction, Registration, mio};
    /// use runtime::time::Instant;
    ///
    /// # runtime::block_on(async {
    /// let (sender, mut receiver) = mio::unix::pipe::new()?;
    /// let registration = Registration::new_unready(&mut receiver)?;
    /// registration.set_deadline(Direction::Read, Some(Instant::now()));
    /// let error = registration.ready(Direction::Read).await.unwrap_err();
    /// assert!(runtime::io::is_deadline(&error));
    /// # drop(sender);
    /// # std::io::Result::Ok(()) }).unwrap();
    /// ```
    ///
    /// **Go:** `SetReadDeadline`, `SetWriteDeadline`.
    #[track_caller]
    pub fn set_deadline(&self, direction: Direction, at: Option<Instant>) {
        let deadlines = self.record().deadlines();
        deadlines.set(&self.page, self.token, direction, at);
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
            Poll::Ready(result) => Poll::Ready(result.map_err(stopped)),
            Poll::Pending => {
                waiting(WaitReason::IoWait, Location::caller());
                Poll::Pending
            }
        }
    }

    #[inline]
    pub(super) fn record(&self) -> &Record {
        self.page.record(self.token)
    }
}

impl Drop for Registration {
    fn drop(&mut self) {
        self.record().release();
        if let Some(driver) = self.page.driver() {
            driver.close(self.token);
        }
    }
}

impl fmt::Debug for Registration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Registration").field(self.record()).finish()
    }
}

/// Registrations go from task to task and are used by several at once.
const _: () = {
    const fn shared<T: Send + Sync>() {}
    shared::<Registration>();
    const fn sent<T: Future + Send>() {}
    sent::<Readiness<'static>>();
};
