//! [`WeakSender`], which can become a sender as long as there is one.
//!
//! It keeps the channel's memory, and does not keep the channel open. Whether there is a sender is
//! the count of senders, which never rises from zero again.
#![forbid(unsafe_code)]

use std::fmt;

use runtime::leaks::trial;

use super::rehearsal;
use super::{Channel, Sender};
use crate::primitive::Arc;

/// A handle that makes a [`Sender`] while there is one, and does not keep the channel open. From
/// [`Sender::downgrade`].
///
/// For a task that receives and now and then hands out senders of its own channel: with a sender in
/// its hands it would never see the end.
///
/// ```
/// # runtime::block_on(async {
/// let (tx, rx) = sync::channel(4);
/// let again = tx.downgrade();
/// tx.send(3).await.unwrap();
/// drop(tx);
/// while let Some(n) = rx.recv().await {
///     // Nobody but this task has a sender now, so there is none.
///     assert!(again.upgrade().is_none());
///     assert_eq!(n, 3);
/// }
/// # });
/// ```
///
/// **Go:** none: what closes a channel there is `close` alone.
pub struct WeakSender<T> {
    channel: Arc<Channel<T>>,
}

impl<T> WeakSender<T> {
    pub(super) fn new(channel: &Arc<Channel<T>>) -> Self {
        channel.add_weak();
        Self {
            channel: channel.clone(),
        }
    }

    /// A sender, unless all have been dropped. On a channel that was [closed](Sender::close) there
    /// may still be some, which can no more than tell that.
    ///
    /// ```
    /// let (tx, rx) = sync::channel(1);
    /// let weak = tx.downgrade();
    /// weak.upgrade().unwrap().try_send(1).unwrap();
    /// drop(tx);
    /// assert!(weak.upgrade().is_none());
    /// assert_eq!(rx.try_recv(), Ok(1));
    /// assert!(rx.is_closed());
    /// ```
    ///
    /// **Go:** none.
    pub fn upgrade(&self) -> Option<Sender<T>> {
        (self.channel.add_sender_if_any()).then(|| Sender::new(self.channel.clone()))
    }
}

impl<T> Clone for WeakSender<T> {
    fn clone(&self) -> Self {
        Self::new(&self.channel)
    }
}

impl<T> Drop for WeakSender<T> {
    fn drop(&mut self) {
        if trial::is_on() {
            // As a sender, which it may become.
            return rehearsal::let_go(self, &self.channel, rehearsal::SENDERS);
        }
        self.channel.remove_weak();
    }
}

impl<T> fmt::Debug for WeakSender<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        super::debug(&self.channel, "WeakSender", f)
    }
}
