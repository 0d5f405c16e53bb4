//! What is noted during a trial: each waker, and each handle, that goes with the future of a task.
//!
//! A trial takes place in a copy of the process (see [`super`]), so that here [`is_on`] is `false` for ever: one relaxed load of a word that
//! nobody writes is all that it costs to ask. Where it is `true` there is one thread, and it drops futures. A handle that goes then notes
//! that and does nothing else: it closes nothing and wakes nobody, so that all counts stay as they were at the moment of the copy.
//!
//! Hidden, for the crate `sync`. A primitive that does not ask is not wrong: tasks that wait for it are just never said to be leaked.
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
#[cold]
pub fn waker(waker: &Waker, slot: usize, on: On) {
    // A foreign waker may hold one of ours; that one is not accounted for, and its task is left alone.
    if let Some(task) = task::address_of(waker) {
        note(Note::Waker { task, slot, on });
    }
}

/// Notes a handle that is being dropped. Somewhere in it there is a pointer to `target`.
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
