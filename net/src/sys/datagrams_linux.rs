//! ⚠ Many datagrams a system call, on Linux: `recvmmsg` and `sendmmsg`, and trains of datagrams in
//! one piece (GSO, GRO).
//!
//! How long the pieces of a train are is said in a control message beside it. A kernel that does
//! not know that message would ignore it and send one datagram as long as the train; so it is asked
//! first whether it does, once. One that does may still refuse a train: for its length, or for the
//! device that it would leave by. Then its pieces are sent by themselves.

use std::io;
use std::mem::MaybeUninit;
use std::net::SocketAddr;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::ptr;
use std::sync::OnceLock;

use socket2::{Domain, SockAddr, SockAddrStorage, Type};

use super::moved;
use crate::batch::{AT_ONCE, Batch, Slot};

/// Room for control messages: the one with the size of a train's pieces, and some that a user may
/// have asked for by other means.
#[repr(C)]
#[derive(Clone, Copy)]
union Control {
    bytes: [u8; 128],
    /// For its alignment.
    _first: libc::cmsghdr,
}

/// Has the system hand over trains, or not.
pub(crate) fn set_gro(socket: BorrowedFd<'_>, on: bool) -> io::Result<()> {
    let on = libc::c_int::from(on);
    // SAFETY: the value is a live local of the length that is passed, the kernel only reads it, and
    // the descriptor is open for as long as it is borrowed.
    let result = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            libc::SOL_UDP,
            libc::UDP_GRO,
            (&raw const on).cast(),
            size_of_val(&on) as libc::socklen_t,
        )
    };
    match result {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// Whether the system cuts trains.
fn cuts_trains() -> bool {
    static CUTS: OnceLock<bool> = OnceLock::new();
    *CUTS.get_or_init(|| {
        let Ok(socket) = socket2::Socket::new(Domain::IPV4, Type::DGRAM, None) else {
            return false;
        };
        let mut size: libc::c_int = 0;
        let mut len = size_of_val(&size) as libc::socklen_t;
        // SAFETY: the kernel writes a live local of the length that is passed, and the length; the
        // descriptor is open.
        let result = unsafe {
            libc::getsockopt(
                socket.as_raw_fd(),
                libc::SOL_UDP,
                libc::UDP_SEGMENT,
                (&raw mut size).cast(),
                &raw mut len,
            )
        };
        result == 0
    })
}

/// Receives what there is into the vacant places of a batch, with one call.
pub(crate) fn recv_batch(socket: &mio::net::UdpSocket, batch: &mut Batch) -> io::Result<usize> {
    let (places, slots) = batch.vacant();
    let mut names = [const { MaybeUninit::<libc::sockaddr_storage>::uninit() }; AT_ONCE];
    let mut controls = [const { MaybeUninit::<Control>::uninit() }; AT_ONCE];
    let mut pieces = [NO_PIECE; AT_ONCE];
    let mut headers = [NO_HEADER; AT_ONCE];
    let mut count = 0;
    for (i, place) in places.take(AT_ONCE).enumerate() {
        pieces[i] = libc::iovec {
            iov_base: place.as_mut_ptr().cast(),
            iov_len: place.len(),
        };
        headers[i].msg_hdr = to_receive(&mut pieces[i], &mut names[i], &mut controls[i]);
        count += 1;
    }
    // SAFETY: the first `count` headers name one live piece of the batch, one live sockaddr_storage
    // and one live Control each, with their lengths; they are written to by nobody else. The
    // descriptor is open.
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
        // SAFETY: the kernel has filled this header, and written the name and the control messages
        // as it says there.
        slots.push(unsafe { received_by(header, name) });
    }
    Ok(received)
}

/// A header that asks for a datagram, who sent it, and its control messages.
fn to_receive(
    piece: &mut libc::iovec,
    name: &mut MaybeUninit<libc::sockaddr_storage>,
    control: &mut MaybeUninit<Control>,
) -> libc::msghdr {
    let mut header = NO_HEADER.msg_hdr;
    header.msg_iov = piece;
    header.msg_iovlen = 1;
    header.msg_name = name.as_mut_ptr().cast();
    header.msg_namelen = size_of::<libc::sockaddr_storage>() as libc::socklen_t;
    header.msg_control = control.as_mut_ptr().cast();
    header.msg_controllen = size_of::<Control>() as _;
    header
}

/// What has been received by a header that [`to_receive`] made.
///
/// # Safety
///
/// The kernel has filled it, with `name` as its name; that and its control messages are alive.
unsafe fn received_by(header: &libc::mmsghdr, name: &MaybeUninit<libc::sockaddr_storage>) -> Slot {
    let (len, name_len) = (header.msg_len as usize, header.msg_hdr.msg_namelen);
    // SAFETY: the kernel has written an address of this length there; what it has not written is
    // not looked at.
    let peer = unsafe { SockAddr::new(copied(name, name_len), name_len) };
    // SAFETY: the kernel has written the control messages, and their length, which it names.
    let segment = unsafe { segment_of(&header.msg_hdr) };
    Slot {
        len,
        // One that is alone is told its own length.
        segment: if segment < len { segment } else { 0 },
        peer: peer.as_socket(),
    }
}

