//! What follows from the notes of a trial: the largest set of parked tasks of which each can be
//! woken only by tasks of the set.
//!
//! All that is known is of one moment. A task *holds* a handle if the handle was dropped in place,
//! inside the memory of the task's future, and was there before. A task of the set may stay in it
//! as long as
//!
//! 1. every reference to it is accounted for: its own, ours, wakers that were noted, and handles
//!    that tasks of the set hold;
//! 2. everything that a waker of it was left with can be reached by tasks of the set alone: a
//!    primitive all of whose handles they hold; one that lies in the memory of such a task; the end
//!    of such a task; or what never happens.
//!
//! Who leaves the set takes with it those for whom that was true because of it, and so on, until it
//! is true of all: the greatest fixpoint. Each handle and each waker is looked at once for each
//! task that leaves, so that it takes time in proportion to the notes.
#![forbid(unsafe_code)]

use std::collections::{HashMap, HashSet};
use std::ops::Range;

use super::trial::{On, Side};

/// A parked task whose future was dropped in the trial.
#[derive(Clone, Debug)]
pub(super) struct Subject {
    /// The memory of the task; its address is the task's.
    pub(super) memory: Range<usize>,
    /// How many references to it there were, apart from its own and the one that the trial took.
    pub(super) references: u64,
}

/// A note of the trial; tasks are named by their place in the list of subjects.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Finding {
    /// A waker of the task with this address was kept in `slot`.
    Waker { task: usize, slot: usize, on: On },
    /// The subject `holder` held a handle at `place`.
    Handle {
        of: Side,
        holder: usize,
        place: usize,
    },
}

/// Says of each subject whether nothing can ever wake it.
pub(super) fn judge(subjects: &[Subject], findings: &[Finding]) -> Vec<bool> {
    let mut court = Court::new(subjects);
    findings.iter().for_each(|finding| court.hear(finding));
    court.settle()
}

/// What is known of one subject.
#[derive(Default)]
struct File {
    /// Wakers, and handles that members hold.
    accounted: u64,
    references: u64,
    /// What its wakers were left with.
    waits: Vec<Wait>,
    /// What it holds handles of.
    holds: Vec<Held>,
    out: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wait {
    /// For handles of this primitive.
    Handles(usize),
    /// For this subject to do something.
    Subject(usize),
}

#[derive(Clone, Copy, Debug)]
enum Held {
    Primitive(usize),
    Subject(usize),
}

/// A primitive that is not a task.
#[derive(Default)]
struct Primitive {
    sides: u8,
    /// Handles there are, and handles that members hold.
    handles: HashMap<u8, (usize, usize)>,
    waiters: Vec<usize>,
}

struct Court<'a> {
    subjects: &'a [Subject],
    by_address: HashMap<usize, usize>,
    /// Places in the list, in the order of their memory.
    sorted: Vec<usize>,
    files: Vec<File>,
    primitives: HashMap<usize, Primitive>,
    /// Who waits for a subject.
    waiters: HashMap<usize, Vec<usize>>,
    slots: HashSet<(usize, usize)>,
    places: HashSet<(usize, usize)>,
}

impl<'a> Court<'a> {
    fn new(subjects: &'a [Subject]) -> Self {
        let file = |subject: &Subject| File {
            references: subject.references,
            ..File::default()
        };
        let mut sorted: Vec<usize> = (0..subjects.len()).collect();
        sorted.sort_unstable_by_key(|&subject| subjects[subject].memory.start);
        let address = |(index, subject): (usize, &Subject)| (subject.memory.start, index);
        Self {
            subjects,
            by_address: subjects.iter().enumerate().map(address).collect(),
            sorted,
            files: subjects.iter().map(file).collect(),
            primitives: HashMap::new(),
            waiters: HashMap::new(),
            slots: HashSet::new(),
            places: HashSet::new(),
        }
    }

    fn hear(&mut self, finding: &Finding) {
        match *finding {
            Finding::Waker { task, slot, on } => {
                // A waker of another task: nobody asks about that one.
                if let Some(&subject) = self.by_address.get(&task) {
                    self.hear_waker(subject, slot, on);
                }
            }
            Finding::Handle { of, holder, place } => {
                if self.places.insert((of.primitive, place)) {
                    self.hear_handle(of, holder);
                }
            }
        }
    }

