//! `Notify`: wakes tasks that wait for "something happened", and remembers one such call for the
//! next to come.
//!
//! One word has the stored permit and counts the calls of
//! [`notify_waiters`](Notify::notify_waiters). A [`Notified`] reads the count when it is *made*, so
//! that between a look at one's data and the first poll no notification is lost. `notify_one` with
//! nobody waiting is one atomic operation, and so is a `notified().await` that finds the permit.
//!
//! Invariants:
//!
//! 1. QUEUED changes only under the queue's lock, and under it says whether the queue is empty.
//! 2. PERMIT is never set while QUEUED is: who would set it hands it to the first in the queue, and
//!    nobody queues up over a permit.
//! 3. A waiter that was notified by `notify_one` or `notify_last` and goes away without having seen
//!    it passes the notification on, in the same way.
//! 4. The queue's state is the ticket of the next to arrive at the last `notify_waiters`. Whoever
//!    is before it in the queue has been notified by that, though its turn is still to come, since
//!    the lock is let go to wake them: a `notify_one` is never spent on it.
#![forbid(unsafe_code)]

use std::fmt;
use std::future::Future;
use std::panic::Location;
use std::pin::Pin;
use std::task::{Context, Poll, Waker, ready};

use pin_project_lite::pin_project;
use runtime::task::coop::poll_proceed;
use runtime::task::{WaitReason, waiting};

use crate::blocking;
use crate::primitive::atomic::{AtomicUsize, Ordering};
use crate::waiters::{Batch, Locked, Ticket, Waiter, Waiters, Withdrawn};

/// A notification that nobody has taken yet.
const PERMIT: usize = 1;
/// The queue is not empty.
const QUEUED: usize = 2;
/// One call of `notify_waiters`, in the word. The count wraps; to be mistaken for a former one, a
/// future would have to be made, then left unpolled for as many calls as the word can count.
const ROUND: usize = 4;

/// Who notified a waiter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Call {
    One(End),
    All,
}

/// Whose turn it is of those who wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    First,
    Last,
}

/// Wakes tasks that wait for something to happen; carries no value.
///
/// [`notify_one`](Self::notify_one) wakes the task that has waited longest, or, if none waits, the
/// next that comes: it does not matter who is first. At most one notification is kept.
/// [`notify_waiters`](Self::notify_waiters) wakes all that wait now.
///
/// ```
/// use std::sync::{Arc, Mutex};
/// use sync::Notify;
///
/// # runtime::block_on(async {
/// let (inbox, arrived) = (Arc::new(Mutex::new(Vec::new())), Arc::new(Notify::new()));
/// let reader = runtime::spawn({
///     let (inbox, arrived) = (inbox.clone(), arrived.clone());
///     async move {
///         loop {
///             if let Some(letter) = inbox.lock().unwrap().pop() {
///                 return letter;
///             }
///             arrived.notified().await;
///         }
///     }
/// });
/// inbox.lock().unwrap().push("a letter");
/// arrived.notify_one();
/// assert_eq!(reader.await.unwrap(), "a letter");
/// # });
/// ```
///
/// With `notify_waiters` the future has to be made *before* the look, since nothing is kept for
/// those who come later:
///
/// ```
/// # use std::sync::atomic::{AtomicBool, Ordering};
/// # let (changed, done) = (sync::Notify::new(), AtomicBool::new(true));
/// # runtime::block_on(async {
/// loop {
///     let notified = changed.notified(); // not after the look: a call in between would be missed
///     if done.load(Ordering::Acquire) {
///         break;
///     }
///     notified.await;
/// }
/// # });
/// ```
///
/// **Go:** a `chan struct{}` of capacity 1 with a `select` that does not wait; for all at once, a
/// channel that is closed and replaced.
pub struct Notify {
    /// Atomic: PERMIT, QUEUED, and the count of rounds above.
    state: AtomicUsize,
    waiters: Waiters<Ticket, Call>,
}

impl Notify {
    constant! {
        /// Nothing to tell yet. It can be a `static`.
        ///
        /// ```
        /// static RELOAD: sync::Notify = sync::Notify::new();
        /// RELOAD.notify_one();
        /// ```
        ///
        /// **Go:** `make(chan struct{}, 1)`.
        pub const fn new() -> Self {
            Self {
                state: AtomicUsize::new(0),
                waiters: Waiters::new(Ticket::FIRST),
            }
        }
    }

