//! Datagrams by the batch: `recvmmsg` and `sendmmsg`, for the load generator and the raw loop.
//!
//! One of the few files here with unsafe code: the headers point into the batch while a call lasts,
//! and are made anew for each.

use std::io;
use std::net::UdpSocket;
use std::os::fd::AsRawFd;
use std::ptr;

/// Datagrams a call.
pub(crate) const AT_ONCE: usize = 64;

/// Up to [`AT_ONCE`] datagrams, each with the address that it came from.
pub(crate) struct Burst {
    bytes: Vec<u8>,
    size: usize,
    lens: [usize; AT_ONCE],
    names: [libc::sockaddr_in; AT_ONCE],
    len: usize,
}

const NOBODY: libc::sockaddr_in = libc::sockaddr_in {
    sin_family: 0,
    sin_port: 0,
    sin_addr: libc::in_addr { s_addr: 0 },
    sin_zero: [0; 8],
};

impl Burst {
    /// Room for datagrams of so many bytes.
    pub(crate) fn new(size: usize) -> Burst {
        Burst {
            bytes: vec![0; size * AT_ONCE],
            size,
            lens: [0; AT_ONCE],
            names: [NOBODY; AT_ONCE],
            len: 0,
        }
    }

    /// Those that were received.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &[u8]> {
        let places = self.bytes.chunks(self.size).zip(self.lens);
        places.take(self.len).map(|(place, len)| &place[..len])
    }

    /// Fills in so many, each of the whole size, to be sent.
    pub(crate) fn fill(&mut self, n: usize, mut fill: impl FnMut(&mut [u8])) {
        self.bytes.chunks_mut(self.size).take(n).for_each(&mut fill);
        self.lens[..n].fill(self.size);
        self.len = n;
    }

    /// Waits for one, and takes all that are there; how many that were.
    pub(crate) fn receive(&mut self, socket: &UdpSocket) -> io::Result<usize> {
        self.lens.fill(self.size);
        let received = self.call(AT_ONCE, true, |headers| {
            // SAFETY: each header names a live piece of the batch and a live address, which only
            // the call touches meanwhile.
            unsafe {
                libc::recvmmsg(
                    socket.as_raw_fd(),
                    headers.as_mut_ptr(),
                    headers.len() as u32,
                    libc::MSG_WAITFORONE as _,
                    ptr::null_mut(),
                )
            }
        })?;
        self.len = received;
        Ok(received)
    }

    /// Sends them all: `back` to where they came from, or to the peer that the socket is connected
    /// to.
    pub(crate) fn send(&mut self, socket: &UdpSocket, back: bool) -> io::Result<()> {
        let lens = self.lens;
        let sent = self.call(self.len, back, |headers| {
            // SAFETY: as above; the call reads the pieces and addresses, and writes the headers'
            // counts.
            unsafe {
                libc::sendmmsg(
                    socket.as_raw_fd(),
                    headers.as_mut_ptr(),
                    headers.len() as u32,
                    0,
                )
            }
        })?;
        // The kernel counts what it has sent in the same place.
        self.lens = lens;
        match sent == self.len {
            true => Ok(()),
            false => Err(io::Error::other("a burst was sent in part")),
        }
    }

    fn call(
        &mut self,
        n: usize,
        named: bool,
        call: impl FnOnce(&mut [libc::mmsghdr]) -> i32,
    ) -> io::Result<usize> {
        let mut pieces = [libc::iovec {
            iov_base: ptr::null_mut(),
            iov_len: 0,
        }; AT_ONCE];
        // SAFETY: a header is plain integers and pointers, for which all zeroes is a value.
        let mut headers: [libc::mmsghdr; AT_ONCE] = unsafe { std::mem::zeroed() };
        let places = self.bytes.chunks_mut(self.size);
        for (i, place) in places.enumerate().take(n) {
            pieces[i].iov_base = place.as_mut_ptr().cast();
            pieces[i].iov_len = self.lens[i];
            let header = &mut headers[i].msg_hdr;
            header.msg_iov = &raw mut pieces[i];
            header.msg_iovlen = 1;
            if named {
                header.msg_name = (&raw mut self.names[i]).cast();
                header.msg_namelen = size_of::<libc::sockaddr_in>() as libc::socklen_t;
            }
        }
        let done = usize::try_from(call(&mut headers[..n]));
        let done = done.map_err(|_| io::Error::last_os_error())?;
        for (header, len) in headers.iter().zip(&mut self.lens).take(done) {
            *len = header.msg_len as usize;
        }
        Ok(done)
    }
}
