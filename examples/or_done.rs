//! Or-done: done as soon as one of several is, however many there are; and the rest of the loser's
//! values are not lost.
//!
//! `first` waits for whichever of a list of channels speaks first, by a `Select` that is made up at
//! run time. The others keep their values: an arm that lost has received nothing.
//!
//! Go: `reflect.Select`, or a tree of goroutines.
//!
//! Run: `cargo run --release --example or_done`
//!
//! Prints `replica 3 answers first`, then the others' answers.

use std::time::Duration;

use runtime::time::sleep;
use sync::{Receiver, Select, channel};

/// The first answer, and whose it is.
async fn first(replicas: &[Receiver<String>]) -> Option<(usize, String)> {
    let mut select = Select::new();
    for (number, replica) in replicas.iter().enumerate() {
        select.recv(replica, move |answer| Some((number, answer?)));
    }
    select.wait().await
}

fn replica(name: usize, delay: Duration) -> Receiver<String> {
    let (tx, rx) = channel(1);
    runtime::spawn(async move {
        sleep(delay).await;
        let _ = tx.send(format!("replica {name}")).await;
    });
    rx
}

#[runtime::main]
async fn main() {
    let delays = [60, 40, 5, 80];
    let mut replicas: Vec<_> = (1..)
        .zip(delays)
        .map(|(name, delay)| replica(name, Duration::from_millis(delay)))
        .collect();

    let (winner, answer) = first(&replicas).await.expect("every replica answers");
    println!("{answer} answers first");

    replicas.remove(winner);
    for other in replicas {
        println!("later: {:?}", other.recv().await);
    }
}
