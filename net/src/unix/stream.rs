//! A connection within this machine. Reading and writing: `bytes.rs`.
#![forbid(unsafe_code)]

use std::fmt;
use std::io::{self, IoSlice, IoSliceMut};
use std::net::Shutdown;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::os::unix::net::SocketAddr;
use std::panic::Location;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use runtime::io::Direction;
use runtime::time::{Instant, sleep};
use socket2::{Domain, SockAddr, Type};

use super::address;
use crate::error::During;
use crate::socket::{Socket, shared};

/// A Unix stream socket: [`TcpStream`](crate::TcpStream), within one machine.
///
/// Reads and writes take `&self`; clones share the connection. It closes when it is [closed](Self::close) or the last clone is dropped.
///
/// ```
/// # runtime::block_on(async {
/// let (a, b) = net::UnixStream::pair()?;
/// a.write_all(b"hello").await?;
/// let mut buf = [0; 5];
/// b.read_exact(&mut buf).await?;
/// assert_eq!(&buf, b"hello");
/// # std::io::Result::Ok(()) }).unwrap();
/// ```
///
/// **Go:** `*net.UnixConn` of the network `unix`.
#[derive(Clone)]
pub struct UnixStream {
    pub(crate) inner: Arc<Socket<mio::net::UnixStream>>,
}

/// Pauses between connects to a server whose backlog is full: the system offers no way to be told. The first, and the longest.
const FIRST_PAUSE: Duration = Duration::from_millis(1);
const LAST_PAUSE: Duration = Duration::from_millis(100);

impl UnixStream {
    #[track_caller]
    pub(super) fn register(stream: mio::net::UnixStream) -> io::Result<Self> {
        Ok(Self {
            inner: Arc::new(Socket::new(stream)?),
        })
    }

    /// Connects to a path, or to an abstract name given as `@name` (Linux). While the server's backlog is full it waits.
    ///
    /// # Errors
    ///
    /// An [`OpError`](crate::OpError) for `connect unix`: there is no such file, nobody listens behind it, it may not be used.
    ///
    /// # Panics
    ///
    /// Outside a runtime.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: the connection is given up.
    ///
    /// **Go:** `net.Dial("unix", path)`, which fails when the backlog is full.
    pub async fn connect(path: impl AsRef<Path>) -> io::Result<Self> {
        let path = path.as_ref();
        let connected = match address(path) {
            Ok(address) => connect_patiently(&address).await,
            Err(error) => Err(error),
        };
        connected
            .and_then(Self::register)
            .during("connect unix", path.display())
    }

    /// Two ends of one connection.
    ///
    /// # Errors
    ///
    /// Too many files are open.
    ///
    /// # Panics
    ///
    /// Outside a runtime.
    ///
    /// **Go:** `syscall.Socketpair`; `net.Pipe` is within the process.
    #[track_caller]
    pub fn pair() -> io::Result<(Self, Self)> {
        let (a, b) = mio::net::UnixStream::pair()?;
        Ok((Self::register(a)?, Self::register(b)?))
    }

