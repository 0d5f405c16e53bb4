//! System calls of one's own on a socket, for what has no method here: descriptors sent along with
//! bytes (`sendmsg`), what a driver adds to a datagram (`recvmsg`), urgent data.
//!
//! They go the way of all reads and writes: made when the socket is thought to be ready, and again
//! when it may be, with the deadlines, [`close`](Stream::close) and the task's budget.
//! [`control`](Stream::control) is for settings, which have nothing to do with readiness.
#![forbid(unsafe_code)]

use std::future::Future;
use std::io;
use std::os::fd::BorrowedFd;
use std::panic::Location;
use std::task::{Context, Poll};

use runtime::io::Direction;

use crate::datagram::Datagram;
use crate::kind::{DatagramKind, StreamKind};
use crate::stream::Stream;

impl<K: StreamKind> Stream<K> {
    /// Makes a system call of one's own that reads or writes, and waits and repeats it while it
    /// would block.
    ///
    /// The call must not block: the descriptor does not, unless a flag says so. It says
    /// [`WouldBlock`](io::ErrorKind::WouldBlock) when the *system* has, and at no other time, or it
    /// waits for what has happened already. It may [`close`](Self::close) the socket, which keeps
    /// the descriptor until it returns.
    ///
    /// # Errors
    ///
    /// What the call returns; the [deadline](Self::set_deadline) has passed; after
    /// [`close`](Self::close) one that [`is_closed`](crate::is_closed) knows.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: a call has been made and its result is returned, or it has not been made.
    ///
    /// ```
    /// use runtime::io::Direction;
    /// use socket2::SockRef;
    ///
    /// # runtime::block_on(async {
    /// let (a, b) = net::UnixStream::pair()?;
    /// // As `write`, by a function of socket2's.
    /// let sent = a.io(Direction::Write, |fd| SockRef::from(&fd).send(b"hello")).await?;
    /// assert_eq!((sent, b.read(&mut [0; 16]).await?), (5, 5));
    /// # std::io::Result::Ok(()) }).unwrap();
    /// ```
    ///
    /// **Go:** `SyscallConn().Read(f)` and `.Write(f)`.
    #[track_caller]
    pub fn io<'a, R: 'a>(
        &'a self,
        direction: Direction,
        call: impl FnMut(BorrowedFd<'_>) -> io::Result<R> + Send + 'a,
    ) -> impl Future<Output = io::Result<R>> + Send + 'a {
        self.inner.lend_io(direction, Location::caller(), call)
    }

    /// [`io`](Self::io) without waiting.
    ///
    /// # Errors
    ///
    /// [`WouldBlock`](io::ErrorKind::WouldBlock) if the socket is not ready; as for
    /// [`io`](Self::io).
    ///
    /// ```
    /// use runtime::io::Direction;
    /// use socket2::SockRef;
    ///
    /// # runtime::block_on(async {
    /// let (a, _b) = net::UnixStream::pair()?;
    /// assert_eq!(a.try_io(Direction::Write, |fd| SockRef::from(&fd).send(b"hello"))?, 5);
    /// # std::io::Result::Ok(()) }).unwrap();
    /// ```
    ///
    /// **Go:** `SyscallConn().Write(f)`, where `f` returns true.
    pub fn try_io<R>(
        &self,
        direction: Direction,
        call: impl FnMut(BorrowedFd<'_>) -> io::Result<R>,
    ) -> io::Result<R> {
        self.inner.try_lend_io(direction, call)
    }
}

impl<K: DatagramKind> Datagram<K> {
    /// Makes a system call of one's own that receives or sends, and waits and repeats it while it
    /// would block.
    ///
    /// The call must not block: the descriptor does not, unless a flag says so. It says
    /// [`WouldBlock`](io::ErrorKind::WouldBlock) when the *system* has, and at no other time, or it
    /// waits for what has happened already. It may [`close`](Self::close) the socket, which keeps
    /// the descriptor until it returns.
    ///
    /// # Errors
    ///
    /// What the call returns; the [deadline](Self::set_deadline) has passed; after
    /// [`close`](Self::close) one that [`is_closed`](crate::is_closed) knows.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: a call has been made and its result is returned, or it has not been made.
    ///
    /// ```
    /// use runtime::io::Direction;
    /// use socket2::SockRef;
    ///
    /// # runtime::block_on(async {
    /// let (a, b) = net::UnixDatagram::pair()?;
    /// let sent = a.io(Direction::Write, |fd| SockRef::from(&fd).send(b"hello")).await?;
    /// assert_eq!((sent, b.recv(&mut [0; 16]).await?), (5, 5));
    /// # std::io::Result::Ok(()) }).unwrap();
    /// ```
    ///
    /// **Go:** `SyscallConn().Read(f)` and `.Write(f)`.
    #[track_caller]
    pub fn io<'a, R: 'a>(
        &'a self,
        direction: Direction,
        call: impl FnMut(BorrowedFd<'_>) -> io::Result<R> + Send + 'a,
    ) -> impl Future<Output = io::Result<R>> + Send + 'a {
        self.inner.lend_io(direction, Location::caller(), call)
    }

    /// [`io`](Self::io) without waiting.
    ///
    /// # Errors
    ///
    /// [`WouldBlock`](io::ErrorKind::WouldBlock) if the socket is not ready; as for
    /// [`io`](Self::io).
    ///
    /// ```
    /// use runtime::io::Direction;
    /// use socket2::SockRef;
    ///
    /// # runtime::block_on(async {
    /// let (a, _b) = net::UnixDatagram::pair()?;
    /// assert_eq!(a.try_io(Direction::Write, |fd| SockRef::from(&fd).send(b"hello"))?, 5);
    /// # std::io::Result::Ok(()) }).unwrap();
    /// ```
    ///
    /// **Go:** `SyscallConn().Write(f)`, where `f` returns true.
    pub fn try_io<R>(
        &self,
        direction: Direction,
        call: impl FnMut(BorrowedFd<'_>) -> io::Result<R>,
    ) -> io::Result<R> {
        self.inner.try_lend_io(direction, call)
    }

    /// The poll form of [`io`](Self::io), for futures and streams that are written by hand. Of one
    /// direction, who polled last is woken.
    ///
    /// # Errors
    ///
    /// As for [`io`](Self::io).
    ///
    /// ```
    /// use std::future::poll_fn;
    ///
    /// use runtime::io::Direction;
    /// use socket2::SockRef;
    ///
    /// # runtime::block_on(async {
    /// let (a, _b) = net::UnixDatagram::pair()?;
    /// let mut send = |fd: std::os::fd::BorrowedFd<'_>| SockRef::from(&fd).send(b"hello");
    /// let sent = poll_fn(|cx| a.poll_io(Direction::Write, cx, &mut send)).await?;
    /// assert_eq!(sent, 5);
    /// # std::io::Result::Ok(()) }).unwrap();
    /// ```
    ///
    /// **Go:** none; a goroutine waits.
    #[track_caller]
    pub fn poll_io<R>(
        &self,
        direction: Direction,
        cx: &mut Context<'_>,
        call: impl FnMut(BorrowedFd<'_>) -> io::Result<R>,
    ) -> Poll<io::Result<R>> {
        self.inner.poll_lend_io(direction, cx, call)
    }
}
