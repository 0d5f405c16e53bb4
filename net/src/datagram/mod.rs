//! Datagrams of whatever kind: what UDP and Unix datagram sockets have in common. What the kinds
//! differ in: `kind.rs`.
//!
//! A datagram is taken whole or not at all; a short count says nothing about the next one, so that
//! the socket is asked until it says that it would block.
#![forbid(unsafe_code)]

mod polling;
mod receiving;
mod sending;

use std::fmt;
use std::io;
use std::os::fd::BorrowedFd;
use std::sync::Arc;

use runtime::io::Direction;
use runtime::time::Instant;

use crate::kind::{DatagramDevice, DatagramKind};
use crate::socket::{Socket, shared};

/// A socket for datagrams: a [`UdpSocket`](crate::UdpSocket) or a
/// [`UnixDatagram`](crate::UnixDatagram). This is what they have in common.
///
/// Everything takes `&self`: one task may receive while others send. Clones share the socket.
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
/// **Go:** `net.PacketConn`.
pub struct Datagram<K: DatagramKind> {
    pub(crate) inner: Arc<Socket<K::Device>>,
}

impl<K: DatagramKind> Datagram<K> {
    #[track_caller]
    pub(crate) fn register(device: K::Device) -> io::Result<Self> {
        Ok(Self {
            inner: Arc::new(Socket::new_reading(device)?),
        })
    }

    /// Sets the time at which sends and receives fail; see
    /// [`Stream::set_deadline`](crate::Stream::set_deadline).
    ///
    /// # Errors
    ///
    /// It has been closed.
    ///
    /// ```
    /// use runtime::time::Instant;
    ///
    /// # runtime::block_on(async {
    /// let (a, b) = net::UnixDatagram::pair()?;
    /// b.set_deadline(Instant::now())?;
    /// assert!(net::is_deadline(&b.recv(&mut [0; 64]).await.unwrap_err()));
    /// b.set_deadline(None)?; // none any more
    /// # std::io::Result::Ok(()) }).unwrap();
    /// ```
    ///
    /// **Go:** `SetDeadline`.
    #[track_caller]
    pub fn set_deadline(&self, at: impl Into<Option<Instant>>) -> io::Result<()> {
        let at = at.into();
        self.inner.set_deadline(Direction::Read, at)?;
        self.inner.set_deadline(Direction::Write, at)
    }

    /// [`set_deadline`](Self::set_deadline) for receives alone.
    ///
    /// # Errors
    ///
    /// It has been closed.
    ///
    /// ```
    /// use runtime::time::Instant;
    ///
    /// # runtime::block_on(async {
    /// let (a, b) = net::UnixDatagram::pair()?;
    /// b.set_read_deadline(Instant::now())?;
    /// assert!(net::is_deadline(&b.recv(&mut [0; 64]).await.unwrap_err()));
    /// b.send(b"hello").await?;
    /// # std::io::Result::Ok(()) }).unwrap();
    /// ```
    ///
    /// **Go:** `SetReadDeadline`.
    #[track_caller]
    pub fn set_read_deadline(&self, at: impl Into<Option<Instant>>) -> io::Result<()> {
        self.inner.set_deadline(Direction::Read, at.into())
    }

    /// [`set_deadline`](Self::set_deadline) for sends alone.
    ///
    /// # Errors
    ///
    /// It has been closed.
    ///
    /// ```
    /// use runtime::time::Instant;
    ///
    /// # runtime::block_on(async {
    /// let (a, b) = net::UnixDatagram::pair()?;
    /// a.set_write_deadline(Instant::now())?;
    /// assert!(net::is_deadline(&a.send(b"hello").await.unwrap_err()));
    /// # std::io::Result::Ok(()) }).unwrap();
    /// ```
    ///
    /// **Go:** `SetWriteDeadline`.
    #[track_caller]
    pub fn set_write_deadline(&self, at: impl Into<Option<Instant>>) -> io::Result<()> {
        self.inner.set_deadline(Direction::Write, at.into())
    }

    /// Closes the socket for all clones; whoever waits on it is told by an error that
    /// [`is_closed`](crate::is_closed) knows.
    ///
    /// # Errors
    ///
    /// It was closed before.
    ///
    /// ```
    /// # runtime::block_on(async {
    /// let (a, b) = net::UnixDatagram::pair()?;
    /// a.close()?;
    /// assert!(net::is_closed(&a.send(b"hello").await.unwrap_err()));
    /// # std::io::Result::Ok(()) }).unwrap();
    /// ```
    ///
    /// **Go:** `Close`.
    pub fn close(&self) -> io::Result<()> {
        self.inner.close()
    }

