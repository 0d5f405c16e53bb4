//! A slot behaves as a task would: its first word counts references, 0 when vacant, and the rest is filled with a pattern that must still
//! be there when the last reference goes.
//!
//! The duty that stands behind nearly every unsafe block here is that an arena has one owner: it is the test's thread, or the one that the
//! test gave that arena to; `drop_at(None)` is what all others say.
#![allow(
    clippy::undocumented_unsafe_blocks,
    reason = "all of one kind, see above"
)]

use std::collections::HashSet;
use std::ptr::{self, NonNull};
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed, Release};
use std::sync::{Arc, Barrier, Mutex, mpsc};
use std::thread;
use std::time::Duration;

use super::{MAX_SIZE, Slab};

/// Bytes of the slots that most tests take: 340 to a chunk.
const SIZE: usize = 192;

/// Enough slots for some tens of chunks.
const MANY: usize = if cfg!(miri) { 700 } else { 10_000 };

/// A slot that a thread holds a reference to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Cell(NonNull<u8>);

// SAFETY: a reference counted slot may be passed from thread to thread.
unsafe impl Send for Cell {}

impl Cell {
    /// # Safety: the calling thread owns the arena.
    unsafe fn new(slab: &Slab<usize>, arena: usize, size: usize) -> Self {
        assert!(size >= 32);
        // SAFETY: by contract.
        let cell = Self(unsafe { slab.alloc(arena, size) });
        assert_eq!(cell.0.addr().get() % 16, 0);
        assert_eq!(cell.state().load(Relaxed), 0, "a new slot is vacant");
        for n in 1..size / 8 {
            // SAFETY: the slot is ours, and has `size` bytes.
            unsafe { cell.0.cast::<u64>().add(n).write(cell.pattern(n, size)) };
        }
        // SAFETY: as above.
        unsafe { cell.0.cast::<u64>().add(1).write(size as u64) };
        cell.state().store(1, Release);
        cell
    }

    fn slot(self) -> NonNull<u8> {
        self.0
    }

    fn pattern(self, n: usize, size: usize) -> u64 {
        (self.0.addr().get() ^ n << 48 ^ size) as u64
    }

    fn state(&self) -> &AtomicU64 {
        // SAFETY: the first word of a slot can be read at any time.
        unsafe { self.0.cast().as_ref() }
    }

    /// A reference, unless the slot is vacant.
    fn upgrade(slot: NonNull<u8>) -> Option<Self> {
        let cell = Self(slot);
        cell.state()
            .fetch_update(Acquire, Relaxed, |count| (count != 0).then_some(count + 1))
            .ok()
            .map(|_| cell)
    }

    fn check(self) {
        // SAFETY: a reference is held, here and below.
        let size = unsafe { self.0.cast::<u64>().add(1).read() } as usize;
        for n in 2..size / 8 {
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
    unsafe fn drop_at(self, here: Option<(&Slab<usize>, usize)>) {
        let here = here.map_or(ptr::null(), |(slab, arena)| {
            ptr::from_ref(slab.arena(arena))
        });
        self.check();
        // The last one stores the 0 by itself: nobody takes a reference from a count of 1 down to 0 but through `upgrade`.
        if self.state().fetch_sub(1, AcqRel) == 1 {
            // SAFETY: by contract.
            unsafe { Slab::<usize>::free(self.0, here) };
        }
    }
}

/// Fails the whole process if `f` hangs: a minute is not enough on one core that many share.
fn within_minutes<R: Send + 'static>(f: impl FnOnce() -> R + Send + 'static) -> R {
    let (done, wait) = mpsc::channel();
    let body = thread::spawn(move || {
        let result = f();
        let _ = done.send(());
        result
    });
    let limit = Duration::from_secs(if cfg!(miri) { 3600 } else { 300 });
    if wait.recv_timeout(limit) == Err(mpsc::RecvTimeoutError::Timeout) {
        eprintln!("test {:?} hangs", thread::current().name());
        std::process::abort();
    }
    body.join()
        .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}

/// xorshift64*, after Marsaglia and Vigna.
struct Random(u64);

impl Random {
    /// From SEED, or from the clock; prints it if the test fails.
    fn seed() -> u64 {
        let seed = std::env::var("SEED")
            .ok()
            .and_then(|seed| seed.parse().ok());
        let clock = || {
            std::time::UNIX_EPOCH
                .elapsed()
                .map_or(1, |time| time.as_nanos() as u64)
        };
        let seed = seed.unwrap_or_else(clock) | 1;
        println!("SEED={seed}");
        seed
    }

