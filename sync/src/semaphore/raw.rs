//! The semaphore without its guards: a word, and a queue.
//!
//! ```text
//!   …              2        1        0
//! ──────────────────┬────────┬────────┐
//!   free permits    │ CLOSED │ QUEUED │
//! ──────────────────┴────────┴────────┘
//! ```
//!
//! The permits that are free and a bit that says whether anyone waits are one word, so that taking
//! and giving back is one atomic operation while nobody waits. As soon as somebody does, the bit
//! keeps everyone else from taking, and permits that come back are handed to the first in the
//! queue; one that wants many holds up those behind it until it has them. That is on purpose, as in
//! Go: small requests would otherwise starve a large one for ever. Since permits are handed over,
//! whoever is to wait in the midst of other work lets others run first, once (`poll_give_way`):
//! those who were handed some and have yet to run give them back, and nobody need wait.
//!
//! Invariants:
//!
//! 1. QUEUED changes only under the queue's lock, and under it says whether the queue is empty.
//!    CLOSED is set under it.
//! 2. While QUEUED is set, the word changes only under the lock: permits are taken for the first in
//!    the queue, and given back by [`RawSemaphore::hand_out`], which needs no atomic operation but
//!    the lock's.
//! 3. Whoever adds permits while it is set, or changes who is first, calls `hand_out`.
//! 4. The free permits and those that somebody holds are `size` together.
//! 5. While CLOSED is set nobody takes permits or queues up; who was in the queue before is being
//!    told.
#![forbid(unsafe_code)]

use std::pin::Pin;
use std::task::{Context, Poll};

use runtime::task::coop::contended;

use crate::primitive::atomic::{AtomicUsize, Ordering};
use crate::waiters::{Batch, Locked, Waiter, Waiters, Withdrawn};

use super::acquire::SemaphoreClosed;

pub(super) struct RawSemaphore {
    /// Atomic; see the drawing.
    state: AtomicUsize,
    size: usize,
    waiters: Waiters<(), Ask>,
}

/// A place in the queue.
pub(super) type Turn<'a> = Waiter<'a, (), Ask>;

/// What a waiter wants, until it is notified; then, what it got.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ask {
    /// So many permits.
    Permits(usize),
    /// Nothing: the semaphore is closed.
    Refused,
}

/// A look at the word; by the time that the caller has it, it may be otherwise.
pub(super) struct Look {
    pub(super) available: usize,
    pub(super) queued: bool,
    pub(super) closed: bool,
}

/// Why permits were not added at once.
enum Refused {
    Queued,
    TooMany,
    /// To this.
    Changed(usize),
}

/// Somebody waits.
const QUEUED: usize = 1;
/// Nobody gets a permit any more.
const CLOSED: usize = 2;
/// One permit, in the word.
const ONE: usize = 4;
/// The word has this much room for permits.
pub(super) const MAX_SIZE: usize = usize::MAX >> 3;

impl RawSemaphore {
    constant! {
        /// At most `MAX_SIZE` permits.
        pub(super) const fn new(size: usize) -> Self {
            Self {
                state: AtomicUsize::new(size * ONE),
                size,
                waiters: Waiters::new(()),
            }
        }
    }

    #[inline]
    pub(super) fn size(&self) -> usize {
        self.size
    }

    pub(super) fn look(&self) -> Look {
        // Acquire: who finds it closed sees what happened before; pairs with the `Release` in
        // `close`.
        let state = self.state.load(Ordering::Acquire);
        Look {
            available: state / ONE,
            queued: state & QUEUED != 0,
            closed: state & CLOSED != 0,
        }
    }

    /// The word after `n` permits have been taken, if there are so many, and nobody waits.
    #[inline]
    fn taken(state: usize, n: usize) -> Option<usize> {
        (state & (QUEUED | CLOSED) == 0 && state / ONE >= n).then(|| state - n * ONE)
    }

    /// Takes `n` permits if there are so many and nobody waits.
    #[inline]
    pub(super) fn try_take(&self, n: usize) -> bool {
        let state = self.state.load(Ordering::Relaxed);
        let Some(next) = Self::taken(state, n) else {
            return false;
        };
        match self.change(state, next) {
            Ok(()) => true,
            Err(now) => self.try_take_again(now, n),
        }
    }

    /// Between two instructions another core has changed the word, on which both count.
    #[cold]
    fn try_take_again(&self, mut state: usize, n: usize) -> bool {
        contended();
        while let Some(next) = Self::taken(state, n) {
            match self.change(state, next) {
                Ok(()) => return true,
                Err(now) => state = now,
            }
        }
        false
    }

    /// Acquire on success: pairs with the `Release` in `give_back`, for who takes permits, or
    /// queues up and has them handed out.
    #[inline]
    fn change(&self, from: usize, to: usize) -> Result<(), usize> {
        (self.state)
            .compare_exchange_weak(from, to, Ordering::Acquire, Ordering::Relaxed)
            .map(drop)
    }

    /// Adds permits; says `false`, and has not done it, if there would be more than there are.
    #[inline]
    pub(super) fn give_back(&self, n: usize) -> bool {
        let state = self.state.load(Ordering::Relaxed);
        self.try_add(state, n).is_ok() || self.give_back_again(n)
    }

    /// Adds permits to that many, if nobody waits and there is room for them.
    #[inline]
    fn try_add(&self, state: usize, n: usize) -> Result<(), Refused> {
        if state & QUEUED != 0 {
            return Err(Refused::Queued);
        }
        if n > self.size - state / ONE {
            return Err(Refused::TooMany);
        }
        // Release: pairs with the `Acquire` of whoever takes these permits.
        let added = (self.state).compare_exchange_weak(
            state,
            state + n * ONE,
            Ordering::Release,
            Ordering::Relaxed,
        );
        added.map(drop).map_err(Refused::Changed)
    }

