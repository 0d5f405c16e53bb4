//! Ends that are told of: a semaphore that is closed, a oneshot whose receiver goes; and a
//! notification that is waited for in advance.
#![cfg(not(loom))]

mod support;

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Wake, Waker};

use support::{
    Random, WORKERS, give_up_after, message_of, on, on_each, pause, poll_once, with_seeds,
};
use sync::{Notify, Semaphore, WaitGroup, oneshot, select};

#[test]
fn closing_refuses_those_who_wait_and_those_who_come() {
    on_each(WORKERS, || async {
        let semaphore = Arc::new(Semaphore::new(2));
        let held = semaphore.clone().acquire_many_owned(2).await;
        // More than one batch of wakers.
        let waiting: Vec<_> = (0..100)
            .map(|n| runtime::spawn(semaphore.clone().checked_acquire_owned(n % 2 + 1)))
            .collect();
        pause(5).await;
        assert!(semaphore.close());
        assert!(!semaphore.close(), "it was closed already");
        for task in waiting {
            assert!(task.await.unwrap().is_err());
        }
        assert!(semaphore.checked_acquire(0).await.is_err());
        assert!(semaphore.try_acquire().is_none());
        assert!(semaphore.try_acquire_many(0).is_none());
        drop(held);
        assert!(semaphore.is_closed());
        assert_eq!(semaphore.available(), 2, "permits still come back");
        assert!(semaphore.try_acquire().is_none());
    });
}

#[test]
fn an_acquire_that_cannot_tell_panics_and_says_what_to_do() {
    let semaphore = Semaphore::new(1);
    let held = semaphore.try_acquire();
    let mut acquire = pin!(semaphore.acquire());
    assert!(poll_once(acquire.as_mut()).is_pending());
    semaphore.close();
    let message = message_of(|| poll_once(acquire.as_mut()).is_ready());
    assert!(message.contains("checked_acquire"), "{message}");
    assert!(message.contains("close.rs"), "{message}");
    drop(held);
}

#[test]
fn what_was_granted_before_the_close_is_kept() {
    let semaphore = Semaphore::new(1);
    let held = semaphore.try_acquire();
    let mut granted = pin!(semaphore.checked_acquire(1));
    let mut refused = pin!(semaphore.checked_acquire(1));
    assert!(poll_once(granted.as_mut()).is_pending());
    assert!(poll_once(refused.as_mut()).is_pending());
    drop(held);
    semaphore.close();
    assert!(matches!(poll_once(granted.as_mut()), Poll::Ready(Ok(_))));
    assert!(matches!(poll_once(refused.as_mut()), Poll::Ready(Err(_))));
    assert_eq!(semaphore.available(), 1);
}

#[test]
fn one_that_was_refused_and_goes_away_unseen_changes_nothing() {
    let semaphore = Semaphore::new(1);
    let held = semaphore.try_acquire();
    let mut waits = Box::pin(semaphore.checked_acquire(1));
    assert!(poll_once(waits.as_mut()).is_pending());
    semaphore.close();
    drop(waits);
    assert_eq!(semaphore.available(), 0);
    drop(held);
    assert_eq!(semaphore.available(), 1);
}

/// A waker that gives a permit back, and asks for one, when it is called.
struct Meddles(Arc<Semaphore>, AtomicUsize);

impl Wake for Meddles {
    fn wake(self: Arc<Self>) {
        self.1.fetch_add(1, Ordering::SeqCst);
        assert!(self.0.is_closed());
        assert!(self.0.try_acquire().is_none());
        self.0.close();
        let _ = format!("{:?}", self.0);
    }
}

#[test]
fn wakers_may_use_the_semaphore_that_is_being_closed() {
    let semaphore = Arc::new(Semaphore::new(1));
    let held = semaphore.try_acquire();
    let meddles = Arc::new(Meddles(semaphore.clone(), AtomicUsize::new(0)));
    let waker = Waker::from(meddles.clone());
    let mut cx = Context::from_waker(&waker);
    let mut waiting: Vec<_> = (0..70)
        .map(|_| Box::pin(semaphore.checked_acquire(1)))
        .collect();
    for waits in &mut waiting {
        assert!(waits.as_mut().poll(&mut cx).is_pending());
    }
    semaphore.close();
    assert_eq!(meddles.1.load(Ordering::SeqCst), 70);
    drop(held);
}

#[test]
fn closing_at_random_loses_nobody() {
    with_seeds(4, |seed| {
        for &workers in WORKERS {
            on(workers, async move {
                for round in 0..50 {
                    close_once(seed.wrapping_add(round << 20)).await;
                }
            });
        }
    });
}

