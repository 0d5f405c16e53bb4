//! Paused time with channels, select, contexts and groups: Go's tests of `testing/synctest` anew,
//! and runs that a seed makes again.
#![cfg(not(loom))]

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use runtime::time::{self, Instant};
use runtime::{Builder, task};
use sync::context::{Context, ContextError};
use sync::{WaitGroup, channel, select};

const SECOND: Duration = Duration::from_secs(1);

// ---- Go's examples ----

/// `TestContextAfterFunc` of the documentation of `testing/synctest`.
#[runtime::test(start_paused = true)]
async fn a_function_after_a_context_runs_when_it_is_cancelled_and_not_before() {
    let (ctx, cancel) = Context::background().with_cancel();
    let called = Arc::new(AtomicBool::new(false));
    let flag = called.clone();
    let _stop = ctx.after_func(move || flag.store(true, SeqCst));
    time::settle().await;
    assert!(!called.load(SeqCst), "before the context is cancelled");
    cancel.cancel();
    time::settle().await;
    assert!(called.load(SeqCst), "after the context is cancelled");
}

/// `TestContextWithTimeout`, likewise.
#[runtime::test(start_paused = true)]
async fn a_context_ends_at_its_timeout_and_not_a_nanosecond_before() {
    let timeout = 5 * SECOND;
    let (ctx, _cancel) = Context::background().with_timeout(timeout);
    time::sleep(timeout - Duration::from_nanos(1)).await;
    time::settle().await;
    assert!(ctx.err().is_none());
    time::sleep(Duration::from_nanos(1)).await;
    time::settle().await;
    assert!(matches!(ctx.err(), Some(ContextError::DeadlineExceeded)));
}

/// `internal/synctest`'s `TestNow`, `TestSimpleWait`, `TestGoroutineWait`, `TestTimeAfter` in one.
#[runtime::test(start_paused = true)]
async fn a_receive_with_a_timeout_waits_for_as_long_as_it_says() {
    let start = Instant::now();
    let (tx, rx) = channel::<u32>(0);
    let receiver = runtime::spawn(async move {
        let mut got = Vec::new();
        loop {
            select! {
                value = rx.recv() => match value {
                    Some(value) => got.push((start.elapsed().as_secs(), value)),
                    None => return got,
                },
                _ = time::sleep(10 * SECOND) => got.push((start.elapsed().as_secs(), 0)),
            }
        }
    });
    time::sleep(9 * SECOND).await;
    tx.send(1).await.unwrap();
    time::sleep(25 * SECOND).await;
    tx.send(2).await.unwrap();
    drop(tx);
    let got = receiver.await.unwrap();
    assert_eq!(got, [(9, 1), (19, 0), (29, 0), (34, 2)]);
}

/// A worker pool that gives up on slow work, and a group that waits for all: a minute of it in no
/// time.
#[runtime::test(start_paused = true)]
async fn a_pool_s_timeouts_are_exact() {
    let start = Instant::now();
    let (tx, rx) = channel(4);
    let group = WaitGroup::new();
    let late = Arc::new(AtomicUsize::new(0));
    for _ in 0..3 {
        let (rx, late) = (rx.clone(), late.clone());
        group.spawn(async move {
            while let Some(seconds) = rx.recv().await {
                if time::timeout(5 * SECOND, time::sleep(seconds * SECOND))
                    .await
                    .is_err()
                {
                    late.fetch_add(1, SeqCst);
                }
            }
        });
    }
    for seconds in (1..=8).cycle().take(24) {
        tx.send(seconds).await.unwrap();
    }
    drop(tx);
    group.wait().await;
    // 5 s is not late: the work is polled first. 6, 7 and 8 are, three times each.
    assert_eq!(late.load(SeqCst), 9);
    // Each cycle is 1+2+3+4+5+5+5+5 = 30 seconds of work for three.
    assert!(
        (30..=35).contains(&start.elapsed().as_secs()),
        "{:?}",
        start.elapsed()
    );
}

/// `TestCond` and `TestHappensBefore`: what the others have done is visible after the wait.
#[runtime::test(start_paused = true)]
async fn a_mutex_and_what_it_guards_are_settled_together() {
    let total = Arc::new(sync::Mutex::new(0));
    for n in 0..50 {
        let total = total.clone();
        runtime::spawn(async move {
            let mut total = total.lock().await;
            runtime::yield_now().await;
            *total += n;
        });
    }
    time::settle().await;
    assert_eq!(*total.try_lock().unwrap(), 49 * 50 / 2);
}

