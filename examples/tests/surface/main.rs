//! The public surface: every name that users write, with the bounds, traits and texts that they
//! rely on, used from outside.
//!
//! A name that is spelled differently, a type that is not `Send` any more, an `impl` that has gone
//! or an error that says something else: here it does not compile, or fails. How things behave is
//! tested beside them.
#![forbid(unsafe_code)]

mod net_surface;
mod runtime_surface;
mod select_surface;
mod sync_surface;

use std::error::Error;
use std::fmt::{Debug, Display};
use std::future::Future;
use std::time::Duration;

/// So generous that only a hang takes longer.
const HANG: Duration = Duration::from_secs(60);

fn send<T: Send>() {}
fn send_sync<T: Send + Sync>() {}
fn unpin<T: Unpin>() {}
fn debug<T: Debug>() {}
fn clone<T: Clone>() {}
fn default<T: Default>() -> T {
    T::default()
}

/// What can be thrown with `?` from a task.
fn error<T: Error + Send + Sync + 'static>() {}

/// What any spawned task may hold over an `.await`.
fn sendable<F: Future + Send>(future: F) -> F {
    future
}

/// What is awaited, or else the test fails instead of hanging.
async fn soon<F: Future>(future: F) -> F::Output {
    runtime::time::timeout(HANG, future)
        .await
        .expect("this should not hang")
}

#[track_caller]
fn says(error: impl Display, text: &str) {
    assert_eq!(error.to_string(), text);
}

/// Its text names all of these.
#[track_caller]
fn names(text: impl Display, words: &[&str]) {
    let text = text.to_string();
    for word in words {
        assert!(text.contains(word), "no {word:?} in {text:?}");
    }
}
