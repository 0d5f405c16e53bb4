//! `errgroup`: tasks that work on one thing, and fail together.
//!
//! [`Group`] shows it in use.
//!
//! # How it works
//!
//! A [`Group`] is the right to wait for its members; what they share lies in `shared`. A `member`
//! is a spawned task that tells how it ended, however that was. [`Spawn`] waits for a place when
//! there is a limit. (Hence `location`, here alone, for where the program is.)
//!
//! Where Go leaves it to the program, this one decides: nothing new starts after a failure, waiting
//! for a place ends with the context, and a panic is an outcome as an error is, delivered as soon
//! as it happens. (Go had propagated panics for a while, and took it back, as they came too late,
//! after the last member, and without their stack; here they come at once, and the panic hook has
//! seen the stack.)
//!
//! *Rejected*: a group that can be cloned. As it is, whoever has the group is its owner, and no
//! member outlives it: dropping it aborts. Members that start others have a [`Spawner`].

use std::fmt;
use std::future::Future;
use std::panic::Location;

mod handle;
mod member;
mod members;
mod shared;
mod spawn;
mod wait;
mod word;

#[cfg(all(test, loom))]
#[path = "../models/errgroup.rs"]
mod models;

pub use spawn::{Spawn, Spawner};

use crate::blocking;
use crate::context::{Cause, Context};
use handle::Handle;
use shared::Shared;

/// Tasks that work on one thing: the first error ends it, and [`wait`](Self::wait) returns it once
/// all have ended.
///
/// ```
/// use sync::errgroup::Group;
///
/// async fn fetch(url: &str) -> Result<usize, String> {
///     # runtime::yield_now().await;
///     if url.is_empty() { Err("no url".into()) } else { Ok(url.len()) }
/// }
///
/// # runtime::block_on(async {
/// let mut group = Group::new();
/// for url in ["a.example", "", "c.example"] {
///     group.spawn(async move { fetch(url).await.map(drop) }).await;
/// }
/// assert_eq!(group.wait().await, Err("no url".to_string()));
/// # });
/// ```
///
/// Dropping the group aborts the members that still run, at their next suspension.
///
/// With a context, the others are told of the first error, and can give up:
///
/// ```
/// use sync::context::Context;
/// use sync::errgroup::Group;
///
/// # runtime::block_on(async {
/// let (mut group, ctx) = Group::with_context(&Context::background());
/// group.spawn(async { Err("disk full") }).await;
/// group
///     .spawn(async move {
///         ctx.done().await;
///         println!("giving up: {}", ctx.cause().unwrap());
///         Ok(())
///     })
///     .await;
/// assert_eq!(group.wait().await, Err("disk full"));
/// # });
/// ```
///
/// **Go:** `errgroup.Group` of `golang.org/x/sync`.
pub struct Group<E> {
    shared: Handle<E>,
}

