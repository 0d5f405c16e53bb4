//! Spawning, joining, panics, aborts: what every program relies on.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::Duration;

use runtime::{Builder, Runtime};

fn each_size(test: impl Fn(&Runtime)) {
    for workers in [1, 2, 3, 8] {
        let rt = Builder::new().max_procs(workers).build().unwrap();
        test(&rt);
    }
}

#[test]
fn block_on_returns_the_output() {
    assert_eq!(runtime::block_on(async { 42 }), 42);
}

#[test]
fn spawned_tasks_all_run_and_deliver() {
    each_size(|rt| {
        let sum = rt.block_on(async {
            let tasks: Vec<_> = (0..10_000u64)
                .map(|i| runtime::spawn(async move { i }))
                .collect();
            let mut sum = 0;
            for task in tasks {
                sum += task.await.unwrap();
            }
            sum
        });
        assert_eq!(sum, 10_000 * 9_999 / 2);
    });
}

#[test]
fn tasks_spawned_by_tasks_run() {
    fn tree(depth: u32) -> std::pin::Pin<Box<dyn Future<Output = u64> + Send>> {
        Box::pin(async move {
            if depth == 0 {
                return 1;
            }
            let children: Vec<_> = (0..4).map(|_| runtime::spawn(tree(depth - 1))).collect();
            let mut sum = 0;
            for child in children {
                sum += child.await.unwrap();
            }
            sum
        })
    }
    each_size(|rt| assert_eq!(rt.block_on(tree(6)), 4096));
}

#[test]
fn yielding_tasks_take_turns() {
    each_size(|rt| {
        let total = Arc::new(AtomicUsize::new(0));
        let tasks: Vec<_> = (0..100)
            .map(|_| {
                let total = total.clone();
                rt.spawn(async move {
                    for _ in 0..100 {
                        runtime::yield_now().await;
                        total.fetch_add(1, SeqCst);
                    }
                })
            })
            .collect();
        rt.block_on(async {
            for task in tasks {
                task.await.unwrap();
            }
        });
        assert_eq!(total.load(SeqCst), 10_000);
    });
}

#[test]
fn sleeping_tasks_wake() {
    each_size(|rt| {
        rt.block_on(async {
            let tasks: Vec<_> = (0..1000)
                .map(|i| runtime::spawn(runtime::time::sleep(Duration::from_micros(i * 10))))
                .collect();
            for task in tasks {
                task.await.unwrap();
            }
        });
    });
}

#[test]
fn a_panic_is_delivered_by_the_handle() {
    each_size(|rt| {
        let error = rt
            .block_on(rt.spawn(async { panic!("boom {}", 7) }))
            .unwrap_err();
        assert!(error.is_panic());
        assert!(error.to_string().contains("boom 7"), "{error}");
    });
}

#[test]
fn an_aborted_task_is_dropped() {
    each_size(|rt| {
        let alive = Arc::new(());
        let inside = alive.clone();
        let task = rt.spawn(async move {
            std::future::pending::<()>().await;
            drop(inside);
        });
        task.abort();
        assert!(rt.block_on(task).unwrap_err().is_cancelled());
        assert_eq!(Arc::strong_count(&alive), 1);
    });
}

#[test]
fn dropping_the_runtime_drops_every_task() {
    for workers in [1, 2, 3, 8] {
        let rt = Builder::new().max_procs(workers).build().unwrap();
        let alive = Arc::new(());
        for i in 0..1000 {
            let inside = alive.clone();
            rt.spawn(async move {
                if i % 2 == 0 {
                    runtime::time::sleep(Duration::from_secs(1000)).await;
                } else {
                    std::future::pending::<()>().await;
                }
                drop(inside);
            });
        }
        drop(rt);
        assert_eq!(Arc::strong_count(&alive), 1);
    }
}

#[test]
fn blocking_jobs_run_beside_the_workers() {
    each_size(|rt| {
        let sum: usize = rt.block_on(async {
            let jobs: Vec<_> = (0..50)
                .map(|i| runtime::spawn_blocking(move || i))
                .collect();
            let mut sum = 0;
            for job in jobs {
                sum += job.await.unwrap();
            }
            sum
        });
        assert_eq!(sum, 50 * 49 / 2);
    });
}
