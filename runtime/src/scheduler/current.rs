//! ⚠ Which runtime, worker and task the calling thread is in.
//!
//! Two kinds of thread know a runtime: its workers, and threads that entered it (`Handle::enter`,
//! `block_on`, jobs of the blocking pool). A worker's thread-local is a plain pointer, since every
//! spawn and wake reads it; an entered thread owns a count on the scheduler, so that a forgotten
//! guard leaves nothing dangling. A guard may also outlive the worker that it was made on, in a
//! thread-local of the same thread: it knows no worker, but only whether there was one to be seen,
//! and [`HOME`] knows which, while there is one.
//!
//! A thread of a runtime's own is inside it until its end: also while its thread-locals are
//! destroyed, some of which tasks may have put there, when it is neither worker nor entered any
//! more. That is [`OWNER`], the last that is asked.

use std::cell::{Cell, RefCell};
use std::marker::PhantomData;
use std::panic::Location;
use std::ptr::{self, NonNull};
use std::sync::{Arc, Weak};
use std::task::Waker;

use super::Scheduler;
use super::sleepers::Sleeper;
use super::worker::Worker;
use crate::task::{Arena, Cookie, Header, Id, WaitReason};
use crate::time::{Timeline, Timers, clock};

thread_local! {
    /// The worker that the thread is, or null where it has entered another runtime.
    static WORKER: Cell<*const Worker> = const { Cell::new(ptr::null()) };
    /// The worker that the thread is, whatever it has entered.
    static HOME: Cell<*const Worker> = const { Cell::new(ptr::null()) };
    static TASK: Cell<*const Header> = const { Cell::new(ptr::null()) };
    /// The innermost `block_on` that the thread is in.
    static BLOCK_ON: Cell<*const Sleeper> = const { Cell::new(ptr::null()) };
    static ENTERED: RefCell<Option<Arc<Scheduler>>> = const { RefCell::new(None) };
    /// Whose thread this is. Weakly: the thread may be the last to be taken back, and leaves
    /// nothing to be done then.
    static OWNER: RefCell<Weak<Scheduler>> = const { RefCell::new(Weak::new()) };
    /// How many [`Entered`] the thread is in.
    static DEPTH: Cell<usize> = const { Cell::new(0) };
}

/// The calling thread, which begins, is the scheduler's own.
///
/// Thread-locals are destroyed in the opposite order of their first use: those that are used here
/// outlast what comes later.
pub(crate) fn begin_thread(of: &Arc<Scheduler>) {
    OWNER.with(|owner| owner.replace(Arc::downgrade(of)));
    ENTERED.with(|entered| debug_assert!(entered.borrow().is_none()));
}

/// Runs the worker's loop with the worker as the thread's current one. Called once a thread, which
/// has entered no runtime.
pub(crate) fn with_worker_set<R>(worker: &Worker, f: impl FnOnce() -> R) -> R {
    let _unset = SetWorker::new(worker);
    f()
}

struct SetWorker<'a>(PhantomData<&'a Worker>);

impl<'a> SetWorker<'a> {
    fn new(worker: &'a Worker) -> Self {
        HOME.set(worker);
        WORKER.set(worker);
        Self(PhantomData)
    }
}

impl Drop for SetWorker<'_> {
    fn drop(&mut self) {
        HOME.set(ptr::null());
        leave_all();
    }
}

/// A worker's poll is over, and with it every guard that was made in it, though it may have been
/// forgotten or put away: the next task finds itself in its own runtime.
#[inline]
pub(crate) fn leave_forgotten() {
    if DEPTH.get() != 0 {
        leave_all();
    }
}

#[cold]
fn leave_all() {
    DEPTH.set(0);
    WORKER.set(HOME.get());
    let current = ENTERED.try_with(|entered| entered.take());
    drop(current);
}

/// The worker that the calling thread is, if any.
#[inline]
pub(crate) fn with_worker<R>(f: impl FnOnce(Option<&Worker>) -> R) -> R {
    // During the destruction of a thread's locals there is no worker any more; the locals here have
    // no destructor, so they stay usable.
    let worker = WORKER.get();
    // SAFETY: `with_worker_set` borrows the worker for as long as `HOME` is set, for this thread
    // alone, and this pointer is that of `HOME` or null: it is set together with it, and only ever
    // copied from there.
    f(unsafe { worker.as_ref() })
}

