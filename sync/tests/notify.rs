//! `Notify` through its public face.
#![cfg(not(loom))]

mod support;

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Wake, Waker};

use support::{Random, WORKERS, blocks, give_up_after, on, on_each, pause, poll_once, with_seeds};
use sync::{Notify, WaitGroup, select};

#[test]
fn a_notification_is_kept_for_the_next_but_only_one() {
    on_each(WORKERS, || async {
        let notify = Notify::new();
        notify.notify_one();
        notify.notify_one();
        notify.notified().await;
        blocks(notify.notified()).await;
    });
}

#[test]
fn waiters_are_notified_in_the_order_in_which_they_came() {
    let notify = Notify::new();
    let mut first = pin!(notify.notified());
    let mut second = pin!(notify.notified());
    assert!(poll_once(first.as_mut()).is_pending());
    assert!(poll_once(second.as_mut()).is_pending());
    notify.notify_one();
    assert!(poll_once(second.as_mut()).is_pending());
    assert!(poll_once(first.as_mut()).is_ready());
    notify.notify_one();
    assert!(poll_once(second.as_mut()).is_ready());
}

#[test]
fn notify_waiters_reaches_all_that_were_made_before_and_none_after() {
    on_each(WORKERS, || async {
        let notify = Notify::new();
        let mut waiting = pin!(notify.notified());
        assert!(poll_once(waiting.as_mut()).is_pending());
        let unpolled = notify.notified();
        notify.notify_waiters();
        waiting.await;
        unpolled.await;
        blocks(notify.notified()).await;
    });
}

#[test]
fn notify_waiters_wakes_a_hundred_tasks() {
    on_each(WORKERS, || async {
        let notify = Arc::new(Notify::new());
        let waiting = Arc::new(AtomicUsize::new(0));
        let group = WaitGroup::new();
        for _ in 0..100 {
            let (notify, waiting) = (notify.clone(), waiting.clone());
            group.spawn(async move {
                let notified = notify.notified();
                waiting.fetch_add(1, Ordering::Release);
                notified.await;
            });
        }
        while waiting.load(Ordering::Acquire) < 100 {
            runtime::yield_now().await;
        }
        notify.notify_waiters();
        group.wait().await;
    });
}

#[test]
fn a_notification_of_one_that_goes_away_goes_to_the_next_or_is_kept() {
    let notify = Notify::new();
    let mut gone = Box::pin(notify.notified());
    let mut next = Box::pin(notify.notified());
    assert!(poll_once(gone.as_mut()).is_pending());
    assert!(poll_once(next.as_mut()).is_pending());
    notify.notify_one();
    drop(gone);
    drop(next); // it had got it, and goes away as well
    assert!(poll_once(pin!(notify.notified())).is_ready());
    assert!(poll_once(pin!(notify.notified())).is_pending());
}

#[test]
fn a_call_for_all_is_not_passed_on() {
    let notify = Notify::new();
    let mut gone = Box::pin(notify.notified());
    assert!(poll_once(gone.as_mut()).is_pending());
    notify.notify_waiters();
    drop(gone);
    assert!(poll_once(pin!(notify.notified())).is_pending());
}

#[test]
fn it_can_be_an_arm_of_a_select() {
    on_each(WORKERS, || async {
        let notify = Notify::new();
        let notified = select! {
            () = notify.notified() => true,
            () = runtime::yield_now() => false,
        };
        assert!(!notified);
        notify.notify_one();
        select! {
            () = notify.notified() => {}
        }
    });
}

#[test]
fn a_thread_waits_for_a_task() {
    on_each(WORKERS, || async {
        let notify = Arc::new(Notify::new());
        let shared = notify.clone();
        let thread = runtime::spawn_blocking(move || shared.blocking_notified());
        notify.notify_one();
        thread.await.unwrap();
    });
}

#[test]
fn debug_shows_the_state() {
    let notify = Notify::new();
    notify.notify_one();
    assert_eq!(
        format!("{notify:?}"),
        "Notify { permit: true, waited_for: false }"
    );
}

