//! `block_on`: a future on the calling thread, which sleeps between polls.
//!
//! The future is not a task: it stays on its thread, since it need not be `Send`, and a thread that
//! also ran tasks could be held up by one of them just when its own future becomes ready. What
//! `#[runtime::main]` does with a `Send` body is better: it runs as a task.
#![forbid(unsafe_code)]

use std::future::Future;
use std::panic::Location;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use crate::scheduler::sleepers::Sleeper;
use crate::scheduler::{Scheduler, catch_up, current};

#[track_caller]
pub(crate) fn block_on<F: Future>(scheduler: &Arc<Scheduler>, future: F) -> F::Output {
    if current::in_task() {
        panic!(
            "block_on called inside a task: it would block the worker and every task on it; \
             use .await instead, or call it inside spawn_blocking"
        );
    }
    scheduler.forbid_in_child();
    let _entered = current::enter(scheduler.clone());
    let _inside = Inside::new(scheduler);
    let sleeper = Arc::new(Sleeper::new(scheduler.sleepers(), Location::caller()));
    let _noting = current::enter_block_on(&sleeper);
    let waker = Waker::from(sleeper.clone());
    let mut cx = Context::from_waker(&waker);
    let mut future = pin!(future);
    let mut listed = None;
    loop {
        sleeper.waits.clear();
        if let Poll::Ready(output) = future.as_mut().poll(&mut cx) {
            return output;
        }
        listed.get_or_insert_with(|| scheduler.sleepers().enter(&sleeper));
        // It may be the future that has forked.
        scheduler.forbid_in_child();
        // Being listed, it is told of what happens from here on.
        if let Some(reason) = scheduler.downfall().reason() {
            panic!("{reason}");
        }
        // In a destructor, while a runtime ends, the thread may hold up what it waits for.
        if catch_up() {
            continue;
        }
        if let Err(report) = sleeper.sleep(|| scheduler.count_sleep()) {
            panic!("{report}");
        }
    }
}

/// The thread is inside `block_on`: a paused clock has to know, since this thread can make tasks
/// run.
struct Inside<'a>(&'a Scheduler);

impl<'a> Inside<'a> {
    fn new(scheduler: &'a Scheduler) -> Self {
        scheduler.sleepers().begin();
        Self(scheduler)
    }
}

impl Drop for Inside<'_> {
    fn drop(&mut self) {
        self.0.sleepers().end();
        self.0.reconsider_clock();
    }
}
