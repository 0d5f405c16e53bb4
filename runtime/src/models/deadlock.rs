//! The verdict against wake-ups: sleepers that hand the only activity of the process to each other,
//! or are handed it by a stranger who ends, are never all found asleep while it lives.
//!
//! [`settled`] and [`Parker`] are the real ones; a look is what
//! [`Slot::asleep`](crate::scheduler::Slot::asleep) does for each slot. The list of threads is a
//! flag that the stranger's last act sets.
//!
//! Killed by: `Parker::enter` without its release half.

use loom::model::Builder;
use loom::sync::Arc;
use loom::sync::atomic::{
    AtomicBool, AtomicUsize,
    Ordering::{Acquire, Relaxed, Release, SeqCst},
};
use loom::thread;

use crate::deadlock::{Motion, settled};
use crate::scheduler::parker::Parker;

struct World {
    sleepers: [Sleeper; 2],
    /// How often a worker has had the activity.
    turns: AtomicUsize,
    stranger_is_gone: AtomicBool,
    stopping: AtomicBool,
}

struct Sleeper {
    parker: Parker,
    parks: AtomicUsize,
}

impl World {
    fn new() -> Arc<Self> {
        let sleeper = || Sleeper {
            parker: Parker::new(),
            parks: AtomicUsize::new(0),
        };
        Arc::new(Self {
            sleepers: [sleeper(), sleeper()],
            turns: AtomicUsize::new(0),
            stranger_is_gone: AtomicBool::new(false),
            stopping: AtomicBool::new(false),
        })
    }

    /// `Worker::park`.
    fn park(&self, me: usize) {
        let sleeper = &self.sleepers[me];
        sleeper
            .parks
            .store(sleeper.parks.load(Relaxed) + 1, Relaxed);
        sleeper.parker.park(None);
    }

    fn hand_to(&self, other: usize) {
        let _ = self.sleepers[other].parker.unpark();
    }

    /// A worker's life: whenever it is woken it hands the activity to the other, but for the last
    /// turn.
    fn live(&self, me: usize, turns: usize) {
        self.sleepers[me].parker.adopt();
        loop {
            self.park(me);
            if self.stopping.load(Acquire) {
                return;
            }
            if self.turns.fetch_add(1, Relaxed) + 1 < turns {
                self.hand_to(1 - me);
            }
        }
    }

    /// `Slot::asleep`, of all slots.
    fn look(&self) -> Result<Vec<usize>, Motion> {
        let number = |sleeper: &Sleeper| {
            sleeper.parker.asleep().ok_or(Motion)?;
            Ok(sleeper.parks.load(Relaxed))
        };
        self.sleepers.iter().map(number).collect()
    }

    fn stop(&self) {
        self.stopping.store(true, Release);
        for sleeper in &self.sleepers {
            let _ = sleeper.parker.unpark();
        }
    }
}

fn explore(turns: usize) {
    let mut builder = Builder::new();
    builder.preemption_bound = Some(2);
    builder.check(move || {
        let world = World::new();
        let workers = [0, 1].map(|me| {
            let world = world.clone();
            thread::spawn(move || world.live(me, turns))
        });
        let stranger = {
            let world = world.clone();
            thread::spawn(move || {
                world.hand_to(0);
                world.stranger_is_gone.store(true, SeqCst);
            })
        };
        let gone = |_: &Vec<usize>| {
            if world.stranger_is_gone.load(SeqCst) {
                Ok(())
            } else {
                Err(Motion)
            }
        };
        if settled(|| world.look(), gone).is_ok() {
            assert_eq!(world.turns.load(Relaxed), turns, "a false alarm");
        }
        stranger.join().unwrap();
        world.stop();
        for worker in workers {
            worker.join().unwrap();
        }
    });
}

#[test]
fn a_stranger_that_wakes_a_sleeper_and_ends_is_no_deadlock() {
    explore(1);
}

#[test]
fn sleepers_that_wake_each_other_are_no_deadlock() {
    explore(2);
}
