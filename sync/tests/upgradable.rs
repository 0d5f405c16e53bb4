//! The upgradable reader of an `RwLock`, through its public face.
#![cfg(not(loom))]

mod support;

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::Poll;

use support::{
    Random, WORKERS, give_up_after, message_of, on, on_each, pause, poll_once, with_seeds,
};
use sync::{RwLock, RwLockUpgradableReadGuard as Upgradable, RwLockWriteGuard, WaitGroup, select};

#[test]
fn it_shares_with_readers_and_excludes_its_like_and_writers() {
    let lock = RwLock::new(1);
    let reader = lock.try_read().unwrap();
    let guard = lock.try_upgradable_read().unwrap();
    let other = lock.try_read().unwrap();
    assert_eq!(*reader + *guard + *other, 3);
    assert!(lock.try_upgradable_read().is_none());
    drop((reader, other));
    assert!(lock.try_write().is_none());
    drop(guard);
    assert!(lock.try_write().is_some());
    let writer = lock.try_write();
    assert!(lock.try_upgradable_read().is_none());
    drop(writer);
}

#[test]
fn the_upgrade_waits_for_the_readers_and_lets_no_others_in() {
    let lock = RwLock::new(1);
    let reader = lock.try_read().unwrap();
    let mut upgrade = pin!(Upgradable::upgrade(lock.try_upgradable_read().unwrap()));
    assert!(poll_once(upgrade.as_mut()).is_pending());
    assert!(lock.try_read().is_none(), "readers would starve it");
    let (mut read, mut write) = (pin!(lock.read()), pin!(lock.write()));
    assert!(poll_once(write.as_mut()).is_pending());
    assert!(poll_once(read.as_mut()).is_pending());
    drop(reader);
    assert!(poll_once(write.as_mut()).is_pending(), "it comes first");
    let Poll::Ready(mut guard) = poll_once(upgrade.as_mut()) else {
        panic!("it is alone");
    };
    *guard += 1;
    drop(guard);
    // After any writer, the readers that wait.
    let Poll::Ready(seen) = poll_once(read.as_mut()) else {
        panic!("the writer is gone");
    };
    assert_eq!(*seen, 2);
    assert!(poll_once(write.as_mut()).is_pending());
    drop(seen);
    assert!(poll_once(write.as_mut()).is_ready());
}

#[test]
fn an_upgrade_that_is_given_up_unlocks_and_lets_the_others_in() {
    for handed in [false, true] {
        let lock = RwLock::new(1);
        let reader = lock.try_read().unwrap();
        let mut upgrade = Box::pin(Upgradable::upgrade(lock.try_upgradable_read().unwrap()));
        assert!(poll_once(upgrade.as_mut()).is_pending());
        let mut late = pin!(lock.read());
        assert!(poll_once(late.as_mut()).is_pending());
        let reader = match handed {
            // The lock is its own by now, but it has not seen that.
            true => {
                drop(reader);
                None
            }
            false => Some(reader),
        };
        assert!(poll_once(late.as_mut()).is_pending());
        drop(upgrade);
        let seen = poll_once(late.as_mut());
        assert!(seen.is_ready(), "handed: {handed}");
        drop((reader, seen));
        assert!(lock.try_write().is_some(), "handed: {handed}");
    }
}

#[test]
fn try_upgrade_gives_the_guard_back() {
    let lock = RwLock::new(1);
    let guard = lock.try_upgradable_read().unwrap();
    let reader = lock.try_read().unwrap();
    let guard = Upgradable::try_upgrade(guard).unwrap_err();
    drop(reader);
    // Also when others wait: they do so for it.
    let mut write = pin!(lock.write());
    assert!(poll_once(write.as_mut()).is_pending());
    let mut guard = Upgradable::try_upgrade(guard).unwrap();
    *guard += 1;
    drop(guard);
    assert!(poll_once(write.as_mut()).is_ready());
    assert_eq!(*lock.try_read().unwrap(), 2);
}

#[test]
fn those_who_want_to_upgrade_take_turns_with_writers() {
    let lock = RwLock::new(());
    let first = lock.try_upgradable_read().unwrap();
    let mut second = pin!(lock.upgradable_read());
    let mut writer = pin!(lock.write());
    let mut third = pin!(lock.upgradable_read());
    assert!(poll_once(second.as_mut()).is_pending());
    assert!(poll_once(writer.as_mut()).is_pending());
    assert!(poll_once(third.as_mut()).is_pending());
    // As a plain reader it makes room for the next.
    let reader = Upgradable::downgrade(first);
    let second = poll_once(second.as_mut());
    assert!(second.is_ready());
    assert!(
        poll_once(third.as_mut()).is_pending(),
        "the writer came first"
    );
    drop(second);
    assert!(poll_once(writer.as_mut()).is_pending(), "one still reads");
    drop(reader);
    assert!(poll_once(writer.as_mut()).is_ready());
    assert!(poll_once(third.as_mut()).is_ready());
    assert!(lock.try_write().is_some());
}

