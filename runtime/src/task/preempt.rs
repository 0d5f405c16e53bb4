//! ⚠ A worker's flag: its task has used its time slice up and is to yield at its next operation.
//!
//! The monitor sets it, the start of each poll clears it, and each budgeted operation asks for it:
//! so a thread knows the address of the flag of the worker that it is, and one that is no worker
//! that of a flag which nobody sets. Flags live for ever and are used again, so that nobody counts
//! who knows of one.
//!
//! Rejected: an `Option` of a reference in the thread-local, which is one more branch an operation
//! (a round trip over two channels took a twentieth longer); and a reference to the flag that
//! nobody sets, which Rust 1.85 refuses in a constant.

use std::cell::Cell;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

/// See the module. Relaxed everywhere: nothing else is told by it.
#[derive(Debug)]
pub(crate) struct Preempt(AtomicBool);

/// That of threads that are no workers.
static NEVER: Preempt = Preempt(AtomicBool::new(false));

static UNUSED: Mutex<Vec<&'static Preempt>> = Mutex::new(Vec::new());

thread_local! {
    /// The flag of the worker that this thread is, or was last. It points to a static, or to what
    /// was leaked: nothing else is put here.
    static OWN: Cell<*const Preempt> = const { Cell::new(&raw const NEVER) };
}

impl Preempt {
    pub(crate) fn acquire() -> &'static Self {
        let unused = UNUSED
            .lock()
            .unwrap_or_else(|poisoned| poisoned.into_inner())
            .pop();
        unused.unwrap_or_else(|| Box::leak(Box::new(Self(AtomicBool::new(false)))))
    }

    /// The worker is gone; the next one may have it.
    pub(crate) fn release(&'static self) {
        self.0.store(false, Relaxed);
        UNUSED
            .lock()
            .unwrap_or_else(|poisoned| poisoned.into_inner())
            .push(self);
    }

    /// Asks the current task to yield.
    pub(crate) fn set(&self) {
        self.0.store(true, Relaxed);
    }

    /// Makes this the flag of the calling thread.
    pub(crate) fn adopt(&'static self) {
        OWN.set(self);
    }

    /// The flag of the calling thread.
    #[inline]
    fn own() -> &'static Self {
        // SAFETY: see `OWN`.
        unsafe { &*OWN.get() }
    }
}

/// Whether the calling thread's task is to yield.
#[inline]
pub(super) fn is_asked() -> bool {
    Preempt::own().0.load(Relaxed)
}

/// A poll begins, of which nobody has asked anything.
#[inline]
pub(super) fn begin() {
    let own = Preempt::own();
    // A look first: it is hardly ever set, and its cache line is the monitor's as well.
    if own.0.load(Relaxed) {
        own.0.store(false, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::thread;

    #[test]
    fn a_thread_asks_for_the_flag_of_the_worker_that_it_is() {
        assert!(!is_asked(), "no worker");
        let flag = Preempt::acquire();
        thread::spawn(|| {
            flag.adopt();
            flag.set();
            assert!(is_asked());
            begin();
            assert!(!is_asked());
            flag.set();
        })
        .join()
        .unwrap();
        assert!(!is_asked(), "that of another thread");
        flag.release();
        assert!(!flag.0.load(Relaxed));
    }
}
