//! How a listener is made.
#![forbid(unsafe_code)]

use std::fs;
use std::io;
use std::net::SocketAddr;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::sync::OnceLock;
use std::time::Duration;

use socket2::{Domain, Protocol, SockRef, Socket, Type};

use super::TcpListener;
use super::options::Options;
use crate::control::Control;
use crate::error::{During, list, no_address};
use crate::resolve::{ToSocketAddrs, resolve};
use crate::sys;
use crate::udp::UdpSocket;

/// Settings of a [`TcpListener`], and of the connections it accepts.
///
/// ```
/// # runtime::block_on(async {
/// let mut config = net::ListenConfig::new();
/// config.reuse_port(true);
/// let first = config.listen("127.0.0.1:0").await?;
/// // The system spreads connections over both.
/// let second = config.listen(first.local_addr()?).await?;
/// # std::io::Result::Ok(()) }).unwrap();
/// ```
///
/// **Go:** `net.ListenConfig`; `reuse_port` needs its `Control` there.
#[derive(Clone, Debug)]
pub struct ListenConfig {
    backlog: Option<u32>,
    reuse_port: bool,
    reuse_address: bool,
    only_v6: Option<bool>,
    options: Options,
    control: Control,
}

impl Default for ListenConfig {
    fn default() -> Self {
        Self::new()
    }
}

impl ListenConfig {
    /// The defaults: the largest backlog, the address may be reused, its port may not; connections
    /// with `TCP_NODELAY` and keepalive.
    ///
    /// ```
    /// # runtime::block_on(async {
    /// let listener = net::ListenConfig::new().listen("127.0.0.1:0").await?; // as `TcpListener::bind`
    /// # std::io::Result::Ok(()) }).unwrap();
    /// ```
    ///
    /// **Go:** `net.ListenConfig{}`.
    pub fn new() -> Self {
        Self {
            backlog: None,
            reuse_port: false,
            reuse_address: true,
            only_v6: None,
            options: Options::default(),
            control: Control::default(),
        }
    }

    /// Connections that may wait to be accepted. By default as many as the system allows
    /// (`net.core.somaxconn`): with a short queue a burst of clients waits a second for its second
    /// SYN.
    ///
    /// ```
    /// # runtime::block_on(async {
    /// let listener = net::ListenConfig::new().backlog(128).listen("127.0.0.1:0").await?;
    /// # std::io::Result::Ok(()) }).unwrap();
    /// ```
    ///
    /// **Go:** none: as many as the system allows.
    pub fn backlog(&mut self, connections: u32) -> &mut Self {
        self.backlog = Some(connections);
        self
    }

    /// Whether several listeners, also of several processes of one user, may share the port; the
    /// system spreads connections over them. Each of them must say so. Off by default.
    ///
    /// ```
    /// # runtime::block_on(async {
    /// let listener = net::ListenConfig::new().reuse_port(true).listen("127.0.0.1:0").await?;
    /// # std::io::Result::Ok(()) }).unwrap();
    /// ```
    ///
    /// **Go:** `SO_REUSEPORT` in `ListenConfig.Control`.
    pub fn reuse_port(&mut self, reuse: bool) -> &mut Self {
        self.reuse_port = reuse;
        self
    }

    /// Whether the port may be taken while connections of a former listener linger in `TIME_WAIT`.
    /// On by default.
    ///
    /// ```
    /// # runtime::block_on(async {
    /// let listener = net::ListenConfig::new().reuse_address(false).listen("127.0.0.1:0").await?;
    /// # std::io::Result::Ok(()) }).unwrap();
    /// ```
    ///
    /// **Go:** `SO_REUSEADDR`, which it always sets.
    pub fn reuse_address(&mut self, reuse: bool) -> &mut Self {
        self.reuse_address = reuse;
        self
    }

    /// Whether a listener on an IPv6 address leaves IPv4 alone. By default what the system does; on
    /// Linux `[::]` takes both.
    ///
    /// ```
    /// let mut config = net::ListenConfig::new();
    /// config.only_v6(true); // for an address such as "[::]:80"
    /// ```
    ///
    /// **Go:** the network `tcp6`.
    pub fn only_v6(&mut self, only: bool) -> &mut Self {
        self.only_v6 = Some(only);
        self
    }

    /// Whether accepted connections send small writes at once (`TCP_NODELAY`). On by default.
    ///
    /// ```
    /// # runtime::block_on(async {
    /// let listener = net::ListenConfig::new().nodelay(false).listen("127.0.0.1:0").await?;
    /// # std::io::Result::Ok(()) }).unwrap();
    /// ```
    ///
    /// **Go:** `SetNoDelay` on each connection.
    pub fn nodelay(&mut self, nodelay: bool) -> &mut Self {
        self.options.nodelay = nodelay;
        self
    }

    /// The silence after which the system probes the peer of an accepted connection, and the time
    /// between probes, in whole seconds, at least one; the ninth probe without an answer ends the
    /// connection. `None`: no probes. 15 s by default.
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// # runtime::block_on(async {
    /// let listener = net::ListenConfig::new().keepalive(Some(Duration::from_secs(60))).listen("127.0.0.1:0").await?;
    /// # std::io::Result::Ok(()) }).unwrap();
    /// ```
    ///
    /// **Go:** `ListenConfig.KeepAlive`.
    pub fn keepalive(&mut self, interval: Option<Duration>) -> &mut Self {
        self.options.keepalive = interval;
        self
    }

