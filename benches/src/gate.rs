//! A counter that one task waits on: the plainest WaitGroup there is. Runtimes that bring none use
//! it, and for its end every workload that is about something else.
#![forbid(unsafe_code)]

use std::future::poll_fn;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Poll, Waker};

/// Counts down to zero.
#[derive(Debug)]
pub(crate) struct Gate {
    left: AtomicUsize,
    waker: Mutex<Option<Waker>>,
}

impl Gate {
    /// A gate that opens after so many calls of [`done`](Gate::done).
    pub(crate) fn new(count: usize) -> Arc<Gate> {
        Arc::new(Gate {
            left: AtomicUsize::new(count),
            waker: Mutex::new(None),
        })
    }

    /// One less. The last one wakes the waiter.
    pub(crate) fn done(&self) {
        // AcqRel, so that the last one has seen what the others did before they counted down.
        if self.left.fetch_sub(1, Ordering::AcqRel) == 1 {
            let waker = self.waker.lock().expect("no panic inside").take();
            if let Some(waker) = waker {
                waker.wake();
            }
        }
    }

    /// Waits for zero.
    pub(crate) async fn wait(&self) {
        poll_fn(|cx| {
            if self.open() {
                return Poll::Ready(());
            }
            *self.waker.lock().expect("no panic inside") = Some(cx.waker().clone());
            // Looked at again after the waker is in place: the last one may have come between.
            if self.open() {
                Poll::Ready(())
            } else {
                Poll::Pending
            }
        })
        .await;
    }

    fn open(&self) -> bool {
        // Acquire, the partner of `done`.
        self.left.load(Ordering::Acquire) == 0
    }
}
