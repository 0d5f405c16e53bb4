//! `closed` of the senders: the last receiver to go against one who is about to wait for that.
#![forbid(unsafe_code)]

use loom::thread;

use super::block_on;
use crate::{broadcast, channel, watch};

#[test]
fn a_sender_of_a_channel_is_told_of_the_close() {
    loom::model(|| {
        let (tx, rx) = channel::<u32>(0);
        let receiver = thread::spawn(move || drop(rx));
        block_on(tx.closed());
        assert!(tx.is_closed());
        receiver.join().unwrap();
    });
}

#[test]
fn two_senders_of_a_channel_are_told() {
    loom::model(|| {
        let (tx, rx) = channel::<u32>(0);
        let other = tx.clone();
        let sender = thread::spawn(move || block_on(other.closed()));
        rx.close();
        block_on(tx.closed());
        sender.join().unwrap();
    });
}

#[test]
fn a_sender_of_a_watch_is_told() {
    loom::model(|| {
        let (tx, rx) = watch::channel(0);
        let receiver = thread::spawn(move || drop(rx));
        block_on(tx.closed());
        receiver.join().unwrap();
    });
}

/// One who was told, and finds a receiver that has come since, waits for the end of that one.
#[test]
fn a_receiver_that_comes_meanwhile_is_waited_for() {
    loom::model(|| {
        let (tx, rx) = watch::channel(0);
        let other = tx.clone();
        let receiver = thread::spawn(move || {
            drop(rx);
            drop(other.subscribe());
        });
        block_on(tx.closed());
        receiver.join().unwrap();
        assert!(tx.is_closed());
    });
}

#[test]
fn a_sender_of_a_broadcast_is_told() {
    loom::model(|| {
        let (tx, rx) = broadcast::channel::<u32>(1);
        let receiver = thread::spawn(move || drop(rx));
        block_on(tx.closed());
        receiver.join().unwrap();
    });
}
