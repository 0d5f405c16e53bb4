//! Copying between anything that reads and anything that writes: one buffer a direction.
//!
//! Before waiting for more, what was written is flushed: the last line of a dialogue is not kept in
//! a buffer.
#![forbid(unsafe_code)]

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use futures_io::{AsyncRead, AsyncWrite};
use runtime::task::coop::poll_proceed;

/// Bytes moved at a time. A guess: large enough that a system call's fixed cost is small, small
/// enough for thousands of proxies.
const BUFFER: usize = 16 * 1024;

/// One direction of two: a transfer, then a close.
#[derive(Debug)]
pub(super) enum OneWay {
    Moving(Transfer),
    Closing(u64),
    Done(u64),
}

impl OneWay {
    pub(super) fn new() -> Self {
        Self::Moving(Transfer::new())
    }

    pub(super) fn poll<R, W>(
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
#[derive(Debug)]
pub(super) struct Transfer {
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
    pub(super) fn new() -> Self {
        Self {
            buffer: vec![0; BUFFER].into(),
            start: 0,
            end: 0,
            total: 0,
            unflushed: false,
            ended: false,
        }
    }

    pub(super) fn poll<R, W>(
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
