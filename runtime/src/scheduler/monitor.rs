//! The monitor: a thread that watches the workers, as Go's `sysmon` does.
//!
//! A task is a future, and nothing can interrupt its poll. So what happens around a poll that does not return is this thread's business:
//!
//! 1. the task is asked to yield at its next operation (the preempt flag in `coop`);
//! 2. if it does not, its worker is marked as stuck, counts as running no more, and another one is woken or started in its place. What
//!    the stuck worker owns needs no hand-over: ring and run-next are stolen from, its timers are fired from here;
//! 3. when the poll returns at last, the worker finds itself marked; if it is one too many now, it sleeps until it is needed, and ends
//!    if it is not needed for a second.
//!
//! It also repairs what the workers leave undone for speed's sake: a run-next that nobody was woken for, a reactor that nobody looks at
//! because all workers are in long polls.
//!
//! It costs nothing when there is nothing to watch: after [`CALM`] without a worker awake it sleeps until one wakes it, and while all
//! polls are short it looks every [`SLOW`]. On the workers' hot path there are two plain stores a poll.
#![forbid(unsafe_code)]

use std::io;
use std::sync::Arc;
use std::sync::atomic::{
    AtomicBool, AtomicU8, AtomicU64,
    Ordering::{Relaxed, SeqCst},
};
use std::sync::{Condvar, Mutex, OnceLock};
use std::thread;
use std::time::Duration;

use super::kernel::{self, KernelThread, Slice};
use super::threads::ThreadNumber;
use super::{NotStarted, Scheduler, Slot};
use crate::deadlock::{Answer, FIRST_DOUBT, LAST_DOUBT, TEST_DOUBT};
use crate::metrics::{TraceLine, count};
use crate::stderr::say;
use crate::time::clock;

/// Between two looks while every poll is short.
const SLOW: Duration = Duration::from_millis(5);

/// Between two looks while some poll is long.
const FAST: Duration = Duration::from_millis(1);

/// After a long poll the next one is expected: for so long the monitor looks every [`FAST`], and so sees it within two milliseconds.
const ALERT: Duration = Duration::from_millis(300);

/// Without a worker awake for so long, the monitor sleeps until it is woken. Long enough that a program with a request now and then does
/// not pay a wake-up of the monitor for each.
const CALM: Duration = Duration::from_millis(100);

/// Between two looks at what the process may use of the CPUs, as in Go.
const LIMITS: Duration = Duration::from_secs(1);

/// A poll may use the slice up where nobody waits; where ready tasks wait and no worker is free, this part of it.
const IMPATIENT: u64 = 8;

/// Polls that take less than this on average, in nanoseconds, are short: about what it costs to wake a worker.
const BRISK: u64 = 5_000;

/// When to say that a paused clock stands although it is waited for. Longer than what a test usually waits for, short for a person who
/// believes that the test hangs.
const STANDSTILL: Duration = Duration::from_secs(5);

/// Timers that one look fires for a stuck worker at the most.
const TIMER_BATCH: usize = 1024;

/// See the module.
#[derive(Debug)]
pub(crate) struct Monitor {
    slice: u64,
    report: Option<u64>,
    state: AtomicU8,
    /// All workers are stuck and there is work: look now.
    hurry: AtomicBool,
    /// No worker could be added when it was last tried, since there are as many as may be. Used by the monitor alone.
    exhausted: AtomicBool,
    /// Odd while it looks: one more with each beginning and end.
    looks: AtomicU64,
    /// The number of its thread, once it has begun.
    thread: OnceLock<Option<ThreadNumber>>,
    lock: Mutex<()>,
    changed: Condvar,
}

const WATCHING: u8 = 0;
const ASLEEP: u8 = 1;
const STOPPED: u8 = 2;

/// What a look brought.
#[derive(Clone, Copy, Debug)]
struct Seen {
    /// When to look again because of a long poll, if there is one.
    again: Option<Duration>,
    /// When a timer is due that no worker will fire.
    due: Option<Duration>,
    /// Some poll is long that was not known to be.
    new: bool,
}

/// What all workers together did since the last look.
#[derive(Clone, Copy, Debug, Default)]
struct Pace {
    polls: u64,
    time: u64,
}

impl Pace {
    /// Whether `running` workers made so many polls that all of them must have been short.
    fn is_brisk(self, running: usize) -> bool {
        running > 0 && self.polls.saturating_mul(BRISK) >= self.time.saturating_mul(running as u64)
    }
}

/// What the monitor remembers of a slot between two looks.
#[derive(Clone, Copy, Debug, Default)]
struct Watched {
    sequence: u64,
    /// When this poll was first seen.
    since: u64,
    preempted: bool,
    reported: bool,
}

/// When the runtime began, and when the last line about it was printed.
#[derive(Debug)]
struct Traced {
    begin: u64,
    last: u64,
}

