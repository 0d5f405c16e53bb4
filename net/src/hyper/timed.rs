//! A connection's stream, held to the limits of `limits.rs`.
//!
//! Reads fail when the request should have been there, as in Go, also where bytes are ready. In
//! HTTP/1 every write fails when the answer should have been taken. In HTTP/2, where answers share
//! a connection and there is always something to write, a write fails that would block. Any of it
//! ends the connection. No timer is made for a client that sends and takes what there is.
#![forbid(unsafe_code)]

use std::future::Future;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use ::hyper::rt::{Read, ReadBufCursor, Write};
use runtime::time::{Instant, Sleep, sleep_until};

use super::limits::Progress;

/// A stream whose client has to send and to take in time.
#[derive(Debug)]
pub(super) struct Timed<T> {
    stream: T,
    progress: Arc<Progress>,
    /// For a write that would block.
    write: Patience,
    /// For a read that would block.
    read: Patience,
}

/// A timer that is made when it is first needed.
#[derive(Debug, Default)]
struct Patience(Option<Pin<Box<Sleep>>>);

impl Patience {
    /// Ready at the time that `by` says, which may be another one when the first is there. Without
    /// a time it waits for nothing.
    fn poll(&mut self, cx: &mut Context<'_>, by: impl Fn() -> Option<Instant>) -> Poll<()> {
        while let Some(now_by) = by() {
            let sleep = self.0.get_or_insert_with(|| Box::pin(sleep_until(now_by)));
            if sleep.deadline() != now_by {
                sleep.as_mut().reset(now_by);
            }
            ready!(sleep.as_mut().poll(cx));
            if by() == Some(now_by) {
                return Poll::Ready(());
            }
        }
        Poll::Pending
    }
}

impl<T> Timed<T> {
    pub(super) fn new(stream: T, progress: Arc<Progress>) -> Self {
        Self {
            stream,
            progress,
            write: Patience::default(),
            read: Patience::default(),
        }
    }

    /// Writes, unless it is too late; what has to wait does so until then.
    fn write<R>(
        &mut self,
        cx: &mut Context<'_>,
        write: impl FnOnce(Pin<&mut T>, &mut Context<'_>) -> Poll<io::Result<R>>,
    ) -> Poll<io::Result<R>>
    where
        T: Unpin,
    {
        if self.progress.is_write_late() {
            return Poll::Ready(Err(not_taken()));
        }
        match write(Pin::new(&mut self.stream), cx) {
            Poll::Pending => self.wait_to_write(cx).map(Err),
            written => written,
        }
    }

    fn wait_to_write(&mut self, cx: &mut Context<'_>) -> Poll<io::Error> {
        let progress = &self.progress;
        self.write
            .poll(cx, || progress.write_by())
            .map(|()| not_taken())
    }
}

#[cold]
fn not_taken() -> io::Error {
    let text = "the answer was not taken by the client within the write timeout";
    io::Error::new(io::ErrorKind::TimedOut, text)
}

#[cold]
pub(super) fn not_sent() -> io::Error {
    let text = "the request was not sent by the client within the read timeout";
    io::Error::new(io::ErrorKind::TimedOut, text)
}

impl<T: Read + Unpin> Read for Timed<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        if this.progress.is_read_late() {
            return Poll::Ready(Err(not_sent()));
        }
        match Pin::new(&mut this.stream).poll_read(cx, buf) {
            Poll::Ready(read) => {
                this.progress.received();
                Poll::Ready(read)
            }
            Poll::Pending => {
                let progress = &this.progress;
                let late = this.read.poll(cx, || progress.read_by());
                late.map(|()| Err(not_sent()))
            }
        }
    }
}

