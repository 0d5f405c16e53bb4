//! `oneshot`: one value, from one to another.
//!
//! For an answer: whoever asks sends the [`Sender`] along with the question, and awaits the
//! [`Receiver`].
//!
//! ```
//! use sync::{channel, oneshot};
//!
//! # runtime::block_on(async {
//! let (questions, asked) = channel::<(u32, oneshot::Sender<u32>)>(8);
//! runtime::spawn(async move {
//!     while let Some((n, answer)) = asked.recv().await {
//!         let _ = answer.send(n * n); // who asked may have gone
//!     }
//! });
//!
//! let (answer, answered) = oneshot::channel();
//! questions.send((12, answer)).await.unwrap();
//! assert_eq!(answered.await, Some(144));
//! # });
//! ```
//!
//! # How it works
//!
//! The two ends share one allocation, `shared`, which has the protocol; `sender` and `receiver` are
//! the ends themselves.
//!
//! *Rejected*: a channel of capacity 1, which does the same with a lock, a buffer and two queues.

use crate::primitive::Arc;

mod receiver;
mod sender;
mod shared;

pub use receiver::Receiver;
pub use sender::{Closed, Sender};
use shared::Shared;

/// A channel for one value.
///
/// ```
/// # runtime::block_on(async {
/// let (tx, rx) = sync::oneshot::channel();
/// runtime::spawn(async move { tx.send(6 * 7) });
/// assert_eq!(rx.await, Some(42));
/// # });
/// ```
///
/// **Go:** `make(chan T, 1)` for an answer.
pub fn channel<T>() -> (Sender<T>, Receiver<T>) {
    // Not `new`, which moves it there; that costs more than all the rest here, as the processor
    // waits for what has just been written in parts to be read as a whole.
    let shared = Arc::<Shared<T>>::default();
    (Sender::new(shared.clone()), Receiver::new(shared))
}
