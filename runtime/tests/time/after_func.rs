//! Functions that are called at a time.

use std::panic;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use runtime::{Builder, time};

use crate::common::{runtime, until, watchdog};
use crate::{HOUR, MICROSECOND, MILLISECOND, each_size};

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
        assert!(timer.stop(), "stop, never");
        assert!(!timer.reset(Duration::MAX), "reset to never, stopped");
        assert!(timer.reset(Duration::MAX), "reset to never, never");
        assert!(timer.reset(HOUR), "reset, never");
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
    let _watchdog = watchdog("");
    let rt = runtime(2);
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
    let _watchdog = watchdog("");
    let rt = runtime(2);
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

#[test]
fn a_run_is_known_by_the_line_that_made_the_timer() {
    each_size("a_run_is_known_by_the_line_that_made_the_timer", || async {
        let (tx, rx) = mpsc::channel();
        let see = move || {
            tx.send(runtime::Handle::current().dump().to_string())
                .unwrap()
        };
        let made_at = format!("{}:{}:", file!(), line!() + 1);
        drop(time::after_func(MILLISECOND, see));
        let dump = runtime::spawn_blocking(move || rx.recv())
            .await
            .unwrap()
            .unwrap();
        assert!(dump.contains(&made_at), "{dump}");
        assert!(!dump.contains("src/time/after_func.rs"), "{dump}");
    });
}

#[test]
fn a_timer_whose_runtime_is_gone_disturbs_no_other() {
    let _watchdog = watchdog("");
    let far = Duration::from_secs(1_000_000);
    let called = Arc::new(AtomicUsize::new(0));
    let ahead = Builder::new().start_paused(true).build().unwrap();
    let counts = called.clone();
    let timer = ahead.block_on(async {
        let timer = runtime::spawn(async move {
            time::after_func(far, move || {
                counts.fetch_add(1, SeqCst);
            })
        });
        time::sleep(far / 2).await;
        timer.await.unwrap()
    });
    drop(ahead);
    // What the first one had is there for the next.
    let rt = runtime(1);
    timer.reset(far);
    rt.block_on(async {
        let task = runtime::spawn(async {
            let start = Instant::now();
            time::sleep(Duration::from_millis(20)).await;
            start.elapsed()
        });
        let slept = task.await.unwrap();
        assert!(slept >= Duration::from_millis(20), "after {slept:?}");
    });
    assert_eq!(called.load(SeqCst), 0);
}
