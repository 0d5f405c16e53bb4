//! The arithmetic of the timer wheel: how long a tick is, which slot a tick goes to, and which
//! slots are in use.
//!
//! The number of a tick, read in base 64, says where it goes: the *level* is the highest digit in
//! which it differs from the tick that time has reached, the place in the level is that digit. So
//! level 0 holds the ticks of this block of 64, level 1 the other blocks of this block of blocks,
//! and so on. Slots are numbered through, level by level.
#![forbid(unsafe_code)]

/// How long a tick is, as the power of two of its nanoseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Resolution {
    /// 2^15 ns, 32.8 µs: short against the wake-up of a thread (50 µs and more), long enough that a
    /// worker which is busy for some microseconds between looks at the clock never moves through
    /// more than a few slots.
    Coarse = 15,
    /// One nanosecond: for a paused clock, which jumps from timer to timer.
    Exact = 0,
}

/// A level has 64 slots, so that its bitmap is one word.
const SLOT_BITS: u32 = 6;
const PER_LEVEL: usize = 1 << SLOT_BITS;

/// Nine digits of six bits hold the 49 bits of a coarse tick, eleven the 64 of an exact one: no
/// deadline needs an overflow list.
const LEVELS: usize = 11;

/// Of all levels.
pub(super) const SLOTS: usize = LEVELS * PER_LEVEL;

impl Resolution {
    /// The first tick that is not before `nanos`.
    #[inline]
    pub(super) fn tick_of(self, nanos: u64) -> u64 {
        // Not `(nanos + TICK - 1) >> shift`, which would overflow for the last deadlines.
        let tick = self.tick_before(nanos);
        tick + u64::from(tick << self as u32 != nanos)
    }

    /// The last tick that is not after `nanos`.
    #[inline]
    pub(super) fn tick_before(self, nanos: u64) -> u64 {
        nanos >> self as u32
    }

    /// When a tick begins. The very last one begins when the clock has run out; `u64::MAX` itself
    /// would mean that there is no timer.
    #[inline]
    pub(super) fn nanos_of(self, tick: u64) -> u64 {
        let nanos = tick << self as u32;
        if nanos >> self as u32 == tick {
            nanos
        } else {
            u64::MAX - 1
        }
    }
}

/// The slot for `tick`, when time has reached the tick `elapsed`.
#[inline]
pub(super) fn slot_for(elapsed: u64, tick: u64) -> usize {
    // The lowest digit counts as different, so that the logarithm exists.
    let differing = (elapsed ^ tick) | (PER_LEVEL as u64 - 1);
    let level = differing.ilog2() / SLOT_BITS;
    let digit = (tick >> (level * SLOT_BITS)) as usize % PER_LEVEL;
    level as usize * PER_LEVEL + digit
}

/// The first tick of a slot that is in use: its digit, below the digits that it shares with
/// `elapsed`, above zeros.
#[inline]
pub(super) fn start_of(slot: usize, elapsed: u64) -> u64 {
    let level = (slot / PER_LEVEL) as u32;
    let digit = (slot % PER_LEVEL) as u64;
    // Nothing is above the highest level's digit, which has room for all that is left of 64 bits.
    let above = (elapsed >> (SLOT_BITS * level)) >> SLOT_BITS;
    ((above << SLOT_BITS) | digit) << (SLOT_BITS * level)
}

/// Whether the slot is above level 0, and so holds more ticks than one.
#[inline]
pub(super) fn is_above(slot: usize) -> bool {
    slot >= PER_LEVEL
}

/// Which slots are in use.
pub(super) struct Occupied {
    /// A bit a slot.
    slots: [u64; LEVELS],
    /// A bit a level: its `slots` are not zero.
    levels: u32,
}

impl Occupied {
    pub(super) const fn new() -> Self {
        Self {
            slots: [0; LEVELS],
            levels: 0,
        }
    }

    #[inline]
    pub(super) fn is_empty(&self) -> bool {
        self.levels == 0
    }

    #[inline]
    pub(super) fn contains(&self, slot: usize) -> bool {
        self.slots[slot / PER_LEVEL] & (1 << (slot % PER_LEVEL)) != 0
    }

    /// Returns whether the slot was not in use.
    #[inline]
    pub(super) fn insert(&mut self, slot: usize) -> bool {
        let level = slot / PER_LEVEL;
        let before = self.slots[level];
        self.slots[level] = before | 1 << (slot % PER_LEVEL);
        self.levels |= 1 << level;
        self.slots[level] != before
    }

    #[inline]
    pub(super) fn remove(&mut self, slot: usize) {
        let level = slot / PER_LEVEL;
        self.slots[level] &= !(1 << (slot % PER_LEVEL));
        if self.slots[level] == 0 {
            self.levels &= !(1 << level);
        }
    }

    /// The first slot of the lowest level in use. As every tick lies ahead of the one that time has
    /// reached, and in the same turn of its level, no slot begins earlier.
    #[inline]
    pub(super) fn first(&self) -> Option<usize> {
        if self.levels == 0 {
            return None;
        }
        let level = self.levels.trailing_zeros() as usize;
        Some(level * PER_LEVEL + self.slots[level].trailing_zeros() as usize)
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn a_deadline_is_rounded_up_to_a_tick_and_never_down() {
        let coarse = Resolution::Coarse;
        assert_eq!(coarse.tick_of(0), 0);
        assert_eq!(coarse.tick_of(1), 1);
        assert_eq!(coarse.tick_of(1 << 15), 1);
        assert_eq!(coarse.tick_of((1 << 15) + 1), 2);
        assert_eq!(coarse.nanos_of(coarse.tick_of(u64::MAX)), u64::MAX - 1);
        assert_eq!(Resolution::Exact.tick_of(u64::MAX), u64::MAX);
    }

    #[test]
    fn a_slot_begins_no_later_than_the_ticks_in_it() {
        let elapsed = 0x0123_4567_89ab_cdef;
        for bit in 0..64 {
            let tick = elapsed ^ (1 << bit);
            if tick < elapsed {
                continue;
            }
            let slot = slot_for(elapsed, tick);
            assert!(slot < SLOTS);
            let start = start_of(slot, elapsed);
            assert!(elapsed < start, "bit {bit}: time has not come to it");
            assert!(
                start <= tick,
                "bit {bit}: time comes to the slot before the tick"
            );
            assert!(
                is_above(slot) || start == tick,
                "bit {bit}: one tick a slot"
            );
        }
    }

    #[test]
    fn the_first_slot_in_use_is_that_of_the_earliest_tick() {
        let (elapsed, mut occupied) = (1_000_000, Occupied::new());
        assert_eq!(occupied.first(), None);
        let ticks = [elapsed + 1_000_000_000, elapsed + 70_000, elapsed + 3];
        for tick in ticks {
            let slot = slot_for(elapsed, tick);
            assert!(occupied.insert(slot));
            assert!(!occupied.insert(slot));
            assert_eq!(occupied.first(), Some(slot));
        }
        for tick in ticks.iter().rev() {
            let slot = occupied.first().unwrap();
            assert_eq!(slot, slot_for(elapsed, *tick));
            occupied.remove(slot);
            assert!(!occupied.contains(slot));
        }
        assert!(occupied.is_empty());
    }
}
