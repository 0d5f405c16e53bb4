//! Who sleeps, who searches, and whom to wake. The protocol and its proof are in `README.md` beside
//! this file.
//!
//! Workers are awake, asleep, or stuck in a poll that does not return. At most `max_procs` are
//! meant to be awake at a time; there may be more threads than that, because each stuck one is
//! replaced.
//!
//! Invariants:
//!
//! 1. A worker whose bit is set in `sleeping` is about to sleep or sleeps, and has looked, or will
//!    look, at every queue after setting it.
//! 2. Whoever clears the bit owes the worker a token ([`Parker::unpark`](super::parker::Parker)),
//!    or is the worker itself.
//! 3. `searching` counts the workers that look for work without having any, and those that were
//!    woken to do so.
//! 4. `running` counts the workers that are awake and not stuck. It goes down after the bit is set,
//!    and up when the bit is cleared. A mark as stuck may come when the poll has just ended and its
//!    worker sleeps already; then it is one less until that worker has noticed, and may be
//!    negative. Too low a count wakes somebody for nothing; too high a one would lose a wake-up.
#![forbid(unsafe_code)]

use crossbeam_utils::CachePadded;

use crate::primitive::atomic::{
    AtomicIsize, AtomicU64, AtomicUsize,
    Ordering::{Relaxed, SeqCst},
    fence,
};

/// See the module.
#[derive(Debug)]
pub(crate) struct Idle {
    /// One line: written when workers fall asleep and wake, read at each push.
    counts: CachePadded<Counts>,
    sleeping: Box<[AtomicU64]>,
}

#[derive(Debug)]
struct Counts {
    /// See invariant 4.
    running: AtomicIsize,
    searching: AtomicUsize,
    /// Workers that have a thread and are not stuck, awake or asleep. Like `running`, it may be too
    /// low for a moment.
    present: AtomicIsize,
    /// How many are to run at a time.
    max_procs: AtomicUsize,
    /// The same, or for a moment more: the monitor has seen workers block, and expects the next
    /// ones to. Never less for good.
    limit: AtomicUsize,
}

/// What came of [`Idle::step_down`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub(crate) enum StepDown {
    /// The worker is to sleep. If it was chosen meanwhile, its token is on the way.
    Sleep,
    /// It is not one too many any more.
    Stay,
    /// Nor is it, and it was chosen meanwhile: it counts as searching, and a token is on its way.
    Search,
}

/// Whom to wake for work that was pushed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Notify {
    /// Nobody: enough are awake, or one is looking.
    Nobody,
    /// This one; it counts as awake and searching already.
    Worker(usize),
    /// Fewer than `max_procs` are awake and none sleeps: the rest is stuck.
    AllStuck,
}

impl Idle {
    /// For worker slots `0..slots`, of which `max_procs` are meant to run; none does yet.
    pub(crate) fn new(slots: usize, max_procs: usize) -> Self {
        Self {
            counts: CachePadded::new(Counts {
                running: AtomicIsize::new(0),
                searching: AtomicUsize::new(0),
                present: AtomicIsize::new(0),
                max_procs: AtomicUsize::new(max_procs),
                limit: AtomicUsize::new(max_procs),
            }),
            sleeping: (0..slots.div_ceil(64)).map(|_| AtomicU64::new(0)).collect(),
        }
    }

    /// Work was pushed: which worker to wake for it, if any.
    ///
    /// `prefer_not`: a worker that it is dearer to wake, since it sleeps in the reactor.
    #[inline]
    pub(crate) fn worker_to_notify(&self, prefer_not: impl Fn(usize) -> bool) -> Notify {
        // Pairs with the fence in `fall_asleep`: either we see the sleeper, or it sees our push.
        fence(SeqCst);
        if self.counts.searching.load(Relaxed) != 0 || !self.has_room() {
            return Notify::Nobody;
        }
        self.worker_to_notify_slow(prefer_not)
    }

    #[cold]
    fn worker_to_notify_slow(&self, prefer_not: impl Fn(usize) -> bool) -> Notify {
        loop {
            // Only one searcher at a time is woken; it wakes the next when it finds something.
            if self
                .counts
                .searching
                .compare_exchange(0, 1, SeqCst, Relaxed)
                .is_err()
            {
                return Notify::Nobody;
            }
            if let Some(worker) = self.claim_sleeper(&prefer_not) {
                return Notify::Worker(worker);
            }
            self.counts.searching.fetch_sub(1, SeqCst);
            // While it was up nobody searched, but other pushers believed so; and a worker whose
            // bit was not there yet may have looked at the queues before their pushes. Pairs with
            // the fence in `fall_asleep`: such a worker's bit is seen now.
            fence(SeqCst);
            if !self.has_sleeper() {
                break;
            }
        }
        if self.has_room() {
            Notify::AllStuck
        } else {
            Notify::Nobody
        }
    }

