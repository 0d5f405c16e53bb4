//! ⚠ Tokio's `AsyncRead` and `AsyncWrite`, for streams, references to streams, and halves of
//! streams: feature `tokio-io`.
//!
//! Tokio's traits are a library of their own in all but name: no runtime of Tokio's is needed,
//! built or started. What is written to them (tokio-rustls, tokio-postgres, tokio-util's codecs,
//! tokio-tungstenite, h2) runs over these streams as it is. What calls `tokio::spawn` or
//! `tokio::time` needs more: see [`compat`](crate::compat).
//!
//! Unsafe here: telling a `ReadBuf` what the kernel has written.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use ::tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::{OwnedReadHalf, OwnedWriteHalf, ReadHalf, Stream, StreamKind, WriteHalf};

/// Reads from a socket that is reached through `$self`.
macro_rules! read_through {
    ($type:ty, $self:ident => $stream:expr) => {
        impl<K: StreamKind> AsyncRead for $type {
            #[track_caller]
            fn poll_read(
                $self: Pin<&mut Self>,
                cx: &mut Context<'_>,
                buf: &mut ReadBuf<'_>,
            ) -> Poll<io::Result<()>> {
                // SAFETY: `poll_read_uninit` only writes, and so leaves initialised what was.
                let room = unsafe { buf.unfilled_mut() };
                let n = ready!($stream.poll_read_uninit(cx, room))?;
                // SAFETY: it has initialised so many bytes from the start of `room`.
                unsafe { buf.assume_init(n) };
                buf.advance(n);
                Poll::Ready(Ok(()))
            }
        }
    };
}

/// Writes to it. There is nothing to flush: the system has what was written. Shutting down ends
/// sending.
macro_rules! write_through {
    ($type:ty, $self:ident => $stream:expr) => {
        impl<K: StreamKind> AsyncWrite for $type {
            #[track_caller]
            fn poll_write(
                $self: Pin<&mut Self>,
                cx: &mut Context<'_>,
                buf: &[u8],
            ) -> Poll<io::Result<usize>> {
                $stream.poll_write(cx, buf)
            }

            #[track_caller]
            fn poll_write_vectored(
                $self: Pin<&mut Self>,
                cx: &mut Context<'_>,
                bufs: &[IoSlice<'_>],
            ) -> Poll<io::Result<usize>> {
                $stream.poll_write_vectored(cx, bufs)
            }

            fn is_write_vectored(&self) -> bool {
                true
            }

            fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
                Poll::Ready(Ok(()))
            }

            fn poll_shutdown($self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
                Poll::Ready($stream.finish())
            }
        }
    };
}

read_through!(Stream<K>, self => self.inner);
read_through!(&Stream<K>, self => self.inner);
read_through!(ReadHalf<'_, K>, self => self.stream().inner);
read_through!(OwnedReadHalf<K>, self => self.stream().inner);
write_through!(Stream<K>, self => self.inner);
write_through!(&Stream<K>, self => self.inner);
write_through!(WriteHalf<'_, K>, self => self.stream().inner);
write_through!(OwnedWriteHalf<K>, self => self.stream().inner);
