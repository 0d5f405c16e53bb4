//! ⚠ What a `WaitGroup`'s handles, guards and tasks share: the word that counts, and those who
//! wait.
//!
//! ```text
//!  63            32 31               1     0
//! ┌────────────────┬──────────────────┬────────┐
//! │ counter, as i32│      holders     │ WAITED │
//! └────────────────┴──────────────────┴────────┘
//! ```
//!
//! The counter and WAITED are one word, as in Go, so that the last `done` learns in the very step
//! that makes the counter zero whether anyone has to be woken. `add`, `done` and a `wait` that
//! finds zero are one atomic operation each; a lock is taken only to wait and to wake those who
//! wait. The counter is signed only to tell too many `done`s from very many `add`s, as in Go; who
//! makes it negative takes that back.
//!
//! *Holders* are the handles and the members, and the last of them frees the group. A member, which
//! is a guard or a task, is counted and holds the group in the same step, and mostly ends in one,
//! too: with an `Arc` around the word each would be two. All that a task of a group costs beside
//! the task is these two atomic operations.
//!
//! Invariants, which the SAFETY comments cite:
//!
//! 1. WAITED changes only under the queue's lock, and under it says whether [`Released::waiting`]
//!    is not zero, which is the number of nodes in the queue, less those before
//!    [`Released::until`], who are about to be woken.
//! 2. Nobody queues up while the counter is zero: it is looked at under the lock when WAITED is set
//!    already, and in the step that sets it when not.
//! 3. Whoever makes the counter zero while WAITED is set calls [`Shared::release`], and holds the
//!    group until that is done. It looks again under the lock, because meanwhile the waiters may
//!    have gone and others come who wait for a later zero.
//! 4. WAITED is off before the first of them is notified, so that one who has returned can use the
//!    group again.
//! 5. Each [`Handle`] and each [`Member`] is one of the holders. Holders are given up by a step
//!    that makes the number less, and by the last of these the group is freed; nobody but holders
//!    touches it.
//!
//! *Rejected*: to spare the line that all workers write. Ends in one subtraction instead of a look
//! and an exchange, which takes a way for the last one to keep the group until it has woken those
//! who wait, gained 0 to 1 % with two workers; starts and ends counted on two lines of their own,
//! the most that tickets or stripes for each worker could ever gain, 1 % (100,000 tasks, medians of
//! nine interleaved runs). A task has to go from one worker to the other anyway, and what it brings
//! with it, its own slot and the counts of what it owns, is what is paid for: beside tasks that
//! count down by hand, those of a group take 1.00 to 1.04 of the time.
//!
//! So no waiter is left behind: one that queued up before the last `done` has set the bit that it
//! sees (2), and is in the queue by the time `release` has the lock (1).

use std::fmt;
use std::ops::Deref;
use std::ptr::NonNull;

use runtime::leaks::trial::{self, Side};

use crate::primitive::Tracked;
use crate::primitive::atomic::{AtomicU64, Ordering};
use crate::waiters::{Locked, Ticket, Waiters};

/// See the drawing.
#[derive(Clone, Copy)]
struct State(u64);

/// Somebody waits.
const WAITED: u64 = 1;
/// One holder, in the word.
const HOLDER: u64 = 2;
/// One more to be done, in the word.
const ONE: u64 = 1 << 32;
/// So many holders are refused: half of those that there is room for, so that those who find it out
/// do not overflow it together.
const TOO_MANY: u32 = 1 << 30;

impl State {
    #[inline]
    fn counter(self) -> i32 {
        (self.0 >> 32) as i32
    }

    #[inline]
    fn holders(self) -> u32 {
        self.0 as u32 / HOLDER as u32
    }

    #[inline]
    fn is_waited(self) -> bool {
        self.0 & WAITED != 0
    }

    /// Zero, with somebody waiting for it.
    #[inline]
    fn is_due(self) -> bool {
        self.counter() == 0 && self.is_waited()
    }

    /// After an addition of `n` in the counter.
    fn plus(self, n: u32) -> Self {
        Self(self.0.wrapping_add(u64::from(n) * ONE))
    }