    fn has_room(&self) -> bool {
        self.counts.running.load(Relaxed) < signed(self.counts.limit.load(Relaxed))
    }

    /// Clears a sleeper's bit; a preferred one's if there is one.
    fn claim_sleeper(&self, prefer_not: &impl Fn(usize) -> bool) -> Option<usize> {
        self.claim_sleeper_where(|i| !prefer_not(i))
            .or_else(|| self.claim_sleeper_where(|_| true))
    }

    /// The lowest number first, so that surplus workers are left asleep.
    fn claim_sleeper_where(&self, suits: impl Fn(usize) -> bool) -> Option<usize> {
        for (w, word) in self.sleeping.iter().enumerate() {
            let mut bits = word.load(SeqCst);
            while bits != 0 {
                let bit = bits.trailing_zeros() as usize;
                bits &= bits - 1;
                let index = w * 64 + bit;
                if suits(index) && self.clear(index) {
                    return Some(index);
                }
            }
        }
        None
    }

    /// Announces that a worker is about to sleep. It must look at every queue afterwards, before it
    /// sleeps (invariant 1).
    pub(crate) fn fall_asleep(&self, worker: usize, searching: bool) {
        self.set(worker);
        self.counts.running.fetch_sub(1, SeqCst);
        if searching {
            // After the bit: a pusher that sees nobody searching finds the sleeper, and does not
            // believe that all are stuck. (That no push is lost is the fence's doing alone.)
            self.counts.searching.fetch_sub(1, SeqCst);
        }
        // Pairs with the fence in `worker_to_notify`, and with the one in `is_quiet` for the turn
        // at the reactor (`hand_turn_on`).
        fence(SeqCst);
    }

    /// A worker goes to sleep if more than `enough`, which is 1 at least, are awake. It must have
    /// given away what it had. It need not look at the queues again: the others are awake, and will
    /// before they sleep.
    pub(crate) fn step_down(&self, worker: usize, enough: usize) -> StepDown {
        self.set(worker);
        let surplus = self
            .counts
            .running
            .fetch_update(SeqCst, SeqCst, |running| {
                (running > signed(enough)).then(|| running - 1)
            })
            .is_ok();
        if surplus {
            // As in `fall_asleep`, for the monitor's turn at the reactor. Whoever is awake still
            // has one of his own when he falls asleep; this one is for him who is stuck instead.
            fence(SeqCst);
            return StepDown::Sleep;
        }
        if self.unset(worker) {
            return StepDown::Stay;
        }
        // Whoever chose it counted it as awake a second time, and relies on its search.
        self.counts.running.fetch_sub(1, SeqCst);
        StepDown::Search
    }

    /// The worker is awake without having been chosen: time was up, or it found something when it
    /// looked again. `false`: it was chosen meanwhile; it counts as searching, and a token is on
    /// its way, which the worker has to consume.
    #[must_use]
    pub(crate) fn wake_up(&self, worker: usize) -> bool {
        self.clear(worker)
    }

    /// Clears a bit and counts the worker as awake.
    fn clear(&self, worker: usize) -> bool {
        let was = self.unset(worker);
        if was {
            self.counts.running.fetch_add(1, SeqCst);
        }
        was
    }

    fn set(&self, worker: usize) {
        self.sleeping[worker / 64].fetch_or(1 << (worker % 64), SeqCst);
    }

    fn unset(&self, worker: usize) -> bool {
        let bit = 1 << (worker % 64);
        self.sleeping[worker / 64].fetch_and(!bit, SeqCst) & bit != 0
    }

    /// A worker's thread has begun, or a stuck worker's poll has returned.
    pub(crate) fn add_running(&self) {
        self.counts.present.fetch_add(1, SeqCst);
        self.counts.running.fetch_add(1, SeqCst);
    }

    /// A worker is stuck in a poll.
    pub(crate) fn remove_running(&self) {
        self.counts.present.fetch_sub(1, SeqCst);
        self.counts.running.fetch_sub(1, SeqCst);
    }

    /// Whether there are more threads that are not stuck than are ever to run at a time.
    pub(crate) fn is_surplus(&self) -> bool {
        self.counts.present.load(Relaxed) > signed(self.counts.max_procs.load(Relaxed))
    }

