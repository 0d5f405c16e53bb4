//! ⚠ [`Io`]: streams of others for hyper, and hyper's upgraded connections for others.
//!
//! This crate's own streams need no adapter: see `io.rs`. Streams that wrap them, such as TLS,
//! speak `futures_io` or Tokio's traits, and hyper speaks its own. As a type may speak several, the
//! adapter is told which: [`Io`] for `futures_io`, `TokioIo` for Tokio's.
//!
//! `futures_io` reads into initialised memory: hyper's buffer is zeroed the first time that it is
//! used, and not again.
//!
//! Unsafe here: telling hyper's cursor how much of that memory has been filled.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use ::hyper::rt::{Read, ReadBuf, ReadBufCursor, Write};
use futures_io::{AsyncRead, AsyncWrite};

/// A stream of `futures_io`'s kind for hyper, and the other way round.
///
/// ```
/// use futures_util::{AsyncReadExt, AsyncWriteExt};
///
/// // Something that speaks `futures_io`, now speaks hyper's traits …
/// fn for_hyper<T: hyper::rt::Read + hyper::rt::Write>(_: T) {}
/// for_hyper(net::hyper::Io::new(futures_util::io::Cursor::new(vec![0; 16])));
///
/// // … and an upgraded connection of hyper's reads and writes as everybody's.
/// async fn echo(upgraded: hyper::upgrade::Upgraded) -> std::io::Result<()> {
///     let mut stream = net::hyper::Io::new(upgraded);
///     let mut buffer = [0; 64];
///     let n = stream.read(&mut buffer).await?;
///     stream.write_all(&buffer[..n]).await
/// }
/// ```
///
/// **Go:** none; there `io.Reader` is the one kind.
#[derive(Clone, Copy, Debug)]
pub struct Io<T> {
    inner: T,
}

impl<T> Io<T> {
    /// Wraps a stream.
    ///
    /// ```
    /// let stream = net::hyper::Io::new(futures_util::io::Cursor::new(vec![7; 16]));
    /// # let _ = stream;
    /// ```
    ///
    /// **Go:** none.
    pub fn new(inner: T) -> Self {
        Self { inner }
    }

    /// The stream.
    ///
    /// ```
    /// let stream = net::hyper::Io::new(futures_util::io::Cursor::new(vec![7; 16]));
    /// assert_eq!(stream.get_ref().position(), 0);
    /// ```
    ///
    /// **Go:** none.
    pub fn get_ref(&self) -> &T {
        &self.inner
    }

    /// The stream.
    ///
    /// ```
    /// let mut stream = net::hyper::Io::new(futures_util::io::Cursor::new(vec![7; 16]));
    /// stream.get_mut().set_position(3);
    /// assert_eq!(stream.get_ref().position(), 3);
    /// ```
    ///
    /// **Go:** none.
    pub fn get_mut(&mut self) -> &mut T {
        &mut self.inner
    }

    /// Gives the stream back.
    ///
    /// ```
    /// let stream = net::hyper::Io::new(futures_util::io::Cursor::new(vec![7; 16]));
    /// assert_eq!(stream.into_inner().into_inner(), [7; 16]);
    /// ```
    ///
    /// **Go:** none.
    pub fn into_inner(self) -> T {
        self.inner
    }
}

impl<T: AsyncRead + Unpin> Read for Io<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        mut buf: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        let room = buf.initialize_unfilled();
        let most = room.len();
        let n = ready!(Pin::new(&mut self.inner).poll_read(cx, room))?;
        assert!(
            n <= most,
            "a reader says that it has read {n} bytes into {most}"
        );
        // SAFETY: all of the room is initialised, and `n` is not beyond it.
        unsafe { buf.advance(n) };
        Poll::Ready(Ok(()))
    }
}

impl<T: AsyncWrite + Unpin> Write for Io<T> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write_vectored(cx, bufs)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_close(cx)
    }
}

impl<T: Read + Unpin> AsyncRead for Io<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        let mut buf = ReadBuf::new(buf);
        ready!(Pin::new(&mut self.inner).poll_read(cx, buf.unfilled()))?;
        Poll::Ready(Ok(buf.filled().len()))
    }
}

impl<T: Write + Unpin> AsyncWrite for Io<T> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write_vectored(cx, bufs)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}
