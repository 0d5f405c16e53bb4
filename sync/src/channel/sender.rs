//! [`Sender`], the end of a channel that values go in at.
#![forbid(unsafe_code)]

use std::fmt;
use std::panic::Location;

use runtime::leaks::trial;

use super::core::Sent;
use super::rehearsal;
use super::shared::wake;
use super::{Channel, Closed, Send, SendError, SendFrom, TrySendError, WeakSender};
use crate::blocking;
use crate::primitive::Arc;

/// The sending end of a [`channel`](super::channel).
///
/// Cloning it makes another handle of the same end; when the last one is dropped the channel
/// closes.
///
/// ```
/// # runtime::block_on(async {
/// let (tx, rx): (sync::Sender<u32>, _) = sync::channel(1);
/// tx.send(7).await.unwrap();
/// assert_eq!(rx.recv().await, Some(7));
/// # });
/// ```
///
/// **Go:** `chan<- T`.
pub struct Sender<T> {
    channel: Arc<Channel<T>>,
}

impl<T> Sender<T> {
    pub(super) fn new(channel: Arc<Channel<T>>) -> Self {
        Self { channel }
    }

    /// Sends a value: waits for a receiver, or for room in the buffer. Senders that wait are served
    /// first come, first served.
    ///
    /// # Errors
    ///
    /// The value comes back in the error when the channel is closed, before or while it waits.
    ///
    /// # Cancel safety
    ///
    /// When the future is dropped the value has been sent, once, or not at all; in that case it is
    /// dropped. With [`send_from`](Self::send_from) it stays with you.
    ///
    /// # Memory ordering
    ///
    /// What this task did before is visible to whoever receives the value.
    ///
    /// ```
    /// # runtime::block_on(async {
    /// let (tx, rx) = sync::channel(1);
    /// tx.send("hello").await.unwrap();
    /// assert_eq!(rx.recv().await, Some("hello"));
    /// rx.close();
    /// assert_eq!(tx.send("again").await.unwrap_err().into_inner(), "again");
    /// # });
    /// ```
    ///
    /// **Go:** `ch <- v`; on a closed channel it is an error instead of a panic.
    #[track_caller]
    #[inline]
    pub fn send(&self, value: T) -> Send<'_, T> {
        Send::new(&self.channel, value, Location::caller())
    }

    /// Sends the value in `value`, which is `None` afterwards if and only if the value has been
    /// sent or is in the error.
    ///
    /// The future borrows the option; when it is dropped unsent, because it lost a `select!` or ran
    /// into a timeout, the value is back.
    ///
    /// # Errors
    ///
    /// The value comes back in the error when the channel is closed.
    ///
    /// # Panics
    ///
    /// If the option is `None`.
    ///
    /// # Cancel safety
    ///
    /// When the future is dropped the value has been sent, once, or it is back in the option.
    ///
    /// ```
    /// # runtime::block_on(async {
    /// use sync::select;
    ///
    /// let (tx, rx) = sync::channel(0);
    /// let (stop, stopped) = sync::channel::<()>(1);
    /// stop.send(()).await.unwrap();
    /// let mut job = Some("job");
    /// select! {
    ///     sent = tx.send_from(&mut job) => sent.unwrap(),
    ///     _ = stopped.recv() => {}
    /// }
    /// assert_eq!(job, Some("job")); // nobody was there to take it
    /// # drop(rx);
    /// # });
    /// ```
    ///
    /// **Go:** `case ch <- v:`, after which a losing arm's `v` is still at hand.
    #[track_caller]
    #[inline]
    pub fn send_from<'a>(&'a self, value: &'a mut Option<T>) -> SendFrom<'a, T> {
        SendFrom::new(&self.channel, value, Location::caller())
    }

    /// Sends a value if that is possible at once: a receiver is waiting, or the buffer has room.
    ///
    /// # Errors
    ///
    /// The value comes back: [`Full`](TrySendError::Full) if it would have to wait,
    /// [`Closed`](TrySendError::Closed) if the channel is closed.
    ///
    /// ```
    /// let (tx, rx) = sync::channel(1);
    /// assert!(tx.try_send(1).is_ok());
    /// assert!(tx.try_send(2).unwrap_err().is_full());
    /// assert_eq!(rx.try_recv(), Ok(1));
    /// ```
    ///
    /// **Go:** `select { case ch <- v: default: }`.
    #[inline]
    pub fn try_send(&self, value: T) -> Result<(), TrySendError<T>> {
        if !self.channel.send_ready() {
            return Err(TrySendError::Full(value));
        }
        let mut unsent = Some(value);
        let sent = self
            .channel
            .lock()
            .send(|| unsent.take().expect("taken once"));
        match (sent, unsent) {
            (Sent::Done(waker), _) => {
                wake(waker);
                Ok(())
            }
            (Sent::Full, Some(value)) => Err(TrySendError::Full(value)),
            (Sent::Closed, Some(value)) => Err(TrySendError::Closed(value)),
            (_, None) => unreachable!("only a send that is done takes the value"),
        }
    }

    /// Sends a value from a thread that is not running a task, and blocks the thread while it
    /// waits.
    ///
    /// # Errors
    ///
    /// The value comes back in the error when the channel is closed.
    ///
    /// # Panics
    ///
    /// Inside a task or the body of `block_on`, which it would hold up: use [`send`](Self::send)
    /// and `.await` there.
    ///
    /// ```
    /// let (tx, rx) = sync::channel(0);
    /// let thread = std::thread::spawn(move || tx.blocking_send(5));
    /// assert_eq!(rx.blocking_recv(), Some(5));
    /// assert!(thread.join().unwrap().is_ok());
    /// ```
    ///
    /// **Go:** `ch <- v` on a thread that Go did not start has no counterpart.
    #[track_caller]
    pub fn blocking_send(&self, value: T) -> Result<(), SendError<T>> {
        blocking::wait(self.send(value), "blocking_send", "send(…).await")
    }

    /// Closes the channel; false if it was closed already.
    ///
    /// Everybody who waits is woken: receivers get `None`, senders their value back. What is
    /// buffered can still be received.
    ///
    /// # Memory ordering
    ///
    /// What this task did before is visible to whoever receives `None` because of it.
    ///
    /// ```
    /// # runtime::block_on(async {
    /// let (tx, rx) = sync::channel(4);
    /// tx.send(1).await.unwrap();
    /// assert!(tx.close());
    /// assert!(!tx.close());
    /// assert!(tx.send(2).await.is_err());
    /// assert_eq!(rx.recv().await, Some(1));
    /// assert_eq!(rx.recv().await, None);
    /// # });
    /// ```
    ///
    /// **Go:** `close(ch)`; closing twice is no panic, and waiting senders get an error.
    pub fn close(&self) -> bool {
        self.channel.close()
    }

    /// Whether the channel is closed: sends fail from now on.
    ///
    /// ```
    /// let (tx, rx) = sync::channel::<u32>(0);
    /// assert!(!tx.is_closed());
    /// drop(rx);
    /// assert!(tx.is_closed());
    /// ```
    ///
    /// **Go:** cannot be asked.
    pub fn is_closed(&self) -> bool {
        self.channel.is_closed()
    }

    /// Waits until the channel is closed or every receiver is gone, so that nobody wants a value
    /// any more: the time to give up making one. The first call of it on a channel allocates once.
    ///
    /// # Cancel safety
    /// There is nothing to lose.
    ///
    /// # Memory ordering
    /// What the closer did before closing is visible afterwards.
    ///
    /// ```
    /// use sync::{channel, select};
    ///
    /// # runtime::block_on(async {
    /// let (tx, rx) = channel::<u32>(1);
    /// let work = runtime::spawn(async move {
    ///     select! {
    ///         () = tx.closed() => "nobody wants it",
    ///         () = std::future::pending() => "finished", // what takes long
    ///     }
    /// });
    /// drop(rx);
    /// assert_eq!(work.await.unwrap(), "nobody wants it");
    /// # });
    /// ```
    ///
    /// **Go:** `<-ctx.Done()`, with a context that the receiver cancels.
    #[track_caller]
    pub fn closed(&self) -> Closed<'_, T> {
        Closed::new(&self.channel, Location::caller())
    }

    /// A handle that does not keep the channel open, and makes a sender while there is one.
    ///
    /// ```
    /// let (tx, rx) = sync::channel(1);
    /// let weak = tx.downgrade();
    /// drop(tx);
    /// assert!(rx.is_closed() && weak.upgrade().is_none());
    /// # let _: sync::Receiver<u8> = rx;
    /// ```
    ///
    /// **Go:** none.
    pub fn downgrade(&self) -> WeakSender<T> {
        WeakSender::new(&self.channel)
    }

    /// How many values are in the channel, waiting for a receiver. Values that dropped receivers
    /// gave back count as well.
    ///
    /// ```
    /// let (tx, _rx) = sync::channel(2);
    /// tx.try_send('a').unwrap();
    /// assert_eq!((tx.len(), tx.capacity()), (1, 2));
    /// ```
    ///
    /// **Go:** `len(ch)`.
    pub fn len(&self) -> usize {
        self.channel.lock().len()
    }

    /// How many values the channel holds before `send` waits; 0 is a rendezvous.
    ///
    /// ```
    /// let (tx, _rx) = sync::channel::<u8>(16);
    /// assert_eq!(tx.capacity(), 16);
    /// ```
    ///
    /// **Go:** `cap(ch)`.
    pub fn capacity(&self) -> usize {
        self.channel.lock().capacity()
    }

    /// Whether no value is in the channel.
    ///
    /// ```
    /// let (tx, _rx) = sync::channel::<u8>(1);
    /// assert!(tx.is_empty());
    /// ```
    ///
    /// **Go:** `len(ch) == 0`.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether the buffer has no room; always true with capacity 0.
    ///
    /// ```
    /// let (tx, _rx) = sync::channel(1);
    /// tx.try_send(1).unwrap();
    /// assert!(tx.is_full());
    /// ```
    ///
    /// **Go:** `len(ch) == cap(ch)`.
    pub fn is_full(&self) -> bool {
        self.channel.lock().is_full()
    }

    /// How many handles of the sending end there are: senders, not
    /// [weak ones](super::WeakSender). By the time that one looks there may be more or fewer,
    /// unless it is zero: then none comes any more.
    ///
    /// ```
    /// let (tx, rx) = sync::channel::<u8>(1);
    /// let other = tx.clone();
    /// assert_eq!((tx.sender_count(), rx.sender_count()), (2, 2));
    /// # drop(other);
    /// ```
    ///
    /// **Go:** none.
    pub fn sender_count(&self) -> usize {
        self.channel.sender_count()
    }

    /// How many handles of the receiving end there are. By the time that one looks there may be
    /// more or fewer, unless it is zero: then none comes any more.
    ///
    /// ```
    /// let (tx, rx) = sync::channel::<u8>(1);
    /// assert_eq!(tx.receiver_count(), 1);
    /// drop(rx);
    /// assert_eq!(tx.receiver_count(), 0);
    /// ```
    ///
    /// **Go:** none.
    pub fn receiver_count(&self) -> usize {
        self.channel.receiver_count()
    }

    /// Whether both handles are of the same channel.
    ///
    /// ```
    /// let (tx, _rx) = sync::channel::<u8>(1);
    /// let (other, _) = sync::channel::<u8>(1);
    /// assert!(tx.same_channel(&tx.clone()) && !tx.same_channel(&other));
    /// ```
    ///
    /// **Go:** `ch1 == ch2`.
    pub fn same_channel(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.channel, &other.channel)
    }
}

impl<T> Clone for Sender<T> {
    fn clone(&self) -> Self {
        self.channel.add_sender();
        Self {
            channel: self.channel.clone(),
        }
    }
}

impl<T> Drop for Sender<T> {
    #[inline]
    fn drop(&mut self) {
        if trial::is_on() {
            return rehearsal::let_go(self, &self.channel, rehearsal::SENDERS);
        }
        self.channel.remove_sender();
    }
}

impl<T> fmt::Debug for Sender<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        super::debug(&self.channel, "Sender", f)
    }
}
