//! A Tokio runtime at hand, for futures that cannot do without one: feature `tokio-context`.
//!
//! Many crates reach for Tokio behind the caller's back: `tokio::spawn`, `tokio::time`, a socket of
//! Tokio's (reqwest, tonic's transport, sqlx, the AWS kits). [`with_tokio`] lets such a future run
//! in a task of Weftline's: around each poll, and around the drop, the thread is told which Tokio
//! runtime to use. That runtime has one thread, named `tokio-context`, which is started by the
//! first use and lives as long as the process.
//!
//! # What it costs, and what it does not do
//!
//! - Entering and leaving: some tens of nanoseconds a poll.
//! - Two reactors: a socket or a timer of Tokio's is served by that one thread, and each of its
//!   wakes comes to the workers from outside. What `tokio::spawn` starts runs there too, beside the
//!   driver: it does not show in a dump, is in no metric, and is not preempted;
//!   `tokio::task::spawn_blocking` uses Tokio's pool. So keep to what a library does inside, and
//!   spawn your own with [`runtime::spawn`].
//! - `tokio::task::block_in_place` is a plain call here; use [`runtime::block_in_place`].
//! - Time that a test has paused goes on for Tokio.
//! - The deadlock report stays silent once that thread runs, since it might wake anybody.
//! - Crates that look for a runtime (sqlx, quinn) find Tokio inside, and use it.
//!
//! Rejected: a Tokio context on every worker, entered once. It costs nothing a poll, but then any
//! `tokio::spawn` in the program, meant or not, quietly leaves for the other runtime.
#![forbid(unsafe_code)]

use std::fmt;
use std::future::{Future, pending};
use std::io;
use std::pin::Pin;
use std::sync::{Mutex, OnceLock, PoisonError};
use std::task::{Context, Poll};
use std::thread;

use ::tokio::runtime::{Builder, Handle};
use pin_project_lite::pin_project;

/// The runtime of [`tokio_handle`]; never taken out, so that no future finds it gone.
static HANDLE: OnceLock<Handle> = OnceLock::new();

/// Held by whoever starts it.
static STARTING: Mutex<()> = Mutex::new(());

/// Runs a future with a Tokio runtime at hand: `tokio::spawn`, `tokio::time` and Tokio's sockets
/// work inside, and so does what is built on them. [The module](self) says what that costs.
///
/// The future itself is polled by Weftline, in the task that awaits this. Build what needs Tokio
/// inside it: `with_tokio(async { … })`.
///
/// # Panics
///
/// The helper thread cannot be started: the system has no thread or descriptor left.
/// [`tokio_handle`] at the start of the program says so as an error.
///
/// # Cancel safety
///
/// As the future's: it is dropped with this, with the runtime at hand.
///
/// ```
/// use std::time::Duration;
///
/// # runtime::block_on(async {
/// let answer = net::compat::with_tokio(async {
///     tokio::time::sleep(Duration::from_millis(1)).await;
///     tokio::spawn(async { 42 }).await.unwrap()
/// });
/// assert_eq!(answer.await, 42);
/// # });
/// ```
///
/// **Go:** none: there is one runtime.
#[track_caller]
pub fn with_tokio<F: Future>(future: F) -> WithTokio<F> {
    match tokio_handle() {
        Ok(handle) => WithTokio {
            future: Some(future),
            handle,
        },
        Err(error) => panic!("with_tokio: the helper thread cannot be started: {error}"),
    }
}

/// The Tokio runtime that [`with_tokio`] uses, started now if it was not. For crates that take a
/// handle, and to find out early that it can be started.
///
/// # Errors
///
/// What the system says: no thread or descriptor is left. The next call tries again.
///
/// ```
/// let handle = net::compat::tokio_handle()?;
/// assert_eq!(handle.block_on(async { 42 }), 42);
/// # std::io::Result::Ok(())
/// ```
///
/// **Go:** none.
pub fn tokio_handle() -> io::Result<Handle> {
    if let Some(handle) = HANDLE.get() {
        return Ok(handle.clone());
    }
    let _starting = STARTING.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(handle) = HANDLE.get() {
        return Ok(handle.clone());
    }
    let handle = start()?;
    Ok(HANDLE.get_or_init(|| handle).clone())
}

/// Starts the runtime on a thread of its own, where its driver and its tasks run.
fn start() -> io::Result<Handle> {
    let runtime = Builder::new_current_thread().enable_all().build()?;
    let handle = runtime.handle().clone();
    thread::Builder::new()
        .name("tokio-context".to_owned())
        .spawn(move || runtime.block_on(pending::<()>()))?;
    Ok(handle)
}

pin_project! {
    /// Future of [`with_tokio`].
    ///
    /// ```
    /// # runtime::block_on(async {
    /// let inside = net::compat::with_tokio(async { tokio::runtime::Handle::try_current().is_ok() });
    /// assert!(inside.await);
    /// # std::io::Result::Ok(()) }).unwrap();
    /// ```
    ///
    /// **Go:** none.
    #[must_use = "futures do nothing unless awaited"]
    pub struct WithTokio<F> {
        // `None` only while it is dropped.
        #[pin]
        future: Option<F>,
        handle: Handle,
    }

    impl<F> PinnedDrop for WithTokio<F> {
        fn drop(this: Pin<&mut Self>) {
            let mut this = this.project();
            // Tokio's timers and sockets look for their runtime when they are dropped, too.
            let _inside = this.handle.enter();
            this.future.set(None);
        }
    }
}

impl<F: Future> Future for WithTokio<F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let this = self.project();
        let _inside = this.handle.enter();
        let future = this.future.as_pin_mut();
        future.expect("the future is there until the drop").poll(cx)
    }
}

impl<F: fmt::Debug> fmt::Debug for WithTokio<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WithTokio")
            .field("future", &self.future)
            .finish_non_exhaustive()
    }
}
