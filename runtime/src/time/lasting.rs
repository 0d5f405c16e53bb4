//! Timers that outlive the runtime that they were made on: for `sync`'s contexts, whose deadlines
//! belong to no runtime. Not a part of the public interface.
//!
//! A timer is in the wheel of one runtime, as any other; what it costs while that runs is nothing.
//! When the runtime ends its wheels let go of their timers, and one that lasts moves on: to another
//! runtime of the process, or, while there is none, to a list (`WAITING`) from which the next one
//! takes it. Whoever asks meanwhile whether the time is over has those that are due called on his
//! own thread ([`run_due`]): for that the list has the time by the system's clock.
//!
//! Invariant: a timer in the list is never left there while there is a runtime. Who puts one there
//! looks for a runtime afterwards, who makes a runtime known looks at the list afterwards; both are
//! behind locks, so that one of the two sees the other.
#![forbid(unsafe_code)]

use std::panic::Location;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::task::Waker;
use std::time::Duration;

use super::after_func::{Core, Timer};
use super::clock;
use crate::deadlock::all_runtimes;
use crate::handle::{Handle, NO_RUNTIME};
use crate::scheduler::Scheduler;

/// Timers without a runtime, and when they are due on the system's clock. Weakly: one whose handles
/// are gone need not be called any more.
static WAITING: Mutex<Vec<(u64, Weak<Core>)>> = Mutex::new(Vec::new());

/// How many these are, for who has no time. Written under the lock.
static COUNT: AtomicUsize = AtomicUsize::new(0);

/// As [`after_func`](super::after_func()), also when the runtime ends before: then on another one.
/// Only as long as somebody has the handle.
///
/// # Panics
///
/// If there is no runtime.
#[track_caller]
pub fn after_func<F>(delay: Duration, f: F) -> Timer
where
    F: FnMut() + Send + 'static,
{
    let Ok(handle) = Handle::try_current() else {
        panic!("a deadline: {NO_RUNTIME}");
    };
    Timer::start(handle, delay, f, true, Location::caller())
}

/// Calls on this thread what is due and has no runtime. One load if there is nothing.
#[inline]
pub fn run_due() {
    if COUNT.load(SeqCst) > 0 {
        run_some();
    }
}

#[cold]
fn run_some() {
    let now = clock::real();
    let mut due = Vec::new();
    let mut waiting = waiting();
    waiting.retain(|(at, core)| {
        let is_due = *at <= now;
        if is_due {
            due.push(core.clone());
        }
        !is_due && core.strong_count() > 0
    });
    COUNT.store(waiting.len(), SeqCst);
    drop(waiting);
    due.iter().filter_map(Weak::upgrade).for_each(run_lost);
}

/// A runtime is there: it takes those that have none.
pub(crate) fn adopt() {
    if COUNT.load(SeqCst) == 0 {
        return;
    }
    let mut waiting = waiting();
    let orphans = std::mem::take(&mut *waiting);
    COUNT.store(0, SeqCst);
    drop(waiting);
    let cores = orphans.iter().filter_map(|(_, core)| core.upgrade());
    cores.for_each(move_on);
}

/// The timer's runtime is gone.
pub(super) fn move_on(core: Arc<Core>) {
    loop {
        let runtimes = all_runtimes();
        let running = || runtimes.iter().filter(|runtime| is_alive(runtime));
        // One whose clock does not stand, if there is any: the time that is left is to pass.
        let steady = running().find(|runtime| !runtime.timeline().is_paused());
        let Some(next) = steady.or_else(|| running().next()) else {
            break;
        };
        if settle(&core, next) {
            return;
        }
    }
    let left = core.lock().left();
    if left == 0 {
        return run_lost(core);
    }
    let mut waiting = waiting();
    let at = clock::real().saturating_add(left);
    waiting.push((at, Arc::downgrade(&core)));
    COUNT.store(waiting.len(), SeqCst);
    drop(waiting);
    drop(core);
    if all_runtimes().iter().any(is_alive) {
        adopt();
    }
}

fn is_alive(runtime: &Arc<Scheduler>) -> bool {
    !runtime.is_stopping() && !runtime.is_in_child()
}

/// Arms it there. `false`: that one ends, too.
fn settle(core: &Arc<Core>, runtime: &Arc<Scheduler>) -> bool {
    // Cloned and called under no lock.
    let waker = Waker::from(core.clone());
    let handle = Handle::from_scheduler(runtime.clone());
    let mut state = core.lock();
    if !state.is_lost() {
        // Stopped, or set again.
        drop(state);
        return true;
    }
    let before = state.go_to(handle);
    let armed = state.arm_again(waker);
    let (run, lost) = (state.next_run(), state.is_lost());
    drop(state);
    drop(before);
    if let Ok(alert) = armed {
        alert.ring();
    }
    if run {
        core.clone().spawn_run();
    }
    !lost
}

/// Its time is over, and there is nobody else to do it.
fn run_lost(core: Arc<Core>) {
    let mut state = core.lock();
    if !state.is_lost() {
        return;
    }
    state.take_over();
    let run = state.next_run();
    drop(state);
    if run {
        core.run_here();
    }
}

fn waiting() -> MutexGuard<'static, Vec<(u64, Weak<Core>)>> {
    WAITING.lock().unwrap_or_else(PoisonError::into_inner)
}