    /// Wakes the task that has waited longest, or lets the next `notified().await` return at once.
    /// Several calls before it count as one.
    ///
    /// # Memory ordering
    ///
    /// What happened before it is visible to the task that it wakes.
    ///
    /// ```
    /// # runtime::block_on(async {
    /// let notify = sync::Notify::new();
    /// notify.notify_one();
    /// notify.notified().await;
    /// # });
    /// ```
    ///
    /// **Go:** `select { case c <- struct{}{}: default: }`.
    #[inline]
    pub fn notify_one(&self) {
        if !self.leave_permit() {
            self.notify_slow(End::First);
        }
    }

    /// As [`notify_one`](Self::notify_one), but wakes the task that came last: for workers of which
    /// the one whose caches are warm is to go on, and those that have nothing to do may see by a
    /// timeout that they are too many.
    ///
    /// A notification that a task was being given when it went away goes to the one that then came
    /// last.
    ///
    /// # Memory ordering
    ///
    /// As `notify_one`.
    ///
    /// ```
    /// use std::pin::pin;
    ///
    /// # runtime::block_on(async {
    /// let notify = sync::Notify::new();
    /// let (mut first, mut last) = (pin!(notify.notified()), pin!(notify.notified()));
    /// first.as_mut().enable();
    /// last.as_mut().enable();
    /// notify.notify_last();
    /// assert!(last.as_mut().enable() && !first.as_mut().enable());
    /// # });
    /// ```
    ///
    /// **Go:** none: channels are first come, first served.
    #[inline]
    pub fn notify_last(&self) {
        if !self.leave_permit() {
            self.notify_slow(End::Last);
        }
    }

    /// Leaves a permit, unless somebody waits.
    #[inline]
    fn leave_permit(&self) -> bool {
        let mut state = self.state.load(Ordering::Relaxed);
        while state & QUEUED == 0 {
            // Release: pairs with the `Acquire` in `take_permit`. It is done also when the permit
            // is there, so that whoever takes that sees what happened before this call, too.
            match (self.state).compare_exchange_weak(
                state,
                state | PERMIT,
                Ordering::AcqRel,
                Ordering::Relaxed,
            ) {
                Ok(_) => return true,
                Err(now) => state = now,
            }
        }
        false
    }

    #[cold]
    fn notify_slow(&self, end: End) {
        let mut locked = self.waiters.lock();
        if locked.is_called() {
            return self.notify_behind(locked, end);
        }
        let waker = self.pass_on(&mut locked, end);
        drop(locked);
        waker.into_iter().for_each(Waker::wake);
    }

    /// A `notify_waiters` is under way, and those in front are its own (4).
    #[cold]
    fn notify_behind(&self, locked: Locked<'_, Ticket, Call>, end: End) {
        let mut batch = Batch::default();
        let mut locked = locked.pass_called(&mut batch);
        self.note_if_empty(&locked);
        batch.extend(self.pass_on(&mut locked, end));
        drop(locked);
        batch.wake();
        batch.finish();
    }

    /// Notifies the one at that end of the queue, in which nobody has been called with others, or
    /// leaves a permit.
    fn pass_on(&self, locked: &mut Locked<'_, Ticket, Call>, end: End) -> Option<Waker> {
        let call = match end {
            End::First => locked.front_mut(),
            End::Last => locked.back_mut(),
        };
        let Some(call) = call else {
            // Release: as above.
            self.state.fetch_or(PERMIT, Ordering::AcqRel);
            return None;
        };
        *call = Call::One(end);
        let waker = match end {
            End::First => locked.take_front(),
            End::Last => locked.take_back(),
        };
        self.note_if_empty(locked);
        waker
    }

    fn note_if_empty(&self, locked: &Locked<'_, Ticket, Call>) {
        if locked.is_empty() {
            // Relaxed: under the lock (1).
            self.state.fetch_and(!QUEUED, Ordering::Relaxed);
        }
    }

    /// Wakes every task that waits now, and every [`Notified`] that has been made but not polled.
    /// Nothing is kept for later ones.
    ///
    /// # Memory ordering
    ///
    /// What happened before it is visible to the tasks that it wakes.
    ///
    /// ```
    /// # runtime::block_on(async {
    /// let notify = sync::Notify::new();
    /// let (first, second) = (notify.notified(), notify.notified());
    /// notify.notify_waiters();
    /// first.await;
    /// second.await;
    /// # });
    /// ```
    ///
    /// **Go:** closing a channel, and making a new one for the next time.
    pub fn notify_waiters(&self) {
        let mut locked = self.waiters.lock();
        // Release: pairs with the `Acquire` in `Notified::poll`, for those that have not queued up.
        self.state.fetch_add(ROUND, Ordering::AcqRel);
        let until = locked.ticket();
        *locked = until;
        locked.wake_until(until, |_| {}, |locked| self.note_if_empty(locked));
    }

