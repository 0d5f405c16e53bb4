//! TCP: listening, dialling, streams and their halves.
#![forbid(unsafe_code)]

mod config;
mod dial;
mod listener;
mod options;
mod split;
mod stream;
mod traits;

pub use self::config::ListenConfig;
pub use self::dial::Dialer;
pub use self::listener::TcpListener;
pub use self::split::{OwnedReadHalf, OwnedWriteHalf, ReadHalf, ReuniteError, WriteHalf};
pub use self::stream::TcpStream;
