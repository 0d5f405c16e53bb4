//! One registered descriptor: its state word and who waits for it. A cache line.
//!
//! *How it moves.* An operation loads the word; if its direction is ready it makes the system call.
//! A call that would block, or that moved less than it was offered, clears the ready bit, unless an
//! event came in meanwhile (the tick tells). Then the operation takes the lock, looks at the word
//! once more, and leaves its waker. The poller takes the same lock, adds the event to the word, and
//! takes the wakers away; it wakes them when the lock is free again.
//!
//! *Invariants.*
//! 1. Bits are **set** only under the lock; they are **cleared** by compare-exchange, with or
//!    without it.
//! 2. A waker is stored only under the lock, after the word has been seen there neither ready nor
//!    stopped. With 1: whoever sets a bit afterwards finds the waker. No wake-up is lost.
//! 3. The generation changes only under the lock, so that an event is matched against the very user
//!    whose wakers it takes.
//! 4. No waker is cloned, woken or dropped under the lock: it is foreign code and might come back
//!    here.
//! 5. A direction's tick changes only under a lock that is not let go before all wakers of the
//!    direction have been taken.
//!
//! *Waiters.* One a direction is inline, more go to a list that is allocated then. A future that
//! waits knows its [`Seat`] by a ticket and takes its waker along when it is dropped. The `poll_…`
//! functions have no future to remember a seat in: they are told apart by their waker, several
//! tasks may wait that way, and beyond [`MAX_POLLERS`] the oldest is woken to make room, so that a
//! stream that wanders from task to task cannot collect wakers without bound, and nobody is
//! forgotten. All waiters of a direction are woken together: handing the event to one of them would
//! lose it when that one is dropped between its wake-up and its call.
//!
//! *Rejected.* Go's `rg`/`wg` words (a compare-exchange in place of a lock): the same number of
//! atomic operations on an uncontended event, unsafe code, and no room for a second waiter. An
//! intrusive list of waiting futures: unsafe, and pays only for the rare case. A lock of one bit in
//! the state word: it saves eight bytes and parks badly.
#![forbid(unsafe_code)]

use std::fmt;
use std::mem;
use std::sync::Arc;
use std::task::{Poll, Waker};

use super::deadline::Deadlines;
use super::state::{Direction, Ready, State, Stop};
use crate::primitive::atomic::{AtomicU64, Ordering};
use crate::primitive::{Mutex, MutexGuard};

/// Tasks that may wait in one direction through `poll_…` functions, besides the inline one. A
/// guess: one is the rule, two occur when a stream changes hands.
const MAX_POLLERS: usize = 32;

/// See the story of this file.
#[repr(align(64))]
pub(crate) struct Record {
    /// Atomic, see `state.rs`; set under `waiters` (invariant 1).
    state: AtomicU64,
    waiters: Mutex<Waiters>,
}

/// Under the record's lock.
struct Waiters {
    /// By direction.
    inline: [Option<Waker>; 2],
    /// By direction: the ticket of the inline waiter, or of the last one.
    tickets: [Ticket; 2],
    /// What few records need; stays once it has been needed.
    more: Option<Box<More>>,
}

/// Under the record's lock as well.
#[derive(Default)]
struct More {
    /// The ticket of the next waiter here.
    next: u32,
    /// Further waiters.
    list: Vec<Waiting>,
    deadlines: Option<Arc<Deadlines>>,
}

struct Waiting {
    direction: Direction,
    ticket: u32,
    poller: bool,
    waker: Waker,
}

/// Number of an inline waiter; the lowest bit says that it came through a `poll_…` function.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Ticket(u32);

impl Ticket {
    const fn next(self, poller: bool) -> Self {
        Self((self.0 & !1).wrapping_add(2) | poller as u32)
    }

    const fn is_poller(self) -> bool {
        self.0 & 1 != 0
    }
}

/// Where a waiting future has left its waker, and the direction's tick at that time; kept in the
/// future.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) enum Seat {
    /// Nowhere.
    #[default]
    None,
    /// In the record, under this ticket.
    Inline(u32, u16),
    /// In the list, under this ticket.
    Listed(u32, u16),
}

