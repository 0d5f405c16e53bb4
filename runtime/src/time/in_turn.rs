//! [`InTurn`]: what several threads want done is done by one at a time, and nobody waits for it.
//!
//! Not a lock: who finds the turn taken leaves word and goes his way, and the one who has it does
//! it once more.
//!
//! | state | who comes | who has the turn, when he is through |
//! |---|---|---|
//! | `FREE` | takes it | – |
//! | `TAKEN` | leaves word | gives it up |
//! | `AGAIN` | leaves word | does it again, unless it has brought something |
//!
//! *Memory order.* Each change of the state is a read-modify-write, AcqRel: what anybody did before
//! he came is seen by whoever does it next.
#![forbid(unsafe_code)]

use crate::primitive::atomic::{
    AtomicU8,
    Ordering::{AcqRel, Relaxed},
};

const FREE: u8 = 0;
const TAKEN: u8 = 1;
/// Taken, and somebody else has come since.
const AGAIN: u8 = 2;

/// See the module.
#[derive(Debug)]
pub(crate) struct InTurn(AtomicU8);

impl InTurn {
    pub(crate) fn new() -> Self {
        Self(AtomicU8::new(FREE))
    }

    /// Runs `look`, unless somebody else is at it, who then runs his once more; until it brings
    /// something, or nobody has come meanwhile.
    pub(crate) fn run<R>(&self, mut look: impl FnMut() -> Option<R>) -> Option<R> {
        if self.0.swap(AGAIN, AcqRel) != FREE {
            return None;
        }
        loop {
            // An exchange, since it acquires: what those did who came until now.
            self.0.swap(TAKEN, AcqRel);
            let found = look();
            if found.is_some() {
                // Again an exchange, so that the next one acquires also what those did who came
                // meanwhile.
                self.0.swap(FREE, AcqRel);
                return found;
            }
            let over = self.0.compare_exchange(TAKEN, FREE, AcqRel, Relaxed);
            if over.is_ok() {
                return None;
            }
        }
    }
}
