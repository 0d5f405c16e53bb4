//! [`serve()`]: an HTTP server, with limits and a graceful end.
//!
//! One task accepts; each connection is a task of its own, and does its handshake there, so that a
//! slow client holds up nobody else. What they share is a [`Crowd`]. The server ends by words, not
//! by force: no new connections, then "finish", and, when patience runs out, "end now". Dropping
//! the server's future says "finish", so that `select!`, a timeout or a context around it do what
//! one expects.
#![forbid(unsafe_code)]

use std::fmt;
use std::future::{Future, IntoFuture};
use std::io;
use std::marker::PhantomData;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use ::hyper::rt::{Read, Write};
use ::hyper::server::conn::http1;

use super::Answer;
use super::connection::{Caller, Manner, Trouble, connection};
use super::establish::{Establish, Plain, Through};
use super::limits::Limits;
use super::talk::Protocols;
use crate::ServeError;
use crate::serve::Accept;
use crate::serve::crowd::Crowd;
use crate::serve::ending::{DRAIN, Stop, apart, until_stopped};

/// The header timeout, and the idle timeout, where nothing else is said; hyper's own default.
const HEADER_TIMEOUT: Duration = Duration::from_secs(30);

/// Serves HTTP on a listener: `serve(listener, router).await` for axum, tower, hyper and plain
/// closures ([`Answer`]).
///
/// It listens until [`shutdown_on`](Serve::shutdown_on) is ready or the listener is closed, then
/// lets the connections finish what they have begun. Nothing happens before it is awaited.
///
/// - A client has 30 s to send the head of a request, and may be idle between two for as long: see
///   [`header_timeout`](Serve::header_timeout) and [`idle_timeout`](Serve::idle_timeout). How long
///   it may take to read its answer is without a limit until
///   [`write_timeout`](Serve::write_timeout) sets one. How long the body of a request may take is
///   the handler's affair, who reads it ([`runtime::time::timeout`]).
/// - As many connections as there are descriptors: see [`max_connections`](Serve::max_connections).
/// - Accepting never fails because descriptors have run out: it pauses, as
///   [`TcpListener::accept`](crate::TcpListener::accept) says.
/// - A client that ends sending after its request gets its answer. So a handler goes on when its
///   client goes away, as in Go, and learns of it when it writes; hyper would drop it, and does so
///   after `http1(|http| _ = http.half_close(false))` ([`http1`](Serve::http1)).
/// - A handler that panics ends its connection, and the panic is reported as any task's.
///
/// # Errors
///
/// The listener fails; or some connections had to be [cut off](Serve::drain) at the end
/// ([`TimedOut`](io::ErrorKind::TimedOut)). What happens to single connections is told by
/// [`on_error`](Serve::on_error).
///
/// # Panics
///
/// The future panics outside a runtime.
///
/// # Cancel safety
///
/// Dropping the future stops accepting; connections finish what they have begun, and nobody waits
/// for them.
///
/// ```
/// use std::convert::Infallible;
///
/// use hyper::body::Incoming;
/// use hyper::{Request, Response};
///
/// async fn hello(_: Request<Incoming>) -> Result<Response<String>, Infallible> {
///     Ok(Response::new("Hello, World!".to_owned()))
/// }
///
/// async fn server() -> std::io::Result<()> {
///     let listener = net::TcpListener::bind("127.0.0.1:8080").await?;
///     net::hyper::serve(listener, hello).await
/// }
/// ```
///
/// **Go:** `http.Serve(listener, handler)`.
pub fn serve<L, S, Kind>(listener: L, handler: S) -> Serve<L, S, Kind>
where
    L: Accept,
    S: Answer<Kind>,
{
    Serve {
        listener,
        handler,
        kind: PhantomData,
        establish: Plain,
        settings: Settings {
            protocols: Protocols::new(),
            header_timeout: Some(HEADER_TIMEOUT),
            idle_timeout: None,
            read_timeout: None,
            write_timeout: None,
            most: usize::MAX,
            stop: None,
            drain: DRAIN,
            tell_peer: false,
            trouble: None,
        },
    }
}

