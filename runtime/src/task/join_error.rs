//! Why a task has no result.
#![forbid(unsafe_code)]

use std::any::Any;
use std::fmt;
use std::io;
use std::sync::{Arc, Mutex};

use super::id::Id;
use super::panic;

/// Why a task has no result: it panicked, or it was aborted.
///
/// It turns into an [`io::Error`], so that `spawn_blocking(…).await??` works in functions that do
/// I/O.
///
/// ```
/// # runtime::block_on(async {
/// let error: runtime::JoinError = runtime::spawn(async { panic!("boom") }).await.unwrap_err();
/// assert!(error.is_panic());
/// assert!(error.to_string().ends_with("panicked: boom"));
/// # });
/// ```
///
/// ```
/// use std::{fs, io};
///
/// async fn count(path: &'static str) -> io::Result<usize> {
///     Ok(runtime::spawn_blocking(move || fs::read(path)).await??.len())
/// }
///
/// let lost = runtime::block_on(count("/nonexistent")).unwrap_err();
/// assert_eq!(lost.kind(), io::ErrorKind::NotFound);
/// # runtime::block_on(async {
/// let died = runtime::spawn_blocking(|| panic!("boom")).await.unwrap_err();
/// assert!(io::Error::from(died).to_string().ends_with("panicked: boom"));
/// # });
/// ```
///
/// **Go:** what `recover()` returns.
pub struct JoinError {
    id: Id,
    cause: Cause,
}

enum Cause {
    Cancelled,
    /// The payload is `Send` only; nobody looks at it by reference, the lock makes that `Sync`.
    Panic {
        name: Option<Arc<str>>,
        message: String,
        payload: Mutex<Box<dyn Any + Send>>,
    },
}

impl JoinError {
    #[cold]
    pub(super) fn new(id: Id, name: Option<Arc<str>>, panic: Option<Box<dyn Any + Send>>) -> Self {
        let cause = match panic {
            None => Cause::Cancelled,
            Some(payload) => Cause::Panic {
                name,
                message: panic::message(payload.as_ref()).into_owned(),
                payload: Mutex::new(payload),
            },
        };
        Self { id, cause }
    }

    /// Whether the task was aborted, or dropped because its runtime shut down.
    ///
    /// ```
    /// # runtime::block_on(async {
    /// let task = runtime::spawn(std::future::pending::<()>());
    /// task.abort();
    /// assert!(task.await.unwrap_err().is_cancelled());
    /// # });
    /// ```
    ///
    /// **Go:** none.
    pub fn is_cancelled(&self) -> bool {
        matches!(self.cause, Cause::Cancelled)
    }

    /// Whether the task panicked.
    ///
    /// ```
    /// # runtime::block_on(async {
    /// let error = runtime::spawn(async { panic!("boom") }).await.unwrap_err();
    /// assert!(error.is_panic());
    /// # });
    /// ```
    ///
    /// **Go:** `recover() != nil`.
    pub fn is_panic(&self) -> bool {
        matches!(self.cause, Cause::Panic { .. })
    }

    /// The payload of the panic, for [`std::panic::resume_unwind`].
    ///
    /// # Panics
    ///
    /// If the task did not panic; [`try_into_panic`](Self::try_into_panic) asks first.
    ///
    /// ```
    /// # runtime::block_on(async {
    /// let error = runtime::spawn(async { panic!("boom") }).await.unwrap_err();
    /// assert_eq!(*error.into_panic().downcast::<&str>().unwrap(), "boom");
    /// # });
    /// ```
    ///
    /// **Go:** what `recover()` returns.
    #[track_caller]
    pub fn into_panic(self) -> Box<dyn Any + Send> {
        match self.try_into_panic() {
            Ok(payload) => payload,
            Err(error) => panic!(
                "JoinError::into_panic on a task that did not panic: {error}; ask is_panic() first"
            ),
        }
    }

    /// The payload of the panic, or the error itself if the task was cancelled.
    ///
    /// # Errors
    ///
    /// The error unchanged, if the task did not panic.
    ///
    /// ```
    /// # runtime::block_on(async {
    /// let error = runtime::spawn(async { panic!("boom") }).await.unwrap_err();
    /// if let Ok(payload) = error.try_into_panic() {
    ///     assert_eq!(payload.downcast_ref(), Some(&"boom"));
    /// }
    /// # });
    /// ```
    ///
    /// **Go:** what `recover()` returns.
    pub fn try_into_panic(self) -> Result<Box<dyn Any + Send>, Self> {
        match self.cause {
            Cause::Panic { payload, .. } => Ok(payload
                .into_inner()
                .unwrap_or_else(|poisoned| poisoned.into_inner())),
            Cause::Cancelled => Err(self),
        }
    }

    /// The id of the task.
    ///
    /// ```
    /// # runtime::block_on(async {
    /// let task = runtime::spawn(std::future::pending::<()>());
    /// let id = task.id();
    /// task.abort();
    /// assert_eq!(task.await.unwrap_err().id(), id);
    /// # });
    /// ```
    ///
    /// **Go:** none.
    pub fn id(&self) -> Id {
        self.id
    }
}

impl fmt::Display for JoinError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.cause {
            Cause::Cancelled => write!(f, "task {} was cancelled", self.id),
            Cause::Panic { name, message, .. } => {
                write!(f, "task {}", self.id)?;
                if let Some(name) = name {
                    write!(f, " {name:?}")?;
                }
                write!(f, " panicked: {message}")
            }
        }
    }
}

impl fmt::Debug for JoinError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.cause {
            Cause::Cancelled => write!(f, "JoinError::Cancelled({:?})", self.id),
            Cause::Panic { message, .. } => {
                write!(f, "JoinError::Panic({:?}, {message:?})", self.id)
            }
        }
    }
}

impl std::error::Error for JoinError {}

impl From<JoinError> for io::Error {
    fn from(error: JoinError) -> Self {
        Self::other(error)
    }
}
