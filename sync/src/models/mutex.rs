//! `Mutex`: locking against unlocking, giving up at every moment, and the hand-over.
//!
//! A lock is light from its first unlock on, and again after two more (`PATIENCE`), so that both
//! kinds of unlock meet everything else.
//!
//! Killed by: either unlock relaxed; a light unlock without its barrier, without its second look at
//! `quiet`, or whose `recover` does not restore QUEUED; a waiter that does not revoke, or without
//! the barrier; a lock that becomes light although somebody is queued, or while somebody is awake.
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
        for _ in 0..3 {
            drop(mutex.try_lock());
        }
        waiter.join().unwrap();
        is_idle(&mutex);
    });
}

/// Its store may have wiped out QUEUED, and until it has put that right, others come and go, as
/// often as it takes for the lock to become light again.
#[test]
fn a_light_unlock_that_is_late_loses_nobody() {
    // One for the unlock, two for those who come meanwhile.
    let mut model = loom::model::Builder::new();
    model.preemption_bound = Some(3);
    model.check(|| {
        let mutex = shared();
        drop(mutex.try_lock());
        let waiter = {
            let mutex = mutex.clone();
            thread::spawn(move || add_one(&mutex))
        };
        let passer_by = {
            let mutex = mutex.clone();
            thread::spawn(move || {
                for _ in 0..3 {
                    drop(mutex.try_lock());
                }
            })
        };
        drop(mutex.try_lock());
        passer_by.join().unwrap();
        waiter.join().unwrap();
        is_idle(&mutex);
    });
}