    /// See [`TcpStream::read`](crate::TcpStream::read).
    ///
    /// # Errors
    ///
    /// What the system says; after [`close`](Self::close) one that [`is_closed`](crate::is_closed) knows.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: bytes are taken only when the future is ready.
    #[track_caller]
    pub fn read<'a>(
        &'a self,
        buf: &'a mut [u8],
    ) -> impl Future<Output = io::Result<usize>> + Send + 'a {
        self.inner.read(Location::caller(), buf)
    }

    /// See [`TcpStream::read_exact`](crate::TcpStream::read_exact).
    ///
    /// # Errors
    ///
    /// [`UnexpectedEof`](io::ErrorKind::UnexpectedEof); otherwise as for [`read`](Self::read).
    ///
    /// # Cancel safety
    ///
    /// Not cancel safe: how many bytes are in the buffer is forgotten.
    #[track_caller]
    pub fn read_exact<'a>(
        &'a self,
        buf: &'a mut [u8],
    ) -> impl Future<Output = io::Result<()>> + Send + 'a {
        self.inner.read_exact(Location::caller(), buf)
    }

    /// See [`TcpStream::read_vectored`](crate::TcpStream::read_vectored).
    ///
    /// # Errors
    ///
    /// As for [`read`](Self::read).
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: bytes are taken only when the future is ready.
    #[track_caller]
    pub fn read_vectored<'a>(
        &'a self,
        bufs: &'a mut [IoSliceMut<'a>],
    ) -> impl Future<Output = io::Result<usize>> + Send + 'a {
        self.inner.read_vectored(Location::caller(), bufs)
    }

    /// See [`TcpStream::readable`](crate::TcpStream::readable).
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

    /// See [`TcpStream::try_read`](crate::TcpStream::try_read).
    ///
    /// # Errors
    ///
    /// [`WouldBlock`](io::ErrorKind::WouldBlock) if there is nothing; as for [`read`](Self::read).
    pub fn try_read(&self, buf: &mut [u8]) -> io::Result<usize> {
        self.inner.try_read(buf)
    }

    /// See [`TcpStream::write`](crate::TcpStream::write).
    ///
    /// # Errors
    ///
    /// What the system says; after [`close`](Self::close) one that [`is_closed`](crate::is_closed) knows.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: bytes are sent only when the future is ready.
    #[track_caller]
    pub fn write<'a>(
        &'a self,
        buf: &'a [u8],
    ) -> impl Future<Output = io::Result<usize>> + Send + 'a {
        self.inner.write(Location::caller(), buf)
    }

    /// See [`TcpStream::write_all`](crate::TcpStream::write_all).
    ///
    /// # Errors
    ///
    /// As for [`write`](Self::write).
    ///
    /// # Cancel safety
    ///
    /// Not cancel safe: how much has been sent is forgotten.
    #[track_caller]
    pub fn write_all<'a>(
        &'a self,
        buf: &'a [u8],
    ) -> impl Future<Output = io::Result<()>> + Send + 'a {
        self.inner.write_all(Location::caller(), buf)
    }

    /// See [`TcpStream::write_vectored`](crate::TcpStream::write_vectored).
    ///
    /// # Errors
    ///
    /// As for [`write`](Self::write).
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: bytes are sent only when the future is ready.
    #[track_caller]
    pub fn write_vectored<'a>(
        &'a self,
        bufs: &'a [IoSlice<'a>],
    ) -> impl Future<Output = io::Result<usize>> + Send + 'a {
        self.inner.write_vectored(Location::caller(), bufs)
    }

    /// See [`TcpStream::writable`](crate::TcpStream::writable).
    ///
    /// # Errors
    ///
    /// As for [`readable`](Self::readable).
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: nothing is sent.
    #[track_caller]
    pub fn writable(&self) -> impl Future<Output = io::Result<()>> + Send + '_ {
        self.inner.registration().ready(Direction::Write)
    }

    /// See [`TcpStream::try_write`](crate::TcpStream::try_write).
    ///
    /// # Errors
    ///
    /// [`WouldBlock`](io::ErrorKind::WouldBlock) if the system takes nothing; as for [`write`](Self::write).
    pub fn try_write(&self, buf: &[u8]) -> io::Result<usize> {
        self.inner.try_write(buf)
    }

    /// See [`TcpStream::set_deadline`](crate::TcpStream::set_deadline).
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

    /// [`set_deadline`](Self::set_deadline) for reads alone.
    ///
    /// # Errors
    ///
    /// It has been closed.
    ///
    /// # Panics
    ///
    /// Outside a runtime, when the deadline needs a timer.
    #[track_caller]
    pub fn set_read_deadline(&self, at: impl Into<Option<Instant>>) -> io::Result<()> {
        self.inner.set_deadline(Direction::Read, at.into())
    }

    /// [`set_deadline`](Self::set_deadline) for writes alone.
    ///
    /// # Errors
    ///
    /// It has been closed.
    ///
    /// # Panics
    ///
    /// Outside a runtime, when the deadline needs a timer.
    #[track_caller]
    pub fn set_write_deadline(&self, at: impl Into<Option<Instant>>) -> io::Result<()> {
        self.inner.set_deadline(Direction::Write, at.into())
    }

    /// See [`TcpStream::shutdown`](crate::TcpStream::shutdown).
    ///
    /// # Errors
    ///
    /// What the system says.
    ///
    /// **Go:** `CloseWrite`, `CloseRead`.
    pub fn shutdown(&self, how: Shutdown) -> io::Result<()> {
        self.inner.with(|stream| stream.shutdown(how))
    }

    /// See [`TcpStream::close`](crate::TcpStream::close).
    ///
    /// # Errors
    ///
    /// It was closed before.
    ///
    /// **Go:** `conn.Close()`.
    pub fn close(&self) -> io::Result<()> {
        self.inner.close()
    }

    /// The peer's address; a client's is unnamed.
    ///
    /// # Errors
    ///
    /// It has been closed.
    pub fn peer_addr(&self) -> io::Result<SocketAddr> {
        self.inner.with(mio::net::UnixStream::peer_addr)
    }

    /// The address of this end.
    ///
    /// # Errors
    ///
    /// It has been closed.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.inner.with(mio::net::UnixStream::local_addr)
    }

    /// Calls `f` with the descriptor, to pass descriptors along or ask for the peer's credentials. It must not block.
    ///
    /// # Errors
    ///
    /// It has been closed; what `f` returns.
    ///
    /// **Go:** `SyscallConn().Control(f)`.
    pub fn control<R>(&self, f: impl FnOnce(BorrowedFd<'_>) -> io::Result<R>) -> io::Result<R> {
        self.inner.control(f)
    }

    /// Takes a stream of the standard library into the current runtime; it is made non-blocking.
    ///
    /// # Errors
    ///
    /// What the system says.
    ///
    /// # Panics
    ///
    /// Outside a runtime.
    #[track_caller]
    pub fn from_std(stream: std::os::unix::net::UnixStream) -> io::Result<Self> {
        stream.set_nonblocking(true)?;
        Self::register(mio::net::UnixStream::from_std(stream))
    }

    /// Takes the stream out of the runtime. It stays non-blocking.
    ///
    /// # Errors
    ///
    /// It has been closed, or there are clones of it ([`ResourceBusy`](io::ErrorKind::ResourceBusy)).
    pub fn into_std(self) -> io::Result<std::os::unix::net::UnixStream> {
        let socket = Arc::try_unwrap(self.inner).map_err(|_| shared())?;
        let descriptor: OwnedFd = socket.into_device()?.into();
        Ok(descriptor.into())
    }
}

async fn connect_patiently(address: &SockAddr) -> io::Result<mio::net::UnixStream> {
    let kind = Type::STREAM.nonblocking().cloexec();
    let mut pause = FIRST_PAUSE;
    loop {
        let socket = socket2::Socket::new(Domain::UNIX, kind, None)?;
        match socket.connect(address) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                drop(socket);
                sleep(pause).await;
                pause = (pause * 2).min(LAST_PAUSE);
            }
            Err(error) => return Err(error),
            Ok(()) => {
                let stream = std::os::unix::net::UnixStream::from(OwnedFd::from(socket));
                return Ok(mio::net::UnixStream::from_std(stream));
            }
        }
    }
}

impl fmt::Debug for UnixStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UnixStream")
            .field("socket", &self.inner)
            .finish()
    }
}
