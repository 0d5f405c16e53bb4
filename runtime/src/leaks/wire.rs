//! How the copy tells its parent what was noted: entries of seven words, in one stream.
//!
//! A transcript without its last entry is of a copy that did not come to its end; the last task
//! that it began is to blame.
#![forbid(unsafe_code)]

use super::evidence::Finding;
use super::trial::{Note, On, Side};
use crate::task::visit::Kept;

const WORDS: usize = 7;
const WORD: usize = 8;

/// How far before what it points to a pointer may be found in a handle: an `Arc` points to its
/// counts, the value comes after.
const COUNTS: usize = 64;

/// One entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Entry {
    /// The future of this candidate, which has so many references, is about to be dropped: the next
    /// subject.
    Begins {
        task: usize,
        references: u64,
    },
    Found(Finding),
    /// All have been.
    Ends,
    /// Nothing so far.
    Lives,
}

impl Entry {
    pub(super) fn encode(self) -> [u8; WORDS * WORD] {
        let words = match self {
            Self::Begins { task, references } => [1, task as u64, references, 0, 0, 0, 0],
            Self::Found(Finding::Waker { task, slot, on }) => {
                let (kind, at) = match on {
                    On::Nothing => (0, 0),
                    On::Never => (1, 0),
                    On::At(primitive) => (2, primitive as u64),
                };
                [2, task as u64, slot as u64, kind, at, 0, 0]
            }
            Self::Found(Finding::Handle { of, holder, place }) => [
                3,
                of.primitive as u64,
                u64::from(of.side) | u64::from(of.sides) << 8,
                of.handles as u64,
                holder as u64,
                place as u64,
                0,
            ],
            Self::Ends => [4, 0, 0, 0, 0, 0, 0],
            Self::Lives => [5, 0, 0, 0, 0, 0, 0],
        };
        let mut bytes = [0; WORDS * WORD];
        for (bytes, word) in bytes.chunks_exact_mut(WORD).zip(words) {
            bytes.copy_from_slice(&word.to_le_bytes());
        }
        bytes
    }

    fn decode(bytes: &[u8]) -> Option<Self> {
        let word = |n: usize| {
            let bytes = bytes.get(n * WORD..(n + 1) * WORD)?;
            Some(u64::from_le_bytes(bytes.try_into().ok()?))
        };
        let size = |n: usize| usize::try_from(word(n)?).ok();
        Some(match word(0)? {
            1 => Self::Begins {
                task: size(1)?,
                references: word(2)?,
            },
            2 => Self::Found(Finding::Waker {
                task: size(1)?,
                slot: size(2)?,
                on: match word(3)? {
                    0 => On::Nothing,
                    1 => On::Never,
                    _ => On::At(size(4)?),
                },
            }),
            3 => Self::Found(Finding::Handle {
                of: Side {
                    primitive: size(1)?,
                    side: word(2)? as u8,
                    sides: (word(2)? >> 8) as u8,
                    handles: size(3)?,
                },
                holder: size(4)?,
                place: size(5)?,
            }),
            4 => Self::Ends,
            5 => Self::Lives,
            _ => return None,
        })
    }
}

/// What a copy has said.
#[derive(Debug, Default)]
pub(super) struct Transcript {
    /// The subjects: which candidate, with how many references.
    pub(super) parked: Vec<(usize, u64)>,
    pub(super) findings: Vec<Finding>,
    pub(super) is_complete: bool,
    /// The beginning of an entry.
    rest: Vec<u8>,
}

impl Transcript {
    /// More was said.
    pub(super) fn add(&mut self, mut said: &[u8]) {
        while self.rest.len() + said.len() >= WORDS * WORD {
            let (now, later) = said.split_at(WORDS * WORD - self.rest.len());
            self.rest.extend_from_slice(now);
            said = later;
            let entry = Entry::decode(&self.rest);
            self.rest.clear();
            self.enter(entry);
        }
        self.rest.extend_from_slice(said);
    }

    fn enter(&mut self, entry: Option<Entry>) {
        match entry {
            Some(Entry::Begins { task, references }) => self.parked.push((task, references)),
            Some(Entry::Found(finding)) => self.findings.push(finding),
            Some(Entry::Ends) => self.is_complete = true,
            // What makes no sense was not said by the code in this file.
            Some(Entry::Lives) | None => {}
        }
    }
}

/// Makes findings of notes: who holds a handle, and whether it was there when the copy was made.
pub(super) struct Notebook<'a> {
    candidates: &'a [Kept],
    memory: &'a [Box<[u8]>],
}

impl<'a> Notebook<'a> {
    /// For these candidates, with the contents of their memory when the copy was made.
    pub(super) fn new(candidates: &'a [Kept], memory: &'a [Box<[u8]>]) -> Self {
        Self { candidates, memory }
    }

    /// What a note says that was taken while the future of `task`, which is this subject, was
    /// dropped.
    pub(super) fn find(&self, task: usize, subject: usize, note: Note) -> Option<Finding> {
        match note {
            Note::Waker { task, slot, on } => Some(Finding::Waker { task, slot, on }),
            Note::Handle {
                of,
                place,
                size,
                target,
            } => {
                // What is dropped elsewhere, be it in another task's memory, was not in this one's
                // hands.
                let holds = self.candidates[task].memory().contains(&place)
                    && self.was_there(task, place, size, target);
                holds.then_some(Finding::Handle {
                    of,
                    holder: subject,
                    place,
                })
            }
        }
    }

    /// Whether the memory of `task` had a pointer to `target` there.
    fn was_there(&self, task: usize, place: usize, size: usize, target: usize) -> bool {
        let offset = place - self.candidates[task].memory().start;
        let Some(bytes) = self.memory[task].get(offset..offset + size) else {
            return false;
        };
        bytes
            .chunks_exact(size_of::<usize>())
            .filter_map(|word| Some(usize::from_ne_bytes(word.try_into().ok()?)))
            .any(|word| target.wrapping_sub(word) <= COUNTS)
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn entries_come_back_as_they_were() {
        let entries = [
            Entry::Begins {
                task: 7,
                references: 3,
            },
            Entry::Found(Finding::Waker {
                task: 0x1000,
                slot: 0x2000,
                on: On::At(0x3000),
            }),
            Entry::Found(Finding::Waker {
                task: 1,
                slot: 2,
                on: On::Never,
            }),
            Entry::Found(Finding::Waker {
                task: 1,
                slot: 2,
                on: On::Nothing,
            }),
            Entry::Found(Finding::Handle {
                of: Side {
                    primitive: 0x4000,
                    side: 1,
                    sides: 2,
                    handles: 5,
                },
                holder: 0,
                place: 0x1010,
            }),
            Entry::Ends,
            Entry::Lives,
        ];
        for entry in entries {
            assert_eq!(Entry::decode(&entry.encode()), Some(entry));
        }
    }

    #[test]
    fn a_transcript_that_breaks_off_names_the_task_that_was_being_dropped() {
        let said: Vec<u8> = [(4, 1), (9, 2)]
            .iter()
            .flat_map(|&(task, references)| Entry::Begins { task, references }.encode())
            .collect();
        let mut transcript = Transcript::default();
        said.chunks(5).for_each(|said| transcript.add(said));
        assert!(!transcript.is_complete);
        assert_eq!(transcript.parked.last(), Some(&(9, 2)));
    }
}
