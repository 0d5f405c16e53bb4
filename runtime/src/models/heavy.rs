//! Heavy tasks beside a full count: whoever fell asleep, or may have, when no further one was
//! admitted, is not relied on; when there is room again somebody takes the next one. And no more
//! are in a poll than may be.
//!
//! [`Heavy`], [`Idle`] and [`Parker`] are the real ones. Mirrored are the worker's loop with
//! nothing but heavy tasks, and the monitor, which takes a poll out of the count.
//!
//! Killed by: a `take` that was admitted, finds nothing, and keeps its place. Not by Relaxed for
//! the exchange in `admit`: the number alone counts, and the fence of who falls asleep orders the
//! rest.

use std::cell::Cell;

use loom::sync::Arc;
use loom::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use loom::thread;

use super::explore;
use super::item::Item;
use crate::scheduler::heavy::{Admission, Heavy};
use crate::scheduler::idle::{Idle, Notify};
use crate::scheduler::parker::Parker;

struct Pool {
    heavy: Heavy<Item>,
    idle: Idle,
    parkers: Vec<Parker>,
    /// `PollMark::admitted`, for each worker.
    admitted: Vec<AtomicBool>,
    most: usize,
    /// Polls that count at the moment.
    polling: AtomicUsize,
    left: AtomicUsize,
    stopping: AtomicBool,
}

impl Pool {
    fn new(workers: usize, most: usize, items: usize) -> Arc<Self> {
        let pool = Self {
            heavy: Heavy::new(),
            idle: Idle::new(workers, workers),
            parkers: (0..workers).map(|_| Parker::new()).collect(),
            admitted: (0..workers).map(|_| AtomicBool::new(false)).collect(),
            most,
            polling: AtomicUsize::new(0),
            left: AtomicUsize::new(items),
            stopping: AtomicBool::new(false),
        };
        (0..workers).for_each(|_| pool.idle.add_running());
        Arc::new(pool)
    }

    fn notify(&self) {
        if let Notify::Worker(worker) = self.idle.worker_to_notify(|_| false) {
            let _ = self.parkers[worker].unpark();
        }
    }

    fn release(&self, worker: usize) {
        if self.admitted[worker].swap(false, SeqCst) {
            self.heavy.release();
        }
    }

    fn count_down(&self) {
        if self.left.fetch_sub(1, SeqCst) == 1 {
            self.stopping.store(true, SeqCst);
            for parker in &self.parkers {
                let _ = parker.unpark();
            }
        }
    }

    fn work(&self, me: usize) {
        let searching = Cell::new(false);
        self.parkers[me].adopt();
        while !self.stopping.load(SeqCst) {
            if self.run(me, &searching) {
                continue;
            }
            // `Worker::sleep`.
            let searched = searching.replace(false);
            self.idle.fall_asleep(me, searched);
            if self.heavy.has_work(self.most) || self.stopping.load(SeqCst) {
                thread::yield_now();
            } else {
                self.parkers[me].park(None);
            }
            if !self.idle.wake_up(me) {
                searching.set(true);
            }
        }
    }

    /// `Worker::run_heavy`, of which every poll but the last of a task leaves it runnable.
    fn run(&self, me: usize, searching: &Cell<bool>) -> bool {
        let Some((item, admission)) = self.heavy.take(self.most) else {
            return false;
        };
        if searching.replace(false) {
            let _ = self.idle.stop_searching();
        }
        assert_eq!(admission, Admission::Counted, "none of these has blocked");
        assert!(self.polling.fetch_add(1, SeqCst) < self.most);
        self.admitted[me].store(true, SeqCst);
        self.idle.remove_running();
        self.notify();
        self.polling.fetch_sub(1, SeqCst);
        self.release(me);
        if item.number() > 0 {
            assert!(self.heavy.push(Item::new(item.number() - 1), false).is_ok());
        }
        self.idle.add_running();
        self.count_down();
        true
    }
}

#[test]
fn a_task_that_waits_for_another_one_to_end_is_taken_then() {
    explore(2, || {
        let pool = Pool::new(2, 1, 2);
        for _ in 0..2 {
            assert!(pool.heavy.push(Item::new(0), false).is_ok());
        }
        let other = {
            let pool = pool.clone();
            thread::spawn(move || pool.work(1))
        };
        pool.work(0);
        other.join().unwrap();
    });
}

#[test]
fn a_task_that_comes_back_while_another_is_admitted_in_vain_is_taken() {
    explore(2, || {
        let pool = Pool::new(2, 1, 2);
        assert!(pool.heavy.push(Item::new(1), false).is_ok());
        let other = {
            let pool = pool.clone();
            thread::spawn(move || pool.work(1))
        };
        pool.work(0);
        other.join().unwrap();
    });
}

/// The first poll ends only when the second one has: nobody but the monitor can make room.
#[test]
fn a_poll_that_the_monitor_takes_out_of_the_count_makes_room() {
    explore(2, || {
        let pool = Pool::new(2, 1, 1);
        // The first worker is in a poll that never ends.
        assert!(pool.heavy.push(Item::new(0), false).is_ok());
        assert!(pool.heavy.take(1).is_some());
        pool.admitted[0].store(true, SeqCst);
        pool.idle.remove_running();
        assert!(pool.heavy.push(Item::new(0), false).is_ok());
        let other = {
            let pool = pool.clone();
            thread::spawn(move || pool.work(1))
        };
        // `reconsider_admission`, and the end of the look.
        pool.release(0);
        if pool.heavy.has_work(1) {
            pool.notify();
        }
        other.join().unwrap();
    });
}