    fn hear_waker(&mut self, subject: usize, slot: usize, on: On) {
        if self.slots.insert((subject, slot)) {
            self.files[subject].accounted += 1;
        }
        let On::At(primitive) = on else { return };
        let wait = if let Some(&other) = self.by_address.get(&primitive) {
            Wait::Subject(other)
        } else if let Some(owner) = owner(self.subjects, &self.sorted, primitive) {
            Wait::Subject(owner)
        } else {
            Wait::Handles(primitive)
        };
        match wait {
            Wait::Subject(other) => self.waiters.entry(other).or_default().push(subject),
            Wait::Handles(primitive) => {
                let primitive = self.primitives.entry(primitive).or_default();
                primitive.waiters.push(subject);
            }
        }
        self.files[subject].waits.push(wait);
    }

    fn hear_handle(&mut self, of: Side, holder: usize) {
        if let Some(&subject) = self.by_address.get(&of.primitive) {
            self.files[subject].accounted += 1;
            self.files[holder].holds.push(Held::Subject(subject));
            return;
        }
        let primitive = self.primitives.entry(of.primitive).or_default();
        primitive.sides = primitive.sides.max(of.sides);
        let (there, held) = primitive.handles.entry(of.side).or_default();
        *there = of.handles.max(*there);
        *held += 1;
        self.files[holder].holds.push(Held::Primitive(of.primitive));
    }

    fn settle(mut self) -> Vec<bool> {
        let mut leaving: Vec<usize> = (0..self.files.len())
            .filter(|&subject| !self.may_stay(subject))
            .collect();
        while let Some(subject) = leaving.pop() {
            if std::mem::replace(&mut self.files[subject].out, true) {
                continue;
            }
            leaving.extend(self.waiters.remove(&subject).unwrap_or_default());
            for held in std::mem::take(&mut self.files[subject].holds) {
                match held {
                    // One reference less is accounted for, so that the equation cannot hold any
                    // more.
                    Held::Subject(other) => leaving.push(other),
                    Held::Primitive(primitive) => {
                        if let Some(primitive) = self.primitives.get_mut(&primitive) {
                            leaving.append(&mut primitive.waiters);
                        }
                    }
                }
            }
        }
        self.files.iter().map(|file| !file.out).collect()
    }

    /// Whether both conditions hold while nobody has left.
    fn may_stay(&self, subject: usize) -> bool {
        let file = &self.files[subject];
        file.accounted == file.references
            && file.waits.iter().all(|wait| match wait {
                Wait::Subject(_) => true,
                Wait::Handles(primitive) => self.primitives[primitive].is_held(),
            })
    }
}

impl Primitive {
    /// Whether subjects hold all its handles, of which there is at least one of each kind: the last
    /// one of a kind may be in the hands of somebody who is just dropping it, and will wake those
    /// who wait.
    fn is_held(&self) -> bool {
        self.sides > 0
            && (0..self.sides).all(|side| {
                let counts = self.handles.get(&side);
                counts.is_some_and(|&(there, held)| there > 0 && there == held)
            })
    }
}

