//! `oneshot`: sending, receiving, closing and going away at the same time. The value is counted: it
//! is dropped exactly once.
//!
//! Killed by: the exchange of `end` without its release half.
#![forbid(unsafe_code)]

use std::pin::Pin;

use loom::sync::Arc;
use loom::thread;

use super::{block_on, poll_once};
use crate::oneshot::channel;

#[test]
fn the_value_arrives() {
    loom::model(|| {
        let (tx, rx) = channel();
        let value = Arc::new(());
        let copy = value.clone();
        let sender = thread::spawn(move || tx.send(copy).unwrap());
        assert!(block_on(rx).is_some());
        sender.join().unwrap();
        assert_eq!(Arc::strong_count(&value), 1);
    });
}

#[test]
fn it_arrives_though_the_waker_changes() {
    loom::model(|| {
        let (tx, mut rx) = channel();
        let sender = thread::spawn(move || tx.send(1).unwrap());
        if poll_once(Pin::new(&mut rx)).is_pending() {
            assert_eq!(block_on(rx), Some(1));
        }
        sender.join().unwrap();
    });
}

#[test]
fn it_is_received_or_comes_back_when_the_receiver_closes() {
    loom::model(|| {
        let (tx, mut rx) = channel();
        let sender = thread::spawn(move || tx.send(1).is_ok());
        let _ = poll_once(Pin::new(&mut rx)).is_ready() || {
            rx.close();
            let received = rx.try_recv().is_ok();
            assert_eq!(sender.join().unwrap(), received);
            return;
        };
        assert!(sender.join().unwrap());
    });
}

#[test]
fn both_may_go_away() {
    loom::model(|| {
        let (tx, mut rx) = channel::<u32>();
        let sender = thread::spawn(move || drop(tx));
        let _ = poll_once(Pin::new(&mut rx));
        drop(rx);
        sender.join().unwrap();
    });
}

#[test]
fn the_sender_is_told_of_the_end() {
    loom::model(|| {
        let (mut tx, rx) = channel::<u32>();
        let receiver = thread::spawn(move || drop(rx));
        block_on(tx.closed());
        assert!(tx.send(1).is_err());
        receiver.join().unwrap();
    });
}

#[test]
fn each_may_wait_for_the_other_and_go() {
    loom::model(|| {
        let (mut tx, mut rx) = channel();
        let value = Arc::new(());
        let copy = value.clone();
        let sender = thread::spawn(move || {
            let _ = poll_once(std::pin::pin!(tx.closed()));
            let mut closed = Box::pin(tx.closed());
            let _ = poll_once(closed.as_mut());
            std::mem::forget(closed); // its waker stays
            tx.send(copy).is_ok()
        });
        let _ = poll_once(Pin::new(&mut rx));
        drop(rx);
        sender.join().unwrap();
        assert_eq!(Arc::strong_count(&value), 1);
    });
}
