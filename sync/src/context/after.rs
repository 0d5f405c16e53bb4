//! Functions that are called when a context ends.
#![forbid(unsafe_code)]

use std::fmt;
use std::panic::Location;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use runtime::Handle;

use super::node::Node;

/// A function, the runtime that it is to run on, and who asked for it: there its task was spawned,
/// as far as dumps go.
pub(super) struct Job {
    f: Box<dyn FnOnce() + Send>,
    handle: Handle,
    location: &'static Location<'static>,
}

impl Job {
    pub(super) fn start(self) {
        let f = self.f;
        // Nobody waits for it; a panic in it is reported by the runtime.
        drop(self.handle.spawn_at(async move { f() }, self.location));
    }
}

/// A call to come when a context ends. From [`Context::after_func`](super::Context::after_func).
/// Dropping it changes nothing.
///
/// ```
/// # use sync::context::{AfterFunc, Context};
/// # runtime::block_on(async {
/// let (ctx, _cancel) = Context::background().with_cancel();
/// let call: AfterFunc = ctx.after_func(|| unreachable!());
/// assert!(call.stop());
/// # });
/// ```
///
/// **Go:** the `stop` function that `context.AfterFunc` returns.
pub struct AfterFunc {
    place: Place,
}

enum Place {
    /// With the node, under this key, unless it has been started or stopped.
    Registered(Arc<Node>, u64),
    /// The context had ended.
    Started,
    /// The context never ends; whether it has been stopped.
    Never(AtomicBool),
}

impl AfterFunc {
    #[track_caller]
    pub(super) fn register(node: Option<&Arc<Node>>, f: impl FnOnce() + Send + 'static) -> Self {
        let handle = match Handle::try_current() {
            Ok(handle) => handle,
            Err(error) => panic!("Context::after_func: {error}"),
        };
        let Some(node) = node else {
            let place = Place::Never(AtomicBool::new(false));
            return Self { place };
        };
        let job = Job {
            f: Box::new(f),
            handle,
            location: Location::caller(),
        };
        let place = match node.add_job(job) {
            Ok(key) => Place::Registered(node.clone(), key),
            Err(job) => {
                job.start();
                Place::Started
            }
        };
        Self { place }
    }

    /// Prevents the call, and returns whether it did: `false` means that it has begun or is about
    /// to, or that it had been stopped.
    ///
    /// Exact also in a race with the cancelling. It does not wait for a call that has begun.
    ///
    /// ```
    /// # use sync::context::Context;
    /// # runtime::block_on(async {
    /// let (ctx, cancel) = Context::background().with_cancel();
    /// let call = ctx.after_func(|| println!("cancelled"));
    /// cancel.cancel();
    /// assert!(!call.stop());
    /// # });
    /// ```
    ///
    /// **Go:** `stop()`.
    pub fn stop(&self) -> bool {
        match &self.place {
            Place::Registered(node, key) => node.take_job(*key).is_some(),
            Place::Started => false,
            // Relaxed: it tells nothing else.
            Place::Never(stopped) => !stopped.swap(true, Ordering::Relaxed),
        }
    }
}

impl fmt::Debug for AfterFunc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AfterFunc").finish_non_exhaustive()
    }
}
