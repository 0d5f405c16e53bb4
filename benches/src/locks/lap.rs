//! A gate that closes again: one task waits for so many others, round after round. The same for
//! every peer.
#![forbid(unsafe_code)]

use std::future::poll_fn;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Poll, Waker};

/// Counts down to zero, again and again.
#[derive(Debug)]
pub(crate) struct Lap {
    left: AtomicUsize,
    waker: Mutex<Option<Waker>>,
}

impl Lap {
    /// One that is at zero.
    pub(crate) fn new() -> Arc<Lap> {
        Arc::new(Lap {
            left: AtomicUsize::new(0),
            waker: Mutex::new(None),
        })
    }

    /// A new round, of so many. Nobody counts down or waits yet.
    pub(crate) fn begin(&self, count: usize) {
        self.left.store(count, Ordering::Release);
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

    /// Waits for the end of the round.
    pub(crate) async fn wait(&self) {
        poll_fn(|cx| {
            if self.over() {
                return Poll::Ready(());
            }
            *self.waker.lock().expect("no panic inside") = Some(cx.waker().clone());
            // Looked at again after the waker is in place: the last one may have come between.
            if self.over() {
                Poll::Ready(())
            } else {
                Poll::Pending
            }
        })
        .await;
    }

    fn over(&self) -> bool {
        // Acquire, the partner of `done`.
        self.left.load(Ordering::Acquire) == 0
    }
}
