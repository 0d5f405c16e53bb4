//! Accepting TCP connections. What is skipped and what is waited out: `accept.rs`.
#![forbid(unsafe_code)]

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::os::fd::BorrowedFd;
use std::panic::Location;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};

use runtime::io::{Attempt, Direction};
use runtime::time::Instant;

use super::{ListenConfig, TcpStream};
use crate::accept::{accept, set_deadline, skip_gone};
use crate::error::{During, named};
use crate::resolve::ToSocketAddrs;
use crate::socket::{Socket, shared};

/// A TCP socket that accepts connections.
///
/// Clones share one socket; several tasks may accept on it at once. It stops listening when it is
/// [closed](Self::close), or when the last clone is dropped.
///
/// ```
/// # runtime::block_on(async {
/// let listener = net::TcpListener::bind("127.0.0.1:0").await?;
/// let address = listener.local_addr()?;
/// runtime::spawn(async move {
///     while let Ok((stream, _peer)) = listener.accept().await {
///         runtime::spawn(async move {
///             let mut buf = [0; 1024];
///             loop {
///                 let n = stream.read(&mut buf).await?;
///                 if n == 0 {
///                     return std::io::Result::Ok(());
///                 }
///                 stream.write_all(&buf[..n]).await?;
///             }
///         });
///     }
/// });
///
/// let stream = net::TcpStream::connect(address).await?;
/// stream.write_all(b"hello").await?;
/// let mut answer = [0; 5];
/// stream.read_exact(&mut answer).await?;
/// assert_eq!(&answer, b"hello");
/// # std::io::Result::Ok(()) }).unwrap();
/// ```
///
/// **Go:** `*net.TCPListener`.
#[derive(Clone)]
pub struct TcpListener {
    inner: Arc<Inner>,
}

struct Inner {
    socket: Socket<mio::net::TcpListener>,
    /// Pauses of `accept`. Relaxed: a count and nothing more.
    shortages: AtomicU64,
}

impl TcpListener {
    /// Listens on an address, with the settings of [`ListenConfig::new`]. Port 0 lets the system
    /// choose; [`local_addr`](Self::local_addr) tells which one.
    ///
    /// # Errors
    ///
    /// As for [`ListenConfig::listen`].
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
    /// let listener = net::TcpListener::bind("127.0.0.1:0").await?;
    /// println!("listening on {}", listener.local_addr()?);
    /// # std::io::Result::Ok(()) }).unwrap();
    /// ```
    ///
    /// **Go:** `net.Listen("tcp", addr)`.
    pub async fn bind(address: impl ToSocketAddrs) -> io::Result<Self> {
        ListenConfig::new().listen(address).await
    }

    #[track_caller]
    pub(super) fn register(listener: mio::net::TcpListener) -> io::Result<Self> {
        Ok(Self {
            inner: Arc::new(Inner {
                socket: Socket::new(listener)?,
                shortages: AtomicU64::new(0),
            }),
        })
    }

