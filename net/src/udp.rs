//! UDP: addresses, broadcast and multicast. Everything else: `datagram.rs`.
#![forbid(unsafe_code)]

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::OwnedFd;
use std::panic::Location;
use std::task::{Context, Poll};

use runtime::io::Direction;
use socket2::{Domain, Protocol, SockRef, Socket, Type};

use crate::datagram::Datagram;
use crate::error::{During, list, no_address};
use crate::kind::Udp;
use crate::resolve::{ToSocketAddrs, resolve};
use crate::socket::Blocks;
use crate::sys;

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
pub type UdpSocket = Datagram<Udp>;

impl Datagram<Udp> {
    /// A socket with this local address. Port 0 lets the system choose.
    ///
    /// # Errors
    ///
    /// An [`OpError`](crate::OpError) for `lookup` or `bind`: the name has no address, the port is
    /// taken or needs a privilege, the address is not this machine's, too many files are open.
    ///
    /// # Panics
    ///
    /// Outside a runtime.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: nothing is left bound.
    ///
    /// ```
    /// # runtime::block_on(async {
    /// let socket = net::UdpSocket::bind("127.0.0.1:0").await?;
    /// assert_ne!(socket.local_addr()?.port(), 0);
    /// # std::io::Result::Ok(()) }).unwrap();
    /// ```
    ///
    /// **Go:** `net.ListenUDP`.
    pub async fn bind(address: impl ToSocketAddrs) -> io::Result<Self> {
        Self::bind_as(address, |_, _| Ok(())).await
    }

    /// Does this to the socket first.
    pub(crate) async fn bind_as(
        address: impl ToSocketAddrs,
        prepare: impl Fn(&Socket, SocketAddr) -> io::Result<()>,
    ) -> io::Result<Self> {
        let addresses = resolve(address.to_target()?).await?;
        let mut failed = None;
        for &address in &addresses {
            match Self::bind_to(address, &prepare).during("bind", address) {
                Ok(socket) => return Ok(socket),
                Err(error) => failed = Some(error),
            }
        }
        match failed {
            Some(error) => Err(error),
            None => Err(no_address()).during("bind", list(&addresses)),
        }
    }

    fn bind_to(
        address: SocketAddr,
        prepare: impl Fn(&Socket, SocketAddr) -> io::Result<()>,
    ) -> io::Result<Self> {
        let domain = Domain::for_address(address);
        let socket = sys::socket(domain, Type::DGRAM, Some(Protocol::UDP))?;
        prepare(&socket, address)?;
        socket.bind(&address.into())?;
        let socket = std::net::UdpSocket::from(OwnedFd::from(socket));
        Self::register(mio::net::UdpSocket::from_std(socket))
    }

