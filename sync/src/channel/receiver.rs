//! [`Receiver`], the end of a channel that values come out of.
#![forbid(unsafe_code)]

use std::fmt;
use std::panic::Location;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use futures_core::Stream;
use runtime::leaks::trial;
use runtime::task::{coop, waiting};

use super::core::Received;
use super::receiving::Receiving;
use super::recv::reason;
use super::rehearsal;
use super::{Channel, Recv, RecvMany, TryRecvError};
use crate::blocking;
use crate::primitive::Arc;

/// The receiving end of a [`channel`](super::channel).
///
/// Cloning it makes another handle of the same end; each value is received once, by one of them.
/// When the last one is dropped the channel closes, and what is still in it is dropped.
///
/// It is also a [`Stream`] that ends when the channel is closed and drained. As such a handle that
/// has been polled once stays in line until it has got a value: one that comes between two polls is
/// kept for the next, or goes to others when the handle is dropped or receives by one of the
/// methods. Where other handles wait for the same values, `recv().await` is the better choice:
/// dropped, it gets out of line.
///
/// ```
/// # runtime::block_on(async {
/// let (tx, rx): (_, sync::Receiver<u32>) = sync::channel(1);
/// tx.send(7).await.unwrap();
/// assert_eq!(rx.recv().await, Some(7));
/// # });
/// ```
///
/// **Go:** `<-chan T`.
pub struct Receiver<T> {
    /// What this handle waits with as a stream; made at the first wait and kept. Dropped before the
    /// channel. Polled by who has the handle for himself; so nobody polls it while one of the
    /// methods runs, and they may [recall](Self::recall) it.
    stream: Option<Pin<Box<OwnedReceiving<T>>>>,
    channel: Arc<Channel<T>>,
}

/// A pending receive that keeps its channel alive by itself.
type OwnedReceiving<T> = Receiving<Arc<Channel<T>>, T>;

impl<T> Receiver<T> {
    pub(super) fn new(channel: Arc<Channel<T>>) -> Self {
        Self {
            stream: None,
            channel,
        }
    }

    /// What this handle was handed as a stream is the first to be received again, by it or by
    /// others.
    #[inline(always)]
    fn recall(&self) {
        if let Some(stream) = &self.stream {
            stream.recall();
        }
    }

