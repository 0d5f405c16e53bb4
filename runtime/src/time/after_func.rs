//! [`after_func()`]: calls a function in a task of its own when a time has passed.
//!
//! There is no task until then. The timer's waker is the timer itself: when the wheel wakes it, it
//! spawns the task. So a timer costs three small allocations, and what waits in the wheel keeps it
//! alive, whether or not anyone holds the handle.
//!
//! ```text
//! wheel ──waker──► Core ◄── Timer (any number)        fire: due += 1, spawn a run unless one is under way
//!                  │   ▲                              run:  call f; due -= 1; spawn the next if more are due
//!            entry ┘   └── Run (at most one)
//! ```
//!
//! # Invariants
//!
//! 1. Each firing is counted once, by whoever first sees the entry fired: its waker on the way in,
//!    or a `reset` that overtakes it.
//! 2. `running` while a [`Run`] exists; there is at most one, so that `f` is never called twice at
//!    a time.
//! 3. Lock order: `state`, then the wheel's lock. `f` is locked by the one `Run` only, never waited
//!    for, and held with neither.
//! 4. No waker is called or dropped under `state`.
#![forbid(unsafe_code)]

use std::fmt;
use std::mem;
use std::panic::Location;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Wake, Waker};
use std::time::Duration;

use super::clock;
use super::entry::{Alert, Entry, NotArmed, State};
use super::timers::Timers;
use super::wheel::IDLE;
use crate::handle::{Handle, NO_RUNTIME};
use crate::scheduler::current;

/// Calls `f` in a task of its own once `delay` has passed.
///
/// The handle may be dropped; the call happens all the same. `f` is `FnMut`, since [`Timer::reset`]
/// lets it run again: a later run waits until the one before has returned. It is called on a worker
/// thread and should not block. To await something, spawn in it. When the runtime shuts down first,
/// `f` is dropped without a call. A delay that the clock cannot express is never over.
///
/// A panic in `f` ends that run only, as in any task.
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
/// let (tx, rx) = std::sync::mpsc::channel();
/// let timer = time::after_func(Duration::from_millis(1), move || tx.send(()).unwrap());
/// runtime::spawn_blocking(move || rx.recv()).await.unwrap().unwrap();
/// assert!(!timer.stop()); // it has run
/// # });
/// ```
///
/// **Go:** `time.AfterFunc(d, f)`; there two runs may overlap.
#[track_caller]
pub fn after_func<F>(delay: Duration, f: F) -> Timer
where
    F: FnMut() + Send + 'static,
{
    let (Ok(handle), Some((home, _))) = (Handle::try_current(), current::timers()) else {
        panic!("time::after_func: {NO_RUNTIME}");
    };
    let core = Arc::new(Core {
        state: Mutex::new(CoreState {
            entry: Box::pin(Entry::new()),
            for_never: false,
            due: 0,
            running: false,
        }),
        f: Mutex::new(Box::new(f)),
        handle,
        home,
        made_at: Location::caller(),
    });
    let timer = Timer { core };
    timer.reset(delay);
    timer
}

/// A call to come; made by [`after_func()`]. Its clones are the same timer. Dropping it changes
/// nothing.
///
/// ```
/// use runtime::time::{self, Timer};
/// use std::time::Duration;
///
/// # runtime::block_on(async {
/// let timer: Timer = time::after_func(Duration::from_secs(60), || unreachable!());
/// assert!(timer.stop());
/// assert!(!timer.stop());
/// # });
/// ```
///
/// **Go:** `*time.Timer`, as `time.AfterFunc` returns it.
#[derive(Clone)]
pub struct Timer {
    core: Arc<Core>,
}

impl Timer {
    /// Prevents the call, and returns whether it did: `true` means that the function will not be
    /// called for the time that was set, `false` that its run has begun or is about to, or that the
    /// timer had been stopped.
    ///
    /// Exact also in a race with the timer. It does not wait for a run that has begun. A timer that
    /// is set for never counts as set.
    ///
    /// ```
    /// use runtime::time;
    /// use std::time::Duration;
    ///
    /// # runtime::block_on(async {
    /// let timer = time::after_func(Duration::from_secs(60), || println!("a minute has passed"));
    /// assert!(timer.stop());
    /// # });
    /// ```
    ///
    /// **Go:** `t.Stop()`.
    pub fn stop(&self) -> bool {
        let (was_set, old_waker) = self.core.lock().unset();
        drop(old_waker);
        was_set
    }

