//! The rate limiter against a simple reference, on a clock that is paused: random programs of those
//! who wait, reserve, ask, go away, and change the limit.
//!
//! The reference goes from one who is served to the next, and counts in thousand-millionths of a
//! token and of a second, so that it reckons with whole numbers. What the program does it does
//! where the reference is in no doubt: not within some milliseconds of somebody's being served.
//!
//! The random numbers are the runtime's, so that the seed which a failure prints makes the same
//! program again.
#![cfg(not(loom))]

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use runtime::JoinHandle;
use runtime::task::random;
use runtime::time::{self, Instant};
use sync::rate::{Limit, Limiter, Reservation};

/// A token, and a second.
const ONE: i64 = 1_000_000_000;
const MILLI: i64 = 1_000_000;
/// How far a time may be off: by the timers' ticks, and by the tokens that did not come into a full
/// bucket meanwhile.
const OFF: i64 = 5 * MILLI;
/// How far the tokens may be off for that.
const DOUBT: i64 = ONE / 50;

/// Below `n`.
fn below(n: u64) -> u64 {
    (random() >> 32) % n
}

// ---- the reference ----

#[derive(Clone, Debug)]
struct Waiting {
    name: usize,
    n: i64,
    /// What was booked after it came, and it does not count.
    later: i64,
    /// The number of bookings before it came.
    after: usize,
}

#[derive(Clone, Debug)]
struct Booked {
    n: i64,
    due: i64,
    /// Tokens a second; `None` is no limit.
    rate: Option<i64>,
    number: usize,
}

#[derive(Clone, Debug)]
struct Model {
    now: i64,
    rate: Option<i64>,
    burst: i64,
    /// Less what is booked.
    pool: i64,
    line: VecDeque<Waiting>,
    bookings: usize,
    latest: i64,
    /// What was cancelled, and is withheld while one is in line who came before that booking.
    withheld: i64,
    withheld_for: usize,
    /// Whether somebody may have been served, or not, by tokens that are almost there.
    in_doubt: bool,
    /// By name.
    served: BTreeMap<usize, i64>,
}

impl Model {
    fn new(rate: Option<i64>, burst: i64) -> Self {
        Self {
            now: 0,
            rate,
            burst,
            pool: burst,
            line: VecDeque::new(),
            bookings: 0,
            latest: 0,
            withheld: 0,
            withheld_for: 0,
            in_doubt: false,
            served: BTreeMap::new(),
        }
    }

    fn add(&mut self, tokens: i64) {
        self.pool = (self.pool + tokens).min(self.burst);
    }

    fn go_to(&mut self, time: i64) {
        while let Some(at) = self.next().filter(|at| *at <= time) {
            self.pass(at);
            self.serve();
        }
        self.pass(time);
    }

    fn pass(&mut self, to: i64) {
        match self.rate {
            Some(rate) => self.add(rate * (to - self.now)),
            None if to > self.now => self.pool = self.burst,
            None => {}
        }
        self.now = to;
    }

    /// When the next is served, as things are.
    fn next(&self) -> Option<i64> {
        let (first, rate) = (self.line.front()?, self.rate?);
        let missing = first.n.min(self.burst) - self.pool - first.later;
        (rate > 0).then(|| self.now + (missing.max(0) + rate - 1) / rate)
    }

    fn serve(&mut self) {
        loop {
            let before = (self.line.front()).is_some_and(|first| first.after < self.withheld_for);
            if self.withheld > 0 && !before {
                let back = std::mem::take(&mut self.withheld);
                self.add(back);
            }
            let Some(first) = self.line.front() else {
                return;
            };
            if self.rate.is_some() {
                let missing = first.n.min(self.burst) - self.pool - first.later;
                // Otherwise time would tell.
                self.in_doubt |= self.rate == Some(0) && missing.abs() < DOUBT;
                if missing > 0 {
                    return;
                }
                self.pool -= first.n;
            }
            let first = self.line.pop_front().unwrap();
            self.served.insert(first.name, self.now);
        }
    }

    /// Whether nobody is served within some milliseconds of now.
    fn is_calm(&self) -> bool {
        let latest = self.served.values().max();
        let since = latest.map_or(i64::MAX, |at| self.now - at);
        since > 2 * OFF && self.next().is_none_or(|at| at - self.now > 2 * OFF)
    }

