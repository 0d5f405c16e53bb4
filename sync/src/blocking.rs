//! The `blocking_` methods: waiting on a thread that is not a task, by parking it.
//!
//! Nothing here drives timers or sockets: the future must be one that other threads complete, as
//! those of this crate are.
#![forbid(unsafe_code)]

use std::cell::RefCell;
use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::*};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};
use std::time::Duration;

use runtime::time::Instant;

/// Wakes one thread. The flag tells our wake from any other `unpark`.
struct Unparker {
    thread: Thread,
    woken: AtomicBool,
}

impl Wake for Unparker {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        // Release pairs with the acquire below.
        self.woken.store(true, Release);
        self.thread.unpark();
    }
}

thread_local! {
    /// This thread's waker, kept so that only its first blocking operation allocates. Taken while
    /// in use: a destructor that blocks again inside a blocking operation gets its own.
    static CACHED: RefCell<Option<Arc<Unparker>>> = const { RefCell::new(None) };
}

/// Runs an operation to its end on this thread. `name` is what the user called, `cure` what to
/// write instead inside a task.
#[track_caller]
pub(crate) fn wait<F: Future>(operation: F, name: &str, cure: &str) -> F::Output {
    wait_until(operation, None, name, cure)
}

/// The same for an operation that is also ready at some time: where there is no runtime any more
/// whose timer would say so, this thread does.
#[track_caller]
pub(crate) fn wait_until<F: Future>(
    operation: F,
    mut limit: Option<Instant>,
    name: &str,
    cure: &str,
) -> F::Output {
    if runtime::task::id().is_some() {
        panic!(
            "{name} called inside a task: it would block the worker and every task on it; \
             use {cure} instead, or call it inside spawn_blocking"
        );
    }
    // Which is no task: of a runtime's `main` that cannot be one, say.
    if runtime::task::in_block_on() {
        panic!(
            "{name} called inside block_on: it would block the thread where the runtime does not see it, with all that the body of \
             block_on waits for; use {cure} instead, or call it inside block_in_place or spawn_blocking"
        );
    }
    let unparker = cached().unwrap_or_else(|| {
        Arc::new(Unparker {
            thread: thread::current(),
            woken: AtomicBool::new(false),
        })
    });
    let waker = Waker::from(unparker.clone());
    let mut cx = Context::from_waker(&waker);
    let mut operation = pin!(operation);
    let output = loop {
        if let Poll::Ready(output) = operation.as_mut().poll(&mut cx) {
            break output;
        }
        // Acquire pairs with the release above.
        while !unparker.woken.swap(false, Acquire) {
            let Some(at) = limit else {
                thread::park();
                continue;
            };
            match at.saturating_duration_since(Instant::now()) {
                Duration::ZERO => {
                    // A runtime's timer will wake it, or has ended it, or the next poll does.
                    limit = None;
                    break;
                }
                left => thread::park_timeout(left),
            }
        }
    };
    drop(waker);
    keep(unparker);
    output
}

/// This thread's waker, if it has one at hand. A thread that ends may have lost its cache when the
/// destructor of another of its locals waits here: then it does without.
fn cached() -> Option<Arc<Unparker>> {
    CACHED.try_with(RefCell::take).ok().flatten()
}

/// For the next time, if there can be one.
fn keep(unparker: Arc<Unparker>) {
    let _ = CACHED.try_with(|cached| *cached.borrow_mut() = Some(unparker));
}
