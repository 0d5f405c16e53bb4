//! What a slot costs.
use std::ptr::{self, NonNull};
use std::sync::mpsc;
use std::thread;

use super::super::Slab;
use super::SIZE;
use super::support::Cell;

/// What a slot costs against malloc; the ratios of interleaved rounds. By hand:
/// `cargo test --release -p weftline-runtime --lib slab::tests::measure::measure -- --ignored --nocapture`.
#[test]
#[ignore = "a measurement, for a quiet machine"]
fn measure() {
    const ROUNDS: usize = 21;
    let layout = std::alloc::Layout::from_size_align(SIZE, 16).unwrap();
    // Each round's slab is fresh, as malloc's heap is not: that is in malloc's favour.
    // SAFETY: arena 0 is this thread's.
    let ours = |slab: &Slab<usize>| unsafe { slab.alloc(0, SIZE) };
    // SAFETY: `pairs`, `burst` and `stream` give each slot back once; this is called by the owner
    // of arena 0, who says so.
    let owned = |slab: &Slab<usize>, slot| unsafe { Slab::<usize>::free(slot, slab.arena(0)) };
    // SAFETY: the same, by whoever owns no arena.
    let remote = |_: &Slab<usize>, slot| unsafe { Slab::<usize>::free(slot, ptr::null()) };
    // SAFETY: the layout is not empty.
    let malloc = |_: &Slab<usize>| NonNull::new(unsafe { std::alloc::alloc(layout) }).unwrap();
    let free = |_: &Slab<usize>, slot: NonNull<u8>| {
        // SAFETY: it comes from `malloc`, with the same layout, and is given back once.
        unsafe { std::alloc::dealloc(slot.as_ptr(), layout) }
    };
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

/// Takes 100,000 slots and writes to each, then frees them all, in order, here or in another
/// thread; ns a slot.
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
        // SAFETY: the slot is ours; as a task does, each of its lines is written, but not the first
        // word.
        unsafe { slot.cast::<[u64; 2]>().add(1).write([1; 2]) };
        // SAFETY: as above.
        unsafe { slot.cast::<u64>().add(8).write(1) };
        // SAFETY: as above.
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

/// Takes slots and hands them in batches of 64 to another thread, which frees them at the same
/// time; ns a slot.
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
