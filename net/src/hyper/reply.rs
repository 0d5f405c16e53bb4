//! What the handler answers, on its way to hyper: as it is in HTTP/1; in HTTP/2 with what
//! `streams.rs` has to know.
//!
//! hyper hands h2 a chunk of the answer as soon as the client grants room for one byte of it, and,
//! if it was the last chunk, forgets the stream, of which up to all may still lie there, for as
//! long as the client likes. So the last byte of a chunk goes separately: hyper waits until there
//! is room for it, which is after all that is before it. That is a frame more, and so it is done
//! where it matters: where an answer has a limit of time, which would not be kept otherwise, and
//! with large chunks. Without a limit a smaller chunk may stay behind, a frame for each of the
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
use runtime::time::Instant;

use super::limits::Progress;
use super::streams::{self, Ends, Open};
use super::uploads::Upload;

/// Without a limit of time, chunks up to this size stay whole: what fits a frame of HTTP/2.
const FRAME: usize = 16 * 1024;

/// Buffers of one chunk among which the last byte is looked for. A guess: chunks of more than two
/// are hardly ever seen.
const BUFFERS: usize = 16;

pin_project! {
    /// A handler at work.
    #[derive(Debug)]
    pub(super) struct Answering<F> {
        #[pin]
        future: F,
        // Until the answer has it.
        open: Option<Open>,
        // In HTTP/2.
        by: Option<Instant>,
        upload: Option<Arc<Upload>>,
        // Success makes a tunnel of it.
        is_connect: bool,
    }
}

impl<F> Answering<F> {
    /// The head of the request has just been noted.
    pub(super) fn new(
        future: F,
        progress: &Arc<Progress>,
        upload: Option<Arc<Upload>>,
        is_connect: bool,
    ) -> Self {
        let open = Open::new(progress);
        let by = progress.write_by().filter(|_| open.shares());
        Self {
            future,
            open: Some(open),
            by,
            upload,
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
        let due = this.upload.as_ref().and_then(|upload| upload.stream_due());
        let late = due.is_some_and(|by| Instant::now() >= by);
        if this.by.is_some() || this.upload.is_some() {
            streams::limit(Ends {
                answer: *this.by,
                // What is given up has no limit any more, but that for its answer.
                upload: this.upload.clone().filter(|_| !late),
            });
        }
        let response = match late {
            true => not_sent(),
            false => ready!(this.future.poll(cx))?.map(Some),
        };
        let mut open = this.open.take();
        let status = response.status();
        if status == StatusCode::SWITCHING_PROTOCOLS || *this.is_connect && status.is_success() {
            open.as_mut().into_iter().for_each(Open::stay);
        }
        Poll::Ready(Ok(response.map(|body| Reply {
            body,
            whole: match open.as_ref().is_some_and(Open::shares) {
                false => usize::MAX,
                true if this.by.is_some() => 1,
                true => FRAME,
            },
            _open: open,
            last: None,
        })))
    }
}

/// The answer to a request that has not come in time: its handler is dropped.
fn not_sent<B>() -> Response<Option<B>> {
    let mut response = Response::new(None);
    *response.status_mut() = StatusCode::REQUEST_TIMEOUT;
    response
}

pin_project! {
    /// The body of an answer.
    #[derive(Debug)]
    pub(super) struct Reply<B> {
        // `None`: nothing.
        #[pin]
        body: Option<B>,
        // Chunks up to this size stay whole.
        whole: usize,
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
        let Some(body) = this.body.as_pin_mut() else {
            return Poll::Ready(None);
        };
        let Some(frame) = ready!(body.poll_frame(cx)?) else {
            return Poll::Ready(None);
        };
        Poll::Ready(Some(Ok(frame.map_data(|data| {
            let is_large = data.remaining() > *this.whole;
            *this.last = is_large.then(|| last_byte(&data)).flatten();
            match *this.last {
                Some(_) => Piece::Most(data),
                None => Piece::Whole(data),
            }
        }))))
    }

    fn is_end_stream(&self) -> bool {
        let is_at_end = self.body.as_ref().is_none_or(B::is_end_stream);
        self.last.is_none() && is_at_end
    }

    fn size_hint(&self) -> SizeHint {
        let nothing = SizeHint::with_exact(0);
        let mut hint = self.body.as_ref().map_or(nothing, B::size_hint);
        if self.last.is_some() {
            if let Some(upper) = hint.upper() {
                hint.set_upper(upper + 1);
            }
            hint.set_lower(hint.lower() + 1);
        }
        hint
    }
}

/// The byte to hold back, if it can be seen.
fn last_byte(data: &impl Buf) -> Option<u8> {
    let mut buffers = [IoSlice::new(&[]); BUFFERS];
    let n = data.chunks_vectored(&mut buffers);
    let seen = &buffers[..n];
    let is_all = seen.iter().map(|buffer| buffer.len()).sum::<usize>() == data.remaining();
    let last = seen.iter().rev().find(|buffer| !buffer.is_empty());
    last.filter(|_| is_all)?.last().copied()
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

#[cfg(test)]
mod tests {
    use super::*;

    /// Shows one buffer at a time.
    struct Shy<B>(B);

    impl<B: Buf> Buf for Shy<B> {
        fn remaining(&self) -> usize {
            self.0.remaining()
        }

        fn chunk(&self) -> &[u8] {
            self.0.chunk()
        }

        fn advance(&mut self, n: usize) {
            self.0.advance(n);
        }
    }

    /// All that a chunk says it is.
    fn bytes(mut data: impl Buf) -> Vec<u8> {
        let mut bytes = Vec::new();
        while data.has_remaining() {
            let front = data.chunk().to_vec();
            data.advance(front.len());
            bytes.extend(front);
        }
        bytes
    }

    #[test]
    fn the_last_byte_is_found_in_one_buffer_and_in_the_last_of_several() {
        assert_eq!(last_byte(&&b"abc"[..]), Some(b'c'));
        assert_eq!(last_byte(&(&b"abc"[..]).chain(&b"de"[..])), Some(b'e'));
        assert_eq!(last_byte(&(&b"abc"[..]).chain(&b""[..])), Some(b'c'));
        // Who shows its first buffer alone, has none in sight.
        let shy = Shy((&b"abc"[..]).chain(&b"de"[..]));
        assert_eq!(last_byte(&shy), None);
    }

    #[test]
    fn a_chunk_and_its_last_byte_are_the_chunk() {
        let most = bytes(Piece::Most((&b"abc"[..]).chain(&b"de"[..])));
        let last = bytes(Piece::<&[u8]>::Last([b'e'], 0));
        assert_eq!((&most[..], &last[..]), (&b"abcd"[..], &b"e"[..]));
        assert_eq!(bytes(Piece::Most((&b"abc"[..]).chain(&b"d"[..]))), b"abc");
        assert_eq!(bytes(Piece::Whole(&b"abc"[..])), b"abc");
    }
}
