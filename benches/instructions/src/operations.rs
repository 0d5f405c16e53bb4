//! The operations that are counted: the pieces that everything else is made of.
//!
//! One worker, so that nothing is stolen and nobody is woken: two runs execute the same
//! instructions. Where an operation leaves the task, another task runs in between, as it does in
//! earnest.
#![forbid(unsafe_code)]

use std::future::{Future, ready};
use std::hint::black_box;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use net::{TcpListener, TcpStream};
use runtime::time;

/// One of them.
pub(crate) struct Operation {
    /// As the command line and the baseline name it.
    pub(crate) name: &'static str,
    /// One line for people.
    pub(crate) what: &'static str,
    /// How often at least: as many as make a few million instructions.
    pub(crate) times: usize,
    work: fn(usize),
}

impl Operation {
    /// Does it so many times.
    pub(crate) fn run(&self, times: usize) {
        (self.work)(times);
    }
}

/// The one of that name.
pub(crate) fn named(name: &str) -> Result<&'static Operation, String> {
    let mut all = ALL.iter();
    all.find(|one| one.name == name)
        .ok_or_else(|| format!("no operation {name}"))
}

/// All of them.
#[rustfmt::skip]
pub(crate) const ALL: &[Operation] = &[
    operation("spawn_await", "spawn a task, await its handle", 10_000, |n| one_worker(spawn_await(n))),
    operation("spawn_batch", "spawn a task among many, await its handle", 10_000, |n| one_worker(spawn_batch(n))),
    operation("yield", "yield, with another task ready", 10_000, |n| one_worker(yields(n))),
    operation("channel_128", "send and receive, capacity 128, no waiting", 10_000, |n| one_worker(channel_ready(n))),
    operation("channel_stream", "a message from task to task, capacity 128", 10_000, |n| one_worker(channel_stream(n, 128))),
    operation("channel_unbuf", "a message from task to task, unbuffered", 10_000, |n| one_worker(channel_stream(n, 0))),
    operation("pingpong", "a round trip of two tasks, unbuffered", 5_000, |n| one_worker(pingpong(n))),
    operation("select2_ready", "select over two channels, one is ready", 10_000, |n| one_worker(select_ready(n))),
    operation("select2_wait", "select over two unbuffered channels, a producer on each", 5_000, |n| one_worker(select_wait(n))),
    operation("timeout_ready", "a limit in time on what is ready at once", 20_000, |n| one_worker(timeout_ready(n))),
    operation("timeout_yield", "a limit in time on what yields once: armed and cancelled", 5_000, |n| one_worker(timeout_yield(n))),
    operation("mutex", "lock and unlock, nobody else wants it", 20_000, |n| one_worker(mutex(n))),
    operation("rwlock_read", "lock for reading and unlock, nobody else wants it", 20_000, |n| one_worker(rwlock_read(n))),
    operation("semaphore", "take a permit and give it back, nobody else wants it", 20_000, |n| one_worker(semaphore(n))),
    operation("notify", "notify and be notified, nobody waits", 20_000, |n| one_worker(notify(n))),
    operation("oneshot", "make a oneshot, send, receive", 10_000, |n| one_worker(oneshot(n))),
    operation("wait_group", "add and done", 20_000, |n| one_worker(wait_group(n))),
    operation("member_bare", "a task among many that counts an Arc down", 10_000, |n| one_worker(member_bare(n))),
    operation("member_wait_group", "the same in a WaitGroup", 10_000, |n| one_worker(member_wait_group(n))),
    operation("member_errgroup", "the same in an errgroup", 10_000, |n| one_worker(member_errgroup(n))),
    operation("tcp_echo", "64 bytes there and back between two tasks", 1_000, |n| one_worker(tcp_echo(n))),
];

const fn operation(
    name: &'static str,
    what: &'static str,
    times: usize,
    work: fn(usize),
) -> Operation {
    Operation {
        name,
        what,
        times,
        work,
    }
}

/// Runs it as a task, for a task is what it is in earnest.
fn one_worker(work: impl Future<Output = ()> + Send + 'static) {
    let runtime = runtime::Builder::new()
        .max_procs(1)
        .build()
        .expect("a runtime");
    runtime.block_on(async { runtime::spawn(work).await.expect("no panic") });
}

async fn spawn_await(n: usize) {
    for i in 0..n {
        assert_eq!(runtime::spawn(async move { i }).await.expect("no panic"), i);
    }
}

async fn spawn_batch(n: usize) {
    const BATCH: usize = 100;
    let mut handles = Vec::with_capacity(BATCH);
    for _ in 0..n / BATCH {
        handles.extend((0..BATCH).map(|i| runtime::spawn(async move { i })));
        for handle in handles.drain(..) {
            black_box(handle.await.expect("no panic"));
        }
    }
}

async fn yields(n: usize) {
    let other = runtime::spawn(async move {
        for _ in 0..n / 2 {
            runtime::yield_now().await;
        }
    });
    for _ in 0..n / 2 {
        runtime::yield_now().await;
    }
    other.await.expect("no panic");
}

