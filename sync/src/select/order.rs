//! In which order arms are looked at: uniformly random, so that no ready arm is favoured.
//!
//! Starting at a random arm and going round is not enough: of two ready neighbours the first would
//! win far more often. The words are the runtime's, so that one with a seed makes the same choices
//! again.
#![forbid(unsafe_code)]

use runtime::task::random;

/// Puts a few indices into random order, each order being equally likely (Fisher and Yates).
#[inline]
pub(crate) fn shuffle(indices: &mut [u16]) {
    for last in (1..indices.len()).rev() {
        indices.swap(last, below(last + 1));
    }
}

/// A random number below `bound`, which is at most 65,536: the bias of this multiplication is below
/// one in 65,000 (Lemire).
#[inline]
fn below(bound: usize) -> usize {
    (((random() >> 32) * bound as u64) >> 32) as usize
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    #[cfg_attr(miri, ignore = "statistics")]
    fn every_permutation_of_three_is_equally_likely() {
        let mut counts = std::collections::HashMap::new();
        for _ in 0..60_000 {
            let mut indices = [0, 1, 2];
            shuffle(&mut indices);
            *counts.entry(indices).or_insert(0u32) += 1;
        }
        assert_eq!(counts.len(), 6);
        for (order, count) in counts {
            // 10,000 expected, with a standard deviation of 91.
            assert!(
                count.abs_diff(10_000) < 10 * 91,
                "{order:?} came {count} times"
            );
        }
    }
}