    fn below(&mut self, n: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) as usize % n
    }

    fn shuffle<T>(&mut self, items: &mut [T]) {
        for n in (1..items.len()).rev() {
            items.swap(n, self.below(n + 1));
        }
    }
}

#[test]
fn slots_are_apart_and_know_where_they_are_from() {
    let slab = Slab::new(3, 42);
    let mut cells = Vec::new();
    for size in (32..MAX_SIZE).step_by(40) {
        for arena in 0..3 {
            let cell = unsafe { Cell::new(&slab, arena, size) };
            assert_eq!(unsafe { Slab::<usize>::cookie(cell.0) }, 42);
            assert_eq!(unsafe { Slab::<usize>::slot_arena(cell.0) }, arena as u32);
            cells.push((arena, cell));
        }
    }
    for (arena, cell) in cells {
        unsafe { cell.drop_at(Some((&slab, arena))) };
    }
}

#[test]
fn the_slot_freed_last_is_handed_out_next() {
    let slab = Slab::new(1, 0);
    let cells = [(); 3].map(|()| unsafe { Cell::new(&slab, 0, SIZE) });
    for cell in cells {
        unsafe { cell.drop_at(Some((&slab, 0))) };
    }
    let again = [(); 3].map(|()| unsafe { Cell::new(&slab, 0, SIZE) });
    assert_eq!(again, [cells[2], cells[1], cells[0]]);
    for cell in again {
        unsafe { cell.drop_at(None) };
    }
}

#[test]
fn an_unused_slab_has_no_chunks_and_an_arena_is_a_pointer() {
    let slab = Slab::new(600, 0);
    assert_eq!(slab.chunks(), (0, 0));
    assert_eq!(size_of_val(slab.arena(7)), size_of::<usize>());
    unsafe { Cell::new(&slab, 599, SIZE).drop_at(Some((&slab, 599))) };
    assert_eq!(slab.chunks(), (1, 0));
    assert!(!unsafe { slab.collect(7) });
}

#[test]
fn a_burst_freed_by_its_owner_leaves_one_chunk_and_a_few_blocks() {
    let seed = Random::seed();
    for order in 0..3 {
        let slab = Slab::new(1, 0);
        let mut cells: Vec<_> = (0..MANY)
            .map(|_| unsafe { Cell::new(&slab, 0, SIZE) })
            .collect();
        assert_eq!(slab.chunks().0, MANY.div_ceil((64 * 1024 - 192) / SIZE));
        match order {
            0 => {}
            1 => cells.reverse(),
            _ => Random(seed).shuffle(&mut cells),
        }
        for cell in cells {
            unsafe { cell.drop_at(Some((&slab, 0))) };
        }
        let (chunks, spare) = slab.chunks();
        assert_eq!(chunks, 1, "order {order}");
        assert!(spare <= 4, "{spare} blocks are kept");
    }
}

#[test]
fn a_burst_freed_by_others_is_given_back_when_the_owner_collects() {
    let seed = Random::seed();
    for order in 0..3 {
        let slab = Slab::new(1, 0);
        let mut cells: Vec<_> = (0..MANY)
            .map(|_| unsafe { Cell::new(&slab, 0, SIZE) })
            .collect();
        match order {
            0 => {}
            1 => cells.reverse(),
            _ => Random(seed).shuffle(&mut cells),
        }
        thread::scope(|scope| {
            for half in cells.chunks(MANY / 2) {
                let half = half.to_vec();
                scope.spawn(move || {
                    half.into_iter()
                        .for_each(|cell| unsafe { cell.drop_at(None) })
                });
            }
        });
        while unsafe { slab.collect(0) } {}
        // One call for a part of the chunk, answered now; another for all of it may have been asked for only then.
        while unsafe { slab.collect(0) } {}
        let (chunks, spare) = slab.chunks();
        assert_eq!(chunks, 1, "order {order}");
        assert!(spare <= 4, "{spare} blocks are kept");
    }
}

