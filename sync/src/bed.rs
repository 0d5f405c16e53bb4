//! Where a thread sleeps that waits for a [`Lock`](crate::lock::Lock): a few places for all locks
//! of the process.
//!
//! A sleep ends when somebody wakes the place, and by itself after a [`NAP`]: a release that looks
//! for sleepers a moment too early may miss one, and that must not matter. Where it ends early or
//! in vain, the sleeper looks at its lock, and lies down again.
#![forbid(unsafe_code)]

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// The longest sleep without a look. A guess: rare enough to cost nothing, short enough to go
/// unnoticed.
pub(crate) const NAP: Duration = Duration::from_micros(500);

/// How many there are. Threads of different locks in one bed wake each other needlessly; they
/// hardly ever meet.
const BEDS: usize = 16;

static ALL: [Bed; BEDS] = [const {
    Bed {
        door: Mutex::new(()),
        changed: Condvar::new(),
    }
}; BEDS];

/// See the module.
pub(crate) struct Bed {
    door: Mutex<()>,
    changed: Condvar,
}

impl Bed {
    /// That of those who wait for something at this address.
    pub(crate) fn of<T>(what: &T) -> &'static Self {
        // The top bits of a multiplication by the golden ratio depend on all bits of the address
        // (Knuth).
        let hash = (std::ptr::from_ref(what).addr() as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        &ALL[(hash >> 60) as usize % BEDS]
    }

    /// Before the last look: whoever wakes the bed after this moment wakes the nap that follows the
    /// look.
    pub(crate) fn lie_down(&'static self) -> Lying {
        Lying {
            bed: self,
            inside: self.door.lock().unwrap_or_else(PoisonError::into_inner),
        }
    }

    /// Ends all naps.
    pub(crate) fn wake_all(&self) {
        // Whoever has lain down is either asleep by now or still inside this door.
        drop(self.door.lock().unwrap_or_else(PoisonError::into_inner));
        self.changed.notify_all();
    }
}

/// A thread that has lain down, and keeps others from waking the bed until it sleeps.
pub(crate) struct Lying {
    bed: &'static Bed,
    inside: MutexGuard<'static, ()>,
}

impl Lying {
    /// Sleeps until it is woken, or a while.
    pub(crate) fn nap(self) -> Self {
        let Self { bed, inside } = self;
        let (inside, _) = bed
            .changed
            .wait_timeout(inside, NAP)
            .unwrap_or_else(PoisonError::into_inner);
        Self { bed, inside }
    }
}
