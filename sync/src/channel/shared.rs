//! ⚠ What the two ends of a channel share: the [`Core`], its lock, and what may be known without
//! it.
//!
//! The [`Gate`]'s lock is held for a few dozen instructions, in which no foreign code runs: wakers
//! are cloned before, woken and dropped after, values are only moved. Nothing under it panics
//! half-way: only an allocation could, and that comes before anything is changed.

use std::fmt;
use std::mem::ManuallyDrop;
use std::ops::{Deref, DerefMut};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::task::Waker;

use runtime::leaks::trial;

use super::core::{Core, Received};
use super::gate::{Gate, IS_CLOSED, RECV_READY, SEND_READY};
use crate::gone::Gone;
use crate::primitive::atomic::{AtomicU32, Ordering::*};
use crate::primitive::{Held, UnsafeCell, WAKE_BATCH};
use crate::waiters::Batch;

/// A channel. Both ends hold it in an `Arc`.
pub(crate) struct Channel<T> {
    gate: Gate,
    /// How many handles there are of either end; the last one closes the channel.
    senders: AtomicU32,
    receivers: AtomicU32,
    /// Handles that may become senders; they keep nothing open. Counted for the search for leaks
    /// alone.
    weak: AtomicU32,
    /// No sender exists, and none ever will: Go's nil channel.
    never: bool,
    /// Under the gate's lock.
    core: UnsafeCell<Core<T>>,
}

// SAFETY: values and wakers move between threads under the lock; nobody gets a reference to a value
// that others can reach.
unsafe impl<T: Send> Send for Channel<T> {}
// SAFETY: as above.
unsafe impl<T: Send> Sync for Channel<T> {}

impl<T> Channel<T> {
    pub(crate) fn new(capacity: usize, never: bool) -> Self {
        let core = Core::new(u32::try_from(capacity).unwrap_or(u32::MAX));
        Self {
            gate: Gate::new(core.readiness()),
            senders: AtomicU32::new(1),
            receivers: AtomicU32::new(1),
            weak: AtomicU32::new(0),
            never,
            core: UnsafeCell::new(core),
        }
    }

