//! The hand-over of a slot's timers: a timer that comes while its owner ends, or is marked as
//! stuck, is fired by somebody: by the owner, who is still there and told; or by the monitor, who
//! is told.
//!
//! [`Vacancy`], [`Mark`], [`Timers`] and their entries are the real ones, called as
//! `Scheduler::vacate`, `Worker::step_aside` and `Interrupt` do.
//!
//! Killed by: `fill` without its fence. Not by its store relaxed: it is the fences that order.

use std::pin::Pin;
use std::sync::Arc as StdArc;
use std::task::{Wake, Waker};

use loom::sync::Arc;
use loom::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use loom::thread;

use crate::scheduler::mark::Mark;
use crate::scheduler::vacancy::{Keeper, Vacancy};
use crate::time::Timers;
use crate::time::for_models::Entry;

const TICK: u64 = 1 << 15;

struct Slot {
    vacancy: Vacancy,
    mark: Mark,
    /// The monitor was told.
    monitor: AtomicBool,
    /// The owner was told.
    owner: AtomicBool,
}

/// `Interrupt`.
struct Interrupt(Arc<Slot>);

impl Wake for Interrupt {
    fn wake(self: StdArc<Self>) {
        let told = match self.0.vacancy.keeper(&self.0.mark) {
            Keeper::Monitor => &self.0.monitor,
            Keeper::Owner => &self.0.owner,
        };
        told.store(true, SeqCst);
    }
}

struct Count(AtomicUsize);

impl Wake for Count {
    fn wake(self: StdArc<Self>) {
        self.0.fetch_add(1, SeqCst);
    }
}

fn armed(timers: &'static Timers, at: u64) -> Pin<Box<Entry>> {
    let waker = Waker::from(StdArc::new(Count(AtomicUsize::new(0))));
    let mut entry = Box::pin(Entry::new());
    match entry.as_mut().arm(at, 0, waker, timers, false) {
        Ok(alert) => alert.ring(),
        Err(_) => unreachable!("nobody has fired yet"),
    }
    entry
}

/// `leave` is what the owner does, which returns whether the monitor is told.
fn explore(leave: fn(&Slot, &'static Timers) -> bool) {
    loom::model(move || {
        let timers = Timers::leak();
        let slot = Arc::new(Slot {
            vacancy: Vacancy::new(),
            mark: Mark::new(),
            monitor: AtomicBool::new(false),
            owner: AtomicBool::new(false),
        });
        timers.set_interrupt(Waker::from(StdArc::new(Interrupt(slot.clone()))));
        let owner = {
            let slot = slot.clone();
            thread::spawn(move || {
                if leave(&slot, timers) {
                    slot.monitor.store(true, SeqCst);
                }
            })
        };
        let entry = armed(timers, TICK);
        owner.join().unwrap();
        // The owner is gone now: if it alone was told, it must have looked afterwards.
        assert!(slot.monitor.load(SeqCst), "nobody will fire it");
        drop(entry);
        // SAFETY: leaked above; the threads are joined and the entry is dropped.
        drop(unsafe { Box::from_raw(std::ptr::from_ref(timers).cast_mut()) });
    });
}

#[test]
fn a_timer_that_comes_while_the_owner_ends_is_the_monitor_s() {
    explore(|slot, timers| slot.vacancy.open(timers));
}

#[test]
fn a_timer_that_comes_while_the_owner_steps_aside_is_the_monitor_s() {
    explore(|slot, timers| {
        assert!(slot.mark.stick());
        timers.next_deadline() != u64::MAX
    });
}

/// It comes in between two owners: the second one has seen it or is told. That the monitor was told
/// is not enough: it looks after a slot for as long as that is vacant.
#[test]
fn a_timer_that_comes_while_another_owner_begins_is_somebody_s() {
    loom::model(|| {
        let timers = Timers::leak();
        let slot = Arc::new(Slot {
            vacancy: Vacancy::new(),
            mark: Mark::new(),
            monitor: AtomicBool::new(false),
            owner: AtomicBool::new(false),
        });
        assert!(!slot.vacancy.open(timers));
        timers.set_interrupt(Waker::from(StdArc::new(Interrupt(slot.clone()))));
        let owner = {
            let slot = slot.clone();
            thread::spawn(move || {
                slot.vacancy.fill();
                // `Worker::sleep` reads it before it sleeps, however it was told.
                timers.next_deadline()
            })
        };
        let entry = armed(timers, TICK);
        let seen = owner.join().unwrap();
        let told = slot.owner.load(SeqCst);
        assert!(told || seen == TICK, "nobody will fire it");
        drop(entry);
        // SAFETY: as above.
        drop(unsafe { Box::from_raw(std::ptr::from_ref(timers).cast_mut()) });
    });
}