    /// After a subtraction of `n` in the counter.
    fn minus(self, n: u32) -> Self {
        Self(self.0.wrapping_sub(u64::from(n) * ONE))
    }
}

/// What a caller got wrong, in Go's words, and what helps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mistake {
    Negative,
    AddDuringWait,
    Reused,
    Overflow,
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Negative => {
                "sync: negative WaitGroup counter: more calls of done() than add() counted; spawn() and guard() keep the count themselves"
            }
            Self::AddDuringWait => {
                "sync: WaitGroup misuse: Add called concurrently with Wait: count a task before it is started, not inside it"
            }
            Self::Reused => {
                "sync: WaitGroup is reused before previous Wait has returned: add() again only when all wait() are back"
            }
            Self::Overflow => "sync: WaitGroup counter overflow: at most i32::MAX at a time",
        })
    }
}

/// Aligned, so that nothing that belongs to others is on the cache line of the word, which all who
/// begin and end write.
#[repr(align(64))]
pub(super) struct Shared {
    /// Atomic; see the drawing.
    state: AtomicU64,
    pub(super) waiters: Waiters<Released, ()>,
    _tracked: Tracked,
}

/// Under the queue's lock.
pub(super) struct Released {
    /// All waiters before this ticket are counted no more; their `wait` is over, and they are being
    /// woken.
    until: Ticket,
    /// Those who are counted.
    waiting: u32,
}

/// Keeps the group, as [`Arc`](std::sync::Arc) would.
pub(super) struct Handle(NonNull<Shared>);

// SAFETY: it leads to a `Shared`, which threads may share, as its parts say; and any thread may
// free it (5).
unsafe impl Send for Handle {}
// SAFETY: as above.
unsafe impl Sync for Handle {}

const _: () = {
    const fn shared_by_threads<T: Send + Sync>() {}
    shared_by_threads::<Shared>();
};

impl Handle {
    pub(super) fn new() -> Self {
        let shared = Box::new(Shared {
            state: AtomicU64::new(HOLDER),
            waiters: Waiters::new(Released {
                until: Ticket::FIRST,
                waiting: 0,
            }),
            _tracked: Tracked::new(),
        });
        Self(NonNull::from(Box::leak(shared)))
    }

    /// Raises the counter by one for what is returned.
    #[inline]
    pub(super) fn enter(&self) -> Result<Member, Mistake> {
        // Relaxed: as in `add`; and the handle keeps the group until the member is there, as an
        // `Arc` does that is cloned.
        let before = State(self.state.fetch_add(ONE + HOLDER, Ordering::Relaxed));
        if before.counter() == i32::MAX || before.is_due() || before.holders() >= TOO_MANY {
            return Err(self.refuse(before));
        }
        Ok(Member(self.0))
    }

    /// Undoes an `enter`.
    #[cold]
    fn refuse(&self, before: State) -> Mistake {
        // Relaxed: nothing was done as a holder.
        self.state.fetch_sub(HOLDER, Ordering::Relaxed);
        self.take_back(1);
        match before.is_due() {
            true => Mistake::AddDuringWait,
            false => Mistake::Overflow,
        }
    }
}

impl Deref for Handle {
    type Target = Shared;

    #[inline]
    fn deref(&self) -> &Shared {
        // SAFETY: a handle is a holder (5), so it is there.
        unsafe { self.0.as_ref() }
    }
}

impl Clone for Handle {
    fn clone(&self) -> Self {
        // Relaxed: this handle keeps the group meanwhile.
        let before = State(self.state.fetch_add(HOLDER, Ordering::Relaxed));
        if before.holders() >= TOO_MANY {
            // Relaxed: as above.
            self.state.fetch_sub(HOLDER, Ordering::Relaxed);
            panic!("sync: too many handles of a WaitGroup; drop those that are not needed");
        }
        Self(self.0)
    }
}

impl Drop for Handle {
    #[inline]
    fn drop(&mut self) {
        if trial::is_on() {
            return rehearse(self, self);
        }
        // SAFETY: this handle is a holder, and is used no more.
        unsafe { let_go(self.0) }
    }
}

/// One of those that are to be done: dropping it lowers the counter.
pub(super) struct Member(NonNull<Shared>);

