//! ⚠ One task, one allocation: a header of fixed layout, then the future, which its output
//! overwrites.
//!
//! ```text
//!   ┌ Header ────────────────────────────────────────────────────────────────────────────────────────┬ Stage ──────────┐
//!   │ state │ vtable │ id │ parent │ spawned at │ reason, place and time of the wait │ join waker │ future | output │
//!   └────────────────────────────────────────────────────────────────────────────────────────────────┴─────────────────┘
//! ```
//!
//! Here is what knows the type of the future: how a cell is made, and the functions of its vtable,
//! by which [`Header`] reaches the future and the output.
//!
//! The rules of access are the invariants of `state.rs`, to which the numbers in the SAFETY
//! comments refer. Every function here that takes a pointer wants a live cell, that is, one that
//! the caller holds a reference to.
//!
//! Futures that are too large for a slab slot, or aligned more than a slot is, are boxed by
//! [`allocate`]; so are large outputs.

use std::any::Any;
use std::future::Future;
use std::mem::{ManuallyDrop, align_of, size_of};
use std::panic::{AssertUnwindSafe, Location, catch_unwind};
use std::pin::Pin;
use std::ptr::NonNull;
use std::task::{Context, Poll};

use super::header::{Cookie, Header, Outcome, Vtable};
use super::id::Id;
use super::join::JoinHandle;
use super::panic::{drop_quietly, forget};
use super::runnable::Runnable;
use crate::slab::{MAX_SIZE, Slab};

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
    // SAFETY: see above; `allocate` returns a task with these references, whose output is the
    // future's.
    unsafe {
        let header = allocate(slab, arena, future, id, parent, spawned_at);
        (Runnable::from_raw(header), JoinHandle::from_raw(header, id))
    }
}

/// Lets an arena give back what it does not need. The calling thread owns it: `ArenaIndex` is the
/// proof.
pub(super) fn collect(slab: &Slab<Cookie>, arena: usize) {
    // SAFETY: see above; a slab with a worker is not abandoned. What a second call would find the
    // next sleep will find.
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

const fn fits<F: Future>() -> bool {
    size_of::<Cell<F>>() <= MAX_SIZE && align_of::<Cell<F>>() <= SLOT_ALIGN
}

/// Whether a task with this output keeps it in a box: the output alone would hardly fit into a
/// slot.
pub(super) const fn output_is_boxed<T>() -> bool {
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
    // SAFETY: the slot is ours alone, large enough and aligned, both by `fits`. Its first word is
    // zero and stays so until `publish`, since visitors may look at it all the while.
    unsafe {
        let header = &raw mut (*cell).header;
        Header::write(header, const { &vtable::<F>() }, id, parent, spawned_at);
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
    // SAFETY: the caller runs the task, so the stage is ours and is a future (invariant 1); it is
    // never moved until it is dropped.
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
    // SAFETY: invariant 2: the output is the handle's, and it takes it once; `to` points to an
    // `Outcome<F::Output>`.
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
