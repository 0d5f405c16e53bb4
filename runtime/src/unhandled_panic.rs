//! What becomes of a panic that nobody will ever be handed: its task's handle is gone.
//!
//! It is printed in any case; then, if the builder says so, it ends the runtime, or the process as
//! in Go. To end the runtime means that its workers stop after the polls they are in, that nothing
//! is queued any more, and that every thread inside `block_on` panics, whose unwinding then drops
//! the runtime in the ordinary way. The panic may have come up on any thread, with any lock of the
//! user's held, so that nothing is waited for and no foreign code is run here.
#![forbid(unsafe_code)]

use std::process;
use std::sync::OnceLock;

use crate::scheduler::Scheduler;

/// Go's status for a panic.
const STATUS: i32 = 2;

/// What to do when a task panics and nobody holds its [`JoinHandle`](crate::JoinHandle): for
/// [`Builder::unhandled_panic`](crate::Builder::unhandled_panic).
///
/// The panic counts as unhandled when the task ends after its handle was dropped, or when the
/// handle is dropped without having delivered it.
///
/// ```
/// use runtime::{Builder, UnhandledPanic};
///
/// let rt = Builder::new().unhandled_panic(UnhandledPanic::ShutdownRuntime).build()?;
/// # rt.block_on(async {});
/// # Ok::<(), std::io::Error>(())
/// ```
///
/// **Go:** always [`ExitProcess`](Self::ExitProcess).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum UnhandledPanic {
    /// It is printed on stderr, with the task's name and where it was spawned; everything else goes
    /// on.
    #[default]
    Report,
    /// Moreover the runtime ends: each [`block_on`](crate::Runtime::block_on) panics as soon as it
    /// would have to wait, and no task is run any more. Tasks are dropped when the runtime is.
    ShutdownRuntime,
    /// Moreover the process exits with status 2, at once; exit handlers run, destructors do not.
    ExitProcess,
}

/// Why a runtime has ended before its owner wanted it to.
#[derive(Debug, Default)]
pub(crate) struct Downfall(OnceLock<String>);

impl Downfall {
    /// What to panic with in `block_on`.
    pub(crate) fn reason(&self) -> Option<&str> {
        self.0.get().map(String::as_str)
    }
}

impl Scheduler {
    /// A panic has been printed that nobody else will hear of.
    #[cold]
    pub(crate) fn panicked(&self, task: &str) {
        match self.on_unhandled_panic() {
            UnhandledPanic::Report => {}
            UnhandledPanic::ShutdownRuntime => self.fall(task),
            UnhandledPanic::ExitProcess => process::exit(STATUS),
        }
    }

    fn fall(&self, task: &str) {
        // At the end there is nobody left to tell.
        if self.is_stopping() {
            return;
        }
        let reason = format!("the runtime was shut down because {task}");
        if self.downfall().0.set(reason.clone()).is_ok() {
            self.stop();
            for sleeper in self.sleepers().all() {
                sleeper.condemn(reason.clone());
            }
        }
    }
}
