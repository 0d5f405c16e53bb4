//! Plain operations: rendezvous, buffer, close, and dropping a waiting future at each point.

use std::pin::pin;
use std::task::Poll;

use loom::cell::UnsafeCell;
use loom::sync::Arc;
use loom::thread;

use super::{block_on, poll_once};
use crate::channel;

#[test]
fn rendezvous_hands_over_one_value() {
    loom::model(|| {
        let (tx, rx) = channel(0);
        let sender = thread::spawn(move || block_on(tx.send(7)).unwrap());
        assert_eq!(block_on(rx.recv()), Some(7));
        assert_eq!(block_on(rx.recv()), None);
        sender.join().unwrap();
    });
}

#[test]
fn two_senders_reach_one_receiver() {
    loom::model(|| {
        let (tx, rx) = channel(0);
        let tx2 = tx.clone();
        let first = thread::spawn(move || block_on(tx.send(1)).unwrap());
        let second = thread::spawn(move || block_on(tx2.send(2)).unwrap());
        let sum = block_on(rx.recv()).unwrap() + block_on(rx.recv()).unwrap();
        assert_eq!(sum, 3);
        first.join().unwrap();
        second.join().unwrap();
        assert_eq!(block_on(rx.recv()), None);
    });
}

#[test]
fn buffer_keeps_order_when_the_sender_waits() {
    loom::model(|| {
        let (tx, rx) = channel(1);
        let sender = thread::spawn(move || {
            for n in 0..3 {
                block_on(tx.send(n)).unwrap();
            }
        });
        for n in 0..3 {
            assert_eq!(block_on(rx.recv()), Some(n));
        }
        assert_eq!(block_on(rx.recv()), None);
        sender.join().unwrap();
    });
}

#[test]
fn close_wakes_a_receiver() {
    loom::model(|| {
        let (tx, rx) = channel::<u32>(0);
        let receiver = thread::spawn(move || block_on(rx.recv()));
        tx.close();
        assert_eq!(receiver.join().unwrap(), None);
    });
}

#[test]
fn close_gives_a_sender_its_value_back() {
    loom::model(|| {
        let (tx, rx) = channel(0);
        let sender = thread::spawn(move || block_on(tx.send(Box::new(1))));
        rx.close();
        assert_eq!(*sender.join().unwrap().unwrap_err().into_inner(), 1);
    });
}

#[test]
fn last_sender_to_go_closes() {
    loom::model(|| {
        let (tx, rx) = channel::<u32>(1);
        let tx2 = tx.clone();
        let first = thread::spawn(move || drop(tx));
        let second = thread::spawn(move || block_on(tx2.send(1)).unwrap());
        assert_eq!(block_on(rx.recv()), Some(1));
        assert_eq!(block_on(rx.recv()), None);
        first.join().unwrap();
        second.join().unwrap();
    });
}

#[test]
fn last_receiver_to_go_frees_a_sender_and_what_is_buffered() {
    loom::model(|| {
        let (tx, rx) = channel(1);
        let counted = loom::sync::Arc::new(());
        tx.try_send(counted.clone()).unwrap();
        let (value, probe) = (counted.clone(), counted.clone());
        let sender = thread::spawn(move || {
            let unsent = block_on(tx.send(value)).unwrap_err().into_inner();
            drop(unsent);
        });
        drop(rx);
        sender.join().unwrap();
        drop(counted);
        assert!(loom::sync::Arc::try_unwrap(probe).is_ok());
    });
}

#[test]
fn value_of_a_dropped_receiver_goes_to_the_next() {
    loom::model(|| {
        let (tx, rx) = channel(0);
        let quitter = rx.clone();
        let sender = thread::spawn(move || block_on(tx.send(9)).unwrap());
        let quitting = thread::spawn(move || {
            let mut recv = pin!(quitter.recv());
            match poll_once(recv.as_mut()) {
                Poll::Ready(value) => value,
                Poll::Pending => None,
            }
        });
        let stayed = block_on(rx.recv());
        let quit = quitting.join().unwrap();
        // The channel may have been closed while the quitter held the value; then it is back in the
        // channel by now.
        let left = rx.try_recv().ok();
        assert_eq!(
            [stayed, quit, left]
                .into_iter()
                .flatten()
                .collect::<Vec<_>>(),
            [9]
        );
        sender.join().unwrap();
    });
}

