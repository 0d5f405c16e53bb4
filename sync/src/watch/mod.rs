//! `watch`: one value that changes, and tasks that want to know the newest.
//!
//! For what has a present state: settings, whether a server is ready, how far a copy has come.
//! Whoever looks sees the newest value; values in between may be missed. Where every value counts,
//! and for everybody, take [`broadcast`](crate::broadcast).
//!
//! ```
//! # runtime::block_on(async {
//! let (tx, mut rx) = sync::watch::channel(0); // percent
//! let shown = runtime::spawn(async move {
//!     while rx.changed().await {
//!         println!("{} %", *rx.borrow());
//!     }
//!     *rx.borrow() // all senders are gone: this is the last value
//! });
//! for percent in [25, 50, 75, 100] {
//!     tx.send(percent).unwrap();
//! }
//! drop(tx);
//! assert_eq!(shown.await.unwrap(), 100);
//! # });
//! ```
//!
//! # How it works
//!
//! The value lies under std's `RwLock`, held only while it is looked at or replaced. Beside it a
//! word counts its versions and says whether all senders are gone. A receiver remembers the version
//! that it saw last, so that "is there anything new?" is one load.
//!
//! Invariants:
//!
//! 1. The version is raised after the value has changed and before those who wait are woken; who
//!    queues up looks at it again under the queue's lock. So nobody waits for a version that is
//!    there. A waking may come late, to one who has seen its version already and waits for the
//!    next; it queues up again.
//! 2. Old values are dropped, and wakers called, under no lock.
#![forbid(unsafe_code)]

use crate::primitive::Arc;

mod changed;
mod held;
mod receiver;
mod sender;
mod shared;

pub use changed::Changed;
pub use receiver::Receiver;
pub use sender::Sender;
pub use shared::Ref;
use shared::Shared;

/// A channel that keeps the newest value only; it starts with `initial`.
///
/// ```
/// # runtime::block_on(async {
/// let (tx, mut rx) = sync::watch::channel("starting");
/// runtime::spawn(async move { tx.send("running") });
/// assert!(rx.changed().await);
/// assert_eq!(*rx.borrow(), "running");
/// # });
/// ```
///
/// **Go:** none; a mutex, and a channel that is closed at each change.
pub fn channel<T>(initial: T) -> (Sender<T>, Receiver<T>) {
    let shared = Arc::new(Shared::new(initial));
    (Sender::new(shared.clone()), Receiver::new(shared))
}
