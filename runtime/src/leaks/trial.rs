//! What is noted during a trial: each waker, and each handle, that goes with the future of a task.
//!
//! A trial takes place in a copy of the process (see [`super`]), so that here [`is_on`] is `false`
//! for ever: one relaxed load of a word that nobody writes is all that it costs to ask. Where it is
//! `true` there is one thread, and it drops futures. A handle that goes then notes that and does
//! nothing else: it closes nothing and wakes nobody, so that all counts stay as they were at the
//! moment of the copy.
//!
//! Hidden, for the crate `sync`. A primitive that does not ask is not wrong: tasks that wait for it
//! are just never said to be leaked.
#![forbid(unsafe_code)]

use std::mem;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Mutex, PoisonError};
use std::task::Waker;

use crate::task;

static ON: AtomicBool = AtomicBool::new(false);

/// What was noted and not [taken](take) yet.
static NOTES: Mutex<Vec<Note>> = Mutex::new(Vec::new());

/// Whether futures are being dropped to see what goes with them.
///
/// ```
/// assert!(!runtime::leaks::trial::is_on()); // this is the process itself, no copy
/// ```
///
/// **Go:** none.
#[inline(always)]
pub fn is_on() -> bool {
    // Relaxed: it is set by the only thread there is.
    ON.load(Relaxed)
}

/// The calling thread is the only one of a process that will not live long.
pub(super) fn begin() {
    ON.store(true, Relaxed);
}

/// Where a waker was left, to be called.
///
/// ```
/// use runtime::leaks::trial::On;
///
/// assert_ne!(On::At(0x1000), On::Never);
/// ```
///
/// **Go:** none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum On {
    /// In a primitive with this address.
    At(usize),
    /// Where nobody will ever call it.
    Never,
    /// Elsewhere: other notes tell.
    Nothing,
}

/// One kind of handle of a primitive.
///
/// ```
/// use runtime::leaks::trial::Side;
///
/// // A channel has two kinds of handles; this is its last sender.
/// let sender = Side { primitive: 0x1000, side: 0, sides: 2, handles: 1 };
/// assert!(sender.side < sender.sides);
/// ```
///
/// **Go:** none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Side {
    /// The address by which wakers name the primitive.
    pub primitive: usize,
    /// Which kind, counted from 0.
    pub side: u8,
    /// How many kinds there are.
    pub sides: u8,
    /// How many handles of this kind exist.
    pub handles: usize,
}

/// Something that was noted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Note {
    /// A waker of `task`, kept in `slot`.
    Waker { task: usize, slot: usize, on: On },
    /// A handle at `place`, `size` bytes long. Among them is a pointer to `target`.
    Handle {
        of: Side,
        place: usize,
        size: usize,
        target: usize,
    },
}

/// Notes a waker that is kept in `slot`. Two notes with the same slot are of the same waker.
///
/// ```
/// use runtime::leaks::trial::{self, On};
/// use std::task::Waker;
///
/// /// What drops a primitive's list of wakers does first.
/// fn rehearse(primitive: usize, wakers: &[Waker]) {
///     if trial::is_on() {
///         for waker in wakers {
///             trial::waker(waker, std::ptr::from_ref(waker).addr(), On::At(primitive));
///         }
///     }
/// }
/// # let _ = rehearse;
/// ```
///
/// **Go:** none.
#[cold]
pub fn waker(waker: &Waker, slot: usize, on: On) {
    // A foreign waker may hold one of ours; that one is not accounted for, and its task is left
    // alone.
    if let Some(task) = task::address_of(waker) {
        note(Note::Waker { task, slot, on });
    }
}

/// Notes a handle that is being dropped. Somewhere in it there is a pointer to `target`.
///
/// ```
/// use runtime::leaks::trial::{self, Side};
/// use std::sync::Arc;
///
/// struct Handle(Arc<u32>);
///
/// impl Drop for Handle {
///     fn drop(&mut self) {
///         if trial::is_on() {
///             let primitive = Arc::as_ptr(&self.0).addr();
///             let handles = Arc::strong_count(&self.0);
///             trial::handle(self, primitive, Side { primitive, side: 0, sides: 1, handles });
///         }
///     }
/// }
/// # drop(Handle(Arc::new(1)));
/// ```
///
/// **Go:** none.
#[cold]
pub fn handle<H>(handle: &H, target: usize, of: Side) {
    note(Note::Handle {
        of,
        place: std::ptr::from_ref(handle).addr(),
        size: mem::size_of::<H>(),
        target,
    });
}

fn note(note: Note) {
    notes(|notes| notes.push(note));
}

/// What was noted since the last call.
pub(super) fn take() -> Vec<Note> {
    notes(mem::take)
}

fn notes<R>(f: impl FnOnce(&mut Vec<Note>) -> R) -> R {
    f(&mut NOTES.lock().unwrap_or_else(PoisonError::into_inner))
}
