//! Spares come and go: tasks that block, spin, step aside, sleep, talk over channels and sockets,
//! while the number of workers moves up and down. In the end every task has ended, every message
//! has arrived, and as many threads are there as there were.
//!
//! Five seconds of it always, a minute with `--ignored`. A failure prints a seed for the tasks'
//! steps; how they meet is up to the machine.

use std::env;
use std::hint::spin_loop;
use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::SeqCst};
use std::thread;
use std::time::{Duration, Instant};

use net::{TcpListener, TcpStream};
use runtime::{Builder, Handle, JoinHandle};
use sync::channel;

/// Tasks at a time: some of them block, so that there is always something to take over.
const TASKS: usize = 120;

/// Fewer than might be stuck at once, so that the bound is reached now and then.
const MAX_THREADS: usize = 16;

/// How long the last tasks may take to end, on a machine that does much else: only a hang lasts as
/// long.
const HANG: Duration = Duration::from_secs(200);

/// Steele, Lea and Flood's SplitMix64.
#[derive(Clone, Copy)]
struct Random(u64);

impl Random {
    fn below(&mut self, n: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (z ^ (z >> 31)) % n
    }

    fn micros(&mut self, most: u64) -> Duration {
        Duration::from_micros(self.below(most))
    }
}

/// What is counted on the one side and on the other.
#[derive(Default)]
struct Books {
    spawned: AtomicUsize,
    ended: AtomicUsize,
    sent: AtomicU64,
    received: AtomicU64,
    echoed: AtomicU64,
}

/// Ends a test that hangs, with its seed, and tells the seed if it panics.
struct Watch {
    seed: u64,
    done: Arc<AtomicBool>,
}

impl Watch {
    fn new(seed: u64, limit: Duration) -> Self {
        let done = Arc::new(AtomicBool::new(false));
        let is_done = done.clone();
        thread::spawn(move || {
            let end = Instant::now() + limit;
            while !is_done.load(SeqCst) {
                if Instant::now() > end {
                    let _ = writeln!(std::io::stderr(), "the storm hangs: SEED={seed}");
                    std::process::exit(101);
                }
                thread::sleep(Duration::from_millis(50));
            }
        });
        Self { seed, done }
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.done.store(true, SeqCst);
        if thread::panicking() {
            eprintln!("run it again with SEED={}", self.seed);
        }
    }
}

fn spin(time: Duration) {
    let end = Instant::now() + time;
    while Instant::now() < end {
        spin_loop();
    }
}

/// A sender and a receiver, over a channel of any capacity; each yields or blocks now and then.
async fn talk(mut random: Random, books: Arc<Books>) {
    let (tx, rx) = channel(random.below(4) as usize);
    let messages = 1 + random.below(200);
    let counts = books.clone();
    let receiver = runtime::spawn(async move {
        let mut next = 0;
        while let Some(message) = rx.recv().await {
            assert_eq!(message, next, "in order");
            next += 1;
            counts.received.fetch_add(1, SeqCst);
        }
        next
    });
    for message in 0..messages {
        tx.send(message).await.unwrap();
        books.sent.fetch_add(1, SeqCst);
        if random.below(100) == 0 {
            thread::sleep(random.micros(3000));
        }
    }
    drop(tx);
    assert_eq!(receiver.await.unwrap(), messages);
}

/// Some bytes to the server and back.
async fn call(mut random: Random, server: std::net::SocketAddr, books: Arc<Books>) {
    let stream = TcpStream::connect(server).await.unwrap();
    for _ in 0..1 + random.below(20) {
        let bytes = [random.below(256) as u8; 100];
        let mut back = [0; 100];
        stream.write_all(&bytes).await.unwrap();
        stream.read_exact(&mut back).await.unwrap();
        assert_eq!(bytes, back);
        books.echoed.fetch_add(1, SeqCst);
    }
}

async fn serve(listener: TcpListener) {
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        runtime::spawn(async move {
            let mut buffer = [0; 512];
            while let Ok(n @ 1..) = stream.read(&mut buffer).await {
                if stream.write_all(&buffer[..n]).await.is_err() {
                    break;
                }
            }
        });
    }
}

