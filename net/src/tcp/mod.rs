//! TCP: listening, dialling, streams and their halves.
#![forbid(unsafe_code)]

mod config;
mod dial;
mod listener;
mod options;
mod split;
mod stream;
mod traits;

use std::io;

pub use self::config::ListenConfig;
pub use self::dial::Dialer;
pub use self::listener::TcpListener;
pub use self::split::{OwnedReadHalf, OwnedWriteHalf, ReadHalf, ReuniteError, WriteHalf};
pub use self::stream::TcpStream;

/// The error of taking a socket out of the runtime while others hold it.
fn shared() -> io::Error {
    io::Error::new(
        io::ErrorKind::ResourceBusy,
        "the socket has clones or halves: drop them first",
    )
}
