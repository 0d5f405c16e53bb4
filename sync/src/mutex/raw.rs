//! The lock inside `Mutex`, without the value: one word and a queue. It follows Go's
//! `internal/sync/mutex.go`.
//!
//! ```text
//!   …  3         2          1        0
//! ────┬────────┬──────────┬────────┬────────┐
//!     │ QUEUED │ STARVING │ WOKEN  │ LOCKED │
//! ────┴────────┴──────────┴────────┴────────┘
//! ```
//!
//! Locking a free lock and unlocking one for which nobody waits is one atomic operation each. Who
//! finds it locked queues up. An unlock wakes the first in the queue, which then *competes* with
//! whoever comes along: a task that runs already takes the lock without waiting for another to be
//! scheduled, and that is several times the throughput. One that loses the competition goes back to
//! the front, and if it has waited for more than a millisecond it declares starvation: from then on
//! each unlock *hands* the lock to the first in the queue, and nobody may overtake. The first to be
//! served that had not waited that long ends it.
//!
//! | LOCKED | STARVING | a newcomer | an unlock |
//! |---|---|---|---|
//! | no | no | takes it | – |
//! | yes | no | queues up at the back | frees it and wakes the first, unless one is awake already (WOKEN) |
//! | yes | yes | queues up at the back | hands it to the first |
//! | no | yes | queues up at the back | (is about to hand it over: the lock is free only for a moment) |
//!
//! Invariants:
//!
//! 1. QUEUED changes only under the queue's lock, and under it says whether the queue is empty.
//! 2. WOKEN is set exactly while one waiter has been woken to compete and has not yet done so; it
//!    is cleared by that waiter.
//! 3. STARVING implies QUEUED, under the queue's lock; it excludes WOKEN.
//! 4. Whoever makes the lock free while QUEUED and not WOKEN wakes the first or hands over; so does
//!    a woken waiter that goes away.
//!
//! So nobody is left behind: as long as somebody waits, either the lock is held, and its unlock
//! falls under (4), or a waiter is awake (2).
//!
//! A lock that nobody contends for is freed by a plain store, see [`light`](super::light).
//!
//! *Rejected*: always handing over, as Tokio's does. It is fair by itself, but every contended lock
//! then waits for a task to be scheduled.
#![forbid(unsafe_code)]

use std::fmt;
use std::future::Future;
use std::panic::Location;
use std::pin::Pin;
use std::task::{Context, Poll, Waker, ready};

use pin_project_lite::pin_project;
use runtime::leaks::trial;
use runtime::task::coop::poll_proceed;
use runtime::task::{WaitReason, waiting};

use super::light::{LIGHT, Patience};
use crate::primitive::atomic::{AtomicU32, AtomicUsize, Ordering};
use crate::primitive::{PATIENCE, Since};
use crate::waiters::{Locked, Waiter, Waiters, Withdrawn};

/// Somebody holds the lock.
pub(super) const LOCKED: usize = 1;
/// A waiter has been woken to compete.
const WOKEN: usize = 1 << 1;
/// The lock goes to the first in the queue and to nobody else.
const STARVING: usize = 1 << 2;
/// The queue is not empty.
pub(super) const QUEUED: usize = 1 << 3;

/// Why a waiter was taken out of the queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Call {
    /// To compete for the lock.
    Compete,
    /// It has the lock.
    Handed,
}

pub(crate) struct RawMutex {
    /// Atomic; see the drawing.
    pub(super) state: AtomicUsize,
    /// How many times more it has to be freed without a newcomer to become `LIGHT`. The holder
    /// counts, by plain loads and stores, so that a count may be lost.
    pub(super) quiet: AtomicU32,
    pub(super) waiters: Waiters<Patience, Call>,
}

impl RawMutex {
    constant! {
        pub(crate) const fn new() -> Self {
            Self {
                state: AtomicUsize::new(0),
                quiet: AtomicU32::new(PATIENCE),
                waiters: Waiters::new(Patience::new()),
            }
        }
    }

    /// Takes the lock if it is free and owed to nobody.
    #[inline(always)]
    pub(crate) fn try_lock(&self) -> bool {
        // Acquire: pairs with the `Release` in `unlock`, here and wherever the lock is taken.
        let free = (self.state).compare_exchange(0, LOCKED, Ordering::Acquire, Ordering::Relaxed);
        match free {
            Ok(_) => true,
            Err(state) => state & (LOCKED | STARVING) == 0 && self.try_lock_slow(state),
        }
    }

    /// It is free, but others are about.
    #[cold]
    fn try_lock_slow(&self, mut state: usize) -> bool {
        while state & (LOCKED | STARVING) == 0 {
            match self.change(state, state | LOCKED) {
                Ok(()) => return true,
                Err(now) => state = now,
            }
        }
        false
    }

    /// Frees the lock; the caller holds it.
    #[inline]
    pub(crate) fn unlock(&self) {
        // Relaxed: only the holder makes it `LIGHT`, and of its end we hear below.
        let quiet = self.quiet.load(Ordering::Relaxed);
        if quiet == LIGHT {
            self.unlock_light();
        } else {
            self.unlock_counted(quiet);
        }
    }

