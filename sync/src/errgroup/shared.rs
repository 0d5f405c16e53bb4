//! What the group, its members and its spawners share: a word, and all the rest under one lock.
//!
//! ```text
//!   …           2          1        0
//! ───────────┬──────────┬────────┬───────┐
//!   running  │ ABORTING │ WAITED │ GATED │
//! ───────────┴──────────┴────────┴───────┘
//! ```
//!
//! In the plain case, no limit and no failure, starting a member and its good end are one atomic operation each, and the lock is taken only
//! by the last to end, for the one who waits.
//!
//! Invariants:
//!
//! 1. `running` counts the places that are taken: by members that have not ended, and by a [`Spawn`](super::Spawn) that was granted one
//!    and has not seen it. Each gives its place back once, by [`Shared::end`], or passes it to the next who waits.
//! 2. Somebody waits for a place only while the limit is reached and the group is open; what changes that calls all of them.
//! 3. The waker of `wait` is called when `running` becomes zero, and when a panic is there to be delivered.
//! 4. Members, errors and wakers are dropped, and the context is cancelled, when the lock is gone.
//! 5. The three bits change only under the lock, and after it is released say: GATED, that there is a limit or the group is stopped;
//!    WAITED, that `waker` is there; ABORTING, that members are to give up.
//! 6. While GATED is set, places are taken and given back under the lock only. While WAITED is set, so is the last one.
//! 7. A member enters [`Members`] only while ABORTING is clear; who sets it wakes those who are in there.
#![forbid(unsafe_code)]

use std::any::Any;
use std::fmt;
use std::mem;
use std::panic::resume_unwind;
use std::sync::Arc;
use std::task::{Context as TaskContext, Poll, Waker};

use runtime::Handle;

use super::members::{Members, Place};
use crate::context::{CancelCauseFunc, Cause, Context};
use crate::primitive::atomic::{AtomicUsize, Ordering};
use crate::waiters::{Batch, Locked, Ticket, Waiters};

/// Places are taken and given back under the lock.
const GATED: usize = 1;
/// Somebody is in `wait`.
const WAITED: usize = 1 << 1;
/// Members give up instead of going on.
const ABORTING: usize = 1 << 2;
/// One place that is taken, in the word.
const ONE: usize = 1 << 3;

pub(super) type Panic = Box<dyn Any + Send>;

pub(super) struct Shared<E> {
    /// Atomic; see the drawing.
    word: AtomicUsize,
    tied: Option<Tied<E>>,
    /// The note says what a waiter for a place was called for.
    pub(super) waiters: Waiters<State<E>, Call>,
}

/// The context of the group.
pub(super) struct Tied<E> {
    pub(super) ctx: Context,
    pub(super) cancel: CancelCauseFunc,
    pub(super) cause: fn(&E) -> Cause,
}

/// Why a `spawn` that waited was called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Call {
    /// It has a place (1).
    Granted,
    /// Nothing new starts.
    Refused,
}

pub(super) struct State<E> {
    limit: Option<usize>,
    members: Members,
    errors: Vec<E>,
    panic: Option<Undelivered>,
    /// Nothing new starts: there was a failure, or the group is gone.
    stopped: bool,
    /// The group is gone, and with it who would look at the outcome.
    closed: bool,
    collects: bool,
    aborts: bool,
    /// Of the one `wait`.
    waker: Option<Waker>,
}

/// How a member ended.
pub(super) enum Outcome<E> {
    Ok,
    Err(E),
    Panic(Panic),
    /// It was dropped before it ended.
    Dropped,
}

/// What is to be done once the lock is gone.
struct Aftermath<E> {
    ended: Option<Waker>,
    abort: Vec<Waker>,
    call: Option<Waker>,
    /// Those who wait for a place and came before this ticket.
    refuse: Option<Ticket>,
    waker: Option<Waker>,
    cause: Option<Cause>,
    spare: Option<E>,
    panic: Option<Panic>,
}

impl<E> Shared<E> {
    pub(super) fn new(tied: Option<Tied<E>>) -> Arc<Self> {
        Arc::new(Self {
            word: AtomicUsize::new(0),
            tied,
            waiters: Waiters::new(State {
                limit: None,
                members: Members::default(),
                errors: Vec::new(),
                panic: None,
                stopped: false,
                closed: false,
                collects: false,
                aborts: false,
                waker: None,
            }),
        })
    }

