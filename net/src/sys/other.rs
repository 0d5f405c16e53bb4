//! ⚠ What stands in for the system calls of Linux elsewhere: most say that they do not exist, and
//! their caller takes the plain way.

use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};

use socket2::{Domain, Protocol, Socket, Type};

/// A socket that does not block. Not each of these systems can say so when it makes one.
pub(crate) fn socket(domain: Domain, kind: Type, protocol: Option<Protocol>) -> io::Result<Socket> {
    let socket = Socket::new(domain, kind, protocol)?;
    socket.set_nonblocking(true)?;
    Ok(socket)
}

/// There is no such choice here: the port is chosen at once.
pub(crate) fn bind_address_no_port(_: BorrowedFd<'_>) -> io::Result<()> {
    Ok(())
}

/// User and group of who made the other end of a Unix stream; the process is not known here.
pub(crate) fn peer_credentials(socket: BorrowedFd<'_>) -> io::Result<(u32, u32, Option<i32>)> {
    let (mut user, mut group) = (0, 0);
    // SAFETY: the system writes into two live locals, and the descriptor is open for as long as it
    // is borrowed.
    match unsafe { libc::getpeereid(socket.as_raw_fd(), &raw mut user, &raw mut group) } {
        0 => Ok((user, group, None)),
        _ => Err(io::Error::last_os_error()),
    }
}

pub(crate) fn quickack(_: BorrowedFd<'_>) -> io::Result<bool> {
    Err(missing())
}

pub(crate) fn set_quickack(_: BorrowedFd<'_>, _: bool) -> io::Result<()> {
    Err(missing())
}

/// A pipe would be of no use.
pub(crate) fn pipe(_: usize) -> io::Result<(File, File)> {
    Err(missing())
}

pub(crate) fn splice(_: BorrowedFd<'_>, _: BorrowedFd<'_>, _: usize) -> io::Result<usize> {
    Err(missing())
}

pub(crate) fn send_file(
    _: BorrowedFd<'_>,
    _: u64,
    _: BorrowedFd<'_>,
    _: usize,
) -> io::Result<usize> {
    Err(missing())
}

fn missing() -> io::Error {
    io::Error::from_raw_os_error(libc::ENOSYS)
}
