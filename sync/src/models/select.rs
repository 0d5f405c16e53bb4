//! Selects against sends, receives, closes, drops, and each other.
//!
//! Not killed by `Claim::win` without its acquire half: the channel's lock, which the winner holds,
//! orders as much.

use std::future::poll_fn;
use std::pin::pin;
use std::task::Poll;

use loom::thread;

use super::{block_on, poll_once};
use crate::{channel, select};

#[test]
fn two_arms_against_two_senders() {
    loom::model(|| {
        let (tx1, rx1) = channel(0);
        let (tx2, rx2) = channel(0);
        let one = thread::spawn(move || block_on(tx1.send(1)).unwrap());
        let two = thread::spawn(move || block_on(tx2.send(2)).unwrap());
        let mut sum = 0;
        for _ in 0..2 {
            sum += block_on(async {
                select! {
                    n = rx1.recv(), if sum != 1 => n,
                    n = rx2.recv(), if sum != 2 => n,
                }
            })
            .unwrap();
        }
        assert_eq!(sum, 3);
        one.join().unwrap();
        two.join().unwrap();
    });
}

#[test]
fn select_meets_select() {
    loom::model(|| {
        let (tx1, rx1) = channel(0);
        let (tx2, rx2) = channel(0);
        let peer = thread::spawn(move || {
            block_on(async {
                select! {
                    sent = tx1.send(1) => { sent.unwrap(); 1 }
                    sent = tx2.send(2) => { sent.unwrap(); 2 }
                }
            })
        });
        let (received, rest) = block_on(async {
            select! {
                n = rx1.recv() => (n, rx2.try_recv()),
                n = rx2.recv() => (n, rx1.try_recv()),
            }
        });
        assert!(rest.is_err());
        assert_eq!(received, Some(peer.join().unwrap()));
    });
}

#[test]
fn selects_that_could_meet_either_way_meet_once() {
    loom::model(|| {
        let (tx1, rx1) = channel(0);
        let (tx2, rx2) = channel(0);
        let (tx1b, rx2b) = (tx1.clone(), rx2.clone());
        let peer = thread::spawn(move || {
            block_on(async {
                select! {
                    sent = tx2.send(20) => { sent.unwrap(); 0 }
                    n = rx1.recv() => n.unwrap(),
                }
            })
        });
        let mine = block_on(async {
            select! {
                sent = tx1b.send(10) => { sent.unwrap(); 0 }
                n = rx2b.recv() => n.unwrap(),
            }
        });
        let theirs = peer.join().unwrap();
        assert!(
            matches!((mine, theirs), (0, 10) | (20, 0)),
            "{mine} {theirs}"
        );
        drop((tx1, rx2));
    });
}

#[test]
fn select_never_matches_itself() {
    loom::model(|| {
        let (tx, rx) = channel(0);
        let (tx2, rx2) = (tx.clone(), rx.clone());
        let peer = thread::spawn(move || block_on(tx2.send(5)).unwrap());
        let got = block_on(async {
            select! {
                sent = tx.send(6) => { sent.unwrap(); 6 }
                n = rx.recv() => n.unwrap(),
            }
        });
        assert_eq!(got, 5);
        peer.join().unwrap();
        drop(rx2);
    });
}

#[test]
fn close_ends_a_select() {
    loom::model(|| {
        let (tx1, rx1) = channel::<u32>(0);
        let (tx2, rx2) = channel::<u32>(0);
        let closer = thread::spawn(move || tx1.close());
        let (closed, unsent) = block_on(async {
            select! {
                n = rx1.recv() => (n, None),
                sent = tx2.send(4) => (Some(0), Some(sent)),
            }
        });
        assert_eq!((closed, unsent), (None, None));
        assert!(closer.join().unwrap());
        drop(rx2);
    });
}

#[test]
fn a_dropped_select_loses_nothing() {
    loom::model(|| {
        let (tx1, rx1) = channel(0);
        let (tx2, rx2) = channel(0);
        let (rx1b, rx2b) = (rx1.clone(), rx2.clone());
        let sender = thread::spawn(move || {
            block_on(tx1.send(1)).unwrap();
            drop(tx2);
        });
        let quit = {
            let mut selecting = pin!(async {
                select! {
                    n = rx1.recv() => n,
                    sent = rx2.recv() => sent,
                }
            });
            match poll_once(selecting.as_mut()) {
                Poll::Ready(value) => value,
                Poll::Pending => None,
            }
        };
        let mut last = None;
        if quit.is_none() {
            last = block_on(rx1b.recv());
        }
        assert_eq!(quit.or(last), Some(1));
        assert_eq!(block_on(rx2b.recv()), None::<u32>);
        sender.join().unwrap();
    });
}

#[test]
fn an_ordinary_future_beside_a_channel() {
    loom::model(|| {
        let (tx, rx) = channel(0);
        let (ready, is_ready) = channel::<()>(1);
        let sender = thread::spawn(move || block_on(tx.send(1)).is_ok());
        let other = thread::spawn(move || ready.try_send(()).unwrap());
        let received = block_on(async {
            // Boxed, so that it is an ordinary future: polling it makes the select busy again and
            // again.
            let mut boxed = Box::pin(is_ready.recv());
            select! {
                n = rx.recv() => n,
                _ = poll_fn(|cx| boxed.as_mut().poll(cx)) => None,
            }
        });
        other.join().unwrap();
        drop(rx);
        assert_eq!(sender.join().unwrap(), received.is_some());
    });
}

#[test]
fn default_is_not_taken_while_one_of_two_is_ready_throughout() {
    loom::model(|| {
        let (tx1, rx1) = channel(1);
        let (tx2, rx2) = channel(1);
        let (rx1b, rx2b) = (rx1.clone(), rx2.clone());
        tx1.try_send(1).unwrap();
        // The value hops from the first to the second; it is in one of them at any time, or in
        // both.
        let hopper = thread::spawn(move || {
            tx2.try_send(1).unwrap();
            rx1b.try_recv()
        });
        let mut taken = false;
        block_on(async {
            select! {
                _ = rx1.recv() => {}
                _ = rx2.recv() => {}
                default => taken = true,
            }
        });
        assert!(!taken);
        let _ = hopper.join().unwrap();
        drop((tx1, rx2b));
    });
}

#[test]
fn two_receivers_share_with_a_select() {
    loom::model(|| {
        let (tx, rx) = channel(0);
        let rx2 = rx.clone();
        let sender = thread::spawn(move || {
            block_on(tx.send(1)).unwrap();
            block_on(tx.send(2)).unwrap();
        });
        let plain = thread::spawn(move || block_on(rx2.recv()));
        let (_never_sends, idle) = channel::<u32>(0);
        let selected = block_on(async {
            select! {
                n = rx.recv() => n,
                n = idle.recv() => n,
            }
        });
        let plain = plain.join().unwrap();
        assert_eq!(plain.unwrap() + selected.unwrap(), 3);
        sender.join().unwrap();
    });
}
