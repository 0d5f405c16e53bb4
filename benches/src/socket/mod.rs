//! The servers, written once over a small trait, and the raw epoll loop that is their limit.
//!
//! `echo` owns a buffer of 1 KiB a connection; `lazy` waits for readability without one; `httpmin`
//! looks for the blank line and answers "Hello, World!"; `proxy` copies between two connections;
//! `udp` and `udp_batch` echo datagrams. A server is a process of its own, which prints its port
//! and lives until its standard input ends.
#![forbid(unsafe_code)]

mod bulk;
mod burst;
pub(crate) mod http;
pub(crate) mod load;
pub(crate) mod may;
mod proxy;
pub(crate) mod raw;
pub(crate) mod rt;
pub(crate) mod serve;
mod udp;

use std::future::Future;
use std::io;

use crate::rt::Rt;

/// What a server asks of a runtime's sockets.
pub(crate) trait Net: Rt {
    /// A socket that accepts.
    type Listener: Send + Sync + 'static;
    /// A connection.
    type Stream: Send + Sync + 'static;

    /// Takes over a listener, inside the runtime.
    fn listener(listener: std::net::TcpListener) -> io::Result<Self::Listener>;

    /// The next connection, with Nagle's algorithm off.
    fn accept(listener: &Self::Listener) -> impl Future<Output = io::Result<Self::Stream>> + Send;

    /// Reads some bytes.
    fn read(
        stream: &mut Self::Stream,
        buffer: &mut [u8],
    ) -> impl Future<Output = io::Result<usize>> + Send;

    /// Writes them all.
    fn write_all(
        stream: &mut Self::Stream,
        bytes: &[u8],
    ) -> impl Future<Output = io::Result<()>> + Send;

    /// Waits until a read may succeed.
    fn readable(stream: &Self::Stream) -> impl Future<Output = io::Result<()>> + Send;

    /// Reads what is there.
    fn try_read(stream: &Self::Stream, buffer: &mut [u8]) -> io::Result<usize>;
}

/// What `httpmin` answers.
pub(crate) const HELLO: &[u8] =
    b"HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ncontent-length: 13\r\n\
    date: Thu, 01 Jan 2026 00:00:00 GMT\r\n\r\nHello, World!";

/// How many requests end in `bytes`, given how many bytes of the blank line had been seen before.
pub(crate) fn requests(bytes: &[u8], seen: &mut usize) -> usize {
    const BLANK: &[u8] = b"\r\n\r\n";
    let mut count = 0;
    for &byte in bytes {
        if byte == BLANK[*seen] {
            *seen += 1;
            if *seen == BLANK.len() {
                *seen = 0;
                count += 1;
            }
        } else {
            *seen = usize::from(byte == b'\r');
        }
    }
    count
}
