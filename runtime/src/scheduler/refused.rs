//! New tasks that come too late to be run: the queue is closed, and they are cancelled on the
//! thread of who brings them. (One that is woken too late is not: see [`Scheduler::inject`].)
//!
//! Cancelling a task drops its future and wakes who joins it. Both may bring the next task that is
//! refused: a hundred thousand tasks of which each awaits the one before would end one inside the
//! other, and the stack with them. So a thread that is cancelling a refused task puts the next one
//! off until it is through with that: whatever the tasks look like, there is one frame of each
//! kind.
//!
//! The end of the runtime, which cancels whatever is left, does so, too ([`putting_off`]): a
//! destructor may wake others under a lock that their destructors take.
//!
//! The end of the runtime waits for what is put off here; it finds these tasks alive, and may
//! cancel them itself meanwhile. What is left then is a reference, which the slab survives.
//! Others need not, but for a destructor that waits for a task that it has spawned: on the
//! thread that was to cancel that one later. So who finds a task not ended has those cancelled
//! that were put off ([`catch_up`]).
#![forbid(unsafe_code)]

use std::cell::{Cell, RefCell};

#[cfg(doc)]
use super::Scheduler;
use crate::task::Runnable;

thread_local! {
    /// What the thread has put off; `None`: it is not cancelling anything.
    static PUT_OFF: RefCell<Option<Vec<Runnable>>> = const { RefCell::new(None) };

    /// Whether there may be something, for those who ask often.
    static SOME: Cell<bool> = const { Cell::new(false) };
}

/// Ends a task that comes too late to be run, unless the thread is doing that already: then it
/// follows.
#[cold]
pub(super) fn refuse(task: Runnable) {
    if let Some(task) = put_off(task) {
        let _outermost = Outermost;
        task.refuse();
        refuse_put_off();
    }
}

/// Cancels something in a way in which the tasks that are refused meanwhile follow it.
pub(super) fn putting_off<R>(cancel: impl FnOnce() -> R) -> R {
    if !begin() {
        return cancel();
    }
    let _outermost = Outermost;
    let result = cancel();
    refuse_put_off();
    result
}

/// Cancels now what the calling thread has put off, since it is about to wait, and one of these may
/// be what it waits for. Returns whether there were any.
#[inline]
pub(crate) fn catch_up() -> bool {
    SOME.get() && catch_up_slow()
}

#[cold]
fn catch_up_slow() -> bool {
    let first = take();
    let any = first.is_some();
    first.into_iter().for_each(Runnable::refuse);
    refuse_put_off();
    any
}

fn refuse_put_off() {
    while let Some(task) = take() {
        task.refuse();
    }
}

/// From now on the thread puts off. `false`: it does so already, or cannot.
fn begin() -> bool {
    let begun = PUT_OFF.try_with(|put_off| {
        let mut put_off = put_off.borrow_mut();
        let is_first = put_off.is_none();
        put_off.get_or_insert_default();
        is_first
    });
    begun.unwrap_or(false)
}

/// Gives the task back to be cancelled now, if nothing else is.
fn put_off(task: Runnable) -> Option<Runnable> {
    let mut task = Some(task);
    // While the thread's locals are destroyed there is nowhere to put it.
    let _ = PUT_OFF.try_with(|put_off| match &mut *put_off.borrow_mut() {
        Some(list) => {
            SOME.set(true);
            list.extend(task.take());
        }
        none => *none = Some(Vec::new()),
    });
    task
}

fn take() -> Option<Runnable> {
    PUT_OFF
        .try_with(|put_off| put_off.borrow_mut().as_mut().and_then(Vec::pop))
        .ok()
        .flatten()
}

/// The thread is through, also by a panic.
struct Outermost;

impl Drop for Outermost {
    fn drop(&mut self) {
        // What a panic has left there drops references; the end of the runtime cancels the tasks.
        SOME.set(false);
        let left = PUT_OFF.try_with(|put_off| put_off.borrow_mut().take());
        drop(left);
    }
}
