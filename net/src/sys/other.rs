//! What stands in for the system calls of Linux elsewhere: each says that it does not exist, and its caller takes the plain way.
#![forbid(unsafe_code)]

use std::fs::File;
use std::io;
use std::os::fd::BorrowedFd;

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
