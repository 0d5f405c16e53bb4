//! hyper's "Hello, World!", one task a connection.
#![forbid(unsafe_code)]

use std::convert::Infallible;
use std::io;

use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;

use super::serve::announce;
use crate::rt::Rt;
use crate::rt::tokio::Tokio;
use crate::sys;

/// Serves on Tokio.
pub(crate) fn tokio(workers: usize) -> io::Result<()> {
    let listener = sys::listen(0, false)?;
    let port = listener.local_addr()?.port();
    listener.set_nonblocking(true)?;
    Tokio::run(workers, async move {
        let listener = tokio::net::TcpListener::from_std(listener)?;
        announce(port)?;
        loop {
            let (stream, _) = listener.accept().await?;
            stream.set_nodelay(true)?;
            tokio::spawn(
                http1::Builder::new().serve_connection(TokioIo::new(stream), service_fn(hello)),
            );
        }
    })
}

async fn hello(_: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    let mut response = Response::new(Full::new(Bytes::from_static(b"Hello, World!")));
    (response.headers_mut()).insert(CONTENT_TYPE, HeaderValue::from_static("text/plain"));
    Ok(response)
}
