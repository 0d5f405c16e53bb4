//! Datagrams within this machine: in order, and none is lost.
#![forbid(unsafe_code)]

use std::fmt;
use std::io;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::os::unix::net::SocketAddr;
use std::panic::Location;
use std::path::Path;
use std::sync::Arc;

use runtime::io::Direction;
use runtime::time::Instant;
use socket2::{Domain, SockRef, Type};

use super::address;
use crate::error::During;
use crate::socket::Socket;

/// A Unix datagram socket. The file of a bound one stays when it is closed: whoever bound it removes it.
///
/// ```
/// # runtime::block_on(async {
/// let (a, b) = net::UnixDatagram::pair()?;
/// a.send(b"hello").await?;
/// let mut buf = [0; 64];
/// assert_eq!(b.recv(&mut buf).await?, 5);
/// # std::io::Result::Ok(()) }).unwrap();
/// ```
///
/// **Go:** `*net.UnixConn` of the network `unixgram`.
#[derive(Clone)]
pub struct UnixDatagram {
    inner: Arc<Socket<mio::net::UnixDatagram>>,
}

impl UnixDatagram {
    #[track_caller]
    fn register(socket: mio::net::UnixDatagram) -> io::Result<Self> {
        Ok(Self {
            inner: Arc::new(Socket::new(socket)?),
        })
    }

    /// A socket with this path, which a file will mark, or abstract name, given as `@name` (Linux).
    ///
    /// # Errors
    ///
    /// An [`OpError`](crate::OpError) for `bind unix`: a file of that name is there; the directory does not allow it.
    ///
    /// # Panics
    ///
    /// Outside a runtime.
    ///
    /// **Go:** `net.ListenUnixgram`.
    #[track_caller]
    pub fn bind(path: impl AsRef<Path>) -> io::Result<Self> {
        let path = path.as_ref();
        let bind = || {
            let kind = Type::DGRAM.nonblocking().cloexec();
            let socket = socket2::Socket::new(Domain::UNIX, kind, None)?;
            socket.bind(&address(path)?)?;
            let socket = std::os::unix::net::UnixDatagram::from(OwnedFd::from(socket));
            Ok(mio::net::UnixDatagram::from_std(socket))
        };
        let socket = bind().during("bind unix", path.display())?;
        Self::register(socket).during("bind unix", path.display())
    }

    /// A socket without a name: it sends, and nobody can answer.
    ///
    /// # Errors
    ///
    /// Too many files are open.
    ///
    /// # Panics
    ///
    /// Outside a runtime.
    #[track_caller]
    pub fn unbound() -> io::Result<Self> {
        Self::register(mio::net::UnixDatagram::unbound()?)
    }

    /// Two sockets connected to each other.
    ///
    /// # Errors
    ///
    /// Too many files are open.
    ///
    /// # Panics
    ///
    /// Outside a runtime.
    #[track_caller]
    pub fn pair() -> io::Result<(Self, Self)> {
        let (a, b) = mio::net::UnixDatagram::pair()?;
        Ok((Self::register(a)?, Self::register(b)?))
    }

    /// Fixes the peer of [`send`](Self::send).
    ///
    /// # Errors
    ///
    /// An [`OpError`](crate::OpError) for `connect unix`: there is no such file, nobody receives behind it.
    ///
    /// **Go:** `net.DialUnix`.
    pub fn connect(&self, path: impl AsRef<Path>) -> io::Result<()> {
        let path = path.as_ref();
        let connected = address(path)
            .and_then(|to| self.inner.with(|socket| SockRef::from(socket).connect(&to)));
        connected.during("connect unix", path.display())
    }

