//! `Builder`: the settings of a runtime, and where their defaults come from.
#![forbid(unsafe_code)]

use std::env;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use crate::deadlock::Harness;
use crate::debug::DebugOptions;
use crate::procs::{self, CpuLimits, MAX_MAX_PROCS};
use crate::runtime::Runtime;
use crate::scheduler::blocking::BlockingConfig;
use crate::scheduler::{Config, Scheduler};
use crate::sigquit;
use crate::unhandled_panic::UnhandledPanic;

/// Threads for blocking jobs: Tokio's default, far more than a disk or a resolver can use.
const MAX_BLOCKING_THREADS: usize = 512;

/// An idle pool thread ends after this; Tokio's default.
const BLOCKING_KEEP_ALIVE: Duration = Duration::from_secs(10);

/// Worker threads at a time, stuck ones included. Go allows 10,000 and then dies; a program with so
/// many tasks that block has another problem, and each thread costs a stack.
const MAX_THREADS: usize = 512;

/// A bound against slips of the finger: more threads than a machine has room for.
const MAX_MAX_THREADS: usize = 1_000_000;

/// Go's.
const TIME_SLICE: Duration = Duration::from_millis(10);

/// So long that no reasonable computation between two awaits takes it.
const REPORT_STUCK: Duration = Duration::from_secs(1);

/// With a seed: so long that a poll which takes it has not just been held up by the machine, since
/// the hand-over to another thread is the end of reproducibility. Where tasks wait, an eighth of it
/// counts for one that computes, and a sixty-fourth, ten seconds, for one that blocks.
const SEEDED_SLICE: Duration = Duration::from_secs(640);

/// Builds a [`Runtime`] with settings of your own.
///
/// ```
/// let rt = runtime::Builder::new().max_procs(2).thread_name("io").build()?;
/// assert_eq!(rt.handle().max_procs(), 2);
/// # Ok::<(), std::io::Error>(())
/// ```
///
/// **Go:** the variables of the environment and the functions of `runtime/debug`.
#[derive(Clone, Debug)]
pub struct Builder {
    max_procs: Option<usize>,
    thread_name: Arc<str>,
    stack_size: Option<usize>,
    max_blocking_threads: usize,
    blocking_keep_alive: Duration,
    max_threads: usize,
    time_slice: Option<Duration>,
    report_stuck: Option<Duration>,
    detect_deadlock: bool,
    harness: Harness,
    dump_on_sigquit: bool,
    unhandled_panic: UnhandledPanic,
    start_paused: bool,
    seed: Option<u64>,
}

impl Default for Builder {
    fn default() -> Self {
        Self::new()
    }
}

impl Builder {
    /// The default settings.
    ///
    /// ```
    /// let rt = runtime::Builder::new().build()?; // as `Runtime::new`
    /// # drop(rt);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    ///
    /// **Go:** none.
    pub fn new() -> Self {
        Self {
            max_procs: None,
            thread_name: "weftline".into(),
            stack_size: None,
            max_blocking_threads: MAX_BLOCKING_THREADS,
            blocking_keep_alive: BLOCKING_KEEP_ALIVE,
            max_threads: MAX_THREADS,
            time_slice: None,
            report_stuck: Some(REPORT_STUCK),
            detect_deadlock: true,
            harness: Harness::Absent,
            dump_on_sigquit: false,
            unhandled_panic: UnhandledPanic::Report,
            start_paused: false,
            seed: None,
        }
    }

    /// How many workers run tasks at a time. The default is the environment's `RUNTIME_MAXPROCS`,
    /// else the number of CPUs that the affinity mask and the cgroup quotas leave to this process:
    /// the strictest of all its cgroups, rounded up. That default follows the limits when they
    /// change while the program runs, within a second or two; a number that was set stays.
    ///
    /// # Panics
    ///
    /// If `n` is 0 or more than 4096.
    ///
    /// ```
    /// let rt = runtime::Builder::new().max_procs(2).build()?;
    /// assert_eq!(rt.handle().max_procs(), 2);
    /// # drop(rt);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    ///
    /// **Go:** `GOMAXPROCS`.
    #[track_caller]
    pub fn max_procs(&mut self, n: usize) -> &mut Self {
        assert!(
            (1..=MAX_MAX_PROCS).contains(&n),
            "Builder::max_procs({n}): give a number from 1 to {MAX_MAX_PROCS}"
        );
        self.max_procs = Some(n);
        self
    }

