//! Who is at the other end of a Unix stream: the system knows, and a server may trust it.
#![forbid(unsafe_code)]

use std::io;

use crate::kind::Unix;
use crate::stream::Stream;
use crate::sys;

/// Whose process made the other end of a [`UnixStream`](crate::UnixStream). From
/// [`peer_cred`](Stream::peer_cred).
///
/// ```
/// # runtime::block_on(async {
/// let (a, _b) = net::UnixStream::pair()?;
/// let who: net::PeerCred = a.peer_cred()?;
/// println!("user {}, group {}, process {:?}", who.uid, who.gid, who.pid);
/// # std::io::Result::Ok(()) }).unwrap();
/// ```
///
/// **Go:** `unix.Ucred`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct PeerCred {
    /// The user, by the effective id.
    pub uid: u32,
    /// The group, by the effective id.
    pub gid: u32,
    /// The process, if the system tells. It may have ended since, and its number be another one's:
    /// nothing to decide a permission by.
    pub pid: Option<i32>,
}

impl Stream<Unix> {
    /// Who connected, or listened: as it was then, whoever has the descriptor now. Of a
    /// [`pair`](Self::pair): who made it.
    ///
    /// # Errors
    ///
    /// It has been closed.
    ///
    /// ```
    /// # runtime::block_on(async {
    /// let (stream, _peer) = net::UnixStream::pair()?;
    /// let me = std::process::id() as i32;
    /// // Elsewhere than on Linux nobody knows the process.
    /// assert!(stream.peer_cred()?.pid.is_none_or(|pid| pid == me));
    /// # std::io::Result::Ok(()) }).unwrap();
    /// ```
    ///
    /// **Go:** `unix.GetsockoptUcred(fd, unix.SOL_SOCKET, unix.SO_PEERCRED)`.
    pub fn peer_cred(&self) -> io::Result<PeerCred> {
        self.control(|stream| {
            let (uid, gid, pid) = sys::peer_credentials(stream)?;
            Ok(PeerCred { uid, gid, pid })
        })
    }
}
