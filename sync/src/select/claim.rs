//! ⚠ The claim word: who decides which arm of a `select!` takes effect.
//!
//! A `select!` puts one waiter into each of its channels. Whoever would complete one of them, under
//! that channel's lock, must first win this word; it is won once. A plain `recv` or `send` needs no
//! such word: it waits in a single channel, whose lock decides.
//!
//! ```text
//!            all locks held, nothing ready              a peer, one lock held
//!   BUSY ─────────────────────────────────► WAITING ─────────────────────────► case index (for good)
//!    ▲                                        │ │
//!    └──────── polled again ──────────────────┘ └──────── dropped ───────────► CANCELLED (for good)
//! ```
//!
//! BUSY is also the start: while its arms are looked at, and while its ordinary futures are polled,
//! a select can be neither completed nor overtaken. Peers that meet a busy waiter leave it where it
//! is, so it loses no place in a queue; before it goes back to WAITING it looks again, under all
//! locks, for the peers that came meanwhile.
//!
//! Invariants:
//! 1. The waker belongs to the owner while the word is BUSY, and to the winner once it is won.
//! 2. WAITING is entered only with the locks of all its channels held; so it is won only under the
//!    lock of a channel in which the winner found the waiter linked, by a peer that took that lock
//!    later.
//! 3. The winner touches the claim for the last time before it publishes the state of the waiter
//!    that won.

use std::fmt;
use std::marker::PhantomPinned;
use std::task::Waker;

use runtime::leaks::trial::{self, On};

use crate::primitive::UnsafeCell;
use crate::primitive::atomic::{AtomicU32, Ordering::*};

/// Registered with its channels; a peer may complete one arm.
const WAITING: u32 = u32::MAX;
/// The owner is looking at its arms; nobody else may complete one.
const BUSY: u32 = u32::MAX - 1;
/// The owner gave up before anyone completed an arm.
const CANCELLED: u32 = u32::MAX - 2;

/// The claim word of one select, and the task to wake once it is won.
pub(crate) struct Claim {
    word: AtomicU32,
    waker: UnsafeCell<Option<Waker>>,
    /// Waiters point here.
    _pinned: PhantomPinned,
}

// SAFETY: the waker is handed from thread to thread by invariants 1 and 2, and a `Waker` may be.
unsafe impl Send for Claim {}
// SAFETY: as above; shared access goes through the word.
unsafe impl Sync for Claim {}

/// Why a peer may not complete a waiter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refused {
    /// The owner is looking at its arms: leave the waiter where it is.
    Busy,
    /// Another arm has won, or the owner gave up: the waiter may be unlinked.
    Over,
}

impl Claim {
    pub(crate) fn new() -> Self {
        Self {
            word: AtomicU32::new(BUSY),
            waker: UnsafeCell::new(None),
            _pinned: PhantomPinned,
        }
    }

    /// A peer asks to complete arm `case`; it holds the lock of that arm's channel.
    #[inline]
    pub(crate) fn win(&self, case: u16) -> Result<(), Refused> {
        // Acquire pairs with the release in `wait`: the waker that the owner stored is visible.
        // Release pairs with the acquire in `begin`; the value itself is published by the waiter's
        // state.
        match self
            .word
            .compare_exchange(WAITING, u32::from(case), AcqRel, Acquire)
        {
            Ok(_) => Ok(()),
            Err(BUSY) => Err(Refused::Busy),
            Err(_) => Err(Refused::Over),
        }
    }

    /// Takes the waker of a claim that has been won.
    ///
    /// # Safety
    ///
    /// Only the winner calls it, once, before it publishes the state of the waiter that won.
    #[inline]
    pub(crate) unsafe fn take_waker(&self) -> Option<Waker> {
        // SAFETY: invariant 1, the winner owns the waker.
        self.waker.with_mut(|waker| unsafe { (*waker).take() })
    }

    /// The owner begins to look at its arms; `Err` names the arm that has won already.
    #[inline]
    pub(crate) fn begin(&self) -> Result<(), u16> {
        // Only the owner leaves BUSY, and nobody leaves a case: the exchange, which is dear, is for
        // a select that was woken by something else. Relaxed: what a winner did is seen in the
        // state of its arm's waiter.
        let found = match self.word.load(Relaxed) {
            WAITING => self.word.compare_exchange(WAITING, BUSY, AcqRel, Acquire),
            other => Err(other),
        };
        match found {
            Ok(_) | Err(BUSY) => Ok(()),
            Err(case) => Err(u16::try_from(case).expect("a cancelled select is never polled")),
        }
    }

    /// The owner has found nothing ready and waits; it holds the locks of all its channels, and the
    /// word is BUSY.
    #[inline]
    pub(crate) fn wait(&self) {
        // Release pairs with the acquire in `win`.
        self.word.store(WAITING, Release);
    }

    /// The owner gives up. Whether an arm had won before is seen in the state of that arm's waiter,
    /// under its channel's lock.
    pub(crate) fn cancel(&self) {
        // As in `begin`: one that was busy, or has been won, stays so. Relaxed: what the winner did
        // is seen in its waiter's state.
        let waited = self.word.load(Relaxed) == WAITING
            && self
                .word
                .compare_exchange(WAITING, CANCELLED, AcqRel, Acquire)
                .is_ok();
        if waited && trial::is_on() {
            // Also where it has no arms that would tell.
            // SAFETY: a trial has one thread.
            unsafe { self.rehearse(On::Nothing) };
        }
    }

    /// In a trial: notes the task to wake. All arms share this one waker.
    ///
    /// # Safety
    ///
    /// There is no other thread.
    #[cold]
    pub(crate) unsafe fn rehearse(&self, on: On) {
        self.waker.with(|waker| {
            // SAFETY: the caller's promise.
            if let Some(waker) = unsafe { &*waker } {
                trial::waker(waker, std::ptr::from_ref(self).addr(), on);
            }
        });
    }

    /// Stores the task to wake, and returns the one it replaces, to be dropped outside any lock.
    ///
    /// # Safety
    ///
    /// Only the owner calls it, while the word is BUSY.
    pub(crate) unsafe fn set_waker(&self, waker: &Waker) -> Option<Waker> {
        // SAFETY: invariant 1, the owner owns the waker.
        self.waker.with_mut(|slot| unsafe {
            match &*slot {
                Some(old) if old.will_wake(waker) => None,
                _ => {
                    let fresh = waker.clone();
                    (*slot).replace(fresh)
                }
            }
        })
    }
}

impl fmt::Debug for Claim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.word.load(Relaxed) {
            WAITING => f.write_str("Claim(waiting)"),
            BUSY => f.write_str("Claim(busy)"),
            CANCELLED => f.write_str("Claim(cancelled)"),
            case => write!(f, "Claim(won by arm {case})"),
        }
    }
}
