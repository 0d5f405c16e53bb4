//! The channel's own lock, which the other models replace by loom's: [`Lock`] itself, spinning,
//! napping and taking.
//!
//! Its naps end by themselves, so that nothing here depends on a wake; what is checked is that one
//! at a time is inside and sees what those before it did, and that sleepers are counted right. Two
//! threads only: with more, loom lets those that wait take turns for ever.
//!
//! Killed by: `try_take` relaxed. Not by `sleepers` relaxed, which may miss a sleeper for a nap.
#![forbid(unsafe_code)]

use loom::cell::UnsafeCell;
use loom::sync::Arc;
use loom::thread;

use crate::lock::Lock;

struct Inside {
    lock: Lock,
    /// Loom fails if two are ever in here at once, or do not see each other's writes.
    count: UnsafeCell<u32>,
}

/// The cell is only entered under the lock, which forgets neither.
fn enter(inside: &Inside) {
    let _held = inside.lock.hold();
    inside.count.with_mut(|_| ());
}

#[test]
fn two_are_never_inside_at_once_and_see_what_the_other_did() {
    loom::model(|| {
        let inside = Arc::new(Inside {
            lock: Lock::new(),
            count: UnsafeCell::new(0),
        });
        let other = {
            let inside = inside.clone();
            thread::spawn(move || (0..2).for_each(|_| enter(&inside)))
        };
        (0..2).for_each(|_| enter(&inside));
        other.join().unwrap();
        assert_eq!(inside.lock.sleepers(), 0);
    });
}
