//! Waking the reactor: a wake that leaves the write to another one is served as well as that one.
//!
//! [`Woken`] is the real one. Mirrored are `Driver::wake` and `Turn::wait`; the eventfd is a flag
//! under a lock, and what it tells of is work that is done beside it, as a push into the injector
//! is, with no ordering of its own. A lost wake-up is a deadlock, which loom reports.
//!
//! Killed by: `raise` without its release half; `lower` without its acquire half. Not by `raise`
//! without the acquire half, which is for nobody.

use loom::sync::atomic::{AtomicBool, Ordering::Relaxed};
use loom::sync::{Arc, Condvar, Mutex};
use loom::thread;

use crate::io::woken::Woken;

struct World {
    woken: Woken,
    eventfd: Mutex<bool>,
    written: Condvar,
    work: Vec<AtomicBool>,
}

impl World {
    fn new(wakers: usize) -> Arc<Self> {
        Arc::new(Self {
            woken: Woken::new(),
            eventfd: Mutex::new(false),
            written: Condvar::new(),
            work: (0..wakers).map(|_| AtomicBool::new(false)).collect(),
        })
    }

    /// `Driver::wake`, after some work.
    fn wake(&self, me: usize) {
        self.work[me].store(true, Relaxed);
        if self.woken.raise() {
            *self.eventfd.lock().unwrap() = true;
            self.written.notify_one();
        }
    }

    /// `Turn::wait`.
    fn wait(&self) {
        let mut written = self.eventfd.lock().unwrap();
        while !*written {
            written = self.written.wait(written).unwrap();
        }
        *written = false;
        drop(written);
        self.woken.lower();
    }

    fn sees_all(&self) -> bool {
        self.work.iter().all(|done| done.load(Relaxed))
    }
}

fn explore(wakers: usize) {
    loom::model(move || {
        let world = World::new(wakers);
        let threads: Vec<_> = (0..wakers)
            .map(|me| {
                let world = world.clone();
                thread::spawn(move || world.wake(me))
            })
            .collect();
        while !world.sees_all() {
            world.wait();
        }
        for thread in threads {
            thread.join().unwrap();
        }
    });
}

#[test]
fn a_wake_is_seen_with_what_came_before_it() {
    explore(1);
}

#[test]
fn two_who_wake_at_once_are_both_served() {
    explore(2);
}
