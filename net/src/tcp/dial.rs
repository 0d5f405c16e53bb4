//! Making connections.
//!
//! A non-blocking connect to this machine is complete when it returns, so that it is looked at once
//! before the reactor is asked to wait. Addresses of one family are tried one after the other; the
//! time limit is shared out among those that are left, so that one that does not answer leaves time
//! for the next. Where a name has addresses of both families, those of the first one's go ahead,
//! and the others follow when they have failed or have not answered for 300 ms (RFC 6555, "happy
//! eyeballs"). All as in Go.
#![forbid(unsafe_code)]

use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::panic::Location;
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use runtime::io::Direction;
use runtime::time::{Instant, sleep, timeout_at};
use socket2::{Domain, Protocol, SockRef, Type};

use super::TcpStream;
use super::options::Options;
use crate::control::Control;
use crate::error::{During, LOCAL, list, no_address};
use crate::resolve::{Target, ToSocketAddrs, resolve};
use crate::socket::{Blocks, Socket};
use crate::sys::{self, bind_address_no_port};

/// The least time that an address gets of a limit which is shared out. Go's value.
const LEAST_SHARE: Duration = Duration::from_secs(2);

/// The handicap of the second address family. RFC 6555 suggests 150 to 250 ms, Go takes this.
const FALLBACK_DELAY: Duration = Duration::from_millis(300);

/// Tries for a local port that leads to the peer: not to itself, and free. Go's value; each fails
/// once in as many times as there are ports.
const TRIES: usize = 3;

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
/// One that is kept for many connections is made first and set afterwards, as a
/// [`Command`](std::process::Command) is, since each setting lends it on:
///
/// ```
/// # use std::time::Duration;
/// # runtime::block_on(async {
/// # let listener = net::TcpListener::bind("127.0.0.1:0").await?;
/// # let address = listener.local_addr()?;
/// let mut dialer = net::Dialer::new();
/// dialer.timeout(Duration::from_secs(3));
/// let (one, other) = (dialer.connect(address).await?, dialer.connect(address).await?);
/// # drop((one, other));
/// # std::io::Result::Ok(()) }).unwrap();
/// ```
///
/// **Go:** `net.Dialer`.
#[derive(Clone, Debug)]
pub struct Dialer {
    timeout: Option<Duration>,
    local: Option<SocketAddr>,
    fallback_delay: Option<Duration>,
    options: Options,
    control: Control,
}

impl Default for Dialer {
    fn default() -> Self {
        Self::new()
    }
}

impl Dialer {
    /// The defaults: no limit but the system's (about two minutes), any local address,
    /// `TCP_NODELAY`, keepalive every 15 s, the other address family after 300 ms.
    ///
    /// ```
    /// # runtime::block_on(async {
    /// # let listener = net::TcpListener::bind("127.0.0.1:0").await?;
    /// # let address = listener.local_addr()?;
    /// let stream = net::Dialer::new().connect(address).await?;
    /// # std::io::Result::Ok(()) }).unwrap();
    /// ```
    ///
    /// **Go:** `net.Dialer{}`.
    pub fn new() -> Self {
        Self {
            timeout: None,
            local: None,
            fallback_delay: Some(FALLBACK_DELAY),
            options: Options::default(),
            control: Control::default(),
        }
    }

    /// How long connecting may take, with the lookup and all addresses of the name.
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// # runtime::block_on(async {
    /// # let listener = net::TcpListener::bind("127.0.0.1:0").await?;
    /// # let address = listener.local_addr()?;
    /// let stream = net::Dialer::new().timeout(Duration::from_secs(3)).connect(address).await?;
    /// # std::io::Result::Ok(()) }).unwrap();
    /// ```
    ///
    /// **Go:** `Dialer.Timeout`.
    pub fn timeout(&mut self, limit: Duration) -> &mut Self {
        self.timeout = Some(limit);
        self
    }

    /// The address to connect from; of a name's addresses those of its family are tried. Port 0
    /// lets the system choose the port, for this destination alone: one local address can hold as
    /// many connections to each destination as there are ports.
    ///
    /// ```
    /// # runtime::block_on(async {
    /// # let listener = net::TcpListener::bind("127.0.0.1:0").await?;
    /// # let address = listener.local_addr()?;
    /// let stream = net::Dialer::new().local_addr(([127, 0, 0, 1], 0).into()).connect(address).await?;
    /// # std::io::Result::Ok(()) }).unwrap();
    /// ```
    ///
    /// **Go:** `Dialer.LocalAddr`.
    pub fn local_addr(&mut self, address: SocketAddr) -> &mut Self {
        self.local = Some(address);
        self
    }

