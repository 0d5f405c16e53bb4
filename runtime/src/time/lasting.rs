//! Timers that outlive the runtime that they were made on: for `sync`'s contexts, whose deadlines
//! belong to no runtime. Not a part of the public interface.
//!
//! A timer is in the wheel of one runtime, as any other; what it costs while that runs is nothing.
//! When the runtime ends its wheels let go of their timers, and one that lasts moves on: to another
//! runtime of the process, or, while there is none, to the list of the keeper (`time/keeper.rs`),
//! whose thread calls it, and from which the next runtime takes it. So whoever awaits a context on
//! an executor that is not ours is woken, too.
//!
//! Whoever asks meanwhile whether the time is over has those that are due called on his own thread
//! ([`run_due`]), so that the answer does not depend on how soon the keeper gets a CPU, or on
//! whether the system had a thread left for it.
//!
//! Invariant: a timer in the list is never left there while there is a runtime. Who puts one there
//! looks for a runtime afterwards, who makes a runtime known looks at the list afterwards; both are
//! behind locks, so that one of the two sees the other.
#![forbid(unsafe_code)]

use std::panic::Location;
use std::sync::{Arc, Weak};
use std::task::Waker;
use std::time::Duration;

use super::after_func::{Core, Timer};
use super::{clock, keeper};
use crate::deadlock::all_runtimes;
use crate::handle::{Handle, NO_RUNTIME};
use crate::scheduler::Scheduler;

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
    if !keeper::is_empty() {
        run_some();
    }
}

#[cold]
pub(super) fn run_some() {
    let due = keeper::take_due(clock::real());
    due.iter().filter_map(Weak::upgrade).for_each(run_lost);
}

/// A runtime is there: it takes those that have none.
pub(crate) fn adopt() {
    let orphans = keeper::take_all();
    orphans.iter().filter_map(Weak::upgrade).for_each(move_on);
}

/// The timer is stopped, or set again: the list is not to have it.
pub(super) fn forget(core: &Arc<Core>) {
    keeper::remove(core);
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
    keeper::add(clock::real().saturating_add(left), Arc::downgrade(&core));
    if !core.lock().is_lost() {
        // Stopped meanwhile, by somebody who did not find it in the list.
        keeper::remove(&core);
    }
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
