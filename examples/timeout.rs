//! Timeouts: round one operation, and for a whole conversation.
//!
//! `timeout` drops the receive when the time is up, and dropping a receive loses nothing: the late
//! answer is still received afterwards. A limit for a whole loop is a timer made before the loop;
//! made inside, every message would put it off.
//!
//! Go: `case <-time.After(d):`, and one `time.NewTimer` for the loop.
//!
//! Run: `cargo run --release --example timeout`
//!
//! Prints `no answer in time`, `late, but not lost: 42`, and `… messages before the end`.

use std::pin::pin;
use std::time::Duration;

use runtime::time::{sleep, timeout};
use sync::{channel, select};

#[runtime::main]
async fn main() {
    let (tx, answers) = channel(0);
    runtime::spawn(async move {
        sleep(Duration::from_millis(30)).await;
        let _ = tx.send(42).await;
    });
    match timeout(Duration::from_millis(5), answers.recv()).await {
        Ok(answer) => println!("in time after all: {answer:?}"),
        Err(_) => {
            println!("no answer in time");
            let late = answers.recv().await;
            assert_eq!(late, Some(42));
            println!("late, but not lost: 42");
        }
    }

    let (tx, messages) = channel(0);
    runtime::spawn(async move {
        // Ends when the other side stops listening.
        while tx.send("news").await.is_ok() {
            sleep(Duration::from_millis(1)).await;
        }
    });
    let mut limit = pin!(sleep(Duration::from_millis(20)));
    let mut count = 0;
    loop {
        select! {
            _ = messages.recv() => count += 1,
            () = limit.as_mut() => break,
        }
    }
    println!("{count} messages before the end");
}
