//! A server in one line, for any protocol: a task a connection, a bound on how many, and an end
//! that drops nobody in mid-sentence.
//!
//! The loop that everybody writes is short: accept, spawn. What it lacks is what this adds: it
//! stops when it is told to; connections hear of it and finish what they have begun; the server
//! waits for them, but not for ever. The server ends by words, not by force: "finish", and, when
//! patience runs out, "end now" ([`crowd`]). What goes wrong meanwhile is told to whoever asks for
//! it ([`handler`]).
//!
//! The files in reading order: this one, `handler`, `error`, `crowd`, `ending`.
#![forbid(unsafe_code)]

pub(crate) mod crowd;
pub(crate) mod ending;
mod error;
mod handler;

use std::error::Error;
use std::fmt;
use std::future::{Future, IntoFuture, poll_fn};
use std::io;
use std::net::SocketAddr;
use std::os::unix;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use self::crowd::Crowd;
use self::ending::{DRAIN, Stop, apart, until_stopped};
pub use self::error::ServeError;
pub use self::handler::{Handler, Reporting};
use crate::{TcpListener, TcpStream, UnixListener, UnixStream};

/// Serves the connections of a listener, each with a call of `handler`, in a task of its own; await
/// it.
///
/// It goes on until [`shutdown_on`](Serve::shutdown_on) is ready, or the listener is closed. Then
/// nobody new is accepted, and the connections have [some time](Serve::drain) to finish: what the
/// handler is to do then it learns from its [`Stopping`].
///
/// - A shortage of descriptors is waited out, as [`TcpListener::accept`] says.
/// - How long a client may take is the handler's affair:
///   [`set_deadline`](crate::Stream::set_deadline) ends reads and writes that wait for one which
///   has stopped sending, or does not read.
/// - What a handler returns is dropped; if it is a `Result`, its errors can be
///   [told](Serve::on_error). A panic ends its connection, and is reported as any task's.
///
/// # Errors
///
/// The listener fails; or some connections had to be cut off at the end
/// ([`TimedOut`](io::ErrorKind::TimedOut)).
///
/// # Cancel safety
///
/// Dropping the future stops accepting and tells the connections to finish; nobody waits for them.
///
/// ```
/// # use std::time::Duration;
/// use net::{Stopping, TcpStream};
///
/// /// Echoes, and ends between two messages when the server does.
/// async fn echo(stream: TcpStream, stopping: Stopping) -> std::io::Result<()> {
///     let mut buf = [0; 1024];
///     while let Some(n) = stopping.unless(stream.read(&mut buf)).await {
///         match n? {
///             0 => break,
///             n => stream.write_all(&buf[..n]).await?,
///         }
///     }
///     Ok(())
/// }
///
/// # runtime::block_on(async {
/// let listener = net::TcpListener::bind("127.0.0.1:0").await?;
/// # let address = listener.local_addr()?;
/// let server = net::serve(listener, |stream, _peer, stopping| echo(stream, stopping))
///     .max_connections(10_000)
///     .shutdown_on(runtime::signal::ctrl_c())
///     .drain(Duration::from_secs(10));
/// # let server = runtime::spawn(server.into_future());
/// # let client = TcpStream::connect(address).await?;
/// # client.write_all(b"hello").await?;
/// # client.read_exact(&mut [0; 5]).await?;
/// # // SAFETY: a plain system call; somebody listens, so the signal ends nothing.
/// # unsafe { libc::raise(libc::SIGINT) };
/// # assert_eq!(client.read(&mut [0]).await?, 0);
/// # server.await.unwrap()?;
/// # let server = std::future::ready(std::io::Result::Ok(()));
/// server.await?;
/// # std::io::Result::Ok(()) }).unwrap();
/// ```
///
/// **Go:** the accept loop, with `http.Server`'s `Shutdown` for any protocol.
pub fn serve<L, H, F>(listener: L, handler: H) -> Serve<L, H>
where
    L: Accept,
    H: Fn(L::Stream, L::Peer, Stopping) -> F + Send,
    F: Future + Send + 'static,
{
    Serve {
        listener,
        handler,
        most: usize::MAX,
        stop: None,
        drain: DRAIN,
    }
}

