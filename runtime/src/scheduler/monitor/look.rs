//! One look at all workers: what each of them is in, and what follows for all.
//!
//! A look goes through the slots once and gathers in a `Round` what it finds there; a worker whose
//! poll lasts is attended to on the way. What concerns all of them follows: whether more may be
//! awake, whether another one is started, and when to look again. `Notes` go from one look to the
//! next.
#![forbid(unsafe_code)]

use std::cell::Cell;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use super::nanos;
use super::rhythm::{FAST, SLOW};
use super::spares::Patience;
use super::watched::{Poll, Stay, Watched};
use crate::metrics::count;
use crate::scheduler::kernel::Slice;
use crate::scheduler::{Scheduler, Slot};

/// Polls that take less than this on average, in nanoseconds, are short: about what it costs to
/// wake a worker, as for `LONG` in `worker/pace.rs`.
const BRISK: u64 = 5_000;

/// Timers that one look fires for a stuck worker at the most.
const TIMER_BATCH: usize = 1024;

/// For so long, in nanoseconds, more workers may be awake after some were found to block: until
/// those that took over have been looked at.
const BOOST: u64 = 2_000_000;

/// A poll that is named because it lasts has computed for one part in this many of the limit, if it
/// does not block: a thread gets that much even on a machine with several times as many threads as
/// cores.
const OWN: u64 = 8;

thread_local! {
    /// The thread is a monitor that does what a worker would do.
    static DELIVERS: Cell<bool> = const { Cell::new(false) };
}

/// Whether the calling thread is a monitor that delivers events or timers: what it wakes has waited
/// longer than what is in the shared queue.
pub(crate) fn delivers() -> bool {
    DELIVERS.get()
}

/// What the monitor remembers from one look to the next.
#[derive(Debug)]
pub(super) struct Notes {
    slots: Vec<Watched>,
    /// When it looked last.
    looked: u64,
    /// How often all workers had gone to sleep by then.
    parks: u64,
    /// Polls that compute and whose workers have been replaced.
    computing: u64,
    /// From then on another poll may be suspected before it has lasted from one look to the next:
    /// seldom, unless it was right.
    suspect_from: u64,
    /// How many workers may be awake, and until when.
    boost: usize,
    boost_until: u64,
    /// Until then whoever runs is expected to be stuck soon.
    strained_until: u64,
}

impl Notes {
    pub(super) fn new(slots: usize, now: u64) -> Self {
        Self {
            slots: vec![Watched::default(); slots],
            looked: now,
            parks: 0,
            computing: 0,
            suspect_from: now,
            boost: 0,
            boost_until: now,
            strained_until: now,
        }
    }

    /// How many workers may be awake for the time being, if that is more than `max_procs`.
    pub(super) fn boost(&self, now: u64) -> usize {
        if now < self.boost_until {
            self.boost
        } else {
            0
        }
    }

    /// Remembers what a look at all slots has found.
    fn take_from(&mut self, round: &Round, slice: u64) {
        self.parks = round.parks;
        self.computing = round.computing;
        if round.blocked > 0 {
            // Those who take over may block as well, so that there are twice as many of them.
            self.boost = 2 * round.blocked;
            self.boost_until = round.now + BOOST;
            self.suspect_from = round.now;
        }
        if round.marked > 0 {
            self.strained_until = round.now.saturating_add(slice);
        }
    }

    /// Whether to look again at once, since a poll that has just begun may last.
    fn suspects(&mut self, now: u64) -> bool {
        let may = now >= self.suspect_from;
        if may {
            self.suspect_from = now + nanos(SLOW);
        }
        may
    }
}

/// What a look brought.
#[derive(Clone, Copy, Debug)]
pub(super) struct Seen {
    /// When to look again because of a long poll, if there is one.
    pub(super) again: Option<Duration>,
    /// When a timer is due that no worker will fire.
    pub(super) due: Option<Duration>,
    /// Some poll is long that was not known to be.
    pub(super) new: bool,
}

/// A look, half-way.
#[derive(Clone, Copy, Debug, Default)]
struct Round {
    now: u64,
    /// Since the last one.
    time: u64,
    /// Ready tasks were there when it began.
    waiting: bool,
    /// Computing polls a worker that had been replaced by then.
    crowd: u64,
    /// What all workers did since the last look.
    polls: u64,
    /// How often all workers have gone to sleep, and whether one has since the last look.
    parks: u64,
    rested: bool,
    /// When to look again because of a long poll.
    next: Option<Duration>,
    /// Long polls whose workers count as running.
    long: usize,
    /// Computing polls whose workers do not.
    computing: u64,
    /// Workers that were marked: all, and those that block.
    marked: usize,
    blocked: usize,
    /// A poll has just begun that may last.
    suspicious: bool,
    /// Something waits that nobody may have been told of.
    untold: bool,
}

