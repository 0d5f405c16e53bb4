//! A slot that behaves as a task would, and what all tests here need.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::ptr::{self, NonNull};
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed, Release};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use super::super::Slab;

/// How far apart the words are that are written and checked: all of a slot; under Miri, which looks
/// itself, a few.
const STRIDE: usize = if cfg!(miri) { 40 } else { 1 };

/// A slot that a thread holds a reference to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Cell(pub(super) NonNull<u8>);

// SAFETY: a reference counted slot may be passed from thread to thread.
unsafe impl Send for Cell {}

impl Cell {
    /// # Safety: the calling thread owns the arena.
    pub(super) unsafe fn new(slab: &Slab<usize>, arena: usize, size: usize) -> Self {
        assert!(size >= 32);
        // SAFETY: by contract.
        let cell = Self(unsafe { slab.alloc(arena, size) });
        assert_eq!(cell.0.addr().get() % 16, 0);
        assert_eq!(cell.state().load(Relaxed), 0, "a new slot is vacant");
        for n in (1..size / 8).step_by(STRIDE) {
            // SAFETY: the slot is ours, and has `size` bytes.
            unsafe { cell.0.cast::<u64>().add(n).write(cell.pattern(n, size)) };
        }
        // SAFETY: as above.
        unsafe { cell.0.cast::<u64>().add(1).write(size as u64) };
        cell.state().store(1, Release);
        cell
    }

    pub(super) fn slot(self) -> NonNull<u8> {
        self.0
    }

    fn pattern(self, n: usize, size: usize) -> u64 {
        (self.0.addr().get() ^ n << 48 ^ size) as u64
    }

    pub(super) fn state(&self) -> &AtomicU64 {
        // SAFETY: the first word of a slot can be read at any time.
        unsafe { self.0.cast().as_ref() }
    }

    /// A reference, unless the slot is vacant.
    pub(super) fn upgrade(slot: NonNull<u8>) -> Option<Self> {
        let cell = Self(slot);
        cell.state()
            .fetch_update(Acquire, Relaxed, |count| (count != 0).then_some(count + 1))
            .ok()
            .map(|_| cell)
    }

    pub(super) fn check(self) {
        // SAFETY: a reference is held.
        let size = unsafe { self.0.cast::<u64>().add(1).read() } as usize;
        for n in (1..size / 8).step_by(STRIDE).skip(1) {
            // SAFETY: as above.
            let word = unsafe { self.0.cast::<u64>().add(n).read() };
            assert_eq!(
                word,
                self.pattern(n, size),
                "word {n} of {size} bytes at {:p} was overwritten",
                self.0
            );
        }
    }

    /// # Safety: gives a reference up; the calling thread owns `here`, if any of `slab`.
    pub(super) unsafe fn drop_at(self, here: Option<(&Slab<usize>, usize)>) {
        let here = here.map_or(ptr::null(), |(slab, arena)| {
            ptr::from_ref(slab.arena(arena))
        });
        self.check();
        // The last one stores the 0 by itself: nobody takes a reference from a count of 1 down to 0
        // but through `upgrade`.
        if self.state().fetch_sub(1, AcqRel) == 1 {
            // SAFETY: by contract.
            unsafe { Slab::<usize>::free(self.0, here) };
        }
    }
}

/// Fails the whole process if `f` hangs: a minute is not enough on one core that many share.
pub(super) fn within_minutes<R: Send + 'static>(f: impl FnOnce() -> R + Send + 'static) -> R {
    let (done, wait) = mpsc::channel();
    let body = thread::spawn(move || {
        let result = f();
        let _ = done.send(());
        result
    });
    let limit = Duration::from_secs(if cfg!(miri) { 36_000 } else { 300 });
    if wait.recv_timeout(limit) == Err(mpsc::RecvTimeoutError::Timeout) {
        eprintln!("test {:?} hangs", thread::current().name());
        std::process::abort();
    }
    body.join()
        .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}

/// xorshift64*, after Marsaglia and Vigna.
pub(super) struct Random(pub(super) u64);

impl Random {
    /// From SEED, or from the system; prints it if the test fails.
    pub(super) fn seed() -> u64 {
        let seed = std::env::var("SEED")
            .ok()
            .and_then(|seed| seed.parse().ok());
        // Random keys of std's, which follow from Miri's own seed there; it has no clock that tells
        // the date.
        let any = || RandomState::new().build_hasher().finish();
        let seed = seed.unwrap_or_else(any) | 1;
        println!("SEED={seed}");
        seed
    }

    pub(super) fn below(&mut self, n: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) as usize % n
    }

    pub(super) fn shuffle<T>(&mut self, items: &mut [T]) {
        for n in (1..items.len()).rev() {
            items.swap(n, self.below(n + 1));
        }
    }
}
