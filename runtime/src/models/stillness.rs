//! A paused clock against whatever is still in motion: it moves when no task can run, and not
//! before, whoever wakes one and whoever runs it.
//!
//! What is asked and done is [`move_clock`] itself, with the real [`Timeline`], [`Idle`], [`Mark`],
//! [`Injector`], [`Parker`] and [`Sleepers`]. Mirrored are the worker's loop, without searching for
//! others' tasks, and one timer, which fires once. A task that runs when the clock has moved
//! although it was there before is a panic; a clock that never moves leaves all threads asleep,
//! which loom reports.
//!
//! Killed by: one look instead of two; a look that looks at the queues before the jobs, or that
//! leaves out the polls or the jobs. Not by one that leaves out whether a poll has just begun: its
//! worker has said before that it is awake. Nor by one that reads a worker's polls before it asks
//! whether the worker sleeps, since the jobs are asked for before: what wakes a worker between two
//! looks that agree in all else is a thread that is no part of the runtime, and none is here.

use std::cell::Cell;
use std::panic::Location;
use std::sync::Arc as StdArc;
use std::task::Waker;

use loom::sync::Arc;
use loom::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use loom::thread;

use super::event::Event;
use super::explore;
use super::item::Item;
use crate::scheduler::idle::{Idle, Notify};
use crate::scheduler::injector::Injector;
use crate::scheduler::mark::Mark;
use crate::scheduler::parker::Parker;
use crate::scheduler::sleepers::{Sleeper, Sleepers};
use crate::scheduler::stillness::{Facts, Next, move_clock};
use crate::time::Timeline;

/// A task that has to run before the clock moves.
const BEFORE: usize = 0;
/// One that wakes another one, and ends when that has begun.
const WAKES: usize = 1;
/// That one: it ends when the first worker has asked once.
const WOKEN: usize = 2;

struct World {
    timeline: Timeline,
    start: u64,
    idle: Idle,
    workers: Vec<(Mark, Parker)>,
    injector: Injector<Item>,
    jobs: AtomicUsize,
    sleepers: Sleepers,
    /// They outlive all looks: loom knows nothing of std's counts.
    kept: std::sync::Mutex<Vec<StdArc<Sleeper>>>,
    /// The timer has not fired.
    armed: AtomicBool,
    stopping: AtomicBool,
    begun: Event,
    asked: Event,
}

impl Facts for World {
    fn timeline(&self) -> &Timeline {
        &self.timeline
    }

    fn workers(&self) -> usize {
        self.workers.len()
    }

    fn is_asleep(&self, worker: usize) -> bool {
        self.idle.is_asleep(worker)
    }

    fn polls(&self, worker: usize) -> u64 {
        let polls = self.workers[worker].0.sequence();
        self.held_up(worker == 2);
        polls
    }

    fn has_next(&self, _: usize) -> bool {
        false
    }

    fn has_work(&self) -> bool {
        !self.injector.is_empty()
    }

    fn has_job(&self) -> bool {
        self.held_up(true);
        self.jobs.load(SeqCst) > 0
    }

    /// As the scheduler does it.
    fn sleeps(&self) -> Option<u64> {
        let (inside, sleepers) = (self.sleepers.inside(), self.sleepers.all());
        let mut numbers = sleepers.iter().map(|sleeper| sleeper.asleep());
        (inside == sleepers.len()).then(|| numbers.try_fold(0, |sum, n| Some(sum + n?)))?
    }

    fn is_awaited(&self) -> bool {
        true
    }

    fn delivers(&self) -> bool {
        false
    }

    fn events(&self) -> u64 {
        0
    }

    fn awaits_events(&self) -> bool {
        false
    }

    fn look_for_events(&self) -> usize {
        0
    }

    fn next_timer(&self) -> u64 {
        if self.armed.load(SeqCst) {
            self.start + 1
        } else {
            u64::MAX
        }
    }

