//! Guards of `Mutex` and `RwLock`: parts of the value, going on as a reader, and permits that are
//! split and merged.
#![cfg(not(loom))]

mod support;

use std::fmt::{Debug, Display};
use std::future::Future;
use std::ops::Deref;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::sync::Arc;

use runtime::spawn;
use support::{Random, WORKERS, on, on_each, pause, poll_once, with_seeds};
use sync::{
    MappedMutexGuard, MappedRwLockReadGuard, MappedRwLockWriteGuard, Mutex, MutexGuard,
    OwnedMappedMutexGuard, OwnedMappedRwLockReadGuard, OwnedMappedRwLockWriteGuard,
    OwnedMutexGuard, OwnedRwLockReadGuard, OwnedRwLockWriteGuard, OwnedSemaphorePermit, RwLock,
    RwLockReadGuard, RwLockWriteGuard, Semaphore, SemaphorePermit, WaitGroup,
};

type User = (u32, Option<String>);

fn user() -> User {
    (7, Some("Ada".into()))
}

fn name(user: &mut User) -> Option<&mut str> {
    user.1.as_deref_mut()
}

/// What holds for every guard of a part: it is what it shows, and holds the lock until it is
/// dropped.
fn is_guard<G>(guard: G, is_free: impl Fn() -> bool)
where
    G: Deref<Target = str> + Debug + Display,
{
    assert!(!is_free());
    assert_eq!(
        (&*guard, format!("{guard} {guard:?}")),
        ("Ada", "Ada \"Ada\"".to_string())
    );
    drop(guard);
    assert!(is_free());
}

#[test]
fn a_guard_of_a_part_holds_the_lock_until_it_is_dropped() {
    let mutex = Arc::new(Mutex::new(user()));
    let free = || mutex.try_lock().is_some();
    let guard = mutex.try_lock().unwrap();
    is_guard(MutexGuard::try_map(guard, name).unwrap(), free);
    let guard = MutexGuard::map(mutex.try_lock().unwrap(), |user| &mut user.1);
    let guard = MappedMutexGuard::map(guard, |name| name.as_mut().unwrap());
    is_guard(
        MappedMutexGuard::try_map(guard, |name| name.get_mut(..)).unwrap(),
        free,
    );
    let guard = mutex.clone().try_lock_owned().unwrap();
    is_guard(OwnedMutexGuard::try_map(guard, name).unwrap(), free);
    let guard = OwnedMutexGuard::map(mutex.clone().try_lock_owned().unwrap(), |user| &mut user.1);
    let guard = OwnedMappedMutexGuard::map(guard, |name| name.as_mut().unwrap());
    is_guard(
        OwnedMappedMutexGuard::try_map(guard, |name| name.get_mut(..)).unwrap(),
        free,
    );
}

#[test]
fn a_guard_of_a_part_of_an_rwlock_holds_its_side() {
    let lock = Arc::new(RwLock::new(user()));
    let read = || lock.try_read().is_some();
    let write = || lock.try_write().is_some();

    let guard = lock.try_write().unwrap();
    is_guard(RwLockWriteGuard::try_map(guard, name).unwrap(), read);
    let guard = RwLockWriteGuard::map(lock.try_write().unwrap(), |user| &mut user.1);
    let guard = MappedRwLockWriteGuard::map(guard, |name| name.as_mut().unwrap());
    is_guard(
        MappedRwLockWriteGuard::try_map(guard, |name| name.get_mut(..)).unwrap(),
        read,
    );
    let guard = lock.clone().try_write_owned().unwrap();
    is_guard(OwnedRwLockWriteGuard::try_map(guard, name).unwrap(), read);
    let guard =
        OwnedRwLockWriteGuard::map(lock.clone().try_write_owned().unwrap(), |user| &mut user.1);
    let guard = OwnedMappedRwLockWriteGuard::map(guard, |name| name.as_mut().unwrap());
    is_guard(
        OwnedMappedRwLockWriteGuard::try_map(guard, |name| name.get_mut(..)).unwrap(),
        read,
    );

    let guard = RwLockReadGuard::map(lock.try_read().unwrap(), |user| &user.1);
    let other = lock.try_read().expect("readers are many");
    drop(other);
    let guard = MappedRwLockReadGuard::map(guard, |name| name.as_ref().unwrap());
    is_guard(
        MappedRwLockReadGuard::try_map(guard, |name| name.get(..)).unwrap(),
        write,
    );
    let guard = RwLockReadGuard::try_map(lock.try_read().unwrap(), |user| user.1.as_deref());
    is_guard(guard.unwrap(), write);
    let guard = OwnedRwLockReadGuard::map(lock.clone().try_read_owned().unwrap(), |user| &user.1);
    let guard = OwnedMappedRwLockReadGuard::map(guard, |name| name.as_ref().unwrap());
    is_guard(
        OwnedMappedRwLockReadGuard::try_map(guard, |name| name.get(..)).unwrap(),
        write,
    );
    let guard = lock.clone().try_read_owned().unwrap();
    let guard = OwnedRwLockReadGuard::try_map(guard, |user| user.1.as_deref());
    is_guard(guard.unwrap(), write);
}