    /// Sets the call for `delay` from now, and returns whether one was to come, which then does not
    /// happen at its old time.
    ///
    /// Where the time had come already, this is one more run. On a runtime that has shut down it
    /// does nothing.
    ///
    /// ```
    /// use runtime::time;
    /// use std::time::Duration;
    ///
    /// # runtime::block_on(async {
    /// let idle = time::after_func(Duration::from_secs(60), || println!("idle for a minute"));
    /// assert!(idle.reset(Duration::from_secs(60))); // there was a sign of life
    /// # idle.stop();
    /// # });
    /// ```
    ///
    /// **Go:** `t.Reset(d)`.
    pub fn reset(&self, delay: Duration) -> bool {
        // The clock of its own runtime, from wherever it is set.
        let now = self.core.now();
        let deadline = now.saturating_add(clock::nanos(delay));
        // Cloned and called out of the lock (invariant 4).
        let waker = Waker::from(self.core.clone());
        let (was_set, old_waker, armed, run) = {
            let mut state = self.core.lock();
            let (was_set, old_waker) = state.unset();
            // Fired, and its waker not here yet: we count for it, and it will find nothing to count
            // (invariant 1).
            state.count_firing();
            let armed = self.core.arm(&mut state, deadline, now, waker);
            // Over already: the wheel did not take it, and so will not wake it.
            state.count_firing();
            (was_set, old_waker, armed, state.next_run())
        };
        drop(old_waker);
        if let Ok(alert) = armed {
            alert.ring();
        }
        if run {
            self.core.clone().spawn_run();
        }
        was_set
    }
}

impl fmt::Debug for Timer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Timer")
            .field("active", &self.core.lock().is_set())
            .field("made_at", &format_args!("{}", self.core.made_at))
            .finish_non_exhaustive()
    }
}

/// The timer: shared by its handles, by the wheel's waker while armed, and by a run.
struct Core {
    state: Mutex<CoreState>,
    /// The function. Locked by the one [`Run`].
    f: Mutex<Box<dyn FnMut() + Send>>,
    /// Where it runs.
    handle: Handle,
    /// The wheel of the runtime that it was made on: it lives and ends with that one, from wherever
    /// it is reset.
    home: &'static Timers,
    made_at: &'static Location<'static>,
}

struct CoreState {
    entry: Pin<Box<Entry>>,
    /// Set for a time that the clock cannot express: the wheel does not have it.
    for_never: bool,
    /// Firings whose run has not begun.
    due: usize,
    running: bool,
}

impl CoreState {
    fn is_set(&self) -> bool {
        self.for_never || self.entry.state() == State::Armed
    }

    /// Takes the time back. Says whether there was one that had not come, and gives out the wheel's
    /// waker, to be dropped under no lock.
    fn unset(&mut self) -> (bool, Option<Waker>) {
        let waker = self.entry.as_mut().cancel();
        let was_for_never = mem::take(&mut self.for_never);
        (was_for_never || waker.is_some(), waker)
    }

    /// Counts a firing that nobody has counted.
    fn count_firing(&mut self) {
        if self.entry.state() == State::Fired {
            self.entry.as_mut().acknowledge();
            self.due += 1;
        }
    }

    /// Whether the caller has to start a run.
    #[must_use]
    fn next_run(&mut self) -> bool {
        if self.running || self.due == 0 {
            return false;
        }
        self.due -= 1;
        self.running = true;
        true
    }
}

impl Core {
    fn lock(&self) -> MutexGuard<'_, CoreState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The time on the clock of the runtime that it was made on.
    fn now(&self) -> u64 {
        self.handle.scheduler().timeline().now()
    }

    /// Arms the entry, or marks it fired if `deadline` has passed. The waker comes back when it is
    /// not needed.
    fn arm(
        &self,
        state: &mut CoreState,
        deadline: u64,
        now: u64,
        waker: Waker,
    ) -> Result<Alert, Waker> {
        if deadline >= IDLE {
            state.for_never = true;
            return Err(waker);
        }
        let entry = state.entry.as_mut();
        if now >= deadline {
            entry.expire();
            return Err(waker);
        }
        let owned = current::timers()
            .is_some_and(|(timers, owned)| owned && std::ptr::eq(timers, self.home));
        entry
            .arm(deadline, now, waker, self.home, owned)
            .map_err(|(NotArmed::Due(waker) | NotArmed::Closed(waker))| waker)
    }

    fn spawn_run(self: Arc<Self>) {
        let run = Run(self.clone());
        // Of the user's line: a dump, or the report of a panic, is to name that and not this.
        let _detached = (self.handle.scheduler()).spawn(async move { run.call() }, self.made_at);
    }
}

impl Wake for Core {
    /// The wheel has fired the timer, or has let go of it because the runtime is gone; then there
    /// is nothing to count.
    fn wake(self: Arc<Self>) {
        let run = {
            let mut state = self.lock();
            state.count_firing();
            state.next_run()
        };
        if run {
            self.spawn_run();
        }
    }
}

/// The right to call the function, once; passed on to the next run when dropped, also by a panic or
/// by a shutdown.
struct Run(Arc<Core>);

impl Run {
    fn call(self) {
        let mut f = self.0.f.lock().unwrap_or_else(PoisonError::into_inner);
        f();
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        let next = {
            let mut state = self.0.lock();
            state.running = false;
            state.next_run()
        };
        if next {
            self.0.clone().spawn_run();
        }
    }
}
