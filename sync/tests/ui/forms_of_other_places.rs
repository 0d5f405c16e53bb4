//! What stands before a pattern in a `match`, a function or a block.

use sync::{channel, select};

#[runtime::main]
async fn main() {
    let (_tx, rx) = channel::<u32>(1);
    select! {
        #[cfg(unix)]
        x = rx.recv() => drop(x),
    }
    select! {
        if true => x = rx.recv() => drop(x),
    }
    select! {
        let x = rx.recv() => drop(x),
    }
    select! {
        _ = rx.recv() => , default => {}
    }
}
