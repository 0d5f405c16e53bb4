//! ⚠ A waiter: the node by which a pending operation stands in its channel's queue. Go calls it a
//! sudog.
//!
//! It lives inside the pinned future that waits, so that waiting allocates nothing. Peers find it
//! through [`List`], under the channel's lock, claim it, move the value, take its waker, publish
//! its state and are done with it; they wake it after unlocking.
//!
//! ```text
//!            pushed                    value moved
//!   IDLE ─────────────► LINKED ───────────────────────► DONE ──► FINISHED   (receiver: full while DONE; sender: empty from DONE on)
//!     ▲                  │  │  │        channel closed
//!     └── unlinked by ───┘  │  └──────────────────────► CLOSED ─► FINISHED  (receiver: empty; sender: still full)
//!         its owner         └── met after its select was decided ─► STALE   (as IDLE, unlinked)
//! ```
//!
//! Invariants:
//! 1. `links` and `owner` are touched under the channel's lock while LINKED, and by the owner alone
//!    otherwise.
//! 2. A waiter is in a list exactly while it is LINKED. Its owner unlinks it, under the lock,
//!    before it is freed (the pin makes sure that its `Drop` runs first).
//! 3. LINKED is left under the channel's lock. A peer's last touch is the release store of the new
//!    state; an owner that sees the new state with acquire may free the waiter at once, without the
//!    lock.
//! 4. `value` is the peer's between the claim and that store, and the owner's while not LINKED.
//!    Whether it is full follows from direction and state, as drawn.

use std::fmt;
use std::marker::PhantomPinned;
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::ptr;
use std::task::Waker;

use runtime::leaks::trial::{self, On};

use crate::primitive::UnsafeCell;
use crate::primitive::atomic::{AtomicU8, Ordering::*};
use crate::select::claim::{Claim, Refused};

/// What a waiter is at, see the drawing above.
pub(crate) mod state {
    pub(crate) const IDLE: u8 = 0;
    pub(crate) const LINKED: u8 = 1;
    pub(crate) const DONE: u8 = 2;
    pub(crate) const CLOSED: u8 = 3;
    pub(crate) const STALE: u8 = 4;
    pub(crate) const FINISHED: u8 = 5;
}

/// Whom to ask before completing a waiter, and whom to wake afterwards.
///
/// Two words: the null pointer of a waker's vtable tells the variants apart.
pub(crate) enum Owner {
    /// A plain operation of the task that this wakes. Being in the list is all the permission a
    /// peer needs.
    Task(Waker),
    /// An arm of a select. The claim outlives the waiter's stay in the list.
    Arm(*const Claim),
}

struct Links<T> {
    prev: *const Waiter<T>,
    next: *const Waiter<T>,
}

impl<T> Links<T> {
    fn pair(&self) -> (*const Waiter<T>, *const Waiter<T>) {
        (self.prev, self.next)
    }
}

/// See the module.
pub(crate) struct Waiter<T> {
    /// Set by `push`.
    links: UnsafeCell<MaybeUninit<Links<T>>>,
    /// Set by `push`, moved out by whoever unlinks it; a waiter that never waited has nothing to
    /// drop.
    owner: UnsafeCell<MaybeUninit<Owner>>,
    value: UnsafeCell<MaybeUninit<T>>,
    /// The place of a value that was handed over among all of them; orders what dropped receivers
    /// give back. Set by whoever delivers.
    ticket: UnsafeCell<MaybeUninit<u32>>,
    /// Which arm of its select it is. Set by `push`.
    case: UnsafeCell<MaybeUninit<u16>>,
    state: AtomicU8,
    _pinned: PhantomPinned,
}

impl<T> Waiter<T> {
    /// A receiver's waiter: without a value.
    #[inline(always)]
    pub(crate) fn empty() -> Self {
        Self::around(MaybeUninit::uninit())
    }

    /// A sender's waiter: with the value to send.
    #[inline(always)]
    pub(crate) fn full(value: T) -> Self {
        Self::around(MaybeUninit::new(value))
    }

