//! What can go wrong with a channel: one small type an operation, which gives the unsent value
//! back.
#![forbid(unsafe_code)]

use std::error::Error;
use std::fmt;
use std::io;

/// The channel is closed, or every receiver is gone; the value comes back.
///
/// ```
/// let (tx, rx) = sync::channel(1);
/// drop(rx);
/// let error = runtime::block_on(tx.send("unsent")).unwrap_err();
/// assert_eq!(error.into_inner(), "unsent");
/// ```
///
/// In a function whose errors are `io`'s a `?` does; so it does for
/// [`JoinError`](runtime::JoinError), [`Elapsed`](runtime::time::Elapsed) and
/// [`ContextError`](crate::context::ContextError):
///
/// ```
/// async fn hand_over(tx: sync::Sender<u32>) -> std::io::Result<()> {
///     tx.send(1).await?;
///     Ok(())
/// }
/// # let (tx, rx) = sync::channel(1);
/// # drop(rx);
/// # let error = runtime::block_on(hand_over(tx)).unwrap_err();
/// # assert_eq!(error.kind(), std::io::ErrorKind::BrokenPipe);
/// ```
///
/// **Go:** the panic `send on closed channel`.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct SendError<T>(pub T);

impl<T> SendError<T> {
    /// The value that could not be sent.
    ///
    /// ```
    /// assert_eq!(sync::SendError("a job").into_inner(), "a job");
    /// ```
    ///
    /// **Go:** none: a send on a closed channel panics.
    pub fn into_inner(self) -> T {
        self.0
    }
}

impl<T> fmt::Debug for SendError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("SendError").finish_non_exhaustive()
    }
}

impl<T> fmt::Display for SendError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("send on a closed channel")
    }
}

impl<T> Error for SendError<T> {}

/// For `tx.send(…).await?` where errors are `io`'s: a [`BrokenPipe`](io::ErrorKind::BrokenPipe), as
/// for a socket whose other side is gone. The value is dropped.
impl<T> From<SendError<T>> for io::Error {
    fn from(error: SendError<T>) -> Self {
        Self::new(io::ErrorKind::BrokenPipe, error.to_string())
    }
}

/// Why `try_send` did not send; the value comes back.
///
/// ```
/// use sync::TrySendError;
///
/// let (tx, rx) = sync::channel(1);
/// tx.try_send(1).unwrap();
/// assert_eq!(tx.try_send(2), Err(TrySendError::Full(2)));
/// rx.close();
/// assert_eq!(tx.try_send(3), Err(TrySendError::Closed(3)));
/// ```
///
/// **Go:** the `default` of a `select` with one send.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum TrySendError<T> {
    /// No receiver is waiting and the buffer, if there is one, is full.
    Full(T),
    /// The channel is closed, or every receiver is gone.
    Closed(T),
}

impl<T> TrySendError<T> {
    /// The value that was not sent.
    ///
    /// ```
    /// assert_eq!(sync::TrySendError::Full("a job").into_inner(), "a job");
    /// ```
    ///
    /// **Go:** none.
    pub fn into_inner(self) -> T {
        match self {
            Self::Full(value) | Self::Closed(value) => value,
        }
    }

    /// Whether a later attempt may succeed.
    ///
    /// ```
    /// assert!(sync::TrySendError::Full(1).is_full());
    /// ```
    ///
    /// **Go:** that a `select` came to its `default`.
    pub fn is_full(&self) -> bool {
        matches!(self, Self::Full(_))
    }

    /// Whether every later attempt will fail as well.
    ///
    /// ```
    /// assert!(sync::TrySendError::Closed(1).is_closed());
    /// ```
    ///
    /// **Go:** none: a send on a closed channel panics.
    pub fn is_closed(&self) -> bool {
        matches!(self, Self::Closed(_))
    }
}

impl<T> fmt::Debug for TrySendError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Full(_) => f.debug_tuple("Full").finish_non_exhaustive(),
            Self::Closed(_) => f.debug_tuple("Closed").finish_non_exhaustive(),
        }
    }
}

impl<T> fmt::Display for TrySendError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Full(_) => f.write_str("send on a full channel"),
            Self::Closed(_) => f.write_str("send on a closed channel"),
        }
    }
}

impl<T> Error for TrySendError<T> {}

impl<T> From<SendError<T>> for TrySendError<T> {
    fn from(SendError(value): SendError<T>) -> Self {
        Self::Closed(value)
    }
}

/// Why `try_recv` has nothing to return.
///
/// ```
/// use sync::TryRecvError;
///
/// let (tx, rx) = sync::channel::<u32>(1);
/// assert_eq!(rx.try_recv(), Err(TryRecvError::Empty));
/// drop(tx);
/// assert_eq!(rx.try_recv(), Err(TryRecvError::Closed));
/// ```
///
/// **Go:** the `default` of a `select` with one receive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TryRecvError {
    /// No value is buffered and no sender is waiting.
    Empty,
    /// The channel is closed and drained.
    Closed,
}

impl TryRecvError {
    /// Whether a later attempt may succeed.
    ///
    /// ```
    /// assert!(sync::TryRecvError::Empty.is_empty());
    /// ```
    ///
    /// **Go:** that a `select` came to its `default`.
    pub fn is_empty(&self) -> bool {
        matches!(self, Self::Empty)
    }

    /// Whether every later attempt will fail as well.
    ///
    /// ```
    /// assert!(sync::TryRecvError::Closed.is_closed());
    /// ```
    ///
    /// **Go:** `ok == false`.
    pub fn is_closed(&self) -> bool {
        matches!(self, Self::Closed)
    }
}

impl fmt::Display for TryRecvError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Empty => "receive on an empty channel",
            Self::Closed => "receive on a closed and drained channel",
        })
    }
}

impl Error for TryRecvError {}