/// A server that [`serve()`] has made: set its limits, then await it.
///
/// ```
/// use net::Serve;
///
/// # runtime::block_on(async {
/// let listener = net::TcpListener::bind("127.0.0.1:0").await?;
/// let server: Serve<_, _> = net::serve(listener, |_stream, _peer, _stopping| async {});
/// server.shutdown_on(async {}).await?; // at once, here
/// # std::io::Result::Ok(()) }).unwrap();
/// ```
///
/// **Go:** `http.Server`.
#[must_use = "a server does nothing unless awaited"]
pub struct Serve<L, H> {
    listener: L,
    handler: H,
    most: usize,
    stop: Option<Stop>,
    drain: Duration,
}

impl<L, H> Serve<L, H> {
    /// Stops when the future is ready, with whatever: a signal, a context that is done.
    ///
    /// ```
    /// # runtime::block_on(async {
    /// let listener = net::TcpListener::bind("127.0.0.1:0").await?;
    /// let server = net::serve(listener, |stream, _peer, _stopping| async move {
    ///     net::copy(&mut &stream, &mut &stream).await.map(drop)
    /// });
    /// let server = server.shutdown_on(async {}); // at once, here
    /// server.await?;
    /// # std::io::Result::Ok(()) }).unwrap();
    /// ```
    ///
    /// **Go:** `server.Shutdown(ctx)`.
    pub fn shutdown_on<F>(mut self, stop: F) -> Self
    where
        F: Future + Send + 'static,
    {
        self.stop = Some(Box::pin(async { drop(stop.await) }));
        self
    }

    /// How long connections have to finish after the stop. Those that have not are dropped, and the
    /// server returns an error that says how many. 30 s by default.
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// # runtime::block_on(async {
    /// let listener = net::TcpListener::bind("127.0.0.1:0").await?;
    /// let server = net::serve(listener, |stream, _peer, _stopping| async move {
    ///     net::copy(&mut &stream, &mut &stream).await.map(drop)
    /// });
    /// let server = server.drain(Duration::from_secs(5)).shutdown_on(async {}); // at once, here
    /// server.await?;
    /// # std::io::Result::Ok(()) }).unwrap();
    /// ```
    ///
    /// **Go:** the context of `server.Shutdown(ctx)`.
    pub fn drain(mut self, patience: Duration) -> Self {
        self.drain = patience;
        self
    }

    /// The number of connections open at once. When it is reached nobody is accepted until one has
    /// ended; clients wait in the backlog.
    ///
    /// # Panics
    ///
    /// If it is zero.
    ///
    /// ```
    /// # runtime::block_on(async {
    /// let listener = net::TcpListener::bind("127.0.0.1:0").await?;
    /// let server = net::serve(listener, |stream, _peer, _stopping| async move {
    ///     net::copy(&mut &stream, &mut &stream).await.map(drop)
    /// });
    /// let server = server.max_connections(100).shutdown_on(async {}); // at once, here
    /// server.await?;
    /// # std::io::Result::Ok(()) }).unwrap();
    /// ```
    ///
    /// **Go:** `netutil.LimitListener`.
    #[track_caller]
    pub fn max_connections(mut self, most: usize) -> Self {
        assert!(
            most > 0,
            "max_connections: a server without connections serves nobody; give it one at least"
        );
        self.most = most;
        self
    }

    /// Is told what ended a connection before its time: the error that its handler returned. And,
    /// while descriptors or memory have run out, each pause of accepting. By default nobody is. It
    /// is called in the connection's or the server's task, and must not block.
    ///
    /// The handler has to return a `Result` for this, with any error that can be boxed
    /// (`io::Error`, `anyhow::Error`, `String`). Panics are reported as any task's; who is cut off
    /// at the end is counted in the server's own error; and what ends the server is its result.
    ///
    /// ```
    /// # runtime::block_on(async {
    /// let listener = net::TcpListener::bind("127.0.0.1:0").await?;
    /// let server = net::serve(listener, |stream, _peer, _stopping| async move {
    ///     net::copy(&mut &stream, &mut &stream).await
    /// });
    /// server
    ///     // 203.0.113.7:4711: Connection reset by peer (os error 104)
    ///     .on_error(|error| eprintln!("{error}"))
    ///     .shutdown_on(async {}) // at once, here
    ///     .await?;
    /// # std::io::Result::Ok(()) }).unwrap();
    /// ```
    ///
    /// **Go:** `http.Server.ErrorLog`.
    pub fn on_error<R, F, T, E>(self, tell: R) -> Serve<L, Reporting<H, R>>
    where
        L: Accept,
        H: Fn(L::Stream, L::Peer, Stopping) -> F,
        F: Future<Output = Result<T, E>>,
        E: Into<Box<dyn Error + Send + Sync>>,
        R: Fn(ServeError<L::Peer>) + Send + Sync + 'static,
    {
        Serve {
            listener: self.listener,
            handler: Reporting::new(self.handler, tell),
            most: self.most,
            stop: self.stop,
            drain: self.drain,
        }
    }
}

