//! `RwLock` that has become light: its readers are counted nowhere, and nobody can tell.
#![cfg(not(loom))]

mod support;

use std::future::Future;
use std::mem;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use support::{Random, on, pause, poll_once, times, with_seeds, within_a_minute};
use sync::{
    OwnedMappedRwLockReadGuard, OwnedRwLockReadGuard, OwnedRwLockWriteGuard, RwLock,
    RwLockReadGuard, RwLockUpgradableReadGuard, RwLockWriteGuard, WaitGroup,
};

/// More than it takes a lock to become light, for the first time and the second.
const MANY: usize = 2_500;

/// Once the first runtime's monitor has asked the system for it, locks can become light; where the
/// system has no such call, what is tested here holds just as well.
fn prepare() {
    drop(runtime::Runtime::new().unwrap());
    let begin = Instant::now();
    while cfg!(all(target_os = "linux", not(miri))) && !runtime::asymmetric::is_there() {
        if begin.elapsed() > Duration::from_secs(20) {
            eprintln!("this system has no membarrier(2)");
            break;
        }
        thread::yield_now();
    }
}

fn read<T>(lock: &RwLock<T>, times: usize) {
    for _ in 0..times {
        drop(lock.try_read().expect("nobody writes"));
    }
}

/// A light lock with this in it.
fn light<T>(value: T) -> Arc<RwLock<T>> {
    prepare();
    let lock = Arc::new(RwLock::new(value));
    read(&lock, MANY);
    lock
}

#[test]
fn guards_of_every_kind_keep_writers_out_until_the_last_is_dropped() {
    within_a_minute(|| {
        let lock = light((1, 2));
        let plain = lock.try_read().unwrap();
        let mapped = RwLockReadGuard::map(lock.try_read().unwrap(), |pair| &pair.0);
        let owned = lock.clone().try_read_owned().unwrap();
        let parts = OwnedRwLockReadGuard::map(lock.clone().try_read_owned().unwrap(), |pair| pair);
        let parts = OwnedMappedRwLockReadGuard::map(parts, |pair| &pair.1);
        assert!(lock.try_write().is_none());
        assert_eq!((plain.0, *mapped, owned.1, *parts), (1, 1, 2, 2));
        drop(plain);
        assert!(lock.try_write().is_none());
        drop(mapped);
        assert!(lock.try_write().is_none());
        thread::spawn(move || drop(owned)).join().unwrap();
        assert!(lock.try_write().is_none());
        let writer = thread::spawn({
            let lock = lock.clone();
            move || *lock.blocking_write() = (3, 4)
        });
        thread::spawn(move || drop(parts)).join().unwrap();
        writer.join().unwrap();
        assert_eq!(*lock.try_read().unwrap(), (3, 4));
    });
}

#[test]
fn more_guards_than_there_are_slots_are_guards_all_the_same() {
    within_a_minute(|| {
        let locks: Vec<_> = (0..3).map(light).collect();
        for lock in &locks {
            let mut guards: Vec<_> = (0..50).map(|_| lock.try_read().unwrap()).collect();
            while let Some(guard) = guards.pop() {
                assert!(lock.try_write().is_none());
                drop(guard);
            }
            assert!(lock.try_write().is_some());
        }
    });
}

/// A lock at the same address is another lock.
#[test]
fn a_forgotten_guard_keeps_writers_out_of_its_lock_and_of_no_other() {
    within_a_minute(|| {
        let mut lock = RwLock::new(0);
        prepare();
        for round in 0..50 {
            read(&lock, MANY);
            drop(lock.try_write().expect("nobody has it yet"));
            read(&lock, MANY);
            mem::forget(lock.try_read().unwrap());
            assert!(lock.try_write().is_none(), "round {round}");
            read(&lock, MANY);
            assert!(lock.try_write().is_none(), "round {round}");
            lock = RwLock::new(round);
        }
    });
}

#[test]
fn an_upgrade_finds_readers_that_nobody_counts() {
    within_a_minute(|| {
        let lock = light(1);
        let reader = lock.try_read().unwrap();
        let guard = lock.try_upgradable_read().unwrap();
        let beside = lock.try_read().expect("it only reads");
        let guard = RwLockUpgradableReadGuard::try_upgrade(guard).unwrap_err();
        drop(beside);
        let guard = RwLockUpgradableReadGuard::try_upgrade(guard).unwrap_err();
        drop(reader);
        *RwLockUpgradableReadGuard::try_upgrade(guard).unwrap() += 1;
        assert_eq!(*lock.try_read().unwrap(), 2);
    });
}