    fn fire_all(&self, now: u64) -> usize {
        assert!(now > self.start && self.armed.swap(false, SeqCst));
        self.stop();
        1
    }

    fn call(&self, waker: Waker) {
        waker.wake();
    }
}

impl World {
    /// All workers sleep, but the first.
    fn new(workers: usize, jobs: usize) -> Arc<Self> {
        let timeline = Timeline::new(true);
        let world = Self {
            start: timeline.frozen_at().unwrap(),
            timeline,
            idle: Idle::new(workers, workers),
            workers: (0..workers).map(|_| (Mark::new(), Parker::new())).collect(),
            injector: Injector::new(),
            jobs: AtomicUsize::new(jobs),
            sleepers: Sleepers::default(),
            kept: std::sync::Mutex::default(),
            armed: AtomicBool::new(true),
            stopping: AtomicBool::new(false),
            begun: Event::new(),
            asked: Event::new(),
        };
        for worker in 0..workers {
            world.idle.add_running();
            if worker > 0 {
                world.idle.fall_asleep(worker, false);
            }
        }
        Arc::new(world)
    }

    /// A worker that sleeps.
    fn asleep(world: &Arc<Self>, index: usize) -> thread::JoinHandle<()> {
        let world = world.clone();
        thread::spawn(move || {
            let worker = Worker::new(&world, index);
            world.workers[index].1.park(None);
            worker.awake();
            worker.live();
        })
    }

    fn push(&self, number: usize) {
        assert!(self.injector.push(Item::new(number)).is_ok());
        // As if the others slept in the reactor: dear to wake.
        if let Notify::Worker(worker) = self.idle.worker_to_notify(|worker| worker != 2) {
            self.unpark(worker);
        }
    }

    fn unpark(&self, worker: usize) {
        let _ = self.workers[worker].1.unpark();
    }

    /// `run_jobs`: a job that wakes a task, and ends.
    fn job(&self, wakes: usize, asks: usize) {
        self.push(wakes);
        self.jobs.fetch_sub(1, SeqCst);
        // `Scheduler::reconsider_clock`.
        self.unpark(asks);
    }

    fn stop(&self) {
        self.stopping.store(true, SeqCst);
        for worker in 0..self.workers.len() {
            self.unpark(worker);
        }
    }

    /// Whoever asks may be held up after any question. With three workers loom would try for
    /// minutes before it came to where that matters.
    fn held_up(&self, here: bool) {
        if here && self.workers.len() == 3 {
            thread::yield_now();
        }
    }

    fn check(&self) {
        assert!(!self.armed.load(SeqCst), "the clock has moved");
        assert!(self.injector.is_empty(), "all were run");
    }
}

struct Worker<'a> {
    world: &'a World,
    index: usize,
    searching: Cell<bool>,
}

impl<'a> Worker<'a> {
    fn new(world: &'a World, index: usize) -> Self {
        world.workers[index].1.adopt();
        let searching = Cell::new(false);
        Self {
            world,
            index,
            searching,
        }
    }

    fn live(&self) {
        while !self.world.stopping.load(SeqCst) {
            match self.world.injector.pop() {
                Some(item) => self.poll(&item),
                None => self.sleep(),
            }
        }
        self.has_asked();
    }

    /// The first worker has asked, or will not any more.
    fn has_asked(&self) {
        if self.index == 0 {
            self.world.asked.raise();
        }
    }

    /// Awake until it has run one task, without asking after the clock; and asleep again.
    fn help(&self) {
        let world = self.world;
        while !world.stopping.load(SeqCst) {
            if let Some(item) = world.injector.pop() {
                self.poll(&item);
                break;
            }
            self.announce();
            if !world.has_work() && !world.stopping.load(SeqCst) {
                world.workers[self.index].1.park(None);
            } else {
                thread::yield_now();
            }
            self.awake();
        }
        self.announce();
    }

    fn announce(&self) {
        let searched = self.searching.replace(false);
        self.world.idle.fall_asleep(self.index, searched);
    }

