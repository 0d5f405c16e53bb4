//! Paused time: a clock that stands still while tasks run, and jumps when all of them wait.
//!
//! The calls here go to the current runtime's [`Timeline`](super::Timeline); what moves it is
//! `scheduler/stillness.rs`.
//!
//! *Rejected*: time that goes on whenever no worker is busy, whatever else goes on. A test with a
//! blocking job or a socket then times out before the answer is there, and only on a slow machine.
#![forbid(unsafe_code)]

use std::fmt;
use std::future::Future;
use std::panic::Location;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use super::Wish;
use super::clock;
use crate::handle::NO_RUNTIME;
use crate::scheduler::{Scheduler, current};
use crate::task::{WaitReason, coop, waiting};

/// Stops the clock of the current runtime. Where it stands already, nothing happens.
///
/// From now on time stands still while any task can run. When all tasks wait, and none of them for
/// a descriptor, it jumps to the next timer: a sleep of an hour takes no time, and timers fire in
/// their order and exactly at their deadlines. A test says it best from the beginning:
/// `#[runtime::test(start_paused = true)]`, or
/// [`Builder::start_paused`](crate::Builder::start_paused), where it is reproducible besides.
///
/// The clock does not move by itself
///
/// - while a task runs, or blocks its thread, in `block_in_place` too;
/// - while a job of [`spawn_blocking`](crate::spawn_blocking) waits or runs;
/// - while a task waits for a socket: the other side may be about to send. So no timeout comes
///   before an answer that is on its way; [`advance`] moves time in spite of it;
/// - while no thread is inside `block_on`, as when a test's body has ended;
/// - while a thread inside `block_on` runs.
///
/// Where it stands for long although timers wait, the reason is printed on stderr. Threads that are
/// no part of the runtime are not seen.
///
/// All of this runtime's time goes by this clock: sleeps, tickers, timeouts, deadlines of sockets
/// and of contexts, and [`Instant::now`](super::Instant::now) in its tasks.
/// [`std::time::Instant::now`] and `SystemTime` do not: they go on. An [`Instant`](super::Instant)
/// that is converted to std's, or from it, keeps its distance from the moment at which the runtime
/// began. Other runtimes of the process have their own clocks.
///
/// # Panics
///
/// If there is no runtime.
///
/// ```
/// use runtime::time;
/// use std::time::Duration;
///
/// # runtime::block_on(async {
/// time::pause();
/// let start = time::Instant::now();
/// time::sleep(Duration::from_secs(365 * 24 * 3600)).await;
/// assert_eq!(start.elapsed(), Duration::from_secs(365 * 24 * 3600));
/// # });
/// ```
///
/// **Go:** the clock inside `synctest.Test`, which runs from the beginning in this way.
#[track_caller]
pub fn pause() {
    scheduler("pause").pause_clock();
}

/// Lets the clock of the current runtime run on from where it stands. Where it runs, nothing
/// happens.
///
/// Who waits in [`advance`] or [`settle`] is woken, and goes on.
///
/// # Panics
///
/// If there is no runtime.
///
/// ```
/// use runtime::time;
///
/// # runtime::block_on(async {
/// time::pause();
/// assert!(time::is_paused());
/// time::resume();
/// assert!(!time::is_paused());
/// # });
/// ```
///
/// **Go:** nothing like it.
#[track_caller]
pub fn resume() {
    scheduler("resume").resume_clock();
}

/// Whether the clock of the current runtime is paused; `false` where there is no runtime.
///
/// ```
/// assert!(!runtime::time::is_paused());
/// ```
///
/// **Go:** nothing like it.
pub fn is_paused() -> bool {
    current::with_timeline(|timeline| timeline.is_some_and(super::Timeline::is_paused))
}

/// Moves a paused clock forward by `duration`, from one timer to the next, and returns when
/// everything that was to happen by then has happened.
///
/// It waits until no other task can run; moves the clock to the first timer; lets the tasks that it
/// wakes run until they all wait again; and so on until the time has passed, the tasks of the last
/// moment included. So each task sees its timers exactly at their deadlines, and what it does then
/// happens before anything later does. Tasks that wait for a socket do not keep it, other than they
/// do the clock that moves by itself; blocking jobs do.
///
/// # Cancel safety
///
/// Cancel safe; the clock stays where it has come to.
///
/// # Panics
///
/// If there is no runtime, if its clock is not paused, or if it cannot express the time to come,
/// which lies centuries ahead.
///
/// ```
/// use runtime::time;
/// use std::time::Duration;
///
/// # runtime::block_on(async {
/// time::pause();
/// let task = runtime::spawn(async {
///     time::sleep(Duration::from_secs(1)).await;
///     time::sleep(Duration::from_secs(1)).await;
/// });
/// time::advance(Duration::from_secs(1)).await;
/// assert!(!task.is_finished());
/// time::advance(Duration::from_secs(1)).await;
/// assert!(task.is_finished());
/// # });
/// ```
///
/// **Go:** `synctest.Sleep(d)`: `time.Sleep(d)` and then `synctest.Wait()`.
#[track_caller]
pub fn advance(duration: Duration) -> Advance {
    Advance(Wait::new("advance", Some(duration)))
}

