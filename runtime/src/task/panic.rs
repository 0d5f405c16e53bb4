//! What happens to a panic that no handle will ever deliver.
#![forbid(unsafe_code)]

use std::any::Any;
use std::borrow::Cow;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use super::header::Header;
use crate::scheduler::Scheduler;
use crate::stderr::say;

/// Prints the panic of a task whose handle is gone, with where the task was spawned; then its
/// runtime does as it was told to.
///
/// The panic hook has printed the message and the place of the panic already; what it cannot know
/// is the task.
#[cold]
pub(crate) fn unhandled(
    scheduler: &Scheduler,
    task: &Header,
    name: Option<Arc<str>>,
    payload: &(dyn Any + Send),
) {
    let (id, place) = (task.id(), task.spawned_at());
    let name = name.map_or_else(String::new, |name| format!(" {name:?}"));
    let by = task
        .parent()
        .map_or_else(String::new, |parent| format!(" by task {parent}"));
    let what = format!(
        "task {id}{name} panicked and nobody holds its JoinHandle: {}",
        message(payload)
    );
    say(format_args!(
        "{what}\ntask {id} was created{by} at {place}; await its handle to receive the panic"
    ));
    scheduler.panicked(&what);
}

/// Drops a value whose destructor may panic when there is a panic already to report.
pub(crate) fn drop_quietly<T>(value: T) {
    if let Err(panic) = catch_unwind(AssertUnwindSafe(move || drop(value))) {
        forget(panic);
    }
}

/// Drops the payload of a panic that has been reported. Its destructor may panic in its turn; that
/// payload, then, is leaked.
pub(crate) fn forget(payload: Box<dyn Any + Send>) {
    if let Err(another) = catch_unwind(AssertUnwindSafe(move || drop(payload))) {
        std::mem::forget(another);
    }
}

/// The message of a panic, as far as it is text.
pub(crate) fn message(payload: &(dyn Any + Send)) -> Cow<'static, str> {
    if let Some(text) = payload.downcast_ref::<&'static str>() {
        Cow::Borrowed(text)
    } else if let Some(text) = payload.downcast_ref::<String>() {
        Cow::Owned(text.clone())
    } else {
        Cow::Borrowed("a value that is not text")
    }
}