#[runtime::test(start_paused = true)]
async fn nested_deadlines_end_in_their_order() {
    let (outer, _cancel) = Context::background().with_timeout(10 * SECOND);
    let (inner, _cancel) = outer.with_timeout(3 * SECOND);
    let (capped, _cancel) = outer.with_timeout(60 * SECOND);
    let start = Instant::now();
    inner.done().await;
    assert_eq!(start.elapsed(), 3 * SECOND);
    assert!(outer.err().is_none());
    capped.done().await;
    assert_eq!(start.elapsed(), 10 * SECOND);
}

// ---- seeds ----

/// A program with a race in every line; what it does, in order.
fn trace(seed: u64, paused: bool) -> Vec<String> {
    let log = Arc::new(Mutex::new(Vec::new()));
    let rt = Builder::new()
        .seed(seed)
        .start_paused(paused)
        .build()
        .unwrap();
    let noted = log.clone();
    let task = rt.spawn(async move {
        let log = noted;
        let note = move |what: String| log.lock().unwrap().push(what);
        let (tx, rx) = channel(2);
        let (other_tx, other_rx) = channel(0);
        let group = WaitGroup::new();
        for n in 0..6 {
            let (tx, other_tx, note) = (tx.clone(), other_tx.clone(), note.clone());
            group.spawn(async move {
                for i in 0..4 {
                    if paused {
                        // All at the same moments.
                        time::sleep(SECOND).await;
                    } else {
                        runtime::yield_now().await;
                    }
                    note(format!("{n} sends {i}"));
                    select! {
                        sent = tx.send((n, i)) => sent.unwrap(),
                        sent = other_tx.send((n, i)) => sent.unwrap(),
                    }
                    if task::random() >> 62 == 0 {
                        runtime::yield_now().await;
                    }
                }
            });
        }
        drop((tx, other_tx));
        let (mut open, mut other_open) = (true, true);
        while open || other_open {
            select! {
                value = rx.recv(), if open => match value {
                    Some(value) => note(format!("got {value:?}")),
                    None => open = false,
                },
                value = other_rx.recv(), if other_open => match value {
                    Some(value) => note(format!("got {value:?} on the other")),
                    None => other_open = false,
                },
            }
        }
        group.wait().await;
    });
    rt.block_on(task).unwrap();
    drop(rt);
    Arc::into_inner(log).unwrap().into_inner().unwrap()
}

#[test]
fn one_seed_gives_one_trace_and_others_give_others() {
    for paused in [true, false] {
        let mut all = std::collections::HashSet::new();
        for seed in 0..20 {
            let first = trace(seed, paused);
            assert_eq!(first.len(), 48);
            for _ in 0..3 {
                assert_eq!(trace(seed, paused), first, "seed {seed}, paused: {paused}");
            }
            all.insert(first);
        }
        assert!(all.len() > 15, "20 seeds gave only {} traces", all.len());
    }
}

#[test]
fn a_failing_run_names_its_seed_and_the_seed_fails_again() {
    // Fails for about every second seed.
    fn fails(seed: u64) -> bool {
        let rt = Builder::new().seed(seed).build().unwrap();
        let winner = rt.block_on(rt.spawn(async {
            let first = Arc::new(AtomicUsize::new(0));
            let tasks = [1, 2].map(|n| {
                let first = first.clone();
                runtime::spawn(async move { first.compare_exchange(0, n, SeqCst, SeqCst) })
            });
            for task in tasks {
                let _ = task.await.unwrap();
            }
            first.load(SeqCst)
        }));
        winner.unwrap() == 2
    }
    let failing: Vec<u64> = (0..100).filter(|&seed| fails(seed)).collect();
    assert!((20..80).contains(&failing.len()), "{failing:?}");
    assert!(failing.iter().all(|&seed| fails(seed)));
}

#[runtime::test(seed = 11)]
async fn the_option_sets_the_seed() {
    assert_eq!(runtime::Handle::current().seed(), Some(11));
    assert_eq!(runtime::max_procs(), 1);
    assert!(!time::is_paused());
}

#[runtime::test(start_paused = true, seed = 12)]
async fn a_paused_test_takes_the_seed_that_is_given() {
    assert_eq!(runtime::Handle::current().seed(), Some(12));
    assert!(time::is_paused());
}