    #[inline(never)]
    fn unlock_counted(&self, quiet: u32) {
        match quiet {
            1 => self.become_light(),
            _ => self.quiet.store(quiet - 1, Ordering::Relaxed),
        }
        // Release: pairs with the `Acquire` of the next who takes it.
        let before = self.state.fetch_sub(LOCKED, Ordering::Release);
        debug_assert!(before & LOCKED != 0, "unlock of unlocked mutex");
        if before & (QUEUED | WOKEN) == QUEUED {
            self.unlock_slow();
        }
    }

    #[cold]
    fn unlock_slow(&self) {
        if trial::is_on() {
            // The waiter is still to say that it waits here.
            return;
        }
        self.call_next(self.waiters.lock());
    }

    /// As [`pass_on`](Self::pass_on), and wakes it when the queue's lock is gone.
    pub(super) fn call_next(&self, mut locked: Locked<'_, Patience, Call>) {
        let next = self.pass_on(&mut locked);
        drop(locked);
        next.into_iter().for_each(Waker::wake);
    }

    /// Calls the first in the queue if the lock is free and nobody else is called (invariant 4).
    fn pass_on(&self, locked: &mut Locked<'_, Patience, Call>) -> Option<Waker> {
        // Relaxed: `change` is what counts.
        let mut state = self.state.load(Ordering::Relaxed);
        loop {
            // Somebody who is awake, or who has overtaken us, will look after the queue.
            if state & (LOCKED | WOKEN) != 0 || state & QUEUED == 0 {
                return None;
            }
            let (call, bit) = match state & STARVING {
                0 => (Call::Compete, WOKEN),
                _ => (Call::Handed, LOCKED),
            };
            let rest = match locked.is_single() {
                true => state & !(QUEUED | STARVING),
                false => state,
            };
            match self.change(state, rest | bit) {
                Ok(()) => {
                    *locked.front_mut()? = call;
                    return locked.take_front();
                }
                Err(now) => state = now,
            }
        }
    }

    /// Acquire on success: who takes the lock, for itself or to hand it on, sees what happened
    /// under it.
    fn change(&self, from: usize, to: usize) -> Result<(), usize> {
        (self.state)
            .compare_exchange_weak(from, to, Ordering::Acquire, Ordering::Relaxed)
            .map(drop)
    }

    /// A future that takes the lock.
    pub(crate) fn lock(&self, place: &'static Location<'static>) -> impl Future<Output = ()> {
        RawLock::new(self, place)
    }

    pub(crate) fn is_locked(&self) -> bool {
        // Relaxed: something to look at.
        self.state.load(Ordering::Relaxed) & LOCKED != 0
    }
}

impl fmt::Debug for RawMutex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RawMutex")
            .field("locked", &self.is_locked())
            .finish_non_exhaustive()
    }
}

/// What has a raw mutex.
pub(super) trait Owner {
    /// What its waiters are said to wait for.
    const REASON: WaitReason;

    fn raw(&self) -> &RawMutex;
}

/// `Once` and `OnceCell` have it bare.
impl Owner for RawMutex {
    const REASON: WaitReason = WaitReason::OnceDo;

    fn raw(&self) -> &RawMutex {
        self
    }
}

pin_project! {
    /// Completes with the lock held. Generic in whose lock it is, so that its first poll and its
    /// drop, which most often are all there is to it, are compiled where it is awaited, and become
    /// part of the code around.
    ///
    /// What it needs to wait is made when it has to: each field that a new one writes is a store
    /// that the atomic operation of locking waits for.
    #[derive(Debug)]
    #[must_use = "futures do nothing unless awaited"]
    pub(super) struct RawLock<'a, M>
    where
        M: ?Sized,
        M: Owner,
    {
        owner: &'a M,
        // `None` before it waits, and once it has the lock.
        #[pin]
        turn: Option<Turn<'a>>,
        place: &'static Location<'static>,
    }

    impl<M> PinnedDrop for RawLock<'_, M>
    where
        M: ?Sized,
        M: Owner,
    {
        #[inline]
        fn drop(this: Pin<&mut Self>) {
            let this = this.project();
            if let Some(turn) = this.turn.as_pin_mut() {
                give_up(this.owner.raw(), turn.project().waiter);
            }
        }
    }
}

pin_project! {
    /// One that waits.
    #[derive(Debug)]
    struct Turn<'a> {
        #[pin]
        waiter: Waiter<'a, Patience, Call>,
        since: Since,
    }
}

impl<'a, M: Owner + ?Sized> RawLock<'a, M> {
    #[inline]
    pub(super) fn new(owner: &'a M, place: &'static Location<'static>) -> Self {
        Self {
            owner,
            turn: None,
            place,
        }
    }

    /// Whose lock it is.
    #[inline]
    pub(super) fn owner(&self) -> &'a M {
        self.owner
    }
}

