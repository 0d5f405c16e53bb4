//! [`Leaks`]: what is said of tasks that nothing can wake.
#![forbid(unsafe_code)]

use std::fmt;

use crate::dump::TaskInfo;

/// Tasks that can never be woken again: from [`Handle::leaks`](crate::Handle::leaks).
///
/// Its `Display` is close to Go's traceback of leaked goroutines:
///
/// ```text
/// task leak profile: total 1
///
/// task 7 "reader" [chan receive (leaked), 3 minutes]:
///         src/main.rs:12:9
/// created by task 1
///         src/main.rs:5:5
/// ```
///
/// ```
/// # fn wait_until_parked() {
/// #     while !runtime::Handle::current().dump().tasks().iter().any(|task| matches!(task.state, runtime::dump::TaskState::Waiting(_))) {
/// #         std::thread::yield_now();
/// #     }
/// # }
/// # runtime::block_on(async {
/// runtime::spawn(std::future::pending::<()>());
/// # wait_until_parked();
/// let leaks = runtime::Handle::current().leaks();
/// assert_eq!(leaks.len(), 1);
/// println!("{leaks}");
/// # });
/// ```
///
/// **Go:** `pprof.Lookup("goroutineleak")`.
#[derive(Clone, Debug)]
#[must_use = "finding leaks changes nothing"]
pub struct Leaks {
    pub(super) tasks: Vec<TaskInfo>,
    pub(super) unknown: Option<String>,
}

impl Leaks {
    /// The tasks, in the order of their ids.
    ///
    /// ```
    /// # runtime::block_on(async {
    /// let leaks = runtime::Handle::current().leaks();
    /// for task in leaks.tasks() {
    ///     println!("leaked: spawned at {}", task.spawned_at);
    /// }
    /// # });
    /// ```
    ///
    /// **Go:** none.
    pub fn tasks(&self) -> &[TaskInfo] {
        &self.tasks
    }

    /// How many there are.
    ///
    /// ```
    /// # runtime::block_on(async {
    /// let leaks = runtime::Handle::current().leaks();
    /// assert_eq!(leaks.len(), 0);
    /// # });
    /// ```
    ///
    /// **Go:** the `total` in a profile's first line.
    pub fn len(&self) -> usize {
        self.tasks.len()
    }

    /// Whether there are none, as far as is known: see [`unknown`](Self::unknown).
    ///
    /// ```
    /// # runtime::block_on(async {
    /// let leaks = runtime::Handle::current().leaks();
    /// assert!(leaks.is_empty());
    /// # });
    /// ```
    ///
    /// **Go:** none.
    pub fn is_empty(&self) -> bool {
        self.tasks.is_empty()
    }

    /// Why leaks may have been missed altogether: the system has no sandbox that is known here, or
    /// refuses it. Then only tasks for which nobody at all holds a waker or a handle are listed.
    ///
    /// ```
    /// # runtime::block_on(async {
    /// let leaks = runtime::Handle::current().leaks();
    /// if let Some(why) = leaks.unknown() {
    ///     println!("leaks may be missing: {why}");
    /// }
    /// # });
    /// ```
    ///
    /// **Go:** none: there is a garbage collector.
    pub fn unknown(&self) -> Option<&str> {
        self.unknown.as_deref()
    }
}

impl fmt::Display for Leaks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "task leak profile: total {}", self.tasks.len())?;
        if let Some(why) = &self.unknown {
            writeln!(f, "leaks may be missing: {why}")?;
        }
        for task in &self.tasks {
            writeln!(f)?;
            task.write(f, " (leaked)")?;
        }
        Ok(())
    }
}
