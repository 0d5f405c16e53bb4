//! ⚠ The handle of a spawned task: its result, its end, its cancellation.

use std::fmt;
use std::future::Future;
use std::marker::PhantomData;
use std::panic::Location;
use std::pin::Pin;
use std::ptr::NonNull;
use std::task::{Context, Poll, Waker, ready};

use super::header::{Header, Outcome};
use super::id::Id;
use super::runnable::{Runnable, release, report, take_name};
use super::state::Wake;
use super::wait::{WaitReason, waiting};
use super::{JoinError, coop};
use crate::leaks::trial::{self, On, Side};
use crate::scheduler::{self, current};

/// The handle of a task: a future of its result.
///
/// Dropping it detaches the task, which goes on, as a goroutine does. A panic in the task is
/// delivered as a [`JoinError`].
///
/// # Cancel safety
///
/// Awaiting `&mut handle` is cancel safe: dropping the await loses nothing, and the next one
/// delivers the result.
///
/// # Panics
///
/// Polling it again after it delivered the result panics.
///
/// ```
/// # runtime::block_on(async {
/// let handle = runtime::spawn(async { 6 * 7 });
/// assert_eq!(handle.await.unwrap(), 42);
/// # });
/// ```
///
/// **Go:** none: goroutines have neither handle nor result, one sends over a channel instead.
pub struct JoinHandle<T> {
    /// `None` once the result is delivered.
    task: Option<NonNull<Header>>,
    /// The runtime had ended: there never was a task.
    refused: bool,
    id: Id,
    _output: PhantomData<T>,
}

// SAFETY: the handle reaches the task by atomics only, and gives a `T` away at the most.
unsafe impl<T: Send> Send for JoinHandle<T> {}
// SAFETY: a shared handle gives no access to the `T`.
unsafe impl<T: Send> Sync for JoinHandle<T> {}

impl<T> Unpin for JoinHandle<T> {}
impl<T> std::panic::UnwindSafe for JoinHandle<T> {}
impl<T> std::panic::RefUnwindSafe for JoinHandle<T> {}

impl<T> JoinHandle<T> {
    /// # Safety
    ///
    /// The caller gives away the handle's reference of a task whose output is a `T` and that has
    /// `JOIN_INTEREST`.
    #[inline]
    pub(crate) unsafe fn from_raw(header: NonNull<Header>, id: Id) -> Self {
        Self {
            task: Some(header),
            refused: false,
            id,
            _output: PhantomData,
        }
    }

    /// The handle of a task that was not spawned, since the runtime has ended; it delivers
    /// "cancelled".
    pub(crate) fn refused(id: Id) -> Self {
        Self {
            task: None,
            refused: true,
            id,
            _output: PhantomData,
        }
    }

    /// The task's id.
    ///
    /// ```
    /// # runtime::block_on(async {
    /// let task = runtime::spawn(async { runtime::task::id() });
    /// let id = task.id();
    /// assert_eq!(task.await.unwrap(), Some(id));
    /// # });
    /// ```
    ///
    /// **Go:** none.
    pub fn id(&self) -> Id {
        self.id
    }

    /// Whether the task has ended, be it with a result, a panic or by [`abort`](Self::abort).
    ///
    /// ```
    /// # runtime::block_on(async {
    /// let task = runtime::spawn(std::future::pending::<()>());
    /// assert!(!task.is_finished());
    /// task.abort();
    /// # });
    /// ```
    ///
    /// **Go:** none.
    pub fn is_finished(&self) -> bool {
        self.header()
            .is_none_or(|task| task.state.load().is_complete())
    }

    /// Cancels the task: its future is dropped at its next suspension, and the handle delivers
    /// [`JoinError::is_cancelled`].
    ///
    /// Returns at once. A task that has ended already is unaffected, and one that never awaits runs
    /// on to its end; a job of [`spawn_blocking`](crate::spawn_blocking) can be cancelled only
    /// before it starts.
    ///
    /// ```
    /// # runtime::block_on(async {
    /// let handle = runtime::spawn(std::future::pending::<()>());
    /// handle.abort();
    /// assert!(handle.await.unwrap_err().is_cancelled());
    /// # });
    /// ```
    ///
    /// **Go:** none; Go cancels by agreement, through a `context.Context`.
    pub fn abort(&self) {
        if let Some(task) = self.task {
            // SAFETY: the handle's reference.
            unsafe { abort(task) };
        }
    }

