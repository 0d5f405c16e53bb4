//! `Semaphore`: permits that come back against those who wait, and give up.
#![forbid(unsafe_code)]

use std::pin::pin;

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
