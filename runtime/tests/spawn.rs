//! Spawning: from wherever there is a runtime, and what the new task sees.

mod common;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed, Ordering::SeqCst};
use std::thread;

use common::{each_size, runtime, wait_until, watchdog};
use runtime::Handle;

#[test]
fn from_a_task_from_block_on_and_from_foreign_threads() {
    each_size(|rt| {
        let inside = rt.spawn(async { runtime::spawn(async { 1 }).await.unwrap() });
        assert_eq!(rt.block_on(inside).unwrap(), 1);
        let beside = rt.block_on(async { runtime::spawn(async { 2 }).await.unwrap() });
        assert_eq!(beside, 2);
        let handle = rt.handle().clone();
        let outside = thread::spawn(move || handle.spawn(async { 3 }))
            .join()
            .unwrap();
        assert_eq!(rt.block_on(outside).unwrap(), 3);
        let entered = {
            let _guard = rt.enter();
            runtime::spawn(async { 4 })
        };
        assert_eq!(rt.block_on(entered).unwrap(), 4);
    });
}

#[test]
fn what_was_done_before_the_spawn_is_seen_by_the_task_and_what_the_task_did_by_the_join() {
    each_size(|rt| {
        let cell = Arc::new(AtomicUsize::new(0));
        for i in 1..2000 {
            // Relaxed: only the spawn and the join order these.
            cell.store(i, Relaxed);
            let inner = cell.clone();
            let task = rt.spawn(async move {
                assert_eq!(inner.load(Relaxed), i);
                inner.store(i + 1, Relaxed);
            });
            rt.block_on(task).unwrap();
            assert_eq!(cell.load(Relaxed), i + 1);
        }
    });
}

#[test]
fn many_threads_spawn_at_once() {
    each_size(|rt| {
        let ran = Arc::new(AtomicUsize::new(0));
        thread::scope(|scope| {
            for _ in 0..4 {
                let (handle, ran) = (rt.handle().clone(), ran.clone());
                scope.spawn(move || {
                    for _ in 0..1000 {
                        let ran = ran.clone();
                        drop(handle.spawn(async move { ran.fetch_add(1, SeqCst) }));
                    }
                });
            }
        });
        wait_until("all have run", || ran.load(SeqCst) == 4000);
        wait_until("all have ended", || rt.handle().num_tasks() == 0);
    });
}

#[test]
fn more_tasks_than_a_ring_holds_all_run() {
    each_size(|rt| {
        let ran = Arc::new(AtomicUsize::new(0));
        let counts = ran.clone();
        let parent = rt.spawn(async move {
            for _ in 0..5000 {
                let counts = counts.clone();
                runtime::spawn(async move {
                    runtime::yield_now().await;
                    counts.fetch_add(1, SeqCst);
                });
            }
        });
        rt.block_on(parent).unwrap();
        wait_until("all have run", || ran.load(SeqCst) == 5000);
    });
}

#[test]
fn the_current_runtime_is_the_innermost_one() {
    let _watchdog = watchdog("two runtimes at once");
    let (outer, inner) = (runtime(1), runtime(2));
    let procs = || Handle::current().max_procs();
    outer.block_on(async {
        assert_eq!(procs(), 1);
        {
            let _guard = inner.enter();
            assert_eq!(procs(), 2);
            let task = runtime::spawn(async move { procs() });
            assert_eq!(inner.block_on(task).unwrap(), 2);
        }
        assert_eq!(procs(), 1);
    });
    // On a worker, too.
    let handle = inner.handle().clone();
    let task = outer.spawn(async move {
        let there = {
            let _guard = handle.enter();
            runtime::spawn(async move { procs() })
        };
        (there.await.unwrap(), procs())
    });
    assert_eq!(outer.block_on(task).unwrap(), (2, 1));
    assert!(Handle::try_current().is_err());
}

#[test]
fn guards_dropped_in_the_wrong_order_leave_no_runtime_behind() {
    let _watchdog = watchdog("guards in the wrong order");
    let (outer, inner) = (runtime(1), runtime(2));
    let procs = || Handle::try_current().map(|current| current.max_procs());
    let outer_guard = outer.enter();
    let inner_guard = inner.enter();
    drop(outer_guard);
    assert!(procs().is_err(), "the outer guard ends the inner one");
    drop(inner_guard);
    assert!(procs().is_err(), "the inner guard puts nothing back");
    // A forgotten one, too, ends with the one around it.
    let outer_guard = outer.enter();
    std::mem::forget(inner.enter());
    assert_eq!(procs(), Ok(2));
    drop(outer_guard);
    assert!(procs().is_err());
    // And the thread is none the worse for it.
    let _outer_guard = outer.enter();
    {
        let _inner_guard = inner.enter();
        assert_eq!(procs(), Ok(2));
    }
    assert_eq!(procs(), Ok(1));
}

#[test]
fn num_tasks_counts_what_has_not_ended() {
    each_size(|rt| {
        let tasks: Vec<_> = (0..10)
            .map(|_| rt.spawn(std::future::pending::<()>()))
            .collect();
        assert_eq!(rt.handle().num_tasks(), 10);
        for task in tasks {
            task.abort();
            assert!(rt.block_on(task).unwrap_err().is_cancelled());
        }
        wait_until("all are gone", || rt.handle().num_tasks() == 0);
    });
}
