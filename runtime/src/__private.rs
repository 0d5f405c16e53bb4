//! What `#[runtime::main]` and `#[runtime::test]` expand to; nobody else calls it, and it may
//! change in any release.
//!
//! The generated function makes the body's future, asks [`probe`] which [path](ChooseTask) it can
//! take, and calls `run` on the answer:
//!
//! - [`AsTask`]: the future and its output are `Send`. It runs as a task on the workers, so that
//!   waking it and being woken by it cost no hop to another thread.
//! - [`OnThread`]: they are not. It runs inside `block_on` on the calling thread.
//!
//! The choice is made by the compiler, through method lookup: `(&probe).path()` finds
//! [`ChooseTask`] for `Probe<F>` if its bounds hold, and otherwise, one `&` further,
//! [`ChooseThread`] for `&Probe<F>`.
//!
//! Either way the runtime is shut down at the end, also by a panic. A program does not wait for
//! what is left, as in Go: a task that spins or a blocking job that hangs keeps it alive for
//! `LAST_POLLS` and no longer. A test drops its runtime in the ordinary way, so that nothing leaks
//! into the next test.
#![forbid(unsafe_code)]

use std::env;
use std::fmt;
use std::future::Future;
use std::marker::PhantomData;
use std::pin::Pin;
use std::process::Termination;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use pin_project_lite::pin_project;

use crate::deadlock::Harness;
use crate::scheduler::current;
use crate::{Builder, Runtime};

pub use std::process::ExitCode;

/// How long a program that ends waits for polls that are under way. Without that a task which
/// happens to run at this moment, say its first poll, would vanish with the process instead of
/// being dropped. Thousands of times an ordinary poll; too short to be felt.
const LAST_POLLS: Duration = Duration::from_millis(50);

/// How long a test that checks for leaks waits for tasks which wait for a timer, say, and may end
/// by themselves. A test that fails takes so long at the most, and one that passes hardly any time.
const LAST_TASKS: Duration = Duration::from_secs(5);

/// Holds the user's return type to what `fn main` may return.
pub const fn returns<T: Termination>() {}

/// The settings of the runtime to start.
#[derive(Clone, Debug)]
pub struct Entry {
    max_procs: Option<usize>,
    leak_check: bool,
    start_paused: bool,
    seed: Option<u64>,
    ends_process: bool,
}

impl Entry {
    /// For a program.
    pub fn main() -> Self {
        Self {
            max_procs: None,
            leak_check: false,
            start_paused: false,
            seed: None,
            ends_process: true,
        }
    }

    /// For a test.
    pub fn test() -> Self {
        Self {
            max_procs: None,
            leak_check: false,
            start_paused: false,
            seed: None,
            ends_process: false,
        }
    }

    /// How many tasks run at the same time.
    #[must_use]
    pub fn max_procs(mut self, n: usize) -> Self {
        self.max_procs = Some(n);
        self
    }

    /// No task is to be left when the body has returned.
    #[must_use]
    pub fn leak_check(mut self) -> Self {
        self.leak_check = true;
        self
    }

    /// The clock is paused.
    #[must_use]
    pub fn start_paused(mut self) -> Self {
        self.start_paused = true;
        self
    }

    /// What random choices follow from.
    #[must_use]
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = Some(seed);
        self
    }

    #[track_caller]
    fn start(self) -> Started {
        let mut builder = Builder::new();
        if self.ends_process {
            builder.dump_on_sigquit(true);
        } else {
            // It waits for the test, and will not wake it.
            builder.harness(Harness::of_tests());
        }
        if let Some(n) = self.max_procs {
            builder.max_procs(n);
        }
        builder.start_paused(self.start_paused);
        if let Some(seed) = self.seed {
            builder.seed(seed);
        }
        match builder.build() {
            Ok(runtime) => Started {
                runtime: Some(runtime),
                leak_check: self.leak_check,
                ends_process: self.ends_process,
            },
            Err(error) => panic!("the runtime could not be started: {error}"),
        }
    }
}

/// A running runtime that is shut down on drop, in a way that fits its purpose.
struct Started {
    /// `None` only inside `drop`.
    runtime: Option<Runtime>,
    leak_check: bool,
    ends_process: bool,
}

