//! ⚠ What the two ends of a `oneshot` share: a word, the value, and a seat for the waker of each.
//!
//! The word says how far it has come; whoever sets a bit learns from the old word what the other
//! has done, and so what is whose.
//!
//! ```text
//!   …   3          2           1        0
//! ────┬──────────┬───────────┬────────┬────────┐
//!     │ TX_WAKER │ RX_WAKER  │ CLOSED │ SENT   │
//! ────┴──────────┴───────────┴────────┴────────┘
//! ```
//!
//! SENT is the sender's last word, CLOSED the receiver's. Each side has a seat, in which it leaves
//! the waker to be called for the other's last word.
//!
//! Invariants, which the SAFETY comments cite:
//!
//! 1. Before SENT the value is the sender's. After it, it is the receiver's if SENT came before
//!    CLOSED, and the sender's if not. Both bits are set by a read-modify-write and never cleared,
//!    so that both sides agree on the order.
//! 2. A seat is its side's while the bit for its waker is clear. While that is set nobody writes
//!    the seat; its side alone sets and clears the bit. The other side, if it finds it set when it
//!    says its last word, *first* of the two, may look at the waker from then on; the side itself,
//!    which finds that word, touches its seat no more.
//! 3. Who finds that the other has said the last word before looks at no seat but its own; so a
//!    side that says its last word first may have its own seat back.
//! 4. The functions of one side are called by one thread at a time, since its end is borrowed
//!    uniquely for them.

use std::task::{Context, Waker};

use crate::primitive::UnsafeCell;
use crate::primitive::atomic::{AtomicUsize, Ordering};

/// The value is there, or the sender is gone and there will be none.
const SENT: usize = 1;
/// The receiver takes nothing any more.
const CLOSED: usize = 1 << 1;
/// The receiver has left a waker.
const RX_WAKER: usize = 1 << 2;
/// The sender has left a waker.
const TX_WAKER: usize = 1 << 3;

/// In this order, so that the word is in the cache line of the `Arc`'s counts.
#[repr(C)]
pub(super) struct Shared<T> {
    /// Atomic; see the drawing.
    state: AtomicUsize,
    /// See invariant 1.
    value: UnsafeCell<Option<T>>,
    /// See invariant 2.
    receiver: Seat,
    sender: Seat,
}

type Seat = UnsafeCell<Option<Waker>>;

// SAFETY: the value goes from one thread to another, hence `T: Send`; at each moment it and the
// wakers are one side's (1, 2).
unsafe impl<T: Send> Send for Shared<T> {}
// SAFETY: as above; nobody gets a `&T`.
unsafe impl<T: Send> Sync for Shared<T> {}

/// One of the two sides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    Sender,
    Receiver,
}

impl End {
    #[inline]
    fn other(self) -> Self {
        match self {
            Self::Sender => Self::Receiver,
            Self::Receiver => Self::Sender,
        }
    }

    #[inline]
    fn last_word(self) -> usize {
        match self {
            Self::Sender => SENT,
            Self::Receiver => CLOSED,
        }
    }

    #[inline]
    fn waker(self) -> usize {
        match self {
            Self::Sender => TX_WAKER,
            Self::Receiver => RX_WAKER,
        }
    }
}

impl<T> Default for Shared<T> {
    #[inline]
    fn default() -> Self {
        Self {
            state: AtomicUsize::new(0),
            value: UnsafeCell::new(None),
            receiver: UnsafeCell::new(None),
            sender: UnsafeCell::new(None),
        }
    }
}

impl<T> Shared<T> {
    /// Whether this side has said its last word.
    #[inline]
    pub(super) fn has_ended(&self, end: End) -> bool {
        // Acquire: pairs with the `Release` in `end`.
        self.state.load(Ordering::Acquire) & end.last_word() != 0
    }

    /// The sender's last word, with a value. It comes back if the receiver has said its own before.
    #[inline]
    pub(super) fn send(&self, value: T) -> Option<T> {
        // SAFETY: SENT is not set, so the value is ours (1).
        self.value.with_mut(|slot| unsafe { *slot = Some(value) });
        if self.end(End::Sender) {
            return None;
        }
        // SAFETY: CLOSED came first, so the value is still ours (1).
        self.value.with_mut(|slot| unsafe { (*slot).take() })
    }