    /// Somebody waits, there are too many, or another core was faster.
    #[cold]
    fn give_back_again(&self, n: usize) -> bool {
        let mut state = self.state.load(Ordering::Relaxed);
        loop {
            match self.try_add(state, n) {
                Ok(()) => return true,
                Err(Refused::Queued) => return self.give_back_slow(n),
                Err(Refused::TooMany) => return false,
                Err(Refused::Changed(now)) => state = now,
            }
            contended();
        }
    }

    /// Somebody waits for them.
    #[cold]
    fn give_back_slow(&self, n: usize) -> bool {
        let locked = self.waiters.lock();
        // Relaxed: under the lock (1).
        let state = self.state.load(Ordering::Relaxed);
        if state & QUEUED == 0 {
            drop(locked);
            return self.give_back(n);
        }
        if n > self.size - state / ONE {
            return false;
        }
        self.hand_out(locked, n);
        true
    }

    /// Adds permits, while QUEUED is set, and serves those in front as long as there are enough
    /// (invariant 3).
    fn hand_out<'a>(&'a self, mut locked: Locked<'a, (), Ask>, n: usize) {
        let mut batch = Batch::default();
        // Acquire: pairs with the `Release` of those who gave these permits back; the
        // notifications, and the store, pass it on.
        let mut state = self.state.load(Ordering::Acquire);
        // Not more than there are: a `release` of too many may have been quicker than the one whose
        // permits these were.
        let mut free = (state / ONE + n).min(self.size);
        loop {
            let closed = state & CLOSED;
            let more = closed == 0 && serve(&mut locked, &mut batch, &mut free);
            let queued = if locked.is_empty() { 0 } else { QUEUED };
            // A plain store, since nobody else changes the word (2). Release: as in `give_back`.
            (self.state).store(free * ONE + closed + queued, Ordering::Release);
            drop(locked);
            batch.wake();
            if !more {
                return batch.finish();
            }
            locked = self.waiters.lock();
            // Acquire: as above.
            state = self.state.load(Ordering::Acquire);
            if state & QUEUED == 0 {
                drop(locked);
                return batch.finish();
            }
            free = state / ONE;
        }
    }

    /// Refuses all who wait, and all who come; says whether it had not been done before.
    pub(super) fn close(&self) -> bool {
        let locked = self.waiters.lock();
        // Release: pairs with the `Acquire` of who finds it closed. Acquire: what was done before
        // an earlier `close` passes through.
        if self.state.fetch_or(CLOSED, Ordering::AcqRel) & CLOSED != 0 {
            return false;
        }
        let until = locked.ticket();
        locked.wake_until(
            until,
            |ask| *ask = Ask::Refused,
            |locked| {
                if locked.is_empty() {
                    // Relaxed: under the lock (1).
                    self.state.fetch_and(!QUEUED, Ordering::Relaxed);
                }
            },
        );
        true
    }
}

/// Serves those in front until the batch is full; says whether it was.
fn serve(locked: &mut Locked<'_, (), Ask>, batch: &mut Batch, free: &mut usize) -> bool {
    while let Some(&mut Ask::Permits(wanted)) = locked.front_mut() {
        if wanted > *free {
            return false;
        }
        if batch.is_full() {
            return true;
        }
        *free -= wanted;
        batch.extend(locked.take_front());
    }
    false
}

/// One that has to wait.
impl RawSemaphore {
    /// A place for one who is not in the queue yet.
    pub(super) fn turn(&self, wanted: usize) -> Turn<'_> {
        Waiter::new(&self.waiters, Ask::Permits(wanted))
    }

    /// Into the queue; or the permits after all if they have just come, or a refusal.
    pub(super) fn queue_up<'a>(
        &'a self,
        mut turn: Pin<&mut Option<Turn<'a>>>,
        wanted: usize,
        cx: &mut Context<'_>,
    ) -> Poll<Result<(), SemaphoreClosed>> {
        // Foreign code, so first.
        let waker = cx.waker().clone();
        turn.set(Some(self.turn(wanted)));
        let waiter = turn.as_pin_mut().expect("set just now");
        let mut locked = self.waiters.lock();
        // Acquire: as in `look`.
        let mut state = self.state.load(Ordering::Acquire);
        loop {
            if state & CLOSED != 0 {
                drop(locked);
                return Poll::Ready(Err(SemaphoreClosed(())));
            }
            let free = Self::taken(state, wanted);
            match self.change(state, free.unwrap_or(state | QUEUED)) {
                Ok(()) if free.is_some() => {
                    drop(locked);
                    return Poll::Ready(Ok(()));
                }
                Ok(()) => {
                    waiter.enqueue(&mut locked, waker);
                    return Poll::Pending;
                }
                Err(now) => state = now,
            }
        }
    }

    /// Takes a waiter back that is dropped before it is served, or before it has seen that it was.
    #[cold]
    pub(super) fn give_up(&self, turn: Pin<&mut Turn<'_>>) {
        if turn.is_idle() {
            return;
        }
        let mut locked = self.waiters.lock();
        let ask = turn.note();
        let withdrawn = turn.withdraw(&mut locked);
        let n = match (&withdrawn, ask) {
            (Withdrawn::Notified, Some(Ask::Permits(n))) => n,
            _ => 0,
        };
        // Relaxed: under the lock (1).
        let state = self.state.load(Ordering::Relaxed);
        if state & QUEUED == 0 {
            drop(locked);
            // There is room for them, unless somebody has released what was not his, and then he
            // was told.
            self.give_back(n);
        } else {
            // There may be enough now for who is first now (3).
            self.hand_out(locked, n);
        }
        drop(withdrawn);
    }
}
