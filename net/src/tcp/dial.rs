//! Making connections.
//!
//! A non-blocking connect to this machine is complete when it returns, so that it is looked at once before the reactor is asked to
//! wait. Addresses of a name are tried one after the other; the time limit is shared out among those that are left, so that
//! one that does not answer leaves time for the next (Go does the same).
#![forbid(unsafe_code)]

use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, OwnedFd};
use std::panic::Location;
use std::time::Duration;

use runtime::io::Direction;
use runtime::time::{Instant, timeout_at};
use socket2::{Domain, Protocol, SockRef, Type};

use super::TcpStream;
use super::options::Options;
use crate::error::{During, list, no_address};
use crate::resolve::{ToSocketAddrs, resolve};
use crate::socket::Socket;
use crate::sys::bind_address_no_port;

/// The least time that an address gets of a limit which is shared out. Go's value.
const LEAST_SHARE: Duration = Duration::from_secs(2);

/// Settings of a connection that is made.
///
/// ```
/// # use std::time::Duration;
/// # runtime::block_on(async {
/// # let listener = net::TcpListener::bind("127.0.0.1:0").await?;
/// # let address = listener.local_addr()?;
/// let stream = net::Dialer::new()
///     .timeout(Duration::from_secs(3))
///     .local_addr("127.0.0.2:0".parse().unwrap())
///     .connect(address)
///     .await?;
/// assert_eq!(stream.local_addr()?.ip().to_string(), "127.0.0.2");
/// # std::io::Result::Ok(()) }).unwrap();
/// ```
///
/// **Go:** `net.Dialer`.
#[derive(Clone, Debug, Default)]
pub struct Dialer {
    timeout: Option<Duration>,
    local: Option<SocketAddr>,
    options: Options,
}

impl Dialer {
    /// The defaults: no limit but the system's (about two minutes), any local address, `TCP_NODELAY`, keepalive every 15 s.
    pub fn new() -> Self {
        Self::default()
    }

    /// How long connecting may take, with the lookup and all addresses of the name.
    pub fn timeout(&mut self, limit: Duration) -> &mut Self {
        self.timeout = Some(limit);
        self
    }

    /// The address to connect from. Port 0 lets the system choose the port, for this destination alone: one local address can hold
    /// as many connections to each destination as there are ports.
    pub fn local_addr(&mut self, address: SocketAddr) -> &mut Self {
        self.local = Some(address);
        self
    }

    /// Whether small writes are sent at once (`TCP_NODELAY`). On by default.
    pub fn nodelay(&mut self, nodelay: bool) -> &mut Self {
        self.options.nodelay = nodelay;
        self
    }

    /// The silence after which the system probes the peer, and the time between probes, in whole seconds, at least one; the ninth
    /// probe without an answer ends the connection. `None`: no probes. 15 s by default.
    pub fn keepalive(&mut self, interval: Option<Duration>) -> &mut Self {
        self.options.keepalive = interval;
        self
    }

    /// Connects. A name's addresses are tried in the resolver's order; the first that answers is taken.
    ///
    /// # Errors
    ///
    /// An [`OpError`](crate::OpError) for `lookup` or `connect`, of the first address that failed: nothing listens there
    /// ([`ConnectionRefused`](io::ErrorKind::ConnectionRefused)), no way leads there, no local port is free
    /// ([`AddrNotAvailable`](io::ErrorKind::AddrNotAvailable)), too many files are open, the time is over
    /// ([`TimedOut`](io::ErrorKind::TimedOut)).
    ///
    /// # Panics
    ///
    /// Outside a runtime.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: the connection is given up.
    ///
    /// **Go:** `d.DialContext(ctx, "tcp", addr)`.
    #[track_caller]
    pub fn connect(
        &self,
        address: impl ToSocketAddrs,
    ) -> impl Future<Output = io::Result<TcpStream>> + Send {
        let place = Location::caller();
        let dialer = self.clone();
        let target = address.to_target();
        async move {
            let deadline = dialer
                .timeout
                .and_then(|limit| Instant::now().checked_add(limit));
            let addresses = match deadline {
                None => resolve(target?).await?,
                Some(deadline) => match timeout_at(deadline, resolve(target?)).await {
                    Ok(found) => found?,
                    Err(_) => return Err(too_late()).during("lookup", "the name"),
                },
            };
            dialer.connect_any(&addresses, deadline, place).await
        }
    }

