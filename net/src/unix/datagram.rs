//! Datagrams within this machine: in order, and none is lost. Sending and receiving: `datagram.rs`
//! above.
#![forbid(unsafe_code)]

use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;

use socket2::{Domain, SockRef, Type};

use super::address;
use crate::datagram::Datagram;
use crate::error::During;
use crate::kind::Unixgram;
use crate::sys;

/// A Unix datagram socket. The file of a bound one stays when it is closed: whoever bound it
/// removes it.
///
/// ```
/// # runtime::block_on(async {
/// let (a, b) = net::UnixDatagram::pair()?;
/// a.send(b"hello").await?;
/// let mut buf = [0; 64];
/// assert_eq!(b.recv(&mut buf).await?, 5);
/// # std::io::Result::Ok(()) }).unwrap();
/// ```
///
/// **Go:** `*net.UnixConn` of the network `unixgram`.
pub type UnixDatagram = Datagram<Unixgram>;

impl Datagram<Unixgram> {
    /// A socket with this path, which a file will mark, or abstract name, given as `@name` (Linux).
    ///
    /// # Errors
    ///
    /// An [`OpError`](crate::OpError) for `bind unix`: a file of that name is there; the directory
    /// does not allow it.
    ///
    /// # Panics
    ///
    /// Outside a runtime.
    ///
    /// ```
    /// # runtime::block_on(async {
    /// # let path = std::env::temp_dir().join(format!("weftline-doc-{}", std::process::id()));
    /// let socket = net::UnixDatagram::bind(&path)?;
    /// # std::fs::remove_file(&path)?;
    /// # std::io::Result::Ok(()) }).unwrap();
    /// ```
    ///
    /// **Go:** `net.ListenUnixgram`.
    #[track_caller]
    pub fn bind(path: impl AsRef<Path>) -> io::Result<Self> {
        let path = path.as_ref();
        let bind = || {
            let socket = sys::socket(Domain::UNIX, Type::DGRAM, None)?;
            socket.bind(&address(path)?)?;
            let socket = std::os::unix::net::UnixDatagram::from(OwnedFd::from(socket));
            Ok(mio::net::UnixDatagram::from_std(socket))
        };
        let socket = bind().during("bind unix", path.display())?;
        Self::register(socket).during("bind unix", path.display())
    }

    /// A socket without a name: it sends, and nobody can answer.
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
    /// let socket = net::UnixDatagram::unbound()?;
    /// assert!(socket.local_addr()?.is_unnamed());
    /// # std::io::Result::Ok(()) }).unwrap();
    /// ```
    ///
    /// **Go:** `net.DialUnix("unixgram", nil, …)`.
    #[track_caller]
    pub fn unbound() -> io::Result<Self> {
        Self::register(mio::net::UnixDatagram::unbound()?)
    }

    /// Two sockets connected to each other.
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
    /// let (a, b) = net::UnixDatagram::pair()?;
    /// a.send(b"hello").await?;
    /// assert_eq!(b.recv(&mut [0; 16]).await?, 5);
    /// # std::io::Result::Ok(()) }).unwrap();
    /// ```
    ///
    /// **Go:** `syscall.Socketpair`.
    #[track_caller]
    pub fn pair() -> io::Result<(Self, Self)> {
        let (a, b) = mio::net::UnixDatagram::pair()?;
        Ok((Self::register(a)?, Self::register(b)?))
    }

    /// Fixes the peer of [`send`](Self::send).
    ///
    /// # Errors
    ///
    /// An [`OpError`](crate::OpError) for `connect unix`: there is no such file, nobody receives
    /// behind it.
    ///
    /// ```
    /// # runtime::block_on(async {
    /// # let path = std::env::temp_dir().join(format!("weftline-doc-{}", std::process::id()));
    /// let server = net::UnixDatagram::bind(&path)?;
    /// let client = net::UnixDatagram::unbound()?;
    /// client.connect(&path)?;
    /// client.send(b"hello").await?;
    /// # std::fs::remove_file(&path)?;
    /// # std::io::Result::Ok(()) }).unwrap();
    /// ```
    ///
    /// **Go:** `net.DialUnix`.
    pub fn connect(&self, path: impl AsRef<Path>) -> io::Result<()> {
        let path = path.as_ref();
        let connected = address(path)
            .and_then(|to| self.inner.with(|socket| SockRef::from(socket).connect(&to)));
        connected.during("connect unix", path.display())
    }

    /// Sends a datagram to a path or abstract name, without waiting: whether a peer that this
    /// socket is not connected to has room cannot be waited for.
    ///
    /// # Errors
    ///
    /// [`WouldBlock`](io::ErrorKind::WouldBlock) if the peer's queue is full; nobody receives
    /// there.
    ///
    /// ```
    /// # runtime::block_on(async {
    /// # let path = std::env::temp_dir().join(format!("weftline-doc-{}", std::process::id()));
    /// let server = net::UnixDatagram::bind(&path)?;
    /// let client = net::UnixDatagram::unbound()?;
    /// assert_eq!(client.try_send_to(b"hello", &path)?, 5);
    /// # std::fs::remove_file(&path)?;
    /// # std::io::Result::Ok(()) }).unwrap();
    /// ```
    ///
    /// **Go:** `WriteToUnix`.
    pub fn try_send_to(&self, datagram: &[u8], path: impl AsRef<Path>) -> io::Result<usize> {
        let to = address(path.as_ref())?;
        // Not through the readiness: it is the peer that lacks room, and no event would tell of
        // that.
        let inner = &self.inner;
        inner.with(|socket| SockRef::from(socket).send_to(datagram, &to))
    }
}