    /// A worker that is awake ends, if there is one too many, and does not count any more. It has
    /// nothing in its queue, and must look at all others afterwards, as one that falls asleep does:
    /// if there is something it has others woken, who were not because it was awake.
    #[must_use]
    pub(crate) fn retire(&self, searching: bool) -> bool {
        let max_procs = signed(self.counts.max_procs.load(SeqCst));
        let surplus = self
            .counts
            .present
            .fetch_update(SeqCst, SeqCst, |present| {
                (present > max_procs).then(|| present - 1)
            })
            .is_ok();
        if !surplus {
            return false;
        }
        self.counts.running.fetch_sub(1, SeqCst);
        if searching {
            self.counts.searching.fetch_sub(1, SeqCst);
        }
        // As in `fall_asleep`: who pushes sees the lower counts, or we see what was pushed.
        fence(SeqCst);
        true
    }

    /// Whether more workers are awake than there are meant to be.
    pub(crate) fn is_crowded(&self) -> bool {
        self.counts.running.load(Relaxed) > signed(self.counts.limit.load(Relaxed))
    }

    /// Asks to search; at most half as many as are awake may.
    pub(crate) fn start_searching(&self) -> bool {
        if 2 * self.counts.searching.load(Relaxed) >= self.running().max(1) {
            return false;
        }
        self.counts.searching.fetch_add(1, SeqCst);
        true
    }

    /// A worker that had just given its search up sees that there is work, and searches again.
    pub(crate) fn resume_searching(&self) {
        self.counts.searching.fetch_add(1, SeqCst);
    }

    /// The searcher found work. `true`: nobody searches any more, so that it has to wake the next.
    #[must_use]
    pub(crate) fn stop_searching(&self) -> bool {
        self.counts.searching.fetch_sub(1, SeqCst) == 1
    }

    /// Whether this worker sleeps or is about to.
    pub(crate) fn is_asleep(&self, worker: usize) -> bool {
        self.sleeping[worker / 64].load(SeqCst) & (1 << (worker % 64)) != 0
    }

    /// Whether no worker is there but stuck ones.
    pub(crate) fn is_deserted(&self) -> bool {
        self.counts.present.load(Relaxed) <= 0
    }

    /// Whether some worker sleeps.
    pub(crate) fn has_sleeper(&self) -> bool {
        self.sleeping.iter().any(|word| word.load(SeqCst) != 0)
    }

    /// Workers that are awake and not stuck.
    #[inline]
    pub(crate) fn running(&self) -> usize {
        usize::try_from(self.counts.running.load(Relaxed)).unwrap_or(0)
    }

    /// Workers that have a thread and are not stuck.
    #[cfg(all(test, loom))]
    pub(crate) fn present(&self) -> usize {
        usize::try_from(self.counts.present.load(Relaxed)).unwrap_or(0)
    }

    /// Whether nobody is awake, asked by the monitor after it announced that it will sleep, or gave
    /// up its turn at the reactor.
    pub(crate) fn is_quiet(&self) -> bool {
        // Pairs with `Monitor::wake`, which a worker calls after it was counted: one of the two
        // sees the other.
        fence(SeqCst);
        self.running() == 0
    }

    /// The caller has had the turn at the reactor, and will not sleep there: whom to wake, if
    /// everybody sleeps. One that fell asleep meanwhile did not get the turn, and sleeps on its
    /// futex; woken, it finds nothing, and goes to sleep in the reactor.
    ///
    /// `is_quiet` fences between our giving the turn up and the look at the count; `fall_asleep`
    /// between the count and the try for the turn: either that worker gets the turn, or we see it
    /// asleep.
    pub(crate) fn hand_turn_on(&self, prefer_not: impl Fn(usize) -> bool) -> Notify {
        if self.is_quiet() {
            self.worker_to_notify(prefer_not)
        } else {
            Notify::Nobody
        }
    }

    /// Searching workers.
    pub(crate) fn searching(&self) -> usize {
        self.counts.searching.load(Relaxed)
    }

    /// How many are to run at a time.
    #[inline]
    pub(crate) fn max_procs(&self) -> usize {
        self.counts.max_procs.load(Relaxed)
    }

    /// Changes it, and returns what it was.
    pub(crate) fn set_max_procs(&self, n: usize) -> usize {
        let before = self.counts.max_procs.swap(n, SeqCst);
        self.counts.limit.store(n, SeqCst);
        before
    }

    /// How many may be awake at the moment.
    pub(crate) fn limit(&self) -> usize {
        self.counts.limit.load(Relaxed)
    }

    /// Lets more be awake than `max_procs` for a moment, or no more again. Called by the monitor
    /// alone, at each look: should it undo what [`set_max_procs`](Self::set_max_procs) has set in
    /// between, the next look, which that calls for, puts it right.
    pub(crate) fn set_limit(&self, n: usize) {
        if self.limit() != n {
            self.counts.limit.store(n, SeqCst);
        }
    }
}

/// `max_procs` is some thousands at the most.
fn signed(n: usize) -> isize {
    n as isize
}
