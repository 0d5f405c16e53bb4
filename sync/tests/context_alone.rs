//! Deadlines of contexts where no runtime is left. One test, and alone in its process: the others'
//! runtimes would keep the time.
#![cfg(not(loom))]

mod support;

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::{Arc, mpsc};
use std::task::{Context as TaskContext, Poll, Wake, Waker};
use std::thread::{self, Thread};
use std::time::Duration;

use runtime::{Builder, Runtime};
use support::within_a_minute;
use sync::context::{CancelFunc, Context, ContextError};
use sync::{channel, select};

const SOON: Duration = Duration::from_millis(50);
const HOUR: Duration = Duration::from_secs(3600);

/// A context whose runtime has gone.
fn orphan() -> (Context, CancelFunc) {
    orphan_for(SOON)
}

fn orphan_for(time: Duration) -> (Context, CancelFunc) {
    let rt = Runtime::new().unwrap();
    rt.block_on(async { Context::background().with_timeout(time) })
}

/// An executor that is not ours, and polls no oftener than it is told to.
fn elsewhere<F: Future>(future: F) -> F::Output {
    struct Unpark(Thread);
    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let mut future = pin!(future);
    loop {
        match future.as_mut().poll(&mut TaskContext::from_waker(&waker)) {
            Poll::Ready(output) => return output,
            Poll::Pending => thread::park(),
        }
    }
}

/// Waits until the thread that keeps the time has got its name, or has ended.
fn until_keeper_is(there: bool) {
    let is_there = || {
        let threads = std::fs::read_dir("/proc/self/task").unwrap();
        threads
            .filter_map(|thread| std::fs::read_to_string(thread.ok()?.path().join("comm")).ok())
            .any(|name| name.trim_end() == "weftline-keeper")
    };
    while cfg!(all(target_os = "linux", not(miri))) && is_there() != there {
        thread::yield_now();
    }
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
        drop(next);

        // On another executor, which nobody polls unless it is told.
        let (ctx, _cancel) = orphan();
        assert_eq!(elsewhere(ctx.done()), ContextError::DeadlineExceeded);
        let (ctx, _cancel) = orphan();
        let (_tx, rx) = channel::<()>(0);
        let selected = async {
            select! {
                _ = rx.recv() => unreachable!(),
                err = ctx.done() => err,
            }
        };
        assert_eq!(elsewhere(selected), ContextError::DeadlineExceeded);

        // One that has begun to wait before; and an earlier deadline after a later one.
        let (late, cancel_late) = orphan_for(HOUR);
        let rt = Runtime::new().unwrap();
        let (ctx, _cancel) = rt.block_on(async { Context::background().with_timeout(SOON) });
        let (begun, has_begun) = mpsc::channel();
        let waits = thread::spawn(move || {
            let mut done = pin!(ctx.done());
            elsewhere(poll_fn(|cx| {
                let polled = done.as_mut().poll(cx);
                let _ = begun.send(());
                polled
            }))
        });
        has_begun.recv().unwrap();
        drop(rt);
        assert_eq!(waits.join().unwrap(), ContextError::DeadlineExceeded);
        assert!(!late.is_done());
        until_keeper_is(true);

        // The thread that keeps the time ends with what it is there for: here since nobody wants
        // it any more, and there since a runtime has taken it over.
        drop(cancel_late);
        until_keeper_is(false);
        let (late, _cancel) = orphan_for(HOUR);
        let next = Runtime::new().unwrap();
        until_keeper_is(false);
        drop(next);
        until_keeper_is(true);
        assert!(!late.is_done());

        // A runtime that has ended but for a worker that is stuck keeps no time.
        let rt = Builder::new().max_procs(1).build().unwrap();
        let (ctx, _cancel) = rt.block_on(async { Context::background().with_timeout(SOON) });
        let (release, stuck) = mpsc::channel::<()>();
        let (begun_to_be_stuck, is_stuck) = mpsc::channel();
        rt.spawn(async move {
            let _ = begun_to_be_stuck.send(());
            let _ = stuck.recv();
        });
        is_stuck.recv().unwrap();
        assert!(!rt.shutdown(Duration::ZERO));
        assert_eq!(elsewhere(ctx.done()), ContextError::DeadlineExceeded);
        drop(release);

        // Nor one that ends when the time is over and its call has not begun, for want of a thread.
        let rt = Builder::new().max_procs(1).max_threads(1).build().unwrap();
        let (release, stuck) = mpsc::channel::<()>();
        let (begun_to_be_stuck, is_stuck) = mpsc::channel();
        let handle = rt.handle().clone();
        rt.spawn(async move {
            let _ = begun_to_be_stuck.send(());
            let _ = stuck.recv();
        });
        is_stuck.recv().unwrap();
        let (ctx, _cancel) = rt.block_on(async { Context::background().with_timeout(SOON) });
        while handle.metrics().timers_fired == 0 {
            thread::yield_now();
        }
        assert!(!rt.shutdown(Duration::ZERO));
        assert_eq!(elsewhere(ctx.done()), ContextError::DeadlineExceeded);
        drop(release);

        // Nobody has it any more: nothing happens.
        let (ctx, cancel) = orphan_for(HOUR);
        cancel.cancel();
        assert_eq!(ctx.err(), Some(ContextError::Canceled));
    });
}
