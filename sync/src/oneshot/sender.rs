//! The end of a `oneshot` that sends, and the future by which it learns that nobody waits any more.
#![forbid(unsafe_code)]

use std::fmt;
use std::future::Future;
use std::panic::Location;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use runtime::task::coop::poll_proceed;
use runtime::task::{WaitReason, waiting};

use super::shared::{End, Shared};
use crate::SendError;
use crate::primitive::Arc;

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
    #[inline]
    pub(super) fn new(shared: Arc<Shared<T>>) -> Self {
        Self {
            shared: Some(shared),
        }
    }

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

    /// Waits until the receiver is gone or closed, so that nobody wants the value any more: the
    /// time to give up making it.
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