impl Monitor {
    pub(crate) fn new(slice: Duration, report: Option<Duration>) -> Self {
        Self {
            slice: nanos(slice),
            report: report.map(nanos),
            state: AtomicU8::new(WATCHING),
            hurry: AtomicBool::new(false),
            exhausted: AtomicBool::new(false),
            looks: AtomicU64::new(0),
            thread: OnceLock::new(),
            lock: Mutex::new(()),
            changed: Condvar::new(),
        }
    }

    /// A worker wakes: so does the monitor, if it sleeps. One load otherwise.
    #[inline]
    pub(crate) fn wake(&self) {
        // SeqCst pairs with `Idle::is_quiet`, the monitor's look at `running` after it announced its sleep: one of the two sees the other.
        if self.state.load(SeqCst) == ASLEEP {
            self.wake_slow();
        }
    }

    #[cold]
    fn wake_slow(&self) {
        if self
            .state
            .compare_exchange(ASLEEP, WATCHING, SeqCst, Relaxed)
            .is_ok()
        {
            // All was idle, so the coarse clock stood still, and tasks are about to read it.
            clock::advance_coarse(clock::real());
            self.signal();
        }
    }

    /// There is work and nobody to do it.
    pub(crate) fn hurry(&self) {
        if !self.hurry.swap(true, SeqCst) {
            self.wake();
            self.signal();
        }
    }

    pub(crate) fn stop(&self) {
        self.state.store(STOPPED, SeqCst);
        self.signal();
    }

    fn signal(&self) {
        // The lock makes sure that the monitor is either before its check or in its wait.
        drop(
            self.lock
                .lock()
                .unwrap_or_else(|poisoned| poisoned.into_inner()),
        );
        self.changed.notify_all();
    }

    /// Waits for the time of the next look. `false`: it is over.
    fn pause(&self, time: Duration) -> bool {
        let guard = self
            .lock
            .lock()
            .unwrap_or_else(|poisoned| poisoned.into_inner());
        let idle = |_: &mut ()| self.state.load(SeqCst) != STOPPED && !self.hurry.load(SeqCst);
        drop(
            self.changed
                .wait_timeout_while(guard, time, idle)
                .unwrap_or_else(|poisoned| poisoned.into_inner()),
        );
        // An exchange, since it acquires: whoever raised the flag pushed work before, and the look that follows has to see it.
        self.hurry.swap(false, SeqCst);
        self.state.load(SeqCst) != STOPPED
    }

    /// Sleeps until a worker or a `block_on` wakes it, which is `true`, or until the time is over. `seen`: the sleeps in `block_on` that
    /// were counted before the last look at everything.
    fn sleep(&self, scheduler: &Scheduler, seen: u64, time: Option<Duration>) -> bool {
        if self
            .state
            .compare_exchange(WATCHING, ASLEEP, SeqCst, Relaxed)
            .is_err()
        {
            return true;
        }
        let new = !scheduler.idle.is_quiet()
            || self.hurry.load(SeqCst)
            || scheduler.sleepers().epoch() != seen;
        if !new {
            let guard = self
                .lock
                .lock()
                .unwrap_or_else(|poisoned| poisoned.into_inner());
            let asleep = |_: &mut ()| self.state.load(SeqCst) == ASLEEP;
            match time {
                None => drop(self.changed.wait_while(guard, asleep)),
                Some(time) => drop(self.changed.wait_timeout_while(guard, time, asleep)),
            }
        }
        let time_is_up = self
            .state
            .compare_exchange(ASLEEP, WATCHING, SeqCst, Relaxed)
            .is_ok();
        new || !time_is_up
    }

    /// The number of its looks, if it is not in the middle of one.
    pub(crate) fn resting(&self) -> Option<u64> {
        let looks = self.looks.load(SeqCst);
        (looks % 2 == 0).then_some(looks)
    }

    /// The number of its thread.
    pub(crate) fn thread(&self) -> Option<ThreadNumber> {
        self.thread.get().copied().flatten()
    }
}

impl Scheduler {
    pub(crate) fn start_monitor(self: &Arc<Self>) -> io::Result<()> {
        let scheduler = self.clone();
        let name = format!("{}-monitor", self.config.thread_name);
        let thread = thread::Builder::new()
            .name(name)
            .spawn(move || scheduler.watch())?;
        self.ending.keep(thread);
        Ok(())
    }

