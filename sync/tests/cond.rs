//! `Cond` through its public face: what Go's own tests of `sync.Cond` check, stated anew, and what
//! only exists here.
#![cfg(not(loom))]

mod support;

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use support::{Random, WORKERS, blocks, give_up_after, on, on_each, pause, poll_once, with_seeds};
use sync::{Cond, Mutex, WaitGroup, select};

/// Go: TestCondSignal: exactly one wakes for each signal. Go: TestCondSignalGenerations: in order.
#[test]
fn each_signal_wakes_one_in_the_order_in_which_they_came() {
    let (mutex, cond) = (Mutex::new(()), Cond::new());
    let mut waits: Vec<_> = (0..5)
        .map(|_| Box::pin(cond.wait(mutex.try_lock().expect("wait gives it up"))))
        .map(|mut wait| {
            assert!(poll_once(wait.as_mut()).is_pending());
            wait
        })
        .collect();
    while !waits.is_empty() {
        cond.signal();
        for wait in &mut waits[1..] {
            assert!(
                poll_once(wait.as_mut()).is_pending(),
                "woken, or out of turn"
            );
        }
        assert!(poll_once(waits[0].as_mut()).is_ready());
        drop(waits.remove(0));
    }
}

/// Go: TestCondBroadcast.
#[test]
fn a_broadcast_wakes_all_that_wait_and_no_later_one() {
    on_each(WORKERS, || async {
        let shared = Arc::new((Mutex::new(0), Cond::new()));
        let group = WaitGroup::new();
        for _ in 0..100 {
            let shared = shared.clone();
            group.spawn(async move {
                let mut waiting = shared.0.lock().await;
                *waiting += 1;
                let mut waiting = shared.1.wait(waiting).await;
                *waiting -= 1;
            });
        }
        while *shared.0.lock().await < 100 {
            runtime::yield_now().await;
        }
        shared.1.broadcast();
        group.wait().await;
        assert_eq!(*shared.0.lock().await, 0);
        blocks(shared.1.wait(shared.0.lock().await)).await;
    });
}

/// Go: TestRace.
#[test]
fn three_take_turns_by_signals() {
    on_each(WORKERS, || async {
        let shared = Arc::new((Mutex::new(0), Cond::new()));
        let group = WaitGroup::new();
        for turn in 0..3 {
            let shared = shared.clone();
            group.spawn(async move {
                for round in 0..100 {
                    let mut at = shared.0.lock().await;
                    while *at != round * 3 + turn {
                        at = shared.1.wait(at).await;
                    }
                    *at += 1;
                    shared.1.broadcast();
                }
            });
        }
        group.wait().await;
        assert_eq!(*shared.0.lock().await, 300);
    });
}

/// Go: TestCondSignalStealing: a signal is for one who waited when it was given.
#[test]
fn a_later_waiter_does_not_steal_a_signal() {
    let (mutex, cond) = (Mutex::new(()), Cond::new());
    let mut first = pin!(cond.wait(mutex.try_lock().unwrap()));
    assert!(poll_once(first.as_mut()).is_pending());
    cond.signal();
    let mut later = pin!(cond.wait(mutex.try_lock().unwrap()));
    assert!(poll_once(later.as_mut()).is_pending());
    assert!(poll_once(later.as_mut()).is_pending());
    assert!(poll_once(first.as_mut()).is_ready());
}

#[test]
fn a_signal_of_one_that_goes_away_goes_to_the_next() {
    let (mutex, cond) = (Mutex::new(()), Cond::new());
    let mut gone = Box::pin(cond.wait(mutex.try_lock().unwrap()));
    assert!(poll_once(gone.as_mut()).is_pending());
    let mut next = pin!(cond.wait(mutex.try_lock().unwrap()));
    assert!(poll_once(next.as_mut()).is_pending());
    cond.signal();
    drop(gone);
    assert!(poll_once(next.as_mut()).is_ready());
}

#[test]
fn a_wait_that_loses_a_select_holds_no_lock() {
    on_each(WORKERS, || async {
        let (mutex, cond) = (Mutex::new(()), Cond::new());
        select! {
            _guard = cond.wait(mutex.lock().await) => unreachable!(),
            () = runtime::yield_now() => {}
        }
        assert!(mutex.try_lock().is_some());
    });
}

/// Tokens under the lock, a signal for each; waiters give up at random. As long as no signal is
/// lost, all tokens are taken.
#[test]
fn random_cancellation_loses_no_signal() {
    with_seeds(4, |seed| {
        for &workers in WORKERS {
            on(workers, random_cancellation(seed));
        }
    });
}

async fn random_cancellation(seed: u64) {
    const TOKENS: usize = 300;
    let shared = Arc::new((Mutex::new(0_usize), Cond::new()));
    let taken = Arc::new(AtomicUsize::new(0));
    let group = WaitGroup::new();
    for task in 0..8 {
        let (shared, taken) = (shared.clone(), taken.clone());
        let mut random = Random::new(seed ^ (task << 40));
        group.spawn(async move {
            let (mutex, cond) = &*shared;
            while taken.load(Ordering::SeqCst) < TOKENS {
                let mut tokens = mutex.lock().await;
                if *tokens > 0 {
                    *tokens -= 1;
                    if taken.fetch_add(1, Ordering::SeqCst) + 1 == TOKENS {
                        cond.broadcast();
                    }
                } else if taken.load(Ordering::SeqCst) < TOKENS {
                    let polls = if random.chance(50) {
                        usize::MAX
                    } else {
                        random.below(4)
                    };
                    drop(give_up_after(polls, cond.wait(tokens)).await);
                }
            }
        });
    }
    let mut random = Random::new(seed);
    for _ in 0..TOKENS {
        *shared.0.lock().await += 1;
        shared.1.signal();
        pause(random.below(3)).await;
    }
    group.wait().await;
}
