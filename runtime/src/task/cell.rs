//! ⚠ One task, one allocation: a header of fixed layout, then the future, which its output overwrites.
//!
//! ```text
//!   ┌ Header ────────────────────────────────────────────────────────────────────────────────────────┬ Stage ──────────┐
//!   │ state │ vtable │ id │ parent │ spawned at │ reason, place and time of the wait │ join waker │ future | output │
//!   └────────────────────────────────────────────────────────────────────────────────────────────────┴─────────────────┘
//! ```
//!
//! The scheduler that a task belongs to is not in the header: it is the cookie of the slab chunk that the cell lies in. Everything else
//! in the runtime handles a task by a pointer to its header; the vtable knows the type of the future.
//!
//! The rules of access are the invariants of `state.rs`, to which the numbers in the SAFETY comments refer. Every function here that
//! takes a pointer wants a live cell, that is, one that the caller holds a reference to.
//!
//! Futures that are too large for a slab slot, or aligned more than a slot is, are boxed by [`allocate`]; so are large outputs.

use std::any::Any;
use std::future::Future;
use std::mem::{ManuallyDrop, align_of, size_of};
use std::panic::{AssertUnwindSafe, Location, catch_unwind};
use std::pin::Pin;
use std::ptr::NonNull;
use std::task::{Context, Poll, Waker};

use super::id::Id;
use super::join::JoinHandle;
use super::latency::Stamp;
use super::panic::{drop_quietly, forget};
use super::runnable::Runnable;
use super::state::State;
use super::wait::{Noted, WaitNote, WaitReason};
use crate::scheduler::Scheduler;
use crate::slab::{Arena, MAX_SIZE, Slab};

/// What the slab's chunks carry for their tasks.
#[derive(Clone, Copy)]
pub(crate) struct Cookie(pub(crate) *const Scheduler);

// SAFETY: a plain address; whoever dereferences it argues that the scheduler is alive.
unsafe impl Send for Cookie {}
// SAFETY: as above.
unsafe impl Sync for Cookie {}

/// What a task ended with: its value, the payload of its panic, or nothing because it was aborted.
pub(crate) type Outcome<T> = Result<T, Option<Box<dyn Any + Send>>>;

/// The part of a cell that does not depend on the future's type.
#[repr(C)]
pub(crate) struct Header {
    /// First, because the slab's visitors find it at the start of the slot.
    pub(crate) state: State,
    vtable: &'static Vtable,
    id: Id,
    parent: Option<Id>,
    spawned_at: &'static Location<'static>,
    /// Why and where the task waits; written by the task itself, read by the dump.
    waits: WaitNote,
    /// Invariant 3.
    join_waker: crate::primitive::UnsafeCell<Option<Waker>>,
}

/// What differs from future type to future type.
struct Vtable {
    /// Polls the future; once it ended (also by a panic) its output is stored.
    poll: unsafe fn(NonNull<Header>, &mut Context<'_>) -> Poll<()>,
    /// Drops the future and stores "aborted", or the panic of its destructor.
    cancel: unsafe fn(NonNull<Header>),
    /// Moves the output to `*mut Outcome<T>`.
    take_output: unsafe fn(NonNull<Header>, *mut ()),
    /// Drops the output, and returns the panic that nobody has seen.
    drop_output: unsafe fn(NonNull<Header>) -> Option<Box<dyn Any + Send>>,
    /// Drops the future, and leaves its bits as they are: for a trial, after which nobody looks at the task.
    drop_future: unsafe fn(NonNull<Header>),
    /// Of the whole cell, in bytes.
    size: usize,
}

#[repr(C)]
struct Cell<F: Future> {
    header: Header,
    stage: Stage<F>,
}

union Stage<F: Future> {
    future: ManuallyDrop<F>,
    output: ManuallyDrop<Outcome<F::Output>>,
}

/// Makes a task, and its two first references: the queue's and the handle's.
///
/// The calling thread owns arena `arena` of `slab` at this moment: `ArenaIndex` is the proof.
#[inline]
pub(super) fn create<F>(
    slab: &Slab<Cookie>,
    arena: usize,
    future: F,
    id: Id,
    parent: Option<Id>,
    spawned_at: &'static Location<'static>,
) -> (Runnable, JoinHandle<F::Output>)
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    // SAFETY: see above; `allocate` returns a task with these references, whose output is the future's.
    unsafe {
        let header = allocate(slab, arena, future, id, parent, spawned_at);
        (Runnable::from_raw(header), JoinHandle::from_raw(header, id))
    }
}

