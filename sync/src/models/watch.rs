//! `watch`: a change, or the end, against one who is about to wait.
#![forbid(unsafe_code)]

use loom::thread;

use super::block_on;
use crate::watch::channel;

#[test]
fn a_change_is_seen_and_so_is_the_end() {
    loom::model(|| {
        let (tx, mut rx) = channel(0);
        let sender = thread::spawn(move || tx.send(1).unwrap());
        assert!(block_on(rx.changed()));
        assert_eq!(*rx.borrow(), 1);
        assert!(!block_on(rx.changed()));
        sender.join().unwrap();
    });
}

#[test]
fn two_receivers_see_it() {
    loom::model(|| {
        let (tx, mut rx) = channel(0);
        let mut other = rx.clone();
        let reader = thread::spawn(move || {
            assert!(block_on(other.changed()));
        });
        tx.replace(1);
        assert!(block_on(rx.changed()));
        reader.join().unwrap();
    });
}

#[test]
fn a_waking_that_comes_late_does_not_end_the_waiting() {
    loom::model(|| {
        let (tx, mut rx) = channel(0);
        let sender = thread::spawn(move || {
            tx.replace(1);
            tx.replace(2);
            tx
        });
        while *rx.borrow() < 2 {
            assert!(block_on(rx.changed()));
        }
        drop(sender.join().unwrap());
    });
}
