//! ⚠ System calls of Linux.

use std::fs::File;
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::ptr;

use socket2::{SockAddr, SockAddrStorage};

use super::moved;
use crate::batch::{AT_ONCE, Batch, Slot};

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

/// A non-blocking pipe that holds so many bytes, or fewer if the system does not grant them: the end to read from, and the end to write to.
pub(crate) fn pipe(capacity: usize) -> io::Result<(File, File)> {
    let mut ends = [0; 2];
    // SAFETY: the kernel writes two descriptors into a live array of two.
    if unsafe { libc::pipe2(ends.as_mut_ptr(), libc::O_NONBLOCK | libc::O_CLOEXEC) } != 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: both descriptors are new, and nobody else's.
    let ends = ends.map(|end| unsafe { OwnedFd::from_raw_fd(end) });
    let capacity = libc::c_int::try_from(capacity).unwrap_or(libc::c_int::MAX);
    // SAFETY: a plain system call on an open descriptor. Where it is refused, the pipe is as large as any.
    let _ = unsafe { libc::fcntl(ends[1].as_raw_fd(), libc::F_SETPIPE_SZ, capacity) };
    let [reader, writer] = ends.map(File::from);
    Ok((reader, writer))
}

/// Moves up to so many bytes from one descriptor to another, of which one is a pipe, without blocking and mostly without copying.
pub(crate) fn splice(from: BorrowedFd<'_>, to: BorrowedFd<'_>, most: usize) -> io::Result<usize> {
    // SAFETY: no memory of ours is touched, and both descriptors are open for as long as they are borrowed.
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
    // SAFETY: the kernel reads and writes one live offset, and both descriptors are open for as long as they are borrowed.
    let n = unsafe { libc::sendfile64(to.as_raw_fd(), file.as_raw_fd(), &raw mut offset, most) };
    moved(n)
}

/// Receives what there is into the vacant places of a batch, with one call.
pub(crate) fn recv_batch(socket: &mio::net::UdpSocket, batch: &mut Batch) -> io::Result<usize> {
    let (places, slots) = batch.vacant();
    let mut names = [const { MaybeUninit::<libc::sockaddr_storage>::uninit() }; AT_ONCE];
    let mut pieces = [NO_PIECE; AT_ONCE];
    let mut headers = [NO_HEADER; AT_ONCE];
    let mut count = 0;
    for (i, place) in places.take(AT_ONCE).enumerate() {
        pieces[i] = libc::iovec {
            iov_base: place.as_mut_ptr().cast(),
            iov_len: place.len(),
        };
        let header = &mut headers[i].msg_hdr;
        header.msg_iov = &raw mut pieces[i];
        header.msg_iovlen = 1;
        header.msg_name = names[i].as_mut_ptr().cast();
        header.msg_namelen = size_of::<libc::sockaddr_storage>() as libc::socklen_t;
        count += 1;
    }
    // SAFETY: the first `count` headers name one live piece of the batch and one live sockaddr_storage each, with their lengths; they are
    // written to by nobody else. The descriptor is open.
    let received = unsafe {
        libc::recvmmsg(
            socket.as_raw_fd(),
            headers.as_mut_ptr(),
            count,
            libc::MSG_DONTWAIT as _,
            ptr::null_mut(),
        )
    };
    let received = moved(received as isize)?;
    for (header, name) in headers.iter().zip(&names).take(received) {
        // SAFETY: the kernel has written an address of this length there; what it has not written is not looked at.
        let peer = unsafe {
            SockAddr::new(
                copied(name, header.msg_hdr.msg_namelen),
                header.msg_hdr.msg_namelen,
            )
        };
        slots.push(Slot {
            len: header.msg_len as usize,
            peer: peer.as_socket(),
        });
    }
    Ok(received)
}

/// An address with its unwritten rest set to zero.
///
/// # Safety
///
/// So many bytes of it have been written.
unsafe fn copied(
    name: &MaybeUninit<libc::sockaddr_storage>,
    len: libc::socklen_t,
) -> SockAddrStorage {
    let mut storage = SockAddrStorage::zeroed();
    let len = (len as usize).min(size_of::<libc::sockaddr_storage>());
    // SAFETY: both are as large as a sockaddr_storage, of which so many bytes have been written.
    unsafe { ptr::copy_nonoverlapping(name.as_ptr().cast::<u8>(), (&raw mut storage).cast(), len) };
    storage
}

/// Sends the datagrams of a batch from this one on, with one call.
pub(crate) fn send_batch(
    socket: &mio::net::UdpSocket,
    batch: &Batch,
    from: usize,
) -> io::Result<usize> {
    let mut names = [const { None::<SockAddr> }; AT_ONCE];
    let mut pieces = [NO_PIECE; AT_ONCE];
    let mut headers = [NO_HEADER; AT_ONCE];
    let mut count = 0;
    for (i, (datagram, to)) in batch.iter().skip(from).take(AT_ONCE).enumerate() {
        pieces[i] = libc::iovec {
            // The kernel only reads it.
            iov_base: datagram.as_ptr().cast_mut().cast(),
            iov_len: datagram.len(),
        };
        let header = &mut headers[i].msg_hdr;
        header.msg_iov = &raw mut pieces[i];
        header.msg_iovlen = 1;
        if let Some(name) = to.map(SockAddr::from) {
            let name = names[i].insert(name);
            header.msg_name = name.as_ptr().cast_mut().cast();
            header.msg_namelen = name.len();
        }
        count += 1;
    }
    // SAFETY: the first `count` headers name one live piece of the batch each, and no address or a live one, with their lengths; the kernel
    // writes nothing but the headers' counts. The descriptor is open.
    let sent = unsafe {
        libc::sendmmsg(
            socket.as_raw_fd(),
            headers.as_mut_ptr(),
            count,
            (libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL) as _,
        )
    };
    moved(sent as isize)
}

const NO_PIECE: libc::iovec = libc::iovec {
    iov_base: ptr::null_mut(),
    iov_len: 0,
};

const NO_HEADER: libc::mmsghdr = libc::mmsghdr {
    // SAFETY: a msghdr is plain integers and pointers: zero is a value of it.
    msg_hdr: unsafe { MaybeUninit::zeroed().assume_init() },
    msg_len: 0,
};
