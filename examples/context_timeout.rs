//! A time limit around anything: any future can be given up, also one that knows nothing of
//! contexts.
//!
//! `ctx.run(future)` drops the future when the context ends. The budget is for the whole request:
//! what the first step takes, the second does not have, since both run under one context.
//!
//! Go: `context.WithTimeout`; but there each step must look at `ctx.Done()` by itself, or nothing
//! ends it.
//!
//! Run: `cargo run --release --example context_timeout`
//!
//! Prints `fast: Ok("a page for Ada")`, and
//! `slow: Err(DeadlineExceeded), and its connection is closed`.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use runtime::time::sleep;
use sync::context::{Context, ContextError};

static CLOSED: AtomicBool = AtomicBool::new(false);

/// Closed when it is dropped, however that comes.
struct Connection;

impl Drop for Connection {
    fn drop(&mut self) {
        CLOSED.store(true, Ordering::Relaxed);
    }
}

/// Has never heard of contexts.
async fn query(takes: Duration) -> &'static str {
    let _connection = Connection;
    sleep(takes).await;
    "Ada"
}

async fn page(ctx: &Context, query_takes: Duration) -> Result<String, ContextError> {
    let user = ctx.run(query(query_takes)).await?;
    ctx.run(async { format!("a page for {user}") }).await
}

#[runtime::main]
async fn main() {
    let (ctx, _cancel) = Context::background().with_timeout(Duration::from_secs(60));
    println!("fast: {:?}", page(&ctx, Duration::from_millis(1)).await);

    CLOSED.store(false, Ordering::Relaxed);
    let (ctx, _cancel) = ctx.with_timeout(Duration::from_millis(20));
    let slow = page(&ctx, Duration::from_secs(3600)).await;
    assert!(CLOSED.load(Ordering::Relaxed));
    println!("slow: {slow:?}, and its connection is closed");
}