/// The same, whatever runtime the thread has entered.
pub(crate) fn with_own_worker<R>(f: impl FnOnce(Option<&Worker>) -> R) -> R {
    // SAFETY: `with_worker_set` borrows the worker for as long as the pointer is set, and it is set
    // for this thread alone.
    f(unsafe { HOME.get().as_ref() })
}

/// Whether the calling thread is a worker of this scheduler.
pub(crate) fn is_on(scheduler: &Arc<Scheduler>) -> bool {
    with_worker(|worker| worker.is_some_and(|worker| Arc::ptr_eq(worker.scheduler(), scheduler)))
}

/// The slab arena that the calling thread owns, or null.
#[inline]
pub(crate) fn arena() -> *const Arena<Cookie> {
    with_worker(|worker| worker.map_or(ptr::null(), Worker::arena))
}

/// Whether the calling thread is inside the poll of a task.
pub(crate) fn in_task() -> bool {
    !TASK.get().is_null()
}

/// Whether who is polled with this waker is, or is a part of, a task that will be cancelled as soon
/// as its poll returns, since its runtime ends: to be told that nobody wakes it any more would only
/// make it panic before.
#[cold]
pub(crate) fn ends_after_poll(waker: &Waker) -> bool {
    let task = NonNull::new(TASK.get().cast_mut()).map(|task| task.addr().get());
    task.is_some()
        && crate::task::address_of(waker) == task
        && with_own_worker(|worker| worker.is_some_and(|worker| worker.scheduler().is_stopping()))
}

/// The id of the task whose poll the calling thread is in.
pub(crate) fn task_id() -> Option<Id> {
    // SAFETY: see `note_waiting`.
    unsafe { TASK.get().as_ref() }.map(Header::id)
}

/// Notes why the current task waits.
#[inline]
pub(crate) fn note_waiting(reason: WaitReason, place: &'static Location<'static>) {
    // SAFETY: `enter_task` is called by the runner of the task, whose reference outlives the guard.
    if let Some(task) = unsafe { TASK.get().as_ref() } {
        task.set_waiting(reason, place);
    } else {
        note_waiting_in_block_on(reason, place);
    }
}

#[cold]
fn note_waiting_in_block_on(reason: WaitReason, place: &'static Location<'static>) {
    // SAFETY: the guard that sets the pointer borrows the sleeper, and resets it.
    if let Some(sleeper) = unsafe { BLOCK_ON.get().as_ref() } {
        clock::advance_coarse(clock::real());
        sleeper.waits.set(reason, place);
    }
}

/// Whether the calling thread is inside the body of `block_on`, which is no task.
pub(crate) fn in_block_on() -> bool {
    !in_task() && !BLOCK_ON.get().is_null()
}

/// No `block_on` is current until the guard is dropped: what runs now may block the thread.
pub(crate) fn leave_block_on() -> BlockOnGuard<'static> {
    BlockOnGuard(BLOCK_ON.replace(ptr::null()), PhantomData)
}

/// The thread is inside this `block_on` until the guard is dropped.
pub(crate) fn enter_block_on(sleeper: &Sleeper) -> BlockOnGuard<'_> {
    let guard = BlockOnGuard(BLOCK_ON.replace(sleeper), PhantomData);
    guard.cover_outer(true);
    guard
}

/// Puts the outer `block_on` back. Never forgotten, since it does not leave the function that makes
/// it.
#[derive(Debug)]
pub(crate) struct BlockOnGuard<'a>(*const Sleeper, PhantomData<&'a Sleeper>);

impl BlockOnGuard<'_> {
    fn cover_outer(&self, covered: bool) {
        // SAFETY: as in `note_waiting_in_block_on`: the outer guard is further down on the stack.
        if let Some(outer) = unsafe { self.0.as_ref() } {
            outer.cover(covered);
        }
    }
}

impl Drop for BlockOnGuard<'_> {
    fn drop(&mut self) {
        self.cover_outer(false);
        BLOCK_ON.set(self.0);
    }
}

