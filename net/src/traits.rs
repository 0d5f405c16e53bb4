//! `futures_io`'s traits, for streams, references to streams, and halves of streams.
//!
//! Several tasks may poll one stream through them; each is woken.
#![forbid(unsafe_code)]

use std::io::{self, IoSlice, IoSliceMut};
use std::pin::Pin;
use std::task::{Context, Poll};

use futures_io::{AsyncRead, AsyncWrite};

use crate::{OwnedReadHalf, OwnedWriteHalf, ReadHalf, Stream, StreamKind, WriteHalf};

/// Reads from a socket that is reached through `$self`.
macro_rules! read_through {
    ($type:ty, $self:ident => $stream:expr) => {
        impl<K: StreamKind> AsyncRead for $type {
            #[track_caller]
            fn poll_read(
                $self: Pin<&mut Self>,
                cx: &mut Context<'_>,
                buf: &mut [u8],
            ) -> Poll<io::Result<usize>> {
                $stream.poll_read(cx, buf)
            }

            #[track_caller]
            fn poll_read_vectored(
                $self: Pin<&mut Self>,
                cx: &mut Context<'_>,
                bufs: &mut [IoSliceMut<'_>],
            ) -> Poll<io::Result<usize>> {
                $stream.poll_read_vectored(cx, bufs)
            }
        }
    };
}

/// Writes to it. There is nothing to flush: the system has what was written. Closing ends sending.
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

            fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
                Poll::Ready(Ok(()))
            }

            fn poll_close($self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
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
