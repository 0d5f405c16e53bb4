//! Time as a program sees it; after Go's `time/sleep_test.go` and `time/tick_test.go`, written anew.
//!
//! No test is decided by how fast the machine is: what is asserted is that nothing is early, lost, or out of order, and a watchdog
//! ends a test that hangs.
#![allow(
    clippy::async_yields_async,
    reason = "a sleep is handed from task to task"
)]

use std::future::{Future, pending, poll_fn};
use std::panic::{self, AssertUnwindSafe};
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex, mpsc};
use std::task::{Context, Poll, Waker};
use std::thread;
use std::time::Duration;

use futures_util::StreamExt;
use runtime::time::{self, Instant, Sleep};
use runtime::{Builder, Handle, Runtime};

const MICROSECOND: Duration = Duration::from_micros(1);
const MILLISECOND: Duration = Duration::from_millis(1);
const HOUR: Duration = Duration::from_secs(3600);

/// Ends the process if the test takes longer than anything but a hang can explain.
struct Watchdog(Option<mpsc::Sender<()>>, Option<thread::JoinHandle<()>>);

impl Watchdog {
    fn new(test: &'static str) -> Self {
        let (alive, gone) = mpsc::channel::<()>();
        let dog = thread::spawn(move || {
            if gone.recv_timeout(Duration::from_secs(300)) == Err(mpsc::RecvTimeoutError::Timeout) {
                eprintln!("{test} hangs");
                std::process::abort();
            }
        });
        Self(Some(alive), Some(dog))
    }
}

impl Drop for Watchdog {
    fn drop(&mut self) {
        drop(self.0.take());
        if let Some(dog) = self.1.take() {
            let _ = dog.join();
        }
    }
}

fn with_procs(workers: usize) -> Runtime {
    Builder::new()
        .max_procs(workers)
        .build()
        .expect("a runtime")
}

/// One worker, and no second one that would step in while the first is in a poll, or stands still.
fn alone() -> Runtime {
    let mut builder = Builder::new();
    builder.max_procs(1).time_slice(HOUR);
    builder.build().expect("a runtime")
}

