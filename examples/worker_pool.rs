//! A bounded pool: twenty jobs, each a task of its own, of which at most three run at once.
//!
//! A buffered channel is the semaphore. Sending takes one of its three places and waits while all
//! are taken; receiving gives a place back. The guard gives it back also when a job panics.
//!
//! Go: `sem := make(chan struct{}, 3)`, then `sem <- struct{}{}` and `defer func() { <-sem }()` in
//! each goroutine.
//!
//! Run: `cargo run --release --example worker_pool`
//!
//! Prints `20 jobs done, at most 3 at once`.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use runtime::time::sleep;
use sync::{Receiver, WaitGroup, channel};

const JOBS: usize = 20;
const AT_ONCE: usize = 3;

static RUNNING: AtomicUsize = AtomicUsize::new(0);
static PEAK: AtomicUsize = AtomicUsize::new(0);

/// A place in the pool; given back on drop.
struct Place(Receiver<()>);

impl Drop for Place {
    fn drop(&mut self) {
        // The place that this job took is in the buffer, so there is always one to take out.
        self.0.try_recv().expect("each place is given back once");
    }
}

async fn job() {
    let running = RUNNING.fetch_add(1, Ordering::Relaxed) + 1;
    PEAK.fetch_max(running, Ordering::Relaxed);
    sleep(Duration::from_millis(5)).await;
    RUNNING.fetch_sub(1, Ordering::Relaxed);
}

#[runtime::main]
async fn main() {
    let (take, give_back) = channel::<()>(AT_ONCE);
    let wg = WaitGroup::new();
    for _ in 0..JOBS {
        // Taken before the task starts: no more tasks exist than the pool has places.
        take.send(()).await.expect("main holds a receiver");
        let place = Place(give_back.clone());
        wg.spawn(async move {
            job().await;
            drop(place);
        });
    }
    wg.wait().await;
    println!(
        "{JOBS} jobs done, at most {} at once",
        PEAK.load(Ordering::Relaxed)
    );
}