    /// Locks the channel for one operation.
    #[inline]
    pub(crate) fn lock(&self) -> Locked<'_, T> {
        let held = self.gate.hold();
        let core = Open(self);
        Locked { core, held }
    }

    /// Receives a buffered value where that concerns nobody else. Otherwise the channel, locked,
    /// for all other cases.
    #[inline(always)]
    pub(super) fn receive_hot(&self) -> Result<T, Locked<'_, T>> {
        let held = self.gate.hold();
        // SAFETY: the lock is held, and no other reference to the core is made before this one is
        // gone.
        match unsafe { self.core() }.receive_hot() {
            Some((value, ready)) => {
                self.gate.announce(ready);
                Ok(value)
            }
            None => Err(Locked {
                core: Open(self),
                held,
            }),
        }
    }

    /// Sends into the ring where that concerns nobody else. Otherwise `take` has not been called;
    /// the channel, locked, for all other cases.
    #[inline(always)]
    pub(super) fn send_hot(&self, take: impl FnOnce() -> T) -> Result<(), Locked<'_, T>> {
        let held = self.gate.hold();
        // SAFETY: as in `receive_hot`; `take` only moves the value.
        match unsafe { self.core() }.send_hot(take) {
            Some(ready) => {
                self.gate.announce(ready);
                Ok(())
            }
            None => Err(Locked {
                core: Open(self),
                held,
            }),
        }
    }

    /// Its lock, and what can be told of it without.
    #[inline]
    pub(crate) fn gate(&self) -> &Gate {
        &self.gate
    }

    /// The core, for somebody who holds the lock.
    ///
    /// # Safety
    ///
    /// The caller holds this channel's lock and has no other reference to the core.
    #[expect(clippy::mut_from_ref, reason = "the lock makes it unique")]
    #[inline]
    pub(crate) unsafe fn core(&self) -> &mut Core<T> {
        // SAFETY: the caller's promise.
        self.core.with_mut(|core| unsafe { &mut *core })
    }

    /// The channel for one operation, for a select that holds its lock.
    ///
    /// # Safety
    ///
    /// As for [`core`](Self::core).
    #[inline]
    pub(super) unsafe fn open(&self) -> Open<'_, T> {
        Open(self)
    }

    /// A receive may find something; when false, it would not have at this moment.
    #[inline]
    pub(crate) fn recv_ready(&self) -> bool {
        self.gate.is(RECV_READY)
    }

    /// A send may succeed or fail at once; when false, it would not have at this moment.
    #[inline]
    pub(crate) fn send_ready(&self) -> bool {
        self.gate.is(SEND_READY)
    }

    #[inline]
    pub(crate) fn is_closed(&self) -> bool {
        self.gate.is(IS_CLOSED)
    }

    #[inline]
    pub(crate) fn is_never(&self) -> bool {
        self.never
    }

    /// Closes the channel and tells everybody who waits; false if it was closed already.
    pub(crate) fn close(&self) -> bool {
        let mut core = self.lock();
        let first = core.close();
        // One who comes after this finds the channel closed, see `is_closed_for_good`.
        let awaited = core.gone.is_some();
        drop(core);
        if first {
            self.dismiss(awaited);
        }
        first
    }

    /// Those who wait for the close alone.
    pub(super) fn gone(&self) -> &Gone {
        if let Some(gone) = self.gone_if_any() {
            return gone;
        }
        // Not under the lock, where nothing is allocated. Of two that come at once, one is dropped,
        // after the lock.
        let mut fresh = Some(Box::new(Gone::new()));
        let mut core = self.lock();
        if core.gone.is_none() {
            core.gone = fresh.take();
        }
        drop(core);
        self.gone_if_any().expect("it is there now, and stays")
    }

    fn gone_if_any(&self) -> Option<&Gone> {
        let gone = self.lock().gone.as_deref().map(std::ptr::from_ref);
        // SAFETY: once made it stays in its box until the channel is dropped, and only shared
        // references to it are ever made.
        gone.map(|gone| unsafe { &*gone })
    }

    /// [`Gone::address`] of those who wait for the close alone, if any ever did. In a trial, where
    /// no lock is waited for.
    pub(super) fn gone_in_trial(&self) -> Option<usize> {
        debug_assert!(trial::is_on());
        // SAFETY: a trial has one thread, this one, which has no reference to the core here.
        // Whoever held the lock when the copy was made is not there, and what is looked at is one
        // word that is set once.
        let gone = &unsafe { self.core() }.gone;
        gone.as_deref().map(Gone::address)
    }

    /// Whether the channel is closed, by a look under the lock: if not, whoever closes it will find
    /// those who wait for that.
    pub(super) fn is_closed_for_good(&self) -> bool {
        self.is_closed() || {
            drop(self.gate.hold());
            self.is_closed()
        }
    }

    /// Closes the channel and leaves it to others, who call [`close_some`](Self::close_some), to
    /// tell those who wait.
    pub(crate) fn shut(&self) {
        self.lock().close();
    }

    /// Closes the channel, if it is not closed, and tells those who wait, as many as the batch has
    /// room for. False once all know.
    pub(crate) fn close_some(&self, batch: &mut Batch) -> bool {
        let mut core = self.lock();
        core.close();
        core.dismiss(batch)
    }

    #[cold]
    fn dismiss(&self, awaited: bool) {
        let mut batch = Batch::default();
        loop {
            let more = self.lock().dismiss(&mut batch);
            batch.wake();
            if !more {
                break;
            }
        }
        if awaited {
            self.gone().tell(&mut batch);
        }
        batch.finish();
    }

    /// Receives what can be received without waiting, up to `limit` values, and says how many.
    pub(super) fn receive_many(&self, buffer: &mut Vec<T>, limit: usize) -> usize {
        let (mut batch, mut taken) = (Batch::default(), 0);
        while taken < limit && self.recv_ready() {
            // Not under the lock, where nothing is allocated.
            if buffer.len() == buffer.capacity() {
                buffer.reserve(1);
            }
            let room = buffer.capacity() - buffer.len();
            let enough = taken + room.min(limit - taken).min(WAKE_BATCH);
            let mut core = self.lock();
            let empty = loop {
                if taken == enough {
                    break false;
                }
                let Received::Value(value, peer) = core.receive() else {
                    break true;
                };
                buffer.push(value);
                batch.extend(peer);
                taken += 1;
            };
            drop(core);
            batch.wake();
            if empty {
                break;
            }
        }
        batch.finish();
        taken
    }

    /// How many handles of one end there are, with those that may become senders.
    pub(super) fn handles(&self, of_senders: bool) -> usize {
        // Relaxed: asked where there are no other threads.
        if of_senders {
            self.senders.load(Relaxed) as usize + self.weak.load(Relaxed) as usize
        } else {
            self.receivers.load(Relaxed) as usize
        }
    }

    /// For users. Acquire: pairs with the Release in `remove`, for who finds none left.
    pub(super) fn sender_count(&self) -> usize {
        match self.never {
            // There is none, and never was.
            true => 0,
            false => self.senders.load(Acquire) as usize,
        }
    }

    /// As `sender_count`.
    pub(super) fn receiver_count(&self) -> usize {
        self.receivers.load(Acquire) as usize
    }

    #[inline]
    pub(crate) fn add_sender(&self) {
        add(&self.senders);
    }

    /// One more sender, if there is any: none comes after the last.
    #[must_use]
    pub(super) fn add_sender_if_any(&self) -> bool {
        // Relaxed: either this comes before the last sender goes, who is not the last then, or
        // after; all else is under the lock.
        let mut count = self.senders.load(Relaxed);
        while count != 0 {
            assert!(count < u32::MAX / 2, "{TOO_MANY}");
            match (self.senders).compare_exchange_weak(count, count + 1, Relaxed, Relaxed) {
                Ok(_) => return true,
                Err(now) => count = now,
            }
        }
        false
    }

    pub(super) fn add_weak(&self) {
        add(&self.weak);
    }

    pub(super) fn remove_weak(&self) {
        // Relaxed: nothing is done at zero.
        self.weak.fetch_sub(1, Relaxed);
    }

    #[inline]
    pub(crate) fn add_receiver(&self) {
        add(&self.receivers);
    }

    /// A sender is gone; the last one closes the channel.
    #[inline]
    pub(crate) fn remove_sender(&self) {
        if remove(&self.senders) {
            self.close();
        }
    }

    /// A receiver is gone; with the last one goes what only it could have received.
    #[inline]
    pub(crate) fn remove_receiver(&self) {
        if remove(&self.receivers) {
            let _rest = Rest(self);
            self.close();
        }
    }
}

