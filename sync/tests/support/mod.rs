//! What the tests of channels share.
#![allow(dead_code, reason = "each test binary uses a part")]

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::mpsc;
use std::task::Poll;
use std::time::Duration;

/// How long a test may take before it counts as hung; nothing here needs a tenth of it.
const WATCHDOG: Duration = Duration::from_secs(60);

/// Runs a test on a runtime with each number of workers.
pub(crate) fn on_each<F>(workers: &[usize], test: impl Fn() -> F)
where
    F: Future<Output = ()> + Send + 'static,
{
    for &n in workers {
        on(n, test());
    }
}

/// Runs a task on a new runtime with `workers` workers; fails if it hangs.
pub(crate) fn on<F>(workers: usize, task: F) -> F::Output
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    let (done, outcome) = mpsc::channel();
    let thread = std::thread::spawn(move || {
        let runtime = runtime::Builder::new().max_procs(workers).build().unwrap();
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

/// Polls a few times, with other tasks in between: it must not become ready.
pub(crate) async fn blocks<F: Future>(future: F) {
    let mut future = pin!(future);
    for _ in 0..100 {
        poll_fn(|cx| {
            assert!(future.as_mut().poll(cx).is_pending(), "does not wait");
            Poll::Ready(())
        })
        .await;
        runtime::yield_now().await;
    }
}