/// Runs the test on runtimes of several sizes, in a task.
fn each_size<F, Fut>(name: &'static str, test: F)
where
    F: Fn() -> Fut,
    Fut: Future<Output = ()> + Send + 'static,
{
    let _dog = Watchdog::new(name);
    for workers in [1, 2, 3, 8] {
        let rt = with_procs(workers);
        let task = rt.spawn(test());
        if let Err(error) = rt.block_on(task) {
            panic::resume_unwind(error.into_panic());
        }
    }
}

async fn poll_once(mut sleep: Pin<&mut Sleep>) -> Poll<()> {
    poll_fn(|cx| Poll::Ready(sleep.as_mut().poll(cx))).await
}

/// Waits, without a timer, for something that another task or thread does.
async fn until(condition: impl Fn() -> bool) {
    while !condition() {
        runtime::yield_now().await;
    }
}

fn message(panic: Box<dyn std::any::Any + Send>) -> String {
    match panic.downcast::<String>() {
        Ok(text) => *text,
        Err(panic) => panic
            .downcast::<&str>()
            .map(|text| text.to_string())
            .unwrap_or_default(),
    }
}

// ---- sleep ----

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
    let _dog = Watchdog::new("a_thread_in_block_on_sleeps_too");
    let rt = with_procs(2);
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
    let _dog = Watchdog::new("sleepers_wake_in_the_order_of_their_deadlines");
    let rt = alone();
    // A try says nothing unless all were asleep before the first deadline; then the next one takes more time.
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
    let _dog = Watchdog::new("a_sleep_outlives_its_runtime_and_goes_on_with_the_next");
    let deadline = Instant::now() + 5 * MILLISECOND;
    let mut sleep = Box::pin(time::sleep_until(deadline));
    for _ in 0..3 {
        let rt = with_procs(2);
        let task = rt.spawn(async move {
            let _ = poll_once(sleep.as_mut()).await;
            sleep
        });
        sleep = rt.block_on(task).unwrap();
    }
    with_procs(1).block_on(sleep);
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

// ---- reset ----

#[test]
fn a_reset_to_an_earlier_time_takes_effect() {
    each_size("a_reset_to_an_earlier_time_takes_effect", || async {
        for _ in 0..100 {
            let mut sleep = pin!(time::sleep(HOUR));
            assert!(poll_once(sleep.as_mut()).await.is_pending());
            let deadline = Instant::now() + 100 * MICROSECOND;
            sleep.as_mut().reset(deadline);
            assert_eq!(sleep.deadline(), deadline);
            sleep.await;
            assert!(Instant::now() >= deadline);
        }
    });
}

#[test]
fn a_reset_to_a_later_time_takes_effect() {
    each_size("a_reset_to_a_later_time_takes_effect", || async {
        for i in 0..100 {
            let mut sleep = pin!(time::sleep(i * 10 * MICROSECOND));
            let _ = poll_once(sleep.as_mut()).await;
            let deadline = Instant::now() + MILLISECOND;
            sleep.as_mut().reset(deadline);
            sleep.await;
            assert!(Instant::now() >= deadline);
        }
    });
}

#[test]
fn a_waiting_task_is_woken_at_the_new_time_though_it_did_not_poll_again() {
    each_size(
        "a_waiting_task_is_woken_at_the_new_time_though_it_did_not_poll_again",
        || async {
            let mut sleep = pin!(time::sleep(HOUR));
            let mut polls = 0;
            poll_fn(|cx| {
                polls += 1;
                if polls > 1 {
                    return sleep.as_mut().poll(cx);
                }
                assert!(sleep.as_mut().poll(cx).is_pending());
                sleep.as_mut().reset(Instant::now() + MILLISECOND);
                Poll::Pending
            })
            .await;
        },
    );
}

#[test]
fn a_sleep_that_has_fired_and_is_reset_before_the_poll_does_not_end_early() {
    each_size(
        "a_sleep_that_has_fired_and_is_reset_before_the_poll_does_not_end_early",
        || async {
            for _ in 0..20 {
                let first = Instant::now() + 200 * MICROSECOND;
                let mut sleep = pin!(time::sleep_until(first));
                let _ = poll_once(sleep.as_mut()).await;
                // Well past its deadline and its tick, so that somebody has fired it.
                until(|| Instant::now() >= first + MILLISECOND).await;
                let second = Instant::now() + 2 * MILLISECOND;
                sleep.as_mut().reset(second);
                sleep.await;
                assert!(Instant::now() >= second);
            }
        },
    );
}

// ---- timeout ----

#[test]
fn a_future_in_time_is_returned_and_one_that_is_late_is_not() {
    each_size(
        "a_future_in_time_is_returned_and_one_that_is_late_is_not",
        || async {
            assert_eq!(time::timeout(HOUR, async { 1 }).await, Ok(1));
            assert_eq!(time::timeout(Duration::MAX, async { 2 }).await, Ok(2));
            assert_eq!(time::timeout(Duration::ZERO, async { 3 }).await, Ok(3));
            assert!(
                time::timeout(Duration::ZERO, pending::<()>())
                    .await
                    .is_err()
            );
            let start = Instant::now();
            let late = time::timeout(3 * MILLISECOND, pending::<()>()).await;
            assert!(late.is_err());
            assert!(start.elapsed() >= 3 * MILLISECOND);
            let deadline = Instant::now() + MILLISECOND;
            assert!(time::timeout_at(deadline, time::sleep(HOUR)).await.is_err());
            assert!(Instant::now() >= deadline);
            assert_eq!(time::timeout_at(deadline, async { 4 }).await, Ok(4));
            let in_time = time::timeout(HOUR, time::sleep(MILLISECOND)).await;
            assert_eq!(in_time, Ok(()));
        },
    );
}

#[test]
fn a_ready_future_needs_no_runtime_for_its_limit() {
    let mut cx = Context::from_waker(Waker::noop());
    let limited = pin!(time::timeout(HOUR, async { 5 }));
    assert_eq!(limited.poll(&mut cx), Poll::Ready(Ok(5)));
}

#[test]
fn a_future_that_always_spends_its_budget_is_stopped_all_the_same() {
    each_size(
        "a_future_that_always_spends_its_budget_is_stopped_all_the_same",
        || async {
            let greedy = async {
                loop {
                    runtime::task::coop::consume_budget().await;
                }
            };
            let stopped: Result<(), _> = time::timeout(2 * MILLISECOND, greedy).await;
            assert!(stopped.is_err());
        },
    );
}

#[test]
fn a_loop_over_limits_that_have_passed_lets_others_run() {
    let _dog = Watchdog::new("a_loop_over_limits_that_have_passed_lets_others_run");
    let rt = alone();
    let stop = Arc::new(AtomicBool::new(false));
    let stopped = stop.clone();
    let looping = rt.spawn(async move {
        while !stopped.load(SeqCst) {
            let _ = time::timeout(Duration::ZERO, pending::<()>()).await;
            time::sleep(Duration::ZERO).await;
        }
    });
    rt.spawn(async move { stop.store(true, SeqCst) });
    rt.block_on(looping).unwrap();
}

#[test]
fn elapsed_is_an_error_and_an_io_error() {
    let rt = with_procs(1);
    let elapsed = rt
        .block_on(time::timeout(Duration::ZERO, pending::<()>()))
        .unwrap_err();
    assert_eq!(elapsed.to_string(), "deadline has elapsed");
    let error = std::io::Error::from(elapsed);
    assert_eq!(error.kind(), std::io::ErrorKind::TimedOut);
    assert_eq!(error.to_string(), "deadline has elapsed");
}

// ---- ticker ----

#[test]
fn ticks_follow_the_schedule() {
    each_size("ticks_follow_the_schedule", || async {
        for period in [50 * MICROSECOND, MILLISECOND, 5 * MILLISECOND] {
            let start = Instant::now();
            let mut ticker = time::ticker(period);
            assert_eq!(ticker.period(), period);
            let first = ticker.tick().await;
            assert!(first >= start + period);
            let mut last = first;
            for _ in 0..20 {
                let tick = ticker.tick().await;
                assert!(tick <= Instant::now(), "early");
                assert!(tick > last, "twice");
                assert_eq!((tick - first).as_nanos() % period.as_nanos(), 0, "drifted");
                last = tick;
            }
        }
    });
}

#[test]
fn a_slow_receiver_finds_one_tick_and_has_lost_the_others() {
    each_size(
        "a_slow_receiver_finds_one_tick_and_has_lost_the_others",
        || async {
            let period = MILLISECOND;
            let mut ticker = time::ticker(period);
            let first = ticker.tick().await;
            let taken = Instant::now();
            time::sleep_until(taken + period * 11 / 2).await;
            let slow = Instant::now();
            let waiting = ticker.tick().await;
            assert!(waiting <= taken + period, "not the oldest");
            let next = ticker.tick().await;
            assert!(next > slow, "a tick from before was kept");
            assert_eq!((waiting - first).as_nanos() % period.as_nanos(), 0);
            assert_eq!((next - first).as_nanos() % period.as_nanos(), 0);
        },
    );
}

#[test]
fn a_tick_that_is_not_awaited_to_its_end_is_not_lost() {
    each_size(
        "a_tick_that_is_not_awaited_to_its_end_is_not_lost",
        || async {
            let start = Instant::now();
            let mut ticker = time::ticker(2 * MILLISECOND);
            let mut tries = 0;
            let tick = loop {
                tries += 1;
                if let Ok(tick) = time::timeout(100 * MICROSECOND, ticker.tick()).await {
                    break tick;
                }
            };
            assert!(tries > 1 || start.elapsed() >= 2 * MILLISECOND);
            assert!(tick <= Instant::now());
        },
    );
}

#[test]
fn a_stopped_ticker_is_silent_until_it_is_reset() {
    each_size("a_stopped_ticker_is_silent_until_it_is_reset", || async {
        let mut ticker = time::ticker(MILLISECOND);
        ticker.tick().await;
        // One is waiting when it is stopped.
        time::sleep(2 * MILLISECOND).await;
        ticker.stop();
        let silent = time::timeout(5 * MILLISECOND, ticker.tick()).await;
        assert!(silent.is_err());
        let start = Instant::now();
        ticker.reset(3 * MILLISECOND);
        let tick = ticker.tick().await;
        assert!(tick >= start + 3 * MILLISECOND);
        let next = ticker.tick().await;
        assert!(next > tick);
        assert_eq!((next - tick).as_nanos() % 3_000_000, 0);
    });
}

#[test]
fn a_ticker_is_a_stream() {
    each_size("a_ticker_is_a_stream", || async {
        let ticks: Vec<_> = time::ticker(100 * MICROSECOND).take(10).collect().await;
        assert!(ticks.is_sorted());
        assert_eq!(ticks.len(), 10);
    });
}

#[test]
fn many_tickers_on_many_tasks_all_tick() {
    each_size("many_tickers_on_many_tasks_all_tick", || async {
        let tasks: Vec<_> = (0..100u32)
            .map(|i| {
                runtime::spawn(async move {
                    // Down to one nanosecond.
                    let mut ticker = time::ticker(Duration::from_nanos(1) + i * 5 * MICROSECOND);
                    for _ in 0..50 {
                        ticker.tick().await;
                    }
                })
            })
            .collect();
        for task in tasks {
            task.await.unwrap();
        }
    });
}

#[test]
fn a_period_of_zero_panics_and_names_the_cure() {
    let panic = panic::catch_unwind(|| time::ticker(Duration::ZERO)).unwrap_err();
    let text = message(panic);
    assert!(text.contains("must not be zero"), "{text}");
    assert!(text.contains("yield_now"), "{text}");
    let mut ticker = time::ticker(HOUR);
    let panic = panic::catch_unwind(AssertUnwindSafe(|| ticker.reset(Duration::ZERO)));
    assert!(message(panic.unwrap_err()).contains("must not be zero"));
}

// ---- after_func ----

#[test]
fn stop_and_reset_tell_the_truth() {
    each_size("stop_and_reset_tell_the_truth", || async {
        let runs = Arc::new(AtomicUsize::new(0));
        let count = runs.clone();
        let timer = time::after_func(HOUR, move || {
            count.fetch_add(1, SeqCst);
        });
        // A row each: what is done, in which state, and what it says.
        assert!(timer.reset(HOUR), "reset, active");
        assert!(timer.stop(), "stop, active");
        assert!(!timer.stop(), "stop, stopped");
        assert!(!timer.reset(HOUR), "reset, stopped");
        assert!(timer.reset(MILLISECOND), "reset, active again");
        until(|| runs.load(SeqCst) == 1).await;
        assert!(!timer.stop(), "stop, has run");
        assert!(!timer.reset(Duration::ZERO), "reset, has run");
        until(|| runs.load(SeqCst) == 2).await;
        assert!(!timer.reset(Duration::MAX), "reset to never");
        assert!(!timer.stop(), "stop, never");
        assert!(!timer.reset(HOUR), "reset, never");
        assert!(timer.clone().stop(), "a clone is the same timer");
        time::sleep(2 * MILLISECOND).await;
        assert_eq!(runs.load(SeqCst), 2);
    });
}

#[test]
fn stop_is_exact_in_a_race_with_the_timer() {
    each_size("stop_is_exact_in_a_race_with_the_timer", || async {
        let racers: Vec<_> = (0..1_000u32)
            .map(|i| {
                runtime::spawn(async move {
                    let runs = Arc::new(AtomicUsize::new(0));
                    let count = runs.clone();
                    let timer = time::after_func(i % 10 * 20 * MICROSECOND, move || {
                        count.fetch_add(1, SeqCst);
                    });
                    time::sleep(i % 7 * 30 * MICROSECOND).await;
                    let stopped = timer.stop();
                    (stopped, runs, timer)
                })
            })
            .collect();
        let mut prevented = Vec::new();
        for racer in racers {
            let (stopped, runs, timer) = racer.await.unwrap();
            if stopped {
                prevented.push(runs);
            } else {
                until(|| runs.load(SeqCst) == 1).await;
            }
            assert!(!timer.stop());
        }
        time::sleep(2 * MILLISECOND).await;
        for runs in prevented {
            assert_eq!(runs.load(SeqCst), 0, "it ran though it was stopped");
        }
    });
}

#[test]
fn resets_in_a_race_with_the_timer_count_every_run() {
    each_size(
        "resets_in_a_race_with_the_timer_count_every_run",
        || async {
            let racers: Vec<_> = (0..300u32)
                .map(|i| {
                    runtime::spawn(async move {
                        let runs = Arc::new(AtomicUsize::new(0));
                        let count = runs.clone();
                        let timer = time::after_func(Duration::ZERO, move || {
                            count.fetch_add(1, SeqCst);
                        });
                        let mut expected = 1;
                        for round in 0..20u32 {
                            time::sleep((i + round) % 5 * 10 * MICROSECOND).await;
                            // `true` moved a run that was to come; `false` added one.
                            let delay = (i * round) % 7 * 10 * MICROSECOND;
                            expected += usize::from(!timer.reset(delay));
                        }
                        until(|| runs.load(SeqCst) >= expected).await;
                        (runs, expected)
                    })
                })
                .collect();
            let mut all = Vec::new();
            for racer in racers {
                all.push(racer.await.unwrap());
            }
            time::sleep(2 * MILLISECOND).await;
            for (runs, expected) in all {
                assert_eq!(runs.load(SeqCst), expected);
            }
        },
    );
}

#[test]
fn a_function_may_set_its_own_timer_again() {
    each_size("a_function_may_set_its_own_timer_again", || async {
        let timer = Arc::new(Mutex::new(None::<time::Timer>));
        let runs = Arc::new(AtomicUsize::new(0));
        let (own, count) = (timer.clone(), runs.clone());
        let first = time::after_func(HOUR, move || {
            if count.fetch_add(1, SeqCst) < 9 {
                let own = own.lock().unwrap().clone().expect("set before it starts");
                assert!(!own.reset(10 * MICROSECOND));
            }
        });
        *timer.lock().unwrap() = Some(first.clone());
        assert!(first.reset(Duration::ZERO));
        until(|| runs.load(SeqCst) == 10).await;
        timer.lock().unwrap().take();
    });
}

#[test]
fn runs_of_one_timer_never_overlap() {
    each_size("runs_of_one_timer_never_overlap", || async {
        let inside = Arc::new(AtomicUsize::new(0));
        let runs = Arc::new(AtomicUsize::new(0));
        let (within, count) = (inside.clone(), runs.clone());
        let timer = time::after_func(Duration::ZERO, move || {
            assert_eq!(within.fetch_add(1, SeqCst), 0);
            thread::yield_now();
            within.fetch_sub(1, SeqCst);
            count.fetch_add(1, SeqCst);
        });
        let mut expected = 1;
        for _ in 0..500 {
            expected += usize::from(!timer.reset(Duration::ZERO));
            runtime::yield_now().await;
        }
        until(|| runs.load(SeqCst) == expected).await;
    });
}

#[test]
fn a_run_that_panics_does_not_prevent_the_next() {
    each_size("a_run_that_panics_does_not_prevent_the_next", || async {
        let runs = Arc::new(AtomicUsize::new(0));
        let count = runs.clone();
        let timer = time::after_func(Duration::ZERO, move || {
            if count.fetch_add(1, SeqCst) == 0 {
                panic::resume_unwind(Box::new("the first run"));
            }
        });
        until(|| runs.load(SeqCst) == 1).await;
        timer.reset(Duration::ZERO);
        until(|| runs.load(SeqCst) == 2).await;
    });
}

#[test]
fn a_timer_is_set_from_a_thread_outside() {
    let _dog = Watchdog::new("a_timer_is_set_from_a_thread_outside");
    let rt = with_procs(2);
    let (tx, rx) = mpsc::channel();
    let timer = {
        let _entered = rt.enter();
        time::after_func(HOUR, move || tx.send(()).unwrap())
    };
    for _ in 0..20 {
        timer.reset(MILLISECOND);
        rx.recv().unwrap();
    }
    // The handle is not needed for it.
    timer.reset(MILLISECOND);
    drop(timer);
    rx.recv().unwrap();
}

#[test]
fn shutdown_drops_the_function_without_a_call() {
    let _dog = Watchdog::new("shutdown_drops_the_function_without_a_call");
    let rt = with_procs(2);
    let held = Arc::new(());
    let in_f = held.clone();
    let timer = {
        let _entered = rt.enter();
        time::after_func(HOUR, move || unreachable!("{in_f:?}"))
    };
    let in_f = held.clone();
    rt.block_on(async {
        drop(time::after_func(HOUR, move || unreachable!("{in_f:?}")));
    });
    drop(rt);
    assert_eq!(Arc::strong_count(&held), 2, "the one without a handle");
    assert!(!timer.reset(Duration::from_secs(1)), "it does nothing now");
    assert!(!timer.stop());
    drop(timer);
    assert_eq!(Arc::strong_count(&held), 1);
}

// ---- all together ----

/// SplitMix64.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % bound
    }
}

