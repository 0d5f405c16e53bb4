//! `Semaphore`: permits that come back against those who wait, and give up.
//!
//! Killed by: permits that are taken relaxed.
#![forbid(unsafe_code)]

use std::pin::pin;

use loom::cell::UnsafeCell;
use loom::sync::Arc;
use loom::thread;

use super::{block_on, poll_once};
use crate::semaphore::Semaphore;

#[test]
fn permits_come_back_to_those_who_wait() {
    loom::model(|| {
        let semaphore = Arc::new(Semaphore::new(2));
        let threads: Vec<_> = [1, 2]
            .into_iter()
            .map(|wanted| {
                let semaphore = semaphore.clone();
                thread::spawn(move || drop(block_on(semaphore.acquire_many(wanted))))
            })
            .collect();
        drop(block_on(semaphore.acquire()));
        for thread in threads {
            thread.join().unwrap();
        }
        assert_eq!(semaphore.available(), 2);
        assert!(semaphore.try_acquire().is_some(), "still marked as queued");
    });
}

#[test]
fn who_takes_a_permit_sees_what_was_done_under_it_before() {
    loom::model(|| {
        // Loom fails if two are ever in the cell at once, or do not see each other's writes.
        let shared = Arc::new((Semaphore::new(1), UnsafeCell::new(())));
        let other = {
            let shared = shared.clone();
            thread::spawn(move || {
                if let Some(_permit) = shared.0.try_acquire() {
                    shared.1.with_mut(|_| ());
                }
                let _permit = block_on(shared.0.acquire());
                shared.1.with_mut(|_| ());
            })
        };
        {
            let _permit = block_on(shared.0.acquire());
            shared.1.with_mut(|_| ());
        }
        other.join().unwrap();
    });
}

#[test]
fn giving_up_at_any_moment_lets_the_next_through() {
    loom::model(|| {
        let semaphore = Arc::new(Semaphore::new(2));
        let held = semaphore.try_acquire().unwrap();
        let quitter = {
            let semaphore = semaphore.clone();
            thread::spawn(move || {
                let mut acquire = pin!(semaphore.acquire_many(2));
                if poll_once(acquire.as_mut()).is_pending() {
                    let _ = poll_once(acquire.as_mut());
                }
            })
        };
        let waiter = {
            let semaphore = semaphore.clone();
            thread::spawn(move || drop(block_on(semaphore.acquire())))
        };
        drop(held);
        quitter.join().unwrap();
        waiter.join().unwrap();
        assert_eq!(semaphore.available(), 2);
        assert!(semaphore.try_acquire().is_some(), "still marked as queued");
    });
}

#[test]
fn a_close_refuses_or_comes_too_late_but_leaves_nobody() {
    loom::model(|| {
        let semaphore = Arc::new(Semaphore::new(1));
        let held = semaphore.try_acquire().unwrap();
        let waiters: Vec<_> = (0..2)
            .map(|_| {
                let semaphore = semaphore.clone();
                thread::spawn(move || drop(block_on(semaphore.checked_acquire(1))))
            })
            .collect();
        assert!(semaphore.close());
        drop(held);
        for waiter in waiters {
            waiter.join().unwrap();
        }
        assert_eq!(semaphore.available(), 1);
        assert!(poll_once(pin!(semaphore.checked_acquire(1))).is_ready());
    });
}

#[test]
fn permits_that_come_back_during_the_close_are_not_lost() {
    loom::model(|| {
        let semaphore = Arc::new(Semaphore::new(2));
        let permits = semaphore.clone();
        let held = permits.try_acquire_many(2).unwrap();
        // More than one batch.
        let mut waiting: Vec<_> = (0..3)
            .map(|_| Box::pin(semaphore.checked_acquire(1)))
            .collect();
        for waits in &mut waiting {
            assert!(poll_once(waits.as_mut()).is_pending());
        }
        let closer = {
            let semaphore = semaphore.clone();
            thread::spawn(move || assert!(semaphore.close()))
        };
        drop(held);
        closer.join().unwrap();
        for waits in &mut waiting {
            assert!(poll_once(waits.as_mut()).is_ready(), "nobody told it");
        }
        drop(waiting);
        assert_eq!(semaphore.available(), 2);
    });
}