/// Lets an arena give back what it does not need. The calling thread owns it: `ArenaIndex` is the proof.
pub(super) fn collect(slab: &Slab<Cookie>, arena: usize) {
    // SAFETY: see above; a slab with a worker is not abandoned. What a second call would find the next sleep will find.
    let _more = unsafe { slab.collect(arena) };
}

/// Puts a task into a slot and returns it with the references of `state::INITIAL`.
///
/// # Safety
///
/// The calling thread owns arena `arena` of `slab` at this moment.
#[inline]
unsafe fn allocate<F>(
    slab: &Slab<Cookie>,
    arena: usize,
    future: F,
    id: Id,
    parent: Option<Id>,
    spawned_at: &'static Location<'static>,
) -> NonNull<Header>
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    const { assert!(align_of::<Header>() <= SLOT_ALIGN) };
    // SAFETY, of the three calls: passed on to the caller.
    if const { output_is_boxed::<F::Output>() } {
        // The handle unboxes it, by the same constant: see `take_output`.
        let boxed = Box::pin(async move { Box::new(future.await) });
        // SAFETY: as above.
        unsafe { allocate_cell(slab, arena, boxed, id, parent, spawned_at) }
    } else if const { fits::<F>() } {
        // SAFETY: as above.
        unsafe { allocate_cell(slab, arena, future, id, parent, spawned_at) }
    } else {
        // SAFETY: as above.
        unsafe { allocate_cell(slab, arena, Box::pin(future), id, parent, spawned_at) }
    }
}

/// What the slab guarantees.
const SLOT_ALIGN: usize = 16;

/// What every task pays.
#[cfg(all(target_pointer_width = "64", not(loom)))]
const _: () = assert!(size_of::<Header>() == 72);

const fn fits<F: Future>() -> bool {
    size_of::<Cell<F>>() <= MAX_SIZE && align_of::<Cell<F>>() <= SLOT_ALIGN
}

/// Whether a task with this output keeps it in a box: the output alone would hardly fit into a slot.
const fn output_is_boxed<T>() -> bool {
    size_of::<T>() > MAX_SIZE / 2 || align_of::<T>() > SLOT_ALIGN
}

#[inline]
unsafe fn allocate_cell<F>(
    slab: &Slab<Cookie>,
    arena: usize,
    future: F,
    id: Id,
    parent: Option<Id>,
    spawned_at: &'static Location<'static>,
) -> NonNull<Header>
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    // SAFETY: the caller owns the arena.
    let cell = unsafe { slab.alloc(arena, size_of::<Cell<F>>()) }
        .cast::<Cell<F>>()
        .as_ptr();
    // SAFETY: the slot is ours alone, large enough and aligned, both by `fits`. Its first word is zero and stays so until `publish`,
    // since visitors may look at it all the while; so the header is written field by field, and `state` not at all.
    unsafe {
        let header = &raw mut (*cell).header;
        (&raw mut (*header).vtable).write(const { &vtable::<F>() });
        (&raw mut (*header).id).write(id);
        (&raw mut (*header).parent).write(parent);
        (&raw mut (*header).spawned_at).write(spawned_at);
        (&raw mut (*header).waits).write(WaitNote::new());
        (&raw mut (*header).join_waker).write(crate::primitive::UnsafeCell::new(None));
        (&raw mut (*cell).stage.future).write(ManuallyDrop::new(future));
        (*header).state.publish();
        NonNull::new_unchecked(header)
    }
}

const fn vtable<F>() -> Vtable
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    Vtable {
        poll: poll::<F>,
        cancel: cancel::<F>,
        take_output: take_output::<F>,
        drop_output: drop_output::<F>,
        drop_future: drop_future::<F>,
        size: size_of::<Cell<F>>(),
    }
}

/// # Safety
///
/// `header` is the header of a `Cell<F>`; the caller has the right to its stage.
#[inline]
unsafe fn stage<F: Future>(header: NonNull<Header>) -> *mut Stage<F> {
    let cell = header.cast::<Cell<F>>().as_ptr();
    // SAFETY: a field of a live allocation.
    unsafe { &raw mut (*cell).stage }
}

unsafe fn poll<F>(header: NonNull<Header>, cx: &mut Context<'_>) -> Poll<()>
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    // SAFETY: the caller runs the task, so the stage is ours and is a future (invariant 1); it is never moved until it is dropped.
    let polled = catch_unwind(AssertUnwindSafe(|| unsafe {
        let future = &mut *(*stage::<F>(header)).future;
        Pin::new_unchecked(future).poll(cx)
    }));
    let outcome = match polled {
        Ok(Poll::Pending) => return Poll::Pending,
        Ok(Poll::Ready(output)) => Ok(output),
        Err(panic) => Err(Some(panic)),
    };
    // SAFETY: as above; the future is not polled again.
    unsafe { finish::<F>(header, outcome) };
    Poll::Ready(())
}