async fn channel_ready(n: usize) {
    let (tx, rx) = sync::channel(128);
    for i in 0..n {
        tx.send(i).await.expect("open");
        assert_eq!(rx.recv().await, Some(i));
    }
}

async fn channel_stream(n: usize, capacity: usize) {
    let (tx, rx) = sync::channel(capacity);
    runtime::spawn(async move {
        for i in 0..n {
            tx.send(i).await.expect("open");
        }
    });
    let mut count = 0;
    while rx.recv().await.is_some() {
        count += 1;
    }
    assert_eq!(count, n);
}

async fn pingpong(n: usize) {
    let (ping, at_pong) = sync::channel(0);
    let (pong, at_ping) = sync::channel(0);
    runtime::spawn(async move {
        while let Some(i) = at_pong.recv().await {
            pong.send(i).await.expect("open");
        }
    });
    for i in 0..n {
        ping.send(i).await.expect("open");
        assert_eq!(at_ping.recv().await, Some(i));
    }
}

async fn select_ready(n: usize) {
    let (tx, rx) = sync::channel(1);
    let (_keeps_open, never) = sync::channel::<usize>(1);
    for i in 0..n {
        tx.send(i).await.expect("open");
        let got = sync::select! {
            v = rx.recv() => v,
            v = never.recv() => v,
        };
        assert_eq!(got, Some(i));
    }
}

async fn select_wait(n: usize) {
    let produce = || {
        let (tx, rx) = sync::channel(0);
        runtime::spawn(async move { while tx.send(1).await.is_ok() {} });
        rx
    };
    let (a, b) = (produce(), produce());
    for _ in 0..n {
        let got = sync::select! {
            v = a.recv() => v,
            v = b.recv() => v,
        };
        assert_eq!(got, Some(1));
    }
}

async fn timeout_ready(n: usize) {
    for _ in 0..n {
        let done = time::timeout(Duration::from_secs(10), ready(black_box(1))).await;
        assert!(done.is_ok());
    }
}

async fn timeout_yield(n: usize) {
    for _ in 0..n {
        let done = time::timeout(Duration::from_secs(10), runtime::yield_now()).await;
        assert!(done.is_ok());
    }
}

async fn mutex(n: usize) {
    let mutex = sync::Mutex::new(0);
    for _ in 0..n {
        *mutex.lock().await += 1;
    }
    assert_eq!(*mutex.lock().await, n);
}

async fn rwlock_read(n: usize) {
    let lock = sync::RwLock::new(0);
    for _ in 0..n {
        assert_eq!(*lock.read().await, 0);
    }
}

async fn semaphore(n: usize) {
    let semaphore = sync::Semaphore::new(2);
    for _ in 0..n {
        drop(semaphore.acquire().await);
    }
}

async fn notify(n: usize) {
    let notify = sync::Notify::new();
    for _ in 0..n {
        notify.notify_one();
        notify.notified().await;
    }
}

async fn oneshot(n: usize) {
    for i in 0..n {
        let (tx, rx) = sync::oneshot::channel();
        tx.send(i).expect("open");
        assert_eq!(rx.await.expect("sent"), i);
    }
}

async fn wait_group(n: usize) {
    let group = sync::WaitGroup::new();
    for _ in 0..n {
        group.add(1);
        group.done();
    }
    group.wait().await;
}

/// Members of a group that are started together.
const MEMBERS: usize = 1_000;

async fn member_bare(n: usize) {
    for _ in 0..n / MEMBERS {
        let (left, all) = (
            Arc::new(AtomicUsize::new(MEMBERS)),
            Arc::new(sync::Notify::new()),
        );
        for _ in 0..MEMBERS {
            let (left, all) = (left.clone(), all.clone());
            runtime::spawn(async move {
                if left.fetch_sub(1, Ordering::AcqRel) == 1 {
                    all.notify_one();
                }
            });
        }
        all.notified().await;
    }
}

async fn member_wait_group(n: usize) {
    for _ in 0..n / MEMBERS {
        let group = sync::WaitGroup::new();
        for _ in 0..MEMBERS {
            group.spawn(async {});
        }
        group.wait().await;
    }
}

async fn member_errgroup(n: usize) {
    for _ in 0..n / MEMBERS {
        let mut group = sync::errgroup::Group::<()>::new();
        for _ in 0..MEMBERS {
            group.spawn(async { Ok(()) }).await;
        }
        group.wait().await.expect("no errors");
    }
}

async fn tcp_echo(n: usize) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    runtime::spawn(async move {
        let (stream, _) = listener.accept().await.expect("a connection");
        let mut buffer = [0; 64];
        while let Ok(read @ 1..) = stream.read(&mut buffer).await {
            stream.write_all(&buffer[..read]).await.expect("open");
        }
    });
    let stream = TcpStream::connect(address).await.expect("a connection");
    let mut buffer = [0; 64];
    for i in 0..n {
        stream.write_all(&[i as u8; 64]).await.expect("open");
        let mut read = 0;
        while read < buffer.len() {
            read += stream.read(&mut buffer[read..]).await.expect("open");
        }
        assert_eq!(buffer, [i as u8; 64]);
    }
}
