//! Why a receiver has got no value.
#![forbid(unsafe_code)]

use std::error::Error;
use std::fmt;

/// The receiver was too slow: so many values were overwritten before it saw them. The next receive
/// yields the oldest that is still there.
///
/// ```
/// # runtime::block_on(async {
/// use futures_util::StreamExt;
/// use sync::broadcast::Lagged;
///
/// let (tx, mut rx) = sync::broadcast::channel(1);
/// tx.send(1).unwrap();
/// tx.send(2).unwrap();
/// assert_eq!(rx.next().await, Some(Err(Lagged(1))));
/// assert_eq!(rx.next().await, Some(Ok(2)));
/// # });
/// ```
///
/// **Go:** none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Lagged(pub u64);

impl fmt::Display for Lagged {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the receiver lagged behind and missed {} values", self.0)
    }
}

impl Error for Lagged {}

/// Why [`Receiver::recv`](super::Receiver::recv) returned no value.
///
/// ```
/// # runtime::block_on(async {
/// use sync::broadcast::RecvError;
///
/// let (tx, mut rx) = sync::broadcast::channel(1);
/// tx.send(1).unwrap();
/// tx.send(2).unwrap();
/// drop(tx);
/// assert_eq!(rx.recv().await, Err(RecvError::Lagged(1)));
/// assert_eq!(rx.recv().await, Ok(2));
/// assert_eq!(rx.recv().await, Err(RecvError::Closed));
/// # });
/// ```
///
/// **Go:** `ok == false`, for the closed one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RecvError {
    /// So many values were overwritten before this receiver saw them; receiving goes on with the
    /// oldest that is still there.
    Lagged(u64),
    /// All senders are gone, and all that they sent has been seen.
    Closed,
}

impl fmt::Display for RecvError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Lagged(missed) => Lagged(*missed).fmt(f),
            Self::Closed => f.write_str("receive on a closed broadcast channel"),
        }
    }
}

impl Error for RecvError {}

/// Why [`Receiver::try_recv`](super::Receiver::try_recv) returned no value.
///
/// ```
/// use sync::broadcast::TryRecvError;
///
/// let (tx, mut rx) = sync::broadcast::channel::<u32>(1);
/// assert_eq!(rx.try_recv(), Err(TryRecvError::Empty));
/// drop(tx);
/// assert_eq!(rx.try_recv(), Err(TryRecvError::Closed));
/// ```
///
/// **Go:** the `default` of a `select` with one receive, and `ok == false`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TryRecvError {
    /// The next value has not been sent yet.
    Empty,
    /// As [`RecvError::Lagged`].
    Lagged(u64),
    /// As [`RecvError::Closed`].
    Closed,
}

impl fmt::Display for TryRecvError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("receive on an empty broadcast channel"),
            Self::Lagged(missed) => Lagged(*missed).fmt(f),
            Self::Closed => RecvError::Closed.fmt(f),
        }
    }
}

impl Error for TryRecvError {}

impl From<RecvError> for TryRecvError {
    fn from(error: RecvError) -> Self {
        match error {
            RecvError::Lagged(missed) => Self::Lagged(missed),
            RecvError::Closed => Self::Closed,
        }
    }
}