impl Record {
    pub(crate) fn new() -> Self {
        Self {
            state: AtomicU64::new(0),
            waiters: Mutex::new(Waiters {
                inline: [None, None],
                tickets: [Ticket(0); 2],
                more: None,
            }),
        }
    }

    /// Gives the record to a new user and returns its generation.
    pub(crate) fn open(&self, ready: Ready) -> u64 {
        let _waiters = self.lock();
        self.update(|state| Some(State(state.0).with_ready(ready)))
            .generation()
    }

    /// Takes the record from its user: events under way to it are stale from now on.
    pub(crate) fn release(&self) {
        let mut gone = Vec::new();
        let mut waiters = self.lock();
        self.update(|state| Some(state.next_generation()));
        waiters.take_all(&mut gone);
        let more = waiters.more.take();
        drop(waiters);
        drop(gone);
        if let Some(deadlines) = more.and_then(|more| more.deadlines) {
            deadlines.stop();
        }
    }

    /// The word as it is now. Acquire, pairs with the release of `update`: what an event or a close
    /// made true is seen.
    #[inline]
    pub(crate) fn state(&self) -> State {
        State(self.state.load(Ordering::Acquire))
    }

    /// Reports an event to the user of this generation; its waiters are appended to `woken`.
    pub(crate) fn set_ready(&self, generation: u64, ready: Ready, woken: &mut Vec<Waker>) {
        let mut waiters = self.lock();
        if self.state().generation() != generation {
            return;
        }
        self.update(|state| Some(state.with_event(ready)));
        for direction in Direction::BOTH {
            if ready.contains(direction) {
                waiters.take(direction, woken);
            }
        }
    }

    /// Says that a call may succeed after all, without an event; wakes nobody.
    pub(crate) fn assume_ready(&self, ready: Ready) {
        let _waiters = self.lock();
        self.update(|state| Some(state.with_ready(ready)));
    }

    /// Ends all waiting, now and later; the waiters are appended to `woken`.
    pub(crate) fn close(&self, woken: &mut Vec<Waker>) {
        let mut waiters = self.lock();
        self.update(|state| Some(state.closed()));
        waiters.take_all(woken);
    }

    /// Ends all waiting, because there is no poller any more; the waiters are appended to `woken`.
    pub(crate) fn shut_down(&self, woken: &mut Vec<Waker>) {
        let mut waiters = self.lock();
        self.update(|state| Some(state.shut_down()));
        waiters.take_all(woken);
    }

    /// Says whether the deadline of a direction has passed, if it is still this user's; those whom
    /// it ends are appended to `woken`.
    pub(crate) fn set_expired(
        &self,
        generation: u64,
        direction: Direction,
        expired: bool,
        woken: &mut Vec<Waker>,
    ) {
        let mut waiters = self.lock();
        if self.state().generation() != generation {
            return;
        }
        self.update(|state| Some(state.expired(direction, expired)));
        if expired {
            waiters.take(direction, woken);
        }
    }

    /// The deadlines, made when they are first asked for.
    pub(crate) fn deadlines(&self) -> Arc<Deadlines> {
        let mut waiters = self.lock();
        let more = waiters.more.get_or_insert_default();
        Arc::clone(more.deadlines.get_or_insert_default())
    }

    /// Clears readiness after a call that would have blocked.
    pub(crate) fn clear_blocked(&self, direction: Direction, seen: State) {
        self.update(|state| state.blocked(direction, seen));
    }

    /// Clears readiness after a call that moved less than it was offered.
    pub(crate) fn clear_drained(&self, direction: Direction, seen: State) {
        self.update(|state| state.drained(direction, seen));
    }

    /// A future waits for the direction; `seat` remembers where its waker is.
    pub(crate) fn wait(
        &self,
        direction: Direction,
        seat: &mut Seat,
        waker: &Waker,
    ) -> Poll<Result<(), Stop>> {
        let mine = waker.clone();
        let mut waiters = self.lock();
        if let Some(now) = self.decided(direction) {
            drop(waiters);
            return Poll::Ready(now);
        }
        // It does not change under the lock.
        let tick = self.state().tick(direction);
        let unused = waiters.store(direction, tick, seat, mine);
        drop(waiters);
        drop(unused);
        Poll::Pending
    }

