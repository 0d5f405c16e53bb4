//! No task can starve the others: spinning, blocking, never yielding.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Barrier};
use std::thread;
use std::time::{Duration, Instant};

use runtime::{Builder, Runtime};

/// Far beyond what a loaded machine takes; only a hang breaks it.
const PATIENCE: Duration = Duration::from_secs(300);

fn with_workers(workers: usize) -> Runtime {
    Builder::new()
        .max_procs(workers)
        .report_stuck(None)
        .build()
        .unwrap()
}

fn wait_until(what: &str, condition: impl Fn() -> bool) {
    let start = Instant::now();
    while !condition() {
        assert!(start.elapsed() < PATIENCE, "waited in vain until {what}");
        thread::yield_now();
    }
}

/// A task that spins until it is told to stop.
fn spinner(rt: &Runtime, stop: &Arc<AtomicBool>, spinning: &Arc<AtomicUsize>) {
    let (stop, spinning) = (stop.clone(), spinning.clone());
    rt.spawn(async move {
        spinning.fetch_add(1, SeqCst);
        while !stop.load(SeqCst) {
            std::hint::spin_loop();
        }
    });
}

#[test]
fn tasks_that_never_yield_stall_neither_tasks_nor_timers() {
    for workers in [1, 2, 3] {
        let rt = with_workers(workers);
        let (stop, spinning) = (
            Arc::new(AtomicBool::new(false)),
            Arc::new(AtomicUsize::new(0)),
        );
        for _ in 0..workers + 1 {
            spinner(&rt, &stop, &spinning);
        }
        wait_until("all spin", || spinning.load(SeqCst) == workers + 1);
        let ticks = rt.spawn(async {
            for _ in 0..50 {
                runtime::time::sleep(Duration::from_millis(1)).await;
                runtime::yield_now().await;
            }
        });
        rt.block_on(async { runtime::time::timeout(PATIENCE, ticks).await })
            .unwrap()
            .unwrap();
        stop.store(true, SeqCst);
    }
}

#[test]
fn a_task_woken_by_one_that_goes_on_computing_runs_elsewhere() {
    let rt = with_workers(2);
    let ran = Arc::new(AtomicBool::new(false));
    let flag = ran.clone();
    let task = rt.spawn(async move {
        // Lands in the run-next slot of this worker, which wakes nobody.
        runtime::spawn(async move { flag.store(true, SeqCst) });
        wait_until("the spawned task has run", || ran.load(SeqCst));
    });
    rt.block_on(task).unwrap();
}

#[test]
fn blocking_in_tasks_is_made_up_for_by_more_threads() {
    let rt = with_workers(2);
    // Each blocks its thread until all are there: without replacements they would wait for ever.
    let all = Arc::new(Barrier::new(30));
    let tasks: Vec<_> = (0..30)
        .map(|_| {
            let all = all.clone();
            rt.spawn(async move { all.wait().is_leader() })
        })
        .collect();
    let leaders = rt.block_on(async {
        let mut leaders = 0;
        for task in tasks {
            leaders += u32::from(
                runtime::time::timeout(PATIENCE, task)
                    .await
                    .unwrap()
                    .unwrap(),
            );
        }
        leaders
    });
    assert_eq!(leaders, 1);
}

#[test]
fn a_task_that_always_finds_its_budget_full_yields_after_its_slice() {
    let rt = with_workers(1);
    let stop = Arc::new(AtomicBool::new(false));
    let flag = stop.clone();
    // Slow operations: the budget alone would last for seconds.
    let slow = rt.spawn(async move {
        while !flag.load(SeqCst) {
            thread::sleep(Duration::from_millis(20));
            runtime::task::coop::consume_budget().await;
        }
    });
    let other = rt.spawn(async { 1 });
    assert_eq!(rt.block_on(other).unwrap(), 1);
    stop.store(true, SeqCst);
    rt.block_on(slow).unwrap();
}

#[test]
fn surplus_workers_step_down_and_nothing_is_lost() {
    let rt = with_workers(2);
    for round in 0..20 {
        let tasks: Vec<_> = (0..40)
            .map(|i| {
                rt.spawn(async move {
                    if (i + round) % 8 == 0 {
                        thread::sleep(Duration::from_millis(15));
                    }
                    runtime::time::sleep(Duration::from_micros(100)).await;
                    runtime::yield_now().await;
                    i
                })
            })
            .collect();
        let sum = rt.block_on(async {
            let mut sum = 0;
            for task in tasks {
                sum += runtime::time::timeout(PATIENCE, task)
                    .await
                    .unwrap()
                    .unwrap();
            }
            sum
        });
        assert_eq!(sum, 40 * 39 / 2);
    }
}

#[test]
fn shutdown_with_a_deadline_leaves_a_spinning_task_to_itself() {
    let rt = with_workers(2);
    let (stop, spinning) = (
        Arc::new(AtomicBool::new(false)),
        Arc::new(AtomicUsize::new(0)),
    );
    spinner(&rt, &stop, &spinning);
    wait_until("it spins", || spinning.load(SeqCst) == 1);
    assert!(!rt.shutdown(Duration::from_millis(100)));
    stop.store(true, SeqCst);
}

#[test]
fn block_in_place_hands_the_worker_over_at_once_and_allows_blocking() {
    for workers in [1, 2] {
        // With such a slice the monitor alone would not replace anybody.
        let rt = Builder::new()
            .max_procs(workers)
            .time_slice(Duration::from_secs(3600))
            .build()
            .unwrap();
        let all = Arc::new(Barrier::new(20));
        let tasks: Vec<_> = (0..20)
            .map(|i| {
                let all = all.clone();
                rt.spawn(async move {
                    let text = format!("task {i}");
                    let inside = runtime::block_in_place(|| {
                        all.wait();
                        // Spawns, wakes and blocks from within.
                        let other = runtime::spawn(async move {
                            runtime::time::sleep(Duration::from_millis(1)).await;
                            i
                        });
                        assert_eq!(runtime::block_on(other).unwrap(), i);
                        runtime::block_in_place(|| text.len())
                    });
                    runtime::yield_now().await;
                    assert_eq!(inside, text.len());
                })
            })
            .collect();
        rt.block_on(async {
            for task in tasks {
                runtime::time::timeout(PATIENCE, task)
                    .await
                    .unwrap()
                    .unwrap();
            }
        });
    }
}

#[test]
fn block_in_place_comes_back_from_a_panic() {
    let rt = with_workers(1);
    let error = rt
        .block_on(rt.spawn(async { runtime::block_in_place(|| panic!("inside")) }))
        .unwrap_err();
    assert!(error.is_panic());
    assert_eq!(rt.block_on(rt.spawn(async { 7 })).unwrap(), 7);
}

#[test]
fn block_in_place_outside_a_task_just_calls() {
    assert_eq!(runtime::block_in_place(|| 7), 7);
    assert_eq!(
        runtime::block_on(async { runtime::block_in_place(|| 7) }),
        7
    );
}
