//! What a server calls for each connection: a closure, or a closure of which somebody is told how
//! it ended.
//!
//! A handler returns what it likes, and [`serve()`](super::serve()) drops it; where it returns a
//! `Result`, the server's `on_error` can be told of the error. Which of the two it is, is a type
//! ([`Reporting`]) and not a setting, as only then does the handler have to return a `Result`. It
//! costs a connection nothing where nobody asked.
#![forbid(unsafe_code)]

use std::error::Error;
use std::fmt;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use pin_project_lite::pin_project;

use super::{Accept, ServeError, Stopping};

/// What [`serve()`](super::serve()) calls for each connection: any `Fn(stream, peer, stopping)`
/// that returns a future, and [`Reporting`]. It cannot be implemented elsewhere.
///
/// ```
/// use net::{Accept, Handler, Serve};
///
/// // A function that takes any server.
/// async fn run<L: Accept, H: Handler<L>>(server: Serve<L, H>) -> std::io::Result<()> {
///     server.max_connections(100).await
/// }
/// ```
///
/// **Go:** `func(net.Conn)`.
pub trait Handler<L: Accept>: sealed::Handler<L> {}

impl<L: Accept, H: sealed::Handler<L>> Handler<L> for H {}

pub(super) mod sealed {
    use std::future::Future;
    use std::io;

    use super::{Accept, Stopping};

    pub trait Handler<L: Accept>: Send + 'static {
        /// Begins to serve a connection.
        fn handle(
            &self,
            stream: L::Stream,
            peer: L::Peer,
            stopping: Stopping,
        ) -> impl Future + Send + 'static;

        /// Who is told when accepting pauses. Made once, and apart from the handler, which need not
        /// be `Sync`.
        fn pauses(&self) -> impl Fn(io::Error) + Send + Sync + 'static;
    }
}

impl<L, H, F> sealed::Handler<L> for H
where
    L: Accept,
    H: Fn(L::Stream, L::Peer, Stopping) -> F + Send + 'static,
    F: Future + Send + 'static,
{
    fn handle(
        &self,
        stream: L::Stream,
        peer: L::Peer,
        stopping: Stopping,
    ) -> impl Future + Send + 'static {
        self(stream, peer, stopping)
    }

    fn pauses(&self) -> impl Fn(io::Error) + Send + Sync + 'static {
        |_| {}
    }
}

/// A handler whose errors are told: see [`Serve::on_error`](super::Serve::on_error).
///
/// ```
/// use net::{Reporting, Serve};
///
/// // What `on_error` makes of a server.
/// fn limit<L, H, R>(server: Serve<L, Reporting<H, R>>) -> Serve<L, Reporting<H, R>> {
///     server.max_connections(100)
/// }
/// ```
///
/// **Go:** none.
pub struct Reporting<H, R> {
    handler: H,
    tell: Arc<R>,
}

impl<H, R> Reporting<H, R> {
    pub(super) fn new(handler: H, tell: R) -> Self {
        let tell = Arc::new(tell);
        Self { handler, tell }
    }
}

impl<L, H, R, F, T, E> sealed::Handler<L> for Reporting<H, R>
where
    L: Accept,
    H: Fn(L::Stream, L::Peer, Stopping) -> F + Send + 'static,
    F: Future<Output = Result<T, E>> + Send + 'static,
    E: Into<Box<dyn Error + Send + Sync>>,
    R: Fn(ServeError<L::Peer>) + Send + Sync + 'static,
{
    fn handle(
        &self,
        stream: L::Stream,
        peer: L::Peer,
        stopping: Stopping,
    ) -> impl Future + Send + 'static {
        Told {
            serving: (self.handler)(stream, peer.clone(), stopping),
            peer: Some(peer),
            tell: Arc::clone(&self.tell),
        }
    }

    fn pauses(&self) -> impl Fn(io::Error) + Send + Sync + 'static {
        let tell = Arc::clone(&self.tell);
        move |shortage| tell(ServeError::accept(shortage))
    }
}

pin_project! {
    /// A handler at work whose error is told. (An `async` block would have two places for the
    /// handler's future.)
    struct Told<F, P, R> {
        #[pin]
        serving: F,
        // Until it is told.
        peer: Option<P>,
        tell: Arc<R>,
    }
}

impl<F, P, R, T, E> Future for Told<F, P, R>
where
    F: Future<Output = Result<T, E>>,
    E: Into<Box<dyn Error + Send + Sync>>,
    R: Fn(ServeError<P>),
{
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = self.project();
        if let (Err(error), Some(peer)) = (ready!(this.serving.poll(cx)), this.peer.take()) {
            (this.tell)(ServeError::connection(peer, error));
        }
        Poll::Ready(())
    }
}

impl<H, R> fmt::Debug for Reporting<H, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reporting").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_handler_whose_error_is_told_has_one_place_for_its_future() {
        let large = [7u8; 1_000];
        let serving = async move {
            std::future::pending::<()>().await;
            assert_eq!(large[0], 7);
            io::Result::Ok(())
        };
        let alone = size_of_val(&serving);
        let told = Told {
            serving,
            peer: Some(7),
            tell: Arc::new(|_: ServeError<u64>| {}),
        };
        assert!(size_of_val(&told) <= alone + 24, "{alone}");
    }
}