unsafe fn cancel<F>(header: NonNull<Header>)
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    // SAFETY: as in `poll`.
    unsafe { finish::<F>(header, Err(None)) };
}

/// Drops the future and writes what the task ended with over it.
unsafe fn finish<F: Future>(header: NonNull<Header>, outcome: Outcome<F::Output>) {
    // SAFETY: invariant 1; the future is dropped once, since from now on the stage is an output.
    let dropped = catch_unwind(AssertUnwindSafe(|| unsafe {
        ManuallyDrop::drop(&mut (*stage::<F>(header)).future);
    }));
    let outcome = match (outcome, dropped) {
        (outcome, Ok(())) => outcome,
        // The first panic is the cause.
        (Err(Some(panic)), Err(second)) => {
            forget(second);
            Err(Some(panic))
        }
        // A value whose future panics in its destructor: the panic is what must not get lost.
        (outcome, Err(panic)) => {
            drop_quietly(outcome);
            Err(Some(panic))
        }
    };
    // SAFETY: the place of the dropped future.
    unsafe { (&raw mut (*stage::<F>(header)).output).write(ManuallyDrop::new(outcome)) };
}

unsafe fn drop_future<F: Future>(header: NonNull<Header>) {
    // SAFETY: invariant 1; the caller makes sure that nobody touches the stage again.
    unsafe { ManuallyDrop::drop(&mut (*stage::<F>(header)).future) };
}

unsafe fn take_output<F: Future>(header: NonNull<Header>, to: *mut ()) {
    // SAFETY: invariant 2: the output is the handle's, and it takes it once; `to` points to an `Outcome<F::Output>`.
    unsafe {
        let output = ManuallyDrop::into_inner((&raw const (*stage::<F>(header)).output).read());
        to.cast::<Outcome<F::Output>>().write(output);
    }
}

unsafe fn drop_output<F: Future>(header: NonNull<Header>) -> Option<Box<dyn Any + Send>> {
    // SAFETY: invariant 2: nobody else looks at the output any more.
    let output =
        unsafe { ManuallyDrop::into_inner((&raw const (*stage::<F>(header)).output).read()) };
    match output {
        Ok(value) => catch_unwind(AssertUnwindSafe(move || drop(value))).err(),
        Err(panic) => panic,
    }
}

impl Header {
    pub(crate) fn id(&self) -> Id {
        self.id
    }

    pub(crate) fn parent(&self) -> Option<Id> {
        self.parent
    }

    pub(crate) fn spawned_at(&self) -> &'static Location<'static> {
        self.spawned_at
    }

    /// Takes a reference to a task that the caller has none of, if it is alive.
    ///
    /// # Safety
    ///
    /// `this` is a slot of a slab that is there: its state word is valid also while the slot is vacant.
    pub(crate) unsafe fn ref_inc_if_alive(this: NonNull<Self>) -> bool {
        // SAFETY: only the state word is referred to.
        unsafe { (*this.as_ptr()).state.ref_inc_if_alive() }
    }

    /// Whether a slot holds a task that is not complete.
    ///
    /// # Safety
    ///
    /// As for [`ref_inc_if_alive`](Self::ref_inc_if_alive).
    pub(crate) unsafe fn is_alive(this: NonNull<Self>) -> bool {
        // SAFETY: only the state word is referred to.
        unsafe { (*this.as_ptr()).state.is_alive() }
    }

    /// Notes why and where the task is about to wait.
    #[inline]
    pub(crate) fn set_waiting(&self, reason: WaitReason, place: &'static Location<'static>) {
        self.waits.set(reason, place);
    }

    /// See `latency`.
    pub(super) fn set_stamp(&self, stamp: Stamp) {
        self.waits.set_stamp(stamp);
    }

    /// What `set_stamp` noted, until the poll begins.
    pub(super) fn stamped(&self) -> Stamp {
        self.waits.stamp()
    }

    /// What the task noted in its last poll, to be trusted while it is parked.
    pub(crate) fn noted(&self) -> Option<Noted> {
        self.waits.get()
    }

    /// Polls the future.
    ///
    /// # Safety
    ///
    /// The caller runs the task: it set `RUNNING`.
    #[inline]
    pub(crate) unsafe fn poll(this: NonNull<Self>, cx: &mut Context<'_>) -> Poll<()> {
        // SAFETY: a live cell, and the vtable is that of its type.
        unsafe {
            this.as_ref().waits.clear();
            (this.as_ref().vtable.poll)(this, cx)
        }
    }

