//! `RwLock` in its light mode: readers that nobody counts against those who want to be alone.
//!
//! A lock is light from its first read on, and again two reads after the first who ended that
//! (`PATIENCE`). A table has one slot. The models of [`rwlock`](super::rwlock) meet the light mode,
//! too.
//!
//! Killed by: any ordering of a slot, of `now`, or of the reader that the word counts for all,
//! relaxed; either half of the barrier left out, on either way; a reader that does not look at
//! `now` again, before it is in or after it has left; one that takes its note back without seeing
//! to who waits; a writer that does not end the mode, or not by `now`, or does not look for
//! readers; one who queues up without ending it; a reader that leaves late and lets others in
//! without a look, or where nobody waits for it; a lock that becomes light while somebody waits, or
//! while readers of the last time are in; a table that is taken over without `Acquire`. Not by the
//! `Release` with which a table is given back: that the thread has ended says it, too.
#![forbid(unsafe_code)]

use std::pin::pin;
// Its guards own a share, to go to another thread.
use std::sync::Arc;

use loom::cell::UnsafeCell;
use loom::thread;

use super::{block_on, poll_once};
use crate::rwlock::{RwLock, RwLockUpgradableReadGuard, RwLockWriteGuard};

type Shared = Arc<RwLock<Cell>>;

/// Loom's cell is not `Sync`; the lock is what is tested to make it so.
struct Cell(UnsafeCell<u32>);

