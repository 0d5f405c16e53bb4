//! What a channel is under its lock: a ring of values, two queues of waiters, and whether it is
//! closed.
//!
//! Invariants, whenever the lock is free (a *waiting* waiter is one that is not a busy or decided
//! select, see [`claim`](crate::select::claim)):
//! 1. If a receiver is waiting, there is no value here and no sender is waiting.
//! 2. If a sender is waiting, the ring is full.
//! 3. If the channel is closed, nobody is waiting.
//!
//! Hence values and waiters are served in order, and nobody can barge in: a value goes straight to
//! the first waiting receiver; a receiver that takes from a full ring moves the first waiting
//! sender's value to its tail.
//!
//! Values that had been handed to receivers which were then dropped come back to the front, in the
//! order in which they had been handed over; that queue is allocated only then.
#![forbid(unsafe_code)]

use std::collections::VecDeque;
use std::task::Waker;

use super::gate::{IS_CLOSED, RECV_READY, SEND_READY};
use super::ring::Ring;
use super::waiter::List;
use crate::gone::Gone;
use crate::waiters::Batch;

/// See the module.
pub(crate) struct Core<T> {
    buffer: Ring<T>,
    pub(super) receivers: List<T>,
    pub(super) senders: List<T>,
    #[expect(
        clippy::box_collection,
        reason = "one word in a channel that hardly ever has any"
    )]
    returned: Option<Box<VecDeque<(u32, T)>>>,
    /// Those who wait for the close alone; made for the first of them, and there until the channel
    /// goes.
    pub(super) gone: Option<Box<Gone>>,
    /// The ticket of the next value that is handed to a waiting receiver; it wraps.
    ticket: u32,
    closed: bool,
}

/// Outcome of [`Core::receive`]; a waker is to be woken once the lock is released.
pub(crate) enum Received<T> {
    Value(T, Option<Waker>),
    Closed,
    Empty,
}

/// Outcome of [`Core::send`]; a waker is to be woken once the lock is released.
pub(crate) enum Sent {
    Done(Option<Waker>),
    Closed,
    Full,
}

impl<T> Core<T> {
    pub(super) fn new(capacity: u32) -> Self {
        Self {
            buffer: Ring::new(capacity),
            receivers: List::new(),
            senders: List::new(),
            returned: None,
            gone: None,
            ticket: 0,
            closed: false,
        }
    }

    /// The hot half of [`Core::receive`]: takes a buffered value where that concerns nobody else.
    /// With it comes the [readiness](Core::readiness) that this leaves. `None`: it takes the other
    /// half.
    #[inline(always)]
    pub(super) fn receive_hot(&mut self) -> Option<(T, u8)> {
        if self.closed | self.returned.is_some() || !self.senders.is_empty() {
            return None;
        }
        let value = self.buffer.pop()?;
        let rest = self.buffer.len() != 0;
        Some((value, SEND_READY | (u8::from(rest) * RECV_READY)))
    }

    /// The hot half of [`Core::send`]: puts the value into the ring where that concerns nobody
    /// else, and returns the [readiness](Core::readiness) that this leaves. `None`: it takes the
    /// other half, and `take` has not been called.
    #[inline(always)]
    pub(super) fn send_hot(&mut self, take: impl FnOnce() -> T) -> Option<u8> {
        // A closed channel's ring is shut, see `close`.
        if !self.receivers.is_empty() || !self.buffer.push(take) {
            return None;
        }
        let room = !self.buffer.is_full();
        Some(RECV_READY | (u8::from(room) * SEND_READY))
    }

    /// Takes the next value, if there is one without waiting. Inlined, or else what it returns goes
    /// through memory.
    #[inline(always)]
    pub(crate) fn receive(&mut self) -> Received<T> {
        if self.returned.is_some() {
            if let Some(value) = self.pop_returned() {
                return Received::Value(value, None);
            }
        }
        if let Some(value) = self.buffer.pop() {
            let waker = self.refill();
            return Received::Value(value, waker);
        }
        if let Some(sender) = self.senders.claim_first() {
            let (value, waker) = sender.collect();
            return Received::Value(value, waker);
        }
        if self.closed {
            Received::Closed
        } else {
            Received::Empty
        }
    }

