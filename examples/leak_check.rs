//! The end of a test: nobody is to be left. `#[runtime::test(leak_check)]` does it for a test; here
//! it is done by hand.
//!
//! `Runtime::check_leaks` waits for tasks that are about to end, and fails if others are left,
//! saying of each where it was spawned and what it waits for. The first runtime has tasks that end.
//! The second one forgot to close the channel that its task reads.
//!
//! Go: `goleak.VerifyNone(t)`.
//!
//! Run: `cargo run --release --example leak_check`
//!
//! Prints `tidy: nobody is left`, then `untidy: 1 task is left`, with the task.

use std::time::Duration;

use runtime::Runtime;

/// For tasks that a timer will end.
const PATIENCE: Duration = Duration::from_secs(1);

async fn print_all(lines: sync::Receiver<String>) {
    while let Some(line) = lines.recv().await {
        println!("{line}");
    }
}

fn main() -> std::io::Result<()> {
    let tidy = Runtime::new()?;
    tidy.block_on(async {
        let (tx, rx) = sync::channel(10);
        runtime::spawn(print_all(rx));
        tx.send("the last line".into()).await.expect("it is open");
        // Going out of scope closes the channel; the task prints what is left, and ends.
    });
    tidy.check_leaks(PATIENCE).expect("nobody is left");
    println!("tidy: nobody is left");

    let untidy = Runtime::new()?;
    let (tx, rx) = sync::channel(10);
    untidy.block_on(async {
        runtime::spawn(print_all(rx));
    });
    match untidy.check_leaks(PATIENCE) {
        Ok(()) => println!("untidy: nobody is left"),
        Err(left) => print!("untidy: {left}"),
    }
    drop(tx);
    Ok(())
}
