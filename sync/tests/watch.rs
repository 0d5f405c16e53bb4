//! `watch` through its public face.
#![cfg(not(loom))]

mod support;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;

use support::{
    Random, WORKERS, blocks, give_up_after, message_of, on, on_each, pause, poll_once, times,
    with_seeds,
};
use sync::{WaitGroup, select, watch};

#[test]
fn the_newest_value_is_seen_once_and_older_ones_may_be_missed() {
    on_each(WORKERS, || async {
        let (tx, mut rx) = watch::channel(0);
        blocks(rx.changed()).await;
        tx.send(1).unwrap();
        tx.send(2).unwrap();
        assert!(rx.changed().await);
        assert_eq!(*rx.borrow(), 2);
        blocks(rx.changed()).await;
        assert!(tx.modify(|n| {
            *n = 3;
            true
        }));
        assert!(!tx.modify(|_| false));
        assert_eq!(*rx.borrow_and_update(), 3);
        blocks(rx.changed()).await;
    });
}

#[test]
fn the_end_of_the_last_sender_is_told_after_the_last_value() {
    on_each(WORKERS, || async {
        let (tx, mut rx) = watch::channel(0);
        let other = tx.clone();
        drop(tx);
        blocks(rx.changed()).await;
        let waiting =
            runtime::spawn(async move { (rx.changed().await, rx.changed().await, *rx.borrow()) });
        pause(3).await;
        other.send(1).unwrap();
        drop(other);
        assert_eq!(waiting.await.unwrap(), (true, false, 1));
    });
}

#[test]
fn without_a_receiver_a_send_gives_the_value_back() {
    let (tx, rx) = watch::channel("old");
    drop(rx);
    assert_eq!(tx.send("new").unwrap_err().0, "new");
    assert_eq!(tx.replace("new"), "old");
    let late = tx.subscribe();
    assert!(!late.has_changed());
    assert_eq!((*late.borrow(), tx.receivers()), ("new", 1));
}

#[test]
fn a_hundred_receivers_follow() {
    on_each(WORKERS, || async {
        let (tx, rx) = watch::channel(0_u32);
        let group = WaitGroup::new();
        for _ in 0..100 {
            let mut rx = rx.clone();
            group.spawn(async move {
                let mut last = 0;
                while rx.changed().await {
                    let now = *rx.borrow();
                    assert!(now >= last, "older than what was seen");
                    last = now;
                }
                assert_eq!(last, 50);
            });
        }
        drop(rx);
        for n in 1..=50 {
            tx.replace(n);
            runtime::yield_now().await;
        }
        drop(tx);
        group.wait().await;
    });
}

#[test]
fn wait_for_looks_at_the_present_value_first() {
    on_each(WORKERS, || async {
        let (tx, mut rx) = watch::channel(5);
        assert!(rx.wait_for(|&n| n == 5).await);
        blocks(rx.wait_for(|&n| n == 6)).await;
        tx.replace(6);
        assert!(rx.wait_for(|&n| n == 6).await);
        drop(tx);
        assert!(!rx.wait_for(|&n| n == 7).await);
    });
}

#[test]
fn a_wait_that_is_dropped_has_seen_nothing() {
    let (tx, mut rx) = watch::channel(0);
    {
        let mut changed = pin!(rx.changed());
        assert!(poll_once(changed.as_mut()).is_pending());
        tx.send(1).unwrap();
    }
    assert!(rx.has_changed());
    assert!(poll_once(pin!(rx.changed())).is_ready());
}

#[test]
fn it_can_be_an_arm_of_a_select() {
    on_each(WORKERS, || async {
        let (tx, mut rx) = watch::channel(0);
        select! {
            _ = rx.changed() => unreachable!(),
            () = runtime::yield_now() => {}
        }
        tx.send(1).unwrap();
        select! {
            changed = rx.changed() => assert!(changed),
        }
        assert_eq!(
            format!("{tx:?} {rx:?} {:?}", rx.borrow()),
            "Sender { receivers: 1, .. } Receiver { has_changed: false, .. } 1"
        );
    });
}

