//! Falling asleep against pushing: an element in a queue is never left while all workers sleep, and
//! each that was announced finds a second worker where the first is busy.
//!
//! [`Idle`], [`Parker`], [`RunQueue`] and [`Injector`] are the real ones. Round them is the
//! skeleton of `worker/`: find, run, sleep, and nothing of tasks, timers and the monitor; the
//! reactor is a lock and an eventfd. Where the monitor would repair something, the model does not.
//! A lost wake-up leaves every thread blocked, which loom reports as a deadlock.
//!
//! Killed by: `worker_to_notify` without either of its fences; `fall_asleep` without its fence; an
//! `unpark` that does not interrupt the reactor; a `step_down` of one who is not too many, or of
//! one that was chosen meanwhile and stays counted twice; a push that believes all to be stuck
//! where somebody has just fallen asleep; a `resume_searching` that does not count. Not by another
//! order of the three steps of `fall_asleep`: all are before its fence. Nor by `step_down` without
//! its fence, as somebody else is awake here.

use std::cell::Cell;

use loom::sync::Arc;
use loom::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use loom::thread;

use super::event::Event;
use super::explore;
use super::item::Item;
use super::turn::Reactor;
use crate::scheduler::idle::{Idle, Notify, StepDown};
use crate::scheduler::injector::Injector;
use crate::scheduler::parker::{Parker, Unpark};
use crate::scheduler::run_queue::RunQueue;

/// An item that returns only when item 1 has been run: the poll that never ends as long as nobody
/// else helps.
const WAITS_FOR_ANOTHER: usize = 0;
/// What the other one waits for.
const RELEASES: usize = 1;
/// An item of no account.
const PLAIN: usize = 2;
/// Pushes `WAITS_FOR_ANOTHER` and `RELEASES` from inside a worker, as a task that wakes two does.
const WAKES_TWO: usize = 3;

struct Pool {
    idle: Idle,
    parkers: Vec<Parker>,
    rings: Vec<RunQueue<Item>>,
    injector: Injector<Item>,
    reactor: Option<Reactor>,
    /// Items not yet run.
    left: AtomicUsize,
    stopping: AtomicBool,
    released: Event,
}

impl Pool {
    fn new(workers: usize, max_procs: usize, reactor: bool, items: usize) -> Arc<Self> {
        let pool = Self {
            idle: Idle::new(workers, max_procs),
            parkers: (0..workers).map(|_| Parker::new()).collect(),
            rings: (0..workers).map(|_| RunQueue::new()).collect(),
            injector: Injector::new(),
            reactor: reactor.then(|| Reactor::new()),
            left: AtomicUsize::new(items),
            stopping: AtomicBool::new(false),
            released: Event::new(),
        };
        for _ in 0..workers {
            pool.idle.add_running();
        }
        Arc::new(pool)
    }

    fn start(pool: &Arc<Self>, worker: usize) -> thread::JoinHandle<()> {
        let pool = pool.clone();
        thread::spawn(move || Worker::new(&pool, worker).run())
    }

    /// `Scheduler::inject`.
    fn inject(&self, number: usize) {
        assert!(self.injector.push(Item::new(number)).is_ok());
        self.notify();
    }

    /// `Scheduler::notify`, without the monitor.
    fn notify(&self) {
        if let Notify::Worker(worker) = self.idle.worker_to_notify(|i| self.parkers[i].is_polling())
        {
            self.unpark(worker);
        }
    }

    fn unpark(&self, worker: usize) {
        if self.parkers[worker].unpark() == Unpark::InterruptReactor {
            let reactor = self.reactor.as_ref().expect("only a poller is interrupted");
            reactor.interrupt.raise();
        }
    }

    fn has_work(&self) -> bool {
        !self.injector.is_empty() || self.rings.iter().any(|ring| !ring.is_empty())
    }

    /// All have gone home, awake; nobody is stuck here.
    fn check(&self) {
        assert_eq!(self.idle.running(), self.parkers.len(), "running");
    }

