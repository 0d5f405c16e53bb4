//! A buffered channel as a semaphore: ten jobs, never more than three at a time.
//!
//! Putting a token in is to enter, taking one out is to leave; the capacity is the limit. What a
//! task did before it left is visible to the one that enters for it.
//!
//! Go: `sem <- struct{}{}; defer func() { <-sem }()`.
//!
//! Run: `cargo run --release --example semaphore_channel`
//!
//! Prints `10 jobs done, at most 3 at a time`, or fewer at a time on a slow machine.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::Duration;

use runtime::time::sleep;
use sync::channel;

const LIMIT: usize = 3;

#[runtime::main]
async fn main() {
    let (enter, leave) = channel(LIMIT);
    let running = Arc::new(AtomicUsize::new(0));
    let most = Arc::new(AtomicUsize::new(0));

    let jobs: Vec<_> = (0..10)
        .map(|_| {
            let (enter, leave) = (enter.clone(), leave.clone());
            let (running, most) = (running.clone(), most.clone());
            runtime::spawn(async move {
                enter.send(()).await.expect("the channel stays open");
                most.fetch_max(running.fetch_add(1, SeqCst) + 1, SeqCst);
                sleep(Duration::from_millis(2)).await; // Stands for the job.
                running.fetch_sub(1, SeqCst);
                leave.recv().await;
            })
        })
        .collect();
    let mut done = 0;
    for job in jobs {
        job.await.expect("a job does not panic");
        done += 1;
    }
    let most = most.load(SeqCst);
    assert!(most <= LIMIT);
    println!("{done} jobs done, at most {most} at a time");
}
