//! ⚠ One pending receive: what [`Recv`](super::Recv), a stream, and a receive arm of a select are
//! made of.
//!
//! A value is handed into the waiter by the sender; from then on it is this future's to return. If
//! it is dropped instead, the value goes to the next receiver, or back to the front of the channel,
//! so that dropping loses nothing.

use std::fmt;
use std::ops::Deref;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use super::core::Received;
use super::gate::RECV_READY;
use super::pending::{Queue, keep_waiting, withdraw};
use super::shared::{Channel, Locked, wake};
use super::waiter::{Owner, Waiter, state};
use crate::select::arm::ChannelCase;
use crate::select::case::{Attempt, Case};
use crate::select::claim::Claim;

/// See the module. `C` is how it reaches its channel.
pub(crate) struct Receiving<C, T>
where
    C: Deref<Target = Channel<T>>,
{
    channel: C,
    waiter: Waiter<T>,
}

impl<C, T> Receiving<C, T>
where
    C: Deref<Target = Channel<T>>,
{
    #[inline(always)]
    pub(crate) fn new(channel: C) -> Self {
        Self {
            channel,
            waiter: Waiter::empty(),
        }
    }

    #[inline]
    pub(crate) fn channel(&self) -> &Channel<T> {
        &self.channel
    }

    #[inline]
    fn waiter(self: Pin<&Self>) -> Pin<&Waiter<T>> {
        // SAFETY: a field of what is pinned; it is never moved out, and `Drop` below does not move
        // it.
        unsafe { self.map_unchecked(|this| &this.waiter) }
    }

    /// The next value, or `None` once the channel is closed and drained. Not to be polled again
    /// after that, without [`Self::reset`].
    #[inline(always)]
    pub(crate) fn poll(self: Pin<&Self>, cx: &mut Context<'_>) -> Poll<Option<T>> {
        match self.waiter.state() {
            // Only when it looks futile is the waker cloned first, because that must not happen
            // under the lock.
            state::IDLE if self.channel.recv_ready() => match self.channel.receive_hot() {
                Ok(value) => {
                    self.waiter.set_state(state::FINISHED);
                    Poll::Ready(Some(value))
                }
                Err(core) => self.poll_locked(core, cx),
            },
            state::IDLE => self.register(cx),
            state::DONE => Poll::Ready(Some(self.take())),
            _ => self.poll_rare(cx),
        }
    }

    /// A first poll that has found the channel to be in no simple state.
    #[inline(never)]
    fn poll_locked(
        self: Pin<&Self>,
        mut core: Locked<'_, T>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<T>> {
        let received = core.receive();
        drop(core);
        match self.conclude(received) {
            Some(outcome) => Poll::Ready(outcome),
            None => self.register(cx),
        }
    }

    /// Makes a finished receive ready for the next one.
    pub(crate) fn reset(&self) {
        debug_assert_eq!(self.waiter.state(), state::FINISHED);
        self.waiter.set_state(state::IDLE);
    }

    /// [`Reset`](Self::reset), if the panic of a sender's waker went by when it had just finished.
    #[inline]
    pub(super) fn recover(&self) {
        if self.waiter.state() == state::FINISHED {
            self.reset();
        }
    }

    /// Whether it has been handed a value that it has not returned yet.
    pub(super) fn has_value(&self) -> bool {
        self.waiter.state() == state::DONE
    }

    /// Gets out of line, and gives back what it has been handed: its handle goes on with something
    /// else. It can be polled again.
    ///
    /// Several threads may do it at once, with a shared handle, though none while it is polled: so
    /// all is done under the lock.
    #[cold]
    #[inline(never)]
    pub(super) fn recall(&self) {
        if self.waiter.state() == state::IDLE {
            return;
        }
        let mut core = self.channel.lock();
        let (mut owner, mut peer) = (None, None);
        match self.waiter.state() {
            state::LINKED => {
                // SAFETY: the lock is held and it is linked.
                owner = Some(unsafe { core.receivers.remove(&self.waiter) });
            }
            state::DONE => {
                // SAFETY: DONE has been seen under the lock, under which it is left here, so that
                // value and ticket are ours alone.
                let (value, ticket) = unsafe { (self.waiter.take_value(), self.waiter.ticket()) };
                self.waiter.set_state(state::IDLE);
                peer = core.give_back(value, ticket);
            }
            _ => self.waiter.set_state(state::IDLE),
        }
        drop(core);
        drop(owner);
        wake(peer);
    }

    #[cold]
    #[inline(never)]
    fn poll_rare(self: Pin<&Self>, cx: &mut Context<'_>) -> Poll<Option<T>> {
        if self.waiter.state() == state::LINKED && keep_waiting(&self.channel, &self.waiter, cx) {
            return Poll::Pending;
        }
        match self.waiter.state() {
            state::DONE => Poll::Ready(Some(self.take())),
            state::FINISHED => panic!(
                "a receive was polled again after it had completed; make a new one with `recv()`"
            ),
            // CLOSED: a value may have been given back since.
            _ => self.register(cx),
        }
    }

    /// Receives if that is possible without waiting.
    fn receive_now(&self) -> Option<Option<T>> {
        let received = self.channel.lock().receive();
        self.conclude(received)
    }

    #[inline]
    fn conclude(&self, received: Received<T>) -> Option<Option<T>> {
        match received {
            Received::Value(value, waker) => {
                self.waiter.set_state(state::FINISHED);
                Some(Some(self.channel.wake_keeping(waker, value)))
            }
            Received::Closed => {
                self.waiter.set_state(state::FINISHED);
                Some(None)
            }
            Received::Empty => None,
        }
    }

    /// Looks once more, and gets in line.
    #[inline(never)]
    fn register(self: Pin<&Self>, cx: &mut Context<'_>) -> Poll<Option<T>> {
        let waker = cx.waker().clone();
        let mut core = self.channel.lock();
        let received = core.receive();
        if let Received::Empty = received {
            // SAFETY: not linked (IDLE, STALE or CLOSED), and `Drop` withdraws it.
            unsafe { Queue::Receivers.push(&mut core, self.waiter(), Owner::Task(waker)) };
            return Poll::Pending;
        }
        drop(core);
        match self.conclude(received) {
            Some(outcome) => Poll::Ready(outcome),
            None => unreachable!("an empty channel was dealt with"),
        }
    }

    /// Takes what was handed over.
    #[inline]
    fn take(self: Pin<&Self>) -> T {
        self.waiter.set_state(state::FINISHED);
        // SAFETY: DONE has been seen, so the value is ours and full; it counts as empty from
        // FINISHED on.
        unsafe { self.waiter.take_value() }
    }

    /// The operation as an arm of a select.
    #[inline]
    pub(crate) fn as_case(self: Pin<&Self>) -> ChannelCase<'_> {
        ChannelCase {
            gate: self.get_ref().channel.gate(),
            flag: RECV_READY,
            case: self,
        }
    }

    /// The outcome, for a select that has chosen this arm.
    pub(crate) fn outcome(self: Pin<&Self>) -> Option<T> {
        if self.waiter.state() == state::DONE {
            return Some(self.take());
        }
        debug_assert_eq!(self.waiter.state(), state::CLOSED);
        // Closed; but a value may have been given back since.
        self.receive_now().flatten()
    }
}

