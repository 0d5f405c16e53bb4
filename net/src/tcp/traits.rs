//! `futures_io`'s traits, for streams, references to streams, and halves.
//!
//! Several tasks may poll one stream through them; each is woken.
#![forbid(unsafe_code)]

use std::io::{self, IoSlice, IoSliceMut};
use std::net::Shutdown;
use std::pin::Pin;
use std::task::{Context, Poll};

use futures_io::{AsyncRead, AsyncWrite};
use runtime::io::Direction;

use super::stream::{read_once, read_vectored_once, write_once, write_vectored_once};
use super::{OwnedReadHalf, OwnedWriteHalf, ReadHalf, TcpStream, WriteHalf};

impl TcpStream {
    #[track_caller]
    fn io_read(&self, cx: &mut Context<'_>, buf: &mut [u8]) -> Poll<io::Result<usize>> {
        if buf.is_empty() {
            return Poll::Ready(self.inner.with(|_| Ok(0)));
        }
        self.inner.poll_io(Direction::Read, cx, |stream, attempt| {
            read_once(stream, attempt, buf)
        })
    }

    #[track_caller]
    fn io_read_vectored(
        &self,
        cx: &mut Context<'_>,
        bufs: &mut [IoSliceMut<'_>],
    ) -> Poll<io::Result<usize>> {
        if bufs.iter().all(|buf| buf.is_empty()) {
            return Poll::Ready(self.inner.with(|_| Ok(0)));
        }
        self.inner.poll_io(Direction::Read, cx, |stream, attempt| {
            read_vectored_once(stream, attempt, bufs)
        })
    }

    #[track_caller]
    fn io_write(&self, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        if buf.is_empty() {
            return Poll::Ready(self.inner.with(|_| Ok(0)));
        }
        self.inner.poll_io(Direction::Write, cx, |stream, attempt| {
            write_once(stream, attempt, buf)
        })
    }

    #[track_caller]
    fn io_write_vectored(
        &self,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        if bufs.iter().all(|buf| buf.is_empty()) {
            return Poll::Ready(self.inner.with(|_| Ok(0)));
        }
        self.inner.poll_io(Direction::Write, cx, |stream, attempt| {
            write_vectored_once(stream, attempt, bufs)
        })
    }

    /// Ends sending. A connection that is gone has nothing left to end.
    fn finish(&self) -> io::Result<()> {
        match self.shutdown(Shutdown::Write) {
            Err(error) if error.raw_os_error() == Some(libc::ENOTCONN) => Ok(()),
            result => result,
        }
    }
}

/// Reads from a `TcpStream` that is reached through `$self`.
macro_rules! read_through {
    ($type:ty, $self:ident => $stream:expr) => {
        impl AsyncRead for $type {
            #[track_caller]
            fn poll_read(
                $self: Pin<&mut Self>,
                cx: &mut Context<'_>,
                buf: &mut [u8],
            ) -> Poll<io::Result<usize>> {
                $stream.io_read(cx, buf)
            }

            #[track_caller]
            fn poll_read_vectored(
                $self: Pin<&mut Self>,
                cx: &mut Context<'_>,
                bufs: &mut [IoSliceMut<'_>],
            ) -> Poll<io::Result<usize>> {
                $stream.io_read_vectored(cx, bufs)
            }
        }
    };
}

/// Writes to it. There is nothing to flush: the system has what was written. Closing ends sending.
macro_rules! write_through {
    ($type:ty, $self:ident => $stream:expr) => {
        impl AsyncWrite for $type {
            #[track_caller]
            fn poll_write(
                $self: Pin<&mut Self>,
                cx: &mut Context<'_>,
                buf: &[u8],
            ) -> Poll<io::Result<usize>> {
                $stream.io_write(cx, buf)
            }

            #[track_caller]
            fn poll_write_vectored(
                $self: Pin<&mut Self>,
                cx: &mut Context<'_>,
                bufs: &[IoSlice<'_>],
            ) -> Poll<io::Result<usize>> {
                $stream.io_write_vectored(cx, bufs)
            }

            fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
                Poll::Ready(Ok(()))
            }

            fn poll_close($self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
                Poll::Ready($stream.finish())
            }
        }
    };
}

read_through!(TcpStream, self => self);
read_through!(&TcpStream, self => (**self));
read_through!(ReadHalf<'_>, self => self.stream());
read_through!(OwnedReadHalf, self => self.stream());
write_through!(TcpStream, self => self);
write_through!(&TcpStream, self => (**self));
write_through!(WriteHalf<'_>, self => self.stream());
write_through!(OwnedWriteHalf, self => self.stream());
