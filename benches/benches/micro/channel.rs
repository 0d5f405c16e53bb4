//! The ring and the channel's core: operations that are ready at once, and so need no runtime.

use std::hint::black_box;

use criterion::Criterion;
use crossbeam_queue::ArrayQueue;
use futures_util::FutureExt;

/// The values that lie in the channel while it is used, of 128 that have room.
const INSIDE: u64 = 64;

pub(crate) fn benches(criterion: &mut Criterion) {
    tries(criterion);
    futures(criterion);
    select(criterion);
    life(criterion);
}

/// The ring under its lock, beside a queue that has no lock and nobody waiting.
fn tries(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("channel: try_send and try_recv");
    group.bench_function("weftline", |b| {
        let (tx, rx) = sync::channel(128);
        (0..INSIDE).for_each(|i| tx.try_send(i).expect("room"));
        b.iter(|| {
            tx.try_send(black_box(1)).expect("room");
            rx.try_recv().expect("a value")
        });
    });
    group.bench_function("tokio", |b| {
        let (tx, mut rx) = tokio::sync::mpsc::channel(128);
        (0..INSIDE).for_each(|i| tx.try_send(i).expect("room"));
        b.iter(|| {
            tx.try_send(black_box(1)).expect("room");
            rx.try_recv().expect("a value")
        });
    });
    group.bench_function("async-channel", |b| {
        let (tx, rx) = async_channel::bounded(128);
        (0..INSIDE).for_each(|i| tx.try_send(i).expect("room"));
        b.iter(|| {
            tx.try_send(black_box(1)).expect("room");
            rx.try_recv().expect("a value")
        });
    });
    group.bench_function("flume", |b| {
        let (tx, rx) = flume::bounded(128);
        (0..INSIDE).for_each(|i| tx.try_send(i).expect("room"));
        b.iter(|| {
            tx.try_send(black_box(1)).expect("room");
            rx.try_recv().expect("a value")
        });
    });
    group.bench_function("kanal", |b| {
        let (tx, rx) = kanal::bounded(128);
        (0..INSIDE).for_each(|i| assert!(tx.try_send(i).expect("open")));
        b.iter(|| {
            assert!(tx.try_send(black_box(1)).expect("open"));
            rx.try_recv().expect("open").expect("a value")
        });
    });
    group.bench_function("crossbeam's ArrayQueue", |b| {
        let queue = ArrayQueue::new(128);
        (0..INSIDE).for_each(|i| queue.push(i).expect("room"));
        b.iter(|| {
            queue.push(black_box(1)).expect("room");
            queue.pop().expect("a value")
        });
    });
    group.finish();
}

/// The same as futures that are polled once.
fn futures(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("channel: send and recv, ready at once");
    group.bench_function("weftline", |b| {
        let (tx, rx) = sync::channel(128);
        b.iter(|| {
            tx.send(black_box(1))
                .now_or_never()
                .expect("ready")
                .expect("open");
            rx.recv().now_or_never().expect("ready")
        });
    });
    group.bench_function("tokio", |b| {
        let (tx, mut rx) = tokio::sync::mpsc::channel(128);
        b.iter(|| {
            tx.send(black_box(1))
                .now_or_never()
                .expect("ready")
                .expect("open");
            rx.recv().now_or_never().expect("ready")
        });
    });
    group.bench_function("async-channel", |b| {
        let (tx, rx) = async_channel::bounded(128);
        b.iter(|| {
            tx.send(black_box(1))
                .now_or_never()
                .expect("ready")
                .expect("open");
            rx.recv().now_or_never().expect("ready")
        });
    });
    group.bench_function("flume", |b| {
        let (tx, rx) = flume::bounded(128);
        b.iter(|| {
            let sent = tx.send_async(black_box(1)).now_or_never();
            sent.expect("ready").expect("open");
            rx.recv_async().now_or_never().expect("ready")
        });
    });
    group.bench_function("kanal", |b| {
        let (tx, rx) = kanal::bounded_async(128);
        b.iter(|| {
            tx.send(black_box(1))
                .now_or_never()
                .expect("ready")
                .expect("open");
            rx.recv().now_or_never().expect("ready")
        });
    });
    group.finish();
}

/// Two arms, of which the second is ready.
fn select(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("select: two arms, one ready");
    group.bench_function("weftline", |b| {
        let (tx, rx) = sync::channel(1);
        let (_open, never) = sync::channel::<u64>(1);
        b.iter(|| {
            tx.try_send(black_box(1)).expect("room");
            let selecting = async {
                sync::select! {
                    v = never.recv() => v,
                    v = rx.recv() => v,
                }
            };
            selecting.now_or_never().expect("ready")
        });
    });
    group.bench_function("tokio", |b| {
        let (tx, mut rx) = tokio::sync::mpsc::channel(1);
        let (_open, mut never) = tokio::sync::mpsc::channel::<u64>(1);
        b.iter(|| {
            tx.try_send(black_box(1)).expect("room");
            let selecting = async {
                tokio::select! {
                    v = never.recv() => v,
                    v = rx.recv() => v,
                }
            };
            selecting.now_or_never().expect("ready")
        });
    });
    group.finish();
}

/// A channel for one value: made, used, and dropped.
fn life(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("channel: make, send one, receive it, drop");
    group.bench_function("weftline", |b| {
        b.iter(|| {
            let (tx, rx) = sync::channel(1);
            tx.try_send(black_box(1)).expect("room");
            rx.try_recv().expect("a value")
        });
    });
    group.bench_function("weftline oneshot", |b| {
        b.iter(|| {
            let (tx, rx) = sync::oneshot::channel();
            tx.send(black_box(1)).expect("open");
            rx.now_or_never().expect("ready").expect("sent")
        });
    });
    group.bench_function("tokio oneshot", |b| {
        b.iter(|| {
            let (tx, rx) = tokio::sync::oneshot::channel();
            tx.send(black_box(1)).expect("open");
            rx.now_or_never().expect("ready").expect("sent")
        });
    });
    group.finish();
}
