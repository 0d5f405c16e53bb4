//! The dump: every task of a runtime, what it does or why it waits, and where; printed the way Go
//! prints goroutines.
//!
//! It is read off the tasks themselves, by walking the slab: nobody is stopped, no worker has to
//! take part, and no lock is taken that a worker holds while it polls. So it works when every
//! worker is stuck. In return it is no snapshot of one moment: each task is shown as it was when
//! the walk came by.
//!
//! A task's note about its wait is believed only if the task was parked before the note was read
//! and after, with the same note.
#![forbid(unsafe_code)]

use std::fmt;
use std::panic::Location;
use std::sync::Arc;
use std::time::Duration;

use crate::scheduler::Scheduler;
use crate::task::{self, Header, Id, Noted, WaitReason};
use crate::time::clock;
use crate::traceback;

/// How often a task that keeps moving is looked at before it is said to run.
const LOOKS: usize = 4;

/// All tasks of a runtime at about one time: from [`Handle::dump`](crate::Handle::dump).
///
/// Its `Display` is close to Go's traceback:
///
/// ```text
/// task 7 "reader" [chan receive, 3 minutes]:
///         src/main.rs:12:9
/// created by task 1
///         src/main.rs:5:5
/// ```
///
/// The first place is where the task waits, the second where it was spawned. The time is that of
/// the wait so far, and is shown from one minute on. `{dump:#}` is Go's own form, with
/// `goroutine 7`, for tools that read Go's traces.
///
/// ```
/// # runtime::block_on(async {
/// let task = runtime::spawn(std::future::pending::<()>());
/// let dump = runtime::Handle::current().dump();
/// assert_eq!(dump.tasks()[0].id, task.id());
/// println!("{dump}");
/// # });
/// ```
///
/// **Go:** what `SIGQUIT` and `debug.SetTraceback("all")` print; `pprof.Lookup("goroutine")`.
#[derive(Clone, Debug)]
pub struct Dump {
    tasks: Vec<TaskInfo>,
    block_ons: Vec<BlockOnInfo>,
    /// Tasks that are not shown.
    left_out: usize,
}

/// One task in a [`Dump`].
///
/// ```
/// # runtime::block_on(async {
/// let task = runtime::task::Builder::new().name("idle").spawn(std::future::pending::<()>());
/// let dump = runtime::Handle::current().dump();
/// let info = &dump.tasks()[0];
/// assert_eq!((info.id, info.name.as_deref()), (task.id(), Some("idle")));
/// println!("spawned at {}, waits at {:?}", info.spawned_at, info.waits_at);
/// # });
/// ```
///
/// **Go:** one goroutine of a traceback.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct TaskInfo {
    /// Its id.
    pub id: Id,
    /// Its name, if it was given one by [`task::Builder`].
    pub name: Option<Arc<str>>,
    /// The task that spawned it; `None` if it was no task.
    pub parent: Option<Id>,
    /// Where it was spawned.
    pub spawned_at: &'static Location<'static>,
    /// What it does.
    pub state: TaskState,
    /// Where it waits; `None` if it does not, or if it waits in a future that does not tell.
    pub waits_at: Option<&'static Location<'static>>,
    /// For how long, to about a tenth of a second; `None` where `waits_at` is.
    pub waits_for: Option<Duration>,
}

/// What a task does.
///
/// ```
/// # runtime::block_on(async {
/// use runtime::dump::TaskState;
///
/// let dump = runtime::Handle::current().dump();
/// let waits = |state| matches!(state, TaskState::Waiting(_));
/// println!("{} tasks wait", dump.tasks().iter().filter(|task| waits(task.state)).count());
/// # });
/// ```
///
/// **Go:** the word in brackets behind a goroutine's number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum TaskState {
    /// A thread is inside its poll.
    Running,
    /// It is in a queue.
    Runnable,
    /// It is parked.
    Waiting(WaitReason),
}

