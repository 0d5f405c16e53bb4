//! Loom models: each explores every interleaving, up to two preemptions, of the code that ships.
//!
//! ```text
//! RUSTFLAGS="--cfg loom" LOOM_MAX_PREEMPTIONS=2 CARGO_TARGET_DIR=target/loom cargo test --release -p weftline-sync --lib models
//! ```
//!
//! Those of [`errgroup`](crate::errgroup) and [`singleflight`](crate::singleflight) are declared
//! there, as they look inside.
#![forbid(unsafe_code)]

mod barrier;
mod broadcast;
mod channel;
mod cond;
mod context;
mod gone;
mod lock;
mod mutex;
mod notify;
mod once;
mod oneshot;
mod pool;
mod rwlock;
mod rwlock_light;
mod select;
mod semaphore;
mod wait_group;
mod watch;

use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};

use loom::sync::Notify;

/// Wakes a modelled thread.
struct Unparker(Notify);

impl Wake for Unparker {
    fn wake(self: Arc<Self>) {
        self.0.notify();
    }
}

/// Runs a future on a modelled thread, which sleeps between polls: a lost wake-up is a deadlock,
/// and loom reports those.
pub(crate) fn block_on<F: Future>(future: F) -> F::Output {
    let unparker = Arc::new(Unparker(Notify::new()));
    let waker = Waker::from(unparker.clone());
    let mut future = pin!(future);
    loop {
        if let Poll::Ready(output) = future.as_mut().poll(&mut Context::from_waker(&waker)) {
            return output;
        }
        unparker.0.wait();
    }
}

/// Polls once, with a waker that wakes nobody.
pub(crate) fn poll_once<F: Future>(future: Pin<&mut F>) -> Poll<F::Output> {
    future.poll(&mut Context::from_waker(Waker::noop()))
}
