//! A worker's bed against those who wake it: [`Parker`] itself, with one sleeper and one or two who
//! wake it.
//!
//! What was done before an `unpark` is seen after the sleep, also where the token was there before,
//! or two came at once; a lost one is a deadlock, which loom reports. (That what the sleeper did
//! before is seen by who finds it asleep is in `deadlock`.)
//!
//! Killed by: `unpark` without Release; the exchanges that take a token, in `enter` and in `leave`,
//! without Acquire; an `enter` that leaves the token; an `unpark` that does not wake.

use loom::sync::Arc;
use loom::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use loom::thread;

use super::explore;
use crate::scheduler::parker::Parker;

fn sleeps_until_all_are_seen(wakers: usize) {
    explore(3, move || {
        let parker = Arc::new(Parker::new());
        parker.adopt();
        // Relaxed: it is the token that makes them visible.
        let done: Arc<Vec<_>> = Arc::new((0..wakers).map(|_| AtomicUsize::new(0)).collect());
        for me in 0..wakers {
            let (parker, done) = (parker.clone(), done.clone());
            thread::spawn(move || {
                done[me].store(1, Relaxed);
                let _ = parker.unpark();
            });
        }
        while done.iter().any(|done| done.load(Relaxed) == 0) {
            parker.park(None);
        }
    });
}

#[test]
fn what_was_done_before_a_wake_is_seen_after_the_sleep() {
    sleeps_until_all_are_seen(1);
}

#[test]
fn of_two_who_wake_at_once_both_are_heard() {
    sleeps_until_all_are_seen(2);
}

/// Each token is for one sleep: the one that follows waits for the next.
#[test]
fn a_sleep_ends_by_a_token_of_its_own() {
    explore(3, || {
        let parker = Arc::new(Parker::new());
        parker.adopt();
        let done = Arc::new(AtomicUsize::new(0));
        let waker = {
            let (parker, done) = (parker.clone(), done.clone());
            thread::spawn(move || {
                done.store(1, Relaxed);
                let _ = parker.unpark();
            })
        };
        parker.park(None);
        assert_eq!(done.load(Relaxed), 1, "it was woken by somebody");
        waker.join().unwrap();
    });
}
