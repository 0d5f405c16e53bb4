//! What the group, its members and its spawners share: a word, and all the rest under one lock.
//!
//! In the plain case, no limit and no failure, starting a member and its good end are one atomic
//! operation each, on the [`Word`], and the lock is taken only by the last to end, for the one who
//! waits.
//!
//! Invariants:
//!
//! 1. The word's `running` counts the places that are taken: by members that have not ended, and by
//!    a [`Spawn`](super::Spawn) that was granted one and has not seen it. Each gives its place back
//!    once, by [`Shared::end`], or passes it to the next who waits.
//! 2. Somebody waits for a place only while the limit is reached and the group is open; what
//!    changes that calls all of them.
//! 3. The waker of `wait` is called when `running` becomes zero, and when a panic is there to be
//!    delivered.
//! 4. Members, errors and wakers are dropped, and the context is cancelled, when the lock is gone.
//! 5. `aborting` changes only under the lock. A member enters [`Members`] only while it is false;
//!    who sets it wakes those who are in there.
#![forbid(unsafe_code)]

use std::any::Any;
use std::fmt;
use std::mem;
use std::panic::resume_unwind;
use std::task::{Context as TaskContext, Poll, Waker};

use runtime::Handle;

use super::members::{Members, Place};
use super::word::Word;
use crate::context::{CancelCauseFunc, Cause, Context};
use crate::primitive::Tracked;
use crate::primitive::atomic::{AtomicBool, Ordering};
use crate::waiters::{Batch, Locked, Ticket, Waiters};

pub(super) type Panic = Box<dyn Any + Send>;

/// In this order: what every member writes first, then what is mostly left alone, and at the end
/// what every start and every poll of a member reads, so that this is on another cache line.
/// Aligned, so that nothing that belongs to others is on the first one.
#[repr(C, align(64))]
pub(super) struct Shared<E> {
    pub(super) word: Word,
    /// The note says what a waiter for a place was called for.
    pub(super) waiters: Waiters<State<E>, Call>,
    _tracked: Tracked,
    tied: Option<Tied<E>>,
    /// As the word's GATED is, or will be in a moment: under the lock. A hint for those who start
    /// members, who need not touch the word then.
    gated: AtomicBool,
    /// Members give up instead of going on (5).
    aborting: AtomicBool,
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
    abort: Members,
    call: Option<Waker>,
    /// Those who wait for a place and came before this ticket.
    refuse: Option<Ticket>,
    waker: Option<Waker>,
    cause: Option<Cause>,
    spare: Option<E>,
    panic: Option<Panic>,
}

impl<E> Shared<E> {
    pub(super) fn new(tied: Option<Tied<E>>) -> Self {
        Self {
            word: Word::new(),
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
            _tracked: Tracked::new(),
            tied,
            gated: AtomicBool::new(false),
            aborting: AtomicBool::new(false),
        }
    }

    pub(super) fn ctx(&self) -> Option<&Context> {
        self.tied.as_ref().map(|tied| &tied.ctx)
    }