#[test]
fn what_is_written_through_a_part_is_in_the_whole() {
    let mutex = Mutex::new((1, 2));
    *MutexGuard::map(mutex.try_lock().unwrap(), |pair| &mut pair.1) = 3;
    assert_eq!(mutex.into_inner(), (1, 3));
    let lock = Arc::new(RwLock::new([1, 2]));
    *RwLockWriteGuard::map(lock.try_write().unwrap(), |pair| &mut pair[0]) = 5;
    *OwnedRwLockWriteGuard::map(lock.clone().try_write_owned().unwrap(), |pair| &mut pair[1]) = 6;
    assert_eq!(*lock.try_read().unwrap(), [5, 6]);
}

#[test]
fn a_part_that_is_not_there_gives_the_guard_back() {
    let nobody = || (7, None::<String>);
    let mutex = Arc::new(Mutex::new(nobody()));
    let guard = MutexGuard::try_map(mutex.try_lock().unwrap(), name).unwrap_err();
    assert_eq!((guard.0, mutex.is_locked()), (7, true));
    drop(guard);
    let guard = OwnedMutexGuard::try_map(mutex.clone().try_lock_owned().unwrap(), name);
    assert!(guard.is_err() && mutex.is_locked());
    drop(guard);
    assert!(!mutex.is_locked());
    let lock = RwLock::new(nobody());
    let guard = RwLockReadGuard::try_map(lock.try_read().unwrap(), |user| user.1.as_ref());
    assert!(guard.is_err() && lock.try_write().is_none());
    drop(guard);
    let guard = RwLockWriteGuard::map(lock.try_write().unwrap(), |user| &mut user.1);
    let guard = MappedRwLockWriteGuard::try_map(guard, Option::as_mut);
    assert!(guard.is_err() && lock.try_read().is_none());
    drop(guard);
    assert!(lock.try_write().is_some());
}

#[test]
fn a_panic_while_a_part_is_picked_unlocks() {
    fn panics(f: impl FnOnce()) {
        assert!(catch_unwind(AssertUnwindSafe(f)).is_err());
    }
    let mutex = Arc::new(Mutex::new(1));
    panics(|| {
        drop(MutexGuard::map(mutex.try_lock().unwrap(), |_| -> &mut u8 {
            panic!()
        }))
    });
    panics(|| {
        let guard = mutex.clone().try_lock_owned().unwrap();
        drop(OwnedMutexGuard::map(guard, |_| -> &mut u8 { panic!() }));
    });
    panics(|| {
        let guard = MutexGuard::map(mutex.try_lock().unwrap(), |n| n);
        drop(MappedMutexGuard::map(guard, |_| -> &mut u8 { panic!() }));
    });
    assert!(mutex.try_lock().is_some());
    let lock = RwLock::new(1);
    panics(|| {
        drop(RwLockReadGuard::map(lock.try_read().unwrap(), |_| -> &u8 {
            panic!()
        }))
    });
    panics(|| {
        drop(RwLockWriteGuard::map(
            lock.try_write().unwrap(),
            |_| -> &mut u8 { panic!() },
        ))
    });
    assert!(lock.try_write().is_some());
}

