//! ⚠ [`TokioIo`]: what [`Io`](super::Io) is for `futures_io`, for Tokio's traits. Features `hyper`
//! and `tokio-io` together.
//!
//! Unsafe here: telling each side's buffer what the other has filled.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use ::hyper::rt::{self, ReadBufCursor};
use ::tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// A stream of Tokio's kind for hyper, and the other way round. TLS by tokio-rustls is served
/// through it.
///
/// ```
/// fn for_hyper<T: hyper::rt::Read + hyper::rt::Write>(_: T) {}
/// fn for_tokio<T: tokio::io::AsyncRead + tokio::io::AsyncWrite>(_: T) {}
///
/// // `Cursor` stands for a stream of Tokio's kind, such as `tokio_rustls::server::TlsStream<net::TcpStream>`.
/// for_hyper(net::hyper::TokioIo::new(std::io::Cursor::new(vec![0; 16])));
///
/// fn tunnel(upgraded: hyper::upgrade::Upgraded) {
///     for_tokio(net::hyper::TokioIo::new(upgraded));
/// }
/// ```
///
/// **Go:** none; there `io.Reader` is the one kind.
#[derive(Clone, Copy, Debug)]
pub struct TokioIo<T> {
    inner: T,
}

impl<T> TokioIo<T> {
    /// Wraps a stream.
    ///
    /// ```
    /// let stream = net::hyper::TokioIo::new(std::io::Cursor::new(vec![7; 16]));
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
    /// let stream = net::hyper::TokioIo::new(std::io::Cursor::new(vec![7; 16]));
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
    /// let mut stream = net::hyper::TokioIo::new(std::io::Cursor::new(vec![7; 16]));
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
    /// let stream = net::hyper::TokioIo::new(std::io::Cursor::new(vec![7; 16]));
    /// assert_eq!(stream.into_inner().into_inner(), [7; 16]);
    /// ```
    ///
    /// **Go:** none.
    pub fn into_inner(self) -> T {
        self.inner
    }
}

impl<T: AsyncRead + Unpin> rt::Read for TokioIo<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        mut buf: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        let n = {
            // SAFETY: a `ReadBuf` takes initialised bytes back from nobody.
            let mut inside = ReadBuf::uninit(unsafe { buf.as_mut() });
            let start = inside.filled().as_ptr();
            ready!(Pin::new(&mut self.inner).poll_read(cx, &mut inside))?;
            let filled = inside.filled();
            assert_eq!(
                start,
                filled.as_ptr(),
                "a reader has put another buffer in the place of its own"
            );
            filled.len()
        };
        // SAFETY: a `ReadBuf` has only initialised bytes among its filled ones, and it is still the
        // one that lies over the room.
        unsafe { buf.advance(n) };
        Poll::Ready(Ok(()))
    }
}

impl<T: AsyncWrite + Unpin> rt::Write for TokioIo<T> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write(cx, buf)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
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
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}

impl<T: rt::Read + Unpin> AsyncRead for TokioIo<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let n = {
            // SAFETY: hyper's buffer takes initialised bytes back from nobody.
            let mut inside = rt::ReadBuf::uninit(unsafe { buf.unfilled_mut() });
            ready!(Pin::new(&mut self.inner).poll_read(cx, inside.unfilled()))?;
            inside.filled().len()
        };
        // SAFETY: hyper's buffer has only initialised bytes among its filled ones, which start
        // where the room does.
        unsafe { buf.assume_init(n) };
        buf.advance(n);
        Poll::Ready(Ok(()))
    }
}

impl<T: rt::Write + Unpin> AsyncWrite for TokioIo<T> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write(cx, buf)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
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
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}
