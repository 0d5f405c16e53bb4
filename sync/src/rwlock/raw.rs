//! The lock inside `RwLock`, without the value: one word and three queues.
//!
//! ```text
//!   …         3            2        1        0
//! ─────────────┬────────────┬────────┬────────┐
//!   readers    │ UPGRADABLE │ QUEUED │ WRITER │
//! ─────────────┴────────────┴────────┴────────┘
//! ```
//!
//! Locking and unlocking is one atomic operation while nobody waits, and none at all for readers of
//! a lock that is only read: see [`light`](super::light), for which one READER stands.
//!
//! As soon as somebody waits, QUEUED keeps newcomers of all kinds from taking the lock, and from
//! then on it is handed over. The phases alternate, as in Go: a writer that unlocks lets in all
//! readers that wait, also those that came after another writer; the last of these readers lets in
//! the next writer. So neither kind starves the other.
//!
//! One of the readers may be *upgradable*: it can become the writer without letting another one in
//! between, which is why there is one at most. Those who want to be it wait in the writers' queue,
//! each for its turn, but share the lock with readers. While it waits to be alone, nobody else
//! comes in.
//!
//! | who holds it | a reader | an upgradable reader | a writer | the upgrade |
//! |---|---|---|---|---|
//! | nobody | goes in | goes in | goes in | |
//! | readers | goes in | goes in | waits | |
//! | readers, one of them upgradable | goes in | waits | waits | waits until it is alone |
//! | a writer | waits | waits | waits | |
//!
//! Invariants:
//!
//! 1. QUEUED changes only under the lock of the readers' queue, and under it says whether anyone
//!    waits in any of the queues.
//! 2. While QUEUED is set the lock is taken only under that lock, by [`RawRwLock::advance`] for one
//!    who waits, or by the upgradable reader that is alone and becomes the writer.
//! 3. Whoever makes room for another, by giving the lock back in whole or in part, or by giving up
//!    waiting, calls `advance` if QUEUED is set.
//! 4. The lock of the readers' queue is taken before that of another one.
//!
//! Whoever finds the lock taken in the midst of other work lets others run before it gets in line,
//! once (`poll_give_way`). Without that, tasks that meet here once come to a phase for each access,
//! also on one core, where nobody need ever wait: a writer lets readers in, and wants to write
//! again before these have run.
//!
//! *Rejected*: a semaphore with very many permits, of which a writer takes all, as Tokio does.
//! First come, first served has readers wait between any two writers, one phase for each.
#![forbid(unsafe_code)]

use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use runtime::task::WaitReason;
use runtime::task::coop::contended;

use super::light::{Era, Mode};
use crate::primitive::atomic::{AtomicUsize, Ordering};
use crate::waiters::{Batch, Locked, Waiter, Waiters, Withdrawn};

/// A writer holds the lock.
const WRITER: usize = 1;
/// Somebody waits.
pub(super) const QUEUED: usize = 1 << 1;
/// One of the readers may become the writer.
const UPGRADABLE: usize = 1 << 2;
/// One reader holds the lock, in the word.
pub(super) const READER: usize = 1 << 3;
/// The upgradable reader holds it.
const UPGRADER: usize = READER | UPGRADABLE;

pub(super) struct RawRwLock {
    /// Atomic; see the drawing.
    pub(super) state: AtomicUsize,
    /// Whether readers are counted in it.
    pub(super) mode: Mode,
    pub(super) readers: Waiters<Era, Side>,
    /// Those who want to be the writer, or the upgradable reader.
    writers: Waiters<Era, Side>,
    /// The upgradable reader, while it waits to be alone.
    upgrading: Waiters<Era, Side>,
}

/// A place in one of the queues.
pub(super) type Turn<'a> = Waiter<'a, Era, Side>;

pub(super) type Queue<'a> = Locked<'a, Era, Side>;

/// Which side one is on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Side {
    Read,
    /// A reader that may become the writer.
    Upgradable,
    Write,
}

impl Side {
    /// What it holds, in the word.
    #[inline]
    fn held(self) -> usize {
        match self {
            Self::Read => READER,
            Self::Upgradable => UPGRADER,
            Self::Write => WRITER,
        }
    }

