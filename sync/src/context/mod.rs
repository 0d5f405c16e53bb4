//! `Context`: tells a whole tree of tasks to stop, and why; carries a deadline and values.
//!
//! Whoever starts something makes a context and hands it down; whoever works gives up when it is
//! done. Cancelling one cancels all that were made of it.
//!
//! ```
//! use std::time::Duration;
//! use sync::context::{Context, ContextError};
//!
//! # runtime::block_on(async {
//! let (request, cancel) = Context::background().with_cancel();
//! let (query, _cancel) = request.with_timeout(Duration::from_secs(60));
//!
//! let worker = runtime::spawn(async move { query.run(std::future::pending::<()>()).await });
//! cancel.cancel(); // the client has gone
//! assert_eq!(worker.await.unwrap(), Err(ContextError::Canceled));
//! # });
//! ```
//!
//! # How it works
//!
//! A [`Context`] is two pointers. One leads to the `node` that can be cancelled, one of a tree; a
//! background context has none, and a context made for a value shares its parent's. The other leads
//! to the `values`, a list that is shared with the parent.
//!
//! Cancelling marks the whole subtree before it wakes anyone, and when it returns every context
//! below is done: see `node`.
//!
//! *Rejected*: Go's rule that a cancel function that is lost leaves the context to its parent,
//! which `go vet` warns of. Dropping a [`CancelFunc`] cancels, as `defer cancel()` would;
//! [`CancelFunc::keep`] is for who wants it otherwise.
#![forbid(unsafe_code)]

use std::fmt;
use std::future::Future;
use std::panic::Location;
use std::sync::Arc;
use std::time::Duration;

use runtime::time::Instant;

mod after;
mod arm;
mod cancel;
mod done;
mod error;
mod node;
mod run;
mod values;
mod wave;

pub use after::AfterFunc;
pub use cancel::{CancelCauseFunc, CancelFunc};
pub use done::Done;
pub use error::{Cause, ContextError};
pub use run::Run;
pub use values::Key;

use crate::blocking;
use node::Node;
use values::Values;

/// Says when to stop: cancelled by hand, by a deadline, or because its parent is.
///
/// A function that may take long takes a `&Context` and gives up when that is done. Contexts form a
/// tree: one made of another is done at the latest when that is. Clones are the same context.
///
/// ```
/// use std::time::Duration;
/// use sync::context::{Context, ContextError};
///
/// async fn slow(ctx: &Context) -> Result<&'static str, ContextError> {
///     ctx.run(async {
///         runtime::time::sleep(Duration::from_secs(3600)).await;
///         "an hour later"
///     })
///     .await
/// }
///
/// # runtime::block_on(async {
/// let (ctx, cancel) = Context::background().with_timeout(Duration::from_millis(1));
/// assert_eq!(slow(&ctx).await, Err(ContextError::DeadlineExceeded));
/// cancel.cancel(); // too late to change anything
/// # });
/// ```
///
/// In a `select!` it is an arm:
///
/// ```
/// # use sync::{channel, select, context::Context};
/// # runtime::block_on(async {
/// # let (_tx, rx) = channel::<u32>(0);
/// let (ctx, cancel) = Context::background().with_cancel();
/// runtime::spawn(async move { cancel.cancel() });
/// select! {
///     job = rx.recv() => println!("{job:?}"),
///     why = ctx.done() => println!("{why}"),
/// }
/// # });
/// ```
///
/// The tempting wrong way is to let `_` take the cancel function: it is dropped at once, and that
/// cancels.
///
/// ```
/// # use sync::context::Context;
/// let (ctx, _) = Context::background().with_cancel();
/// assert!(ctx.is_done());
/// ```
///
/// **Go:** `context.Context`.
#[derive(Clone)]
pub struct Context {
    /// What can be cancelled; `None` never is.
    node: Option<Arc<Node>>,
    values: Option<Arc<Values>>,
}

impl Context {
    /// The root of a tree: never done, no deadline, no values.
    ///
    /// ```
    /// assert!(sync::context::Context::background().err().is_none());
    /// ```
    ///
    /// **Go:** `context.Background()`, `context.TODO()`.
    pub const fn background() -> Self {
        Self {
            node: None,
            values: None,
        }
    }

    /// A context below this one, and what cancels it.
    ///
    /// ```
    /// # use sync::context::{Context, ContextError};
    /// let (ctx, cancel) = Context::background().with_cancel();
    /// let (child, _cancel_child) = ctx.with_cancel();
    /// cancel.cancel();
    /// assert_eq!(child.err(), Some(ContextError::Canceled)); // at once
    /// ```
    ///
    /// **Go:** `context.WithCancel(parent)`; dropping the function is `defer cancel()`.
    pub fn with_cancel(&self) -> (Self, CancelFunc) {
        let node = self.child(self.deadline());
        (self.with_node(&node), CancelFunc::new(node))
    }