    pub(super) fn set_limit(&self, limit: Option<usize>) -> Result<(), usize> {
        let mut state = self.waiters.lock();
        let gated = limit.is_some() || state.stopped;
        self.word.set_gate(gated)?;
        self.hint(gated);
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
            false => Members::default(),
        };
        drop(state);
        abort.wake();
    }

    pub(super) fn collect_errors(&self) {
        self.waiters.lock().collects = true;
    }

    /// Whether members are to give up. Relaxed: those who must not miss it have been woken for it,
    /// or look again under the lock.
    #[inline]
    pub(super) fn is_aborting(&self) -> bool {
        self.aborting.load(Ordering::Relaxed)
    }

    /// Whether places are taken under the lock. Relaxed: a hint; the word decides.
    #[inline]
    pub(super) fn is_gated(&self) -> bool {
        self.gated.load(Ordering::Relaxed)
    }

    /// Takes the waker of a member that has to wait, unless members are to give up (5).
    #[cold]
    #[must_use]
    pub(super) fn enter(&self, place: Place, waker: &Waker) -> bool {
        let waker = waker.clone();
        let mut state = self.waiters.lock();
        if self.is_aborting() {
            drop(state);
            drop(waker);
            return false;
        }
        state.members.enter(place, waker);
        true
    }

    /// A place is given back: `place` is `None` for a member that never waited, and for a place
    /// that nobody has used.
    #[inline]
    pub(super) fn end(&self, place: Option<Place>, outcome: Outcome<E>) {
        let plain = place.is_none() && matches!(outcome, Outcome::Ok);
        if !plain || !self.word.try_give_back() {
            self.end_slow(place, outcome);
        }
    }

    /// The same, where somebody has to be told.
    #[cold]
    pub(super) fn end_slow(&self, place: Option<Place>, outcome: Outcome<E>) {
        let cause = self.cause_of(&outcome);
        let mut state = self.waiters.lock();
        let mut aftermath = Aftermath {
            ended: place.and_then(|place| state.members.ended(place)),
            abort: Members::default(),
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
        // The place goes to the next, or is free.
        self.word.give_back();
        if self.has_place(&state) {
            aftermath.call = self.grant(&mut state);
        }
        if self.word.running() == 0 || state.panic.is_some() {
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
        aftermath.abort.wake();
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

    /// Tells all who wait for a place, and came before `until`, that there will be none. Those who
    /// come later may belong to the next use of the group: by now, `wait` may have returned.
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
        abort.wake();
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
        // This first, so that whoever makes it none from now on comes for the waker.
        if self.word.begin_wait() {
            let old = mem::replace(&mut state.waker, fresh.take());
            drop(state);
            drop(old);
            return Poll::Pending;
        }
        let (old, errors) = (state.waker.take(), mem::take(&mut state.errors));
        state.stopped = false;
        // Relaxed: before `renew`, which publishes it to those who do not take the lock.
        self.aborting.store(false, Ordering::Relaxed);
        self.hint(state.limit.is_some());
        self.word.renew(state.limit.is_some());
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
        let (running, limit, stopped) = (self.word.running(), state.limit, state.stopped);
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
    /// From now on places are taken under the lock.
    fn gate(&self) {
        self.hint(true);
        self.word.gate();
    }

    fn hint(&self, gated: bool) {
        // Relaxed: as in `is_gated`.
        self.gated.store(gated, Ordering::Relaxed);
    }

    /// Whether the limit leaves room for one more in an open group.
    pub(super) fn has_place(&self, state: &State<E>) -> bool {
        !state.stopped && state.limit.is_none_or(|limit| self.word.running() < limit)
    }

    /// Gives the first who waits a place.
    fn grant(&self, state: &mut Locked<'_, State<E>, Call>) -> Option<Waker> {
        *state.front_mut()? = Call::Granted;
        self.word.take_place();
        state.take_front()
    }

    /// The waker of the one who waits, who has to come again for another call.
    fn take_waker(&self, state: &mut State<E>) -> Option<Waker> {
        let waker = state.waker.take()?;
        self.word.end_wait();
        Some(waker)
    }

    /// Keeps an outcome, or puts it aside; says whether it is the failure that ends the group's
    /// work.
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
        self.gate();
        if state.aborts {
            aftermath.abort = self.abort_all(state);
        }
        true
    }

    /// Members are to give up; those who wait are to be woken for it, after the lock.
    fn abort_all(&self, state: &mut State<E>) -> Members {
        self.gate();
        // Relaxed: under the lock (5).
        self.aborting.store(true, Ordering::Relaxed);
        mem::take(&mut state.members)
    }
}

impl<E> State<E> {
    pub(super) fn is_stopped(&self) -> bool {
        self.stopped
    }

    /// Keeps the first panic for `wait`; another one, or one that nobody waits for, is carried on
    /// in its own task, which reports it.
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
    /// Nobody waits for it any more: it is carried on in a task, so that the runtime does with it
    /// what it does with all of them.
    fn report(self) {
        if let Some(runtime) = self.runtime {
            let payload = self.payload;
            drop(runtime.spawn(async move { resume_unwind(payload) }));
        }
    }
}
