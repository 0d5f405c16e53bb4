//! Sleeping, and limits in time that are armed and cancelled.
#![forbid(unsafe_code)]

use std::future::ready;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use crate::gate::Gate;
use crate::meter::{Meter, Sample};
use crate::rt::Rt;

/// `n` tasks sleep 10 ms each. Also counts the largest number asleep at once.
pub(crate) async fn sleep100k<R: Rt>(n: usize) -> Sample {
    let meter = Meter::start();
    let gate = Gate::new(n);
    let asleep = Arc::new((AtomicUsize::new(0), AtomicUsize::new(0)));
    for _ in 0..n {
        let (gate, asleep) = (gate.clone(), asleep.clone());
        R::detach(async move {
            // Relaxed: figures for the report, nothing rides on them.
            let now = asleep.0.fetch_add(1, Ordering::Relaxed) + 1;
            asleep.1.fetch_max(now, Ordering::Relaxed);
            R::sleep(Duration::from_millis(10)).await;
            asleep.0.fetch_sub(1, Ordering::Relaxed);
            gate.done();
        });
    }
    gate.wait().await;
    let most = asleep.1.load(Ordering::Relaxed);
    meter.stop(1).with("asleep", most)
}

/// 100 tasks put a limit of 10 s on an operation that is ready at once, `n` times each.
pub(crate) async fn churn<R: Rt>(n: usize) -> Sample {
    churn_over::<R, _, _>(n, || ready(())).await
}

/// The same; the operation yields once, so that the timer is armed and cancelled.
pub(crate) async fn churn_yield<R: Rt>(n: usize) -> Sample {
    churn_over::<R, _, _>(n, R::yield_now).await
}

async fn churn_over<R, F, O>(n: usize, operation: O) -> Sample
where
    R: Rt,
    F: Future<Output = ()> + Send,
    O: Fn() -> F + Send + Sync + Copy + 'static,
{
    const TASKS: usize = 100;
    let meter = Meter::start();
    let gate = Gate::new(TASKS);
    for _ in 0..TASKS {
        let gate = gate.clone();
        R::detach(async move {
            for _ in 0..n {
                let result = R::timeout(Duration::from_secs(10), operation()).await;
                assert!(result.is_some(), "ten seconds have not passed");
            }
            gate.done();
        });
    }
    gate.wait().await;
    meter.stop(TASKS * n)
}
