//! Sockets of the local machine, named by a file or, on Linux, by a name that has no file
//! ("abstract").
#![forbid(unsafe_code)]

mod credentials;
mod datagram;
mod listener;
mod stream;

use std::ffi::OsString;
use std::io;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::Path;

use socket2::SockAddr;

pub use self::credentials::PeerCred;
pub use self::datagram::UnixDatagram;
pub use self::listener::UnixListener;
pub use self::stream::UnixStream;

/// The address of a path. A leading `@`, as in Go, or NUL, as in the system's own form, makes it
/// abstract on Linux.
///
/// # Errors
///
/// If the path is too long, or has a NUL in it: the system would cut it there without a word.
fn address(path: &Path) -> io::Result<SockAddr> {
    match abstract_name(path) {
        Some(name) => {
            let name = [b"\0", name].concat();
            SockAddr::unix(OsString::from_vec(name))
        }
        None if path.as_os_str().as_bytes().contains(&0) => Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            "a NUL in the path: no file has such a name",
        )),
        None => SockAddr::unix(path),
    }
}

fn abstract_name(path: &Path) -> Option<&[u8]> {
    let bytes = path.as_os_str().as_bytes();
    let name = bytes.strip_prefix(b"@").or(bytes.strip_prefix(b"\0"));
    name.filter(|_| cfg!(any(target_os = "linux", target_os = "android")))
}
