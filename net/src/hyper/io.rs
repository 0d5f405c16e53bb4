//! ⚠ hyper's `Read` and `Write`, for streams and references to streams.
//!
//! hyper reads into its own buffer, and the kernel writes straight into that; a response's head and
//! body leave with one `writev`.
//!
//! Unsafe here: telling hyper's cursor what the kernel has written.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use ::hyper::rt::{Read, ReadBufCursor, Write};

use crate::{Stream, StreamKind};

macro_rules! through {
    ($type:ty) => {
        impl<K: StreamKind> Read for $type {
            #[track_caller]
            fn poll_read(
                self: Pin<&mut Self>,
                cx: &mut Context<'_>,
                mut buf: ReadBufCursor<'_>,
            ) -> Poll<io::Result<()>> {
                // SAFETY: `poll_read_uninit` only writes, and so leaves initialised what was.
                let room = unsafe { buf.as_mut() };
                let n = ready!(self.inner.poll_read_uninit(cx, room))?;
                // SAFETY: it has initialised so many bytes from the start of `room`, and no more
                // than there are.
                unsafe { buf.advance(n) };
                Poll::Ready(Ok(()))
            }
        }

        impl<K: StreamKind> Write for $type {
            #[track_caller]
            fn poll_write(
                self: Pin<&mut Self>,
                cx: &mut Context<'_>,
                buf: &[u8],
            ) -> Poll<io::Result<usize>> {
                self.inner.poll_write(cx, buf)
            }

            fn is_write_vectored(&self) -> bool {
                true
            }

            #[track_caller]
            fn poll_write_vectored(
                self: Pin<&mut Self>,
                cx: &mut Context<'_>,
                bufs: &[IoSlice<'_>],
            ) -> Poll<io::Result<usize>> {
                self.inner.poll_write_vectored(cx, bufs)
            }

            fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
                Poll::Ready(Ok(()))
            }

            fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
                Poll::Ready(self.inner.finish())
            }
        }
    };
}

through!(Stream<K>);
through!(&Stream<K>);
