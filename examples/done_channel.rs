//! A done channel: one close tells any number of tasks to stop.
//!
//! Nothing is ever sent on it. A receive on a closed channel is ready for everybody and for ever,
//! so closing it is a broadcast; here the sender is simply dropped. A context (`sync::context`) is
//! the same with a deadline and a cause.
//!
//! Go: `done := make(chan struct{})`, `case <-done: return`, `close(done)`.
//!
//! Run: `cargo run --release --example done_channel`
//!
//! Prints `all 4 workers have stopped after … rounds`.

use std::time::Duration;

use runtime::time::sleep;
use sync::{Receiver, channel, select};

enum Never {}

async fn worker(done: Receiver<Never>) -> u32 {
    let mut rounds = 0;
    loop {
        select! {
            _ = done.recv() => return rounds,
            _ = sleep(Duration::from_millis(1)) => rounds += 1,
        }
    }
}

#[runtime::main]
async fn main() {
    let (stop, done) = channel(0);
    let workers: Vec<_> = (0..4)
        .map(|_| runtime::spawn(worker(done.clone())))
        .collect();

    sleep(Duration::from_millis(20)).await;
    drop(stop);

    let (mut stopped, mut rounds) = (0, 0);
    for worker in workers {
        rounds += worker.await.expect("a worker does not panic");
        stopped += 1;
    }
    println!("all {stopped} workers have stopped after {rounds} rounds");
}
