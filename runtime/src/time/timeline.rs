//! [`Timeline`]: the clock of one runtime, and who waits for it to stand still or to move.
//!
//! ```text
//!             pause                        step (stillness.rs): all tasks wait, so the clock
//!   RUNS ──────────────► PAUSED at t ────┐ jumps to the next timer, or to where `advance` wants it
//!    ▲                     │       ▲     │
//!    └─────────────────────┘       └─────┘
//!            resume
//! ```
//!
//! A clock that runs is the system's, `ahead` by what it jumped before. A clock that is paused is
//! the number `frozen`, and only a step moves it. It never goes back, except by the nanoseconds
//! between a look at the system's clock and the moment at which it is stopped.
//!
//! A runtime that was built paused begins at the same number each time, so that two runs see the
//! same instants; others are paused at the moment that it is.
//!
//! *Memory order.* SeqCst for `frozen`: a thread that goes to sleep in `block_on` says so and then
//! asks whether the clock is paused, whoever pauses it says so and then has a worker ask who
//! sleeps; one of the two sees the other.
#![forbid(unsafe_code)]

use std::sync::PoisonError;
use std::task::Waker;

use super::clock;
use super::in_turn::InTurn;
use crate::primitive::atomic::{
    AtomicU64,
    Ordering::{Relaxed, SeqCst},
};
use crate::primitive::{Mutex, MutexGuard};

/// Where a clock starts that is paused from the beginning. A round number also in the wheel's
/// digits.
const START: u64 = clock::EPOCH;

/// See the module.
#[derive(Debug)]
pub(crate) struct Timeline {
    /// The time while the clock is paused; 0: it runs.
    frozen: AtomicU64,
    /// What is added to the system's clock while this one runs; wraps.
    ahead: AtomicU64,
    /// What `ahead` was at the beginning.
    lead: u64,
    /// Who waits.
    requests: Mutex<Requests>,
    /// Who moves the clock.
    turn: InTurn,
}

/// What a future waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wish {
    /// That no task can run.
    Stillness,
    /// That no task can run, at this time.
    Time(u64),
}

#[derive(Debug, Default)]
struct Requests {
    /// In the order of arrival.
    list: Vec<Request>,
    last_id: u64,
    /// Nobody moves the clock any more.
    closed: bool,
}

#[derive(Debug)]
struct Request {
    id: u64,
    wish: Wish,
    waker: Waker,
}

impl Timeline {
    pub(crate) fn new(paused: bool) -> Self {
        let lead = if paused {
            clock::diverge();
            START.wrapping_sub(clock::real())
        } else {
            0
        };
        Self {
            frozen: AtomicU64::new(if paused { START } else { 0 }),
            ahead: AtomicU64::new(lead),
            lead,
            requests: Mutex::default(),
            turn: InTurn::new(),
        }
    }

    /// The time.
    #[inline]
    pub(crate) fn now(&self) -> u64 {
        match self.frozen.load(SeqCst) {
            // Relaxed: written before `frozen` became 0, which we have acquired.
            0 => clock::real().wrapping_add(self.ahead.load(Relaxed)),
            at => at,
        }
    }

    /// The time, where the system's clock has just been read.
    pub(crate) fn at(&self, real: u64) -> u64 {
        match self.frozen.load(SeqCst) {
            // Relaxed: as above.
            0 => real.wrapping_add(self.ahead.load(Relaxed)),
            at => at,
        }
    }

    pub(crate) fn is_paused(&self) -> bool {
        self.frozen.load(SeqCst) != 0
    }

    /// See `clock::lead`.
    pub(crate) fn lead(&self) -> u64 {
        self.lead
    }

    /// Stops the clock, and returns the time; `None`: it was paused.
    pub(crate) fn pause(&self) -> Option<u64> {
        clock::diverge();
        let now = self.now();
        let was = self.frozen.compare_exchange(0, now, SeqCst, SeqCst);
        was.ok().map(|_| now)
    }

