//! How long a client may take, by Go's rules: until the head of a request is there, between two requests, and to take an answer.
//!
//! *The head, and idling.* hyper has one timer, which runs from the end of one request to the head of the next. It is made and polled by what
//! we give it as a timer ([`HeadTimer`]), and so can be two in turn: the idle limit until a byte of the request has come, then the header limit
//! from that byte on. The first request has no idle time: its limit counts from the beginning of the connection.
//!
//! *The answer.* [`Timed`] lies between hyper and the stream. When a head is there, the write limit begins. In HTTP/1 every write fails when it
//! has passed, as in Go, until the answer is out and the next request is waited for. In HTTP/2, where answers share a connection and there is
//! always something to write, a write fails that would block. Either ends the connection. No timer is made for a client that takes what it is
//! sent.
//!
//! What they need to know of each other is in [`Progress`]. All of it runs in the connection's task but for connections that have been
//! upgraded, and those have no limits any more.
#![forbid(unsafe_code)]

use std::future::Future;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use ::hyper::rt::{self, Read, ReadBufCursor, Write};
use pin_project_lite::pin_project;
use runtime::time::{Instant, Sleep, sleep, sleep_until};

use super::Timer;

/// `None`: for ever.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    /// For the handshake, and from a request's first byte to the end of its head.
    pub(super) head: Option<Duration>,
    /// From an answer to the next request's first byte.
    pub(super) idle: Option<Duration>,
    /// From the end of a head to the last byte of the answer.
    pub(super) write: Option<Duration>,
}

/// How far a connection is.
///
/// Everything is Relaxed: written and read by one task, or handed on together with the stream.
#[derive(Debug)]
pub(super) struct Progress {
    limits: Limits,
    start: Instant,
    /// When the answer has to be taken: nanoseconds after `start`.
    write_by: AtomicU64,
    /// HTTP/1: see the story of this file.
    strict: AtomicBool,
    /// A request has been made.
    asked: AtomicBool,
    /// hyper waits for a head; perhaps it has not got rid of the answer before that.
    waiting: AtomicBool,
    /// Bytes have come since hyper began to wait for a head.
    begun: AtomicBool,
    /// The connection was ended for being idle.
    idled: AtomicBool,
}

/// In the place of a time.
const NEVER: u64 = u64::MAX;

impl Limits {
    /// What to tell hyper: whether to call our timer when it begins to wait for a head. The time is of no importance.
    pub(super) fn for_hyper(self) -> Option<Duration> {
        let any = self.head.or(self.idle).or(self.write);
        any.map(|_| Duration::from_secs(1))
    }
}

impl Progress {
    pub(super) fn new(limits: Limits) -> Arc<Self> {
        Arc::new(Self {
            limits,
            start: Instant::now(),
            write_by: AtomicU64::new(NEVER),
            strict: AtomicBool::new(false),
            asked: AtomicBool::new(false),
            waiting: AtomicBool::new(false),
            begun: AtomicBool::new(false),
            idled: AtomicBool::new(false),
        })
    }

    /// The limits themselves.
    #[cfg(feature = "http2")]
    pub(super) fn limits(&self) -> Limits {
        self.limits
    }

    /// It is a connection of HTTP/1.
    pub(super) fn be_strict(&self) {
        self.strict.store(true, Ordering::Relaxed);
    }

    /// The head of a request is there.
    pub(super) fn ask(&self) {
        self.asked.store(true, Ordering::Relaxed);
        self.waiting.store(false, Ordering::Relaxed);
        if let Some(limit) = self.limits.write {
            let by = self.start.elapsed().saturating_add(limit);
            let by = u64::try_from(by.as_nanos()).unwrap_or(NEVER);
            self.write_by.store(by, Ordering::Relaxed);
        }
    }

    /// The stream is somebody else's from now on.
    pub(super) fn release(&self) {
        self.write_by.store(NEVER, Ordering::Relaxed);
    }

    /// Whether the connection has ended for want of requests, which is no trouble.
    pub(super) fn has_idled(&self) -> bool {
        self.idled.load(Ordering::Relaxed)
    }

    /// hyper waits for a head.
    fn wait(&self) {
        self.begun.store(false, Ordering::Relaxed);
        self.waiting.store(true, Ordering::Relaxed);
    }

    /// All that there was to write has been taken.
    fn flushed(&self) {
        if self.waiting.load(Ordering::Relaxed) {
            self.release();
        }
    }

    /// Whether nothing may be written any more.
    fn is_late(&self) -> bool {
        let late = |by| Instant::now() >= by;
        self.write_by().is_some_and(late) && self.strict.load(Ordering::Relaxed)
    }

    fn write_by(&self) -> Option<Instant> {
        match self.write_by.load(Ordering::Relaxed) {
            NEVER => None,
            by => self.start.checked_add(Duration::from_nanos(by)),
        }
    }
}

/// Stands in the place of hyper's timer: see the story of this file.
#[derive(Debug)]
pub(super) struct HeadTimer(pub(super) Arc<Progress>);

