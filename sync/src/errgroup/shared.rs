//! What the group, its members and its spawners share, under one lock.
//!
//! Invariants:
//!
//! 1. `running` counts the places that are taken: by members that have not ended, and by a [`Spawn`](super::Spawn) that was granted one
//!    and has not seen it. Each gives its place back once, by [`Shared::end`], or passes it to the next who waits.
//! 2. Somebody waits for a place only while the limit is reached and the group is open; what changes that calls all of them.
//! 3. The waker of `wait` is called when `running` becomes zero, and when a panic is there to be delivered.
//! 4. Members, errors, wakers and handles are dropped, and the context is cancelled, when the lock is gone.
#![forbid(unsafe_code)]

use std::any::Any;
use std::fmt;
use std::mem;
use std::panic::resume_unwind;
use std::sync::Arc;
use std::task::{Context as TaskContext, Poll, Waker};

use runtime::Handle;
use runtime::task::AbortHandle;

use super::members::{Members, Place};
use crate::context::{CancelCauseFunc, Cause, Context};
use crate::waiters::{Batch, Locked, Ticket, Waiters};

pub(super) type Panic = Box<dyn Any + Send>;

pub(super) struct Shared<E> {
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
    running: usize,
    limit: Option<usize>,
    members: Members,
    errors: Vec<E>,
    panic: Option<Undelivered>,
    /// Nothing new starts: there was a failure, or the group is gone.
    stopped: bool,
    /// Members that come to be spawned are to be aborted at once.
    aborting: bool,
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
    handle: Option<AbortHandle>,
    abort: Vec<AbortHandle>,
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
            tied,
            waiters: Waiters::new(State {
                running: 0,
                limit: None,
                members: Members::default(),
                errors: Vec::new(),
                panic: None,
                stopped: false,
                aborting: false,
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
        if state.running > 0 {
            return Err(state.running);
        }
        state.limit = limit;
        // With none running, who waits does so because of a limit of zero.
        let mut batch = Batch::default();
        loop {
            while state.has_place() && !state.is_empty() && !batch.is_full() {
                batch.extend(grant(&mut state));
            }
            let more = state.has_place() && !state.is_empty();
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
            true => state.abort_all(),
            false => Vec::new(),
        };
        drop(state);
        abort.iter().for_each(AbortHandle::abort);
    }

    pub(super) fn collect_errors(&self) {
        self.waiters.lock().collects = true;
    }

    /// A member ended, or a place that was granted is given back: `place` is `None` then.
    pub(super) fn end(&self, place: Option<Place>, outcome: Outcome<E>) {
        let cause = self.cause_of(&outcome);
        let mut state = self.waiters.lock();
        let mut aftermath = Aftermath {
            handle: place.and_then(|place| state.members.ended(place)),
            abort: Vec::new(),
            call: None,
            refuse: None,
            waker: None,
            cause: None,
            spare: None,
            panic: None,
        };
        if state.note(outcome, &mut aftermath) {
            aftermath.cause = cause;
            aftermath.refuse = Some(state.ticket());
        }
        // The place goes to the next, or is free.
        state.running -= 1;
        if state.has_place() {
            aftermath.call = grant(&mut state);
        }
        if state.running == 0 || state.panic.is_some() {
            aftermath.waker = state.waker.take();
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
        for handle in aftermath.abort {
            handle.abort();
        }
        if let Some(waiting) = aftermath.refuse {
            self.refuse_all(waiting);
        }
        aftermath.call.into_iter().for_each(Waker::wake);
        aftermath.waker.into_iter().for_each(Waker::wake);
        drop((aftermath.handle, aftermath.spare));
        if let Some(panic) = aftermath.panic {
            resume_unwind(panic);
        }
    }

    /// Tells all who wait for a place, and came before `until`, that there will be none. Those who come later may belong to the next use
    /// of the group: by now, `wait` may have returned.
    fn refuse_all(&self, until: Ticket) {
        let mut batch = Batch::default();
        let mut state = self.waiters.lock();
        loop {
            while state.is_before(until) && !batch.is_full() {
                let Some(call) = state.front_mut() else { break };
                *call = Call::Refused;
                batch.extend(state.take_front());
            }
            let more = state.is_before(until);
            drop(state);
            batch.wake();
            if !more {
                return batch.finish();
            }
            state = self.waiters.lock();
        }
    }

    /// The group is dropped.
    pub(super) fn close(&self) {
        let mut state = self.waiters.lock();
        state.closed = true;
        state.stopped = true;
        let (abort, panic) = (state.abort_all(), state.panic.take());
        let errors = mem::take(&mut state.errors);
        let waiting = state.ticket();
        drop(state);
        if let Some(tied) = &self.tied {
            tied.cancel.cancel_plainly();
        }
        for handle in abort {
            handle.abort();
        }
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
        if state.running > 0 {
            let old = mem::replace(&mut state.waker, fresh.take());
            drop(state);
            drop(old);
            return Poll::Pending;
        }
        let errors = mem::take(&mut state.errors);
        state.stopped = false;
        state.aborting = false;
        drop(state);
        if let Some(tied) = &self.tied {
            tied.cancel.cancel_plainly();
        }
        Poll::Ready(errors)
    }

    /// The `wait` is dropped.
    pub(super) fn forget_waker(&self) {
        let waker = self.waiters.lock().waker.take();
        drop(waker);
    }

    pub(super) fn debug(&self, f: &mut fmt::Formatter<'_>, name: &str) -> fmt::Result {
        let state = self.waiters.lock();
        let (running, limit, stopped) = (state.running, state.limit, state.stopped);
        drop(state);
        f.debug_struct(name)
            .field("running", &running)
            .field("limit", &limit)
            .field("stopped", &stopped)
            .finish()
    }
}

/// Gives the first who waits a place.
fn grant<E>(state: &mut Locked<'_, State<E>, Call>) -> Option<Waker> {
    *state.front_mut()? = Call::Granted;
    state.running += 1;
    state.take_front()
}

impl<E> State<E> {
    pub(super) fn is_stopped(&self) -> bool {
        self.stopped
    }

    /// Whether the limit leaves room for one more in an open group.
    pub(super) fn has_place(&self) -> bool {
        !self.stopped && self.limit.is_none_or(|limit| self.running < limit)
    }

    pub(super) fn take_place(&mut self) {
        self.running += 1;
    }

    pub(super) fn enter(&mut self) -> Place {
        self.members.enter()
    }

    /// The member of this place has been spawned. Returns its handle and whether to abort it, if it is not to be kept.
    pub(super) fn started(
        &mut self,
        place: Place,
        handle: AbortHandle,
    ) -> Option<(AbortHandle, bool)> {
        if self.aborting {
            let kept = self.members.started(place, handle.clone());
            return Some((kept.unwrap_or(handle), true));
        }
        Some((self.members.started(place, handle)?, false))
    }

    /// Keeps an outcome, or puts it aside; says whether it is the failure that ends the group's work.
    fn note(&mut self, outcome: Outcome<E>, aftermath: &mut Aftermath<E>) -> bool {
        match outcome {
            Outcome::Ok => return false,
            Outcome::Err(error) if self.closed => aftermath.spare = Some(error),
            Outcome::Err(error) if self.collects => {
                self.errors.push(error);
                return false;
            }
            Outcome::Err(error) if self.errors.is_empty() => self.errors.push(error),
            Outcome::Err(error) => aftermath.spare = Some(error),
            Outcome::Dropped if self.aborting || self.panic.is_some() => return false,
            Outcome::Dropped => self.note_panic(Box::new(DROPPED), aftermath),
            Outcome::Panic(panic) => self.note_panic(panic, aftermath),
        }
        if mem::replace(&mut self.stopped, true) {
            return false;
        }
        if self.aborts {
            aftermath.abort = self.abort_all();
        }
        true
    }

    /// Those that run are to be aborted after the lock, those that are being spawned as soon as they have been.
    fn abort_all(&mut self) -> Vec<AbortHandle> {
        self.aborting = true;
        self.members.take_all()
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