async fn close_once(seed: u64) {
    let semaphore = Arc::new(Semaphore::new(3));
    let group = WaitGroup::new();
    for task in 0..10_u64 {
        let semaphore = semaphore.clone();
        let mut random = Random::new(seed ^ (task << 40));
        group.spawn(async move {
            loop {
                let polls = match random.chance(70) {
                    true => usize::MAX,
                    false => random.below(4),
                };
                let n = random.below(4);
                match give_up_after(polls, semaphore.checked_acquire(n)).await {
                    Some(Err(_)) => break,
                    Some(Ok(permit)) => {
                        pause(random.below(3)).await;
                        drop(permit);
                    }
                    None => {}
                }
            }
        });
    }
    pause(Random::new(seed).below(30)).await;
    assert!(semaphore.close());
    group.wait().await;
    assert_eq!(semaphore.available(), 3);
}

#[test]
fn a_sender_is_told_when_the_receiver_goes_or_closes() {
    on_each(WORKERS, || async {
        for close in [true, false] {
            let (mut tx, mut rx) = oneshot::channel::<u32>();
            let told = runtime::spawn(async move {
                tx.closed().await;
                tx.closed().await; // it stays so
                assert!(tx.is_closed());
                tx.send(1).unwrap_err().0
            });
            pause(3).await;
            if close {
                rx.close();
                assert_eq!(told.await.unwrap(), 1);
                assert_eq!(rx.await, None);
            } else {
                drop(rx);
                assert_eq!(told.await.unwrap(), 1);
            }
        }
    });
}

#[test]
fn a_sender_that_waited_for_the_end_can_send_all_the_same() {
    on_each(WORKERS, || async {
        let (mut tx, rx) = oneshot::channel();
        for _ in 0..3 {
            select! {
                () = tx.closed() => unreachable!(),
                () = runtime::yield_now() => {}
            }
        }
        tx.send(5).unwrap();
        assert_eq!(rx.await, Some(5));
    });
}

/// A waker whose life can be seen.
struct Counted;

impl Wake for Counted {
    fn wake(self: Arc<Self>) {}
}

#[test]
#[cfg_attr(miri, ignore = "leaks, on purpose")]
fn no_waker_is_kept_for_one_that_does_not_wait_any_more() {
    let counted = Arc::new(Counted);
    let waker = Waker::from(counted.clone());
    let mut cx = Context::from_waker(&waker);

    let (mut tx, mut rx) = oneshot::channel::<u32>();
    let mut closed = Box::pin(tx.closed());
    assert!(closed.as_mut().poll(&mut cx).is_pending());
    assert_eq!(Arc::strong_count(&counted), 3);
    drop(closed);
    assert_eq!(Arc::strong_count(&counted), 2, "the sender waits no more");

    assert!(pin!(&mut rx).poll(&mut cx).is_pending());
    assert_eq!(Arc::strong_count(&counted), 3);
    drop(rx);
    assert_eq!(Arc::strong_count(&counted), 2, "the receiver is gone");
    drop(tx);

    let (mut tx, rx) = oneshot::channel::<u32>();
    let mut closed = Box::pin(tx.closed());
    assert!(closed.as_mut().poll(&mut cx).is_pending());
    std::mem::forget(closed);
    tx.send(1).unwrap();
    assert_eq!(Arc::strong_count(&counted), 2, "the sender is gone");
    drop(rx);
}

#[test]
fn enabling_counts_from_there_on() {
    on_each(WORKERS, || async {
        let notify = Notify::new();
        let mut notified = pin!(notify.notified());
        assert!(!notified.as_mut().enable());
        let mut later = pin!(notify.notified());
        assert!(poll_once(later.as_mut()).is_pending());
        notify.notify_one();
        assert!(poll_once(later.as_mut()).is_pending(), "it came later");
        assert!(notified.as_mut().enable());
        notified.await;
        notify.notify_waiters();
        later.await;
    });
}

#[test]
fn enabling_takes_no_waker_away() {
    on_each(WORKERS, || async {
        let notify = Arc::new(Notify::new());
        let task = runtime::spawn({
            let notify = notify.clone();
            async move {
                let mut notified = pin!(notify.notified());
                std::future::poll_fn(|cx| {
                    // Pending, and then enabled: the waker of this poll is to be called.
                    if notified.as_mut().poll(cx).is_ready() {
                        return Poll::Ready(());
                    }
                    notified.as_mut().enable();
                    Poll::Pending
                })
                .await;
            }
        });
        pause(5).await;
        notify.notify_one();
        task.await.unwrap();
    });
}

#[test]
fn a_permit_that_was_taken_by_enabling_is_passed_on() {
    let notify = Notify::new();
    notify.notify_one();
    let mut first = Box::pin(notify.notified());
    assert!(first.as_mut().enable());
    let mut second = pin!(notify.notified());
    assert!(poll_once(second.as_mut()).is_pending(), "it is taken");
    drop(first);
    assert!(poll_once(second.as_mut()).is_ready());

    let mut first = Box::pin(notify.notified());
    let mut second = pin!(notify.notified());
    assert!(!first.as_mut().enable());
    assert!(!second.as_mut().enable());
    notify.notify_one();
    drop(first);
    assert!(poll_once(second.as_mut()).is_ready());
}