/// A thread inside `block_on`, in a [`Dump`].
///
/// ```
/// # runtime::block_on(async {
/// for block_on in runtime::Handle::current().dump().block_ons() {
///     println!("{:?} is in block_on, called at {}", block_on.thread, block_on.called_at);
/// }
/// # });
/// ```
///
/// **Go:** the goroutine of `main`.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct BlockOnInfo {
    /// The thread's name.
    pub thread: Option<String>,
    /// Where `block_on` was called.
    pub called_at: &'static Location<'static>,
    /// What its future waits for; `None` if it is being polled.
    pub waiting: Option<WaitReason>,
    /// Where; `None` if it does not wait, or waits in a future that does not tell.
    pub waits_at: Option<&'static Location<'static>>,
    /// For how long, to about a tenth of a second; `None` where `waits_at` is.
    pub waits_for: Option<Duration>,
}

impl Dump {
    /// The tasks, in the order of their ids.
    ///
    /// ```
    /// # runtime::block_on(async {
    /// let task = runtime::spawn(std::future::pending::<()>());
    /// let dump = runtime::Handle::current().dump();
    /// assert!(dump.tasks().iter().any(|info| info.id == task.id()));
    /// # });
    /// ```
    ///
    /// **Go:** none.
    pub fn tasks(&self) -> &[TaskInfo] {
        &self.tasks
    }

    /// The threads that sleep inside `block_on`, or have slept there; in the order in which they
    /// first did.
    ///
    /// ```
    /// # runtime::block_on(async {
    /// let dump = runtime::Handle::current().dump();
    /// assert!(dump.block_ons().len() <= 1);
    /// # });
    /// ```
    ///
    /// **Go:** none.
    pub fn block_ons(&self) -> &[BlockOnInfo] {
        &self.block_ons
    }

    /// Leaves out what is beyond `n` tasks, for a message.
    pub(crate) fn truncated(mut self, n: usize) -> Self {
        self.left_out += self.tasks.len().saturating_sub(n);
        self.tasks.truncate(n);
        self
    }
}

impl Scheduler {
    /// See [`Handle::dump`](crate::Handle::dump).
    pub(crate) fn dump(&self) -> Dump {
        // The stamps are the system's clock's.
        let now = clock::real();
        let mut tasks = Vec::new();
        task::visit::for_each(self.slab(), &mut |task| {
            tasks.push(TaskInfo::of(task, now));
        });
        for task in &mut tasks {
            task.name = self.names().of(task.id);
        }
        tasks.sort_unstable_by_key(|task| task.id);
        Dump {
            tasks,
            block_ons: self.sleepers().infos(now),
            left_out: 0,
        }
    }
}

impl TaskInfo {
    pub(crate) fn of(task: &Header, now: u64) -> Self {
        let (state, noted) = state(task);
        Self {
            id: task.id(),
            name: None,
            parent: task.parent(),
            spawned_at: task.spawned_at(),
            state,
            waits_at: noted.map(|noted| noted.place),
            waits_for: noted.and_then(|noted| noted.waits_for(now)),
        }
    }
}

impl Noted {
    /// How long the wait has lasted, if that is known.
    pub(crate) fn waits_for(self, now: u64) -> Option<Duration> {
        (self.since != 0).then(|| clock::since_coarse(self.since, now))
    }
}

fn state(task: &Header) -> (TaskState, Option<Noted>) {
    let mut noted = None;
    for look in 0..LOOKS {
        // Acquire, in `load`: the note that was made before the task parked is seen.
        let now = task.state.load();
        if now.is_running() || now.is_complete() {
            break;
        }
        if now.is_scheduled() {
            return (TaskState::Runnable, None);
        }
        let seen = std::mem::replace(&mut noted, task.noted());
        if look > 0 && seen == noted {
            let reason = noted.map_or(WaitReason::Unknown, |noted| noted.reason);
            return (TaskState::Waiting(reason), noted);
        }
    }
    (TaskState::Running, None)
}

impl fmt::Display for Dump {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (n, block_on) in self.block_ons.iter().enumerate() {
            separate(f, n)?;
            block_on.fmt(f)?;
        }
        for (n, task) in self.tasks.iter().enumerate() {
            separate(f, n + self.block_ons.len())?;
            task.fmt(f)?;
        }
        if self.left_out > 0 {
            write!(f, "\n...{} more tasks\n", self.left_out)?;
        }
        Ok(())
    }
}

