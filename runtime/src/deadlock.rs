//! The deadlock check: nothing in this runtime can ever run again, so the thread inside `block_on`
//! is told, instead of waiting for ever.
//!
//! The monitor asks when everything has been calm for a while, so that no worker ever spends a
//! cycle on it. The answer has to be right every time it is "deadlock"; in doubt it is "not now".
//! It is, when at one moment all of this holds:
//!
//! 1. every worker of every runtime of the process sleeps, without a token to wake it and without a
//!    deadline; so does every thread inside `block_on` that is not in a poll, and every thread for
//!    blocking jobs that has none; no monitor is at work;
//! 2. no queue holds a task, no timer is armed, nobody waits for a descriptor;
//! 3. no handler for a signal is installed;
//! 4. every other thread of the process sleeps until another one wakes it ([`strangers`]): also one
//!    that is in a blocking job, in a poll of `block_on`, or in neither. Whose thread it is does
//!    not matter then, nor what it waits for.
//!
//! Then no thread runs, and the system has no reason to let one run: nothing happens any more,
//! whoever holds whatever waker.
//!
//! **One moment.** The facts are read one after another, while threads move. But each sleeper has a
//! number that grows with each sleep. Two looks that find all of them asleep and the numbers equal
//! prove that all slept all the time between the looks; and what can only be changed by a thread
//! that runs did not change. Strangers are looked at in between, twice likewise ([`settled`]), and
//! in between again the threads are counted: at that moment there are as many as were listed
//! before, and these sleep all, so that there is no other.
//!
//! Facts that only sleeping threads could change (2) need not be read at the same moment: they are
//! read in both looks, and a change between reading them and the moment is a thread that ran, which
//! is either one of ours, whose number grows, or a stranger, who is in the list of threads, or is
//! gone and has left a token that the second look finds.
//!
//! **Who is told** is the thread that has slept longest inside `block_on`: it panics. Where none
//! does, because each blocks in a call of its own, it is said on stderr, and that is all that can
//! be done: say a body of `block_on` that locks a mutex of std's which it holds already, or a
//! `main` that waits for a channel of std's. Not so if this runtime has nothing to do with it.
//!
//! The panic drops the runtime, in most programs, and that waits for blocking jobs: not for ever
//! then, since those that have not ended when all tasks are cancelled hardly will.
//!
//! A worker that is stuck in a poll keeps the monitor awake, which then never asks; it has named
//! the task on stderr.
//!
//! **Not now** may become "deadlock" without anybody's waking up: a strange thread ends. So the
//! monitor asks again a few times, at ever longer intervals. Where a timer or a descriptor is
//! waited for, a worker will wake, and the monitor with it.
//!
//! **Tests.** The process' first thread is the harness's there: it waits for the tests, with a
//! limit of time, and wakes no task. It does not count. All others do, those of other tests, too:
//! one that was there before this test began may yet serve it, as the pool of some library that an
//! earlier test has used.
#![forbid(unsafe_code)]

use std::ptr;
use std::sync::{Arc, Mutex, MutexGuard, Weak};
use std::time::Duration;

use crate::dump::Dump;
use crate::scheduler::Scheduler;
use crate::scheduler::sleepers::{Doing, Sleeper};
use crate::scheduler::strangers;
use crate::scheduler::threads::{self, ThreadNumber};
use crate::stderr::say;

/// Go's words.
const MESSAGE: &str = "all tasks are asleep - deadlock!";

/// Tasks that the report shows at the most: it is one message, which somebody is to read.
const TASKS_SHOWN: usize = 100;

/// When to ask again after a first doubt; each further time it is twice as long.
pub(crate) const FIRST_DOUBT: Duration = Duration::from_millis(100);

/// No more questions after this interval: all in all less than two minutes. A thread that lives so
/// long may well live for ever, and each question costs an idle program some system calls.
pub(crate) const LAST_DOUBT: Duration = Duration::from_secs(60);

/// In a test the other tests' threads are what is doubted: they end in the end, and until then one
/// asks once a second.
pub(crate) const TEST_DOUBT: Duration = Duration::from_secs(1);

/// Every runtime that is not shut down.
static RUNTIMES: Mutex<Vec<Weak<Scheduler>>> = Mutex::new(Vec::new());

/// Held while a check is made, from the first look to the report: a monitor that reports is at
/// work, and is not seen by others as such.
static CHECK: Mutex<()> = Mutex::new(());

/// What came of a question.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub(crate) enum Answer {
    /// Nobody is stuck, or was told; or a worker will wake in any case. Nothing to ask until one
    /// does.
    Settled,
    /// Something might still happen, or might not.
    NotNow,
}

/// Something moves, or might.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Motion;

