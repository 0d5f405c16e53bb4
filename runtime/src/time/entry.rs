//! ⚠ The owner's side of a timer: [`Entry`], a wheel's node together with the wheel it is in.
//!
//! ```text
//!            arm                       advance
//!   IDLE ───────────► deadline ───────────────────► FIRED
//!    ▲  ◄───────────  │    ▲ │                        │
//!    │  cancel, drain └────┘ │ postpone               │
//!    │                       ▼                        │
//!    └────────────────────────────────────────────────┘  rearm: the owner's next use
//! ```
//!
//! All is in one word ([`Node::word`]). The owner (whoever has `Pin<&mut Entry>`) and the wheel
//! meet like this:
//!
//! - *arm*: the owner writes waker and word, takes the lock, links the node. If the deadline has
//!   passed meanwhile, nothing was linked.
//! - *fire* (any thread, under the lock): unlink, copy the waker out, word := `FIRED`, and never
//!   look at the node again.
//! - *cancel* (drop, stop, reset to an earlier time): a word that is no deadline means that the
//!   wheel is through with the node, and the lock is not needed. Else take the lock and look again:
//!   either the wheel was first, or the node is still linked and can be unlinked.
//! - *postpone*: exchange the deadline for a later one and leave the node where it is. The wheel,
//!   coming to its old place, finds the new deadline and moves it on. The exchange fails only if
//!   the wheel was first, so that a timer that was put off in time never fires early.
//! - *another waker*: compared without the lock, since only the owner ever writes it; replaced
//!   under the lock.

use std::fmt;
use std::marker::PhantomPinned;
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::task::Waker;

use super::timers::Timers;
use super::wheel::{FIRED, IDLE, Node};
use crate::primitive::atomic::Ordering;

/// A timer that can be armed. Dropping it cancels it.
///
/// It is always used by one owner at a time: what changes it takes `Pin<&mut Self>`.
pub(crate) struct Entry {
    node: Node,
    /// The wheel of the last `arm`. The owner's.
    home: Option<&'static Timers>,
    /// The wheel points at the node.
    _pinned: PhantomPinned,
}

/// What became of a timer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    /// Linked nowhere: never armed, cancelled, or its runtime is gone.
    Idle,
    /// In a wheel.
    Armed,
    /// Its time has come, and its waker has been or is about to be called.
    Fired,
}

/// Why a timer could not be armed; with the waker that was not used, to be called or dropped when
/// no lock is held.
#[derive(Debug)]
pub(crate) enum NotArmed {
    /// The deadline has passed. The state is [`State::Fired`].
    Due(Waker),
    /// The wheel's runtime has shut down. The state is [`State::Idle`].
    Closed(Waker),
}

