//! Limits.

use std::future::{Future, pending};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use runtime::time::{self, Instant};

use crate::common::{runtime, undisturbed, watchdog};
use crate::{HOUR, MILLISECOND, each_size};

#[test]
fn a_future_in_time_is_returned_and_one_that_is_late_is_not() {
    each_size(
        "a_future_in_time_is_returned_and_one_that_is_late_is_not",
        || async {
            assert_eq!(time::timeout(HOUR, async { 1 }).await, Ok(1));
            assert_eq!(time::timeout(Duration::MAX, async { 2 }).await, Ok(2));
            assert_eq!(time::timeout(Duration::ZERO, async { 3 }).await, Ok(3));
            assert!(
                time::timeout(Duration::ZERO, pending::<()>())
                    .await
                    .is_err()
            );
            let start = Instant::now();
            let late = time::timeout(3 * MILLISECOND, pending::<()>()).await;
            assert!(late.is_err());
            assert!(start.elapsed() >= 3 * MILLISECOND);
            let deadline = Instant::now() + MILLISECOND;
            assert!(time::timeout_at(deadline, time::sleep(HOUR)).await.is_err());
            assert!(Instant::now() >= deadline);
            assert_eq!(time::timeout_at(deadline, async { 4 }).await, Ok(4));
            let in_time = time::timeout(HOUR, time::sleep(MILLISECOND)).await;
            assert_eq!(in_time, Ok(()));
        },
    );
}

#[test]
fn a_ready_future_needs_no_runtime_for_its_limit() {
    let mut cx = Context::from_waker(Waker::noop());
    let limited = pin!(time::timeout(HOUR, async { 5 }));
    assert_eq!(limited.poll(&mut cx), Poll::Ready(Ok(5)));
}

#[test]
fn a_future_that_always_spends_its_budget_is_stopped_all_the_same() {
    each_size(
        "a_future_that_always_spends_its_budget_is_stopped_all_the_same",
        || async {
            let greedy = async {
                loop {
                    runtime::task::coop::consume_budget().await;
                }
            };
            let stopped: Result<(), _> = time::timeout(2 * MILLISECOND, greedy).await;
            assert!(stopped.is_err());
        },
    );
}

#[test]
fn a_loop_over_limits_that_have_passed_lets_others_run() {
    let _watchdog = watchdog("");
    let rt = undisturbed(1);
    let stop = Arc::new(AtomicBool::new(false));
    let stopped = stop.clone();
    let looping = rt.spawn(async move {
        while !stopped.load(SeqCst) {
            let _ = time::timeout(Duration::ZERO, pending::<()>()).await;
            time::sleep(Duration::ZERO).await;
        }
    });
    rt.spawn(async move { stop.store(true, SeqCst) });
    rt.block_on(looping).unwrap();
}

#[test]
fn elapsed_is_an_error_and_an_io_error() {
    let rt = runtime(1);
    let elapsed = rt
        .block_on(time::timeout(Duration::ZERO, pending::<()>()))
        .unwrap_err();
    assert_eq!(elapsed.to_string(), "deadline has elapsed");
    let error = std::io::Error::from(elapsed);
    assert_eq!(error.kind(), std::io::ErrorKind::TimedOut);
    assert_eq!(error.to_string(), "deadline has elapsed");
}
