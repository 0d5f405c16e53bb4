//! The rate limiter: order, cancellation, and changes of the limit, on a clock that is paused where
//! times are told, so that they are exact and nothing is waited for.
#![cfg(not(loom))]

use std::future::Future;
use std::pin::pin;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use runtime::task::coop::consume_budget;
use runtime::time::{self, Instant};
use sync::context::{Context, ContextError};
use sync::rate::{Limit, Limiter, WaitError};
use sync::{WaitGroup, select};

mod support;
use support::{Random, blocks, message_of, on, poll_as_task, times, with_seeds};

const TENTH: Duration = Duration::from_millis(100);

/// Ten a second, and what of the burst is left taken.
fn ten_a_second(burst: usize) -> Arc<Limiter> {
    let limiter = Limiter::new(Limit::per_second(10.0), burst);
    assert!(limiter.allow_n(burst));
    Arc::new(limiter)
}

/// When each of some tasks was served, in tenths of a second, in the order of their being served.
#[derive(Clone)]
struct Served {
    start: Instant,
    log: Arc<Mutex<Vec<(usize, u128)>>>,
    group: WaitGroup,
}

impl Served {
    fn new() -> Self {
        Self {
            start: Instant::now(),
            log: Arc::default(),
            group: WaitGroup::new(),
        }
    }

    /// A task in line.
    async fn wait(&self, name: usize, limiter: &Arc<Limiter>, n: usize) -> runtime::JoinHandle<()> {
        let (served, limiter) = (self.clone(), limiter.clone());
        let handle = self.group.spawn(async move {
            limiter.wait_n(n).await;
            served.note(name);
        });
        time::settle().await;
        handle
    }

    fn note(&self, name: usize) {
        // The timer's ticks are late by less than this.
        let tenths = (self.start.elapsed().as_micros() + 500) / TENTH.as_micros();
        self.log.lock().unwrap().push((name, tenths));
    }

    async fn all(self) -> Vec<(usize, u128)> {
        self.group.wait().await;
        let log = self.log.lock().unwrap();
        log.clone()
    }
}

#[runtime::test(start_paused = true)]
async fn the_burst_goes_at_once_and_the_rest_at_the_rate_in_order() {
    let limiter = Arc::new(Limiter::new(Limit::per_second(10.0), 2));
    let served = Served::new();
    for name in 0..5 {
        served.wait(name, &limiter, 1).await;
    }
    assert_eq!(served.all().await, [(0, 0), (1, 0), (2, 1), (3, 2), (4, 3)]);
}

#[runtime::test(start_paused = true)]
async fn one_that_wants_much_is_not_overtaken() {
    let limiter = ten_a_second(5);
    let served = Served::new();
    served.wait(0, &limiter, 5).await;
    served.wait(1, &limiter, 1).await;
    time::sleep(2 * TENTH).await;
    assert!(!limiter.allow(), "two are there, for who waits");
    assert_eq!(served.all().await, [(0, 5), (1, 6)]);
}

/// Its budget, or the turn that it leaves to others before it waits, is no reason to be overtaken.
#[runtime::test(start_paused = true)]
async fn one_that_has_come_is_not_overtaken_whatever_its_task_did_before() {
    for spent in 0..128 {
        let limiter = ten_a_second(2);
        let served = Served::new();
        let mut first = pin!(limiter.wait());
        runtime::yield_now().await;
        for _ in 0..spent {
            consume_budget().await;
        }
        assert!(poll_as_task(first.as_mut()).await.is_pending());
        assert_eq!(limiter.tokens().round(), -1.0, "it is in line");
        served.wait(1, &limiter, 1).await;
        first.await;
        served.note(0);
        assert_eq!(served.all().await, [(0, 1), (1, 2)], "{spent} spent");
    }
}

#[runtime::test(start_paused = true)]
async fn those_behind_a_reservation_that_is_cancelled_move_up() {
    let limiter = ten_a_second(5);
    let reservation = limiter.reserve_n(5).unwrap();
    let served = Served::new();
    served.wait(0, &limiter, 1).await;
    served.wait(1, &limiter, 1).await;
    reservation.cancel();
    assert_eq!(served.all().await, [(0, 1), (1, 2)]);
}

#[runtime::test(start_paused = true)]
async fn those_behind_one_that_goes_away_move_up() {
    let limiter = ten_a_second(5);
    let served = Served::new();
    let gone = [
        served.wait(0, &limiter, 5).await,
        served.wait(1, &limiter, 5).await,
    ];
    served.wait(2, &limiter, 1).await;
    served.wait(3, &limiter, 1).await;
    // The one in the middle first, then the one at the front.
    gone[1].abort();
    gone[0].abort();
    assert_eq!(served.all().await, [(2, 1), (3, 2)]);
}

