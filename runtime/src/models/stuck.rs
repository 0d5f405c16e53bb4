//! Mark, take-over and return; and the end of a worker that nobody needs: however the monitor's
//! looks, the ends of polls, pushes, sleeps and the shutdown fall, every element of a queue is run,
//! and in the end the counts are right.
//!
//! [`Idle`], [`Mark`], [`Parker`], [`RunQueue`] and [`Injector`] are the real ones. Mirrored round
//! them, in as few lines as will do, are the worker's loop (`worker/`), the monitor's look, and the
//! reactor: a lock and an eventfd. As in the model of falling asleep, a lost wake-up leaves every
//! thread blocked, which loom reports.
//!
//! Killed by: an `Idle` that does not count who wakes; a `retire` after which the worker does not
//! look. Not by one without its fence, since who ends hands the turn at the reactor on, and that
//! has a fence.

use std::cell::Cell;

use loom::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use loom::sync::{Arc, Mutex};
use loom::thread;

use super::event::Event;
use super::explore;
use super::item::Item;
use super::turn::Reactor;
use crate::scheduler::idle::{Idle, Notify, StepDown};
use crate::scheduler::injector::Injector;
use crate::scheduler::mark::Mark;
use crate::scheduler::parker::{Parker, Unpark};
use crate::scheduler::run_queue::RunQueue;

/// An item whose poll returns only when [`RELEASES`] has been run.
const WAITS: usize = 0;
const RELEASES: usize = 1;
/// An item of no account.
const PLAIN: usize = 2;

struct Pool {
    idle: Idle,
    workers: Vec<Slot>,
    injector: Injector<Item>,
    reactor: Reactor,
    /// `Scheduler::starting`.
    starting: Mutex<()>,
    left: AtomicUsize,
    stopping: AtomicBool,
    /// `WAITS` is in its poll.
    inside: Event,
    released: Event,
}

struct Slot {
    mark: Mark,
    parker: Parker,
    ring: RunQueue<Item>,
    vacant: AtomicBool,
}

impl Pool {
    fn new(workers: usize, max_procs: usize, items: usize) -> Arc<Self> {
        let slot = || Slot {
            mark: Mark::new(),
            parker: Parker::new(),
            ring: RunQueue::new(),
            vacant: AtomicBool::new(false),
        };
        let pool = Self {
            idle: Idle::new(workers, max_procs),
            workers: (0..workers).map(|_| slot()).collect(),
            injector: Injector::new(),
            reactor: Reactor::new(),
            starting: Mutex::new(()),
            left: AtomicUsize::new(items),
            stopping: AtomicBool::new(false),
            inside: Event::new(),
            released: Event::new(),
        };
        (0..workers).for_each(|_| pool.idle.add_running());
        Arc::new(pool)
    }

    fn start(pool: &Arc<Self>, index: usize, surplus: bool) -> thread::JoinHandle<()> {
        let pool = pool.clone();
        thread::spawn(move || Worker::new(&pool, index, surplus).run())
    }

    fn inject(&self, number: usize) {
        assert!(self.injector.push(Item::new(number)).is_ok());
        self.notify();
    }

    /// `Scheduler::notify`; the monitor, which is hurried if all are stuck, looks in any case.
    fn notify(&self) {
        let polling = |i: usize| self.workers[i].parker.is_polling();
        if let Notify::Worker(worker) = self.idle.worker_to_notify(polling) {
            self.unpark(worker);
        }
    }

    fn unpark(&self, worker: usize) {
        if self.workers[worker].parker.unpark() == Unpark::InterruptReactor {
            self.reactor.interrupt.raise();
        }
    }

    fn has_work(&self) -> bool {
        !self.injector.is_empty() || self.workers.iter().any(|slot| !slot.ring.is_empty())
    }

    /// The monitor's look at one slot, which was in the poll `before` at the last one.
    fn look(&self, index: usize, before: u64) {
        let mark = &self.workers[index].mark;
        if before % 2 == 1 && !mark.is_stuck() && mark.sequence() == before && mark.stick() {
            self.idle.remove_running();
        }
        if self.has_work() {
            self.notify();
        }
    }

    /// `Monitor::look_after`.
    fn look_after_vacant(&self) {
        for slot in &self.workers {
            if slot.vacant.load(SeqCst) && slot.mark.is_stuck() && slot.mark.unstick() {
                self.idle.add_running();
            }
        }
    }

    /// `Scheduler::hand_turn_on`.
    fn hand_turn_on(&self) {
        let polling = |i: usize| self.workers[i].parker.is_polling();
        if let Notify::Worker(worker) = self.idle.hand_turn_on(polling) {
            self.unpark(worker);
        }
    }