    /// Takes the value, for the receiver.
    ///
    /// # Safety
    ///
    /// The receiver has found SENT, and has not said its last word before it was there.
    #[inline]
    pub(super) unsafe fn take(&self) -> Option<T> {
        // SAFETY: SENT came before CLOSED, so the value is ours (1).
        self.value.with_mut(|slot| unsafe { (*slot).take() })
    }

    /// The last word of `end`. Says whether it was the first of the two; then the other is woken.
    #[inline]
    pub(super) fn end(&self, end: End) -> bool {
        // Release: pairs with the `Acquire` with which the other finds it. Acquire: with the
        // `Release` with which it left its waker, or said its own.
        let before = self.state.fetch_or(end.last_word(), Ordering::AcqRel);
        if before & (SENT | CLOSED) != 0 {
            return false;
        }
        if before & end.other().waker() != 0 {
            self.wake(end.other());
        }
        if before & end.waker() != 0 {
            // SAFETY: ours was the first last word, so the other does not look at our seat (3).
            let left = unsafe { self.take_seat(end) };
            drop(left);
        }
        true
    }

    #[inline]
    fn wake(&self, end: End) {
        // SAFETY: the bit was set when we said our last word, which was the first, so nobody writes
        // the seat any more (2).
        self.seat(end).with(|waker| unsafe {
            if let Some(waker) = &*waker {
                waker.wake_by_ref();
            }
        });
    }

    /// Leaves the waker of `end`, unless the other has said its last word.
    #[inline]
    pub(super) fn register(&self, end: End, cx: &Context<'_>) -> bool {
        let over = end.other().last_word();
        // Acquire: pairs with the `Release` in `end`.
        let state = self.state.load(Ordering::Acquire);
        if state & over != 0 {
            return false;
        }
        self.register_slow(end, state, cx)
    }

    /// The other has not come yet.
    #[cold]
    fn register_slow(&self, end: End, state: usize, cx: &Context<'_>) -> bool {
        let over = end.other().last_word();
        if state & end.waker() != 0 {
            // SAFETY: nobody writes it while the bit is set, but for us (2).
            let same = self.seat(end).with(|waker| unsafe {
                (*waker)
                    .as_ref()
                    .is_some_and(|waker| waker.will_wake(cx.waker()))
            });
            if same {
                return true;
            }
            // Acquire: if the last word is there.
            if self.state.fetch_and(!end.waker(), Ordering::AcqRel) & over != 0 {
                return false;
            }
        }
        let fresh = Some(cx.waker().clone());
        // SAFETY: the bit is clear, so the seat is ours (2).
        let old =
            (self.seat(end)).with_mut(|waker| unsafe { std::mem::replace(&mut *waker, fresh) });
        drop(old);
        // Release: pairs with the `Acquire` in `end`, which may call it. Acquire: if the last word
        // is there.
        self.state.fetch_or(end.waker(), Ordering::AcqRel) & over == 0
    }

    /// Takes the waker of `end` back, if the other has not come for it.
    pub(super) fn unregister(&self, end: End) {
        // Relaxed: only this side sets the bit (2).
        if self.state.load(Ordering::Relaxed) & end.waker() == 0 {
            return;
        }
        // AcqRel: as in `register`.
        let before = self.state.fetch_and(!end.waker(), Ordering::AcqRel);
        if before & end.other().last_word() == 0 {
            // SAFETY: the bit is clear, and was cleared before the other could have seen it (2).
            let left = unsafe { self.take_seat(end) };
            drop(left);
        }
    }

    /// # Safety
    ///
    /// The seat is the caller's.
    unsafe fn take_seat(&self, end: End) -> Option<Waker> {
        // SAFETY: the caller's promise.
        self.seat(end).with_mut(|waker| unsafe { (*waker).take() })
    }

    #[inline]
    fn seat(&self, end: End) -> &Seat {
        match end {
            End::Sender => &self.sender,
            End::Receiver => &self.receiver,
        }
    }
}
