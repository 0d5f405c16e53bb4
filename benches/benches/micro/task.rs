//! The task cell: a task's whole life, and a turn of one that lives on.

use std::hint::black_box;

use criterion::Criterion;

use crate::in_task;

/// Tasks at a time: they fit into a worker's ring, so that the shared queue has no part in it.
const BATCH: u64 = 200;

pub(crate) fn benches(criterion: &mut Criterion) {
    let (weftline, tokio) = (crate::weftline(), crate::tokio());

    let mut group = criterion.benchmark_group("task: spawn, run, join");
    group.bench_function("weftline", |b| {
        in_task!(b, weftline, runtime::spawn, |n| {
            for i in 0..n {
                black_box(runtime::spawn(async move { i }).await.expect("no panic"));
            }
        });
    });
    group.bench_function("tokio", |b| {
        in_task!(b, tokio, tokio::spawn, |n| {
            for i in 0..n {
                black_box(tokio::spawn(async move { i }).await.expect("no panic"));
            }
        });
    });
    group.finish();

    let mut group = criterion.benchmark_group("task: spawn and join 200");
    group.bench_function("weftline", |b| {
        in_task!(b, weftline, runtime::spawn, |n| {
            for _ in 0..n {
                let handles: Vec<_> = (0..BATCH)
                    .map(|i| runtime::spawn(async move { i }))
                    .collect();
                for handle in handles {
                    black_box(handle.await.expect("no panic"));
                }
            }
        });
    });
    group.bench_function("tokio", |b| {
        in_task!(b, tokio, tokio::spawn, |n| {
            for _ in 0..n {
                let handles: Vec<_> = (0..BATCH).map(|i| tokio::spawn(async move { i })).collect();
                for handle in handles {
                    black_box(handle.await.expect("no panic"));
                }
            }
        });
    });
    group.finish();

    let mut group = criterion.benchmark_group("task: yield");
    group.bench_function("weftline", |b| {
        in_task!(b, weftline, runtime::spawn, |n| {
            for _ in 0..n {
                runtime::yield_now().await;
            }
        });
    });
    group.bench_function("tokio", |b| {
        in_task!(b, tokio, tokio::spawn, |n| {
            for _ in 0..n {
                tokio::task::yield_now().await;
            }
        });
    });
    group.finish();
}
