//! How long a client may take, by Go's rules: until the head of a request is there, until all of it
//! is, between two requests, and to take an answer.
//!
//! *The head, and idling.* hyper has one timer, which runs from the end of one request to the head
//! of the next. It is made and polled by what we give it as a timer ([`HeadTimer`]), and so can be
//! two in turn: the idle limit until a byte of the request has come, then the header limit from
//! that byte on. The first request has no idle time: its limit counts from the beginning of the
//! connection.
//!
//! *The request and the answer.* [`Timed`](super::timed::Timed) lies between hyper and the stream,
//! and holds reads and writes to the times that are noted here. The read limit begins where the
//! head's does. The write limit begins when a head is there. It ends when the answer is out and the
//! next request is waited for, and so does the read limit: after the request nothing is read before
//! that. (hyper is told that a client may close its side before it has its answer, and so does not
//! look whether it has.)
//!
//! *HTTP/2*, where requests and answers share a connection, is in `streams.rs` and `uploads.rs`.
//!
//! What they need to know of each other is in [`Progress`]. All of it runs in the connection's task
//! but for connections that have been upgraded, and those have no limits any more.
#![forbid(unsafe_code)]

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use ::hyper::rt;
use pin_project_lite::pin_project;
use runtime::time::{Instant, Sleep, sleep, sleep_until};

use super::Timer;
use super::streams::Streams;
use super::uploads::Uploads;

/// `None`: for ever.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    /// For the handshake, and from a request's first byte to the end of its head.
    pub(super) head: Option<Duration>,
    /// From an answer to the next request's first byte.
    pub(super) idle: Option<Duration>,
    /// From a request's first byte to its last.
    pub(super) read: Option<Duration>,
    /// From the end of a head to the last byte of the answer.
    pub(super) write: Option<Duration>,
}

/// How far a connection is.
///
/// Everything here is Relaxed: written and read by one task, or handed on together with the stream.
#[derive(Debug)]
pub(super) struct Progress {
    limits: Limits,
    start: Instant,
    /// When the first head has to be there.
    head_by: Due,
    /// When the request has to be there.
    read_by: Due,
    /// When the answer has to be taken.
    write_by: Due,
    /// HTTP/1: see the story of this file.
    strict: AtomicBool,
    /// A request has been made.
    asked: AtomicBool,
    /// hyper waits for a head; perhaps it has not got rid of the answer before that.
    waiting: AtomicBool,
    /// There is nothing to do but to wait for the next request.
    between: AtomicBool,
    /// Bytes have come since then.
    begun: AtomicBool,
    /// The connection was ended for being idle.
    idled: AtomicBool,
    /// HTTP/2: the streams that are open, which end in tasks of their own; see `streams.rs`.
    pub(super) streams: Streams,
    /// HTTP/2: the one whose handler is called next; see `uploads.rs`.
    pub(super) uploads: Uploads,
}

/// A time, in nanoseconds after the connection's start; or none.
#[derive(Debug)]
struct Due(AtomicU64);

/// In the place of a time.
const NEVER: u64 = u64::MAX;

impl Due {
    const fn never() -> Self {
        Self(AtomicU64::new(NEVER))
    }

    fn set(&self, start: Instant, limit: Option<Duration>) {
        let by = limit.map(|limit| start.elapsed().saturating_add(limit).as_nanos());
        let by = by.map_or(NEVER, |by| u64::try_from(by).unwrap_or(NEVER));
        self.0.store(by, Ordering::Relaxed);
    }

    fn is_set(&self) -> bool {
        self.0.load(Ordering::Relaxed) != NEVER
    }

    fn lift(&self) {
        self.0.store(NEVER, Ordering::Relaxed);
    }

    fn at(&self, start: Instant) -> Option<Instant> {
        match self.0.load(Ordering::Relaxed) {
            NEVER => None,
            by => start.checked_add(Duration::from_nanos(by)),
        }
    }
}

impl Limits {
    /// What to tell hyper: whether to call our timer when it begins to wait for a head. The time is
    /// of no importance.
    pub(super) fn for_hyper(self) -> Option<Duration> {
        let any = self.head.or(self.idle).or(self.read).or(self.write);
        any.map(|_| Duration::from_secs(1))
    }
}

impl Progress {
    pub(super) fn new(limits: Limits) -> Arc<Self> {
        Arc::new(Self {
            limits,
            start: Instant::now(),
            head_by: Due::never(),
            read_by: Due::never(),
            write_by: Due::never(),
            strict: AtomicBool::new(false),
            asked: AtomicBool::new(false),
            waiting: AtomicBool::new(false),
            between: AtomicBool::new(false),
            begun: AtomicBool::new(false),
            idled: AtomicBool::new(false),
            streams: Streams::default(),
            uploads: Uploads::default(),
        })
    }

    /// The limits themselves.
    #[cfg(feature = "http2")]
    pub(super) fn limits(&self) -> Limits {
        self.limits
    }

    /// The handshake is done: the first request may come.
    pub(super) fn begin(&self) {
        self.head_by.set(self.start, self.limits.head);
        self.read_by.set(self.start, self.limits.read);
    }

    /// It is a connection of HTTP/1.
    pub(super) fn be_strict(&self) {
        self.strict.store(true, Ordering::Relaxed);
    }