    /// One item has been run; after the last everybody goes home.
    fn count_down(&self) {
        if self.left.fetch_sub(1, SeqCst) == 1 {
            self.stopping.store(true, SeqCst);
            for worker in 0..self.parkers.len() {
                self.unpark(worker);
            }
        }
    }
}

struct Worker<'a> {
    pool: &'a Pool,
    index: usize,
    searching: Cell<bool>,
}

impl<'a> Worker<'a> {
    fn new(pool: &'a Pool, index: usize) -> Self {
        pool.parkers[index].adopt();
        Self {
            pool,
            index,
            searching: Cell::new(false),
        }
    }

    fn ring(&self) -> &RunQueue<Item> {
        &self.pool.rings[self.index]
    }

    fn run(&self) {
        while !self.pool.stopping.load(SeqCst) {
            match self.next() {
                Some(item) => self.poll(item.number()),
                None => self.sleep(),
            }
        }
    }

    fn poll(&self, number: usize) {
        match number {
            WAITS_FOR_ANOTHER => self.pool.released.wait(),
            RELEASES => self.pool.released.raise(),
            WAKES_TWO => {
                self.schedule(WAITS_FOR_ANOTHER);
                self.schedule(RELEASES);
            }
            _ => {}
        }
        self.pool.count_down();
    }

    /// `Worker::schedule`.
    fn schedule(&self, number: usize) {
        if let Some(displaced) = self.ring().replace_next(Item::new(number)) {
            assert!(self.ring().push(displaced).is_ok());
            self.pool.notify();
        }
    }

    fn next(&self) -> Option<Item> {
        let item = self
            .ring()
            .take_next()
            .or_else(|| self.ring().pop())
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
        let others = || {
            let mine = self.index;
            self.pool
                .rings
                .iter()
                .enumerate()
                .filter(move |(i, _)| *i != mine)
                .map(|(_, ring)| ring)
        };
        others()
            .find_map(|ring| ring.steal_into(self.ring()))
            .or_else(|| others().find_map(RunQueue::take_next))
            .or_else(|| self.pool.injector.pop())
    }

    fn sleep(&self) {
        let pool = self.pool;
        let searched = self.searching.replace(false);
        pool.idle.fall_asleep(self.index, searched);
        let found = pool.has_work();
        if !found && !pool.stopping.load(SeqCst) {
            self.park();
        } else {
            // Another one may be about to take it: a turn for that one.
            thread::yield_now();
        }
        self.awake();
        if found && searched && !self.searching.replace(true) {
            pool.idle.resume_searching();
        }
    }

    fn awake(&self) {
        if !self.pool.idle.wake_up(self.index) {
            self.searching.set(true);
        }
    }

    fn park(&self) {
        let parker = &self.pool.parkers[self.index];
        let Some(reactor) = &self.pool.reactor else {
            return parker.park(None);
        };
        if !reactor.turn.take() {
            return parker.park(None);
        }
        let _ = parker.poll(|| reactor.interrupt.wait());
        reactor.turn.give_up();
    }

    /// `Worker::make_room`: there are no timers here.
    fn make_room(&self) {
        let idle = &self.pool.idle;
        while idle.is_crowded() && !self.pool.stopping.load(SeqCst) {
            if !self.step_down(idle.max_procs()) {
                return;
            }
        }
    }

    /// `Worker::make_way`.
    fn make_way(&self) {
        if self.pool.idle.running() > 1 && !self.pool.stopping.load(SeqCst) {
            while let Some(item) = self.ring().pop() {
                assert!(self.pool.injector.push(item).is_ok());
            }
            self.step_down(1);
        }
    }

    fn step_down(&self, enough: usize) -> bool {
        if self.searching.replace(false) {
            let _ = self.pool.idle.stop_searching();
        }
        match self.pool.idle.step_down(self.index, enough) {
            StepDown::Sleep => {}
            StepDown::Stay => return false,
            StepDown::Search => {
                self.searching.set(true);
                return false;
            }
        }
        self.park();
        self.awake();
        true
    }
}

