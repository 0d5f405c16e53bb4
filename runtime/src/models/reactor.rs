//! Somebody sleeps in the reactor: a worker that has had the turn there and ends, and a monitor
//! that only had a look, leave it to one that fell asleep meanwhile and did not get it.
//!
//! [`Idle`] with its `hand_turn_on`, and [`Parker`], are the real ones. Mirrored are the sleep
//! (`worker/sleep.rs`), the end (`worker/retire.rs`, `Scheduler::vacate`), and the reactor: a flag
//! for the turn, an eventfd, and an event that only its holder sees. If it comes and nobody is
//! there, every thread is blocked, which loom reports.

use loom::sync::atomic::{AtomicBool, Ordering::SeqCst};
use loom::sync::{Arc, Condvar, Mutex};
use loom::thread;

use super::explore;
use super::turn::Turn;
use crate::scheduler::idle::{Idle, Notify};
use crate::scheduler::parker::{Parker, Unpark};

struct World {
    idle: Idle,
    parkers: Vec<Parker>,
    turn: Turn,
    told: Mutex<Told>,
    changed: Condvar,
    served: AtomicBool,
}

/// What the reactor's wait returns for.
#[derive(Default)]
struct Told {
    interrupt: bool,
    event: bool,
}

/// How long a sleep lasts.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Nap {
    Unlimited,
    /// Its time may be over at any moment.
    Limited,
}

impl World {
    fn new(workers: usize, max_procs: usize) -> Arc<Self> {
        let world = Self {
            idle: Idle::new(workers, max_procs),
            parkers: (0..workers).map(|_| Parker::new()).collect(),
            turn: Turn::new(),
            told: Mutex::new(Told::default()),
            changed: Condvar::new(),
            served: AtomicBool::new(false),
        };
        (0..workers).for_each(|_| world.idle.add_running());
        Arc::new(world)
    }

    // ---- the reactor ----

    /// `Turn::wait`. `true`: the event has come.
    fn wait(&self, nap: Nap) -> bool {
        let mut told = self.told.lock().unwrap();
        while nap == Nap::Unlimited && !told.interrupt && !told.event {
            told = self.changed.wait(told).unwrap();
        }
        told.interrupt = false;
        std::mem::take(&mut told.event)
    }

    fn tell(&self, change: impl FnOnce(&mut Told)) {
        change(&mut self.told.lock().unwrap());
        self.changed.notify_one();
    }

    // ---- the scheduler ----

    fn unpark(&self, worker: usize) {
        if self.parkers[worker].unpark() == Unpark::InterruptReactor {
            self.tell(|told| told.interrupt = true);
        }
    }

    /// `Scheduler::hand_turn_on`.
    fn hand_turn_on(&self) {
        let polling = |i: usize| self.parkers[i].is_polling();
        if let Notify::Worker(worker) = self.idle.hand_turn_on(polling) {
            self.unpark(worker);
        }
    }

    /// Whoever got the event ends it all.
    fn serve(&self) {
        self.served.store(true, SeqCst);
        (0..self.parkers.len()).for_each(|worker| self.unpark(worker));
    }

    // ---- a worker ----

    /// `Worker::park`.
    fn park(&self, me: usize, nap: Nap) {
        let parker = &self.parkers[me];
        if !self.turn.take() {
            let limit = (nap == Nap::Limited).then_some(std::time::Duration::ZERO);
            return parker.park(limit);
        }
        let event = parker.poll(|| self.wait(nap)).unwrap_or(false);
        self.turn.give_up();
        if event {
            self.serve();
        }
    }

    /// `Worker::sleep`, without queues. `true`: it was chosen, and searches.
    fn sleep(&self, me: usize, searching: bool, nap: Nap) -> bool {
        self.idle.fall_asleep(me, searching);
        if self.served.load(SeqCst) {
            thread::yield_now();
        } else {
            self.park(me, nap);
        }
        !self.idle.wake_up(me)
    }

    fn live(&self, me: usize, mut searching: bool) {
        self.parkers[me].adopt();
        while !self.served.load(SeqCst) {
            searching = self.sleep(me, searching, Nap::Unlimited);
        }
    }

    /// A worker whose last nap before its end is over.
    fn retire(&self, me: usize) {
        self.parkers[me].adopt();
        if self.sleep(me, false, Nap::Limited) {
            return self.live(me, true);
        }
        if self.idle.retire(false) {
            self.hand_turn_on();
        } else {
            self.live(me, false);
        }
    }

    /// `look_at_reactor` of the monitor.
    fn look(&self) {
        if !self.turn.take() {
            return;
        }
        let event = self.wait(Nap::Limited);
        self.turn.give_up();
        if event {
            self.serve();
        }
        self.hand_turn_on();
    }
}

fn spawn(world: &Arc<World>, f: fn(&World)) -> thread::JoinHandle<()> {
    let world = world.clone();
    thread::spawn(move || f(&world))
}

#[test]
fn a_worker_that_ends_leaves_the_reactor_to_one_that_sleeps() {
    explore(3, || {
        let world = World::new(2, 1);
        let stays = spawn(&world, |world| world.live(0, false));
        let ends = spawn(&world, |world| world.retire(1));
        world.tell(|told| told.event = true);
        stays.join().unwrap();
        ends.join().unwrap();
    });
}

#[test]
fn a_monitor_that_looks_leaves_the_reactor_to_one_that_sleeps() {
    explore(3, || {
        let world = World::new(1, 1);
        let stays = spawn(&world, |world| world.live(0, false));
        let monitor = spawn(&world, World::look);
        world.tell(|told| told.event = true);
        stays.join().unwrap();
        monitor.join().unwrap();
    });
}

#[test]
fn a_worker_that_ends_while_the_monitor_looks_leaves_the_reactor_to_one_that_sleeps() {
    explore(2, || {
        let world = World::new(2, 1);
        let stays = spawn(&world, |world| world.live(0, false));
        let ends = spawn(&world, |world| world.retire(1));
        world.look();
        world.tell(|told| told.event = true);
        stays.join().unwrap();
        ends.join().unwrap();
    });
}