    /// How long the addresses of the first one's family have to answer before those of the other
    /// family are tried beside them. `None`: they are tried afterwards. 300 ms by default.
    ///
    /// ```
    /// # runtime::block_on(async {
    /// # let listener = net::TcpListener::bind("127.0.0.1:0").await?;
    /// # let address = listener.local_addr()?;
    /// let stream = net::Dialer::new().fallback_delay(None).connect(address).await?;
    /// # std::io::Result::Ok(()) }).unwrap();
    /// ```
    ///
    /// **Go:** `Dialer.FallbackDelay`.
    pub fn fallback_delay(&mut self, delay: Option<Duration>) -> &mut Self {
        self.fallback_delay = delay;
        self
    }

    /// Whether small writes are sent at once (`TCP_NODELAY`). On by default.
    ///
    /// ```
    /// # runtime::block_on(async {
    /// # let listener = net::TcpListener::bind("127.0.0.1:0").await?;
    /// # let address = listener.local_addr()?;
    /// let stream = net::Dialer::new().nodelay(false).connect(address).await?;
    /// # std::io::Result::Ok(()) }).unwrap();
    /// ```
    ///
    /// **Go:** `SetNoDelay` on the connection.
    pub fn nodelay(&mut self, nodelay: bool) -> &mut Self {
        self.options.nodelay = nodelay;
        self
    }

    /// The silence after which the system probes the peer, and the time between probes, in whole
    /// seconds, at least one; the ninth probe without an answer ends the connection. `None`: no
    /// probes. 15 s by default.
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// # runtime::block_on(async {
    /// # let listener = net::TcpListener::bind("127.0.0.1:0").await?;
    /// # let address = listener.local_addr()?;
    /// let stream = net::Dialer::new().keepalive(Some(Duration::from_secs(60))).connect(address).await?;
    /// # std::io::Result::Ok(()) }).unwrap();
    /// ```
    ///
    /// **Go:** `Dialer.KeepAlive`.
    pub fn keepalive(&mut self, interval: Option<Duration>) -> &mut Self {
        self.options.keepalive = interval;
        self
    }