#[test]
fn a_burst_freed_by_owner_and_others_is_given_back_in_a_few_collections() {
    let mut random = Random(Random::seed());
    let slab = Slab::new(1, 0);
    let mut cells: Vec<_> = (0..MANY)
        .map(|_| unsafe { Cell::new(&slab, 0, SIZE) })
        .collect();
    random.shuffle(&mut cells);
    for mut part in cells.chunks(100).map(<[Cell]>::to_vec) {
        if random.below(2) == 0 {
            part.into_iter()
                .for_each(|cell| unsafe { cell.drop_at(Some((&slab, 0))) });
            continue;
        }
        let others = part.split_off(random.below(part.len()));
        thread::scope(|scope| {
            scope.spawn(move || {
                others
                    .into_iter()
                    .for_each(|cell| unsafe { cell.drop_at(None) })
            });
            part.into_iter()
                .for_each(|cell| unsafe { cell.drop_at(Some((&slab, 0))) });
        });
    }
    let listed = slab.chunks().0;
    for _ in 0..listed {
        unsafe { slab.collect(0) };
    }
    assert_eq!(slab.chunks().0, 1);
}

#[test]
fn slots_freed_by_others_are_used_again() {
    let slab = Slab::new(1, 0);
    let mut most = 0;
    for round in 0..20 {
        let cells: Vec<_> = (0..MANY / 4)
            .map(|_| unsafe { Cell::new(&slab, 0, SIZE) })
            .collect();
        thread::scope(|scope| {
            scope.spawn(move || {
                cells
                    .into_iter()
                    .for_each(|cell| unsafe { cell.drop_at(None) })
            });
        });
        if round == 0 {
            most = slab.chunks().0;
        }
        assert!(
            slab.chunks().0 <= most + 1,
            "round {round}: {:?} after {most}",
            slab.chunks()
        );
    }
}

#[test]
fn one_task_at_a_time_freed_by_another_thread_stays_within_two_chunks() {
    let slab = Slab::new(1, 0);
    let (send, receive) = mpsc::sync_channel::<Cell>(0);
    thread::scope(|scope| {
        scope.spawn(move || {
            receive
                .into_iter()
                .for_each(|cell| unsafe { cell.drop_at(None) })
        });
        for _ in 0..MANY {
            send.send(unsafe { Cell::new(&slab, 0, SIZE) }).unwrap();
        }
        drop(send);
    });
    assert!(slab.chunks().0 <= 2, "{:?}", slab.chunks());
}

#[test]
fn a_walk_meets_every_task_once_and_its_visitor_may_allocate_and_free() {
    let slab = Slab::new(2, 0);
    let mut cells: Vec<_> = (0..MANY / 4)
        .map(|n| unsafe { Cell::new(&slab, n % 2, 64 + n % 512 / 8 * 8) })
        .collect();
    for _ in 0..MANY / 8 {
        unsafe { cells.pop().unwrap().drop_at(None) };
    }
    let (mut met, mut vacant, mut fresh) = (HashSet::new(), 0, Vec::new());
    slab.for_each(&mut |slot| match Cell::upgrade(slot) {
        Some(cell) if fresh.contains(&cell) => unsafe { cell.drop_at(Some((&slab, 0))) },
        Some(cell) => {
            assert!(met.insert(cell), "{cell:?} was met twice");
            unsafe { cell.drop_at(Some((&slab, 0))) };
            if met.len() % 64 == 0 {
                fresh.push(unsafe { Cell::new(&slab, 0, 1024) });
            }
        }
        None => vacant += 1,
    });
    assert_eq!(met, cells.iter().copied().collect());
    assert!(vacant > 0);
    for cell in cells.into_iter().chain(fresh) {
        unsafe { cell.drop_at(None) };
    }
}