    fn wait(&mut self, name: usize, n: i64) {
        self.line.push_back(Waiting {
            name,
            n,
            later: 0,
            after: self.bookings,
        });
        self.serve();
    }

    /// Whether it is certain that so many may go now, or may not.
    fn allows(&self, n: i64) -> Option<bool> {
        match self.rate {
            None => Some(true),
            Some(_) if !self.line.is_empty() || n > self.burst => Some(false),
            Some(_) if (self.pool - n).abs() < DOUBT => None,
            Some(_) => Some(self.pool >= n),
        }
    }

    fn take(&mut self, n: i64) {
        if self.rate.is_some() {
            self.pool -= n;
        }
    }

    fn level(&self) -> i64 {
        self.pool - self.line.iter().map(|waiting| waiting.n).sum::<i64>()
    }

    fn book(&mut self, n: i64) -> Option<Booked> {
        let mut due = self.now;
        if let Some(rate) = self.rate {
            let missing = n - self.level();
            if n > self.burst || (missing > 0 && rate == 0) {
                return None;
            }
            if missing > 0 {
                due += (missing + rate - 1) / rate;
            }
            self.pool -= n;
            self.line.iter_mut().for_each(|waiting| waiting.later += n);
            self.bookings += 1;
            self.latest = due;
        }
        Some(Booked {
            n,
            due,
            rate: self.rate,
            number: self.bookings,
        })
    }

    fn cancel(&mut self, booked: &Booked) {
        let (Some(rate), true) = (booked.rate, booked.due >= self.now) else {
            return;
        };
        // What comes between its time and the latest one's is for those after it.
        let back = booked.n - rate * (self.latest - booked.due).max(0);
        if back <= 0 {
            return;
        }
        self.withheld += back;
        self.withheld_for = self.withheld_for.max(booked.number);
        if booked.due == self.latest {
            let its_own = (booked.n + rate - 1).checked_div(rate);
            self.latest = its_own.map_or(self.now, |time| self.now.max(booked.due - time));
        }
        self.serve();
    }
}

// ---- the program ----

struct Program<'a> {
    limiter: &'a Arc<Limiter>,
    start: Instant,
    model: Model,
    tasks: BTreeMap<usize, JoinHandle<()>>,
    /// Names and times, in the order of their being served.
    served: Arc<Mutex<Vec<(usize, i64)>>>,
    booked: Vec<(Reservation<'a>, Booked)>,
    log: Vec<String>,
}

fn limit(rate: Option<i64>) -> Limit {
    rate.map_or(Limit::INFINITE, |rate| Limit::per_second(rate as f64))
}

fn any_rate() -> Option<i64> {
    let rates = [Some(0), Some(5), Some(10), Some(10), Some(20), None];
    rates[below(6) as usize]
}

impl<'a> Program<'a> {
    fn new(limiter: &'a Arc<Limiter>, model: Model) -> Self {
        Self {
            limiter,
            start: Instant::now(),
            model,
            tasks: BTreeMap::new(),
            served: Arc::default(),
            booked: Vec::new(),
            log: Vec::new(),
        }
    }

    /// The clock goes on, to where nothing is in doubt.
    async fn go_on(&mut self, millis: i64) {
        self.model.go_to(self.model.now + millis * MILLI);
        while !self.model.is_calm() {
            self.model.go_to(self.model.now + MILLI);
        }
        time::sleep_until(self.start + Duration::from_nanos(self.model.now as u64)).await;
        time::settle().await;
        let (served, model) = (self.served.lock().unwrap(), &self.model.served);
        let near = |&(name, at): &(usize, i64)| {
            model
                .get(&name)
                .is_some_and(|right| (right - at).abs() <= OFF)
        };
        assert!(
            served.len() == model.len() && served.iter().all(near),
            "{served:?}, and not {model:?}, after {:#?}",
            self.log
        );
        let in_order = served.is_sorted_by_key(|served| served.0);
        assert!(in_order, "{served:?} after {:#?}", self.log);
    }

    fn note(&mut self, what: impl FnOnce() -> String) {
        self.log.push(format!(
            "{:?}: {}",
            Duration::from_nanos(self.model.now as u64),
            what()
        ));
    }