    fn stop(&self) {
        {
            let _starting = self.starting.lock().unwrap();
            self.stopping.store(true, SeqCst);
        }
        (0..self.workers.len()).for_each(|worker| self.unpark(worker));
    }

    /// After all threads are through: nobody sleeps or searches, and those that have not ended are
    /// counted.
    fn check(&self) {
        self.look_after_vacant();
        // A mark that came when its worker was through with the last poll, and would have found it
        // before its next sleep.
        for slot in &self.workers {
            if slot.mark.is_stuck() && slot.mark.unstick() {
                self.idle.add_running();
            }
        }
        let ended = self.workers.iter().filter(|s| s.vacant.load(SeqCst));
        let there = self.workers.len() - ended.count();
        assert_eq!(self.left.load(SeqCst), 0, "all were run");
        assert_eq!(self.idle.running(), there, "running");
        assert_eq!(self.idle.present(), there, "present");
        assert_eq!(self.idle.searching(), 0, "searching");
    }
}

struct Worker<'a> {
    pool: &'a Pool,
    index: usize,
    searching: Cell<bool>,
    /// It has been one too many for long enough.
    due: Cell<bool>,
}

impl<'a> Worker<'a> {
    fn new(pool: &'a Pool, index: usize, due: bool) -> Self {
        pool.workers[index].parker.adopt();
        Self {
            pool,
            index,
            searching: Cell::new(false),
            due: Cell::new(due),
        }
    }

    fn slot(&self) -> &Slot {
        &self.pool.workers[self.index]
    }

    fn run(&self) {
        while !self.pool.stopping.load(SeqCst) {
            match self.next() {
                Some(item) => self.poll(item.number()),
                None if self.retire() => return,
                None => self.sleep(),
            }
        }
        // For `check`: the worker would come back in its own time.
        self.unmark();
        if self.searching.replace(false) {
            let _ = self.pool.idle.stop_searching();
        }
    }

    fn poll(&self, number: usize) {
        self.slot().mark.begin();
        match number {
            WAITS => {
                self.pool.inside.raise();
                self.pool.released.wait();
            }
            RELEASES => self.pool.released.raise(),
            _ => {}
        }
        let was_stuck = self.slot().mark.end();
        if self.pool.left.fetch_sub(1, SeqCst) == 1 {
            self.pool.stop();
        }
        if was_stuck {
            self.pool.idle.add_running();
            self.make_room();
        }
    }

    fn unmark(&self) {
        let mark = &self.slot().mark;
        if mark.is_stuck() && mark.unstick() {
            self.pool.idle.add_running();
        }
    }

    fn next(&self) -> Option<Item> {
        let ring = &self.slot().ring;
        let item = ring
            .take_next()
            .or_else(|| ring.pop())
            .or_else(|| self.pool.injector.pop())
            .or_else(|| self.search());
        if item.is_some() && self.searching.replace(false) && self.pool.idle.stop_searching() {
            self.pool.notify();
        }
        item
    }

    fn search(&self) -> Option<Item> {
        if !self.searching.get() {
            if !self.pool.idle.start_searching() {
                return None;
            }
            self.searching.set(true);
        }
        let others = self.pool.workers.iter().enumerate();
        let mut others = others.filter(|(i, _)| *i != self.index);
        others
            .find_map(|(_, slot)| slot.ring.steal_into(&self.slot().ring))
            .or_else(|| self.pool.injector.pop())
    }

    fn sleep(&self) {
        let pool = self.pool;
        self.unmark();
        let searched = self.searching.replace(false);
        pool.idle.fall_asleep(self.index, searched);
        let found = pool.has_work();
        if !found && !pool.stopping.load(SeqCst) {
            self.park();
        } else {
            thread::yield_now();
        }
        self.awake();
        if found && searched && !self.searching.replace(true) {
            pool.idle.resume_searching();
        }
        self.make_room();
    }

    fn awake(&self) {
        if !self.pool.idle.wake_up(self.index) {
            self.searching.set(true);
        }
    }

    fn park(&self) {
        let reactor = &self.pool.reactor;
        let parker = &self.slot().parker;
        if !reactor.turn.take() {
            return parker.park(None);
        }
        let _ = parker.poll(|| reactor.interrupt.wait());
        reactor.turn.give_up();
    }

    fn make_room(&self) {
        let pool = self.pool;
        while pool.idle.is_crowded() && !pool.stopping.load(SeqCst) {
            if self.searching.replace(false) {
                let _ = pool.idle.stop_searching();
            }
            let mine: Vec<_> = std::iter::from_fn(|| self.slot().ring.pop()).collect();
            if !mine.is_empty() {
                pool.injector.push_batch(mine);
                pool.notify();
            }
            match pool.idle.step_down(self.index, pool.idle.max_procs()) {
                StepDown::Sleep => {}
                StepDown::Stay => return,
                StepDown::Search => return self.searching.set(true),
            }
            self.park();
            self.awake();
        }
    }