    /// Waits for a notification. It counts from this call, not from the first poll, for
    /// [`notify_waiters`](Self::notify_waiters).
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: dropping the future gives its place up, and a notification by
    /// [`notify_one`](Self::notify_one) that it was just being given goes to the next.
    ///
    /// # Memory ordering
    ///
    /// What happened before the notification is visible.
    ///
    /// ```
    /// # runtime::block_on(async {
    /// let notify = std::sync::Arc::new(sync::Notify::new());
    /// runtime::spawn({
    ///     let notify = notify.clone();
    ///     async move { notify.notify_one() }
    /// });
    /// notify.notified().await;
    /// # });
    /// ```
    ///
    /// **Go:** `<-c`.
    #[inline]
    #[track_caller]
    pub fn notified(&self) -> Notified<'_> {
        Notified {
            notify: self,
            // Acquire: what the caller reads from here on is not older than the notifications that
            // this one does not wait for.
            round: self.state.load(Ordering::Acquire) / ROUND,
            waiter: None,
            stage: Stage::New,
            place: Location::caller(),
        }
    }

    /// Waits like [`notified`](Self::notified), blocking the thread. For threads outside the
    /// runtime.
    ///
    /// # Panics
    ///
    /// Inside a task or the body of `block_on`, which it would hold up.
    ///
    /// ```
    /// let notify = sync::Notify::new();
    /// notify.notify_one();
    /// notify.blocking_notified();
    /// ```
    ///
    /// **Go:** `<-c` on a thread of one's own.
    #[track_caller]
    pub fn blocking_notified(&self) {
        blocking::wait(
            self.notified(),
            "Notify::blocking_notified",
            "notified().await",
        );
    }

    /// Whether a future that was made in this round need not wait, in view of the word.
    #[inline]
    fn look(&self, round: usize, state: usize) -> Option<Stage> {
        if state / ROUND != round {
            return Some(Stage::Done);
        }
        self.take_permit(state).then_some(Stage::Permit)
    }

    /// Takes the permit, if there is one.
    #[inline]
    fn take_permit(&self, mut state: usize) -> bool {
        while state & PERMIT != 0 {
            // Acquire: pairs with the `Release` in `notify_one`.
            match (self.state).compare_exchange_weak(
                state,
                state & !PERMIT,
                Ordering::Acquire,
                Ordering::Relaxed,
            ) {
                Ok(_) => return true,
                Err(now) => state = now,
            }
        }
        false
    }
}

impl Default for Notify {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Notify {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Relaxed: something to look at.
        let state = self.state.load(Ordering::Relaxed);
        f.debug_struct("Notify")
            .field("permit", &(state & PERMIT != 0))
            .field("waited_for", &(state & QUEUED != 0))
            .finish()
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    New,
    Queued,
    /// It has taken the permit, and has not told its owner.
    Permit,
    Done,
}

pin_project! {
    /// Future of [`Notify::notified`]. Polled after it was ready, it is ready again.
    ///
    /// ```
    /// # runtime::block_on(async {
    /// let notify = sync::Notify::new();
    /// let notified: sync::Notified<'_> = notify.notified();
    /// notify.notify_waiters();
    /// notified.await;
    /// # });
    /// ```
    ///
    /// **Go:** a goroutine inside `<-c`.
    #[must_use = "futures do nothing unless awaited"]
    pub struct Notified<'a> {
        notify: &'a Notify,
        round: usize,
        // Made when it has to wait, as the mutex does it; there from `Queued` on.
        #[pin]
        waiter: Option<Waiter<'a, Ticket, Call>>,
        stage: Stage,
        place: &'static Location<'static>,
    }

    impl PinnedDrop for Notified<'_> {
        #[inline]
        fn drop(this: Pin<&mut Self>) {
            let this = this.project();
            match this.stage {
                Stage::New | Stage::Done => {}
                Stage::Queued | Stage::Permit => give_up(this.notify, this.waiter),
            }
        }
    }
}