#[test]
fn a_writer_goes_on_as_an_upgradable_reader_and_lets_readers_join() {
    let lock = RwLock::new(1);
    let mut writer = lock.try_write().unwrap();
    *writer = 2;
    let mut read = pin!(lock.read());
    let mut upgradable = pin!(lock.upgradable_read());
    assert!(poll_once(read.as_mut()).is_pending());
    assert!(poll_once(upgradable.as_mut()).is_pending());
    let guard = RwLockWriteGuard::downgrade_to_upgradable(writer);
    let seen = poll_once(read.as_mut());
    assert!(matches!(&seen, Poll::Ready(seen) if **seen == 2));
    assert!(poll_once(upgradable.as_mut()).is_pending());
    drop(guard);
    assert!(poll_once(upgradable.as_mut()).is_ready());
    drop(seen);
    assert!(lock.try_write().is_some());
}

#[test]
fn it_can_be_an_arm_of_a_select() {
    on_each(WORKERS, || async {
        let lock = RwLock::new(());
        let held = lock.write().await;
        select! {
            _guard = lock.upgradable_read() => unreachable!(),
            () = runtime::yield_now() => {}
        }
        drop(held);
        let reader = lock.read().await;
        let guard = lock.upgradable_read().await;
        select! {
            _guard = Upgradable::upgrade(guard) => unreachable!(),
            () = runtime::yield_now() => {}
        }
        drop(reader);
        assert!(lock.try_write().is_some(), "nothing was left behind");
    });
}

#[test]
fn an_upgrade_that_was_awaited_is_not_polled_again() {
    let lock = RwLock::new(());
    let mut upgrade = pin!(Upgradable::upgrade(lock.try_upgradable_read().unwrap()));
    assert!(poll_once(upgrade.as_mut()).is_ready());
    let message = message_of(|| poll_once(upgrade.as_mut()).is_ready());
    assert!(message.contains("await it once"), "{message}");
}

/// One that looks, and writes what it has found out, is never overtaken in between.
#[test]
fn nobody_writes_between_the_look_and_the_upgrade() {
    on_each(WORKERS, || async {
        let lock = Arc::new(RwLock::new(0));
        let group = WaitGroup::new();
        for _ in 0..8 {
            let (one, two) = (lock.clone(), lock.clone());
            group.spawn(async move {
                for _ in 0..100 {
                    let seen = one.upgradable_read().await;
                    let before = *seen;
                    runtime::yield_now().await;
                    let mut writer = Upgradable::upgrade(seen).await;
                    assert_eq!(*writer, before);
                    *writer += 1;
                }
            });
            group.spawn(async move {
                for round in 0..100 {
                    match round % 10 {
                        0 => *two.write().await += 1,
                        _ => assert!(*two.read().await <= 880),
                    }
                }
            });
        }
        group.wait().await;
        assert_eq!(*lock.read().await, 880);
    });
}

#[test]
fn random_cancellation_loses_no_lock() {
    with_seeds(4, |seed| {
        for &workers in WORKERS {
            on(workers, random_cancellation(seed));
        }
    });
}

/// Counts who is inside, to see that writers are alone.
struct Inside(AtomicUsize);

impl Inside {
    const WRITER: usize = 1_000;

    async fn visit(&self, weight: usize, yields: usize) {
        let before = self.0.fetch_add(weight, Ordering::SeqCst);
        let limit = if weight == Self::WRITER {
            1
        } else {
            Self::WRITER
        };
        assert!(before < limit, "{before} inside beside {weight}");
        pause(yields).await;
        self.0.fetch_sub(weight, Ordering::SeqCst);
    }
}

async fn random_cancellation(seed: u64) {
    let lock = Arc::new(RwLock::new(Inside(AtomicUsize::new(0))));
    let group = WaitGroup::new();
    for task in 0..20_u64 {
        let lock = lock.clone();
        let mut random = Random::new(seed ^ (task << 40));
        group.spawn(async move {
            for _ in 0..100 {
                let mut polls = || match random.chance(50) {
                    true => usize::MAX,
                    false => random.below(5),
                };
                let (first, second, kind) = (polls(), polls(), random.below(4));
                let yields = random.below(3);
                match kind {
                    0 => {
                        if let Some(guard) = give_up_after(first, lock.write()).await {
                            guard.visit(Inside::WRITER, yields).await;
                            if random.chance(50) {
                                RwLockWriteGuard::downgrade_to_upgradable(guard)
                                    .visit(1, yields)
                                    .await;
                            }
                        }
                    }
                    1 => {
                        if let Some(guard) = give_up_after(first, lock.read()).await {
                            guard.visit(1, yields).await;
                        }
                    }
                    _ => {
                        let Some(guard) = give_up_after(first, lock.upgradable_read()).await else {
                            continue;
                        };
                        guard.visit(1, yields).await;
                        let upgrade = Upgradable::upgrade(guard);
                        if let Some(guard) = give_up_after(second, upgrade).await {
                            guard.visit(Inside::WRITER, yields).await;
                        }
                    }
                }
            }
        });
    }
    group.wait().await;
    assert!(lock.try_write().is_some(), "a lock was lost");
}