#[test]
fn debug_shows_the_value_and_does_not_end_the_mode_for_those_inside() {
    let lock = light(7);
    let guard = lock.try_read().unwrap();
    assert_eq!(format!("{lock:?}"), "RwLock { value: 7 }");
    drop(guard);
    let guard = lock.try_write().unwrap();
    assert_eq!(format!("{lock:?}"), "RwLock { value: <locked> }");
    drop(guard);
}

/// Guards are held while their tasks go from worker to worker, and slots are freed from afar.
#[test]
fn writers_get_in_beside_tasks_that_migrate_with_their_guards() {
    prepare();
    for workers in [1, 2, 4] {
        on(workers, async move {
            let lock = Arc::new(RwLock::new((0_usize, 0_usize)));
            let group = WaitGroup::new();
            let readers = 8;
            let rounds = times(6_000);
            for task in 0..readers {
                let lock = lock.clone();
                group.spawn(async move {
                    for round in 0..rounds {
                        let guard = lock.read().await;
                        let before = *guard;
                        assert_eq!(before.0, before.1);
                        if (round + task) % 16 == 0 {
                            runtime::yield_now().await;
                            assert_eq!(*guard, before, "a writer beside a reader");
                        }
                        drop(guard);
                    }
                });
            }
            let writes = 20;
            for _ in 0..2 {
                let lock = lock.clone();
                group.spawn(async move {
                    for _ in 0..writes {
                        let mut guard = lock.write().await;
                        guard.0 += 1;
                        pause(1).await;
                        guard.1 += 1;
                        let reader = RwLockWriteGuard::downgrade(guard);
                        assert_eq!(reader.0, reader.1);
                        drop(reader);
                        pause(200).await;
                    }
                });
            }
            group.wait().await;
            assert_eq!(
                *lock.try_write().expect("all are gone"),
                (2 * writes, 2 * writes)
            );
        });
    }
}

type Waiting = Pin<Box<dyn Future<Output = OwnedRwLockWriteGuard<u64>> + Send>>;

/// A reader's guard, of either kind.
enum Reader {
    Whole(OwnedRwLockReadGuard<u64>),
    Part(OwnedMappedRwLockReadGuard<u64, u64>),
}

/// What is known of a lock, beside the lock.
struct Known {
    lock: Arc<RwLock<u64>>,
    value: u64,
    readers: Vec<Reader>,
    forgotten: bool,
    writer: Option<OwnedRwLockWriteGuard<u64>>,
    waiting: Option<Waiting>,
}

impl Known {
    fn new() -> Self {
        Self {
            lock: Arc::new(RwLock::new(0)),
            value: 0,
            readers: Vec::new(),
            forgotten: false,
            writer: None,
            waiting: None,
        }
    }

    fn is_read(&self) -> bool {
        self.forgotten || !self.readers.is_empty()
    }

    fn step(&mut self, random: &mut Random, on: &Threads) {
        match random.below(100) {
            0..30 => self.try_read(random, on),
            30..55 => self.leave(random, on),
            55..65 => self.map(random, on),
            65..72 => self.try_write(random, on),
            72..78 => self.unlock(random, on),
            78..84 => self.wait(random, on),
            84..90 => self.give_up(random, on),
            90..98 => self.quiet(random, on),
            98 => self.forget(),
            _ => *self = Self::new(),
        }
    }

    fn try_read(&mut self, random: &mut Random, on: &Threads) {
        let lock = self.lock.clone();
        let guard = on.any(random, move || lock.try_read_owned());
        let expected = self.writer.is_none() && self.waiting.is_none();
        assert_eq!(guard.is_some(), expected, "a reader is let in");
        if let Some(guard) = guard {
            assert_eq!(*guard, self.value);
            self.readers.push(Reader::Whole(guard));
        }
    }

    fn leave(&mut self, random: &mut Random, on: &Threads) {
        if !self.readers.is_empty() {
            let reader = self.readers.swap_remove(random.below(self.readers.len()));
            on.any(random, move || match reader {
                Reader::Whole(guard) => drop(guard),
                Reader::Part(guard) => drop(guard),
            });
            self.see_who_waits();
        }
    }

