//! Which values this thread looks at or changes right now, so that who would wait for itself is
//! told so.
//!
//! A guard of a `watch` belongs to its thread: a `send` by the same thread would wait for a guard
//! that only it can drop, for ever and without a word, since it is a thread that stands still and
//! no task. Each thread therefore notes its guards, a store on the way in and one on the way out;
//! only who finds the lock taken looks at the notes.
//!
//! There is room for four at a time, without an allocation. A fifth is not noted, and a mistake
//! with it hangs as it would with std's lock; holding two is rare enough.
#![forbid(unsafe_code)]

use std::cell::Cell;
use std::marker::PhantomData;

/// How many guards of a thread are noted: more than anybody holds on purpose.
const ROOM: usize = 4;

thread_local! {
    /// The addresses of what is locked; 0 is free.
    static NOTES: [Cell<usize>; ROOM] = const { [const { Cell::new(0) }; ROOM] };
}

/// A note, taken off when it is dropped: after the lock is free, by the thread that made it.
pub(super) struct Held {
    /// Where it is; `ROOM` if nowhere.
    place: usize,
    /// It stays with its thread.
    _local: PhantomData<*const ()>,
}

impl Held {
    /// Notes that this thread is about to have the lock of `what`.
    pub(super) fn note<T>(what: &T) -> Self {
        // Without notes in a thread that ends and has none any more.
        let place = NOTES.try_with(|notes| {
            let place = notes.iter().position(|note| note.get() == 0)?;
            notes[place].set(address(what));
            Some(place)
        });
        Self {
            place: place.ok().flatten().unwrap_or(ROOM),
            _local: PhantomData,
        }
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        if self.place < ROOM {
            // A thread without notes needs no taking off.
            let _ = NOTES.try_with(|notes| notes[self.place].set(0));
        }
    }
}

/// Asked where the lock of `what` was taken: if this thread has it, then it would never be free.
#[cold]
#[track_caller]
pub(super) fn refuse_to_wait_for_oneself<T>(what: &T) {
    let held = NOTES.try_with(|notes| notes.iter().any(|note| note.get() == address(what)));
    assert!(
        !held.unwrap_or(false),
        "watch: this thread looks at the value, or changes it, and would wait for itself here: \
         drop the guard of borrow() first, for instance by `let value = rx.borrow().clone();`, \
         and call nothing of the channel inside modify() or wait_for()"
    );
}

fn address<T>(what: &T) -> usize {
    std::ptr::from_ref(what).addr()
}
