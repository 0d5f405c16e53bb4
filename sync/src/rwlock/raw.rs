//! The lock inside `RwLock`, without the value: one word and two queues.
//!
//! ```text
//!   …         2        1        0
//! ─────────────┬────────┬────────┐
//!   readers    │ QUEUED │ WRITER │
//! ─────────────┴────────┴────────┘
//! ```
//!
//! Locking and unlocking is one atomic operation while nobody waits. As soon as somebody does, QUEUED keeps newcomers of both kinds from
//! taking the lock, and from then on it is handed over. The phases alternate, as in Go: a writer that unlocks lets in all readers that wait,
//! also those that came after another writer; the last of these readers lets in the next writer. So neither kind starves the other.
//!
//! Invariants:
//!
//! 1. QUEUED changes only under the lock of the readers' queue, and under it says whether anyone waits in either queue.
//! 2. While QUEUED is set the lock is taken only under that lock, by [`RawRwLock::advance`], for one who waits.
//! 3. Who gives the lock back, or gives up waiting as a writer, calls `advance` if QUEUED is set.
//! 4. The lock of the readers' queue is taken before that of the writers'.
//!
//! *Rejected*: a semaphore with very many permits, of which a writer takes all, as Tokio does. First come, first served has readers wait
//! between any two writers, one phase for each.
#![forbid(unsafe_code)]

use std::future::Future;
use std::panic::Location;
use std::pin::Pin;
use std::task::{Context, Poll, Waker, ready};

use pin_project_lite::pin_project;
use runtime::task::coop::poll_proceed;
use runtime::task::{WaitReason, waiting};

use crate::primitive::atomic::{AtomicUsize, Ordering};
use crate::waiters::{Batch, Locked, Waiter, Waiters, Withdrawn};

/// A writer holds the lock.
const WRITER: usize = 1;
/// Somebody waits.
const QUEUED: usize = 2;
/// One reader holds the lock, in the word.
const READER: usize = 4;

pub(super) struct RawRwLock {
    /// Atomic; see the drawing.
    state: AtomicUsize,
    readers: Waiters<(), ()>,
    writers: Waiters<(), ()>,
}

/// Which side one is on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Side {
    Read,
    Write,
}

impl RawRwLock {
    constant! {
        pub(super) const fn new() -> Self {
            Self {
                state: AtomicUsize::new(0),
                readers: Waiters::new(()),
                writers: Waiters::new(()),
            }
        }
    }

    /// The word after `side` has taken the lock, if it is free for it and nobody waits.
    #[inline]
    fn taken(state: usize, side: Side) -> Option<usize> {
        match side {
            Side::Read if state & (WRITER | QUEUED) == 0 => Some(state + READER),
            Side::Write if state == 0 => Some(WRITER),
            _ => None,
        }
    }

