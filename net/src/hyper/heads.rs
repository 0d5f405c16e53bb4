//! What an HTTP/2 client sends, seen before hyper sees it: where a request begins whose body is
//! still to come, and where it ends.
//!
//! It is there for the read limit; without one, everything passes as it is. With one, what is read
//! goes through a buffer, which is given back when it is empty, and in which the frames are looked
//! at: nine bytes each, and the payload of none. hyper gets bytes up to the end of one request's
//! head, then nothing once. When it finds nothing to read it calls the handlers of the heads that
//! it has got: that is this one's, and nobody else's (`uploads.rs` tells what for). A head that it
//! refuses calls nobody, and is forgotten when hyper asks for more.
//!
//! A client that breaks the protocol is hyper's affair: whatever the frames are, they are passed
//! on.
#![forbid(unsafe_code)]

use std::io::{self, IoSlice};
use std::mem;
use std::pin::Pin;
use std::sync::{Arc, Weak};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use ::hyper::rt::{Read, ReadBuf, ReadBufCursor, Write};
use runtime::time::Instant;

use super::limits::Progress;
use super::uploads::Upload;

/// What is read at once. A frame of the usual greatest length, and its head.
const BUFFER: usize = 16 * 1024 + 9;

/// Of each frame, before the payload.
const FRAME_HEAD: usize = 9;

// Kinds of frames, and their flags (RFC 9113, 6).
const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RESET: u8 = 3;
const CONTINUATION: u8 = 9;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;

/// See the story of this file.
#[derive(Debug)]
pub(super) struct Heads<T> {
    stream: T,
    watch: Option<Watch>,
}

/// With a read limit.
#[derive(Debug)]
struct Watch {
    limit: Duration,
    progress: Arc<Progress>,
    frames: Frames,
    /// Those whose end has not been seen; the handlers of some may have gone.
    uploads: Vec<(u32, Weak<Upload>)>,
    ahead: Ahead,
    /// hyper has just been given a head, and is to find nothing once.
    paused: bool,
}

/// Bytes that hyper has not had: those from `at` to `end`.
#[derive(Debug, Default)]
struct Ahead {
    /// Empty while nothing comes.
    bytes: Vec<u8>,
    at: usize,
    end: usize,
}

impl<T> Heads<T> {
    /// A stream that begins with a preface of so many bytes.
    pub(super) fn new(stream: T, progress: &Arc<Progress>, preface: usize) -> Self {
        let watch = progress.limits().read.map(|limit| Watch {
            limit,
            progress: Arc::clone(progress),
            frames: Frames::after(preface),
            uploads: Vec::new(),
            ahead: Ahead::default(),
            paused: false,
        });
        Self { stream, watch }
    }
}

impl Watch {
    fn poll_read<T: Read + Unpin>(
        &mut self,
        stream: &mut T,
        cx: &mut Context<'_>,
        mut into: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        if mem::take(&mut self.paused) {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        self.progress.uploads.announce(None);
        if self.ahead.rest().is_empty() {
            ready!(self.ahead.fill(stream, cx))?;
        }
        let rest = self.ahead.rest();
        let most = rest.len().min(into.remaining());
        let (n, seen) = self.frames.pass(&rest[..most]);
        into.put_slice(&rest[..n]);
        self.ahead.at += n;
        match seen {
            Some(Seen::Begun(stream)) => self.begin(stream),
            Some(Seen::Whole) => self.paused = true,
            Some(Seen::Ended(stream)) => self.end(stream),
            None => {}
        }
        Poll::Ready(Ok(()))
    }

    fn begin(&mut self, stream: u32) {
        self.paused = true;
        self.uploads.retain(|(_, upload)| upload.strong_count() > 0);
        // What is due after the end of the clock is never due.
        let Some(by) = Instant::now().checked_add(self.limit) else {
            return;
        };
        let upload = Upload::new(by);
        self.uploads.push((stream, Arc::downgrade(&upload)));
        self.progress.uploads.announce(Some(upload));
    }

    fn end(&mut self, stream: u32) {
        let ended = |(id, _): &(u32, Weak<Upload>)| *id == stream;
        if let Some(at) = self.uploads.iter().position(ended) {
            let (_, upload) = self.uploads.swap_remove(at);
            upload.upgrade().iter().for_each(|upload| upload.finish());
        }
    }
}

impl Ahead {
    fn rest(&self) -> &[u8] {
        &self.bytes[self.at..self.end]
    }

    /// Reads what there is; nothing at all is the end. While nothing comes, there is no buffer.
    fn fill<T: Read + Unpin>(
        &mut self,
        stream: &mut T,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<()>> {
        self.bytes.resize(BUFFER, 0);
        let mut buf = ReadBuf::new(&mut self.bytes);
        let read = Pin::new(stream).poll_read(cx, buf.unfilled());
        (self.at, self.end) = (0, buf.filled().len());
        if self.end == 0 {
            self.bytes = Vec::new();
        }
        read
    }
}

/// What the frames say.
#[derive(Debug, PartialEq, Eq)]
enum Seen {
    /// The head of this stream is there, and opens it.
    Begun(u32),
    /// The same, and it is all of the request.
    Whole,
    /// All of this one is there, or it has been given up.
    Ended(u32),
}

/// Where in the frames we are.
#[derive(Debug)]
struct Frames {
    /// The beginning of the frame, as far as it is there.
    head: [u8; FRAME_HEAD],
    got: usize,
    /// What is left of the payload, or of the preface.
    left: usize,
    /// A frame has begun.
    within: bool,
    /// The latest stream that was opened.
    newest: u32,
    /// Of the last head: whether it opened a stream, whether it ended one.
    opens: bool,
    ends: bool,
}

impl Frames {
    fn after(preface: usize) -> Self {
        Self {
            head: [0; FRAME_HEAD],
            got: 0,
            left: preface,
            within: false,
            newest: 0,
            opens: false,
            ends: false,
        }
    }

