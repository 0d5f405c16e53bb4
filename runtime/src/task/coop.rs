//! The operation budget: how a task that always finds its channels and sockets ready still lets
//! others run.
//!
//! Each poll of a task starts with 128 units. A leaf operation asks [`poll_proceed`] before it does
//! anything and spends a unit only if it made progress, so that a combinator over many waiting
//! futures can always register them all. When the budget is spent the leaf returns `Pending`,
//! having woken its own task, which therefore goes to the back of the run queue.
//!
//! The budget belongs to the poll, not to the future: code that runs outside a task of this runtime
//! is unconstrained.
//!
//! A poll that is refused and refused and does not return has an executor inside that asks again at
//! once, such as a `block_on` of another library. No refusal ever makes it return, so that after
//! very many of them in one poll it gets another budget.
#![forbid(unsafe_code)]

use std::cell::Cell;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use pin_project_lite::pin_project;

use super::{preempt, waker};
pub use crate::scheduler::contention::contended;
use crate::scheduler::current;

/// Units a poll starts with. The value is Tokio's; at some tens of nanoseconds an operation it is a
/// few microseconds of work.
pub(crate) const BUDGET: i64 = 128;

/// A poll that has spent so many units is one of those that [`poll_give_way`] is about. A guess:
/// more than most tasks do between two waits, and so few that a yield beside them is cheap.
const BUSY: i64 = 8;

/// So many refusals in one poll, and it goes on with another budget. A guess: more than most tasks
/// have futures side by side, each of which is refused once and has the poll return; few enough
/// that an executor inside goes on at a tenth of its speed.
const STUBBORN: i64 = 8 * BUDGET;

/// The budget of code that is not constrained. It is spent like any other, so that spending needs
/// no branch: that takes centuries.
const UNCONSTRAINED: i64 = i64::MAX;

thread_local! {
    /// What this thread's poll may still spend; more than [`BUDGET`] if it is not constrained.
    /// Below zero the refusals are counted, and what nested operations have spent.
    static LEFT: Cell<i64> = const { Cell::new(UNCONSTRAINED) };
}

/// Permission for one leaf operation, from [`poll_proceed`].
///
/// ```
/// # runtime::block_on(async {
/// use runtime::task::coop::{Proceed, poll_proceed};
///
/// let proceed: Proceed = std::future::poll_fn(|cx| poll_proceed(cx)).await;
/// proceed.made_progress();
/// # });
/// ```
///
/// **Go:** none: goroutines are stopped from outside.
#[derive(Debug)]
#[must_use = "call `made_progress` once the operation is done"]
pub struct Proceed(());

impl Proceed {
    /// Spends the unit. Call it when the operation completes, and not when it returns `Pending`.
    ///
    /// ```
    /// # runtime::block_on(async {
    /// let proceed = std::future::poll_fn(|cx| runtime::task::coop::poll_proceed(cx)).await;
    /// // … the operation …
    /// proceed.made_progress();
    /// # });
    /// ```
    ///
    /// **Go:** none.
    #[inline]
    pub fn made_progress(self) {
        LEFT.set(LEFT.get().wrapping_sub(1));
    }
}

/// Asks whether the current task may do one more operation in this poll.
///
/// Returns `Pending`, and has then woken the task, when the budget of this poll is spent; the
/// caller returns `Pending` in turn and has done nothing. Authors of leaf futures call it first
/// thing in `poll`.
///
/// ```
/// use std::task::{Context, Poll, ready};
///
/// pub fn poll_pop(queue: &mut Vec<u32>, cx: &mut Context<'_>) -> Poll<Option<u32>> {
///     let proceed = ready!(runtime::task::coop::poll_proceed(cx));
///     let item = queue.pop();
///     proceed.made_progress();
///     Poll::Ready(item)
/// }
/// # let _ = poll_pop;
/// ```
///
/// **Go:** none: goroutines are stopped from outside.
#[inline]
pub fn poll_proceed(cx: &mut Context<'_>) -> Poll<Proceed> {
    if LEFT.get() <= 0 || preempt::is_asked() {
        return exhausted(cx);
    }
    Poll::Ready(Proceed(()))
}

#[cold]
#[inline(never)]
fn exhausted(cx: &mut Context<'_>) -> Poll<Proceed> {
    let left = LEFT.get();
    if left > BUDGET {
        return Poll::Ready(Proceed(()));
    }
    if left < -STUBBORN {
        preempt::begin();
        LEFT.set(BUDGET);
        return Poll::Ready(Proceed(()));
    }
    LEFT.set(left.min(0) - 1);
    current::with_worker(|worker| {
        if let Some(worker) = worker {
            worker.count_budget_yield();
        }
    });
    cx.waker().wake_by_ref();
    Poll::Pending
}

