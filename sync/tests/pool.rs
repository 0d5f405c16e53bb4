//! `Pool` through its public face.
#![cfg(not(loom))]

mod support;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::*};
use std::thread;

use runtime::spawn;
use support::{Random, WORKERS, on, on_each, pause, with_seeds};
use sync::{OwnedPooled, Pool, Pooled, WaitGroup};

/// An item that counts how many of it there are, and that notices if two have it at once.
struct Item {
    alive: Arc<AtomicUsize>,
    users: AtomicUsize,
}

impl Item {
    fn new(alive: &Arc<AtomicUsize>) -> Self {
        alive.fetch_add(1, SeqCst);
        Self {
            alive: alive.clone(),
            users: AtomicUsize::new(0),
        }
    }
}

impl Drop for Item {
    fn drop(&mut self) {
        self.alive.fetch_sub(1, SeqCst);
    }
}

// TestPool
#[test]
fn what_was_put_is_got_again_the_newest_first() {
    let pool: Pool<&str> = Pool::new(|| "new");
    assert_eq!(pool.try_take(), None);
    pool.put("a");
    pool.put("b");
    assert_eq!((pool.try_take(), pool.try_take()), (Some("b"), Some("a")));
    assert_eq!(pool.try_take(), None);
}

// TestPoolNew
#[test]
fn what_is_not_there_is_made() {
    let made = AtomicUsize::new(0);
    let pool = Pool::new(|| made.fetch_add(1, Relaxed));
    assert_eq!((pool.take(), pool.take()), (0, 1));
    pool.put(42);
    assert_eq!((pool.take(), pool.take()), (42, 2));
}

#[test]
fn guards_put_back_and_can_be_taken_apart() {
    let pool: Arc<Pool<Vec<u8>>> = Arc::new(Pool::new(Vec::new));
    let mut one = pool.get();
    let mut two = pool.get_owned();
    one.push(1);
    two.push(2);
    assert_eq!(format!("{one:?} {two:?}"), "[1] [2]");
    drop((one, two));
    assert_eq!(pool.len(), 2);
    let (one, two) = (pool.get(), pool.get_owned());
    assert_eq!(
        Pooled::into_inner(one).len() + OwnedPooled::into_inner(two).len(),
        2
    );
    assert!(pool.is_empty());
}

#[test]
fn an_item_whose_guard_a_panic_drops_does_not_come_back() {
    let pool: Pool<String> = Pool::new(String::new);
    let half_done = || {
        let mut item = pool.get();
        item.push_str("half");
        panic!("in the middle");
    };
    assert!(catch_unwind(AssertUnwindSafe(half_done)).is_err());
    assert!(pool.is_empty());
    assert_eq!(*pool.get(), "");
}

#[test]
fn a_panic_in_new_leaves_the_pool_usable() {
    let pool = Pool::new(|| panic!("out of memory"));
    assert!(catch_unwind(AssertUnwindSafe(|| pool.take())).is_err());
    pool.put(1);
    assert_eq!(pool.take(), 1);
}

#[test]
fn what_one_thread_puts_another_takes() {
    let pool: Pool<u32> = Pool::new(|| 0);
    thread::scope(|scope| {
        scope.spawn(|| (1..=3).for_each(|n| pool.put(n)));
    });
    let mut all: Vec<_> = std::iter::from_fn(|| pool.try_take()).collect();
    all.sort_unstable();
    assert_eq!(all, [1, 2, 3]);
}

#[test]
fn it_keeps_no_more_than_its_capacity() {
    let threads = thread::available_parallelism().map_or(1, |n| n.get().next_power_of_two());
    for capacity in [0, 1, 10] {
        let alive = Arc::default();
        let pool = Pool::with_capacity(capacity, || Item::new(&alive));
        let all: Vec<_> = (0..1000).map(|_| pool.get()).collect();
        assert_eq!(alive.load(SeqCst), 1000);
        drop(all);
        assert_eq!(pool.len(), capacity.div_ceil(threads) * threads);
        assert_eq!(alive.load(SeqCst), pool.len());
        drop(pool);
        assert_eq!(alive.load(SeqCst), 0);
    }
}

