//! `Semaphore` through its public face: what Go's own tests of `semaphore.Weighted` check, stated
//! anew, and what only exists here.
#![cfg(not(loom))]

mod support;

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Wake, Waker};

use runtime::task::coop::consume_budget;
use support::{
    Random, WORKERS, blocks, give_up_after, message_of, on, on_each, on_one_alone, pause,
    poll_as_task, poll_once, with_seeds,
};
use sync::{Semaphore, WaitGroup, select};

/// Go: TestWeighted.
#[test]
fn never_more_than_there_are_permits() {
    on_each(WORKERS, || async {
        const SIZE: usize = 10;
        let semaphore = Arc::new(Semaphore::new(SIZE));
        let taken = Arc::new(AtomicUsize::new(0));
        let group = WaitGroup::new();
        for task in 0..SIZE {
            let (semaphore, taken) = (semaphore.clone(), taken.clone());
            group.spawn(async move {
                let n = task % SIZE + 1;
                for _ in 0..200 {
                    let permit = semaphore.acquire_many(n).await;
                    let now = taken.fetch_add(n, Ordering::Relaxed) + n;
                    assert!(now <= SIZE, "{now} permits of {SIZE}");
                    runtime::yield_now().await;
                    taken.fetch_sub(n, Ordering::Relaxed);
                    drop(permit);
                }
            });
        }
        group.wait().await;
        assert_eq!(semaphore.available(), SIZE);
    });
}

/// Also one that goes away in between leaves nothing behind.
#[test]
fn in_the_midst_of_other_work_one_gets_in_line_with_its_second_poll() {
    on_one_alone(async {
        let semaphore = Semaphore::new(2);
        let taken = semaphore.try_acquire().unwrap();
        // More than most tasks do between two waits, and less than the budget.
        for _ in 0..32 {
            consume_budget().await;
        }
        let mut both = Box::pin(semaphore.acquire_many(2));
        assert!(poll_as_task(both.as_mut()).await.is_pending());
        assert!(semaphore.try_acquire().is_some(), "it is not in line yet");
        drop(both);
        let mut both = Box::pin(semaphore.acquire_many(2));
        assert!(poll_as_task(both.as_mut()).await.is_pending());
        assert!(poll_as_task(both.as_mut()).await.is_pending());
        assert!(semaphore.try_acquire().is_none(), "it is in line");
        drop(taken);
        drop(both.await);
        assert_eq!(semaphore.available(), 2);
    });
}

/// Go: TestWeightedPanic.
#[test]
fn releasing_more_than_is_held_panics_and_changes_nothing() {
    let semaphore = Semaphore::new(1);
    assert_eq!(
        message_of(|| semaphore.release(1)),
        "semaphore: released more than held: dropping a permit gives it back; release() only what was forgotten"
    );
    assert_eq!(
        message_of(|| semaphore.release(usize::MAX)),
        "semaphore: released more than held: dropping a permit gives it back; release() only what was forgotten"
    );
    assert_eq!(semaphore.available(), 1);
    semaphore.try_acquire().unwrap().forget();
    semaphore.release(1);
    assert_eq!(semaphore.available(), 1);
    // Also while somebody waits for more than there is.
    let semaphore = Semaphore::new(2);
    let held = semaphore.try_acquire().unwrap();
    let mut waits = pin!(semaphore.acquire_many(2));
    assert!(poll_once(waits.as_mut()).is_pending());
    assert_eq!(
        message_of(|| semaphore.release(2)),
        "semaphore: released more than held: dropping a permit gives it back; release() only what was forgotten"
    );
    assert!(poll_once(waits.as_mut()).is_pending());
    drop(held);
    assert!(poll_once(waits).is_ready());
}

/// Go: TestWeightedTryAcquire.
#[test]
fn try_acquire_takes_what_is_there_and_no_more() {
    let semaphore = Semaphore::new(2);
    let one = semaphore.try_acquire().unwrap();
    let two = semaphore.try_acquire().unwrap();
    assert!(semaphore.try_acquire().is_none());
    drop((one, two));
    assert!(semaphore.try_acquire_many(3).is_none());
    assert_eq!(semaphore.try_acquire_many(2).unwrap().count(), 2);
    assert!(semaphore.try_acquire_many(0).is_some());
}