    #[inline(always)]
    fn around(value: MaybeUninit<T>) -> Self {
        Self {
            links: UnsafeCell::new(MaybeUninit::uninit()),
            owner: UnsafeCell::new(MaybeUninit::uninit()),
            value: UnsafeCell::new(value),
            ticket: UnsafeCell::new(MaybeUninit::uninit()),
            case: UnsafeCell::new(MaybeUninit::uninit()),
            state: AtomicU8::new(state::IDLE),
            _pinned: PhantomPinned,
        }
    }

    /// Acquire pairs with the release store in [`Waiter::publish`].
    #[inline]
    pub(crate) fn state(&self) -> u8 {
        self.state.load(Acquire)
    }

    /// The owner notes where it is; the waiter is not linked.
    #[inline]
    pub(crate) fn set_state(&self, state: u8) {
        // Relaxed: nobody else looks at a waiter that is not linked.
        self.state.store(state, Relaxed);
    }

    /// A peer's last touch.
    #[inline]
    fn publish(&self, state: u8) {
        // Release pairs with the acquire in `state`: value and links are the owner's again.
        self.state.store(state, Release);
    }

    /// Moves the value out.
    ///
    /// # Safety
    ///
    /// The caller has the value by invariant 4, it is full, and counts as empty from now on.
    #[inline]
    pub(crate) unsafe fn take_value(&self) -> T {
        // SAFETY: the caller's promise.
        self.value
            .with(|value| unsafe { (*value).assume_init_read() })
    }

    /// Moves a value in, and its ticket.
    ///
    /// # Safety
    ///
    /// The caller has the value by invariant 4, and it is empty.
    #[inline]
    pub(crate) unsafe fn put_value(&self, value: T, ticket: u32) {
        // SAFETY: the caller's promise.
        self.value.with_mut(|slot| unsafe {
            (*slot).write(value);
        });
        // SAFETY: the ticket goes with the value.
        self.ticket.with_mut(|slot| unsafe {
            (*slot).write(ticket);
        });
    }

    /// The ticket of the value that was delivered here.
    ///
    /// # Safety
    ///
    /// The owner has seen DONE.
    pub(crate) unsafe fn ticket(&self) -> u32 {
        // SAFETY: the peer wrote it before it published DONE.
        self.ticket
            .with(|ticket| unsafe { (*ticket).assume_init() })
    }

    /// Whether a linked plain operation would wake this very task.
    ///
    /// # Safety
    ///
    /// The channel's lock is held and the waiter is LINKED.
    pub(crate) unsafe fn would_wake(&self, waker: &Waker) -> bool {
        // SAFETY: invariant 1.
        self.owner.with(|owner| unsafe {
            matches!((*owner).assume_init_ref(), Owner::Task(old) if old.will_wake(waker))
        })
    }

    /// Replaces the owner of a linked waiter; the old one is to be dropped outside the lock.
    ///
    /// # Safety
    ///
    /// As for [`Waiter::would_wake`].
    pub(crate) unsafe fn replace_owner(&self, owner: Owner) -> Owner {
        // SAFETY: invariant 1.
        self.owner
            .with_mut(|slot| unsafe { std::mem::replace((*slot).assume_init_mut(), owner) })
    }

    /// In a trial: notes the waker that a linked waiter would have waited with.
    ///
    /// # Safety
    ///
    /// It is LINKED, and there is no other thread.
    #[cold]
    pub(super) unsafe fn rehearse(&self, on: On) {
        self.owner.with(|owner| {
            // SAFETY: pushed, and nobody else looks.
            match unsafe { (*owner).assume_init_ref() } {
                Owner::Task(waker) => trial::waker(waker, ptr::from_ref(self).addr(), on),
                // SAFETY: the claim lives while the waiter is linked, see `List::push`.
                Owner::Arm(claim) => unsafe { (**claim).rehearse(on) },
            }
        });
    }