    /// Calls `set` with each socket before it connects, after the settings above: for those that
    /// have no method here.
    ///
    /// Only one function is called, the last that was given. A name's addresses have a socket each.
    /// An error of it fails the connecting.
    ///
    /// ```
    /// use socket2::SockRef;
    ///
    /// # runtime::block_on(async {
    /// # let listener = net::TcpListener::bind("127.0.0.1:0").await?;
    /// # let address = listener.local_addr()?;
    /// let mut dialer = net::Dialer::new();
    /// dialer.control(|fd| SockRef::from(&fd).set_recv_buffer_size(1 << 20));
    /// let stream = dialer.connect(address).await?;
    /// # std::io::Result::Ok(()) }).unwrap();
    /// ```
    ///
    /// **Go:** `Dialer.Control`.
    pub fn control(
        &mut self,
        set: impl Fn(BorrowedFd<'_>) -> io::Result<()> + Send + Sync + 'static,
    ) -> &mut Self {
        self.control = Control::new(set);
        self
    }

    /// Connects. A name's addresses are tried in the resolver's order, the two families side by
    /// side; the first that answers is taken.
    ///
    /// # Errors
    ///
    /// An [`OpError`](crate::OpError) for `lookup` or `connect`, of the first address that failed:
    /// nothing listens there ([`ConnectionRefused`](io::ErrorKind::ConnectionRefused)), no way
    /// leads there, no local port is free, or no interface has the local address
    /// ([`AddrNotAvailable`](io::ErrorKind::AddrNotAvailable)), too many files are open, the time
    /// is over ([`TimedOut`](io::ErrorKind::TimedOut)).
    ///
    /// # Panics
    ///
    /// Outside a runtime.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: the connection is given up.
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// # runtime::block_on(async {
    /// # let listener = net::TcpListener::bind("127.0.0.1:0").await?;
    /// # let address = listener.local_addr()?;
    /// let stream = net::Dialer::new().timeout(Duration::from_secs(3)).connect(address).await?;
    /// # std::io::Result::Ok(()) }).unwrap();
    /// ```
    ///
    /// **Go:** `d.DialContext(ctx, "tcp", addr)`.
    #[track_caller]
    pub fn connect<A: ToSocketAddrs>(
        &self,
        address: A,
    ) -> impl Future<Output = io::Result<TcpStream>> + Send + use<A> {
        let place = Location::caller();
        let dialer = self.clone();
        let target = address.to_target();
        async move {
            let deadline = dialer
                .timeout
                .and_then(|limit| Instant::now().checked_add(limit));
            let addresses = dialer.reachable(look_up(target?, deadline).await?)?;
            match dialer.rivals(&addresses) {
                None => dialer.connect_any(&addresses, deadline, place).await,
                // Boxed: rare, and large.
                Some(rivals) => Box::pin(dialer.race(rivals, deadline, place)).await,
            }
        }
    }

    /// Those of the local address's family, if there is one: from it no other can be reached.
    fn reachable(&self, mut addresses: Vec<SocketAddr>) -> io::Result<Vec<SocketAddr>> {
        let Some(local) = self.local else {
            return Ok(addresses);
        };
        let same = |address: &SocketAddr| address.is_ipv6() == local.is_ipv6();
        if !addresses.is_empty() && !addresses.iter().any(same) {
            let text = format!(
                "the local address {local} is of the other family: give Dialer::local_addr one of \
                 this family"
            );
            let error = io::Error::new(io::ErrorKind::InvalidInput, text);
            return Err(error).during("connect", list(&addresses));
        }
        addresses.retain(same);
        Ok(addresses)
    }

    /// The two families, if there are two and they race.
    fn rivals(&self, addresses: &[SocketAddr]) -> Option<Rivals> {
        let handicap = self.fallback_delay?;
        let is_v6 = addresses.first()?.is_ipv6();
        let (first, second): (Vec<_>, Vec<_>) = addresses
            .iter()
            .partition(|address| address.is_ipv6() == is_v6);
        (!second.is_empty()).then_some(Rivals {
            first,
            second,
            handicap,
        })
    }

    /// Tries both families, the second with a handicap. Whoever loses is closed.
    async fn race(
        &self,
        rivals: Rivals,
        deadline: Option<Instant>,
        place: &'static Location<'static>,
    ) -> io::Result<TcpStream> {
        let mut ahead = pin!(self.connect_any(&rivals.first, deadline, place));
        let mut behind = pin!(self.connect_any(&rivals.second, deadline, place));
        let mut handicap = pin!(sleep(rivals.handicap));
        let (mut failed_ahead, mut failed_behind, mut started) = (None, false, false);
        poll_fn(|cx| {
            if failed_ahead.is_none() {
                match ahead.as_mut().poll(cx) {
                    Poll::Ready(Err(error)) => failed_ahead = Some(error),
                    Poll::Ready(Ok(stream)) => return Poll::Ready(Ok(stream)),
                    Poll::Pending => {}
                }
            }
            started |= failed_ahead.is_some() || handicap.as_mut().poll(cx).is_ready();
            if started && !failed_behind {
                match behind.as_mut().poll(cx) {
                    Poll::Ready(Err(_)) => failed_behind = true,
                    Poll::Ready(Ok(stream)) => return Poll::Ready(Ok(stream)),
                    Poll::Pending => {}
                }
            }
            match failed_ahead.take_if(|_| failed_behind) {
                Some(error) => Poll::Ready(Err(error)),
                None => Poll::Pending,
            }
        })
        .await
    }

    async fn connect_any(
        &self,
        addresses: &[SocketAddr],
        deadline: Option<Instant>,
        place: &'static Location<'static>,
    ) -> io::Result<TcpStream> {
        let mut first_error = None;
        for (tried, &address) in addresses.iter().enumerate() {
            let mut connecting = pin!(self.connect_one(address, place));
            let connected = match deadline {
                None => connecting.await,
                Some(deadline) => {
                    let share = share(deadline, addresses.len() - tried);
                    let within = timeout_at(share, connecting.as_mut()).await;
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

    /// Connects to one address; a connection to itself is not one (see `is_self_connected`). Linux
    /// may also choose a port that another connect takes at that moment, and then says that there
    /// is none.
    async fn connect_one(
        &self,
        address: SocketAddr,
        place: &'static Location<'static>,
    ) -> io::Result<TcpStream> {
        let port_is_free = self.local.is_none_or(|local| local.port() == 0);
        let mut failed = io::Error::from_raw_os_error(libc::ECONNREFUSED);
        for _ in 0..TRIES {
            match self.connect_once(address, place).await {
                Ok(stream) if is_self_connected(&stream)? => {}
                Err(error) if port_is_free && error.raw_os_error() == Some(libc::EADDRNOTAVAIL) => {
                    failed = error;
                }
                connected => return connected,
            }
        }
        Err(failed)
    }

    async fn connect_once(
        &self,
        address: SocketAddr,
        place: &'static Location<'static>,
    ) -> io::Result<TcpStream> {
        let socket = Socket::new_unready(self.start(address)?)?;
        if !is_connected(&socket)? {
            // Waits for events; each may be for nothing.
            socket
                .io(Direction::Write, place, Blocks::Perhaps, |stream, _| {
                    connected(stream)
                })
                .await?;
        }
        socket.registration().assume_ready();
        Ok(TcpStream::from_socket(socket))
    }

    /// The socket, with its connect under way.
    fn start(&self, address: SocketAddr) -> io::Result<mio::net::TcpStream> {
        let domain = Domain::for_address(address);
        let socket = sys::socket(domain, Type::STREAM, Some(Protocol::TCP))?;
        self.options.apply(&SockRef::from(&socket))?;
        self.control.apply(&socket)?;
        if let Some(local) = self.local {
            // The port is chosen at the connect, when the destination is known.
            bind_address_no_port(socket.as_fd())?;
            socket.bind(&local.into()).during(LOCAL, local)?;
        }
        match socket.connect(&address.into()) {
            Err(error) if !is_under_way(&error) => Err(error),
            _ => {
                let stream = std::net::TcpStream::from(OwnedFd::from(socket));
                Ok(mio::net::TcpStream::from_std(stream))
            }
        }
    }
}

/// Whether the system goes on connecting; after a signal, too, and another call would only be told
/// so.
fn is_under_way(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::EINPROGRESS | libc::EINTR))
}

/// Addresses of both families, and how long the second waits for the first.
struct Rivals {
    first: Vec<SocketAddr>,
    second: Vec<SocketAddr>,
    handicap: Duration,
}

async fn look_up(target: Target, deadline: Option<Instant>) -> io::Result<Vec<SocketAddr>> {
    let name = match target {
        Target::Addresses(addresses) => return Ok(addresses),
        Target::Name(ref host, port) => format!("{host}:{port}"),
    };
    // Boxed: a lookup is slow anyway, and the future of a dial to an address stays small.
    let lookup = Box::pin(resolve(target));
    match deadline {
        None => lookup.await,
        Some(deadline) => match timeout_at(deadline, lookup).await {
            Ok(found) => found,
            Err(_) => Err(too_late()).during("lookup", name),
        },
    }
}

/// Whether both ends are one socket. The system may choose, for a connect to a port of this machine
/// where nothing listens, that very port as the local one; then the connection opens from both
/// sides at once, with itself.
fn is_self_connected(stream: &TcpStream) -> io::Result<bool> {
    match (stream.local_addr(), stream.peer_addr()) {
        (Ok(local), Ok(peer)) => Ok(local == peer),
        // It has been reset already: the first read will say so.
        (_, Err(error)) if error.kind() == io::ErrorKind::NotConnected => Ok(false),
        (Err(error), _) | (_, Err(error)) => Err(error),
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
    // A connection that stands has a peer. One that failed has an error, and one that goes on has
    // neither.
    match stream.peer_addr() {
        Ok(_) => Ok(()),
        Err(error) if error.raw_os_error() == Some(libc::ENOTCONN) => match stream.take_error()? {
            Some(error) => Err(error),
            None => Err(io::ErrorKind::WouldBlock.into()),
        },
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Go: TestDialerPartialDeadline.
    #[test]
    fn a_limit_is_shared_out_among_the_addresses_that_are_left() {
        let runtime = runtime::Builder::new().start_paused(true).build().unwrap();
        runtime.block_on(async {
            let now = Instant::now();
            let ms = Duration::from_millis;
            for (limit, left, shared) in [
                (ms(12_000), 1, ms(12_000)),
                (ms(12_000), 2, ms(6_000)),
                (ms(12_000), 3, ms(4_000)),
                // Not less than makes sense.
                (ms(12_000), 999, ms(2_000)),
                // Unless there is no more.
                (ms(1_900), 999, ms(1_900)),
                (ms(1), 1, ms(1)),
                (ms(0), 1, ms(0)),
                (ms(0), 7, ms(0)),
            ] {
                assert_eq!(share(now + limit, left), now + shared, "{limit:?}, {left}");
            }
            // It has passed already.
            runtime::time::sleep(ms(1)).await;
            assert_eq!(share(now, 1), Instant::now());
        });
    }
}
