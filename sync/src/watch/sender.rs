//! The end of a `watch` that changes the value.
#![forbid(unsafe_code)]

use std::fmt;
use std::panic::Location;

use super::{Receiver, Ref, Shared};
use crate::SendError;
use crate::gone::UntilGone;
use crate::primitive::Arc;

/// Changes the value. Clones change the same; when the last is dropped, receivers are told.
///
/// ```
/// let (tx, rx) = sync::watch::channel(1);
/// tx.send(2).unwrap();
/// assert_eq!(*rx.borrow(), 2);
/// ```
///
/// **Go:** none.
pub struct Sender<T> {
    shared: Arc<Shared<T>>,
}

impl<T> Sender<T> {
    /// The first sender: `shared` has counted it.
    pub(super) fn new(shared: Arc<Shared<T>>) -> Self {
        Self { shared }
    }

    /// Replaces the value and wakes all who wait for a change. Never waits for receivers, only,
    /// shortly, for one that [looks](Receiver::borrow) just now.
    ///
    /// # Errors
    ///
    /// The value, if there is no receiver; then nothing has changed.
    ///
    /// # Panics
    ///
    /// If this thread has a guard of [`borrow`](Self::borrow) of the same channel: it would wait
    /// for itself.
    ///
    /// # Memory ordering
    ///
    /// What happened before is visible to whom [`changed`](Receiver::changed) tells of this value.
    ///
    /// ```
    /// let (tx, rx) = sync::watch::channel(1);
    /// assert!(tx.send(2).is_ok());
    /// drop(rx);
    /// assert_eq!(tx.send(3).unwrap_err().0, 3);
    /// ```
    ///
    /// **Go:** none.
    #[track_caller]
    pub fn send(&self, value: T) -> Result<(), SendError<T>> {
        if self.shared.receivers() == 0 {
            return Err(SendError(value));
        }
        drop(self.replace(value));
        Ok(())
    }

    /// Replaces the value also when there is no receiver, and returns the old one.
    ///
    /// # Panics
    ///
    /// If this thread has a guard of [`borrow`](Self::borrow) of the same channel: it would wait
    /// for itself.
    ///
    /// ```
    /// let (tx, _) = sync::watch::channel(1);
    /// assert_eq!(tx.replace(2), 1);
    /// ```
    ///
    /// **Go:** none.
    #[track_caller]
    pub fn replace(&self, value: T) -> T {
        let mut value = value;
        self.shared.modify(|current| {
            std::mem::swap(current, &mut value);
            true
        });
        value
    }

    /// Changes the value in place by `change`, which says whether it did; wakes all who wait if so.
    /// Receivers and other senders wait meanwhile, so it should be short.
    ///
    /// # Panics
    ///
    /// If `change` does; then nobody is woken, and the value is as the panic left it. And if this
    /// thread has a guard of [`borrow`](Self::borrow), or `change` uses the channel: it would wait
    /// for itself.
    ///
    /// ```
    /// let (tx, rx) = sync::watch::channel(vec![1]);
    /// tx.modify(|list| { list.push(2); true });
    /// assert_eq!(*rx.borrow(), [1, 2]);
    /// ```
    ///
    /// **Go:** none.
    #[track_caller]
    pub fn modify(&self, change: impl FnOnce(&mut T) -> bool) -> bool {
        self.shared.modify(change)
    }

    /// Looks at the value; see [`Receiver::borrow`].
    ///
    /// ```
    /// let (tx, _rx) = sync::watch::channel(1);
    /// assert_eq!(*tx.borrow(), 1);
    /// ```
    ///
    /// **Go:** none.
    #[track_caller]
    pub fn borrow(&self) -> Ref<'_, T> {
        self.shared.borrow()
    }

    /// A receiver that has seen the value as it is now.
    ///
    /// ```
    /// let (tx, _) = sync::watch::channel(1);
    /// let mut rx = tx.subscribe();
    /// assert!(!rx.has_changed());
    /// ```
    ///
    /// **Go:** none.
    pub fn subscribe(&self) -> Receiver<T> {
        self.shared.add_receiver();
        Receiver::new(self.shared.clone())
    }

    /// How many receivers there are.
    ///
    /// ```
    /// let (tx, rx) = sync::watch::channel(1);
    /// let _other = rx.clone();
    /// assert_eq!(tx.receivers(), 2);
    /// ```
    ///
    /// **Go:** none.
    pub fn receivers(&self) -> usize {
        self.shared.receivers()
    }

    /// Whether there is no receiver. There may be one again, see [`subscribe`](Self::subscribe).
    ///
    /// ```
    /// let (tx, rx) = sync::watch::channel(1);
    /// assert!(!tx.is_closed());
    /// drop(rx);
    /// assert!(tx.is_closed());
    /// ```
    ///
    /// **Go:** none.
    pub fn is_closed(&self) -> bool {
        self.receivers() == 0
    }

    /// Waits until there is no receiver: nobody wants to know the value any more. By the time that
    /// one looks, there may be one again.
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
    /// let (tx, rx) = sync::watch::channel(1);
    /// runtime::spawn(async move { drop(rx) });
    /// tx.closed().await;
    /// assert!(tx.send(2).is_err());
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
    /// let (tx, _rx) = sync::watch::channel(1);
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
            .field("receivers", &self.receivers())
            .finish_non_exhaustive()
    }
}
