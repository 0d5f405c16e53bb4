//! `block_on`: a future on the calling thread, which sleeps between polls.
//!
//! The future is not a task: it stays on its thread, since it need not be `Send`, and a thread that also ran tasks could be held up by
//! one of them just when its own future becomes ready. What `#[runtime::main]` does with a `Send` body is better: it runs as a task.
#![forbid(unsafe_code)]

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{
    AtomicBool,
    Ordering::{AcqRel, Acquire, Release},
};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};

use crate::scheduler::{Scheduler, current};

/// Wakes the thread. The token is ours, not std's, because the future may park the thread itself.
struct Signal {
    woken: AtomicBool,
    thread: Thread,
}

impl Wake for Signal {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        // Release pairs with the Acquire in `wait`. One wake is as good as many.
        if !self.woken.swap(true, AcqRel) {
            self.thread.unpark();
        }
    }
}

impl Signal {
    fn wait(&self) {
        while !self.woken.load(Acquire) {
            thread::park();
        }
        self.woken.store(false, Release);
    }
}

#[track_caller]
pub(crate) fn block_on<F: Future>(scheduler: &Arc<Scheduler>, future: F) -> F::Output {
    if current::in_task() {
        panic!(
            "block_on called inside a task: it would block the worker and every task on it; \
             use .await instead, or call it inside spawn_blocking"
        );
    }
    let _entered = current::enter(scheduler.clone());
    let signal = Arc::new(Signal {
        woken: AtomicBool::new(false),
        thread: thread::current(),
    });
    let waker = Waker::from(signal.clone());
    let mut cx = Context::from_waker(&waker);
    let mut future = pin!(future);
    loop {
        if let Poll::Ready(output) = future.as_mut().poll(&mut cx) {
            return output;
        }
        signal.wait();
    }
}
