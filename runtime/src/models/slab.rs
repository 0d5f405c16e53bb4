//! The slab itself, with chunks of 1 KiB so that two or three slots fill one.
//!
//! What is checked, beside the orderings of every link by loom's cells: a slot is handed out to one
//! at a time, nothing is freed under somebody's hands (a released block reads as garbage, and a
//! lost chunk is missed in the counts), and what is due is given back.
//!
//! Killed by: a push to the returns without its release; a claim of them without its acquire.

use std::ptr::{self, NonNull};

use crate::primitive::atomic::AtomicU64;
use crate::primitive::atomic::Ordering::{Acquire, Relaxed, Release};
use crate::primitive::thread;
use crate::slab::Slab;
use loom::cell::UnsafeCell;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;

/// Two slots of this size fill a chunk.
const HALF: usize = 320;

/// One fills it.
const WHOLE: usize = 576;

/// A slot, with a cell that tells loom who uses it.
struct Cell {
    slot: NonNull<u8>,
}

// SAFETY: the test moves it as a task would be moved.
unsafe impl Send for Cell {}

impl Cell {
    /// Only by the arena's owner.
    fn new(slab: &Slab<usize>, size: usize) -> Self {
        // SAFETY: by contract.
        let slot = unsafe { slab.alloc(0, size) };
        let cell = Self { slot };
        assert_eq!(cell.state().load(Relaxed), 0, "a slot has one holder");
        // SAFETY: the slot is ours; the first two words are the slab's.
        unsafe { cell.body().write(UnsafeCell::new(7)) };
        cell.state().store(1, Release);
        cell
    }

    fn state(&self) -> &AtomicU64 {
        // SAFETY: the first word can be read at any time.
        unsafe { self.slot.cast().as_ref() }
    }

    fn body(&self) -> *mut UnsafeCell<u64> {
        // SAFETY: inside the slot, behind the link.
        unsafe { self.slot.as_ptr().add(128).cast() }
    }

    fn free(self, here: Option<&Slab<usize>>) {
        // SAFETY: the slot is ours until we free it.
        unsafe { (*self.body()).with_mut(|body| *body += 1) };
        self.state().store(0, Release);
        // SAFETY: as above; only the owner names a slab.
        unsafe {
            Slab::<usize>::free(
                self.slot,
                here.map_or(ptr::null(), |slab| ptr::from_ref(slab.arena(0))),
            )
        };
    }
}

fn model(f: impl Fn() + Send + Sync + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound.get_or_insert(2);
    let runs = Arc::new(AtomicUsize::new(0));
    let counted = runs.clone();
    builder.check(move || {
        counted.fetch_add(1, Relaxed);
        f();
    });
    let runs = runs.load(Relaxed);
    println!("{runs} runs");
    assert!(runs > 10, "the model has no interleavings to speak of");
}

fn join<const N: usize>(threads: [thread::JoinHandle<()>; N]) {
    for thread in threads {
        thread.join().unwrap();
    }
}

/// What an abandoned slab keeps: itself, and a cell that whoever frees a slot looks at before, and
/// that is written when it goes.
struct Kept {
    slab: Slab<usize>,
    seen: UnsafeCell<()>,
}

// SAFETY: that the cell is read before it is written is what the model checks.
unsafe impl Send for Kept {}
// SAFETY: as above.
unsafe impl Sync for Kept {}

impl Drop for Kept {
    fn drop(&mut self) {
        self.seen.with_mut(|_| ());
    }
}

struct Seen(*const UnsafeCell<()>);

// SAFETY: as above.
unsafe impl Send for Seen {}

impl Seen {
    fn get(&self) -> *const UnsafeCell<()> {
        self.0
    }
}

/// Abandons a slab while each of its slots, of `size` bytes, is freed by a thread.
fn abandon(size: usize) {
    let kept = Arc::new(Kept {
        slab: Slab::new(1, 0),
        seen: UnsafeCell::new(()),
    });
    let others = [(); 2].map(|()| {
        let cell = Cell::new(&kept.slab, size);
        let seen = Seen(ptr::from_ref(&kept.seen));
        thread::spawn(move || {
            // SAFETY: our slot keeps its chunk, and that keeps this.
            unsafe { &*seen.get() }.with(|_| ());
            cell.free(None);
        })
    });
    let weak = Arc::downgrade(&kept);
    // SAFETY: nobody owns the arena from here on; the slab keeps itself.
    unsafe { kept.slab.abandon(kept.clone()) };
    drop(kept);
    join(others);
    assert!(weak.upgrade().is_none(), "the last free ends the slab");
}

