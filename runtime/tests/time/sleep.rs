//! Sleeping: never short, in order, from every place.

use std::future::Future;
use std::panic::{self, AssertUnwindSafe};
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex, mpsc};
use std::task::{Context, Waker};
use std::thread;
use std::time::Duration;

use runtime::Handle;
use runtime::time::{self, Instant, Sleep};

use crate::common::{runtime, undisturbed, until, watchdog};
use crate::{HOUR, MICROSECOND, MILLISECOND, each_size, message, poll_once};

#[test]
fn a_sleep_is_never_short() {
    each_size("a_sleep_is_never_short", || async {
        let tasks: Vec<_> = [0, 1, 30, 33, 50, 999, 1_000, 2_100, 10_000, 140_000]
            .into_iter()
            .map(|micros| {
                runtime::spawn(async move {
                    let duration = micros * MICROSECOND;
                    let start = std::time::Instant::now();
                    time::sleep(duration).await;
                    assert!(start.elapsed() >= duration, "{:?}", start.elapsed());
                })
            })
            .collect();
        for task in tasks {
            task.await.unwrap();
        }
    });
}

#[test]
fn short_sleeps_in_a_row_are_never_short() {
    each_size("short_sleeps_in_a_row_are_never_short", || async {
        for i in 0..200 {
            let duration = i * 7 * MICROSECOND;
            let start = std::time::Instant::now();
            time::sleep(duration).await;
            assert!(start.elapsed() >= duration);
        }
    });
}

#[test]
fn a_thread_in_block_on_sleeps_too() {
    let _watchdog = watchdog("");
    let rt = runtime(2);
    thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                for i in 0..20 {
                    let start = Instant::now();
                    rt.block_on(time::sleep(i * 100 * MICROSECOND));
                    assert!(start.elapsed() >= i * 100 * MICROSECOND);
                }
            });
        }
    });
}

#[test]
fn zero_and_the_past_are_ready_at_once() {
    // Without a runtime: nothing is needed.
    let mut cx = Context::from_waker(Waker::noop());
    assert!(pin!(time::sleep(Duration::ZERO)).poll(&mut cx).is_ready());
    let past = Instant::now() - HOUR;
    let mut sleep = pin!(time::sleep_until(past));
    assert!(sleep.as_mut().poll(&mut cx).is_ready());
    assert!(sleep.as_mut().poll(&mut cx).is_ready(), "still ready");
    assert_eq!(sleep.deadline(), past);
}

#[test]
fn a_time_that_cannot_be_expressed_is_never() {
    each_size("a_time_that_cannot_be_expressed_is_never", || async {
        let mut forever = pin!(time::sleep(Duration::MAX));
        assert!(time::timeout(MILLISECOND, forever.as_mut()).await.is_err());
        assert!(!forever.is_elapsed());
        let long = Duration::from_nanos(u64::MAX - 1);
        assert!(time::timeout(MILLISECOND, time::sleep(long)).await.is_err());
        // And may still be called off.
        forever.as_mut().reset(Instant::now() + MILLISECOND);
        forever.await;
    });
}

#[test]
fn ten_thousand_zero_timers_all_fire() {
    each_size("ten_thousand_zero_timers_all_fire", || async {
        let fired = Arc::new(AtomicUsize::new(0));
        for i in 0..10_000 {
            let count = fired.clone();
            if i % 2 == 0 {
                runtime::spawn(async move {
                    time::sleep(Duration::from_nanos(i % 3)).await;
                    count.fetch_add(1, SeqCst);
                });
            } else {
                time::after_func(Duration::from_nanos(i % 3), move || {
                    count.fetch_add(1, SeqCst);
                });
            }
        }
        until(|| fired.load(SeqCst) == 10_000).await;
    });
}

#[test]
fn sleepers_wake_in_the_order_of_their_deadlines() {
    let _watchdog = watchdog("");
    let rt = undisturbed(1);
    // A try says nothing unless all were asleep before the first deadline; then the next one takes
    // more time.
    for attempt in 1.. {
        let armed = Arc::new(AtomicUsize::new(0));
        let order = Arc::new(Mutex::new(Vec::new()));
        let base = Instant::now() + attempt * 10 * MILLISECOND;
        let slots = [5u32, 3, 6, 6, 6, 1, 1, 2, 7, 9, 4, 8, 0];
        let tasks: Vec<_> = slots
            .into_iter()
            .map(|slot| {
                let (armed, order) = (armed.clone(), order.clone());
                rt.spawn(async move {
                    let mut sleep = pin!(time::sleep_until(base + slot * 100 * MICROSECOND));
                    if poll_once(sleep.as_mut()).await.is_pending() {
                        armed.fetch_add(1, SeqCst);
                    }
                    sleep.await;
                    order.lock().unwrap().push(slot);
                })
            })
            .collect();
        let in_time = rt.block_on(async {
            runtime::spawn(async move {
                until(|| armed.load(SeqCst) == 13 || Instant::now() >= base).await;
                armed.load(SeqCst) == 13 && Instant::now() < base
            })
            .await
            .unwrap()
        });
        for task in tasks {
            rt.block_on(task).unwrap();
        }
        if in_time {
            let order = order.lock().unwrap();
            assert!(order.is_sorted(), "{order:?}");
            return;
        }
    }
}