impl Round {
    fn look_again(&mut self, after: Duration) {
        self.next = Some(self.next.map_or(after, |next| next.min(after)));
    }

    /// Whether those who are awake are soon through with what waits: no poll lasts, none looks as
    /// if it would, and a worker has been without work since the last look.
    fn is_passing(&self) -> bool {
        self.rested && self.next.is_none() && !self.suspicious
    }

    /// Whether `running` workers made so many polls that all of them must have been short.
    fn is_brisk(&self, running: usize) -> bool {
        running > 0 && self.polls.saturating_mul(BRISK) >= self.time.saturating_mul(running as u64)
    }
}

impl Scheduler {
    /// One look at all workers.
    pub(super) fn look(self: &Arc<Self>, notes: &mut Notes, now: u64) -> Seen {
        let mut round = Round {
            now,
            time: now - std::mem::replace(&mut notes.looked, now),
            waiting: self.has_work(),
            crowd: notes.computing / self.max_procs() as u64,
            ..Round::default()
        };
        for (slot, watched) in self.started_slots().zip(notes.slots.iter_mut()) {
            self.look_at(slot, watched, &mut round);
        }
        round.rested = round.parks != notes.parks;
        notes.take_from(&round, self.monitor.slice);
        // Relaxed: a hint to the workers, see `Monitor::is_strained`.
        self.monitor
            .strained
            .store(now < notes.strained_until, Relaxed);
        if round.next.is_some() && self.idle.running() <= round.long {
            self.look_at_reactor();
        }
        if round.untold {
            self.notify();
        }
        self.set_limit(notes, now);
        self.make_up_for(&mut round, notes);
        Seen {
            again: round.next,
            due: self.due_in_vacant(),
            new: round.long > 0,
        }
    }

    /// Has others do what stuck workers leave undone.
    fn make_up_for(self: &Arc<Self>, round: &mut Round, notes: &mut Notes) {
        if !self.has_work() {
            self.monitor.exhausted.store(false, Relaxed);
            if round.next.is_some() {
                self.man_reactor();
            }
            return;
        }
        // A thread more would take the CPU from somebody, perhaps from those for whom these tasks
        // work.
        if round.is_passing() && self.idle.running() > 0 && self.idle.has_sleeper() {
            return;
        }
        // One worker made way for another, and that one is through with its tasks before a second
        // could help.
        if round.next.is_none()
            && self.contention.is_recent(round.now)
            && round.is_brisk(self.idle.running())
        {
            return;
        }
        self.replace_stuck();
        if self.idle.has_sleeper() {
            return;
        }
        let soon = Patience::new(self.monitor.slice, true, round.crowd).soon();
        if round.marked > 0 || (round.suspicious && notes.suspects(round.now)) {
            // Whoever was started just now, or has just begun, may be stuck next.
            round.look_again(soon);
        } else if round.next.is_some() {
            round.look_again(FAST);
        }
    }

    fn look_at(&self, slot: &Slot, watched: &mut Watched, round: &mut Round) {
        if slot.is_vacant() {
            self.look_after(slot);
        }
        let polls = watched.polls(slot);
        round.polls += polls;
        round.parks += slot.counters.parks();
        match watched.poll(slot, round.now) {
            Poll::Over => {}
            Poll::New => round.suspicious |= Watched::is_suspicious(polls, round.time),
            Poll::Lasts(stay) => {
                round.long += usize::from(stay.is_long() && !slot.poll.is_stuck());
                self.attend(slot, watched, stay, round);
            }
        }
    }

    /// When the first timer is due in a slot without a worker.
    pub(super) fn due_in_vacant(&self) -> Option<Duration> {
        if self.timeline.is_paused() {
            return None;
        }
        let now = self.timeline.now();
        let vacant = self.started_slots().filter(|slot| slot.is_vacant());
        let due = vacant.map(|slot| slot.timers.next_deadline()).min()?;
        (due != u64::MAX).then(|| Duration::from_nanos(due.saturating_sub(now)))
    }

    /// What the owner of a vacant slot would do.
    fn look_after(&self, slot: &Slot) {
        self.fire_timers_of(slot);
        if slot.poll.is_stuck() && slot.poll.unstick() {
            // Marked a moment too late: it had ended.
            self.idle.add_running();
        }
    }

    fn fire_timers_of(&self, slot: &Slot) {
        // By the tasks' clock, which may be paused.
        let now = self.timeline.now();
        if slot.timers.next_deadline() <= now {
            let fired = in_place(|| slot.timers.fire(now, TIMER_BATCH)) as u64;
            self.tally.timers_fired.fetch_add(fired, Relaxed);
        }
    }

    /// Nobody may be left to do it.
    fn look_at_reactor(&self) {
        if self.driver.registered() == 0 {
            return;
        }
        if let Some(mut turn) = self.driver.try_turn() {
            let woken = in_place(|| turn.wait(Some(Duration::ZERO)));
            drop(turn);
            self.reactor_result(woken);
            self.hand_turn_on();
        }
    }