impl<T: Write + Unpin> Write for Timed<T> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.write(cx, |stream, cx| stream.poll_write(cx, buf))
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.write(cx, |stream, cx| stream.poll_write_vectored(cx, bufs))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match Pin::new(&mut self.stream).poll_flush(cx) {
            Poll::Pending => self.wait_to_write(cx).map(Err),
            flushed => {
                self.progress.flushed();
                flushed
            }
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match Pin::new(&mut self.stream).poll_shutdown(cx) {
            Poll::Pending => self.wait_to_write(cx).map(Err),
            ended => ended,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;
    use std::pin::pin;
    use std::task::Waker;
    use std::time::Duration;

    use runtime::time::sleep;

    use super::*;
    use crate::hyper::limits::Limits;

    const WHILE: Duration = Duration::from_secs(10);
    const LONGER: Duration = Duration::from_secs(11);

    /// Takes bytes, or does not.
    #[derive(Debug)]
    struct Sink {
        full: bool,
    }

    impl Sink {
        fn now<R>(&self, done: R) -> Poll<io::Result<R>> {
            match self.full {
                true => Poll::Pending,
                false => Poll::Ready(Ok(done)),
            }
        }
    }

    impl Write for Sink {
        fn poll_write(
            self: Pin<&mut Self>,
            _: &mut Context<'_>,
            buf: &[u8],
        ) -> Poll<io::Result<usize>> {
            self.now(buf.len())
        }

        fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            self.now(())
        }

        fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            self.now(())
        }
    }

    fn progress() -> Arc<Progress> {
        Progress::new(Limits {
            head: None,
            idle: None,
            read: Some(WHILE),
            write: Some(WHILE),
        })
    }

    fn paused(test: impl Future<Output = ()>) {
        let runtime = runtime::Builder::new().start_paused(true).build().unwrap();
        runtime.block_on(test);
    }

    async fn write(stream: &mut Timed<Sink>) -> io::Result<usize> {
        poll_fn(|cx| Pin::new(&mut *stream).poll_write(cx, b"1234")).await
    }

    async fn flush(stream: &mut Timed<Sink>) -> io::Result<()> {
        poll_fn(|cx| Pin::new(&mut *stream).poll_flush(cx)).await
    }

    fn is_late<R>(written: io::Result<R>) -> bool {
        written.is_err_and(|error| error.kind() == io::ErrorKind::TimedOut)
    }

    #[test]
    fn a_write_that_waits_fails_when_the_limit_has_passed() {
        paused(async {
            let progress = progress();
            let mut stream = Timed::new(Sink { full: true }, Arc::clone(&progress));
            progress.ask();
            let start = Instant::now();
            assert!(is_late(write(&mut stream).await));
            assert!((WHILE..LONGER).contains(&start.elapsed()));
            assert!(is_late(flush(&mut stream).await));
            // The next request has as much time again.
            progress.ask();
            let start = Instant::now();
            assert!(is_late(flush(&mut stream).await));
            assert!((WHILE..LONGER).contains(&start.elapsed()));
        });
    }

    #[test]
    fn only_http1_fails_writes_that_need_not_wait() {
        paused(async {
            let progress = progress();
            let mut stream = Timed::new(Sink { full: false }, Arc::clone(&progress));
            progress.ask();
            sleep(LONGER).await;
            assert_eq!(write(&mut stream).await.unwrap(), 4);
            progress.be_strict();
            assert!(is_late(write(&mut stream).await));
            progress.release();
            assert_eq!(write(&mut stream).await.unwrap(), 4);
        });
    }

    #[test]
    fn the_limit_ends_with_the_answer_and_not_before() {
        paused(async {
            let progress = progress();
            progress.be_strict();
            let mut stream = Timed::new(Sink { full: true }, Arc::clone(&progress));
            progress.ask();
            // hyper waits for the next head, and has not got rid of the answer.
            progress.wait();
            assert!(is_late(flush(&mut stream).await));
            progress.ask();
            stream.stream.full = false;
            flush(&mut stream).await.unwrap();
            progress.wait();
            flush(&mut stream).await.unwrap();
            sleep(LONGER).await;
            // Perhaps what it thinks of the next head.
            assert_eq!(write(&mut stream).await.unwrap(), 4);
        });
    }

    #[test]
    fn a_limit_that_is_lifted_lets_a_write_wait_on() {
        paused(async {
            let progress = progress();
            let mut stream = Timed::new(Sink { full: true }, Arc::clone(&progress));
            progress.ask();
            let mut writing = pin!(write(&mut stream));
            let mut cx = Context::from_waker(Waker::noop());
            assert!(writing.as_mut().poll(&mut cx).is_pending());
            progress.release();
            sleep(LONGER).await;
            assert!(writing.as_mut().poll(&mut cx).is_pending());
        });
    }

    /// Has a byte, or nothing.
    #[derive(Debug)]
    struct Source {
        empty: bool,
    }

    impl Read for Source {
        fn poll_read(
            self: Pin<&mut Self>,
            _: &mut Context<'_>,
            mut buf: ReadBufCursor<'_>,
        ) -> Poll<io::Result<()>> {
            if self.empty {
                return Poll::Pending;
            }
            buf.put_slice(b"x");
            Poll::Ready(Ok(()))
        }
    }

    async fn read(stream: &mut Timed<Source>) -> io::Result<()> {
        let mut room = [0; 4];
        let mut buf = ::hyper::rt::ReadBuf::new(&mut room);
        poll_fn(|cx| Pin::new(&mut *stream).poll_read(cx, buf.unfilled())).await
    }

    #[test]
    fn reads_fail_when_the_request_should_have_been_there() {
        paused(async {
            let progress = progress();
            let mut stream = Timed::new(Source { empty: true }, Arc::clone(&progress));
            progress.begin();
            let start = Instant::now();
            assert!(is_late(read(&mut stream).await));
            assert!((WHILE..LONGER).contains(&start.elapsed()));
            // Also what could be read.
            stream.stream.empty = false;
            assert!(is_late(read(&mut stream).await));
            progress.release();
            read(&mut stream).await.unwrap();
        });
    }
}
