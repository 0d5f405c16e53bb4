//! The receiving side.
#![forbid(unsafe_code)]

use std::fmt;
use std::panic::Location;

use super::error::{RecvError, TryRecvError};
use super::recv::Recv;
use super::shared::Shared;
use super::stream::Waiting;
use crate::blocking;
use crate::primitive::Arc;

/// Gets a clone of every value that is sent while it is there.
///
/// It is also a [`Stream`](futures_core::Stream) of values and of [`Lagged`](super::Lagged), which
/// ends when the channel is closed and drained.
///
/// It cannot be cloned, since that could mean two things: [`resubscribe`](Self::resubscribe) begins
/// with the next value, and what this one has yet to see stays its own.
///
/// ```
/// # runtime::block_on(async {
/// use sync::broadcast::RecvError;
///
/// let (tx, mut rx) = sync::broadcast::channel(16);
/// tx.send("an event").unwrap();
/// drop(tx);
/// loop {
///     match rx.recv().await {
///         Ok(event) => println!("{event}"),
///         Err(RecvError::Lagged(missed)) => println!("missed {missed} events"),
///         Err(RecvError::Closed) => break,
///     }
/// }
/// # });
/// ```
///
/// The tempting wrong way is `while let Ok(event) = rx.recv().await`: it ends as soon as the
/// receiver is too slow for once.
///
/// **Go:** none.
pub struct Receiver<T> {
    pub(super) shared: Arc<Shared<T>>,
    /// The number of the value that it wants next.
    pub(super) next: u64,
    /// Its place in the queue as a stream, once it has waited as one.
    pub(super) waiting: Option<Waiting<T>>,
}

impl<T> Receiver<T> {
    pub(super) fn new(shared: &Arc<Shared<T>>) -> Self {
        Self {
            next: shared.add_receiver(),
            shared: shared.clone(),
            waiting: None,
        }
    }

    /// Another receiver, of what is sent from now on. It does not get what this one has yet to see.
    ///
    /// ```
    /// let (tx, one) = sync::broadcast::channel(4);
    /// tx.send(1).unwrap();
    /// let mut two = one.resubscribe();
    /// tx.send(2).unwrap();
    /// assert_eq!(two.try_recv(), Ok(2));
    /// ```
    ///
    /// **Go:** none.
    pub fn resubscribe(&self) -> Self {
        Self::new(&self.shared)
    }

    /// How many values it has yet to see. If it lags behind, that is what it can still get.
    ///
    /// ```
    /// let (tx, rx) = sync::broadcast::channel(2);
    /// for n in 1..=3 {
    ///     tx.send(n).unwrap();
    /// }
    /// assert_eq!(rx.len(), 2); // one is missed
    /// ```
    ///
    /// **Go:** `len(c)`.
    pub fn len(&self) -> usize {
        let tail = self.shared.waiters.lock().next;
        (tail - self.next.max(self.shared.oldest(tail))) as usize
    }

    /// Whether it has seen everything that has been sent.
    ///
    /// ```
    /// let (tx, rx) = sync::broadcast::channel(2);
    /// assert!(rx.is_empty());
    /// tx.send(1).unwrap();
    /// assert!(!rx.is_empty());
    /// ```
    ///
    /// **Go:** `len(c) == 0`.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether all senders are gone. There may still be values to receive.
    ///
    /// ```
    /// let (tx, rx) = sync::broadcast::channel::<u8>(2);
    /// assert!(!rx.is_closed());
    /// drop(tx);
    /// assert!(rx.is_closed());
    /// ```
    ///
    /// **Go:** none.
    pub fn is_closed(&self) -> bool {
        self.shared.waiters.lock().is_closed()
    }

    /// How many values the channel keeps at most.
    ///
    /// ```
    /// assert_eq!(sync::broadcast::channel::<u8>(4).1.capacity(), 4);
    /// ```
    ///
    /// **Go:** `cap(c)`.
    pub fn capacity(&self) -> usize {
        self.shared.capacity()
    }