    /// What keeps it out, in the word.
    #[inline]
    fn kept_out_by(self) -> usize {
        match self {
            Self::Read => WRITER,
            Self::Upgradable => WRITER | UPGRADABLE,
            Self::Write => !QUEUED,
        }
    }

    pub(super) fn reason(self) -> WaitReason {
        match self {
            Self::Read | Self::Upgradable => WaitReason::RwLockRead,
            Self::Write => WaitReason::RwLockWrite,
        }
    }
}

impl RawRwLock {
    constant! {
        pub(super) const fn new() -> Self {
            Self {
                state: AtomicUsize::new(0),
                mode: Mode::new(),
                readers: Waiters::new(Era::new()),
                writers: Waiters::new(Era::new()),
                upgrading: Waiters::new(Era::new()),
            }
        }
    }

    /// The word after `side` has taken the lock, if it is free for it and nobody waits.
    #[inline]
    fn taken(state: usize, side: Side) -> Option<usize> {
        (state & (side.kept_out_by() | QUEUED) == 0).then(|| state + side.held())
    }

    /// Takes the lock if it is free for `side` and nobody waits.
    ///
    /// It guesses that nobody has it, since a look before would cost a quarter of it all: the
    /// compare-exchange would wait for it. Where others read, the wrong guess brings what a look
    /// would have brought, and the line with it.
    #[inline(always)]
    pub(super) fn try_lock(&self, side: Side) -> bool {
        // Acquire: as in `change`.
        let free =
            (self.state).compare_exchange(0, side.held(), Ordering::Acquire, Ordering::Relaxed);
        match free {
            Ok(_) => true,
            Err(state) => self.try_lock_slow(state, side),
        }
    }

    /// Others have it, or wait. Not `cold`: readers meet readers.
    #[inline(never)]
    fn try_lock_slow(&self, state: usize, side: Side) -> bool {
        self.take(state, side)
            || (side == Side::Write && self.mode.is_light() && self.try_write_light())
    }

    /// It is read, perhaps only by those who might read.
    #[cold]
    fn try_write_light(&self) -> bool {
        let mut readers = self.readers.lock();
        self.end_light(&mut readers);
        self.take(self.state.load(Ordering::Relaxed), Side::Write)
    }

    fn take(&self, mut state: usize, side: Side) -> bool {
        while let Some(next) = Self::taken(state, side) {
            match self.change(state, next) {
                Ok(()) => return true,
                Err(now) => state = now,
            }
            // Between two instructions another core has changed the word, on which both count their
            // readers.
            contended();
        }
        false
    }

    /// Acquire on success: pairs with the `Release` in `unlock`.
    #[inline]
    fn change(&self, from: usize, to: usize) -> Result<(), usize> {
        (self.state)
            .compare_exchange_weak(from, to, Ordering::Acquire, Ordering::Relaxed)
            .map(drop)
    }

    /// Gives the lock back; the caller holds it on this side.
    #[inline]
    pub(super) fn unlock(&self, side: Side) {
        if side == Side::Write {
            self.mode.count_anew();
        }
        // Release: pairs with the `Acquire` of the next who takes the lock. A reader's, too: the
        // next writer comes after what it read.
        let before = self.state.fetch_sub(side.held(), Ordering::Release);
        if before & QUEUED != 0 {
            self.unlock_slow(side, before - side.held());
        }
    }

    #[cold]
    fn unlock_slow(&self, side: Side, after: usize) {
        let rest = after & !QUEUED;
        // A reader among several makes no room, unless it leaves the upgradable one alone.
        if side != Side::Read || rest == 0 || rest == UPGRADER {
            self.advance(self.readers.lock(), side == Side::Write);
        }
    }

    /// Goes from one side to a lesser one without letting go. As after any writer, all readers that
    /// wait are let in.
    pub(super) fn downgrade(&self, from: Side, to: Side) {
        // Release: pairs with the `Acquire` of the readers who join. What is added may be less than
        // nothing, hence wrapping.
        if from == Side::Write {
            self.mode.count_anew();
        }
        let change = to.held().wrapping_sub(from.held());
        let before = self.state.fetch_add(change, Ordering::Release);
        if before & QUEUED != 0 {
            self.advance(self.readers.lock(), from == Side::Write);
        }
    }

