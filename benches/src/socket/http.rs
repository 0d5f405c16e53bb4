//! hyper's "Hello, World!", one task a connection, on the runtimes that hyper runs on.
//!
//! The same few lines for each: what differs is how hyper reads and writes a stream.
#![forbid(unsafe_code)]

use std::convert::Infallible;
use std::io;

use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::rt::{Read, Write};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use smol_hyper::rt::FuturesIo;

use super::Net;
use crate::rt::smol::Smol;
use crate::rt::tokio::Tokio;
use crate::rt::weftline::Weftline;

/// A runtime whose streams hyper can use.
pub(crate) trait Http: Net {
    /// A stream with hyper's traits.
    type Io: Read + Write + Unpin + Send + 'static;

    /// Gives a stream hyper's traits.
    fn io(stream: Self::Stream) -> Self::Io;
}

impl Http for Weftline {
    type Io = net::TcpStream;

    fn io(stream: net::TcpStream) -> net::TcpStream {
        stream
    }
}

impl Http for Tokio {
    type Io = TokioIo<tokio::net::TcpStream>;

    fn io(stream: tokio::net::TcpStream) -> Self::Io {
        TokioIo::new(stream)
    }
}

impl Http for Smol {
    type Io = FuturesIo<Self::Stream>;

    fn io(stream: Self::Stream) -> Self::Io {
        FuturesIo::new(stream)
    }
}

/// Serves a connection.
pub(crate) async fn http<H: Http>(stream: H::Stream) -> io::Result<()> {
    http1::Builder::new()
        .serve_connection(H::io(stream), service_fn(hello))
        .await
        .map_err(io::Error::other)
}

async fn hello(_: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    let mut response = Response::new(Full::new(Bytes::from_static(b"Hello, World!")));
    (response.headers_mut()).insert(CONTENT_TYPE, HeaderValue::from_static("text/plain"));
    Ok(response)
}