    /// The name that threads begin with: `name-0` for the first worker, `name-blocking-0` for the
    /// first pool thread.
    ///
    /// # Panics
    ///
    /// If there is a zero byte in it, which no thread's name may have.
    ///
    /// ```
    /// let rt = runtime::Builder::new().max_procs(1).thread_name("io").build()?;
    /// let name = rt.block_on(rt.spawn(async { std::thread::current().name().map(str::to_owned) }));
    /// assert_eq!(name.unwrap().as_deref(), Some("io-0"));
    /// # drop(rt);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    ///
    /// **Go:** none.
    #[track_caller]
    pub fn thread_name(&mut self, name: impl Into<String>) -> &mut Self {
        let name = name.into();
        assert!(
            !name.contains('\0'),
            "Builder::thread_name({name:?}): the system's names end at a zero byte; leave it out"
        );
        self.thread_name = name.into();
        self
    }

    /// Stack size of workers and pool threads, in bytes. The default is std's.
    ///
    /// ```
    /// let rt = runtime::Builder::new().thread_stack_size(4 << 20).build()?;
    /// # drop(rt);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    ///
    /// **Go:** `debug.SetMaxStack`; a goroutine's stack is its own, a task has none.
    pub fn thread_stack_size(&mut self, bytes: usize) -> &mut Self {
        self.stack_size = Some(bytes);
        self
    }

    /// How many threads [`spawn_blocking`](crate::spawn_blocking) may use at once; further jobs
    /// wait in line. 512 by default.
    ///
    /// # Panics
    ///
    /// If `n` is 0.
    ///
    /// ```
    /// let rt = runtime::Builder::new().max_blocking_threads(8).build()?;
    /// # drop(rt);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    ///
    /// **Go:** none: as many threads as block.
    #[track_caller]
    pub fn max_blocking_threads(&mut self, n: usize) -> &mut Self {
        assert!(
            n > 0,
            "Builder::max_blocking_threads(0): blocking jobs would never run; give 1 or more"
        );
        self.max_blocking_threads = n;
        self
    }

    /// How long an idle pool thread waits for another job before it ends. 10 seconds by default.
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// let rt = runtime::Builder::new().blocking_keep_alive(Duration::from_secs(1)).build()?;
    /// # drop(rt);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    ///
    /// **Go:** none: threads are kept for ever.
    pub fn blocking_keep_alive(&mut self, time: Duration) -> &mut Self {
        self.blocking_keep_alive = time;
        self
    }

    /// How long a task may stay in one poll before it is asked to yield at its next operation, and
    /// before its worker is replaced if it does not. 10 ms by default, as in Go. Where ready tasks
    /// wait and no worker is free, an eighth of this is enough, in CPU time, and more of it the
    /// more such polls compete for the CPUs; one that blocks its thread (a sleep, a lock, a read)
    /// gets a sixty-fourth.
    ///
    /// # Panics
    ///
    /// If `slice` is less than a millisecond.
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// let rt = runtime::Builder::new().time_slice(Duration::from_millis(2)).build()?;
    /// # drop(rt);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    ///
    /// **Go:** none: 10 ms.
    #[track_caller]
    pub fn time_slice(&mut self, slice: Duration) -> &mut Self {
        assert!(
            slice >= Duration::from_millis(1),
            "Builder::time_slice({slice:?}): give a millisecond or more"
        );
        self.time_slice = Some(slice);
        self
    }

    /// How many worker threads there may be at once, those included that are stuck in a task which
    /// blocks or spins. Each such thread is replaced until this number is reached; then ready tasks
    /// have to wait. 512 by default; never less than `max_procs`.
    ///
    /// # Panics
    ///
    /// If `n` is 0 or more than 1,000,000.
    ///
    /// ```
    /// let rt = runtime::Builder::new().max_threads(16).build()?;
    /// # drop(rt);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    ///
    /// **Go:** `debug.SetMaxThreads`, whose limit ends the program.
    #[track_caller]
    pub fn max_threads(&mut self, n: usize) -> &mut Self {
        assert!(
            n > 0,
            "Builder::max_threads(0): nothing would ever run; give max_procs or more"
        );
        assert!(
            n <= MAX_MAX_THREADS,
            "Builder::max_threads({n}): room is kept for each of them; give a number up to {MAX_MAX_THREADS}"
        );
        self.max_threads = n;
        self
    }

