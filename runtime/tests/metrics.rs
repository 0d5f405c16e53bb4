//! What the metrics count.

mod common;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::thread;
use std::time::Duration;

use runtime::task::coop;
use runtime::{Builder, Metrics};

use common::{runtime, wait_until, watchdog};

/// How much a number has grown.
fn growth<T: Copy + std::ops::Sub<Output = T>>(
    before: &Metrics,
    after: &Metrics,
    number: impl Fn(&Metrics) -> T,
) -> T {
    number(after) - number(before)
}

#[test]
fn tasks_and_polls_are_counted() {
    let _watchdog = watchdog("");
    let rt = runtime(2);
    let before = rt.handle().metrics();
    for _ in 0..10 {
        rt.block_on(rt.spawn(runtime::yield_now())).unwrap();
    }
    let ended = || rt.handle().metrics().tasks == 0;
    wait_until("all are counted as ended", ended);
    let after = rt.handle().metrics();
    assert_eq!(growth(&before, &after, |m| m.spawned), 10);
    assert_eq!(growth(&before, &after, Metrics::polls), 20);
    let yields = |m: &Metrics| m.workers.iter().map(|w| w.yields).sum::<u64>();
    assert_eq!(growth(&before, &after, yields), 10);
    assert_eq!(
        (after.max_procs, after.workers.len(), after.spares),
        (2, 2, 0)
    );
    assert_eq!(after.queued(), 0);
}

#[test]
fn a_spent_budget_is_counted() {
    let _watchdog = watchdog("");
    let rt = runtime(1);
    let before = rt.handle().metrics();
    let task = rt.spawn(async {
        for _ in 0..1000 {
            coop::consume_budget().await;
        }
    });
    rt.block_on(task).unwrap();
    let after = rt.handle().metrics();
    assert!(growth(&before, &after, Metrics::budget_yields) >= 1000 / 128);
}

#[test]
fn sleeps_wakes_and_timers_are_counted() {
    let _watchdog = watchdog("");
    let rt = runtime(1);
    let before = rt.handle().metrics();
    let task = rt.spawn(async {
        for _ in 0..5 {
            runtime::time::sleep(Duration::from_millis(2)).await;
        }
    });
    rt.block_on(task).unwrap();
    let after = rt.handle().metrics();
    assert!(growth(&before, &after, |m| m.timers_fired) >= 5);
    assert!(growth(&before, &after, Metrics::parks) >= 1);
    wait_until("the worker sleeps", || {
        rt.handle().metrics().workers_running == 0
    });
    let asleep = rt.handle().metrics();
    rt.block_on(rt.spawn(async {})).unwrap();
    assert!(growth(&asleep, &rt.handle().metrics(), |m| m.wakes) >= 1);
}

#[test]
fn a_stuck_task_is_preempted_and_its_worker_replaced() {
    let _watchdog = watchdog("");
    let rt = Builder::new()
        .max_procs(1)
        .report_stuck(None)
        .build()
        .unwrap();
    let stop = Arc::new(AtomicBool::new(false));
    let theirs = stop.clone();
    let spinner = rt.spawn(async move {
        while !theirs.load(SeqCst) {
            thread::yield_now();
        }
    });
    rt.block_on(rt.spawn(async {})).unwrap();
    wait_until("its worker counts as stuck", || {
        let metrics = rt.handle().metrics();
        metrics.workers.iter().any(|worker| worker.is_stuck)
    });
    rt.block_on(rt.spawn(async {})).unwrap();
    let metrics = rt.handle().metrics();
    assert!(
        metrics.preemptions >= 1 && metrics.handoffs >= 1,
        "{metrics:?}"
    );
    assert_eq!(metrics.spares, 1);
    stop.store(true, SeqCst);
    rt.block_on(spinner).unwrap();
    wait_until("nobody is stuck", || {
        let metrics = rt.handle().metrics();
        metrics.workers.iter().all(|worker| !worker.is_stuck)
    });
}

#[test]
fn blocking_jobs_are_counted_and_those_in_line_too() {
    let _watchdog = watchdog("");
    let rt = Builder::new()
        .max_procs(1)
        .max_blocking_threads(1)
        .build()
        .unwrap();
    let stop = Arc::new(AtomicBool::new(false));
    let theirs = stop.clone();
    let first = rt.spawn_blocking(move || {
        while !theirs.load(SeqCst) {
            thread::yield_now();
        }
    });
    let second = rt.spawn_blocking(|| {});
    wait_until("the first job runs", || {
        rt.handle().metrics().blocking_jobs == 1
    });
    let metrics = rt.handle().metrics();
    assert_eq!((metrics.blocking_threads, metrics.blocking_idle), (1, 0));
    assert_eq!((metrics.blocking_queue, metrics.tasks), (1, 0));
    stop.store(true, SeqCst);
    rt.block_on(async {
        first.await.unwrap();
        second.await.unwrap();
    });
    assert_eq!(rt.handle().metrics().blocking_jobs, 2);
}

#[test]
fn work_taken_from_others_is_counted() {
    let _watchdog = watchdog("");
    let rt = runtime(2);
    let before = rt.handle().metrics();
    let ran = Arc::new(AtomicBool::new(false));
    let flag = ran.clone();
    // Its child is in its worker's own queue, and only another worker can run it.
    let task = rt.spawn(async move {
        runtime::spawn(async move { flag.store(true, SeqCst) });
        wait_until("the child runs", || ran.load(SeqCst));
    });
    rt.block_on(task).unwrap();
    assert!(growth(&before, &rt.handle().metrics(), Metrics::steals) >= 1);
}