// SAFETY: as for `Handle`.
unsafe impl Send for Member {}
// SAFETY: as for `Handle`.
unsafe impl Sync for Member {}

impl Deref for Member {
    type Target = Shared;

    #[inline]
    fn deref(&self) -> &Shared {
        // SAFETY: a member is a holder (5), so it is there.
        unsafe { self.0.as_ref() }
    }
}

impl Drop for Member {
    #[inline]
    fn drop(&mut self) {
        if trial::is_on() {
            return rehearse(self, self);
        }
        // Relaxed: the exchange is what counts.
        let mut state = State(self.state.load(Ordering::Relaxed));
        // In one step, unless somebody has to be woken after it (3), or told of a mistake.
        while state.counter() > 1 || (state.counter() == 1 && !state.is_waited()) {
            // AcqRel: as in `done`, and as in `let_go`.
            match (self.state).compare_exchange_weak(
                state.0,
                state.0 - ONE - HOLDER,
                Ordering::AcqRel,
                Ordering::Relaxed,
            ) {
                Ok(_) if state.holders() == 1 => {
                    // SAFETY: it was the last holder (5).
                    return unsafe { free(self.0) };
                }
                Ok(_) => return,
                Err(now) => state = State(now),
            }
        }
        self.end_slow();
    }
}

impl Member {
    /// The last that is waited for.
    #[cold]
    fn end_slow(&self) {
        /// Also when a waker panics.
        struct LetGo(NonNull<Shared>);

        impl Drop for LetGo {
            fn drop(&mut self) {
                // SAFETY: this is the drop of a member, a holder, which is used no more.
                unsafe { let_go(self.0) }
            }
        }

        let _let_go = LetGo(self.0);
        if let Err(mistake) = self.done() {
            // A second panic would end the process and hide the first.
            if !std::thread::panicking() {
                panic!("{mistake}");
            }
        }
    }
}

/// One holder less.
///
/// # Safety
///
/// The caller is one of the holders, and touches the group no more.
#[inline]
unsafe fn let_go(shared: NonNull<Shared>) {
    // Release: pairs with the Acquire of whoever frees it, after all that others did with it.
    // SAFETY: the caller is a holder, so it is there (5).
    let before = State(unsafe { shared.as_ref().state.fetch_sub(HOLDER, Ordering::AcqRel) });
    if before.holders() == 1 {
        // SAFETY: it was the last (5).
        unsafe { free(shared) }
    }
}

/// # Safety
///
/// There are no holders any more.
#[cold]
unsafe fn free(shared: NonNull<Shared>) {
    // SAFETY: it comes from a box, in `Handle::new`, and nobody has it any more (5).
    drop(unsafe { Box::from_raw(shared.as_ptr()) });
}

/// In a trial: a holder goes, which is found at `place`. The number stays as it was.
#[cold]
fn rehearse<H>(place: &H, shared: &Shared) {
    let of = Side {
        primitive: std::ptr::from_ref(&shared.waiters).addr(),
        side: 0,
        sides: 1,
        handles: State(shared.state.load(Ordering::Relaxed)).holders() as usize,
    };
    trial::handle(place, std::ptr::from_ref(shared).addr(), of);
}

impl Shared {
    pub(super) fn add(&self, n: usize) -> Result<(), Mistake> {
        let n = u32::try_from(n)
            .ok()
            .filter(|&n| n <= i32::MAX as u32)
            .ok_or(Mistake::Overflow)?;
        // Relaxed: raising the counter publishes nothing, and what earlier `done`s published passes
        // through it all the same, because a read-modify-write continues their release sequence.
        let before = State(self.state.fetch_add(u64::from(n) * ONE, Ordering::Relaxed));
        if before.plus(n).counter() < 0 && before.counter() >= 0 {
            self.take_back(n);
            return Err(Mistake::Overflow);
        }
        if before.is_due() && n > 0 {
            self.take_back(n);
            return Err(Mistake::AddDuringWait);
        }
        Ok(())
    }