    /// A handle that can only abort, and that may be kept beside this one.
    ///
    /// ```
    /// # runtime::block_on(async {
    /// let task = runtime::spawn(std::future::pending::<()>());
    /// let abort = task.abort_handle();
    /// abort.abort();
    /// assert!(task.await.unwrap_err().is_cancelled());
    /// # });
    /// ```
    ///
    /// **Go:** none; the `cancel` of a context is passed on so.
    pub fn abort_handle(&self) -> AbortHandle {
        if let Some(task) = self.header() {
            task.state.ref_inc();
        }
        AbortHandle {
            task: self.task,
            id: self.id,
        }
    }

    fn header(&self) -> Option<&Header> {
        // SAFETY: the handle's reference keeps it alive.
        self.task.map(|task| unsafe { task.as_ref() })
    }

    /// Whether the task has ended; if not, it will call `waker` once when it has. Neither spends
    /// budget nor notes a wait.
    #[track_caller]
    pub(super) fn watch(&self, waker: &Waker) -> bool {
        if self.refused {
            return true;
        }
        // SAFETY: the handle's reference.
        let header = unsafe { self.undelivered().as_ref() };
        is_ready(header, waker) || (scheduler::catch_up() && is_ready(header, waker))
    }

    /// The result of a task that has ended.
    ///
    /// # Panics
    ///
    /// If it has not, or if the result was delivered already.
    #[track_caller]
    pub(super) fn take(&mut self) -> Result<T, JoinError> {
        if std::mem::take(&mut self.refused) {
            return Err(JoinError::new(self.id, None, None));
        }
        let task = self.undelivered();
        assert!(self.is_finished(), "the task has not ended");
        // SAFETY: the task is complete and JOIN_INTEREST set, so the output is ours (invariant 2),
        // and `let_go` makes this the only time.
        let outcome: Outcome<T> = unsafe { Header::take_output(task) };
        let name = match &outcome {
            // SAFETY: the handle's reference.
            Err(Some(_)) => unsafe { take_name(task) },
            _ => None,
        };
        self.let_go();
        outcome.map_err(|panic| JoinError::new(self.id, name, panic))
    }

    #[track_caller]
    fn undelivered(&self) -> NonNull<Header> {
        self.task
            .expect("JoinHandle polled after it delivered the result: await it once")
    }

    /// Gives the reference back; the caller has taken the output.
    fn let_go(&mut self) {
        if let Some(task) = self.task.take() {
            // SAFETY: the handle's reference; the header lives until `release`.
            unsafe {
                let dropped = task.as_ref().state.drop_join_interest();
                if dropped.waker {
                    drop(task.as_ref().replace_join_waker(None));
                }
                release(task, 1, current::arena());
            }
        }
    }
}

/// # Safety
///
/// The caller holds a reference.
unsafe fn abort(task: NonNull<Header>) {
    // SAFETY: the caller's promise; `Submit` made a reference for the queue.
    unsafe {
        if task.as_ref().state.abort() == Wake::Submit {
            scheduler::schedule(Runnable::from_raw(task));
        }
    }
}

impl<T> Future for JoinHandle<T> {
    type Output = Result<T, JoinError>;

    #[track_caller]
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let proceed = ready!(coop::poll_proceed(cx));
        if !self.watch(cx.waker()) {
            waiting(WaitReason::Join, Location::caller());
            return Poll::Pending;
        }
        let result = self.take();
        proceed.made_progress();
        Poll::Ready(result)
    }
}

/// Whether the output is there; if not, the waker is left with the task.
fn is_ready(header: &Header, waker: &Waker) -> bool {
    let now = header.state.load();
    if now.is_complete() {
        return true;
    }
    if now.has_join_waker() {
        // SAFETY: nobody writes the waker while the bit is set (invariant 3), but for us.
        if unsafe { header.join_waker_is(waker) } {
            return false;
        }
        if !header.state.unset_join_waker() {
            return true;
        }
    }
    // SAFETY: the bit is clear, so the waker is the handle's.
    drop(unsafe { header.replace_join_waker(Some(waker.clone())) });
    if header.state.set_join_waker() {
        return false;
    }
    // Complete meanwhile, and the bit stays clear for ever: the waker is still ours.
    // SAFETY: as above.
    drop(unsafe { header.replace_join_waker(None) });
    true
}

