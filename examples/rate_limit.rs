//! A rate limit with bursts: three requests at once, then one every five milliseconds.
//!
//! A buffered channel holds the permits. A task refills it at a steady rate; when it is full,
//! `default` throws the permit away, so that a quiet time saves up a burst and no more.
//!
//! Go: `burstyLimiter := make(chan time.Time, 3)`.
//!
//! Run: `cargo run --release --example rate_limit`
//!
//! Prints `request 1` to `request 8` with the milliseconds at which each was let through.

use std::time::{Duration, Instant};

use runtime::time::ticker;
use sync::{Receiver, channel, select};

const BURST: usize = 3;
const EVERY: Duration = Duration::from_millis(5);

fn limiter() -> Receiver<()> {
    let (permit, permits) = channel(BURST);
    for _ in 0..BURST {
        permit.try_send(()).expect("there is room for a burst");
    }
    runtime::spawn(async move {
        let mut refill = ticker(EVERY);
        loop {
            refill.tick().await;
            select! {
                sent = permit.send(()) => if sent.is_err() { return },
                default => {} // Nobody has used the last ones yet.
            }
        }
    });
    permits
}

#[runtime::main]
async fn main() {
    let permits = limiter();
    let start = Instant::now();
    for request in 1..=8 {
        permits.recv().await.expect("the limiter goes on for ever");
        println!("request {request} after {} ms", start.elapsed().as_millis());
    }
    // Five of them had to wait for a refill.
    assert!(start.elapsed() >= 4 * EVERY);
}
