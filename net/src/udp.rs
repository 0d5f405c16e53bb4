//! Datagrams: UDP.
//!
//! A datagram is taken whole or not at all; a short count says nothing about the next one, so that the socket is asked until it says that
//! it would block.
#![forbid(unsafe_code)]

use std::fmt;
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::{BorrowedFd, OwnedFd};
use std::panic::Location;
use std::sync::Arc;

use runtime::io::Direction;
use runtime::time::Instant;
use socket2::{Domain, Protocol, SockRef, Type};

use crate::error::{During, list, no_address};
use crate::resolve::{ToSocketAddrs, resolve};
use crate::socket::{Socket, shared};

/// A UDP socket, connected to one peer or not.
///
/// Everything takes `&self`: one task may receive while others send. Clones share the socket.
///
/// ```
/// # runtime::block_on(async {
/// let server = net::UdpSocket::bind("127.0.0.1:0").await?;
/// let client = net::UdpSocket::bind("127.0.0.1:0").await?;
/// client.send_to(b"ping", server.local_addr()?).await?;
/// let mut buf = [0; 64];
/// let (n, peer) = server.recv_from(&mut buf).await?;
/// assert_eq!((&buf[..n], peer), (&b"ping"[..], client.local_addr()?));
/// # std::io::Result::Ok(()) }).unwrap();
/// ```
///
/// **Go:** `*net.UDPConn`.
#[derive(Clone)]
pub struct UdpSocket {
    inner: Arc<Socket<mio::net::UdpSocket>>,
}

impl UdpSocket {
    /// A socket with this local address. Port 0 lets the system choose.
    ///
    /// # Errors
    ///
    /// An [`OpError`](crate::OpError) for `lookup` or `bind`: the name has no address, the port is taken or needs a privilege, the
    /// address is not this machine's, too many files are open.
    ///
    /// # Panics
    ///
    /// Outside a runtime.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: nothing is left bound.
    ///
    /// **Go:** `net.ListenUDP`.
    pub async fn bind(address: impl ToSocketAddrs) -> io::Result<Self> {
        let addresses = resolve(address.to_target()?).await?;
        let mut failed = None;
        for &address in &addresses {
            match Self::bind_to(address).during("bind", address) {
                Ok(socket) => return Ok(socket),
                Err(error) => failed = Some(error),
            }
        }
        match failed {
            Some(error) => Err(error),
            None => Err(no_address()).during("bind", list(&addresses)),
        }
    }

    fn bind_to(address: SocketAddr) -> io::Result<Self> {
        let kind = Type::DGRAM.nonblocking().cloexec();
        let domain = Domain::for_address(address);
        let socket = socket2::Socket::new(domain, kind, Some(Protocol::UDP))?;
        socket.bind(&address.into())?;
        let socket = std::net::UdpSocket::from(OwnedFd::from(socket));
        Self::register(mio::net::UdpSocket::from_std(socket))
    }

    #[track_caller]
    fn register(socket: mio::net::UdpSocket) -> io::Result<Self> {
        Ok(Self {
            inner: Arc::new(Socket::new(socket)?),
        })
    }

    /// Fixes the peer: [`send`](Self::send) sends to it, and only its datagrams are received. Of a name's addresses the first that the
    /// system accepts is taken. Nothing is sent.
    ///
    /// # Errors
    ///
    /// An [`OpError`](crate::OpError) for `lookup` or `connect`.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe.
    ///
    /// **Go:** `net.DialUDP`.
    pub async fn connect(&self, address: impl ToSocketAddrs) -> io::Result<()> {
        let addresses = resolve(address.to_target()?).await?;
        let mut failed = None;
        for &address in &addresses {
            let connected = self.inner.with(|socket| socket.connect(address));
            match connected.during("connect", address) {
                Ok(()) => return Ok(()),
                Err(error) => failed = Some(error),
            }
        }
        match failed {
            Some(error) => Err(error),
            None => Err(no_address()).during("connect", list(&addresses)),
        }
    }

