//! Fan-out and fan-in: one channel of jobs, several workers that share it, one channel of results.
//!
//! Each job goes to exactly one worker, whichever is free. Nothing is closed by hand: a channel
//! closes when its last sender is gone, so the workers end when main has sent everything, and the
//! results end when the last worker has.
//!
//! Go: `for job := range jobs { results <- job * job }` in three goroutines, `close(jobs)`, and a
//! `WaitGroup` to close the results.
//!
//! Run: `cargo run --release --example fan_out`
//!
//! Prints how many jobs each worker did (that varies), and at last
//! `sum of the squares of 1..=100: 338350`.

use std::collections::BTreeMap;

use sync::{Receiver, Sender, channel};

struct Done {
    worker: usize,
    square: u64,
}

async fn worker(id: usize, jobs: Receiver<u64>, results: Sender<Done>) {
    while let Some(n) = jobs.recv().await {
        let done = Done {
            worker: id,
            square: n * n,
        };
        if results.send(done).await.is_err() {
            return; // Nobody wants the results any more.
        }
    }
}

#[runtime::main]
async fn main() {
    let (job_tx, job_rx) = channel::<u64>(0);
    let (result_tx, result_rx) = channel(0);

    for id in 1..=3 {
        runtime::spawn(worker(id, job_rx.clone(), result_tx.clone()));
    }
    // Main keeps no end that it does not use: the channels close by themselves.
    drop((job_rx, result_tx));

    runtime::spawn(async move {
        for n in 1..=100 {
            job_tx
                .send(n)
                .await
                .expect("the workers are there until all jobs are sent");
        }
    });

    let mut jobs_done = BTreeMap::<usize, u32>::new();
    let mut sum = 0;
    while let Some(done) = result_rx.recv().await {
        *jobs_done.entry(done.worker).or_default() += 1;
        sum += done.square;
    }

    for (worker, jobs) in jobs_done {
        println!("worker {worker}: {jobs} jobs");
    }
    println!("sum of the squares of 1..=100: {sum}");
}