    /// The claim of the select that a linked waiter is an arm of; null for a plain operation.
    #[inline]
    fn claim(&self) -> *const Claim {
        self.owner.with(|owner| {
            // SAFETY: invariant 1; only `List` calls this, under the lock.
            match unsafe { (*owner).assume_init_ref() } {
                Owner::Task(_) => ptr::null(),
                Owner::Arm(claim) => *claim,
            }
        })
    }

    /// Asks for permission to complete a linked waiter.
    fn win(&self) -> Result<(), Refused> {
        let claim = self.claim();
        if claim.is_null() {
            return Ok(());
        }
        // SAFETY: invariant 1; only `List` calls this, under the lock.
        let case = self.case.with(|case| unsafe { (*case).assume_init() });
        // SAFETY: the claim lives while the waiter is linked, see `List::push`.
        unsafe { &*claim }.win(case)
    }

    #[inline]
    fn link(&self, change: impl FnOnce(&mut Links<T>)) {
        // SAFETY: invariant 1; only `List` calls this, under the lock, for waiters that have been
        // pushed.
        self.links
            .with_mut(|links| change(unsafe { (*links).assume_init_mut() }));
    }
}

impl<T> fmt::Debug for Waiter<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = match self.state.load(Relaxed) {
            state::IDLE => "idle",
            state::LINKED => "waiting",
            state::DONE => "done",
            state::CLOSED => "closed",
            state::STALE => "stale",
            _ => "finished",
        };
        f.debug_tuple("Waiter").field(&state).finish()
    }
}

/// A queue of waiters, first come, first served; everything here happens under the channel's lock.
pub(crate) struct List<T> {
    head: *const Waiter<T>,
    tail: *const Waiter<T>,
}

impl<T> List<T> {
    pub(crate) const fn new() -> Self {
        Self {
            head: ptr::null(),
            tail: ptr::null(),
        }
    }

    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.head.is_null()
    }

    /// Appends a waiter on behalf of `owner`, as arm `case` if it is one.
    ///
    /// # Safety
    ///
    /// The lock is held. The waiter is not linked, and its owner unlinks it from this list before
    /// it is freed. A claim in `owner` lives as long as the waiter stays linked.
    #[inline]
    pub(crate) unsafe fn push(&mut self, waiter: Pin<&Waiter<T>>, owner: Owner, case: u16) {
        let waiter = waiter.get_ref();
        // SAFETY: not linked, so all of it is the owner's (invariant 1), and the owner is the
        // caller.
        waiter.owner.with_mut(|slot| unsafe {
            (*slot).write(owner);
        });
        // SAFETY: as above.
        waiter.case.with_mut(|slot| unsafe {
            (*slot).write(case);
        });
        let tail = self.tail;
        // SAFETY: as above.
        waiter.links.with_mut(|links| unsafe {
            (*links).write(Links {
                prev: tail,
                next: ptr::null(),
            });
        });
        if tail.is_null() {
            self.head = waiter;
        } else {
            // SAFETY: invariant 2, what is linked is alive.
            unsafe { &*tail }.link(|links| links.next = waiter);
        }
        self.tail = waiter;
        // Relaxed: peers see it under the lock.
        waiter.state.store(state::LINKED, Relaxed);
    }

    /// The owner takes its waiter out again; returns the waker it waited with, to be dropped
    /// outside the lock.
    ///
    /// # Safety
    ///
    /// The lock is held and the waiter is LINKED in this list.
    pub(crate) unsafe fn remove(&mut self, waiter: &Waiter<T>) -> Owner {
        self.detach(waiter);
        waiter.set_state(state::IDLE);
        // SAFETY: invariant 1, and `push` has set it; nobody looks at it again before the next
        // push.
        waiter
            .owner
            .with(|slot| unsafe { (*slot).assume_init_read() })
    }

    /// Claims the first waiter that may be completed. Busy selects are passed over, decided ones
    /// taken out.
    #[inline]
    pub(crate) fn claim_first(&mut self) -> Option<Claimed<'_, T>> {
        if self.head.is_null() {
            return None;
        }
        // SAFETY: invariant 2, what is linked is alive, and stays so while the lock is held.
        let first = unsafe { &*self.head };
        if first.claim().is_null() {
            self.detach(first);
            return Some(Claimed(first));
        }
        self.claim_among_selects()
    }

    /// The same when the first one is an arm of a select; kept apart, so that plain operations stay
    /// short.
    #[inline(never)]
    fn claim_among_selects(&mut self) -> Option<Claimed<'_, T>> {
        let mut next = self.head;
        while !next.is_null() {
            // SAFETY: invariant 2, what is linked is alive, and stays so while the lock is held.
            let waiter = unsafe { &*next };
            // SAFETY: invariant 1, and it has been pushed.
            next = waiter
                .links
                .with(|links| unsafe { (*links).assume_init_ref().next });
            match waiter.win() {
                Ok(()) => {
                    self.detach(waiter);
                    return Some(Claimed(waiter));
                }
                Err(Refused::Busy) => {}
                Err(Refused::Over) => {
                    self.detach(waiter);
                    waiter.publish(state::STALE);
                }
            }
        }
        None
    }

    #[inline]
    fn detach(&mut self, waiter: &Waiter<T>) {
        // SAFETY: invariant 1.
        let (prev, next) = waiter
            .links
            .with(|links| unsafe { (*links).assume_init_ref() }.pair());
        if prev.is_null() {
            self.head = next;
        } else {
            // SAFETY: invariant 2, what is linked is alive.
            unsafe { &*prev }.link(|links| links.next = next);
        }
        if next.is_null() {
            self.tail = prev;
        } else {
            // SAFETY: as above.
            unsafe { &*next }.link(|links| links.prev = prev);
        }
    }
}

