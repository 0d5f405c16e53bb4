//! Reading and writing streams of bytes, for every kind of stream socket.
//!
//! Each read or write is one system call when it can be, and allocates nothing: the call is tried first unless the last one has shown
//! that it would block, and a short read or write shows that without asking twice.
#![forbid(unsafe_code)]

use std::io::{self, IoSlice, IoSliceMut};
use std::net::Shutdown;
use std::panic::Location;
use std::task::{Context, Poll};

use runtime::io::{Attempt, Direction};

use crate::kind::StreamDevice;
use crate::socket::Socket;

/// The place that a dump shows for a task which waits.
type Place = &'static Location<'static>;

impl<S: StreamDevice> Socket<S> {
    pub(crate) fn read<'a>(
        &'a self,
        place: Place,
        buf: &'a mut [u8],
    ) -> impl Future<Output = io::Result<usize>> + Send + 'a {
        let empty = buf.is_empty();
        self.io(Direction::Read, place, empty, move |stream, attempt| {
            read_once(stream, attempt, buf)
        })
    }

    #[expect(
        clippy::manual_async_fn,
        reason = "its future would hold the buffer twice: as an argument, and as what is left of it"
    )]
    pub(crate) fn read_exact<'a>(
        &'a self,
        place: Place,
        mut rest: &'a mut [u8],
    ) -> impl Future<Output = io::Result<()>> + Send + 'a {
        async move {
            while !rest.is_empty() {
                match self.read(place, rest).await? {
                    0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                    n => rest = &mut rest[n..],
                }
            }
            Ok(())
        }
    }

    pub(crate) fn read_vectored<'a>(
        &'a self,
        place: Place,
        bufs: &'a mut [IoSliceMut<'a>],
    ) -> impl Future<Output = io::Result<usize>> + Send + 'a {
        let empty = bufs.iter().all(|buf| buf.is_empty());
        self.io(Direction::Read, place, empty, move |stream, attempt| {
            read_vectored_once(stream, attempt, bufs)
        })
    }

    pub(crate) fn try_read(&self, buf: &mut [u8]) -> io::Result<usize> {
        if buf.is_empty() {
            return self.with(|_| Ok(0));
        }
        self.try_io(Direction::Read, |stream, attempt| {
            read_once(stream, attempt, buf)
        })
    }

    pub(crate) fn try_read_vectored(&self, bufs: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
        if bufs.iter().all(|buf| buf.is_empty()) {
            return self.with(|_| Ok(0));
        }
        self.try_io(Direction::Read, |stream, attempt| {
            read_vectored_once(stream, attempt, bufs)
        })
    }

    #[track_caller]
    pub(crate) fn poll_read(
        &self,
        cx: &mut Context<'_>,
        buf: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        if buf.is_empty() {
            return Poll::Ready(self.with(|_| Ok(0)));
        }
        self.poll_io(Direction::Read, cx, |stream, attempt| {
            read_once(stream, attempt, buf)
        })
    }

    #[track_caller]
    pub(crate) fn poll_read_vectored(
        &self,
        cx: &mut Context<'_>,
        bufs: &mut [IoSliceMut<'_>],
    ) -> Poll<io::Result<usize>> {
        if bufs.iter().all(|buf| buf.is_empty()) {
            return Poll::Ready(self.with(|_| Ok(0)));
        }
        self.poll_io(Direction::Read, cx, |stream, attempt| {
            read_vectored_once(stream, attempt, bufs)
        })
    }

    pub(crate) fn write<'a>(
        &'a self,
        place: Place,
        buf: &'a [u8],
    ) -> impl Future<Output = io::Result<usize>> + Send + 'a {
        let empty = buf.is_empty();
        self.io(Direction::Write, place, empty, move |stream, attempt| {
            self.write_once(stream, attempt, buf)
        })
    }

    #[expect(clippy::manual_async_fn, reason = "as above")]
    pub(crate) fn write_all<'a>(
        &'a self,
        place: Place,
        mut rest: &'a [u8],
    ) -> impl Future<Output = io::Result<()>> + Send + 'a {
        async move {
            while !rest.is_empty() {
                let n = self.write(place, rest).await?;
                rest = &rest[n..];
            }
            Ok(())
        }
    }

    pub(crate) fn write_vectored<'a>(
        &'a self,
        place: Place,
        bufs: &'a [IoSlice<'a>],
    ) -> impl Future<Output = io::Result<usize>> + Send + 'a {
        let empty = bufs.iter().all(|buf| buf.is_empty());
        self.io(Direction::Write, place, empty, move |stream, _| {
            write_vectored_once(stream, bufs)
        })
    }

    pub(crate) fn try_write(&self, buf: &[u8]) -> io::Result<usize> {
        if buf.is_empty() {
            return self.with(|_| Ok(0));
        }
        self.try_io(Direction::Write, |stream, attempt| {
            self.write_once(stream, attempt, buf)
        })
    }

    pub(crate) fn try_write_vectored(&self, bufs: &[IoSlice<'_>]) -> io::Result<usize> {
        if bufs.iter().all(|buf| buf.is_empty()) {
            return self.with(|_| Ok(0));
        }
        self.try_io(Direction::Write, |stream, _| {
            write_vectored_once(stream, bufs)
        })
    }

    #[track_caller]
    pub(crate) fn poll_write(&self, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        if buf.is_empty() {
            return Poll::Ready(self.with(|_| Ok(0)));
        }
        self.poll_io(Direction::Write, cx, |stream, attempt| {
            self.write_once(stream, attempt, buf)
        })
    }

    #[track_caller]
    pub(crate) fn poll_write_vectored(
        &self,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        if bufs.iter().all(|buf| buf.is_empty()) {
            return Poll::Ready(self.with(|_| Ok(0)));
        }
        self.poll_io(Direction::Write, cx, |stream, _| {
            write_vectored_once(stream, bufs)
        })
    }

    /// One `send`. Fewer bytes than offered: the kernel has no more room. But nobody tells of room before a call that would block has asked
    /// for it (see `socket.rs`), nor, to us alone, where it tells everybody.
    fn write_once(&self, stream: &S, attempt: &Attempt<'_>, buf: &[u8]) -> io::Result<usize> {
        if buf.is_empty() {
            return Ok(0);
        }
        let n = stream.send(buf)?;
        if n < buf.len() && S::TELLS_WRITERS_ALONE && self.are_writes_watched() {
            attempt.drained();
        }
        Ok(n)
    }

    /// Ends sending. A connection that is gone has nothing left to end.
    pub(crate) fn finish(&self) -> io::Result<()> {
        match self.with(|stream| stream.end(Shutdown::Write)) {
            Err(error) if error.raw_os_error() == Some(libc::ENOTCONN) => Ok(()),
            result => result,
        }
    }
}