/// Go: TestWeightedAcquire. There the waiting ends with a context; here the future is dropped.
#[test]
fn acquire_waits_until_permits_come_back() {
    on_each(WORKERS, || async {
        let semaphore = Semaphore::new(2);
        let both = semaphore.acquire_many(2).await;
        blocks(semaphore.acquire()).await;
        drop(both);
        drop(semaphore.acquire().await);
    });
}

/// Go: TestWeightedDoesntBlockIfTooBig. There it waits for its context to end; here the mistake is
/// seen at once. In both, others go on.
#[test]
fn a_request_that_can_never_be_met_panics_and_blocks_nobody() {
    on_each(WORKERS, || async {
        let semaphore = Semaphore::new(2);
        let message = message_of(|| drop(semaphore.acquire_many(3)));
        assert!(
            message.contains("3 permits of a semaphore of 2"),
            "{message}"
        );
        drop(semaphore.acquire_many(2).await);
    });
}

/// Go: TestLargeAcquireDoesntStarve.
#[test]
fn a_large_request_is_not_starved_by_small_ones() {
    on_each(WORKERS, || async {
        const SIZE: usize = 4;
        let semaphore = Arc::new(Semaphore::new(SIZE));
        let running = Arc::new(std::sync::atomic::AtomicBool::new(true));
        let group = WaitGroup::new();
        for _ in 0..SIZE {
            let (semaphore, running) = (semaphore.clone(), running.clone());
            group.spawn(async move {
                let mut permit = semaphore.clone().acquire_owned().await;
                while running.load(Ordering::Relaxed) {
                    runtime::yield_now().await;
                    drop(permit);
                    permit = semaphore.clone().acquire_owned().await;
                }
            });
        }
        pause(10).await;
        drop(semaphore.acquire_many(SIZE).await);
        running.store(false, Ordering::Relaxed);
        group.wait().await;
    });
}

/// Go: TestAllocCancelDoesntStarve.
#[test]
fn a_large_request_that_goes_away_lets_those_behind_it_through() {
    let semaphore = Semaphore::new(10);
    let held = semaphore.try_acquire().unwrap();
    let mut large = Box::pin(semaphore.acquire_many(10));
    let mut small = pin!(semaphore.acquire());
    assert!(poll_once(large.as_mut()).is_pending());
    assert!(
        poll_once(small.as_mut()).is_pending(),
        "it does not overtake"
    );
    assert!(semaphore.try_acquire().is_none(), "nor does this");
    drop(large);
    assert!(poll_once(small.as_mut()).is_ready());
    drop(held);
}

/// Go: TestWeightedAcquireCanceled, by dropping: permits that were granted but not seen come back.
#[test]
fn permits_handed_to_one_that_goes_away_go_to_the_next() {
    let semaphore = Semaphore::new(2);
    let held = semaphore.try_acquire_many(2).unwrap();
    let mut gone = Box::pin(semaphore.acquire_many(2));
    let mut next = pin!(semaphore.acquire());
    assert!(poll_once(gone.as_mut()).is_pending());
    assert!(poll_once(next.as_mut()).is_pending());
    drop(held);
    assert!(
        poll_once(next.as_mut()).is_pending(),
        "they went to the first"
    );
    drop(gone);
    let Poll::Ready(permit) = poll_once(next.as_mut()) else {
        panic!("one was passed on");
    };
    assert_eq!(semaphore.available(), 1);
    drop(permit);
    assert_eq!(semaphore.available(), 2);
}

#[test]
fn many_are_served_by_one_large_release() {
    on_each(WORKERS, || async {
        let semaphore = Arc::new(Semaphore::new(100));
        let all = semaphore.acquire_many(100).await;
        let group = WaitGroup::new();
        for _ in 0..100 {
            let semaphore = semaphore.clone();
            group.spawn(async move { semaphore.acquire().await.forget() });
        }
        pause(50).await;
        drop(all);
        group.wait().await;
        assert_eq!(semaphore.available(), 0);
    });
}