/// Two others return the slots of a full chunk, the owner wants a slot meanwhile.
#[test]
fn remote_frees_against_the_owners_drain() {
    model(|| {
        let slab = Arc::new(Slab::new(1, 0));
        let cells = [Cell::new(&slab, HALF), Cell::new(&slab, HALF)];
        let others = cells.map(|cell| thread::spawn(move || cell.free(None)));
        let third = Cell::new(&slab, HALF);
        assert!(slab.chunks().0 <= 2);
        third.free(Some(&slab));
        join(others);
        // SAFETY: the model's thread owns the arena.
        while unsafe { slab.collect(0) } {}
        assert_eq!(slab.chunks().0, 1);
    });
}

/// The owner goes round two full chunks that one other thread each empties: calls, claims and
/// requests meet.
#[test]
fn calls_against_requests() {
    model(|| {
        let slab = Arc::new(Slab::new(1, 0));
        let first = [Cell::new(&slab, WHOLE), Cell::new(&slab, WHOLE)];
        assert_eq!(slab.chunks().0, 2);
        let others = first.map(|cell| thread::spawn(move || cell.free(None)));
        for _ in 0..2 {
            let cell = Cell::new(&slab, WHOLE);
            let again = Cell::new(&slab, WHOLE);
            cell.free(Some(&slab));
            again.free(Some(&slab));
        }
        join(others);
        // SAFETY: the model's thread owns the arena.
        while unsafe { slab.collect(0) } {}
        assert_eq!(slab.chunks().0, 1, "a chunk without a task is given back");
    });
}

/// One other thread brings back all of a full chunk, slot by slot: the call for some, then the call
/// for all, against the owner's answers.
#[test]
fn a_chunk_that_comes_back_slot_by_slot() {
    model(|| {
        let slab = Arc::new(Slab::new(1, 0));
        let cells = [Cell::new(&slab, HALF), Cell::new(&slab, HALF)];
        let stays = Cell::new(&slab, HALF);
        let other = thread::spawn(move || cells.map(|cell| cell.free(None)));
        // SAFETY: the model's thread owns the arena, here and below.
        unsafe { slab.collect(0) };
        other.join().unwrap();
        unsafe { slab.collect(0) };
        assert_eq!(
            slab.chunks().0,
            1,
            "the last free calls, or comes before the owner looks"
        );
        stays.free(Some(&slab));
    });
}

/// A free by the owner and one by another thread, of the two slots of a chunk that is full and not
/// current.
#[test]
fn the_owners_free_against_anothers() {
    model(|| {
        let slab = Arc::new(Slab::new(1, 0));
        let [mine, theirs] = [Cell::new(&slab, HALF), Cell::new(&slab, HALF)];
        let stays = Cell::new(&slab, HALF);
        let other = thread::spawn(move || theirs.free(None));
        mine.free(Some(&slab));
        other.join().unwrap();
        // SAFETY: the model's thread owns the arena.
        unsafe { slab.collect(0) };
        assert_eq!(slab.chunks().0, 1);
        stays.free(None);
    });
}

/// Both slots of a current chunk come back.
#[test]
fn abandon_against_the_last_frees() {
    model(|| abandon(HALF));
}

/// The first of two chunks is one that its owner wants to be called to: a call may be under way
/// when the end comes.
#[test]
fn abandon_against_a_call() {
    model(|| abandon(WHOLE));
}

/// A visitor reads what is carved and freed meanwhile, and takes references to what it finds.
#[test]
fn a_walk_against_allocation_and_release() {
    model(|| {
        let slab = Arc::new(Slab::new(1, 0));
        let first = Cell::new(&slab, WHOLE);
        let visitor = {
            let slab = slab.clone();
            thread::spawn(move || {
                slab.for_each(&mut |slot| {
                    // SAFETY: the first word can be read at any time.
                    let state = unsafe { slot.cast::<AtomicU64>().as_ref() }.load(Acquire);
                    assert!(state <= 1);
                });
            })
        };
        let second = Cell::new(&slab, WHOLE);
        // Not current any more: its chunk goes at once, or when the visitor has left.
        first.free(Some(&slab));
        second.free(Some(&slab));
        visitor.join().unwrap();
        assert_eq!(slab.chunks().0, 1);
    });
}
