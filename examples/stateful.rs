//! A task that owns the state: others ask it over channels, and no lock is there to be forgotten.
//!
//! Each request brings the channel on which it wants its answer. The owner waits for reads and
//! writes in one `select!`, so that they are served one by one, and ends when nobody is left who
//! could ask.
//!
//! Go: "share memory by communicating"; Go by Example: stateful goroutines.
//!
//! Run: `cargo run --release --example stateful`
//!
//! Prints `10 readers and 5 writers, 150 requests; key 3 is now 9`.

use std::collections::HashMap;

use sync::{Receiver, WaitGroup, channel, oneshot, select};

struct Read {
    key: u32,
    answer: oneshot::Sender<Option<u32>>,
}

struct Write {
    key: u32,
    value: u32,
    done: oneshot::Sender<()>,
}

/// Owns the map; returns how many requests there were.
async fn owner(reads: Receiver<Read>, writes: Receiver<Write>) -> u32 {
    let (mut state, mut requests) = (HashMap::new(), 0);
    let (mut readers, mut writers) = (true, true);
    while readers || writers {
        // A closed channel is always ready, so its arm is switched off.
        select! {
            read = reads.recv(), if readers => match read {
                Some(read) => {
                    requests += 1;
                    // Whoever asked may have given up meanwhile: no matter.
                    let _ = read.answer.send(state.get(&read.key).copied());
                }
                None => readers = false,
            },
            write = writes.recv(), if writers => match write {
                Some(write) => {
                    requests += 1;
                    state.insert(write.key, write.value);
                    let _ = write.done.send(());
                }
                None => writers = false,
            },
        }
    }
    requests
}

#[runtime::main]
async fn main() {
    let (reads, read_requests) = channel(0);
    let (writes, write_requests) = channel(0);
    let owner = runtime::spawn(owner(read_requests, write_requests));

    let clients = WaitGroup::new();
    for key in 0..5 {
        let writes = writes.clone();
        clients.spawn(async move {
            for value in 0..10 {
                let (done, is_done) = oneshot::channel();
                writes.send(Write { key, value, done }).await.unwrap();
                is_done.await.expect("the owner answers");
            }
        });
    }
    for reader in 0..10 {
        let reads = reads.clone();
        clients.spawn(async move {
            for _ in 0..10 {
                let (answer, answered) = oneshot::channel();
                let key = reader % 5;
                reads.send(Read { key, answer }).await.unwrap();
                answered.await.expect("the owner answers");
            }
        });
    }
    clients.wait().await;

    let (answer, last) = oneshot::channel();
    reads.send(Read { key: 3, answer }).await.unwrap();
    let value = last.await.flatten().expect("it was written");
    drop((reads, writes)); // Nobody is left who could ask: the owner ends.
    let requests = owner.await.unwrap() - 1;
    println!("10 readers and 5 writers, {requests} requests; key 3 is now {value}");
}
