//! Weftline's sockets, on the runtime's reactor.
//!
//! ```
//! # runtime::block_on(async {
//! let listener = net::TcpListener::bind("127.0.0.1:0").await?;
//! let address = listener.local_addr()?;
//!
//! // A server as a Go programmer writes it: one task a connection.
//! runtime::spawn(async move {
//!     while let Ok((stream, _peer)) = listener.accept().await {
//!         runtime::spawn(async move {
//!             let mut buf = [0; 1024];
//!             loop {
//!                 let n = stream.read(&mut buf).await?;
//!                 if n == 0 {
//!                     return std::io::Result::Ok(());
//!                 }
//!                 stream.write_all(&buf[..n]).await?;
//!             }
//!         });
//!     }
//! });
//!
//! let stream = net::TcpStream::connect(address).await?;
//! stream.write_all(b"hello").await?;
//! let mut answer = [0; 5];
//! stream.read_exact(&mut answer).await?;
//! assert_eq!(&answer, b"hello");
//! # std::io::Result::Ok(()) }).unwrap();
//! ```
//!
//! Reads and writes take `&self`, as Go's `Conn` does. [`Stream::close`] wakes whoever waits. A
//! steady read or write is one system call and no allocation; an idle connection can wait in
//! [`Stream::readable`] without a buffer.
//!
//! Setting up a socket fails with an [`OpError`] that says what was attempted, where, and what
//! helps.
//!
//! Features, all off by default: `tokio-io` puts Tokio's `AsyncRead` and `AsyncWrite` on the
//! streams; `hyper` puts hyper's traits there, and serves an axum `Router` in one line (module
//! `hyper`), with `http2` in HTTP/2 too; `tokio-context` lends futures that need it a Tokio runtime
//! (module `compat`). `docs/COOKBOOK.md` shows servers with all of them.
//!
//! The modules in reading order: `socket`, `bytes`, `stream`, `split`, `datagram`, `batch`, `kind`,
//! `tcp`, `udp`, `unix`, `raw`, `buffers`, `copy`, `serve`; around them `accept`, `error`,
//! `resolve`, `limit`, `traits`. Readiness is [`runtime::io`]'s.
#![doc(test(attr(deny(warnings), allow(unused))))]

mod accept;
mod batch;
mod buffers;
mod bytes;
#[cfg(feature = "tokio-context")]
pub mod compat;
mod control;
mod copy;
mod datagram;
mod error;
#[cfg(feature = "hyper")]
pub mod hyper;
mod kind;
mod limit;
mod raw;
mod resolve;
mod serve;
mod socket;
mod split;
mod stream;
mod sys;
mod tcp;
#[cfg(feature = "tokio-io")]
mod tokio_io;
mod traits;
mod udp;
mod udp_batch;
#[cfg(any(feature = "hyper", feature = "tokio-io"))]
mod uninit;
mod unix;

pub use batch::Batch;
pub use copy::{copy, copy_bidirectional};
pub use datagram::Datagram;
pub use error::{OpError, is_closed, is_deadline, os_error};
pub use kind::{DatagramKind, StreamKind, Tcp, Udp, Unix, Unixgram};
pub use resolve::{ToSocketAddrs, lookup_host};
pub use serve::{Accept, Handler, Reporting, Serve, ServeError, Stopping, serve};
pub use split::{OwnedReadHalf, OwnedWriteHalf, ReadHalf, ReuniteError, WriteHalf};
pub use stream::Stream;
pub use tcp::{Dialer, ListenConfig, TcpListener, TcpStream};
pub use udp::UdpSocket;
pub use unix::{PeerCred, UnixDatagram, UnixListener, UnixStream};
