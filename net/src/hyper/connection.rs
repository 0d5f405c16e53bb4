//! One connection of a server: from its handshake to its end, in a task of its own.
#![forbid(unsafe_code)]

use std::fmt;
use std::future::Future;
use std::io;
use std::marker::PhantomData;
use std::mem;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use ::hyper::body::{Body, Incoming};
use ::hyper::server::conn::http1;
use ::hyper::service::Service;
use ::hyper::{Method, Request, Response};
use pin_project_lite::pin_project;
use runtime::time::timeout;

use super::establish::Establish;
use super::limits::{HeadTimer, Limits, Progress};
use super::reply::{Answering, Reply};
use super::talk::Protocols;
use super::timed::Timed;
use super::{Answer, BoxError, RequestBody};
use crate::ServeError;
use crate::serve::crowd::{Member, Word};

/// What all connections of a server have in common.
pub(super) struct Manner<H, P> {
    pub(super) establish: H,
    pub(super) protocols: Protocols,
    pub(super) limits: Limits,
    pub(super) trouble: Option<Trouble<P>>,
}

/// Who is told what goes wrong.
pub(super) type Trouble<P> = Arc<dyn Fn(ServeError<P>) + Send + Sync>;

impl<H, P> fmt::Debug for Manner<H, P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Manner")
            .field("protocols", &self.protocols)
            .field("limits", &self.limits)
            .finish_non_exhaustive()
    }
}

/// Serves one connection. What goes wrong with it is its own affair, and is told to whoever wants
/// to know; then it is known whose it is.
pub(super) async fn connection<R, S, P, Kind, H>(
    raw: R,
    caller: Caller<S, P, Kind>,
    whose: Option<P>,
    manner: Arc<Manner<H, P>>,
    mut member: Member,
) where
    S: Answer<Kind>,
    P: Clone + Send + Sync + 'static,
    Kind: 'static,
    H: Establish<R>,
{
    let handshake = manner.establish.establish(raw);
    let handshake = timeout(manner.limits.head.unwrap_or(Duration::MAX), handshake);
    let stream = match member.unless(Word::Finish, handshake).await {
        None => return,
        Some(stream) => stream.map_err(io::Error::from).and_then(|made| made),
    };
    let stream = match stream {
        Ok(stream) => stream,
        Err(error) => return manner.tell(whose, error, ServeError::handshake),
    };
    let progress = Arc::clone(&caller.progress);
    progress.begin();
    let stream = Timed::new(stream, Arc::clone(&progress));
    let protocols = &manner.protocols;
    if let Err(error) = protocols.talk(stream, caller, member, &progress).await {
        manner.tell(whose, error, ServeError::connection);
    }
}

impl<H, P> Manner<H, P> {
    #[cold]
    fn tell<E>(&self, whose: Option<P>, error: E, wrap: fn(P, E) -> ServeError<P>) {
        if let (Some(trouble), Some(whose)) = (&self.trouble, whose) {
            trouble(wrap(whose, error));
        }
    }
}

/// A connection of hyper's, of whatever version.
pub(super) trait Conversation: Future<Output = ::hyper::Result<()>> {
    /// Answers what has been asked, and ends.
    fn finish(self: Pin<&mut Self>);
}

impl<T, S, P, Kind> Conversation for http1::UpgradeableConnection<T, Caller<S, P, Kind>>
where
    T: ::hyper::rt::Read + ::hyper::rt::Write + Unpin + Send + 'static,
    S: Answer<Kind>,
    P: Clone + Send + Sync + 'static,
{
    fn finish(self: Pin<&mut Self>) {
        self.graceful_shutdown();
    }
}

#[cfg(feature = "http2")]
impl<T, S, P, Kind> Conversation
    for ::hyper::server::conn::http2::Connection<T, Caller<S, P, Kind>, super::Executor>
where
    T: ::hyper::rt::Read + ::hyper::rt::Write + Unpin + Send + 'static,
    S: Answer<Kind>,
    P: Clone + Send + Sync + 'static,
{
    fn finish(self: Pin<&mut Self>) {
        self.graceful_shutdown();
    }
}

