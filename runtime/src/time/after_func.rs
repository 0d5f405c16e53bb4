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
//! A timer lives and ends with the runtime that it was made on, or for; but for one that
//! [lasts](super::lasting), which goes on in another.
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
//! 5. `deadline` is not [`NEVER`] while the timer is set: the wheel has it then, or it has fired
//!    and nobody has counted that, or its runtime is gone. The last is the state of
//!    [`CoreState::is_lost`].
#![forbid(unsafe_code)]

use std::fmt;
use std::mem;
use std::panic::Location;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Wake, Waker};
use std::time::Duration;

use super::clock::{self, NEVER};
use super::entry::{Alert, Entry, NotArmed, State};
use super::lasting;
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
    let Ok(handle) = Handle::try_current() else {
        panic!("time::after_func: {NO_RUNTIME}");
    };
    Timer::start(handle, delay, f, false, Location::caller())
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
    /// A timer of this runtime, whatever runtime the thread is in.
    pub(crate) fn start<F>(
        handle: Handle,
        delay: Duration,
        f: F,
        lasts: bool,
        made_at: &'static Location<'static>,
    ) -> Self
    where
        F: FnMut() + Send + 'static,
    {
        let core = Arc::new(Core {
            state: Mutex::new(CoreState {
                entry: Box::pin(Entry::new()),
                for_never: false,
                deadline: NEVER,
                due: 0,
                running: false,
                home: home_on(&handle),
                handle,
            }),
            f: Mutex::new(Box::new(f)),
            lasts,
            made_at,
        });
        let timer = Self { core };
        timer.reset(delay);
        timer
    }

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
        let mut state = self.core.lock();
        let lost = state.is_lost();
        let (was_set, old_waker) = state.unset();
        drop(state);
        drop(old_waker);
        if lost {
            lasting::forget(&self.core);
        }
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
        // Cloned and called out of the lock (invariant 4).
        let waker = Waker::from(self.core.clone());
        let (lost, was_set, old_waker, armed, run) = {
            let mut state = self.core.lock();
            let lost = state.is_lost();
            let (was_set, old_waker) = state.unset();
            // Fired, and its waker not here yet: we count for it, and it will find nothing to count
            // (invariant 1).
            state.count_firing();
            // The clock of its own runtime, from wherever it is set.
            let now = state.now();
            let deadline = now.saturating_add(clock::nanos(delay));
            let armed = state.arm(deadline, now, waker);
            // Over already: the wheel did not take it, and so will not wake it.
            state.count_firing();
            (lost, was_set, old_waker, armed, state.next_run())
        };
        drop(old_waker);
        if lost {
            lasting::forget(&self.core);
        }
        match armed {
            Ok(alert) => alert.ring(),
            Err(waker) => {
                drop(waker);
                self.core.clone().move_on();
            }
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
pub(super) struct Core {
    state: Mutex<CoreState>,
    /// The function. Locked by the one [`Run`].
    f: Mutex<Box<dyn FnMut() + Send>>,
    /// Whether it outlives its runtime.
    lasts: bool,
    made_at: &'static Location<'static>,
}

pub(super) struct CoreState {
    entry: Pin<Box<Entry>>,
    /// Set for a time that the clock cannot express: the wheel does not have it.
    for_never: bool,
    /// When it fires, on the clock of its runtime, while it is set; else [`NEVER`].
    deadline: u64,
    /// Where it runs.
    handle: Handle,
    /// A wheel of that runtime.
    home: &'static Timers,
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
        let was_set = mem::take(&mut self.for_never) || self.is_lost();
        self.deadline = NEVER;
        (was_set || waker.is_some(), waker)
    }

    /// Whether it is set, and its runtime is gone.
    pub(super) fn is_lost(&self) -> bool {
        self.deadline != NEVER && self.entry.state() == State::Idle
    }

    /// How long it still has, of its runtime's time.
    pub(super) fn left(&self) -> u64 {
        self.deadline.saturating_sub(self.now())
    }

    /// The time on the clock of its runtime.
    fn now(&self) -> u64 {
        self.handle.scheduler().timeline().now()
    }

    /// Goes to another runtime; returns the one before, to be dropped under no lock. To be armed
    /// then, if it was set.
    #[must_use]
    pub(super) fn go_to(&mut self, handle: Handle) -> Handle {
        let left = self.left();
        self.home = home_on(&handle);
        let before = mem::replace(&mut self.handle, handle);
        self.deadline = self.now().saturating_add(left);
        before
    }

    /// Arms the entry, or marks it fired if `deadline` has passed. The waker comes back when it is
    /// not needed.
    fn arm(&mut self, deadline: u64, now: u64, waker: Waker) -> Result<Alert, Waker> {
        if deadline >= IDLE {
            self.for_never = true;
            self.deadline = NEVER;
            return Err(waker);
        }
        self.deadline = deadline;
        let entry = self.entry.as_mut();
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

    /// The same for one that is set.
    pub(super) fn arm_again(&mut self, waker: Waker) -> Result<Alert, Waker> {
        let armed = self.arm(self.deadline, self.now(), waker);
        self.count_firing();
        armed
    }

    /// What is set has been done, or will be, by the caller.
    pub(super) fn take_over(&mut self) {
        self.deadline = NEVER;
        self.due += 1;
    }

    /// Counts a firing that nobody has counted.
    fn count_firing(&mut self) {
        if self.entry.state() == State::Fired {
            self.entry.as_mut().acknowledge();
            self.deadline = NEVER;
            self.due += 1;
        }
    }

    /// Whether the caller has to start a run.
    #[must_use]
    pub(super) fn next_run(&mut self) -> bool {
        if self.running || self.due == 0 {
            return false;
        }
        self.due -= 1;
        self.running = true;
        true
    }
}

impl Core {
    pub(super) fn lock(&self) -> MutexGuard<'_, CoreState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn spawn_run(self: Arc<Self>) {
        let run = Run::new(self.clone());
        let handle = self.lock().handle.clone();
        // Of the user's line: a dump, or the report of a panic, is to name that and not this.
        let _detached = handle.spawn_at(async move { run.call() }, self.made_at);
    }

    /// Calls the function here and now; the caller has been told to by `next_run`.
    pub(super) fn run_here(self: Arc<Self>) {
        Run::new(self).call();
    }

    /// If its runtime is gone: goes on in another one, or is set no more.
    fn move_on(self: Arc<Self>) {
        if !self.lock().is_lost() {
            return;
        }
        if self.lasts {
            return lasting::move_on(self);
        }
        let mut state = self.lock();
        if state.is_lost() {
            state.deadline = NEVER;
        }
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
            return self.spawn_run();
        }
        self.move_on();
    }
}

/// A wheel of that runtime: the thread's own, if it is one of its workers.
fn home_on(handle: &Handle) -> &'static Timers {
    current::timers_of(handle.scheduler())
}

/// The right to call the function, once; passed on to the next run when dropped, also by a panic or
/// by a shutdown. A timer that lasts is still to be called after that.
struct Run {
    core: Arc<Core>,
    called: bool,
}

impl Run {
    fn new(core: Arc<Core>) -> Self {
        Self {
            core,
            called: false,
        }
    }

    fn call(mut self) {
        self.called = true;
        let mut f = self.core.f.lock().unwrap_or_else(PoisonError::into_inner);
        f();
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        let next = {
            let mut state = self.core.lock();
            state.running = false;
            if !self.called && self.core.lasts && !state.is_set() {
                state.deadline = state.now();
            }
            state.next_run()
        };
        if next {
            return self.core.clone().spawn_run();
        }
        self.core.clone().move_on();
    }
}
