//! Batch processing: a thousand records in batches of 64, by four workers.
//!
//! The number of workers is fixed and the channel holds one batch for each, so the reader is never
//! more than eight batches ahead: memory stays bounded however long the input is. Each worker hands
//! its subtotal back as the result of its task.
//!
//! Go: four goroutines `for batch := range batches { … }`, and a results slice with a place for
//! each.
//!
//! Run: `cargo run --release --example batches`
//!
//! Prints `worker N: … batches, … records` four times (the figures vary), and
//! `all: 16 batches, 1000 records, sum 500500`.

use sync::{Receiver, channel};

const RECORDS: u64 = 1_000;
const BATCH: usize = 64;
const WORKERS: usize = 4;

#[derive(Default)]
struct Totals {
    batches: usize,
    records: usize,
    sum: u64,
}

async fn worker(batches: Receiver<Vec<u64>>) -> Totals {
    let mut totals = Totals::default();
    while let Some(batch) = batches.recv().await {
        totals.batches += 1;
        totals.records += batch.len();
        totals.sum += batch.iter().sum::<u64>();
        runtime::yield_now().await; // Stands for the work that a real batch would wait for.
    }
    totals
}

#[runtime::main]
async fn main() {
    let (tx, rx) = channel(WORKERS);
    let workers: Vec<_> = (0..WORKERS)
        .map(|_| runtime::spawn(worker(rx.clone())))
        .collect();
    drop(rx);

    let records: Vec<u64> = (1..=RECORDS).collect();
    for batch in records.chunks(BATCH) {
        tx.send(batch.to_vec())
            .await
            .expect("the workers are there until the last batch");
    }
    drop(tx); // Closes the channel: each worker ends when it is drained.

    let mut all = Totals::default();
    for (id, worker) in workers.into_iter().enumerate() {
        let totals = worker.await.expect("a worker does not panic");
        println!(
            "worker {}: {} batches, {} records",
            id + 1,
            totals.batches,
            totals.records
        );
        all.batches += totals.batches;
        all.records += totals.records;
        all.sum += totals.sum;
    }
    println!(
        "all: {} batches, {} records, sum {}",
        all.batches, all.records, all.sum
    );
}