    async fn connect_any(
        &self,
        addresses: &[SocketAddr],
        deadline: Option<Instant>,
        place: &'static Location<'static>,
    ) -> io::Result<TcpStream> {
        let mut first_error = None;
        for (tried, &address) in addresses.iter().enumerate() {
            let connecting = self.connect_one(address, place);
            let connected = match deadline {
                None => connecting.await,
                Some(deadline) => {
                    let share = share(deadline, addresses.len() - tried);
                    let within = timeout_at(share, connecting).await;
                    within.unwrap_or_else(|_| Err(too_late()))
                }
            };
            match connected.during("connect", address) {
                Ok(stream) => return Ok(stream),
                Err(error) => first_error = first_error.or(Some(error)),
            }
        }
        match first_error {
            Some(error) => Err(error),
            None => Err(no_address()).during("connect", list(addresses)),
        }
    }

    async fn connect_one(
        &self,
        address: SocketAddr,
        place: &'static Location<'static>,
    ) -> io::Result<TcpStream> {
        let socket = Socket::new_unready(self.start(address)?)?;
        if !is_connected(&socket)? {
            // Waits for events; each may be for nothing.
            socket
                .io(Direction::Write, place, false, |stream, _| {
                    connected(stream)
                })
                .await?;
        }
        socket.registration().assume_ready();
        Ok(TcpStream::from_socket(socket))
    }

    /// The socket, with its connect under way.
    fn start(&self, address: SocketAddr) -> io::Result<mio::net::TcpStream> {
        let kind = Type::STREAM.nonblocking().cloexec();
        let domain = Domain::for_address(address);
        let socket = socket2::Socket::new(domain, kind, Some(Protocol::TCP))?;
        self.options.apply(&SockRef::from(&socket))?;
        if let Some(local) = self.local {
            // The port is chosen at the connect, when the destination is known.
            bind_address_no_port(socket.as_fd())?;
            socket.bind(&local.into())?;
        }
        match socket.connect(&address.into()) {
            Err(error) if error.raw_os_error() != Some(libc::EINPROGRESS) => Err(error),
            _ => {
                let stream = std::net::TcpStream::from(OwnedFd::from(socket));
                Ok(mio::net::TcpStream::from_std(stream))
            }
        }
    }
}

/// Until when an address may be tried when so many are left.
fn share(deadline: Instant, left: usize) -> Instant {
    let now = Instant::now();
    let all = deadline.saturating_duration_since(now);
    let equal = all / u32::try_from(left).unwrap_or(u32::MAX);
    now.checked_add(equal.max(LEAST_SHARE).min(all))
        .unwrap_or(deadline)
}

fn too_late() -> io::Error {
    io::Error::new(io::ErrorKind::TimedOut, "i/o timeout")
}

/// Whether the connection stands already.
fn is_connected(socket: &Socket<mio::net::TcpStream>) -> io::Result<bool> {
    match socket.with(connected) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(false),
        Err(error) => Err(error),
    }
}

/// How connecting went: `WouldBlock` as long as it goes on.
fn connected(stream: &mio::net::TcpStream) -> io::Result<()> {
    // A connection that stands has a peer. One that failed has an error, and one that goes on has neither.
    match stream.peer_addr() {
        Ok(_) => Ok(()),
        Err(error) if error.raw_os_error() == Some(libc::ENOTCONN) => match stream.take_error()? {
            Some(error) => Err(error),
            None => Err(io::ErrorKind::WouldBlock.into()),
        },
        Err(error) => Err(error),
    }
}
