//! `RwLock`: readers against writers, and giving up at every moment.
#![forbid(unsafe_code)]

use std::pin::pin;

use loom::cell::UnsafeCell;
use loom::sync::Arc;
use loom::thread;

use super::{block_on, poll_once};
use crate::rwlock::{RwLock, RwLockWriteGuard};

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