    fn poll(&self, item: &Item) {
        let world = self.world;
        if self.searching.replace(false) {
            let _ = world.idle.stop_searching();
        }
        let mark = &world.workers[self.index].0;
        mark.begin();
        self.check_clock();
        match item.number() {
            WAKES => {
                world.push(WOKEN);
                world.begun.wait();
            }
            WOKEN => {
                world.begun.raise();
                world.asked.wait();
                world.stop();
            }
            _ => {}
        }
        self.check_clock();
        let _ = mark.end();
    }

    fn check_clock(&self) {
        let world = self.world;
        assert_eq!(world.timeline.now(), world.start, "a task was there");
    }

    /// `Worker::sleep`.
    fn sleep(&self) {
        let world = self.world;
        self.announce();
        if !world.has_work() && !world.stopping.load(SeqCst) {
            let next = move_clock(world, self.index);
            self.has_asked();
            match next {
                Next::Woken(_) => {}
                Next::Sleep(limit) => world.workers[self.index].1.park(limit),
            }
        } else {
            thread::yield_now();
        }
        self.awake();
    }

    fn awake(&self) {
        if !self.world.idle.wake_up(self.index) {
            self.searching.set(true);
        }
    }
}

/// Of two workers one asks, while a job wakes a task for either.
#[test]
fn what_a_job_wakes_is_run_before_the_clock_moves() {
    explore(3, || {
        let world = World::new(2, 1);
        let second = World::asleep(&world, 1);
        let job = {
            let world = world.clone();
            thread::spawn(move || world.job(BEFORE, 0))
        };
        Worker::new(&world, 0).live();
        job.join().unwrap();
        second.join().unwrap();
        world.check();
    });
}

/// A thread inside `block_on` wakes a task, and sleeps.
#[test]
fn what_a_thread_in_block_on_wakes_is_run_before_the_clock_moves() {
    explore(3, || {
        let world = World::new(1, 0);
        world.sleepers.begin();
        let thread = {
            let world = world.clone();
            thread::spawn(move || {
                let sleeper = StdArc::new(Sleeper::new(&world.sleepers, Location::caller()));
                let listed = world.sleepers.enter(&sleeper);
                world.push(BEFORE);
                world.kept.lock().unwrap().push(sleeper.clone());
                // `Scheduler::count_sleep`.
                let announce = || {
                    world.sleepers.count_sleep();
                    world.unpark(0);
                };
                sleeper.sleep(announce).unwrap();
                drop(listed);
                world.sleepers.end();
            })
        };
        Worker::new(&world, 0).live();
        world.check();
        for sleeper in world.sleepers.all() {
            std::task::Wake::wake(sleeper);
        }
        thread.join().unwrap();
    });
}

/// The third worker runs what the job has woken, and wakes another task, which the second one runs,
/// that the job's end has woken; the first asks all the while. A look that is through with the
/// second must not find the third asleep with an old count.
#[test]
fn a_task_that_moves_on_between_two_workers_is_not_overlooked() {
    // One, beside those where a worker is held up: some seconds, and with two some minutes. One is
    // enough for a look at the queues before the jobs.
    explore(1, || {
        let world = World::new(3, 1);
        world.idle.fall_asleep(0, false);
        let others = [1, 2].map(|index| {
            let world = world.clone();
            thread::spawn(move || {
                let worker = Worker::new(&world, index);
                world.workers[index].1.park(None);
                worker.awake();
                worker.help();
            })
        });
        let job = {
            let world = world.clone();
            thread::spawn(move || world.job(WAKES, 1))
        };
        let first = Worker::new(&world, 0);
        // The second task ends only when this has been asked.
        assert_eq!(move_clock(&*world, 0), Next::Sleep(None));
        first.has_asked();
        first.awake();
        first.help();
        job.join().unwrap();
        for other in others {
            other.join().unwrap();
        }
    });
}