/// Waits until no other task of the runtime can run, without moving its paused clock.
///
/// Then everything that could happen at this moment has happened, and a test can look at it. Tasks
/// wait for channels, locks, timers, each other, or for a socket that has nothing for them now;
/// blocking jobs have ended. If several tasks wait for it they go on one by one, in the order in
/// which they came, each when all others wait again. What the other tasks have done is visible to
/// the one that goes on.
///
/// # Cancel safety
///
/// Cancel safe; nothing happens by it.
///
/// # Panics
///
/// If there is no runtime, or if its clock is not paused.
///
/// ```
/// use runtime::time;
/// use std::sync::atomic::{AtomicBool, Ordering};
/// use std::sync::Arc;
///
/// # runtime::block_on(async {
/// time::pause();
/// let done = Arc::new(AtomicBool::new(false));
/// let flag = done.clone();
/// runtime::spawn(async move { flag.store(true, Ordering::Relaxed) });
/// time::settle().await;
/// assert!(done.load(Ordering::Relaxed));
/// # });
/// ```
///
/// **Go:** `synctest.Wait()`, for one goroutine at a time; there network I/O keeps it waiting.
#[track_caller]
pub fn settle() -> Settle {
    Settle(Wait::new("settle", None))
}

/// Future of [`advance`].
///
/// ```
/// # let rt = runtime::Builder::new().start_paused(true).build()?;
/// # rt.block_on(async {
/// let advance: runtime::time::Advance = runtime::time::advance(std::time::Duration::from_secs(60));
/// advance.await;
/// # });
/// # Ok::<(), std::io::Error>(())
/// ```
///
/// **Go:** none.
#[must_use = "futures do nothing unless awaited"]
pub struct Advance(Wait);

/// Future of [`settle`].
///
/// ```
/// # let rt = runtime::Builder::new().start_paused(true).build()?;
/// # rt.block_on(async {
/// let settle: runtime::time::Settle = runtime::time::settle();
/// settle.await;
/// # });
/// # Ok::<(), std::io::Error>(())
/// ```
///
/// **Go:** none.
#[must_use = "futures do nothing unless awaited"]
pub struct Settle(Wait);

impl Future for Advance {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        self.0.poll(cx)
    }
}

impl Future for Settle {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        self.0.poll(cx)
    }
}

/// A wish that is entered at the first poll and withdrawn on drop.
struct Wait {
    scheduler: Arc<Scheduler>,
    /// How far to move the clock, or not at all.
    by: Option<Duration>,
    /// What the first poll entered.
    entered: Option<u64>,
    place: &'static Location<'static>,
}

impl Wait {
    #[track_caller]
    fn new(name: &str, by: Option<Duration>) -> Self {
        let scheduler = scheduler(name);
        assert!(
            scheduler.timeline().is_paused(),
            "time::{name}: the clock of this runtime runs; call time::pause() first, or use #[runtime::test(start_paused = true)]"
        );
        if let Some(by) = by {
            let at = scheduler.timeline().now().saturating_add(clock::nanos(by));
            assert!(
                clock::in_reach(at) != clock::NEVER,
                "time::{name}({by:?}): the clock cannot express the time to come; advance by some years at the most"
            );
        }
        Self {
            scheduler,
            by,
            entered: None,
            place: Location::caller(),
        }
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let proceed = ready!(coop::poll_proceed(cx));
        let timeline = self.scheduler.timeline();
        // A clone in either case, made while nothing is locked.
        let waker = cx.waker().clone();
        let waits = match self.entered {
            Some(id) => timeline.renew(id, waker),
            None => {
                let wish = match self.by {
                    None => Wish::Stillness,
                    Some(by) => Wish::Time(timeline.now().saturating_add(clock::nanos(by))),
                };
                self.entered = timeline.enter(wish, waker);
                // A worker asks when it has no task left. Where this is no task of theirs they may
                // all sleep by now.
                if !current::is_on(&self.scheduler) {
                    self.scheduler.reconsider_clock();
                }
                self.entered.is_some()
            }
        };
        if waits {
            if timeline.is_closed() && !current::ends_after_poll(cx.waker()) {
                shut_down(self.place);
            }
            let reason = self.by.map_or(WaitReason::Settle, |_| WaitReason::Sleep);
            waiting(reason, self.place);
            return Poll::Pending;
        }
        proceed.made_progress();
        Poll::Ready(())
    }
}

#[cold]
fn shut_down(made_at: &Location<'_>) -> ! {
    panic!(
        "the runtime has shut down: nobody moves its clock any more; keep the Runtime for as long as something is awaited on it \
         (this was awaited at {made_at})"
    );
}

impl Drop for Wait {
    fn drop(&mut self) {
        if let Some(id) = self.entered {
            self.scheduler.timeline().withdraw(id);
        }
    }
}

#[track_caller]
fn scheduler(name: &str) -> Arc<Scheduler> {
    match current::scheduler() {
        Some(scheduler) => scheduler,
        // Not in a closure, for which the caller's place would be this one.
        None => panic!("time::{name}: {NO_RUNTIME}"),
    }
}

impl fmt::Debug for Wait {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Wait")
            .field("by", &self.by)
            .field("entered", &self.entered)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Advance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Advance")
            .field("by", &self.0.by)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Settle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Settle").finish_non_exhaustive()
    }
}
