//! Who keeps the time where there is no runtime: the list of the timers that [last](super::lasting)
//! and have none, and one thread for all of them.
//!
//! The thread is started when a timer comes into the list and there is none, sleeps until the first
//! is due, calls it, and ends when the list is empty: since all have been called or stopped, or
//! since a runtime has taken them. So a program whose last runtime ends while a context with a
//! deadline is still somebody's pays a thread for that, and no other program anything.
//!
//! ```text
//! a runtime ends ──add──► list ──take_due──► keeper, or whoever asks
//!                          │ ├────take_all──► the next runtime
//!                          │ └────remove────► stopped
//! ```
//!
//! A thread that the system refuses is said once, and tried again with the next timer: until then
//! only who asks finds out.
//!
//! In a child that fork has made there is no keeper, whatever the list says: so it names the
//! process that its thread is in.
//!
//! *Rejected*: a panic for whoever awaits such a deadline without a runtime, as `sleep` has it. A
//! sleep is polled by who waits, and finds out there that nobody will wake it; a context is awaited
//! long before its runtime ends, and has no poll to panic in.
//!
//! Invariants:
//!
//! 1. While the list is not empty, there is a keeper that has yet to look at it, or that sleeps no
//!    longer than until its first is due; or the system gave none.
//! 2. Nothing is called under the lock; what is dropped there is the memory of timers that are
//!    gone.
#![forbid(unsafe_code)]

use std::panic::{self, AssertUnwindSafe};
use std::process;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed, Ordering::SeqCst};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak};
use std::thread;
use std::time::Duration;

use super::after_func::Core;
use super::{clock, lasting};

/// Weakly: a timer whose handles are gone need not be called any more.
type Orphan = Weak<Core>;

struct List {
    /// And when they are due on the system's clock.
    timers: Vec<(u64, Orphan)>,
    /// The process that the keeper is in, while there is one.
    keeper: Option<u32>,
}

static LIST: Mutex<List> = Mutex::new(List {
    timers: Vec::new(),
    keeper: None,
});

/// How many timers it has, for who has no time. Written under the lock.
static COUNT: AtomicUsize = AtomicUsize::new(0);

/// The list has changed, so that the keeper may have to wake sooner, or to end.
static CHANGED: Condvar = Condvar::new();

/// Whether there is nobody to keep the time for. One load.
#[inline]
pub(super) fn is_empty() -> bool {
    COUNT.load(SeqCst) == 0
}

/// Puts a timer into the list, and sees to a keeper.
pub(super) fn add(at: u64, orphan: Orphan) {
    let mut list = lock();
    list.timers.push((at, orphan));
    list.changed();
    if list.keeper != Some(process::id()) {
        list.start_keeper();
    }
}

/// Takes out those that are due at `now`.
pub(super) fn take_due(now: u64) -> Vec<Orphan> {
    let mut due = Vec::new();
    let mut list = lock();
    list.timers.retain(|(at, orphan)| {
        let is_due = *at <= now;
        if is_due {
            due.push(orphan.clone());
        }
        !is_due && orphan.strong_count() > 0
    });
    list.changed();
    due
}

/// Takes out all.
pub(super) fn take_all() -> Vec<Orphan> {
    if is_empty() {
        return Vec::new();
    }
    let mut list = lock();
    let all = list.timers.drain(..).map(|(_, orphan)| orphan).collect();
    list.changed();
    all
}

/// Takes one out, if it is there.
pub(super) fn remove(core: &Arc<Core>) {
    if is_empty() {
        return;
    }
    let mut list = lock();
    list.timers
        .retain(|(_, orphan)| orphan.as_ptr() != Arc::as_ptr(core));
    list.changed();
}

impl List {
    fn changed(&self) {
        COUNT.store(self.timers.len(), SeqCst);
        CHANGED.notify_all();
    }

    fn start_keeper(&mut self) {
        static SAID: AtomicBool = AtomicBool::new(false);
        let builder = thread::Builder::new().name("weftline-keeper".into());
        match builder.spawn(keep_time) {
            Ok(_detached) => self.keeper = Some(process::id()),
            Err(error) if !SAID.swap(true, Relaxed) => crate::stderr::say(format_args!(
                "the deadline of a context whose runtime has ended is seen only by who asks for it, \
                 since no thread can be started to keep the time: {error}; this is said once"
            )),
            Err(_) => {}
        }
    }

    /// How long the keeper may sleep; `None`: it is not needed.
    fn patience(&self) -> Option<Duration> {
        let first = self.timers.iter().map(|(at, _)| *at).min()?;
        Some(Duration::from_nanos(first.saturating_sub(clock::real())))
    }
}

/// The keeper's life.
fn keep_time() {
    loop {
        // A waker that panics has been reported, and takes no other deadline along.
        let _ = panic::catch_unwind(AssertUnwindSafe(lasting::run_some));
        let mut list = lock();
        let Some(patience) = list.patience() else {
            list.keeper = None;
            return;
        };
        if !patience.is_zero() {
            let woken = CHANGED.wait_timeout(list, patience);
            drop(woken.unwrap_or_else(PoisonError::into_inner));
        }
    }
}

fn lock() -> MutexGuard<'static, List> {
    LIST.lock().unwrap_or_else(PoisonError::into_inner)
}