    /// Passes bytes until one of the frames says something. How many, and what.
    fn pass(&mut self, bytes: &[u8]) -> (usize, Option<Seen>) {
        let mut passed = 0;
        loop {
            let n = self.left.min(bytes.len() - passed);
            self.left -= n;
            passed += n;
            if self.left > 0 {
                return (passed, None);
            }
            if let Some(seen) = self.end_frame() {
                return (passed, Some(seen));
            }
            let rest = &bytes[passed..];
            let n = rest.len().min(FRAME_HEAD - self.got);
            self.head[self.got..self.got + n].copy_from_slice(&rest[..n]);
            self.got += n;
            passed += n;
            if self.got < FRAME_HEAD {
                return (passed, None);
            }
            let [a, b, c, ..] = self.head;
            self.left = u32::from_be_bytes([0, a, b, c]) as usize;
            (self.got, self.within) = (0, true);
        }
    }

    fn end_frame(&mut self) -> Option<Seen> {
        if !mem::take(&mut self.within) {
            return None;
        }
        let [_, _, _, kind, flags, stream @ ..] = self.head;
        // The first bit is reserved.
        let stream = u32::from_be_bytes(stream) & (u32::MAX >> 1);
        if kind == HEADERS {
            self.opens = stream > self.newest;
            self.ends = flags & END_STREAM != 0;
            self.newest = stream.max(self.newest);
        }
        match kind {
            HEADERS | CONTINUATION if flags & END_HEADERS == 0 => None,
            HEADERS | CONTINUATION if self.opens && self.ends => Some(Seen::Whole),
            HEADERS | CONTINUATION if self.opens => Some(Seen::Begun(stream)),
            HEADERS | CONTINUATION if self.ends => Some(Seen::Ended(stream)),
            DATA if flags & END_STREAM != 0 => Some(Seen::Ended(stream)),
            RESET => Some(Seen::Ended(stream)),
            _ => None,
        }
    }
}

impl<T: Read + Unpin> Read for Heads<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        match &mut this.watch {
            Some(watch) if buf.remaining() > 0 => watch.poll_read(&mut this.stream, cx, buf),
            _ => Pin::new(&mut this.stream).poll_read(cx, buf),
        }
    }
}

impl<T: Write + Unpin> Write for Heads<T> {
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

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(kind: u8, flags: u8, stream: u32, payload: usize) -> Vec<u8> {
        let mut frame = (payload as u32).to_be_bytes()[1..].to_vec();
        frame.extend([kind, flags]);
        frame.extend(stream.to_be_bytes());
        frame.extend(vec![0xff; payload]);
        frame
    }

    /// What the frames say, and after how many bytes, given so many at a time.
    fn seen(bytes: &[u8], step: usize) -> Vec<(usize, Seen)> {
        let mut frames = Frames::after(3);
        let (mut at, mut all) = (0, Vec::new());
        while at < bytes.len() {
            let end = bytes.len().min(at + step);
            let (n, seen) = frames.pass(&bytes[at..end]);
            at += n;
            assert!(seen.is_some() || at == end);
            all.extend(seen.map(|seen| (at, seen)));
        }
        all
    }

    #[test]
    fn beginnings_and_ends_are_seen_where_they_are_however_the_bytes_come() {
        let mut bytes = b"pre".to_vec();
        let mut expected = Vec::new();
        let mut add = |frame: Vec<u8>, seen: Option<Seen>| {
            bytes.extend(frame);
            expected.extend(seen.map(|seen| (bytes.len(), seen)));
        };
        // Settings, and one request that is all head.
        add(frame(4, 0, 0, 6), None);
        add(
            frame(HEADERS, END_HEADERS | END_STREAM, 1, 5),
            Some(Seen::Whole),
        );
        // An upload; its head in three frames, one without anything in it, and its end in one of
        // those.
        add(frame(HEADERS, 0, 3, 20), None);
        add(frame(CONTINUATION, 0, 3, 0), None);
        add(frame(CONTINUATION, END_HEADERS, 3, 7), Some(Seen::Begun(3)));
        add(frame(DATA, 0, 3, 100), None);
        add(frame(DATA, END_STREAM, 3, 0), Some(Seen::Ended(3)));
        // Two at once; one ends with trailers, one is given up.
        add(frame(HEADERS, END_HEADERS, 5, 1), Some(Seen::Begun(5)));
        add(frame(HEADERS, END_HEADERS, 7, 1), Some(Seen::Begun(7)));
        add(
            frame(HEADERS, END_HEADERS | END_STREAM, 5, 9),
            Some(Seen::Ended(5)),
        );
        add(frame(RESET, 0, 7, 4), Some(Seen::Ended(7)));
        // The reserved bit means nothing, and neither do such flags elsewhere.
        add(
            frame(HEADERS, END_HEADERS, 1 << 31 | 9, 1),
            Some(Seen::Begun(9)),
        );
        add(frame(6, END_STREAM | END_HEADERS, 9, 8), None);
        add(frame(DATA, END_STREAM, 9, 70), Some(Seen::Ended(9)));
        for step in [1, 2, 3, 7, 64, bytes.len()] {
            assert_eq!(seen(&bytes, step), expected, "{step} at a time");
        }
    }
}
