//! Tickers: a schedule, and what a slow receiver misses.

use std::panic::{self, AssertUnwindSafe};
use std::time::Duration;

use futures_util::StreamExt;
use runtime::time::{self, Instant};

use crate::{HOUR, MICROSECOND, MILLISECOND, each_size, message};

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