/// A server that [`serve()`] has made: set its limits, then await it.
///
/// ```
/// use std::time::Duration;
/// # use std::convert::Infallible;
/// # use hyper::{Request, Response, body::Incoming};
/// # async fn hello(_: Request<Incoming>) -> Result<Response<String>, Infallible> { unreachable!() }
/// # async fn server(listener: net::TcpListener) -> std::io::Result<()> {
/// // For the open network: nobody holds anything for nothing.
/// net::hyper::serve(listener, hello)
///     .header_timeout(Duration::from_secs(5))
///     .read_timeout(Duration::from_secs(60))
///     .write_timeout(Duration::from_secs(60))
///     .max_connections(10_000)
///     .await
/// # }
/// ```
///
/// **Go:** `http.Server`.
#[must_use = "a server does nothing unless awaited"]
pub struct Serve<L: Accept, S, Kind, H = Plain> {
    listener: L,
    handler: S,
    kind: PhantomData<fn() -> Kind>,
    establish: H,
    pub(super) settings: Settings<L::Peer>,
}

/// What a server is told before it starts.
pub(super) struct Settings<P> {
    protocols: Protocols,
    pub(super) header_timeout: Option<Duration>,
    /// `None`: as the header timeout.
    pub(super) idle_timeout: Option<Option<Duration>>,
    pub(super) read_timeout: Option<Duration>,
    pub(super) write_timeout: Option<Duration>,
    most: usize,
    stop: Option<Stop>,
    drain: Duration,
    tell_peer: bool,
    trouble: Option<Trouble<P>>,
}

impl<L: Accept, S, Kind, H> Serve<L, S, Kind, H> {
    /// Stops when the future is ready, with whatever: a context that is done, a signal. No new
    /// connection is accepted, idle ones are closed, and those that answer a request, or find that
    /// one has arrived, finish that.
    ///
    /// ```
    /// # use std::convert::Infallible;
    /// # use hyper::{Request, Response, body::Incoming};
    /// # async fn hello(_: Request<Incoming>) -> Result<Response<String>, Infallible> { unreachable!() }
    /// async fn server(ctx: sync::context::Context) -> std::io::Result<()> {
    ///     let listener = net::TcpListener::bind("127.0.0.1:8080").await?;
    ///     net::hyper::serve(listener, hello)
    ///         .shutdown_on(async move { ctx.done().await })
    ///         .await
    /// }
    /// ```
    ///
    /// **Go:** `server.Shutdown(ctx)`.
    pub fn shutdown_on<F>(mut self, stop: F) -> Self
    where
        F: Future + Send + 'static,
    {
        self.settings.stop = Some(Box::pin(async { drop(stop.await) }));
        self
    }

    /// How long connections have to finish after the stop. Those that have not are cut off, and the
    /// server returns an error that says how many. 30 s by default.
    ///
    /// ```
    /// use std::time::Duration;
    /// # use std::convert::Infallible;
    /// # use hyper::{Request, Response, body::Incoming};
    /// # async fn hello(_: Request<Incoming>) -> Result<Response<String>, Infallible> { unreachable!() }
    /// # async fn server(listener: net::TcpListener) -> std::io::Result<()> {
    /// net::hyper::serve(listener, hello).drain(Duration::from_secs(5)).await
    /// # }
    /// ```
    ///
    /// **Go:** the context of `server.Shutdown(ctx)`.
    pub fn drain(mut self, patience: Duration) -> Self {
        self.settings.drain = patience;
        self
    }

    /// The number of connections open at once. When it is reached nothing is accepted until one has
    /// ended; clients wait in the backlog. A connection that has been upgraded (a WebSocket) is its
    /// handler's, and no longer counts.
    ///
    /// # Panics
    ///
    /// If it is zero.
    ///
    /// ```
    /// # use std::convert::Infallible;
    /// # use hyper::{Request, Response, body::Incoming};
    /// # async fn hello(_: Request<Incoming>) -> Result<Response<String>, Infallible> { unreachable!() }
    /// # async fn server(listener: net::TcpListener) -> std::io::Result<()> {
    /// net::hyper::serve(listener, hello).max_connections(10_000).await
    /// # }
    /// ```
    ///
    /// **Go:** `netutil.LimitListener`.
    #[track_caller]
    pub fn max_connections(mut self, most: usize) -> Self {
        assert!(
            most > 0,
            "max_connections: a server without connections serves nobody; give it one at least"
        );
        self.settings.most = most;
        self
    }