    /// After how long in one poll a task is named on stderr, once; `None` never. A second by
    /// default.
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// let rt = runtime::Builder::new().report_stuck(Some(Duration::from_millis(100))).build()?;
    /// # drop(rt);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    ///
    /// **Go:** none.
    pub fn report_stuck(&mut self, after: Option<Duration>) -> &mut Self {
        self.report_stuck = after;
        self
    }

    /// Whether [`block_on`](Runtime::block_on) panics when nothing can ever wake it: every task of
    /// the process' runtimes sleeps, no timer is armed, no descriptor waited for, no blocking job
    /// is there, no signal has a handler, and every other thread of the process sleeps until
    /// somebody wakes it, as one does that waits for a lock or a channel of std. It is noticed
    /// within a second, by a thread that sleeps otherwise. On by default; only Linux tells enough
    /// to know.
    ///
    /// In a [`#[runtime::test]`](macro@crate::test) the harness's first thread does not count.
    /// Where a thread that may go on by itself keeps the test from being told, that thread is named
    /// on stderr after ten seconds.
    ///
    /// The environment's `RUNTIME_DEBUG=deadlock=0` turns it off, whatever is said here.
    ///
    /// ```
    /// let rt = runtime::Builder::new().detect_deadlock(false).build()?;
    /// # drop(rt);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    ///
    /// **Go:** always on: `all goroutines are asleep - deadlock!`.
    pub fn detect_deadlock(&mut self, on: bool) -> &mut Self {
        self.detect_deadlock = on;
        self
    }

    /// Whether SIGQUIT (Ctrl-\ in a terminal) prints the [`Dump`](crate::Dump) of every runtime of
    /// the process on stderr and ends the process with status 2. It works also when every worker is
    /// stuck. Nothing else of the process is run: no destructor, no exit handler. Once installed it
    /// stays.
    ///
    /// Off by default, and on for [`#[runtime::main]`](macro@crate::main). The environment's
    /// `RUNTIME_DEBUG=sigquit=0` turns it off, and `sigquit=1` on, whatever is said here.
    ///
    /// ```
    /// let rt = runtime::Builder::new().dump_on_sigquit(true).build()?;
    /// // From here on Ctrl-\ prints what every task waits for.
    /// # drop(rt);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    ///
    /// **Go:** what every program does on SIGQUIT.
    pub fn dump_on_sigquit(&mut self, on: bool) -> &mut Self {
        self.dump_on_sigquit = on;
        self
    }

    /// What else happens when a task panics whose [`JoinHandle`](crate::JoinHandle) nobody holds,
    /// beside its being printed: nothing by default.
    ///
    /// ```no_run
    /// use runtime::{Builder, UnhandledPanic};
    ///
    /// let rt = Builder::new().unhandled_panic(UnhandledPanic::ExitProcess).build()?;
    /// rt.block_on(async {
    ///     runtime::spawn(async { panic!("the process ends with status 2") });
    ///     std::future::pending::<()>().await;
    /// });
    /// # Ok::<(), std::io::Error>(())
    /// ```
    ///
    /// **Go:** a panic that is not recovered always ends the process, with status 2.
    pub fn unhandled_panic(&mut self, policy: UnhandledPanic) -> &mut Self {
        self.unhandled_panic = policy;
        self
    }

    /// Whether the runtime's clock is paused from the beginning: see
    /// [`time::pause`](crate::time::pause). Off by default.
    ///
    /// Such a runtime runs one task at a time, whatever [`max_procs`](Self::max_procs) says, and
    /// has a seed: the one that is set, else the environment's `SEED`, else a new one each time.
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// let rt = runtime::Builder::new().start_paused(true).build()?;
    /// rt.block_on(runtime::time::sleep(Duration::from_secs(3600))); // takes no time
    /// # Ok::<(), std::io::Error>(())
    /// ```
    ///
    /// **Go:** `synctest.Test`.
    pub fn start_paused(&mut self, on: bool) -> &mut Self {
        self.start_paused = on;
        self
    }