    fn map(&mut self, random: &mut Random, on: &Threads) {
        if let Some(reader) = self.readers.pop() {
            let value = self.value;
            let mapped = on.any(random, move || match reader {
                Reader::Whole(guard) => OwnedRwLockReadGuard::map(guard, |value| value),
                Reader::Part(guard) => OwnedMappedRwLockReadGuard::map(guard, |value| value),
            });
            assert_eq!(*mapped, value);
            self.readers.push(Reader::Part(mapped));
        }
    }

    fn try_write(&mut self, random: &mut Random, on: &Threads) {
        let lock = self.lock.clone();
        let guard = on.any(random, move || lock.try_write_owned());
        let expected = !self.is_read() && self.writer.is_none() && self.waiting.is_none();
        assert_eq!(guard.is_some(), expected, "a writer is let in");
        self.writer = guard.or(self.writer.take());
    }

    fn unlock(&mut self, random: &mut Random, on: &Threads) {
        if let Some(mut guard) = self.writer.take() {
            self.value += 1;
            *guard = self.value;
            if random.chance(50) {
                on.any(random, move || drop(guard));
            } else {
                let reader = on.any(random, move || OwnedRwLockWriteGuard::downgrade(guard));
                self.readers.push(Reader::Whole(reader));
            }
            self.see_who_waits();
        }
    }

    fn wait(&mut self, random: &mut Random, on: &Threads) {
        if self.waiting.is_none() {
            let lock = self.lock.clone();
            self.waiting = Some(on.any(random, move || {
                let mut waiting: Waiting = Box::pin(lock.write_owned());
                // What it has got by then is given back below.
                let _ = poll_once(waiting.as_mut()).map(drop);
                waiting
            }));
            if !self.is_read() && self.writer.is_none() {
                self.waiting = None;
            }
        }
    }

    /// It is let in exactly when nobody else is.
    fn see_who_waits(&mut self) {
        let Some(waiting) = &mut self.waiting else {
            return;
        };
        let polled = poll_once(waiting.as_mut());
        let expected = !self.is_read() && self.writer.is_none();
        assert_eq!(polled.is_ready(), expected, "one who waited is let in");
        if let std::task::Poll::Ready(guard) = polled {
            assert_eq!(*guard, self.value);
            self.writer = Some(guard);
            self.waiting = None;
        }
    }

    fn give_up(&mut self, random: &mut Random, on: &Threads) {
        let waiting = self.waiting.take();
        on.any(random, move || drop(waiting));
    }

    /// So many reads that the lock becomes light, if that can be.
    fn quiet(&mut self, random: &mut Random, on: &Threads) {
        if self.writer.is_none() && self.waiting.is_none() {
            let lock = self.lock.clone();
            on.any(random, move || read(&lock, MANY));
        }
    }

    fn forget(&mut self) {
        if let Some(reader) = self.readers.pop() {
            mem::forget(reader);
            self.forgotten = true;
        }
    }
}

type Job = Box<dyn FnOnce() + Send>;

/// Threads that do one thing at a time, so that a program is the same each time it is run.
struct Threads(Vec<mpsc::Sender<Job>>);

impl Threads {
    fn new() -> Self {
        let thread = |_| {
            let (send, jobs) = mpsc::channel::<Job>();
            thread::spawn(move || jobs.into_iter().for_each(|job| job()));
            send
        };
        Self((0..3).map(thread).collect())
    }

    fn any<R: Send + 'static>(
        &self,
        random: &mut Random,
        job: impl FnOnce() -> R + Send + 'static,
    ) -> R {
        let (done, result) = mpsc::channel();
        let job: Job = Box::new(move || drop(done.send(job())));
        self.0[random.below(self.0.len())].send(job).unwrap();
        result
            .recv_timeout(Duration::from_secs(60))
            .expect("hangs, or has panicked")
    }
}

#[test]
fn random_programs_do_what_a_counter_of_readers_would_let_them() {
    prepare();
    with_seeds(20, |seed| {
        let mut random = Random::new(seed);
        let threads = Threads::new();
        let mut locks: Vec<_> = (0..3).map(|_| Known::new()).collect();
        for _ in 0..times(600) {
            let lock = random.below(locks.len());
            locks[lock].step(&mut random, &threads);
        }
    });
}