/// Where each who waits has booked, and gives up, nobody is served after a while.
#[runtime::test(start_paused = true)]
async fn with_more_to_do_than_may_be_done_and_timeouts_as_much_is_done_as_may_be() {
    let limiter = ten_a_second(1);
    let (done, group) = (Arc::new(AtomicUsize::new(0)), WaitGroup::new());
    for _ in 0..1_000 {
        let (limiter, done) = (limiter.clone(), done.clone());
        group.spawn(async move {
            if time::timeout(5 * TENTH, limiter.wait()).await.is_ok() {
                done.fetch_add(1, SeqCst);
            }
        });
        time::sleep(TENTH / 2).await;
    }
    group.wait().await;
    let done = done.load(SeqCst);
    assert!((495..=506).contains(&done), "{done} in 50 seconds");
}

#[runtime::test(start_paused = true)]
async fn a_reservation_keeps_the_order_of_those_who_wait() {
    let limiter = ten_a_second(5);
    let served = Served::new();
    served.wait(0, &limiter, 2).await;
    let reservation = limiter.reserve_n(3).unwrap();
    served.wait(1, &limiter, 1).await;
    time::sleep_until(reservation.due()).await;
    served.note(10);
    let mut all = served.all().await;
    all.sort();
    assert_eq!(all, [(0, 2), (1, 6), (10, 5)]);
}

#[runtime::test(start_paused = true)]
async fn a_new_limit_is_for_those_who_wait_already_too() {
    let limiter = Arc::new(Limiter::new(Limit::ZERO, 1));
    assert!(limiter.allow());
    let served = Served::new();
    for name in 0..4 {
        served.wait(name, &limiter, 1).await;
    }
    time::sleep(100 * TENTH).await;
    limiter.set_limit(Limit::per_second(10.0));
    time::sleep(TENTH + TENTH / 2).await;
    limiter.set_limit(Limit::per_second(5.0));
    time::sleep(TENTH + TENTH / 4).await;
    // Half a token was there, and then five eighths came.
    limiter.set_limit(Limit::INFINITE);
    let log = served.all().await;
    let names: Vec<_> = log.iter().map(|entry| entry.0).collect();
    assert_eq!(names, [0, 1, 2, 3]);
    assert_eq!(log[0].1, 101);
    assert!(log[1].1 >= 102 && log[3].1 <= 103, "{log:?}");
}

#[runtime::test(start_paused = true)]
async fn a_new_burst_is_for_those_who_wait_already_too() {
    let limiter = ten_a_second(10);
    let served = Served::new();
    served.wait(0, &limiter, 10).await;
    served.wait(1, &limiter, 1).await;
    limiter.set_burst(2);
    // Served by two, it owes eight.
    assert_eq!(served.all().await, [(0, 2), (1, 11)]);
}

#[runtime::test(start_paused = true)]
async fn a_wait_under_a_context_says_at_once_that_it_is_in_vain() {
    let limiter = ten_a_second(1);
    let background = Context::background();
    let (short, _cancel) = background.with_timeout(TENTH / 2);
    let start = Instant::now();
    assert_eq!(
        limiter.wait_with(&short).await,
        Err(WaitError::DeadlineTooClose)
    );
    assert_eq!(
        limiter.wait_n_with(2, &background).await,
        Err(WaitError::ExceedsBurst)
    );
    assert_eq!(start.elapsed(), Duration::ZERO);
    let (long, _cancel) = background.with_timeout(2 * TENTH);
    assert_eq!(limiter.wait_with(&long).await, Ok(()));

    let (ctx, cancel) = background.with_cancel();
    let waiting = runtime::spawn({
        let limiter = limiter.clone();
        async move { limiter.wait_with(&ctx).await }
    });
    time::settle().await;
    cancel.cancel();
    let canceled = WaitError::Context(ContextError::Canceled);
    assert_eq!(waiting.await.unwrap(), Err(canceled));
    assert_eq!(limiter.tokens().round(), 0.0, "it took nothing");
}

#[runtime::test(start_paused = true)]
async fn it_loses_a_select_and_has_taken_nothing() {
    let limiter = ten_a_second(1);
    for _ in 0..10 {
        select! {
            _ = limiter.wait() => panic!("a tenth has not passed"),
            _ = time::sleep(TENTH / 100) => {}
        }
    }
    time::sleep(TENTH).await;
    assert!(limiter.allow());
}

