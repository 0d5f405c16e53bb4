//! Starting members: at once, or when there is a place.
#![forbid(unsafe_code)]

use std::fmt;
use std::future::Future;
use std::panic::Location;
use std::pin::Pin;
use std::task::{Context as TaskContext, Poll, ready};

use pin_project_lite::pin_project;
use runtime::task::coop::poll_proceed;
use runtime::task::{WaitReason, waiting};

use super::handle::Handle;
use super::member;
use super::shared::{Call, Outcome, Shared, State};
use crate::context::{Context, Done};
use crate::waiters::{Waiter, Withdrawn};

pub(super) type Place<'a, E> = Waiter<'a, State<E>, Call>;

/// Starts members of a group, also from inside a member. From
/// [`Group::spawner`](super::Group::spawner).
///
/// ```
/// # use sync::errgroup::{Group, Spawner};
/// # runtime::block_on(async {
/// let spawner: Spawner<String> = Group::new().spawner();
/// assert!(!spawner.spawn(async { Ok(()) }).await); // the group is gone
/// # });
/// ```
///
/// **Go:** a `*errgroup.Group` that a member has.
pub struct Spawner<E> {
    shared: Handle<E>,
}

impl<E: Send + 'static> Spawner<E> {
    pub(super) fn new(shared: &Handle<E>) -> Self {
        Self {
            shared: shared.clone(),
        }
    }

    /// Starts a member, as [`Group::spawn`](super::Group::spawn) does.
    ///
    /// With a limit, a member that waits here for a place keeps its own: if all do, none ever ends.
    /// Give the work to a queue instead, or use [`try_spawn`](Self::try_spawn).
    ///
    /// # Panics
    ///
    /// The future panics outside a runtime.
    ///
    /// # Cancel safety
    ///
    /// As `Group::spawn`.
    ///
    /// ```
    /// # runtime::block_on(async {
    /// let group = sync::errgroup::Group::<String>::new();
    /// assert!(group.spawner().spawn(async { Ok(()) }).await);
    /// # });
    /// ```
    ///
    /// **Go:** `g.Go(f)`.
    #[track_caller]
    pub fn spawn<F>(&self, future: F) -> Spawn<'_, F, E>
    where
        F: Future<Output = Result<(), E>> + Send + 'static,
    {
        Spawn::new(&self.shared, future, Location::caller())
    }

    /// Starts a member if that is possible at once, as
    /// [`Group::try_spawn`](super::Group::try_spawn) does.
    ///
    /// # Panics
    ///
    /// Outside a runtime.
    ///
    /// ```
    /// # runtime::block_on(async {
    /// let group = sync::errgroup::Group::<String>::new();
    /// assert!(group.spawner().try_spawn(async { Ok(()) }));
    /// # });
    /// ```
    ///
    /// **Go:** `g.TryGo(f)`.
    #[track_caller]
    #[must_use = "`false`: the future was dropped, and not started"]
    pub fn try_spawn<F>(&self, future: F) -> bool
    where
        F: Future<Output = Result<(), E>> + Send + 'static,
    {
        try_spawn(&self.shared, future, Location::caller())
    }
}

impl<E> Clone for Spawner<E> {
    fn clone(&self) -> Self {
        Self {
            shared: self.shared.clone(),
        }
    }
}

impl<E> fmt::Debug for Spawner<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.shared.debug(f, "Spawner")
    }
}

#[track_caller]
pub(super) fn try_spawn<F, E>(
    shared: &Handle<E>,
    future: F,
    location: &'static Location<'static>,
) -> bool
where
    F: Future<Output = Result<(), E>> + Send + 'static,
    E: Send + 'static,
{
    if shared.ctx().is_some_and(Context::is_done) {
        return false;
    }
    let member = shared.try_enter();
    let member = member.or_else(|| try_take_place_slow(shared).then(|| shared.admit()));
    let Some(member) = member else {
        return false;
    };
    member::start(member, future, location);
    true
}

#[cold]
fn try_take_place_slow<E>(shared: &Shared<E>) -> bool {
    let state = shared.waiters.lock();
    let free = shared.has_place(&state) && state.is_empty();
    if free {
        shared.word.take_place();
    }
    free
}

pin_project! {
    /// Future of [`Group::spawn`](super::Group::spawn).
    ///
    /// ```
    /// # use sync::errgroup::{Group, Spawn};
    /// # runtime::block_on(async {
    /// let group = Group::<String>::new();
    /// let spawn: Spawn<'_, _, String> = group.spawn(async { Ok(()) });
    /// assert!(spawn.await);
    /// # });
    /// ```
    ///
    /// **Go:** a goroutine inside `g.Go(f)`.
    #[must_use = "nothing is started unless awaited; `try_spawn` does not wait"]
    pub struct Spawn<'a, F, E> {
        shared: &'a Handle<E>,
        // `None` once started or refused.
        future: Option<F>,
        // Made when there is no place at once.
        #[pin]
        turn: Option<Turn<'a, E>>,
        location: &'static Location<'static>,
    }

    impl<F, E> PinnedDrop for Spawn<'_, F, E> {
        #[inline]
        fn drop(this: Pin<&mut Self>) {
            let this = this.project();
            if let (Some(_), Some(turn)) = (this.future, this.turn.as_pin_mut()) {
                give_up(this.shared, turn.project().waiter);
            }
        }
    }
}

