//! Buffers that are used again: ten thousand requests, and no more buffers than are in use at once.
//!
//! A request gets a buffer from the pool and gives it back by dropping it, wherever it ends: at the
//! last line, at a `?`, or because its task was aborted. Nobody waits for a buffer: if none is
//! there, one is made.
//!
//! Go: `sync.Pool` with `pool.Get()` and `defer pool.Put(buf)`.
//!
//! Run: `cargo run --release --example buffer_pool`
//!
//! Prints `10000 requests, at most 50 at once: N buffers were made`, where N is about 50, and how
//! many of them lie in the pool: some of those that nobody needed have been dropped by then.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use sync::{Pool, Semaphore, WaitGroup};

static MADE: AtomicUsize = AtomicUsize::new(0);

static BUFFERS: Pool<Vec<u8>> = Pool::new(|| {
    MADE.fetch_add(1, Ordering::Relaxed);
    Vec::with_capacity(64 * 1024)
});

async fn answer(request: usize) -> usize {
    let mut buffer = BUFFERS.get();
    buffer.clear(); // it is as the last request left it
    for part in 0..10 {
        buffer.extend_from_slice(format!("part {part} of {request}\n").as_bytes());
        runtime::yield_now().await; // the connection is slow
    }
    buffer.len()
}

#[runtime::main]
async fn main() {
    const REQUESTS: usize = 10_000;
    const AT_ONCE: usize = 50;
    let limit = Arc::new(Semaphore::new(AT_ONCE));
    let group = WaitGroup::new();
    for request in 0..REQUESTS {
        let permit = limit.clone().acquire_owned().await;
        group.spawn(async move {
            let sent = answer(request).await;
            assert!(sent > 100);
            drop(permit);
        });
    }
    group.wait().await;
    let made = MADE.load(Ordering::Relaxed);
    println!("{REQUESTS} requests, at most {AT_ONCE} at once: {made} buffers were made");
    println!("{} of them lie in the pool", BUFFERS.len());
}
