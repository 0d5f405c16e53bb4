//! The end of a `watch` that sees the newest value.
#![forbid(unsafe_code)]

use std::fmt;
use std::panic::Location;

use runtime::task::coop::consume_budget;

use super::{Changed, Ref, Shared};
use crate::blocking;
use crate::primitive::Arc;

/// Sees the newest value, and waits for the next. A clone has seen what this one has.
///
/// ```
/// let (_tx, rx) = sync::watch::channel(1);
/// assert_eq!(*rx.borrow(), 1);
/// ```
///
/// **Go:** none.
pub struct Receiver<T> {
    shared: Arc<Shared<T>>,
    /// The version that it saw last.
    seen: usize,
}

impl<T> Receiver<T> {
    /// One that `shared` has counted, and that has seen the value as it is now.
    pub(super) fn new(shared: Arc<Shared<T>>) -> Self {
        Self {
            seen: shared.version(),
            shared,
        }
    }

    /// Looks at the newest value, without taking note of having seen it.
    ///
    /// Senders wait as long as the guard lives: look, or clone, and let go. It cannot be held
    /// across an `.await` in a task, and a thread that has one cannot send.
    ///
    /// # Panics
    ///
    /// Inside [`modify`](crate::watch::Sender::modify), whose end it would wait for; and where this
    /// thread has another guard already and a sender waits for that one.
    ///
    /// ```
    /// let (tx, rx) = sync::watch::channel(1);
    /// tx.send(2).unwrap();
    /// assert_eq!(*rx.borrow(), 2);
    /// assert!(rx.has_changed());
    /// ```
    ///
    /// **Go:** none.
    #[track_caller]
    pub fn borrow(&self) -> Ref<'_, T> {
        self.shared.borrow()
    }

    /// Whether both handles are of the same channel.
    ///
    /// ```
    /// let (_tx, rx) = sync::watch::channel(1);
    /// assert!(rx.same_channel(&rx.clone()));
    /// ```
    ///
    /// **Go:** `c1 == c2`.
    pub fn same_channel(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.shared, &other.shared)
    }

    /// Looks at the newest value, and counts it as seen.
    ///
    /// ```
    /// let (tx, mut rx) = sync::watch::channel(1);
    /// tx.send(2).unwrap();
    /// assert_eq!(*rx.borrow_and_update(), 2);
    /// assert!(!rx.has_changed());
    /// ```
    ///
    /// **Go:** none.
    #[track_caller]
    pub fn borrow_and_update(&mut self) -> Ref<'_, T> {
        let value = self.shared.borrow();
        // Under the value's lock, so that this is the version of this value.
        self.seen = self.shared.version();
        value
    }

    /// Whether there is a value that has not been seen: one load.
    ///
    /// ```
    /// let (tx, rx) = sync::watch::channel(1);
    /// assert!(!rx.has_changed());
    /// tx.send(1).unwrap(); // what counts is the sending
    /// assert!(rx.has_changed());
    /// ```
    ///
    /// **Go:** none.
    pub fn has_changed(&self) -> bool {
        self.shared.version() != self.seen
    }

    /// Waits until there is a value that has not been seen, and counts it as seen. `false` if there
    /// is none and all senders are gone.
    ///
    /// Values between may be missed; the newest never is.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: dropped before it is ready, it has counted nothing as seen.
    ///
    /// ```
    /// # runtime::block_on(async {
    /// let (tx, mut rx) = sync::watch::channel(1);
    /// tx.send(2).unwrap();
    /// drop(tx);
    /// assert!(rx.changed().await);
    /// assert!(!rx.changed().await);
    /// # });
    /// ```
    ///
    /// **Go:** none.
    #[track_caller]
    pub fn changed(&mut self) -> Changed<'_, T> {
        Changed::new(&self.shared, &mut self.seen, Location::caller())
    }

    /// Waits until the value, as it is or as it becomes, is one that `accepts` says yes to. `false`
    /// if all senders are gone before.
    ///
    /// By the time that one looks, it may have changed again; `accepts` can keep what it needs.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: what `accepts` has looked at counts as seen.
    ///
    /// ```
    /// # runtime::block_on(async {
    /// let (tx, mut rx) = sync::watch::channel(1);
    /// runtime::spawn(async move { for n in 2..10 { tx.replace(n); } });
    /// assert!(rx.wait_for(|&n| n >= 5).await);
    /// # });
    /// ```
    ///
    /// **Go:** none.
    pub async fn wait_for(&mut self, mut accepts: impl FnMut(&T) -> bool) -> bool {
        // Also where it need not wait: a loop of these lets others run.
        consume_budget().await;
        loop {
            // Not in the condition, where the guard would live on.
            let accepted = accepts(&self.borrow_and_update());
            if accepted {
                return true;
            }
            if !self.changed().await {
                return false;
            }
        }
    }

    /// Waits like [`changed`](Self::changed), blocking the thread. For threads outside the runtime.
    ///
    /// # Panics
    ///
    /// Inside a task or the body of `block_on`, which it would hold up.
    ///
    /// ```
    /// let (tx, mut rx) = sync::watch::channel(1);
    /// std::thread::spawn(move || tx.send(2));
    /// assert!(rx.blocking_changed());
    /// assert_eq!(*rx.borrow(), 2);
    /// ```
    ///
    /// **Go:** none.
    #[track_caller]
    pub fn blocking_changed(&mut self) -> bool {
        blocking::wait(
            self.changed(),
            "watch::Receiver::blocking_changed",
            "changed().await",
        )
    }

    /// Waits like [`wait_for`](Self::wait_for), blocking the thread. For threads outside the
    /// runtime.
    ///
    /// # Panics
    ///
    /// Inside a task or the body of `block_on`, which it would hold up.
    ///
    /// ```
    /// let (tx, mut rx) = sync::watch::channel(1);
    /// std::thread::spawn(move || for n in 2..10 { tx.replace(n); });
    /// assert!(rx.blocking_wait_for(|&n| n >= 5));
    /// ```
    ///
    /// **Go:** none.
    #[track_caller]
    pub fn blocking_wait_for(&mut self, accepts: impl FnMut(&T) -> bool) -> bool {
        blocking::wait(
            self.wait_for(accepts),
            "watch::Receiver::blocking_wait_for",
            "wait_for(..).await",
        )
    }
}

impl<T> Clone for Receiver<T> {
    fn clone(&self) -> Self {
        self.shared.add_receiver();
        Self {
            shared: self.shared.clone(),
            seen: self.seen,
        }
    }
}

impl<T> Drop for Receiver<T> {
    fn drop(&mut self) {
        self.shared.remove_receiver();
    }
}

impl<T> fmt::Debug for Receiver<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Receiver")
            .field("has_changed", &self.has_changed())
            .finish_non_exhaustive()
    }
}
