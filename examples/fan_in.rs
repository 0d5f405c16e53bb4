//! Fan-in: three sources into one, in whatever order they come, by one `select!`.
//!
//! A source that ends switches its own arm off; when all are off, so is the loop. Where the number
//! of sources is known only at run time, give each a clone of one sender, or use `sync::Select`.
//!
//! Go: `select` with the ended channels set to nil.
//!
//! Run: `cargo run --release --example fan_in`
//!
//! Prints nine lines such as `hare 2` in an order that varies, and `all: 9`.

use std::time::Duration;

use runtime::time::sleep;
use sync::{Receiver, channel, select};

fn source(name: &'static str, pause: Duration) -> Receiver<String> {
    let (tx, rx) = channel(0);
    runtime::spawn(async move {
        for n in 1..=3 {
            sleep(pause).await;
            if tx.send(format!("{name} {n}")).await.is_err() {
                return;
            }
        }
    });
    rx
}

#[runtime::main]
async fn main() {
    let hare = source("hare", Duration::from_millis(2));
    let fox = source("fox", Duration::from_millis(3));
    let snail = source("snail", Duration::from_millis(9));
    let mut running = [true; 3];
    let mut count = 0;

    while running != [false; 3] {
        let (source, line) = select! {
            line = hare.recv(), if running[0] => (0, line),
            line = fox.recv(), if running[1] => (1, line),
            line = snail.recv(), if running[2] => (2, line),
        };
        match line {
            Some(line) => {
                println!("{line}");
                count += 1;
            }
            None => running[source] = false,
        }
    }
    assert_eq!(count, 9);
    println!("all: {count}");
}