    pub(super) fn ctx(&self) -> Option<&Context> {
        self.tied.as_ref().map(|tied| &tied.ctx)
    }

    pub(super) fn set_limit(&self, limit: Option<usize>) -> Result<(), usize> {
        let mut state = self.waiters.lock();
        // Relaxed: under the lock; `change` is what counts.
        let mut word = self.word.load(Ordering::Relaxed);
        loop {
            if word >= ONE {
                return Err(word / ONE);
            }
            let gate = if limit.is_some() || state.stopped {
                GATED
            } else {
                0
            };
            match self.change(word, word & !GATED | gate) {
                Ok(()) => break,
                Err(now) => word = now,
            }
        }
        state.limit = limit;
        // With none running, who waits does so because of a limit of zero.
        let mut batch = Batch::default();
        loop {
            while self.has_place(&state) && !state.is_empty() && !batch.is_full() {
                batch.extend(self.grant(&mut state));
            }
            let more = self.has_place(&state) && !state.is_empty();
            drop(state);
            batch.wake();
            if !more {
                batch.finish();
                return Ok(());
            }
            state = self.waiters.lock();
        }
    }

    pub(super) fn abort_on_error(&self) {
        let mut state = self.waiters.lock();
        state.aborts = true;
        // There may have been an error already.
        let abort = match state.stopped {
            true => self.abort_all(&mut state),
            false => Vec::new(),
        };
        drop(state);
        abort.into_iter().for_each(Waker::wake);
    }

    pub(super) fn collect_errors(&self) {
        self.waiters.lock().collects = true;
    }

    /// Relaxed: what it makes visible, the lock does.
    fn change(&self, from: usize, to: usize) -> Result<(), usize> {
        (self.word)
            .compare_exchange_weak(from, to, Ordering::Relaxed, Ordering::Relaxed)
            .map(drop)
    }

    /// Takes a place, where nothing is in the way (6).
    #[inline]
    pub(super) fn try_take_place(&self) -> bool {
        let mut word = self.word.load(Ordering::Relaxed);
        while word & GATED == 0 {
            // Taking a place publishes nothing; the start of the member does.
            match self.change(word, word + ONE) {
                Ok(()) => return true,
                Err(now) => word = now,
            }
        }
        false
    }

    /// Gives a place back, where nobody waits for it (6).
    #[inline]
    fn try_give_back(&self) -> bool {
        let mut word = self.word.load(Ordering::Relaxed);
        while word & GATED == 0 && (word & WAITED == 0 || word >= 2 * ONE) {
            // Release: pairs with the `Acquire` of who finds none running, in `end_slow` and in `poll_ended`.
            match (self.word).compare_exchange_weak(
                word,
                word - ONE,
                Ordering::Release,
                Ordering::Relaxed,
            ) {
                Ok(_) => return true,
                Err(now) => word = now,
            }
        }
        false
    }

    /// Whether members are to give up. Relaxed: those who must not miss it have been woken for it, or look again under the lock.
    #[inline]
    pub(super) fn is_aborting(&self) -> bool {
        self.word.load(Ordering::Relaxed) & ABORTING != 0
    }

    /// Takes the waker of a member that has to wait, unless members are to give up (7).
    #[cold]
    pub(super) fn enter(&self, waker: &Waker) -> Option<Place> {
        let waker = waker.clone();
        let mut state = self.waiters.lock();
        if self.is_aborting() {
            drop(state);
            drop(waker);
            return None;
        }
        Some(state.members.enter(waker))
    }

    /// A member ended, or a place that was granted is given back: `place` is `None` then, as it is for a member that never waited.
    #[inline]
    pub(super) fn end(&self, place: Option<Place>, outcome: Outcome<E>) {
        let plain = place.is_none() && matches!(outcome, Outcome::Ok);
        if !plain || !self.try_give_back() {
            self.end_slow(place, outcome);
        }
    }

