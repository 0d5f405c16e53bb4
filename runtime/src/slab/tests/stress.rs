//! All at once: owners, outsiders, a visitor, and the end of the slab.
use std::sync::{Arc, Barrier, Mutex};
use std::thread;

use super::super::{MAX_SIZE, Slab};
use super::support::{Cell, Random, within_minutes};

/// Owners allocate, pass tasks around, free their own and each other's; a visitor takes references
/// meanwhile; then the slab is abandoned while outsiders free what is left.
#[test]
fn stress() {
    let seed = Random::seed();
    let (owners, rounds) = if cfg!(miri) { (2, 60) } else { (4, 8_000) };
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
                        // SAFETY: the cell is this thread's; by `None` it says that it owns no
                        // arena.
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
                        // SAFETY: the cell is this thread's; by `None` it says that it owns no
                        // arena.
                        .for_each(|cell| unsafe { cell.drop_at(None) })
                });
            }
            scope.spawn(move || {
                // SAFETY: the arenas are all this thread's, and nobody takes from them again.
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
                    // SAFETY: cell and arena are this thread's.
                    .for_each(|cell| unsafe { cell.drop_at(Some((slab, arena))) });
            }
            4 if random.below(64) == 0 => {
                // SAFETY: the arena is this thread's.
                unsafe { slab.collect(arena) };
            }
            _ if growing && mine.len() < 2_000 => {
                let size = SIZES[random.below(SIZES.len() * 4).min(SIZES.len() - 1)];
                for _ in 0..random.below(8) {
                    // SAFETY: the arena is this thread's.
                    mine.push(unsafe { Cell::new(slab, arena, size) });
                }
            }
            _ => {
                let Some(last) = mine.len().checked_sub(1) else {
                    continue;
                };
                let cell = mine.swap_remove(random.below(last + 1));
                // SAFETY: cell and arena are this thread's.
                unsafe { cell.drop_at(Some((slab, arena))) };
            }
        }
    }
    pool.lock().unwrap().append(&mut mine);
}