/// A few steps of all kinds.
async fn live(mut random: Random, server: std::net::SocketAddr, books: Arc<Books>) {
    for _ in 0..1 + random.below(5) {
        match random.below(8) {
            0 => thread::sleep(random.micros(20_000)),
            1 => spin(random.micros(6_000)),
            2 => {
                let time = random.micros(10_000);
                runtime::block_in_place(|| thread::sleep(time));
            }
            3 => runtime::time::sleep(random.micros(20_000)).await,
            4 => talk(Random(random.below(u64::MAX)), books.clone()).await,
            5 => call(Random(random.below(u64::MAX)), server, books.clone()).await,
            6 => {
                for _ in 0..random.below(20) {
                    runtime::yield_now().await;
                }
            }
            // Long polls one after the other: a heavy task.
            _ => {
                for _ in 0..random.below(4) {
                    spin(random.micros(4_000));
                    runtime::yield_now().await;
                }
            }
        }
    }
    books.ended.fetch_add(1, SeqCst);
}

/// Moves the number of workers until it is told to stop.
fn shake(handle: Handle, mut random: Random, stop: Arc<AtomicBool>) -> thread::JoinHandle<()> {
    thread::spawn(move || {
        while !stop.load(SeqCst) {
            handle.set_max_procs(1 + random.below(6) as usize);
            thread::sleep(random.micros(20_000));
        }
        handle.set_max_procs(2);
    })
}

fn storm(time: Duration) {
    let seed = env::var("SEED").map_or_else(
        |_| std::time::UNIX_EPOCH.elapsed().unwrap().as_nanos() as u64,
        |seed| seed.parse().unwrap(),
    );
    let _watch = Watch::new(seed, time + HANG);
    let mut random = Random(seed);
    let rt = Builder::new()
        .max_procs(2)
        .max_threads(MAX_THREADS)
        .report_stuck(None)
        .build()
        .unwrap();
    let stop = Arc::new(AtomicBool::new(false));
    let shaker = shake(
        rt.handle().clone(),
        Random(random.below(u64::MAX)),
        stop.clone(),
    );
    let books = Arc::new(Books::default());
    let end = Instant::now() + time;
    rt.block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let server = listener.local_addr().unwrap();
        let serving = runtime::spawn(serve(listener));
        let mut tasks: Vec<JoinHandle<()>> = Vec::new();
        while Instant::now() < end {
            while tasks.len() < TASKS {
                books.spawned.fetch_add(1, SeqCst);
                let random = Random(random.below(u64::MAX));
                tasks.push(runtime::spawn(live(random, server, books.clone())));
            }
            tasks
                .swap_remove(random.below(TASKS as u64) as usize)
                .await
                .unwrap();
        }
        for task in tasks {
            task.await.unwrap();
        }
        serving.abort();
    });
    stop.store(true, SeqCst);
    shaker.join().unwrap();
    let read = |count: &AtomicU64| count.load(SeqCst);
    assert_eq!(books.spawned.load(SeqCst), books.ended.load(SeqCst));
    assert_eq!(read(&books.sent), read(&books.received));
    let metrics = rt.handle().metrics();
    println!(
        "{} tasks, {} messages, {} echoes; {} hand-overs, {} steals, the bound reached {} times, {} slots",
        books.ended.load(SeqCst),
        read(&books.received),
        read(&books.echoed),
        metrics.handoffs,
        metrics.steals(),
        metrics.threads_exhausted,
        metrics.workers.len(),
    );
    // The watch sees to it that this ends.
    let settled = || {
        let metrics = rt.handle().metrics();
        metrics.spares == 0 && metrics.workers_running == 0 && metrics.workers_searching == 0
    };
    while !settled() {
        thread::sleep(Duration::from_millis(10));
    }
    let metrics = rt.handle().metrics();
    assert!(metrics.workers.iter().all(|worker| !worker.is_stuck));
    assert_eq!(metrics.queued(), 0);
}

#[test]
fn a_storm_of_five_seconds_loses_nothing() {
    storm(Duration::from_secs(5));
}

#[test]
#[ignore = "takes a minute; `.ci/run storm` runs it"]
fn a_storm_of_a_minute_loses_nothing() {
    storm(Duration::from_secs(60));
}
