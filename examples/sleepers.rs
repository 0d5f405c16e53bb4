//! 100,000 tasks that sleep 10 ms each: tasks are cheap, and so are timers.
//!
//! A thread each would need gigabytes of stacks. A task is one allocation of some hundred bytes,
//! its timer lives inside it, and all of them share a few threads.
//!
//! Go: `wg.Go(func() { time.Sleep(10 * time.Millisecond) })` 100,000 times, then `wg.Wait()`.
//!
//! Run: `cargo run --release --example sleepers`
//!
//! Prints, with other figures:
//!
//! ```text
//! 100000 tasks slept 10 ms each
//! peak alive: 100000
//! total time: 48.3 ms
//! ```

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use runtime::time::sleep;
use sync::WaitGroup;

const TASKS: usize = 100_000;
const NAP: Duration = Duration::from_millis(10);

// Only counters: no other memory is handed over through them, so `Relaxed` is enough.
static ALIVE: AtomicUsize = AtomicUsize::new(0);
static PEAK: AtomicUsize = AtomicUsize::new(0);

async fn sleeper() {
    let alive = ALIVE.fetch_add(1, Ordering::Relaxed) + 1;
    PEAK.fetch_max(alive, Ordering::Relaxed);
    sleep(NAP).await;
    ALIVE.fetch_sub(1, Ordering::Relaxed);
}

#[runtime::main]
async fn main() {
    let start = Instant::now();
    let wg = WaitGroup::new();
    for _ in 0..TASKS {
        wg.spawn(sleeper());
    }
    wg.wait().await;
    let total = start.elapsed();

    println!("{TASKS} tasks slept {} ms each", NAP.as_millis());
    println!("peak alive: {}", PEAK.load(Ordering::Relaxed));
    println!("total time: {:.1} ms", total.as_secs_f64() * 1e3);
}