    /// Puts the client's address, as a [`Peer`](super::Peer), into the extensions of each request.
    /// Off by default: it costs an allocation a request.
    ///
    /// ```
    /// use std::convert::Infallible;
    ///
    /// use hyper::{Request, Response, body::Incoming};
    /// use net::hyper::Peer;
    ///
    /// async fn hello(request: Request<Incoming>) -> Result<Response<String>, Infallible> {
    ///     let peer: Option<&Peer<std::net::SocketAddr>> = request.extensions().get();
    ///     Ok(Response::new(format!("hello, {peer:?}")))
    /// }
    /// # async fn server(listener: net::TcpListener) -> std::io::Result<()> {
    /// net::hyper::serve(listener, hello).tell_peer().await
    /// # }
    /// ```
    ///
    /// **Go:** `Request.RemoteAddr`.
    pub fn tell_peer(mut self) -> Self {
        self.settings.tell_peer = true;
        self
    }

    /// Is told why a connection ended before its time, and whose it was: a handshake that failed, a
    /// client that was too slow or spoke nonsense, a handler's error. And, while descriptors or
    /// memory have run out, of each pause of accepting. By default nobody is. It is called in the
    /// connection's or the server's task, and must not block.
    ///
    /// Panics are reported as any task's; who is cut off at the end is counted in the server's own
    /// error; and what ends the server is its result.
    ///
    /// ```
    /// # use std::convert::Infallible;
    /// # use hyper::{Request, Response, body::Incoming};
    /// # async fn hello(_: Request<Incoming>) -> Result<Response<String>, Infallible> { unreachable!() }
    /// # async fn server(listener: net::TcpListener) -> std::io::Result<()> {
    /// net::hyper::serve(listener, hello)
    ///     // 203.0.113.7:4711: the request was not sent by the client within the read timeout
    ///     .on_error(|error| eprintln!("{error}"))
    ///     .await
    /// # }
    /// ```
    ///
    /// **Go:** `Server.ErrorLog`.
    pub fn on_error(mut self, tell: impl Fn(ServeError<L::Peer>) + Send + Sync + 'static) -> Self {
        self.settings.trouble = Some(Arc::new(tell));
        self
    }

    /// Changes what hyper offers for HTTP/1: header sizes, pipelining, the date header.
    /// (The timer and [`header_timeout`](Self::header_timeout) are set when the server starts.)
    ///
    /// ```
    /// # use std::convert::Infallible;
    /// # use hyper::{Request, Response, body::Incoming};
    /// # async fn hello(_: Request<Incoming>) -> Result<Response<String>, Infallible> { unreachable!() }
    /// # async fn server(listener: net::TcpListener) -> std::io::Result<()> {
    /// net::hyper::serve(listener, hello).http1(|http| _ = http.max_headers(32)).await
    /// # }
    /// ```
    ///
    /// **Go:** `Server.MaxHeaderBytes` and the like.
    pub fn http1(mut self, set: impl FnOnce(&mut http1::Builder)) -> Self {
        set(self.settings.protocols.http1());
        self
    }

    /// Changes what hyper offers for HTTP/2: windows, the number of streams. Feature `http2`.
    ///
    /// ```
    /// # use std::convert::Infallible;
    /// # use hyper::{Request, Response, body::Incoming};
    /// # async fn hello(_: Request<Incoming>) -> Result<Response<String>, Infallible> { unreachable!() }
    /// # async fn server(listener: net::TcpListener) -> std::io::Result<()> {
    /// net::hyper::serve(listener, hello).http2(|http| _ = http.max_concurrent_streams(50)).await
    /// # }
    /// ```
    ///
    /// **Go:** `http.HTTP2Config`.
    #[cfg(feature = "http2")]
    pub fn http2(
        mut self,
        set: impl FnOnce(&mut ::hyper::server::conn::http2::Builder<super::Executor>),
    ) -> Self {
        set(self.settings.protocols.http2());
        self
    }

