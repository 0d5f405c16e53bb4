//! A channel's gate: its lock, and what can be told of it without the lock. The part that is the
//! same whatever the channel carries, so that a select goes through those of all its channels
//! without asking each for its type.
#![forbid(unsafe_code)]

use crate::primitive::atomic::{AtomicU8, Ordering::*};
use crate::primitive::{Held, Lock};

/// A receive would not wait, as far as one can tell without the lock.
pub(crate) const RECV_READY: u8 = 1;
/// A send would not wait, as far as one can tell without the lock.
pub(crate) const SEND_READY: u8 = 2;
/// The channel is closed.
pub(crate) const IS_CLOSED: u8 = 4;

/// See the module.
#[derive(Debug)]
pub(crate) struct Gate {
    lock: Lock,
    /// [`Core::readiness`](super::core::Core::readiness), kept up to date by whoever holds the
    /// lock.
    ready: AtomicU8,
}

impl Gate {
    pub(super) fn new(ready: u8) -> Self {
        Self {
            lock: Lock::new(),
            ready: AtomicU8::new(ready),
        }
    }

    /// Takes the lock; before it is released, what has changed is to be
    /// [announced](Self::announce).
    #[inline]
    pub(crate) fn hold(&self) -> Held<'_> {
        self.lock.hold()
    }

    /// Notes what can be known without the lock, which the caller holds.
    #[inline(always)]
    pub(super) fn announce(&self, ready: u8) {
        // Release pairs with the acquire in `is`: who sees a flag also sees what the thread that
        // set it had done before.
        self.ready.store(ready, Release);
    }

    /// Whether a flag is set. Exact for whoever holds the lock; for others, as of when it was last
    /// held.
    #[inline]
    pub(crate) fn is(&self, flag: u8) -> bool {
        self.ready.load(Acquire) & flag != 0
    }

    /// Names the channel among all others, for the order in which a select locks.
    #[inline]
    pub(crate) fn address(&self) -> usize {
        std::ptr::from_ref(self).addr()
    }
}