/// A queue of tokens, one notification each: as long as nobody's notification is lost, all tokens
/// are taken.
#[test]
fn random_cancellation_loses_no_notification() {
    with_seeds(4, |seed| {
        for &workers in WORKERS {
            on(workers, random_cancellation(seed));
        }
    });
}

async fn random_cancellation(seed: u64) {
    const TOKENS: usize = 500;
    let notify = Arc::new(Notify::new());
    let tokens = Arc::new(AtomicUsize::new(0));
    let taken = Arc::new(AtomicUsize::new(0));
    let group = WaitGroup::new();
    for task in 0..8 {
        let (notify, tokens, taken) = (notify.clone(), tokens.clone(), taken.clone());
        let mut random = Random::new(seed ^ (task << 40));
        group.spawn(async move {
            while taken.load(Ordering::SeqCst) < TOKENS {
                let polls = if random.chance(50) {
                    usize::MAX
                } else {
                    random.below(4)
                };
                if give_up_after(polls, notify.notified()).await.is_none() {
                    continue;
                }
                while tokens
                    .fetch_update(Ordering::SeqCst, Ordering::SeqCst, |n| n.checked_sub(1))
                    .is_ok()
                {
                    taken.fetch_add(1, Ordering::SeqCst);
                }
                if taken.load(Ordering::SeqCst) == TOKENS {
                    notify.notify_one(); // the next one ends, too
                }
            }
            notify.notify_one();
        });
    }
    let mut random = Random::new(seed);
    for _ in 0..TOKENS {
        tokens.fetch_add(1, Ordering::SeqCst);
        notify.notify_one();
        pause(random.below(3)).await;
    }
    group.wait().await;
}

/// Some that wait, in the order in which they came.
macro_rules! line {
    ($notify:ident: $($name:ident),*) => {
        $(let mut $name = Box::pin($notify.notified());
        assert!(poll_once($name.as_mut()).is_pending());)*
    };
}

#[test]
fn notify_last_takes_the_one_that_came_last_and_then_the_one_before() {
    let notify = Notify::new();
    line!(notify: first, second, third);
    notify.notify_last();
    assert!(poll_once(third.as_mut()).is_ready());
    notify.notify_last();
    assert!(poll_once(second.as_mut()).is_ready());
    notify.notify_one();
    assert!(poll_once(first.as_mut()).is_ready());
    // Nobody waits: it is kept, once.
    notify.notify_last();
    notify.notify_last();
    assert!(poll_once(pin!(notify.notified())).is_ready());
    assert!(poll_once(pin!(notify.notified())).is_pending());
}

#[test]
fn what_notify_last_gave_goes_to_the_one_that_then_came_last() {
    let notify = Notify::new();
    line!(notify: first, second, third);
    notify.notify_last();
    drop(third);
    assert!(poll_once(first.as_mut()).is_pending());
    assert!(poll_once(second.as_mut()).is_ready());
    notify.notify_last();
    drop(first);
    assert!(poll_once(pin!(notify.notified())).is_ready(), "kept");
    assert!(poll_once(pin!(notify.notified())).is_pending(), "once");
}

/// More than a batch: the first wakers call in between, when the others have been called and are
/// still in the queue.
#[test]
fn notify_last_is_not_spent_on_those_whom_notify_waiters_has_called() {
    struct Caller(Arc<Notify>);
    impl Wake for Caller {
        fn wake(self: Arc<Self>) {
            self.0.notify_last();
        }
    }
    let notify = Arc::new(Notify::new());
    let waker = Waker::from(Arc::new(Caller(notify.clone())));
    let mut all: Vec<_> = (0..100).map(|_| Box::pin(notify.notified())).collect();
    let (first, others) = all.split_first_mut().unwrap();
    let cx = &mut Context::from_waker(&waker);
    assert!(first.as_mut().poll(cx).is_pending());
    for other in others {
        assert!(poll_once(other.as_mut()).is_pending());
    }
    notify.notify_waiters();
    drop(all);
    assert!(poll_once(pin!(notify.notified())).is_ready(), "kept");
    assert!(poll_once(pin!(notify.notified())).is_pending(), "once");
}
