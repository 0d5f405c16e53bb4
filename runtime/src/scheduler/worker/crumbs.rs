//! How long a thief lets crumbs gather before it comes again.
//!
//! Where a task spawns thousands that do next to nothing, a thief that comes at once finds a few of
//! them each time. Every visit fetches the victim's lines from its core, and the victim has to
//! fetch them back for its next push; so the two are slower together than one alone. A thief whose
//! visit was hardly worth it, and whose polls are tiny, stays away for a while, twice as long each
//! time, and does not look meanwhile, for that is what costs. Once there is more to take it comes
//! sooner again.
//!
//! What it leaves behind waits longer for that, by less than a sleeping thread takes to wake.
#![forbid(unsafe_code)]

use std::cell::Cell;
use std::hint;

/// With so many tasks a visit was worth it: with a quarter of a ring.
const WORTH_IT: u32 = 64;

/// Below this polls are tiny, in nanoseconds: a few cache misses, which is what it takes to move a
/// task from one core to another.
const TINY: u64 = 1_000;

/// Turns of the first wait, and of the longest: one and twenty microseconds on a processor that
/// takes 25 ns for each. With three times as long the two gain somewhat more, and what is left
/// behind waits longer than for a thread that sleeps.
const FIRST: u32 = 50;
const MOST: u32 = 16 * FIRST;

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Crumbs {
    /// Turns before the next visit.
    turns: Cell<u32>,
}

impl Crumbs {
    /// Before a visit.
    pub(super) fn let_gather(&self) {
        for _ in 0..self.turns.get() {
            hint::spin_loop();
        }
    }

    /// A visit has brought tasks. `worth_it`: whether there were so many. `poll`: how long the
    /// thief's own polls take, in nanoseconds.
    pub(super) fn note(&self, worth_it: impl FnOnce(u32) -> bool, poll: u64) {
        let turns = self.turns.get();
        self.turns.set(if poll >= TINY {
            0
        } else if worth_it(WORTH_IT) {
            turns / 2
        } else {
            (2 * turns).clamp(FIRST, MOST)
        });
    }

    /// The worker sleeps: what it finds afterwards has nothing to do with what it found before.
    pub(super) fn forget(&self) {
        self.turns.set(0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The turns before the next visit, after one that brought so many tasks.
    fn after(crumbs: &Crumbs, tasks: u32, poll: u64) -> u32 {
        crumbs.note(|many| tasks >= many, poll);
        crumbs.turns.get()
    }

    #[test]
    fn a_thief_of_crumbs_stays_away_twice_as_long_each_time_up_to_a_bound() {
        let crumbs = Crumbs::default();
        let turns: Vec<_> = (0..7).map(|_| after(&crumbs, 63, 100)).collect();
        assert_eq!(turns, [50, 100, 200, 400, 800, 800, 800]);
    }

    #[test]
    fn one_who_finds_enough_comes_sooner_until_it_need_not_wait() {
        let crumbs = Crumbs::default();
        assert_eq!(after(&crumbs, 64, 100), 0);
        for _ in 0..5 {
            after(&crumbs, 1, 100);
        }
        let visits = (1..).find(|_| after(&crumbs, 64, 100) == 0).unwrap();
        assert_eq!(visits, 10);
    }

    #[test]
    fn who_has_longer_polls_or_has_slept_does_not_wait() {
        let crumbs = Crumbs::default();
        after(&crumbs, 1, 100);
        assert_eq!(after(&crumbs, 1, TINY), 0);
        after(&crumbs, 1, 100);
        crumbs.forget();
        assert_eq!(crumbs.turns.get(), 0);
    }
}