#[test]
fn owned_guards_of_parts_go_into_tasks_and_keep_the_value_alive() {
    on_each(WORKERS, || async {
        let mutex = Arc::new(Mutex::new((1, vec![2])));
        let mut part = OwnedMutexGuard::map(mutex.clone().lock_owned().await, |pair| &mut pair.1);
        let weak = Arc::downgrade(&mutex);
        drop(mutex);
        let task = spawn(async move {
            part.push(3);
            runtime::yield_now().await;
            part.len()
        });
        assert_eq!(task.await.unwrap(), 2);
        assert!(weak.upgrade().is_none());
    });
}

#[test]
fn an_unlock_by_a_guard_of_a_part_wakes_who_waits() {
    on_each(WORKERS, || async {
        let mutex = Arc::new(Mutex::new((0, 0)));
        let lock = Arc::new(RwLock::new((0, 0)));
        let (one, two) = (mutex.lock().await, lock.write().await);
        let waiters: Vec<_> = (0..4)
            .map(|_| {
                let (mutex, lock) = (mutex.clone(), lock.clone());
                spawn(async move {
                    mutex.lock().await.0 += 1;
                    lock.read().await.0
                })
            })
            .collect();
        pause(5).await;
        let one = MutexGuard::map(one, |pair| &mut pair.1);
        let mut two = RwLockWriteGuard::map(two, |pair| &mut pair.0);
        *two = 9;
        pause(5).await;
        drop((one, two));
        for waiter in waiters {
            assert_eq!(waiter.await.unwrap(), 9);
        }
        assert_eq!(mutex.lock().await.0, 4);
    });
}

#[test]
fn going_on_as_a_reader_lets_readers_in_and_keeps_writers_out() {
    let lock = Arc::new(RwLock::new(1));
    let mut writer = lock.try_write().unwrap();
    let (mut first, mut second) = (pin!(lock.read()), pin!(lock.write()));
    let mut third = pin!(lock.read());
    assert!(poll_once(first.as_mut()).is_pending());
    assert!(poll_once(second.as_mut()).is_pending());
    assert!(poll_once(third.as_mut()).is_pending());
    *writer = 2;
    let reader = RwLockWriteGuard::downgrade(writer);
    // All readers that wait join, also the one that came after another writer, as after any writer.
    let ready = |polled: std::task::Poll<RwLockReadGuard<'_, i32>>| match polled {
        std::task::Poll::Ready(guard) => assert_eq!(*guard, 2),
        std::task::Poll::Pending => panic!("is not let in"),
    };
    ready(poll_once(first.as_mut()));
    ready(poll_once(third.as_mut()));
    assert!(poll_once(second.as_mut()).is_pending());
    assert!(lock.try_read().is_none(), "a writer waits");
    drop(reader);
    assert!(poll_once(second.as_mut()).is_ready());
    let reader = OwnedRwLockWriteGuard::downgrade(lock.clone().try_write_owned().unwrap());
    assert!(lock.try_read().is_some() && lock.try_write().is_none());
    drop(reader);
    assert!(lock.try_write().is_some());
}

#[test]
fn no_writer_gets_between_the_writing_and_the_reading() {
    on_each(WORKERS, || async {
        let lock = Arc::new(RwLock::new(0_u32));
        let group = WaitGroup::new();
        for _ in 0..6 {
            let lock = lock.clone();
            group.spawn(async move {
                for _ in 0..100 {
                    let mut writer = lock.write().await;
                    *writer += 1;
                    let mine = *writer;
                    let reader = RwLockWriteGuard::downgrade(writer);
                    runtime::yield_now().await;
                    assert_eq!(*reader, mine);
                }
            });
        }
        group.wait().await;
        assert_eq!(*lock.read().await, 600);
    });
}

#[test]
fn random_cancellation_beside_downgrades_loses_no_lock() {
    with_seeds(4, |seed| {
        for &workers in WORKERS {
            on(workers, random_downgrades(seed));
        }
    });
}

