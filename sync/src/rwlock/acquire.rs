//! Waiting for a readers-writer lock, without its value.
#![forbid(unsafe_code)]

use std::future::Future;
use std::marker::PhantomData;
use std::panic::Location;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use pin_project_lite::pin_project;
use runtime::task::coop::{poll_give_way, poll_proceed};
use runtime::task::waiting;

use super::light::Share;
use super::raw::{RawRwLock, Side, Turn};

/// What has a raw lock.
pub(super) trait Owner {
    fn raw(&self) -> &RawRwLock;
}

/// A side as a type, so that a future need not carry it.
pub(super) trait OnSide {
    const SIDE: Side;

    /// What one has on this side; by default what one who has waited has.
    type Held: Default;

    /// Takes the lock if that is possible at once.
    fn try_lock(lock: &RawRwLock) -> Option<Self::Held>;
}

/// [`Side::Read`].
pub(super) struct Read;

/// [`Side::Upgradable`].
pub(super) struct Upgradable;

/// [`Side::Write`].
pub(super) struct Write;

impl OnSide for Read {
    const SIDE: Side = Side::Read;

    type Held = Share;

    #[inline(always)]
    fn try_lock(lock: &RawRwLock) -> Option<Share> {
        lock.try_read()
    }
}

impl OnSide for Upgradable {
    const SIDE: Side = Side::Upgradable;

    type Held = ();

    #[inline(always)]
    fn try_lock(lock: &RawRwLock) -> Option<()> {
        lock.try_lock(Self::SIDE).then_some(())
    }
}

impl OnSide for Write {
    const SIDE: Side = Side::Write;

    type Held = ();

    #[inline(always)]
    fn try_lock(lock: &RawRwLock) -> Option<()> {
        lock.try_lock(Self::SIDE).then_some(())
    }
}

pin_project! {
    /// Completes with the lock held. Generic in whose lock it is, so that its first poll and its
    /// drop are compiled where it is awaited; what it needs to wait is made when it has to. See the
    /// mutex', which does the same.
    #[must_use = "futures do nothing unless awaited"]
    pub(super) struct RawAcquire<'a, L, S>
    where
        L: ?Sized,
        L: Owner,
        S: OnSide,
    {
        owner: &'a L,
        // `None` before it waits, and once it has the lock.
        #[pin]
        turn: Option<Turn<'a>>,
        place: &'static Location<'static>,
        side: PhantomData<S>,
    }

    impl<L, S> PinnedDrop for RawAcquire<'_, L, S>
    where
        L: ?Sized,
        L: Owner,
        S: OnSide,
    {
        #[inline]
        fn drop(this: Pin<&mut Self>) {
            let this = this.project();
            if let Some(turn) = this.turn.as_pin_mut() {
                this.owner.raw().give_up(S::SIDE, turn);
            }
        }
    }
}

impl<'a, L: Owner + ?Sized, S: OnSide> RawAcquire<'a, L, S> {
    #[inline]
    pub(super) fn new(owner: &'a L, place: &'static Location<'static>) -> Self {
        Self {
            owner,
            turn: None,
            place,
            side: PhantomData,
        }
    }

    /// Whose lock it is.
    #[inline]
    pub(super) fn owner(&self) -> &'a L {
        self.owner
    }
}

impl<L: Owner + ?Sized, S: OnSide> Future for RawAcquire<'_, L, S> {
    type Output = S::Held;

    #[inline(always)]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<S::Held> {
        let proceed = ready!(poll_proceed(cx));
        let this = self.project();
        let lock = this.owner.raw();
        let at_once = match this.turn.is_none() {
            true => S::try_lock(lock),
            false => None,
        };
        let held = match at_once {
            Some(held) => held,
            None => {
                ready!(poll_slow(lock, S::SIDE, this.turn, this.place, cx));
                S::Held::default()
            }
        };
        proceed.made_progress();
        Poll::Ready(held)
    }
}

/// It is taken, or this is not the first poll. Before it gets in line it lets others run, once:
/// those who were handed the lock and have yet to run, most of all.
#[cold]
fn poll_slow<'a>(
    lock: &'a RawRwLock,
    side: Side,
    mut turn: Pin<&mut Option<Turn<'a>>>,
    place: &'static Location<'static>,
    cx: &mut Context<'_>,
) -> Poll<()> {
    let polled = match turn.as_mut().as_pin_mut() {
        Some(turn) if !turn.is_idle() => turn.poll_notified(cx),
        // One that is not in the queue says that it has been asked.
        None if poll_give_way(cx).is_pending() => {
            turn.set(Some(lock.turn(side)));
            Poll::Pending
        }
        _ => lock.queue_up(side, turn.as_mut(), cx),
    };
    settle(polled, side, turn, place)
}

fn settle(
    polled: Poll<()>,
    side: Side,
    mut turn: Pin<&mut Option<Turn<'_>>>,
    place: &'static Location<'static>,
) -> Poll<()> {
    match polled {
        // Nothing is left to give up.
        Poll::Ready(()) => turn.set(None),
        Poll::Pending => waiting(side.reason(), place),
    }
    polled
}

pin_project! {
    /// Completes when the upgradable reader, whose owner has this, is the writer. Dropped before,
    /// it is an upgradable reader as before.
    #[must_use = "futures do nothing unless awaited"]
    pub(super) struct RawUpgrade<'a> {
        lock: &'a RawRwLock,
        #[pin]
        turn: Option<Turn<'a>>,
        place: &'static Location<'static>,
    }

    impl PinnedDrop for RawUpgrade<'_> {
        #[inline]
        fn drop(this: Pin<&mut Self>) {
            let this = this.project();
            if let Some(turn) = this.turn.as_pin_mut() {
                this.lock.give_up_upgrade(turn);
            }
        }
    }
}

impl<'a> RawUpgrade<'a> {
    pub(super) fn new(lock: &'a RawRwLock, place: &'static Location<'static>) -> Self {
        Self {
            lock,
            turn: None,
            place,
        }
    }
}

impl Future for RawUpgrade<'_> {
    type Output = ();

    #[inline]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let proceed = ready!(poll_proceed(cx));
        let mut this = self.project();
        let polled = match this.turn.as_mut().as_pin_mut() {
            None if this.lock.try_upgrade() => Poll::Ready(()),
            None => this.lock.queue_up_to_upgrade(this.turn.as_mut(), cx),
            Some(turn) => turn.poll_notified(cx),
        };
        ready!(settle(polled, Side::Write, this.turn, this.place));
        proceed.made_progress();
        Poll::Ready(())
    }
}