/// What one look saw of a runtime in which everybody sleeps.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Still {
    /// The number of each sleep, in a fixed order.
    pub(crate) sleeps: Vec<u64>,
    /// Who sleeps there.
    pub(crate) threads: Vec<ThreadNumber>,
}

/// Who waits for the end of a test, if this is one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Harness {
    /// This is no test.
    Absent,
    /// A thread of its own, with which the process began.
    Apart(ThreadNumber),
    /// The test's own thread, as with `--test-threads=1`; which counts.
    Same,
}

impl Harness {
    /// The harness of a test that the calling thread begins.
    pub(crate) fn of_tests() -> Self {
        match threads::first() {
            Some(first) if Some(first) != threads::current() => Self::Apart(first),
            // Or the system does not tell; then it tells of no deadlock either.
            _ => Self::Same,
        }
    }

    pub(crate) fn is_there(self) -> bool {
        self != Self::Absent
    }

    fn is(self, thread: ThreadNumber) -> bool {
        self == Self::Apart(thread)
    }
}

/// Makes a runtime known to the checks of others.
pub(crate) fn enter(scheduler: &Arc<Scheduler>) {
    // In a child those of the parent stay behind: there is nobody in them.
    let mut inherited = all_runtimes();
    inherited.retain(|runtime| runtime.is_in_child());
    let is_inherited = |one: &Weak<_>| {
        inherited
            .iter()
            .any(|it| ptr::eq(Arc::as_ptr(it), one.as_ptr()))
    };
    let mut runtimes = runtimes();
    runtimes.retain(|runtime| runtime.strong_count() > 0 && !is_inherited(runtime));
    runtimes.push(Arc::downgrade(scheduler));
}

/// From now on its threads are strangers to others.
pub(crate) fn leave(scheduler: &Arc<Scheduler>) {
    // After a check that is under way: it holds counts on all schedulers, and what they keep is to
    // be gone with the runtime.
    let _check = CHECK
        .lock()
        .unwrap_or_else(|poisoned| poisoned.into_inner());
    runtimes().retain(|runtime| !ptr::eq(runtime.as_ptr(), Arc::as_ptr(scheduler)));
}

/// All that are not shut down.
pub(crate) fn all_runtimes() -> Vec<Arc<Scheduler>> {
    runtimes().iter().filter_map(Weak::upgrade).collect()
}

fn runtimes() -> MutexGuard<'static, Vec<Weak<Scheduler>>> {
    RUNTIMES
        .lock()
        .unwrap_or_else(|poisoned| poisoned.into_inner())
}

impl Scheduler {
    /// Asks whether anything can ever happen here. Called by this runtime's monitor, which is the
    /// one thread at work if not.
    pub(crate) fn look_for_deadlock(&self) -> Answer {
        let Some(harness) = self.detects_deadlock() else {
            return Answer::Settled;
        };
        // The usual answers first, which cost nothing.
        if self.has_timer() || self.driver().has_waiters() {
            return Answer::Settled;
        }
        // Another `block_on` that goes to sleep wakes the monitor.
        let victim = self.first_asleep();
        let _check = CHECK
            .lock()
            .unwrap_or_else(|poisoned| poisoned.into_inner());
        match settled(look_at_all, |still| nobody_else(still, harness)) {
            Ok(all) => {
                let dump = self.dump().truncated(TASKS_SHOWN);
                match victim {
                    Some(victim) => {
                        self.sleepers().note_deadlock();
                        victim.condemn(format!("{MESSAGE}\n\n{dump}"));
                    }
                    None if self.sleepers().inside() == 0 && !self.has_living_tasks() => {}
                    None => tell_nobody(&names_of_strangers(&all, harness, |_| true), &dump),
                }
                Answer::Settled
            }
            Err(Motion) => Answer::NotNow,
        }
    }

    /// The names of the threads that keep this from being called a deadlock, if there is nothing
    /// else that does.
    pub(crate) fn strangers_awake(&self) -> Vec<String> {
        let (Some(harness), Ok(all)) = (self.detects_deadlock(), look_at_all()) else {
            return Vec::new();
        };
        names_of_strangers(&all, harness, |thread| strangers::asleep(thread).is_none())
    }

    /// The one that has waited in `block_on` for longest. One at a time: the end of one may be what
    /// another waits for.
    fn first_asleep(&self) -> Option<Arc<Sleeper>> {
        let mut all = self.sleepers().all().into_iter();
        all.find(|sleeper| sleeper.asleep().is_some())
    }

    fn has_timer(&self) -> bool {
        self.started_slots()
            .any(|slot| slot.timers.next_deadline() != u64::MAX)
    }

