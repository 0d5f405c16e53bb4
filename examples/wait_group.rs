//! Five workers, and a `WaitGroup` that waits for all of them.
//!
//! `wg.spawn` counts the task in before it starts and out when it ends, also when it panics, so
//! that no `add` or `done` can be forgotten.
//!
//! Go: `wg.Go(func() { … })` five times, then `wg.Wait()`.
//!
//! Run: `cargo run --release --example wait_group`
//!
//! Prints five lines `worker N: starts` and five `worker N: done` in any order, then
//! `main: all five are done`.

use std::time::Duration;

use runtime::time::sleep;
use sync::WaitGroup;

async fn worker(id: u64) {
    println!("worker {id}: starts");
    sleep(Duration::from_millis(10 * id)).await;
    println!("worker {id}: done");
}

#[runtime::main]
async fn main() {
    let wg = WaitGroup::new();
    for id in 1..=5 {
        wg.spawn(worker(id));
    }
    wg.wait().await;
    println!("main: all five are done");
}