impl rt::Timer for HeadTimer {
    fn sleep(&self, duration: Duration) -> Pin<Box<dyn rt::Sleep>> {
        Timer.sleep(duration)
    }

    /// Only called when hyper begins to wait for a head; what it wants to wait is not what we do.
    fn sleep_until(&self, _: std::time::Instant) -> Pin<Box<dyn rt::Sleep>> {
        let progress = Arc::clone(&self.0);
        progress.wait();
        let in_head = !progress.asked.load(Ordering::Relaxed);
        let limit = match in_head {
            true => progress.limits.head,
            false => progress.limits.idle,
        };
        Box::pin(HeadWait {
            progress,
            in_head,
            sleep: sleep(limit.unwrap_or(Duration::MAX)),
        })
    }

    fn now(&self) -> std::time::Instant {
        Timer.now()
    }
}

pin_project! {
    /// Ready when a client has been idle, or has sent the head of its request, for too long.
    #[derive(Debug)]
    struct HeadWait {
        progress: Arc<Progress>,
        // Whether the limit is the head's already.
        in_head: bool,
        #[pin]
        sleep: Sleep,
    }
}

impl rt::Sleep for HeadWait {}

impl Future for HeadWait {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let mut this = self.project();
        if !*this.in_head && this.progress.begun.load(Ordering::Relaxed) {
            *this.in_head = true;
            let limit = this.progress.limits.head.unwrap_or(Duration::MAX);
            this.sleep.set(sleep(limit));
        }
        ready!(this.sleep.poll(cx));
        this.progress.idled.store(!*this.in_head, Ordering::Relaxed);
        Poll::Ready(())
    }
}

/// A stream whose client has to take what it is sent in time.
#[derive(Debug)]
pub(super) struct Timed<T> {
    stream: T,
    progress: Arc<Progress>,
    /// Made when a write would block.
    patience: Option<Pin<Box<Sleep>>>,
}

impl<T> Timed<T> {
    pub(super) fn new(stream: T, progress: Arc<Progress>) -> Self {
        Self {
            stream,
            progress,
            patience: None,
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
        if self.progress.is_late() {
            return Poll::Ready(Err(late()));
        }
        match write(Pin::new(&mut self.stream), cx) {
            Poll::Pending => self.wait(cx).map(Err),
            written => written,
        }
    }

    #[cold]
    fn wait(&mut self, cx: &mut Context<'_>) -> Poll<io::Error> {
        // It may be another one when the time is up.
        while let Some(by) = self.progress.write_by() {
            let patience = self
                .patience
                .get_or_insert_with(|| Box::pin(sleep_until(by)));
            if patience.deadline() != by {
                patience.as_mut().reset(by);
            }
            ready!(patience.as_mut().poll(cx));
            if self.progress.write_by() == Some(by) {
                return Poll::Ready(late());
            }
        }
        Poll::Pending
    }
}

#[cold]
fn late() -> io::Error {
    let text = "the answer was not taken by the client within the write timeout";
    io::Error::new(io::ErrorKind::TimedOut, text)
}

impl<T: Read + Unpin> Read for Timed<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        ready!(Pin::new(&mut self.stream).poll_read(cx, buf))?;
        // Or it was the end, after which there is no limit.
        self.progress.begun.store(true, Ordering::Relaxed);
        Poll::Ready(Ok(()))
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
            Poll::Pending => self.wait(cx).map(Err),
            flushed => {
                self.progress.flushed();
                flushed
            }
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match Pin::new(&mut self.stream).poll_shutdown(cx) {
            Poll::Pending => self.wait(cx).map(Err),
            ended => ended,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;
    use std::pin::pin;
    use std::task::Waker;

    use super::*;

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

    fn limits(head: Option<Duration>, idle: Option<Duration>) -> Arc<Progress> {
        let write = Some(WHILE);
        Progress::new(Limits { head, idle, write })
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
            let progress = limits(None, None);
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
            let progress = limits(None, None);
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
            let progress = limits(None, None);
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
            let progress = limits(None, None);
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

    #[test]
    fn the_first_head_has_its_limit_at_once_and_others_when_they_have_begun() {
        paused(async {
            use rt::Timer as _;
            let progress = limits(Some(WHILE), Some(WHILE * 3));
            let timer = HeadTimer(Arc::clone(&progress));
            let start = Instant::now();
            timer.sleep_until(timer.now()).await;
            assert!((WHILE..LONGER).contains(&start.elapsed()));
            assert!(!progress.has_idled());

            progress.ask();
            let start = Instant::now();
            timer.sleep_until(timer.now()).await;
            assert!((WHILE * 3..LONGER * 3).contains(&start.elapsed()));
            assert!(progress.has_idled());

            let start = Instant::now();
            let mut waiting = timer.sleep_until(timer.now());
            let mut cx = Context::from_waker(Waker::noop());
            assert!(waiting.as_mut().poll(&mut cx).is_pending());
            sleep(WHILE * 2).await;
            progress.begun.store(true, Ordering::Relaxed);
            waiting.await;
            assert!((WHILE * 3..LONGER * 3).contains(&start.elapsed()));
            assert!(!progress.has_idled());
        });
    }
}
