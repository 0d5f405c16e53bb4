//! The wheel: a sleep that is armed and dropped, among few others and among many.

use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::task::Poll;
use std::time::Duration;

use criterion::Criterion;

use crate::in_task;

/// Sleepers that are there already.
const OTHERS: [u64; 2] = [0, 100_000];

/// Far enough away that none comes due meanwhile.
const LONG: Duration = Duration::from_secs(3600);

/// Polls once, which arms a timer.
async fn once(mut future: Pin<&mut impl Future>) {
    poll_fn(|cx| {
        assert!(
            future.as_mut().poll(cx).is_pending(),
            "an hour has not passed"
        );
        Poll::Ready(())
    })
    .await;
}

pub(crate) fn benches(criterion: &mut Criterion) {
    let (weftline, tokio) = (crate::weftline(), crate::tokio());
    for others in OTHERS {
        let mut group = criterion.benchmark_group(format!("wheel: arm and drop, {others} others"));
        group.bench_function("weftline", |b| {
            in_task!(
                b, weftline, runtime::spawn,
                among sleepers(others, runtime::time::sleep).await,
                |n| for _ in 0..n {
                    once(pin!(runtime::time::sleep(LONG))).await;
                }
            );
        });
        group.bench_function("tokio", |b| {
            in_task!(
                b, tokio, tokio::spawn,
                among sleepers(others, tokio::time::sleep).await,
                |n| for _ in 0..n {
                    once(pin!(tokio::time::sleep(LONG))).await;
                }
            );
        });
        group.finish();
    }
}

/// So many that are armed, each for another time.
async fn sleepers<S: Future>(count: u64, sleep: impl Fn(Duration) -> S) -> Vec<Pin<Box<S>>> {
    let mut sleepers = Vec::new();
    for i in 0..count {
        let mut sleeper = Box::pin(sleep(LONG + Duration::from_millis(i)));
        once(sleeper.as_mut()).await;
        sleepers.push(sleeper);
    }
    sleepers
}
