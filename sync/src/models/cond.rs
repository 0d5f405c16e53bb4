//! `Cond`: a signal is not lost between the look and the wait, and one who goes away passes it on.
#![forbid(unsafe_code)]

use std::pin::pin;

use loom::sync::Arc;
use loom::thread;

use super::{block_on, poll_once};
use crate::cond::Cond;
use crate::mutex::Mutex;

type Shared = Arc<(Mutex<u32>, Cond)>;

fn shared() -> Shared {
    Arc::new((Mutex::new(0), Cond::new()))
}

/// Takes one, once there is one.
fn take(shared: &Shared) {
    let (count, changed) = &**shared;
    let mut guard = block_on(count.lock());
    while *guard == 0 {
        guard = block_on(changed.wait(guard));
    }
    *guard -= 1;
}

fn give(shared: &Shared) {
    *block_on(shared.0.lock()) += 1;
    shared.1.signal();
}

#[test]
fn a_signal_after_the_change_is_not_missed() {
    loom::model(|| {
        let shared = shared();
        let taker = {
            let shared = shared.clone();
            thread::spawn(move || take(&shared))
        };
        give(&shared);
        taker.join().unwrap();
    });
}

#[test]
fn a_broadcast_wakes_two() {
    loom::model(|| {
        let shared = shared();
        let takers = [(); 2].map(|()| {
            let shared = shared.clone();
            thread::spawn(move || take(&shared))
        });
        *block_on(shared.0.lock()) = 2;
        shared.1.broadcast();
        for taker in takers {
            taker.join().unwrap();
        }
    });
}

#[test]
fn a_signal_of_one_who_goes_away_goes_to_the_next() {
    loom::model(|| {
        let shared = shared();
        let (mine, changed) = (&shared.0, &shared.1);
        // It is first in the queue.
        let guard = mine.try_lock().unwrap();
        let mut quitter = Box::pin(changed.wait(guard));
        assert!(poll_once(quitter.as_mut()).is_pending());
        let taker = {
            let shared = shared.clone();
            thread::spawn(move || take(&shared))
        };
        let giver = {
            let shared = shared.clone();
            thread::spawn(move || give(&shared))
        };
        drop(quitter);
        taker.join().unwrap();
        giver.join().unwrap();
        assert_eq!(*mine.try_lock().unwrap(), 0);
    });
}

#[test]
fn one_that_was_called_and_waits_for_the_lock_may_go_away() {
    loom::model(|| {
        let shared = shared();
        let giver = {
            let shared = shared.clone();
            thread::spawn(move || give(&shared))
        };
        {
            let guard = block_on(shared.0.lock());
            let mut wait = pin!(shared.1.wait(guard));
            if poll_once(wait.as_mut()).is_pending() {
                let _ = poll_once(wait.as_mut());
            }
        }
        giver.join().unwrap();
        assert!(shared.0.try_lock().is_some(), "left locked");
    });
}
