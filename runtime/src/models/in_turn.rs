//! The turn of those who may move a paused clock: [`InTurn`] itself. Each worker says that it
//! sleeps before it asks whether all do; however they come, one looks at a time, and the last look
//! sees all of them.
//!
//! Killed by: the first exchange of `run` without its release half. Not without the acquire half:
//! the exchange that follows has it, too.

use loom::model::Builder;
use loom::sync::Arc;
use loom::sync::atomic::{
    AtomicBool, AtomicUsize,
    Ordering::{Relaxed, Release},
};
use loom::thread;

use crate::time::for_models::InTurn;

struct World {
    turn: InTurn,
    asleep: Vec<AtomicBool>,
    /// Whoever looks counts here, by a load and a store, which tells of two at a time and of one
    /// that does not see the other.
    looks: AtomicUsize,
    looking: AtomicBool,
    /// Looks that found all asleep.
    still: AtomicUsize,
    /// What the first look finds to do.
    wishes: AtomicUsize,
}

impl World {
    fn new(workers: usize, wishes: usize) -> Arc<Self> {
        Arc::new(Self {
            turn: InTurn::new(),
            asleep: (0..workers).map(|_| AtomicBool::new(false)).collect(),
            looks: AtomicUsize::new(0),
            looking: AtomicBool::new(false),
            still: AtomicUsize::new(0),
            wishes: AtomicUsize::new(wishes),
        })
    }

    /// `Worker::sleep_while_paused`: stays awake for what it has found, and asks again.
    fn fall_asleep(&self, me: usize) {
        loop {
            // Release is for nobody: the turn carries it.
            self.asleep[me].store(true, Relaxed);
            if self.turn.run(|| self.look()).is_none() {
                return;
            }
            self.asleep[me].store(false, Relaxed);
        }
    }

    fn look(&self) -> Option<()> {
        assert!(!self.looking.load(Relaxed), "two at a time");
        self.looking.store(true, Relaxed);
        self.looks.store(self.looks.load(Relaxed) + 1, Release);
        let still = self.asleep.iter().all(|asleep| asleep.load(Relaxed));
        let wishes = self.wishes.load(Relaxed);
        if still && wishes > 0 {
            self.wishes.store(wishes - 1, Relaxed);
        } else if still {
            self.still.store(self.still.load(Relaxed) + 1, Relaxed);
        }
        self.looking.store(false, Relaxed);
        (still && wishes > 0).then_some(())
    }
}

fn explore(workers: usize, wishes: usize, preemptions: usize) {
    let mut builder = Builder::new();
    builder.preemption_bound = Some(preemptions);
    builder.check(move || {
        let world = World::new(workers, wishes);
        let threads: Vec<_> = (1..workers)
            .map(|me| {
                let world = world.clone();
                thread::spawn(move || world.fall_asleep(me))
            })
            .collect();
        world.fall_asleep(0);
        for thread in threads {
            thread.join().unwrap();
        }
        assert!(world.still.load(Relaxed) > 0, "nobody saw all asleep");
        assert_eq!(world.wishes.load(Relaxed), 0);
    });
}

#[test]
fn the_last_of_two_to_fall_asleep_sees_both() {
    explore(2, 0, 3);
}

#[test]
fn the_last_of_three_to_fall_asleep_sees_all() {
    explore(3, 0, 2);
}

#[test]
fn whoever_found_something_asks_again_and_the_last_look_sees_both() {
    explore(2, 1, 3);
}