    /// Lets in who is next, if the lock is free for them; `readers_first` after a writer.
    fn advance<'a>(&'a self, mut readers: Queue<'a>, readers_first: bool) {
        let mut batch = Batch::default();
        batch.extend(self.admit_upgrade());
        batch.extend(self.admit_first(readers_first && !readers.is_empty()));
        // After a writer, those who wait now; ones who queue up while we wake the first of them
        // only if no writer waits. But then they, too: nobody else would let them in before the
        // last of the others is gone.
        let until = readers.ticket();
        while !readers.is_empty() && self.may_read(readers_first && readers.is_before(until)) {
            if batch.is_full() {
                drop(readers);
                batch.wake();
                readers = self.readers.lock();
                continue;
            }
            // Acquire: pairs with the `Release` in `unlock`; the notification passes it on.
            self.state.fetch_add(READER, Ordering::Acquire);
            batch.extend(readers.take_front());
        }
        self.note_if_empty(&readers);
        drop(readers);
        batch.wake();
        batch.finish();
    }

    /// Makes the upgradable reader the writer, if that is what it waits for, and it is alone.
    fn admit_upgrade(&self) -> Option<Waker> {
        let mut upgrading = self.upgrading.lock();
        // Only who holds the lock changes it while QUEUED is set (2), and if this holds, that is
        // one who waits here. Acquire: pairs with the `Release` in `unlock`.
        if upgrading.is_empty() || self.state.load(Ordering::Acquire) & !QUEUED != UPGRADER {
            return None;
        }
        self.state.fetch_sub(UPGRADER - WRITER, Ordering::Acquire);
        upgrading.take_front()
    }

    /// Takes the lock for the first in the writers' queue, if it is free for it. The lock of the
    /// readers' queue is held.
    fn admit_first(&self, readers_wait: bool) -> Option<Waker> {
        let mut writers = self.writers.lock();
        let side = *writers.front_mut()?;
        // While QUEUED is set nobody else takes it (2). Acquire: pairs with the `Release` in
        // `unlock`.
        let state = self.state.load(Ordering::Acquire);
        if state & side.kept_out_by() != 0 || (side == Side::Write && readers_wait) {
            return None;
        }
        self.state.fetch_add(side.held(), Ordering::Acquire);
        writers.take_front()
    }

    /// Whether the first reader that waits may join: if it waited for a writer that is gone,
    /// always; else if no writer waits.
    fn may_read(&self, readers_first: bool) -> bool {
        let free = self.state.load(Ordering::Relaxed) & WRITER == 0;
        free && self.upgrading.lock().is_empty()
            && (readers_first || self.writers.lock().is_empty())
    }

    fn note_if_empty(&self, readers: &Queue<'_>) {
        let none = |queue: &Waiters<Era, Side>| -> bool { queue.lock().is_empty() };
        if readers.is_empty() && none(&self.upgrading) && none(&self.writers) {
            // Relaxed: under the lock (1).
            self.state.fetch_and(!QUEUED, Ordering::Relaxed);
        }
    }

    #[inline]
    fn queue(&self, side: Side) -> &Waiters<Era, Side> {
        match side {
            Side::Read => &self.readers,
            Side::Upgradable | Side::Write => &self.writers,
        }
    }
}

