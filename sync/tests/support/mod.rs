//! What the tests of channels share.
#![allow(dead_code, reason = "each test binary uses a part")]

use std::future::{Future, poll_fn};
use std::hash::{BuildHasher, Hasher, RandomState};
use std::pin::pin;
use std::sync::mpsc;
use std::task::Poll;
use std::time::Duration;

/// How long a test may take before it counts as hung; nothing here needs a tenth of it.
const WATCHDOG: Duration = Duration::from_secs(if cfg!(miri) { 36_000 } else { 300 });

/// How many times a test does something: as often as it says, and under Miri, where everything
/// takes a thousand times as long, a few times.
pub(crate) const fn times(n: usize) -> usize {
    match cfg!(miri) {
        true if n > 2 => n / 200 + 2,
        _ => n,
    }
}

/// Runs a test on a runtime with each number of workers; under Miri with the first two.
pub(crate) fn on_each<F>(workers: &[usize], test: impl Fn() -> F)
where
    F: Future<Output = ()> + Send + 'static,
{
    for &n in workers.iter().take(if cfg!(miri) { 2 } else { usize::MAX }) {
        on(n, test());
    }
}

/// Runs a task on a new runtime with `workers` workers; fails if it hangs.
pub(crate) fn on<F>(workers: usize, task: F) -> F::Output
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    run(runtime::Builder::new().max_procs(workers), task)
}

/// Runs a task on one worker, for which nobody steps in however long a poll lasts: only the budget
/// lets others run.
pub(crate) fn on_one_alone<F>(task: F) -> F::Output
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    let slice = Duration::from_secs(3600);
    run(runtime::Builder::new().max_procs(1).time_slice(slice), task)
}

fn run<F>(builder: &mut runtime::Builder, task: F) -> F::Output
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    let runtime = builder.build().unwrap();
    let workers = runtime.handle().max_procs();
    let (done, outcome) = mpsc::channel();
    let thread = std::thread::spawn(move || {
        let result = runtime.block_on(async { runtime::spawn(task).await });
        done.send(()).unwrap();
        result
    });
    match outcome.recv_timeout(WATCHDOG) {
        Err(mpsc::RecvTimeoutError::Timeout) => panic!("hangs with {workers} workers"),
        _ => match thread.join() {
            Ok(Ok(output)) => output,
            Ok(Err(error)) => match error.try_into_panic() {
                Ok(panic) => std::panic::resume_unwind(panic),
                Err(error) => panic!("{error}"),
            },
            Err(panic) => std::panic::resume_unwind(panic),
        },
    }
}

/// Fails instead of hanging, where no runtime runs the test.
pub(crate) fn within_a_minute(test: impl FnOnce() + Send + 'static) {
    let (done, outcome) = mpsc::channel();
    let thread = std::thread::spawn(move || {
        test();
        let _ = done.send(());
    });
    if outcome.recv_timeout(Duration::from_secs(60)) == Err(mpsc::RecvTimeoutError::Timeout) {
        panic!("hangs");
    }
    if let Err(panic) = thread.join() {
        std::panic::resume_unwind(panic);
    }
}

/// Polls a few times, with other tasks in between: it must not become ready.
pub(crate) async fn blocks<F: Future>(future: F) {
    let mut future = pin!(future);
    for _ in 0..times(100) {
        poll_fn(|cx| {
            assert!(future.as_mut().poll(cx).is_pending(), "does not wait");
            Poll::Ready(())
        })
        .await;
        runtime::yield_now().await;
    }
}

/// xorshift64*, seeded: random programs that can be run again.
#[derive(Clone, Debug)]
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1)
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 16
    }

    /// Below `bound`.
    pub(crate) fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound as u64) as usize
    }

    /// True `percent` times of a hundred.
    pub(crate) fn chance(&mut self, percent: usize) -> bool {
        self.below(100) < percent
    }
}

/// Runs `round` with many seeds, or with the one in the environment variable `SEED`; names the seed
/// of a round that fails.
pub(crate) fn with_seeds(rounds: u64, mut round: impl FnMut(u64)) {
    if let Ok(seed) = std::env::var("SEED") {
        return round(seed.parse().expect("SEED is a number"));
    }
    // Random keys of std's, which follow from Miri's own seed there; it has no clock that tells the
    // date.
    let start = RandomState::new().build_hasher().finish() >> 10;
    for seed in start..start + if cfg!(miri) { 1 } else { rounds } {
        let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| round(seed)));
        if let Err(panic) = result {
            eprintln!("failed; run it again with SEED={seed}");
            std::panic::resume_unwind(panic);
        }
    }
}

/// Polls again and again, whether woken or not, and drops the future after so many polls;
/// `usize::MAX` leaves it to the waker.
pub(crate) async fn give_up_after<F: Future>(polls: usize, future: F) -> Option<F::Output> {
    let mut future = pin!(future);
    let mut left = polls;
    poll_fn(|cx| {
        if left == 0 {
            return Poll::Ready(None);
        }
        if polls != usize::MAX {
            left -= 1;
            cx.waker().wake_by_ref();
        }
        future.as_mut().poll(cx).map(Some)
    })
    .await
}

/// Lets others run so many times.
pub(crate) async fn pause(yields: usize) {
    for _ in 0..yields {
        runtime::yield_now().await;
    }
}

/// Polls once, as the task that calls it would: with its waker, and what it has left of its budget.
pub(crate) async fn poll_as_task<F: Future>(mut future: std::pin::Pin<&mut F>) -> Poll<F::Output> {
    std::future::poll_fn(|cx| Poll::Ready(future.as_mut().poll(cx))).await
}

/// Polls once with what the calling task has left of its budget, and a waker that is not the
/// task's.
pub(crate) fn poll_with_budget<F: Future>(future: std::pin::Pin<&mut F>) -> Poll<F::Output> {
    future.poll(&mut std::task::Context::from_waker(std::task::Waker::noop()))
}

/// One poll by hand, with a waker that nobody listens to, and without a budget, whose end would
/// look like waiting.
pub(crate) fn poll_once<F: Future + ?Sized>(future: std::pin::Pin<&mut F>) -> Poll<F::Output> {
    let future = pin!(runtime::task::coop::unconstrained(future));
    future.poll(&mut std::task::Context::from_waker(std::task::Waker::noop()))
}

/// What `f` panics with.
pub(crate) fn message_of<R>(f: impl FnOnce() -> R) -> String {
    let payload = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| drop(f())))
        .expect_err("it panics");
    match payload.downcast::<String>() {
        Ok(text) => *text,
        Err(payload) => payload.downcast::<&str>().unwrap().to_string(),
    }
}

/// The numbers of workers that most tests run on.
pub(crate) const WORKERS: &[usize] = if cfg!(miri) { &[1, 3] } else { &[1, 2, 8] };
