//! Reading and writing streams of bytes, for every kind of stream socket.
//!
//! Each read or write is one system call when it can be, and allocates nothing: the call is tried
//! first unless the last one has shown that it would block, and a short read or write shows that
//! without asking twice.
#![forbid(unsafe_code)]

use std::future::poll_fn;
use std::io::{self, IoSlice, IoSliceMut};
use std::net::Shutdown;
use std::ops::{Deref, Range};
use std::panic::Location;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use runtime::io::{Attempt, Direction};

use crate::kind::{AT_ONCE, Received, StreamDevice};
use crate::socket::{Blocks, Socket};

/// The place that a dump shows for a task which waits.
type Place = &'static Location<'static>;

impl<S: StreamDevice> Socket<S> {
    pub(crate) fn read<'a>(
        &'a self,
        place: Place,
        buf: &'a mut [u8],
    ) -> impl Future<Output = io::Result<usize>> + Send + 'a {
        let blocks = Blocks::unless(buf.is_empty());
        self.io(Direction::Read, place, blocks, move |stream, attempt| {
            read_once(stream, attempt, buf)
        })
    }

    pub(crate) fn read_exact<'a>(
        &'a self,
        place: Place,
        buf: &'a mut [u8],
    ) -> impl Future<Output = io::Result<()>> + Send + 'a {
        let (blocks, mut filled) = (Blocks::unless(buf.is_empty()), 0);
        let read = self.io(Direction::Read, place, blocks, move |stream, attempt| {
            let n = read_once(stream, attempt, &mut buf[filled..])?;
            filled += n;
            match filled == buf.len() {
                false if n == 0 => Err(io::ErrorKind::UnexpectedEof.into()),
                all => Ok(all),
            }
        });
        repeat(read)
    }

    pub(crate) fn read_vectored<'a>(
        &'a self,
        place: Place,
        bufs: &'a mut [IoSliceMut<'a>],
    ) -> impl Future<Output = io::Result<usize>> + Send + 'a {
        let blocks = Blocks::unless(bufs.iter().all(|buf| buf.is_empty()));
        self.io(Direction::Read, place, blocks, move |stream, attempt| {
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
        let blocks = Blocks::unless(buf.is_empty());
        self.io(Direction::Write, place, blocks, move |stream, attempt| {
            write_once(stream, attempt, buf)
        })
    }

    pub(crate) fn write_all<'a>(
        &'a self,
        place: Place,
        buf: &'a [u8],
    ) -> impl Future<Output = io::Result<()>> + Send + 'a {
        let (blocks, mut rest) = (Blocks::unless(buf.is_empty()), buf);
        let write = self.io(Direction::Write, place, blocks, move |stream, attempt| {
            let n = write_once(stream, attempt, rest)?;
            rest = &rest[n..];
            Ok(rest.is_empty())
        });
        repeat(write)
    }

    pub(crate) fn write_vectored<'a>(
        &'a self,
        place: Place,
        bufs: &'a [IoSlice<'a>],
    ) -> impl Future<Output = io::Result<usize>> + Send + 'a {
        let blocks = Blocks::unless(bufs.iter().all(|buf| buf.is_empty()));
        self.io(Direction::Write, place, blocks, move |stream, _| {
            write_vectored_once(stream, bufs)
        })
    }

    pub(crate) fn try_write(&self, buf: &[u8]) -> io::Result<usize> {
        if buf.is_empty() {
            return self.with(|_| Ok(0));
        }
        self.try_io(Direction::Write, |stream, attempt| {
            write_once(stream, attempt, buf)
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
            write_once(stream, attempt, buf)
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

    /// Ends sending. A connection that is gone has nothing left to end.
    pub(crate) fn finish(&self) -> io::Result<()> {
        match self.with(|stream| stream.end(Shutdown::Write)) {
            Err(error) if error.raw_os_error() == Some(libc::ENOTCONN) => Ok(()),
            result => result,
        }
    }
}

/// Repeats an operation until it says that all is done. Each time takes a unit of the budget.
///
/// By hand, as an `async` function would hold the buffer twice, and futures of this kind lie in
/// every connection's task.
fn repeat<O>(mut operation: O) -> impl Future<Output = io::Result<()>>
where
    O: Future<Output = io::Result<bool>> + Unpin,
{
    poll_fn(move |cx| {
        while !ready!(Pin::new(&mut operation).poll(cx))? {}
        Poll::Ready(Ok(()))
    })
}

/// One `recv`. Fewer bytes than there is room for: the kernel has no more. (Zero is the end, which
/// comes again without an event.)
fn read_once<S: StreamDevice>(
    stream: &S,
    attempt: &Attempt<'_>,
    buf: &mut [u8],
) -> io::Result<usize> {
    if buf.is_empty() {
        return Ok(0);
    }
    let received = stream.recv(buf)?;
    Ok(settle(received, attempt, buf.len()))
}

fn read_vectored_once<S: StreamDevice>(
    stream: &S,
    attempt: &Attempt<'_>,
    bufs: &mut [IoSliceMut<'_>],
) -> io::Result<usize> {
    let offered = at_once(bufs);
    let bufs = &mut bufs[offered];
    let room: usize = bufs.iter().map(|buf| buf.len()).sum();
    if room == 0 {
        return Ok(0);
    }
    let received = stream.recv_vectored(bufs)?;
    Ok(settle(received, attempt, room))
}

/// A short read, but for the end of the stream, has shown that the next one would block, unless the
/// system has stopped for something else.
pub(crate) fn settle(received: Received, attempt: &Attempt<'_>, room: usize) -> usize {
    let n = received.bytes;
    if 0 < n && n < room && !received.stopped {
        attempt.drained();
    }
    n
}

/// The pieces that the system is offered, of so many as there may be: from the first that is not
/// empty on. It takes none beyond, and must not seem to have had room there, or, where there was
/// none before, to have come to the end.
fn at_once(bufs: &[impl Deref<Target = [u8]>]) -> Range<usize> {
    let first = bufs.iter().position(|buf| !buf.is_empty());
    let first = first.unwrap_or(bufs.len());
    first..bufs.len().min(first + AT_ONCE)
}

/// One `send`. Fewer bytes than offered: the kernel has no more room. (Where it tells everybody of
/// room, only a call that would block has it told to us: see `socket.rs`.)
fn write_once<S: StreamDevice>(stream: &S, attempt: &Attempt<'_>, buf: &[u8]) -> io::Result<usize> {
    if buf.is_empty() {
        return Ok(0);
    }
    let n = stream.send(buf)?;
    if n < buf.len() && S::TELLS_WRITERS_ALONE {
        attempt.drained();
    }
    Ok(n)
}

/// One `writev`. A short count may also come from the system's bound on the number of buffers, so
/// that it says nothing.
fn write_vectored_once<S: StreamDevice>(stream: &S, bufs: &[IoSlice<'_>]) -> io::Result<usize> {
    let bufs = &bufs[at_once(bufs)];
    if bufs.is_empty() {
        return Ok(0);
    }
    stream.send_vectored(bufs)
}
