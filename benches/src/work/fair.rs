//! A ticker beside tasks that hog the workers.
//!
//! The ticker may never run, so that a plain thread reports and ends the process when the time is
//! up.
#![forbid(unsafe_code)]

use std::hint::spin_loop;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use crate::meter::{Meter, Sample};
use crate::rt::Rt;

const TICK: Duration = Duration::from_millis(1);

/// Four tasks spin 100 ms between yields for `time`; another ticks every millisecond.
pub(crate) fn hog<R: Rt>(workers: usize, time: Duration) -> Sample {
    observe::<R>(workers, time, move || {
        let end = Instant::now() + time;
        for _ in 0..4 {
            R::detach(async move {
                while Instant::now() < end {
                    spin_until(Instant::now() + Duration::from_millis(100));
                    R::yield_now().await;
                }
            });
        }
    })
}

/// Two tasks spin without end; does the ticker still run?
pub(crate) fn hog_forever<R: Rt>(workers: usize, time: Duration) -> Sample {
    observe::<R>(workers, time, move || {
        for _ in 0..2 {
            // Not quite without end: a process that lost its parent must stop by itself.
            R::detach(async { spin_until(Instant::now() + Duration::from_secs(60)) });
        }
    })
}

fn spin_until(end: Instant) {
    while Instant::now() < end {
        spin_loop();
    }
}

/// Runs the ticker for `time` beside what `start` spawns.
fn observe<R: Rt>(workers: usize, time: Duration, start: impl FnOnce() + Send + 'static) -> Sample {
    let lateness = Arc::new(Mutex::new(Vec::with_capacity(100_000)));
    let record = lateness.clone();
    let meter = Meter::start();
    std::thread::spawn(move || {
        R::run(workers, async move {
            let ticker = R::spawn(tick::<R>(record));
            start();
            ticker.await;
        });
    });
    std::thread::sleep(time);
    self::lateness(meter, &lateness)
}

/// The quantiles of what a ticker has recorded.
pub(crate) fn lateness(meter: Meter, record: &Mutex<Vec<Duration>>) -> Sample {
    let mut late = std::mem::take(&mut *record.lock().expect("no panic inside"));
    let ticks = late.len();
    // What is owed counts too: a ticker that stopped is late until now.
    let owed = meter
        .elapsed()
        .saturating_sub(late.iter().map(|l| *l + TICK).sum());
    late.push(owed.saturating_sub(TICK));
    late.sort_unstable();
    let ms = |quantile: f64| {
        let index = ((late.len() - 1) as f64 * quantile).ceil() as usize;
        late[index].as_secs_f64() * 1e3
    };
    let (p50, p99, max) = (ms(0.5), ms(0.99), ms(1.0));
    meter
        .stop(1)
        .with("ticks", ticks)
        .with("p50_ms", p50)
        .with("p99_ms", p99)
        .with("max_ms", max)
}

/// Ticks until the process ends.
async fn tick<R: Rt>(lateness: Arc<Mutex<Vec<Duration>>>) {
    loop {
        let due = Instant::now() + TICK;
        R::sleep(TICK).await;
        let late = Instant::now().saturating_duration_since(due);
        lateness.lock().expect("no panic inside").push(late);
    }
}