#[test]
fn random_cancellation_misses_no_last_value() {
    with_seeds(4, |seed| {
        for &workers in WORKERS {
            on(workers, random_cancellation(seed));
        }
    });
}

async fn random_cancellation(seed: u64) {
    let mut random = Random::new(seed);
    for _ in 0..20 {
        let (tx, rx) = watch::channel(0);
        let group = WaitGroup::new();
        for task in 0..10 {
            let mut rx = rx.clone();
            let mut random = Random::new(random.next() ^ (task << 40));
            group.spawn(async move {
                while *rx.borrow() < 30 {
                    let polls = if random.chance(60) {
                        usize::MAX
                    } else {
                        random.below(4)
                    };
                    give_up_after(polls, rx.changed()).await;
                }
            });
        }
        drop(rx);
        for n in 1..=30 {
            tx.replace(n);
            pause(random.below(3)).await;
        }
        group.wait().await;
    }
}

/// What a thread that would wait for itself is told, instead of standing still for ever.
#[test]
fn who_would_wait_for_itself_is_told() {
    fn refused<R>(f: impl FnOnce() -> R) {
        let message = message_of(f);
        assert!(
            message.contains("drop the guard of borrow() first"),
            "{message}"
        );
    }
    on(2, async {
        let (tx, mut rx) = watch::channel(1);
        let value = rx.borrow();
        refused(|| tx.send(2));
        refused(|| tx.replace(2));
        refused(|| tx.modify(|_| true));
        // A second look waits for nobody.
        assert_eq!((*value, *tx.borrow()), (1, 1));
        drop(value);
        refused(|| tx.modify(|_| *rx.borrow() == 1));
        refused(|| poll_once(pin!(rx.wait_for(|_| tx.send(3).is_ok()))));

        // Another channel's guard is none of this one's, and one that is gone leaves no trace.
        let (other, look) = watch::channel(5);
        let value = look.borrow();
        tx.send(4).unwrap();
        assert_eq!((*value, *tx.borrow()), (5, 4));
        drop(value);
        other.send(6).unwrap();
        assert_eq!(*look.borrow(), 6);
    });
}

/// Another thread that looks is waited for, as ever, though this one has guards of its own.
#[test]
fn who_waits_for_another_thread_is_not_refused() {
    on(2, async {
        let (tx, rx) = watch::channel(0);
        let (_other, look) = watch::channel(7);
        let barrier = std::sync::Barrier::new(2);
        std::thread::scope(|threads| {
            threads.spawn(|| {
                for _ in 0..times(100) {
                    let value = rx.borrow();
                    barrier.wait();
                    std::thread::yield_now();
                    drop(value);
                    barrier.wait(); // or the next look might come before the send
                }
            });
            for n in 1..=times(100) {
                let guards = [look.borrow(), look.borrow(), look.borrow(), look.borrow()];
                let fifth = look.borrow();
                barrier.wait();
                tx.send(n).unwrap();
                barrier.wait();
                assert_eq!((*fifth, guards.len(), *tx.borrow()), (7, 4, n));
            }
        });
    });
}

/// tokio#6021: a closure that panics must not leave a lock behind that nobody gets any more.
#[test]
fn closures_that_panic_leave_the_channel_as_it_is() {
    let (tx, mut rx) = watch::channel(1);
    let panics = |f: &mut dyn FnMut()| catch_unwind(AssertUnwindSafe(f)).unwrap_err();
    panics(&mut || {
        tx.modify(|value| {
            *value = 2;
            panic!("changes half of it")
        });
    });
    panics(&mut || {
        rx.blocking_wait_for(|_| panic!("cannot look"));
    });
    // What it came to is there, and nobody was told of it.
    assert_eq!(
        (*rx.borrow(), *tx.borrow(), rx.has_changed()),
        (2, 2, false)
    );
    tx.send(3).unwrap();
    assert!(rx.blocking_changed());
    assert_eq!(*rx.borrow(), 3);
    drop(tx);
    assert!(rx.blocking_wait_for(|value| *value == 3));
    assert!(!rx.blocking_wait_for(|value| *value == 4));
}