/// The owner of the wheel may sleep past the new deadline.
#[derive(Debug)]
#[must_use = "ring it once no lock is held"]
pub(crate) struct Alert(Option<&'static Timers>);

impl Alert {
    /// Wakes the wheel's owner if there is need to.
    #[inline]
    pub(crate) fn ring(self) {
        if let Some(timers) = self.0 {
            timers.interrupt();
        }
    }
}

impl Entry {
    #[inline]
    pub(crate) fn new() -> Self {
        Self {
            node: Node::new(),
            home: None,
            _pinned: PhantomPinned,
        }
    }

    #[inline]
    pub(crate) fn state(&self) -> State {
        // Acquire pairs with the Release by which the wheel gives the node back: what it did to the
        // node is over.
        match self.node.word.load(Ordering::Acquire) {
            FIRED => State::Fired,
            IDLE => State::Idle,
            _ => State::Armed,
        }
    }

    /// Links a timer that is not armed: `waker` is called at `deadline` or up to a tick later.
    /// `now` is a recent reading of the clock; `owned` says that the calling thread is the one that
    /// runs the wheel.
    pub(crate) fn arm(
        self: Pin<&mut Self>,
        deadline: u64,
        now: u64,
        waker: Waker,
        timers: &'static Timers,
        owned: bool,
    ) -> Result<Alert, NotArmed> {
        debug_assert!(deadline < IDLE, "a timer for never is not armed");
        debug_assert!(self.state() != State::Armed);
        // SAFETY: nothing is moved out; the fields are written in place.
        let this = unsafe { self.get_unchecked_mut() };
        this.home = Some(timers);
        this.node.waker.with_mut(|slot| {
            // SAFETY: the node is unlinked, so that the waker is the owner's (wheel invariant 3),
            // and holds none now.
            unsafe { slot.write(MaybeUninit::new(waker)) };
        });
        // Relaxed: the lock hands it to the wheel.
        this.node.word.store(deadline, Ordering::Relaxed);

        let due = {
            let mut shared = timers.lock();
            // SAFETY: unlinked, word and waker as they have to be. The entry is pinned, and leaves
            // the wheel at the latest in its drop, under the lock (wheel invariant 2).
            let inserted = shared
                .open
                .then(|| unsafe { shared.wheel.insert(&this.node, now) });
            if let Some(Ok(at)) = inserted {
                let earlier = timers.note_inserted(&shared, at);
                return Ok(Alert((earlier && !owned).then_some(timers)));
            }
            inserted.is_some()
        };
        // Relaxed: unlinked, so that the word is the owner's alone.
        this.node
            .word
            .store(if due { FIRED } else { IDLE }, Ordering::Relaxed);
        let waker = this.take_waker();
        Err(if due {
            NotArmed::Due(waker)
        } else {
            NotArmed::Closed(waker)
        })
    }

    /// Makes sure that an armed timer will call `waker`, and returns the state, which is
    /// [`State::Armed`] no more if the wheel was first.
    #[inline]
    pub(crate) fn refresh(self: Pin<&mut Self>, waker: &Waker) -> State {
        let state = self.state();
        if state != State::Armed || self.will_wake(waker) {
            return state;
        }
        self.replace_waker(waker.clone())
    }

    /// Unlinks an armed timer and returns its waker, to be dropped when no lock is held. `None`: it
    /// was not armed, and the state is as it was; in particular it stays [`State::Fired`] if the
    /// wheel was first.
    pub(crate) fn cancel(self: Pin<&mut Self>) -> Option<Waker> {
        if self.state() != State::Armed {
            return None;
        }
        let timers = self.home?;
        {
            let mut shared = timers.lock();
            if self.state() != State::Armed {
                return None;
            }
            // SAFETY: its word is a deadline, under the lock of the wheel that it was armed in: it
            // is linked there (wheel invariant 2).
            if unsafe { shared.wheel.remove(&self.node) } {
                timers.publish(&shared);
            }
            // Relaxed: unlinked; from here on the word is the owner's alone.
            self.node.word.store(IDLE, Ordering::Relaxed);
        }
        Some(self.take_waker())
    }

    /// Puts off an armed timer without touching its wheel, if `deadline` is not earlier than the
    /// one it has; returns whether it did.
    pub(crate) fn postpone(self: Pin<&mut Self>, deadline: u64) -> bool {
        debug_assert!(deadline < IDLE);
        let word = &self.node.word;
        // Relaxed: a hint, which the exchange checks.
        let current = word.load(Ordering::Relaxed);
        // Relaxed: the wheel reads nothing but the number; and on failure the caller looks at the
        // state again.
        current < IDLE
            && current <= deadline
            && word
                .compare_exchange(current, deadline, Ordering::Relaxed, Ordering::Relaxed)
                .is_ok()
    }

    /// Forgets that the timer has fired, so that it can be armed anew. The waker that it has called
    /// may still be on its way.
    pub(crate) fn acknowledge(self: Pin<&mut Self>) {
        debug_assert!(self.state() != State::Armed);
        // Relaxed: unlinked, so that the word is the owner's alone.
        self.node.word.store(IDLE, Ordering::Relaxed);
    }

    /// Marks a timer that is not armed as having fired.
    pub(crate) fn expire(self: Pin<&mut Self>) {
        debug_assert!(self.state() != State::Armed);
        // Relaxed: unlinked, so that the word is the owner's alone.
        self.node.word.store(FIRED, Ordering::Relaxed);
    }

    /// Whether the waker of this armed timer wakes the same task.
    fn will_wake(&self, waker: &Waker) -> bool {
        self.node.waker.with(|slot| {
            // SAFETY: the timer was armed when we looked, so that the slot is initialised, and only
            // we, the owner, ever write it. If the wheel fires the timer meanwhile it copies the
            // bytes, and the waker may be consumed elsewhere; we compare the two pointers in it and
            // follow neither.
            unsafe { (*slot).assume_init_ref().will_wake(waker) }
        })
    }

    #[cold]
    fn replace_waker(self: Pin<&mut Self>, waker: Waker) -> State {
        let Some(timers) = self.home else {
            return self.state();
        };
        let unused = {
            let _shared = timers.lock();
            if self.state() == State::Armed {
                self.node.waker.with_mut(|slot| {
                    // SAFETY: under the lock the wheel does not read it, and outside only we look;
                    // armed means that it is initialised (wheel invariant 3).
                    unsafe { slot.replace(MaybeUninit::new(waker)).assume_init() }
                })
            } else {
                waker
            }
        };
        drop(unused);
        self.state()
    }

    #[inline(never)]
    fn drop_armed(&mut self) {
        // SAFETY: it was pinned when it was armed, and is not moved from here on.
        let waker = unsafe { Pin::new_unchecked(self) }.cancel();
        drop(waker);
    }

    /// Moves the waker out of a node that the owner has unlinked, or has failed to link.
    fn take_waker(&self) -> Waker {
        self.node.waker.with_mut(|slot| {
            // SAFETY: it was initialised when the node was armed, the wheel has not fired it, and
            // will not: it is ours (wheel invariant 3). The caller changes the word, so that nobody
            // takes it twice.
            unsafe { slot.read().assume_init() }
        })
    }
}

impl Drop for Entry {
    #[inline]
    fn drop(&mut self) {
        if self.state() == State::Armed {
            self.drop_armed();
        }
        // Writes nothing; in a model it claims the node for this thread, and so finds a wheel that
        // still looks at it.
        self.node.waker.with_mut(|_| ());
    }
}

impl fmt::Debug for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Entry")
            .field("state", &self.state())
            .finish_non_exhaustive()
    }
}
