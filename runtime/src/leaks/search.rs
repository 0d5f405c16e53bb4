//! Holding the trial: who is tried, again without those that break it off, and what comes of it.
#![forbid(unsafe_code)]

use std::collections::HashSet;
use std::fs::File;
use std::io::{self, Write};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use super::evidence::{Subject, judge};
use super::wire::{Entry, Notebook, Transcript};
use super::{Leaks, sandbox, trial};
use crate::dump::TaskInfo;
use crate::scheduler::{Scheduler, life};
use crate::spawn::block_in_place;
use crate::task::visit::{self, Kept};
use crate::task::{Header, WaitReason};
use crate::time::clock;

/// How long a copy may be silent: hundreds of times what it takes to make one, or to drop a future.
/// It hangs, then, on a lock that another thread held.
const PATIENCE: Duration = Duration::from_secs(3);

/// How many trials there are at the most, until one comes to its end. Each that does not tells
/// which task's future was to blame.
const TRIALS: usize = 8;

/// After how many tasks whose memory was read the copy says that it still lives. A guess: some
/// milliseconds.
const SIGN_OF_LIFE: usize = 4096;

/// One at a time: each holds references, which another would not account for.
static ONE: Mutex<()> = Mutex::new(());

impl Scheduler {
    /// See [`Handle::leaks`](crate::Handle::leaks).
    pub(crate) fn leaks(&self) -> Leaks {
        let _one = ONE.lock().unwrap_or_else(PoisonError::into_inner);
        let mut candidates = visit::keep(self.slab(), &may_be_leaked);
        let unknown = if candidates.is_empty() {
            None
        } else {
            // Other tasks of this worker go on meanwhile.
            match block_in_place(|| out_of_reach(&mut candidates)) {
                Ok(()) => None,
                Err(why) => {
                    candidates.retain(|task| nobody_refers_to(task.header()));
                    Some(why.to_string())
                }
            }
        };
        let now = clock::real();
        let mut tasks: Vec<_> = (candidates.iter())
            .map(|task| TaskInfo::of(task.header(), now))
            .collect();
        for task in &mut tasks {
            task.name = self.names().of(task.id);
        }
        tasks.sort_unstable_by_key(|task| task.id);
        Leaks { tasks, unknown }
    }
}

/// Spares the trial what it could only find to be alive. A guess: tasks move on while one looks.
fn may_be_leaked(task: &Header) -> bool {
    let reason = task.noted().map(|noted| noted.reason);
    task.state.load().is_parked() && !matches!(reason, Some(WaitReason::Sleep | WaitReason::IoWait))
}

/// Whether the task is parked, and has no reference but its own and ours. One look at one word, so
/// both hold at one moment, and for ever.
fn nobody_refers_to(task: &Header) -> bool {
    let state = task.state.load();
    state.is_parked() && state.refs() == 2
}

/// Leaves those candidates that nobody else can ever wake.
fn out_of_reach(candidates: &mut Vec<Kept>) -> io::Result<()> {
    let mut suspect = None;
    for _ in 0..TRIALS {
        let mut transcript = Transcript::default();
        let ended = hold_trial(candidates)?.hear(PATIENCE, |said| transcript.add(said))?;
        if transcript.is_complete {
            let leaked = judge(&subjects(candidates, &transcript), &transcript.findings);
            let leaked: HashSet<usize> = (transcript.parked.iter().zip(leaked))
                .filter_map(|(&(task, _), leaked)| leaked.then_some(task))
                .collect();
            retain(candidates, |task| leaked.contains(&task));
            return Ok(());
        }
        // One that crashes the copy would do so again. One that waits for a lock may have met
        // another thread there by chance.
        let last = transcript.parked.last().map(|&(task, _)| task);
        if last.is_some() && (ended || suspect == last) {
            retain(candidates, |task| Some(task) != last);
            suspect = None;
        } else {
            suspect = last;
        }
    }
    Err(io::Error::other(
        "the futures of tasks could not be dropped in a copy of the process",
    ))
}

fn retain(candidates: &mut Vec<Kept>, keep: impl Fn(usize) -> bool) {
    let mut index = 0;
    candidates.retain(|_| {
        index += 1;
        keep(index - 1)
    });
}

fn subjects(candidates: &[Kept], transcript: &Transcript) -> Vec<Subject> {
    let subject = |&(task, references): &(usize, u64)| Subject {
        memory: candidates[task].memory(),
        references,
    };
    transcript.parked.iter().map(subject).collect()
}

/// Begins to drop all candidates' futures in a copy of the process.
fn hold_trial(candidates: &[Kept]) -> io::Result<sandbox::Copy> {
    sandbox::copy(
        |mut tell| {
            let mut read = 0;
            sandbox::read_memory(candidates.iter().map(Kept::memory), || {
                read += 1;
                if read % SIGN_OF_LIFE == 0 {
                    let _ = tell.write_all(&Entry::Lives.encode());
                }
            })
        },
        |memory, tell, inside| {
            let _ = perform(candidates, &memory, tell, inside);
        },
    )
}

/// The trial itself. It fails if nobody listens any more.
fn perform(
    candidates: &[Kept],
    memory: &[Box<[u8]>],
    mut tell: &File,
    inside: &sandbox::Inside,
) -> io::Result<()> {
    life::rehearse();
    trial::begin();
    // All are stopped before the first is dropped, so that nobody is queued who is woken by that.
    let parked: Vec<_> = (0..candidates.len())
        .filter_map(|task| Some((task, candidates[task].stop(inside)?)))
        .collect();
    let notebook = Notebook::new(candidates, memory);
    let mut text = Vec::new();
    for (subject, &(task, references)) in parked.iter().enumerate() {
        // With what is known of the one before: a call of the system costs more than most drops.
        text.extend(Entry::Begins { task, references }.encode());
        tell.write_all(&text)?;
        candidates[task].rehearse(inside);
        text.clear();
        let notes = trial::take().into_iter();
        for finding in notes.filter_map(|note| notebook.find(task, subject, note)) {
            text.extend(Entry::Found(finding).encode());
        }
    }
    text.extend(Entry::Ends.encode());
    tell.write_all(&text)
}