/// A lock that is light, and that nobody holds.
fn light() -> Shared {
    let lock = Arc::new(RwLock::new(Cell(UnsafeCell::new(0))));
    read(&lock);
    lock
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

/// What `run` does with the lock, on another thread.
fn beside(lock: &Shared, run: impl FnOnce(&Shared) + 'static) -> thread::JoinHandle<()> {
    let lock = lock.clone();
    thread::spawn(move || run(&lock))
}

#[test]
fn a_reader_and_a_writer() {
    loom::model(|| {
        let lock = light();
        let reader = beside(&lock, read);
        write(&lock);
        reader.join().unwrap();
        is_idle(&lock);
    });
}

#[test]
fn the_last_of_two_readers_lets_the_writer_in() {
    loom::model(|| {
        let lock = light();
        let (one, two) = (beside(&lock, read), beside(&lock, read));
        write(&lock);
        one.join().unwrap();
        two.join().unwrap();
        is_idle(&lock);
    });
}

#[test]
fn two_writers_and_a_reader() {
    loom::model(|| {
        let lock = light();
        let (one, two) = (beside(&lock, write), beside(&lock, write));
        read(&lock);
        one.join().unwrap();
        two.join().unwrap();
        is_idle(&lock);
    });
}

#[test]
fn a_writer_that_does_not_wait_is_alone_or_refused() {
    loom::model(|| {
        let lock = light();
        let reader = beside(&lock, read);
        if let Some(guard) = lock.try_write() {
            guard.0.with_mut(|_| ());
        }
        reader.join().unwrap();
        is_idle(&lock);
    });
}

/// A guard that goes to another thread frees a slot of this one, which takes it for another lock:
/// the writer who then sees the other's number comes after the reader as well.
#[test]
fn a_guard_is_dropped_elsewhere_and_its_slot_used_again() {
    loom::model(|| {
        let (lock, other) = (light(), light());
        let guard = lock.clone().try_read_owned().unwrap();
        let dropper = thread::spawn(move || {
            guard.0.with(|_| ());
            drop(guard);
        });
        let writer = beside(&lock, write);
        read(&other);
        dropper.join().unwrap();
        writer.join().unwrap();
        is_idle(&lock);
        is_idle(&other);
    });
}

/// The thread of the reader ends before its guard is dropped, and another has its table.
#[test]
fn a_guard_outlives_its_thread() {
    loom::model(|| {
        let (lock, other) = (light(), light());
        let taken = loom::sync::Arc::new(loom::sync::Mutex::new(None));
        let first = {
            let (lock, taken) = (lock.clone(), taken.clone());
            thread::spawn(move || *taken.lock().unwrap() = lock.try_read_owned())
        };
        let second = beside(&other, |other| {
            read(other);
            read(other);
        });
        first.join().unwrap();
        let guard = taken.lock().unwrap().take().expect("nobody writes");
        assert!(lock.try_write().is_none());
        second.join().unwrap();
        assert!(lock.try_write().is_none());
        drop(guard);
        is_idle(&lock);
        is_idle(&other);
    });
}

#[test]
fn a_writer_that_gives_up_leaves_the_readers_alone() {
    loom::model(|| {
        let lock = light();
        let held = lock.try_read().unwrap();
        let quitter = beside(&lock, |lock| {
            let mut write = pin!(lock.write());
            if poll_once(write.as_mut()).is_pending() {
                let _ = poll_once(write.as_mut());
            }
        });
        let reader = beside(&lock, read);
        held.0.with(|_| ());
        drop(held);
        quitter.join().unwrap();
        reader.join().unwrap();
        is_idle(&lock);
    });
}

/// Readers that left late, or came late, meet the lock when it is light again.
#[test]
fn it_becomes_light_again() {
    loom::model(|| {
        let lock = light();
        let reader = beside(&lock, read);
        let other = beside(&lock, |lock| {
            write(lock);
            for _ in 0..2 {
                drop(lock.try_read());
            }
        });
        write(&lock);
        reader.join().unwrap();
        other.join().unwrap();
        is_idle(&lock);
    });
}

#[test]
fn what_was_written_is_seen_by_who_finds_it_light() {
    loom::model(|| {
        let lock = Arc::new(RwLock::new(Cell(UnsafeCell::new(0))));
        let writer = beside(&lock, write);
        let counted = beside(&lock, |lock| drop(lock.try_read()));
        if let Some(guard) = lock.try_read() {
            guard.0.with(|_| ());
        }
        writer.join().unwrap();
        counted.join().unwrap();
        is_idle(&lock);
    });
}

#[test]
fn an_upgrade_waits_for_readers_that_nobody_counts() {
    loom::model(|| {
        let lock = light();
        let reader = beside(&lock, read);
        let guard = block_on(lock.upgradable_read());
        guard.0.with(|_| ());
        match RwLockUpgradableReadGuard::try_upgrade(guard) {
            Ok(writer) => writer.0.with_mut(|_| ()),
            Err(guard) => {
                let writer = block_on(RwLockUpgradableReadGuard::upgrade(guard));
                writer.0.with_mut(|_| ());
            }
        }
        reader.join().unwrap();
        is_idle(&lock);
    });
}

/// Who waits for one that only reads keeps newcomers out, in any mode.
#[test]
fn one_who_waits_to_be_upgradable_ends_the_mode() {
    loom::model(|| {
        let lock = light();
        let first = lock.try_upgradable_read().unwrap();
        let reader = beside(&lock, read);
        let mut second = pin!(lock.upgradable_read());
        assert!(poll_once(second.as_mut()).is_pending());
        assert!(lock.try_read().is_none(), "overtakes who waits");
        drop(first);
        assert!(poll_once(second.as_mut()).is_ready());
        reader.join().unwrap();
        is_idle(&lock);
    });
}

#[test]
fn a_writer_that_goes_on_as_a_reader_is_counted() {
    loom::model(|| {
        let lock = light();
        let reader = beside(&lock, read);
        let writer = beside(&lock, write);
        let guard = block_on(lock.write());
        guard.0.with_mut(|_| ());
        let guard = RwLockWriteGuard::downgrade(guard);
        guard.0.with(|_| ());
        drop(guard);
        reader.join().unwrap();
        writer.join().unwrap();
        is_idle(&lock);
    });
}