    /// A `poll_…` function waits for the direction.
    pub(crate) fn poll_wait(&self, direction: Direction, waker: &Waker) -> Poll<Result<(), Stop>> {
        let mine = waker.clone();
        let mut waiters = self.lock();
        if let Some(now) = self.decided(direction) {
            drop(waiters);
            return Poll::Ready(now);
        }
        let unused = waiters.store_poller(direction, mine);
        drop(waiters);
        match unused {
            Displaced::Unused(waker) => drop(waker),
            Displaced::Oldest(waker) => waker.wake(),
            Displaced::Nobody => {}
        }
        Poll::Pending
    }

    /// A future stops waiting: takes its waker back if it is still there.
    ///
    /// After an event it is not: who has told of the event takes all wakers of the direction before
    /// it lets go of the lock. So the common end of waiting takes no lock. (A tick that has come
    /// round to the same number sends us the long way.)
    #[inline]
    pub(crate) fn forget(&self, direction: Direction, seat: &mut Seat) {
        match *seat {
            Seat::None => {}
            Seat::Inline(_, tick) | Seat::Listed(_, tick)
                if tick != self.state().tick(direction) =>
            {
                *seat = Seat::None;
            }
            _ => self.withdraw(direction, seat),
        }
    }

    #[cold]
    fn withdraw(&self, direction: Direction, seat: &mut Seat) {
        let mut waiters = self.lock();
        let mine = waiters.withdraw(direction, mem::take(seat));
        drop(waiters);
        drop(mine);
    }

    /// How many wait now.
    pub(crate) fn waiters(&self) -> usize {
        let waiters = self.lock();
        let listed = waiters.more.as_ref().map_or(0, |more| more.list.len());
        waiters.inline.iter().flatten().count() + listed
    }

    /// Whether there is nothing to wait for; under the lock (invariant 2).
    fn decided(&self, direction: Direction) -> Option<Result<(), Stop>> {
        let state = self.state();
        match state.stop(direction) {
            Some(stop) => Some(Err(stop)),
            None if state.is_ready(direction) => Some(Ok(())),
            None => None,
        }
    }

    /// Changes the word, unless `change` says `None`, and returns what was there before.
    /// Release, pairs with the load in `state`; acquire, so that a clear sees what it clears.
    fn update(&self, change: impl Fn(State) -> Option<State>) -> State {
        let mut state = self.state.load(Ordering::Acquire);
        while let Some(next) = change(State(state)) {
            match self.state.compare_exchange_weak(
                state,
                next.0,
                Ordering::AcqRel,
                Ordering::Acquire,
            ) {
                Ok(_) => break,
                Err(current) => state = current,
            }
        }
        State(state)
    }

    /// Nothing can panic under the lock but an allocation, after which nothing is half done: a
    /// poisoned lock is taken as it is.
    fn lock(&self) -> MutexGuard<'_, Waiters> {
        self.waiters
            .lock()
            .unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

/// What `store_poller` leaves to do once the lock is free.
enum Displaced {
    Nobody,
    /// An equal waker is there already.
    Unused(Waker),
    /// Too many: this one polls again, if it is still interested.
    Oldest(Waker),
}

impl Waiters {
    /// Stores a future's waker, in its old seat if that is still its own; returns a waker to drop.
    fn store(
        &mut self,
        direction: Direction,
        tick: u16,
        seat: &mut Seat,
        waker: Waker,
    ) -> Option<Waker> {
        if let Some(slot) = self.slot(direction, seat) {
            return Some(mem::replace(slot, waker));
        }
        let side = direction.index();
        if self.inline[side].is_none() {
            self.tickets[side] = self.tickets[side].next(false);
            *seat = Seat::Inline(self.tickets[side].0, tick);
            self.inline[side] = Some(waker);
        } else {
            *seat = Seat::Listed(self.push(direction, false, waker), tick);
        }
        None
    }