#[test]
fn a_chunk_given_up_during_a_walk_is_neither_unmapped_nor_reused_until_its_end() {
    let slab = Slab::new(1, 0);
    let mut cells: Vec<_> = (0..MANY)
        .map(|_| unsafe { Cell::new(&slab, 0, SIZE) })
        .collect();
    let (chunks, _) = slab.chunks();
    let mut others = Vec::new();
    slab.for_each(&mut |slot| {
        // In the first call everything goes, and as many chunks of another size come.
        for cell in cells.drain(..) {
            unsafe { cell.drop_at(Some((&slab, 0))) };
        }
        if others.is_empty() {
            others.extend((0..MANY).map(|_| unsafe { Cell::new(&slab, 0, SIZE + 64) }));
        }
        assert_eq!(Cell(slot).state().load(Relaxed), 0);
    });
    assert!(slab.chunks().1 < chunks, "what was condemned is given back");
    for cell in others {
        unsafe { cell.drop_at(Some((&slab, 0))) };
    }
}

#[test]
fn an_abandoned_slab_lives_until_the_last_slot_is_freed() {
    let slab = Arc::new(Slab::new(2, 0));
    let cells: Vec<_> = (0..if cfg!(miri) { 400 } else { 2_000 })
        .map(|n| unsafe { Cell::new(&slab, n % 2, SIZE) })
        .collect();
    let (last, first) = cells.split_last().unwrap();
    unsafe { slab.abandon(slab.clone()) };
    unsafe { slab.abandon(slab.clone()) };
    let weak = Arc::downgrade(&slab);
    drop(slab);
    thread::scope(|scope| {
        for half in first.chunks(first.len() / 2).map(<[Cell]>::to_vec) {
            scope.spawn(move || {
                half.into_iter()
                    .for_each(|cell| unsafe { cell.drop_at(None) })
            });
        }
    });
    assert_eq!(weak.upgrade().unwrap().chunks(), (1, 0));
    unsafe { last.drop_at(None) };
    assert!(weak.upgrade().is_none());
}

#[test]
fn an_abandoned_slab_without_live_slots_keeps_nothing() {
    let slab = Slab::new(1, 0);
    for _ in 0..10 {
        unsafe { Cell::new(&slab, 0, SIZE).drop_at(None) };
    }
    let keep = Arc::new(());
    unsafe { slab.abandon(keep.clone()) };
    assert_eq!(Arc::strong_count(&keep), 1);
    assert_eq!(slab.chunks(), (0, 0));
}

#[test]
fn a_slot_outlives_a_slab_that_was_dropped_without_a_word() {
    let slab = Slab::new(1, 7);
    let cell = unsafe { Cell::new(&slab, 0, SIZE) };
    drop(slab);
    assert_eq!(unsafe { Slab::<usize>::cookie(cell.0) }, 7);
    unsafe { cell.drop_at(None) };
}