/// A blank line between entries, as Go has it.
fn separate(f: &mut fmt::Formatter<'_>, before: usize) -> fmt::Result {
    if before > 0 { writeln!(f) } else { Ok(()) }
}

impl fmt::Display for TaskInfo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if f.alternate() {
            return traceback::write_task(self, f);
        }
        self.write(f, "")
    }
}

impl TaskInfo {
    /// Prints it, with a remark behind its state.
    pub(crate) fn write(&self, f: &mut fmt::Formatter<'_>, remark: &str) -> fmt::Result {
        write!(f, "task {}", self.id)?;
        if let Some(name) = &self.name {
            write!(f, " {name:?}")?;
        }
        writeln!(f, " [{}{remark}{}]:", self.state, Minutes(self.waits_for))?;
        if let Some(place) = self.waits_at {
            writeln!(f, "\t{place}")?;
        }
        match self.parent {
            Some(parent) => writeln!(f, "created by task {parent}")?,
            None => writeln!(f, "created outside of tasks")?,
        }
        writeln!(f, "\t{}", self.spawned_at)
    }
}

impl fmt::Display for BlockOnInfo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if f.alternate() {
            return traceback::write_block_on(self, f);
        }
        f.write_str("block_on")?;
        if let Some(thread) = &self.thread {
            write!(f, " in thread {thread:?}")?;
        }
        match self.waiting {
            Some(reason) => writeln!(f, " [{reason}{}]:", Minutes(self.waits_for))?,
            None => writeln!(f, " [running]:")?,
        }
        if let Some(place) = self.waits_at {
            writeln!(f, "\t{place}")?;
        }
        writeln!(f, "called at\n\t{}", self.called_at)
    }
}

impl fmt::Display for TaskState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Running => f.write_str("running"),
            Self::Runnable => f.write_str("runnable"),
            Self::Waiting(reason) => reason.fmt(f),
        }
    }
}

/// Go's ", 3 minutes": nothing below one, and no singular.
pub(crate) struct Minutes(pub(crate) Option<Duration>);

impl fmt::Display for Minutes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.map_or(0, |time| time.as_secs() / 60) {
            0 => Ok(()),
            minutes => write!(f, ", {minutes} minutes"),
        }
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    fn info(state: TaskState) -> TaskInfo {
        TaskInfo {
            id: crate::task::IdBlock::new().next(),
            name: None,
            parent: None,
            spawned_at: Location::caller(),
            state,
            waits_at: None,
            waits_for: None,
        }
    }

    #[test]
    fn a_long_wait_is_shown_in_whole_minutes() {
        let waits_for = |seconds| TaskInfo {
            waits_for: Some(Duration::from_secs(seconds)),
            ..info(TaskState::Waiting(WaitReason::Select))
        };
        assert!(waits_for(59).to_string().contains(" [select]:\n"));
        assert!(
            waits_for(60)
                .to_string()
                .contains(" [select, 1 minutes]:\n")
        );
        assert!(
            waits_for(3599)
                .to_string()
                .contains(" [select, 59 minutes]:\n")
        );
    }

    #[test]
    fn names_are_quoted() {
        let task = TaskInfo {
            name: Some("a \"b\"\n".into()),
            ..info(TaskState::Runnable)
        };
        let head = format!("task {} \"a \\\"b\\\"\\n\" [runnable]:\n", task.id);
        assert!(task.to_string().starts_with(&head), "{task}");
    }

    #[test]
    fn what_is_left_out_is_counted() {
        let dump = Dump {
            tasks: (0..5).map(|_| info(TaskState::Running)).collect(),
            block_ons: Vec::new(),
            left_out: 0,
        };
        let text = dump.truncated(2).to_string();
        assert_eq!(text.matches("[running]").count(), 2);
        assert!(text.ends_with("\n...3 more tasks\n"), "{text}");
    }
}