    #[inline]
    pub(super) fn try_lock(&self, side: Side) -> bool {
        let mut state = self.state.load(Ordering::Relaxed);
        while let Some(next) = Self::taken(state, side) {
            match self.change(state, next) {
                Ok(()) => return true,
                Err(now) => state = now,
            }
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
        let held = match side {
            Side::Read => READER,
            Side::Write => WRITER,
        };
        // Release: pairs with the `Acquire` of the next who takes the lock. A reader's, too: the next writer comes after what it read.
        let before = self.state.fetch_sub(held, Ordering::Release);
        if before & QUEUED != 0 && (before - held) & !QUEUED == 0 {
            self.unlock_slow(side);
        }
    }

    /// Goes on as a reader; the caller holds the lock as the writer. As after any writer, all readers that wait are let in.
    pub(super) fn downgrade(&self) {
        // Release: pairs with the `Acquire` of the readers who join.
        let before = self.state.fetch_add(READER - WRITER, Ordering::Release);
        if before & QUEUED != 0 {
            self.advance(self.readers.lock(), true);
        }
    }

    #[cold]
    fn unlock_slow(&self, side: Side) {
        self.advance(self.readers.lock(), side == Side::Write);
    }

    /// Lets in who is next, if the lock is free for them; `readers_first` after a writer.
    fn advance<'a>(&'a self, mut readers: Locked<'a, (), ()>, readers_first: bool) {
        let mut batch = Batch::default();
        if !readers_first || readers.is_empty() {
            if let Some(writer) = self.admit_writer() {
                batch.extend([writer]);
            }
        }
        // Those who wait now; not the ones who queue up while we wake the first of them.
        let until = readers.ticket();
        while self.may_read(readers_first) {
            if batch.is_full() {
                drop(readers);
                batch.wake();
                readers = self.readers.lock();
                continue;
            }
            if !readers.is_before(until) {
                break;
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

    /// Takes the lock for the first writer that waits, if it is free. The lock of the readers' queue is held.
    fn admit_writer(&self) -> Option<Waker> {
        let mut writers = self.writers.lock();
        // While QUEUED is set nobody else takes it (2). Acquire: pairs with the `Release` in `unlock`.
        if self.state.load(Ordering::Acquire) & !QUEUED != 0 {
            return None;
        }
        if !writers.is_empty() {
            self.state.fetch_or(WRITER, Ordering::Acquire);
        }
        writers.take_front()
    }

    /// Whether readers that wait may join: after a writer always; else if no writer waits.
    fn may_read(&self, readers_first: bool) -> bool {
        let free = self.state.load(Ordering::Relaxed) & WRITER == 0;
        free && (readers_first || self.writers.lock().is_empty())
    }

    fn note_if_empty(&self, readers: &Locked<'_, (), ()>) {
        if readers.is_empty() && self.writers.lock().is_empty() {
            // Relaxed: under the lock (1).
            self.state.fetch_and(!QUEUED, Ordering::Relaxed);
        }
    }

    /// A future that takes the lock.
    #[inline]
    pub(super) fn lock(&self, side: Side, place: &'static Location<'static>) -> RawAcquire<'_> {
        let queue = match side {
            Side::Read => &self.readers,
            Side::Write => &self.writers,
        };
        RawAcquire {
            lock: self,
            side,
            waiter: Waiter::new(queue, ()),
            place,
        }
    }
}

pin_project! {
    /// Completes with the lock held.
    #[must_use = "futures do nothing unless awaited"]
    pub(super) struct RawAcquire<'a> {
        lock: &'a RawRwLock,
        side: Side,
        #[pin]
        waiter: Waiter<'a, (), ()>,
        place: &'static Location<'static>,
    }

    impl PinnedDrop for RawAcquire<'_> {
        #[inline]
        fn drop(this: Pin<&mut Self>) {
            let this = this.project();
            if this.waiter.is_under_way() {
                give_up(this.lock, *this.side, this.waiter);
            }
        }
    }
}

impl Future for RawAcquire<'_> {
    type Output = ();

    #[inline]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let proceed = ready!(poll_proceed(cx));
        let mut this = self.project();
        let waiter = this.waiter.as_mut();
        let taken = if waiter.is_idle() {
            this.lock.try_lock(*this.side) || queue_up(this.lock, *this.side, waiter, cx)
        } else {
            waiter.poll_notified(cx).is_ready()
        };
        if !taken {
            let reason = match *this.side {
                Side::Read => WaitReason::RwLockRead,
                Side::Write => WaitReason::RwLockWrite,
            };
            waiting(reason, this.place);
            return Poll::Pending;
        }
        this.waiter.finish();
        proceed.made_progress();
        Poll::Ready(())
    }
}

/// Into the queue, or the lock after all if it has just become free.
#[cold]
fn queue_up(
    lock: &RawRwLock,
    side: Side,
    waiter: Pin<&mut Waiter<'_, (), ()>>,
    cx: &mut Context<'_>,
) -> bool {
    let waker = cx.waker().clone();
    let mut readers = lock.readers.lock();
    let mut state = lock.state.load(Ordering::Relaxed);
    loop {
        let free = RawRwLock::taken(state, side);
        match lock.change(state, free.unwrap_or(state | QUEUED)) {
            Ok(()) if free.is_some() => {
                drop(readers);
                return true;
            }
            Ok(()) => break,
            Err(now) => state = now,
        }
    }
    match side {
        Side::Read => waiter.enqueue(&mut readers, waker),
        Side::Write => waiter.enqueue(&mut lock.writers.lock(), waker),
    }
    false
}

/// Takes a waiter back that is dropped before it has the lock, or before it has seen that it has.
#[cold]
fn give_up(lock: &RawRwLock, side: Side, waiter: Pin<&mut Waiter<'_, (), ()>>) {
    let mut readers = lock.readers.lock();
    let withdrawn = match side {
        Side::Read => waiter.withdraw(&mut readers),
        Side::Write => waiter.withdraw(&mut lock.writers.lock()),
    };
    if let Withdrawn::Notified = withdrawn {
        drop(readers);
        return lock.unlock(side);
    }
    // Without this writer, readers may be free to join others (3).
    lock.advance(readers, false);
    drop(withdrawn);
}