/// Makes a task the thread's current one until the guard is dropped.
#[inline]
pub(crate) fn enter_task(task: NonNull<Header>) -> TaskGuard {
    TaskGuard(TASK.replace(task.as_ptr()))
}

/// No task is current until the guard is dropped: what runs now is not one.
pub(crate) fn leave_task() -> TaskGuard {
    TaskGuard(TASK.replace(ptr::null()))
}

/// Puts the previous task back.
#[derive(Debug)]
pub(crate) struct TaskGuard(*const Header);

impl Drop for TaskGuard {
    #[inline]
    fn drop(&mut self) {
        TASK.set(self.0);
    }
}

/// The current runtime's scheduler.
pub(crate) fn scheduler() -> Option<Arc<Scheduler>> {
    with_worker(|worker| match worker {
        Some(worker) => Some(worker.scheduler().clone()),
        // Gone already while the thread's locals are destroyed.
        None => ENTERED
            .try_with(|entered| entered.borrow().clone())
            .ok()
            .flatten()
            .or_else(owner),
    })
}

#[cold]
fn owner() -> Option<Arc<Scheduler>> {
    let upgrade = |owner: &RefCell<Weak<Scheduler>>| owner.borrow().upgrade();
    OWNER.try_with(upgrade).ok().flatten()
}

/// The current runtime's clock.
pub(crate) fn with_timeline<R>(f: impl FnOnce(Option<&Timeline>) -> R) -> R {
    with_worker(|worker| match worker {
        Some(worker) => f(Some(worker.scheduler().timeline())),
        // A copy: `f` must not find the cell borrowed.
        None => f(scheduler().as_ref().map(|scheduler| scheduler.timeline())),
    })
}

/// Makes a scheduler the thread's current one until the guard is dropped.
pub(crate) fn enter(scheduler: Arc<Scheduler>) -> Entered {
    let (on_worker, foreign) = with_worker(|worker| {
        let foreign = |worker: &Worker| !Arc::ptr_eq(worker.scheduler(), &scheduler);
        (worker.is_some(), worker.is_some_and(foreign))
    });
    if foreign {
        WORKER.set(ptr::null());
    }
    // While the thread's locals are destroyed there is no current runtime any more; a runtime may
    // still be dropped there.
    let before = ENTERED.try_with(|entered| entered.replace(Some(scheduler)));
    let depth = DEPTH.get() + 1;
    DEPTH.set(depth);
    Entered {
        depth,
        before: before.ok().flatten(),
        on_worker,
        _not_send: PhantomData,
    }
}

/// Puts the previous scheduler back.
///
/// One that is dropped before those that were made after it ends them as well: they find the thread
/// less deep than they are, and leave it alone. So guards dropped in the wrong order, or forgotten,
/// leave no runtime behind that nobody is in.
#[must_use = "the runtime is current only until the guard is dropped"]
pub(crate) struct Entered {
    /// From one.
    depth: usize,
    before: Option<Arc<Scheduler>>,
    /// Whether the thread's worker was the current one.
    on_worker: bool,
    /// It restores a thread-local: it must be dropped where it was made.
    _not_send: PhantomData<*const ()>,
}

impl Drop for Entered {
    fn drop(&mut self) {
        if DEPTH.get() < self.depth {
            return;
        }
        DEPTH.set(self.depth - 1);
        WORKER.set(if self.on_worker {
            HOME.get()
        } else {
            ptr::null()
        });
        let before = self.before.take();
        // The current one is dropped after the cell is free again: it may be the last count.
        let current = ENTERED.try_with(|entered| entered.replace(before));
        drop(current);
    }
}

/// A wheel of this scheduler: the calling thread's own, if that is one of its workers.
pub(crate) fn timers_of(scheduler: &Scheduler) -> &'static Timers {
    with_worker(|worker| match worker {
        Some(worker) if ptr::eq(Arc::as_ptr(worker.scheduler()), scheduler) => worker.timers(),
        _ => scheduler.timers_for_outsiders(),
    })
}

/// The wheel to register a timer with, and whether the calling thread owns it.
pub(crate) fn timers() -> Option<(&'static Timers, bool)> {
    with_worker(|worker| match worker {
        Some(worker) => Some((worker.timers(), true)),
        None => scheduler().map(|scheduler| (scheduler.timers_for_outsiders(), false)),
    })
}