#[test]
fn random_programs_end_and_nothing_in_them_is_early() {
    let _dog = Watchdog::new("random_programs_end_and_nothing_in_them_is_early");
    let now = || std::time::UNIX_EPOCH.elapsed().unwrap().as_nanos() as u64;
    let seed = std::env::var("SEED").map_or_else(|_| now(), |seed| seed.parse().unwrap());
    for workers in [1, 2, 8] {
        let rt = with_procs(workers);
        let tasks: Vec<_> = (0..100)
            .map(|i| rt.spawn(program(Random(seed.wrapping_add(i)))))
            .collect();
        for task in tasks {
            if let Err(error) = rt.block_on(task) {
                eprintln!("the seed was SEED={seed}");
                panic::resume_unwind(error.into_panic());
            }
        }
    }

    async fn program(mut random: Random) {
        let mut kept = Box::pin(time::sleep(Duration::ZERO));
        for _ in 0..60 {
            let magnitude = 10 + random.below(12);
            let delay = Duration::from_nanos(random.below(1 << magnitude));
            let deadline = Instant::now() + delay;
            match random.below(6) {
                0 => {
                    time::sleep(delay).await;
                    assert!(Instant::now() >= deadline);
                }
                1 => {
                    let limit = Duration::from_nanos(random.below(1 << 20));
                    match time::timeout(limit, time::sleep_until(deadline)).await {
                        Ok(()) => assert!(Instant::now() >= deadline),
                        Err(_) => assert!(Instant::now() >= deadline - delay + limit),
                    }
                }
                2 => {
                    kept.as_mut().reset(deadline);
                    let _ = poll_once(kept.as_mut()).await;
                }
                3 => {
                    kept.as_mut().reset(deadline);
                    kept.as_mut().await;
                    assert!(Instant::now() >= deadline);
                }
                4 => {
                    let task = runtime::spawn(time::sleep(delay + HOUR));
                    runtime::yield_now().await;
                    task.abort();
                    assert!(task.await.unwrap_err().is_cancelled());
                }
                _ => {
                    kept = runtime::spawn(async move {
                        let _ = poll_once(kept.as_mut()).await;
                        kept
                    })
                    .await
                    .unwrap();
                }
            }
        }
    }
}

#[test]
fn a_handle_brings_the_timers_along() {
    let _dog = Watchdog::new("a_handle_brings_the_timers_along");
    let rt = with_procs(1);
    let handle: Handle = rt.handle().clone();
    let outside = thread::spawn(move || {
        let start = Instant::now();
        handle.block_on(time::sleep(MILLISECOND));
        start.elapsed()
    });
    assert!(outside.join().unwrap() >= MILLISECOND);
}
