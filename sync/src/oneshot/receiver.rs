//! ⚠ The end of a `oneshot` that receives: a future.

use std::fmt;
use std::future::Future;
use std::panic::Location;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use runtime::task::coop::poll_proceed;
use runtime::task::{WaitReason, waiting};

use super::shared::{End, Shared};
use crate::TryRecvError;
use crate::blocking;
use crate::primitive::Arc;

/// Receives the one value: a future of it. `None` if the sender was dropped instead.
///
/// # Cancel safety
///
/// Cancel safe: awaiting `&mut receiver` may be given up and done again; the value stays where it
/// is. Dropping the receiver itself closes it.
///
/// # Panics
///
/// Polled after it was ready.
///
/// ```
/// # runtime::block_on(async {
/// let (tx, rx): (_, sync::oneshot::Receiver<&str>) = sync::oneshot::channel();
/// tx.send("an answer").unwrap();
/// assert_eq!(rx.await, Some("an answer"));
/// # });
/// ```
///
/// **Go:** `v, ok := <-c`.
#[must_use = "futures do nothing unless awaited"]
pub struct Receiver<T> {
    shared: Arc<Shared<T>>,
    stage: Stage,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// The value may come.
    Open,
    /// Closed before the value came: what comes is the sender's.
    ClosedEmpty,
    /// The outcome has been delivered.
    Done,
}

impl<T> Receiver<T> {
    #[inline]
    pub(super) fn new(shared: Arc<Shared<T>>) -> Self {
        Self {
            shared,
            stage: Stage::Open,
        }
    }

    /// Takes the value if it is there.
    ///
    /// # Errors
    ///
    /// [`TryRecvError::Empty`] if it may still come, [`TryRecvError::Closed`] if not.
    ///
    /// ```
    /// let (tx, mut rx) = sync::oneshot::channel();
    /// assert!(rx.try_recv().is_err());
    /// tx.send(1).unwrap();
    /// assert_eq!(rx.try_recv(), Ok(1));
    /// ```
    ///
    /// **Go:** `select { case v, ok := <-c: default: }`.
    pub fn try_recv(&mut self) -> Result<T, TryRecvError> {
        if self.stage != Stage::Open {
            return Err(TryRecvError::Closed);
        }
        if !self.shared.has_ended(End::Sender) {
            return Err(TryRecvError::Empty);
        }
        self.take().ok_or(TryRecvError::Closed)
    }

    /// Waits for the value, blocking the thread. For threads outside the runtime.
    ///
    /// # Panics
    ///
    /// Inside a task or the body of `block_on`, which it would hold up.
    ///
    /// ```
    /// let (tx, rx) = sync::oneshot::channel();
    /// std::thread::spawn(move || tx.send(1));
    /// assert_eq!(rx.blocking_recv(), Some(1));
    /// ```
    ///
    /// **Go:** `<-c` on a thread of one's own.
    #[track_caller]
    pub fn blocking_recv(self) -> Option<T> {
        blocking::wait(self, "oneshot::Receiver::blocking_recv", "rx.await")
    }

    /// Takes nothing any more: a later `send` fails, a value that was sent before can still be
    /// received.
    ///
    /// ```
    /// let (tx, mut rx) = sync::oneshot::channel();
    /// rx.close();
    /// assert!(tx.send(1).is_err());
    /// assert!(rx.try_recv().is_err());
    /// ```
    ///
    /// **Go:** none: there the sender closes.
    pub fn close(&mut self) {
        if self.shared.end(End::Receiver) {
            self.stage = Stage::ClosedEmpty;
        }
    }

    /// SENT has been seen, before CLOSED.
    fn take(&mut self) -> Option<T> {
        self.stage = Stage::Done;
        // SAFETY: the stage was `Open`, so SENT came before CLOSED, and it has been found.
        unsafe { self.shared.take() }
    }
}

impl<T> Unpin for Receiver<T> {}

impl<T> Future for Receiver<T> {
    type Output = Option<T>;

    #[inline]
    #[track_caller]
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<T>> {
        let proceed = ready!(poll_proceed(cx));
        let outcome = match self.stage {
            Stage::Done => panic!("oneshot::Receiver polled after it was ready: await it once"),
            Stage::ClosedEmpty => {
                self.stage = Stage::Done;
                None
            }
            Stage::Open if self.shared.register(End::Receiver, cx) => {
                waiting(WaitReason::ChanReceive, Location::caller());
                return Poll::Pending;
            }
            Stage::Open => self.take(),
        };
        proceed.made_progress();
        Poll::Ready(outcome)
    }
}

impl<T> Drop for Receiver<T> {
    #[inline]
    fn drop(&mut self) {
        if self.stage == Stage::Open {
            self.close();
            if self.stage == Stage::Open {
                // It was sent, and nobody takes it: it is dropped now, not with the sender.
                drop(self.take());
            }
        }
    }
}

impl<T> fmt::Debug for Receiver<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Receiver")
            .field("stage", &self.stage)
            .finish_non_exhaustive()
    }
}