    /// The monitor's life.
    fn watch(self: Arc<Self>) {
        let mut watched = vec![Watched::default(); self.slots.len()];
        let (mut pause, mut calm_since, mut alert_until) = (SLOW, None, 0);
        let mut looked = clock::real();
        self.monitor.thread.get_or_init(super::threads::current);
        kernel::set_slice(KernelThread::current(), Slice::Shortest);
        let begin = clock::real();
        clock::advance_coarse(begin);
        let mut traced = Traced { begin, last: begin };
        let mut limits_read = begin;
        while self.monitor.pause(pause) {
            let now = clock::real();
            clock::advance_coarse(now);
            self.trace(&mut traced, now);
            if now - limits_read >= nanos(LIMITS) {
                limits_read = now;
                self.follow_limits();
            }
            // SeqCst, for the deadlock check: what a look sets in motion comes between the two.
            self.monitor.looks.fetch_add(1, SeqCst);
            let seen = self.look(&mut watched, now, now - std::mem::replace(&mut looked, now));
            self.monitor.looks.fetch_add(1, SeqCst);
            if seen.new {
                alert_until = now + nanos(ALERT);
            }
            let most = if now < alert_until { FAST } else { SLOW };
            pause = seen
                .again
                .into_iter()
                .chain(seen.due)
                .fold(most, Duration::min);
            if seen.again.is_some() || self.idle.running() > 0 {
                calm_since = None;
            } else if now - *calm_since.get_or_insert(now) > nanos(CALM) {
                self.rest();
                calm_since = None;
            }
        }
    }

    /// Prints a line about the scheduler, if that was asked for and it is time.
    fn trace(&self, traced: &mut Traced, now: u64) {
        let due = |every| now - traced.last >= nanos(every);
        if self.config.schedtrace.is_some_and(due) {
            traced.last = now;
            let time = Duration::from_nanos(now - traced.begin);
            say(format_args!("{}", TraceLine(&self.metrics(), time)));
        }
    }

    /// Nothing has moved for a while: asks whether anything ever will, and sleeps until something does.
    fn rest(&self) {
        let in_test = self.detects_deadlock().is_some_and(|by| !by.is_empty());
        let mut doubt = FIRST_DOUBT;
        let begin = clock::real();
        let mut patience = Some(STANDSTILL);
        loop {
            let seen = self.sleepers().epoch();
            let again = match self.look_for_deadlock() {
                Answer::NotNow if in_test => Some(doubt.min(TEST_DOUBT)),
                Answer::NotNow if doubt <= LAST_DOUBT => Some(doubt),
                Answer::NotNow | Answer::Settled => None,
            };
            let trace = self.config.schedtrace;
            let patient = patience.filter(|_| self.why_clock_stands().is_some());
            let due = self.due_in_vacant();
            let times = [again, trace, patient, due];
            let time = times.into_iter().flatten().min();
            if self.monitor.sleep(self, seen, time) || trace.is_some() || due.is_some() {
                return;
            }
            doubt = doubt.saturating_mul(2);
            if patient.is_some() && clock::real() - begin >= nanos(STANDSTILL) {
                patience = None;
                self.report_standstill();
            }
        }
    }

    /// Nobody would find out otherwise why his test hangs.
    fn report_standstill(&self) {
        if let Some(reason) = self.why_clock_stands() {
            say(format_args!(
                "the paused clock stands, although a timer is waited for: {reason}; \
                 time::advance moves it in spite of a descriptor, time::resume lets it run"
            ));
        }
    }

    /// One look at all workers, `time` nanoseconds after the last one.
    fn look(self: &Arc<Self>, watched: &mut [Watched], now: u64, time: u64) -> Seen {
        let mut next: Option<Duration> = None;
        let mut long = 0;
        let mut pace = Pace { polls: 0, time };
        for (slot, watched) in self.started_slots().zip(watched.iter_mut()) {
            pace.polls += watched.polls(slot);
            if slot.is_vacant() {
                self.look_after(slot);
            }
            if let Some(time) = watched.time_in_poll(slot, now) {
                long += usize::from(!slot.poll.is_stuck());
                let again = self.attend(slot, watched, time);
                next = Some(next.map_or(again, |next| next.min(again)));
            }
        }
        if next.is_some() && self.idle.running() <= long {
            self.look_at_reactor();
        }
        // One worker made way for another, and that one is through with its tasks before a second could help.
        let served =
            next.is_none() && self.contention.is_recent(now) && pace.is_brisk(self.idle.running());
        let has_work = self.has_work();
        if !has_work {
            self.monitor.exhausted.store(false, Relaxed);
        } else if !served {
            self.replace_stuck();
        }
        Seen {
            again: next,
            due: self.due_in_vacant(),
            new: long > 0,
        }
    }

    /// When the first timer is due in a slot without a worker.
    fn due_in_vacant(&self) -> Option<Duration> {
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
        let fired = slot.timers.fire(self.timeline.now(), TIMER_BATCH) as u64;
        self.tally.timers_fired.fetch_add(fired, Relaxed);
    }

