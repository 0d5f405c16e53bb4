//! What the handler answers, on its way to hyper: as it is in HTTP/1; in HTTP/2 with what `streams.rs` has to know.
//!
//! hyper hands h2 a chunk of the answer as soon as the client grants room for one byte of it, and, if it was the last chunk, forgets the
//! stream, of which up to all may still lie there, for as long as the client likes. So the last byte of a large chunk goes separately: hyper
//! waits until there is room for it, which is after all that is before it. Smaller chunks may stay behind, a frame for each of the
//! streams that a client may have open, until it is cut off for idling.
#![forbid(unsafe_code)]

use std::future::Future;
use std::io::IoSlice;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use ::hyper::body::{Body, Buf, Frame, SizeHint};
use ::hyper::{Response, StatusCode};
use pin_project_lite::pin_project;

use super::limits::Progress;
use super::streams::{self, Open};

/// Chunks up to this size stay whole: what fits a frame of HTTP/2.
const FRAME: usize = 16 * 1024;

pin_project! {
    /// A handler at work.
    #[derive(Debug)]
    pub(super) struct Answering<F> {
        #[pin]
        future: F,
        // Until the answer has it.
        open: Option<Open>,
        // In HTTP/2.
        by: Option<runtime::time::Instant>,
        // Success makes a tunnel of it.
        is_connect: bool,
    }
}

impl<F> Answering<F> {
    /// The head of the request has just been noted.
    pub(super) fn new(future: F, progress: &Arc<Progress>, is_connect: bool) -> Self {
        let open = Open::new(progress);
        let by = progress.write_by().filter(|_| open.shares());
        Self {
            future,
            open: Some(open),
            by,
            is_connect,
        }
    }
}

impl<F, B, E> Future for Answering<F>
where
    F: Future<Output = Result<Response<B>, E>>,
{
    type Output = Result<Response<Reply<B>>, E>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        if let Some(by) = *this.by {
            streams::limit(by);
        }
        let response = ready!(this.future.poll(cx))?;
        let mut open = this.open.take();
        let status = response.status();
        if status == StatusCode::SWITCHING_PROTOCOLS || *this.is_connect && status.is_success() {
            open.as_mut().into_iter().for_each(Open::stay);
        }
        Poll::Ready(Ok(response.map(|body| Reply {
            body,
            shares: open.as_ref().is_some_and(Open::shares),
            _open: open,
            last: None,
        })))
    }
}

pin_project! {
    /// The body of an answer.
    #[derive(Debug)]
    pub(super) struct Reply<B> {
        #[pin]
        body: B,
        shares: bool,
        _open: Option<Open>,
        // The last byte of the chunk before.
        last: Option<u8>,
    }
}

impl<B: Body> Body for Reply<B> {
    type Data = Piece<B::Data>;
    type Error = B::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, B::Error>>> {
        let this = self.project();
        if let Some(byte) = this.last.take() {
            return Poll::Ready(Some(Ok(Frame::data(Piece::Last([byte], 0)))));
        }
        let Some(frame) = ready!(this.body.poll_frame(cx)?) else {
            return Poll::Ready(None);
        };
        let shares = *this.shares;
        Poll::Ready(Some(Ok(frame.map_data(|data| {
            let piece = if shares { last_byte(&data) } else { None };
            *this.last = piece;
            match piece {
                Some(_) => Piece::Most(data),
                None => Piece::Whole(data),
            }
        }))))
    }

    fn is_end_stream(&self) -> bool {
        self.last.is_none() && self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        let mut hint = self.body.size_hint();
        if self.last.is_some() {
            if let Some(upper) = hint.upper() {
                hint.set_upper(upper + 1);
            }
            hint.set_lower(hint.lower() + 1);
        }
        hint
    }
}

/// The byte to hold back, if the chunk is large, and in one piece, as nearly all are.
fn last_byte(data: &impl Buf) -> Option<u8> {
    let (length, front) = (data.remaining(), data.chunk());
    if length <= FRAME || front.len() < length {
        return None;
    }
    front.last().copied()
}

/// A chunk, or all but its last byte, or that byte and how many of it have gone.
#[derive(Debug)]
pub(super) enum Piece<D> {
    Whole(D),
    Most(D),
    Last([u8; 1], usize),
}

impl<D: Buf> Buf for Piece<D> {
    fn remaining(&self) -> usize {
        match self {
            Self::Whole(data) => data.remaining(),
            Self::Most(data) => data.remaining() - 1,
            Self::Last(byte, gone) => byte.len() - gone,
        }
    }

    fn chunk(&self) -> &[u8] {
        match self {
            Self::Whole(data) => data.chunk(),
            Self::Most(data) => {
                let front = data.chunk();
                &front[..front.len().min(data.remaining() - 1)]
            }
            Self::Last(byte, gone) => &byte[*gone..],
        }
    }

    fn chunks_vectored<'a>(&'a self, into: &mut [IoSlice<'a>]) -> usize {
        match self {
            Self::Whole(data) => data.chunks_vectored(into),
            _ if into.is_empty() || !self.has_remaining() => 0,
            _ => {
                into[0] = IoSlice::new(self.chunk());
                1
            }
        }
    }

    fn advance(&mut self, n: usize) {
        match self {
            Self::Whole(data) => data.advance(n),
            Self::Most(data) => {
                assert!(n < data.remaining(), "advanced past the end of a chunk");
                data.advance(n);
            }
            Self::Last(byte, gone) => {
                assert!(*gone + n <= byte.len(), "advanced past the end of a chunk");
                *gone += n;
            }
        }
    }
}
