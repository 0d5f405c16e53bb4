//! [`RequestBody`]: what a client sends after its head, with the server's time for it.
//!
//! hyper's own body, [`Incoming`], cannot be made to fail by anybody but hyper. In HTTP/1 it fails
//! where the connection does, which a limit of time ends by failing its reads (`timed.rs`). In
//! HTTP/2 a connection has other requests, and goes on. So this body looks at the clock itself, and
//! fails alone; `uploads.rs` says how it knows whether all has come.
//!
//! *Who gets it.* Tower services do: they are generic over the body, as axum's and tonic's are.
//! Closures and hyper's services are written for `Incoming`, and get that; a second kind of
//! closures would leave the compiler to guess what `|_|` is.
//!
//! *Its error* is an [`io::Error`], as everywhere in this crate, so that a body that is late looks
//! the same whatever the client speaks. hyper's error is inside.
#![forbid(unsafe_code)]

use std::error::Error;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use ::hyper::body::{Body, Bytes, Frame, Incoming, SizeHint};
use runtime::time::{Sleep, sleep_until};

use super::timed::not_sent;
use super::uploads::Upload;

/// The body of a request, as [`serve`](super::serve()) hands it to tower services (an axum
/// `Router`, which makes its own of it).
///
/// Closures and hyper's services are given hyper's [`Incoming`].
///
/// # Errors
///
/// Reading fails with [`TimedOut`](io::ErrorKind::TimedOut) when the client has not sent all of the
/// body within the [read timeout](super::Serve::read_timeout), in HTTP/1 and in HTTP/2 alike, and
/// the handler may still answer. Other errors are hyper's, of the kind that the connection's had;
/// `get_ref` of the [`io::Error`] finds them.
///
/// # Panics
///
/// Reading does, where there is a read timeout to wait for, outside a runtime.
///
/// ```
/// use std::future::poll_fn;
/// use std::io::{self, ErrorKind};
/// use std::pin::Pin;
///
/// use hyper::body::Body;
/// use hyper::{Request, Response, StatusCode};
/// use net::hyper::RequestBody;
///
/// // For `tower::service_fn`, or in a service of one's own.
/// async fn weigh(mut request: Request<RequestBody>) -> io::Result<Response<String>> {
///     let mut weight = 0;
///     loop {
///         match poll_fn(|cx| Pin::new(request.body_mut()).poll_frame(cx)).await {
///             Some(Ok(frame)) => weight += frame.data_ref().map_or(0, |data| data.len()),
///             None => return Ok(Response::new(format!("{weight} bytes"))),
///             Some(Err(error)) if error.kind() == ErrorKind::TimedOut => {
///                 let mut late = Response::new("too slow".to_owned());
///                 *late.status_mut() = StatusCode::REQUEST_TIMEOUT;
///                 return Ok(late);
///             }
///             Some(Err(error)) => return Err(error),
///         }
///     }
/// }
/// ```
///
/// **Go:** `Request.Body`.
#[derive(Debug)]
pub struct RequestBody {
    body: Incoming,
    /// If it has a limit that is not the connection's.
    upload: Option<Arc<Upload>>,
    /// Until then; made when the body has to be waited for.
    sleep: Option<Pin<Box<Sleep>>>,
    /// An error has been given out.
    failed: bool,
}

impl RequestBody {
    pub(super) fn new(body: Incoming, upload: Option<Arc<Upload>>) -> Self {
        Self {
            body,
            upload,
            sleep: None,
            failed: false,
        }
    }

    /// hyper's body, for a service that is written for that one. Do it where the service is called:
    /// in a layer.
    ///
    /// It cannot tell in HTTP/2 that it is late: the handler is dropped then, and the client is
    /// told 408, as [`read_timeout`](super::Serve::read_timeout) says of closures.
    ///
    /// ```
    /// use hyper::Request;
    /// use hyper::body::Incoming;
    /// use net::hyper::RequestBody;
    ///
    /// // For `map_request` of tower's `ServiceBuilder`.
    /// fn plain(request: Request<RequestBody>) -> Request<Incoming> {
    ///     request.map(RequestBody::into_inner)
    /// }
    /// ```
    ///
    /// **Go:** none.
    pub fn into_inner(self) -> Incoming {
        if let Some(upload) = &self.upload {
            upload.end_stream();
        }
        self.body
    }

    /// Ready when it is too late for a body that is not there.
    fn poll_late(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let Some(upload) = &self.upload else {
            return Poll::Pending;
        };
        // The rest may have come without having been read: then there is no limit any more.
        while let Some(by) = upload.due() {
            let sleep = self.sleep.get_or_insert_with(|| Box::pin(sleep_until(by)));
            ready!(sleep.as_mut().poll(cx));
            if upload.is_late() {
                return Poll::Ready(());
            }
        }
        Poll::Pending
    }

    fn fail(&mut self, error: io::Error) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        self.failed = true;
        (self.upload, self.sleep) = (None, None);
        Poll::Ready(Some(Err(error)))
    }
}

impl Body for RequestBody {
    type Data = Bytes;
    type Error = io::Error;

    /// What comes next; after an error, nothing does.
    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        let this = self.get_mut();
        if this.failed {
            return Poll::Ready(None);
        }
        // As in Go and in HTTP/1: also where there are bytes, or a client could trickle for ever.
        if this.upload.as_ref().is_some_and(|upload| upload.is_late()) {
            return this.fail(not_sent());
        }
        match Pin::new(&mut this.body).poll_frame(cx) {
            Poll::Ready(None) => Poll::Ready(None),
            Poll::Ready(Some(Ok(frame))) => Poll::Ready(Some(Ok(frame))),
            Poll::Ready(Some(Err(error))) => this.fail(of_connection(error)),
            Poll::Pending => {
                ready!(this.poll_late(cx));
                this.fail(not_sent())
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.failed || self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        match self.failed {
            true => SizeHint::with_exact(0),
            false => self.body.size_hint(),
        }
    }
}

/// What hyper says, of the kind that the connection has told it.
#[cold]
fn of_connection(error: ::hyper::Error) -> io::Error {
    let told = error.source().and_then(<dyn Error>::downcast_ref);
    let kind = told.map_or(io::ErrorKind::Other, io::Error::kind);
    io::Error::new(kind, error)
}

/// As hyper's own.
const _: () = {
    const fn is_plain<T: Send + Sync + Unpin>() {}
    is_plain::<RequestBody>();
};
