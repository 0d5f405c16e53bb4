//! How and why a context ended.
#![forbid(unsafe_code)]

use std::error::Error;
use std::sync::Arc;
use std::{fmt, io};

/// How a [`Context`](super::Context) ended.
///
/// It turns into an [`io::Error`]: kind [`TimedOut`](io::ErrorKind::TimedOut) for a deadline,
/// [`Other`](io::ErrorKind::Other) else.
///
/// ```
/// use sync::context::ContextError;
///
/// assert_eq!(ContextError::Canceled.to_string(), "context canceled");
/// assert_eq!(ContextError::DeadlineExceeded.to_string(), "context deadline exceeded");
/// ```
///
/// **Go:** `context.Canceled` and `context.DeadlineExceeded`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ContextError {
    /// Somebody cancelled it, or one above it.
    Canceled,
    /// Its deadline, or that of one above it, has passed.
    DeadlineExceeded,
}

impl ContextError {
    /// Whether it was the deadline.
    ///
    /// ```
    /// assert!(sync::context::ContextError::DeadlineExceeded.is_timeout());
    /// ```
    ///
    /// **Go:** `err.Timeout()`.
    pub const fn is_timeout(self) -> bool {
        matches!(self, Self::DeadlineExceeded)
    }
}

impl fmt::Display for ContextError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Canceled => "context canceled",
            Self::DeadlineExceeded => "context deadline exceeded",
        })
    }
}

impl Error for ContextError {}

impl From<ContextError> for io::Error {
    fn from(error: ContextError) -> Self {
        let kind = match error {
            ContextError::Canceled => io::ErrorKind::Other,
            ContextError::DeadlineExceeded => io::ErrorKind::TimedOut,
        };
        Self::new(kind, error)
    }
}

/// Why a context ended; shared by all contexts that ended for it. Text and every error turn into
/// one.
///
/// ```
/// # use sync::context::{Cause, Context};
/// let (ctx, cancel) = Context::background().with_cancel_cause();
/// cancel.cancel(std::io::Error::other("disk full"));
/// let cause: Cause = ctx.cause().unwrap();
/// assert!(cause.downcast_ref::<std::io::Error>().is_some());
/// ```
///
/// **Go:** the error that `context.Cause` returns.
pub type Cause = Arc<dyn Error + Send + Sync + 'static>;

pub(super) fn cause(cause: impl Into<Box<dyn Error + Send + Sync>>) -> Cause {
    Arc::from(cause.into())
}
