//! [`Sleep`]: a future that is ready when its time has come.
//!
//! It holds its deadline, the place where it was made (for the dump), and the [`Entry`] that goes
//! into a wheel: 64 bytes, one cache line. Nothing happens before the first poll. A poll that finds
//! the deadline passed never touches a wheel; the first that does not arms the entry on the wheel
//! of the thread that polls. Later polls compare wakers and are done: no lock, no look at the
//! clock.
//!
//! *Rejected*: computing "is it time?" from the clock on each poll. A future in a `select!` loop is
//! polled far more often than it fires.
#![forbid(unsafe_code)]

use std::fmt;
use std::future::Future;
use std::panic::Location;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use pin_project_lite::pin_project;

use super::Instant;
use super::clock::{self, NEVER, RELATIVE};
use super::entry::{Entry, NotArmed, State};
use super::wheel::IDLE;
use crate::handle::NO_RUNTIME;
use crate::scheduler::current;
use crate::task::{WaitReason, coop, waiting};

/// Deadlines from here on are "never": the numbers above are the wheel's marks.
const FOREVER: u64 = IDLE;

/// Waits until `duration` has passed since this call.
///
/// It never takes less, and on an idle machine about a tenth of a millisecond more at most: the
/// timer counts in ticks of 33 µs, and a thread has to wake up. [`Duration::ZERO`] is ready at
/// once. A duration that the clock cannot express, such as [`Duration::MAX`], is for ever.
///
/// # Panics
///
/// The future panics when it is polled, has to wait, and there is no runtime.
///
/// # Cancel safety
///
/// Cancel safe: dropping the future cancels the timer at once. A new call starts anew; to go on
/// waiting for the same moment, keep the future, or use [`sleep_until`].
///
/// ```
/// use runtime::time::{self, Instant};
/// use std::time::Duration;
///
/// # runtime::block_on(async {
/// let start = Instant::now();
/// time::sleep(Duration::from_millis(2)).await;
/// assert!(start.elapsed() >= Duration::from_millis(2));
/// # });
/// ```
///
/// **Go:** `time.Sleep(d)`, and in a `select!` `<-time.After(d)`.
#[track_caller]
pub fn sleep(duration: Duration) -> Sleep {
    Sleep::new(clock::deadline_after(duration), Location::caller())
}

/// Waits until `deadline`; ready at once if it has passed.
///
/// # Panics
///
/// As [`sleep()`].
///
/// # Cancel safety
///
/// Cancel safe; a new call with the same deadline goes on where the dropped one was.
///
/// ```
/// use runtime::time::{self, Instant};
/// use std::time::Duration;
///
/// # runtime::block_on(async {
/// let deadline = Instant::now() + Duration::from_millis(2);
/// time::sleep_until(deadline).await;
/// assert!(Instant::now() >= deadline);
/// # });
/// ```
///
/// **Go:** `time.Sleep(time.Until(t))`.
#[track_caller]
pub fn sleep_until(deadline: Instant) -> Sleep {
    Sleep::new(clock::in_reach(deadline.as_nanos()), Location::caller())
}

pin_project! {
    /// Future of [`sleep()`] and [`sleep_until`].
    ///
    /// It may be kept, polled again, and [`reset`](Self::reset). Polled after it was ready, it is
    /// ready again. It may move to another task or another thread between polls (in a `Box`, say):
    /// the task that polled last is woken. Outliving its runtime, it finds the next one at its next
    /// poll.
    ///
    /// ```
    /// use runtime::time;
    /// use std::time::Duration;
    ///
    /// # runtime::block_on(async {
    /// let mut sleep = std::pin::pin!(time::sleep(Duration::from_millis(1)));
    /// sleep.as_mut().await;
    /// assert!(sleep.is_elapsed());
    /// # });
    /// ```
    ///
    /// **Go:** a `*time.Timer` and its channel.
    #[must_use = "futures do nothing unless awaited"]
    pub struct Sleep {
        #[pin]
        entry: Entry,
        deadline: u64,
        place: &'static Location<'static>,
    }
}

impl Sleep {
    /// `deadline`: of `clock::deadline_after`, or a moment in its reach. Inlined, as are the other
    /// parts of a timer that is made and dropped without being armed: a limit around what is ready
    /// is a few stores then.
    #[inline]
    pub(super) fn new(deadline: u64, place: &'static Location<'static>) -> Self {
        Self {
            entry: Entry::new(),
            deadline,
            place,
        }
    }

    /// When it will be ready, or was.
    ///
    /// ```
    /// use runtime::time::{self, Instant};
    /// use std::time::Duration;
    ///
    /// let deadline = Instant::now() + Duration::from_secs(1);
    /// assert_eq!(time::sleep_until(deadline).deadline(), deadline);
    /// ```
    ///
    /// **Go:** no counterpart; a `Timer` does not tell.
    pub fn deadline(&self) -> Instant {
        match self.deadline {
            at if !is_relative(at) => Instant::from_nanos(at),
            relative => Instant::after(Duration::from_nanos(relative - RELATIVE)),
        }
    }

    /// Whether the deadline has passed, by the clock.
    ///
    /// ```
    /// use runtime::time;
    /// use std::time::Duration;
    ///
    /// assert!(time::sleep(Duration::ZERO).is_elapsed());
    /// assert!(!time::sleep(Duration::from_secs(60)).is_elapsed());
    /// ```
    ///
    /// **Go:** no counterpart.
    pub fn is_elapsed(&self) -> bool {
        self.deadline < RELATIVE && clock::now() >= self.deadline
    }

