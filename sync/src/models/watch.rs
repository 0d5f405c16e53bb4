//! `watch`: a change, or the end, against one who is about to wait.
//!
//! Killed by: a version that is raised relaxed, an end that is, and counts of senders and receivers
//! that are given up without a half of their orderings.
#![forbid(unsafe_code)]

use loom::cell::UnsafeCell;
use loom::sync::Arc;
use loom::thread;

use super::block_on;
use crate::watch::channel;

/// Also if the waking for the change comes late, to one who waits for the end already.
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

/// Also what no lock of ours covers.
#[test]
fn who_learns_of_a_change_sees_what_was_done_before_it() {
    loom::model(|| {
        let (tx, mut rx) = channel(0);
        let done = Arc::new(UnsafeCell::new(()));
        let theirs = done.clone();
        let sender = thread::spawn(move || {
            theirs.with_mut(|_| ());
            tx.replace(1);
            tx
        });
        assert!(block_on(rx.changed()));
        done.with(|_| ());
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
fn who_hears_of_the_end_sees_what_each_sender_did() {
    loom::model(|| {
        let (tx, mut rx) = channel(0);
        let done = Arc::new([UnsafeCell::new(()), UnsafeCell::new(())]);
        let senders = [tx.clone(), tx].into_iter().enumerate().map(|(me, tx)| {
            let done = done.clone();
            thread::spawn(move || {
                done[me].with_mut(|_| ());
                drop(tx);
            })
        });
        let senders: Vec<_> = senders.collect();
        assert!(!block_on(rx.changed()));
        done.iter().for_each(|done| done.with(|_| ()));
        for sender in senders {
            sender.join().unwrap();
        }
    });
}

#[test]
fn who_learns_that_nobody_listens_sees_what_each_receiver_did() {
    loom::model(|| {
        let (tx, rx) = channel(0);
        let done = Arc::new([UnsafeCell::new(()), UnsafeCell::new(())]);
        let receivers = [rx.clone(), rx].into_iter().enumerate().map(|(me, rx)| {
            let done = done.clone();
            thread::spawn(move || {
                done[me].with_mut(|_| ());
                drop(rx);
            })
        });
        let receivers: Vec<_> = receivers.collect();
        block_on(tx.closed());
        done.iter().for_each(|done| done.with(|_| ()));
        for receiver in receivers {
            receiver.join().unwrap();
        }
    });
}
