//! Channels: how tasks hand values to each other.
//!
//! [`channel`] makes one. Both ends can be cloned, any number of tasks may send and receive, and
//! each value arrives once. With a capacity the channel holds that many values before `send` waits;
//! with capacity 0 a `send` completes only when a receiver has taken the value, so that the two
//! meet.
//!
//! | operation | open | buffer full / empty | closed | the other side all dropped |
//! |---|---|---|---|---|
//! | `send` | delivers | waits, first come first served | `Err(SendError(v))` | `Err(SendError(v))`, waiting senders too |
//! | `recv` | delivers | waits, first come first served | what is buffered, then `None` | what is buffered, then `None` |
//! | `close` | wakes everyone | | `false`: it was closed already | |
//!
//! # How it moves
//!
//! A channel is one short lock, a [`ring`], and two queues of waiters ([`core`]). A waiter lives in
//! the future that waits ([`waiter`]), so that no operation allocates. A sender that finds a
//! receiver waiting moves the value straight into that receiver's future ([`receiving`]) and wakes
//! it; a receiver that finds a sender waiting takes the value out of the sender's future
//! ([`sending`]). What hands a value over also decides who gets it: nobody can barge in between,
//! and a woken task never finds its turn taken.
//!
//! # Rejected
//!
//! - A lock-free ring with separate waiter lists: an atomic `select!` over both directions needs
//!   the lock anyway, and a task that has to wait would pay for both. It may still win where many
//!   cores share one buffered channel; that has not been measured.
//! - Waking a receiver and letting it fetch the value: two more lock rounds a message, and anybody
//!   may barge in.

use std::fmt;

use crate::primitive::Arc;

mod closed;
mod core;
mod error;
pub(crate) mod gate;
mod pending;
mod receiver;
mod receiving;
mod recv;
mod recv_many;
mod rehearsal;
mod ring;
mod send;
mod sender;
mod sending;
mod shared;
mod waiter;
mod weak;

pub use closed::Closed;
pub use error::{SendError, TryRecvError, TrySendError};
pub use receiver::Receiver;
pub use recv::Recv;
pub use recv_many::RecvMany;
pub use send::{Send, SendFrom};
pub use sender::Sender;
pub use weak::WeakSender;

pub(crate) use receiving::Receiving;
pub(crate) use shared::Channel;

/// Makes a channel that holds up to `capacity` values: `make(chan T, capacity)`.
///
/// With capacity 0 it is a rendezvous: `send` completes when a receiver has taken the value. The
/// buffer is allocated when the first value needs it and grows up to the capacity, so that a large
/// one costs nothing by itself. More than `u32::MAX` values are never held; a larger capacity means
/// that many.
///
/// The channel closes when [`close`](Sender::close) is called on either end, or when the last
/// handle of an end is dropped. Receivers still get what is buffered, then `None`; what only
/// dropped receivers could have received is dropped with the last of them.
///
/// # Memory ordering
///
/// What a task did before a `send` is visible to whoever receives that value; what a task did
/// before closing, to whoever receives `None`. With capacity 0, what a receiver did before `recv`
/// is visible after that `send`; with capacity *n*, what it did before the *k*-th `recv` is visible
/// after the *k+n*-th `send`, which makes a buffered channel a semaphore.
///
/// ```
/// # runtime::block_on(async {
/// let (tx, rx) = sync::channel(0);
/// runtime::spawn(async move {
///     for n in 1..=3 {
///         tx.send(n).await.unwrap();
///     }
///     // `tx` goes here: the channel closes.
/// });
/// let mut sum = 0;
/// while let Some(n) = rx.recv().await {
///     sum += n;
/// }
/// assert_eq!(sum, 6);
/// # });
/// ```
///
/// **Go:** `make(chan T, capacity)`; closing is also what dropping an end does.
pub fn channel<T>(capacity: usize) -> (Sender<T>, Receiver<T>) {
    let channel = Arc::new(Channel::new(capacity, false));
    (Sender::new(channel.clone()), Receiver::new(channel))
}

/// A receiver that never receives anything and is never closed: the nil channel.
///
/// It stands for an arm of a [`select!`](macro@crate::select) that is switched off while the
/// program runs; where a condition is at hand, an `if` guard says the same.
///
/// ```
/// # runtime::block_on(async {
/// use sync::{Receiver, TryRecvError, never};
///
/// let mut updates: Receiver<u32> = never();
/// assert_eq!(updates.try_recv(), Err(TryRecvError::Empty));
///
/// let (tx, rx) = sync::channel(1);
/// updates = rx;
/// tx.send(7).await.unwrap();
/// assert_eq!(updates.recv().await, Some(7));
/// # });
/// ```
///
/// **Go:** `var ch <-chan T`, a nil channel.
pub fn never<T>() -> Receiver<T> {
    Receiver::new(Arc::new(Channel::new(0, true)))
}

/// The body of `Debug` for both ends.
fn debug<T>(channel: &Channel<T>, name: &str, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let core = channel.lock();
    let (len, capacity) = (core.len(), core.capacity());
    drop(core);
    f.debug_struct(name)
        .field("len", &len)
        .field("capacity", &capacity)
        .field("closed", &channel.is_closed())
        .finish_non_exhaustive()
}
