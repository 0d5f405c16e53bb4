//! One direction between two sockets.
//!
//! *How it moves.* A chunk is read into the calling thread's buffer and written at once: a read and
//! a write, and nothing held while waiting. What cannot be written keeps the buffer until it can.
//! Where reads fill the buffer, much is on its way, and the direction changes to splicing: socket →
//! pipe → socket, the bytes staying in the kernel, the pipe taken from a pool for as long as there
//! are bytes in it. When the chunks become small again it changes back, because splicing a small
//! message takes a system call more: a short read says that the socket is empty, a short splice
//! does not.
//!
//! *Falling back.* Sockets that cannot be spliced, and systems without descriptors to spare for a
//! pipe, keep the buffer. That is known before any byte has been taken; bytes that are in a pipe
//! which the receiver's socket refuses are read out of it.
//!
//! *Invariants.*
//! 1. Nothing is read while there is a rest: the order is kept, and memory is bounded by one buffer
//!    or pipe a direction.
//! 2. Buffers and pipes are handed on empty. (What is left in a buffer is overwritten by the next
//!    read and never looked at.)
//!
//! Splicing sends without `MSG_NOSIGNAL`: where that would end the process the buffer is kept, too.
#![forbid(unsafe_code)]

use std::cell::Cell;
use std::io;
use std::mem;
use std::ops::Range;
use std::os::fd::{AsFd, BorrowedFd};
use std::task::{Context, Poll, ready};

use runtime::io::Direction;

use super::pipe::{CAPACITY, Pipe, Pipes};
use crate::socket::Socket;
use crate::sys;

/// Bytes read at a time. One buffer a thread: that of a few packets would do, but what fills it is
/// worth splicing.
const BUFFER: usize = 64 * 1024;

/// Full buffers in a row after which a direction is spliced. A guess: the pipe costs as much as a
/// few calls.
const MANY: u8 = 2;

/// A spliced chunk below this is small; so many in a row, and the direction goes through the buffer
/// again. Guesses.
const SMALL: usize = 16 * 1024;
const FEW: u8 = 4;

