//! ⚠ The `Waker` of a task: a counted pointer to its header.
//!
//! Cloning is one increment. Waking by value gives the reference to the run queue, so a waiter that
//! stores a waker and a peer that wakes it pay three read-modify-writes in all, and none on
//! anything but the task's own state word.

use std::mem::ManuallyDrop;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr::{self, NonNull};
use std::task::{RawWaker, RawWakerVTable, Waker};

use super::header::Header;
use super::runnable::{Runnable, free};
use super::state::Wake;
use crate::scheduler;

static VTABLE: RawWakerVTable = RawWakerVTable::new(clone, wake, wake_by_ref, drop);

/// A waker that borrows the runner's reference; it must not outlive the poll, and must not be
/// dropped.
///
/// # Safety
///
/// `header` stays referenced while the waker is in use.
#[inline]
pub(crate) unsafe fn borrowed(header: NonNull<Header>) -> ManuallyDrop<Waker> {
    // SAFETY: the functions of the vtable want a pointer to a live header; the caller keeps it
    // alive, and every clone counts.
    ManuallyDrop::new(unsafe { Waker::from_raw(raw(header)) })
}

/// Calls a waker on behalf of the runtime.
///
/// It may be foreign code. If it panics, the panic hook has said so, and that is all: it takes
/// neither the other tasks' wake-ups nor the calling thread along.
pub(crate) fn call(waker: Waker) {
    if let Err(panic) = catch_unwind(AssertUnwindSafe(|| waker.wake())) {
        super::panic::forget(panic);
    }
}

/// The address of the task that a waker wakes; `None` if it is somebody else's.
pub(crate) fn address_of(waker: &Waker) -> Option<usize> {
    ptr::eq(waker.vtable(), &VTABLE).then(|| waker.data().addr())
}

#[inline]
fn raw(header: NonNull<Header>) -> RawWaker {
    RawWaker::new(header.as_ptr().cast_const().cast(), &VTABLE)
}

/// # Safety
///
/// `data` comes from `raw`.
#[inline]
unsafe fn header(data: *const ()) -> NonNull<Header> {
    // SAFETY: `raw` made it of a non-null pointer.
    unsafe { NonNull::new_unchecked(data.cast_mut().cast()) }
}

#[inline]
unsafe fn clone(data: *const ()) -> RawWaker {
    // SAFETY: the waker being cloned holds a reference, so the header is alive.
    unsafe {
        let header = header(data);
        header.as_ref().state.ref_inc();
        raw(header)
    }
}

#[inline]
unsafe fn wake(data: *const ()) {
    // SAFETY: the waker's reference is ours to give away.
    unsafe {
        let header = header(data);
        match header.as_ref().state.wake_by_value() {
            Wake::Submit => scheduler::schedule(Runnable::from_raw(header)),
            Wake::Done => {}
            Wake::Free => free(header),
        }
    }
}

#[inline]
unsafe fn wake_by_ref(data: *const ()) {
    // SAFETY: the waker holds a reference; `Submit` made another one for the queue.
    unsafe {
        let header = header(data);
        match header.as_ref().state.wake_by_ref() {
            Wake::Submit => scheduler::schedule(Runnable::from_raw(header)),
            Wake::Done | Wake::Free => {}
        }
    }
}

#[inline]
unsafe fn drop(data: *const ()) {
    // SAFETY: the waker's reference ends here; if it was the last, the task is complete (invariant
    // 4).
    unsafe {
        let header = header(data);
        if header.as_ref().state.ref_dec(1) {
            free(header);
        }
    }
}
