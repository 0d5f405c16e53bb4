//! What happens to a panic that no handle will ever deliver.
#![forbid(unsafe_code)]

use std::any::Any;
use std::borrow::Cow;

use super::cell::Header;

/// Prints the panic of a task whose handle is gone, with where the task was spawned.
///
/// The panic hook has printed the message and the place of the panic already; what it cannot know is the task.
#[cold]
pub(crate) fn unhandled(task: &Header, payload: &(dyn Any + Send)) {
    let (id, place) = (task.id(), task.spawned_at());
    let by = task
        .parent()
        .map_or_else(String::new, |parent| format!(" by task {parent}"));
    eprintln!(
        "task {id} panicked and nobody holds its JoinHandle: {}\n\
         task {id} was created{by} at {place}; await its handle to receive the panic",
        message(payload)
    );
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