impl<E: Send + 'static> Group<E> {
    /// A group without members, limit or context.
    ///
    /// ```
    /// # runtime::block_on(async {
    /// assert_eq!(sync::errgroup::Group::<String>::new().wait().await, Ok(()));
    /// # });
    /// ```
    ///
    /// **Go:** `new(errgroup.Group)`.
    pub fn new() -> Self {
        Self {
            shared: Handle::new(Shared::new(None)),
        }
    }

    /// A group and a context below `parent` that is done at the first error or panic, with its text
    /// as the cause, when [`wait`](Self::wait) returns, and when the group is dropped. Once the
    /// context has ended, be it by its parent, nothing new is started.
    ///
    /// ```
    /// # use sync::{context::Context, errgroup::Group};
    /// # runtime::block_on(async {
    /// let (mut group, ctx) = Group::<String>::with_context(&Context::background());
    /// group.wait().await.unwrap();
    /// assert!(ctx.is_done());
    /// # });
    /// ```
    ///
    /// **Go:** `errgroup.WithContext(ctx)`.
    pub fn with_context(parent: &Context) -> (Self, Context)
    where
        E: fmt::Display,
    {
        Self::with_context_cause(parent, |error| {
            Cause::from(Box::<dyn std::error::Error + Send + Sync>::from(
                error.to_string(),
            ))
        })
    }

    /// As [`with_context`](Self::with_context), with a cause made of the first error by `cause`:
    /// for who looks at more than its text.
    ///
    /// ```
    /// # use std::sync::Arc;
    /// # use sync::{context::Context, errgroup::Group};
    /// # runtime::block_on(async {
    /// let (mut group, ctx) = Group::with_context_cause(&Context::background(), |e: &Arc<std::fmt::Error>| e.clone());
    /// group.spawn(async { Err(Arc::new(std::fmt::Error)) }).await;
    /// assert!(group.wait().await.is_err());
    /// assert!(ctx.cause().unwrap().is::<std::fmt::Error>());
    /// # });
    /// ```
    ///
    /// **Go:** `errgroup.WithContext(ctx)`, where every error is shared.
    pub fn with_context_cause(parent: &Context, cause: fn(&E) -> Cause) -> (Self, Context) {
        let (ctx, cancel) = parent.with_cancel_cause();
        let shared = Handle::new(Shared::new(Some(shared::Tied {
            ctx: ctx.clone(),
            cancel,
            cause,
        })));
        (Self { shared }, ctx)
    }

    /// Lets at most `limit` members run at a time; `None` lifts the limit, zero lets nothing start.
    ///
    /// # Panics
    ///
    /// With Go's words if members are running.
    ///
    /// ```
    /// let group = sync::errgroup::Group::<String>::new();
    /// group.set_limit(10);
    /// group.set_limit(None);
    /// ```
    ///
    /// **Go:** `g.SetLimit(n)`; a negative `n` is `None`.
    #[track_caller]
    pub fn set_limit(&self, limit: impl Into<Option<usize>>) {
        if let Err(running) = self.shared.set_limit(limit.into()) {
            panic!(
                "errgroup: modify limit while {running} members of the group are still active; \
                 set it before the first spawn, or after wait"
            );
        }
    }

    /// Aborts the other members at the first error or panic: each is dropped at its next
    /// suspension, without being asked.
    ///
    /// ```
    /// # runtime::block_on(async {
    /// let mut group = sync::errgroup::Group::new();
    /// group.abort_on_error();
    /// group.spawn(std::future::pending()).await;
    /// group.spawn(async { Err("no") }).await;
    /// assert_eq!(group.wait().await, Err("no"));
    /// # });
    /// ```
    ///
    /// **Go:** none: a goroutine cannot be cancelled from outside.
    pub fn abort_on_error(&self) {
        self.shared.abort_on_error();
    }

    /// Keeps all errors, for [`wait_all`](Self::wait_all), and takes none of them for a failure of
    /// the group: the others go on, and new ones start.
    ///
    /// ```
    /// # runtime::block_on(async {
    /// let mut group = sync::errgroup::Group::new();
    /// group.collect_errors();
    /// for n in 0..3 {
    ///     group.spawn(async move { Err(n) }).await;
    /// }
    /// let mut errors = group.wait_all().await.unwrap_err();
    /// errors.sort();
    /// assert_eq!(errors, [0, 1, 2]);
    /// # });
    /// ```
    ///
    /// **Go:** none; `errors.Join` under a lock of one's own.
    pub fn collect_errors(&self) {
        self.shared.collect_errors();
    }

    /// Starts a member; waits for a place if there is a limit. Its output says whether it was
    /// started: `false`, and the future is dropped, after a failure, or when the group's context
    /// has ended, before or while it waits.
    ///
    /// # Panics
    ///
    /// The future panics outside a runtime.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: dropping it either starts nothing, or it has been started. A place that it was
    /// just being given goes to the next.
    ///
    /// ```
    /// # runtime::block_on(async {
    /// let mut group = sync::errgroup::Group::<String>::new();
    /// group.set_limit(2);
    /// for _ in 0..10 {
    ///     assert!(group.spawn(async { Ok(()) }).await);
    /// }
    /// group.wait().await.unwrap();
    /// # });
    /// ```
    ///
    /// **Go:** `g.Go(f)`, which starts `f` in any case.
    #[track_caller]
    pub fn spawn<F>(&self, future: F) -> Spawn<'_, F, E>
    where
        F: Future<Output = Result<(), E>> + Send + 'static,
    {
        Spawn::new(&self.shared, future, Location::caller())
    }

    /// Starts a member if that is possible at once, and says whether it did: not when the limit is
    /// reached, others wait for a place, or [`spawn`](Self::spawn) would refuse.
    ///
    /// # Panics
    ///
    /// Outside a runtime.
    ///
    /// ```
    /// # runtime::block_on(async {
    /// let group = sync::errgroup::Group::<String>::new();
    /// group.set_limit(1);
    /// assert!(group.try_spawn(std::future::pending()));
    /// assert!(!group.try_spawn(std::future::pending()));
    /// # });
    /// ```
    ///
    /// **Go:** `g.TryGo(f)`.
    #[track_caller]
    #[must_use = "`false`: the future was dropped, and not started"]
    pub fn try_spawn<F>(&self, future: F) -> bool
    where
        F: Future<Output = Result<(), E>> + Send + 'static,
    {
        spawn::try_spawn(&self.shared, future, Location::caller())
    }

    /// Something that starts members and may be kept by members. It does not keep the group: when
    /// that is gone, it starts nothing.
    ///
    /// ```
    /// # runtime::block_on(async {
    /// let mut group = sync::errgroup::Group::<String>::new();
    /// let spawner = group.spawner();
    /// group
    ///     .spawn(async move {
    ///         spawner.spawn(async { Ok(()) }).await;
    ///         Ok(())
    ///     })
    ///     .await;
    /// group.wait().await.unwrap();
    /// # });
    /// ```
    ///
    /// **Go:** the group itself, called by a member.
    pub fn spawner(&self) -> Spawner<E> {
        Spawner::new(&self.shared)
    }

    /// Waits until all members have ended, and returns the first error. Then the group is as new,
    /// but for its context, which is done.
    ///
    /// # Errors
    ///
    /// The first error of a member.
    ///
    /// # Panics
    ///
    /// With the panic of a member, as soon as that happens, while others may still run: unwinding
    /// drops the group, and that aborts them. And if a member was dropped with its runtime, before
    /// it ended.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: the members go on, and the next `wait` returns the error.
    ///
    /// ```
    /// # runtime::block_on(async {
    /// let mut group = sync::errgroup::Group::new();
    /// group.spawn(async { Err("first") }).await;
    /// assert_eq!(group.wait().await, Err("first"));
    /// # });
    /// ```
    ///
    /// **Go:** `g.Wait()`.
    #[track_caller]
    pub fn wait(&mut self) -> impl Future<Output = Result<(), E>> + Send + '_ {
        let ended = wait::Ended::new(&self.shared, Location::caller());
        async move {
            match ended.await.into_iter().next() {
                None => Ok(()),
                Some(first) => Err(first),
            }
        }
    }

    /// As [`wait`](Self::wait), with all errors that were [collected](Self::collect_errors), in the
    /// order in which they happened.
    ///
    /// # Errors
    ///
    /// All of them; without `collect_errors` the first alone.
    ///
    /// # Panics
    ///
    /// As `wait`.
    ///
    /// # Cancel safety
    ///
    /// As `wait`.
    ///
    /// ```
    /// # runtime::block_on(async {
    /// let mut group = sync::errgroup::Group::<u32>::new();
    /// assert_eq!(group.wait_all().await, Ok(()));
    /// # });
    /// ```
    ///
    /// **Go:** none.
    #[track_caller]
    pub fn wait_all(&mut self) -> impl Future<Output = Result<(), Vec<E>>> + Send + '_ {
        let ended = wait::Ended::new(&self.shared, Location::caller());
        async move {
            let errors = ended.await;
            if errors.is_empty() {
                Ok(())
            } else {
                Err(errors)
            }
        }
    }

    /// Waits like [`wait_all`](Self::wait_all), blocking the thread. For threads outside the
    /// runtime.
    ///
    /// # Errors
    ///
    /// As `wait_all`.
    ///
    /// # Panics
    ///
    /// As `wait`, and inside a task or the body of `block_on`, which it would hold up.
    ///
    /// ```
    /// assert_eq!(sync::errgroup::Group::<u32>::new().blocking_wait_all(), Ok(()));
    /// ```
    ///
    /// **Go:** none.
    #[track_caller]
    pub fn blocking_wait_all(&mut self) -> Result<(), Vec<E>> {
        blocking::wait(
            self.wait_all(),
            "errgroup::Group::blocking_wait_all",
            "wait_all().await",
        )
    }

    /// Waits like [`wait`](Self::wait), blocking the thread. For threads outside the runtime.
    ///
    /// # Errors
    ///
    /// As `wait`.
    ///
    /// # Panics
    ///
    /// As `wait`, and inside a task or the body of `block_on`, which it would hold up.
    ///
    /// ```
    /// assert_eq!(sync::errgroup::Group::<u32>::new().blocking_wait(), Ok(()));
    /// ```
    ///
    /// **Go:** `g.Wait()` on a thread of one's own.
    #[track_caller]
    pub fn blocking_wait(&mut self) -> Result<(), E> {
        blocking::wait(
            self.wait(),
            "errgroup::Group::blocking_wait",
            "wait().await",
        )
    }
}

impl<E: Send + 'static> Default for Group<E> {
    fn default() -> Self {
        Self::new()
    }
}

impl<E> Drop for Group<E> {
    fn drop(&mut self) {
        self.shared.close();
    }
}

impl<E> fmt::Debug for Group<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.shared.debug(f, "Group")
    }
}
