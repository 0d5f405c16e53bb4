//! `broadcast`: every receiver gets every value, and the slow are told what they missed.
//!
//! For what everybody is to hear: a chat room, events, log lines. Nobody is waited for: a receiver
//! that falls behind by more than the capacity learns how many values it has missed, and goes on.
//! Where only the newest value counts, take [`watch`](crate::watch).
//!
//! ```
//! use sync::broadcast::{self, Lagged, RecvError};
//!
//! # runtime::block_on(async {
//! let (tx, mut rx) = broadcast::channel(2);
//! for n in 1..=3 {
//!     tx.send(n).unwrap();
//! }
//! drop(tx);
//! assert_eq!(rx.recv().await, Err(RecvError::Lagged(1))); // the first one
//! assert_eq!(rx.recv().await, Ok(2));
//! assert_eq!(rx.recv().await, Ok(3));
//! assert_eq!(rx.recv().await, Err(RecvError::Closed));
//! # });
//! ```
//!
//! # How it works
//!
//! A ring of so many slots as the capacity says, and a number for each value. A receiver is little
//! more than the number of the value that it wants next; the slot of that value tells whether it is
//! there, still to come, or overwritten by a newer one. Senders take turns under the lock of the
//! queue in which receivers wait. A receiver that finds its value takes the lock of that one slot,
//! which it shares with the receivers of the same value only.
//!
//! ```text
//!   slots   │ 8 │ 9 │ 6 │ 7 │      tail = 10: the next value goes where 6 is
//!               ▲       ▲
//!               │       └── a receiver that wants 7
//!               └────────── one that wants 9; one that wants 10 waits; one that wants 4 is told that it has missed 2, and goes on with 6
//! ```
//!
//! A value lies in a cell that is shared: a receiver takes a share under the slot's lock, and
//! clones the value when the lock is gone. A sender that comes round meanwhile leaves that cell to
//! whoever clones from it, and takes another; otherwise it uses the cell again, so that in the long
//! run nothing is allocated. Each slot counts who has yet to see it. The last one takes the value
//! itself, without a clone, and nothing is kept that everybody has seen.
//!
//! Invariants:
//!
//! 1. A slot is filled under the tail's lock, before the tail moves on. So who holds the tail's
//!    lock and wants a number below the tail finds it in its slot, or a newer one; and who wants
//!    the tail itself may queue up: whoever sends it will find it waiting.
//! 2. `unseen` of a slot counts the receivers that were there when the value was sent and have not
//!    passed it: by receiving it, or by going away. When it is zero the value is gone.
//! 3. The tail's lock is taken before a slot's, and no two slots' at once. Under neither a value is
//!    cloned or dropped, or a waker called.
//!
//! *Rejected*: cloning under the slot's lock, as Tokio does: a slow clone keeps the other receivers
//! waiting, and the senders behind them. A list of the receivers with a buffer for each: the memory
//! is that of the slowest, times their number.

mod error;
mod receiver;
mod recv;
mod sender;
mod shared;
mod stream;
mod weak;

pub use error::{Lagged, RecvError, TryRecvError};
pub use receiver::Receiver;
pub use recv::Recv;
pub use sender::Sender;
pub use weak::WeakSender;

/// A channel whose receivers all get every value; it keeps the newest `capacity` of them for those
/// that are behind.
///
/// A send never waits: when the ring is full, the oldest value makes room, and a receiver that had
/// not seen it is [told](RecvError::Lagged) how many it has missed.
///
/// Receivers clone the value at the same time as others, under no lock, which is why channels go
/// between threads for values that are `Sync`, too. What is large is best sent in an `Arc`.
///
/// # Panics
///
/// If `capacity` is zero: every value would be missed by everyone.
///
/// ```
/// # runtime::block_on(async {
/// let (tx, mut one) = sync::broadcast::channel(16);
/// let mut two = tx.subscribe();
/// runtime::spawn(async move {
///     tx.send("hello").unwrap();
///     tx.send("world").unwrap();
/// });
/// for rx in [&mut one, &mut two] {
///     assert_eq!(rx.recv().await, Ok("hello"));
///     assert_eq!(rx.recv().await, Ok("world"));
///     assert!(rx.recv().await.is_err()); // the last sender is gone
/// }
/// # });
/// ```
///
/// **Go:** none; a channel for each receiver, and a loop that sends to all of them.
#[track_caller]
pub fn channel<T>(capacity: usize) -> (Sender<T>, Receiver<T>) {
    let sender = Sender::new(capacity);
    let receiver = sender.subscribe();
    (sender, receiver)
}
