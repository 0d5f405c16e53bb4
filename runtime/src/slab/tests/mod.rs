//! A slot behaves as a task would: its first word counts references, 0 when vacant, and the rest is
//! filled with a pattern that must still be there when the last reference goes.
//!
//! The duty that stands behind nearly every unsafe block here is that an arena has one owner: it is
//! the test's thread, or the one that the test gave that arena to; `drop_at(None)` is what all
//! others say.

use std::collections::HashSet;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, mpsc};
use std::thread;

use super::{MAX_SIZE, Slab, Trim};
use support::{Cell, Random};

mod measure;
mod stress;
mod support;

/// Bytes of the slots that most tests take: 340 to a chunk; under Miri 63, since each costs it a
/// millisecond.
const SIZE: usize = if cfg!(miri) { 1024 } else { 192 };

/// Enough slots for some tens of chunks; under Miri for four.
const MANY: usize = if cfg!(miri) { 200 } else { 10_000 };

#[test]
fn slots_are_apart_and_know_where_they_are_from() {
    let slab = Slab::new(3, 42);
    let mut cells = Vec::new();
    for size in (32..MAX_SIZE).step_by(40) {
        for arena in 0..3 {
            // SAFETY: the arena is this thread's.
            let cell = unsafe { Cell::new(&slab, arena, size) };
            // SAFETY: the slot is out, and ours.
            assert_eq!(unsafe { Slab::<usize>::cookie(cell.0) }, 42);
            // SAFETY: the slot is out, and ours.
            assert_eq!(unsafe { Slab::<usize>::slot_arena(cell.0) }, arena as u32);
            cells.push((arena, cell));
        }
    }
    for (arena, cell) in cells {
        // SAFETY: cell and arena are this thread's.
        unsafe { cell.drop_at(Some((&slab, arena))) };
    }
}

#[test]
fn the_slot_freed_last_is_handed_out_next() {
    let slab = Slab::new(1, 0);
    // SAFETY: the arena is this thread's.
    let cells = [(); 3].map(|()| unsafe { Cell::new(&slab, 0, SIZE) });
    for cell in cells {
        // SAFETY: cell and arena are this thread's.
        unsafe { cell.drop_at(Some((&slab, 0))) };
    }
    // SAFETY: the arena is this thread's.
    let again = [(); 3].map(|()| unsafe { Cell::new(&slab, 0, SIZE) });
    assert_eq!(again, [cells[2], cells[1], cells[0]]);
    for cell in again {
        // SAFETY: the cell is this thread's; by `None` it says that it owns no arena.
        unsafe { cell.drop_at(None) };
    }
}

#[test]
fn an_unused_slab_has_no_chunks_and_an_arena_is_a_pointer() {
    let slab = Slab::new(600, 0);
    assert_eq!(slab.chunks(), (0, 0));
    assert_eq!(size_of_val(slab.arena(7)), size_of::<usize>());
    // SAFETY: cell and arena are this thread's.
    unsafe { Cell::new(&slab, 599, SIZE).drop_at(Some((&slab, 599))) };
    assert_eq!(slab.chunks(), (1, 0));
    // SAFETY: the arena is this thread's.
    assert!(!unsafe { slab.collect(7) });
}

/// Many slots of arena 0, in the order in which they are to be freed: the first first, the last
/// first, or any.
fn burst(slab: &Slab<usize>, order: u32, seed: u64) -> Vec<Cell> {
    let mut cells: Vec<_> = (0..MANY)
        // SAFETY: the arena is this thread's.
        .map(|_| unsafe { Cell::new(slab, 0, SIZE) })
        .collect();
    match order {
        0 => {}
        1 => cells.reverse(),
        _ => Random(seed).shuffle(&mut cells),
    }
    cells
}

fn trim(slab: &Slab<usize>) {
    while slab.trim(Trim::All) {}
}

#[test]
fn a_burst_freed_by_its_owner_leaves_one_chunk_and_a_few_blocks() {
    let seed = Random::seed();
    for order in 0..3 {
        let slab = Slab::new(1, 0);
        let cells = burst(&slab, order, seed);
        assert_eq!(slab.chunks().0, MANY.div_ceil((64 * 1024 - 192) / SIZE));
        for cell in cells {
            // SAFETY: cell and arena are this thread's.
            unsafe { cell.drop_at(Some((&slab, 0))) };
        }
        trim(&slab);
        let (chunks, spare) = slab.chunks();
        assert_eq!(chunks, 1, "order {order}");
        assert!(spare <= 4, "{spare} blocks are left");
    }
}

