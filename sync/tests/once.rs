//! `Once` and `OnceCell` through their public face: what Go's own tests of `sync.Once` and its kin
//! check, stated anew.
#![cfg(not(loom))]

mod support;

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use futures_util::FutureExt;
use support::{Random, WORKERS, give_up_after, on, on_each, pause, with_seeds};
use sync::{Once, OnceCell, WaitGroup, select};

/// Go: TestOnce.
#[test]
fn many_callers_and_it_is_done_once_before_any_returns() {
    on_each(WORKERS, || async {
        let once = Arc::new(Once::new());
        let done = Arc::new(AtomicUsize::new(0));
        let group = WaitGroup::new();
        for _ in 0..10 {
            let (once, done) = (once.clone(), done.clone());
            group.spawn(async move {
                once.call(|| async {
                    pause(3).await;
                    done.fetch_add(1, Ordering::Relaxed);
                })
                .await;
                assert_eq!(done.load(Ordering::Relaxed), 1);
            });
        }
        group.wait().await;
        assert!(once.is_done());
    });
}

/// Go: TestOncePanic. There a panic counts as done; here it does not.
#[test]
fn after_a_panic_the_next_tries() {
    on_each(WORKERS, || async {
        let once = Once::new();
        let panicked = AssertUnwindSafe(once.call(|| async { panic!("failed") })).catch_unwind();
        assert!(panicked.await.is_err());
        assert!(!once.is_done());
        once.call(|| async {}).await;
        assert!(once.is_done());
    });
}

/// Go: TestOnceValue, TestOnceValues.
#[test]
fn the_value_is_made_once_and_an_error_is_not_kept() {
    on_each(WORKERS, || async {
        let cell = OnceCell::new();
        assert_eq!(
            cell.get_or_try_init(|| async { Err::<u32, _>("no") }).await,
            Err("no")
        );
        assert_eq!(cell.get(), None);
        assert_eq!(*cell.get_or_init(|| async { 1 }).await, 1);
        assert_eq!(*cell.get_or_init(|| async { unreachable!() }).await, 1);
        assert_eq!(cell.set(2), Err(2));
        assert_eq!(format!("{cell:?}"), "OnceCell { value: Some(1) }");
        assert_eq!(cell.into_inner(), Some(1));
    });
}

struct OnDrop(Arc<AtomicUsize>);

impl Drop for OnDrop {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

/// Go: TestOnceXGC: what the function owns goes when it has run.
#[test]
fn what_the_initialiser_owned_is_dropped_when_it_has_run() {
    on(1, async {
        let dropped = Arc::new(AtomicUsize::new(0));
        let cell = OnceCell::new();
        let owned = OnDrop(dropped.clone());
        cell.get_or_init(move || async move {
            let _owned = owned;
            1
        })
        .await;
        assert_eq!(dropped.load(Ordering::SeqCst), 1);
    });
}

#[test]
fn an_initialiser_that_is_dropped_leaves_it_to_the_next() {
    on_each(WORKERS, || async {
        let cell = OnceCell::new();
        select! {
            _ = cell.get_or_init(std::future::pending) => unreachable!(),
            () = runtime::yield_now() => {}
        }
        assert_eq!(*cell.get_or_init(|| async { 7 }).await, 7);
    });
}

#[test]
fn set_fails_while_the_value_is_being_made() {
    on_each(WORKERS, || async {
        let cell = OnceCell::new();
        let cell = &cell;
        let made = cell.get_or_init(|| async {
            runtime::yield_now().await;
            assert_eq!(cell.set(2), Err(2));
            1
        });
        assert_eq!(*made.await, 1);
    });
}

#[test]
fn random_cancellation_makes_it_exactly_once() {
    with_seeds(4, |seed| {
        for &workers in WORKERS {
            on(workers, random_cancellation(seed));
        }
    });
}

async fn random_cancellation(seed: u64) {
    let mut random = Random::new(seed);
    for _ in 0..50 {
        let cell = Arc::new(OnceCell::new());
        let made = Arc::new(AtomicUsize::new(0));
        let group = WaitGroup::new();
        for task in 0..20 {
            let (cell, made) = (cell.clone(), made.clone());
            let mut random = Random::new(random.next() ^ (task << 40));
            group.spawn(async move {
                let polls = if task == 0 || random.chance(30) {
                    usize::MAX
                } else {
                    random.below(5)
                };
                let yields = random.below(4);
                let init = || async {
                    pause(yields).await;
                    made.fetch_add(1, Ordering::SeqCst)
                };
                let got = give_up_after(polls, cell.get_or_init(init)).await;
                assert!(got.is_none_or(|&nth| nth == 0));
            });
        }
        group.wait().await;
        assert_eq!(cell.get(), Some(&0));
        assert_eq!(made.load(Ordering::SeqCst), 1);
    }
}