/// The subject in whose memory this address lies.
fn owner(subjects: &[Subject], sorted: &[usize], address: usize) -> Option<usize> {
    let after = sorted.partition_point(|&subject| subjects[subject].memory.start <= address);
    let last = *sorted.get(after.checked_sub(1)?)?;
    subjects[last].memory.contains(&address).then_some(last)
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    const SIZE: usize = 256;

    /// Subjects side by side, with so many references each.
    fn subjects(references: &[u64]) -> Vec<Subject> {
        let start = |index: usize| 0x10000 + index * SIZE;
        let subject = |(index, &references): (usize, &u64)| Subject {
            memory: start(index)..start(index) + SIZE,
            references,
        };
        references.iter().enumerate().map(subject).collect()
    }

    fn address(subject: usize) -> usize {
        0x10000 + subject * SIZE
    }

    /// A channel far from all tasks.
    const CHANNEL: usize = 0x500;

    fn waits(subject: usize, primitive: usize) -> Finding {
        Finding::Waker {
            task: address(subject),
            slot: address(subject) + 128,
            on: On::At(primitive),
        }
    }

    fn holds(holder: usize, primitive: usize, side: u8, handles: usize, place: usize) -> Finding {
        let sides = 2;
        Finding::Handle {
            of: Side {
                primitive,
                side,
                sides,
                handles,
            },
            holder,
            place,
        }
    }

    #[test]
    fn a_task_that_holds_both_ends_is_out_of_reach() {
        let findings = [
            waits(0, CHANNEL),
            holds(0, CHANNEL, 0, 1, 1),
            holds(0, CHANNEL, 1, 1, 2),
        ];
        assert_eq!(judge(&subjects(&[1]), &findings), [true]);
    }

    #[test]
    fn a_handle_elsewhere_keeps_it_alive() {
        let findings = [
            waits(0, CHANNEL),
            holds(0, CHANNEL, 0, 2, 1),
            holds(0, CHANNEL, 1, 1, 2),
        ];
        assert_eq!(judge(&subjects(&[1]), &findings), [false]);
    }

    #[test]
    fn one_handle_seen_twice_counts_once() {
        let findings = [
            waits(0, CHANNEL),
            holds(0, CHANNEL, 0, 2, 1),
            holds(0, CHANNEL, 0, 2, 1),
            holds(0, CHANNEL, 1, 1, 2),
        ];
        assert_eq!(judge(&subjects(&[1]), &findings), [false]);
    }

    #[test]
    fn a_kind_without_handles_is_about_to_be_noticed() {
        let findings = [waits(0, CHANNEL), holds(0, CHANNEL, 1, 1, 2)];
        assert_eq!(judge(&subjects(&[1]), &findings), [false]);
    }

    #[test]
    fn a_reference_that_nothing_explains_keeps_it_alive() {
        let findings = [
            waits(0, CHANNEL),
            holds(0, CHANNEL, 0, 1, 1),
            holds(0, CHANNEL, 1, 1, 2),
        ];
        assert_eq!(judge(&subjects(&[2]), &findings), [false]);
    }

    #[test]
    fn nobody_wakes_a_task_without_wakers_and_handles() {
        assert_eq!(judge(&subjects(&[0, 1]), &[]), [true, false]);
    }

    #[test]
    fn what_lies_in_its_own_memory_is_within_its_reach_alone() {
        assert_eq!(judge(&subjects(&[1]), &[waits(0, address(0) + 64)]), [true]);
    }

    #[test]
    fn a_chain_that_hangs_on_a_live_task_is_alive_to_its_end() {
        // Task n waits for a channel whose sender task n - 1 holds; the first one's is elsewhere.
        const LENGTH: usize = 10_000;
        let mut findings = Vec::new();
        for n in 0..LENGTH {
            findings.push(waits(n, CHANNEL + n));
            findings.push(holds(n, CHANNEL + n, 1, 1, address(n) + 1));
            if n > 0 {
                findings.push(holds(n - 1, CHANNEL + n, 0, 1, address(n - 1) + 2));
            }
        }
        let judged = judge(&subjects(&[1; LENGTH]), &findings);
        assert!(judged.iter().all(|leaked| !leaked));
        // With a ring in place of the chain nobody is left to begin.
        findings.push(holds(LENGTH - 1, CHANNEL, 0, 1, address(LENGTH - 1) + 2));
        let judged = judge(&subjects(&[1; LENGTH]), &findings);
        assert!(judged.iter().all(|leaked| *leaked));
    }

    #[test]
    fn two_tasks_that_wait_for_each_other_s_end() {
        let handle = |of: usize, holder: usize| holds(holder, address(of), 0, 1, address(holder));
        let findings = [
            waits(0, address(1)),
            waits(1, address(0)),
            handle(0, 1),
            handle(1, 0),
        ];
        assert_eq!(judge(&subjects(&[2, 2]), &findings), [true, true]);
        // A third reference to the second: somebody may abort it, and so wake the first.
        assert_eq!(judge(&subjects(&[2, 3]), &findings), [false, false]);
    }
}
