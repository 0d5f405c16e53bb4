//! Threads that sleep inside `block_on`.
//!
//! A [`Sleeper`] is what wakes such a thread, and at the same time what others may know of it: why
//! it sleeps, for the dump, and that it does, for the deadlock check. It enters the list of its
//! runtime before its first sleep, so that a `block_on` which never has to wait touches nothing
//! shared.
//!
//! One `block_on` may be inside another on the same thread. The outer one is *covered* then: it
//! neither sleeps nor is at work, and what the thread does is told by the inner one alone.
#![forbid(unsafe_code)]

use std::panic::Location;
use std::sync::Arc;
use std::task::Wake;

use super::threads::{self, ThreadNumber};
use crate::dump::BlockOnInfo;
use crate::primitive::{
    Mutex, MutexGuard,
    atomic::{
        AtomicBool, AtomicU64, AtomicUsize,
        Ordering::{AcqRel, Acquire, SeqCst},
    },
    thread::{self, Thread},
};
use crate::task::WaitNote;

/// One thread in one call of `block_on`.
#[derive(Debug)]
pub(crate) struct Sleeper {
    /// The token is ours, not std's, because the future may park the thread itself.
    woken: AtomicBool,
    thread: Thread,
    number: Option<ThreadNumber>,
    called_at: &'static Location<'static>,
    /// Odd while the thread sleeps or is about to; one more with each beginning and end.
    sleeps: AtomicU64,
    /// Written by the thread itself.
    covered: AtomicBool,
    /// That of the runtime.
    all_covered: Arc<AtomicUsize>,
    pub(crate) waits: WaitNote,
    /// What to panic with: nothing will ever wake this thread.
    verdict: Mutex<Option<String>>,
}

/// What a thread inside `block_on` does; each time that it does so has another number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Doing {
    /// It sleeps until it is woken.
    Sleeps(u64),
    /// Whatever its future does, be it that it blocks the thread.
    Polls(u64),
}

impl Wake for Sleeper {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        // Release pairs with the swap in `sleep`. One wake is as good as many.
        if !self.woken.swap(true, AcqRel) {
            self.thread.unpark();
        }
    }
}

impl Sleeper {
    /// For the calling thread.
    pub(crate) fn new(sleepers: &Sleepers, called_at: &'static Location<'static>) -> Self {
        Self {
            covered: AtomicBool::new(false),
            all_covered: sleepers.covered.clone(),
            woken: AtomicBool::new(false),
            thread: thread::current(),
            number: threads::current(),
            called_at,
            sleeps: AtomicU64::new(0),
            waits: WaitNote::new(),
            verdict: Mutex::new(None),
        }
    }

    /// Sleeps until it is woken. `announce` is called when the thread counts as asleep.
    ///
    /// # Errors
    ///
    /// The report, if nothing will ever wake it.
    pub(crate) fn sleep(&self, announce: impl FnOnce()) -> Result<(), String> {
        self.sleeps.fetch_add(1, SeqCst);
        announce();
        while !self.woken.load(Acquire) {
            thread::park();
        }
        self.sleeps.fetch_add(1, SeqCst);
        // A swap: it acquires from every wake so far, also from one that came just now and found
        // the token there.
        self.woken.swap(false, AcqRel);
        self.verdict().take().map_or(Ok(()), Err)
    }

    /// The number of its sleep, if it sleeps and nobody has woken it.
    pub(crate) fn asleep(&self) -> Option<u64> {
        let sleeps = self.sleeps.load(SeqCst);
        (sleeps % 2 == 1 && !self.woken.load(SeqCst)).then_some(sleeps)
    }

    /// What it does, and the number of that; `None`: it sleeps no more, and does not poll yet.
    pub(crate) fn doing(&self) -> Option<Doing> {
        match self.sleeps.load(SeqCst) {
            polls if polls % 2 == 0 => Some(Doing::Polls(polls)),
            _ => self.asleep().map(Doing::Sleeps),
        }
    }

    /// Whether the thread is in another `block_on` inside this one.
    pub(crate) fn is_covered(&self) -> bool {
        self.covered.load(SeqCst)
    }

    /// Another `block_on` begins inside this one, or ends.
    pub(crate) fn cover(&self, covered: bool) {
        // SeqCst, both: the checks read the count, how many are inside, and the list, in this
        // order.
        self.covered.store(covered, SeqCst);
        match covered {
            true => self.all_covered.fetch_add(1, SeqCst),
            false => self.all_covered.fetch_sub(1, SeqCst),
        };
    }

    pub(crate) fn number(&self) -> Option<ThreadNumber> {
        self.number
    }