    #[cold]
    fn end_slow(&self, place: Option<Place>, outcome: Outcome<E>) {
        let cause = self.cause_of(&outcome);
        let mut state = self.waiters.lock();
        let mut aftermath = Aftermath {
            ended: place.and_then(|place| state.members.ended(place)),
            abort: Vec::new(),
            call: None,
            refuse: None,
            waker: None,
            cause: None,
            spare: None,
            panic: None,
        };
        if self.note(&mut state, outcome, &mut aftermath) {
            aftermath.cause = cause;
            aftermath.refuse = Some(state.ticket());
        }
        // The place goes to the next, or is free. Acquire: whoever makes it none passes on, by waking, what the others released.
        self.word.fetch_sub(ONE, Ordering::AcqRel);
        if self.has_place(&state) {
            aftermath.call = self.grant(&mut state);
        }
        if self.running() == 0 || state.panic.is_some() {
            aftermath.waker = self.take_waker(&mut state);
        }
        drop(state);
        self.after(aftermath);
    }

    /// The cause that the context would have.
    fn cause_of(&self, outcome: &Outcome<E>) -> Option<Cause> {
        let tied = self.tied.as_ref()?;
        match outcome {
            Outcome::Err(error) => Some((tied.cause)(error)),
            Outcome::Panic(payload) => {
                let text = format!("a member of the group panicked: {}", message(payload));
                Some(Cause::from(
                    Box::<dyn std::error::Error + Send + Sync>::from(text),
                ))
            }
            Outcome::Ok | Outcome::Dropped => None,
        }
    }

    fn after(&self, aftermath: Aftermath<E>) {
        if let (Some(tied), Some(cause)) = (&self.tied, aftermath.cause) {
            tied.cancel.cancel_for(cause);
        }
        aftermath.abort.into_iter().for_each(Waker::wake);
        // One that panics keeps no other from being called.
        let mut batch = Batch::default();
        batch.extend(aftermath.call);
        batch.extend(aftermath.waker);
        batch.wake();
        if let Some(waiting) = aftermath.refuse {
            self.refuse_all(waiting);
        }
        batch.finish();
        drop((aftermath.ended, aftermath.spare));
        if let Some(panic) = aftermath.panic {
            resume_unwind(panic);
        }
    }

    /// Tells all who wait for a place, and came before `until`, that there will be none. Those who come later may belong to the next use
    /// of the group: by now, `wait` may have returned.
    fn refuse_all(&self, until: Ticket) {
        let state = self.waiters.lock();
        state.wake_until(until, |call| *call = Call::Refused, |_| {});
    }

    /// The group is dropped.
    pub(super) fn close(&self) {
        let mut state = self.waiters.lock();
        state.closed = true;
        state.stopped = true;
        let (abort, panic) = (self.abort_all(&mut state), state.panic.take());
        let errors = mem::take(&mut state.errors);
        let waiting = state.ticket();
        drop(state);
        if let Some(tied) = &self.tied {
            tied.cancel.cancel_plainly();
        }
        abort.into_iter().for_each(Waker::wake);
        self.refuse_all(waiting);
        drop(errors);
        if let Some(panic) = panic {
            panic.report();
        }
    }

    /// Ready when all have ended, with their errors; resumes a panic at once.
    pub(super) fn poll_ended(&self, cx: &mut TaskContext<'_>) -> Poll<Vec<E>> {
        let mut fresh = Some(cx.waker().clone());
        let mut state = self.waiters.lock();
        if let Some(panic) = state.panic.take() {
            drop(state);
            resume_unwind(panic.payload);
        }
        // WAITED first, so that whoever makes it none from now on comes for the waker. Acquire: pairs with the `Release` in `try_give_back`.
        if self.word.fetch_or(WAITED, Ordering::Acquire) >= ONE {
            let old = mem::replace(&mut state.waker, fresh.take());
            drop(state);
            drop(old);
            return Poll::Pending;
        }
        let (old, errors) = (state.waker.take(), mem::take(&mut state.errors));
        state.stopped = false;
        let open = if state.limit.is_some() { GATED } else { 0 };
        // Relaxed: under the lock (5).
        (self.word).fetch_and(!(GATED | WAITED | ABORTING) | open, Ordering::Relaxed);
        drop(state);
        drop(old);
        if let Some(tied) = &self.tied {
            tied.cancel.cancel_plainly();
        }
        Poll::Ready(errors)
    }

    /// The `wait` is dropped.
    pub(super) fn forget_waker(&self) {
        let mut state = self.waiters.lock();
        let waker = self.take_waker(&mut state);
        drop(state);
        drop(waker);
    }