    /// How many senders there are.
    ///
    /// ```
    /// let (tx, rx) = sync::broadcast::channel::<u8>(4);
    /// let _other = tx.clone();
    /// assert_eq!(rx.senders(), 2);
    /// ```
    ///
    /// **Go:** none.
    pub fn senders(&self) -> usize {
        self.shared.senders()
    }

    /// Whether both handles are of the same channel.
    ///
    /// ```
    /// let (_tx, rx) = sync::broadcast::channel::<u8>(4);
    /// assert!(rx.same_channel(&rx.resubscribe()));
    /// ```
    ///
    /// **Go:** `c1 == c2`.
    pub fn same_channel(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.shared, &other.shared)
    }
}

impl<T: Clone> Receiver<T> {
    /// The next value; waits for it if it has not been sent yet.
    ///
    /// # Errors
    ///
    /// [`RecvError::Lagged`] if it was overwritten before this receiver came to look; then the next
    /// call yields the oldest that is still there. [`RecvError::Closed`] if all senders are gone
    /// and there is nothing left.
    ///
    /// # Panics
    ///
    /// If cloning the value does; then it counts as received.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: dropped before it is ready, it has received nothing.
    ///
    /// # Memory ordering
    ///
    /// What the sender did before it sent the value is visible.
    ///
    /// ```
    /// # runtime::block_on(async {
    /// let (tx, mut rx) = sync::broadcast::channel(4);
    /// runtime::spawn(async move { tx.send(1) });
    /// assert_eq!(rx.recv().await, Ok(1));
    /// # });
    /// ```
    ///
    /// **Go:** `v, ok := <-c`.
    #[track_caller]
    pub fn recv(&mut self) -> Recv<'_, T> {
        Recv::new(self, Location::caller())
    }

    /// The next value if it has been sent.
    ///
    /// # Errors
    ///
    /// [`TryRecvError::Empty`] if not, and those of [`recv`](Self::recv).
    ///
    /// # Panics
    ///
    /// As `recv`.
    ///
    /// ```
    /// let (tx, mut rx) = sync::broadcast::channel(4);
    /// assert!(rx.try_recv().is_err());
    /// tx.send(1).unwrap();
    /// assert_eq!(rx.try_recv(), Ok(1));
    /// ```
    ///
    /// **Go:** `select { case v, ok := <-c: default: }`.
    pub fn try_recv(&mut self) -> Result<T, TryRecvError> {
        match self.shared.receive(&mut self.next) {
            None if self.shared.waiters.lock().is_over_at(self.next) => Err(TryRecvError::Closed),
            None => Err(TryRecvError::Empty),
            Some(Ok(taken)) => Ok(taken.into_value()),
            Some(Err(error)) => Err(error.into()),
        }
    }

    /// The next value, blocking the thread until it has been sent. For threads outside the runtime.
    ///
    /// # Errors
    ///
    /// As [`recv`](Self::recv).
    ///
    /// # Panics
    ///
    /// As `recv`, and inside a task or the body of `block_on`, which it would hold up.
    ///
    /// ```
    /// let (tx, mut rx) = sync::broadcast::channel(4);
    /// std::thread::spawn(move || tx.send(1));
    /// assert_eq!(rx.blocking_recv(), Ok(1));
    /// ```
    ///
    /// **Go:** `<-c` on a thread of one's own.
    #[track_caller]
    pub fn blocking_recv(&mut self) -> Result<T, RecvError> {
        blocking::wait(
            self.recv(),
            "broadcast::Receiver::blocking_recv",
            "recv().await",
        )
    }
}

impl<T> Drop for Receiver<T> {
    fn drop(&mut self) {
        self.shared.remove_receiver(self.next);
    }
}

impl<T> fmt::Debug for Receiver<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Receiver")
            .field("len", &self.len())
            .field("closed", &self.is_closed())
            .finish_non_exhaustive()
    }
}
