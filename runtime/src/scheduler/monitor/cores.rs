//! Whether the workers have the cores to themselves, or wait for them.
//!
//! On a machine whose cores are all taken, by a server's clients say, a second worker that is awake brings nothing: it takes its time from the
//! clients or from the first worker, the sockets that both serve go from one core's cache to the other's, and each finds a few events
//! where one would find a hundred. Where cores are idle the same worker halves the time that a request waits. Nobody can tell the two
//! beforehand; but the kernel counts for how long a thread was ready to run and did not ([`threads::cpu`]).
//!
//! *How it moves.* While polls are many and short, and descriptors cause them, the monitor compares, every [`WINDOW`], what the workers
//! waited with what they ran. If it is a fifth of both, and more than one worker ran, the cores are *full* for a while: one worker is left
//! alone ([`Monitor::is_full`](super::Monitor::is_full) says who asks). If that one waits as much, it was not the workers who took each
//! other's time, and for [`REFUTED`] this is not tried again: on a machine that is busy with other things, two threads get more of it than
//! one. Else more workers are tried again when the while is over, which is longer each time that the answer is the same.
//!
//! *Rejected*: a longer patience for all ([`SHARED`](crate::scheduler::worker)), which idle cores pay for; the pressure that the whole
//! machine reports (`/proc/pressure/cpu`), which on a large one is never nothing; a worker's own clocks, which do not tell a wait for the
//! CPU from a sleep.
#![forbid(unsafe_code)]

use std::time::Duration;

use super::nanos;
use crate::scheduler::Slot;
use crate::scheduler::threads::{self, CpuTime, ThreadNumber};

/// Time between two comparisons. Two looks: a single wait is some milliseconds long, and should not decide.
const WINDOW: Duration = Duration::from_millis(10);

/// The workers wait too much if it is more than one part in this many of the time that they run.
const PART: u64 = 4;

/// A thread that ran for less than one part in this many of the time does not count as one of those that ran.
const TRACE: u64 = 16;

/// For how long the cores are taken to be full, the first time and at most. A trial in between takes one or two windows.
const HOLD: Duration = Duration::from_millis(100);
const LONGEST: Duration = Duration::from_millis(800);

/// After so many windows it is clear whether one worker alone waits as well: one of them may be spoilt by anything.
const ENOUGH: u32 = 4;

/// For how long it is not tried again after it did not help.
const REFUTED: Duration = Duration::from_secs(1);

/// Polls that take less than this on average, in nanoseconds, are short enough to wait for one another.
const SHORT: u64 = 50_000;

/// So many workers are asked: those that are woken first. Each costs some microseconds.
const ASKED: usize = 4;

/// What the monitor knows about it. Times in nanoseconds.
#[derive(Debug)]
pub(super) struct Cores {
    /// When the workers were last asked, and what they said.
    asked: u64,
    said: [Said; ASKED],
    full: bool,
    /// What was done since they are, but for the window in which the others went to sleep, and in how many windows.
    alone: Done,
    windows: u32,
    /// When to think again, full or not.
    until: u64,
    /// How long they are taken to be full the next time.
    hold: u64,
}

/// What all workers did from one look to the next.
#[derive(Clone, Copy, Debug)]
pub(super) struct Load {
    pub(super) polls: u64,
    /// From the reactor.
    pub(super) events: u64,
    /// Nanoseconds.
    pub(super) time: u64,
}

impl Load {
    /// Whether there is much to do, in polls that are short, and most of it comes from descriptors. Where tasks make work for each other, two
    /// threads get more of a busy machine than one.
    fn is_that_of_a_busy_server(self) -> bool {
        self.polls.saturating_mul(SHORT) >= self.time && self.events >= self.polls / 2
    }
}

/// What a worker said that was asked.
type Said = Option<(ThreadNumber, CpuTime)>;

/// What the workers did in a window, in nanoseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Done {
    time: u64,
    ran: u64,
    waited: u64,
    /// How many of them ran.
    runners: usize,
}

impl Done {
    fn waits(self) -> bool {
        self.waited > self.ran / PART
    }
}

impl Cores {
    pub(super) fn new(now: u64) -> Self {
        Self {
            asked: now,
            said: [None; ASKED],
            full: false,
            alone: Done::default(),
            windows: 0,
            until: now,
            hold: nanos(HOLD),
        }
    }

    /// A look at the workers. Returns whether the cores are full.
    pub(super) fn look<'a>(
        &mut self,
        slots: impl Iterator<Item = &'a Slot>,
        now: u64,
        load: Load,
    ) -> bool {
        if !load.is_that_of_a_busy_server() {
            // Then each worker counts.
            self.said = [None; ASKED];
            self.full = false;
            return false;
        }
        if now - self.asked < nanos(WINDOW) {
            return self.full;
        }
        let time = now - std::mem::replace(&mut self.asked, now);
        let before = self.said;
        let mut answers = slots.map(ask);
        self.said = std::array::from_fn(|_| answers.next().flatten());
        if let Some(done) = compare(&before, &self.said, time) {
            self.conclude(done, now);
        }
        self.full
    }

    fn conclude(&mut self, done: Done, now: u64) {
        if self.full {
            self.reconsider(done, now);
        } else if now >= self.until && done.runners > 1 && done.waits() {
            self.full = true;
            (self.alone, self.windows) = (Done::default(), 0);
            self.until = now + self.hold;
            self.hold = (self.hold * 2).min(nanos(LONGEST));
        } else if now >= self.until + 2 * nanos(WINDOW) {
            // The trial has shown that there is room.
            self.hold = nanos(HOLD);
        }
    }

    /// Whether the one worker that is left has the CPU, and how long it is left alone.
    fn reconsider(&mut self, done: Done, now: u64) {
        if self.windows > 0 {
            self.alone.ran += done.ran;
            self.alone.waited += done.waited;
        }
        self.windows += 1;
        if self.windows > ENOUGH && self.alone.waits() {
            self.full = false;
            self.until = now + nanos(REFUTED);
        } else if now >= self.until {
            self.full = false;
            self.until = now;
        }
    }
}

