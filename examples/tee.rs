//! Tee: one stream of values into two, each with all of them, neither ahead by more than one.
//!
//! Both sends are arms of one `select!`; the one that has been taken is switched off by its guard
//! until the other is through. When either side stops listening, the tee ends.
//!
//! Go: "Concurrency in Go", the tee-channel: a local `out1 = nil` after each send.
//!
//! Run: `cargo run --release --example tee`
//!
//! Prints `printed 1` to `printed 5`, and `the sum of all is 15`.

use sync::{Receiver, channel, select};

fn tee<T: Clone + Send + 'static>(source: Receiver<T>) -> (Receiver<T>, Receiver<T>) {
    let (left, to_left) = channel(0);
    let (right, to_right) = channel(0);
    runtime::spawn(async move {
        while let Some(value) = source.recv().await {
            let (mut one, mut other) = (Some(value.clone()), Some(value));
            while one.is_some() || other.is_some() {
                // `send_from` takes the value only when it is really sent.
                let sent = select! {
                    sent = left.send_from(&mut one), if one.is_some() => sent,
                    sent = right.send_from(&mut other), if other.is_some() => sent,
                };
                if sent.is_err() {
                    return;
                }
            }
        }
    });
    (to_left, to_right)
}

#[runtime::main]
async fn main() {
    let (numbers, source) = channel(0);
    runtime::spawn(async move {
        for n in 1..=5 {
            numbers.send(n).await.expect("the tee listens to the end");
        }
    });
    let (prints, sums) = tee(source);
    let sum = runtime::spawn(async move {
        let mut sum = 0;
        while let Some(n) = sums.recv().await {
            sum += n;
        }
        sum
    });
    while let Some(n) = prints.recv().await {
        println!("printed {n}");
    }
    println!("the sum of all is {}", sum.await.unwrap());
}
