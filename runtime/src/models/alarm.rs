//! The monitor's sleep against all who have to end it: [`Alarm`] itself, with [`Idle`] and
//! [`Sleepers`], in the skeleton of the monitor's life.
//!
//! Time is never over here. So a lost wake-up leaves the monitor asleep for ever, which loom
//! reports.
//!
//! Killed by: a `sleep` that does not ask whether anything moves, or not for the flag of `hurry`;
//! its last exchange without Acquire where it fails; `wake` with a Relaxed look, `hurry` without
//! its `wake`, its notification or its ordering; a `pause` that takes the flag down by a store, or
//! Relaxed; a notification without the lock; `stop`, or the end of a sleep, without one. Not by
//! Relaxed for the announcement of a sleep, since the fence in `is_quiet` does the same; nor for
//! the exchange in `wake`, since loom's stand-in for the look before it is a fence, which releases.

use std::time::Duration;

use loom::sync::Arc;
use loom::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use loom::thread;

use super::explore;
use crate::scheduler::idle::Idle;
use crate::scheduler::monitor::for_models::Alarm;
use crate::scheduler::sleepers::Sleepers;

/// Between two looks; it is never over.
const PAUSE: Duration = Duration::from_millis(5);

struct World {
    alarm: Alarm,
    idle: Idle,
    sleepers: Sleepers,
    /// What was done before the monitor was told. Relaxed: it is the alarm that makes it visible.
    done: AtomicUsize,
}

impl World {
    /// One worker, which sleeps.
    fn new() -> Arc<Self> {
        let world = Self {
            alarm: Alarm::new(),
            idle: Idle::new(1, 1),
            sleepers: Sleepers::default(),
            done: AtomicUsize::new(0),
        };
        world.idle.add_running();
        world.idle.fall_asleep(0, false);
        Arc::new(world)
    }

    /// `Monitor::sleep`, for ever.
    fn sleep(&self, seen: u64) -> bool {
        let moves = || !self.idle.is_quiet() || self.sleepers.epoch() != seen;
        self.alarm.sleep(None, moves)
    }

    /// The end of `Worker::sleep`.
    fn worker_wakes(&self) {
        let _ = self.idle.wake_up(0);
        self.alarm.wake(|| ());
    }

    fn hurry(&self) {
        self.done.fetch_add(1, Relaxed);
        self.alarm.hurry(|| ());
    }
}

fn other(world: &Arc<World>, act: fn(&World)) -> thread::JoinHandle<()> {
    let world = world.clone();
    thread::spawn(move || act(&world))
}

#[test]
fn a_worker_that_wakes_is_watched() {
    explore(3, || {
        let world = World::new();
        let worker = other(&world, World::worker_wakes);
        while world.idle.running() == 0 {
            assert!(world.sleep(0), "time is never over");
        }
        worker.join().unwrap();
    });
}

/// Woken by the worker or finding it awake: the look that follows sees it.
#[test]
fn what_ends_a_sleep_is_seen_by_the_next_look() {
    explore(3, || {
        let world = World::new();
        let worker = other(&world, World::worker_wakes);
        assert!(world.sleep(0));
        assert_eq!(world.idle.running(), 1);
        worker.join().unwrap();
    });
}

#[test]
fn a_thread_that_goes_to_sleep_in_block_on_is_asked_after() {
    explore(3, || {
        let world = World::new();
        let thread = other(&world, |world| {
            world.sleepers.count_sleep();
            world.alarm.wake(|| ());
        });
        // `rest`: the number first, then the look at everything.
        let mut seen = world.sleepers.epoch();
        while seen == 0 {
            assert!(world.sleep(seen));
            seen = world.sleepers.epoch();
        }
        thread.join().unwrap();
    });
}

/// Each pushes work before; one may find the flag up.
#[test]
fn two_who_hurry_a_pause_are_both_heard() {
    explore(2, || {
        let world = World::new();
        let others = [(); 2].map(|()| other(&world, World::hurry));
        while world.done.load(Relaxed) < 2 {
            assert!(world.alarm.pause(PAUSE));
        }
        for other in others {
            other.join().unwrap();
        }
    });
}

#[test]
fn a_hurry_ends_a_sleep_and_is_there_for_the_look_that_follows() {
    explore(3, || {
        let world = World::new();
        let other = other(&world, World::hurry);
        assert!(world.sleep(0));
        // It does not wait, and acquires.
        assert!(world.alarm.pause(PAUSE));
        assert_eq!(world.done.load(Relaxed), 1);
        other.join().unwrap();
    });
}

/// In a pause, in a sleep, and while a worker wakes the monitor.
#[test]
fn a_stop_is_heard_everywhere() {
    explore(2, || {
        let world = World::new();
        let others = [
            other(&world, World::worker_wakes),
            other(&world, |world| world.alarm.stop()),
        ];
        while world.sleep(0) && world.alarm.pause(PAUSE) {}
        for other in others {
            other.join().unwrap();
        }
    });
}
