//! When main returns, the program ends: whatever is still running is not waited for.
//!
//! Go's rule, with one difference: a goroutine vanishes without its deferred calls, while a task
//! that is cut off is dropped, so that what it owns is cleaned up. `Luggage` shows it.
//!
//! Go: `go func() { time.Sleep(time.Hour); fmt.Println("never printed") }()` at the end of main.
//!
//! Run: `cargo run --release --example main_ends`
//!
//! Prints:
//!
//! ```text
//! main: returns
//! task: dropped, and its luggage with it
//! ```

use std::time::Duration;

use runtime::time::sleep;

struct Luggage;

impl Drop for Luggage {
    fn drop(&mut self) {
        println!("task: dropped, and its luggage with it");
    }
}

#[runtime::main]
async fn main() {
    let luggage = Luggage;
    runtime::spawn(async move {
        sleep(Duration::from_secs(3600)).await;
        drop(luggage);
        println!("task: never printed");
    });
    println!("main: returns");
}