/// A socket at one end of a copy.
#[derive(Clone, Copy, Debug)]
pub(super) enum End<'a> {
    Tcp(&'a Socket<mio::net::TcpStream>),
    Unix(&'a Socket<mio::net::UnixStream>),
}

impl End<'_> {
    fn poll_read(self, cx: &mut Context<'_>, buf: &mut [u8]) -> Poll<io::Result<usize>> {
        match self {
            Self::Tcp(socket) => socket.poll_read(cx, buf),
            Self::Unix(socket) => socket.poll_read(cx, buf),
        }
    }

    fn poll_write(self, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        match self {
            Self::Tcp(socket) => socket.poll_write(cx, buf),
            Self::Unix(socket) => socket.poll_write(cx, buf),
        }
    }

    /// A call of another kind on the descriptor.
    fn poll_call<R>(
        self,
        direction: Direction,
        cx: &mut Context<'_>,
        mut call: impl FnMut(BorrowedFd<'_>) -> io::Result<R>,
    ) -> Poll<io::Result<R>> {
        match self {
            Self::Tcp(socket) => socket.poll_io(direction, cx, |socket, _| call(socket.as_fd())),
            Self::Unix(socket) => socket.poll_io(direction, cx, |socket, _| call(socket.as_fd())),
        }
    }

    fn finish(self) -> io::Result<()> {
        match self {
            Self::Tcp(socket) => socket.finish(),
            Self::Unix(socket) => socket.finish(),
        }
    }
}

/// See the story of this file.
#[derive(Debug)]
pub(super) struct Relay {
    way: Way,
    rest: Rest,
    total: u64,
    /// The reader has come to its end.
    ended: bool,
    /// The writer has been told.
    finished: bool,
}

/// How the next chunk goes.
#[derive(Debug)]
enum Way {
    /// Through a buffer; so many in a row were full.
    Buffer { full: u8 },
    /// Through a pipe; so many chunks in a row were small.
    Pipe { pipes: Pipes, small: u8 },
    /// Through a buffer, because it cannot be spliced.
    BufferOnly,
}

/// What has been read and not yet written.
#[derive(Debug)]
enum Rest {
    None,
    Bytes(Box<[u8]>, Range<usize>),
    Piped(Pipe, usize),
}

/// What became of a splice.
enum Spliced {
    Bytes(usize),
    /// These two cannot be spliced; nothing has been moved.
    Refused,
}

impl Relay {
    pub(super) fn new() -> Self {
        Self {
            way: Way::Buffer { full: 0 },
            rest: Rest::None,
            total: 0,
            ended: false,
            finished: false,
        }
    }

    /// Moves until the reader has come to its end, and says how much that was.
    pub(super) fn poll(
        &mut self,
        cx: &mut Context<'_>,
        from: End<'_>,
        to: End<'_>,
    ) -> Poll<io::Result<u64>> {
        loop {
            ready!(self.poll_rest(cx, to))?;
            if self.ended {
                return Poll::Ready(Ok(self.total));
            }
            match self.way {
                Way::Pipe { .. } => ready!(self.poll_into_pipe(cx, from))?,
                Way::Buffer { .. } | Way::BufferOnly => ready!(self.poll_into_buffer(cx, from))?,
            }
        }
    }

    /// The same, and then ends the writer's sending.
    pub(super) fn poll_and_finish(
        &mut self,
        cx: &mut Context<'_>,
        from: End<'_>,
        to: End<'_>,
    ) -> io::Result<Poll<u64>> {
        if !self.finished {
            match self.poll(cx, from, to)? {
                Poll::Pending => return Ok(Poll::Pending),
                Poll::Ready(_) => to.finish()?,
            }
            self.finished = true;
            // Gives up its right to pipes: the other direction may go on for long.
            self.way = Way::BufferOnly;
        }
        Ok(Poll::Ready(self.total))
    }

    /// Writes what has been read before.
    fn poll_rest(&mut self, cx: &mut Context<'_>, to: End<'_>) -> Poll<io::Result<()>> {
        loop {
            match &mut self.rest {
                Rest::None => return Poll::Ready(Ok(())),
                Rest::Bytes(buffer, range) => {
                    let n = ready!(to.poll_write(cx, &buffer[range.clone()]))?;
                    range.start += n;
                    self.total += n as u64;
                    if range.start == range.end {
                        put_buffer(mem::take(buffer));
                        self.rest = Rest::None;
                    }
                }
                Rest::Piped(..) => ready!(self.poll_out_of_pipe(cx, to))?,
            }
        }
    }

    fn poll_into_buffer(&mut self, cx: &mut Context<'_>, from: End<'_>) -> Poll<io::Result<()>> {
        let mut buffer = take_buffer();
        match from.poll_read(cx, &mut buffer) {
            Poll::Ready(Ok(n @ 1..)) => {
                self.note_buffered(n == buffer.len());
                self.rest = Rest::Bytes(buffer, 0..n);
                Poll::Ready(Ok(()))
            }
            nothing => {
                put_buffer(buffer);
                self.ended = nothing.is_ready();
                nothing.map_ok(drop)
            }
        }
    }

    fn note_buffered(&mut self, is_full: bool) {
        if let Way::Buffer { full } = &mut self.way {
            *full = if is_full { *full + 1 } else { 0 };
            if *full == MANY {
                self.way = match sys::broken_pipes_kill() {
                    true => Way::BufferOnly,
                    false => Way::Pipe {
                        pipes: Pipes::new(),
                        small: 0,
                    },
                };
            }
        }
    }

    fn poll_into_pipe(&mut self, cx: &mut Context<'_>, from: End<'_>) -> Poll<io::Result<()>> {
        let Way::Pipe { pipes, small } = &mut self.way else {
            return Poll::Ready(Ok(()));
        };
        // Taken when there seems to be something to read, and not before.
        let mut taken = None;
        let spliced = from.poll_call(Direction::Read, cx, |socket| {
            let Ok(pipe) = taken.take().map_or_else(|| pipes.take(), Ok) else {
                return Ok(Spliced::Refused);
            };
            // It is empty: what would block is the socket.
            let spliced = or_refused(sys::splice(socket, pipe.writer(), CAPACITY));
            taken = Some(pipe);
            spliced
        });
        match (spliced, taken) {
            (Poll::Ready(Ok(Spliced::Bytes(n @ 1..))), Some(pipe)) => {
                *small = if n < SMALL { *small + 1 } else { 0 };
                self.rest = Rest::Piped(pipe, n);
                Poll::Ready(Ok(()))
            }
            (nothing, taken) => {
                if let Some(pipe) = taken {
                    pipes.put(pipe);
                }
                match ready!(nothing)? {
                    Spliced::Bytes(_) => self.ended = true,
                    Spliced::Refused => self.way = Way::BufferOnly,
                }
                Poll::Ready(Ok(()))
            }
        }
    }

    /// Writes what is in the pipe, as much as the socket takes at once.
    fn poll_out_of_pipe(&mut self, cx: &mut Context<'_>, to: End<'_>) -> Poll<io::Result<()>> {
        let Rest::Piped(pipe, left) = &mut self.rest else {
            return Poll::Ready(Ok(()));
        };
        let spliced = to.poll_call(Direction::Write, cx, |socket| {
            or_refused(sys::splice(pipe.reader(), socket, *left))
        });
        match ready!(spliced)? {
            Spliced::Bytes(0) => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
            Spliced::Bytes(n) => {
                *left -= n;
                self.total += n as u64;
            }
            Spliced::Refused => {
                let drained = pipe.drain(mem::take(left))?;
                let all = 0..drained.len();
                self.way = Way::BufferOnly;
                self.rest = Rest::Bytes(drained.into(), all);
                return Poll::Ready(Ok(()));
            }
        }
        if *left == 0 {
            self.empty_pipe();
        }
        Poll::Ready(Ok(()))
    }

    /// All that was in the pipe has been written.
    fn empty_pipe(&mut self) {
        let rest = mem::replace(&mut self.rest, Rest::None);
        if let (Rest::Piped(pipe, _), Way::Pipe { pipes, small }) = (rest, &self.way) {
            pipes.put(pipe);
            if *small >= FEW {
                self.way = Way::Buffer { full: 0 };
            }
        }
    }
}

fn or_refused(spliced: io::Result<usize>) -> io::Result<Spliced> {
    match spliced {
        Ok(n) => Ok(Spliced::Bytes(n)),
        Err(error) if sys::is_refused(&error) => Ok(Spliced::Refused),
        Err(error) => Err(error),
    }
}

thread_local! {
    /// This thread's buffer, while no rest keeps it.
    static SPARE: Cell<Option<Box<[u8]>>> = const { Cell::new(None) };
}

fn take_buffer() -> Box<[u8]> {
    let spare = SPARE.try_with(Cell::take).ok().flatten();
    spare.unwrap_or_else(|| vec![0; BUFFER].into())
}

/// Gives a buffer to this thread, which may be another one than that which it came from.
fn put_buffer(buffer: Box<[u8]>) {
    // One that a pipe was read into may have another size.
    if buffer.len() == BUFFER {
        let _ = SPARE.try_with(|spare| spare.set(Some(buffer)));
    }
}
