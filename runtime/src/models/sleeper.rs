//! A thread inside `block_on` against those who wake it: [`Sleeper`] itself, in the loop of
//! `block_on`.
//!
//! What a waker did before its call is seen by the poll that follows; a token that is there already
//! is not lost, and counts for all who come before the sleeper takes it. A lost wake-up is a
//! deadlock, which loom reports.
//!
//! Killed by: `wake_by_ref` without its release half; the end of `sleep` without its acquire half.
//! Not by `wake_by_ref` without the acquire half, which is for nobody.

use std::panic::Location;
use std::sync::Arc;
use std::task::Wake;

use loom::sync::atomic::{AtomicBool, Ordering::Relaxed};
use loom::thread;

use crate::scheduler::sleepers::{Sleeper, Sleepers};

fn explore(wakers: usize) {
    loom::model(move || {
        let sleeper = Arc::new(Sleeper::new(&Sleepers::default(), Location::caller()));
        // Relaxed: it is the wake that makes them visible.
        let work: loom::sync::Arc<Vec<_>> =
            loom::sync::Arc::new((0..wakers).map(|_| AtomicBool::new(false)).collect());
        // Not joined: a token that comes late would end loom's wait for the end of a thread.
        for me in 0..wakers {
            let (sleeper, work) = (sleeper.clone(), work.clone());
            thread::spawn(move || {
                work[me].store(true, Relaxed);
                sleeper.wake();
            });
        }
        while !work.iter().all(|done| done.load(Relaxed)) {
            sleeper.sleep(|| ()).unwrap();
        }
        assert_eq!(sleeper.asleep(), None);
    });
}

#[test]
fn a_wake_is_seen_with_what_came_before_it() {
    explore(1);
}

#[test]
fn two_who_wake_at_once_are_both_heard() {
    explore(2);
}
