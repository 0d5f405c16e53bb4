//! ⚠ The part of a task that is the same for all: what the runtime knows of a task, and may ask of
//! it, without the type of its future.
//!
//! Everything in the runtime handles a task by a pointer to its header. What depends on the
//! future's type is asked through the vtable, whose functions are in `cell.rs`, as is the picture
//! of the whole.
//!
//! The scheduler that a task belongs to is not in the header: it is the cookie of the slab chunk
//! that the task lies in.
//!
//! The rules of access are the invariants of `state.rs`, to which the numbers in the SAFETY
//! comments refer. Every function here that takes a pointer wants a live task, that is, one that
//! the caller holds a reference to.

use std::any::Any;
use std::panic::Location;
use std::ptr::NonNull;
use std::task::{Context, Poll, Waker};

use super::cell::output_is_boxed;
use super::id::Id;
use super::latency::Stamp;
use super::state::State;
use super::wait::{Noted, WaitNote, WaitReason};
use crate::primitive::UnsafeCell;
use crate::scheduler::Scheduler;
use crate::slab::{Arena, Slab};

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
    join_waker: UnsafeCell<Option<Waker>>,
}

/// What differs from future type to future type.
pub(super) struct Vtable {
    /// Polls the future; once it ended (also by a panic) its output is stored.
    pub(super) poll: unsafe fn(NonNull<Header>, &mut Context<'_>) -> Poll<()>,
    /// Drops the future and stores "aborted", or the panic of its destructor.
    pub(super) cancel: unsafe fn(NonNull<Header>),
    /// Moves the output to `*mut Outcome<T>`.
    pub(super) take_output: unsafe fn(NonNull<Header>, *mut ()),
    /// Drops the output, and returns the panic that nobody has seen.
    pub(super) drop_output: unsafe fn(NonNull<Header>) -> Option<Box<dyn Any + Send>>,
    /// Drops the future, and leaves its bits as they are: for a trial, after which nobody looks at
    /// the task.
    pub(super) drop_future: unsafe fn(NonNull<Header>),
    /// Of the whole cell, in bytes.
    pub(super) size: usize,
}

/// What every task pays.
#[cfg(all(target_pointer_width = "64", not(loom)))]
const _: () = assert!(size_of::<Header>() == 72);

impl Header {
    /// Writes all of a header but the state word, which [`State::publish`] writes last.
    ///
    /// # Safety
    ///
    /// The memory is large enough, aligned, and the caller's alone, but that others may read the
    /// state word all the while.
    #[inline]
    pub(super) unsafe fn write(
        this: *mut Self,
        vtable: &'static Vtable,
        id: Id,
        parent: Option<Id>,
        spawned_at: &'static Location<'static>,
    ) {
        // SAFETY: the caller's promise; field by field, so that no reference to the whole is made
        // and `state` is not touched.
        unsafe {
            (&raw mut (*this).vtable).write(vtable);
            (&raw mut (*this).id).write(id);
            (&raw mut (*this).parent).write(parent);
            (&raw mut (*this).spawned_at).write(spawned_at);
            (&raw mut (*this).waits).write(WaitNote::new());
            (&raw mut (*this).join_waker).write(UnsafeCell::new(None));
        }
    }

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
    /// `this` is a slot of a slab that is there: its state word is valid also while the slot is
    /// vacant.
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
    /// The task is complete, its future's output is a `T`, and the output belongs to the caller,
    /// who takes it once.
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

    /// Copies the join waker out, to be woken by value. The bits stay, since the handle may compare
    /// them still; nobody drops them.
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