#[test]
fn it_can_be_an_arm_of_a_select() {
    on_each(WORKERS, || async {
        let semaphore = Semaphore::new(1);
        let held = semaphore.acquire().await;
        let taken = select! {
            _permit = semaphore.acquire() => true,
            () = runtime::yield_now() => false,
        };
        assert!(!taken);
        drop(held);
        assert!(
            semaphore.try_acquire().is_some(),
            "the arm that lost left nothing behind"
        );
    });
}

#[test]
fn threads_wait_for_tasks() {
    on_each(WORKERS, || async {
        let semaphore = Arc::new(Semaphore::new(2));
        let held = semaphore.clone().acquire_many_owned(2).await;
        let shared = semaphore.clone();
        let thread = runtime::spawn_blocking(move || shared.blocking_acquire_many(2).count());
        runtime::yield_now().await;
        drop(held);
        assert_eq!(thread.await.unwrap(), 2);
    });
}

/// Gives one permit back when it is called.
struct GivesBack(Arc<Semaphore>);

impl Wake for GivesBack {
    fn wake(self: Arc<Self>) {
        self.0.release(1);
    }
}

/// Many are served in several goes, and between two of them the permits may have changed.
#[test]
fn a_permit_that_comes_back_while_many_are_woken_serves_one_more() {
    const RELEASED: usize = 80;
    let semaphore = Arc::new(Semaphore::new(200));
    semaphore.try_acquire_many(200).unwrap().forget();
    let mut waiting: Vec<_> = (0..150).map(|_| Box::pin(semaphore.acquire())).collect();
    let first = Waker::from(Arc::new(GivesBack(semaphore.clone())));
    for (i, acquire) in waiting.iter_mut().enumerate() {
        let waker = if i == 0 { &first } else { Waker::noop() };
        let polled = acquire.as_mut().poll(&mut Context::from_waker(waker));
        assert!(polled.is_pending());
    }
    semaphore.release(RELEASED);
    let mut served = 0;
    for acquire in &mut waiting {
        if let Poll::Ready(permit) = poll_once(acquire.as_mut()) {
            permit.forget();
            served += 1;
        }
    }
    assert_eq!(served, RELEASED + 1);
    assert_eq!(semaphore.available(), 0);
}

#[test]
fn nobody_is_said_to_wait_once_all_have_been_refused() {
    let semaphore = Semaphore::new(1);
    semaphore.try_acquire().unwrap().forget();
    let mut waiting = pin!(semaphore.checked_acquire(1));
    assert!(poll_once(waiting.as_mut()).is_pending());
    assert!(semaphore.close());
    assert_eq!(
        format!("{semaphore:?}"),
        "Semaphore { size: 1, available: 0, waited_for: false, closed: true }"
    );
    assert!(matches!(poll_once(waiting), Poll::Ready(Err(_))));
}

#[test]
fn debug_shows_the_figures() {
    let semaphore = Semaphore::new(3);
    let permit = semaphore.try_acquire_many(2).unwrap();
    assert_eq!(
        format!("{semaphore:?} {permit:?}"),
        "Semaphore { size: 3, available: 1, waited_for: false, closed: false } SemaphorePermit { count: 2, .. }"
    );
}

#[test]
fn random_cancellation_loses_no_permit() {
    with_seeds(4, |seed| {
        for &workers in WORKERS {
            on(workers, random_cancellation(seed));
        }
    });
}

async fn random_cancellation(seed: u64) {
    const SIZE: usize = 5;
    let semaphore = Arc::new(Semaphore::new(SIZE));
    let tasks: Vec<_> = (0..20)
        .map(|task| {
            let semaphore = semaphore.clone();
            let mut random = Random::new(seed ^ (task << 40));
            runtime::spawn(async move {
                for _ in 0..100 {
                    let polls = if random.chance(50) {
                        usize::MAX
                    } else {
                        random.below(5)
                    };
                    let acquire = semaphore.acquire_many(random.below(SIZE + 1));
                    let permit = give_up_after(polls, acquire).await;
                    pause(random.below(3)).await;
                    drop(permit);
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    assert_eq!(semaphore.available(), SIZE);
    assert!(
        semaphore.try_acquire_many(SIZE).is_some(),
        "nobody is queued"
    );
}
