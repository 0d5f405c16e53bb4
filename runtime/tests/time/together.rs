//! All of it together, at random.

use std::panic;
use std::time::Duration;

use runtime::time::{self, Instant};

use crate::common::{Seed, runtime, watchdog};
use crate::{HOUR, poll_once};

#[test]
fn random_programs_end_and_nothing_in_them_is_early() {
    let _watchdog = watchdog("");
    let mut seed = Seed::new();
    for workers in [1, 2, 8] {
        let rt = runtime(workers);
        let tasks: Vec<_> = (0..100).map(|_| rt.spawn(program(seed.fork()))).collect();
        for task in tasks {
            if let Err(error) = rt.block_on(task) {
                panic::resume_unwind(error.into_panic());
            }
        }
    }

    async fn program(mut random: Seed) {
        let mut kept = Box::pin(time::sleep(Duration::ZERO));
        for _ in 0..60 {
            let magnitude = 10 + random.below(12);
            let delay = Duration::from_nanos(random.below(1 << magnitude));
            let deadline = Instant::now() + delay;
            match random.below(6) {
                0 => {
                    time::sleep(delay).await;
                    assert!(Instant::now() >= deadline);
                }
                1 => {
                    let limit = Duration::from_nanos(random.below(1 << 20));
                    match time::timeout(limit, time::sleep_until(deadline)).await {
                        Ok(()) => assert!(Instant::now() >= deadline),
                        Err(_) => assert!(Instant::now() >= deadline - delay + limit),
                    }
                }
                2 => {
                    kept.as_mut().reset(deadline);
                    let _ = poll_once(kept.as_mut()).await;
                }
                3 => {
                    kept.as_mut().reset(deadline);
                    kept.as_mut().await;
                    assert!(Instant::now() >= deadline);
                }
                4 => {
                    let task = runtime::spawn(time::sleep(delay + HOUR));
                    runtime::yield_now().await;
                    task.abort();
                    assert!(task.await.unwrap_err().is_cancelled());
                }
                _ => {
                    kept = runtime::spawn(async move {
                        let _ = poll_once(kept.as_mut()).await;
                        kept
                    })
                    .await
                    .unwrap();
                }
            }
        }
    }
}