impl<T> Drop for JoinHandle<T> {
    fn drop(&mut self) {
        let Some(task) = self.task.take() else { return };
        // SAFETY: the handle's reference; each part of `HandleDropped` says what is ours.
        unsafe {
            if task.as_ref().state.drop_handle_fast() {
                return;
            }
            // Here, where it costs `go f()` nothing; a task that was never polled is not asked
            // about.
            if trial::is_on() {
                return rehearse(self, task);
            }
            let dropped = task.as_ref().state.drop_join_interest();
            if dropped.waker {
                drop(task.as_ref().replace_join_waker(None));
            }
            if dropped.output {
                report(task, Header::drop_output(task));
            }
            release(task, 1, current::arena());
        }
    }
}

/// In a trial: a handle of `task` goes, and the waker that it may have left there.
#[cold]
fn rehearse<H>(handle: &H, task: NonNull<Header>) {
    let address = task.addr().get();
    let of = Side {
        primitive: address,
        side: 0,
        sides: 1,
        handles: 1,
    };
    trial::handle(handle, address, of);
    // SAFETY: the handle's reference.
    let header = unsafe { task.as_ref() };
    let state = header.state.load();
    if state.has_join_waker() && !state.is_complete() {
        // SAFETY: a trial has one thread, which writes no join waker.
        unsafe { header.with_join_waker(|waker| trial::waker(waker, address, On::At(address))) };
    }
}

impl<T> fmt::Debug for JoinHandle<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JoinHandle")
            .field("id", &self.id)
            .field("finished", &self.is_finished())
            .finish()
    }
}

/// Aborts a task whose [`JoinHandle`] is somewhere else. From [`JoinHandle::abort_handle`].
///
/// ```
/// # runtime::block_on(async {
/// let handle = runtime::spawn(std::future::pending::<()>());
/// let abort = handle.abort_handle();
/// runtime::spawn(async move { abort.abort() });
/// assert!(handle.await.unwrap_err().is_cancelled());
/// # });
/// ```
///
/// **Go:** none; the `cancel` of a context comes close.
pub struct AbortHandle {
    task: Option<NonNull<Header>>,
    id: Id,
}

// SAFETY: it reaches the task by atomics only.
unsafe impl Send for AbortHandle {}
// SAFETY: as above.
unsafe impl Sync for AbortHandle {}

impl AbortHandle {
    /// Cancels the task: see [`JoinHandle::abort`].
    ///
    /// ```
    /// # runtime::block_on(async {
    /// let task = runtime::spawn(std::future::pending::<()>());
    /// task.abort_handle().abort();
    /// assert!(task.await.unwrap_err().is_cancelled());
    /// # });
    /// ```
    ///
    /// **Go:** none.
    pub fn abort(&self) {
        if let Some(task) = self.task {
            // SAFETY: this handle's reference.
            unsafe { abort(task) };
        }
    }

    /// Whether the task has ended.
    ///
    /// ```
    /// # runtime::block_on(async {
    /// let task = runtime::spawn(async {});
    /// let abort = task.abort_handle();
    /// task.await.unwrap();
    /// assert!(abort.is_finished());
    /// # });
    /// ```
    ///
    /// **Go:** none.
    pub fn is_finished(&self) -> bool {
        // SAFETY: this handle's reference.
        self.task
            .is_none_or(|task| unsafe { task.as_ref() }.state.load().is_complete())
    }

    /// The task's id.
    ///
    /// ```
    /// # runtime::block_on(async {
    /// let task = runtime::spawn(async {});
    /// assert_eq!(task.abort_handle().id(), task.id());
    /// # });
    /// ```
    ///
    /// **Go:** none.
    pub fn id(&self) -> Id {
        self.id
    }
}

impl Clone for AbortHandle {
    fn clone(&self) -> Self {
        if let Some(task) = self.task {
            // SAFETY: this handle's reference.
            unsafe { task.as_ref() }.state.ref_inc();
        }
        Self {
            task: self.task,
            id: self.id,
        }
    }
}

impl Drop for AbortHandle {
    fn drop(&mut self) {
        if let Some(task) = self.task {
            if trial::is_on() {
                return rehearse(self, task);
            }
            // SAFETY: this handle's reference.
            unsafe { release(task, 1, current::arena()) };
        }
    }
}

impl fmt::Debug for AbortHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AbortHandle")
            .field("id", &self.id)
            .field("finished", &self.is_finished())
            .finish()
    }
}
