//! A socket that several tasks use and any of them may close: the descriptor behind a lock, its
//! readiness beside it.
//!
//! Each system call is made under the lock for reading; it never blocks, so the lock is held for
//! microseconds. Closing marks the registration, which wakes whoever waits and turns away whoever
//! comes, and then takes the descriptor under the lock for writing: it waits for the calls under
//! way, and no descriptor number is ever used after it has been given back to the system.
//!
//! A call of the user's own (`control`, `io`) may take longer, and may itself close the socket, or
//! another one whose user closes this one. So nobody waits for those: they are counted ([`Lent`]),
//! and a close that finds some leaves the descriptor to the last of them. To all others the socket
//! is closed from then on.
//!
//! Sockets are watched for being writable only from the first write on that finds no room, which
//! few ever come to. Otherwise the first event of each connection would be that it is writable,
//! which is no news; and where the peer's every read makes a socket writable once more (all but
//! TCP) each message would cost its sender an event, a turn of the poller, perhaps a worker's
//! sleep. A socket that is being connected waits for just that event, and is watched from the
//! start.
//!
//! The kernel forgets a descriptor's registration when it is closed, so that dropping a socket
//! costs one system call. (A duplicate of the descriptor in other hands keeps the registration
//! alive; its events name a user that is gone and are ignored.)
#![forbid(unsafe_code)]

use std::fmt;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::panic::Location;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{PoisonError, RwLock};
use std::task::{Context, Poll};

use mio::event::Source;
use mio::unix::SourceFd;
use runtime::io::{Attempt, Direction, Registration, closed_error};
use runtime::time::Instant;

/// See the story of this file.
pub(crate) struct Socket<S> {
    /// `None` once closed. Dropped before the registration.
    device: RwLock<Option<S>>,
    registration: Registration,
    /// Whether the reactor reports that it is writable. Who sees it may rely on that; who does not
    /// asks for it once more, which changes nothing.
    writes_watched: AtomicBool,
    /// The calls of users under way, and [`CLOSED`].
    users: AtomicU32,
}

/// In `users`: set by the first `close`, and never unset. No call of a user begins after it.
const CLOSED: u32 = 1 << 31;

/// Whether a call may find that it would block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Blocks {
    /// It is made when the socket is thought to be ready.
    Perhaps,
    /// It moves no byte, and is made at once.
    Never,
}

impl Blocks {
    pub(crate) fn unless(nothing: bool) -> Self {
        match nothing {
            true => Self::Never,
            false => Self::Perhaps,
        }
    }
}

impl<S: Source + AsFd> Socket<S> {
    /// Registers a socket that can be used at once.
    #[track_caller]
    pub(crate) fn new(mut device: S) -> io::Result<Self> {
        let registration = Registration::new(&mut device)?;
        Ok(Self::assemble(device, registration, true))
    }

    /// Registers a socket that is not watched for being writable before that is needed.
    #[track_caller]
    pub(crate) fn new_reading(mut device: S) -> io::Result<Self> {
        let registration = Registration::new_reading(&mut device)?;
        Ok(Self::assemble(device, registration, false))
    }

    /// Registers a socket that is being connected: nothing is ready before an event says so.
    #[track_caller]
    pub(crate) fn new_unready(mut device: S) -> io::Result<Self> {
        let registration = Registration::new_unready(&mut device)?;
        Ok(Self::assemble(device, registration, true))
    }

    fn assemble(device: S, registration: Registration, writes_watched: bool) -> Self {
        Self {
            device: RwLock::new(Some(device)),
            registration,
            writes_watched: AtomicBool::new(writes_watched),
            users: AtomicU32::new(0),
        }
    }

    pub(crate) fn registration(&self) -> &Registration {
        &self.registration
    }

    /// Uses the descriptor for one call of ours that does not block.
    #[inline]
    pub(crate) fn with<R>(&self, call: impl FnOnce(&S) -> io::Result<R>) -> io::Result<R> {
        match self.is_closed() {
            true => Err(closed_error()),
            false => self.with_device(call),
        }
    }

    /// Uses the descriptor as long as it is there, which may be for a while after the close.
    #[inline]
    fn with_device<R>(&self, call: impl FnOnce(&S) -> io::Result<R>) -> io::Result<R> {
        let device = self.device.read().unwrap_or_else(PoisonError::into_inner);
        match &*device {
            Some(device) => call(device),
            None => Err(closed_error()),
        }
    }