    /// One look at this runtime.
    fn still(&self) -> Result<Still, Motion> {
        if self.is_stopping() || self.has_timer() || self.has_work() || self.driver().has_waiters()
        {
            return Err(Motion);
        }
        let mut still = Still {
            sleeps: Vec::new(),
            threads: Vec::new(),
        };
        for slot in self.started_slots() {
            if slot.queue.has_next() {
                return Err(Motion);
            }
            if slot.is_vacant() {
                // Its last owner may be about to end: then it is a strange thread. A new one would
                // count its sleep.
                still.sleeps.push(slot.counters.parks());
                continue;
            }
            still.add(slot.asleep(self.driver()), slot.thread())?;
        }
        still.add(self.monitor().resting(), self.monitor().thread())?;
        for sleeper in self.sleepers().innermost() {
            match sleeper.doing().ok_or(Motion)? {
                Doing::Sleeps(sleep) => still.add(Some(sleep), sleeper.number())?,
                // To be judged as any other thread.
                Doing::Polls(poll) => still.sleeps.push(poll),
            }
        }
        let (taken, waiting) = self.blocking().waiting().ok_or(Motion)?;
        still.sleeps.push(taken);
        still.threads.extend(waiting);
        Ok(still)
    }
}

impl Still {
    fn add(&mut self, sleep: Option<u64>, thread: Option<ThreadNumber>) -> Result<(), Motion> {
        self.sleeps.push(sleep.ok_or(Motion)?);
        self.threads.push(thread.ok_or(Motion)?);
        Ok(())
    }
}

/// One look at every runtime of the process.
fn look_at_all() -> Result<Vec<Still>, Motion> {
    all_runtimes()
        .iter()
        .map(|runtime| runtime.still())
        .collect()
}

/// Whether nobody acts but this thread: all that do no runtime's work sleep until another one wakes
/// them, and there is nobody to act on a signal.
fn nobody_else(all: &[Still], harness: Harness) -> Result<(), Motion> {
    if threads::awaits_signal() != Some(false) {
        return Err(Motion);
    }
    let threads = threads::all().ok_or(Motion)?;
    let count = threads.len();
    let strange: Vec<_> = strange(threads, all, harness).collect();
    let look = || -> Result<Vec<u64>, Motion> {
        let numbers = strange.iter().map(|&thread| strangers::asleep(thread));
        numbers.collect::<Option<_>>().ok_or(Motion)
    };
    let no_more = |_: &Vec<u64>| match threads::count() {
        Some(now) if now == count => Ok(()),
        _ => Err(Motion),
    };
    settled(look, no_more).map(drop)
}

/// Each thread is in a call of its own, which no report can end.
fn tell_nobody(threads: &[String], dump: &Dump) {
    say(format_args!(
        "{MESSAGE}\n\n\
         no thread sleeps inside block_on, where it would be told by a panic: each of {} blocks in a call of its own, \
         which nobody can end any more, such as a lock of std's that it holds already\n\n{dump}",
        threads.join(", ")
    ));
}

/// The names of the threads that are no runtime's and are as asked.
fn names_of_strangers(
    all: &[Still],
    harness: Harness,
    asked: impl Fn(ThreadNumber) -> bool,
) -> Vec<String> {
    let strange = strange(threads::all().unwrap_or_default(), all, harness);
    let first = threads::first();
    let name = |thread| match Some(thread) == first {
        // The system calls it after the program.
        true => Some("main".to_owned()),
        false => strangers::name(thread),
    };
    let those = strange.filter(|&thread| asked(thread));
    those.filter_map(name).collect()
}

/// Those of the threads that are no runtime's, nor the caller, nor known to wake nobody.
fn strange(
    threads: Vec<ThreadNumber>,
    all: &[Still],
    harness: Harness,
) -> impl Iterator<Item = ThreadNumber> {
    let mut known: Vec<_> = all.iter().flat_map(|still| still.threads.clone()).collect();
    known.extend(threads::helpers());
    known.extend(threads::current());
    let known = move |thread: &ThreadNumber| known.contains(thread) || harness.is(*thread);
    threads.into_iter().filter(move |thread| !known(thread))
}

/// Two looks that see the same, and a question in between: what the looks say then held at the
/// moment of the question.
///
/// A look is `Ok` with the numbers of all sleeps, if all sleep.
pub(crate) fn settled<T: PartialEq>(
    look: impl Fn() -> Result<T, Motion>,
    between: impl FnOnce(&T) -> Result<(), Motion>,
) -> Result<T, Motion> {
    let first = look()?;
    between(&first)?;
    if look()? == first {
        Ok(first)
    } else {
        Err(Motion)
    }
}

#[cfg(all(test, target_os = "linux", not(any(loom, miri))))]
#[path = "deadlock_stress.rs"]
mod stress;