    /// Sets another deadline, also after it was ready; it never completes for the old one, not even
    /// when the old one has passed and its task has been woken.
    ///
    /// A later deadline, as for an idle timeout that is put off with each message, costs one atomic
    /// exchange; an earlier one moves the timer. If the task was waiting it is woken at the new
    /// deadline, unless the old one came first: so poll it again.
    ///
    /// ```
    /// use runtime::time::{self, Instant};
    /// use std::time::Duration;
    ///
    /// # runtime::block_on(async {
    /// let mut idle = std::pin::pin!(time::sleep(Duration::from_secs(60)));
    /// idle.as_mut().reset(Instant::now() + Duration::from_millis(1));
    /// idle.await;
    /// # });
    /// ```
    ///
    /// **Go:** `t.Reset(d)`.
    pub fn reset(self: Pin<&mut Self>, deadline: Instant) {
        let mut this = self.project();
        let deadline = clock::in_reach(deadline.as_nanos());
        *this.deadline = deadline;
        if deadline < FOREVER && this.entry.as_mut().postpone(deadline) {
            return;
        }
        let Some(waker) = this.entry.as_mut().cancel() else {
            this.entry.acknowledge();
            return;
        };
        // It was armed: it stays so, with the waker that it had, for its task may not poll again
        // before it is woken.
        if deadline >= FOREVER {
            return;
        }
        let Some((timers, owned)) = current::timers() else {
            // Outside of any runtime there is no wheel at hand. The task finds one when it polls.
            waker.wake();
            return;
        };
        let now = clock::now();
        match this.entry.arm(deadline, now, waker, timers, owned) {
            Ok(alert) => alert.ring(),
            Err(NotArmed::Due(waker) | NotArmed::Closed(waker)) => waker.wake(),
        }
    }

    /// The poll, without budget and wait reason, for futures that contain a sleep.
    #[inline]
    pub(super) fn poll_deadline(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let mut this = self.as_mut().project();
        match this.entry.as_mut().refresh(cx.waker()) {
            State::Fired => Poll::Ready(()),
            State::Armed => Poll::Pending,
            State::Idle if *this.deadline >= RELATIVE => self.start_late(cx),
            State::Idle => self.start(clock::now(), cx),
        }
    }

    /// A sleep that is for ever, or that begins now.
    #[cold]
    fn start_late(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        if is_relative(self.deadline) {
            let limit = self.deadline - RELATIVE;
            return self.as_mut().poll_first(limit, cx);
        }
        Poll::Pending
    }

    /// The first poll of a sleep whose deadline was not known: it is `limit` nanoseconds from now.
    pub(super) fn poll_first(
        mut self: Pin<&mut Self>,
        limit: u64,
        cx: &mut Context<'_>,
    ) -> Poll<()> {
        let now = clock::now();
        let deadline = now.saturating_add(limit);
        if deadline >= RELATIVE {
            *self.as_mut().project().deadline = NEVER;
            return Poll::Pending;
        }
        *self.as_mut().project().deadline = deadline;
        self.start(now, cx)
    }

    /// The first poll, or the first after a reset: is it time, and if not, arm.
    fn start(self: Pin<&mut Self>, now: u64, cx: &mut Context<'_>) -> Poll<()> {
        let this = self.project();
        if now >= *this.deadline {
            this.entry.expire();
            return Poll::Ready(());
        }
        let Some((timers, owned)) = current::timers() else {
            no_runtime(this.place);
        };
        let waker = cx.waker().clone();
        match this.entry.arm(*this.deadline, now, waker, timers, owned) {
            Ok(alert) => {
                alert.ring();
                Poll::Pending
            }
            Err(NotArmed::Due(_)) => Poll::Ready(()),
            Err(NotArmed::Closed(waker)) if current::ends_after_poll(&waker) => Poll::Pending,
            Err(NotArmed::Closed(_)) => shut_down(this.place),
        }
    }
}

impl Future for Sleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let proceed = ready!(coop::poll_proceed(cx));
        if self.as_mut().poll_deadline(cx).is_pending() {
            waiting(WaitReason::Sleep, self.place);
            return Poll::Pending;
        }
        proceed.made_progress();
        Poll::Ready(())
    }
}

impl fmt::Debug for Sleep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sleep")
            .field("deadline", &self.deadline())
            .field("state", &self.entry.state())
            .finish_non_exhaustive()
    }
}

fn is_relative(deadline: u64) -> bool {
    (RELATIVE..FOREVER).contains(&deadline)
}

#[cold]
fn no_runtime(made_at: &Location<'_>) -> ! {
    panic!(
        "{NO_RUNTIME} (the timer was made at {made_at}, has to wait, and no runtime is there to wake it)"
    );
}

#[cold]
fn shut_down(made_at: &Location<'_>) -> ! {
    panic!(
        "the runtime has shut down: its timers wake nobody any more; keep the Runtime for as long as something is awaited on it \
         (the timer was made at {made_at}, and has to wait)"
    );
}

/// One cache line (loom's cells are larger).
const _: () = assert!(cfg!(loom) || size_of::<Sleep>() <= 64);

const _: () = {
    const fn send_and_sync<T: Send + Sync>() {}
    send_and_sync::<Sleep>();
};
