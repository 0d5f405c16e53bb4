//! TCP: listening, dialling, streams.
#![forbid(unsafe_code)]

mod config;
mod dial;
mod listener;
mod options;
mod stream;

pub use self::config::ListenConfig;
pub(crate) use self::config::system_backlog;
pub use self::dial::Dialer;
pub use self::listener::TcpListener;
pub use self::stream::TcpStream;