    /// One call in a direction. After a write that found no more room, the reactor is asked to tell
    /// when there is some.
    #[inline]
    fn attempt<R>(
        &self,
        direction: Direction,
        attempt: &Attempt<'_>,
        call: &mut impl FnMut(&S, &Attempt<'_>) -> io::Result<R>,
    ) -> io::Result<R> {
        self.with_device(|device| {
            let result = call(device, attempt);
            if direction == Direction::Read || self.are_writes_watched() {
                return result;
            }
            match result {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    self.watch_writes(device)?;
                    Err(error)
                }
                // It has moved less than it was offered, and said so.
                Ok(_) if !self.registration.is_ready(Direction::Write) => {
                    if self.watch_writes(device).is_err() {
                        // The next write asks the system itself, and may return the error.
                        self.registration.assume_ready();
                    }
                    result
                }
                result => result,
            }
        })
    }

    fn are_writes_watched(&self) -> bool {
        // Acquire: pairs with the Release in `watch_writes`, before which the reactor has been
        // asked.
        self.writes_watched.load(Ordering::Acquire)
    }

    #[cold]
    fn watch_writes(&self, device: &S) -> io::Result<()> {
        let descriptor = device.as_fd().as_raw_fd();
        self.registration.also_writing(&mut SourceFd(&descriptor))?;
        // Release: see `are_writes_watched`.
        self.writes_watched.store(true, Ordering::Release);
        Ok(())
    }