    /// Drops the future; the output says that the task was aborted.
    ///
    /// # Safety
    ///
    /// The caller runs the task.
    pub(crate) unsafe fn cancel(this: NonNull<Self>) {
        // SAFETY: as in `poll`.
        unsafe { (this.as_ref().vtable.cancel)(this) }
    }

    /// Drops the output.
    ///
    /// # Safety
    ///
    /// The task is complete, and the output belongs to the caller (invariant 2).
    pub(crate) unsafe fn drop_output(this: NonNull<Self>) -> Option<Box<dyn Any + Send>> {
        // SAFETY: as in `poll`.
        unsafe { (this.as_ref().vtable.drop_output)(this) }
    }

    /// Moves the output out.
    ///
    /// # Safety
    ///
    /// The task is complete, its future's output is a `T`, and the output belongs to the caller, who takes it once.
    pub(crate) unsafe fn take_output<T>(this: NonNull<Self>) -> Outcome<T> {
        if const { output_is_boxed::<T>() } {
            // SAFETY: `allocate` boxes outputs by the same rule.
            unsafe { Self::take_output_raw::<Box<T>>(this) }.map(|boxed| *boxed)
        } else {
            // SAFETY: the caller's promise.
            unsafe { Self::take_output_raw::<T>(this) }
        }
    }

    unsafe fn take_output_raw<T>(this: NonNull<Self>) -> Outcome<T> {
        let mut outcome = std::mem::MaybeUninit::<Outcome<T>>::uninit();
        // SAFETY: the vtable's function writes an `Outcome<T>`.
        unsafe {
            (this.as_ref().vtable.take_output)(this, outcome.as_mut_ptr().cast());
            outcome.assume_init()
        }
    }

    /// Drops the future, and leaves what it was where it was.
    ///
    /// # Safety
    ///
    /// The caller runs the task, and nobody touches its future or its output ever after.
    pub(crate) unsafe fn drop_future(this: NonNull<Self>) {
        // SAFETY: as in `poll`.
        unsafe { (this.as_ref().vtable.drop_future)(this) }
    }

    /// How many bytes the task takes, beginning with its header.
    pub(crate) fn size(&self) -> usize {
        self.vtable.size
    }

    /// Shows the join waker to `f`.
    ///
    /// # Safety
    ///
    /// Nobody writes it meanwhile (invariant 3).
    pub(crate) unsafe fn with_join_waker(&self, f: impl FnOnce(&Waker)) {
        self.join_waker.with(|current| {
            // SAFETY: the caller's promise.
            if let Some(waker) = unsafe { &*current } {
                f(waker);
            }
        });
    }

    /// Reads the join waker.
    ///
    /// # Safety
    ///
    /// Nobody writes it meanwhile (invariant 3).
    pub(crate) unsafe fn join_waker_is(&self, waker: &Waker) -> bool {
        self.join_waker.with(|current| {
            // SAFETY: the caller's promise.
            unsafe { &*current }
                .as_ref()
                .is_some_and(|w| w.will_wake(waker))
        })
    }

    /// Exchanges the join waker.
    ///
    /// # Safety
    ///
    /// It belongs to the caller (invariant 3).
    pub(crate) unsafe fn replace_join_waker(&self, waker: Option<Waker>) -> Option<Waker> {
        // SAFETY: the caller's promise.
        self.join_waker
            .with_mut(|current| unsafe { std::mem::replace(&mut *current, waker) })
    }

    /// Copies the join waker out, to be woken by value. The bits stay, since the handle may compare them still; nobody drops them.
    ///
    /// # Safety
    ///
    /// The task is complete and had `JOIN_WAKER` set, and this is called once.
    pub(crate) unsafe fn consume_join_waker(&self) -> Option<Waker> {
        // SAFETY: the caller's promise: from now on the waker belongs to the copy.
        self.join_waker.with(|current| unsafe { current.read() })
    }

    /// The scheduler that the task belongs to.
    #[inline]
    pub(crate) fn scheduler(this: NonNull<Self>) -> *const Scheduler {
        // SAFETY: every header lies in a slot of such a slab.
        unsafe { Slab::<Cookie>::cookie(this.cast()) }.0
    }

    /// Frees the slot. `here`: the arena that the calling thread owns, or null.
    ///
    /// # Safety
    ///
    /// The last reference is gone, and with it the output and the join waker.
    #[inline]
    pub(crate) unsafe fn free(this: NonNull<Self>, here: *const Arena<Cookie>) {
        // SAFETY: nothing in the header needs a destructor any more; nobody else has the pointer.
        unsafe {
            this.as_ref().state.vacate();
            Slab::<Cookie>::free(this.cast(), here);
        }
    }
}
