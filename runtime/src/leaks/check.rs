//! The check at the end of a test: nobody is to be left.
//!
//! Tasks on their way out are waited for: those that are queued or run, however long, within
//! reason; and those that are parked as long as was asked, since a timer may end them. Only where
//! each one that is left is known to be leaked is there nothing to wait for.
#![forbid(unsafe_code)]

use std::collections::HashSet;
use std::error::Error;
use std::fmt;
use std::thread;
use std::time::{Duration, Instant};

use crate::dump::{TaskInfo, TaskState};
use crate::runtime::Runtime;
use crate::scheduler::Scheduler;
use crate::task::Id;

/// How many times as long as for a parked task is waited for one that moves: it may be held up by
/// whatever else the machine does.
const MOVING: u32 = 10;

/// The longest pause between two looks. A look costs some microseconds; the first ones follow each
/// other more closely.
const PAUSE: Duration = Duration::from_millis(10);

impl Runtime {
    /// Fails if tasks are left, saying of each where it was spawned and what it waits for; for the
    /// end of a test.
    ///
    /// Tasks that are about to end are waited for: up to `patience` while all that are left are
    /// parked, ten times as long while one runs or is queued. It returns as soon as none is left,
    /// or all that are left are [leaked](crate::Handle::leaks). The clock is the system's, also
    /// where that of the runtime is paused.
    ///
    /// [`#[runtime::test(leak_check)]`](macro@crate::test) does this when the body has returned.
    ///
    /// # Errors
    ///
    /// The tasks that are left.
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// let rt = runtime::Runtime::new()?;
    /// rt.spawn(async { runtime::yield_now().await });
    /// assert!(rt.check_leaks(Duration::from_secs(5)).is_ok());
    ///
    /// rt.spawn(std::future::pending::<()>());
    /// let left = rt.check_leaks(Duration::from_secs(5)).unwrap_err();
    /// println!("{left}");
    /// # assert_eq!(left.tasks().len(), 1);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    ///
    /// **Go:** `goleak.VerifyNone(t)`, and `synctest.Test`, which fails if goroutines are left.
    pub fn check_leaks(&self, patience: Duration) -> Result<(), TasksLeft> {
        self.handle().scheduler().check_leaks(patience)
    }
}

impl Scheduler {
    fn check_leaks(&self, patience: Duration) -> Result<(), TasksLeft> {
        let begin = Instant::now();
        let mut pause = Duration::from_micros(50);
        let mut asked = Vec::new();
        loop {
            let tasks = self.dump().tasks().to_vec();
            if tasks.is_empty() {
                return Ok(());
            }
            let rest = (tasks.iter()).all(|task| matches!(task.state, TaskState::Waiting(_)));
            let ids: Vec<Id> = tasks.iter().map(|task| task.id).collect();
            let in_vain = rest && pause == PAUSE && ids != asked && {
                asked = ids;
                self.leaks().len() == tasks.len()
            };
            let limit = if rest {
                patience
            } else {
                patience.saturating_mul(MOVING)
            };
            if in_vain || begin.elapsed() >= limit {
                return self.left();
            }
            thread::sleep(pause);
            pause = (pause * 2).min(PAUSE);
        }
    }

    /// Who is left in the end; perhaps nobody any more.
    fn left(&self) -> Result<(), TasksLeft> {
        let leaked: HashSet<Id> = (self.leaks().tasks().iter()).map(|task| task.id).collect();
        match self.dump().tasks().to_vec() {
            tasks if tasks.is_empty() => Ok(()),
            tasks => Err(TasksLeft { tasks, leaked }),
        }
    }
}

/// Tasks that are left when none should be: from [`Runtime::check_leaks`].
///
/// Its `Display` shows them as a [`Dump`](crate::Dump) does, and which of them are leaked.
///
/// ```
/// let rt = runtime::Runtime::new()?;
/// let task = rt.spawn(std::future::pending::<()>());
/// let left = rt.check_leaks(std::time::Duration::ZERO).unwrap_err();
/// println!("{left}"); // each with where it was spawned and what it waits for
/// # drop(task);
/// # Ok::<(), std::io::Error>(())
/// ```
///
/// **Go:** the error of `goleak.Find`.
#[derive(Clone, Debug)]
pub struct TasksLeft {
    tasks: Vec<TaskInfo>,
    leaked: HashSet<Id>,
}

impl TasksLeft {
    /// The tasks, in the order of their ids.
    ///
    /// ```
    /// let rt = runtime::Runtime::new()?;
    /// let task = rt.spawn(std::future::pending::<()>());
    /// let left = rt.check_leaks(std::time::Duration::ZERO).unwrap_err();
    /// assert_eq!(left.tasks()[0].id, task.id());
    /// # Ok::<(), std::io::Error>(())
    /// ```
    ///
    /// **Go:** none.
    pub fn tasks(&self) -> &[TaskInfo] {
        &self.tasks
    }

    /// Whether it is known of a task that nothing can ever wake it.
    ///
    /// ```
    /// let rt = runtime::Runtime::new()?;
    /// let task = rt.spawn(std::future::pending::<()>());
    /// let left = rt.check_leaks(std::time::Duration::ZERO).unwrap_err();
    /// // Its handle is still there: who holds it could abort the task.
    /// assert!(!left.is_leaked(task.id()));
    /// # Ok::<(), std::io::Error>(())
    /// ```
    ///
    /// **Go:** none.
    pub fn is_leaked(&self, task: Id) -> bool {
        self.leaked.contains(&task)
    }
}

impl fmt::Display for TasksLeft {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let is_leaked = |task: &&TaskInfo| self.is_leaked(task.id);
        let leaked = self.tasks.iter().filter(is_leaked).count();
        match self.tasks.len() {
            1 => write!(f, "1 task is left")?,
            n => write!(f, "{n} tasks are left")?,
        }
        writeln!(f, ", {leaked} leaked")?;
        for task in &self.tasks {
            let remark = if self.is_leaked(task.id) {
                " (leaked)"
            } else {
                ""
            };
            writeln!(f)?;
            task.write(f, remark)?;
        }
        Ok(())
    }
}

impl Error for TasksLeft {}
