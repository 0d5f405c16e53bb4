//! A pipeline: numbers, squared by one stage, filtered by the next, summed at the end; all stages
//! run at the same time.
//!
//! Each stage receives until its input is closed and closes its output by ending, which drops its
//! sender; so the end runs through the pipeline by itself. If a stage stops early, dropping its
//! receiver stops those before it.
//!
//! Go: one goroutine a stage, `defer close(out)`, `for n := range in`.
//!
//! Run: `cargo run --release --example pipeline`
//!
//! Prints `the odd squares up to 100² sum up to 166650`.

use sync::{Receiver, Sender, channel};

async fn generate(numbers: Sender<u64>) {
    for n in 1..=100 {
        if numbers.send(n).await.is_err() {
            return; // Nobody wants any more.
        }
    }
}

async fn square(numbers: Receiver<u64>, squares: Sender<u64>) {
    while let Some(n) = numbers.recv().await {
        if squares.send(n * n).await.is_err() {
            return;
        }
    }
}

async fn odd(squares: Receiver<u64>, odds: Sender<u64>) {
    while let Some(n) = squares.recv().await {
        if n % 2 == 1 && odds.send(n).await.is_err() {
            return;
        }
    }
}

#[runtime::main]
async fn main() {
    let (to_square, numbers) = channel(0);
    let (to_odd, squares) = channel(0);
    let (to_sum, odds) = channel(0);
    runtime::spawn(generate(to_square));
    runtime::spawn(square(numbers, to_odd));
    runtime::spawn(odd(squares, to_sum));

    let mut sum = 0;
    while let Some(n) = odds.recv().await {
        sum += n;
    }
    assert_eq!(sum, 166_650);
    println!("the odd squares up to 100² sum up to {sum}");
}