/// One that has to wait.
impl RawRwLock {
    /// A place for one who is not in the queue yet.
    pub(super) fn turn(&self, side: Side) -> Turn<'_> {
        Waiter::new(self.queue(side), side)
    }

    /// Into the queue, or the lock after all if it has just become free.
    pub(super) fn queue_up<'a>(
        &'a self,
        side: Side,
        mut turn: Pin<&mut Option<Turn<'a>>>,
        cx: &mut Context<'_>,
    ) -> Poll<()> {
        // Foreign code, so first.
        let waker = cx.waker().clone();
        turn.set(Some(self.turn(side)));
        let waiter = turn.as_pin_mut().expect("set just now");
        let mut readers = self.readers.lock();
        // A reader waits only for one that waits itself, or is alone (7).
        if side != Side::Read {
            self.end_light(&mut readers);
        }
        let mut state = self.state.load(Ordering::Relaxed);
        loop {
            let free = Self::taken(state, side);
            match self.change(state, free.unwrap_or(state | QUEUED)) {
                Ok(()) if free.is_some() => {
                    drop(readers);
                    return Poll::Ready(());
                }
                Ok(()) => break,
                Err(now) => state = now,
            }
        }
        match side {
            Side::Read => waiter.enqueue(&mut readers, waker),
            _ => waiter.enqueue(&mut self.writers.lock(), waker),
        }
        Poll::Pending
    }

    /// Takes a waiter back that is dropped before it has the lock, or before it has seen that it
    /// has.
    #[cold]
    pub(super) fn give_up(&self, side: Side, turn: Pin<&mut Turn<'_>>) {
        if turn.is_idle() {
            return;
        }
        let mut readers = self.readers.lock();
        let withdrawn = match side {
            Side::Read => turn.withdraw(&mut readers),
            _ => turn.withdraw(&mut self.writers.lock()),
        };
        if let Withdrawn::Notified = withdrawn {
            drop(readers);
            return self.unlock(side);
        }
        // Without this one, others may be free to come in (3).
        self.advance(readers, false);
        drop(withdrawn);
    }
}

/// The upgradable reader that wants to be the writer.
impl RawRwLock {
    /// Makes it the writer, if it is alone.
    #[inline]
    pub(super) fn try_upgrade(&self) -> bool {
        // Acquire: pairs with the `Release` in `unlock`, of the readers before.
        let alone =
            (self.state).compare_exchange(UPGRADER, WRITER, Ordering::Acquire, Ordering::Relaxed);
        match alone {
            Ok(_) => true,
            Err(state) => {
                (state & !QUEUED == UPGRADER || self.mode.is_light()) && self.try_upgrade_slow()
            }
        }
    }

    /// It was alone, but others wait, or might read.
    #[cold]
    fn try_upgrade_slow(&self) -> bool {
        // Under the lock, so that nobody is let in meanwhile (2).
        let mut readers = self.readers.lock();
        self.end_light(&mut readers);
        let mut state = self.state.load(Ordering::Relaxed);
        while state & !QUEUED == UPGRADER {
            match self.change(state, state - UPGRADER + WRITER) {
                Ok(()) => return true,
                Err(now) => state = now,
            }
        }
        false
    }

    /// Into the queue, or the writer after all if it is alone by now.
    pub(super) fn queue_up_to_upgrade<'a>(
        &'a self,
        mut turn: Pin<&mut Option<Turn<'a>>>,
        cx: &mut Context<'_>,
    ) -> Poll<()> {
        let waker = cx.waker().clone();
        turn.set(Some(Waiter::new(&self.upgrading, Side::Write)));
        let waiter = turn.as_pin_mut().expect("set just now");
        let mut readers = self.readers.lock();
        self.end_light(&mut readers);
        let mut state = self.state.load(Ordering::Relaxed);
        loop {
            let alone = state & !QUEUED == UPGRADER;
            let next = match alone {
                true => state - UPGRADER + WRITER,
                false => state | QUEUED,
            };
            match self.change(state, next) {
                Ok(()) if alone => {
                    drop(readers);
                    return Poll::Ready(());
                }
                Ok(()) => break,
                Err(now) => state = now,
            }
        }
        waiter.enqueue(&mut self.upgrading.lock(), waker);
        Poll::Pending
    }

    /// Takes one back that is dropped before it is the writer, or before it has seen that it is: it
    /// is an upgradable reader as before.
    #[cold]
    pub(super) fn give_up_upgrade(&self, turn: Pin<&mut Turn<'_>>) {
        let readers = self.readers.lock();
        let withdrawn = turn.withdraw(&mut self.upgrading.lock());
        if let Withdrawn::Notified = withdrawn {
            drop(readers);
            return self.downgrade(Side::Write, Side::Upgradable);
        }
        self.advance(readers, false);
        drop(withdrawn);
    }
}