    pub(super) fn debug(&self, f: &mut fmt::Formatter<'_>, name: &str) -> fmt::Result {
        let state = self.waiters.lock();
        let (running, limit, stopped) = (self.running(), state.limit, state.stopped);
        drop(state);
        f.debug_struct(name)
            .field("running", &running)
            .field("limit", &limit)
            .field("stopped", &stopped)
            .finish()
    }
}

/// Under the lock.
impl<E> Shared<E> {
    fn running(&self) -> usize {
        // Relaxed: under the lock, where what counts is that it is not less than it was (6).
        self.word.load(Ordering::Relaxed) / ONE
    }

    /// Whether the limit leaves room for one more in an open group.
    pub(super) fn has_place(&self, state: &State<E>) -> bool {
        !state.stopped && state.limit.is_none_or(|limit| self.running() < limit)
    }

    /// Takes a place that there is.
    pub(super) fn take_place(&self) {
        // Relaxed: as in `try_take_place`.
        self.word.fetch_add(ONE, Ordering::Relaxed);
    }

    /// Gives the first who waits a place.
    fn grant(&self, state: &mut Locked<'_, State<E>, Call>) -> Option<Waker> {
        *state.front_mut()? = Call::Granted;
        self.take_place();
        state.take_front()
    }

    /// The waker of the one who waits, who has to come again for another call.
    fn take_waker(&self, state: &mut State<E>) -> Option<Waker> {
        let waker = state.waker.take()?;
        // Relaxed: under the lock (5).
        self.word.fetch_and(!WAITED, Ordering::Relaxed);
        Some(waker)
    }

    /// Keeps an outcome, or puts it aside; says whether it is the failure that ends the group's work.
    fn note(
        &self,
        state: &mut State<E>,
        outcome: Outcome<E>,
        aftermath: &mut Aftermath<E>,
    ) -> bool {
        match outcome {
            Outcome::Ok => return false,
            Outcome::Err(error) if state.closed => aftermath.spare = Some(error),
            Outcome::Err(error) if state.collects => {
                state.errors.push(error);
                return false;
            }
            Outcome::Err(error) if state.errors.is_empty() => state.errors.push(error),
            Outcome::Err(error) => aftermath.spare = Some(error),
            Outcome::Dropped if self.is_aborting() || state.panic.is_some() => return false,
            Outcome::Dropped => state.note_panic(Box::new(DROPPED), aftermath),
            Outcome::Panic(panic) => state.note_panic(panic, aftermath),
        }
        if mem::replace(&mut state.stopped, true) {
            return false;
        }
        // Relaxed: under the lock (5).
        self.word.fetch_or(GATED, Ordering::Relaxed);
        if state.aborts {
            aftermath.abort = self.abort_all(state);
        }
        true
    }

    /// Members are to give up; those who wait are to be woken for it, after the lock.
    fn abort_all(&self, state: &mut State<E>) -> Vec<Waker> {
        // Relaxed: under the lock (5).
        self.word.fetch_or(GATED | ABORTING, Ordering::Relaxed);
        state.members.tell_all()
    }
}

impl<E> State<E> {
    pub(super) fn is_stopped(&self) -> bool {
        self.stopped
    }

    /// Keeps the first panic for `wait`; another one, or one that nobody waits for, is carried on in its own task, which reports it.
    fn note_panic(&mut self, panic: Panic, aftermath: &mut Aftermath<E>) {
        if self.closed || self.panic.is_some() {
            aftermath.panic = Some(panic);
        } else {
            self.panic = Some(Undelivered {
                payload: panic,
                runtime: Handle::try_current().ok(),
            });
        }
    }
}

const DROPPED: &str = "errgroup: a member was dropped before it ended, since its runtime shut down";

fn message(payload: &Panic) -> &str {
    let text = payload.downcast_ref::<&str>().copied();
    text.or_else(|| payload.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("(not a text)")
}

/// A panic that `wait` has not delivered yet.
struct Undelivered {
    payload: Panic,
    /// Where it happened.
    runtime: Option<Handle>,
}

impl Undelivered {
    /// Nobody waits for it any more: it is carried on in a task, so that the runtime does with it what it does with all of them.
    fn report(self) {
        if let Some(runtime) = self.runtime {
            let payload = self.payload;
            drop(runtime.spawn(async move { resume_unwind(payload) }));
        }
    }
}