#[test]
fn a_push_finds_the_worker_awake_or_wakes_it() {
    explore(3, || {
        let pool = Pool::new(1, 1, false, 1);
        let worker = Pool::start(&pool, 0);
        pool.inject(PLAIN);
        worker.join().unwrap();
    });
}

/// One of two workers is stuck, so that whoever pushes while the other one is awake counts as a
/// searcher for a moment, and finds nobody to wake. That moment must not be what the other pusher
/// relies on.
#[test]
fn two_who_push_at_once_do_not_rely_on_each_other() {
    explore(3, || {
        let pool = Pool::new(1, 2, false, 2);
        let worker = Pool::start(&pool, 0);
        let other = {
            let pool = pool.clone();
            thread::spawn(move || pool.inject(PLAIN))
        };
        pool.inject(PLAIN);
        other.join().unwrap();
        worker.join().unwrap();
    });
}

#[test]
fn a_push_reaches_one_of_two_sleepers() {
    explore(2, || {
        let pool = Pool::new(2, 2, false, 1);
        let workers = [0, 1].map(|i| Pool::start(&pool, i));
        pool.inject(PLAIN);
        for worker in workers {
            worker.join().unwrap();
        }
        pool.check();
    });
}

#[test]
fn a_finder_wakes_the_next() {
    explore(2, || {
        let pool = Pool::new(2, 2, false, 2);
        let workers = [0, 1].map(|i| Pool::start(&pool, i));
        // The second push may see the worker that the first has woken, and leave it at that; and
        // that worker then does not return.
        pool.inject(WAITS_FOR_ANOTHER);
        pool.inject(RELEASES);
        for worker in workers {
            worker.join().unwrap();
        }
    });
}

#[test]
fn what_run_next_displaces_is_stolen_from_a_busy_worker() {
    explore(2, || {
        let pool = Pool::new(2, 2, false, 3);
        let thief = Pool::start(&pool, 1);
        // The first worker is this thread: it has work from the beginning.
        let worker = Worker::new(&pool, 0);
        worker.poll(WAKES_TWO);
        worker.run();
        thief.join().unwrap();
    });
}

#[test]
fn a_worker_in_the_reactor_is_interrupted() {
    explore(3, || {
        let pool = Pool::new(1, 1, true, 1);
        let worker = Pool::start(&pool, 0);
        pool.inject(PLAIN);
        worker.join().unwrap();
    });
}

#[test]
fn poller_and_futex_sleeper_are_both_reached() {
    explore(2, || {
        let pool = Pool::new(2, 2, true, 2);
        let workers = [0, 1].map(|i| Pool::start(&pool, i));
        pool.inject(WAITS_FOR_ANOTHER);
        pool.inject(RELEASES);
        for worker in workers {
            worker.join().unwrap();
        }
    });
}

#[test]
fn a_surplus_worker_that_steps_down_leaves_the_work_to_one_who_is_awake() {
    explore(3, || {
        let pool = Pool::new(2, 1, false, 1);
        let stays = Pool::start(&pool, 0);
        let surplus = {
            let pool = pool.clone();
            thread::spawn(move || {
                let worker = Worker::new(&pool, 1);
                worker.make_room();
                worker.run();
            })
        };
        pool.inject(PLAIN);
        stays.join().unwrap();
        surplus.join().unwrap();
        pool.check();
    });
}

/// The one that stays may be falling asleep at that moment, and the pusher may have relied on the
/// search that the other gives up.
#[test]
fn a_worker_that_makes_way_leaves_its_tasks_to_one_who_is_awake() {
    explore(2, || {
        let pool = Pool::new(2, 2, false, 2);
        // The pusher would choose the lower one.
        let stays = Pool::start(&pool, 1);
        let makes_way = {
            let pool = pool.clone();
            thread::spawn(move || {
                let worker = Worker::new(&pool, 0);
                assert!(worker.ring().push(Item::new(PLAIN)).is_ok());
                worker.searching.set(pool.idle.start_searching());
                worker.make_way();
                worker.run();
            })
        };
        pool.inject(PLAIN);
        stays.join().unwrap();
        makes_way.join().unwrap();
        pool.check();
    });
}