impl<L: Accept, H: Handler<L>> Serve<L, H> {
    async fn run(self) -> io::Result<()> {
        let crowd = Crowd::new(self.most);
        let accepting = accept_all(self.listener, self.handler, &crowd);
        until_stopped(&crowd, accepting, self.stop, self.drain).await
    }
}

/// Accepts until that fails. Room is made first, so that nobody is accepted who would have to wait.
async fn accept_all<L, H>(listener: L, handler: H, crowd: &Arc<Crowd>) -> io::Error
where
    L: Accept,
    H: Handler<L>,
{
    let tell = handler.pauses();
    let paused = |shortage| {
        apart(|| tell(shortage));
    };
    loop {
        let member = crowd.enter().await;
        let (stream, peer) = match listener.accept_telling(&paused).await {
            Ok(accepted) => accepted,
            Err(error) => return error,
        };
        let stopping = Stopping(Arc::clone(crowd));
        if let Some(handling) = apart(|| handler.handle(stream, peer, stopping)) {
            drop(runtime::spawn(member.until_cut(handling)));
        }
    }
}

impl<L: Accept, H: Handler<L>> IntoFuture for Serve<L, H> {
    type Output = io::Result<()>;
    type IntoFuture = Pin<Box<dyn Future<Output = io::Result<()>> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.run())
    }
}

/// Tells a handler of [`serve()`] when the server wants to end: finish what was begun, and return.
///
/// A handler that does not care may ignore it, and is waited for until [patience](Serve::drain)
/// runs out.
///
/// ```
/// # runtime::block_on(async {
/// let listener = net::TcpListener::bind("127.0.0.1:0").await?;
/// # let address = listener.local_addr()?;
/// let server = net::serve(listener, |stream, _peer, stopping: net::Stopping| async move {
///     let mut buf = [0; 1024];
///     while let Some(n) = stopping.unless(stream.read(&mut buf)).await {
///         stream.write_all(&buf[..n?]).await?;
///     }
///     std::io::Result::Ok(())
/// });
/// server.shutdown_on(async {}).await?; // at once, here
/// # std::io::Result::Ok(()) }).unwrap();
/// ```
///
/// **Go:** a context's `Done()`.
#[derive(Clone)]
pub struct Stopping(Arc<Crowd>);

impl Stopping {
    /// Whether the server wants to end.
    ///
    /// ```
    /// # runtime::block_on(async {
    /// let listener = net::TcpListener::bind("127.0.0.1:0").await?;
    /// # let address = listener.local_addr()?;
    /// let server = net::serve(listener, |stream, _peer, stopping: net::Stopping| async move {
    ///     while !stopping.is_requested() {
    ///         stream.write_all(b"tick\n").await?;
    ///     }
    ///     std::io::Result::Ok(())
    /// });
    /// server.shutdown_on(async {}).await?; // at once, here
    /// # std::io::Result::Ok(()) }).unwrap();
    /// ```
    ///
    /// **Go:** `ctx.Err() != nil`.
    pub fn is_requested(&self) -> bool {
        self.0.is_told()
    }

    /// Waits until the server wants to end.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: nothing is lost, it stays so.
    ///
    /// ```
    /// # runtime::block_on(async {
    /// let listener = net::TcpListener::bind("127.0.0.1:0").await?;
    /// # let address = listener.local_addr()?;
    /// let server = net::serve(listener, |stream, _peer, stopping: net::Stopping| async move {
    ///     stopping.requested().await;
    ///     stream.write_all(b"goodbye\n").await
    /// });
    /// server.shutdown_on(async {}).await?; // at once, here
    /// # std::io::Result::Ok(()) }).unwrap();
    /// ```
    ///
    /// **Go:** `<-ctx.Done()`.
    pub async fn requested(&self) {
        self.0.told().await;
    }