    /// Ends the sleep with a report.
    pub(crate) fn condemn(self: &Arc<Self>, report: String) {
        *self.verdict() = Some(report);
        self.wake_by_ref();
    }

    fn verdict(&self) -> MutexGuard<'_, Option<String>> {
        self.verdict
            .lock()
            .unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    fn info(&self, now: u64) -> BlockOnInfo {
        // Twice, so that a note of a poll in between is not taken for that of the sleep.
        let asleep = self.asleep();
        let noted = self.waits.get();
        let asleep = asleep.is_some() && asleep == self.asleep();
        let noted = noted.filter(|_| asleep);
        BlockOnInfo {
            thread: self.thread.name().map(str::to_owned),
            called_at: self.called_at,
            waiting: asleep.then(|| noted.map_or_else(Default::default, |noted| noted.reason)),
            waits_at: noted.map(|noted| noted.place),
            waits_for: noted.and_then(|noted| noted.waits_for(now)),
        }
    }
}

/// Each sleeper has its own range of numbers, so that two calls of `block_on` on one thread cannot
/// be taken for one long sleep.
const NUMBERS_OF_ONE: u32 = 40;

#[derive(Debug, Default)]
struct List {
    /// In the order of their first sleeps.
    sleepers: Vec<Arc<Sleeper>>,
    /// How many were ever entered.
    entered: u64,
}

/// The sleepers of one runtime.
#[derive(Debug, Default)]
pub(crate) struct Sleepers {
    list: Mutex<List>,
    /// One more with each sleep.
    epoch: AtomicU64,
    /// Calls of `block_on` that have not returned, those included that have never slept.
    inside: AtomicUsize,
    /// Those of them that are covered.
    covered: Arc<AtomicUsize>,
    /// See [`note_deadlock`](Self::note_deadlock).
    deadlocked: AtomicBool,
}

impl Sleepers {
    /// A thread is inside `block_on` from now on.
    pub(crate) fn begin(&self) {
        self.inside.fetch_add(1, SeqCst);
    }

    pub(crate) fn end(&self) {
        self.inside.fetch_sub(1, SeqCst);
    }

    /// How many threads are inside `block_on`.
    pub(crate) fn inside(&self) -> usize {
        self.inside.load(SeqCst)
    }

    /// How many of these are covered. To be asked first: one that is covered meanwhile is then one
    /// too many inside, and nobody is missed.
    pub(crate) fn covered(&self) -> usize {
        self.covered.load(SeqCst)
    }

    /// One of them is told that nothing can happen any more.
    pub(crate) fn note_deadlock(&self) {
        self.deadlocked.store(true, SeqCst);
    }

    /// Whether one of them was.
    pub(crate) fn was_deadlocked(&self) -> bool {
        self.deadlocked.load(SeqCst)
    }

    /// A copy of the list, without those that are covered.
    pub(crate) fn innermost(&self) -> Vec<Arc<Sleeper>> {
        let mut all = self.all();
        all.retain(|sleeper| !sleeper.is_covered());
        all
    }

    /// Enters a sleeper into the list until the guard is dropped.
    pub(crate) fn enter(&self, sleeper: &Arc<Sleeper>) -> Listed<'_> {
        let mut list = self.list();
        list.entered += 1;
        sleeper.sleeps.store(list.entered << NUMBERS_OF_ONE, SeqCst);
        list.sleepers.push(sleeper.clone());
        drop(list);
        Listed {
            sleepers: self,
            sleeper: sleeper.clone(),
        }
    }

    /// One of them has gone to sleep.
    pub(crate) fn count_sleep(&self) {
        // SeqCst: a two-sided race with the monitor, which announces that it sleeps and looks at
        // this once more.
        self.epoch.fetch_add(1, SeqCst);
    }

    pub(crate) fn epoch(&self) -> u64 {
        self.epoch.load(SeqCst)
    }

    /// A copy of the list.
    pub(crate) fn all(&self) -> Vec<Arc<Sleeper>> {
        self.list().sleepers.clone()
    }

    pub(crate) fn infos(&self, now: u64) -> Vec<BlockOnInfo> {
        self.all().iter().map(|sleeper| sleeper.info(now)).collect()
    }

    fn list(&self) -> MutexGuard<'_, List> {
        self.list
            .lock()
            .unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

/// A sleeper in the list.
#[derive(Debug)]
pub(crate) struct Listed<'a> {
    sleepers: &'a Sleepers,
    sleeper: Arc<Sleeper>,
}

impl Drop for Listed<'_> {
    fn drop(&mut self) {
        self.sleepers
            .list()
            .sleepers
            .retain(|sleeper| !Arc::ptr_eq(sleeper, &self.sleeper));
    }
}