impl Started {
    /// The body has returned.
    #[track_caller]
    fn check(&self) {
        if self.leak_check {
            if let Err(left) = self.runtime().check_leaks(LAST_TASKS) {
                panic!("{left}");
            }
        }
    }

    fn runtime(&self) -> &Runtime {
        self.runtime
            .as_ref()
            .expect("the runtime is there until drop")
    }
}

impl Drop for Started {
    fn drop(&mut self) {
        let Some(runtime) = self.runtime.take() else {
            return;
        };
        if self.ends_process {
            runtime.end_with_process(LAST_POLLS);
        }
    }
}

/// Runs a test as often as it says, each time with a seed of its own; once where `SEED` in the
/// environment names it.
pub fn until_one_fails<T: Verdict>(entry: Entry, runs: usize, run: impl Fn(Entry) -> T) -> T {
    let runs = if env::var_os("SEED").is_some() {
        1
    } else {
        runs
    };
    for _ in 1..runs {
        let outcome = run(entry.clone());
        if outcome.is_failure() {
            return outcome;
        }
    }
    run(entry)
}

/// What a test's body comes down to.
pub trait Verdict {
    /// Whether the test has failed, without a panic.
    fn is_failure(&self) -> bool;
}

impl Verdict for () {
    fn is_failure(&self) -> bool {
        false
    }
}

impl Verdict for ExitCode {
    fn is_failure(&self) -> bool {
        *self != Self::SUCCESS
    }
}

/// Wraps the body of a `main` or a test that returns a value: see [`Reported`].
pub fn reported<F>(future: F) -> Reported<F> {
    Reported { future }
}

pin_project! {
    /// Turns the future's value into an exit code where it arises, so that a value that is not
    /// `Send` never has to travel.
    #[derive(Debug)]
    #[must_use = "futures do nothing unless awaited"]
    pub struct Reported<F> {
        #[pin]
        future: F,
    }
}

impl<F> Future for Reported<F>
where
    F: Future,
    F::Output: Termination,
{
    type Output = ExitCode;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<ExitCode> {
        let value = ready!(self.project().future.poll(cx));
        let code = value.report();
        if code != ExitCode::SUCCESS {
            // A failure without a panic, after which the runtime would not say it.
            crate::runtime::print_seed(current::scheduler().and_then(|rt| rt.seed()));
        }
        Poll::Ready(code)
    }
}

/// Stands for a future's type in the choice of its path.
pub struct Probe<F>(PhantomData<fn() -> F>);

impl<F> fmt::Debug for Probe<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Probe")
    }
}

/// A probe for the type of `future`.
pub fn probe<F>(_future: &F) -> Probe<F> {
    Probe(PhantomData)
}

/// The first choice: the future can be a task.
pub trait ChooseTask {
    /// Where to run it.
    fn path(&self) -> AsTask {
        AsTask
    }
}

impl<F> ChooseTask for Probe<F>
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
}

/// The second choice: any future at all.
pub trait ChooseThread {
    /// Where to run it.
    fn path(&self) -> OnThread {
        OnThread
    }
}

// Without a bound on `F`, so that what is wrong with a type is said in terms of that type and not
// of this method.
impl<F> ChooseThread for &Probe<F> {}

/// Runs the future as a task.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AsTask;

impl AsTask {
    /// Starts the runtime, runs the future, shuts the runtime down.
    #[track_caller]
    pub fn run<F>(self, entry: Entry, future: F) -> F::Output
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        let started = entry.start();
        let runtime = started.runtime();
        let task = runtime.spawn(future);
        match runtime.block_on(task) {
            Ok(output) => {
                started.check();
                output
            }
            // The panic has been printed where it happened; this only carries it on.
            Err(error) => match error.try_into_panic() {
                Ok(payload) => std::panic::resume_unwind(payload),
                Err(error) => panic!("the body did not end: {error}"),
            },
        }
    }
}

/// Runs the future on the calling thread.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OnThread;

impl OnThread {
    /// Starts the runtime, runs the future, shuts the runtime down.
    #[track_caller]
    pub fn run<F: Future>(self, entry: Entry, future: F) -> F::Output {
        let started = entry.start();
        let output = started.runtime().block_on(future);
        started.check();
        output
    }
}
