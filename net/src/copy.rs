//! Moving bytes from one stream to another, and both ways between two.
//!
//! One buffer a direction; what has been read is written out before more is read, so that a slow receiver holds its sender back and
//! memory stays bounded. Before waiting for more, what was written is flushed: the last line of a dialogue is not kept in a buffer.
#![forbid(unsafe_code)]

use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use futures_io::{AsyncRead, AsyncWrite};
use runtime::task::coop::poll_proceed;

/// Bytes moved at a time. A guess: large enough that a system call's fixed cost is small, small enough for thousands of proxies.
const BUFFER: usize = 16 * 1024;

/// Copies everything from `reader` to `writer`, flushes, and returns the number of bytes.
///
/// The writer is not closed.
///
/// # Errors
///
/// The first error of either; [`WriteZero`](io::ErrorKind::WriteZero) if the writer takes nothing any more.
///
/// # Cancel safety
///
/// Not cancel safe: bytes that have been read and not written are lost.
///
/// ```
/// # runtime::block_on(async {
/// # let listener = net::TcpListener::bind("127.0.0.1:0").await?;
/// let client = net::TcpStream::connect(listener.local_addr()?).await?;
/// let (server, _) = listener.accept().await?;
/// client.write_all(b"hello").await?;
/// client.shutdown(std::net::Shutdown::Write)?;
/// // An echo server: reads and writes go through `&TcpStream`.
/// assert_eq!(net::copy(&mut &server, &mut &server).await?, 5);
/// # std::io::Result::Ok(()) }).unwrap();
/// ```
///
/// **Go:** `io.Copy(w, r)`, which hands the work to the kernel where it can.
pub async fn copy<R, W>(reader: &mut R, writer: &mut W) -> io::Result<u64>
where
    R: AsyncRead + Unpin + ?Sized,
    W: AsyncWrite + Unpin + ?Sized,
{
    let mut transfer = Transfer::new();
    poll_fn(|cx| transfer.poll(cx, Pin::new(&mut *reader), Pin::new(&mut *writer))).await
}

/// Copies both ways between `a` and `b` until both have finished sending. Returns the bytes from `a` to `b`, and from `b` to `a`.
///
/// When one finishes sending, the other is told by a close of its sending side, and may go on.
///
/// # Errors
///
/// The first error of either; the other direction ends with it.
///
/// # Cancel safety
///
/// Not cancel safe: bytes that have been read and not written are lost.
///
/// ```no_run
/// # async fn proxy() -> std::io::Result<()> {
/// let listener = net::TcpListener::bind("127.0.0.1:8080").await?;
/// loop {
///     let (mut client, _) = listener.accept().await?;
///     runtime::spawn(async move {
///         let mut server = net::TcpStream::connect("127.0.0.1:80").await?;
///         net::copy_bidirectional(&mut client, &mut server).await
///     });
/// }
/// # }
/// ```
///
/// **Go:** two goroutines with `io.Copy` and `CloseWrite`.
pub async fn copy_bidirectional<A, B>(a: &mut A, b: &mut B) -> io::Result<(u64, u64)>
where
    A: AsyncRead + AsyncWrite + Unpin + ?Sized,
    B: AsyncRead + AsyncWrite + Unpin + ?Sized,
{
    let (mut there, mut back) = (OneWay::new(), OneWay::new());
    poll_fn(|cx| {
        // Both, whatever the first one says: each has to leave its waker.
        let to_b = there.poll(cx, Pin::new(&mut *a), Pin::new(&mut *b))?;
        let to_a = back.poll(cx, Pin::new(&mut *b), Pin::new(&mut *a))?;
        match (to_b, to_a) {
            (Poll::Ready(to_b), Poll::Ready(to_a)) => Poll::Ready(Ok((to_b, to_a))),
            _ => Poll::Pending,
        }
    })
    .await
}

/// One direction of two: a transfer, then a close.
enum OneWay {
    Moving(Transfer),
    Closing(u64),
    Done(u64),
}