    /// The local address, with the port that the system has chosen.
    ///
    /// # Errors
    ///
    /// It has been closed.
    ///
    /// ```
    /// # runtime::block_on(async {
    /// let (a, b) = (net::UdpSocket::bind("127.0.0.1:0").await?, net::UdpSocket::bind("127.0.0.1:0").await?);
    /// assert_ne!(a.local_addr()?.port(), 0);
    /// # std::io::Result::Ok(()) }).unwrap();
    /// ```
    ///
    /// **Go:** `LocalAddr()`.
    pub fn local_addr(&self) -> io::Result<K::Address> {
        self.inner.with(|socket| socket.local())
    }

    /// The peer that `connect` fixed.
    ///
    /// # Errors
    ///
    /// There is none, or the socket has been closed.
    ///
    /// ```
    /// # runtime::block_on(async {
    /// let (a, b) = (net::UdpSocket::bind("127.0.0.1:0").await?, net::UdpSocket::bind("127.0.0.1:0").await?);
    /// a.connect(b.local_addr()?).await?;
    /// assert_eq!(a.peer_addr()?, b.local_addr()?);
    /// # std::io::Result::Ok(()) }).unwrap();
    /// ```
    ///
    /// **Go:** `RemoteAddr()`.
    pub fn peer_addr(&self) -> io::Result<K::Address> {
        self.inner.with(|socket| socket.peer())
    }

    /// The error that the system holds for this socket, if any; it is taken.
    ///
    /// # Errors
    ///
    /// It has been closed.
    ///
    /// ```
    /// # runtime::block_on(async {
    /// let (a, b) = (net::UdpSocket::bind("127.0.0.1:0").await?, net::UdpSocket::bind("127.0.0.1:0").await?);
    /// assert!(a.take_error()?.is_none());
    /// # std::io::Result::Ok(()) }).unwrap();
    /// ```
    ///
    /// **Go:** `syscall.GetsockoptInt(fd, syscall.SOL_SOCKET, syscall.SO_ERROR)`.
    pub fn take_error(&self) -> io::Result<Option<io::Error>> {
        self.inner.with(|socket| socket.error())
    }

    /// Calls `f` with the descriptor, for settings that have no method here. It must not block. It
    /// may call [`close`](Self::close): the descriptor is then given back when it returns.
    ///
    /// # Errors
    ///
    /// It has been closed; what `f` returns.
    ///
    /// ```
    /// use std::os::fd::AsRawFd;
    ///
    /// # runtime::block_on(async {
    /// let (a, b) = net::UnixDatagram::pair()?;
    /// let descriptor = a.control(|fd| Ok(fd.as_raw_fd()))?;
    /// assert!(descriptor > 2);
    /// # std::io::Result::Ok(()) }).unwrap();
    /// ```
    ///
    /// **Go:** `SyscallConn().Control(f)`.
    pub fn control<R>(&self, f: impl FnOnce(BorrowedFd<'_>) -> io::Result<R>) -> io::Result<R> {
        self.inner.control(f)
    }

    /// Takes a socket of the standard library into the current runtime; it is made non-blocking.
    ///
    /// # Errors
    ///
    /// What the system says.
    ///
    /// # Panics
    ///
    /// Outside a runtime.
    ///
    /// ```
    /// # runtime::block_on(async {
    /// let socket = std::net::UdpSocket::bind("127.0.0.1:0")?;
    /// let address = socket.local_addr()?;
    /// assert_eq!(net::UdpSocket::from_std(socket)?.local_addr()?, address);
    /// # std::io::Result::Ok(()) }).unwrap();
    /// ```
    ///
    /// **Go:** `net.FilePacketConn`.
    #[track_caller]
    pub fn from_std(socket: K::Std) -> io::Result<Self> {
        Self::register(K::Device::adopt(socket)?)
    }

    /// Takes the socket out of the runtime. It stays non-blocking.
    ///
    /// # Errors
    ///
    /// It has been closed, or there are clones of it
    /// ([`ResourceBusy`](io::ErrorKind::ResourceBusy)).
    ///
    /// ```
    /// # runtime::block_on(async {
    /// let (a, b) = (net::UdpSocket::bind("127.0.0.1:0").await?, net::UdpSocket::bind("127.0.0.1:0").await?);
    /// let address = a.local_addr()?;
    /// let socket: std::net::UdpSocket = a.into_std()?;
    /// assert_eq!(socket.local_addr()?, address);
    /// # std::io::Result::Ok(()) }).unwrap();
    /// ```
    ///
    /// **Go:** `File()`, which duplicates the descriptor.
    pub fn into_std(self) -> io::Result<K::Std> {
        let socket = Arc::try_unwrap(self.inner).map_err(|_| shared())?;
        socket.into_device().map(DatagramDevice::release)
    }
}

/// Another handle to the same socket.
impl<K: DatagramKind> Clone for Datagram<K> {
    fn clone(&self) -> Self {
        Self {
            inner: Arc::clone(&self.inner),
        }
    }
}

impl<K: DatagramKind> fmt::Debug for Datagram<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.describe(K::SOCKET, f)
    }
}