    /// Calls `set` with each socket before it is bound, after the settings above: for those that
    /// have no method here.
    ///
    /// Only one function is called, the last that was given. An error of it fails the listening.
    ///
    /// ```
    /// use socket2::SockRef;
    ///
    /// # runtime::block_on(async {
    /// let mut config = net::ListenConfig::new();
    /// // Accepted connections have it, too; and only now does it give them a large window.
    /// config.control(|fd| SockRef::from(&fd).set_recv_buffer_size(1 << 20));
    /// let listener = config.listen("127.0.0.1:0").await?;
    /// # std::io::Result::Ok(()) }).unwrap();
    /// ```
    ///
    /// **Go:** `ListenConfig.Control`.
    pub fn control(
        &mut self,
        set: impl Fn(BorrowedFd<'_>) -> io::Result<()> + Send + Sync + 'static,
    ) -> &mut Self {
        self.control = Control::new(set);
        self
    }

    /// A UDP socket with these settings, as far as they concern it:
    /// [`reuse_port`](Self::reuse_port), [`only_v6`](Self::only_v6), [`control`](Self::control).
    /// With `reuse_port` several sockets share the address: each datagram goes to one of them, one
    /// that is sent to a group or to everybody goes to all.
    ///
    /// # Errors
    ///
    /// As for [`UdpSocket::bind`].
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
    /// use std::net::Ipv4Addr;
    ///
    /// # runtime::block_on(async {
    /// // Whoever else on this machine looks for printers may do so at the same time.
    /// let socket = net::ListenConfig::new().reuse_port(true).listen_packet("0.0.0.0:0").await?;
    /// # if false {
    /// socket.join_multicast_v4(Ipv4Addr::new(224, 0, 0, 251), Ipv4Addr::UNSPECIFIED)?;
    /// # }
    /// # std::io::Result::Ok(()) }).unwrap();
    /// ```
    ///
    /// **Go:** `lc.ListenPacket(ctx, "udp", addr)`.
    pub async fn listen_packet(&self, address: impl ToSocketAddrs) -> io::Result<UdpSocket> {
        UdpSocket::bind_as(address, |socket, address| {
            if let (true, Some(only)) = (address.is_ipv6(), self.only_v6) {
                socket.set_only_v6(only)?;
            }
            if self.reuse_port {
                socket.set_reuse_port(true)?;
            }
            self.control.apply(socket)
        })
        .await
    }

    /// Binds and listens. A name that has several addresses is bound to the first that can be.
    ///
    /// # Errors
    ///
    /// An [`OpError`](crate::OpError) for `lookup`, `bind` or `listen`: the name has no address;
    /// the port is taken ([`AddrInUse`](io::ErrorKind::AddrInUse)); it needs a privilege
    /// ([`PermissionDenied`](io::ErrorKind::PermissionDenied)); the address is not this machine's
    /// ([`AddrNotAvailable`](io::ErrorKind::AddrNotAvailable)); too many files are open.
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
    /// let listener = net::ListenConfig::new().backlog(1024).listen("127.0.0.1:0").await?;
    /// assert_ne!(listener.local_addr()?.port(), 0);
    /// # std::io::Result::Ok(()) }).unwrap();
    /// ```
    ///
    /// **Go:** `lc.Listen(ctx, "tcp", addr)`.
    pub async fn listen(&self, address: impl ToSocketAddrs) -> io::Result<TcpListener> {
        let addresses = resolve(address.to_target()?).await?;
        let mut failed = None;
        for &address in &addresses {
            match self.listen_on(address) {
                Ok(listener) => return Ok(listener),
                Err(error) => failed = Some(error),
            }
        }
        Err(failed.unwrap_or_else(|| no_address_in(&addresses)))
    }

    fn listen_on(&self, address: SocketAddr) -> io::Result<TcpListener> {
        let domain = Domain::for_address(address);
        let socket = sys::socket(domain, Type::STREAM, Some(Protocol::TCP));
        let socket = socket.during("listen", address)?;
        self.prepare(&socket, address).during("bind", address)?;
        socket
            .listen(self.queue_length())
            .during("listen", address)?;
        let listener = std::net::TcpListener::from(OwnedFd::from(socket));
        TcpListener::register(mio::net::TcpListener::from_std(listener)).during("listen", address)
    }

    fn prepare(&self, socket: &Socket, address: SocketAddr) -> io::Result<()> {
        if let (true, Some(only)) = (address.is_ipv6(), self.only_v6) {
            socket.set_only_v6(only)?;
        }
        if self.reuse_address {
            socket.set_reuse_address(true)?;
        }
        if self.reuse_port {
            socket.set_reuse_port(true)?;
        }
        self.options.apply(&SockRef::from(socket))?;
        self.control.apply(socket)?;
        socket.bind(&address.into())
    }

    fn queue_length(&self) -> i32 {
        let connections = self.backlog.unwrap_or_else(system_backlog);
        i32::try_from(connections).unwrap_or(i32::MAX)
    }
}

fn no_address_in(addresses: &[SocketAddr]) -> io::Error {
    let none: io::Result<()> = Err(no_address());
    none.during("bind", list(addresses)).unwrap_err()
}

/// The largest backlog that the system grants. Where it does not say, what old systems grant.
pub(crate) fn system_backlog() -> u32 {
    static BACKLOG: OnceLock<u32> = OnceLock::new();
    *BACKLOG.get_or_init(|| {
        fs::read_to_string("/proc/sys/net/core/somaxconn")
            .ok()
            .and_then(|text| text.trim().parse().ok())
            .unwrap_or(libc::SOMAXCONN as u32)
    })
}
