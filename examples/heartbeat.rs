//! A heartbeat: a worker that shows it is alive, whether it has results or not, and a watcher that
//! counts on it.
//!
//! The pulse is sent only if somebody is there to take it, by `try_send`. So the worker never waits
//! for its watcher.
//!
//! Go: `select { case heartbeat <- struct{}{}: default: }`.
//!
//! Run: `cargo run --release --example heartbeat`
//!
//! Prints `result 1` to `result 3` between pulses, and `the worker is done; … pulses`.

use std::time::Duration;

use runtime::time::{sleep, ticker};
use sync::{Receiver, Sender, channel, select};

async fn worker(pulse: Sender<()>, results: Sender<u32>) {
    let mut beat = ticker(Duration::from_millis(2));
    for n in 1..=3 {
        let mut work = std::pin::pin!(sleep(Duration::from_millis(9))); // Stands for the work.
        loop {
            select! {
                () = work.as_mut() => break,
                _ = beat.tick() => {
                    let _ = pulse.try_send(()); // Nobody watching: no matter.
                }
            }
        }
        if results.send(n).await.is_err() {
            return;
        }
    }
}

async fn watch(pulses: Receiver<()>, results: Receiver<u32>) -> u32 {
    let mut count = 0;
    loop {
        select! {
            pulse = pulses.recv(), if !pulses.is_closed() => if pulse.is_some() { count += 1 },
            result = results.recv() => match result {
                Some(n) => println!("result {n}"),
                None => return count,
            },
            _ = sleep(Duration::from_secs(10)) => panic!("the worker has died"),
        }
    }
}

#[runtime::main]
async fn main() {
    let (pulse, pulses) = channel(0);
    let (tx, results) = channel(0);
    runtime::spawn(worker(pulse, tx));
    let count = watch(pulses, results).await;
    println!("the worker is done; {count} pulses");
}