/// The size of the pieces that have been put together, or zero.
///
/// # Safety
///
/// Its control messages have been written, as many bytes as it says.
unsafe fn segment_of(header: &libc::msghdr) -> usize {
    // SAFETY: the header names live control messages.
    let mut message = unsafe { libc::CMSG_FIRSTHDR(header) };
    // SAFETY: not null, it is a message that has been written.
    while let Some(it) = unsafe { message.as_ref() } {
        if it.cmsg_level == libc::SOL_UDP && it.cmsg_type == libc::UDP_GRO {
            // SAFETY: this kind of message has a c_int in it, aligned or not.
            let size = unsafe { ptr::read_unaligned(libc::CMSG_DATA(it).cast::<libc::c_int>()) };
            return usize::try_from(size).unwrap_or(0);
        }
        // SAFETY: the message is one of the header's.
        message = unsafe { libc::CMSG_NXTHDR(header, it) };
    }
    0
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

/// Sends what is in the places of a batch from this one on, with one call.
pub(crate) fn send_batch(
    socket: &mio::net::UdpSocket,
    batch: &Batch,
    from: usize,
) -> io::Result<usize> {
    let is_train = |place: usize| batch.segment_size(place).is_some();
    if is_train(from) && !cuts_trains() {
        return send_pieces(socket, batch, from);
    }
    // What the system would not cut is the next call's.
    let places = (from..batch.len()).take_while(|&place| !is_train(place) || cuts_trains());
    let whole = places.map(|place| {
        let (bytes, to) = batch.get(place).expect("the place is below the length");
        (bytes, batch.segment_size(place), to)
    });
    match send(socket, whole) {
        Err(error) if is_train(from) && is_uncut(&error) => send_pieces(socket, batch, from),
        sent => sent,
    }
}

/// Whether the system may have refused a train for being one: too long, of too many pieces, or not
/// for this device.
fn is_uncut(error: &io::Error) -> bool {
    matches!(
        error.raw_os_error(),
        Some(libc::EIO | libc::EINVAL | libc::EMSGSIZE | libc::EOPNOTSUPP)
    )
}

/// Sends a train's datagrams by themselves: one place. What finds no room after the first ones is
/// lost.
fn send_pieces(socket: &mio::net::UdpSocket, batch: &Batch, place: usize) -> io::Result<usize> {
    let mut sent = 0;
    loop {
        let mut pieces = batch.pieces(place).skip(sent).peekable();
        if pieces.peek().is_none() {
            return Ok(1);
        }
        match send(socket, pieces.map(|(bytes, to)| (bytes, None, to))) {
            Ok(n) => sent += n,
            Err(error) if sent == 0 => return Err(error),
            Err(_) => return Ok(1),
        }
    }
}

/// Sends the first of these, as many as go into one call; returns how many.
fn send<'a>(
    socket: &mio::net::UdpSocket,
    items: impl Iterator<Item = (&'a [u8], Option<usize>, Option<SocketAddr>)>,
) -> io::Result<usize> {
    let mut names = [const { None::<SockAddr> }; AT_ONCE];
    let mut controls = [const { MaybeUninit::<Control>::uninit() }; AT_ONCE];
    let mut pieces = [NO_PIECE; AT_ONCE];
    let mut headers = [NO_HEADER; AT_ONCE];
    let mut count = 0;
    for (i, (bytes, segment, to)) in items.take(AT_ONCE).enumerate() {
        pieces[i] = libc::iovec {
            // The kernel only reads it.
            iov_base: bytes.as_ptr().cast_mut().cast(),
            iov_len: bytes.len(),
        };
        let header = &mut headers[i].msg_hdr;
        header.msg_iov = &raw mut pieces[i];
        header.msg_iovlen = 1;
        if let Some(name) = to.map(SockAddr::from) {
            let name = names[i].insert(name);
            header.msg_name = name.as_ptr().cast_mut().cast();
            header.msg_namelen = name.len();
        }
        if let Some(segment) = segment {
            // Larger than any datagram: refused by its length, whatever is said here.
            let segment = u16::try_from(segment).unwrap_or(u16::MAX);
            say_segment(
                header,
                controls[i].write(Control { bytes: [0; 128] }),
                segment,
            );
        }
        count += 1;
    }
    // SAFETY: the first `count` headers name one live piece of the batch each, no address or a live
    // one, and no control message or a live one, with their lengths; the kernel writes nothing but
    // the headers' counts. The descriptor is open.
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

/// Puts the size of a train's pieces into a control message, and names that in the header.
fn say_segment(header: &mut libc::msghdr, control: &mut Control, segment: u16) {
    const LEN: libc::c_uint = size_of::<u16>() as libc::c_uint;
    header.msg_control = (&raw mut *control).cast();
    // SAFETY: a calculation.
    header.msg_controllen = unsafe { libc::CMSG_SPACE(LEN) } as _;
    // SAFETY: the header names a live, aligned Control, which has more room than one such message
    // needs; so the message is not null, and in it.
    unsafe {
        let message = libc::CMSG_FIRSTHDR(header);
        (*message).cmsg_level = libc::SOL_UDP;
        (*message).cmsg_type = libc::UDP_SEGMENT;
        (*message).cmsg_len = libc::CMSG_LEN(LEN) as _;
        ptr::write_unaligned(libc::CMSG_DATA(message).cast(), segment);
    }
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