/// One `recv`. Fewer bytes than there is room for: the kernel has no more. (Zero is the end, which comes again without an event.)
fn read_once<S: StreamDevice>(
    stream: &S,
    attempt: &Attempt<'_>,
    buf: &mut [u8],
) -> io::Result<usize> {
    if buf.is_empty() {
        return Ok(0);
    }
    let n = stream.recv(buf)?;
    if 0 < n && n < buf.len() {
        attempt.drained();
    }
    Ok(n)
}

fn read_vectored_once<S: StreamDevice>(
    stream: &S,
    attempt: &Attempt<'_>,
    bufs: &mut [IoSliceMut<'_>],
) -> io::Result<usize> {
    let room: usize = bufs.iter().map(|buf| buf.len()).sum();
    if room == 0 {
        return Ok(0);
    }
    let n = stream.recv_vectored(bufs)?;
    if 0 < n && n < room {
        attempt.drained();
    }
    Ok(n)
}

/// One `writev`. A short count may also come from the system's bound on the number of buffers, so that it says nothing.
fn write_vectored_once<S: StreamDevice>(stream: &S, bufs: &[IoSlice<'_>]) -> io::Result<usize> {
    if bufs.iter().all(|buf| buf.is_empty()) {
        return Ok(0);
    }
    stream.send_vectored(bufs)
}
