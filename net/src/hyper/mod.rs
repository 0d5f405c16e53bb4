//! hyper 1 on this runtime: feature `hyper`; with `http2`, HTTP/2 too.
//!
//! [`serve`](serve()) is a server in one line, for axum's `Router`, tower and hyper services, and
//! closures:
//!
//! ```
//! use std::convert::Infallible;
//!
//! use hyper::body::Incoming;
//! use hyper::{Request, Response};
//!
//! # runtime::block_on(async {
//! let listener = net::TcpListener::bind("127.0.0.1:0").await?;
//! let address = listener.local_addr()?;
//! let (stop, stopped) = sync::oneshot::channel::<()>();
//!
//! let server = net::hyper::serve(listener, |request: Request<Incoming>| async move {
//!     Ok::<_, Infallible>(Response::new(format!("you asked for {}\n", request.uri().path())))
//! })
//! .shutdown_on(stopped);
//! let server = runtime::spawn(server.into_future());
//!
//! let client = net::TcpStream::connect(address).await?;
//! client.write_all(b"GET /tea HTTP/1.1\r\nhost: here\r\nconnection: close\r\n\r\n").await?;
//! let mut answer = [0; 15];
//! client.read_exact(&mut answer).await?;
//! assert_eq!(&answer, b"HTTP/1.1 200 OK");
//!
//! drop(stop); // no new connections; those that there are finish what they have begun
//! server.await.unwrap()?;
//! # std::io::Result::Ok(()) }).unwrap();
//! ```
//!
//! Who needs more of hyper than that takes it from hyper: [`TcpStream`](crate::TcpStream) and
//! [`UnixStream`](crate::UnixStream) have its traits, [`Executor`] and [`Timer`] are what its
//! builders ask for, [`Io`] and `TokioIo` (with feature `tokio-io`) adapt the streams of others.
//!
//! The files in reading order: `io`, `adapt`, `timer`; for the server `serve`, `timeouts`,
//! `establish`, `connection`, `limits`, `timed`, `answer`, `reply`, `streams`, `idle`, `uploads`,
//! `request_body`, `heads`, `talk`, and the files of `serve` above.
// Not `forbid(unsafe_code)`, which would hold for `io` and `adapt` too; every other file forbids
// it.

mod adapt;
#[cfg(feature = "tokio-io")]
mod adapt_tokio;
mod answer;
mod connection;
mod establish;
#[cfg(feature = "http2")]
mod heads;
#[cfg(feature = "http2")]
mod idle;
mod io;
mod limits;
mod reply;
mod request_body;
mod serve;
mod streams;
#[cfg_attr(feature = "http2", path = "talk_both.rs")]
#[cfg_attr(not(feature = "http2"), path = "talk_http1.rs")]
mod talk;
mod timed;
mod timeouts;
mod timer;
mod uploads;

pub use self::adapt::Io;
#[cfg(feature = "tokio-io")]
pub use self::adapt_tokio::TokioIo;
pub use self::answer::{Answer, Ask, BoxError, Function, Hyper, Tower};
pub use self::connection::Peer;
pub use self::establish::{Establish, Plain, Through};
pub use self::request_body::RequestBody;
pub use self::serve::{Serve, serve};
pub use self::timer::{Executor, Timer};
pub use crate::Accept;