impl<M: Owner + ?Sized> Future for RawLock<'_, M> {
    type Output = ();

    #[inline]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let proceed = ready!(poll_proceed(cx));
        let this = self.project();
        let mutex = this.owner.raw();
        let taken = (this.turn.is_none() && mutex.try_lock())
            || poll_slow(mutex, this.turn, (M::REASON, this.place), cx);
        if !taken {
            return Poll::Pending;
        }
        proceed.made_progress();
        Poll::Ready(())
    }
}

/// It is taken, or this is not the first poll.
#[cold]
fn poll_slow<'a>(
    mutex: &'a RawMutex,
    mut turn: Pin<&mut Option<Turn<'a>>>,
    (reason, place): (WaitReason, &'static Location<'static>),
    cx: &mut Context<'_>,
) -> bool {
    let taken = match turn.as_mut().as_pin_mut() {
        None => queue_up(mutex, turn.as_mut(), cx),
        Some(turn) => go_on(mutex, turn, cx),
    };
    if taken {
        // Nothing is left to give up.
        turn.set(None);
    } else {
        waiting(reason, place);
    }
    taken
}

/// Into the queue, or the lock after all if it has just become free.
fn queue_up<'a>(
    mutex: &'a RawMutex,
    mut turn: Pin<&mut Option<Turn<'a>>>,
    cx: &mut Context<'_>,
) -> bool {
    // Foreign code, so first.
    let waker = cx.waker().clone();
    turn.set(Some(Turn {
        waiter: Waiter::new(&mutex.waiters, Call::Compete),
        since: Since::now(),
    }));
    let waiter = turn.as_pin_mut().expect("set just now").project().waiter;
    let mut locked = mutex.waiters.lock();
    mutex.revoke(&mut locked);
    let mut state = mutex.state.load(Ordering::Relaxed);
    loop {
        let free = state & (LOCKED | STARVING) == 0;
        let next = state | if free { LOCKED } else { QUEUED };
        match mutex.change(state, next) {
            Ok(()) if free => {
                drop(locked);
                return true;
            }
            Ok(()) => {
                waiter.enqueue(&mut locked, waker);
                return false;
            }
            Err(now) => state = now,
        }
    }
}

/// A later poll: still waiting, handed the lock, or called to compete.
fn go_on(mutex: &RawMutex, turn: Pin<&mut Turn<'_>>, cx: &mut Context<'_>) -> bool {
    let turn = turn.project();
    let (mut waiter, since) = (turn.waiter, *turn.since);
    if waiter.as_mut().poll_notified(cx).is_pending() {
        return false;
    }
    match waiter.note() {
        Some(Call::Handed) => {
            if !since.is_long_ago() {
                // Relaxed: we hold the lock, so the next `unlock` publishes it.
                mutex.state.fetch_and(!STARVING, Ordering::Relaxed);
            }
            true
        }
        _ => mutex.compete() || lose(mutex, waiter, since, cx),
    }
}

impl RawMutex {
    /// Takes the lock for the waiter that WOKEN stands for, if it is free.
    fn compete(&self) -> bool {
        let mut state = self.state.load(Ordering::Relaxed);
        while state & LOCKED == 0 {
            match self.change(state, (state & !WOKEN) | LOCKED) {
                Ok(()) => return true,
                Err(now) => state = now,
            }
        }
        false
    }
}

/// Somebody was faster: back to the front of the queue, or the lock after all if it has just become
/// free.
#[cold]
fn lose(
    mutex: &RawMutex,
    waiter: Pin<&mut Waiter<'_, Patience, Call>>,
    since: Since,
    cx: &mut Context<'_>,
) -> bool {
    let waker = cx.waker().clone();
    let starving = if since.is_long_ago() { STARVING } else { 0 };
    let mut locked = mutex.waiters.lock();
    let mut state = mutex.state.load(Ordering::Relaxed);
    loop {
        let free = state & LOCKED == 0;
        let next = (state & !WOKEN) | if free { LOCKED } else { QUEUED | starving };
        match mutex.change(state, next) {
            Ok(()) if free => {
                drop(locked);
                return true;
            }
            Ok(()) => {
                waiter.requeue(&mut locked, waker, Call::Compete);
                return false;
            }
            Err(now) => state = now,
        }
    }
}

/// Takes a waiter back that is dropped before it has the lock, and passes on what it was called
/// for.
#[cold]
fn give_up(mutex: &RawMutex, waiter: Pin<&mut Waiter<'_, Patience, Call>>) {
    let mut locked = mutex.waiters.lock();
    let note = waiter.note();
    let withdrawn = waiter.withdraw(&mut locked);
    let next = match withdrawn {
        Withdrawn::Notified if note == Some(Call::Handed) => {
            drop(locked);
            return mutex.unlock();
        }
        Withdrawn::Notified => {
            // Relaxed: nothing was done under the lock; (2).
            mutex.state.fetch_and(!WOKEN, Ordering::Relaxed);
            mutex.pass_on(&mut locked)
        }
        _ => {
            if locked.is_empty() {
                // Relaxed: under the queue's lock (1, 3).
                (mutex.state).fetch_and(!(QUEUED | STARVING), Ordering::Relaxed);
            }
            None
        }
    };
    drop(locked);
    next.into_iter().for_each(Waker::wake);
    drop(withdrawn);
}
