//! The members that wait for something, with the wakers by which they are told to give up.
//!
//! A member that ends in its first poll is never in here, and neither is one that has not had it:
//! they look at the group's word before they begin, so that nobody has to tell them.
//!
//! They are found by where they are in memory, which is theirs alone while they wait, so that a
//! member has no number to remember. (A list of places with numbers was here before; the number
//! made the smallest members too large for the slot that they would have alone.)
#![forbid(unsafe_code)]

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};
use std::task::Waker;

/// Where a member is, by which it is found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Place(usize);

impl Place {
    /// That of something which stays where it is, and belongs to one member.
    #[inline]
    pub(super) fn of<T>(what: &T) -> Self {
        Self(std::ptr::from_ref(what).addr())
    }
}

#[derive(Debug, Default)]
pub(super) struct Members {
    /// `None`: told to give up; it has not ended yet.
    wakers: HashMap<Place, Option<Waker>, BuildHasherDefault<Spread>>,
}

impl Members {
    pub(super) fn enter(&mut self, place: Place, waker: Waker) {
        let before = self.wakers.insert(place, Some(waker));
        debug_assert!(before.is_none(), "a place belongs to one member");
    }

    /// The member has ended; its waker is to be dropped after the lock.
    pub(super) fn ended(&mut self, place: Place) -> Option<Waker> {
        self.wakers.remove(&place).flatten()
    }

    /// All of them, to be woken after the lock.
    pub(super) fn tell_all(&mut self) -> Vec<Waker> {
        self.wakers.values_mut().filter_map(Option::take).collect()
    }
}

/// Addresses need no defence against who chooses them badly, only all their bits where the table
/// looks: at the lowest and the highest.
#[derive(Default)]
struct Spread(u64);

impl Hasher for Spread {
    fn write(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.write_usize(byte.into());
        }
    }

    #[inline]
    fn write_usize(&mut self, address: usize) {
        // A multiplication by the golden ratio (Knuth) carries all bits to the top; the fold brings
        // them down again.
        let spread = (self.0 ^ address as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        self.0 = spread ^ (spread >> 32);
    }

    #[inline]
    fn finish(&self) -> u64 {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn neighbours_are_spread_over_the_table() {
        // As slots of a slab are: every 96 bytes. A table of 1024 has as many of its buckets hit as
        // at random, about 63 of 100.
        let hashes = (0..1024).map(|n| {
            let mut hasher = Spread::default();
            hasher.write_usize(0x7F00_0000_1000 + 96 * n);
            hasher.finish()
        });
        let low: HashSet<u64> = hashes.clone().map(|hash| hash % 1024).collect();
        let high: HashSet<u64> = hashes.map(|hash| hash >> 57).collect();
        assert!(low.len() > 500, "{}", low.len());
        assert!(high.len() > 100, "{}", high.len());
    }
}