    /// Waits for the future, or, with `None`, until the server wants to end; the future goes first,
    /// so that what is ready is not lost.
    ///
    /// # Cancel safety
    ///
    /// That of the future inside, which is dropped when the server wants to end.
    ///
    /// ```
    /// # runtime::block_on(async {
    /// let listener = net::TcpListener::bind("127.0.0.1:0").await?;
    /// # let address = listener.local_addr()?;
    /// let server = net::serve(listener, |stream, _peer, stopping: net::Stopping| async move {
    ///     let mut buf = [0; 1024];
    ///     while let Some(n) = stopping.unless(stream.read(&mut buf)).await {
    ///         stream.write_all(&buf[..n?]).await?;
    ///     }
    ///     std::io::Result::Ok(())
    /// });
    /// server.shutdown_on(async {}).await?; // at once, here
    /// # std::io::Result::Ok(()) }).unwrap();
    /// ```
    ///
    /// **Go:** a `select` with `<-ctx.Done()`.
    pub async fn unless<F: Future>(&self, future: F) -> Option<F::Output> {
        let (mut future, mut told) = (pin!(future), self.0.told());
        poll_fn(|cx| {
            if let Poll::Ready(output) = future.as_mut().poll(cx) {
                return Poll::Ready(Some(output));
            }
            Pin::new(&mut told).poll(cx).map(|()| None)
        })
        .await
    }
}

impl fmt::Debug for Stopping {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stopping")
            .field("requested", &self.is_requested())
            .finish()
    }
}

/// What [`serve()`] accepts connections from.
///
/// ```
/// use net::Accept;
///
/// // Either kind of listener, or one of your own.
/// async fn first<L: Accept>(listener: L) -> std::io::Result<L::Stream> {
///     Ok(listener.accept().await?.0)
/// }
/// # let _ = first::<net::TcpListener>;
/// ```
///
/// **Go:** `net.Listener`.
pub trait Accept: Send + Sync + 'static {
    /// A connection.
    type Stream: Send + 'static;
    /// Where it comes from.
    type Peer: Clone + Send + Sync + 'static;

    /// Waits for a connection. An error ends the server; one that [`is_closed`](crate::is_closed)
    /// knows ends it well.
    fn accept(&self) -> impl Future<Output = io::Result<(Self::Stream, Self::Peer)>> + Send;

    /// As [`accept`](Self::accept), and calls `paused` with each shortage (of descriptors, of
    /// memory) that it waits out instead of returning it: what servers call, for `on_error`. Unless
    /// it is written, it is `accept` and tells nothing.
    fn accept_telling(
        &self,
        paused: &(impl Fn(io::Error) + Sync),
    ) -> impl Future<Output = io::Result<(Self::Stream, Self::Peer)>> + Send {
        let _ = paused;
        self.accept()
    }
}

impl Accept for TcpListener {
    type Stream = TcpStream;
    type Peer = SocketAddr;

    fn accept(&self) -> impl Future<Output = io::Result<(TcpStream, SocketAddr)>> + Send {
        TcpListener::accept(self)
    }

    fn accept_telling(
        &self,
        paused: &(impl Fn(io::Error) + Sync),
    ) -> impl Future<Output = io::Result<(TcpStream, SocketAddr)>> + Send {
        TcpListener::accept_telling(self, paused)
    }
}

impl Accept for UnixListener {
    type Stream = UnixStream;
    type Peer = unix::net::SocketAddr;

    fn accept(
        &self,
    ) -> impl Future<Output = io::Result<(UnixStream, unix::net::SocketAddr)>> + Send {
        UnixListener::accept(self)
    }

    fn accept_telling(
        &self,
        paused: &(impl Fn(io::Error) + Sync),
    ) -> impl Future<Output = io::Result<(UnixStream, unix::net::SocketAddr)>> + Send {
        UnixListener::accept_telling(self, paused)
    }
}

impl<L: fmt::Debug, H> fmt::Debug for Serve<L, H> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Serve")
            .field("listener", &self.listener)
            .field("max_connections", &self.most)
            .field("drain", &self.drain)
            .finish_non_exhaustive()
    }
}