#[test]
fn values_of_dropped_receivers_come_back_in_order() {
    loom::model(|| {
        let (tx, rx) = channel(0);
        let (one, two) = (rx.clone(), rx.clone());
        let mut first = Box::pin(one.recv());
        let mut second = Box::pin(two.recv());
        assert!(poll_once(first.as_mut()).is_pending());
        assert!(poll_once(second.as_mut()).is_pending());
        let sender = thread::spawn(move || {
            for n in 1..=2 {
                block_on(tx.send(n)).unwrap();
            }
        });
        drop(first);
        drop(second);
        assert_eq!(block_on(rx.recv()), Some(1));
        assert_eq!(block_on(rx.recv()), Some(2));
        sender.join().unwrap();
    });
}

#[test]
fn dropped_send_is_delivered_once_or_not_at_all() {
    loom::model(|| {
        let (tx, rx) = channel(0);
        let sender = thread::spawn(move || {
            let mut value = Some(3);
            {
                let mut send = pin!(tx.send_from(&mut value));
                let _ = poll_once(send.as_mut());
            }
            value
        });
        let received = block_on(rx.recv());
        let kept = sender.join().unwrap();
        assert!(matches!(
            (received, kept),
            (Some(3), None) | (None, Some(3))
        ));
    });
}

#[test]
fn a_receive_that_changes_tasks_is_woken_where_it_is() {
    loom::model(|| {
        let (tx, rx) = channel(0);
        let sender = thread::spawn(move || block_on(tx.send(1)).unwrap());
        let mut recv = pin!(rx.recv());
        match poll_once(recv.as_mut()) {
            Poll::Ready(value) => assert_eq!(value, Some(1)),
            Poll::Pending => assert_eq!(block_on(recv), Some(1)),
        }
        sender.join().unwrap();
    });
}

#[test]
fn try_recv_never_calls_a_channel_empty_that_holds_a_value() {
    loom::model(|| {
        let (tx, rx) = channel(1);
        tx.try_send(1).unwrap();
        let closer = thread::spawn(move || tx.close());
        assert_eq!(rx.try_recv(), Ok(1));
        assert!(closer.join().unwrap());
    });
}

#[test]
fn who_hears_of_the_end_sees_what_each_sender_did() {
    loom::model(|| {
        let (tx, rx) = channel::<u32>(1);
        let done = Arc::new([UnsafeCell::new(()), UnsafeCell::new(())]);
        let senders = [tx.clone(), tx].into_iter().enumerate().map(|(me, tx)| {
            let done = done.clone();
            thread::spawn(move || {
                done[me].with_mut(|_| ());
                drop(tx);
            })
        });
        let senders: Vec<_> = senders.collect();
        assert_eq!(block_on(rx.recv()), None);
        done.iter().for_each(|done| done.with(|_| ()));
        for sender in senders {
            sender.join().unwrap();
        }
    });
}

#[test]
fn a_sender_made_of_a_weak_one_keeps_the_channel_open() {
    loom::model(|| {
        let (tx, rx) = channel(1);
        let weak = tx.downgrade();
        let last = thread::spawn(move || drop(tx));
        match weak.upgrade() {
            Some(tx) => {
                assert!(tx.try_send(7).is_ok(), "it is open while there is a sender");
                drop(tx);
                last.join().unwrap();
                assert_eq!(rx.try_recv(), Ok(7));
            }
            None => last.join().unwrap(),
        }
        assert!(rx.is_closed(), "the last sender is gone");
        assert!(weak.upgrade().is_none());
    });
}

/// By a look alone, without a lock.
#[test]
fn who_sees_that_a_channel_is_closed_sees_what_was_done_before() {
    loom::model(|| {
        let (tx, rx) = channel::<u32>(1);
        let done = Arc::new(UnsafeCell::new(()));
        let theirs = done.clone();
        let closer = thread::spawn(move || {
            theirs.with_mut(|_| ());
            rx.close();
            rx
        });
        if tx.is_closed() {
            done.with(|_| ());
        }
        closer.join().unwrap();
    });
}
