//! What the monitor does when nothing moves: it gives memory back, asks whether anything ever will,
//! and sleeps. And what it prints.
#![forbid(unsafe_code)]

use std::time::Duration;

use super::nanos;
use crate::deadlock::{Answer, FIRST_DOUBT, Harness, LAST_DOUBT, TEST_DOUBT};
use crate::metrics::TraceLine;
use crate::scheduler::Scheduler;
use crate::slab::Trim;
use crate::stderr::say;
use crate::time::clock;

/// When to say that a paused clock stands although it is waited for. Longer than what a test
/// usually waits for, short for a person who believes that the test hangs.
const STANDSTILL: Duration = Duration::from_secs(5);

/// When to say that a test waits for threads that are no runtime's, if it waits for anything.
/// Longer than most of what helpers do, and than most tests beside it.
const STRANGERS: Duration = Duration::from_secs(10);

/// When the runtime began, and when the last line about it was printed.
#[derive(Debug)]
pub(super) struct Traced {
    begin: u64,
    last: u64,
}

impl Traced {
    pub(super) fn new(begin: u64) -> Self {
        Self { begin, last: begin }
    }
}

impl Scheduler {
    /// Prints a line about the scheduler, if that was asked for and it is time.
    pub(super) fn trace(&self, traced: &mut Traced, now: u64) {
        let due = |every| now - traced.last >= nanos(every);
        if self.config.schedtrace.is_some_and(due) {
            traced.last = now;
            let time = Duration::from_nanos(now - traced.begin);
            say(format_args!("{}", TraceLine(&self.metrics(), time)));
        }
    }

    /// Nothing has moved for a while: gives back what memory is spare, asks whether anything will
    /// ever move, and sleeps until something does.
    pub(super) fn rest(&self) {
        while self.idle.is_quiet() && self.slab.trim(Trim::All) {}
        let in_test = self.detects_deadlock().is_some_and(Harness::is_there);
        let mut doubt = FIRST_DOUBT;
        let begin = clock::real();
        let mut patience = Some(STANDSTILL);
        let mut trust = in_test.then_some(STRANGERS);
        loop {
            let seen = self.sleepers().epoch();
            let answer = self.look_for_deadlock();
            let again = match answer {
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
            let tried = trust.is_some_and(|trust| clock::real() - begin >= nanos(trust));
            if tried && answer == Answer::NotNow {
                trust = None;
                self.report_strangers();
            }
        }
    }

    /// It may be a deadlock; and if that thread does not end it is never called one.
    fn report_strangers(&self) {
        let threads = self.strangers_awake();
        if !threads.is_empty() {
            say(format_args!(
                "every task of this test sleeps, and only threads that belong to no runtime may wake one: {}; \
                 it is a deadlock if they do not",
                threads.join(", ")
            ));
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
}

#[cfg(all(test, not(loom), not(miri)))]
mod tests {
    use std::thread;
    use std::time::{Duration, Instant};

    use crate::{Builder, Handle, spawn};

    #[test]
    fn the_memory_of_a_burst_goes_back_when_nothing_moves() {
        const TASKS: usize = 20_000;
        let runtime = Builder::new().max_procs(1).build().unwrap();
        let slab = &runtime.handle().scheduler().slab;
        let burst = async {
            let tasks: Vec<_> = (0..TASKS).map(|_| spawn(async {})).collect();
            let (chunks, _) = Handle::current().scheduler().slab.chunks();
            for task in tasks {
                task.await.unwrap();
            }
            chunks
        };
        let chunks = runtime.block_on(runtime.spawn(burst)).unwrap();
        assert!(chunks > 20, "a burst takes more than what is always left");
        let begin = Instant::now();
        loop {
            let (chunks, spare) = slab.chunks();
            if chunks + spare <= 8 {
                break;
            }
            let message = "nobody gives the memory back";
            assert!(begin.elapsed() < Duration::from_secs(30), "{message}");
            thread::yield_now();
        }
    }
}
