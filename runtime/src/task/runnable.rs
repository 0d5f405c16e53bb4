//! ⚠ The right to run a task: a `Runnable` exists exactly while its task is in a run queue, or on
//! the way to or from one.
//!
//! It owns the queue's reference (invariant 5 of `state.rs`). Running it consumes it; what comes
//! back, if anything, is to be queued again.

use std::any::Any;
use std::ptr::NonNull;
use std::sync::Arc;
use std::task::Context;

use super::coop;
use super::header::{Cookie, Header};
use super::state::{EndPoll, StartPoll};
use super::{panic, waker};
use crate::scheduler::queued::Queued;
use crate::scheduler::{Scheduler, current};
use crate::slab::Arena;

/// See the module.
#[derive(Debug)]
pub(crate) struct Runnable(NonNull<Header>);

// SAFETY: the cell is shared by a count, and whoever runs it excludes all others (invariant 1);
// futures and outputs are `Send`.
unsafe impl Send for Runnable {}

/// What became of a task that was run.
#[derive(Debug)]
#[must_use]
pub(crate) enum Ran {
    /// It waits for somebody.
    Parked,
    /// It was woken while it ran: to the back of the queue.
    Requeue(Runnable),
    /// It ended, and its slot may be free already.
    Completed,
    /// It had ended before.
    Gone,
}

impl Runnable {
    /// # Safety
    ///
    /// The caller gives away one reference, and the task is marked `SCHEDULED`.
    #[inline]
    pub(crate) unsafe fn from_raw(header: NonNull<Header>) -> Self {
        Self(header)
    }

    /// For a queue of plain pointers; whoever takes it out calls [`Runnable::from_raw`].
    #[inline]
    pub(crate) fn into_raw(self) -> NonNull<Header> {
        let header = self.0;
        std::mem::forget(self);
        header
    }

    pub(crate) fn header(&self) -> &Header {
        // SAFETY: the reference keeps it alive.
        unsafe { self.0.as_ref() }
    }

    /// The scheduler it belongs to.
    #[inline]
    pub(crate) fn scheduler(&self) -> *const Scheduler {
        Header::scheduler(self.0)
    }

    /// One more reference, to keep the task's scheduler alive while the runnable is handed to
    /// somebody.
    fn keep_alive(&self) -> KeepAlive {
        self.header().state.ref_inc();
        KeepAlive(self.0)
    }

    /// Queues it from a thread that is no worker of its scheduler.
    pub(crate) fn inject(self) {
        let scheduler = self.scheduler();
        // Once it is in the queue the task may run, end, and take the runtime with it, while a
        // worker has still to be woken.
        let alive = self.keep_alive();
        // SAFETY: the task's slot keeps its chunk, and the chunk the scheduler; `alive` keeps the
        // slot.
        unsafe { &*scheduler }.inject(self);
        drop(alive);
    }

    /// Ends a task that will never be run, and says so to its scheduler.
    pub(crate) fn refuse(self) {
        let scheduler = self.scheduler();
        let alive = self.keep_alive();
        // SAFETY: the queue's reference is given away.
        unsafe { shut_down(self.into_raw(), Whom::All) };
        // SAFETY: the task's slot keeps its chunk, and the chunk the scheduler; `alive` keeps the
        // slot.
        unsafe { &*scheduler }.has_refused();
        drop(alive);
    }

    /// Polls the task once. `here`: the arena that the calling thread owns, or null.
    #[inline(always)] // Into the worker's loop, which left to itself the compiler does or does not: a tenth of a yield.
    pub(crate) fn run(self, here: *const Arena<Cookie>) -> Ran {
        let header = self.into_raw();
        // SAFETY: the reference is ours now; each arm below accounts for it.
        let state = unsafe { &header.as_ref().state };
        match state.start_poll() {
            StartPoll::Poll => {}
            // SAFETY: the runner's reference.
            StartPoll::PollStamped => note_latency(unsafe { header.as_ref() }),
            StartPoll::Cancel => return cancel(header, here),
            StartPoll::Gone => {
                // SAFETY: the queue's reference.
                unsafe { release(header, 1, here) };
                return Ran::Gone;
            }
        }
        // SAFETY: RUNNING is ours since `start_poll`.
        let polled = unsafe { poll_once(header) };
        if polled {
            // SAFETY: the future ended, so the output is stored.
            unsafe { complete(header, here) };
            return Ran::Completed;
        }
        match state.end_poll() {
            EndPoll::Idle => Ran::Parked,
            // SAFETY: the runner's reference becomes the queue's.
            EndPoll::Requeue => Ran::Requeue(unsafe { Self::from_raw(header) }),
            EndPoll::Cancel => cancel(header, here),
        }
    }
}

impl Queued for Runnable {
    type Node = Header;

    #[inline]
    fn into_node(self) -> NonNull<Header> {
        self.into_raw()
    }

    #[inline]
    unsafe fn from_node(node: NonNull<Header>) -> Self {
        Self(node)
    }
}

impl Drop for Runnable {
    /// A task that will not be run: the queue is closed, and the end of the runtime cancels it.
    fn drop(&mut self) {
        // SAFETY: the queue's reference ends here.
        unsafe { release(self.0, 1, std::ptr::null()) };
    }
}

/// The task has waited in a queue since its stamp.
#[cold]
fn note_latency(task: &Header) {
    let stamp = task.stamped();
    current::with_worker(|worker| {
        if let Some(worker) = worker {
            worker.note_latency(stamp);
        }
    });
}