    /// Accepts a connection, waiting until there is one. It comes with `TCP_NODELAY` and keepalive
    /// as [`ListenConfig`] says.
    ///
    /// Connections that were reset before they were accepted are skipped. When the process or the
    /// system has no descriptor or memory to spare, this waits (5 ms, then twice as long each time,
    /// up to 1 s) and tries again until it succeeds; clients wait in the backlog meanwhile.
    /// [`shortages`](Self::shortages) counts these pauses; [`try_accept`](Self::try_accept) returns
    /// the error.
    ///
    /// # Errors
    ///
    /// An [`OpError`](crate::OpError) for `accept`. An accept loop may end at any error: each is
    /// about the listener itself. After [`close`](Self::close) it is one that
    /// [`is_closed`](crate::is_closed) knows.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: a connection is accepted only when the future is ready.
    ///
    /// ```
    /// # runtime::block_on(async {
    /// let listener = net::TcpListener::bind("127.0.0.1:0").await?;
    /// # let client = net::TcpStream::connect(listener.local_addr()?).await?;
    /// let (stream, peer) = listener.accept().await?;
    /// assert_eq!(stream.peer_addr()?, peer);
    /// # std::io::Result::Ok(()) }).unwrap();
    /// ```
    ///
    /// **Go:** `ln.Accept()`, which returns the shortage as an error; `http.Server` pauses as this
    /// does.
    #[track_caller]
    pub fn accept(&self) -> impl Future<Output = io::Result<(TcpStream, SocketAddr)>> + Send + '_ {
        self.accepting(|_| {}, Location::caller())
    }

    /// Says of each pause why.
    #[track_caller]
    pub(crate) fn accept_telling(
        &self,
        paused: &(impl Fn(io::Error) + Sync),
    ) -> impl Future<Output = io::Result<(TcpStream, SocketAddr)>> + Send {
        let named = move |error| paused(named("accept", self.name(), error));
        self.accepting(named, Location::caller())
    }

    async fn accepting(
        &self,
        paused: impl Fn(io::Error) + Send,
        place: &'static Location<'static>,
    ) -> io::Result<(TcpStream, SocketAddr)> {
        let Inner { socket, shortages } = &*self.inner;
        let paused = |error| {
            // Relaxed: a count and nothing more.
            shortages.fetch_add(1, Ordering::Relaxed);
            paused(error);
        };
        let accepted = accept(socket, paused, place, accept_once, register).await;
        self.named(accepted)
    }

    /// Accepts a connection if one waits.
    ///
    /// # Errors
    ///
    /// [`WouldBlock`](io::ErrorKind::WouldBlock) if none waits; an [`OpError`](crate::OpError) for
    /// `accept`, also when descriptors have run out.
    ///
    /// ```
    /// # runtime::block_on(async {
    /// let listener = net::TcpListener::bind("127.0.0.1:0").await?;
    /// let error = listener.try_accept().unwrap_err();
    /// assert_eq!(error.kind(), std::io::ErrorKind::WouldBlock);
    /// # std::io::Result::Ok(()) }).unwrap();
    /// ```
    ///
    /// **Go:** none.
    pub fn try_accept(&self) -> io::Result<(TcpStream, SocketAddr)> {
        match self.inner.socket.try_io(Direction::Read, accept_once) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Err(error),
            accepted => self.named(accepted.and_then(register)),
        }
    }

    /// The poll form of [`accept`](Self::accept), for implementers of streams of connections.
    /// Returns a shortage as an error.
    ///
    /// # Errors
    ///
    /// As for [`try_accept`](Self::try_accept), without `WouldBlock`.
    ///
    /// ```
    /// use std::future::poll_fn;
    ///
    /// # runtime::block_on(async {
    /// let listener = net::TcpListener::bind("127.0.0.1:0").await?;
    /// # let client = net::TcpStream::connect(listener.local_addr()?).await?;
    /// let (stream, _) = poll_fn(|cx| listener.poll_accept(cx)).await?;
    /// # std::io::Result::Ok(()) }).unwrap();
    /// ```
    ///
    /// **Go:** none.
    #[track_caller]
    pub fn poll_accept(&self, cx: &mut Context<'_>) -> Poll<io::Result<(TcpStream, SocketAddr)>> {
        let socket = &self.inner.socket;
        socket
            .poll_io(Direction::Read, cx, accept_once)
            .map(|accepted| self.named(accepted.and_then(register)))
    }

    /// Says in an error on which address it was.
    fn named<T>(&self, accepted: io::Result<T>) -> io::Result<T> {
        accepted.or_else(|error| Err(error).during("accept", self.name()))
    }

    /// For messages.
    fn name(&self) -> String {
        match self.local_addr() {
            Ok(address) => address.to_string(),
            Err(_) => "on a closed listener".to_owned(),
        }
    }

    /// How often [`accept`](Self::accept) has paused because descriptors or memory had run out;
    /// worth an alarm when it grows.
    ///
    /// ```
    /// # runtime::block_on(async {
    /// let listener = net::TcpListener::bind("127.0.0.1:0").await?;
    /// assert_eq!(listener.shortages(), 0);
    /// # std::io::Result::Ok(()) }).unwrap();
    /// ```
    ///
    /// **Go:** none; `http.Server` logs a line for each.
    pub fn shortages(&self) -> u64 {
        self.inner.shortages.load(Ordering::Relaxed)
    }

    /// The address that it listens on, with the port that the system has chosen.
    ///
    /// # Errors
    ///
    /// It has been closed.
    ///
    /// ```
    /// # runtime::block_on(async {
    /// let listener = net::TcpListener::bind("127.0.0.1:0").await?;
    /// assert_ne!(listener.local_addr()?.port(), 0); // the one that the system chose
    /// # std::io::Result::Ok(()) }).unwrap();
    /// ```
    ///
    /// **Go:** `ln.Addr()`.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.inner.socket.with(mio::net::TcpListener::local_addr)
    }

    /// Sets the time at which [`accept`](Self::accept) fails, as [`TcpStream::set_deadline`] does
    /// for reads: also when a connection waits. `None` lifts it.
    ///
    /// # Errors
    ///
    /// It has been closed.
    ///
    /// ```
    /// use runtime::time::Instant;
    ///
    /// # runtime::block_on(async {
    /// let listener = net::TcpListener::bind("127.0.0.1:0").await?;
    /// listener.set_deadline(Instant::now())?;
    /// assert!(net::is_deadline(&listener.accept().await.unwrap_err()));
    /// # std::io::Result::Ok(()) }).unwrap();
    /// ```
    ///
    /// **Go:** `SetDeadline`.
    #[track_caller]
    pub fn set_deadline(&self, at: impl Into<Option<Instant>>) -> io::Result<()> {
        set_deadline(&self.inner.socket, at.into())
    }

    /// Stops listening: whoever waits in [`accept`](Self::accept), on any clone, is told, and the
    /// port is free when this returns. Connections that wait in the backlog are reset.
    ///
    /// # Errors
    ///
    /// It was closed before.
    ///
    /// ```
    /// # runtime::block_on(async {
    /// let listener = net::TcpListener::bind("127.0.0.1:0").await?;
    /// let accepting = listener.clone();
    /// let task = runtime::spawn(async move { accepting.accept().await.map(drop) });
    /// runtime::yield_now().await;
    /// listener.close()?;
    /// assert!(net::is_closed(&task.await.unwrap().unwrap_err()));
    /// # std::io::Result::Ok(()) }).unwrap();
    /// ```
    ///
    /// **Go:** `ln.Close()`.
    pub fn close(&self) -> io::Result<()> {
        self.inner.socket.close()
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
    /// let listener = net::TcpListener::bind("127.0.0.1:0").await?;
    /// let descriptor = listener.control(|fd| Ok(fd.as_raw_fd()))?;
    /// assert!(descriptor > 2);
    /// # std::io::Result::Ok(()) }).unwrap();
    /// ```
    ///
    /// **Go:** `SyscallConn().Control(f)`.
    pub fn control<R>(&self, f: impl FnOnce(BorrowedFd<'_>) -> io::Result<R>) -> io::Result<R> {
        self.inner.socket.control(f)
    }

    /// Takes a listener of the standard library into the current runtime; it is made non-blocking.
    /// Its settings stay as they are, those of [`ListenConfig`] are not applied.
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
    /// let listener = net::TcpListener::from_std(std::net::TcpListener::bind("127.0.0.1:0")?)?;
    /// let client = net::TcpStream::connect(listener.local_addr()?).await?;
    /// listener.accept().await?;
    /// # std::io::Result::Ok(()) }).unwrap();
    /// ```
    ///
    /// **Go:** `net.FileListener`.
    #[track_caller]
    pub fn from_std(listener: std::net::TcpListener) -> io::Result<Self> {
        listener.set_nonblocking(true)?;
        Self::register(mio::net::TcpListener::from_std(listener))
    }

    /// Takes the listener out of the runtime. It stays non-blocking.
    ///
    /// # Errors
    ///
    /// It has been closed, or there are clones of it
    /// ([`ResourceBusy`](io::ErrorKind::ResourceBusy)).
    ///
    /// ```
    /// # runtime::block_on(async {
    /// let listener = net::TcpListener::bind("127.0.0.1:0").await?;
    /// let address = listener.local_addr()?;
    /// let listener: std::net::TcpListener = listener.into_std()?;
    /// assert_eq!(listener.local_addr()?, address);
    /// # std::io::Result::Ok(()) }).unwrap();
    /// ```
    ///
    /// **Go:** `ln.File()`, which duplicates the descriptor.
    pub fn into_std(self) -> io::Result<std::net::TcpListener> {
        let inner = Arc::try_unwrap(self.inner).map_err(|_| shared())?;
        inner.socket.into_device().map(Into::into)
    }
}

fn accept_once(listener: &mio::net::TcpListener, _: &Attempt<'_>) -> io::Result<Accepted> {
    skip_gone(|| listener.accept())
}

type Accepted = (mio::net::TcpStream, SocketAddr);

fn register((stream, peer): Accepted) -> io::Result<(TcpStream, SocketAddr)> {
    Ok((TcpStream::register(stream)?, peer))
}

impl fmt::Debug for TcpListener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.socket.describe("TcpListener", f)
    }
}
