//! `Mutex`: locking against unlocking, giving up at every moment, and the hand-over.
//!
//! Killed by: `unlock` relaxed.
#![forbid(unsafe_code)]

use std::pin::pin;

use loom::cell::UnsafeCell;
use loom::sync::Arc;
use loom::thread;

use super::{block_on, poll_once};
use crate::mutex::Mutex;

type Shared = Arc<Mutex<UnsafeCell<u32>>>;

fn shared() -> Shared {
    Arc::new(Mutex::new(UnsafeCell::new(0)))
}

/// Loom fails if two are ever in here at once, or do not see each other's writes.
fn add_one(mutex: &Shared) {
    let guard = block_on(mutex.lock());
    guard.with_mut(|_| ());
}

/// The lock is free, owed to nobody, and nobody waits.
fn is_idle(mutex: &Shared) {
    assert!(mutex.try_lock().is_some(), "left locked or starving");
}

#[test]
fn three_take_turns() {
    loom::model(|| {
        let mutex = shared();
        let threads: Vec<_> = (0..2)
            .map(|_| {
                let mutex = mutex.clone();
                thread::spawn(move || add_one(&mutex))
            })
            .collect();
        add_one(&mutex);
        for thread in threads {
            thread.join().unwrap();
        }
        is_idle(&mutex);
    });
}

#[test]
fn one_who_locks_again_and_again_starves_nobody() {
    loom::model(|| {
        let mutex = shared();
        let hog = {
            let mutex = mutex.clone();
            thread::spawn(move || {
                add_one(&mutex);
                add_one(&mutex);
            })
        };
        add_one(&mutex);
        hog.join().unwrap();
        is_idle(&mutex);
    });
}

#[test]
fn giving_up_at_any_moment_passes_the_lock_on() {
    loom::model(|| {
        let mutex = shared();
        let holder = mutex.try_lock().unwrap();
        let quitter = {
            let mutex = mutex.clone();
            thread::spawn(move || {
                let mut lock = pin!(mutex.lock());
                if poll_once(lock.as_mut()).is_pending() {
                    let _ = poll_once(lock.as_mut());
                }
            })
        };
        let waiter = {
            let mutex = mutex.clone();
            thread::spawn(move || add_one(&mutex))
        };
        drop(holder);
        quitter.join().unwrap();
        waiter.join().unwrap();
        is_idle(&mutex);
    });
}

#[test]
fn a_try_lock_in_between_loses_nobody() {
    loom::model(|| {
        let mutex = shared();
        let waiter = {
            let mutex = mutex.clone();
            thread::spawn(move || add_one(&mutex))
        };
        for _ in 0..2 {
            drop(mutex.try_lock());
        }
        waiter.join().unwrap();
        is_idle(&mutex);
    });
}