/// `true`: the task ended.
///
/// # Safety
///
/// The caller runs the task.
#[inline]
unsafe fn poll_once(header: NonNull<Header>) -> bool {
    let _task = current::enter_task(header);
    let _budget = coop::start();
    // SAFETY: the runner's reference outlives the poll.
    let waker = unsafe { waker::borrowed(header) };
    // SAFETY: the caller runs the task.
    unsafe { Header::poll(header, &mut Context::from_waker(&waker)) }.is_ready()
}

/// Drops the future of a task that the caller runs, and ends it.
fn cancel(header: NonNull<Header>, here: *const Arena<Cookie>) -> Ran {
    let guard = current::enter_task(header);
    // SAFETY: RUNNING is the caller's.
    unsafe { Header::cancel(header) };
    drop(guard);
    // SAFETY: `cancel` stored an output.
    unsafe { complete(header, here) };
    Ran::Completed
}

/// Whom a runtime that ends cancels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Whom {
    /// Whoever waits or is queued. A blocking job that runs is to end in its own time.
    Idle,
    /// Everybody: a task that is running finds that out after its poll.
    All,
}

/// Cancels a task at shutdown, if nobody runs it. `true`: it was cancelled here.
///
/// # Safety
///
/// `header` carries a reference of the caller's, which is given away.
pub(crate) unsafe fn shut_down(header: NonNull<Header>, whom: Whom) -> bool {
    // SAFETY: the caller's reference.
    let state = unsafe { &header.as_ref().state };
    let ours = match whom {
        Whom::Idle => state.start_cancel_if_idle(),
        Whom::All => state.start_cancel(),
    };
    if ours {
        let _ = cancel(header, std::ptr::null());
        true
    } else {
        // SAFETY: the caller's reference.
        unsafe { release(header, 1, std::ptr::null()) };
        false
    }
}

/// Publishes the output, wakes whoever joins, and drops the runner's reference and the task's own.
///
/// # Safety
///
/// The caller runs the task, and its output is stored.
unsafe fn complete(header: NonNull<Header>, here: *const Arena<Cookie>) {
    // SAFETY: two references are ours until the end of this function.
    let task = unsafe { header.as_ref() };
    let done = task.state.complete();
    if !done.join_interest {
        // SAFETY: invariant 2: the handle is gone.
        let unseen = unsafe { Header::drop_output(header) };
        // SAFETY: the runner's reference.
        unsafe { report(header, unseen) };
    } else if done.join_waker {
        // SAFETY: invariant 3; a task completes once.
        if let Some(waker) = unsafe { task.consume_join_waker() } {
            waker::call(waker);
        }
    }
    // SAFETY: the two references.
    unsafe { release(header, 2, here) };
}

/// A panic that no handle will deliver is not to be lost.
///
/// # Safety
///
/// The caller holds a reference.
#[inline]
pub(crate) unsafe fn report(header: NonNull<Header>, unseen: Option<Box<dyn Any + Send>>) {
    if let Some(payload) = unseen {
        // SAFETY: the caller's promise.
        unsafe { report_panic(header, payload) };
    }
}

/// # Safety
///
/// As for `report`.
#[cold]
unsafe fn report_panic(header: NonNull<Header>, payload: Box<dyn Any + Send>) {
    // SAFETY: the caller's promise; the task's slot keeps its chunk, and the chunk the scheduler.
    let (task, scheduler) = unsafe { (header.as_ref(), &*Header::scheduler(header)) };
    let name = scheduler.names().take(task.id());
    panic::unhandled(scheduler, task, name, payload.as_ref());
    panic::drop_quietly(payload);
}

/// The name that a task which panicked has left behind.
///
/// # Safety
///
/// The caller holds a reference.
pub(crate) unsafe fn take_name(header: NonNull<Header>) -> Option<Arc<str>> {
    // SAFETY: the task's slot keeps its chunk, and the chunk the scheduler.
    let (task, scheduler) = unsafe { (header.as_ref(), &*Header::scheduler(header)) };
    scheduler.names().take(task.id())
}

/// Drops `n` references.
///
/// # Safety
///
/// They are the caller's.
#[inline]
pub(crate) unsafe fn release(header: NonNull<Header>, n: u64, here: *const Arena<Cookie>) {
    // SAFETY: alive until the count is down.
    if unsafe { header.as_ref() }.state.ref_dec(n) {
        // SAFETY: a count of zero means complete (invariant 4): the output and the waker have been
        // taken or dropped by their owners.
        unsafe { Header::free(header, here) };
    }
}

/// Frees a slot whose last reference is gone.
///
/// # Safety
///
/// As said.
#[cold]
pub(crate) unsafe fn free(header: NonNull<Header>) {
    // SAFETY: the caller's promise.
    unsafe { Header::free(header, current::arena()) };
}

/// A reference that keeps a task's slot, and by it the scheduler, alive.
#[derive(Debug)]
pub(super) struct KeepAlive(NonNull<Header>);

impl KeepAlive {
    /// # Safety
    ///
    /// The caller gives away a reference.
    pub(super) unsafe fn from_raw(header: NonNull<Header>) -> Self {
        Self(header)
    }

    pub(super) fn header(&self) -> &Header {
        // SAFETY: the reference keeps it alive.
        unsafe { self.0.as_ref() }
    }

    pub(super) fn as_ptr(&self) -> NonNull<Header> {
        self.0
    }
}

impl Drop for KeepAlive {
    fn drop(&mut self) {
        // SAFETY: made by `keep_alive`.
        unsafe { release(self.0, 1, current::arena()) };
    }
}
