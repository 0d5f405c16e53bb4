//! System calls that the libraries below have no function for: the only unsafe code of this crate.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};

pub(crate) use self::platform::bind_address_no_port;

/// Receives what is there and leaves it there.
pub(crate) fn peek(socket: BorrowedFd<'_>, buf: &mut [u8]) -> io::Result<usize> {
    // SAFETY: the kernel writes at most the buffer's length into it, and the descriptor is open for as long as it is borrowed.
    let n = unsafe {
        libc::recv(
            socket.as_raw_fd(),
            buf.as_mut_ptr().cast(),
            buf.len(),
            libc::MSG_PEEK,
        )
    };
    usize::try_from(n).map_err(|_| io::Error::last_os_error())
}

#[cfg(any(target_os = "linux", target_os = "android"))]
mod platform {
    use std::io;
    use std::os::fd::{AsRawFd, BorrowedFd};

    /// Makes a bind to port 0 leave the choice of the port to the connect, which knows the destination: then a port is only taken for
    /// that destination.
    pub(crate) fn bind_address_no_port(socket: BorrowedFd<'_>) -> io::Result<()> {
        let on: libc::c_int = 1;
        // SAFETY: the value is a live local of the length that is passed, the kernel only reads it, and the descriptor is open for as
        // long as it is borrowed.
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
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
mod platform {
    use std::io;
    use std::os::fd::BorrowedFd;

    /// There is no such choice here: the port is chosen at once.
    pub(crate) fn bind_address_no_port(_: BorrowedFd<'_>) -> io::Result<()> {
        Ok(())
    }
}