    fn store_poller(&mut self, direction: Direction, waker: Waker) -> Displaced {
        let side = direction.index();
        match &self.inline[side] {
            None => {
                self.tickets[side] = self.tickets[side].next(true);
                self.inline[side] = Some(waker);
                return Displaced::Nobody;
            }
            Some(inline) if self.tickets[side].is_poller() && inline.will_wake(&waker) => {
                return Displaced::Unused(waker);
            }
            Some(_) => {}
        }
        let known = self
            .pollers(direction)
            .any(|other| other.waker.will_wake(&waker));
        if known {
            return Displaced::Unused(waker);
        }
        let oldest = self.oldest_if_full(direction);
        self.push(direction, true, waker);
        oldest.map_or(Displaced::Nobody, Displaced::Oldest)
    }

    fn pollers(&self, direction: Direction) -> impl Iterator<Item = &Waiting> {
        let list = self.more.as_ref().map_or(&[][..], |more| &more.list);
        list.iter()
            .filter(move |other| other.poller && other.direction == direction)
    }

    fn oldest_if_full(&mut self, direction: Direction) -> Option<Waker> {
        if self.pollers(direction).count() < MAX_POLLERS {
            return None;
        }
        let list = &mut self.more.as_mut()?.list;
        let oldest = list
            .iter()
            .position(|other| other.poller && other.direction == direction)?;
        Some(list.remove(oldest).waker)
    }

    fn push(&mut self, direction: Direction, poller: bool, waker: Waker) -> u32 {
        let more = self.more.get_or_insert_default();
        let ticket = more.next;
        more.next = more.next.wrapping_add(1);
        more.list.push(Waiting {
            direction,
            ticket,
            poller,
            waker,
        });
        ticket
    }

    /// The waker in this seat, if it has not been taken.
    fn slot(&mut self, direction: Direction, seat: &Seat) -> Option<&mut Waker> {
        match *seat {
            Seat::None => None,
            Seat::Inline(ticket, _) => {
                let side = direction.index();
                self.inline[side]
                    .as_mut()
                    .filter(|_| self.tickets[side].0 == ticket)
            }
            Seat::Listed(ticket, _) => {
                let list = &mut self.more.as_mut()?.list;
                list.iter_mut()
                    .find(|other| !other.poller && other.ticket == ticket)
                    .map(|waiting| &mut waiting.waker)
            }
        }
    }

    fn withdraw(&mut self, direction: Direction, seat: Seat) -> Option<Waker> {
        self.slot(direction, &seat)?;
        match seat {
            Seat::None => None,
            Seat::Inline(..) => self.inline[direction.index()].take(),
            Seat::Listed(ticket, _) => {
                let list = &mut self.more.as_mut()?.list;
                let at = list
                    .iter()
                    .position(|other| !other.poller && other.ticket == ticket)?;
                Some(list.remove(at).waker)
            }
        }
    }

    #[inline]
    fn take(&mut self, direction: Direction, woken: &mut Vec<Waker>) {
        if let Some(waker) = self.inline[direction.index()].take() {
            woken.push(waker);
        }
        if self.more.is_some() {
            self.take_more(direction, woken);
        }
    }

    #[cold]
    fn take_more(&mut self, direction: Direction, woken: &mut Vec<Waker>) {
        if let Some(more) = self.more.as_mut().filter(|more| !more.list.is_empty()) {
            let (taken, kept) = mem::take(&mut more.list)
                .into_iter()
                .partition::<Vec<_>, _>(|waiting| waiting.direction == direction);
            more.list = kept;
            woken.extend(taken.into_iter().map(|waiting| waiting.waker));
        }
    }

    fn take_all(&mut self, woken: &mut Vec<Waker>) {
        for direction in Direction::BOTH {
            self.take(direction, woken);
        }
    }
}

impl fmt::Debug for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.state();
        f.debug_struct("Record")
            .field("generation", &state.generation())
            .field("readable", &state.is_ready(Direction::Read))
            .field("writable", &state.is_ready(Direction::Write))
            .field("stop", &state.stop(Direction::Read))
            .finish_non_exhaustive()
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_one_cache_line() {
        assert_eq!(size_of::<Record>(), 64);
    }
}