#[test]
fn what_a_burst_leaves_behind_is_given_back_by_ordinary_use() {
    let alive = Arc::default();
    let pool = Pool::new(|| Item::new(&alive));
    drop((0..500).map(|_| pool.get()).collect::<Vec<_>>());
    assert_eq!(alive.load(SeqCst), 500);
    let mut used = 0;
    while alive.load(SeqCst) > 2 {
        drop((pool.get(), pool.get()));
        used += 1;
        assert!(used < 100_000, "{} are kept", alive.load(SeqCst));
    }
    // Those that are needed stay: none is made anew.
    for _ in 0..10_000 {
        drop((pool.get(), pool.get()));
        assert_eq!(alive.load(SeqCst), 2);
    }
}

#[test]
fn clear_empties_it_and_what_is_out_still_comes_back() {
    let alive = Arc::default();
    let pool = Pool::new(|| Item::new(&alive));
    let out = pool.get();
    drop((pool.get(), pool.get()));
    pool.clear();
    assert_eq!((alive.load(SeqCst), pool.len()), (1, 0));
    drop(out);
    assert_eq!((alive.load(SeqCst), pool.len()), (1, 1));
}

/// Looks at the pool while it is dropped: a shard that is locked then would not be counted.
struct Nosy {
    pool: Arc<Pool<Nosy>>,
    seen: Option<Arc<AtomicUsize>>,
}

impl Drop for Nosy {
    fn drop(&mut self) {
        if let Some(seen) = &self.seen {
            seen.store(self.pool.len(), SeqCst);
        }
    }
}

#[test]
fn an_item_that_does_not_fit_is_dropped_under_no_lock() {
    let pool: Arc<Pool<Nosy>> = Arc::new(Pool::with_capacity(1, || unreachable!()));
    let nosy = |seen| Nosy {
        pool: pool.clone(),
        seen,
    };
    for _ in 0..100 {
        pool.put(nosy(None));
    }
    let (full, seen) = (pool.len(), Arc::new(AtomicUsize::new(0)));
    assert!(full > 0);
    pool.put(nosy(Some(seen.clone())));
    assert_eq!(seen.load(SeqCst), full);
    pool.clear();
}

// TestPoolStress
#[test]
fn nobody_ever_has_what_another_has() {
    on_each(WORKERS, || async {
        let alive = Arc::default();
        let pool = {
            let alive = Arc::clone(&alive);
            Arc::new(Pool::with_capacity(32, move || Item::new(&alive)))
        };
        let group = WaitGroup::new();
        for _ in 0..20 {
            let pool = pool.clone();
            group.spawn(async move {
                for n in 0..300 {
                    let item = pool.get_owned();
                    assert_eq!(item.users.fetch_add(1, SeqCst), 0);
                    if n % 4 == 0 {
                        runtime::yield_now().await;
                    }
                    assert_eq!(item.users.fetch_sub(1, SeqCst), 1);
                }
            });
        }
        group.wait().await;
        assert_eq!(
            alive.load(SeqCst),
            pool.len(),
            "none is lost, none is there twice"
        );
        drop(pool);
        assert_eq!(alive.load(SeqCst), 0);
    });
}

#[test]
fn debug_shows_the_figures() {
    let pool: Pool<u32> = Pool::with_capacity(8, || 1);
    pool.put(5);
    assert_eq!(format!("{pool:?}"), "Pool { capacity: 8, len: 1, .. }");
}

#[test]
fn random_aborts_lose_no_item() {
    with_seeds(4, |seed| {
        for &workers in WORKERS {
            on(workers, random_aborts(seed));
        }
    });
}

/// Tasks with items in their hands are aborted; each item is in the pool afterwards, or has been
/// dropped.
async fn random_aborts(seed: u64) {
    let mut random = Random::new(seed);
    let alive = Arc::default();
    let pool = {
        let alive = Arc::clone(&alive);
        Arc::new(Pool::with_capacity(16, move || Item::new(&alive)))
    };
    for _ in 0..40 {
        let tasks: Vec<_> = (0..6)
            .map(|_| {
                let (pool, yields) = (pool.clone(), random.below(5));
                spawn(async move {
                    let one = pool.get_owned();
                    pause(yields).await;
                    let two = pool.get_owned();
                    pause(yields).await;
                    drop((one, two));
                })
            })
            .collect();
        for task in tasks {
            pause(random.below(3)).await;
            if random.chance(50) {
                task.abort();
            }
            let _ = task.await;
        }
        assert_eq!(alive.load(SeqCst), pool.len());
    }
}
