//! Where a worker that looks for work begins: random numbers of its own.
//!
//! Not those of [`random()`], from which tasks and a seeded scheduler draw: a runtime with a seed
//! has to draw from there equally often in each run, and how often a worker looks round depends on
//! the machine.
#![forbid(unsafe_code)]

use std::cell::Cell;

use crate::task::random;

/// See the module.
#[derive(Debug)]
pub(crate) struct Rng(Cell<u64>);

impl Rng {
    pub(crate) fn new(seed: u64) -> Self {
        // Not zero, see `random::next`.
        Self(Cell::new(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1))
    }

    /// A number below `n`, which is not zero.
    pub(crate) fn below(&self, n: usize) -> usize {
        let mut state = self.0.get();
        let word = random::next(&mut state);
        self.0.set(state);
        random::reduce(word, n)
    }
}