    /// A worker is in a poll that lasts.
    fn attend(&self, slot: &Slot, watched: &mut Watched, stay: Stay, round: &mut Round) {
        self.fire_timers_of(slot);
        let waiting = round.waiting || slot.queue.has_next();
        round.untold |= waiting;
        if stay.starves(self.monitor.slice) && !slot.poll.is_stuck() {
            // Whoever takes over, or looks again soon, takes the CPU that is lacking here.
            return;
        }
        let pressed = waiting && !self.idle.has_sleeper();
        let patience = Patience::new(self.monitor.slice, pressed, round.crowd);
        let is_the_same = || watched.is_in(slot);
        if stay.blocks && is_the_same() {
            slot.poll.set_blocks(true);
        }
        if patience.ends(stay, watched.asked(round.now))
            && !slot.poll.is_stuck()
            && is_the_same()
            && slot.poll.stick()
        {
            self.give_up_on(slot);
            round.marked += 1;
            round.blocked += usize::from(stay.blocks);
        }
        if patience.asks_to_yield(stay) {
            slot.poll.preempt.set();
            if watched.ask(round.now) {
                count(&self.tally.preemptions);
            }
        }
        self.report(slot, watched, stay);
        let admitted = self.reconsider_admission(slot, stay);
        if !slot.poll.is_stuck() {
            return round.look_again(patience.again(stay));
        }
        round.computing += u64::from(!stay.blocks);
        if admitted && self.heavy.has_waiting() {
            round.look_again(Patience::new(self.monitor.slice, true, 0).again(stay));
        }
        // Its owner will not fire them.
        let due = slot.timers.next_deadline();
        let due = due.saturating_sub(self.timeline.now());
        round.look_again(SLOW.min(Duration::from_nanos(due)));
    }

    /// The worker has been marked: it counts no more, and what it has is for others.
    fn give_up_on(&self, slot: &Slot) {
        self.idle.remove_running();
        slot.set_slice(Slice::Longest);
        count(&self.tally.handoffs);
        // Into the order of the shared queue, where each that takes over takes one: in a ring half
        // of them would go to the first, which may be stuck next. Announced at the end of the look.
        let mut tasks: Vec<_> = std::iter::from_fn(|| slot.queue.pop()).collect();
        tasks.extend(slot.queue.take_next());
        if !tasks.is_empty() {
            self.injector.push_batch(tasks);
        }
    }

    /// Whether a heavy poll keeps others from beginning; it does not any longer if it blocks, or
    /// goes on for ever.
    fn reconsider_admission(&self, slot: &Slot, stay: Stay) -> bool {
        if !slot.poll.is_admitted() {
            return false;
        }
        let past = self.is_past_admission(stay);
        if past && slot.poll.take_admission() {
            self.heavy.release();
        }
        !past
    }

    /// Names a task that stays for too long by its own doing. One that is there still because the
    /// machine has no CPU left is not to blame.
    fn report(&self, slot: &Slot, watched: &mut Watched, stay: Stay) {
        let own = |limit| stay.blocks || stay.computed >= limit / OWN;
        let remarkable =
            (self.monitor.report).is_some_and(|limit| stay.time >= limit && own(limit));
        if remarkable
            && !slot.poll.is_on_purpose()
            && !std::mem::replace(&mut watched.reported, true)
        {
            slot.poll.report(stay.time, &self.names);
        }
    }
}

/// Does what a worker would do that is in a long poll.
fn in_place<R>(deliver: impl FnOnce() -> R) -> R {
    DELIVERS.set(true);
    // It catches the panics of foreign wakers.
    let result = deliver();
    DELIVERS.set(false);
    result
}

#[cfg(test)]
mod tests {
    use super::*;

    fn round() -> Round {
        Round {
            time: 5_000_000,
            ..Round::default()
        }
    }

    #[test]
    fn a_pace_is_brisk_if_the_polls_of_all_who_run_must_have_been_short() {
        let round = |polls| Round { polls, ..round() };
        assert!(round(1_000).is_brisk(1));
        assert!(!round(999).is_brisk(1));
        assert!(!round(1_000).is_brisk(2));
        assert!(!round(1_000_000).is_brisk(0), "nobody is awake to run it");
    }

    #[test]
    fn work_passes_where_a_worker_had_none_and_no_poll_lasts() {
        let rested = Round {
            rested: true,
            ..round()
        };
        assert!(rested.is_passing());
        assert!(!round().is_passing(), "all were busy all the while");
        let suspicious = Round {
            suspicious: true,
            ..rested
        };
        assert!(!suspicious.is_passing());
        let mut lasting = rested;
        lasting.look_again(FAST);
        assert!(!lasting.is_passing());
    }
}
