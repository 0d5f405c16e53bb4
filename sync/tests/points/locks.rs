//! Locks, permits and calls: what the one who gives up was about to have, the next one has.

use std::cell::Cell;
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;

use sync::{
    Barrier, Cond, Mutex, MutexGuard, Notify, RwLock, RwLockUpgradableReadGuard, Semaphore,
    WaitGroup,
};

use crate::Log;
use crate::explore::{Scene, explore};
use crate::support::poll_once;

/// Something that is held by somebody from the beginning on, who lets go of it later.
fn held<T>(guard: Option<T>) -> Cell<Option<T>> {
    assert!(guard.is_some(), "it is free");
    Cell::new(guard)
}

#[test]
fn lock() {
    explore("Mutex::lock", || {
        let mutex = Arc::new(Mutex::new(0));
        let held = held(mutex.clone().try_lock_owned());
        let (mine, first, second) = (mutex.clone(), mutex.clone(), mutex.clone());
        Scene::new(async move { *mine.lock().await += 1 })
            .join("one behind it", async move { *first.lock().await += 10 })
            .act("the lock is free", move || drop(held.take()))
            .join("one more", async move { *second.lock().await += 100 })
            .check(move |fate| {
                assert_eq!(*mutex.try_lock().unwrap(), 110 + i32::from(fate.ended));
            })
    });
}

#[test]
fn lock_owned() {
    explore("Mutex::lock_owned", || {
        let mutex = Arc::new(Mutex::new(0));
        let held = held(mutex.clone().try_lock_owned());
        let (mine, first) = (mutex.clone(), mutex.clone());
        Scene::new(async move { *mine.lock_owned().await += 1 })
            .join(
                "one behind it",
                async move { *first.lock_owned().await += 10 },
            )
            .act("the lock is free", move || drop(held.take()))
            .check(move |fate| {
                assert_eq!(*mutex.try_lock().unwrap(), 10 + i32::from(fate.ended));
                assert_eq!(Arc::strong_count(&mutex), 1);
            })
    });
}

/// The one who gives up stands between those who read and those who write.
fn beside_readers_and_writers<F: Future<Output = ()> + 'static>(
    locks: impl Fn(Arc<RwLock<i32>>) -> F,
) -> Scene {
    let lock = Arc::new(RwLock::new(0));
    let held = held(lock.clone().try_read_owned());
    let (reads, writes, reads_too) = (lock.clone(), lock.clone(), lock.clone());
    let all = lock.clone();
    Scene::new(locks(lock))
        .join("a writer", async move { *writes.write().await += 10 })
        .join("a reader", async move { drop(reads.read().await) })
        .act("the lock is free", move || drop(held.take()))
        .join("another reader", async move {
            drop(reads_too.upgradable_read().await)
        })
        .check(move |_| {
            assert!(*all.try_write().expect("nobody has it") >= 10);
            assert_eq!(Arc::strong_count(&all), 1);
        })
}

#[test]
fn read() {
    explore("RwLock::read", || {
        beside_readers_and_writers(|lock| async move { drop(lock.read().await) })
    });
    explore("RwLock::read_owned", || {
        beside_readers_and_writers(|lock| async move { drop(lock.read_owned().await) })
    });
}

#[test]
fn write() {
    explore("RwLock::write", || {
        beside_readers_and_writers(|lock| async move { *lock.write().await += 1 })
    });
    explore("RwLock::write_owned", || {
        beside_readers_and_writers(|lock| async move { *lock.write_owned().await += 1 })
    });
}

#[test]
fn upgradable_read() {
    explore("RwLock::upgradable_read", || {
        beside_readers_and_writers(|lock| async move { drop(lock.upgradable_read().await) })
    });
}

#[test]
fn upgrade() {
    explore("RwLockUpgradableReadGuard::upgrade", || {
        beside_readers_and_writers(|lock| async move {
            let guard = lock.upgradable_read().await;
            *RwLockUpgradableReadGuard::upgrade(guard).await += 1;
        })
    });
}

fn permits(acquire: impl AsyncFn(Arc<Semaphore>) + Copy + 'static) -> Scene {
    let semaphore = Arc::new(Semaphore::new(2));
    let first = held(semaphore.clone().try_acquire_owned());
    let second = held(semaphore.clone().try_acquire_owned());
    let (mine, one, both) = (semaphore.clone(), semaphore.clone(), semaphore.clone());
    Scene::new(async move { acquire(mine).await })
        .join("one who wants both", async move {
            drop(both.acquire_many(2).await)
        })
        .act("one is free", move || first.take())
        .join(
            "one who wants one",
            async move { drop(one.acquire().await) },
        )
        .act("both are free", move || second.take())
        .check(move |_| assert_eq!(semaphore.available(), 2))
}

#[test]
fn acquire() {
    explore("Semaphore::acquire", || {
        permits(async |s| drop(s.acquire().await))
    });
    explore("Semaphore::acquire_many", || {
        permits(async |s| drop(s.acquire_many(2).await))
    });
    explore("Semaphore::acquire_many", || {
        permits(async |s| drop(s.acquire_many(0).await))
    });
    explore("Semaphore::acquire_owned", || {
        permits(async |s| drop(s.acquire_owned().await))
    });
    explore("Semaphore::acquire_many_owned", || {
        permits(async |s| drop(s.acquire_many_owned(2).await))
    });
    explore("Semaphore::checked_acquire", || {
        permits(async |s| drop(s.checked_acquire(1).await.unwrap()))
    });
    explore("Semaphore::checked_acquire_owned", || {
        permits(async |s| drop(s.checked_acquire_owned(2).await.unwrap()))
    });
}

