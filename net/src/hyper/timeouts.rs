//! The limits of time that a server keeps: how they are set. How they are kept: `limits.rs`,
//! `timed.rs`, `uploads.rs`, `streams.rs`, `idle.rs`.
#![forbid(unsafe_code)]

use std::time::Duration;

use super::serve::Serve;
use crate::Accept;

impl<L: Accept, S, Kind, H> Serve<L, S, Kind, H> {
    /// How long a client may take for its handshake, and then for the head of a request, counted
    /// from its first byte, or, of the first request, from the end of the handshake. Who is slower
    /// is closed. `None`: for ever, which lets anybody hold connections for nothing. 30 s by
    /// default.
    ///
    /// ```
    /// use std::time::Duration;
    /// # use std::convert::Infallible;
    /// # use hyper::{Request, Response, body::Incoming};
    /// # async fn hello(_: Request<Incoming>) -> Result<Response<String>, Infallible> { unreachable!() }
    /// # async fn server(listener: net::TcpListener) -> std::io::Result<()> {
    /// net::hyper::serve(listener, hello).header_timeout(Duration::from_secs(5)).await
    /// # }
    /// ```
    ///
    /// **Go:** `ReadHeaderTimeout`.
    pub fn header_timeout(mut self, limit: impl Into<Option<Duration>>) -> Self {
        self.settings.header_timeout = limit.into();
        self
    }

    /// How long a connection may be without a request, counted from the end of an answer to the
    /// first byte of the next request. Then it is closed, which is no error. `None`: for ever. As
    /// long as [`header_timeout`](Self::header_timeout) by default.
    ///
    /// An HTTP/2 connection is idle while no request of it is being answered, whatever pings are
    /// exchanged. Its client is told to go, and cut off if it is still there after as long again.
    /// One that is silent for as long while it waits for an answer is asked whether it is there,
    /// and stays if it says so.
    ///
    /// ```
    /// use std::time::Duration;
    /// # use std::convert::Infallible;
    /// # use hyper::{Request, Response, body::Incoming};
    /// # async fn hello(_: Request<Incoming>) -> Result<Response<String>, Infallible> { unreachable!() }
    /// # async fn server(listener: net::TcpListener) -> std::io::Result<()> {
    /// // Browsers that come back within two minutes find their connection still there.
    /// net::hyper::serve(listener, hello).idle_timeout(Duration::from_secs(120)).await
    /// # }
    /// ```
    ///
    /// **Go:** `IdleTimeout`.
    pub fn idle_timeout(mut self, limit: impl Into<Option<Duration>>) -> Self {
        self.settings.idle_timeout = Some(limit.into());
        self
    }

    /// How long a client may take for a whole request: the head, counted as for
    /// [`header_timeout`](Self::header_timeout), and the body. After that, reading the body fails
    /// in the handler, which may still answer; then the connection is closed. `None`, for ever, by
    /// default: set it where bodies are read whole before anything else is done, or read them with
    /// a limit of the handler's own.
    ///
    /// A body that the handler does not read is not waited for, and has no limit.
    ///
    /// With HTTP/2, where requests share a connection, each has its own limit, from the end of its
    /// head to the end of its body, and the others go on. (What is sent by clients is copied once
    /// more for that.) The time until the first head, and between two, is
    /// [`idle_timeout`](Self::idle_timeout)'s.
    ///
    /// There a [`RequestBody`](super::RequestBody) fails as in HTTP/1: that is what tower services
    /// have, an axum `Router` among them. Closures and hyper's services have hyper's own body,
    /// which cannot be made to fail: when the rest is not there in time, the handler is dropped,
    /// whether it reads the body or not, and the client is told 408; if the answer has begun, its
    /// stream is reset.
    ///
    /// ```
    /// use std::time::Duration;
    /// # use std::convert::Infallible;
    /// # use hyper::{Request, Response, body::Incoming};
    /// # async fn hello(_: Request<Incoming>) -> Result<Response<String>, Infallible> { unreachable!() }
    /// # async fn server(listener: net::TcpListener) -> std::io::Result<()> {
    /// // Five seconds for the head, a minute for the upload.
    /// net::hyper::serve(listener, hello)
    ///     .header_timeout(Duration::from_secs(5))
    ///     .read_timeout(Duration::from_secs(60))
    ///     .await
    /// # }
    /// ```
    ///
    /// **Go:** `ReadTimeout`.
    pub fn read_timeout(mut self, limit: impl Into<Option<Duration>>) -> Self {
        self.settings.read_timeout = limit.into();
        self
    }

    /// How long an answer may take, from the end of the request's head until the client has taken
    /// the last byte: a handler that is slow, and a client that does not read, have no more time
    /// together. Then the connection is closed. `None`, for ever, by default, so that a client
    /// which never reads holds its connection: set it on the open network.
    ///
    /// With HTTP/2, where answers share a connection, each has its own limit: the handler is
    /// dropped, and the stream reset, when it is not done by then, or the client has not granted
    /// room for all of the answer; the connection is closed when the client takes nothing any more.
    /// (That costs each chunk of an answer a frame of ten bytes. Without this limit
    /// [`idle_timeout`](Self::idle_timeout) ends a connection all of whose answers are done but for
    /// less than 16 KiB each that it grants no room.)
    ///
    /// A connection that has been upgraded has no limit: its handler sets one.
    ///
    /// ```
    /// use std::time::Duration;
    /// # use std::convert::Infallible;
    /// # use hyper::{Request, Response, body::Incoming};
    /// # async fn hello(_: Request<Incoming>) -> Result<Response<String>, Infallible> { unreachable!() }
    /// # async fn server(listener: net::TcpListener) -> std::io::Result<()> {
    /// net::hyper::serve(listener, hello).write_timeout(Duration::from_secs(30)).await
    /// # }
    /// ```
    ///
    /// **Go:** `WriteTimeout`.
    pub fn write_timeout(mut self, limit: impl Into<Option<Duration>>) -> Self {
        self.settings.write_timeout = limit.into();
        self
    }
}