    /// The head of a request is there.
    pub(super) fn ask(&self) {
        self.asked.store(true, Ordering::Relaxed);
        self.waiting.store(false, Ordering::Relaxed);
        self.between.store(false, Ordering::Relaxed);
        self.write_by.set(self.start, self.limits.write);
        // The head may have come together with the request before it.
        if self.is_strict() && !self.read_by.is_set() {
            self.read_by.set(self.start, self.limits.read);
        }
    }

    /// Whether answers have the connection to themselves.
    pub(super) fn is_strict(&self) -> bool {
        self.strict.load(Ordering::Relaxed)
    }

    /// The stream is somebody else's from now on, or many requests share it.
    pub(super) fn release(&self) {
        self.read_by.lift();
        self.write_by.lift();
    }

    /// Whether the connection has ended for want of requests, which is no trouble.
    pub(super) fn has_idled(&self) -> bool {
        self.idled.load(Ordering::Relaxed)
    }

    /// hyper has the whole answer. It looks for the next request before it says that it waits for
    /// one.
    pub(super) fn answered(&self) {
        self.read_by.lift();
        self.begun.store(false, Ordering::Relaxed);
        self.between.store(true, Ordering::Relaxed);
    }

    /// hyper waits for a head.
    pub(super) fn wait(&self) {
        self.waiting.store(true, Ordering::Relaxed);
    }

    /// Bytes have come, or the end, after which there is no limit.
    pub(super) fn received(&self) {
        if !self.begun.load(Ordering::Relaxed) {
            self.begun.store(true, Ordering::Relaxed);
            if self.between.load(Ordering::Relaxed) {
                self.read_by.set(self.start, self.limits.read);
            }
        }
    }

    /// All that there was to write has been taken.
    pub(super) fn flushed(&self) {
        if self.waiting.load(Ordering::Relaxed) {
            self.write_by.lift();
        }
    }

    /// Whether nothing may be read any more.
    pub(super) fn is_read_late(&self) -> bool {
        self.read_by().is_some_and(|by| Instant::now() >= by)
    }

    /// Whether nothing may be written any more.
    pub(super) fn is_write_late(&self) -> bool {
        let late = |by| Instant::now() >= by;
        self.write_by().is_some_and(late) && self.is_strict()
    }

    /// How long the connection has been there.
    pub(super) fn age(&self) -> Duration {
        self.start.elapsed()
    }

    /// When it had that age.
    #[cfg(feature = "http2")]
    pub(super) fn at_age(&self, age: Duration) -> Option<Instant> {
        self.start.checked_add(age)
    }

    pub(super) fn read_by(&self) -> Option<Instant> {
        self.read_by.at(self.start)
    }

    pub(super) fn write_by(&self) -> Option<Instant> {
        self.write_by.at(self.start)
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
        let sleep = match (in_head, progress.head_by.at(progress.start)) {
            // Part of the time may have gone by, until it was known that this is HTTP/1.
            (true, Some(by)) => sleep_until(by),
            (true, None) => sleep(Duration::MAX),
            (false, _) => sleep(progress.limits.idle.unwrap_or(Duration::MAX)),
        };
        Box::pin(HeadWait {
            progress,
            in_head,
            sleep,
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

#[cfg(test)]
mod tests {
    use std::task::Waker;

    use super::*;

    const WHILE: Duration = Duration::from_secs(10);
    const LONGER: Duration = Duration::from_secs(11);

    fn limits(head: Option<Duration>, idle: Option<Duration>) -> Arc<Progress> {
        let write = Some(WHILE);
        let read = Some(WHILE * 2);
        Progress::new(Limits {
            head,
            idle,
            read,
            write,
        })
    }

    fn paused(test: impl Future<Output = ()>) {
        let runtime = runtime::Builder::new().start_paused(true).build().unwrap();
        runtime.block_on(test);
    }

    #[test]
    fn the_first_head_has_its_limit_at_once_and_others_when_they_have_begun() {
        paused(async {
            use rt::Timer as _;
            let progress = limits(Some(WHILE), Some(WHILE * 3));
            let timer = HeadTimer(Arc::clone(&progress));
            let start = Instant::now();
            progress.begin();
            // As for what decides between HTTP/1 and HTTP/2.
            sleep(WHILE / 2).await;
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

    #[test]
    fn the_time_to_read_begins_with_a_request_and_ends_with_its_answer() {
        paused(async {
            let progress = limits(None, None);
            let limit = WHILE * 2;
            progress.be_strict();
            // The first, at once; it is not put off by its bytes.
            let start = Instant::now();
            progress.begin();
            assert_eq!(progress.read_by(), Some(start + limit));
            sleep(WHILE).await;
            progress.wait();
            progress.received();
            progress.ask();
            assert_eq!(progress.read_by(), Some(start + limit));
            assert!(!progress.is_read_late());
            sleep(WHILE * 2).await;
            assert!(progress.is_read_late());
            // Another one, with its first byte, which may come before hyper says that it waits.
            progress.answered();
            assert_eq!(progress.read_by(), None);
            let start = Instant::now();
            progress.received();
            progress.wait();
            sleep(WHILE).await;
            progress.received();
            progress.ask();
            assert_eq!(progress.read_by(), Some(start + limit));
            // One that came together with the request before it.
            progress.answered();
            progress.wait();
            let start = Instant::now();
            progress.ask();
            assert_eq!(progress.read_by(), Some(start + limit));
        });
    }
}
