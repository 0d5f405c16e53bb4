//! A connection within this machine: how it is made. Everything else: `stream/`.
#![forbid(unsafe_code)]

use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::time::Duration;

use runtime::time::sleep;
use socket2::{Domain, SockAddr, Type};

use super::address;
use crate::error::During;
use crate::kind::Unix;
use crate::stream::Stream;
use crate::sys;

/// A connection within one machine; all that it can do is described at [`Stream`].
///
/// Reads and writes take `&self`; clones share the connection. It closes when it is
/// [closed](Stream::close) or the last clone is dropped.
///
/// ```
/// # runtime::block_on(async {
/// let (a, b) = net::UnixStream::pair()?;
/// a.write_all(b"hello").await?;
/// let mut buf = [0; 5];
/// b.read_exact(&mut buf).await?;
/// assert_eq!(&buf, b"hello");
/// # std::io::Result::Ok(()) }).unwrap();
/// ```
///
/// **Go:** `*net.UnixConn` of the network `unix`.
pub type UnixStream = Stream<Unix>;

/// Pauses between connects to a server whose backlog is full: the system offers no way to be told.
/// The first, and the longest.
const FIRST_PAUSE: Duration = Duration::from_millis(1);
const LAST_PAUSE: Duration = Duration::from_millis(100);

impl Stream<Unix> {
    /// Connects to a path, or to an abstract name given as `@name` (Linux). While the server's
    /// backlog is full it waits.
    ///
    /// # Errors
    ///
    /// An [`OpError`](crate::OpError) for `connect unix`: there is no such file, nobody listens
    /// behind it, it may not be used.
    ///
    /// # Panics
    ///
    /// Outside a runtime.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: the connection is given up.
    ///
    /// ```
    /// # runtime::block_on(async {
    /// # let path = std::env::temp_dir().join(format!("weftline-doc-{}", std::process::id()));
    /// let listener = net::UnixListener::bind(&path)?;
    /// let stream = net::UnixStream::connect(&path).await?;
    /// # std::io::Result::Ok(()) }).unwrap();
    /// ```
    ///
    /// **Go:** `net.Dial("unix", path)`, which fails when the backlog is full.
    pub async fn connect(path: impl AsRef<Path>) -> io::Result<Self> {
        let path = path.as_ref();
        let connected = match address(path) {
            Ok(address) => connect_patiently(&address).await,
            Err(error) => Err(error),
        };
        connected
            .and_then(Self::register)
            .during("connect unix", path.display())
    }

    /// Two ends of one connection.
    ///
    /// # Errors
    ///
    /// Too many files are open.
    ///
    /// # Panics
    ///
    /// Outside a runtime.
    ///
    /// ```
    /// # runtime::block_on(async {
    /// let (a, b) = net::UnixStream::pair()?;
    /// a.write_all(b"hello").await?;
    /// b.read_exact(&mut [0; 5]).await?;
    /// # std::io::Result::Ok(()) }).unwrap();
    /// ```
    ///
    /// **Go:** `syscall.Socketpair`; `net.Pipe` is within the process.
    #[track_caller]
    pub fn pair() -> io::Result<(Self, Self)> {
        let (a, b) = mio::net::UnixStream::pair()?;
        Ok((Self::register(a)?, Self::register(b)?))
    }
}

async fn connect_patiently(address: &SockAddr) -> io::Result<mio::net::UnixStream> {
    let mut pause = FIRST_PAUSE;
    loop {
        let socket = sys::socket(Domain::UNIX, Type::STREAM, None)?;
        match socket.connect(address) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                drop(socket);
                sleep(pause).await;
                pause = (pause * 2).min(LAST_PAUSE);
            }
            // Not connected, unlike TCP, and so once more.
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
            Ok(()) => {
                let stream = std::os::unix::net::UnixStream::from(OwnedFd::from(socket));
                return Ok(mio::net::UnixStream::from_std(stream));
            }
        }
    }
}
