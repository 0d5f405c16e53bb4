//! A `select!` without arms.
#![forbid(unsafe_code)]

use std::convert::Infallible;
use std::future::poll_fn;
use std::panic::Location;
use std::task::Poll;

use runtime::task::{WaitReason, waiting};

/// Waits for ever.
#[track_caller]
pub fn forever() -> impl Future<Output = Infallible> {
    let place = Location::caller();
    poll_fn(move |_| {
        waiting(WaitReason::SelectNoCases, place);
        Poll::Pending
    })
}