    /// Receives the next value, or `None` once the channel is closed and drained. Receivers that
    /// wait are served first come, first served.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses nothing: a value that it had been handed goes to the next
    /// receiver, in front of all others. (A future that is leaked with `mem::forget` takes its
    /// value along.)
    ///
    /// # Memory ordering
    ///
    /// What the sender did before sending the value is visible; after `None`, what the closer did
    /// before closing.
    ///
    /// ```
    /// # runtime::block_on(async {
    /// let (tx, rx) = sync::channel(1);
    /// tx.send(1).await.unwrap();
    /// drop(tx);
    /// assert_eq!(rx.recv().await, Some(1));
    /// assert_eq!(rx.recv().await, None);
    /// # });
    /// ```
    ///
    /// **Go:** `v, ok := <-ch`; `for v := range ch` is `while let Some(v) = rx.recv().await`.
    #[track_caller]
    #[inline]
    pub fn recv(&self) -> Recv<'_, T> {
        self.recall();
        Recv::new(&self.channel, Location::caller())
    }

    /// Receives a value if one is there at once: buffered, or with a sender that waits.
    ///
    /// # Errors
    ///
    /// [`Empty`](TryRecvError::Empty) if it would have to wait, [`Closed`](TryRecvError::Closed)
    /// once the channel is closed and drained.
    ///
    /// ```
    /// use sync::TryRecvError;
    ///
    /// let (tx, rx) = sync::channel(1);
    /// assert_eq!(rx.try_recv(), Err(TryRecvError::Empty));
    /// tx.try_send(1).unwrap();
    /// assert_eq!(rx.try_recv(), Ok(1));
    /// ```
    ///
    /// **Go:** `select { case v, ok := <-ch: default: }`.
    #[inline]
    pub fn try_recv(&self) -> Result<T, TryRecvError> {
        self.recall();
        if !self.channel.recv_ready() {
            return Err(TryRecvError::Empty);
        }
        let received = self.channel.lock().receive();
        match received {
            Received::Value(value, waker) => Ok(self.channel.wake_keeping(waker, value)),
            Received::Closed => Err(TryRecvError::Closed),
            Received::Empty => Err(TryRecvError::Empty),
        }
    }

    /// Receives on a thread that is not running a task, and blocks the thread while it waits.
    ///
    /// # Panics
    ///
    /// Inside a task or the body of `block_on`, which it would hold up: use [`recv`](Self::recv)
    /// and `.await` there.
    ///
    /// ```
    /// let (tx, rx) = sync::channel(0);
    /// let thread = std::thread::spawn(move || rx.blocking_recv());
    /// tx.blocking_send(5).unwrap();
    /// assert_eq!(thread.join().unwrap(), Some(5));
    /// ```
    ///
    /// **Go:** `v, ok := <-ch` on a thread that Go did not start has no counterpart.
    #[track_caller]
    pub fn blocking_recv(&self) -> Option<T> {
        blocking::wait(self.recv(), "blocking_recv", "recv().await")
    }

    /// Waits for a value, and appends it and what else is there at once to `buffer`, `limit` values
    /// at most. Returns how many: 0 once the channel is closed and drained, or if the limit is 0.
    ///
    /// One lock for many values, where each of them would cost one.
    ///
    /// # Cancel safety
    /// Dropped before it is ready, it has received nothing.
    ///
    /// # Memory ordering
    /// As for [`recv`](Self::recv).
    ///
    /// ```
    /// # runtime::block_on(async {
    /// let (tx, rx) = sync::channel(8);
    /// for n in 0..5 {
    ///     tx.send(n).await.unwrap();
    /// }
    /// drop(tx);
    /// let mut batch = Vec::new();
    /// assert_eq!(rx.recv_many(&mut batch, 3).await, 3);
    /// assert_eq!(rx.recv_many(&mut batch, 3).await, 2);
    /// assert_eq!(rx.recv_many(&mut batch, 3).await, 0);
    /// assert_eq!(batch, [0, 1, 2, 3, 4]);
    /// # });
    /// ```
    ///
    /// **Go:** a receive, and a loop over `select { case v, ok := <-ch: default: }`.
    #[track_caller]
    pub fn recv_many<'a>(&'a self, buffer: &'a mut Vec<T>, limit: usize) -> RecvMany<'a, T> {
        RecvMany::new(&self.channel, self.recv(), buffer, limit)
    }

    /// As [`recv_many`](Self::recv_many), on a thread that is not running a task, blocking it.
    ///
    /// # Panics
    /// Inside a task or the body of `block_on`, which it would hold up: use `recv_many` and
    /// `.await` there.
    ///
    /// ```
    /// let (tx, rx) = sync::channel(8);
    /// std::thread::spawn(move || for n in 0..3 { tx.blocking_send(n).unwrap(); });
    /// let mut all = Vec::new();
    /// while rx.blocking_recv_many(&mut all, 100) > 0 {}
    /// assert_eq!(all, [0, 1, 2]);
    /// ```
    ///
    /// **Go:** as for `recv_many`, on a thread that Go did not start.
    #[track_caller]
    pub fn blocking_recv_many(&self, buffer: &mut Vec<T>, limit: usize) -> usize {
        blocking::wait(
            self.recv_many(buffer, limit),
            "blocking_recv_many",
            "recv_many(…).await",
        )
    }

    /// Closes the channel; false if it was closed already.
    ///
    /// Everybody who waits is woken: receivers get `None`, senders their value back. What is
    /// buffered can still be received. A [`never`](super::never) cannot be closed.
    ///
    /// ```
    /// # runtime::block_on(async {
    /// let (tx, rx) = sync::channel(4);
    /// tx.send(1).await.unwrap();
    /// assert!(rx.close());
    /// assert!(tx.send(2).await.is_err());
    /// assert_eq!(rx.recv().await, Some(1));
    /// assert_eq!(rx.recv().await, None);
    /// # });
    /// ```
    ///
    /// **Go:** `close(ch)`, which only senders may call there.
    pub fn close(&self) -> bool {
        !self.channel.is_never() && self.channel.close()
    }

    /// Whether the channel is closed. Values may still be in it.
    ///
    /// ```
    /// let (tx, rx) = sync::channel::<u32>(0);
    /// drop(tx);
    /// assert!(rx.is_closed());
    /// ```
    ///
    /// **Go:** cannot be asked.
    pub fn is_closed(&self) -> bool {
        self.channel.is_closed()
    }

    /// How many values are in the channel, waiting for a receiver. Values that dropped receivers
    /// gave back count as well.
    ///
    /// ```
    /// let (tx, rx) = sync::channel(2);
    /// tx.try_send('a').unwrap();
    /// assert_eq!((rx.len(), rx.capacity()), (1, 2));
    /// ```
    ///
    /// **Go:** `len(ch)`.
    pub fn len(&self) -> usize {
        // With what this handle has been handed as a stream, which is the next that it receives.
        let handed = (self.stream.as_ref()).is_some_and(|stream| stream.has_value());
        self.channel.lock().len() + usize::from(handed)
    }

    /// How many values the channel holds before `send` waits; 0 is a rendezvous.
    ///
    /// ```
    /// let (_tx, rx) = sync::channel::<u8>(16);
    /// assert_eq!(rx.capacity(), 16);
    /// ```
    ///
    /// **Go:** `cap(ch)`.
    pub fn capacity(&self) -> usize {
        self.channel.lock().capacity()
    }

    /// Whether no value is in the channel.
    ///
    /// ```
    /// let (_tx, rx) = sync::channel::<u8>(1);
    /// assert!(rx.is_empty());
    /// ```
    ///
    /// **Go:** `len(ch) == 0`.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether the buffer has no room; always true with capacity 0.
    ///
    /// ```
    /// let (_tx, rx) = sync::channel::<u8>(0);
    /// assert!(rx.is_full());
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
    /// let (_tx, rx) = sync::channel::<u8>(1);
    /// let (_, other) = sync::channel::<u8>(1);
    /// assert!(rx.same_channel(&rx.clone()) && !rx.same_channel(&other));
    /// ```
    ///
    /// **Go:** `ch1 == ch2`.
    pub fn same_channel(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.channel, &other.channel)
    }
}