    /// Sends a datagram to the peer; waits while the system's buffer is full. Returns its length.
    ///
    /// # Errors
    ///
    /// What the system says: there is no peer ([`connect`](Self::connect) first), the datagram is too long, nothing listened at the peer
    /// when an earlier one came ([`ConnectionRefused`](io::ErrorKind::ConnectionRefused)).
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
    /// What the system says, such as [`ConnectionRefused`](io::ErrorKind::ConnectionRefused) when nothing listens at the peer; after
    /// [`close`](Self::close) one that [`is_closed`](crate::is_closed) knows.
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

    /// Sends a datagram to an address; waits while the system's buffer is full. Returns its length.
    ///
    /// # Errors
    ///
    /// What the system says: the datagram is too long, no way leads there.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: it is sent only when the future is ready.
    ///
    /// **Go:** `WriteToUDP`.
    #[track_caller]
    pub fn send_to<'a>(
        &'a self,
        datagram: &'a [u8],
        to: SocketAddr,
    ) -> impl Future<Output = io::Result<usize>> + Send + 'a {
        let place = Location::caller();
        self.inner
            .io(Direction::Write, place, false, move |socket, _| {
                socket.send_to(datagram, to)
            })
    }

    /// Receives a datagram; returns its length and who sent it. What does not fit into the buffer is lost.
    ///
    /// # Errors
    ///
    /// As for [`recv`](Self::recv).
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: a datagram is taken only when the future is ready.
    ///
    /// **Go:** `ReadFromUDP`.
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

    /// Receives a datagram without taking it: the next call receives it again.
    ///
    /// # Errors
    ///
    /// As for [`recv`](Self::recv).
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: nothing is taken.
    ///
    /// **Go:** none.
    #[track_caller]
    pub fn peek_from<'a>(
        &'a self,
        buf: &'a mut [u8],
    ) -> impl Future<Output = io::Result<(usize, SocketAddr)>> + Send + 'a {
        let place = Location::caller();
        self.inner
            .io(Direction::Read, place, false, move |socket, _| {
                socket.peek_from(buf)
            })
    }

    /// [`send`](Self::send) without waiting.
    ///
    /// # Errors
    ///
    /// [`WouldBlock`](io::ErrorKind::WouldBlock) if the system's buffer is full; as for [`send`](Self::send).
    pub fn try_send(&self, datagram: &[u8]) -> io::Result<usize> {
        let inner = &self.inner;
        inner.try_io(Direction::Write, |socket, _| socket.send(datagram))
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

    /// [`send_to`](Self::send_to) without waiting.
    ///
    /// # Errors
    ///
    /// [`WouldBlock`](io::ErrorKind::WouldBlock) if the system's buffer is full; as for [`send_to`](Self::send_to).
    pub fn try_send_to(&self, datagram: &[u8], to: SocketAddr) -> io::Result<usize> {
        let inner = &self.inner;
        inner.try_io(Direction::Write, |socket, _| socket.send_to(datagram, to))
    }

    /// [`recv_from`](Self::recv_from) without waiting.
    ///
    /// # Errors
    ///
    /// [`WouldBlock`](io::ErrorKind::WouldBlock) if there is none; as for [`recv_from`](Self::recv_from).
    pub fn try_recv_from(&self, buf: &mut [u8]) -> io::Result<(usize, SocketAddr)> {
        let inner = &self.inner;
        inner.try_io(Direction::Read, |socket, _| socket.recv_from(buf))
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

    /// Waits until a datagram may be sent; [`try_send`](Self::try_send) tells.
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

    /// [`set_deadline`](Self::set_deadline) for receives alone.
    ///
    /// # Errors
    ///
    /// It has been closed.
    ///
    /// # Panics
    ///
    /// Outside a runtime, when the deadline needs a timer.
    ///
    /// **Go:** `SetReadDeadline`.
    #[track_caller]
    pub fn set_read_deadline(&self, at: impl Into<Option<Instant>>) -> io::Result<()> {
        self.inner.set_deadline(Direction::Read, at.into())
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

    /// The local address, with the port that the system has chosen.
    ///
    /// # Errors
    ///
    /// It has been closed.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.inner.with(mio::net::UdpSocket::local_addr)
    }

    /// The peer that [`connect`](Self::connect) fixed.
    ///
    /// # Errors
    ///
    /// There is none, or the socket has been closed.
    pub fn peer_addr(&self) -> io::Result<SocketAddr> {
        self.inner.with(mio::net::UdpSocket::peer_addr)
    }

    /// Whether datagrams may be sent to broadcast addresses. Off by default.
    ///
    /// # Errors
    ///
    /// It has been closed.
    ///
    /// **Go:** on by default.
    pub fn set_broadcast(&self, broadcast: bool) -> io::Result<()> {
        self.inner.with(|socket| socket.set_broadcast(broadcast))
    }

    /// How many routers a datagram may pass.
    ///
    /// # Errors
    ///
    /// It has been closed.
    pub fn set_ttl(&self, hops: u32) -> io::Result<()> {
        self.inner.with(|socket| socket.set_ttl(hops))
    }

    /// Receives what is sent to an IPv4 group, on the interface of this address (unspecified: the system chooses one).
    ///
    /// # Errors
    ///
    /// What the system says, such as that the address is no group's.
    ///
    /// **Go:** `net.ListenMulticastUDP`.
    pub fn join_multicast_v4(&self, group: Ipv4Addr, interface: Ipv4Addr) -> io::Result<()> {
        let inner = &self.inner;
        inner.with(|socket| socket.join_multicast_v4(&group, &interface))
    }

    /// Ends [`join_multicast_v4`](Self::join_multicast_v4).
    ///
    /// # Errors
    ///
    /// What the system says, such as that the group was not joined.
    pub fn leave_multicast_v4(&self, group: Ipv4Addr, interface: Ipv4Addr) -> io::Result<()> {
        let inner = &self.inner;
        inner.with(|socket| socket.leave_multicast_v4(&group, &interface))
    }

    /// Receives what is sent to an IPv6 group, on the interface of this index (zero: the system chooses one).
    ///
    /// # Errors
    ///
    /// What the system says, such as that the address is no group's.
    ///
    /// **Go:** `net.ListenMulticastUDP`.
    pub fn join_multicast_v6(&self, group: Ipv6Addr, interface: u32) -> io::Result<()> {
        let inner = &self.inner;
        inner.with(|socket| socket.join_multicast_v6(&group, interface))
    }

    /// Ends [`join_multicast_v6`](Self::join_multicast_v6).
    ///
    /// # Errors
    ///
    /// What the system says, such as that the group was not joined.
    pub fn leave_multicast_v6(&self, group: Ipv6Addr, interface: u32) -> io::Result<()> {
        let inner = &self.inner;
        inner.with(|socket| socket.leave_multicast_v6(&group, interface))
    }

    /// Whether what this socket sends to a group comes back to this machine's members. On by default, for both families.
    ///
    /// # Errors
    ///
    /// It has been closed.
    pub fn set_multicast_loop(&self, on: bool) -> io::Result<()> {
        self.inner.with(|socket| match socket.local_addr()? {
            SocketAddr::V4(_) => socket.set_multicast_loop_v4(on),
            SocketAddr::V6(_) => socket.set_multicast_loop_v6(on),
        })
    }

    /// Room for datagrams that wait to be received, in bytes; the system may grant less, or twice as much for its own needs.
    ///
    /// # Errors
    ///
    /// It has been closed.
    ///
    /// **Go:** `SetReadBuffer`.
    pub fn set_recv_buffer_size(&self, bytes: usize) -> io::Result<()> {
        self.inner
            .with(|socket| SockRef::from(socket).set_recv_buffer_size(bytes))
    }

    /// Calls `f` with the descriptor, for settings that have no method here. It must not block.
    ///
    /// # Errors
    ///
    /// It has been closed; what `f` returns.
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
    #[track_caller]
    pub fn from_std(socket: std::net::UdpSocket) -> io::Result<Self> {
        socket.set_nonblocking(true)?;
        Self::register(mio::net::UdpSocket::from_std(socket))
    }

    /// Takes the socket out of the runtime. It stays non-blocking.
    ///
    /// # Errors
    ///
    /// It has been closed, or there are clones of it ([`ResourceBusy`](io::ErrorKind::ResourceBusy)).
    pub fn into_std(self) -> io::Result<std::net::UdpSocket> {
        let socket = Arc::try_unwrap(self.inner).map_err(|_| shared())?;
        let descriptor: OwnedFd = socket.into_device()?.into();
        Ok(descriptor.into())
    }
}

impl fmt::Debug for UdpSocket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UdpSocket")
            .field("socket", &self.inner)
            .finish()
    }
}
