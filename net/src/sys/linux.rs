//! ⚠ System calls of Linux.

use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::ptr;

use socket2::{Domain, Protocol, SockRef, Socket, Type};

use super::moved;

/// A socket that does not block, in one system call.
pub(crate) fn socket(domain: Domain, kind: Type, protocol: Option<Protocol>) -> io::Result<Socket> {
    Socket::new(domain, kind.nonblocking(), protocol)
}

/// Makes a bind to port 0 leave the choice of the port to the connect, which knows the destination:
/// then a port is only taken for that destination.
pub(crate) fn bind_address_no_port(socket: BorrowedFd<'_>) -> io::Result<()> {
    let on: libc::c_int = 1;
    // SAFETY: the value is a live local of the length that is passed, the kernel only reads it, and
    // the descriptor is open for as long as it is borrowed.
    let result = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            libc::IPPROTO_IP,
            libc::IP_BIND_ADDRESS_NO_PORT,
            (&raw const on).cast(),
            size_of_val(&on) as libc::socklen_t,
        )
    };
    match result {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// User, group and process of who made the other end of a Unix stream.
pub(crate) fn peer_credentials(socket: BorrowedFd<'_>) -> io::Result<(u32, u32, Option<i32>)> {
    let mut peer = libc::ucred {
        pid: 0,
        uid: 0,
        gid: 0,
    };
    let mut length = size_of_val(&peer) as libc::socklen_t;
    // SAFETY: the kernel writes at most the length that is passed, which is the live local's, and
    // the descriptor is open for as long as it is borrowed.
    let result = unsafe {
        libc::getsockopt(
            socket.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_PEERCRED,
            (&raw mut peer).cast(),
            &raw mut length,
        )
    };
    match result {
        // Zero: a process that cannot be seen from this one's namespace.
        0 => Ok((peer.uid, peer.gid, (peer.pid != 0).then_some(peer.pid))),
        _ => Err(io::Error::last_os_error()),
    }
}

/// Whether acknowledgements are sent at once.
pub(crate) fn quickack(socket: BorrowedFd<'_>) -> io::Result<bool> {
    SockRef::from(&socket).tcp_quickack()
}

pub(crate) fn set_quickack(socket: BorrowedFd<'_>, on: bool) -> io::Result<()> {
    SockRef::from(&socket).set_tcp_quickack(on)
}

/// A non-blocking pipe that holds so many bytes, or fewer if the system does not grant them: the
/// end to read from, and the end to write to.
pub(crate) fn pipe(capacity: usize) -> io::Result<(File, File)> {
    let mut ends = [0; 2];
    // SAFETY: the kernel writes two descriptors into a live array of two.
    if unsafe { libc::pipe2(ends.as_mut_ptr(), libc::O_NONBLOCK | libc::O_CLOEXEC) } != 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: both descriptors are new, and nobody else's.
    let ends = ends.map(|end| unsafe { OwnedFd::from_raw_fd(end) });
    let capacity = libc::c_int::try_from(capacity).unwrap_or(libc::c_int::MAX);
    // SAFETY: a plain system call on an open descriptor. Where it is refused, the pipe is as large
    // as any.
    let _ = unsafe { libc::fcntl(ends[1].as_raw_fd(), libc::F_SETPIPE_SZ, capacity) };
    let [reader, writer] = ends.map(File::from);
    Ok((reader, writer))
}

/// Moves up to so many bytes from one descriptor to another, of which one is a pipe, without
/// blocking and mostly without copying.
pub(crate) fn splice(from: BorrowedFd<'_>, to: BorrowedFd<'_>, most: usize) -> io::Result<usize> {
    // SAFETY: no memory of ours is touched, and both descriptors are open for as long as they are
    // borrowed.
    let n = unsafe {
        libc::splice(
            from.as_raw_fd(),
            ptr::null_mut(),
            to.as_raw_fd(),
            ptr::null_mut(),
            most,
            libc::SPLICE_F_MOVE | libc::SPLICE_F_NONBLOCK,
        )
    };
    moved(n)
}

/// Sends up to so many bytes of a file, from this place on. Zero: the file ends there.
pub(crate) fn send_file(
    file: BorrowedFd<'_>,
    from: u64,
    to: BorrowedFd<'_>,
    most: usize,
) -> io::Result<usize> {
    let mut offset =
        libc::off64_t::try_from(from).map_err(|_| io::Error::from_raw_os_error(libc::EINVAL))?;
    // SAFETY: the kernel reads and writes one live offset, and both descriptors are open for as
    // long as they are borrowed.
    let n = unsafe { libc::sendfile64(to.as_raw_fd(), file.as_raw_fd(), &raw mut offset, most) };
    moved(n)
}