/// HTTP/1, with this connection's limits. Afterwards the stream is an upgraded connection's, or
/// nobody's.
pub(super) async fn converse_http1<T, S, P, Kind>(
    mut http1: http1::Builder,
    stream: T,
    caller: Caller<S, P, Kind>,
    member: Member,
    progress: &Arc<Progress>,
) -> Result<(), BoxError>
where
    T: ::hyper::rt::Read + ::hyper::rt::Write + Unpin + Send + 'static,
    S: Answer<Kind>,
    P: Clone + Send + Sync + 'static,
    Kind: 'static,
{
    progress.be_strict();
    http1.timer(HeadTimer(Arc::clone(progress)));
    let connection = http1.serve_connection(stream, caller).with_upgrades();
    let ended = converse(connection, member, |_| Poll::Pending).await;
    progress.release();
    match ended {
        Err(_) if progress.has_idled() => Ok(()),
        ended => ended,
    }
}

/// Goes on until the connection ends, or the server says so, or `idle` has said twice that nothing
/// goes on: the first time the client is told to go.
pub(super) fn converse<C, I>(connection: C, member: Member, idle: I) -> Conversing<C, I>
where
    C: Conversation,
    I: FnMut(&mut Context<'_>) -> Poll<()>,
{
    Conversing {
        connection,
        member,
        idle,
        told: false,
        idled: false,
    }
}

pin_project! {
    /// Future of [`converse`]. (An `async` function would have two places for the connection, which
    /// is large.)
    pub(super) struct Conversing<C, I> {
        #[pin]
        connection: C,
        member: Member,
        idle: I,
        told: bool,
        idled: bool,
    }
}

impl<C, I> Future for Conversing<C, I>
where
    C: Conversation,
    I: FnMut(&mut Context<'_>) -> Poll<()>,
{
    type Output = Result<(), BoxError>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        if (this.idle)(cx).is_ready() {
            if mem::replace(this.idled, true) {
                return Poll::Ready(Ok(()));
            }
            this.connection.as_mut().finish();
        }
        match this.member.word(cx) {
            Word::Serve => {}
            Word::Finish if mem::replace(this.told, true) => {}
            Word::Finish => {
                // A request that is there by now is answered. hyper would close a connection that
                // it thinks idle, with the request unread, and so reset it.
                if let Poll::Ready(ended) = this.connection.as_mut().poll(cx) {
                    return Poll::Ready(ended.map_err(BoxError::from));
                }
                this.connection.as_mut().finish();
            }
            Word::Cut => return Poll::Ready(Ok(())),
        }
        this.connection.poll(cx).map_err(BoxError::from)
    }
}

/// The address of the client, in the extensions of each request if
/// [`Serve::tell_peer`](super::Serve::tell_peer) asks for it.
///
/// ```
/// use hyper::Request;
/// use hyper::body::Incoming;
///
/// fn who(request: &Request<Incoming>) -> Option<std::net::SocketAddr> {
///     let net::hyper::Peer(address) = request.extensions().get()?;
///     Some(*address)
/// }
/// ```
///
/// **Go:** `Request.RemoteAddr`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Peer<P>(pub P);

/// Hands hyper's requests to the handler.
pub(super) struct Caller<S, P, Kind> {
    answer: S,
    peer: Option<P>,
    progress: Arc<Progress>,
    kind: PhantomData<fn() -> Kind>,
}

impl<S, P, Kind> Caller<S, P, Kind> {
    pub(super) fn new(answer: S, peer: Option<P>, limits: Limits) -> Self {
        Self {
            answer,
            peer,
            progress: Progress::new(limits),
            kind: PhantomData,
        }
    }
}

impl<S, P, Kind> Service<Request<Incoming>> for Caller<S, P, Kind>
where
    S: Answer<Kind>,
    P: Clone + Send + Sync + 'static,
{
    type Response = Response<Reply<S::Body>>;
    type Error = S::Error;
    type Future = Answering<S::Answering>;

    fn call(&self, mut request: Request<Incoming>) -> Self::Future {
        self.progress.ask();
        if let Some(peer) = &self.peer {
            request.extensions_mut().insert(Peer(peer.clone()));
        }
        let is_connect = request.method() == Method::CONNECT;
        // That of a tunnel is hyper's from now on, and has no limit.
        let is_complete = request.body().is_end_stream() || self.progress.is_strict();
        let upload = (!is_complete).then(|| self.progress.uploads.take());
        let upload = upload.flatten();
        let request = request.map(|body| RequestBody::new(body, upload.clone()));
        let answering = self.answer.answer(request);
        Answering::new(answering, &self.progress, upload, is_connect)
    }
}