    /// Sends a datagram to the peer; waits while the peer's queue is full.
    ///
    /// # Errors
    ///
    /// What the system says: there is no peer, it is gone, the datagram is too long.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: it is sent only when the future is ready.
    ///
    /// **Go:** `Write`.
    #[track_caller]
    pub fn send<'a>(
        &'a self,
        datagram: &'a [u8],
    ) -> impl Future<Output = io::Result<usize>> + Send + 'a {
        let place = Location::caller();
        self.inner
            .io(Direction::Write, place, false, move |socket, _| {
                socket.send(datagram)
            })
    }

    /// Receives a datagram; returns its length. What does not fit into the buffer is lost.
    ///
    /// # Errors
    ///
    /// What the system says; after [`close`](Self::close) one that [`is_closed`](crate::is_closed) knows.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: a datagram is taken only when the future is ready.
    ///
    /// **Go:** `Read`.
    #[track_caller]
    pub fn recv<'a>(
        &'a self,
        buf: &'a mut [u8],
    ) -> impl Future<Output = io::Result<usize>> + Send + 'a {
        let place = Location::caller();
        self.inner
            .io(Direction::Read, place, false, move |socket, _| {
                socket.recv(buf)
            })
    }

    /// Receives a datagram; returns its length and who sent it.
    ///
    /// # Errors
    ///
    /// As for [`recv`](Self::recv).
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: a datagram is taken only when the future is ready.
    ///
    /// **Go:** `ReadFromUnix`.
    #[track_caller]
    pub fn recv_from<'a>(
        &'a self,
        buf: &'a mut [u8],
    ) -> impl Future<Output = io::Result<(usize, SocketAddr)>> + Send + 'a {
        let place = Location::caller();
        self.inner
            .io(Direction::Read, place, false, move |socket, _| {
                socket.recv_from(buf)
            })
    }

    /// [`send`](Self::send) without waiting.
    ///
    /// # Errors
    ///
    /// [`WouldBlock`](io::ErrorKind::WouldBlock) if the queue is full; as for [`send`](Self::send).
    pub fn try_send(&self, datagram: &[u8]) -> io::Result<usize> {
        let inner = &self.inner;
        inner.try_io(Direction::Write, |socket, _| socket.send(datagram))
    }

    /// Sends a datagram to a path or abstract name, without waiting: whether a peer that this socket is not connected to has room
    /// cannot be waited for.
    ///
    /// # Errors
    ///
    /// [`WouldBlock`](io::ErrorKind::WouldBlock) if the peer's queue is full; nobody receives there.
    ///
    /// **Go:** `WriteToUnix`.
    pub fn try_send_to(&self, datagram: &[u8], path: impl AsRef<Path>) -> io::Result<usize> {
        let to = address(path.as_ref())?;
        // Not through the readiness: it is the peer that lacks room, and no event would tell of that.
        let inner = &self.inner;
        inner.with(|socket| SockRef::from(socket).send_to(datagram, &to))
    }

    /// [`recv`](Self::recv) without waiting.
    ///
    /// # Errors
    ///
    /// [`WouldBlock`](io::ErrorKind::WouldBlock) if there is none; as for [`recv`](Self::recv).
    pub fn try_recv(&self, buf: &mut [u8]) -> io::Result<usize> {
        let inner = &self.inner;
        inner.try_io(Direction::Read, |socket, _| socket.recv(buf))
    }

    /// Waits until a datagram may be there, holding no buffer; [`try_recv`](Self::try_recv) tells.
    ///
    /// # Errors
    ///
    /// After [`close`](Self::close) one that [`is_closed`](crate::is_closed) knows; the runtime has shut down.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: nothing is taken.
    #[track_caller]
    pub fn readable(&self) -> impl Future<Output = io::Result<()>> + Send + '_ {
        self.inner.registration().ready(Direction::Read)
    }

    /// Sets the time at which sends and receives fail; see [`TcpStream::set_deadline`](crate::TcpStream::set_deadline).
    ///
    /// # Errors
    ///
    /// It has been closed.
    ///
    /// # Panics
    ///
    /// Outside a runtime, when the deadline needs a timer.
    ///
    /// **Go:** `SetDeadline`.
    #[track_caller]
    pub fn set_deadline(&self, at: impl Into<Option<Instant>>) -> io::Result<()> {
        let at = at.into();
        self.inner.set_deadline(Direction::Read, at)?;
        self.inner.set_deadline(Direction::Write, at)
    }

    /// Closes the socket for all clones; whoever waits on it is told by an error that [`is_closed`](crate::is_closed) knows.
    ///
    /// # Errors
    ///
    /// It was closed before.
    ///
    /// **Go:** `Close`.
    pub fn close(&self) -> io::Result<()> {
        self.inner.close()
    }

    /// The local address.
    ///
    /// # Errors
    ///
    /// It has been closed.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.inner.with(mio::net::UnixDatagram::local_addr)
    }

    /// Calls `f` with the descriptor, for settings that have no method here. It must not block.
    ///
    /// # Errors
    ///
    /// It has been closed; what `f` returns.
    pub fn control<R>(&self, f: impl FnOnce(BorrowedFd<'_>) -> io::Result<R>) -> io::Result<R> {
        self.inner.control(f)
    }
}

impl fmt::Debug for UnixDatagram {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UnixDatagram")
            .field("socket", &self.inner)
            .finish()
    }
}
