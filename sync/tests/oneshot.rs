//! `oneshot` through its public face.
#![cfg(not(loom))]

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use support::{Random, WORKERS, give_up_after, on, on_each, pause, with_seeds};
use sync::{TryRecvError, oneshot, select};

#[test]
fn the_value_arrives_before_or_after_the_receiver_waits() {
    on_each(WORKERS, || async {
        for early in [true, false] {
            let (tx, rx) = oneshot::channel();
            let waiting = runtime::spawn(rx);
            if !early {
                pause(3).await;
            }
            tx.send(7).unwrap();
            assert_eq!(waiting.await.unwrap(), Some(7));
        }
    });
}

#[test]
fn a_sender_that_is_dropped_wakes_the_receiver_with_none() {
    on_each(WORKERS, || async {
        let (tx, rx) = oneshot::channel::<u32>();
        let waiting = runtime::spawn(rx);
        pause(3).await;
        drop(tx);
        assert_eq!(waiting.await.unwrap(), None);
    });
}

#[test]
fn the_value_comes_back_from_a_receiver_that_is_gone() {
    let (tx, rx) = oneshot::channel();
    assert!(!tx.is_closed());
    drop(rx);
    assert!(tx.is_closed());
    assert_eq!(tx.send("precious").unwrap_err().0, "precious");
}

#[test]
fn what_was_sent_before_a_close_is_received() {
    let (tx, mut rx) = oneshot::channel();
    assert_eq!(rx.try_recv(), Err(TryRecvError::Empty));
    tx.send(1).unwrap();
    rx.close();
    assert_eq!(rx.try_recv(), Ok(1));
    assert_eq!(rx.try_recv(), Err(TryRecvError::Closed));
}

struct OnDrop(Arc<AtomicUsize>);

impl Drop for OnDrop {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

#[test]
fn a_value_that_nobody_takes_is_dropped_with_the_receiver() {
    let dropped = Arc::new(AtomicUsize::new(0));
    let (tx, rx) = oneshot::channel();
    assert!(tx.send(OnDrop(dropped.clone())).is_ok());
    drop(rx);
    assert_eq!(dropped.load(Ordering::SeqCst), 1);
}

#[test]
fn it_can_be_an_arm_of_a_select_again_and_again() {
    on_each(WORKERS, || async {
        let (tx, mut rx) = oneshot::channel();
        let early = select! {
            _ = &mut rx => true,
            default => false,
        };
        assert!(!early);
        tx.send(1).unwrap();
        select! {
            value = &mut rx => assert_eq!(value, Some(1)),
        }
    });
}

#[test]
fn a_thread_waits_for_a_task() {
    on_each(WORKERS, || async {
        let (tx, rx) = oneshot::channel();
        let thread = runtime::spawn_blocking(move || rx.blocking_recv());
        tx.send(1).unwrap();
        assert_eq!(thread.await.unwrap(), Some(1));
    });
}

#[test]
fn debug_shows_the_state() {
    let (tx, rx) = oneshot::channel::<u32>();
    assert_eq!(
        format!("{tx:?} {rx:?}"),
        "Sender { closed: false } Receiver { stage: Open, .. }"
    );
}

#[test]
fn random_cancellation_loses_no_value() {
    with_seeds(4, |seed| {
        for &workers in WORKERS {
            on(workers, random_cancellation(seed));
        }
    });
}

async fn random_cancellation(seed: u64) {
    let mut random = Random::new(seed);
    let dropped = Arc::new(AtomicUsize::new(0));
    for round in 1..=500 {
        let (tx, mut rx) = oneshot::channel();
        let (yields, value) = (random.below(4), OnDrop(dropped.clone()));
        let sender = runtime::spawn(async move {
            pause(yields).await;
            tx.send(value).is_ok()
        });
        let polls = random.below(6);
        let received = match give_up_after(polls, &mut rx).await {
            Some(value) => value,
            None if random.chance(50) => rx.await,
            None => {
                drop(rx);
                sender.await.unwrap();
                assert_eq!(
                    dropped.load(Ordering::SeqCst),
                    round,
                    "once, by one of the two"
                );
                continue;
            }
        };
        assert!(received.is_some());
        assert!(sender.await.unwrap());
        drop(received);
        assert_eq!(dropped.load(Ordering::SeqCst), round);
    }
}
