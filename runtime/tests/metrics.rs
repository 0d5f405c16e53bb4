//! What the metrics count.

mod common;

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::task::Poll;
use std::thread;
use std::time::Duration;

use runtime::task::coop;
use runtime::{Builder, Metrics};

use common::{runtime, undisturbed, wait_until, watchdog};

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
    let rt = undisturbed(2);
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
    let rt = undisturbed(1);
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
    // Not each sleep needs a timer: one that is over before it is polled is ready.
    while growth(&before, &rt.handle().metrics(), |m| m.timers_fired) < 5 {
        let nap = runtime::time::sleep(Duration::from_millis(2));
        rt.block_on(rt.spawn(nap)).unwrap();
    }
    let asleep = || rt.handle().metrics().workers_running == 0;
    wait_until("the worker sleeps", asleep);
    assert!(growth(&before, &rt.handle().metrics(), Metrics::parks) >= 1);
    // Nor is each task a wake: a worker that is about to sleep looks once more, and may find it.
    let before = rt.handle().metrics();
    while growth(&before, &rt.handle().metrics(), |m| m.wakes) == 0 {
        wait_until("the worker sleeps", asleep);
        rt.block_on(rt.spawn(async {})).unwrap();
    }
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
    // One is enough, unless that one is held up as well.
    assert!(metrics.spares >= 1, "{metrics:?}");
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

#[test]
fn yields_tell_how_long_they_wait_for_their_turn() {
    let _watchdog = watchdog("");
    let rt = runtime(1);
    let before = rt.handle().metrics().wake_to_run;
    let task = rt.spawn(async {
        let tasks: Vec<_> = (0..100)
            .map(|_| {
                runtime::spawn(async {
                    for _ in 0..1000 {
                        runtime::yield_now().await;
                    }
                })
            })
            .collect();
        for task in tasks {
            task.await.unwrap();
        }
    });
    rt.block_on(task).unwrap();
    let latency = rt.handle().metrics().wake_to_run.since(&before);
    // 100,000 of them, and one in some five hundred was looked at and stands for all.
    assert!((90_000..110_000).contains(&latency.count()), "{latency}");
    assert!(
        latency.percentile(50.0).unwrap() > Duration::ZERO,
        "{latency}"
    );
}

#[test]
fn wakes_within_polls_are_counted_also_where_the_worker_sleeps_in_between() {
    let _watchdog = watchdog("");
    let rt = runtime(1);
    let before = rt.handle().metrics().wake_to_run;
    loop {
        // A wake from outside, and five spawns by it.
        let task = rt.spawn(async {
            let tasks = [(); 5].map(|()| runtime::spawn(async {}));
            for task in tasks {
                task.await.unwrap();
            }
        });
        rt.block_on(task).unwrap();
        let metrics = rt.handle().metrics();
        // More than come from outside, and more than one look at those stands for.
        if metrics.wake_to_run.since(&before).count() > metrics.injected + 100 {
            return;
        }
    }
}

#[test]
fn tasks_that_wait_behind_a_long_poll_show_it() {
    let _watchdog = watchdog("");
    const LONG: Duration = Duration::from_millis(20);
    // Nobody comes to the rescue.
    let slice = Duration::from_secs(100);
    let rt = Builder::new()
        .max_procs(1)
        .time_slice(slice)
        .build()
        .unwrap();
    let (go, wait) = std::sync::mpsc::channel::<()>();
    let (tell, told) = std::sync::mpsc::channel();
    let long = rt.spawn(async move {
        tell.send(()).unwrap();
        wait.recv().unwrap();
    });
    told.recv().unwrap();
    let before = rt.handle().metrics();
    let tasks: Vec<_> = (0..64).map(|_| rt.spawn(async {})).collect();
    thread::sleep(LONG);
    go.send(()).unwrap();
    for task in tasks {
        rt.block_on(task).unwrap();
    }
    rt.block_on(long).unwrap();
    let after = rt.handle().metrics();
    assert!(growth(&before, &after, |m| m.injected) >= 64);
    let latency = after.wake_to_run.since(&before.wake_to_run);
    assert!(latency.count() >= 64, "{latency}");
    assert!(latency.percentile(20.0).unwrap() >= LONG, "{latency}");
    assert!(
        latency.percentile(100.0).unwrap() < Duration::from_secs(60),
        "{latency}"
    );
}

#[test]
fn timers_tell_how_long_their_tasks_wait() {
    let _watchdog = watchdog("");
    let rt = undisturbed(1);
    let before = rt.handle().metrics().wake_to_run;
    let task = rt.spawn(async {
        let mut waits = 0;
        while waits < 160 {
            let mut sleep = pin!(runtime::time::sleep(Duration::from_micros(100)));
            // One that is over before it is polled waits for no turn.
            waits +=
                poll_fn(|cx| Poll::Ready(u32::from(sleep.as_mut().poll(cx).is_pending()))).await;
            sleep.await;
        }
    });
    rt.block_on(task).unwrap();
    let latency = rt.handle().metrics().wake_to_run.since(&before);
    assert!(latency.count() >= 144, "{latency}");
}