/// A waiter that is ours to complete: unlinked, claimed, and its owner not told yet. Exists only
/// while the lock is held.
#[must_use = "a claimed waiter must be completed"]
pub(crate) struct Claimed<'a, T>(&'a Waiter<T>);

impl<T> Claimed<'_, T> {
    /// Hands a value to a receiver; returns the task to wake once the lock is released.
    #[inline]
    pub(crate) fn deliver(self, value: T, ticket: u32) -> Option<Waker> {
        // SAFETY: claimed and a receiver, so the slot is ours and empty (invariant 4).
        unsafe { self.0.put_value(value, ticket) };
        self.end(state::DONE)
    }

    /// Takes a sender's value; returns the task to wake once the lock is released.
    #[inline]
    pub(crate) fn collect(self) -> (T, Option<Waker>) {
        // SAFETY: claimed and a sender, so the slot is ours and full (invariant 4).
        let value = unsafe { self.0.take_value() };
        (value, self.end(state::DONE))
    }

    /// Tells it that the channel is closed; returns the task to wake once the lock is released.
    pub(crate) fn dismiss(self) -> Option<Waker> {
        self.end(state::CLOSED)
    }

    #[inline]
    fn end(self, state: u8) -> Option<Waker> {
        // SAFETY: unlinked and claimed: until it is published the owner stays away (invariant 1).
        // `push` has set it, and nobody looks at it again before the next push.
        let owner = self
            .0
            .owner
            .with(|slot| unsafe { (*slot).assume_init_read() });
        let waker = match owner {
            Owner::Task(waker) => Some(waker),
            // SAFETY: we won this claim, and publish below; a select outlives its waiters.
            Owner::Arm(claim) => unsafe { (*claim).take_waker() },
        };
        self.0.publish(state);
        waker
    }
}

// SAFETY: a waiter moves between threads with its future only while it is not linked or, pinned,
// under the invariants above; what it carries are values of `T`, wakers, and pointers that only
// those invariants allow to follow.
unsafe impl<T: Send> Send for Waiter<T> {}
// SAFETY: as above; a shared reference alone reads nothing but the atomic state.
unsafe impl<T: Send> Sync for Waiter<T> {}
