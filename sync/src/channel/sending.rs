//! ⚠ One pending send: what [`Send`](super::Send), [`SendFrom`](super::SendFrom) and a send arm of
//! a select are made of.
//!
//! The value waits in the waiter until a receiver, or the ring, takes it from there. From that
//! moment the send has happened, also if this future is dropped before it hears of it; until that
//! moment dropping it takes the value back.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};

use super::core::Sent;
use super::gate::SEND_READY;
use super::pending::{Queue, keep_waiting, withdraw};
use super::shared::{Channel, Locked, wake};
use super::waiter::{Owner, Waiter, state};
use crate::select::arm::ChannelCase;
use crate::select::case::{Attempt, Case};
use crate::select::claim::Claim;

/// See the module.
pub(crate) struct Sending<'a, T> {
    channel: &'a Channel<T>,
    waiter: Waiter<T>,
}

impl<'a, T> Sending<'a, T> {
    #[inline(always)]
    pub(crate) fn new(channel: &'a Channel<T>, value: T) -> Self {
        Self {
            channel,
            waiter: Waiter::full(value),
        }
    }

    #[inline]
    fn waiter(self: Pin<&Self>) -> Pin<&Waiter<T>> {
        // SAFETY: a field of what is pinned; it is never moved out, and `Drop` below does not move
        // it.
        unsafe { self.map_unchecked(|this| &this.waiter) }
    }

    /// Sent, or the value back because the channel is closed.
    #[inline(always)]
    pub(crate) fn poll(self: Pin<&Self>, cx: &mut Context<'_>) -> Poll<Result<(), T>> {
        match self.waiter.state() {
            // Only when it looks futile is the waker cloned first, because that must not happen
            // under the lock.
            state::IDLE if self.channel.send_ready() => {
                // SAFETY: the waiter is not linked, so the value is ours, and full; a successful
                // send empties it.
                let sent = self
                    .channel
                    .send_hot(|| unsafe { self.waiter.take_value() });
                match sent {
                    Ok(()) => {
                        self.waiter.set_state(state::FINISHED);
                        Poll::Ready(Ok(()))
                    }
                    Err(core) => self.poll_locked(core, cx),
                }
            }
            state::IDLE => self.register(cx),
            state::DONE => {
                self.waiter.set_state(state::FINISHED);
                Poll::Ready(Ok(()))
            }
            _ => self.poll_rare(cx),
        }
    }

    /// A first poll that has found the channel to be in no simple state.
    #[inline(never)]
    fn poll_locked(
        self: Pin<&Self>,
        mut core: Locked<'_, T>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<(), T>> {
        // SAFETY: as in `poll`.
        let sent = core.send(|| unsafe { self.waiter.take_value() });
        drop(core);
        match self.conclude(sent) {
            Some(outcome) => Poll::Ready(outcome),
            None => self.register(cx),
        }
    }

    #[cold]
    #[inline(never)]
    fn poll_rare(self: Pin<&Self>, cx: &mut Context<'_>) -> Poll<Result<(), T>> {
        if self.waiter.state() == state::LINKED && keep_waiting(self.channel, &self.waiter, cx) {
            return Poll::Pending;
        }
        match self.waiter.state() {
            state::DONE | state::CLOSED => Poll::Ready(self.outcome()),
            state::FINISHED => panic!(
                "a send was polled again after it had completed; make a new one with `send(value)`"
            ),
            _ => self.register(cx),
        }
    }

    /// Tries once more, and gets in line.
    #[inline(never)]
    fn register(self: Pin<&Self>, cx: &mut Context<'_>) -> Poll<Result<(), T>> {
        let waker = cx.waker().clone();
        let mut core = self.channel.lock();
        // SAFETY: as in `poll`.
        let sent = core.send(|| unsafe { self.waiter.take_value() });
        if let Sent::Full = sent {
            // SAFETY: not linked (IDLE or STALE), and `Drop` withdraws it.
            unsafe { Queue::Senders.push(&mut core, self.waiter(), Owner::Task(waker)) };
            return Poll::Pending;
        }
        drop(core);
        match self.conclude(sent) {
            Some(outcome) => Poll::Ready(outcome),
            None => unreachable!("a full channel was dealt with"),
        }
    }

    #[inline]
    fn conclude(&self, sent: Sent) -> Option<Result<(), T>> {
        match sent {
            Sent::Done(waker) => {
                self.waiter.set_state(state::FINISHED);
                wake(waker);
                Some(Ok(()))
            }
            Sent::Closed => Some(Err(self.take_back())),
            Sent::Full => None,
        }
    }

    /// Takes the unsent value.
    fn take_back(&self) -> T {
        self.waiter.set_state(state::FINISHED);
        // SAFETY: called only while not linked and full; it counts as empty from FINISHED on.
        unsafe { self.waiter.take_value() }
    }

    /// The operation as an arm of a select.
    #[inline]
    pub(crate) fn as_case(self: Pin<&Self>) -> ChannelCase<'_> {
        ChannelCase {
            gate: self.channel.gate(),
            flag: SEND_READY,
            case: self,
        }
    }

    /// The outcome, for a select that has chosen this arm.
    pub(crate) fn outcome(&self) -> Result<(), T> {
        if self.waiter.state() == state::DONE {
            self.waiter.set_state(state::FINISHED);
            return Ok(());
        }
        debug_assert_eq!(self.waiter.state(), state::CLOSED);
        Err(self.take_back())
    }

    /// Gives up; the value, unless it has been sent or taken back before.
    #[inline]
    pub(crate) fn cancel(&self) -> Option<T> {
        withdraw(self.channel, &self.waiter, Queue::Senders);
        match self.waiter.state() {
            state::DONE | state::FINISHED => None,
            _ => Some(self.take_back()),
        }
    }
}

impl<T> Drop for Sending<'_, T> {
    #[inline]
    fn drop(&mut self) {
        if self.waiter.state() != state::FINISHED {
            drop(self.cancel());
        }
    }
}

impl<T> Case for Sending<'_, T> {
    unsafe fn attempt(&self) -> Attempt {
        // SAFETY: the caller holds the lock.
        let mut core = unsafe { self.channel.open() };
        // SAFETY: the lock is held and the claim busy, so that no peer touches the value; it is
        // full, and a successful send empties it.
        let sent = core.send(|| unsafe { self.waiter.take_value() });
        let (outcome, peer) = match sent {
            Sent::Done(peer) => (state::DONE, peer),
            Sent::Closed => (state::CLOSED, None),
            Sent::Full => return Attempt::NotReady,
        };
        if self.waiter.state() == state::LINKED {
            // SAFETY: the lock is held and it is linked. The owner is a claim, so that dropping it
            // runs no foreign code.
            drop(unsafe { core.senders.remove(&self.waiter) });
        }
        self.waiter.set_state(outcome);
        Attempt::Done(peer)
    }

    unsafe fn link(self: Pin<&Self>, claim: *const Claim, case: u16) {
        if self.waiter.state() == state::LINKED {
            return;
        }
        // SAFETY: the caller holds the lock.
        let mut core = unsafe { self.channel.open() };
        // SAFETY: not linked, and `Drop` withdraws it; the claim lives until then by the caller's
        // promise.
        unsafe { core.senders.push(self.waiter(), Owner::Arm(claim), case) };
    }

    fn settle(&self) {
        if self.waiter.state() == state::LINKED {
            // Whoever claimed it publishes its state before letting go of the lock.
            drop(self.channel.gate().hold());
        }
    }
}

impl<T> fmt::Debug for Sending<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.waiter.fmt(f)
    }
}