    /// Sends what `take` yields, if it can be sent without waiting; otherwise does not call it.
    #[inline]
    pub(crate) fn send(&mut self, take: impl FnOnce() -> T) -> Sent {
        if self.closed {
            return Sent::Closed;
        }
        if let Some(receiver) = self.receivers.claim_first() {
            let ticket = self.ticket;
            self.ticket = ticket.wrapping_add(1);
            return Sent::Done(receiver.deliver(take(), ticket));
        }
        if self.buffer.has_slot() || (!self.buffer.is_full() && self.buffer.grow()) {
            self.buffer.push(take);
            return Sent::Done(None);
        }
        Sent::Full
    }

    /// Closes the channel; false if it was closed already. [`Core::dismiss`] is to follow.
    pub(super) fn close(&mut self) -> bool {
        self.buffer.shut();
        !std::mem::replace(&mut self.closed, true)
    }

    /// After closing: tells waiters, as many as the batch has room for. False once all know.
    pub(super) fn dismiss(&mut self, batch: &mut Batch) -> bool {
        while !batch.is_full() {
            let next = match self.receivers.claim_first() {
                Some(receiver) => Some(receiver),
                None => self.senders.claim_first(),
            };
            match next {
                Some(waiter) => batch.extend(waiter.dismiss()),
                None => return false,
            }
        }
        true
    }

    /// A value comes back from a receiver that was dropped after it had been chosen: to the next
    /// receiver, in front of all others.
    pub(super) fn give_back(&mut self, value: T, ticket: u32) -> Option<Waker> {
        if let Some(receiver) = self.receivers.claim_first() {
            return receiver.deliver(value, ticket);
        }
        let returned = self.returned.get_or_insert_default();
        // Tickets wrap; two that are out at the same time are less than half the range apart.
        let place = returned.partition_point(|(other, _)| (other.wrapping_sub(ticket) as i32) < 0);
        returned.insert(place, (ticket, value));
        None
    }

    /// The same for one that was taken without having waited.
    pub(super) fn give_back_first(&mut self, value: T) -> Option<Waker> {
        self.give_back(value, self.ticket)
    }

    /// The place of what is taken without having waited, among all that is handed to those who did:
    /// after what has been, and before what is still here.
    pub(super) fn ticket(&self) -> u32 {
        self.ticket
    }

    /// Everything that nobody can receive any more, to be dropped outside the lock.
    pub(super) fn drain(&mut self) -> impl Sized + use<T> {
        let mut shut = Ring::new(self.buffer.capacity());
        shut.shut();
        (
            std::mem::replace(&mut self.buffer, shut),
            self.returned.take(),
        )
    }

    /// What can be told of the channel without its lock, see [`gate`](super::gate). Called at each
    /// unlock, hence without branches.
    #[inline]
    pub(super) fn readiness(&self) -> u8 {
        let receivable =
            (self.buffer.len() != 0) | !self.senders.is_empty() | self.returned.is_some();
        let sendable = !self.buffer.is_full() | !self.receivers.is_empty();
        let closed = if self.closed {
            RECV_READY | SEND_READY | IS_CLOSED
        } else {
            0
        };
        (u8::from(receivable) * RECV_READY) | (u8::from(sendable) * SEND_READY) | closed
    }

    pub(super) fn len(&self) -> usize {
        self.buffer.len() as usize + self.returned.as_ref().map_or(0, |returned| returned.len())
    }

    pub(super) fn capacity(&self) -> usize {
        self.buffer.capacity() as usize
    }

    pub(super) fn is_full(&self) -> bool {
        self.buffer.is_full()
    }

    /// A value has left a full ring: the first waiting sender's takes its place.
    #[inline]
    fn refill(&mut self) -> Option<Waker> {
        let (value, waker) = self.senders.claim_first()?.collect();
        self.buffer.replace(value);
        waker
    }

    #[cold]
    fn pop_returned(&mut self) -> Option<T> {
        let returned = self.returned.as_mut()?;
        let first = returned.pop_front();
        if returned.is_empty() {
            self.returned = None;
        }
        first.map(|(_, value)| value)
    }
}