    /// As [`with_cancel`](Self::with_cancel), with a reason to be given: see
    /// [`cause`](Self::cause).
    ///
    /// ```
    /// # use sync::context::Context;
    /// let (ctx, cancel) = Context::background().with_cancel_cause();
    /// cancel.cancel("the user has left");
    /// assert_eq!(ctx.err().unwrap().to_string(), "context canceled");
    /// assert_eq!(ctx.cause().unwrap().to_string(), "the user has left");
    /// ```
    ///
    /// **Go:** `context.WithCancelCause(parent)`.
    pub fn with_cancel_cause(&self) -> (Self, CancelCauseFunc) {
        let node = self.child(self.deadline());
        (self.with_node(&node), CancelCauseFunc::new(node))
    }

    /// A context below this one that is done when `timeout` has passed, if it is not cancelled
    /// before.
    ///
    /// # Panics
    ///
    /// If there is no runtime, whose timer it needs.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use sync::context::{Context, ContextError};
    /// # runtime::block_on(async {
    /// let (ctx, _cancel) = Context::background().with_timeout(Duration::from_millis(1));
    /// assert_eq!(ctx.done().await, ContextError::DeadlineExceeded);
    /// # });
    /// ```
    ///
    /// **Go:** `context.WithTimeout(parent, d)`.
    #[track_caller]
    pub fn with_timeout(&self, timeout: Duration) -> (Self, CancelFunc) {
        match Instant::now().checked_add(timeout) {
            Some(deadline) => self.with_deadline(deadline),
            None => self.with_cancel(),
        }
    }

    /// As [`with_timeout`](Self::with_timeout), with the [`cause`](Self::cause) that it has when
    /// the time is over.
    ///
    /// # Panics
    ///
    /// If there is no runtime.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use sync::context::Context;
    /// # runtime::block_on(async {
    /// let limit = Duration::from_millis(1);
    /// let (ctx, _cancel) = Context::background().with_timeout_cause(limit, "the database is slow");
    /// ctx.done().await;
    /// assert_eq!(ctx.cause().unwrap().to_string(), "the database is slow");
    /// # });
    /// ```
    ///
    /// **Go:** `context.WithTimeoutCause(parent, d, cause)`.
    #[track_caller]
    pub fn with_timeout_cause(
        &self,
        timeout: Duration,
        cause: impl Into<Box<dyn std::error::Error + Send + Sync>>,
    ) -> (Self, CancelFunc) {
        match Instant::now().checked_add(timeout) {
            Some(deadline) => self.with_deadline_cause(deadline, cause),
            None => self.with_cancel(),
        }
    }

    /// A context below this one that is done at `deadline`, if it is not cancelled before. One that
    /// is already past makes it done on return; one later than the parent's changes nothing.
    ///
    /// The deadline holds in every runtime, on every executor, and when the runtime of this call
    /// has ended, too: then another one keeps the time, and where there is none a thread that is
    /// there for just that.
    ///
    /// # Panics
    ///
    /// If there is no runtime, whose timer it needs.
    ///
    /// ```
    /// # use runtime::time::Instant;
    /// # use sync::context::{Context, ContextError};
    /// # runtime::block_on(async {
    /// let (ctx, _cancel) = Context::background().with_deadline(Instant::now());
    /// assert_eq!(ctx.err(), Some(ContextError::DeadlineExceeded));
    /// # });
    /// ```
    ///
    /// **Go:** `context.WithDeadline(parent, t)`.
    #[track_caller]
    pub fn with_deadline(&self, deadline: Instant) -> (Self, CancelFunc) {
        self.until(deadline, None)
    }

    /// As [`with_deadline`](Self::with_deadline), with the [`cause`](Self::cause) that it has when
    /// the time is over.
    ///
    /// # Panics
    ///
    /// If there is no runtime.
    ///
    /// ```
    /// # use runtime::time::Instant;
    /// # use sync::context::Context;
    /// # runtime::block_on(async {
    /// let (ctx, _cancel) = Context::background().with_deadline_cause(Instant::now(), "closing time");
    /// assert_eq!(ctx.cause().unwrap().to_string(), "closing time");
    /// # });
    /// ```
    ///
    /// **Go:** `context.WithDeadlineCause(parent, t, cause)`.
    #[track_caller]
    pub fn with_deadline_cause(
        &self,
        deadline: Instant,
        cause: impl Into<Box<dyn std::error::Error + Send + Sync>>,
    ) -> (Self, CancelFunc) {
        self.until(deadline, Some(error::cause(cause)))
    }

