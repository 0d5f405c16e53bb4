//! [`Scene`]: a future, what others do meanwhile, and every order in which both can happen.
//!
//! The future is polled up to three times, each time with a new waker, and given up at any moment:
//! before its first poll, between any two steps of the others, after it has been woken and before
//! it could tell. Each such order is played from the beginning, on one thread, so that a failure
//! comes again. In half of the orders those who were woken go on at once, in the others not before
//! the end.
//!
//! What has to hold, whatever the future is:
//!
//! 1. A poll is ready only if the waker of the poll before it has been called.
//! 2. A future that has ended, or was given up, has let go of all its wakers.
//! 3. At the end all others are through, each polled only when it was woken: what the one who gave
//!    up would have got has gone to somebody else.
//!
//! And what the scene itself checks.

use std::collections::VecDeque;
use std::fmt::Write;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::*};
use std::task::{Context, Poll, Wake, Waker};
use std::time::{Duration, Instant};

use runtime::Runtime;
use runtime::time::{advance, settle};

use crate::support::Random;

/// Polls of the future in question: before it waits, while it does, and when it has been woken.
const POLLS: usize = 3;

/// How long other threads may take: those of a runtime, where a scene has one.
const PATIENCE: Duration = Duration::from_secs(60);

/// How many orders are drawn under Miri, where all of them would take hours.
const DRAWN: usize = 10;

type Work = Pin<Box<dyn Future<Output = ()>>>;

enum Step {
    Act(Box<dyn FnOnce()>),
    Join(Work),
}

/// See the module.
pub(crate) struct Scene {
    given_up: Work,
    steps: VecDeque<(&'static str, Step)>,
    check: Box<dyn FnOnce(Fate)>,
    runtime: Option<Rc<Runtime>>,
    ends: bool,
}

/// What became of the future.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Fate {
    pub(crate) ended: bool,
    pub(crate) polls: usize,
}

impl Scene {
    /// Of a future that may be given up.
    pub(crate) fn new(given_up: impl Future<Output = ()> + 'static) -> Self {
        Self {
            given_up: Box::pin(given_up),
            steps: VecDeque::new(),
            check: Box::new(|_| {}),
            runtime: None,
            ends: true,
        }
    }

    /// Tasks of this runtime, whose clock is paused, are in it: whatever happens, they go on until
    /// none can. When all has been done that is to be done its clock moves.
    pub(crate) fn on(mut self, runtime: &Rc<Runtime>) -> Self {
        self.runtime = Some(runtime.clone());
        self
    }

    /// The future waits for ever; it can only be given up.
    pub(crate) fn never_ends(mut self) -> Self {
        self.ends = false;
        self
    }

    /// Then somebody else does this.
    pub(crate) fn act<R>(mut self, what: &'static str, act: impl FnOnce() -> R + 'static) -> Self {
        let act = Step::Act(Box::new(|| drop(act())));
        self.steps.push_back((what, act));
        self
    }

    /// Then somebody else comes, who is not given up: he has to get to his end.
    pub(crate) fn join(
        mut self,
        who: &'static str,
        work: impl Future<Output = ()> + 'static,
    ) -> Self {
        self.steps.push_back((who, Step::Join(Box::pin(work))));
        self
    }

    /// At the end this holds.
    pub(crate) fn check(mut self, check: impl FnOnce(Fate) + 'static) -> Self {
        self.check = Box::new(check);
        self
    }
}

/// Plays a scene in every order.
pub(crate) fn explore(name: &str, scene: impl Fn() -> Scene) {
    if cfg!(miri) {
        for seed in 0..DRAWN {
            let mut choices = Choices::drawn(seed as u64);
            Play::new(name, scene()).run(&mut choices);
        }
        return;
    }
    let mut choices = Choices::default();
    loop {
        choices.at = 0;
        Play::new(name, scene()).run(&mut choices);
        if !choices.advance() {
            break;
        }
    }
}

/// The choices of one order, counted through like the digits of a number.
#[derive(Default)]
struct Choices {
    /// What was chosen, of how many.
    made: Vec<(usize, usize)>,
    at: usize,
    drawn: Option<Random>,
}

impl Choices {
    fn drawn(seed: u64) -> Self {
        Self {
            drawn: Some(Random::new(seed)),
            ..Self::default()
        }
    }

    fn choose(&mut self, of: usize) -> usize {
        if self.at == self.made.len() {
            let first = self.drawn.as_mut().map_or(0, |random| random.below(of));
            self.made.push((first, of));
        }
        let (chosen, was) = self.made[self.at];
        if of != was {
            // A thread of the runtime was faster this time: another order, to be gone on with.
            self.made.truncate(self.at);
            self.made.push((0, of));
            self.at += 1;
            return 0;
        }
        self.at += 1;
        chosen
    }

    /// `false`: that was the last.
    fn advance(&mut self) -> bool {
        while let Some((chosen, of)) = self.made.pop() {
            if chosen + 1 < of {
                self.made.push((chosen + 1, of));
                return true;
            }
        }
        false
    }
}

#[derive(Default)]
struct Flag(AtomicBool);

impl Wake for Flag {
    fn wake(self: Arc<Self>) {
        self.0.store(true, SeqCst);
    }
}

/// A future, and the waker of its last poll.
struct Polled {
    work: Work,
    flags: Vec<Arc<Flag>>,
}

impl Polled {
    fn new(work: Work) -> Self {
        let flags = Vec::new();
        Self { work, flags }
    }

    fn is_woken(&self) -> bool {
        self.flags.last().is_none_or(|flag| flag.0.load(SeqCst))
    }

