//! A test with `leak_check` fails if a task is left, and says which; and it waits for tasks that
//! are about to end.

use std::future::pending;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use runtime::{Runtime, spawn, time, yield_now};

/// Longer than anything here takes.
const LONG: Duration = Duration::from_secs(60);

#[runtime::test(leak_check)]
async fn a_test_that_leaves_nobody_passes() {
    spawn(yield_now()).await.unwrap();
}

#[runtime::test(leak_check)]
async fn tasks_that_were_aborted_are_waited_for() {
    for _ in 0..1000 {
        spawn(pending::<()>()).abort();
    }
}

#[runtime::test(leak_check)]
async fn tasks_that_are_ready_are_waited_for() {
    for _ in 0..1000 {
        spawn(async {
            for _ in 0..10 {
                yield_now().await;
            }
        });
    }
}

#[runtime::test(leak_check = true)]
async fn a_task_that_runs_for_long_is_waited_for() {
    spawn(async { std::thread::sleep(Duration::from_millis(300)) });
    runtime::spawn_blocking(|| std::thread::sleep(Duration::from_millis(300)));
}

#[runtime::test(leak_check)]
async fn a_task_that_a_timer_ends_is_waited_for() {
    spawn(time::sleep(Duration::from_millis(100)));
}

#[runtime::test(leak_check)]
#[should_panic(expected = "1 task is left, 1 leaked")]
async fn a_task_that_nothing_can_wake_fails_the_test() {
    spawn(pending::<()>());
}

#[runtime::test(leak_check)]
#[should_panic(expected = "runtime/tests/leak_check.rs:")]
async fn the_message_says_where_it_was_spawned() {
    spawn(pending::<()>());
}

#[runtime::test(leak_check)]
#[should_panic(expected = "the body's own")]
async fn the_body_s_own_panic_comes_first() {
    spawn(pending::<()>());
    panic!("the body's own");
}

#[runtime::test(leak_check)]
#[should_panic(expected = "is left")]
async fn a_test_whose_body_is_not_send_is_checked_as_well() {
    let local = std::rc::Rc::new(());
    yield_now().await;
    drop(local);
    spawn(pending::<()>());
}

#[runtime::test(leak_check = false)]
async fn without_the_check_anything_may_be_left() {
    spawn(pending::<()>());
}

#[test]
fn a_parked_task_is_given_the_time_that_was_asked_for() {
    let rt = Runtime::new().unwrap();
    let task = rt.spawn(time::sleep(LONG));
    let begin = Instant::now();
    let left = rt.check_leaks(Duration::from_millis(200)).unwrap_err();
    assert!(begin.elapsed() >= Duration::from_millis(200));
    assert_eq!(left.tasks()[0].id, task.id());
    assert!(!left.is_leaked(task.id()));
    let text = left.to_string();
    assert!(
        text.starts_with("1 task is left, 0 leaked\n\ntask "),
        "{text}"
    );
    assert!(text.contains(" [sleep]:\n"), "{text}");
}

#[test]
fn a_leaked_task_is_not_waited_for() {
    let rt = Runtime::new().unwrap();
    let id = rt.spawn(pending::<()>()).id();
    let left = rt.check_leaks(LONG * 60).unwrap_err();
    assert!(left.is_leaked(id));
    assert!(
        left.to_string().contains(" [waiting (leaked)]:\n"),
        "{left}"
    );
}

#[test]
fn a_task_that_spins_is_waited_for_ten_times_as_long() {
    static STOP: AtomicBool = AtomicBool::new(false);
    let rt = Runtime::new().unwrap();
    let (tell, told) = mpsc::channel();
    rt.spawn(async move {
        tell.send(()).unwrap();
        while !STOP.load(Ordering::Relaxed) {
            std::hint::spin_loop();
        }
    });
    told.recv().unwrap();
    let begin = Instant::now();
    let left = rt.check_leaks(Duration::from_millis(20)).unwrap_err();
    assert!(begin.elapsed() >= Duration::from_millis(200));
    assert!(left.to_string().contains(" [running]:\n"), "{left}");
    STOP.store(true, Ordering::Relaxed);
    rt.check_leaks(LONG).unwrap();
}

#[runtime::test(start_paused = true, leak_check)]
async fn the_check_goes_with_a_paused_clock() {
    spawn(time::sleep(LONG)).await.unwrap();
    spawn(pending::<()>()).abort();
}

#[runtime::test(start_paused = true, leak_check)]
#[should_panic(expected = "1 task is left, 1 leaked")]
async fn with_a_paused_clock_a_leak_is_found_as_well() {
    spawn(pending::<()>());
    time::sleep(LONG).await;
}
