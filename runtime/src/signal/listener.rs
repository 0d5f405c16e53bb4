//! A listener: a bell, and a task that waits for its pipe.
#![forbid(unsafe_code)]

use std::fmt;
use std::future::poll_fn;
use std::io;
use std::panic::Location;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use futures_core::Stream;
use mio::unix::pipe;

use super::SignalKind;
use super::handler::{Bell, HIGHEST, Hung, silence};
use crate::io::{Direction, Registration};
use crate::task::{WaitReason, coop, waiting};

/// Signals of the kinds that were asked for, from [`unix`](super::unix) and
/// [`notify`](super::notify).
///
/// As long as there is a listener for a kind, such a signal does nothing else: SIGTERM does not end
/// the program. When the last one has been dropped it does again what it did before.
///
/// Signals that come while none is awaited are kept, one of each kind: two of a kind in quick
/// succession may be received as one, but never as none. So a signal says "look", and not "one
/// more". Each listener receives each signal. Where several kinds have come they are received in
/// turn, so that one that comes all the time keeps no other waiting.
///
/// ```
/// use runtime::signal::{self, SignalKind};
///
/// # runtime::block_on(async {
/// let mut reload = signal::unix(SignalKind::hangup())?;
/// runtime::spawn(async move {
///     while reload.recv().await.is_some() {
///         println!("reading the configuration again");
///     }
/// });
/// # std::io::Result::Ok(()) }).unwrap();
/// ```
///
/// **Go:** a channel of capacity 1 given to `signal.Notify`, and `signal.Stop` when it is dropped.
#[must_use = "dropping it ends listening"]
pub struct Signal {
    // In this order: no handler rings any more, then the pipe goes, then its place in the reactor.
    hung: Vec<Hung>,
    bell: Arc<Bell>,
    /// The bit of the signal that was received last: then it is the others' turn.
    last: u32,
    receiver: pipe::Receiver,
    registration: Registration,
}

impl Signal {
    #[track_caller]
    pub(super) fn new(kinds: impl Iterator<Item = SignalKind>) -> io::Result<Self> {
        let (bell, mut receiver) = Bell::new()?;
        let registration = Registration::new_unready(&mut receiver)?;
        let bell = Arc::new(bell);
        let hung: io::Result<Vec<_>> = kinds.map(|kind| Hung::new(kind, &bell)).collect();
        let hung = hung?;
        if hung.is_empty() {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                "a listener for no signal would wait for ever: name one",
            ));
        }
        Ok(Self {
            hung,
            bell,
            last: HIGHEST,
            receiver,
            registration,
        })
    }

    /// What is listened for.
    ///
    /// ```
    /// use runtime::signal::{self, SignalKind};
    ///
    /// # runtime::block_on(async {
    /// let stop = signal::notify([SignalKind::interrupt(), SignalKind::terminate()])?;
    /// assert_eq!(stop.kinds().last(), Some(SignalKind::terminate()));
    /// # std::io::Result::Ok(()) }).unwrap();
    /// ```
    ///
    /// **Go:** none.
    pub fn kinds(&self) -> impl Iterator<Item = SignalKind> + '_ {
        self.hung.iter().map(Hung::kind)
    }

    /// Waits for the next signal and says which one it is. `None`: the runtime that it was made on
    /// has shut down.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: a signal is taken only when the future is ready.
    ///
    /// ```
    /// use runtime::signal::{self, SignalKind};
    ///
    /// # runtime::block_on(async {
    /// let mut reload = signal::unix(SignalKind::hangup())?;
    /// # // SAFETY: a plain system call; somebody listens, so the signal ends nothing.
    /// # unsafe { libc::raise(libc::SIGHUP) };
    /// // kill -HUP …
    /// assert_eq!(reload.recv().await, Some(SignalKind::hangup()));
    /// # std::io::Result::Ok(()) }).unwrap();
    /// ```
    ///
    /// **Go:** `<-c`.
    #[track_caller]
    pub fn recv(&mut self) -> impl Future<Output = Option<SignalKind>> + Send + '_ {
        let place = Location::caller();
        async move {
            loop {
                coop::consume_budget().await;
                if let Some(kind) = self.bell.take(&mut self.last) {
                    return Some(kind);
                }
                let receiver = &self.receiver;
                let quiet = self.registration.io(Direction::Read, |_| silence(receiver));
                // Its own future, so that a dropped `recv` leaves no waker behind.
                let mut quiet = quiet.at(place);
                let waited = poll_fn(|cx| noted(Pin::new(&mut quiet).poll(cx), place));
                waited.await.ok()?;
            }
        }
    }

    /// The poll form of [`recv`](Self::recv).
    ///
    /// ```
    /// use runtime::signal::{self, SignalKind};
    /// use std::future::poll_fn;
    ///
    /// # runtime::block_on(async {
    /// let mut user = signal::unix(SignalKind::user_defined1())?;
    /// # // SAFETY: a plain system call; somebody listens, so the signal ends nothing.
    /// # unsafe { libc::raise(libc::SIGUSR1) };
    /// // kill -USR1 …
    /// assert!(poll_fn(|cx| user.poll_recv(cx)).await.is_some());
    /// # std::io::Result::Ok(()) }).unwrap();
    /// ```
    ///
    /// **Go:** none.
    #[track_caller]
    pub fn poll_recv(&mut self, cx: &mut Context<'_>) -> Poll<Option<SignalKind>> {
        self.poll_at(Location::caller(), cx).map(Result::ok)
    }

    pub(super) fn poll_at(
        &mut self,
        place: &'static Location<'static>,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<SignalKind>> {
        let proceed = ready!(coop::poll_proceed(cx));
        loop {
            if let Some(kind) = self.bell.take(&mut self.last) {
                proceed.made_progress();
                return Poll::Ready(Ok(kind));
            }
            let receiver = &self.receiver;
            let quiet = self
                .registration
                .poll_io(Direction::Read, cx, |_| silence(receiver));
            ready!(noted(quiet, place))?;
        }
    }
}

/// Says what is waited for.
fn noted<T>(polled: Poll<T>, place: &'static Location<'static>) -> Poll<T> {
    if polled.is_pending() {
        waiting(WaitReason::SignalWait, place);
    }
    polled
}

/// Ends when the runtime has shut down.
impl Stream for Signal {
    type Item = SignalKind;

    #[track_caller]
    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<SignalKind>> {
        self.poll_recv(cx)
    }
}

impl fmt::Debug for Signal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Signal")
            .field("kinds", &self.kinds().collect::<Vec<_>>())
            .finish_non_exhaustive()
    }
}
