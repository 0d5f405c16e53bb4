//! A descriptor's place in the reactor: registered once, asked before each system call, waited on
//! after one that would block (both in `attempt.rs`).
//!
//! A [`Registration`] is the half of a [`Source`](super::Source) that knows nothing of the
//! descriptor but its readiness. Whoever wants to keep the descriptor elsewhere (behind a lock, so
//! that it can be closed while others hold the registration) uses it alone.
#![forbid(unsafe_code)]

use std::fmt;
use std::future::Future;
use std::io;
use std::sync::Arc;

use super::driver::Driver;
use super::operation::Readiness;
use super::readiness::Record;
use super::records::{Page, Token};
use super::state::{Direction, Ready};
use crate::task::call_waker;
use crate::time::Instant;

/// Readiness of one descriptor, as the reactor reports it.
///
/// The reactor reports edges: a direction becomes ready, once. So the registration remembers it
/// until a system call has found the descriptor drained; [`try_io`](Self::try_io) and
/// [`io`](Self::io) do that by themselves.
///
/// Dropping a registration frees its place and makes no system call. The kernel forgets a
/// descriptor when it is closed; for one that stays open call [`deregister`](Self::deregister).
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

/// Urgent data with the rest, where the system tells of it: see `state.rs`.
#[cfg(any(target_os = "linux", target_os = "android"))]
const READING: mio::Interest = mio::Interest::READABLE.add(mio::Interest::PRIORITY);
#[cfg(not(any(target_os = "linux", target_os = "android")))]
const READING: mio::Interest = mio::Interest::READABLE;

fn both() -> mio::Interest {
    READING | mio::Interest::WRITABLE
}

impl Registration {
    /// Registers a descriptor with the current runtime, for both directions.
    ///
    /// Both directions count as ready at first: the first operation tries its system call.
    ///
    /// # Errors
    ///
    /// What the system says (the descriptor cannot be polled, is registered already, memory is
    /// short); an error that [`is_shutdown`](super::is_shutdown) knows if the runtime is shutting
    /// down.
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

    /// Registers a descriptor for reading alone: for one that the system reports as writable again
    /// and again, such as a datagram or Unix socket, of which the peer's every read is an event.
    ///
    /// Writing counts as ready. A call that would block has to call
    /// [`also_writing`](Self::also_writing) before it says so, or nobody will say when it may be
    /// repeated; and a short write must not be taken for [drained](super::Attempt::drained) before
    /// that.
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
        Self::on(&super::current_driver(), source, Ready::BOTH, READING)
    }

    /// Has writing reported from now on, too: see [`new_reading`](Self::new_reading). If the
    /// descriptor is writable at this moment, that is reported, so that no event is missed between
    /// the call that would have blocked and this one.
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

    /// Registers a descriptor of which nothing is ready yet, such as a socket that is being
    /// connected: the first wait in each direction waits for an event.
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
    /// What the system says, for instance that `source` is not the descriptor that was registered.
    /// The registration is gone all the same. After the runtime has been dropped there is nothing
    /// to do, and no error.
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

    /// Says that calls may succeed in both directions, without an event having said so; wakes
    /// nobody.
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

    /// Ends all waiting: whoever waits, and whoever calls from now on, gets an error that
    /// [`is_closed`](super::is_closed) knows.
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
        wakers.into_iter().for_each(call_waker);
    }

    /// Sets the time at which operations in this direction fail, those that wait and those to come,
    /// until another deadline is set. A time that has passed fails them now, also where data are
    /// ready. `None`: never.
    ///
    /// The error has the kind [`TimedOut`](io::ErrorKind::TimedOut) and a text that begins with
    /// `i/o timeout`; [`is_deadline`](super::is_deadline) knows it.
    ///
    /// Putting a deadline off, as for each request, takes two locks and sets no timer: the one that
    /// is set looks again when it fires. A registration without a deadline pays nothing for this.
    ///
    /// It is kept by the runtime of the registration, from wherever it is set.
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
