//! `broadcast`: sending against receiving, lagging, going away and closing. Values are counted:
//! none is lost, or dropped twice.
//!
//! Killed by: `remove_sender` without its acquire half.
#![forbid(unsafe_code)]

use std::pin::pin;

use loom::cell::UnsafeCell;
use loom::sync::Arc;
use loom::thread;

use super::{block_on, poll_once};
use crate::broadcast::{Receiver, RecvError, channel};

/// All that a receiver gets, with what it missed in between.
fn drain(mut rx: Receiver<u32>) -> Vec<Result<u32, u64>> {
    let mut all = Vec::new();
    loop {
        match block_on(rx.recv()) {
            Ok(n) => all.push(Ok(n)),
            Err(RecvError::Lagged(missed)) => all.push(Err(missed)),
            Err(RecvError::Closed) => return all,
        }
    }
}

#[test]
fn two_receivers_get_both_values() {
    loom::model(|| {
        let (tx, one) = channel(2);
        let two = tx.subscribe();
        let other = thread::spawn(move || drain(two));
        let sender = thread::spawn(move || {
            assert_eq!(tx.send(1).unwrap(), 2);
            assert_eq!(tx.send(2).unwrap(), 2);
        });
        assert_eq!(drain(one), [Ok(1), Ok(2)]);
        assert_eq!(other.join().unwrap(), [Ok(1), Ok(2)]);
        sender.join().unwrap();
    });
}

#[test]
fn a_value_that_is_sent_while_one_queues_up_is_not_missed() {
    loom::model(|| {
        let (tx, mut rx) = channel(1);
        let receiver = thread::spawn(move || block_on(rx.recv()));
        // The sender stays: its end would wake the receiver, too.
        tx.send(1).unwrap();
        assert_eq!(receiver.join().unwrap(), Ok(1));
    });
}

#[test]
fn the_end_of_the_last_sender_is_not_missed() {
    loom::model(|| {
        let (tx, mut rx) = channel::<u32>(1);
        let receiver = thread::spawn(move || block_on(rx.recv()));
        drop(tx);
        assert_eq!(receiver.join().unwrap(), Err(RecvError::Closed));
    });
}

#[test]
fn who_lags_is_told_how_many_it_missed() {
    loom::model(|| {
        let (tx, rx) = channel(1);
        let receiver = thread::spawn(move || drain(rx));
        for n in 0..3 {
            tx.send(n).unwrap();
        }
        drop(tx);
        let mut next = 0;
        for got in receiver.join().unwrap() {
            match got {
                Ok(n) => {
                    assert_eq!(n, next);
                    next += 1;
                }
                Err(missed) => next += missed as u32,
            }
        }
        assert_eq!(next, 3);
    });
}

#[test]
fn two_senders_take_turns() {
    loom::model(|| {
        let (tx, rx) = channel(2);
        let tx2 = tx.clone();
        let first = thread::spawn(move || tx.send(1).unwrap());
        let second = thread::spawn(move || tx2.send(2).unwrap());
        let mut all = drain(rx);
        all.sort_unstable();
        assert_eq!(all, [Ok(1), Ok(2)]);
        first.join().unwrap();
        second.join().unwrap();
    });
}

#[test]
fn every_value_is_dropped_once_everybody_has_passed_it() {
    loom::model(|| {
        let (tx, mut one) = channel(1);
        let mut two = tx.subscribe();
        let probe = Arc::new(());
        tx.send(probe.clone()).unwrap();
        // One receives while the other goes away, and a sender comes round to the same slot.
        let receiver = thread::spawn(move || {
            drop(one.try_recv());
            one
        });
        let quitter = thread::spawn(move || drop(two.try_recv()));
        let sent = tx.send(probe.clone());
        drop(sent);
        quitter.join().unwrap();
        let mut one = receiver.join().unwrap();
        while !matches!(one.try_recv(), Err(crate::broadcast::TryRecvError::Empty)) {}
        assert_eq!(Arc::strong_count(&probe), 1);
        assert!(tx.is_empty());
    });
}

#[test]
fn one_who_goes_away_while_it_waits_keeps_nobody_from_being_woken() {
    loom::model(|| {
        let (tx, mut one) = channel(1);
        let two = tx.subscribe();
        let quitter = thread::spawn(move || {
            let mut recv = pin!(one.recv());
            let _ = poll_once(recv.as_mut());
        });
        let waiter = thread::spawn(move || drain(two));
        tx.send(1).unwrap();
        drop(tx);
        assert_eq!(waiter.join().unwrap(), [Ok(1)]);
        quitter.join().unwrap();
    });
}

#[test]
fn one_who_subscribes_meanwhile_gets_all_or_nothing() {
    loom::model(|| {
        let (tx, _rx) = channel(2);
        let other = tx.clone();
        let subscriber = thread::spawn(move || {
            let rx = other.subscribe();
            drop(other);
            drain(rx)
        });
        tx.send(1).unwrap();
        drop(tx);
        let got = subscriber.join().unwrap();
        assert!(got.is_empty() || got == [Ok(1)], "{got:?}");
    });
}

#[test]
fn who_hears_of_the_end_sees_what_each_sender_did() {
    loom::model(|| {
        let (tx, mut rx) = channel::<u32>(1);
        let done = Arc::new([UnsafeCell::new(()), UnsafeCell::new(())]);
        let senders = [tx.clone(), tx].into_iter().enumerate().map(|(me, tx)| {
            let done = done.clone();
            thread::spawn(move || {
                done[me].with_mut(|_| ());
                drop(tx);
            })
        });
        let senders: Vec<_> = senders.collect();
        assert_eq!(block_on(rx.recv()), Err(RecvError::Closed));
        done.iter().for_each(|done| done.with(|_| ()));
        for sender in senders {
            sender.join().unwrap();
        }
    });
}
