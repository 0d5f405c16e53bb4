//! Three tasks talk at once, while main waits for one of them.
//!
//! `spawn` starts a task and returns at once, as `go` does. Its handle is a future: main awaits
//! ann's, so the program lasts exactly as long as ann talks. Bob is done earlier; cat would go on,
//! and is cut off.
//!
//! Go: `go say("ann", …)` three times, and a channel on which ann reports that she is done.
//!
//! Run: `cargo run --release --example talking`
//!
//! Prints, mixed differently from run to run: three lines of ann, two of bob, some of cat, and
//! `main: ann is done, and so am I`.

use std::time::Duration;

use runtime::time::sleep;

async fn say(name: &'static str, times: u32, pause: Duration) {
    for n in 1..=times {
        println!("{name}: {n}");
        sleep(pause).await;
    }
}

#[runtime::main]
async fn main() {
    let ann = runtime::spawn(say("ann", 3, Duration::from_millis(50)));
    runtime::spawn(say("bob", 2, Duration::from_millis(40)));
    runtime::spawn(say("cat", 1_000_000, Duration::from_millis(30)));

    ann.await.expect("ann does not panic");
    println!("main: ann is done, and so am I");
}