/// Asks whether the current task is to let others run before it gets in line for something that is
/// taken.
///
/// It is if it has done some operations in this poll already, and is polled with the task's own
/// waker: then this returns `Pending`, and has woken the task. (One that is polled with another
/// waker, as by a test or a set of futures, gets in line at once: who polls it may count on its
/// place there.) Authors of locks ask once an operation, when they find the lock taken; the next
/// time they get in line. Who holds the lock, or was handed it and has not run since, may be
/// through by then, so that nobody has to wait for a turn. Else those who are handed a lock one
/// after the other, and each do one operation before they wait again, never come out of it (a lock
/// convoy).
///
/// ```
/// use std::task::{Context, Poll, ready};
///
/// /// `yielded` is false at first.
/// pub fn poll_taken(yielded: &mut bool, cx: &mut Context<'_>) -> Poll<()> {
///     if !std::mem::replace(yielded, true) {
///         ready!(runtime::task::coop::poll_give_way(cx));
///     }
///     // … gets in line …
///     Poll::Pending
/// }
/// # let _ = poll_taken;
/// ```
///
/// **Go:** none; its mutex spins before it sleeps.
#[cold]
pub fn poll_give_way(cx: &mut Context<'_>) -> Poll<()> {
    // Nor where nothing is constrained, and none else is to run.
    if LEFT.get() > BUDGET - BUSY || waker::address_of(cx.waker()).is_none() {
        return Poll::Ready(());
    }
    cx.waker().wake_by_ref();
    Poll::Pending
}

/// Spends one unit of the budget, yielding to other tasks first if none is left.
///
/// For long computations inside a task: call it once an iteration.
///
/// # Cancel safety
///
/// Cancel safe: nothing is spent before it completes.
///
/// ```
/// # runtime::block_on(async {
/// let mut sum = 0u64;
/// for i in 0..10_000 {
///     sum += i;
///     runtime::task::coop::consume_budget().await;
/// }
/// # assert_eq!(sum, 49_995_000);
/// # });
/// ```
///
/// **Go:** `runtime.Gosched()` now and then; there it is not needed.
pub async fn consume_budget() {
    std::future::poll_fn(|cx| {
        ready!(poll_proceed(cx)).made_progress();
        Poll::Ready(())
    })
    .await
}

/// Runs a future without a budget: it never yields because of it.
///
/// Everything polled inside may starve its neighbours, as a Tokio `unconstrained` does; prefer
/// [`consume_budget`] in loops.
///
/// # Cancel safety
///
/// That of the future inside.
///
/// ```
/// # runtime::block_on(async {
/// use runtime::task::coop::unconstrained;
///
/// let answer = unconstrained(async { 6 * 7 }).await;
/// assert_eq!(answer, 42);
/// # });
/// ```
///
/// **Go:** none.
pub fn unconstrained<F: Future>(future: F) -> Unconstrained<F> {
    Unconstrained { future }
}

pin_project! {
    /// Future of [`unconstrained`].
    ///
    /// ```
    /// # runtime::block_on(async {
    /// use runtime::task::coop::{Unconstrained, unconstrained};
    /// use std::future::Ready;
    ///
    /// let future: Unconstrained<Ready<u32>> = unconstrained(std::future::ready(42));
    /// assert_eq!(future.await, 42);
    /// # });
    /// ```
    ///
    /// **Go:** none.
    #[derive(Debug)]
    #[must_use = "futures do nothing unless awaited"]
    pub struct Unconstrained<F> {
        #[pin]
        future: F,
    }
}

impl<F: Future> Future for Unconstrained<F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let _restore = stop();
        self.project().future.poll(cx)
    }
}

/// Starts a poll with a full budget; the guard puts back what was there before.
#[inline]
pub(crate) fn start() -> Restore {
    preempt::begin();
    set(BUDGET)
}

/// No budget until the guard is dropped.
pub(crate) fn stop() -> Restore {
    set(UNCONSTRAINED)
}

#[inline]
fn set(units: i64) -> Restore {
    Restore(LEFT.replace(units))
}

/// Puts the previous budget back when dropped, also when the poll panics.
#[derive(Debug)]
pub(crate) struct Restore(i64);

impl Drop for Restore {
    #[inline]
    fn drop(&mut self) {
        LEFT.set(self.0);
    }
}
