//! The sending side.
#![forbid(unsafe_code)]

use std::fmt;
use std::future::Future;
use std::panic::Location;

use super::receiver::Receiver;
use super::shared::Shared;
use super::weak::WeakSender;
use crate::SendError;
use crate::gone::UntilGone;
use crate::primitive::Arc;

/// Sends values to all receivers. Clones send to the same; when the last is dropped, receivers are
/// told after the last value.
///
/// ```
/// let (tx, mut rx) = sync::broadcast::channel(4);
/// tx.clone().send(1).unwrap();
/// assert_eq!(rx.try_recv(), Ok(1));
/// ```
///
/// **Go:** none.
pub struct Sender<T> {
    shared: Arc<Shared<T>>,
}

impl<T> Sender<T> {
    /// The sending side of a channel without receivers, which may [subscribe](Self::subscribe).
    ///
    /// # Panics
    ///
    /// As [`channel`](super::channel).
    ///
    /// ```
    /// let tx = sync::broadcast::Sender::new(4);
    /// assert!(tx.send("nobody listens").is_err());
    /// ```
    ///
    /// **Go:** none.
    #[track_caller]
    pub fn new(capacity: usize) -> Self {
        assert!(
            capacity > 0,
            "broadcast::channel: with a capacity of zero every value would be missed; give it one or more, or use \
             sync::channel(0) for a rendezvous with one receiver"
        );
        Self {
            shared: Shared::new(capacity),
        }
    }

    /// Sends a value to all receivers that are there, and says how many. Never waits: if the ring
    /// is full, the oldest value makes room.
    ///
    /// That a receiver is there does not mean that it will look; it may go away, or miss the value.
    ///
    /// # Errors
    ///
    /// The value, if there is no receiver. A later one may [subscribe](Self::subscribe) all the
    /// same.
    ///
    /// # Memory ordering
    ///
    /// What happened before is visible to who receives the value.
    ///
    /// ```
    /// let (tx, rx) = sync::broadcast::channel(4);
    /// assert_eq!(tx.send(1).unwrap(), 1);
    /// drop(rx);
    /// assert_eq!(tx.send(2).unwrap_err().0, 2);
    /// ```
    ///
    /// **Go:** none.
    pub fn send(&self, value: T) -> Result<usize, SendError<T>> {
        self.shared.send(value).map_err(SendError)
    }

    /// A new receiver, of what is sent from now on.
    ///
    /// ```
    /// let (tx, _rx) = sync::broadcast::channel(4);
    /// tx.send("before").unwrap();
    /// let mut rx = tx.subscribe();
    /// tx.send("after").unwrap();
    /// assert_eq!(rx.try_recv(), Ok("after"));
    /// ```
    ///
    /// **Go:** none.
    pub fn subscribe(&self) -> Receiver<T> {
        Receiver::new(&self.shared)
    }

    /// How many values the channel holds that some receiver has yet to see.
    ///
    /// ```
    /// let (tx, mut rx) = sync::broadcast::channel(4);
    /// tx.send(1).unwrap();
    /// assert_eq!(tx.len(), 1);
    /// rx.try_recv().unwrap();
    /// assert_eq!(tx.len(), 0);
    /// ```
    ///
    /// **Go:** none.
    pub fn len(&self) -> usize {
        self.shared.len()
    }

    /// Whether all receivers have seen everything.
    ///
    /// ```
    /// assert!(sync::broadcast::channel::<u8>(4).0.is_empty());
    /// ```
    ///
    /// **Go:** none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many values the channel keeps at most.
    ///
    /// ```
    /// assert_eq!(sync::broadcast::channel::<u8>(4).0.capacity(), 4);
    /// ```
    ///
    /// **Go:** `cap(c)`.
    pub fn capacity(&self) -> usize {
        self.shared.capacity()
    }

    /// How many receivers there are.
    ///
    /// ```
    /// let (tx, _rx) = sync::broadcast::channel::<u8>(4);
    /// let _other = tx.subscribe();
    /// assert_eq!(tx.receivers(), 2);
    /// ```
    ///
    /// **Go:** none.
    pub fn receivers(&self) -> usize {
        self.shared.receivers()
    }

    /// How many senders there are.
    ///
    /// ```
    /// let (tx, _rx) = sync::broadcast::channel::<u8>(4);
    /// let _other = tx.clone();
    /// assert_eq!(tx.senders(), 2);
    /// ```
    ///
    /// **Go:** none.
    pub fn senders(&self) -> usize {
        self.shared.senders()
    }

    /// A handle that can become a sender while there is one, and does not count as one: see
    /// [`WeakSender`].
    ///
    /// ```
    /// let (tx, _rx) = sync::broadcast::channel::<u8>(4);
    /// let weak = tx.downgrade();
    /// assert!(weak.upgrade().unwrap().same_channel(&tx));
    /// ```
    ///
    /// **Go:** none.
    pub fn downgrade(&self) -> WeakSender<T> {
        WeakSender::new(&self.shared)
    }

    /// For one that has been counted.
    pub(super) fn of(shared: Arc<Shared<T>>) -> Self {
        Self { shared }
    }

    /// Whether there is no receiver. There may be one again, see [`subscribe`](Self::subscribe).
    ///
    /// ```
    /// let (tx, rx) = sync::broadcast::channel::<u8>(4);
    /// assert!(!tx.is_closed());
    /// drop(rx);
    /// assert!(tx.is_closed());
    /// ```
    ///
    /// **Go:** none.
    pub fn is_closed(&self) -> bool {
        self.receivers() == 0
    }

    /// Waits until there is no receiver: nobody listens any more. By the time that one looks, there
    /// may be one again.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: there is nothing to lose.
    ///
    /// # Memory ordering
    ///
    /// What the receivers did before they were dropped is visible.
    ///
    /// ```
    /// # runtime::block_on(async {
    /// let (tx, rx) = sync::broadcast::channel(4);
    /// runtime::spawn(async move { drop(rx) });
    /// tx.closed().await;
    /// assert!(tx.send(1).is_err());
    /// # });
    /// ```
    ///
    /// **Go:** `<-ctx.Done()`, with a context that the receivers cancel.
    #[track_caller]
    pub fn closed(&self) -> impl Future<Output = ()> + use<'_, T> {
        let until = UntilGone::new(&self.shared.gone, Location::caller());
        until.wait(|| self.is_closed())
    }

    /// Whether both handles are of the same channel.
    ///
    /// ```
    /// let (tx, _rx) = sync::broadcast::channel::<u8>(4);
    /// assert!(tx.same_channel(&tx.clone()));
    /// ```
    ///
    /// **Go:** `c1 == c2`.
    pub fn same_channel(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.shared, &other.shared)
    }
}

impl<T> Clone for Sender<T> {
    fn clone(&self) -> Self {
        self.shared.add_sender();
        Self {
            shared: self.shared.clone(),
        }
    }
}

impl<T> Drop for Sender<T> {
    fn drop(&mut self) {
        self.shared.remove_sender();
    }
}

impl<T> fmt::Debug for Sender<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sender")
            .field("capacity", &self.capacity())
            .field("len", &self.len())
            .field("receivers", &self.receivers())
            .finish()
    }
}