    #[track_caller]
    fn until(&self, deadline: Instant, cause: Option<Cause>) -> (Self, CancelFunc) {
        // The parent is done by then anyway, and with its own cause.
        if self.deadline().is_some_and(|parents| parents <= deadline) {
            return self.with_cancel();
        }
        let node = self.child(Some(deadline));
        node.expire_at(deadline, cause);
        (self.with_node(&node), CancelFunc::new(node))
    }

    /// A context with one value more, under the key `key`, in place of the parent's if that has
    /// one. It is cancelled with its parent.
    ///
    /// For what accompanies a request through all layers, such as its id; not for what a function
    /// needs to do its work.
    ///
    /// ```
    /// use sync::context::{Context, Key};
    ///
    /// struct RequestId;
    /// impl Key for RequestId {
    ///     type Value = u64;
    /// }
    ///
    /// let ctx = Context::background().with_value(RequestId, 42);
    /// assert_eq!(ctx.value(RequestId), Some(&42));
    /// ```
    ///
    /// **Go:** `context.WithValue(parent, key, value)`; the key's type says what the value is.
    pub fn with_value<K: Key>(&self, _key: K, value: K::Value) -> Self {
        Self {
            node: self.node.clone(),
            values: Some(Values::push::<K>(self.values.clone(), value)),
        }
    }

    /// The value under `key`, if this context or one above has it.
    ///
    /// ```
    /// # use sync::context::{Context, Key};
    /// # struct RequestId;
    /// # impl Key for RequestId { type Value = u64; }
    /// assert_eq!(Context::background().value(RequestId), None);
    /// ```
    ///
    /// **Go:** `ctx.Value(key)`, without the type assertion.
    pub fn value<K: Key>(&self, _key: K) -> Option<&K::Value> {
        values::find::<K>(self.values.as_ref())
    }

    /// The values of this context alone: never done, no deadline.
    ///
    /// ```
    /// # use sync::context::Context;
    /// let (ctx, cancel) = Context::background().with_cancel();
    /// let afterwards = ctx.without_cancel();
    /// cancel.cancel();
    /// assert!(ctx.is_done() && !afterwards.is_done());
    /// ```
    ///
    /// **Go:** `context.WithoutCancel(parent)`.
    pub fn without_cancel(&self) -> Self {
        Self {
            node: None,
            values: self.values.clone(),
        }
    }

    /// A context that is done as soon as this or `other` is, or it is cancelled itself. A value is
    /// this context's, or else the other's.
    ///
    /// ```
    /// # use sync::context::Context;
    /// let (request, _end) = Context::background().with_cancel();
    /// let (server, shut_down) = Context::background().with_cancel();
    /// let (ctx, _cancel) = request.merge(&server);
    /// shut_down.cancel();
    /// assert!(ctx.is_done() && !request.is_done());
    /// ```
    ///
    /// **Go:** none (it was proposed and declined).
    pub fn merge(&self, other: &Self) -> (Self, CancelFunc) {
        let deadline = [self.deadline(), other.deadline()]
            .into_iter()
            .flatten()
            .min();
        let node = self.child(deadline);
        if let Some(other) = &other.node {
            Node::attach(other, &node);
        }
        let merged = Self {
            node: Some(node.clone()),
            values: Values::both(self.values.clone(), other.values.clone()),
        };
        (merged, CancelFunc::new(node))
    }

    fn child(&self, deadline: Option<Instant>) -> Arc<Node> {
        let node = Node::new(deadline);
        if let Some(parent) = &self.node {
            Node::attach(parent, &node);
        }
        node
    }

    fn with_node(&self, node: &Arc<Node>) -> Self {
        Self {
            node: Some(node.clone()),
            values: self.values.clone(),
        }
    }