    /// Nobody may be left to do it.
    fn look_at_reactor(&self) {
        if self.driver.registered() == 0 {
            return;
        }
        if let Some(mut turn) = self.driver.try_turn() {
            let woken = turn.wait(Some(Duration::ZERO));
            drop(turn);
            self.reactor_result(woken);
            self.hand_turn_on();
        }
    }

    /// A worker that falls asleep while this thread has the turn does not get it, and sleeps on its futex; unlike a worker, this thread
    /// will not sleep in the reactor instead. So if all workers sleep now, one is woken, and goes to sleep there.
    ///
    /// `is_quiet` fences between our giving the turn up and the look at the count; `fall_asleep` between the count and the try for the
    /// turn: either that worker gets the turn, or we see it asleep.
    pub(super) fn hand_turn_on(&self) {
        if self.idle.is_quiet() {
            self.notify();
        }
    }

    /// A worker has been in one poll for `time`.
    ///
    /// Returns when to look at it again.
    fn attend(&self, slot: &Slot, watched: &mut Watched, time: u64) -> Duration {
        self.fire_timers_of(slot);
        let waiting = self.has_work() || slot.queue.has_next();
        let patience = if waiting && !self.idle.has_sleeper() {
            self.monitor.slice / IMPATIENT
        } else {
            self.monitor.slice
        };
        if time >= patience {
            slot.poll.preempt.set();
            if !std::mem::replace(&mut watched.preempted, true) {
                count(&self.tally.preemptions);
            }
        }
        // One look later, so that a task that can yield has had its chance.
        if time >= patience + nanos(FAST) / 2
            && !slot.poll.is_stuck()
            && slot.poll.sequence() == watched.sequence
            && slot.poll.stick()
        {
            self.idle.remove_running();
            slot.set_slice(Slice::Longest);
            count(&self.tally.handoffs);
        }
        if waiting {
            self.notify();
        }
        let remarkable = self.monitor.report.is_some_and(|limit| time >= limit);
        if remarkable
            && !slot.poll.is_on_purpose()
            && !std::mem::replace(&mut watched.reported, true)
        {
            slot.poll.report(time, &self.names);
        }
        if !slot.poll.is_stuck() {
            return FAST;
        }
        // Its owner will not fire them.
        let due = slot.timers.next_deadline();
        let due = due.saturating_sub(self.timeline.now());
        SLOW.min(Duration::from_nanos(due))
    }

    /// Ready tasks, fewer workers awake than there should be, and none to wake: one more is started.
    fn replace_stuck(self: &Arc<Self>) {
        while self.idle.running() < self.max_procs() && !self.is_stopping() {
            if self.idle.has_sleeper() {
                return self.notify();
            }
            match self.start_worker() {
                Ok(()) => {}
                Err(NotStarted::Stopping) => return,
                Err(NotStarted::TooMany) => return self.no_thread_left(),
                Err(NotStarted::Refused(error)) => return self.ending.complain(&format!(
                    "ready tasks wait, since every worker is stuck in a task and none can be added: {error}"
                )),
            }
        }
        self.monitor.exhausted.store(false, Relaxed);
    }

    /// `Builder::max_threads` are there, and all are stuck: counted each time that it comes to this, and said the first time.
    fn no_thread_left(&self) {
        if self.monitor.exhausted.swap(true, Relaxed) {
            return;
        }
        let before = self.tally.exhausted.fetch_add(1, Relaxed);
        if before == 0 {
            say(format_args!(
                "ready tasks wait, since all {} worker threads are stuck in tasks that block or compute: \
                 move blocking work to runtime::spawn_blocking, or raise Builder::max_threads; this is said once",
                self.slots.len()
            ));
        }
    }
}

impl Watched {
    /// How many polls the slot has begun since the last look.
    fn polls(&self, slot: &Slot) -> u64 {
        slot.poll.sequence().wrapping_sub(self.sequence) / 2
    }

    /// How long the slot has been in the poll that it is in; `None` if that is a new one, or none. A new one counts if its worker
    /// stepped aside for it.
    fn time_in_poll(&mut self, slot: &Slot, now: u64) -> Option<u64> {
        let sequence = slot.poll.sequence();
        if sequence % 2 == 0 || sequence != self.sequence {
            *self = Self {
                sequence,
                since: now,
                preempted: false,
                reported: false,
            };
            // Whoever stepped aside before it began relies on us from then on.
            return (sequence % 2 == 1 && slot.poll.is_stuck()).then_some(0);
        }
        Some(now - self.since)
    }
}

fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pace_is_brisk_if_the_polls_of_all_who_run_must_have_been_short() {
        let pace = |polls| Pace {
            polls,
            time: 5_000_000,
        };
        assert!(pace(1_000).is_brisk(1));
        assert!(!pace(999).is_brisk(1));
        assert!(!pace(1_000).is_brisk(2));
        assert!(!pace(1_000_000).is_brisk(0), "nobody is awake to run it");
    }
}
