//! ⚠ `oneshot`: one value, from one to another.
//!
//! The two ends share one allocation, `shared`, which has the protocol; here are the ends themselves.
//!
//! *Rejected*: a channel of capacity 1, which does the same with a lock, a buffer and two queues.

use std::fmt;
use std::future::Future;
use std::panic::Location;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use runtime::task::coop::poll_proceed;
use runtime::task::{WaitReason, waiting};

mod shared;

use crate::SendError;
use crate::blocking;
use crate::primitive::Arc;
use shared::{End, Shared};

/// A channel for one value.
///
/// ```
/// # runtime::block_on(async {
/// let (tx, rx) = sync::oneshot::channel();
/// runtime::spawn(async move { tx.send(6 * 7) });
/// assert_eq!(rx.await, Some(42));
/// # });
/// ```
///
/// **Go:** `make(chan T, 1)` for an answer.
pub fn channel<T>() -> (Sender<T>, Receiver<T>) {
    // Not `new`, which moves it there; that costs more than all the rest here, as the processor waits for what has just been written in
    // parts to be read as a whole.
    let shared = Arc::<Shared<T>>::default();
    let sender = Sender {
        shared: Some(shared.clone()),
    };
    let receiver = Receiver {
        shared,
        stage: Stage::Open,
    };
    (sender, receiver)
}

/// Sends the one value. Dropping it instead lets the receiver get `None`.
///
/// ```
/// let (tx, rx): (sync::oneshot::Sender<i32>, _) = sync::oneshot::channel();
/// drop(tx);
/// assert_eq!(rx.blocking_recv(), None);
/// ```
///
/// **Go:** the end of the channel that the answer is sent on.
pub struct Sender<T> {
    /// `None` once sent.
    shared: Option<Arc<Shared<T>>>,
}

impl<T> Sender<T> {
    /// Sends the value; never waits.
    ///
    /// # Errors
    ///
    /// The value, if the receiver is gone or closed.
    ///
    /// # Memory ordering
    ///
    /// What happened before is visible to the receiver once it has the value.
    ///
    /// ```
    /// let (tx, rx) = sync::oneshot::channel();
    /// drop(rx);
    /// assert_eq!(tx.send(1).unwrap_err().0, 1);
    /// ```
    ///
    /// **Go:** `c <- v` on a channel of capacity 1.
    #[inline]
    pub fn send(mut self, value: T) -> Result<(), SendError<T>> {
        let shared = self.shared.take().expect("taken only here and by drop");
        match shared.send(value) {
            None => Ok(()),
            Some(value) => Err(SendError(value)),
        }
    }

    /// Whether the receiver is gone or closed, so that nobody would get the value.
    ///
    /// ```
    /// let (tx, rx) = sync::oneshot::channel::<i32>();
    /// assert!(!tx.is_closed());
    /// drop(rx);
    /// assert!(tx.is_closed());
    /// ```
    ///
    /// **Go:** none; a context tells.
    pub fn is_closed(&self) -> bool {
        (self.shared.as_ref()).is_some_and(|shared| shared.has_ended(End::Receiver))
    }

    /// Waits until the receiver is gone or closed, so that nobody wants the value any more: the time to give up making it.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: there is nothing to lose.
    ///
    /// ```
    /// use sync::{oneshot, select};
    ///
    /// # runtime::block_on(async {
    /// let (mut tx, rx) = oneshot::channel::<u32>();
    /// let work = runtime::spawn(async move {
    ///     select! {
    ///         () = tx.closed() => "nobody waits for it",
    ///         () = std::future::pending() => "finished", // work that takes long
    ///     }
    /// });
    /// drop(rx);
    /// assert_eq!(work.await.unwrap(), "nobody waits for it");
    /// # });
    /// ```
    ///
    /// **Go:** `<-ctx.Done()`, with a context that the receiver cancels.
    #[track_caller]
    pub fn closed(&mut self) -> Closed<'_, T> {
        Closed {
            sender: self,
            place: Location::caller(),
        }
    }
}

impl<T> Drop for Sender<T> {
    #[inline]
    fn drop(&mut self) {
        if let Some(shared) = self.shared.take() {
            shared.end(End::Sender);
        }
    }
}

impl<T> fmt::Debug for Sender<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sender")
            .field("closed", &self.is_closed())
            .finish()
    }
}

/// Future of [`Sender::closed`]. Polled after it was ready, it is ready again.
///
/// ```
/// # runtime::block_on(async {
/// let (mut tx, rx) = sync::oneshot::channel::<u32>();
/// drop(rx);
/// let closed: sync::oneshot::Closed<'_, u32> = tx.closed();
/// closed.await;
/// # });
/// ```
///
/// **Go:** a goroutine inside `<-ctx.Done()`.
#[must_use = "futures do nothing unless awaited"]
pub struct Closed<'a, T> {
    sender: &'a mut Sender<T>,
    place: &'static Location<'static>,
}

impl<T> Future for Closed<'_, T> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let proceed = ready!(poll_proceed(cx));
        // Sending takes the sender, so it is there.
        if (self.sender.shared.as_ref()).is_some_and(|shared| shared.register(End::Sender, cx)) {
            waiting(WaitReason::ChanSend, self.place);
            return Poll::Pending;
        }
        proceed.made_progress();
        Poll::Ready(())
    }
}

impl<T> Drop for Closed<'_, T> {
    fn drop(&mut self) {
        if let Some(shared) = &self.sender.shared {
            shared.unregister(End::Sender);
        }
    }
}

impl<T> fmt::Debug for Closed<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Closed")
            .field("closed", &self.sender.is_closed())
            .finish_non_exhaustive()
    }
}

/// Receives the one value: a future of it. `None` if the sender was dropped instead.
///
/// # Cancel safety
///
/// Cancel safe: awaiting `&mut receiver` may be given up and done again; the value stays where it is. Dropping the receiver itself closes
/// it.
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
    /// Takes the value if it is there.
    ///
    /// # Errors
    ///
    /// [`TryRecvError::Empty`](crate::TryRecvError::Empty) if it may still come, [`Closed`](crate::TryRecvError::Closed) if not.
    ///
    /// ```
    /// let (tx, mut rx) = sync::oneshot::channel();
    /// assert!(rx.try_recv().is_err());
    /// tx.send(1).unwrap();
    /// assert_eq!(rx.try_recv(), Ok(1));
    /// ```
    ///
    /// **Go:** `select { case v, ok := <-c: default: }`.
    pub fn try_recv(&mut self) -> Result<T, crate::TryRecvError> {
        if self.stage != Stage::Open {
            return Err(crate::TryRecvError::Closed);
        }
        if !self.shared.has_ended(End::Sender) {
            return Err(crate::TryRecvError::Empty);
        }
        self.take().ok_or(crate::TryRecvError::Closed)
    }

    /// Waits for the value, blocking the thread. For threads outside the runtime.
    ///
    /// # Panics
    ///
    /// Inside a task, whose worker it would block.
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

    /// Takes nothing any more: a later `send` fails, a value that was sent before can still be received.
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
