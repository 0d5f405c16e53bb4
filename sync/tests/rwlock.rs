//! `RwLock` through its public face: what Go's own tests of `sync.RWMutex` check, stated anew, and
//! what only exists here.
#![cfg(not(loom))]

mod support;

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicIsize, AtomicUsize, Ordering};

use runtime::task::coop::consume_budget;
use support::{
    Random, WORKERS, blocks, give_up_after, message_of, on, on_each, on_one_alone, pause,
    poll_as_task, poll_once, poll_with_budget, with_seeds,
};
use sync::{RwLock, WaitGroup, channel, select};

/// Go: TestParallelReaders.
#[test]
fn all_readers_are_inside_together() {
    on_each(WORKERS, || async {
        let lock = Arc::new(RwLock::new(()));
        let (inside, entered) = channel(0);
        let (leave, may_leave) = channel::<()>(0);
        let group = WaitGroup::new();
        for _ in 0..10 {
            let (lock, inside, may_leave) = (lock.clone(), inside.clone(), may_leave.clone());
            group.spawn(async move {
                let _guard = lock.read().await;
                inside.send(()).await.unwrap();
                may_leave.recv().await;
            });
        }
        for _ in 0..10 {
            entered.recv().await.unwrap();
        }
        assert!(lock.try_write().is_none());
        leave.close();
        group.wait().await;
        assert!(lock.try_write().is_some());
    });
}

/// Go: TestRWMutex. Readers count one, writers ten thousand.
#[test]
fn writers_are_alone() {
    on_each(WORKERS, || async {
        for readers in [1, 3, 10] {
            let lock = Arc::new(RwLock::new(()));
            let inside = Arc::new(AtomicIsize::new(0));
            let group = WaitGroup::new();
            for task in 0..readers + 2 {
                let (lock, inside) = (lock.clone(), inside.clone());
                group.spawn(async move {
                    for round in 0..300 {
                        if task < 2 {
                            let _guard = lock.write().await;
                            assert_eq!(inside.fetch_add(10_000, Ordering::SeqCst), 0);
                            pause(round % 2).await;
                            inside.fetch_sub(10_000, Ordering::SeqCst);
                        } else {
                            let _guard = lock.read().await;
                            let others = inside.fetch_add(1, Ordering::SeqCst);
                            assert!((0..10_000).contains(&others));
                            pause(round % 3).await;
                            inside.fetch_sub(1, Ordering::SeqCst);
                        }
                    }
                });
            }
            group.wait().await;
        }
    });
}

/// Also one that goes away in between leaves nothing behind.
#[test]
fn in_the_midst_of_other_work_a_writer_gets_in_line_with_its_second_poll() {
    on_one_alone(async {
        let lock = RwLock::new(());
        let reader = lock.try_read().unwrap();
        some_work().await;
        let mut write = Box::pin(lock.write());
        assert!(poll_as_task(write.as_mut()).await.is_pending());
        assert!(lock.try_read().is_some(), "it is not in line yet");
        drop(write);
        let mut write = Box::pin(lock.write());
        assert!(poll_as_task(write.as_mut()).await.is_pending());
        assert!(poll_as_task(write.as_mut()).await.is_pending());
        assert!(lock.try_read().is_none(), "it is in line");
        drop(reader);
        drop(write.await);
        assert!(lock.try_write().is_some());
    });
}

/// A set of futures, or a test, may count on the order in which it began them.
#[test]
fn polled_with_another_waker_than_the_task_s_a_writer_gets_in_line_at_once() {
    on_one_alone(async {
        let lock = RwLock::new(());
        let _reader = lock.try_read().unwrap();
        some_work().await;
        let mut write = Box::pin(lock.write());
        assert!(poll_with_budget(write.as_mut()).is_pending());
        assert!(lock.try_read().is_none(), "it is in line");
    });
}

/// More than most tasks do between two waits, and less than the budget.
async fn some_work() {
    for _ in 0..32 {
        consume_budget().await;
    }
}