    fn wait(&mut self, name: usize, n: i64) {
        self.note(|| format!("{name} waits for {n}"));
        let (limiter, served, start) = (self.limiter.clone(), self.served.clone(), self.start);
        let task = runtime::spawn(async move {
            limiter.wait_n(n as usize).await;
            let at = start.elapsed().as_nanos() as i64;
            served.lock().unwrap().push((name, at));
        });
        self.tasks.insert(name, task);
        self.model.wait(name, n * ONE);
    }

    fn go_away(&mut self) {
        let len = self.model.line.len() as u64;
        if len > 0 {
            let gone = self.model.line.remove(below(len) as usize).unwrap();
            self.note(|| format!("{} goes away", gone.name));
            self.tasks[&gone.name].abort();
            self.model.serve();
        }
    }

    fn allow(&mut self, n: i64) {
        let allowed = self.limiter.allow_n(n as usize);
        self.note(|| format!("{n} allowed: {allowed}"));
        let right = self.model.allows(n * ONE).unwrap_or(allowed);
        assert_eq!(allowed, right, "{:#?}", self.log);
        if allowed {
            self.model.take(n * ONE);
        }
    }

    fn reserve(&mut self, n: i64) {
        self.note(|| format!("{n} reserved"));
        let reserved = self.limiter.reserve_n(n as usize);
        let booked = self.model.book(n * ONE);
        assert_eq!(reserved.is_some(), booked.is_some(), "{:#?}", self.log);
        if let (Some(reserved), Some(booked)) = (reserved, booked) {
            let due = (reserved.due() - self.start).as_nanos() as i64;
            let off = (due - booked.due).abs();
            assert!(off < OFF, "{due}, {booked:?}, {:#?}", self.log);
            self.booked.push((reserved, booked));
        }
    }

    fn cancel(&mut self) {
        let len = self.booked.len() as u64;
        if len > 0 {
            // Most often one of the last.
            let which = len - 1 - below(len).min(below(len));
            let (reserved, booked) = self.booked.swap_remove(which as usize);
            self.note(|| format!("{booked:?} cancelled"));
            reserved.cancel();
            self.model.cancel(&booked);
        }
    }

    fn set_limit(&mut self) {
        self.model.rate = any_rate();
        let rate = self.model.rate;
        self.note(|| format!("limit {rate:?}"));
        self.limiter.set_limit(limit(self.model.rate));
        self.model.serve();
    }

    fn set_burst(&mut self) {
        let burst = below(8) as i64 + 1;
        self.note(|| format!("burst {burst}"));
        self.limiter.set_burst(burst as usize);
        self.model.burst = burst * ONE;
        self.model.add(0);
        self.model.serve();
    }

    fn check_level(&self) {
        let off = self.limiter.tokens() * ONE as f64 - self.model.level() as f64;
        // What is withheld is not told.
        assert!(off.abs() < DOUBT as f64, "{off} {:#?}", self.log);
    }

    async fn step(&mut self, name: usize) {
        let burst = self.model.burst / ONE;
        let n = below(burst as u64 + 1) as i64;
        match below(16) {
            0..=5 => self.wait(name, n),
            6 | 7 => self.go_away(),
            8 | 9 => self.allow(n + below(2) as i64),
            10 | 11 => self.reserve(n + 1),
            12 | 13 => self.cancel(),
            14 => self.set_limit(),
            _ => self.set_burst(),
        }
        if self.model.in_doubt {
            return;
        }
        time::settle().await;
        self.check_level();
        let millis = [0, 0, 20, 100, 150, 400][below(6) as usize];
        self.go_on(below(millis + 1) as i64).await;
    }
}

#[runtime::test(start_paused = true, runs = 200)]
async fn whatever_is_done_all_are_served_as_the_reference_says() {
    let (rate, burst) = (any_rate(), below(8) as i64 + 1);
    let limiter = Arc::new(Limiter::new(limit(rate), burst as usize));
    let mut program = Program::new(&limiter, Model::new(rate, burst * ONE));
    for name in 0..60 {
        program.step(name).await;
        if program.model.in_doubt {
            return;
        }
    }
    // All are served in the end, whatever was before.
    program.model.rate = Some(20);
    limiter.set_limit(limit(Some(20)));
    program.go_on(60_000).await;
    assert!(program.model.line.is_empty());
}