impl Notified<'_> {
    /// Queues up now, without waiting: as a first poll would, it counts from here on for
    /// [`notify_one`](Notify::notify_one), too. Says whether it has been notified already; then
    /// awaiting it returns at once.
    ///
    /// For who must not miss a notification between a look and the wait, and looks at several
    /// things. Dropped, it passes on what it was given, as ever.
    ///
    /// ```
    /// use std::pin::pin;
    ///
    /// # runtime::block_on(async {
    /// let notify = sync::Notify::new();
    /// let mut first = pin!(notify.notified());
    /// assert!(!first.as_mut().enable());
    /// let mut second = pin!(notify.notified());
    /// second.as_mut().enable();
    /// notify.notify_one();
    /// assert!(first.as_mut().enable()); // it stood before the second
    /// first.await;
    /// # });
    /// ```
    ///
    /// **Go:** none; a channel keeps what was sent.
    pub fn enable(self: Pin<&mut Self>) -> bool {
        let this = self.project();
        match *this.stage {
            // The waker of the first poll takes this one's place.
            Stage::New => {
                let cx = &mut Context::from_waker(Waker::noop());
                *this.stage = start(this.notify, *this.round, this.waiter, cx);
                *this.stage != Stage::Queued
            }
            // The waker that it has is to stay.
            Stage::Queued => (this.waiter.as_pin_mut()).is_some_and(|waiter| waiter.is_notified()),
            Stage::Permit | Stage::Done => true,
        }
    }
}

impl Future for Notified<'_> {
    type Output = ();

    #[inline]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let proceed = ready!(poll_proceed(cx));
        let mut this = self.project();
        match *this.stage {
            Stage::New => {
                *this.stage = start(this.notify, *this.round, this.waiter.as_mut(), cx);
            }
            Stage::Queued if still_waits(this.waiter.as_mut(), cx) => {}
            _ => *this.stage = Stage::Done,
        }
        if *this.stage == Stage::Queued {
            waiting(WaitReason::Notify, this.place);
            return Poll::Pending;
        }
        *this.stage = Stage::Done;
        proceed.made_progress();
        Poll::Ready(())
    }
}

/// A later poll.
fn still_waits(waiter: Pin<&mut Option<Waiter<'_, Ticket, Call>>>, cx: &mut Context<'_>) -> bool {
    (waiter.as_pin_mut()).is_some_and(|waiter| waiter.poll_notified(cx).is_pending())
}

/// The first poll: notified already, or into the queue.
#[inline]
fn start<'a>(
    notify: &'a Notify,
    round: usize,
    waiter: Pin<&mut Option<Waiter<'a, Ticket, Call>>>,
    cx: &mut Context<'_>,
) -> Stage {
    // Acquire: pairs with the `Release` in `notify_waiters`.
    let state = notify.state.load(Ordering::Acquire);
    match notify.look(round, state) {
        Some(stage) => stage,
        None => queue_up(notify, round, waiter, cx),
    }
}

/// Into the queue, unless it has just been notified after all.
#[cold]
fn queue_up<'a>(
    notify: &'a Notify,
    round: usize,
    mut waiter: Pin<&mut Option<Waiter<'a, Ticket, Call>>>,
    cx: &mut Context<'_>,
) -> Stage {
    // Foreign code, so first.
    let waker = cx.waker().clone();
    waiter.set(Some(Waiter::new(&notify.waiters, Call::All)));
    let waiter = waiter.as_pin_mut().expect("set just now");
    let mut locked = notify.waiters.lock();
    let mut state = notify.state.load(Ordering::Acquire);
    loop {
        if let Some(stage) = notify.look(round, state) {
            drop(locked);
            return stage;
        }
        // Permits come and go without the lock; rounds do not. Clear of PERMIT, so that nobody
        // queues up over one (2).
        let clear = state & !PERMIT;
        match (notify.state).compare_exchange_weak(
            clear,
            clear | QUEUED,
            Ordering::Relaxed,
            Ordering::Acquire,
        ) {
            Ok(_) => break,
            Err(now) => state = now,
        }
    }
    waiter.enqueue(&mut locked, waker);
    Stage::Queued
}

/// Takes a waiter back that is dropped before it has seen a notification (invariant 3).
#[cold]
fn give_up(notify: &Notify, waiter: Pin<&mut Option<Waiter<'_, Ticket, Call>>>) {
    let Some(waiter) = waiter.as_pin_mut() else {
        // It has the permit.
        return notify.notify_one();
    };
    if waiter.is_idle() {
        // The permit came when it was about to queue up.
        return notify.notify_one();
    }
    let mut locked = notify.waiters.lock();
    let note = waiter.note();
    let withdrawn = waiter.withdraw(&mut locked);
    if let Withdrawn::Waiting(..) = withdrawn {
        notify.note_if_empty(&locked);
    }
    drop(locked);
    match (&withdrawn, note) {
        (Withdrawn::Notified, Some(Call::One(End::First))) => notify.notify_one(),
        (Withdrawn::Notified, Some(Call::One(End::Last))) => notify.notify_last(),
        _ => {}
    }
    drop(withdrawn);
}

impl fmt::Debug for Notified<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Notified")
            .field("stage", &self.stage)
            .finish_non_exhaustive()
    }
}
