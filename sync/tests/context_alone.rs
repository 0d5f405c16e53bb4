//! Deadlines of contexts where no runtime is left. One test, and alone in its process: the others'
//! runtimes would keep the time.
#![cfg(not(loom))]

mod support;

use std::thread;
use std::time::Duration;

use runtime::Runtime;
use support::within_a_minute;
use sync::context::{CancelFunc, Context, ContextError};

const SOON: Duration = Duration::from_millis(50);

/// A context whose runtime has gone.
fn orphan() -> (Context, CancelFunc) {
    let rt = Runtime::new().unwrap();
    rt.block_on(async { Context::background().with_timeout(SOON) })
}

#[test]
fn a_deadline_comes_also_when_no_runtime_is_left() {
    within_a_minute(|| {
        // Whoever asks finds out, be it below.
        let (ctx, _cancel) = orphan();
        let (below, _cancel_below) = ctx.with_cancel();
        while below.err().is_none() {
            thread::yield_now();
        }
        assert_eq!(ctx.err(), Some(ContextError::DeadlineExceeded));

        // Whoever waits is told.
        let (ctx, _cancel) = orphan();
        assert_eq!(ctx.blocking_done(), ContextError::DeadlineExceeded);

        // One that has begun to wait before.
        let rt = Runtime::new().unwrap();
        let (ctx, _cancel) = rt.block_on(async { Context::background().with_timeout(SOON) });
        let waits = thread::spawn(move || ctx.blocking_done());
        drop(rt);
        assert_eq!(waits.join().unwrap(), ContextError::DeadlineExceeded);

        // The next runtime keeps the time.
        let (ctx, _cancel) = orphan();
        let next = Runtime::new().unwrap();
        let task = next.spawn(async move { ctx.done().await });
        assert_eq!(next.block_on(task).unwrap(), ContextError::DeadlineExceeded);

        // Nobody has it any more: nothing happens.
        let (ctx, cancel) = orphan();
        cancel.cancel();
        assert_eq!(ctx.err(), Some(ContextError::Canceled));
    });
}
