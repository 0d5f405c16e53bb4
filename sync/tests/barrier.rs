//! `Barrier` through its public face.
#![cfg(not(loom))]

mod support;

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use support::{
    Random, WORKERS, blocks, give_up_after, on, on_each, pause, poll_once, times, with_seeds,
};
use sync::{Barrier, WaitGroup};

#[test]
fn nobody_goes_before_all_have_come_and_one_leads() {
    on_each(WORKERS, || async {
        const SIZE: usize = times(50);
        let barrier = Arc::new(Barrier::new(SIZE));
        let (came, leaders) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let group = WaitGroup::new();
        for _ in 0..SIZE {
            let (barrier, came, leaders) = (barrier.clone(), came.clone(), leaders.clone());
            group.spawn(async move {
                for round in 1..=times(20) {
                    came.fetch_add(1, Ordering::Relaxed);
                    if barrier.wait().await.is_leader() {
                        leaders.fetch_add(1, Ordering::Relaxed);
                    }
                    assert!(came.load(Ordering::Relaxed) >= round * SIZE);
                }
            });
        }
        group.wait().await;
        assert_eq!(leaders.load(Ordering::Relaxed), times(20));
    });
}

#[test]
fn one_who_goes_away_has_not_come() {
    on_each(WORKERS, || async {
        let barrier = Barrier::new(2);
        blocks(barrier.wait()).await;
        blocks(barrier.wait()).await;
    });
}

#[test]
fn one_who_goes_away_after_the_last_has_come_does_not_hold_the_next_round_up() {
    let barrier = Barrier::new(2);
    let mut gone = Box::pin(barrier.wait());
    assert!(poll_once(gone.as_mut()).is_pending());
    assert!(poll_once(pin!(barrier.wait())).is_ready());
    drop(gone);
    let mut next = pin!(barrier.wait());
    assert!(poll_once(next.as_mut()).is_pending());
    assert!(poll_once(pin!(barrier.wait())).is_ready());
    assert!(poll_once(next.as_mut()).is_ready());
}

#[test]
fn threads_and_tasks_meet() {
    on_each(WORKERS, || async {
        let barrier = Arc::new(Barrier::new(2));
        let shared = barrier.clone();
        let thread = runtime::spawn_blocking(move || shared.blocking_wait().is_leader());
        let mine = barrier.wait().await.is_leader();
        assert!(mine != thread.await.unwrap());
    });
}

/// Each comes until it has been let through ten times, and often gives up: rounds are never mixed
/// up, so all get through.
#[test]
fn random_cancellation_keeps_the_count() {
    with_seeds(4, |seed| {
        for &workers in WORKERS {
            on(workers, random_cancellation(seed));
        }
    });
}

async fn random_cancellation(seed: u64) {
    let barrier = Arc::new(Barrier::new(3));
    let through = Arc::new(AtomicUsize::new(0));
    let group = WaitGroup::new();
    for task in 0..9 {
        let (barrier, through) = (barrier.clone(), through.clone());
        let mut random = Random::new(seed ^ (task << 40));
        group.spawn(async move {
            while through.load(Ordering::SeqCst) < times(300) {
                let polls = random.below(20);
                if give_up_after(polls, barrier.wait()).await.is_some() {
                    through.fetch_add(1, Ordering::SeqCst);
                }
                pause(random.below(2)).await;
            }
        });
    }
    group.wait().await;
    assert!(
        poll_once(pin!(barrier.wait())).is_pending(),
        "nobody is left over"
    );
    assert!(poll_once(pin!(barrier.wait())).is_pending());
}