    /// Fixes the peer: [`send`](Self::send) sends to it, and only its datagrams are received. Of a
    /// name's addresses the first that the system accepts is taken. Nothing is sent.
    ///
    /// # Errors
    ///
    /// An [`OpError`](crate::OpError) for `lookup` or `connect`.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe.
    ///
    /// ```
    /// # runtime::block_on(async {
    /// let (a, b) = (net::UdpSocket::bind("127.0.0.1:0").await?, net::UdpSocket::bind("127.0.0.1:0").await?);
    /// a.connect(b.local_addr()?).await?;
    /// a.send(b"hello").await?;
    /// assert_eq!(b.recv(&mut [0; 16]).await?, 5);
    /// # std::io::Result::Ok(()) }).unwrap();
    /// ```
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
    /// ```
    /// # runtime::block_on(async {
    /// let (a, b) = (net::UdpSocket::bind("127.0.0.1:0").await?, net::UdpSocket::bind("127.0.0.1:0").await?);
    /// assert_eq!(a.send_to(b"hello", b.local_addr()?).await?, 5);
    /// # std::io::Result::Ok(()) }).unwrap();
    /// ```
    ///
    /// **Go:** `WriteToUDP`.
    #[track_caller]
    pub fn send_to<'a>(
        &'a self,
        datagram: &'a [u8],
        to: SocketAddr,
    ) -> impl Future<Output = io::Result<usize>> + Send + 'a {
        let place = Location::caller();
        self.inner.io(
            Direction::Write,
            place,
            Blocks::Perhaps,
            move |socket, _| socket.send_to(datagram, to),
        )
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
    /// ```
    /// # runtime::block_on(async {
    /// let (a, b) = (net::UdpSocket::bind("127.0.0.1:0").await?, net::UdpSocket::bind("127.0.0.1:0").await?);
    /// a.send_to(b"hello", b.local_addr()?).await?;
    /// let (n, peer) = b.peek_from(&mut [0; 16]).await?;
    /// assert_eq!((n, peer), (5, a.local_addr()?));
    /// # std::io::Result::Ok(()) }).unwrap();
    /// ```
    ///
    /// **Go:** none.
    #[track_caller]
    pub fn peek_from<'a>(
        &'a self,
        buf: &'a mut [u8],
    ) -> impl Future<Output = io::Result<(usize, SocketAddr)>> + Send + 'a {
        let place = Location::caller();
        self.inner
            .io(Direction::Read, place, Blocks::Perhaps, move |socket, _| {
                socket.peek_from(buf)
            })
    }

    /// [`send_to`](Self::send_to) without waiting.
    ///
    /// # Errors
    ///
    /// [`WouldBlock`](io::ErrorKind::WouldBlock) if the system's buffer is full; as for
    /// [`send_to`](Self::send_to).
    ///
    /// ```
    /// # runtime::block_on(async {
    /// let (a, b) = (net::UdpSocket::bind("127.0.0.1:0").await?, net::UdpSocket::bind("127.0.0.1:0").await?);
    /// assert_eq!(a.try_send_to(b"hello", b.local_addr()?)?, 5);
    /// # std::io::Result::Ok(()) }).unwrap();
    /// ```
    ///
    /// **Go:** `WriteToUDP` after `SetWriteDeadline(time.Now())` comes close.
    pub fn try_send_to(&self, datagram: &[u8], to: SocketAddr) -> io::Result<usize> {
        let inner = &self.inner;
        inner.try_io(Direction::Write, |socket, _| socket.send_to(datagram, to))
    }

    /// Whether datagrams may be sent to broadcast addresses.
    ///
    /// # Errors
    ///
    /// It has been closed.
    ///
    /// ```
    /// # runtime::block_on(async {
    /// let socket = net::UdpSocket::bind("127.0.0.1:0").await?;
    /// assert!(!socket.broadcast()?);
    /// # std::io::Result::Ok(()) }).unwrap();
    /// ```
    ///
    /// **Go:** `syscall.GetsockoptInt(fd, syscall.SOL_SOCKET, syscall.SO_BROADCAST)`.
    pub fn broadcast(&self) -> io::Result<bool> {
        self.inner.with(mio::net::UdpSocket::broadcast)
    }

    /// Whether datagrams may be sent to broadcast addresses. Off by default.
    ///
    /// # Errors
    ///
    /// It has been closed.
    ///
    /// ```
    /// # runtime::block_on(async {
    /// let socket = net::UdpSocket::bind("127.0.0.1:0").await?;
    /// socket.set_broadcast(true)?;
    /// # std::io::Result::Ok(()) }).unwrap();
    /// ```
    ///
    /// **Go:** on by default.
    pub fn set_broadcast(&self, broadcast: bool) -> io::Result<()> {
        self.inner.with(|socket| socket.set_broadcast(broadcast))
    }

    /// How many routers a datagram may pass, in either family: as the system has it by default (64
    /// on Linux).
    ///
    /// # Errors
    ///
    /// It has been closed.
    ///
    /// ```
    /// # runtime::block_on(async {
    /// let socket = net::UdpSocket::bind("127.0.0.1:0").await?;
    /// assert!(socket.ttl()? > 1);
    /// # std::io::Result::Ok(()) }).unwrap();
    /// ```
    ///
    /// **Go:** `ipv4.PacketConn.TTL` of `golang.org/x/net`.
    pub fn ttl(&self) -> io::Result<u32> {
        self.by_family(|socket| socket.ttl_v4(), |socket| socket.unicast_hops_v6())
    }

    /// How many routers a datagram may pass, in either family.
    ///
    /// # Errors
    ///
    /// It has been closed.
    ///
    /// ```
    /// # runtime::block_on(async {
    /// let socket = net::UdpSocket::bind("127.0.0.1:0").await?;
    /// socket.set_ttl(8)?;
    /// # std::io::Result::Ok(()) }).unwrap();
    /// ```
    ///
    /// **Go:** `ipv4.PacketConn.SetTTL` of `golang.org/x/net`.
    pub fn set_ttl(&self, hops: u32) -> io::Result<()> {
        self.by_family(
            |socket| socket.set_ttl_v4(hops),
            |socket| socket.set_unicast_hops_v6(hops),
        )
    }

    /// Receives what is sent to an IPv4 group, on the interface of this address (unspecified: the
    /// system chooses one).
    ///
    /// # Errors
    ///
    /// What the system says, such as that the address is no group's.
    ///
    /// ```
    /// use std::net::Ipv4Addr;
    ///
    /// # async fn example(socket: net::UdpSocket) -> std::io::Result<()> {
    /// socket.join_multicast_v4(Ipv4Addr::new(224, 0, 0, 251), Ipv4Addr::UNSPECIFIED)?;
    /// # Ok(()) }
    /// ```
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
    ///
    /// ```
    /// use std::net::Ipv4Addr;
    ///
    /// # async fn example(socket: net::UdpSocket) -> std::io::Result<()> {
    /// socket.leave_multicast_v4(Ipv4Addr::new(224, 0, 0, 251), Ipv4Addr::UNSPECIFIED)?;
    /// # Ok(()) }
    /// ```
    ///
    /// **Go:** `ipv4.PacketConn.LeaveGroup`.
    pub fn leave_multicast_v4(&self, group: Ipv4Addr, interface: Ipv4Addr) -> io::Result<()> {
        let inner = &self.inner;
        inner.with(|socket| socket.leave_multicast_v4(&group, &interface))
    }

    /// Receives what is sent to an IPv6 group, on the interface of this index (zero: the system
    /// chooses one).
    ///
    /// # Errors
    ///
    /// What the system says, such as that the address is no group's.
    ///
    /// ```
    /// use std::net::Ipv6Addr;
    ///
    /// # async fn example(socket: net::UdpSocket) -> std::io::Result<()> {
    /// socket.join_multicast_v6(Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 0xfb), 0)?;
    /// # Ok(()) }
    /// ```
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
    ///
    /// ```
    /// use std::net::Ipv6Addr;
    ///
    /// # async fn example(socket: net::UdpSocket) -> std::io::Result<()> {
    /// socket.leave_multicast_v6(Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 0xfb), 0)?;
    /// # Ok(()) }
    /// ```
    ///
    /// **Go:** `ipv6.PacketConn.LeaveGroup`.
    pub fn leave_multicast_v6(&self, group: Ipv6Addr, interface: u32) -> io::Result<()> {
        let inner = &self.inner;
        inner.with(|socket| socket.leave_multicast_v6(&group, interface))
    }

    /// Whether what this socket sends to a group comes back to this machine's members. On by
    /// default, for both families.
    ///
    /// # Errors
    ///
    /// It has been closed.
    ///
    /// ```
    /// # runtime::block_on(async {
    /// let socket = net::UdpSocket::bind("127.0.0.1:0").await?;
    /// socket.set_multicast_loop(false)?;
    /// # std::io::Result::Ok(()) }).unwrap();
    /// ```
    ///
    /// **Go:** `ipv4.PacketConn.SetMulticastLoopback`.
    pub fn set_multicast_loop(&self, on: bool) -> io::Result<()> {
        self.by_family(
            |socket| socket.set_multicast_loop_v4(on),
            |socket| socket.set_multicast_loop_v6(on),
        )
    }

    /// Whether what this socket sends to a group comes back to this machine's members.
    ///
    /// # Errors
    ///
    /// It has been closed.
    ///
    /// ```
    /// # runtime::block_on(async {
    /// let socket = net::UdpSocket::bind("127.0.0.1:0").await?;
    /// assert!(socket.multicast_loop()?);
    /// # std::io::Result::Ok(()) }).unwrap();
    /// ```
    ///
    /// **Go:** `ipv4.PacketConn.MulticastLoopback`.
    pub fn multicast_loop(&self) -> io::Result<bool> {
        self.by_family(
            |socket| socket.multicast_loop_v4(),
            |socket| socket.multicast_loop_v6(),
        )
    }

    /// The interface, given by its address, that datagrams to IPv4 groups leave by. The system
    /// chooses one by default.
    ///
    /// # Errors
    ///
    /// What the system says, such as that no interface has the address.
    ///
    /// ```
    /// use std::net::Ipv4Addr;
    ///
    /// # runtime::block_on(async {
    /// let socket = net::UdpSocket::bind("127.0.0.1:0").await?;
    /// socket.set_multicast_interface_v4(Ipv4Addr::LOCALHOST)?;
    /// # std::io::Result::Ok(()) }).unwrap();
    /// ```
    ///
    /// **Go:** `ipv4.PacketConn.SetMulticastInterface` of `golang.org/x/net`.
    pub fn set_multicast_interface_v4(&self, interface: Ipv4Addr) -> io::Result<()> {
        self.inner
            .with(|socket| SockRef::from(socket).set_multicast_if_v4(&interface))
    }

    /// The interface, given by its index, that datagrams to IPv6 groups leave by. The system
    /// chooses one by default.
    ///
    /// # Errors
    ///
    /// What the system says, such as that there is no such interface.
    ///
    /// ```
    /// # async fn example(socket: net::UdpSocket) -> std::io::Result<()> {
    /// socket.set_multicast_interface_v6(0)?; // as the system chooses
    /// # Ok(()) }
    /// ```
    ///
    /// **Go:** `ipv6.PacketConn.SetMulticastInterface`.
    pub fn set_multicast_interface_v6(&self, interface: u32) -> io::Result<()> {
        self.inner
            .with(|socket| SockRef::from(socket).set_multicast_if_v6(interface))
    }

    /// How many routers a datagram to a group may pass: none, by default, so that it stays in the
    /// local network.
    ///
    /// # Errors
    ///
    /// What the system says, such as that the number is above 255.
    ///
    /// ```
    /// # runtime::block_on(async {
    /// let socket = net::UdpSocket::bind("127.0.0.1:0").await?;
    /// socket.set_multicast_ttl(1)?; // not beyond the next router
    /// # std::io::Result::Ok(()) }).unwrap();
    /// ```
    ///
    /// **Go:** `ipv4.PacketConn.SetMulticastTTL` of `golang.org/x/net`.
    pub fn set_multicast_ttl(&self, hops: u32) -> io::Result<()> {
        self.by_family(
            |socket| socket.set_multicast_ttl_v4(hops),
            |socket| socket.set_multicast_hops_v6(hops),
        )
    }

    /// How many routers a datagram to a group may pass, and one more: 1 is the local network.
    ///
    /// # Errors
    ///
    /// It has been closed.
    ///
    /// ```
    /// # runtime::block_on(async {
    /// let socket = net::UdpSocket::bind("127.0.0.1:0").await?;
    /// assert_eq!(socket.multicast_ttl()?, 1);
    /// # std::io::Result::Ok(()) }).unwrap();
    /// ```
    ///
    /// **Go:** `ipv4.PacketConn.MulticastTTL` of `golang.org/x/net`.
    pub fn multicast_ttl(&self) -> io::Result<u32> {
        self.by_family(
            |socket| socket.multicast_ttl_v4(),
            |socket| socket.multicast_hops_v6(),
        )
    }

    /// The poll form of [`send_to`](Self::send_to). Of several tasks that poll, the last is woken.
    ///
    /// # Errors
    ///
    /// As for [`send_to`](Self::send_to).
    ///
    /// ```
    /// use std::future::poll_fn;
    ///
    /// # runtime::block_on(async {
    /// let (a, b) = (net::UdpSocket::bind("127.0.0.1:0").await?, net::UdpSocket::bind("127.0.0.1:0").await?);
    /// let to = b.local_addr()?;
    /// assert_eq!(poll_fn(|cx| a.poll_send_to(cx, b"hello", to)).await?, 5);
    /// # std::io::Result::Ok(()) }).unwrap();
    /// ```
    ///
    /// **Go:** none; a goroutine waits.
    #[track_caller]
    pub fn poll_send_to(
        &self,
        cx: &mut Context<'_>,
        datagram: &[u8],
        to: SocketAddr,
    ) -> Poll<io::Result<usize>> {
        let inner = &self.inner;
        inner.poll_io(Direction::Write, cx, |socket, _| {
            socket.send_to(datagram, to)
        })
    }

    /// A setting that each family has under another name.
    fn by_family<R>(
        &self,
        v4: impl FnOnce(&SockRef<'_>) -> io::Result<R>,
        v6: impl FnOnce(&SockRef<'_>) -> io::Result<R>,
    ) -> io::Result<R> {
        self.inner.with(|socket| {
            let settings = SockRef::from(socket);
            match socket.local_addr()? {
                SocketAddr::V4(_) => v4(&settings),
                SocketAddr::V6(_) => v6(&settings),
            }
        })
    }
}