#[test]
fn a_burst_freed_by_others_is_given_back_when_the_owner_collects() {
    let seed = Random::seed();
    for order in 0..3 {
        let slab = Slab::new(1, 0);
        let cells = burst(&slab, order, seed);
        thread::scope(|scope| {
            for half in cells.chunks(MANY / 2) {
                let half = half.to_vec();
                scope.spawn(move || {
                    half.into_iter()
                        // SAFETY: the cell is this thread's; by `None` it says that it owns no
                        // arena.
                        .for_each(|cell| unsafe { cell.drop_at(None) })
                });
            }
        });
        // SAFETY: the arena is this thread's.
        while unsafe { slab.collect(0) } {}
        // One call for a part of the chunk, answered now; another for all of it may have been asked
        // for only then. SAFETY: as above.
        while unsafe { slab.collect(0) } {}
        trim(&slab);
        let (chunks, spare) = slab.chunks();
        assert_eq!(chunks, 1, "order {order}");
        assert!(spare <= 4, "{spare} blocks are left");
    }
}

#[test]
fn a_burst_freed_by_owner_and_others_is_given_back_in_a_few_collections() {
    let mut random = Random(Random::seed());
    let slab = Slab::new(1, 0);
    let mut cells: Vec<_> = (0..MANY)
        // SAFETY: the arena is this thread's.
        .map(|_| unsafe { Cell::new(&slab, 0, SIZE) })
        .collect();
    random.shuffle(&mut cells);
    for mut part in cells.chunks(100).map(<[Cell]>::to_vec) {
        if random.below(2) == 0 {
            part.into_iter()
                // SAFETY: cell and arena are this thread's.
                .for_each(|cell| unsafe { cell.drop_at(Some((&slab, 0))) });
            continue;
        }
        let others = part.split_off(random.below(part.len()));
        thread::scope(|scope| {
            scope.spawn(move || {
                others
                    .into_iter()
                    // SAFETY: the cell is this thread's; by `None` it says that it owns no arena.
                    .for_each(|cell| unsafe { cell.drop_at(None) })
            });
            part.into_iter()
                // SAFETY: cell and arena are this thread's.
                .for_each(|cell| unsafe { cell.drop_at(Some((&slab, 0))) });
        });
    }
    let listed = slab.chunks().0;
    for _ in 0..listed {
        // SAFETY: the arena is this thread's.
        unsafe { slab.collect(0) };
    }
    assert_eq!(slab.chunks().0, 1);
}

#[test]
fn what_the_next_burst_needs_is_kept_and_what_none_has_needed_is_given_back() {
    let slab = Slab::new(1, 0);
    let breathe = || {
        let cells = burst(&slab, 0, 0);
        let used = slab.chunks().0;
        // SAFETY: cell and arena are this thread's.
        let free = |cell: Cell| unsafe { cell.drop_at(Some((&slab, 0))) };
        cells.into_iter().for_each(free);
        used
    };
    let all = breathe();
    let kept = slab.chunks().1;
    assert!(kept + 1 >= all, "{kept} of {all}");
    // They have not been spare for long, and are needed again.
    assert!(!slab.trim(Trim::Unused));
    breathe();
    slab.trim(Trim::Unused);
    assert_eq!(slab.chunks().1, kept);
    // Nobody has needed them since.
    slab.trim(Trim::Unused);
    let (chunks, spare) = slab.chunks();
    assert_eq!(chunks, 1);
    assert!(spare <= 4, "{spare} blocks are left");
}

