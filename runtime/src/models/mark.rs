//! A poll's number against what goes with it: [`Mark`] itself, between its owner and the monitor.
//!
//! Who sees an odd number sees the task that the owner noted before it, or a later one; else the
//! monitor would name a task that was through long before as the one that does not yield.
//!
//! Killed by: `begin` that stores Relaxed; `sequence` that loads Relaxed. Not by `end` Relaxed,
//! which ships: nothing goes with an even number.

use loom::sync::Arc;
use loom::sync::atomic::{AtomicU64, Ordering::Relaxed};
use loom::thread;

use super::explore;
use crate::scheduler::mark::Mark;

#[test]
fn who_sees_a_poll_sees_its_task() {
    explore(3, || {
        // The task's number is that of its poll.
        let slot = Arc::new((Mark::new(), AtomicU64::new(0)));
        let owner = {
            let slot = slot.clone();
            thread::spawn(move || {
                for poll in [1, 3] {
                    // As `PollMark::begin`.
                    slot.1.store(poll, Relaxed);
                    slot.0.begin();
                    let _ = slot.0.end();
                }
            })
        };
        // The owner first: loom remembers one last access to a variable, so that it would not try
        // this look between the owner's load of the number and its store. What is old is read here
        // all the same.
        thread::yield_now();
        let sequence = slot.0.sequence();
        if sequence % 2 == 1 {
            assert!(slot.1.load(Relaxed) >= sequence, "a task of before");
        }
        owner.join().unwrap();
    });
}
