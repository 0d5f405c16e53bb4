//! `closed` of the senders: whoever makes values is told when nobody wants them any more.
#![cfg(not(loom))]

mod support;

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::task::{Context, Poll, Wake, Waker};

use runtime::spawn;
use support::{WORKERS, blocks, message_of, on, on_each, pause, poll_once, with_seeds};
use sync::{broadcast, channel, select, watch};

#[test]
fn a_sender_is_told_of_every_way_to_close_a_channel() {
    on_each(WORKERS, || async {
        for way in 0..3 {
            let (tx, rx) = channel::<u32>(way);
            let other = rx.clone();
            let senders: Vec<_> = (0..70)
                .map(|_| {
                    let tx = tx.clone();
                    spawn(async move { tx.closed().await })
                })
                .collect();
            pause(3).await;
            drop(rx);
            blocks(tx.closed()).await;
            match way {
                0 => assert!(other.close()),
                1 => assert!(tx.close()),
                _ => drop(other),
            }
            for sender in senders {
                sender.await.unwrap();
            }
            let mut closed = pin!(tx.closed());
            for _ in 0..3 {
                assert!(poll_once(closed.as_mut()).is_ready(), "and stays so");
            }
        }
    });
}

#[test]
fn a_sender_is_told_when_the_last_receiver_of_a_watch_or_a_broadcast_goes() {
    on_each(WORKERS, || async {
        let (tx, rx) = watch::channel(0);
        let other = rx.clone();
        drop(rx);
        blocks(tx.closed()).await;
        let teller = tx.clone();
        let told = spawn(async move { teller.closed().await });
        pause(3).await;
        drop(other);
        told.await.unwrap();
        tx.closed().await;
        let again = tx.subscribe();
        assert!(!tx.is_closed());
        blocks(tx.closed()).await;
        assert!(tx.same_channel(&tx.clone()) && again.same_channel(&again.clone()));
        assert!(!tx.same_channel(&watch::channel(0).0));

        let (tx, rx) = broadcast::channel::<u32>(2);
        let other = tx.subscribe();
        drop(rx);
        blocks(tx.closed()).await;
        let teller = tx.clone();
        let told = spawn(async move { teller.closed().await });
        pause(3).await;
        drop(other);
        told.await.unwrap();
        tx.closed().await;
        let _again = tx.subscribe();
        assert!(!tx.is_closed());
        blocks(tx.closed()).await;
    });
}

#[test]
fn it_is_an_arm_of_a_select() {
    on_each(WORKERS, || async {
        let (tx, rx) = channel(0);
        let maker = spawn(async move {
            let mut made = 0;
            loop {
                select! {
                    () = tx.closed() => return made,
                    sent = tx.send(made) => made += u32::from(sent.is_ok()),
                }
            }
        });
        for n in 0..50 {
            assert_eq!(rx.recv().await, Some(n));
        }
        drop(rx);
        assert_eq!(maker.await.unwrap(), 50);
    });
}

struct Waking(AtomicUsize, bool);

impl Wake for Waking {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, SeqCst);
        assert!(!self.1, "a loud waker");
    }
}

/// Those who wait for the end come after those who send and receive, and a waker that panics keeps
/// none of them from being called.
#[test]
fn a_waker_that_panics_keeps_nobody_from_being_told() {
    let (tx, rx) = channel::<u32>(0);
    let (loud, quiet) = (Waking(AtomicUsize::new(0), true), AtomicUsize::new(0));
    let (loud, quiet) = (Arc::new(loud), Arc::new(Waking(quiet, false)));
    let wakers = [Waker::from(loud.clone()), Waker::from(quiet.clone())];
    let mut sends = [tx.send(1), tx.send(2)].map(Box::pin);
    let mut closes: Vec<_> = (0..80).map(|_| Box::pin(tx.closed())).collect();
    for (i, send) in sends.iter_mut().enumerate() {
        let polled = send.as_mut().poll(&mut Context::from_waker(&wakers[i]));
        assert!(polled.is_pending());
    }
    for (i, closed) in closes.iter_mut().enumerate() {
        let waker = &wakers[usize::from(i != 40)];
        assert_eq!(
            closed.as_mut().poll(&mut Context::from_waker(waker)),
            Poll::Pending
        );
    }
    assert_eq!(message_of(|| rx.close()), "a loud waker");
    assert_eq!((loud.0.load(SeqCst), quiet.0.load(SeqCst)), (2, 80));
}

/// Given up at any moment, beside receivers that come and go.
#[test]
fn giving_up_at_random_takes_no_other_s_news() {
    for &workers in WORKERS {
        with_seeds(4, |seed| {
            on(workers, async move {
                let mut random = support::Random::new(seed);
                for _ in 0..50 {
                    let (tx, rx) = channel::<u32>(0);
                    let mut tasks = Vec::new();
                    for _ in 0..6 {
                        let (quitter, polls) = (tx.clone(), random.below(8));
                        tasks.push(spawn(async move {
                            support::give_up_after(polls, quitter.closed()).await;
                        }));
                        let stayer = tx.clone();
                        tasks.push(spawn(async move { stayer.closed().await }));
                    }
                    pause(random.below(5)).await;
                    drop(rx);
                    for task in tasks {
                        task.await.unwrap();
                    }
                }
            });
        });
    }
}
