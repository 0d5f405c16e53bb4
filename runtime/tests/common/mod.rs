//! What several tests share: a watchdog, seeds, and runtimes of several sizes.
#![allow(dead_code, reason = "each test binary uses a part of it")]

use std::env;
use std::future::{Future, poll_fn};
use std::hash::{BuildHasher, Hasher, RandomState};
use std::io::{self, Write};
use std::pin::pin;
use std::process;
use std::sync::Arc;
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};
use std::time::{Duration, Instant};

use runtime::{Builder, Runtime};

/// So long that only a hang takes it, also on a machine that compiles meanwhile, and on one core of
/// it: a minute has been seen to be too short.
const LIMIT: Duration = Duration::from_secs(if cfg!(miri) { 36_000 } else { 300 });

/// Ends the process, with the name of the test and what it did, unless it is dropped before that.
#[must_use]
pub(crate) struct Watchdog {
    alive: Option<Sender<()>>,
    thread: Option<thread::JoinHandle<()>>,
}

#[track_caller]
pub(crate) fn watchdog(what: impl Into<String>) -> Watchdog {
    let test = thread::current().name().unwrap_or("?").to_owned();
    let what = what.into();
    let (alive, watch) = mpsc::channel::<()>();
    let thread = thread::spawn(move || {
        if watch.recv_timeout(LIMIT) == Err(RecvTimeoutError::Timeout) {
            // Not `eprintln!`, whose words the harness keeps until the test has ended.
            let _ = writeln!(io::stderr(), "test {test} hangs: {what}");
            process::exit(101);
        }
    });
    Watchdog {
        alive: Some(alive),
        thread: Some(thread),
    }
}

impl Drop for Watchdog {
    fn drop(&mut self) {
        drop(self.alive.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

pub(crate) fn runtime(workers: usize) -> Runtime {
    Builder::new().max_procs(workers).build().unwrap()
}

/// A runtime on which nobody steps in for a worker that stands still in a poll, however busy the
/// machine: for tests that count on its tasks' being polled one after the other, or that count
/// workers.
pub(crate) fn undisturbed(workers: usize) -> Runtime {
    let slice = Duration::from_secs(3600);
    let mut builder = Builder::new();
    builder.max_procs(workers).time_slice(slice);
    builder.build().unwrap()
}

/// How many times a test does something: as often as it says, and under Miri, where everything
/// takes a thousand times as long, a few times.
pub(crate) const fn times(n: usize) -> usize {
    match cfg!(miri) {
        true if n > 2 => n / 200 + 2,
        _ => n,
    }
}

/// Runs a test on 1, 2, 3 and 8 workers, each under a watchdog; under Miri on 1 and 3.
#[track_caller]
pub(crate) fn each_size(test: impl Fn(&Runtime)) {
    let sizes: &[usize] = if cfg!(miri) { &[1, 3] } else { &[1, 2, 3, 8] };
    for &workers in sizes {
        let _watchdog = watchdog(format!("with {workers} workers"));
        test(&runtime(workers));
    }
}

/// Waits for something that happens on another thread.
#[track_caller]
pub(crate) fn wait_until(what: &str, condition: impl Fn() -> bool) {
    let start = Instant::now();
    while !condition() {
        assert!(start.elapsed() < LIMIT, "this never happens: {what}");
        thread::sleep(Duration::from_millis(1));
    }
}

/// Waits for a condition from within a task, and lets others run meanwhile.
pub(crate) async fn until(condition: impl Fn() -> bool) {
    while !condition() {
        runtime::yield_now().await;
    }
}

/// Pending once, with nobody to wake the task.
pub(crate) async fn pending_once() {
    let mut polled = false;
    poll_fn(|_| {
        if std::mem::replace(&mut polled, true) {
            Poll::Ready(())
        } else {
            Poll::Pending
        }
    })
    .await;
}

/// Numbers from a seed: of the environment's `SEED`, else of the system. Prints it when the test
/// fails.
pub(crate) struct Seed {
    seed: u64,
    state: u64,
}

impl Seed {
    pub(crate) fn new() -> Self {
        // Random keys of std's, which follow from Miri's own seed there; it has no clock that tells
        // the date.
        let any = || RandomState::new().build_hasher().finish();
        let seed = env::var("SEED").map_or_else(|_| any(), |seed| seed.parse().unwrap());
        Self { seed, state: seed }
    }

    /// Another one, that depends on this alone.
    pub(crate) fn fork(&mut self) -> Self {
        let state = self.next();
        Self {
            seed: self.seed,
            state,
        }
    }

    /// Steele, Lea and Flood's SplitMix64.
    pub(crate) fn next(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.state;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    pub(crate) fn below(&mut self, n: u64) -> u64 {
        self.next() % n
    }

    pub(crate) fn number(&self) -> u64 {
        self.seed
    }
}

impl Drop for Seed {
    fn drop(&mut self) {
        if thread::panicking() {
            eprintln!("run it again with SEED={}", self.seed);
        }
    }
}

/// An executor that knows nothing of the runtime.
pub(crate) fn foreign_block_on<T>(future: impl Future<Output = T>) -> T {
    struct Unpark(Thread);
    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    let mut future = pin!(future);
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    loop {
        match future.as_mut().poll(&mut Context::from_waker(&waker)) {
            Poll::Ready(value) => return value,
            Poll::Pending => thread::park(),
        }
    }
}
