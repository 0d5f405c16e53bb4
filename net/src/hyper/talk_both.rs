//! What is spoken on a connection: HTTP/1, or HTTP/2 with clients that begin with its preface.
//! (Without feature `http2`, `talk_http1.rs` stands in the place of this file.)
//!
//! The first bytes decide, so that it works the same with TLS and without, whatever has been
//! negotiated. They are read into 24 bytes and given back in front of the rest; most of HTTP/1 is
//! known by its first byte, as no method that is in use begins with `PRI`. A client that says
//! nothing is subject to the header timeout here as well.
#![forbid(unsafe_code)]

use std::future::poll_fn;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use ::hyper::rt::{Read, ReadBuf, ReadBufCursor, Write};
use ::hyper::server::conn::{http1, http2};
use runtime::time::timeout;

use super::connection::{Caller, converse, converse_http1};
use super::heads::Heads;
use super::idle::Idle;
use super::limits::{Limits, Progress};
use super::timed::Timed;
use super::{Answer, BoxError, Executor, Timer};
use crate::serve::crowd::{Member, Word};

/// What an HTTP/2 client says first (RFC 9113, 3.4).
const PREFACE: &[u8; 24] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// How to speak to clients.
#[derive(Clone, Debug)]
pub(super) struct Protocols {
    http1: http1::Builder,
    http2: http2::Builder<Executor>,
}

impl Protocols {
    pub(super) fn new() -> Self {
        let mut http1 = http1::Builder::new();
        // As in Go: who has sent a request and ends sending is not gone, and gets the answer.
        http1.timer(Timer).half_close(true);
        let mut http2 = http2::Builder::new(Executor);
        http2.timer(Timer);
        Self { http1, http2 }
    }

    /// hyper is told for HTTP/1 that there is a limit; which one it is, is `limits.rs`' business.
    /// An HTTP/2 client that is silent for as long as it may be idle is asked whether it is there,
    /// and cut off if it does not answer.
    pub(super) fn limit(&mut self, limits: Limits) {
        self.http1.header_read_timeout(limits.for_hyper());
        // Or hyper would read ahead while the handler is at work, and be told that the request is
        // late.
        if limits.read.is_some() {
            self.http1.half_close(true);
        }
        self.http2.keep_alive_interval(limits.idle);
    }

    pub(super) fn http1(&mut self) -> &mut http1::Builder {
        &mut self.http1
    }

    pub(super) fn http2(&mut self) -> &mut http2::Builder<Executor> {
        &mut self.http2
    }

    /// Finds out what the client speaks, and speaks it until one side ends it.
    pub(super) async fn talk<T, S, P, Kind>(
        &self,
        stream: Timed<T>,
        caller: Caller<S, P, Kind>,
        mut member: Member,
        progress: &Arc<Progress>,
    ) -> Result<(), BoxError>
    where
        T: Read + Write + Unpin + Send + 'static,
        S: Answer<Kind>,
        P: Clone + Send + Sync + 'static,
        Kind: 'static,
    {
        let limit = progress.limits().head.unwrap_or(Duration::MAX);
        let listening = timeout(limit, Begun::read(stream));
        let begun = match member.unless(Word::Finish, listening).await {
            None => return Ok(()),
            Some(begun) => begun.map_err(io::Error::from)??,
        };
        if begun.is_http2() {
            progress.release();
            let mut idle = Idle::new(progress);
            let stream = Heads::new(begun, progress, PREFACE.len());
            let connection = self.http2.serve_connection(stream, caller);
            let idle = |cx: &mut Context<'_>| match &mut idle {
                Some(idle) => idle.poll(cx),
                None => Poll::Pending,
            };
            converse(connection, member, idle).await
        } else {
            converse_http1(self.http1.clone(), begun, caller, member, progress).await
        }
    }
}

/// A stream of which some bytes have been read, and which gives them back first.
#[derive(Debug)]
struct Begun<T> {
    stream: T,
    first: [u8; PREFACE.len()],
    /// What has been read, and of that, what has been given back.
    read: usize,
    given: usize,
}

impl<T: Read + Unpin> Begun<T> {
    /// Reads as long as it may be the preface.
    async fn read(stream: T) -> io::Result<Self> {
        let mut begun = Self {
            stream,
            first: [0; PREFACE.len()],
            read: 0,
            given: 0,
        };
        while begun.is_undecided() && begun.read_some().await? > 0 {}
        Ok(begun)
    }

    fn is_undecided(&self) -> bool {
        self.read < PREFACE.len() && self.first[..self.read] == PREFACE[..self.read]
    }

    fn is_http2(&self) -> bool {
        self.first == *PREFACE
    }

    async fn read_some(&mut self) -> io::Result<usize> {
        let mut buf = ReadBuf::new(&mut self.first[self.read..]);
        poll_fn(|cx| Pin::new(&mut self.stream).poll_read(cx, buf.unfilled())).await?;
        let n = buf.filled().len();
        self.read += n;
        Ok(n)
    }
}

impl<T: Read + Unpin> Read for Begun<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        mut buf: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        if this.given == this.read {
            return Pin::new(&mut this.stream).poll_read(cx, buf);
        }
        let rest = &this.first[this.given..this.read];
        let n = rest.len().min(buf.remaining());
        buf.put_slice(&rest[..n]);
        this.given += n;
        Poll::Ready(Ok(()))
    }
}

impl<T: Write + Unpin> Write for Begun<T> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, bufs)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