impl OneWay {
    fn new() -> Self {
        Self::Moving(Transfer::new())
    }

    fn poll<R, W>(
        &mut self,
        cx: &mut Context<'_>,
        reader: Pin<&mut R>,
        mut writer: Pin<&mut W>,
    ) -> Poll<io::Result<u64>>
    where
        R: AsyncRead + ?Sized,
        W: AsyncWrite + ?Sized,
    {
        if let Self::Moving(transfer) = self {
            let total = ready!(transfer.poll(cx, reader, writer.as_mut()))?;
            // Gives the buffer back: the other direction may go on for long.
            *self = Self::Closing(total);
        }
        if let Self::Closing(total) = *self {
            ready!(writer.poll_close(cx))?;
            *self = Self::Done(total);
        }
        match *self {
            Self::Done(total) => Poll::Ready(Ok(total)),
            Self::Moving(_) | Self::Closing(_) => Poll::Pending,
        }
    }
}

/// Bytes on their way.
struct Transfer {
    buffer: Box<[u8]>,
    /// What has been read and not yet written.
    start: usize,
    end: usize,
    total: u64,
    /// Written since the last flush.
    unflushed: bool,
    /// The reader has come to its end.
    ended: bool,
}

impl Transfer {
    fn new() -> Self {
        Self {
            buffer: vec![0; BUFFER].into(),
            start: 0,
            end: 0,
            total: 0,
            unflushed: false,
            ended: false,
        }
    }

    fn poll<R, W>(
        &mut self,
        cx: &mut Context<'_>,
        mut reader: Pin<&mut R>,
        mut writer: Pin<&mut W>,
    ) -> Poll<io::Result<u64>>
    where
        R: AsyncRead + ?Sized,
        W: AsyncWrite + ?Sized,
    {
        loop {
            // For readers and writers that have no budget of their own, such as bytes in memory.
            let proceed = ready!(poll_proceed(cx));
            if !self.ended && self.start == self.end {
                match self.poll_fill(cx, reader.as_mut()) {
                    Poll::Ready(filled) => filled?,
                    Poll::Pending => {
                        ready!(self.poll_flush(cx, writer))?;
                        return Poll::Pending;
                    }
                }
            }
            ready!(self.poll_drain(cx, writer.as_mut()))?;
            if self.ended {
                ready!(self.poll_flush(cx, writer))?;
                return Poll::Ready(Ok(self.total));
            }
            proceed.made_progress();
        }
    }

    /// Reads once into the empty buffer.
    fn poll_fill<R: AsyncRead + ?Sized>(
        &mut self,
        cx: &mut Context<'_>,
        mut reader: Pin<&mut R>,
    ) -> Poll<io::Result<()>> {
        loop {
            match ready!(reader.as_mut().poll_read(cx, &mut self.buffer)) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Poll::Ready(Err(error)),
                Ok(n) => {
                    (self.start, self.end) = (0, n);
                    self.ended = n == 0;
                    return Poll::Ready(Ok(()));
                }
            }
        }
    }

    /// Writes until the buffer is empty.
    fn poll_drain<W: AsyncWrite + ?Sized>(
        &mut self,
        cx: &mut Context<'_>,
        mut writer: Pin<&mut W>,
    ) -> Poll<io::Result<()>> {
        while self.start < self.end {
            let rest = &self.buffer[self.start..self.end];
            match ready!(writer.as_mut().poll_write(cx, rest)) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Poll::Ready(Err(error)),
                Ok(0) => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                Ok(n) => {
                    self.start += n;
                    self.total += n as u64;
                    self.unflushed = true;
                }
            }
        }
        Poll::Ready(Ok(()))
    }

    fn poll_flush<W: AsyncWrite + ?Sized>(
        &mut self,
        cx: &mut Context<'_>,
        writer: Pin<&mut W>,
    ) -> Poll<io::Result<()>> {
        if self.unflushed {
            ready!(writer.poll_flush(cx))?;
            self.unflushed = false;
        }
        Poll::Ready(Ok(()))
    }
}