    /// Lets the clock run on from where it stands. Returns who waited for it to stand still, to be
    /// woken.
    pub(crate) fn resume(&self) -> Vec<Waker> {
        let mut requests = self.requests();
        let at = self.frozen.load(SeqCst);
        if at == 0 {
            return Vec::new();
        }
        self.ahead.store(at.wrapping_sub(clock::real()), Relaxed);
        self.frozen.store(0, SeqCst);
        let list = std::mem::take(&mut requests.list);
        list.into_iter().map(|request| request.waker).collect()
    }

    /// Moves a paused clock forward. `false`: it runs, or somebody else has moved it.
    pub(crate) fn step(&self, from: u64, to: u64) -> bool {
        debug_assert!(from <= to && from != 0);
        self.frozen
            .compare_exchange(from, to, SeqCst, SeqCst)
            .is_ok()
    }

    /// Where the clock stands.
    pub(crate) fn frozen_at(&self) -> Option<u64> {
        Some(self.frozen.load(SeqCst)).filter(|&at| at != 0)
    }

    // ---- requests ----

    /// Enters a wish; `None`: the clock runs, and does nobody's will.
    pub(crate) fn enter(&self, wish: Wish, waker: Waker) -> Option<u64> {
        let mut requests = self.requests();
        if !self.is_paused() {
            drop(requests);
            drop(waker);
            return None;
        }
        requests.last_id += 1;
        let id = requests.last_id;
        requests.list.push(Request { id, wish, waker });
        Some(id)
    }

    /// Changes whom to wake. `false`: the wish is fulfilled.
    pub(crate) fn renew(&self, id: u64, waker: Waker) -> bool {
        let mut requests = self.requests();
        let request = requests.list.iter_mut().find(|request| request.id == id);
        let waiting = request.is_some();
        let unused = match request {
            Some(request) => std::mem::replace(&mut request.waker, waker),
            None => waker,
        };
        drop(requests);
        drop(unused);
        waiting
    }

    /// The runtime has shut down: nobody moves the clock any more. Returns whom to tell; their
    /// wishes stay, and are not fulfilled.
    pub(crate) fn close(&self) -> Vec<Waker> {
        let mut requests = self.requests();
        requests.closed = true;
        let list = requests.list.iter_mut();
        list.map(|request| std::mem::replace(&mut request.waker, Waker::noop().clone()))
            .collect()
    }

    /// Whether a wish that is entered stays one for ever. Asked after it was entered: else whoever
    /// closes it tells.
    pub(crate) fn is_closed(&self) -> bool {
        self.requests().closed
    }

    /// Takes a wish back.
    pub(crate) fn withdraw(&self, id: u64) {
        let mut requests = self.requests();
        let index = requests.list.iter().position(|request| request.id == id);
        let request = index.map(|index| requests.list.remove(index));
        drop(requests);
        drop(request);
    }

    /// The first who waits for stillness alone.
    pub(crate) fn take_still(&self) -> Option<Waker> {
        self.take(|wish| wish == Wish::Stillness)
    }

    /// The first who waits for a time that has come.
    pub(crate) fn take_due(&self, now: u64) -> Option<Waker> {
        self.take(|wish| matches!(wish, Wish::Time(at) if at <= now))
    }

    /// The earliest time that somebody waits for.
    pub(crate) fn next_wish(&self) -> Option<u64> {
        let requests = self.requests();
        let times = requests
            .list
            .iter()
            .filter_map(|request| match request.wish {
                Wish::Time(at) => Some(at),
                Wish::Stillness => None,
            });
        times.min()
    }

    pub(crate) fn has_wishes(&self) -> bool {
        !self.requests().list.is_empty()
    }

    fn take(&self, suits: impl Fn(Wish) -> bool) -> Option<Waker> {
        let mut requests = self.requests();
        let index = requests
            .list
            .iter()
            .position(|request| suits(request.wish))?;
        Some(requests.list.remove(index).waker)
    }

    fn requests(&self) -> MutexGuard<'_, Requests> {
        self.requests.lock().unwrap_or_else(PoisonError::into_inner)
    }

    // ---- the turn ----

    /// Runs `look` on one thread at a time, see [`InTurn`]. So of several workers that fall asleep
    /// at once the last look sees all of them asleep: each has said so before he comes here.
    pub(crate) fn in_turn<R>(&self, look: impl FnMut() -> Option<R>) -> Option<R> {
        self.turn.run(look)
    }
}