    /// Waits until the context is done, and says how it ended. Never ready for one that cannot be.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: dropping the future forgets this waiter only.
    ///
    /// # Memory ordering
    ///
    /// What happened before the cancelling is visible.
    ///
    /// ```
    /// # use sync::context::{Context, ContextError};
    /// # runtime::block_on(async {
    /// let (ctx, cancel) = Context::background().with_cancel();
    /// runtime::spawn(async move { cancel.cancel() });
    /// assert_eq!(ctx.done().await, ContextError::Canceled);
    /// # });
    /// ```
    ///
    /// **Go:** `<-ctx.Done()`.
    #[track_caller]
    pub fn done(&self) -> Done<'_> {
        Done::new(self.node.as_deref(), Location::caller())
    }

    /// Waits like [`done`](Self::done), blocking the thread. For threads outside the runtime.
    ///
    /// # Panics
    ///
    /// Inside a task or the body of `block_on`, which it would hold up.
    ///
    /// ```
    /// # use sync::context::{Context, ContextError};
    /// let (ctx, cancel) = Context::background().with_cancel();
    /// std::thread::spawn(move || cancel.cancel());
    /// assert_eq!(ctx.blocking_done(), ContextError::Canceled);
    /// ```
    ///
    /// **Go:** `<-ctx.Done()` on a thread of one's own.
    #[track_caller]
    pub fn blocking_done(&self) -> ContextError {
        let limit = self.deadline();
        blocking::wait_until(self.done(), limit, "Context::blocking_done", "done().await")
    }

    /// Whether the context is done: one load.
    ///
    /// ```
    /// assert!(!sync::context::Context::background().is_done());
    /// ```
    ///
    /// **Go:** `ctx.Err() != nil`.
    #[inline]
    pub fn is_done(&self) -> bool {
        self.err().is_some()
    }

    /// How the context ended; `None` as long as it is not done. One load.
    ///
    /// ```
    /// # use sync::context::{Context, ContextError};
    /// let (ctx, cancel) = Context::background().with_cancel();
    /// assert_eq!(ctx.err(), None);
    /// cancel.cancel();
    /// assert_eq!(ctx.err(), Some(ContextError::Canceled));
    /// ```
    ///
    /// **Go:** `ctx.Err()`.
    #[inline]
    pub fn err(&self) -> Option<ContextError> {
        self.node.as_ref()?.ask()
    }

    /// Why the context ended: what was given to its cancel function, or to the one above that ended
    /// it, or else [`err`](Self::err).
    ///
    /// ```
    /// # use sync::context::Context;
    /// let (parent, cancel) = Context::background().with_cancel_cause();
    /// let (child, _cancel) = parent.with_cancel();
    /// cancel.cancel("closed for today");
    /// assert_eq!(child.cause().unwrap().to_string(), "closed for today");
    /// ```
    ///
    /// **Go:** `context.Cause(ctx)`.
    pub fn cause(&self) -> Option<Cause> {
        self.node.as_ref()?.cause()
    }

    /// When the context will be done at the latest.
    ///
    /// ```
    /// assert_eq!(sync::context::Context::background().deadline(), None);
    /// ```
    ///
    /// **Go:** `ctx.Deadline()`.
    pub fn deadline(&self) -> Option<Instant> {
        self.node.as_ref()?.deadline()
    }

    /// Runs `f` in a task of its own once the context is done, at once if it is.
    ///
    /// The handle may be dropped; the call happens all the same. A context that is dropped without
    /// ever being done drops `f`.
    ///
    /// # Panics
    ///
    /// If there is no runtime: the task runs on the one of this call.
    ///
    /// ```
    /// # use sync::{channel, context::Context};
    /// # runtime::block_on(async {
    /// let (tx, rx) = channel(1);
    /// let (ctx, cancel) = Context::background().with_cancel();
    /// ctx.after_func(move || tx.try_send("cleaned up").unwrap());
    /// cancel.cancel();
    /// assert_eq!(rx.recv().await, Some("cleaned up"));
    /// # });
    /// ```
    ///
    /// **Go:** `context.AfterFunc(ctx, f)`.
    #[track_caller]
    pub fn after_func(&self, f: impl FnOnce() + Send + 'static) -> AfterFunc {
        AfterFunc::register(self.node.as_ref(), f)
    }

    /// Runs `future` until it or the context ends; then the future is dropped, wherever it has got
    /// to.
    ///
    /// A context that is done wins, also if the future is ready: then it is not polled any more.
    ///
    /// # Errors
    ///
    /// How the context ended, if it did before the future.
    ///
    /// # Cancel safety
    ///
    /// That of `future`. What is not cancel safe should not be run like this; pass it the context
    /// instead.
    ///
    /// ```
    /// # use sync::context::{Context, ContextError};
    /// # runtime::block_on(async {
    /// let (ctx, cancel) = Context::background().with_cancel();
    /// assert_eq!(ctx.run(async { 42 }).await, Ok(42));
    /// cancel.cancel();
    /// assert_eq!(ctx.run(async { 42 }).await, Err(ContextError::Canceled));
    /// # });
    /// ```
    ///
    /// **Go:** none: what runs there has to look at `ctx.Done()` itself.
    #[track_caller]
    pub fn run<F: Future>(&self, future: F) -> Run<'_, F> {
        Run::new(self.done(), future)
    }
}

impl Default for Context {
    fn default() -> Self {
        Self::background()
    }
}

impl fmt::Debug for Context {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Context")
            .field("cancellable", &self.node.is_some())
            .field("err", &self.node.as_ref().and_then(|node| node.err()))
            .field("deadline", &self.deadline())
            .finish_non_exhaustive()
    }
}