/// What nobody can receive any more: dropped with it, also when one of those who are told of the
/// close panics.
struct Rest<'a, T>(&'a Channel<T>);

impl<T> Drop for Rest<'_, T> {
    fn drop(&mut self) {
        let rest = self.0.lock().drain();
        drop(rest);
    }
}

/// Counts one more handle.
fn add(count: &AtomicU32) {
    // Relaxed: a new handle is made from one that exists, so that the count cannot reach zero
    // meanwhile.
    let before = count.fetch_add(1, Relaxed);
    // Far more handles than memory has room for, unless they are leaked in a loop.
    assert!(before < u32::MAX / 2, "{TOO_MANY}");
}

const TOO_MANY: &str = "too many handles of one channel; do not leak them";

/// Counts one handle less; true for the last one.
fn remove(count: &AtomicU32) -> bool {
    // AcqRel: the last one sees what the others did with theirs.
    count.fetch_sub(1, AcqRel) == 1
}

impl<T> fmt::Debug for Channel<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let core = self.lock();
        let (len, capacity) = (core.len(), core.capacity());
        drop(core);
        f.debug_struct("Channel")
            .field("len", &len)
            .field("capacity", &capacity)
            .field("closed", &self.is_closed())
            .finish_non_exhaustive()
    }
}

/// A channel whose lock is held as long as this lives. In the end it notes what can be known
/// without the lock.
pub(super) struct Open<'a, T>(&'a Channel<T>);

impl<T> Deref for Open<'_, T> {
    type Target = Core<T>;

    #[inline]
    fn deref(&self) -> &Core<T> {
        // SAFETY: the lock is held, and the borrow of the guard keeps the reference unique or
        // shared as need be.
        unsafe { self.0.core() }
    }
}

impl<T> DerefMut for Open<'_, T> {
    #[inline]
    fn deref_mut(&mut self) -> &mut Core<T> {
        // SAFETY: as above.
        unsafe { self.0.core() }
    }
}

impl<T> Drop for Open<'_, T> {
    #[inline]
    fn drop(&mut self) {
        self.0.gate.announce(self.readiness());
    }
}

/// A channel, with its lock.
pub(crate) struct Locked<'a, T> {
    core: Open<'a, T>,
    #[expect(dead_code, reason = "dropped last")]
    held: Held<'a>,
}

impl<T> Deref for Locked<'_, T> {
    type Target = Core<T>;

    #[inline]
    fn deref(&self) -> &Core<T> {
        &self.core
    }
}

impl<T> DerefMut for Locked<'_, T> {
    #[inline]
    fn deref_mut(&mut self) -> &mut Core<T> {
        &mut self.core
    }
}

/// Wakes whom an operation made ready; the lock has been released.
#[inline]
pub(crate) fn wake(waker: Option<Waker>) {
    if let Some(waker) = waker {
        waker.wake();
    }
}

impl<T> Channel<T> {
    /// Wakes the sender that a value was received from, or whose value took its place. If that
    /// panics, the value goes back to the front: it is nobody's, as the receive does not return.
    #[inline]
    pub(super) fn wake_keeping(&self, waker: Option<Waker>, value: T) -> T {
        match waker {
            None => value,
            Some(waker) => {
                let kept = Kept {
                    channel: self,
                    value: ManuallyDrop::new(value),
                };
                waker.wake();
                kept.into_value()
            }
        }
    }
}

/// A value that has been received, and goes back if it is not taken.
struct Kept<'a, T> {
    channel: &'a Channel<T>,
    /// There until this goes, or is taken apart.
    value: ManuallyDrop<T>,
}

impl<T> Kept<'_, T> {
    #[inline]
    fn into_value(self) -> T {
        let mut this = ManuallyDrop::new(self);
        // SAFETY: it is there, and taken once, as neither `this` nor the value is dropped.
        unsafe { ManuallyDrop::take(&mut this.value) }
    }
}

impl<T> Drop for Kept<'_, T> {
    #[cold]
    fn drop(&mut self) {
        // SAFETY: it is there, and taken once: this is the drop.
        let value = unsafe { ManuallyDrop::take(&mut self.value) };
        let waker = self.channel.lock().give_back_first(value);
        // A second panic would end the process, and hide the first.
        let _ = catch_unwind(AssertUnwindSafe(|| wake(waker)));
    }
}