impl<C, T> Drop for Receiving<C, T>
where
    C: Deref<Target = Channel<T>>,
{
    #[inline]
    fn drop(&mut self) {
        if matches!(self.waiter.state(), state::LINKED | state::DONE) {
            self.abandon();
        }
    }
}

impl<C, T> Receiving<C, T>
where
    C: Deref<Target = Channel<T>>,
{
    /// Dropped while waiting, or with a value.
    #[cold]
    fn abandon(&self) {
        withdraw(&self.channel, &self.waiter, Queue::Receivers);
        if self.waiter.state() != state::DONE {
            return;
        }
        // SAFETY: DONE has been seen, so value and ticket are ours, and the value is full; the
        // waiter goes now.
        let (value, ticket) = unsafe { (self.waiter.take_value(), self.waiter.ticket()) };
        let waker = self.channel.lock().give_back(value, ticket);
        wake(waker);
    }
}

impl<C, T> Case for Receiving<C, T>
where
    C: Deref<Target = Channel<T>>,
{
    unsafe fn attempt(&self) -> Attempt {
        // SAFETY: the caller holds the lock.
        let mut core = unsafe { self.channel.open() };
        let ticket = core.ticket();
        let (outcome, peer): (_, Option<Waker>) = match core.receive() {
            Received::Value(value, peer) => (Some(value), peer),
            Received::Closed => (None, None),
            Received::Empty => return Attempt::NotReady,
        };
        if self.waiter.state() == state::LINKED {
            // SAFETY: the lock is held and it is linked. The owner is a claim, so that dropping it
            // runs no foreign code.
            drop(unsafe { core.receivers.remove(&self.waiter) });
        }
        self.waiter.set_state(match outcome {
            Some(value) => {
                // SAFETY: not linked, so the slot is ours; empty, since this waiter was not DONE.
                unsafe { self.waiter.put_value(value, ticket) };
                state::DONE
            }
            None => state::CLOSED,
        });
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
        unsafe { core.receivers.push(self.waiter(), Owner::Arm(claim), case) };
    }

    fn settle(&self) {
        if self.waiter.state() == state::LINKED {
            // Whoever claimed it publishes its state before letting go of the lock.
            drop(self.channel.gate().hold());
        }
    }
}

impl<C, T> fmt::Debug for Receiving<C, T>
where
    C: Deref<Target = Channel<T>>,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.waiter.fmt(f)
    }
}
