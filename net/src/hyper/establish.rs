//! [`Establish`]: what is done with a connection before HTTP is spoken on it: nothing, or a
//! handshake, such as that of TLS.
#![forbid(unsafe_code)]

use std::fmt;
use std::future::Future;
use std::io;

use ::hyper::rt::{Read, Write};

/// What stands between a connection and HTTP: nothing ([`Plain`]), or a handshake ([`Through`]).
///
/// ```
/// use net::hyper::{Establish, Plain};
///
/// # runtime::block_on(async {
/// let (a, _b) = net::UnixStream::pair()?;
/// let same: net::UnixStream = Plain.establish(a).await?;
/// # drop(same);
/// # std::io::Result::Ok(()) }).unwrap();
/// ```
///
/// **Go:** `tls.NewListener` around a listener, or none.
pub trait Establish<R>: Send + Sync + 'static {
    /// What HTTP is spoken over.
    type Stream: Read + Write + Unpin + Send + 'static;

    /// Makes it of what was accepted.
    fn establish(&self, raw: R) -> impl Future<Output = io::Result<Self::Stream>> + Send;
}

/// HTTP straight over what was accepted.
///
/// ```
/// assert_eq!(format!("{:?}", net::hyper::Plain), "Plain");
/// ```
///
/// **Go:** `server.Serve(ln)`.
#[derive(Clone, Copy, Debug)]
pub struct Plain;

impl<R: Read + Write + Unpin + Send + 'static> Establish<R> for Plain {
    type Stream = R;

    async fn establish(&self, raw: R) -> io::Result<R> {
        Ok(raw)
    }
}

/// HTTP over what a handshake makes: see [`Serve::through`](super::Serve::through).
///
/// ```
/// use net::hyper::{Serve, Through};
///
/// // What `through` makes of a server.
/// fn limit<L, S, Kind, F>(server: Serve<L, S, Kind, Through<F>>) -> Serve<L, S, Kind, Through<F>>
/// where
///     L: net::Accept,
/// {
///     server.max_connections(100)
/// }
/// ```
///
/// **Go:** `server.ServeTLS(ln, …)`.
#[derive(Clone, Copy)]
pub struct Through<F>(pub(super) F);

impl<R, F, A, T> Establish<R> for Through<F>
where
    R: Send,
    F: Fn(R) -> A + Send + Sync + 'static,
    A: Future<Output = io::Result<T>> + Send,
    T: Read + Write + Unpin + Send + 'static,
{
    type Stream = T;

    fn establish(&self, raw: R) -> impl Future<Output = io::Result<T>> + Send {
        (self.0)(raw)
    }
}

impl<F> fmt::Debug for Through<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Through").finish_non_exhaustive()
    }
}