#[runtime::test(start_paused = true)]
async fn without_a_limit_all_go_at_once() {
    let limiter = Limiter::new(Limit::INFINITE, 0);
    let start = Instant::now();
    for _ in 0..1_000 {
        limiter.wait_n(1_000_000).await;
    }
    assert_eq!(start.elapsed(), Duration::ZERO);
}

#[test]
fn of_many_that_come_at_once_the_burst_is_let_go() {
    on(4, async {
        let limiter = Arc::new(Limiter::new(Limit::every(Duration::from_secs(100_000)), 15));
        let (group, allowed) = (WaitGroup::new(), Arc::new(AtomicUsize::new(0)));
        for _ in 0..20 {
            let (limiter, allowed) = (limiter.clone(), allowed.clone());
            group.spawn(async move {
                allowed.fetch_add(limiter.allow().into(), SeqCst);
            });
        }
        group.wait().await;
        assert_eq!(allowed.load(SeqCst), 15);
        blocks(limiter.wait()).await;
    });
}

/// Real time, several workers, and whoever waits may be dropped at any moment: no more than the
/// burst and the rate allow, and in the end everybody is served.
#[test]
fn random_waits_and_cancellations_stay_below_the_rate() {
    with_seeds(1, |seed| on(4, random_waits(seed)));
}

async fn random_waits(seed: u64) {
    let limiter = Arc::new(Limiter::new(Limit::per_second(20_000.0), 8));
    let (start, taken) = (Instant::now(), Arc::new(AtomicUsize::new(0)));
    let group = WaitGroup::new();
    for task in 0..8 {
        let (limiter, taken) = (limiter.clone(), taken.clone());
        let mut random = Random::new(seed + task);
        group.spawn(async move {
            for _ in 0..times(200) {
                let n = random.below(8) + 1;
                let took = match random.below(8) {
                    0 => limiter.allow_n(n),
                    1 => {
                        let reservation = limiter.reserve_n(n).unwrap();
                        let keeps = random.below(2) == 0;
                        match keeps {
                            true => time::sleep_until(reservation.due()).await,
                            false => reservation.cancel(),
                        }
                        keeps
                    }
                    2 => {
                        // As often as not it is dropped while it waits.
                        let mut wait = pin!(limiter.wait_n(n));
                        let limit = Duration::from_micros(random.below(400) as u64);
                        time::timeout(limit, wait.as_mut()).await.is_ok()
                    }
                    3 => {
                        limiter.set_limit(Limit::per_second(20_000.0));
                        false
                    }
                    _ => {
                        limiter.wait_n(n).await;
                        true
                    }
                };
                if took {
                    let taken = taken.fetch_add(n, SeqCst) + n;
                    // What has come by now, the burst, and a nanosecond's worth for each.
                    let most = start.elapsed().as_secs_f64() * 20_000.0 + 8.0 + 0.1;
                    assert!(taken as f64 <= most, "{taken} of {most}");
                }
            }
        });
    }
    group.wait().await;
    // Nobody is in line, and the debt of those that were kept is paid in time.
    limiter.wait_n(8).await;
    assert!(limiter.tokens() > -1e-3);
}

#[test]
fn a_thread_waits_too_and_a_task_is_told_not_to() {
    let limiter = Limiter::new(Limit::per_second(1_000.0), 1);
    let start = std::time::Instant::now();
    for _ in 0..3 {
        limiter.blocking_wait();
    }
    assert!(start.elapsed() >= Duration::from_millis(2));
    on(1, async move {
        let refused = runtime::spawn(async move { limiter.blocking_wait() }).await;
        assert!(refused.unwrap_err().is_panic());
    });
}

#[test]
fn what_would_wait_for_ever_is_a_mistake() {
    let limiter = Limiter::new(Limit::per_second(1.0), 2);
    assert!(message_of(|| drop(limiter.wait_n(3))).contains("more than the burst of 2"));
    assert!(message_of(|| Limit::per_second(-1.0)).contains("zero or more"));
    assert!(message_of(|| Limit::per_second(f64::NAN)).contains("zero or more"));
    let never = Limiter::new(Limit::ZERO, 0);
    assert!(message_of(|| never.blocking_wait()).contains("for ever"));
}

/// Its futures go where tasks go.
#[test]
fn waits_are_send() {
    fn send<F: Future + Send>(_: &F) {}
    let limiter = Limiter::new(Limit::per_second(1.0), 2);
    let ctx = Context::background();
    send(&limiter.wait());
    send(&limiter.wait_with(&ctx));
}
