//! What cancels a context: by a call, or by being dropped.
#![forbid(unsafe_code)]

use std::error::Error;
use std::fmt;
use std::sync::Arc;

use super::error::{self, Cause, ContextError};
use super::node::Node;

/// Cancels a context, and with it all below it. Dropping it does so, too.
///
/// When the call returns, every context below is done. Cancelling again changes nothing. To cancel
/// from several places, put it into an `Arc`, or drop it in the one place that knows.
///
/// ```
/// # use sync::context::Context;
/// fn work() -> Option<Context> {
///     let (ctx, _cancel) = Context::background().with_cancel();
///     # let started: Option<u32> = Some(1);
///     started?; // leaving early cancels, as leaving at the end does
///     Some(ctx)
/// }
/// assert!(work().unwrap().is_done());
/// ```
///
/// **Go:** `context.CancelFunc`, with its `defer cancel()`.
#[must_use = "dropping it cancels the context: bind it to a name, not to `_`"]
pub struct CancelFunc {
    /// `None` once kept.
    node: Option<Arc<Node>>,
}

impl CancelFunc {
    pub(super) fn new(node: Arc<Node>) -> Self {
        Self { node: Some(node) }
    }

    /// Cancels the context; when it returns, all below are done. Those who wait for that are woken,
    /// in a task of their own if they are very many, so that no worker is held up.
    ///
    /// # Memory ordering
    ///
    /// What happened before it is visible to whom `done` returns, or `err` tells.
    ///
    /// ```
    /// # use sync::context::Context;
    /// let (ctx, cancel) = Context::background().with_cancel();
    /// cancel.cancel();
    /// assert!(ctx.is_done());
    /// ```
    ///
    /// **Go:** `cancel()`.
    pub fn cancel(&self) {
        if let Some(node) = &self.node {
            node.cancel(ContextError::Canceled, None);
        }
    }

    /// Gives up the right to cancel without using it: the context ends with its parent or its
    /// deadline.
    ///
    /// ```
    /// # use sync::context::Context;
    /// let (ctx, cancel) = Context::background().with_cancel();
    /// cancel.keep();
    /// assert!(!ctx.is_done());
    /// ```
    ///
    /// **Go:** `ctx, _ := context.WithCancel(parent)`, which leaks there.
    pub fn keep(mut self) {
        self.node = None;
    }
}

impl Drop for CancelFunc {
    fn drop(&mut self) {
        self.cancel();
    }
}

impl fmt::Debug for CancelFunc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CancelFunc").finish_non_exhaustive()
    }
}

/// Cancels a context and says why. Dropping it cancels without a reason.
///
/// ```
/// # use sync::context::Context;
/// let (ctx, cancel) = Context::background().with_cancel_cause();
/// drop(cancel);
/// assert_eq!(ctx.cause().unwrap().to_string(), "context canceled");
/// ```
///
/// **Go:** `context.CancelCauseFunc`; `cancel(nil)` is dropping it.
#[must_use = "dropping it cancels the context: bind it to a name, not to `_`"]
pub struct CancelCauseFunc {
    func: CancelFunc,
}

impl CancelCauseFunc {
    pub(super) fn new(node: Arc<Node>) -> Self {
        Self {
            func: CancelFunc::new(node),
        }
    }

    /// Cancels the context for this reason; when it returns, all below are done. A context that has
    /// ended keeps its reason.
    ///
    /// ```
    /// # use sync::context::Context;
    /// let (ctx, cancel) = Context::background().with_cancel_cause();
    /// cancel.cancel("first");
    /// cancel.cancel("second");
    /// assert_eq!(ctx.cause().unwrap().to_string(), "first");
    /// ```
    ///
    /// **Go:** `cancel(err)`.
    pub fn cancel(&self, cause: impl Into<Box<dyn Error + Send + Sync>>) {
        self.cancel_for(error::cause(cause));
    }

    /// With a reason that is shared.
    pub(crate) fn cancel_for(&self, cause: Cause) {
        if let Some(node) = &self.func.node {
            node.cancel(ContextError::Canceled, Some(cause));
        }
    }

    /// As dropping it does: without a reason.
    pub(crate) fn cancel_plainly(&self) {
        self.func.cancel();
    }

    /// Gives up the right to cancel without using it.
    ///
    /// ```
    /// # use sync::context::Context;
    /// let (ctx, cancel) = Context::background().with_cancel_cause();
    /// cancel.keep();
    /// assert!(!ctx.is_done());
    /// ```
    ///
    /// **Go:** `ctx, _ := context.WithCancelCause(parent)`.
    pub fn keep(self) {
        self.func.keep();
    }
}

impl fmt::Debug for CancelCauseFunc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CancelCauseFunc").finish_non_exhaustive()
    }
}
