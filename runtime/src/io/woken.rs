//! Whether the eventfd of a reactor has been written, or is about to be: one write is enough for
//! many wakes.
//!
//! *Invariant.* The flag is up from the decision to write until the event of that write has been
//! taken in. A wake that finds it up relies on whoever has decided: that event is still to come, or
//! the turn that takes it in is not over, and what follows that turn sees what came before the
//! wake.
#![forbid(unsafe_code)]

use crate::primitive::atomic::{
    AtomicBool,
    Ordering::{AcqRel, Release},
};

/// See the module.
#[derive(Debug)]
pub(crate) struct Woken(AtomicBool);

impl Woken {
    pub(crate) fn new() -> Self {
        Self(AtomicBool::new(false))
    }

    /// Whether the caller has to write.
    #[must_use]
    pub(crate) fn raise(&self) -> bool {
        // Release pairs with the swap in `lower`. An exchange also where it is up already: `lower`
        // must come after it, or give it a false.
        !self.0.swap(true, AcqRel)
    }

    /// Its event has been taken in.
    pub(crate) fn lower(&self) {
        // Acquire: pairs with the swap in `raise`, so that what came before the wake is seen after
        // this turn.
        self.0.swap(false, AcqRel);
    }

    /// The write has failed: the next caller tries again.
    pub(crate) fn give_up(&self) {
        self.0.store(false, Release);
    }

    #[cfg(all(test, not(loom)))]
    pub(super) fn is_up(&self) -> bool {
        self.0.load(std::sync::atomic::Ordering::Relaxed)
    }
}
