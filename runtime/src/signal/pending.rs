//! [`Pending`]: the signals that have come to a listener and were not received, a bit each.
//!
//! Handlers set bits, the listener takes them in turn: after a signal those with higher numbers,
//! then again from the lowest on. So one that comes all the time keeps no other waiting. Who sets
//! the first bit goes on to ring: it writes a byte to the listener's pipe, after the bit, so that
//! whoever is woken by the byte finds it. Who finds some bit set need not: whoever set that rings,
//! or has rung, and the listener waits for no byte before it has found all bits taken.
//!
//! *Memory order.* What came before a signal is visible to who receives it, also where two were
//! received as one: each bit is set by a read-modify-write with Release, and taken by one with
//! Acquire, which reads from the last of those and so from all. That the byte is not overtaken by
//! its bit is the system's doing: a call of the system orders more than any instruction.
#![forbid(unsafe_code)]

use crate::primitive::atomic::{
    AtomicU64,
    Ordering::{Acquire, Relaxed, Release},
};

/// See the module.
#[derive(Debug)]
pub(crate) struct Pending(AtomicU64);

impl Pending {
    pub(crate) fn new() -> Self {
        Self(AtomicU64::new(0))
    }

    /// A signal has come. `true`: none was there, and the listener is to be rung up. Called by
    /// handlers.
    pub(crate) fn add(&self, bit: u64) -> bool {
        // Release pairs with the exchange in `take_after`.
        self.0.fetch_or(bit, Release) == 0
    }

    /// Takes the first bit above the place `last`, or else the lowest, and returns its place.
    /// Called by the listener alone.
    pub(crate) fn take_after(&self, last: u32) -> Option<u32> {
        // Relaxed: it says which one to take; the exchange acquires. Bits are taken by the listener
        // alone: this one is still there then.
        let pending = self.0.load(Relaxed);
        if pending == 0 {
            return None;
        }
        // No shift by all 64 bits, above the highest signal.
        let above = pending & (u64::MAX << last << 1);
        let next = if above == 0 { pending } else { above }.trailing_zeros();
        // Acquire pairs with the exchanges in `add`.
        self.0.fetch_and(!(1 << next), Acquire);
        Some(next)
    }
}