pin_project! {
    /// One that waits for a place, or for the end of the group's context.
    struct Turn<'a, E> {
        #[pin]
        waiter: Place<'a, E>,
        #[pin]
        done: Option<Done<'a>>,
    }
}

impl<'a, F, E> Spawn<'a, F, E> {
    pub(super) fn new(
        shared: &'a Handle<E>,
        future: F,
        location: &'static Location<'static>,
    ) -> Self {
        Self {
            shared,
            future: Some(future),
            turn: None,
            location,
        }
    }
}

impl<F, E> Future for Spawn<'_, F, E>
where
    F: Future<Output = Result<(), E>> + Send + 'static,
    E: Send + 'static,
{
    type Output = bool;

    #[inline]
    fn poll(self: Pin<&mut Self>, cx: &mut TaskContext<'_>) -> Poll<bool> {
        let proceed = ready!(poll_proceed(cx));
        let this = self.project();
        assert!(
            this.future.is_some(),
            "errgroup::Spawn polled after it ended: await it once"
        );
        let over = this.shared.ctx().is_some_and(Context::is_done);
        let at_once = (this.turn.is_none() && !over).then(|| this.shared.try_enter());
        let member = match at_once.flatten() {
            Some(member) => Some(member),
            None => ready!(poll_slow(this.shared, this.turn, over, this.location, cx))
                .then(|| this.shared.admit()),
        };
        proceed.made_progress();
        let granted = member.is_some();
        match (this.future.take(), member) {
            (Some(future), Some(member)) => member::start(member, future, this.location),
            (refused, _) => drop(refused),
        }
        Poll::Ready(granted)
    }
}

/// There was no place at once, or this is not the first poll.
#[cold]
fn poll_slow<'a, E>(
    shared: &'a Shared<E>,
    mut turn: Pin<&mut Option<Turn<'a, E>>>,
    over: bool,
    location: &'static Location<'static>,
    cx: &mut TaskContext<'_>,
) -> Poll<bool> {
    if turn.is_none() {
        turn.set(Some(Turn {
            waiter: Waiter::new(&shared.waiters, Call::Refused),
            done: shared.ctx().map(Context::done),
        }));
    }
    let turn = turn.as_pin_mut().expect("set above");
    let mut turn = turn.project();
    if !over {
        if let Poll::Ready(granted) = ask(shared, turn.waiter.as_mut(), cx) {
            return Poll::Ready(granted);
        }
        if turn
            .done
            .as_pin_mut()
            .is_none_or(|done| done.poll(cx).is_pending())
        {
            waiting(WaitReason::SemAcquire, location);
            return Poll::Pending;
        }
    }
    give_up(shared, turn.waiter);
    Poll::Ready(false)
}

/// A place, a refusal, or a place in the queue.
pub(super) fn ask<E>(
    shared: &Shared<E>,
    mut waiter: Pin<&mut Place<'_, E>>,
    cx: &mut TaskContext<'_>,
) -> Poll<bool> {
    if !waiter.is_idle() {
        ready!(waiter.as_mut().poll_notified(cx));
        return Poll::Ready(waiter.note() == Some(Call::Granted) && still_open(shared));
    }
    if shared.word.try_take_place() {
        return Poll::Ready(true);
    }
    ask_slow(shared, waiter, cx)
}

#[cold]
fn ask_slow<E>(
    shared: &Shared<E>,
    waiter: Pin<&mut Place<'_, E>>,
    cx: &mut TaskContext<'_>,
) -> Poll<bool> {
    let waker = cx.waker().clone();
    let mut state = shared.waiters.lock();
    if state.is_stopped() {
        return Poll::Ready(false);
    }
    if shared.has_place(&state) && state.is_empty() {
        shared.word.take_place();
        return Poll::Ready(true);
    }
    waiter.enqueue(&mut state, waker);
    Poll::Pending
}

/// Whether a place that was granted is still one: if there was a failure since, it is given back.
fn still_open<E>(shared: &Shared<E>) -> bool {
    let stopped = shared.waiters.lock().is_stopped();
    if stopped {
        shared.end(None, Outcome::Ok);
    }
    !stopped
}

/// Leaves the queue, or gives back a place that it was granted.
pub(super) fn give_up<E>(shared: &Shared<E>, waiter: Pin<&mut Place<'_, E>>) {
    if waiter.is_idle() {
        return;
    }
    let mut state = shared.waiters.lock();
    let note = waiter.note();
    let withdrawn = waiter.withdraw(&mut state);
    drop(state);
    if let (Withdrawn::Notified, Some(Call::Granted)) = (&withdrawn, note) {
        shared.end(None, Outcome::Ok);
    }
}

impl<F, E> fmt::Debug for Spawn<'_, F, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Spawn")
            .field("ended", &self.future.is_none())
            .finish_non_exhaustive()
    }
}
