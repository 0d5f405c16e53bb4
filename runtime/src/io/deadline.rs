//! Deadlines of a descriptor, as Go has them: absolute times, one a direction, that end operations
//! under way and to come.
//!
//! They are kept by the runtime that the descriptor is registered with, on its clock and by its
//! timers, from wherever they are set: with that runtime all waiting for the descriptor ends
//! anyway.
//!
//! A record without deadlines has none of this. The first deadline makes one timer for its
//! direction; it is set again only for an earlier time. When it fires before the deadline, because
//! that was put off meanwhile, it sets itself for the rest. So a server that puts its deadline off
//! with each request never touches the wheel, and one that lifts it leaves a timer that fires once
//! for nothing.
//!
//! *Invariants.*
//! 1. `armed` is not later than `at`, unless `at` has passed: no deadline is without a timer.
//! 2. The record's expired bit is changed under this lock, so that the last `set` decides. Lock
//!    order: this one, then the record's or the timer's.
//! 3. What fires late for a former user of the record names its generation, and changes nothing.
//!
//! The tasks that a deadline ends are woken when the locks are free. Setting a timer under the lock
//! calls nothing foreign.
#![forbid(unsafe_code)]

use std::fmt;
use std::panic::Location;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::records::{Page, Token};
use super::state::Direction;
use crate::handle::Handle;
use crate::task::call_waker;
use crate::time::{Instant, Timer, clock};

/// Both directions of one registration.
#[derive(Default)]
pub(crate) struct Deadlines {
    sides: [Mutex<Deadline>; 2],
}

/// Under its lock.
#[derive(Default)]
struct Deadline {
    /// `None`: never.
    at: Option<Instant>,
    /// When the timer fires, while it is set.
    armed: Option<Instant>,
    timer: Option<Timer>,
}

/// The runtime that keeps a deadline, and what time it is there.
struct Clock {
    home: Handle,
    now: Instant,
}

impl Deadlines {
    #[track_caller]
    pub(super) fn set(
        self: &Arc<Self>,
        page: &Arc<Page>,
        token: Token,
        direction: Direction,
        at: Option<Instant>,
    ) {
        let home = page.driver().and_then(|driver| driver.home());
        let timeline = home.as_ref().map(|home| home.timeline());
        let (now, at) = clock::translate(at.map(Instant::as_nanos), timeline);
        let (now, at) = (Instant::from_nanos(now), at.map(Instant::from_nanos));
        let mut woken = Vec::new();
        let mut deadline = self.lock(direction);
        deadline.at = at;
        let passed = at.is_some_and(|at| at <= now);
        if let Some(at) = at.filter(|_| !passed) {
            if deadline.armed.is_none_or(|armed| armed > at) {
                if let Some(home) = home {
                    let clock = Clock {
                        home: Handle::from_scheduler(home),
                        now,
                    };
                    self.arm(&mut deadline, clock, page, token, direction, at);
                }
            }
        }
        let record = page.record(token);
        record.set_expired(token.generation(), direction, passed, &mut woken);
        drop(deadline);
        woken.into_iter().for_each(call_waker);
    }

    #[track_caller]
    fn arm(
        self: &Arc<Self>,
        deadline: &mut Deadline,
        clock: Clock,
        page: &Arc<Page>,
        token: Token,
        direction: Direction,
        at: Instant,
    ) {
        let delay = at.saturating_duration_since(clock.now);
        match &deadline.timer {
            Some(timer) => {
                timer.reset(delay);
            }
            None => {
                // A weak reference: the timer is ours, and lives in the wheel as long as it is set.
                let (this, page) = (Arc::downgrade(self), Arc::clone(page));
                let fire = move || {
                    if let Some(this) = this.upgrade() {
                        this.fire(&page, token, direction);
                    }
                };
                deadline.timer = Some(Timer::start(
                    clock.home,
                    delay,
                    fire,
                    false,
                    Location::caller(),
                ));
            }
        }
        deadline.armed = Some(at);
    }

    /// The timer has fired, or a task that it has spawned runs late.
    fn fire(&self, page: &Page, token: Token, direction: Direction) {
        let now = Instant::now();
        let mut woken = Vec::new();
        let mut deadline = self.lock(direction);
        if deadline.armed.is_some_and(|armed| armed > now) {
            // Set again since: that firing is to come.
            return;
        }
        deadline.armed = None;
        match deadline.at {
            None => {}
            Some(at) if at <= now => {
                let record = page.record(token);
                record.set_expired(token.generation(), direction, true, &mut woken);
            }
            Some(at) => {
                if let Some(timer) = &deadline.timer {
                    timer.reset(at.saturating_duration_since(now));
                }
                deadline.armed = Some(at);
            }
        }
        drop(deadline);
        woken.into_iter().for_each(call_waker);
    }

    /// The registration is gone.
    pub(super) fn stop(&self) {
        for direction in Direction::BOTH {
            let mut deadline = self.lock(direction);
            deadline.at = None;
            let timer = deadline.timer.take();
            drop(deadline);
            if let Some(timer) = timer {
                timer.stop();
            }
        }
    }

    /// Nothing is half done where this could be poisoned: by an allocation that failed.
    fn lock(&self, direction: Direction) -> MutexGuard<'_, Deadline> {
        self.sides[direction.index()]
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Deadlines {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Deadlines").finish_non_exhaustive()
    }
}