fn ask(slot: &Slot) -> Said {
    let thread = slot.thread()?;
    Some((thread, threads::cpu(thread)?))
}

/// What was done between two answers; `None` if the threads were not the same ones.
fn compare(before: &[Said; ASKED], after: &[Said; ASKED], time: u64) -> Option<Done> {
    let mut done = Done {
        time,
        ..Done::default()
    };
    for pair in before.iter().zip(after) {
        let ((was, old), (is, new)) = match pair {
            (Some(before), Some(after)) => (before, after),
            (None, None) => continue,
            _ => return None,
        };
        if was != is {
            return None;
        }
        let ran = new.ran.saturating_sub(old.ran);
        done.ran += ran;
        done.waited += new.waited.saturating_sub(old.waited);
        done.runners += usize::from(ran > time / TRACE);
    }
    Some(done)
}

#[cfg(test)]
mod tests {
    use super::*;

    const STEP: u64 = 10_000_000;

    /// Two workers that ran all the time between them, and waited for so many per cent of it.
    fn two(percent: u64) -> Done {
        Done {
            time: STEP,
            ran: STEP,
            waited: STEP * percent / 100,
            runners: 2,
        }
    }

    fn one(percent: u64) -> Done {
        Done {
            runners: 1,
            ..two(percent)
        }
    }

    /// Says the same until the answer changes; returns after how many windows it did.
    fn until_changed(cores: &mut Cores, now: &mut u64, done: Done) -> u64 {
        let full = cores.full;
        for n in 1..1_000 {
            *now += STEP;
            cores.conclude(done, *now);
            if cores.full != full {
                return n;
            }
        }
        panic!("it stays {full} in spite of {done:?}");
    }

    #[test]
    fn workers_that_wait_for_each_other_make_the_cores_full_and_those_that_do_not_leave_them_free()
    {
        let (mut cores, mut now) = (Cores::new(0), 0);
        for done in [two(0), two(25), one(90)] {
            for _ in 0..100 {
                now += STEP;
                cores.conclude(done, now);
                assert!(!cores.full, "{done:?}");
            }
        }
        assert_eq!(until_changed(&mut cores, &mut now, two(26)), 1);
    }

    #[test]
    fn more_workers_are_tried_again_ever_more_seldom() {
        let (mut cores, mut now) = (Cores::new(0), 0);
        for windows in [10, 20, 40, 80, 80] {
            assert_eq!(until_changed(&mut cores, &mut now, two(50)), 1);
            assert_eq!(until_changed(&mut cores, &mut now, one(0)), windows);
        }
        // Now there is room, for a while.
        for _ in 0..3 {
            now += STEP;
            cores.conclude(two(0), now);
        }
        assert_eq!(until_changed(&mut cores, &mut now, two(50)), 1);
        assert_eq!(until_changed(&mut cores, &mut now, one(0)), 10);
    }

    #[test]
    fn where_one_worker_waits_as_much_as_two_both_are_let_run_for_a_second() {
        let (mut cores, mut now) = (Cores::new(0), 0);
        assert_eq!(until_changed(&mut cores, &mut now, two(50)), 1);
        assert_eq!(until_changed(&mut cores, &mut now, one(50)), 5);
        assert_eq!(until_changed(&mut cores, &mut now, two(50)), 100);
    }

    #[test]
    fn that_one_worker_waits_for_a_moment_says_nothing() {
        let (mut cores, mut now) = (Cores::new(0), 0);
        assert_eq!(until_changed(&mut cores, &mut now, two(50)), 1);
        for done in [two(90), one(0), one(90), one(0), one(0)] {
            now += STEP;
            cores.conclude(done, now);
            assert!(cores.full, "{done:?}");
        }
    }

    #[test]
    fn what_was_done_is_told_of_the_same_threads_only() {
        let said = |thread, ran, waited| Some((thread, CpuTime { ran, waited }));
        let before = [said(7, 1_000, 100), said(8, 50, 0), None, None];
        let after = [said(7, 1_800, 200), said(8, 60, 5), None, None];
        let done = Done {
            time: 1_000,
            ran: 810,
            waited: 105,
            runners: 1,
        };
        assert_eq!(compare(&before, &after, 1_000), Some(done));
        let one_less = [before[0], None, None, None];
        assert_eq!(compare(&one_less, &after, 1_000), None);
        let another = [said(9, 0, 0), before[1], None, None];
        assert_eq!(compare(&another, &after, 1_000), None);
    }

    #[test]
    fn where_there_is_little_to_do_or_tasks_make_it_themselves_nobody_is_asked() {
        let mut cores = Cores::new(0);
        cores.full = true;
        let nobody = || std::iter::from_fn(|| -> Option<&Slot> { panic!("somebody is asked") });
        let much = Load {
            polls: 200,
            events: 200,
            time: STEP,
        };
        let of_tasks = Load { events: 99, ..much };
        let little = Load { polls: 199, ..much };
        for load in [of_tasks, little] {
            cores.full = true;
            assert!(!cores.look(nobody(), STEP, load), "{load:?}");
        }
        // Enough, but a moment ago.
        cores.full = true;
        assert!(cores.look(nobody(), STEP - 1, much));
    }
}