#[test]
fn thousands_of_sleepers_end_and_thousands_are_aborted() {
    each_size(
        "thousands_of_sleepers_end_and_thousands_are_aborted",
        || async {
            let short: Vec<_> = (0..5_000)
                .map(|i| runtime::spawn(time::sleep(i % 50 * MILLISECOND)))
                .collect();
            let long: Vec<_> = (0..5_000)
                .map(|_| runtime::spawn(time::sleep(HOUR)))
                .collect();
            for task in short {
                task.await.unwrap();
            }
            for task in &long {
                task.abort();
            }
            for task in long {
                assert!(task.await.unwrap_err().is_cancelled());
            }
        },
    );
}

#[test]
fn tasks_that_never_rest_do_not_starve_timers() {
    each_size("tasks_that_never_rest_do_not_starve_timers", || async {
        let done = Arc::new(AtomicBool::new(false));
        for _ in 0..4 {
            let done = done.clone();
            runtime::spawn(async move { until(|| done.load(SeqCst)).await });
        }
        time::sleep(2 * MILLISECOND).await;
        let set = done.clone();
        time::after_func(MILLISECOND, move || set.store(true, SeqCst));
        until(|| done.load(SeqCst)).await;
    });
}

#[test]
fn an_armed_sleep_moves_to_another_task_and_wakes_that_one() {
    each_size(
        "an_armed_sleep_moves_to_another_task_and_wakes_that_one",
        || async {
            for _ in 0..200 {
                let deadline = Instant::now() + MILLISECOND;
                let mut sleep = Box::pin(time::sleep_until(deadline));
                let _ = poll_once(sleep.as_mut()).await;
                let task = runtime::spawn(async move {
                    let _ = poll_once(sleep.as_mut()).await;
                    let last = runtime::spawn(async move {
                        sleep.await;
                        assert!(Instant::now() >= deadline);
                    });
                    last.await.unwrap();
                });
                task.await.unwrap();
            }
        },
    );
}

#[test]
fn armed_sleeps_are_dropped_by_another_thread() {
    each_size("armed_sleeps_are_dropped_by_another_thread", || async {
        let (tx, rx) = mpsc::channel::<Vec<Pin<Box<Sleep>>>>();
        let dropper = thread::spawn(move || rx.into_iter().for_each(drop));
        for round in 0..100u32 {
            let mut sleeps = Vec::new();
            for i in 0..50 {
                // Some due while they are dropped, some long after.
                let delay = if i % 2 == 0 {
                    HOUR
                } else {
                    i * round * MICROSECOND
                };
                let mut sleep = Box::pin(time::sleep(delay));
                let _ = poll_once(sleep.as_mut()).await;
                sleeps.push(sleep);
            }
            tx.send(sleeps).unwrap();
            runtime::yield_now().await;
        }
        drop(tx);
        runtime::spawn_blocking(move || dropper.join().unwrap())
            .await
            .unwrap();
        time::sleep(MILLISECOND).await;
    });
}

#[test]
fn a_sleep_outlives_its_runtime_and_goes_on_with_the_next() {
    let _watchdog = watchdog("");
    let deadline = Instant::now() + 5 * MILLISECOND;
    let mut sleep = Box::pin(time::sleep_until(deadline));
    for _ in 0..3 {
        let rt = runtime(2);
        let task = rt.spawn(async move {
            let _ = poll_once(sleep.as_mut()).await;
            sleep
        });
        sleep = rt.block_on(task).unwrap();
    }
    runtime(1).block_on(sleep);
    assert!(Instant::now() >= deadline);
}

#[test]
fn waiting_without_a_runtime_panics_and_names_the_cure() {
    let made_at = format!("{}:{}:", file!(), line!() + 1);
    let sleep = Box::pin(time::sleep(HOUR));
    let panic = panic::catch_unwind(AssertUnwindSafe(|| {
        let mut sleep = sleep;
        let mut cx = Context::from_waker(Waker::noop());
        let _ = sleep.as_mut().poll(&mut cx);
    }));
    let text = message(panic.unwrap_err());
    assert!(text.contains("no runtime"), "{text}");
    assert!(text.contains("#[runtime::main]"), "{text}");
    assert!(text.contains(&made_at), "{text}");

    let panic = panic::catch_unwind(|| time::after_func(HOUR, || ()));
    assert!(message(panic.unwrap_err()).contains("no runtime"));
}

#[test]
fn a_handle_brings_the_timers_along() {
    let _watchdog = watchdog("");
    let rt = runtime(1);
    let handle: Handle = rt.handle().clone();
    let outside = thread::spawn(move || {
        let start = Instant::now();
        handle.block_on(time::sleep(MILLISECOND));
        start.elapsed()
    });
    assert!(outside.join().unwrap() >= MILLISECOND);
}
