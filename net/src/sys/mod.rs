//! ⚠ System calls that the libraries below have no function for. The only unsafe code of this crate
//! but for `copy/ours.rs`.
//!
//! What one system alone has is in a file of its own; the others have a stand-in there that says
//! so.

#[cfg(any(target_os = "linux", target_os = "android"))]
#[path = "linux.rs"]
mod platform;
#[cfg(not(any(target_os = "linux", target_os = "android")))]
#[path = "other.rs"]
mod platform;

#[cfg(any(target_os = "linux", target_os = "android"))]
#[path = "datagrams_linux.rs"]
mod datagrams;
#[cfg(not(any(target_os = "linux", target_os = "android")))]
#[path = "datagrams_other.rs"]
mod datagrams;

use std::io::{self, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::ptr;

use crate::kind::Received;

pub(crate) use self::datagrams::{recv_batch, send_batch, set_gro};
pub(crate) use self::platform::{
    bind_address_no_port, peer_credentials, pipe, quickack, send_file, set_quickack, socket, splice,
};

/// Receives what is there and leaves it there.
pub(crate) fn peek(socket: BorrowedFd<'_>, buf: &mut [u8]) -> io::Result<usize> {
    // SAFETY: the kernel writes at most the buffer's length into it, and the descriptor is open for
    // as long as it is borrowed.
    let n = unsafe {
        libc::recv(
            socket.as_raw_fd(),
            buf.as_mut_ptr().cast(),
            buf.len(),
            libc::MSG_PEEK,
        )
    };
    moved(n)
}

/// Receives from a Unix stream. The system stops behind bytes with which descriptors have come, or,
/// where somebody has asked for them, the sender's credentials. Nobody takes them here, so that it
/// lets them go, and says so.
///
/// `read` takes 130 ns less of 1.8 µs for a write and a read, but cannot say so: a short one would
/// have to be followed by another, which takes 330 ns to find nothing.
pub(crate) fn receive(socket: BorrowedFd<'_>, bufs: &mut [IoSliceMut<'_>]) -> io::Result<Received> {
    // SAFETY: an `IoSliceMut` is an iovec, as its documentation says, and names memory that may be
    // written.
    unsafe { receive_into(socket, bufs.as_mut_ptr().cast(), bufs.len()) }
}

/// The same, into memory that holds nothing yet.
pub(crate) fn receive_uninit(
    socket: BorrowedFd<'_>,
    buf: &mut [MaybeUninit<u8>],
) -> io::Result<Received> {
    let mut whole = libc::iovec {
        iov_base: buf.as_mut_ptr().cast(),
        iov_len: buf.len(),
    };
    // SAFETY: it names memory that may be written.
    unsafe { receive_into(socket, &raw mut whole, 1) }
}

/// # Safety
///
/// So many iovecs are there, and name memory that may be written.
unsafe fn receive_into(
    socket: BorrowedFd<'_>,
    bufs: *mut libc::iovec,
    count: usize,
) -> io::Result<Received> {
    // SAFETY: the structure is plain integers and pointers: zero is a value of it.
    let mut header: libc::msghdr = unsafe { std::mem::zeroed() };
    header.msg_iov = bufs;
    header.msg_iovlen = count as _;
    // SAFETY: the header is a live local, which names the caller's memory and no room for an
    // address or for control messages; the descriptor is open for as long as it is borrowed.
    let n = unsafe { libc::recvmsg(socket.as_raw_fd(), &raw mut header, 0) };
    Ok(Received {
        bytes: moved(n)?,
        stopped: header.msg_flags & libc::MSG_CTRUNC != 0,
    })
}

/// Whether an error says that this call does not work on these descriptors, or not at all here, so
/// that another way is to be taken. Nothing has been moved then.
pub(crate) fn is_refused(error: &io::Error) -> bool {
    matches!(
        error.raw_os_error(),
        Some(libc::EINVAL | libc::ENOSYS | libc::EOPNOTSUPP | libc::EPERM)
    )
}

/// Whether writing to a socket whose other end is gone ends this process, where the call cannot say
/// that it must not: splicing and sending files. Rust's own `main` has the signal ignored; a
/// library in somebody else's program, and one that was asked to keep the default, has not.
pub(crate) fn broken_pipes_kill() -> bool {
    // SAFETY: the structure is plain integers and pointers: zero is a value of it.
    let mut now: libc::sigaction = unsafe { std::mem::zeroed() };
    // SAFETY: nothing is changed, and the kernel writes into a live local of the type that it
    // expects.
    let asked = unsafe { libc::sigaction(libc::SIGPIPE, ptr::null(), &raw mut now) };
    asked == 0 && now.sa_sigaction == libc::SIG_DFL
}

/// The result of a call that returns a count, or minus one.
fn moved(n: isize) -> io::Result<usize> {
    usize::try_from(n).map_err(|_| io::Error::last_os_error())
}