#[test]
fn slots_freed_by_others_are_used_again() {
    let slab = Slab::new(1, 0);
    let mut most = 0;
    for round in 0..if cfg!(miri) { 5 } else { 20 } {
        let cells: Vec<_> = (0..MANY / 4)
            // SAFETY: the arena is this thread's.
            .map(|_| unsafe { Cell::new(&slab, 0, SIZE) })
            .collect();
        thread::scope(|scope| {
            scope.spawn(move || {
                cells
                    .into_iter()
                    // SAFETY: the cell is this thread's; by `None` it says that it owns no arena.
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
                // SAFETY: the cell is this thread's; by `None` it says that it owns no arena.
                .for_each(|cell| unsafe { cell.drop_at(None) })
        });
        for _ in 0..MANY {
            // SAFETY: the arena is this thread's.
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
        // SAFETY: the arena is this thread's.
        .map(|n| unsafe { Cell::new(&slab, n % 2, 64 + n % 512 / 8 * 8) })
        .collect();
    for _ in 0..MANY / 8 {
        // SAFETY: the cell is this thread's; by `None` it says that it owns no arena.
        unsafe { cells.pop().unwrap().drop_at(None) };
    }
    let (mut met, mut vacant, mut fresh) = (HashSet::new(), 0, Vec::new());
    slab.for_each(&mut |slot| match Cell::upgrade(slot) {
        // SAFETY: cell and arena are this thread's.
        Some(cell) if fresh.contains(&cell) => unsafe { cell.drop_at(Some((&slab, 0))) },
        Some(cell) => {
            assert!(met.insert(cell), "{cell:?} was met twice");
            // SAFETY: cell and arena are this thread's.
            unsafe { cell.drop_at(Some((&slab, 0))) };
            if met.len() % 16 == 0 {
                // SAFETY: the arena is this thread's.
                fresh.push(unsafe { Cell::new(&slab, 0, 1024) });
            }
        }
        None => vacant += 1,
    });
    assert_eq!(met, cells.iter().copied().collect());
    assert!(vacant > 0);
    for cell in cells.into_iter().chain(fresh) {
        // SAFETY: the cell is this thread's; by `None` it says that it owns no arena.
        unsafe { cell.drop_at(None) };
    }
}

#[test]
fn a_chunk_given_up_during_a_walk_is_neither_unmapped_nor_reused_until_its_end() {
    let slab = Slab::new(1, 0);
    let mut cells: Vec<_> = (0..MANY)
        // SAFETY: the arena is this thread's.
        .map(|_| unsafe { Cell::new(&slab, 0, SIZE) })
        .collect();
    let (chunks, _) = slab.chunks();
    let mut others = Vec::new();
    slab.for_each(&mut |slot| {
        // In the first call everything goes, and as many chunks of another size come.
        for cell in cells.drain(..) {
            // SAFETY: cell and arena are this thread's.
            unsafe { cell.drop_at(Some((&slab, 0))) };
        }
        if others.is_empty() {
            // SAFETY: the arena is this thread's.
            others.extend((0..MANY).map(|_| unsafe { Cell::new(&slab, 0, SIZE + 64) }));
        }
        assert_eq!(Cell(slot).state().load(Relaxed), 0);
    });
    trim(&slab);
    assert!(slab.chunks().1 < chunks, "what was condemned is given back");
    for cell in others {
        // SAFETY: cell and arena are this thread's.
        unsafe { cell.drop_at(Some((&slab, 0))) };
    }
}

#[test]
fn an_abandoned_slab_lives_until_the_last_slot_is_freed() {
    let slab = Arc::new(Slab::new(2, 0));
    let cells: Vec<_> = (0..if cfg!(miri) { 150 } else { 2_000 })
        // SAFETY: the arena is this thread's.
        .map(|n| unsafe { Cell::new(&slab, n % 2, SIZE) })
        .collect();
    let (last, first) = cells.split_last().unwrap();
    // SAFETY: the arenas are all this thread's, and nobody takes from them again.
    unsafe { slab.abandon(slab.clone()) };
    // SAFETY: the arenas are all this thread's, and nobody takes from them again.
    unsafe { slab.abandon(slab.clone()) };
    let weak = Arc::downgrade(&slab);
    drop(slab);
    thread::scope(|scope| {
        for half in first.chunks(first.len() / 2).map(<[Cell]>::to_vec) {
            scope.spawn(move || {
                half.into_iter()
                    // SAFETY: the cell is this thread's; by `None` it says that it owns no arena.
                    .for_each(|cell| unsafe { cell.drop_at(None) })
            });
        }
    });
    assert_eq!(weak.upgrade().unwrap().chunks(), (1, 0));
    // SAFETY: the cell is this thread's; by `None` it says that it owns no arena.
    unsafe { last.drop_at(None) };
    assert!(weak.upgrade().is_none());
}

#[test]
fn an_abandoned_slab_without_live_slots_keeps_nothing() {
    let slab = Slab::new(1, 0);
    for _ in 0..10 {
        // SAFETY: the cell is this thread's; by `None` it says that it owns no arena.
        unsafe { Cell::new(&slab, 0, SIZE).drop_at(None) };
    }
    let keep = Arc::new(());
    // SAFETY: the arenas are all this thread's, and nobody takes from them again.
    unsafe { slab.abandon(keep.clone()) };
    assert_eq!(Arc::strong_count(&keep), 1);
    assert_eq!(slab.chunks(), (0, 0));
}

#[test]
#[cfg_attr(miri, ignore = "the slab stays, which is a leak")]
fn a_slot_outlives_a_slab_that_was_dropped_without_a_word() {
    let slab = Slab::new(1, 7);
    // SAFETY: the arena is this thread's.
    let cell = unsafe { Cell::new(&slab, 0, SIZE) };
    drop(slab);
    // SAFETY: the slot is out, and ours.
    assert_eq!(unsafe { Slab::<usize>::cookie(cell.0) }, 7);
    // SAFETY: the cell is this thread's; by `None` it says that it owns no arena.
    unsafe { cell.drop_at(None) };
}
