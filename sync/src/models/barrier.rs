//! `Barrier`: all go when the last has come, one of them leads, and who goes away has not come.
#![forbid(unsafe_code)]

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::Poll;

use loom::sync::Arc;
use loom::thread;

use super::{block_on, poll_once};
use crate::barrier::Barrier;
use crate::notify::Notify;

#[test]
fn two_meet_twice_and_one_leads_each_time() {
    loom::model(|| {
        let barrier = Arc::new(Barrier::new(2));
        let other = {
            let barrier = barrier.clone();
            thread::spawn(move || [(); 2].map(|()| block_on(barrier.wait()).is_leader()))
        };
        let mine = [(); 2].map(|()| block_on(barrier.wait()).is_leader());
        let theirs = other.join().unwrap();
        assert!(mine[0] != theirs[0] && mine[1] != theirs[1]);
    });
}

#[test]
fn one_who_goes_away_has_come_or_has_not() {
    loom::model(|| {
        let shared = Arc::new((Barrier::new(2), Notify::new()));
        let other = {
            let shared = shared.clone();
            thread::spawn(move || {
                block_on(shared.0.wait());
                shared.1.notify_one();
            })
        };
        let _ = poll_once(pin!(shared.0.wait()));
        // Either the other has gone by that, or it needs another to come.
        let (mut gone, mut wait) = (pin!(shared.1.notified()), pin!(shared.0.wait()));
        block_on(poll_fn(|cx| {
            if gone.as_mut().poll(cx).is_ready() {
                return Poll::Ready(());
            }
            wait.as_mut().poll(cx).map(drop)
        }));
        other.join().unwrap();
    });
}