/// Each task holds the lock over no await: where they run one after the other, nobody need ever
/// wait for it.
#[test]
fn tasks_that_waited_once_do_not_wait_for_ever_after() {
    on_one_alone(async {
        let lock = Arc::new(RwLock::new(0));
        let group = WaitGroup::new();
        let waits = Arc::new(AtomicUsize::new(0));
        // All of them begin with a wait.
        let writer = lock.try_write().unwrap();
        for task in 0..8 {
            let (lock, waits) = (lock.clone(), waits.clone());
            group.spawn(async move {
                for access in task * 4..ACCESSES {
                    if access % 32 == 0 {
                        *counting(lock.write(), &waits).await += 1;
                    } else {
                        let _count = *counting(lock.read(), &waits).await;
                    }
                }
            });
        }
        runtime::yield_now().await;
        drop(writer);
        group.wait().await;
        // Without a way out, each access is one. With it, it takes some rounds.
        let waits = waits.load(Ordering::Relaxed);
        assert!(waits < ACCESSES, "{waits} waits");
    });
}

const ACCESSES: usize = 20_000;

/// Counts the polls that find the lock taken, or the budget spent.
async fn counting<F: Future>(future: F, waits: &AtomicUsize) -> F::Output {
    let mut future = pin!(future);
    poll_fn(|cx| {
        let polled = future.as_mut().poll(cx);
        if polled.is_pending() {
            waits.fetch_add(1, Ordering::Relaxed);
        }
        polled
    })
    .await
}

#[test]
fn a_writer_that_waits_keeps_new_readers_out() {
    let lock = RwLock::new(1);
    let reader = lock.try_read().unwrap();
    let mut write = pin!(lock.write());
    assert!(poll_once(write.as_mut()).is_pending());
    assert!(lock.try_read().is_none());
    let mut late = pin!(lock.read());
    assert!(poll_once(late.as_mut()).is_pending());
    drop(reader);
    assert!(
        poll_once(late.as_mut()).is_pending(),
        "the writer came first"
    );
    let guard = poll_once(write.as_mut());
    assert!(guard.is_ready());
    drop(guard);
    assert!(poll_once(late.as_mut()).is_ready());
}

#[test]
fn phases_alternate() {
    let lock = RwLock::new(());
    let first = lock.try_write().unwrap();
    let mut reader = pin!(lock.read());
    let mut second = pin!(lock.write());
    let mut late = pin!(lock.read());
    assert!(poll_once(reader.as_mut()).is_pending());
    assert!(poll_once(second.as_mut()).is_pending());
    assert!(poll_once(late.as_mut()).is_pending());
    drop(first);
    // All readers that wait, also the one behind the second writer.
    let guards = (poll_once(reader.as_mut()), poll_once(late.as_mut()));
    assert!(guards.0.is_ready() && guards.1.is_ready());
    assert!(poll_once(second.as_mut()).is_pending());
    drop(guards);
    assert!(poll_once(second.as_mut()).is_ready());
}

#[test]
fn a_writer_that_gives_up_lets_the_readers_join() {
    let lock = RwLock::new(());
    let held = lock.try_read().unwrap();
    let mut write = Box::pin(lock.write());
    let mut read = pin!(lock.read());
    assert!(poll_once(write.as_mut()).is_pending());
    assert!(poll_once(read.as_mut()).is_pending());
    drop(write);
    assert!(
        poll_once(read.as_mut()).is_ready(),
        "while the other still reads"
    );
    drop(held);
}

#[test]
fn a_lock_handed_to_one_that_goes_away_goes_on() {
    let lock = RwLock::new(());
    let held = lock.try_write().unwrap();
    let mut gone = Box::pin(lock.read());
    let mut next = pin!(lock.write());
    assert!(poll_once(gone.as_mut()).is_pending());
    assert!(poll_once(next.as_mut()).is_pending());
    drop(held); // to the reader …
    assert!(poll_once(next.as_mut()).is_pending());
    drop(gone); // … which goes away
    assert!(poll_once(next.as_mut()).is_ready());
}

