//! `RwLock`: readers against writers, and giving up at every moment.
//!
//! Killed by: `change` relaxed.
#![forbid(unsafe_code)]

use std::pin::pin;

use loom::cell::UnsafeCell;
use loom::sync::Arc;
use loom::thread;

use super::{block_on, poll_once};
use crate::rwlock::{RwLock, RwLockUpgradableReadGuard, RwLockWriteGuard};

/// Loom's cell is not `Sync`; the lock is what is tested to make it so.
type Shared = Arc<RwLock<Cell>>;

struct Cell(UnsafeCell<u32>);

fn shared() -> Shared {
    Arc::new(RwLock::new(Cell(UnsafeCell::new(0))))
}

/// Loom fails if a writer is ever in here with anyone else.
fn write(lock: &Shared) {
    block_on(lock.write()).0.with_mut(|_| ());
}

fn read(lock: &Shared) {
    block_on(lock.read()).0.with(|_| ());
}

fn is_idle(lock: &Shared) {
    assert!(lock.try_write().is_some(), "left locked or queued");
}

#[test]
fn two_readers_and_a_writer() {
    loom::model(|| {
        let lock = shared();
        let (one, two) = (lock.clone(), lock.clone());
        let writer = thread::spawn(move || write(&one));
        let reader = thread::spawn(move || read(&two));
        read(&lock);
        writer.join().unwrap();
        reader.join().unwrap();
        is_idle(&lock);
    });
}

#[test]
fn two_writers_and_a_reader() {
    loom::model(|| {
        let lock = shared();
        let (one, two) = (lock.clone(), lock.clone());
        let writer = thread::spawn(move || write(&one));
        let reader = thread::spawn(move || read(&two));
        write(&lock);
        writer.join().unwrap();
        reader.join().unwrap();
        is_idle(&lock);
    });
}

#[test]
fn a_writer_that_gives_up_lets_the_readers_in() {
    loom::model(|| {
        let lock = shared();
        let held = lock.try_read().unwrap();
        let (one, two) = (lock.clone(), lock.clone());
        let quitter = thread::spawn(move || {
            let mut write = pin!(one.write());
            if poll_once(write.as_mut()).is_pending() {
                let _ = poll_once(write.as_mut());
            }
        });
        let reader = thread::spawn(move || read(&two));
        drop(held);
        quitter.join().unwrap();
        reader.join().unwrap();
        is_idle(&lock);
    });
}

#[test]
fn a_reader_that_gives_up_lets_the_writer_in() {
    loom::model(|| {
        let lock = shared();
        let held = lock.try_write().unwrap();
        let (one, two) = (lock.clone(), lock.clone());
        let quitter = thread::spawn(move || {
            let mut read = pin!(one.read());
            if poll_once(read.as_mut()).is_pending() {
                let _ = poll_once(read.as_mut());
            }
        });
        let writer = thread::spawn(move || write(&two));
        drop(held);
        quitter.join().unwrap();
        writer.join().unwrap();
        is_idle(&lock);
    });
}

#[test]
fn a_writer_that_goes_on_as_a_reader_keeps_other_writers_out() {
    loom::model(|| {
        let lock = shared();
        let (one, two) = (lock.clone(), lock.clone());
        let writer = thread::spawn(move || write(&one));
        let reader = thread::spawn(move || read(&two));
        let guard = block_on(lock.write());
        guard.0.with_mut(|_| ());
        let guard = RwLockWriteGuard::downgrade(guard);
        guard.0.with(|_| ());
        drop(guard);
        writer.join().unwrap();
        reader.join().unwrap();
        is_idle(&lock);
    });
}

/// Looks, becomes the writer, and writes.
fn upgrade(lock: &Shared) {
    let guard = block_on(lock.upgradable_read());
    guard.0.with(|_| ());
    block_on(RwLockUpgradableReadGuard::upgrade(guard))
        .0
        .with_mut(|_| ());
}

#[test]
fn an_upgrade_beside_a_reader_and_a_writer() {
    loom::model(|| {
        let lock = shared();
        let (one, two) = (lock.clone(), lock.clone());
        let writer = thread::spawn(move || write(&one));
        let reader = thread::spawn(move || read(&two));
        upgrade(&lock);
        writer.join().unwrap();
        reader.join().unwrap();
        is_idle(&lock);
    });
}

#[test]
fn two_upgrades_take_turns() {
    loom::model(|| {
        let lock = shared();
        let one = lock.clone();
        let other = thread::spawn(move || upgrade(&one));
        upgrade(&lock);
        other.join().unwrap();
        is_idle(&lock);
    });
}

#[test]
fn an_upgrade_that_is_given_up_at_any_moment_leaves_the_lock_to_the_others() {
    loom::model(|| {
        let lock = shared();
        let held = lock.try_read().unwrap();
        let guard = lock.try_upgradable_read().unwrap();
        let other = lock.clone();
        let quitter = {
            let lock = lock.clone();
            thread::spawn(move || read(&lock))
        };
        let holder = thread::spawn(move || {
            let mut write = pin!(other.write());
            if let std::task::Poll::Ready(guard) = poll_once(write.as_mut()) {
                guard.0.with_mut(|_| ());
            }
        });
        {
            let mut upgrade = pin!(RwLockUpgradableReadGuard::upgrade(guard));
            assert!(poll_once(upgrade.as_mut()).is_pending());
            drop(held);
            if let std::task::Poll::Ready(guard) = poll_once(upgrade.as_mut()) {
                guard.0.with_mut(|_| ());
            }
        }
        quitter.join().unwrap();
        holder.join().unwrap();
        is_idle(&lock);
    });
}

#[test]
fn an_upgrade_wins_against_the_reader_that_leaves_or_waits_for_it() {
    loom::model(|| {
        let lock = shared();
        let guard = lock.try_upgradable_read().unwrap();
        let (one, two) = (lock.clone(), lock.clone());
        let reader = thread::spawn(move || read(&one));
        let other = thread::spawn(move || drop(block_on(two.upgradable_read())));
        match RwLockUpgradableReadGuard::try_upgrade(guard) {
            Ok(writer) => writer.0.with_mut(|_| ()),
            Err(guard) => block_on(RwLockUpgradableReadGuard::upgrade(guard))
                .0
                .with_mut(|_| ()),
        }
        reader.join().unwrap();
        other.join().unwrap();
        is_idle(&lock);
    });
}

/// They are let in in batches; one that comes between two of them waits for no writer, and so need
/// not wait for the others to leave.
#[test]
fn a_reader_that_comes_while_others_are_let_in_joins_them() {
    loom::model(|| {
        let lock = shared();
        let (mine, late) = (lock.clone(), lock.clone());
        let held = mine.try_write().unwrap();
        let mut reads: Vec<_> = (0..3).map(|_| Box::pin(lock.read())).collect();
        for read in &mut reads {
            assert!(poll_once(read.as_mut()).is_pending());
        }
        let late = thread::spawn(move || read(&late));
        drop(held);
        let inside: Vec<_> = reads
            .iter_mut()
            .map(|read| poll_once(read.as_mut()))
            .collect();
        assert!(inside.iter().all(|read| read.is_ready()));
        late.join().unwrap();
        drop(inside);
        is_idle(&lock);
    });
}