#[test]
fn acquire_until_it_is_closed() {
    explore("Semaphore::checked_acquire", || {
        let semaphore = Arc::new(Semaphore::new(1));
        let held = held(semaphore.clone().try_acquire_owned());
        let (mine, other, closes) = (semaphore.clone(), semaphore.clone(), semaphore.clone());
        Scene::new(async move { drop(mine.checked_acquire(1).await) })
            .join("one behind it", async move {
                drop(other.checked_acquire(1).await)
            })
            .act("it is closed", move || closes.close())
            .act("the permit is back", move || drop(held.take()))
            .check(move |_| assert_eq!(semaphore.available(), 1))
    });
}

/// A call for one is not lost with the one who gives up.
#[test]
fn notified() {
    explore("Notify::notified", || {
        let (notify, woken) = (Rc::new(Notify::new()), Log::new());
        let (mine, other, calls, calls_all) = (
            notify.clone(),
            notify.clone(),
            notify.clone(),
            notify.clone(),
        );
        let (notes, left) = (woken.clone(), woken.clone());
        Scene::new(async move {
            mine.notified().await;
            notes.note("the one");
        })
        .join("another one", async move {
            other.notified().await;
            woken.note("the other");
        })
        .never_ends()
        .act("one is called", move || calls.notify_one())
        .act("all are called", move || calls_all.notify_waiters())
        .check(move |_| assert!(left.has(&"the other")))
    });
    explore("Notified::enable", || {
        let notify = Rc::new(Notify::new());
        let (mine, other, calls, last) = (
            notify.clone(),
            notify.clone(),
            notify.clone(),
            notify.clone(),
        );
        Scene::new(async move {
            let mut notified = pin!(mine.notified());
            notified.as_mut().enable();
            notified.await;
        })
        .never_ends()
        .act("one is called", move || calls.notify_one())
        .act("one more is called", move || notify.notify_one())
        .join("another one", async move { other.notified().await })
        .act("the last is called", move || last.notify_one())
    });
}

/// One call, for whoever is left: it must not go with the one who gave up.
#[test]
fn notified_once() {
    explore("Notify::notified", || {
        let notify = Rc::new(Notify::new());
        let (mine, other, calls, again) = (
            notify.clone(),
            notify.clone(),
            notify.clone(),
            notify.clone(),
        );
        let last = Rc::new(Cell::new(false));
        let through = last.clone();
        Scene::new(async move {
            mine.notified().await;
            // It was for this one: the other gets one of its own.
            again.notify_one();
        })
        .join("another one", async move {
            other.notified().await;
            last.set(true);
        })
        .never_ends()
        .act("one is called", move || calls.notify_one())
        .check(move |_| assert!(through.get()))
    });
}

#[test]
fn cond_wait() {
    explore("Cond::wait", || {
        let all = Rc::new((Mutex::new(0), Cond::new()));
        let (mine, other, signals, calls, left) = (
            all.clone(),
            all.clone(),
            all.clone(),
            all.clone(),
            all.clone(),
        );
        Scene::new(async move {
            let guard = mine.0.lock().await;
            *mine.1.wait(guard).await += 1;
        })
        .join("another one", async move {
            let mut guard: MutexGuard<'_, i32> = other.0.lock().await;
            while *guard < 100 {
                guard = other.1.wait(guard).await;
            }
        })
        .act("one is called", move || signals.1.signal())
        .join("one who changes it", async move {
            *calls.0.lock().await += 100;
            calls.1.broadcast();
        })
        .never_ends()
        .act("all are called", move || left.1.broadcast())
        .check(move |_| assert!(*all.0.try_lock().expect("nobody has it") >= 100))
    });
}

/// A signal that the one who gives up was given goes to the next.
#[test]
fn cond_signal() {
    explore("Cond::wait", || {
        let all = Rc::new((Mutex::new(false), Cond::new()));
        let (mine, other, signals) = (all.clone(), all.clone(), all.clone());
        Scene::new(async move {
            let mut guard = mine.0.lock().await;
            while !*guard {
                guard = mine.1.wait(guard).await;
            }
            drop(guard);
            mine.1.signal();
        })
        .join("another one", async move {
            let mut guard = other.0.lock().await;
            while !*guard {
                guard = other.1.wait(guard).await;
            }
            drop(guard);
            other.1.signal();
        })
        .join("one who changes it", async move {
            *signals.0.lock().await = true;
            signals.1.signal();
        })
    });
}

#[test]
fn wait_group() {
    explore("WaitGroup::wait", || {
        let group = Rc::new(WaitGroup::new());
        group.add(2);
        let (mine, other, late) = (group.clone(), group.clone(), group.clone());
        let (first, second) = (group.clone(), group.clone());
        Scene::new(async move { mine.wait().await })
            .join("another one", async move { other.wait().await })
            .act("one is done", move || first.done())
            .act("the last is done", move || second.done())
            .join("one who comes late", async move { late.wait().await })
            .check(move |_| {
                group.add(1);
                group.done();
            })
    });
}

/// One who gives up has not come.
#[test]
fn barrier() {
    explore("Barrier::wait", || {
        let barrier = Rc::new(Barrier::new(2));
        let leaders = Log::new();
        let comes = |who: &Rc<Barrier>| {
            let (barrier, leaders) = (who.clone(), leaders.clone());
            async move { leaders.note(barrier.wait().await.is_leader()) }
        };
        let scene = Scene::new(comes(&barrier))
            .never_ends()
            .join("a second", comes(&barrier))
            .join("a third", comes(&barrier));
        // If one of the two has met the one who gives up, the other one waits yet.
        let met = barrier.clone();
        let scene = scene.act("one who waits for nobody", move || {
            let _ = poll_once(pin!(met.wait()));
        });
        scene.check(move |_| {
            assert!(
                poll_once(pin!(barrier.wait())).is_pending(),
                "somebody has come"
            );
        })
    });
}