    /// Makes runs reproducible: all that is chosen at random, such as the arm of a `select!`,
    /// follows from `seed`, and so does the order in which tasks run. Two runs with the same seed
    /// are the same, if all that tasks see is.
    ///
    /// Such a runtime runs one task at a time, whatever [`max_procs`](Self::max_procs) says, and
    /// its [`time_slice`](Self::time_slice) is more than a minute unless it is set. Its order of
    /// running is shuffled: another seed is another order, and may show another mistake. Not
    /// reproducible is what comes from outside: the time, unless it is
    /// [paused](Self::start_paused), sockets, blocking jobs and `block_in_place`, other threads,
    /// and a future inside `block_on` that works side by side with tasks.
    ///
    /// If the thread that drops the runtime panics, the seed is printed on stderr. Random numbers
    /// for the test itself: [`task::random()`](crate::task::random()).
    ///
    /// ```
    /// let rt = runtime::Builder::new().seed(7).build()?;
    /// assert_eq!(rt.handle().seed(), Some(7));
    /// assert_eq!(rt.handle().max_procs(), 1);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    ///
    /// **Go:** nothing like it.
    pub fn seed(&mut self, seed: u64) -> &mut Self {
        self.seed = Some(seed);
        self
    }

    /// The thread that the deadlock check is to overlook.
    pub(crate) fn harness(&mut self, harness: Harness) -> &mut Self {
        self.harness = harness;
        self
    }

    /// Builds the runtime and starts its workers.
    ///
    /// # Errors
    ///
    /// If the system refuses a thread or the reactor's descriptors, or if `RUNTIME_MAXPROCS` is set
    /// to what is no number, or `RUNTIME_DEBUG` to what makes no sense; for a paused runtime also
    /// if `SEED` is set to what is no number.
    ///
    /// ```
    /// let rt = runtime::Builder::new().max_procs(1).build()?;
    /// assert_eq!(rt.block_on(async { 42 }), 42);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    ///
    /// **Go:** what happens before `main`.
    pub fn build(&mut self) -> io::Result<Runtime> {
        let debug = DebugOptions::from_env()?;
        let config = self.config(&debug)?;
        if debug.sigquit.unwrap_or(self.dump_on_sigquit) {
            sigquit::install()?;
        }
        Scheduler::start(config).map(Runtime::from_scheduler)
    }

    /// What was asked for, here and in the environment.
    fn config(&self, debug: &DebugOptions) -> io::Result<Config> {
        let seed = match self.seed {
            None if self.start_paused => Some(seed_from(env::var("SEED").ok().as_deref())?),
            seed => seed,
        };
        let (max_procs, limits) = self.procs(seed.is_some())?;
        let detect_deadlock = self.detect_deadlock && debug.deadlock != Some(false);
        Ok(Config {
            max_procs,
            limits,
            max_threads: self.max_threads,
            time_slice: self.time_slice.unwrap_or(match seed {
                None => TIME_SLICE,
                Some(_) => SEEDED_SLICE,
            }),
            report_stuck: self.report_stuck,
            thread_name: self.thread_name.clone(),
            stack_size: self.stack_size,
            blocking: BlockingConfig {
                max_threads: self.max_blocking_threads,
                keep_alive: self.blocking_keep_alive,
                thread_name: self.thread_name.clone(),
                stack_size: self.stack_size,
            },
            schedtrace: debug.schedtrace,
            unhandled_panic: self.unhandled_panic,
            monitor: debug.monitor != Some(false),
            deadlock: detect_deadlock.then_some(self.harness),
            start_paused: self.start_paused,
            seed,
        })
    }

    /// How many workers there are to be; and what that follows from, where nobody has said a
    /// number.
    fn procs(&self, seeded: bool) -> io::Result<(usize, Option<CpuLimits>)> {
        let asked = match self.max_procs {
            _ if seeded => Some(1),
            Some(n) => Some(n),
            None => procs::from_env(env::var("RUNTIME_MAXPROCS").ok().as_deref())?,
        };
        Ok(match asked {
            Some(n) => (n, None),
            None => {
                let limits = CpuLimits::find();
                (limits.cpus(), Some(limits))
            }
        })
    }
}

/// The seed of a runtime that was given none.
fn seed_from(env: Option<&str>) -> io::Result<u64> {
    match env {
        None => Ok(crate::task::random::fresh()),
        Some(text) => text.trim().parse().map_err(|_| {
            let message = format!("SEED={text:?}: give a number from 0 to 2^64 - 1, or unset it");
            io::Error::new(io::ErrorKind::InvalidInput, message)
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_is_that_of_the_environment_or_a_new_one_each_time() {
        assert_eq!(seed_from(Some(" 17\n")).unwrap(), 17);
        assert_ne!(seed_from(None).unwrap(), seed_from(None).unwrap());
        let error = seed_from(Some("seventeen")).unwrap_err().to_string();
        assert!(error.contains("SEED=\"seventeen\""), "{error}");
    }
}
