//! `singleflight` through its public face: what Go's own tests of it check, stated anew, and what
//! only exists here.
#![cfg(not(loom))]

mod support;

use std::panic::AssertUnwindSafe;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

use futures_util::FutureExt;
use support::{Random, WORKERS, give_up_after, message_of, on, on_each, pause, with_seeds};
use sync::singleflight::Group;
use sync::{channel, select};

/// Go: TestDo, TestDoErr.
#[test]
fn the_result_is_returned_and_not_kept() {
    on_each(WORKERS, || async {
        let group = Group::new();
        assert_eq!(group.run("key", || async { Ok(1) }).await, Ok(1));
        assert_eq!(
            group.run("key", || async { Err("failed") }).await,
            Err("failed")
        );
        assert_eq!(format!("{group:?}"), "Group { running: 0 }");
    });
}

/// Go: TestDoDupSuppress.
#[test]
fn those_who_ask_meanwhile_get_the_same() {
    on_each(WORKERS, || async {
        let group = Arc::new(Group::new());
        let calls = Arc::new(AtomicUsize::new(0));
        let (tx, rx) = channel::<u32>(0);
        let asking: Vec<_> = (0..10)
            .map(|_| {
                let (group, calls, rx) = (group.clone(), calls.clone(), rx.clone());
                runtime::spawn(async move {
                    let call = move || async move {
                        calls.fetch_add(1, Ordering::SeqCst);
                        rx.recv().await
                    };
                    group.run("key", call).await
                })
            })
            .collect();
        pause(20).await;
        tx.send(7).await.unwrap();
        tx.close();
        for asked in asking {
            let answer = asked.await.unwrap();
            assert!(answer == Some(7) || calls.load(Ordering::SeqCst) > 1);
        }
        assert!((1..=10).contains(&calls.load(Ordering::SeqCst)));
    });
}

/// A key whose `clone` asks the same group for another key: it would wait for itself if that ran
/// under the group's lock.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Nosy(u32);

static NOSY: OnceLock<Group<Nosy, u32>> = OnceLock::new();

impl Clone for Nosy {
    fn clone(&self) -> Self {
        if self.0 == 1 {
            NOSY.get().unwrap().forget(&Nosy(2));
        }
        Self(self.0)
    }
}

#[test]
fn a_key_may_use_the_group_while_it_is_cloned() {
    on_each(WORKERS, || async {
        let group = NOSY.get_or_init(Group::new);
        assert_eq!(group.run(Nosy(1), || async { 7 }).await, 7);
    });
}

/// Polls `future` so that its call has been started, and no more: without a budget, whose end would
/// look like waiting.
async fn begin<F: Future>(future: std::pin::Pin<&mut F>) {
    let mut future = Some(future);
    std::future::poll_fn(|cx| {
        let future = runtime::task::coop::unconstrained(future.take().expect("once"));
        let polled = std::pin::pin!(future).poll(cx);
        assert!(polled.is_pending());
        std::task::Poll::Ready(())
    })
    .await;
}

/// Go: TestForget.
#[test]
fn after_forget_the_next_starts_a_call_of_its_own() {
    on_each(WORKERS, || async {
        let group = Group::new();
        let (tx, rx) = channel::<u32>(0);
        let mut first =
            std::pin::pin!(group.run("key", move || async move { rx.recv().await.unwrap() }));
        begin(first.as_mut()).await;
        group.forget(&"key");
        assert_eq!(group.run("key", || async { 2 }).await, 2);
        tx.send(1).await.unwrap();
        assert_eq!(first.await, 1);
    });
}

/// Go: TestPanicDo, TestPanicDoSharedByDoChan.
#[test]
fn a_panic_reaches_all_who_wait() {
    on_each(WORKERS, || async {
        let group = Group::<_, ()>::new();
        let (tx, rx) = channel::<()>(0);
        let failing = || {
            let rx = rx.clone();
            move || async move {
                rx.recv().await;
                panic!("boom")
            }
        };
        let mut one = std::pin::pin!(AssertUnwindSafe(group.run(1, failing())).catch_unwind());
        begin(one.as_mut()).await;
        let mut two = std::pin::pin!(AssertUnwindSafe(group.run(1, failing())).catch_unwind());
        begin(two.as_mut()).await;
        tx.close();
        for panic in [one.await, two.await] {
            assert_eq!(*panic.unwrap_err().downcast::<String>().unwrap(), "boom");
        }
    });
}

#[test]
fn the_first_may_go_away_and_the_others_get_the_answer() {
    on_each(WORKERS, || async {
        let group = Group::new();
        let (tx, rx) = channel::<u32>(0);
        let mut first = Box::pin(group.run("key", move || async move { rx.recv().await.unwrap() }));
        begin(first.as_mut()).await;
        let mut second = std::pin::pin!(group.run("key", || async { unreachable!() }));
        begin(second.as_mut()).await;
        drop(first);
        tx.send(7).await.unwrap();
        assert_eq!(second.await, 7);
    });
}

#[test]
fn it_can_be_an_arm_of_a_select() {
    on_each(WORKERS, || async {
        let group = Group::<_, ()>::new();
        select! {
            () = group.run(1, std::future::pending) => unreachable!(),
            () = runtime::yield_now() => {}
        }
        assert_eq!(format!("{group:?}"), "Group { running: 1 }");
    });
}

#[test]
fn a_call_lost_with_its_runtime_is_not_waited_for_in_vain() {
    let group = Arc::new(Group::<_, ()>::new());
    let other = runtime::Builder::new().max_procs(1).build().unwrap();
    other.block_on(async {
        let mut run = std::pin::pin!(group.run(1, std::future::pending));
        begin(run.as_mut()).await;
    });
    let waiting = group.clone();
    let waiter = std::thread::spawn(move || {
        message_of(|| {
            let runtime = runtime::Builder::new().max_procs(1).build().unwrap();
            runtime.block_on(waiting.run(1, || async { unreachable!() }))
        })
    });
    // The waiter either joins the call that is lost, or comes after and starts one that panics: in
    // neither case does it hang.
    drop(other);
    let message = waiter.join().unwrap();
    assert!(
        message.contains("runtime shut down") || message.contains("unreachable"),
        "{message}"
    );
}

#[test]
fn random_cancellation_leaves_nobody_without_an_answer() {
    with_seeds(4, |seed| {
        for &workers in WORKERS {
            on(workers, random_cancellation(seed));
        }
    });
}

async fn random_cancellation(seed: u64) {
    let group = Arc::new(Group::new());
    let tasks: Vec<_> = (0..20_u64)
        .map(|task| {
            let group = group.clone();
            let mut random = Random::new(seed ^ (task << 40));
            runtime::spawn(async move {
                for _ in 0..50 {
                    let (key, yields) = (random.below(3), random.below(4));
                    let polls = if random.chance(50) {
                        usize::MAX
                    } else {
                        random.below(5)
                    };
                    let call = move || async move {
                        pause(yields).await;
                        key * 10
                    };
                    let answer = give_up_after(polls, group.run(key, call)).await;
                    assert!(answer.is_none_or(|answer| answer == key * 10));
                    assert!(answer.is_some() || polls != usize::MAX);
                    if random.chance(10) {
                        group.forget(&key);
                    }
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
}
