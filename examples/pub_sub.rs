//! One who publishes, and subscribers who all get everything, each at its own pace.
//!
//! The publisher never waits for anybody. A subscriber that is too slow for the ring is told how
//! many messages it has missed, and goes on with the oldest that is still there; it delays neither
//! the publisher nor the others.
//!
//! Go: a slice of channels under a mutex, and a decision for each send what to do about a full one.
//!
//! Run: `cargo run --release --example pub_sub`
//!
//! Prints `prompt: 20 received, 0 missed` for three subscribers, `late: 10 received, 0 missed` for
//! one that comes in the middle, and `slow: 8 received, 12 missed`. On a machine that is very busy
//! the prompt ones may miss some, too, and say so.

use std::time::Duration;

use sync::WaitGroup;
use sync::broadcast::{self, Receiver, RecvError};

/// Reads to the end; returns what it received and what it missed.
async fn read(mut messages: Receiver<String>) -> (u32, u64) {
    let (mut received, mut missed) = (0, 0);
    loop {
        match messages.recv().await {
            Ok(_message) => received += 1,
            Err(RecvError::Lagged(n)) => missed += n,
            // The publisher is gone, and everything has been read.
            Err(RecvError::Closed) => return (received, missed),
        }
    }
}

#[runtime::main]
async fn main() {
    let (publisher, slow) = broadcast::channel(8);
    let readers = WaitGroup::new();
    let subscribe = |name: &'static str| {
        let messages = publisher.subscribe();
        readers.spawn(async move {
            let (received, missed) = read(messages).await;
            println!("{name}: {received} received, {missed} missed");
        });
    };
    for _ in 0..3 {
        subscribe("prompt");
    }
    let mut ticks = runtime::time::ticker(Duration::from_millis(2));
    for n in 1..=20 {
        if n == 11 {
            subscribe("late");
        }
        ticks.tick().await;
        let heard_by = publisher.send(format!("message {n}"));
        heard_by.expect("somebody listens");
    }
    // The last sender goes: those who read learn of it once they have read everything.
    drop(publisher);
    readers.wait().await;
    let (received, missed) = read(slow).await;
    println!("slow: {received} received, {missed} missed");
}
