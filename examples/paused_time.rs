//! Paused time: tests of what takes minutes, which take no time and end the same way each time.
//!
//! `call` tries again after one second, two, four and so on, and gives up after a minute. With
//! `start_paused` the clock stands while a task runs, and jumps to the next timer when all of them
//! wait; so the tests below see each delay to the nanosecond. `time::settle` waits until everything
//! that can happen at a moment has happened, `time::advance` moves the clock by hand. Tasks run in
//! a random order that follows from a seed: `runs = 50` tries fifty orders, a test that fails
//! prints its seed, and `SEED=… cargo test` runs the same order again.
//!
//! Go: `testing/synctest`.
//!
//! Run: `cargo run --release --example paused_time`, and the tests:
//! `cargo test -p weftline-examples --example paused_time`
//!
//! Prints `answered after 7s, at the 4th attempt`, and `gave up after 60s`.

use std::time::Duration;

use runtime::Builder;
use runtime::time::{self, Elapsed, Instant};

const PATIENCE: Duration = Duration::from_secs(60);

/// Calls a service that fails `failures` times first; returns how often it had to be called.
async fn call(failures: u32) -> Result<u32, Elapsed> {
    time::timeout(PATIENCE, async {
        let mut delay = Duration::from_secs(1);
        for attempt in 1.. {
            if attempt > failures {
                return attempt;
            }
            time::sleep(delay).await;
            delay *= 2;
        }
        unreachable!("it goes on for ever")
    })
    .await
}

fn main() -> std::io::Result<()> {
    // What `#[runtime::test(start_paused = true)]` does for a test.
    let rt = Builder::new().start_paused(true).build()?;
    rt.block_on(async {
        for failures in [3, u32::MAX] {
            let start = Instant::now();
            match call(failures).await {
                Ok(n) => println!("answered after {:?}, at the {n}th attempt", start.elapsed()),
                Err(_) => println!("gave up after {:?}", start.elapsed()),
            }
        }
    });
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use sync::{channel, select};

    #[runtime::test(start_paused = true)]
    async fn the_delays_double() {
        let start = Instant::now();
        assert_eq!(call(3).await, Ok(4));
        assert_eq!(start.elapsed(), Duration::from_secs(1 + 2 + 4));
    }

    #[runtime::test(start_paused = true)]
    async fn it_gives_up_after_a_minute() {
        let start = Instant::now();
        assert!(call(u32::MAX).await.is_err());
        assert_eq!(start.elapsed(), PATIENCE);
    }

    #[runtime::test(start_paused = true)]
    async fn an_answer_comes_when_its_time_has_come_and_not_before() {
        let (tx, rx) = channel(1);
        runtime::spawn(async move { tx.send(call(1).await).await });
        time::settle().await;
        assert!(rx.is_empty());
        time::advance(Duration::from_secs(1)).await;
        assert_eq!(rx.try_recv().unwrap(), Ok(2));
    }

    // Two tasks that are ready at the same moment: which one wins follows from the seed, so this is
    // run with fifty of them.
    #[runtime::test(start_paused = true, runs = 50)]
    async fn whoever_is_first_one_answer_is_enough() {
        let (tx, rx) = channel(0);
        for _ in 0..2 {
            let tx = tx.clone();
            runtime::spawn(async move { tx.send(call(2).await).await });
        }
        select! {
            answer = rx.recv() => assert_eq!(answer, Some(Ok(3))),
            _ = time::sleep(PATIENCE) => panic!("no answer"),
        }
    }
}