#[test]
fn a_hundred_readers_are_let_in_after_a_writer() {
    on_each(WORKERS, || async {
        let lock = Arc::new(RwLock::new(()));
        let held = lock.write().await;
        let inside = Arc::new(AtomicUsize::new(0));
        let group = WaitGroup::new();
        for _ in 0..100 {
            let (lock, inside) = (lock.clone(), inside.clone());
            group.spawn(async move {
                let _guard = lock.read().await;
                inside.fetch_add(1, Ordering::SeqCst);
                while inside.load(Ordering::SeqCst) < 100 {
                    runtime::yield_now().await;
                }
            });
        }
        pause(20).await;
        drop(held);
        group.wait().await;
        assert!(lock.try_write().is_some());
    });
}

#[test]
fn guards_give_access_and_owned_ones_go_into_tasks() {
    on_each(WORKERS, || async {
        let lock = Arc::new(RwLock::new(1));
        let mut guard = lock.clone().write_owned().await;
        let task = runtime::spawn(async move { *guard += 1 });
        let read = lock.clone().read_owned().await;
        assert_eq!(*read, 2);
        task.await.unwrap();
        blocks(lock.write()).await;
        drop(read);
        *lock.write().await += 1;
        assert_eq!(format!("{lock:?}"), "RwLock { value: 3 }");
        let guard = lock.write().await;
        assert_eq!(
            format!("{lock:?} {guard:?}"),
            "RwLock { value: <locked> } 3"
        );
    });
}

#[test]
fn it_can_be_an_arm_of_a_select() {
    on_each(WORKERS, || async {
        let lock = RwLock::new(());
        let held = lock.write().await;
        select! {
            _guard = lock.read() => unreachable!(),
            _guard = lock.write() => unreachable!(),
            () = runtime::yield_now() => {}
        }
        drop(held);
        assert!(
            lock.try_write().is_some(),
            "the arms that lost left nothing behind"
        );
    });
}

#[test]
fn threads_wait_for_tasks() {
    on_each(WORKERS, || async {
        let lock = Arc::new(RwLock::new(1));
        let held = lock.clone().write_owned().await;
        let (one, two) = (lock.clone(), lock.clone());
        let reader = runtime::spawn_blocking(move || *one.blocking_read());
        let writer = runtime::spawn_blocking(move || *two.blocking_write() += 1);
        drop(held);
        assert!([1, 2].contains(&reader.await.unwrap()));
        writer.await.unwrap();
        assert!(message_of(|| lock.blocking_read()).contains("read().await"));
    });
}

#[test]
fn random_cancellation_loses_no_lock() {
    with_seeds(4, |seed| {
        for &workers in WORKERS {
            on(workers, random_cancellation(seed));
        }
    });
}

async fn random_cancellation(seed: u64) {
    let lock = Arc::new(RwLock::new(0_usize));
    let tasks: Vec<_> = (0..20)
        .map(|task| {
            let lock = lock.clone();
            let mut random = Random::new(seed ^ (task << 40));
            runtime::spawn(async move {
                let mut written = 0;
                for _ in 0..100 {
                    let polls = if random.chance(50) {
                        usize::MAX
                    } else {
                        random.below(5)
                    };
                    if random.chance(30) {
                        if let Some(mut guard) = give_up_after(polls, lock.write()).await {
                            let before = *guard;
                            pause(random.below(3)).await;
                            *guard = before + 1;
                            written += 1;
                        }
                    } else if let Some(guard) = give_up_after(polls, lock.read()).await {
                        let before = *guard;
                        pause(random.below(3)).await;
                        assert_eq!(*guard, before, "written while it is read");
                    }
                }
                written
            })
        })
        .collect();
    let mut written = 0;
    for task in tasks {
        written += task.await.unwrap();
    }
    assert_eq!(*lock.try_write().expect("nobody holds it"), written);
}