    /// Makes a call, and waits and repeats it while it would block. The future may be polled again
    /// when it is done: it makes the next call.
    #[inline]
    pub(crate) fn io<'a, R, F>(
        &'a self,
        direction: Direction,
        place: &'static Location<'static>,
        blocks: Blocks,
        mut call: F,
    ) -> impl Future<Output = io::Result<R>> + Unpin + use<'a, S, R, F>
    where
        F: FnMut(&S, &Attempt<'_>) -> io::Result<R>,
    {
        let call = move |attempt: &Attempt<'_>| self.attempt(direction, attempt, &mut call);
        let eager = blocks == Blocks::Never;
        self.registration.io(direction, call).eager(eager).at(place)
    }

    /// Makes a call if it may succeed now.
    pub(crate) fn try_io<R>(
        &self,
        direction: Direction,
        mut call: impl FnMut(&S, &Attempt<'_>) -> io::Result<R>,
    ) -> io::Result<R> {
        self.registration.try_io(direction, |attempt| {
            self.attempt(direction, attempt, &mut call)
        })
    }

    /// The poll form of `io`.
    #[track_caller]
    pub(crate) fn poll_io<R>(
        &self,
        direction: Direction,
        cx: &mut Context<'_>,
        mut call: impl FnMut(&S, &Attempt<'_>) -> io::Result<R>,
    ) -> Poll<io::Result<R>> {
        self.registration.poll_io(direction, cx, |attempt| {
            self.attempt(direction, attempt, &mut call)
        })
    }

    /// See [`Registration::set_deadline`].
    #[track_caller]
    pub(crate) fn set_deadline(&self, direction: Direction, at: Option<Instant>) -> io::Result<()> {
        self.with(|_| Ok(()))?;
        self.registration.set_deadline(direction, at);
        Ok(())
    }

    /// Closes the socket, after the calls under way; whoever waits on it is told.
    pub(crate) fn close(&self) -> io::Result<()> {
        self.registration.close();
        // AcqRel, as in `Lent`: all that was done with the descriptor comes before its end.
        let before = self.users.fetch_or(CLOSED, Ordering::AcqRel);
        match before {
            0 => self.give_back(),
            _ if before & CLOSED != 0 => return Err(closed_error()),
            // The last of the users does it, who may be waiting for us to return.
            _ => {}
        }
        Ok(())
    }

    /// Gives the descriptor back to the system, after our calls under way. There is no call of a
    /// user's, and will be none.
    fn give_back(&self) {
        let device = {
            let mut device = self.device.write().unwrap_or_else(PoisonError::into_inner);
            device.take()
        };
        drop(device);
    }

    /// Takes the descriptor out of the reactor, for use elsewhere.
    pub(crate) fn into_device(self) -> io::Result<S> {
        let device = self
            .device
            .into_inner()
            .unwrap_or_else(PoisonError::into_inner);
        let mut device = device.ok_or_else(closed_error)?;
        self.registration.deregister(&mut device)?;
        Ok(device)
    }
}

impl<S: Source + AsFd> Socket<S> {
    /// Lends the descriptor for a call of the user's.
    pub(crate) fn control<R>(
        &self,
        call: impl FnOnce(BorrowedFd<'_>) -> io::Result<R>,
    ) -> io::Result<R> {
        let _lent = self.lend()?;
        self.with_device(|device| call(device.as_fd()))
    }

    /// `io` with a call of the user's.
    pub(crate) fn lend_io<'a, R, F>(
        &'a self,
        direction: Direction,
        place: &'static Location<'static>,
        mut call: F,
    ) -> impl Future<Output = io::Result<R>> + Unpin + use<'a, S, R, F>
    where
        F: FnMut(BorrowedFd<'_>) -> io::Result<R>,
    {
        let call = move |attempt: &Attempt<'_>| self.lend_attempt(direction, attempt, &mut call);
        self.registration.io(direction, call).at(place)
    }

    /// `try_io` with a call of the user's.
    pub(crate) fn try_lend_io<R>(
        &self,
        direction: Direction,
        mut call: impl FnMut(BorrowedFd<'_>) -> io::Result<R>,
    ) -> io::Result<R> {
        self.registration.try_io(direction, |attempt| {
            self.lend_attempt(direction, attempt, &mut call)
        })
    }

    /// `poll_io` with a call of the user's.
    #[track_caller]
    pub(crate) fn poll_lend_io<R>(
        &self,
        direction: Direction,
        cx: &mut Context<'_>,
        mut call: impl FnMut(BorrowedFd<'_>) -> io::Result<R>,
    ) -> Poll<io::Result<R>> {
        self.registration.poll_io(direction, cx, |attempt| {
            self.lend_attempt(direction, attempt, &mut call)
        })
    }

    fn lend_attempt<R>(
        &self,
        direction: Direction,
        attempt: &Attempt<'_>,
        call: &mut impl FnMut(BorrowedFd<'_>) -> io::Result<R>,
    ) -> io::Result<R> {
        // Dropped after the lock has been let go of.
        let _lent = self.lend()?;
        self.attempt(direction, attempt, &mut |device: &S, _: &Attempt<'_>| {
            call(device.as_fd())
        })
    }

    fn lend(&self) -> io::Result<Lent<'_, S>> {
        let one_more = |users| (users & CLOSED == 0).then_some(users + 1);
        // Relaxed: what is used is found under the lock.
        let relaxed = Ordering::Relaxed;
        match self.users.fetch_update(relaxed, relaxed, one_more) {
            Ok(_) => Ok(Lent { socket: self }),
            Err(_) => Err(closed_error()),
        }
    }
}

impl<S> Socket<S> {
    fn is_closed(&self) -> bool {
        // Relaxed: who has been told of the close sees it; the descriptor is under the lock.
        self.users.load(Ordering::Relaxed) & CLOSED != 0
    }
}

/// A call of a user's under way: the descriptor stays until it has returned, or panicked.
struct Lent<'a, S: Source + AsFd> {
    socket: &'a Socket<S>,
}

impl<S: Source + AsFd> Drop for Lent<'_, S> {
    fn drop(&mut self) {
        // AcqRel: pairs with that of `close` and those of the other users, all of whose calls come
        // before the descriptor's end.
        let before = self.socket.users.fetch_sub(1, Ordering::AcqRel);
        if before == CLOSED | 1 {
            self.socket.give_back();
        }
    }
}

/// The error of taking a socket out of the runtime while others hold it.
pub(crate) fn shared() -> io::Error {
    io::Error::new(
        io::ErrorKind::ResourceBusy,
        "the socket has clones or halves: drop them first",
    )
}

impl<S: fmt::Debug> Socket<S> {
    /// Prints the device, which calls itself what users call it and shows its addresses:
    /// `TcpStream { addr: …, peer: …, fd: 7 }`; or that the socket of this name is closed. Never
    /// waits.
    pub(crate) fn describe(&self, name: &str, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.device.try_read().as_deref() {
            Ok(Some(device)) if !self.is_closed() => device.fmt(f),
            Ok(_) => write!(f, "{name} {{ closed }}"),
            Err(_) => write!(f, "{name} {{ closing }}"),
        }
    }
}

impl<S: fmt::Debug> fmt::Debug for Socket<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.describe("Socket", f)
    }
}
