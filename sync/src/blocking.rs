//! Waiting for a future on a thread of one's own, outside any runtime: the `blocking_` methods.
//!
//! The thread parks until the future's waker unparks it. Nothing here drives timers or sockets: the future must be one that other threads
//! complete, as all futures of this crate are.
#![forbid(unsafe_code)]

use std::future::Future;
use std::pin::pin;
use std::task::{Context, Poll, Wake, Waker};

use crate::primitive::thread::{self, Thread};

/// Blocks the thread until the future is ready.
pub(crate) fn wait_for<F: Future>(future: F) -> F::Output {
    let mut future = pin!(future);
    let waker = Waker::from(std::sync::Arc::new(Unparker(thread::current())));
    let mut cx = Context::from_waker(&waker);
    loop {
        if let Poll::Ready(output) = future.as_mut().poll(&mut cx) {
            return output;
        }
        // Spurious returns do no harm, and an unpark before the park makes it return at once.
        thread::park();
    }
}

struct Unparker(Thread);

impl Wake for Unparker {
    fn wake(self: std::sync::Arc<Self>) {
        self.0.unpark();
    }

    fn wake_by_ref(self: &std::sync::Arc<Self>) {
        self.0.unpark();
    }
}
