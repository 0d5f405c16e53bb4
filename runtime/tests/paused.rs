//! A paused clock: what moves it, what keeps it, and what tasks see.

mod common;

use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex, mpsc};
use std::task::Poll;
use std::thread;
use std::time::Duration;

use runtime::time::{self, Instant};
use runtime::{Builder, Runtime};

use common::{wait_until, watchdog};

const SECOND: Duration = Duration::from_secs(1);
const HOUR: Duration = Duration::from_secs(3600);

fn paused() -> Runtime {
    Builder::new().start_paused(true).build().unwrap()
}

/// Polls a future once; `true`: it waits.
async fn is_waiting(mut future: Pin<&mut impl Future>) -> bool {
    poll_fn(|cx| Poll::Ready(future.as_mut().poll(cx).is_pending())).await
}

/// What happened, in order.
#[derive(Clone, Debug, Default)]
struct Log(Arc<Mutex<Vec<(u64, &'static str)>>>);

impl Log {
    /// Notes the whole seconds since `start`.
    fn note(&self, start: Instant, what: &'static str) {
        self.0
            .lock()
            .unwrap()
            .push((start.elapsed().as_secs(), what));
    }

    fn take(&self) -> Vec<(u64, &'static str)> {
        std::mem::take(&mut self.0.lock().unwrap())
    }
}

#[runtime::test(start_paused = true)]
async fn a_year_of_sleep_takes_no_time() {
    let _watchdog = watchdog("");
    let (start, real) = (Instant::now(), std::time::Instant::now());
    let year = 365 * 24 * HOUR;
    time::sleep(year).await;
    assert_eq!(start.elapsed(), year);
    assert!(real.elapsed() < Duration::from_secs(50));
}

#[runtime::test(start_paused = true)]
async fn timers_fire_exactly_at_their_deadlines_and_in_their_order() {
    let _watchdog = watchdog("");
    let start = Instant::now();
    let log = Arc::new(Mutex::new(Vec::new()));
    let nanos = [
        1_000_000_007,
        3,
        40_000,
        39_999,
        1,
        86_400_000_000_000,
        2,
        1 << 50,
    ];
    let tasks = nanos.map(|n| {
        let log = log.clone();
        runtime::spawn(async move {
            time::sleep(Duration::from_nanos(n)).await;
            assert_eq!(start.elapsed(), Duration::from_nanos(n));
            log.lock().unwrap().push(n);
        })
    });
    for task in tasks {
        task.await.unwrap();
    }
    let mut sorted = nanos;
    sorted.sort_unstable();
    assert_eq!(*log.lock().unwrap(), sorted);
}

#[runtime::test(start_paused = true)]
async fn the_clock_stands_while_a_task_runs() {
    let start = Instant::now();
    let task = runtime::spawn(time::sleep(SECOND));
    for _ in 0..10_000 {
        runtime::yield_now().await;
    }
    thread::sleep(Duration::from_millis(2));
    assert_eq!(start.elapsed(), Duration::ZERO);
    task.await.unwrap();
    assert_eq!(start.elapsed(), SECOND);
}

#[runtime::test(start_paused = true)]
async fn a_timeout_beats_what_comes_later_and_not_what_comes_first() {
    let start = Instant::now();
    let late = time::timeout(SECOND, time::sleep(2 * SECOND)).await;
    assert!(late.is_err());
    assert_eq!(start.elapsed(), SECOND);
    let early = time::timeout(2 * SECOND, time::sleep(SECOND)).await;
    assert!(early.is_ok());
    assert_eq!(start.elapsed(), 2 * SECOND);
}

#[runtime::test(start_paused = true)]
async fn a_ticker_ticks_on_its_schedule_and_loses_what_a_slow_receiver_misses() {
    let start = Instant::now();
    let mut ticker = time::ticker(10 * SECOND);
    for n in 1..=3 {
        assert_eq!(ticker.tick().await - start, n * 10 * SECOND);
        assert_eq!(start.elapsed(), n * 10 * SECOND);
    }
    time::sleep(25 * SECOND).await;
    assert_eq!(ticker.tick().await - start, 40 * SECOND);
    assert_eq!(start.elapsed(), 55 * SECOND);
    assert_eq!(ticker.tick().await - start, 60 * SECOND);
}

#[runtime::test(start_paused = true)]
async fn functions_are_called_at_their_times() {
    let (start, log) = (Instant::now(), Log::default());
    for (after, what) in [(3, "three"), (1, "one"), (2, "two")] {
        let log = log.clone();
        time::after_func(after * SECOND, move || log.note(start, what));
    }
    let stopped = time::after_func(SECOND, || panic!("it was stopped"));
    let put_off = {
        let log = log.clone();
        time::after_func(SECOND, move || log.note(start, "put off"))
    };
    assert!(stopped.stop());
    assert!(put_off.reset(10 * SECOND));
    time::advance(5 * SECOND).await;
    assert_eq!(log.take(), [(1, "one"), (2, "two"), (3, "three")]);
    time::advance(5 * SECOND).await;
    assert_eq!(log.take(), [(10, "put off")]);
}

#[runtime::test(start_paused = true)]
async fn a_sleep_that_was_put_off_or_brought_forward_ends_at_its_last_deadline() {
    let start = Instant::now();
    let mut sleep = pin!(time::sleep(SECOND));
    // It is armed.
    assert!(is_waiting(sleep.as_mut()).await);
    sleep.as_mut().reset(start + 20 * SECOND);
    time::timeout(10 * SECOND, sleep.as_mut())
        .await
        .unwrap_err();
    assert_eq!(start.elapsed(), 10 * SECOND);
    sleep.as_mut().reset(start + 15 * SECOND);
    sleep.await;
    assert_eq!(start.elapsed(), 15 * SECOND);
}

#[runtime::test(start_paused = true)]
async fn advance_lets_tasks_run_at_each_step() {
    let (start, log) = (Instant::now(), Log::default());
    let task_log = log.clone();
    let task = runtime::spawn(async move {
        for _ in 0..3 {
            time::sleep(SECOND).await;
            for _ in 0..100 {
                runtime::yield_now().await;
            }
            task_log.note(start, "step");
        }
    });
    // Before it has ever run: its sleeps count from now on all the same.
    time::advance(Duration::from_millis(2500)).await;
    assert_eq!(start.elapsed(), Duration::from_millis(2500));
    assert_eq!(log.take(), [(1, "step"), (2, "step")]);
    assert!(!task.is_finished());
    time::advance(Duration::from_millis(500)).await;
    // What was to happen at the last moment has happened.
    assert_eq!(log.take(), [(3, "step")]);
    assert!(task.is_finished());
    time::advance(Duration::ZERO).await;
    assert_eq!(start.elapsed(), 3 * SECOND);
}

#[runtime::test(start_paused = true)]
async fn two_advances_at_once_end_each_at_its_time() {
    let (start, log) = (Instant::now(), Log::default());
    let task = |by: u32, what| {
        let log = log.clone();
        runtime::spawn(async move {
            time::advance(by * SECOND).await;
            log.note(start, what);
        })
    };
    let (late, early) = (task(5, "late"), task(2, "early"));
    late.await.unwrap();
    early.await.unwrap();
    assert_eq!(log.take(), [(2, "early"), (5, "late")]);
}

#[runtime::test(start_paused = true)]
async fn settle_waits_until_nobody_can_run_and_moves_no_time() {
    let start = Instant::now();
    let steps = Arc::new(AtomicUsize::new(0));
    for _ in 0..10 {
        let steps = steps.clone();
        runtime::spawn(async move {
            for _ in 0..200 {
                steps.fetch_add(1, SeqCst);
                runtime::yield_now().await;
            }
            time::sleep(SECOND).await;
            steps.fetch_add(1_000_000, SeqCst);
        });
    }
    time::settle().await;
    assert_eq!(steps.load(SeqCst), 2000);
    assert_eq!(start.elapsed(), Duration::ZERO);
}

#[runtime::test(start_paused = true)]
async fn who_waits_for_stillness_goes_on_one_by_one() {
    let inside = Arc::new(AtomicUsize::new(0));
    let tasks: Vec<_> = (0..5)
        .map(|_| {
            let inside = inside.clone();
            runtime::spawn(async move {
                time::settle().await;
                assert_eq!(inside.fetch_add(1, SeqCst), 0);
                for _ in 0..50 {
                    runtime::yield_now().await;
                }
                inside.fetch_sub(1, SeqCst);
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
}

#[runtime::test(start_paused = true)]
async fn a_dropped_advance_leaves_the_clock_where_it_is() {
    let start = Instant::now();
    {
        let mut advance = pin!(time::advance(HOUR));
        assert!(is_waiting(advance.as_mut()).await);
    }
    time::settle().await;
    assert_eq!(start.elapsed(), Duration::ZERO);
    time::sleep(SECOND).await;
    assert_eq!(start.elapsed(), SECOND);
}

#[runtime::test(start_paused = true)]
async fn the_clock_stands_while_a_blocking_job_runs() {
    let _watchdog = watchdog("");
    let start = Instant::now();
    let (go, wait) = mpsc::channel::<()>();
    let job = runtime::spawn_blocking(move || {
        wait.recv().unwrap();
        // A job sees the runtime's clock too.
        Instant::now()
    });
    let sleeper = runtime::spawn(time::sleep(SECOND));
    // The test cannot see that time does not pass without some of it passing: so long a pause would
    // let a wrong clock jump.
    let judge = thread::spawn(move || {
        thread::sleep(Duration::from_millis(50));
        go.send(()).unwrap();
    });
    assert_eq!(job.await.unwrap(), start);
    sleeper.await.unwrap();
    assert_eq!(start.elapsed(), SECOND);
    judge.join().unwrap();
}

#[runtime::test(start_paused = true)]
async fn a_job_that_nobody_awaits_lets_the_clock_go_on_when_it_ends() {
    let _watchdog = watchdog("");
    let start = Instant::now();
    for _ in 0..50 {
        drop(runtime::spawn_blocking(thread::yield_now));
        time::sleep(SECOND).await;
    }
    assert_eq!(start.elapsed(), 50 * SECOND);
}

#[runtime::test(start_paused = true)]
async fn the_clock_stands_while_a_task_blocks_in_place() {
    let _watchdog = watchdog("");
    let start = Instant::now();
    let blocks = runtime::spawn(async move {
        runtime::block_in_place(|| thread::sleep(Duration::from_millis(50)));
        assert_eq!(start.elapsed(), Duration::ZERO);
    });
    time::sleep(SECOND).await;
    assert_eq!(start.elapsed(), SECOND);
    blocks.await.unwrap();
}

#[test]
fn two_runtimes_have_two_clocks() {
    let _watchdog = watchdog("");
    let threads: Vec<_> = (1..=4u32)
        .map(|n| {
            thread::spawn(move || {
                let rt = paused();
                rt.block_on(async {
                    let start = Instant::now();
                    for step in 1..=100 {
                        time::sleep(n * SECOND).await;
                        assert_eq!(start.elapsed(), step * n * SECOND);
                    }
                });
            })
        })
        .collect();
    let running = Builder::new().max_procs(1).build().unwrap();
    running.block_on(async {
        let start = Instant::now();
        time::sleep(Duration::from_millis(5)).await;
        assert!(start.elapsed() < 100 * SECOND);
    });
    threads
        .into_iter()
        .for_each(|thread| thread.join().unwrap());
}

#[test]
fn a_future_inside_block_on_waits_and_runs_by_the_same_clock() {
    let _watchdog = watchdog("");
    let rt = paused();
    for _ in 0..100 {
        rt.block_on(async {
            let start = Instant::now();
            let task = runtime::spawn(async {
                time::sleep(SECOND).await;
                Instant::now()
            });
            time::sleep(2 * SECOND).await;
            assert_eq!(start.elapsed(), 2 * SECOND);
            assert_eq!(task.await.unwrap() - start, SECOND);
        });
    }
}

#[test]
fn two_threads_in_block_on_share_the_clock() {
    let _watchdog = watchdog("");
    let rt = paused();
    let barrier = std::sync::Barrier::new(2);
    thread::scope(|scope| {
        for n in [3, 5] {
            let (rt, barrier) = (&rt, &barrier);
            scope.spawn(move || {
                rt.block_on(async {
                    // Both are inside before any time passes.
                    barrier.wait();
                    for step in 1..=100 {
                        let before = Instant::now();
                        time::sleep(n * SECOND).await;
                        let late = before.elapsed() - n * SECOND;
                        assert_eq!(late, Duration::ZERO, "step {step} of {n}");
                    }
                });
            });
        }
    });
}

#[test]
fn the_clock_stands_when_nobody_waits_for_an_outcome() {
    let _watchdog = watchdog("");
    let rt = paused();
    let ticks = Arc::new(AtomicUsize::new(0));
    let counted = ticks.clone();
    rt.block_on(async {
        runtime::spawn(async move {
            let mut ticker = time::ticker(SECOND);
            loop {
                ticker.tick().await;
                counted.fetch_add(1, SeqCst);
            }
        });
        time::sleep(Duration::from_millis(10_500)).await;
    });
    let seen = ticks.load(SeqCst);
    assert_eq!(seen, 10);
    // It goes on where it stood.
    rt.block_on(time::sleep(10 * SECOND));
    assert_eq!(ticks.load(SeqCst), 20);
}

#[runtime::test(max_procs = 2)]
async fn a_running_clock_can_be_paused_and_resumed() {
    let _watchdog = watchdog("");
    let armed = runtime::spawn(async {
        let start = Instant::now();
        time::sleep(HOUR).await;
        start.elapsed()
    });
    let begin = Instant::now();
    time::pause();
    assert!(time::is_paused());
    time::pause();
    let start = Instant::now();
    assert!(start >= begin);
    time::sleep(24 * HOUR).await;
    assert_eq!(start.elapsed(), 24 * HOUR);
    // It was set with the coarse ticks of a running clock, perhaps.
    let slept = armed.await.unwrap();
    assert!(slept >= HOUR && slept < HOUR + SECOND, "{slept:?}");
    time::resume();
    assert!(!time::is_paused());
    time::resume();
    assert!(start.elapsed() >= 24 * HOUR);
    // It runs again.
    let before = Instant::now();
    time::sleep(Duration::from_millis(3)).await;
    assert!(before.elapsed() >= Duration::from_millis(3));
}

#[runtime::test(start_paused = true)]
async fn resume_sets_those_free_who_wait_for_the_clock() {
    let _watchdog = watchdog("");
    let waits = runtime::spawn(time::advance(HOUR));
    let mut settle = pin!(time::settle());
    assert!(is_waiting(settle.as_mut()).await);
    let start = Instant::now();
    time::resume();
    settle.await;
    waits.await.unwrap();
    assert!(start.elapsed() < HOUR);
    time::sleep(Duration::from_millis(1)).await;
}

#[runtime::test(start_paused = true)]
async fn many_workers_may_work_by_a_paused_clock() {
    let _watchdog = watchdog("");
    runtime::set_max_procs(4);
    let start = Instant::now();
    for round in 1..=200u32 {
        let tasks: Vec<_> = (1..=16u32)
            .map(|n| {
                runtime::spawn(async move {
                    let before = Instant::now();
                    for _ in 0..n {
                        runtime::yield_now().await;
                    }
                    time::sleep(n * SECOND).await;
                    assert_eq!(before.elapsed(), n * SECOND);
                })
            })
            .collect();
        for task in tasks {
            task.await.unwrap();
        }
        assert_eq!(start.elapsed(), round * 16 * SECOND);
    }
}

#[runtime::test(start_paused = true)]
async fn std_instants_keep_their_distance_from_the_beginning() {
    let std_now = std::time::Instant::now();
    let start = Instant::now();
    let std_start: std::time::Instant = start.into();
    assert!(std_start <= std_now);
    assert_eq!(Instant::from(std_start), start);
    time::sleep(HOUR).await;
    let later: std::time::Instant = Instant::now().into();
    assert_eq!(later - std_start, HOUR);
    assert_eq!(Instant::from(std_start + HOUR), Instant::now());
}

/// No worker runs what waits here, so that one has to be told to look.
#[test]
fn the_clock_moves_for_those_whom_another_executor_runs() {
    let _watchdog = watchdog("");
    let (rt, other) = (paused(), Runtime::new().unwrap());
    // Its worker has fallen asleep by then, or does so meanwhile.
    rt.block_on(async { time::settle().await });
    let start = rt.block_on(async { Instant::now() });
    let advance = |by| {
        let _inside = rt.enter();
        time::advance(by)
    };
    other.block_on(advance(HOUR));
    let advance_two = advance(HOUR);
    other.block_on(async { runtime::spawn(advance_two).await.unwrap() });
    let settle = {
        let _inside = rt.enter();
        time::settle()
    };
    other.block_on(settle);
    assert_eq!(rt.block_on(async { start.elapsed() }), 2 * HOUR);
}

#[test]
fn misuse_is_named() {
    let _watchdog = watchdog("");
    let rt = common::runtime(1);
    for call in [|| drop(time::advance(SECOND)), || drop(time::settle())] {
        let caught = rt.block_on(async move { std::panic::catch_unwind(call) });
        let message = *caught.unwrap_err().downcast::<String>().unwrap();
        assert!(message.contains("time::pause()"), "{message}");
    }
    let outside = std::panic::catch_unwind(time::pause).unwrap_err();
    assert!(outside.downcast::<String>().unwrap().contains("no runtime"));
}

#[test]
fn armed_timers_are_counted() {
    let rt = paused();
    rt.block_on(async {
        let metrics = || runtime::Handle::current().metrics();
        let tasks: Vec<_> = (0..7)
            .map(|n| runtime::spawn(time::sleep(n * HOUR)))
            .collect();
        time::settle().await;
        // The first was over at once.
        assert_eq!(metrics().timers_armed, 6);
        time::advance(3 * HOUR).await;
        assert_eq!(metrics().timers_armed, 3);
        tasks.iter().for_each(runtime::JoinHandle::abort);
        time::settle().await;
        assert_eq!(metrics().timers_armed, 0);
    });
}

#[test]
fn a_standing_clock_does_not_keep_a_runtime_from_its_end() {
    let _watchdog = watchdog("");
    let rt = paused();
    let dropped = Arc::new(AtomicBool::new(false));
    struct Tell(Arc<AtomicBool>);
    impl Drop for Tell {
        fn drop(&mut self) {
            self.0.store(true, SeqCst);
        }
    }
    let tell = Tell(dropped.clone());
    rt.spawn(async move {
        let _tell = tell;
        time::sleep(HOUR).await;
    });
    wait_until("the sleep is armed", || {
        rt.handle().metrics().timers_armed == 1
    });
    drop(rt);
    assert!(dropped.load(SeqCst));
}
