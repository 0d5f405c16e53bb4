//! [`WeakSender`], which can become a sender as long as there is one.
//!
//! It keeps the channel's memory, and does not keep receivers waiting for more. Whether there is a
//! sender is the count of senders, which never rises from zero again.
#![forbid(unsafe_code)]

use std::fmt;

use super::Sender;
use super::shared::Shared;
use crate::primitive::Arc;

/// A handle that makes a [`Sender`] while there is one, and does not count as one: receivers are
/// told of the end without it. From [`Sender::downgrade`].
///
/// For who hands out receivers, by way of a sender's [`subscribe`](Sender::subscribe), without
/// keeping them from seeing the end; and for a task that receives and at times sends.
///
/// ```
/// use sync::broadcast::{self, TryRecvError};
///
/// let (tx, mut rx) = broadcast::channel::<u8>(4);
/// let weak: broadcast::WeakSender<u8> = tx.downgrade();
/// weak.upgrade().unwrap().send(1).unwrap();
/// drop(tx);
/// assert!(weak.upgrade().is_none());
/// assert_eq!(rx.try_recv(), Ok(1));
/// assert_eq!(rx.try_recv(), Err(TryRecvError::Closed));
/// ```
///
/// **Go:** none.
pub struct WeakSender<T> {
    shared: Arc<Shared<T>>,
}

impl<T> WeakSender<T> {
    pub(super) fn new(shared: &Arc<Shared<T>>) -> Self {
        Self {
            shared: shared.clone(),
        }
    }

    /// A sender, unless all have been dropped.
    ///
    /// ```
    /// let (tx, _rx) = sync::broadcast::channel::<u8>(4);
    /// let weak = tx.downgrade();
    /// assert!(weak.upgrade().is_some());
    /// drop(tx);
    /// assert!(weak.upgrade().is_none());
    /// ```
    ///
    /// **Go:** none.
    pub fn upgrade(&self) -> Option<Sender<T>> {
        (self.shared.add_sender_if_any()).then(|| Sender::of(self.shared.clone()))
    }
}

impl<T> Clone for WeakSender<T> {
    fn clone(&self) -> Self {
        Self::new(&self.shared)
    }
}

impl<T> fmt::Debug for WeakSender<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WeakSender")
            .field("senders", &self.shared.senders())
            .finish_non_exhaustive()
    }
}
