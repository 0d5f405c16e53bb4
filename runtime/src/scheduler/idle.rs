//! Who sleeps, who searches, and whom to wake. The protocol and its proof are in `README.md` beside this file.
//!
//! Invariants:
//!
//! 1. A worker whose bit is set in `sleeping` is about to sleep or sleeps, and has looked, or will look, at every queue after setting it.
//! 2. Whoever clears the bit owes the worker a token ([`Parker::unpark`](super::parker::Parker)), or is the worker itself.
//! 3. `searching` counts the workers that look for work without having any, and those that were woken to do so.
#![forbid(unsafe_code)]

use crossbeam_utils::CachePadded;

use crate::primitive::atomic::{
    AtomicU64, AtomicUsize,
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
    /// Number of set bits in `sleeping`; may be ahead of them for a moment, never behind.
    sleepers: AtomicUsize,
    searching: AtomicUsize,
}

impl Idle {
    /// For worker slots `0..slots`.
    pub(crate) fn new(slots: usize) -> Self {
        Self {
            counts: CachePadded::new(Counts {
                sleepers: AtomicUsize::new(0),
                searching: AtomicUsize::new(0),
            }),
            sleeping: (0..slots.div_ceil(64)).map(|_| AtomicU64::new(0)).collect(),
        }
    }

    /// Work was pushed: which worker to wake for it, if any. The chosen one counts as searching already.
    ///
    /// `prefer_not`: a worker that it is dearer to wake, since it sleeps in the reactor.
    #[inline]
    pub(crate) fn worker_to_notify(&self, prefer_not: impl Fn(usize) -> bool) -> Option<usize> {
        // Pairs with the fence in `fall_asleep`: either we see the sleeper, or it sees our push.
        fence(SeqCst);
        if self.counts.searching.load(Relaxed) != 0 || self.counts.sleepers.load(Relaxed) == 0 {
            return None;
        }
        self.worker_to_notify_slow(prefer_not)
    }

    #[cold]
    fn worker_to_notify_slow(&self, prefer_not: impl Fn(usize) -> bool) -> Option<usize> {
        // Only one searcher at a time is woken; it wakes the next when it finds something.
        if self
            .counts
            .searching
            .compare_exchange(0, 1, SeqCst, Relaxed)
            .is_err()
        {
            return None;
        }
        let chosen = self.claim_sleeper(&prefer_not);
        if chosen.is_none() {
            self.counts.searching.fetch_sub(1, SeqCst);
        }
        chosen
    }

    /// Clears a sleeper's bit; a preferred one's if there is one.
    fn claim_sleeper(&self, prefer_not: &impl Fn(usize) -> bool) -> Option<usize> {
        self.claim_sleeper_where(|i| !prefer_not(i))
            .or_else(|| self.claim_sleeper_where(|_| true))
    }

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

    /// Announces that a worker is about to sleep. It must look at every queue afterwards, before it sleeps (invariant 1).
    pub(crate) fn fall_asleep(&self, worker: usize, searching: bool) {
        self.counts.sleepers.fetch_add(1, SeqCst);
        self.sleeping[worker / 64].fetch_or(1 << (worker % 64), SeqCst);
        if searching {
            // After the bit: a pusher that sees nobody searching finds the sleeper.
            self.counts.searching.fetch_sub(1, SeqCst);
        }
        // Pairs with the fence in `worker_to_notify`.
        fence(SeqCst);
    }

    /// The worker is awake without having been chosen: time was up, or it found something when it looked again. `false`: it was
    /// chosen meanwhile; it counts as searching, and a token is on its way, which the worker has to consume.
    #[must_use]
    pub(crate) fn wake_up(&self, worker: usize) -> bool {
        self.clear(worker)
    }

    fn clear(&self, worker: usize) -> bool {
        let bit = 1 << (worker % 64);
        let was = self.sleeping[worker / 64].fetch_and(!bit, SeqCst) & bit != 0;
        if was {
            self.counts.sleepers.fetch_sub(1, SeqCst);
        }
        was
    }

    /// Asks to search; at most half as many as are awake may.
    pub(crate) fn start_searching(&self, workers: usize) -> bool {
        let busy = workers.saturating_sub(self.counts.sleepers.load(Relaxed));
        if 2 * self.counts.searching.load(Relaxed) >= busy.max(1) {
            return false;
        }
        self.counts.searching.fetch_add(1, SeqCst);
        true
    }

    /// The searcher found work. `true`: nobody searches any more, so that it has to wake the next.
    #[must_use]
    pub(crate) fn stop_searching(&self) -> bool {
        self.counts.searching.fetch_sub(1, SeqCst) == 1
    }

    /// Sleeping workers.
    pub(crate) fn sleepers(&self) -> usize {
        self.counts.sleepers.load(Relaxed)
    }

    /// Searching workers.
    pub(crate) fn searching(&self) -> usize {
        self.counts.searching.load(Relaxed)
    }
}
