//! No task can starve the others: spinning, blocking, never yielding.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::thread;
use std::time::{Duration, Instant};

use runtime::{Builder, Runtime};

/// Far beyond what a loaded machine takes; only a hang breaks it.
const PATIENCE: Duration = Duration::from_secs(30);

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
    let start = Instant::now();
    let tasks: Vec<_> = (0..50)
        .map(|_| rt.spawn(async { thread::sleep(Duration::from_millis(200)) }))
        .collect();
    rt.block_on(async {
        for task in tasks {
            task.await.unwrap();
        }
    });
    // One after the other on 2 workers they would take 5 s.
    assert!(
        start.elapsed() < Duration::from_secs(4),
        "{:?}",
        start.elapsed()
    );
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
