//! A deadlock inside a test fails the test, whatever threads the harness has; and a test that something will still wake does not fail.
//!
//! The cases that need a process of their own are in `examples/tests/say_why/`.
#![cfg(target_os = "linux")]

use std::future::{pending, poll_fn};
use std::sync::{Arc, Mutex};
use std::task::{Poll, Waker};
use std::thread;
use std::time::Duration;

/// Longer than the check takes to make up its mind.
const LATER: Duration = Duration::from_millis(400);

#[runtime::test]
#[should_panic(expected = "all tasks are asleep - deadlock!")]
async fn a_test_that_waits_for_ever_fails() {
    pending::<()>().await;
}

#[runtime::test]
#[should_panic(expected = "created by task")]
async fn the_panic_shows_every_task() {
    runtime::spawn(pending::<()>()).await.unwrap();
}

#[runtime::test(start_paused = true)]
#[should_panic(expected = "all tasks are asleep - deadlock!")]
async fn a_test_on_a_paused_clock_fails_when_no_timer_is_left() {
    runtime::time::sleep(Duration::from_secs(3600)).await;
    pending::<()>().await;
}

#[runtime::test]
async fn a_test_that_sleeps_goes_on() {
    runtime::time::sleep(LATER).await;
}

#[runtime::test]
async fn a_thread_of_the_test_s_own_is_waited_for() {
    #[derive(Default)]
    struct Shared {
        done: bool,
        waker: Option<Waker>,
    }
    let shared = Arc::new(Mutex::new(Shared::default()));
    let theirs = shared.clone();
    let thread = thread::spawn(move || {
        thread::sleep(LATER);
        let mut shared = theirs.lock().unwrap();
        shared.done = true;
        let waker = shared.waker.take();
        drop(shared);
        if let Some(waker) = waker {
            waker.wake();
        }
    });
    poll_fn(|cx| {
        let mut shared = shared.lock().unwrap();
        if shared.done {
            return Poll::Ready(());
        }
        shared.waker = Some(cx.waker().clone());
        Poll::Pending
    })
    .await;
    thread.join().unwrap();
}