    #[inline]
    pub(super) fn done(&self) -> Result<(), Mistake> {
        // Release: pairs with the `Acquire` of those who find zero, here, in `release` and in
        // `wait`. Acquire: whoever makes it zero passes on, by waking, what the `done`s before it
        // released.
        let before = State(self.state.fetch_sub(ONE, Ordering::AcqRel));
        let after = before.minus(1);
        if after.counter() <= 0 {
            return self.done_slow(after);
        }
        Ok(())
    }

    #[cold]
    fn done_slow(&self, after: State) -> Result<(), Mistake> {
        if after.counter() < 0 {
            // What another thread sees meanwhile is a negative counter, which nobody takes for
            // zero; so if it becomes zero by this, and somebody has come to wait, it falls to us.
            let before = State(self.state.fetch_add(ONE, Ordering::AcqRel));
            if before.plus(1).is_due() {
                self.release();
            }
            return Err(Mistake::Negative);
        }
        if after.is_due() {
            self.release();
        }
        Ok(())
    }

    /// Undoes an `add`. Those who were being woken may have been passed over because of it, so it
    /// falls to us to look after them.
    #[cold]
    fn take_back(&self, n: u32) {
        let before = State(self.state.fetch_sub(u64::from(n) * ONE, Ordering::AcqRel));
        if before.minus(n).is_due() {
            self.release();
        }
    }

    /// Wakes those who wait, provided that the counter is still zero (invariant 3).
    #[cold]
    fn release(&self) {
        let mut locked = self.waiters.lock();
        // Acquire: if this is a later zero than the one that brought us here, its `done`s are
        // passed on too.
        if !State(self.state.load(Ordering::Acquire)).is_due() {
            return;
        }
        // Relaxed: the notifications below publish it to those for whom it matters (4). It cannot
        // have changed since (1).
        self.state.fetch_and(!WAITED, Ordering::Relaxed);
        let until = locked.ticket();
        *locked = Released { until, waiting: 0 };
        locked.wake_all();
    }
}

/// For those who wait.
impl Shared {
    /// Whether there is nothing to wait for.
    pub(super) fn is_zero(&self) -> bool {
        // Acquire: pairs with the `Release` of every `done`.
        State(self.state.load(Ordering::Acquire)).counter() == 0
    }

    /// For a waiter that has been woken and now looks.
    ///
    /// # Panics
    ///
    /// If the counter is not zero any more.
    pub(super) fn check_not_reused(&self) {
        // Relaxed: nothing is read after it, and the notification has ordered what came before.
        if State(self.state.load(Ordering::Relaxed)).counter() != 0 {
            panic!("{}", Mistake::Reused);
        }
    }

    /// Counts a waiter, who then queues up; `false`, and it is not counted, if the counter is zero
    /// (2).
    pub(super) fn count_waiter(&self, locked: &mut Locked<'_, Released, ()>) -> bool {
        // Acquire: finding zero is returning from `wait`, so it pairs with the `Release` of every
        // `done`.
        let mut state = State(self.state.load(Ordering::Acquire));
        loop {
            if state.counter() == 0 {
                return false;
            }
            if state.is_waited() {
                break;
            }
            // Relaxed on success: the lock, which the last `done` will take, orders the rest.
            match (self.state).compare_exchange_weak(
                state.0,
                state.0 | WAITED,
                Ordering::Relaxed,
                Ordering::Acquire,
            ) {
                Ok(_) => break,
                Err(now) => state = State(now),
            }
        }
        locked.waiting += 1;
        true
    }

    /// A waiter has left the queue, where it stood at `ticket`.
    pub(super) fn uncount_waiter(&self, locked: &mut Locked<'_, Released, ()>, ticket: Ticket) {
        if ticket < locked.until {
            return;
        }
        locked.waiting -= 1;
        if locked.waiting == 0 {
            // Relaxed: under the lock (1).
            self.state.fetch_and(!WAITED, Ordering::Relaxed);
        }
    }
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let waiters = self.waiters.lock().waiting;
        // Relaxed: figures to look at.
        let counter = State(self.state.load(Ordering::Relaxed)).counter();
        f.debug_struct("WaitGroup")
            .field("counter", &counter)
            .field("waiters", &waiters)
            .finish()
    }
}