    fn poll(&mut self) -> Poll<()> {
        let flag = Arc::new(Flag::default());
        let waker = Waker::from(flag.clone());
        let before = std::mem::take(&mut self.flags);
        let polled = self.work.as_mut().poll(&mut Context::from_waker(&waker));
        self.flags = before;
        if polled.is_ready() {
            // A runtime's thread may have made it ready, and be about to call it.
            assert!(
                within_patience(|| self.is_woken()),
                "ready, and nobody has said so"
            );
        }
        self.flags.push(flag);
        polled
    }

    /// Drops the future, and looks for what it has left behind.
    fn end(self) {
        drop(self.work);
        let gone = |flag: &Arc<Flag>| Arc::strong_count(flag) == 1;
        assert!(
            within_patience(|| self.flags.iter().all(gone)),
            "a waker is left behind"
        );
    }
}

fn within_patience(holds: impl Fn() -> bool) -> bool {
    let begin = Instant::now();
    while !holds() {
        if begin.elapsed() > PATIENCE {
            return false;
        }
        std::thread::yield_now();
    }
    true
}

/// One order.
struct Play {
    given_up: Option<Polled>,
    polls: usize,
    ended: bool,
    steps: VecDeque<(&'static str, Step)>,
    others: Vec<(&'static str, Polled)>,
    check: Option<Box<dyn FnOnce(Fate)>>,
    runtime: Option<Rc<Runtime>>,
    ends: bool,
    /// What has happened so far.
    story: String,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Choice {
    Poll,
    Step,
    GiveUp,
    /// No more of the three: all go on until they are through.
    Finish,
}

impl Play {
    fn new(name: &str, scene: Scene) -> Self {
        Self {
            given_up: Some(Polled::new(scene.given_up)),
            polls: 0,
            ended: false,
            steps: scene.steps,
            others: Vec::new(),
            check: Some(scene.check),
            runtime: scene.runtime,
            ends: scene.ends,
            story: format!("{name}:"),
        }
    }

    fn run(&mut self, choices: &mut Choices) {
        let at_once = choices.choose(2) == 0;
        self.tell(if at_once { "(at once)" } else { "(late)" });
        loop {
            let possible = self.possible();
            if possible.is_empty() {
                break;
            }
            match possible[choices.choose(possible.len())] {
                Choice::Poll => self.poll(),
                Choice::Step => self.step(),
                Choice::GiveUp => self.give_up(),
                Choice::Finish => self.finish(),
            }
            self.settle();
            if at_once {
                self.others_go_on();
                self.settle();
            }
        }
        self.all_are_through();
        let fate = Fate {
            ended: self.ended,
            polls: self.polls,
        };
        if let Some(check) = self.check.take() {
            check(fate);
        }
        self.story.clear();
    }

    fn settle(&self) {
        if let Some(runtime) = &self.runtime {
            runtime.block_on(settle());
        }
    }

    /// Time for the others: of a runtime's clock, or of their threads.
    fn wait(&self, begin: Instant, who: &str) {
        assert!(begin.elapsed() < PATIENCE, "{who}: waits for ever");
        match &self.runtime {
            Some(runtime) => runtime.block_on(advance(Duration::from_secs(1))),
            None => std::thread::yield_now(),
        }
    }

    fn possible(&self) -> Vec<Choice> {
        let mut possible = Vec::new();
        if !self.steps.is_empty() {
            possible.push(Choice::Step);
        }
        if self.given_up.is_some() {
            if self.polls < POLLS {
                possible.push(Choice::Poll);
            }
            if self.steps.is_empty() && self.ends {
                possible.push(Choice::Finish);
            }
            possible.push(Choice::GiveUp);
        }
        possible
    }

    fn tell(&mut self, what: &str) {
        let _ = write!(self.story, " {what};");
    }

    fn poll(&mut self) {
        self.tell("it is polled");
        self.polls += 1;
        let polled = self.given_up.as_mut().expect("it is there").poll();
        if polled.is_ready() {
            self.tell("it is ready");
            self.ended = true;
            self.given_up.take().expect("it is there").end();
        }
    }

    fn give_up(&mut self) {
        self.tell("it is given up");
        self.given_up.take().expect("it is there").end();
    }

    fn step(&mut self) {
        let (what, step) = self.steps.pop_front().expect("one is left");
        self.tell(what);
        match step {
            Step::Act(act) => act(),
            Step::Join(work) => {
                self.others.push((what, Polled::new(work)));
                // He waits from now on, whenever the rest of them go on.
                let last = self.others.len() - 1;
                self.go_on(last);
            }
        }
    }

    fn finish(&mut self) {
        self.tell("all go on");
        let mut it = self.given_up.take().expect("it is there");
        let begin = Instant::now();
        loop {
            self.others_go_on();
            if it.is_woken() && it.poll().is_ready() {
                break;
            }
            self.wait(begin, "it");
        }
        self.ended = true;
        it.end();
    }

    /// `true`: he is through.
    fn go_on(&mut self, who: usize) -> bool {
        let through = self.others[who].1.poll().is_ready();
        if through {
            self.others.remove(who).1.end();
        }
        through
    }

    fn others_go_on(&mut self) {
        while let Some(who) = self.others.iter().position(|(_, other)| other.is_woken()) {
            self.go_on(who);
        }
    }

    fn all_are_through(&mut self) {
        let begin = Instant::now();
        loop {
            self.others_go_on();
            let Some((who, _)) = self.others.first() else {
                break;
            };
            self.wait(begin, who);
        }
    }
}

impl Drop for Play {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("in this order: {}", self.story);
        }
    }
}
