//! Time as a program sees it; after Go's `time/sleep_test.go` and `time/tick_test.go`, written
//! anew.
//!
//! No test is decided by how fast the machine is: what is asserted is that nothing is early, lost,
//! or out of order, and a watchdog ends a test that hangs.
#![allow(
    clippy::async_yields_async,
    reason = "a sleep is handed from task to task"
)]

#[path = "../common/mod.rs"]
mod common;

mod after_func;
mod reset;
mod sleep;
mod ticker;
mod timeout;
mod together;

use std::future::{Future, poll_fn};
use std::panic;
use std::pin::Pin;
use std::task::Poll;
use std::time::Duration;

use runtime::time::Sleep;

use common::{runtime, watchdog};

pub(crate) const MICROSECOND: Duration = Duration::from_micros(1);
pub(crate) const MILLISECOND: Duration = Duration::from_millis(1);
pub(crate) const HOUR: Duration = Duration::from_secs(3600);

/// Runs the test on runtimes of several sizes, in a task.
pub(crate) fn each_size<F, Fut>(name: &'static str, test: F)
where
    F: Fn() -> Fut,
    Fut: Future<Output = ()> + Send + 'static,
{
    let _watchdog = watchdog(name);
    for workers in [1, 2, 3, 8] {
        let rt = runtime(workers);
        let task = rt.spawn(test());
        if let Err(error) = rt.block_on(task) {
            panic::resume_unwind(error.into_panic());
        }
    }
}

pub(crate) async fn poll_once(mut sleep: Pin<&mut Sleep>) -> Poll<()> {
    poll_fn(|cx| Poll::Ready(sleep.as_mut().poll(cx))).await
}

pub(crate) fn message(panic: Box<dyn std::any::Any + Send>) -> String {
    match panic.downcast::<String>() {
        Ok(text) => *text,
        Err(panic) => panic
            .downcast::<&str>()
            .map(|text| text.to_string())
            .unwrap_or_default(),
    }
}
