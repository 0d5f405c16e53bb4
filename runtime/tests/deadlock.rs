//! A deadlock inside a test fails the test, whatever threads the harness has; and a test that
//! something will still wake does not fail.
//!
//! The cases that need a process of their own are in `examples/tests/say_why/`.
#![cfg(target_os = "linux")]

use std::future::{pending, poll_fn};
use std::rc::Rc;
use std::sync::{Arc, Mutex};
use std::task::{Poll, Waker};
use std::thread;
use std::time::Duration;

use runtime::Handle;

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

#[runtime::test]
async fn a_test_that_is_at_work_on_its_own_thread_is_waited_for() {
    // Across an await: the body stays on the thread of the harness, which was there before the
    // runtime.
    let here = Rc::new(());
    let handle = Handle::current();
    let shared: Arc<Mutex<(bool, Option<Waker>)>> = Arc::default();
    let theirs = shared.clone();
    let waits = thread::spawn(move || {
        handle.block_on(poll_fn(|cx| {
            let mut shared = theirs.lock().unwrap();
            shared.1 = Some(cx.waker().clone());
            match shared.0 {
                true => Poll::Ready(()),
                false => Poll::Pending,
            }
        }));
    });
    thread::sleep(5 * LATER);
    let waker = {
        let mut shared = shared.lock().unwrap();
        shared.0 = true;
        shared.1.take()
    };
    waker.into_iter().for_each(Waker::wake);
    waits.join().unwrap();
    runtime::yield_now().await;
    drop(here);
}

#[runtime::test]
#[should_panic(expected = "all tasks are asleep - deadlock!")]
async fn one_block_on_inside_another_that_waits_for_ever_fails() {
    let here = Rc::new(());
    // The outer one has slept before.
    runtime::time::sleep(Duration::from_millis(1)).await;
    runtime::block_on(pending::<()>());
    drop(here);
}

#[runtime::test(start_paused = true)]
async fn one_block_on_inside_another_does_not_keep_a_paused_clock() {
    let here = Rc::new(());
    for _ in 0..2 {
        runtime::block_on(runtime::time::sleep(Duration::from_secs(3600)));
        runtime::time::sleep(Duration::from_secs(3600)).await;
    }
    drop(here);
}
