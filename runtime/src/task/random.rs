//! Random words, a generator a thread: what `select!` and the scheduler of a seeded runtime choose
//! by.
//!
//! Each thread draws its own start from the system. A runtime with a seed sets its threads'
//! generators, so that the same choices are made again; a thread that enters such a runtime for a
//! while gets its own generator back afterwards.
#![forbid(unsafe_code)]

use std::cell::Cell;
use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;

thread_local! {
    /// Zero until first used.
    static STATE: Cell<u64> = const { Cell::new(0) };
}

/// A random word: Marsaglia and Vigna's xorshift64*, whose upper half is the better one.
///
/// Not for secrets. In a runtime with a [seed](crate::Builder::seed) the words are the same in each
/// run, as long as all that happens before is; so a test that is to be reproducible takes its
/// random numbers from here.
///
/// ```
/// let coin = runtime::task::random() >> 63 == 0;
/// println!("{}", if coin { "heads" } else { "tails" });
/// ```
///
/// **Go:** `rand.Uint64()`.
#[inline]
pub fn random() -> u64 {
    let mut state = STATE.get();
    if state == 0 {
        state = fresh();
    }
    let word = next(&mut state);
    STATE.set(state);
    word
}

/// A random number below `n`, which is at most 2^32 and not zero.
pub(crate) fn below(n: usize) -> usize {
    reduce(random(), n)
}

/// The generator: a word, and the state from which the next one comes. Zero is the one state that
/// it never leaves.
#[inline]
pub(crate) fn next(state: &mut u64) -> u64 {
    let mut x = *state;
    x ^= x >> 12;
    x ^= x << 25;
    x ^= x >> 27;
    *state = x;
    x.wrapping_mul(0x2545_F491_4F6C_DD1D)
}

/// A number below `n` made of a word. Lemire's reduction; its bias does not matter here.
#[inline]
pub(crate) fn reduce(word: u64, n: usize) -> usize {
    (((word >> 32) * n as u64) >> 32) as usize
}

/// A start that nobody can foresee.
#[cold]
pub(crate) fn fresh() -> u64 {
    // Keyed differently each time; never zero.
    RandomState::new().hash_one(0) | 1
}

/// Sets the thread's generator for what follows: the `n`th thread of a runtime with this seed.
pub(crate) fn reseed(seed: u64, n: u64) -> Reseeded {
    // SplitMix64's finisher (Steele, Lea, Flood 2014): seeds that differ by one are to have nothing
    // in common.
    let mut x = seed ^ n.wrapping_mul(0x9E37_79B9_7F4A_7C15);
    x = (x ^ (x >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    // Not zero, see `next`.
    Reseeded(STATE.replace((x ^ (x >> 31)) | 1))
}

/// Puts the former generator back when dropped.
#[derive(Debug)]
#[must_use]
pub(crate) struct Reseeded(u64);

impl Drop for Reseeded {
    fn drop(&mut self) {
        STATE.set(self.0);
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    fn words(seed: u64) -> Vec<u64> {
        let _seeded = reseed(seed, 0);
        (0..8).map(|_| random()).collect()
    }

    #[test]
    fn one_seed_gives_the_same_words_and_another_gives_others() {
        assert_eq!(words(7), words(7));
        assert!(words(7).iter().zip(words(8)).all(|(a, b)| *a != b));
    }

    #[test]
    fn the_former_generator_goes_on_where_it_was() {
        let _outer = reseed(1, 0);
        random();
        let inner = reseed(2, 0);
        random();
        drop(inner);
        let next = random();
        let _again = reseed(1, 0);
        random();
        assert_eq!(random(), next);
    }
}