    /// Makes a stream of what was accepted, in the connection's own task: TLS. It has as long as
    /// [`header_timeout`](Self::header_timeout) says.
    ///
    /// The stream has hyper's traits: wrap it in [`Io`](super::Io) or `TokioIo` if it has others.
    /// With tokio-rustls:
    ///
    /// ```ignore
    /// serve(listener, router).through(move |stream| {
    ///     let accepting = tls.accept(stream); // tls: tokio_rustls::TlsAcceptor
    ///     async move { Ok(TokioIo::new(accepting.await?)) }
    /// })
    /// ```
    ///
    /// **Go:** `http.ServeTLS`.
    pub fn through<F, R, T>(self, handshake: F) -> Serve<L, S, Kind, Through<F>>
    where
        F: Fn(L::Stream) -> R + Send + Sync + 'static,
        R: Future<Output = io::Result<T>> + Send,
        T: Read + Write + Unpin + Send + 'static,
    {
        Serve {
            listener: self.listener,
            handler: self.handler,
            kind: PhantomData,
            establish: Through(handshake),
            settings: self.settings,
        }
    }
}

impl<L, S, Kind, H> Serve<L, S, Kind, H>
where
    L: Accept,
    S: Answer<Kind>,
    Kind: 'static,
    H: Establish<L::Stream>,
{
    async fn run(self) -> io::Result<()> {
        let mut settings = self.settings;
        let limits = Limits {
            head: settings.header_timeout.or(settings.read_timeout),
            idle: settings.idle_timeout.unwrap_or(settings.header_timeout),
            read: settings.read_timeout,
            write: settings.write_timeout,
        };
        settings.protocols.limit(limits);
        let crowd = Crowd::new(settings.most);
        let server = Accepting {
            listener: self.listener,
            handler: self.handler,
            kind: self.kind,
            tell_peer: settings.tell_peer,
            manner: Arc::new(Manner {
                establish: self.establish,
                protocols: settings.protocols,
                limits,
                trouble: settings.trouble,
            }),
        };
        let accepting = server.accept_all(&crowd);
        until_stopped(&crowd, accepting, settings.stop, settings.drain).await
    }
}

impl<L, S, Kind, H> IntoFuture for Serve<L, S, Kind, H>
where
    L: Accept,
    S: Answer<Kind>,
    Kind: 'static,
    H: Establish<L::Stream>,
{
    type Output = io::Result<()>;
    type IntoFuture = Pin<Box<dyn Future<Output = io::Result<()>> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.run())
    }
}

/// A server that listens.
struct Accepting<L: Accept, S, Kind, H> {
    listener: L,
    handler: S,
    kind: PhantomData<fn() -> Kind>,
    tell_peer: bool,
    manner: Arc<Manner<H, L::Peer>>,
}

impl<L, S, Kind, H> Accepting<L, S, Kind, H>
where
    L: Accept,
    S: Answer<Kind>,
    Kind: 'static,
    H: Establish<L::Stream>,
{
    /// Accepts until that fails. Room is made first, so that nobody is accepted who would have to
    /// wait.
    async fn accept_all(self, crowd: &Arc<Crowd>) -> io::Error {
        let trouble = self.manner.trouble.clone();
        let paused = |shortage| {
            if let Some(trouble) = &trouble {
                apart(|| trouble(ServeError::accept(shortage)));
            }
        };
        loop {
            let member = crowd.enter().await;
            let (stream, peer) = match self.listener.accept_telling(&paused).await {
                Ok(accepted) => accepted,
                Err(error) => return error,
            };
            let whose = trouble.is_some().then(|| peer.clone());
            let peer = self.tell_peer.then_some(peer);
            let answer = self.handler.clone();
            let caller = Caller::<S, L::Peer, Kind>::new(answer, peer, self.manner.limits);
            let manner = Arc::clone(&self.manner);
            drop(runtime::spawn(connection(
                stream, caller, whose, manner, member,
            )));
        }
    }
}

impl<L: Accept + fmt::Debug, S, Kind, H> fmt::Debug for Serve<L, S, Kind, H> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Serve")
            .field("listener", &self.listener)
            .field("protocols", &self.settings.protocols)
            .field("header_timeout", &self.settings.header_timeout)
            .field("idle_timeout", &self.settings.idle_timeout)
            .field("read_timeout", &self.settings.read_timeout)
            .field("write_timeout", &self.settings.write_timeout)
            .field("max_connections", &self.settings.most)
            .field("drain", &self.settings.drain)
            .finish_non_exhaustive()
    }
}
