//! Signals of the operating system as something to wait for: Ctrl-C, SIGTERM and the rest.
//!
//! ```no_run
//! use runtime::signal::{self, SignalKind};
//!
//! # runtime::block_on(async {
//! // Installed now: from here on neither of the two ends the program.
//! let mut stop = signal::notify([SignalKind::interrupt(), SignalKind::terminate()])?;
//! // … start to serve …
//! if let Some(kind) = stop.recv().await {
//!     println!("{kind}: shutting down");
//! }
//! // Nobody listens any more, so that a second Ctrl-C ends a shutdown which takes too long.
//! drop(stop);
//! # std::io::Result::Ok(()) }).unwrap();
//! ```
//!
//! **How it works.** A handler may do next to nothing. Ours sets a bit in each listener
//! ([`Signal`]) and writes a byte into the listener's own pipe, which the reactor of the listener's
//! runtime watches like any descriptor: no thread, and nothing that runtimes share. The bits are
//! what coalesces: a signal that comes again before it was received is received once.
//!
//! **Nobody listens.** A handler cannot be taken away again without losing those that others have
//! installed. So it stays, and when there is no listener for a signal it does what would have
//! happened without it: SIGINT and SIGTERM end the process, by the signal, as its parent sees;
//! unless the signal was ignored, or had another handler, when it was first listened to.
//!
//! **Deadlocks.** A task that waits for a signal waits for a descriptor: the program is not stuck.
//! A handler alone does not count, since it wakes nobody who does not wait.
//!
//! *Rejected.* A thread that waits in `sigwait`: all other threads would have to block the signals,
//! those that std and others start too. `signalfd`: the same, and Linux alone. One pipe a process,
//! as in Tokio: every runtime is woken by every signal, and whoever reads first has to tell the
//! others.
//!
//! `handler.rs` is what runs inside the handler, `listener.rs` what waits.

mod handler;
mod kind;
mod listener;
mod pending;

/// What the models see of the private files.
#[cfg(all(test, loom))]
pub(crate) mod for_models {
    pub(crate) use super::pending::Pending;
}

use std::fmt;
use std::future::Future;
use std::io;
use std::panic::Location;
use std::pin::Pin;
use std::task::{Context, Poll};

pub use self::kind::SignalKind;
pub use self::listener::Signal;

pub(crate) use self::handler::{act_by_default, has_listener};

/// Listens for one kind of signal.
///
/// From now on the signal does not do what it would otherwise, as long as somebody listens; see
/// [`Signal`].
///
/// # Errors
///
/// [`InvalidInput`](io::ErrorKind::InvalidInput) if the kind cannot be listened to (SIGKILL,
/// SIGSTOP, and the faults SIGSEGV, SIGILL, SIGFPE) or does not exist; too many files are open (a
/// listener has two); an error that [`is_shutdown`](crate::io::is_shutdown) knows if the runtime is
/// shutting down.
///
/// # Panics
///
/// Outside a runtime.
///
/// ```
/// use runtime::signal::{self, SignalKind};
///
/// # runtime::block_on(async {
/// let mut hangup = signal::unix(SignalKind::hangup())?;
/// # // SAFETY: a plain system call; somebody listens, so the signal ends nothing.
/// # unsafe { libc::raise(libc::SIGHUP) };
/// // kill -HUP …
/// hangup.recv().await;
/// println!("reading the configuration again");
/// # std::io::Result::Ok(()) }).unwrap();
/// ```
///
/// **Go:** `signal.Notify(make(chan os.Signal, 1), syscall.SIGHUP)`.
#[track_caller]
pub fn unix(kind: SignalKind) -> io::Result<Signal> {
    notify([kind])
}

/// Listens for several kinds of signals with one listener, which says which one it was.
///
/// # Errors
///
/// As for [`unix`]; [`InvalidInput`](io::ErrorKind::InvalidInput) also if there is no kind. Then
/// none of them is listened to.
///
/// # Panics
///
/// Outside a runtime.
///
/// ```
/// use runtime::signal::{self, SignalKind};
///
/// # runtime::block_on(async {
/// let mut users = signal::notify([SignalKind::user_defined1(), SignalKind::user_defined2()])?;
/// # // SAFETY: a plain system call; somebody listens, so the signal ends nothing.
/// # unsafe { libc::raise(libc::SIGUSR2) };
/// assert_eq!(users.recv().await, Some(SignalKind::user_defined2()));
/// # std::io::Result::Ok(()) }).unwrap();
/// ```
///
/// **Go:** `signal.Notify(c, syscall.SIGUSR1, syscall.SIGUSR2)`.
#[track_caller]
pub fn notify(kinds: impl IntoIterator<Item = SignalKind>) -> io::Result<Signal> {
    Signal::new(kinds.into_iter())
}

/// Waits for Ctrl-C (SIGINT). It is listened for from the call on, not from the first poll.
///
/// When the future is done or dropped nobody listens any more, and the next Ctrl-C ends the
/// process: hold on to a [`Signal`] where that is not wanted.
///
/// # Errors
///
/// Those of [`unix`], when it is awaited.
///
/// # Panics
///
/// Outside a runtime.
///
/// # Cancel safety
///
/// Cancel safe: a Ctrl-C that came before the drop is lost, as is the interest in it.
///
/// ```
/// # runtime::block_on(async {
/// let interrupted = runtime::signal::ctrl_c();
/// # // SAFETY: a plain system call; somebody listens, so the signal ends nothing.
/// # unsafe { libc::raise(libc::SIGINT) };
/// interrupted.await?;
/// println!("goodbye");
/// # std::io::Result::Ok(()) }).unwrap();
/// ```
///
/// **Go:** `signal.NotifyContext(ctx, os.Interrupt)`.
#[track_caller]
pub fn ctrl_c() -> CtrlC {
    CtrlC {
        listener: Some(unix(SignalKind::interrupt())),
        place: Location::caller(),
    }
}

/// Future of [`ctrl_c`].
///
/// ```
/// # runtime::block_on(async {
/// let interrupted: runtime::signal::CtrlC = runtime::signal::ctrl_c();
/// drop(interrupted); // Ctrl-C ends the program again
/// # });
/// ```
///
/// **Go:** the context of `signal.NotifyContext`.
#[must_use = "futures do nothing unless awaited"]
pub struct CtrlC {
    /// `None` once it is done.
    listener: Option<io::Result<Signal>>,
    place: &'static Location<'static>,
}

impl Future for CtrlC {
    type Output = io::Result<()>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let place = self.place;
        let received = match &mut self.listener {
            Some(Ok(listener)) => match listener.poll_at(place, cx) {
                Poll::Ready(received) => received.map(drop),
                Poll::Pending => return Poll::Pending,
            },
            Some(Err(_)) => Ok(()),
            None => panic!("ctrl_c() was polled after it was done: await it once"),
        };
        match self.listener.take() {
            Some(Err(error)) => Poll::Ready(Err(error)),
            _ => Poll::Ready(received),
        }
    }
}

impl fmt::Debug for CtrlC {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CtrlC")
            .field("done", &self.listener.is_none())
            .finish_non_exhaustive()
    }
}