    /// `Worker::retire`.
    fn retire(&self) -> bool {
        if !self.due.replace(false) {
            return false;
        }
        let pool = self.pool;
        self.unmark();
        let _starting = pool.starting.lock().unwrap();
        if pool.stopping.load(SeqCst) {
            return false;
        }
        if !pool.idle.retire(self.searching.get()) {
            return false;
        }
        self.searching.set(false);
        self.slot().vacant.store(true, SeqCst);
        pool.hand_turn_on();
        if pool.has_work() {
            pool.notify();
        }
        true
    }
}

/// One worker may run, and is in a poll that waits for what lies in its ring. Only the mark lets
/// the other one take that.
#[test]
fn what_lies_behind_a_stuck_poll_is_taken_over() {
    explore(1, || {
        let pool = Pool::new(2, 1, 2);
        let spare = Pool::start(&pool, 1, false);
        let stuck = {
            let pool = pool.clone();
            thread::spawn(move || {
                let worker = Worker::new(&pool, 0, false);
                assert!(worker.slot().ring.push(Item::new(WAITS)).is_ok());
                assert!(worker.slot().ring.push(Item::new(RELEASES)).is_ok());
                worker.run();
            })
        };
        pool.inside.wait();
        pool.look(0, pool.workers[0].mark.sequence());
        stuck.join().unwrap();
        spare.join().unwrap();
        pool.check();
    });
}

/// The poll ends while the monitor makes up its mind; the next one, or the sleep, finds the mark.
#[test]
fn a_mark_that_comes_when_the_poll_is_over_is_found() {
    explore(2, || {
        let pool = Pool::new(1, 1, 1);
        let worker = Pool::start(&pool, 0, false);
        let monitor = {
            let pool = pool.clone();
            thread::spawn(move || {
                let before = pool.workers[0].mark.sequence();
                pool.look(0, before);
            })
        };
        pool.inject(PLAIN);
        monitor.join().unwrap();
        worker.join().unwrap();
        pool.check();
    });
}

/// `max_procs` is 1: one of two workers ends, while something is pushed that either may have been
/// relied on for.
#[test]
fn what_is_pushed_while_a_surplus_worker_ends_is_run() {
    explore(2, || {
        let pool = Pool::new(2, 1, 1);
        let stays = Pool::start(&pool, 0, false);
        let ends = Pool::start(&pool, 1, true);
        pool.inject(PLAIN);
        stays.join().unwrap();
        ends.join().unwrap();
        pool.check();
    });
}

/// One of two workers that may run is in a poll that waits for what is pushed, and whoever pushes
/// relies on the other one, which ends.
#[test]
fn what_is_pushed_while_a_surplus_worker_ends_does_not_wait_for_a_long_poll() {
    explore(2, || {
        let pool = Pool::new(3, 2, 2);
        // Asleep, before the others begin: it would do nothing else.
        pool.idle.fall_asleep(2, false);
        let spare = {
            let pool = pool.clone();
            thread::spawn(move || {
                let worker = Worker::new(&pool, 2, false);
                worker.park();
                worker.awake();
                worker.run();
            })
        };
        let ends = Pool::start(&pool, 1, true);
        let waits = Worker::new(&pool, 0, false);
        let pushes = {
            let pool = pool.clone();
            thread::spawn(move || pool.inject(RELEASES))
        };
        waits.poll(WAITS);
        waits.run();
        for thread in [spare, ends, pushes] {
            thread.join().unwrap();
        }
        pool.check();
    });
}

/// Both might end, and one only may.
#[test]
fn as_many_workers_as_are_needed_stay() {
    explore(2, || {
        let pool = Pool::new(2, 1, 1);
        let both = [0, 1].map(|i| Pool::start(&pool, i, true));
        pool.inject(PLAIN);
        for worker in both {
            worker.join().unwrap();
        }
        pool.check();
        let ended = pool.workers.iter().filter(|s| s.vacant.load(SeqCst));
        assert!(ended.count() <= 1);
    });
}

/// The runtime stops while one worker is marked and returns, and another one ends.
#[test]
fn a_stop_in_between_reaches_everybody() {
    explore(2, || {
        let pool = Pool::new(2, 1, 0);
        let workers = [Pool::start(&pool, 0, false), Pool::start(&pool, 1, true)];
        let before = pool.workers[0].mark.sequence();
        pool.look(0, before);
        pool.stop();
        for worker in workers {
            worker.join().unwrap();
        }
        pool.check();
    });
}