/// Owners allocate, pass tasks around, free their own and each other's; a visitor takes references meanwhile; then the slab is abandoned
/// while outsiders free what is left.
#[test]
fn stress() {
    let seed = Random::seed();
    let (owners, rounds) = if cfg!(miri) { (2, 300) } else { (4, 8_000) };
    within_minutes(move || {
        let slab = Arc::new(Slab::new(owners, 0));
        let pool = Mutex::new(Vec::<Cell>::new());
        let start = Barrier::new(owners + 1);
        thread::scope(|scope| {
            let working: Vec<_> = (0..owners)
                .map(|arena| {
                    let (slab, pool, start) = (&slab, &pool, &start);
                    scope.spawn(move || {
                        start.wait();
                        let random = Random(seed.wrapping_mul(arena as u64 + 1) | 1);
                        own(slab, arena, random, rounds, pool);
                    })
                })
                .collect();
            start.wait();
            while working.iter().any(|thread| !thread.is_finished()) {
                slab.for_each(&mut |slot| {
                    if let Some(cell) = Cell::upgrade(slot) {
                        unsafe { cell.drop_at(None) };
                    }
                });
                // On one core the owners get somewhere only while it does not look.
                thread::yield_now();
            }
        });
        let left = pool.into_inner().unwrap();
        let weak = Arc::downgrade(&slab);
        thread::scope(|scope| {
            for part in left.chunks(left.len() / 3 + 1).map(<[Cell]>::to_vec) {
                scope.spawn(move || {
                    part.into_iter()
                        .for_each(|cell| unsafe { cell.drop_at(None) })
                });
            }
            scope.spawn(move || {
                unsafe { slab.abandon(slab.clone()) };
                drop(slab);
            });
        });
        assert!(weak.upgrade().is_none(), "the last free ends the slab");
    });
}

fn own(
    slab: &Slab<usize>,
    arena: usize,
    mut random: Random,
    rounds: usize,
    pool: &Mutex<Vec<Cell>>,
) {
    const SIZES: [usize; 5] = [32, 168, 192, 1_500, MAX_SIZE];
    let mut mine = Vec::new();
    let mut growing = true;
    for _ in 0..rounds {
        match random.below(16) {
            0 => growing = random.below(3) > 0,
            1 => pool.lock().unwrap().extend(mine.drain(mine.len() / 2..)),
            2 | 3 => {
                let mut pool = pool.lock().unwrap();
                let rest = pool.len() - pool.len() / 3;
                let theirs = pool.split_off(rest);
                drop(pool);
                theirs
                    .into_iter()
                    .for_each(|cell| unsafe { cell.drop_at(Some((slab, arena))) });
            }
            4 if random.below(64) == 0 => {
                unsafe { slab.collect(arena) };
            }
            _ if growing && mine.len() < 2_000 => {
                let size = SIZES[random.below(SIZES.len() * 4).min(SIZES.len() - 1)];
                for _ in 0..random.below(8) {
                    mine.push(unsafe { Cell::new(slab, arena, size) });
                }
            }
            _ => {
                let Some(last) = mine.len().checked_sub(1) else {
                    continue;
                };
                let cell = mine.swap_remove(random.below(last + 1));
                unsafe { cell.drop_at(Some((slab, arena))) };
            }
        }
    }
    pool.lock().unwrap().append(&mut mine);
}

/// What a slot costs against malloc; the ratios of interleaved rounds. By hand:
/// `cargo test --release -p weftline-runtime --lib slab::tests::measure -- --ignored --nocapture`.
#[test]
#[ignore = "a measurement, for a quiet machine"]
fn measure() {
    const ROUNDS: usize = 21;
    let layout = std::alloc::Layout::from_size_align(SIZE, 16).unwrap();
    // Each round's slab is fresh, as malloc's heap is not: that is in malloc's favour.
    let ours = |slab: &Slab<usize>| unsafe { slab.alloc(0, SIZE) };
    let owned = |slab: &Slab<usize>, slot| unsafe { Slab::<usize>::free(slot, slab.arena(0)) };
    let remote = |_: &Slab<usize>, slot| unsafe { Slab::<usize>::free(slot, ptr::null()) };
    let malloc = |_: &Slab<usize>| NonNull::new(unsafe { std::alloc::alloc(layout) }).unwrap();
    let free =
        |_: &Slab<usize>, slot: NonNull<u8>| unsafe { std::alloc::dealloc(slot.as_ptr(), layout) };
    type Run<'a> = &'a dyn Fn() -> f64;
    let compare = |name: &str, ours: Run<'_>, theirs: Run<'_>| {
        let (mut a, mut b, mut ratio) = (Vec::new(), Vec::new(), Vec::new());
        for _ in 0..ROUNDS {
            a.push(ours());
            b.push(theirs());
            ratio.push(a.last().unwrap() / b.last().unwrap());
        }
        let median = |mut list: Vec<f64>| {
            list.sort_by(f64::total_cmp);
            list[ROUNDS / 2]
        };
        println!(
            "{name}: {:.1} ns, malloc {:.1} ns, ratio {:.2}",
            median(a),
            median(b),
            median(ratio)
        );
    };
    let one = Slab::new(1, 0);
    compare("pairs", &|| pairs(&one, 1, ours, owned), &|| {
        pairs(&one, 1, malloc, free)
    });
    compare("pairs of 8", &|| pairs(&one, 8, ours, owned), &|| {
        pairs(&one, 8, malloc, free)
    });
    compare(
        "100,000, freed here",
        &|| burst(&one, false, ours, owned),
        &|| burst(&one, false, malloc, free),
    );
    compare(
        "100,000, freed there",
        &|| burst(&one, true, ours, remote),
        &|| burst(&one, true, malloc, free),
    );
    compare("stream", &|| stream(&one, ours, remote), &|| {
        stream(&one, malloc, free)
    });
}