impl<T> Stream for Receiver<T> {
    type Item = T;

    /// The next value; `None` once the channel is closed and drained. The first wait of a handle
    /// allocates once.
    #[track_caller]
    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<T>> {
        let proceed = ready!(coop::poll_proceed(cx));
        let this = self.get_mut();
        let channel = &this.channel;
        let receiving = this
            .stream
            .get_or_insert_with(|| Box::pin(Receiving::new(channel.clone())));
        receiving.recover();
        match receiving.as_ref().poll(cx) {
            Poll::Ready(value) => {
                receiving.as_ref().get_ref().reset();
                proceed.made_progress();
                Poll::Ready(value)
            }
            Poll::Pending => {
                waiting(reason(channel), Location::caller());
                Poll::Pending
            }
        }
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        // What other handles can receive as well is nothing to count on.
        let alone = self.channel.handles(false) == 1;
        (if alone { self.len() } else { 0 }, None)
    }
}

impl<T> Clone for Receiver<T> {
    fn clone(&self) -> Self {
        self.channel.add_receiver();
        Self::new(self.channel.clone())
    }
}

impl<T> Drop for Receiver<T> {
    fn drop(&mut self) {
        if trial::is_on() {
            self.stream = None;
            return rehearsal::let_go(self, &self.channel, rehearsal::RECEIVERS);
        }
        let _leaves = Leaves(&self.channel);
        // First, because it may have a value to give back.
        self.stream = None;
    }
}

/// Counts a handle less when it is dropped, also while a waker's panic goes by.
struct Leaves<'a, T>(&'a Channel<T>);

impl<T> Drop for Leaves<'_, T> {
    fn drop(&mut self) {
        self.0.remove_receiver();
    }
}

impl<T> fmt::Debug for Receiver<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        super::debug(&self.channel, "Receiver", f)
    }
}