async fn random_downgrades(seed: u64) {
    let mut random = Random::new(seed);
    let lock = Arc::new(RwLock::new((0_u64, 0_u64)));
    let group = WaitGroup::new();
    for task in 0..8 {
        let lock = lock.clone();
        let mut random = Random::new(random.next() ^ (task << 40));
        group.spawn(async move {
            for _ in 0..60 {
                let patience = if random.chance(50) {
                    usize::MAX
                } else {
                    random.below(4)
                };
                match random.below(3) {
                    0 => {
                        let guard = support::give_up_after(patience, lock.read()).await;
                        if let Some(guard) = guard {
                            assert_eq!(guard.0, guard.1);
                            pause(random.below(2)).await;
                        }
                    }
                    1 => write(&lock, patience, random.below(2)).await,
                    _ => downgrade(&lock, patience, random.below(3)).await,
                }
            }
        });
    }
    group.wait().await;
    let end = lock.try_write().expect("nobody has it");
    assert_eq!(end.0, end.1);
}

async fn write(lock: &RwLock<(u64, u64)>, patience: usize, yields: usize) {
    if let Some(mut guard) = support::give_up_after(patience, lock.write()).await {
        guard.0 += 1;
        pause(yields).await;
        let mut part = RwLockWriteGuard::map(guard, |pair| &mut pair.1);
        *part += 1;
    }
}

async fn downgrade(lock: &RwLock<(u64, u64)>, patience: usize, yields: usize) {
    if let Some(mut guard) = support::give_up_after(patience, lock.write()).await {
        guard.0 += 1;
        pause(yields).await;
        guard.1 += 1;
        let mine = *guard;
        let reader = RwLockReadGuard::map(RwLockWriteGuard::downgrade(guard), |pair| pair);
        pause(yields).await;
        assert_eq!(*reader, mine);
    }
}

#[test]
fn permits_can_be_split_and_merged() {
    let semaphore = Arc::new(Semaphore::new(5));
    let mut permit: SemaphorePermit<'_> = semaphore.try_acquire_many(4).unwrap();
    assert!(permit.split(5).is_none());
    let two = permit.split(2).unwrap();
    assert_eq!(
        (permit.count(), two.count(), semaphore.available()),
        (2, 2, 1)
    );
    drop(two);
    assert_eq!(semaphore.available(), 3);
    let one = semaphore.try_acquire().unwrap();
    permit.merge(one);
    assert_eq!((permit.count(), semaphore.available()), (3, 2));
    drop(permit);
    let mut permit: OwnedSemaphorePermit = semaphore.clone().try_acquire_many_owned(3).unwrap();
    let one = permit.split(1).unwrap();
    permit.merge(one);
    assert_eq!((permit.count(), semaphore.available()), (3, 2));
    let other = Arc::new(Semaphore::new(1));
    let foreign = other.clone().try_acquire_owned().unwrap();
    let message = support::message_of(AssertUnwindSafe(|| permit.merge(foreign)));
    assert!(message.contains("different semaphores"), "{message}");
    assert_eq!((semaphore.available(), other.available()), (2, 1));
}

#[test]
fn guards_are_send_and_sync_where_they_should_be() {
    fn is_send<T: Send>(_: &T) {}
    fn is_sync<T: Sync>(_: &T) {}
    fn check<F: Future + Send>(_: &F) {}
    // A cell may be sent, but not shared; so may its guard.
    let cell = Arc::new(Mutex::new(std::cell::Cell::new(1)));
    is_send(&MutexGuard::map(cell.try_lock().unwrap(), |cell| cell));
    is_send(&OwnedMutexGuard::map(
        cell.clone().try_lock_owned().unwrap(),
        |cell| cell,
    ));
    let mutex = Mutex::new(1);
    is_sync(&MutexGuard::map(mutex.try_lock().unwrap(), |n| n));
    check(&async {
        let guard = MutexGuard::map(mutex.lock().await, |n| n);
        runtime::yield_now().await;
        drop(guard);
    });
}