/// Takes and frees `depth` slots at a time; ns a slot.
fn pairs(
    slab: &Slab<usize>,
    depth: usize,
    take: impl Fn(&Slab<usize>) -> NonNull<u8>,
    give: impl Fn(&Slab<usize>, NonNull<u8>),
) -> f64 {
    const TIMES: usize = 1_000_000;
    let mut held = Vec::with_capacity(depth);
    let start = std::time::Instant::now();
    for _ in 0..TIMES / depth {
        for _ in 0..depth {
            held.push(std::hint::black_box(take(slab)));
        }
        while let Some(slot) = held.pop() {
            give(slab, slot);
        }
    }
    start.elapsed().as_nanos() as f64 / TIMES as f64
}

/// Takes 100,000 slots and writes to each, then frees them all, in order, here or in another thread; ns a slot.
fn burst(
    slab: &Slab<usize>,
    elsewhere: bool,
    take: impl Fn(&Slab<usize>) -> NonNull<u8>,
    give: impl Fn(&Slab<usize>, NonNull<u8>) + Send,
) -> f64 {
    const SLOTS: usize = 100_000;
    let mut held = Vec::with_capacity(SLOTS);
    held.resize(SLOTS, Cell(NonNull::dangling()));
    let start = std::time::Instant::now();
    for place in &mut held {
        let slot = take(slab);
        // SAFETY: the slot is ours; as a task does, each of its lines is written, but not the first word.
        unsafe { slot.cast::<[u64; 2]>().add(1).write([1; 2]) };
        unsafe { slot.cast::<u64>().add(8).write(1) };
        unsafe { slot.cast::<u64>().add(16).write(1) };
        *place = Cell(slot);
    }
    let free = move || held.into_iter().for_each(|cell| give(slab, cell.slot()));
    if elsewhere {
        thread::scope(|scope| scope.spawn(free).join().unwrap());
    } else {
        free();
    }
    start.elapsed().as_nanos() as f64 / SLOTS as f64
}

/// Takes slots and hands them in batches of 64 to another thread, which frees them at the same time; ns a slot.
fn stream(
    slab: &Slab<usize>,
    take: impl Fn(&Slab<usize>) -> NonNull<u8>,
    give: impl Fn(&Slab<usize>, NonNull<u8>) + Sync,
) -> f64 {
    const BATCHES: usize = 4_000;
    const BATCH: usize = 64;
    let start = std::time::Instant::now();
    thread::scope(|scope| {
        let (send, receive) = mpsc::sync_channel::<Vec<Cell>>(16);
        let give = &give;
        scope.spawn(move || {
            receive
                .into_iter()
                .flatten()
                .for_each(|cell| give(slab, cell.slot()))
        });
        for _ in 0..BATCHES {
            send.send((0..BATCH).map(|_| Cell(take(slab))).collect())
                .unwrap();
        }
    });
    start.elapsed().as_nanos() as f64 / (BATCHES * BATCH) as f64
}
