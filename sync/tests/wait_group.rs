//! `WaitGroup` through its public face, on 1, 2 and 8 workers.
//!
//! The first part states anew what Go's own tests of `sync.WaitGroup` check; the rest is what only
//! exists here: handles, guards, waiters that are dropped. A randomised test prints its seed when
//! it fails; `SEED=… cargo test` repeats it.
#![cfg(not(loom))]

mod support;

use std::cell::Cell;
use std::future::Future;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;
use std::{env, thread};

use runtime::Builder;
use support::times;
use sync::WaitGroup;

const NEGATIVE: &str = "sync: negative WaitGroup counter";
const REUSED: &str = "sync: WaitGroup is reused before previous Wait has returned";

/// Longer than any of these tests takes on the slowest machine: only a hang exceeds it.
const PATIENCE: Duration = Duration::from_secs(if cfg!(miri) { 36_000 } else { 300 });

/// Runs the test on runtimes of 1, 2 and 8 workers; one that hangs fails.
fn on_workers<F>(test: impl Fn(usize) -> F + Clone + Send + 'static)
where
    F: Future<Output = ()>,
{
    for &workers in support::WORKERS {
        let test = test.clone();
        let (done, finished) = mpsc::channel();
        let thread = thread::spawn(move || {
            let runtime = Builder::new().max_procs(workers).build().unwrap();
            runtime.block_on(test(workers));
            let _ = done.send(());
        });
        match finished.recv_timeout(PATIENCE) {
            Err(mpsc::RecvTimeoutError::Timeout) => panic!("hangs on {workers} workers"),
            _ => thread
                .join()
                .unwrap_or_else(|panic| std::panic::resume_unwind(panic)),
        }
    }
}

fn message_of<R>(f: impl FnOnce() -> R) -> String {
    let payload = catch_unwind(AssertUnwindSafe(|| drop(f()))).expect_err("it panics");
    match payload.downcast::<String>() {
        Ok(text) => *text,
        Err(payload) => payload.downcast::<&str>().unwrap().to_string(),
    }
}

/// One poll by hand, with a waker that nobody listens to.
fn is_ready(future: Pin<&mut impl Future<Output = ()>>) -> bool {
    future.poll(&mut Context::from_waker(Waker::noop())) == Poll::Ready(())
}

// What Go tests.

/// Go: TestWaitGroup. Two groups are two barriers; the same two serve every round.
#[test]
fn two_groups_are_barriers_round_after_round() {
    on_workers(|_| async {
        let (first, second) = (WaitGroup::new(), WaitGroup::new());
        for _ in 0..times(8) {
            one_round_of_barriers(&first, &second).await;
        }
    });
}

async fn one_round_of_barriers(first: &WaitGroup, second: &WaitGroup) {
    const TASKS: usize = if cfg!(miri) { 4 } else { 16 };
    first.add(TASKS);
    second.add(TASKS);
    let exited = Arc::new(AtomicUsize::new(0));
    let tasks: Vec<_> = (0..TASKS)
        .map(|_| {
            let (first, second, exited) = (first.clone(), second.clone(), exited.clone());
            runtime::spawn(async move {
                first.done();
                second.wait().await;
                exited.fetch_add(1, Ordering::Relaxed);
            })
        })
        .collect();
    first.wait().await;
    for _ in 0..TASKS {
        assert_eq!(exited.load(Ordering::Relaxed), 0, "released too soon");
        second.done();
    }
    for task in tasks {
        task.await.unwrap();
    }
    assert_eq!(exited.load(Ordering::Relaxed), TASKS);
}

/// Go: TestWaitGroupMisuse.
#[test]
fn one_done_too_many_panics_in_go_s_words_and_changes_nothing() {
    let group = WaitGroup::new();
    group.add(1);
    group.done();
    assert!(message_of(|| group.done()).starts_with(NEGATIVE));
    assert!(is_ready(pin!(group.wait())), "the counter is zero still");
    group.add(1);
    assert!(!is_ready(pin!(group.wait())), "and can be used");
}

/// Go: TestWaitGroupRace.
#[test]
fn wait_never_returns_before_the_last_done() {
    on_workers(|_| async {
        for _ in 0..times(1_000) {
            let group = WaitGroup::new();
            let count = Arc::new(AtomicU32::new(0));
            for _ in 0..2 {
                group.add(1);
                let (group, count) = (group.clone(), count.clone());
                runtime::spawn(async move {
                    count.fetch_add(1, Ordering::Relaxed);
                    group.done();
                });
            }
            group.wait().await;
            assert_eq!(
                count.load(Ordering::Relaxed),
                2,
                "relaxed is enough: `wait` orders it"
            );
        }
    });
}

/// Go: TestWaitGroupGo.
#[test]
fn spawn_counts_the_task_until_it_ends() {
    on_workers(|_| async {
        let group = WaitGroup::new();
        let ran = Arc::new(AtomicBool::new(false));
        let theirs = ran.clone();
        group.spawn(async move {
            runtime::yield_now().await;
            theirs.store(true, Ordering::Relaxed);
        });
        group.wait().await;
        assert!(ran.load(Ordering::Relaxed));
    });
}

/// Go: TestIssue76126, where the program must die before `Wait` returns. Here the panic belongs to
/// the handle.
#[test]
fn a_task_that_panics_is_done_and_its_handle_says_so() {
    on_workers(|_| async {
        let group = WaitGroup::new();
        let handle = group.spawn(async {
            runtime::yield_now().await;
            panic!("on purpose");
        });
        group.wait().await;
        assert!(handle.await.unwrap_err().is_panic());
    });
}

/// Go: the third of its panics, which none of its tests provokes.
#[test]
fn a_waiter_that_finds_the_group_in_use_again_panics_in_go_s_words() {
    let group = WaitGroup::new();
    group.add(1);
    let mut wait = pin!(group.wait());
    assert!(!is_ready(wait.as_mut()));
    group.done();
    group.add(1);
    assert!(message_of(|| is_ready(wait.as_mut())).starts_with(REUSED));
    group.done();
}

// What is only here.

#[test]
fn wait_at_zero_returns_at_once() {
    let group = WaitGroup::new();
    assert!(is_ready(pin!(group.wait())));
    group.add(0);
    assert!(is_ready(pin!(group.wait())));
    group.add(3);
    (0..3).for_each(|_| group.done());
    assert!(is_ready(pin!(group.wait())));
    group.blocking_wait();
}

#[test]
fn clones_count_together() {
    let group = WaitGroup::new();
    let clone = group.clone();
    clone.add(1);
    assert!(!is_ready(pin!(group.wait())));
    drop(clone);
    assert!(
        !is_ready(pin!(group.wait())),
        "dropping a clone is not `done`"
    );
    group.done();
    assert!(is_ready(pin!(group.wait())));
}

#[test]
fn a_counter_that_would_overflow_is_refused_and_kept() {
    let group = WaitGroup::new();
    group.add(i32::MAX as usize);
    for n in [1, i32::MAX as usize, u32::MAX as usize, usize::MAX] {
        assert!(message_of(|| group.add(n)).contains("counter overflow"));
    }
    assert!(message_of(|| group.guard()).contains("counter overflow"));
    assert_eq!(
        format!("{group:?}"),
        "WaitGroup { counter: 2147483647, waiters: 0 }"
    );
}

/// A waker that writes its number down.
struct Numbered(usize, Arc<Mutex<Vec<usize>>>);

impl Wake for Numbered {
    fn wake(self: Arc<Self>) {
        self.1.lock().unwrap().push(self.0);
    }
}

#[test]
fn waiters_are_woken_once_each_in_the_order_in_which_they_came() {
    /// More than are woken under one lock.
    const WAITERS: usize = 100;
    let group = WaitGroup::new();
    group.add(1);
    let order = Arc::new(Mutex::new(Vec::new()));
    let mut waits: Vec<_> = (0..WAITERS).map(|_| Box::pin(group.wait())).collect();
    for (number, wait) in waits.iter_mut().enumerate() {
        let waker = Waker::from(Arc::new(Numbered(number, order.clone())));
        assert!(
            wait.as_mut()
                .poll(&mut Context::from_waker(&waker))
                .is_pending()
        );
    }
    group.done();
    assert_eq!(*order.lock().unwrap(), Vec::from_iter(0..WAITERS));
    assert!(waits.iter_mut().all(|wait| is_ready(wait.as_mut())));
}

#[test]
fn a_task_counts_as_done_when_it_is_aborted_started_or_not() {
    on_workers(|_| async {
        let group = WaitGroup::new();
        let started = Arc::new(AtomicBool::new(false));
        let theirs = started.clone();
        let running = group.spawn(async move {
            theirs.store(true, Ordering::Relaxed);
            std::future::pending::<()>().await;
        });
        while !started.load(Ordering::Relaxed) {
            runtime::yield_now().await;
        }
        running.abort();
        group.spawn(std::future::pending::<()>()).abort();
        group.wait().await;
        assert!(running.await.unwrap_err().is_cancelled());
    });
}

#[test]
fn what_a_task_owns_is_dropped_before_it_counts_as_done() {
    struct Slow(Arc<AtomicBool>);
    impl Drop for Slow {
        fn drop(&mut self) {
            thread::yield_now();
            self.0.store(true, Ordering::Relaxed);
        }
    }
    on_workers(|_| async {
        for _ in 0..times(100) {
            let group = WaitGroup::new();
            let dropped = Arc::new(AtomicBool::new(false));
            let owned = Slow(dropped.clone());
            group.spawn(async move {
                let _owned = &owned;
                runtime::yield_now().await;
            });
            group.wait().await;
            assert!(dropped.load(Ordering::Relaxed));
        }
    });
}

#[test]
fn a_guard_is_done_when_dropped_also_by_a_panic() {
    let group = WaitGroup::new();
    let guard = group.guard();
    assert!(!is_ready(pin!(group.wait())));
    drop(guard);
    assert!(is_ready(pin!(group.wait())));
    let guard = group.guard();
    message_of(|| {
        let _guard = guard;
        panic!("on purpose");
    });
    assert!(is_ready(pin!(group.wait())));
}

#[test]
fn a_guard_whose_done_was_taken_panics_but_never_twice() {
    let group = WaitGroup::new();
    let guard = group.guard();
    group.done();
    assert!(message_of(|| drop(guard)).starts_with(NEGATIVE));
    let guard = group.guard();
    group.done();
    let text = message_of(|| {
        let _guard = guard;
        panic!("the first panic");
    });
    assert_eq!(text, "the first panic");
}

#[test]
fn a_spawn_outside_any_runtime_leaves_the_counter_as_it_was() {
    let group = WaitGroup::new();
    message_of(|| group.spawn(async {}));
    assert!(is_ready(pin!(group.wait())));
}

#[test]
fn threads_wait_and_are_waited_for() {
    let group = WaitGroup::new();
    group.add(4);
    let (returned, waited) = mpsc::channel();
    let waiter = {
        let group = group.clone();
        thread::spawn(move || {
            group.blocking_wait();
            returned.send(()).unwrap();
        })
    };
    for _ in 0..3 {
        let group = group.clone();
        thread::spawn(move || group.done()).join().unwrap();
    }
    assert!(waited.try_recv().is_err(), "one is missing");
    group.done();
    waited.recv_timeout(PATIENCE).expect("the thread is woken");
    waiter.join().unwrap();
}

#[test]
fn blocking_a_worker_is_refused_with_the_cure() {
    on_workers(|_| async {
        let task = runtime::spawn(async { WaitGroup::new().blocking_wait() });
        let text = *task
            .await
            .unwrap_err()
            .into_panic()
            .downcast::<String>()
            .unwrap();
        assert!(
            text.starts_with("WaitGroup::blocking_wait called inside a task"),
            "{text}"
        );
        assert!(text.contains("wait().await"), "{text}");
    });
}

#[test]
fn a_waiter_that_is_dropped_is_forgotten() {
    let group = WaitGroup::new();
    group.add(1);
    let mut stays = pin!(group.wait());
    {
        let mut leaves = pin!(group.wait());
        assert!(!is_ready(leaves.as_mut()) && !is_ready(stays.as_mut()));
        assert_eq!(format!("{group:?}"), "WaitGroup { counter: 1, waiters: 2 }");
    }
    assert_eq!(format!("{group:?}"), "WaitGroup { counter: 1, waiters: 1 }");
    group.done();
    assert!(is_ready(stays));
}

#[test]
fn a_task_that_always_finds_zero_still_lets_others_run() {
    on_workers(|_| async {
        let (group, stop) = (WaitGroup::new(), Arc::new(AtomicBool::new(false)));
        let theirs = stop.clone();
        let spinner = runtime::spawn(async move {
            while !theirs.load(Ordering::Relaxed) {
                group.wait().await;
            }
        });
        let stopper = runtime::spawn(async move { stop.store(true, Ordering::Relaxed) });
        stopper.await.unwrap();
        spinner.await.unwrap();
    });
}

#[test]
fn many_tasks_count_down_one_group() {
    on_workers(|_| async {
        let group = WaitGroup::new();
        let sum = Arc::new(AtomicUsize::new(0));
        const MANY: usize = if cfg!(miri) { 50 } else { 50_000 };
        for n in 0..MANY {
            let sum = sum.clone();
            group.spawn(async move {
                sum.fetch_add(n, Ordering::Relaxed);
            });
        }
        group.wait().await;
        assert_eq!(sum.load(Ordering::Relaxed), MANY * (MANY - 1) / 2);
    });
}

#[test]
fn futures_can_move_between_threads() {
    fn send_and_sync<T: Send + Sync>(_: &T) {}
    let group = WaitGroup::new();
    send_and_sync(&group);
    send_and_sync(&group.wait());
    send_and_sync(&group.guard());
}

/// In every round some tasks wait, and some of those give up after a random number of polls, while
/// others count down. Who stays must return, and only once all are done.
#[test]
fn random_cancellation_loses_no_waiter() {
    let seed = Seed::choose();
    on_workers(move |workers| async move {
        let random = seed.random(workers as u64);
        for _ in 0..times(300) {
            let group = WaitGroup::new();
            random_round(&group, &random).await;
            assert_eq!(format!("{group:?}"), "WaitGroup { counter: 0, waiters: 0 }");
        }
    });
}

async fn random_round(group: &WaitGroup, random: &Random) {
    let workers = 1 + random.below(4);
    let finished = Arc::new(AtomicUsize::new(0));
    group.add(workers);
    let mut tasks = Vec::new();
    for _ in 0..workers {
        let (group, finished, yields) = (group.clone(), finished.clone(), random.below(6));
        tasks.push(runtime::spawn(async move {
            pause(yields).await;
            finished.fetch_add(1, Ordering::Relaxed);
            group.done();
        }));
    }
    for _ in 0..random.below(if cfg!(miri) { 5 } else { 50 }) {
        let (group, finished, before) = (group.clone(), finished.clone(), random.below(3));
        let polls = if random.below(2) == 0 {
            usize::MAX
        } else {
            random.below(5)
        };
        tasks.push(runtime::spawn(async move {
            pause(before).await;
            let returned = give_up_after(polls, group.wait()).await;
            assert!(returned || polls != usize::MAX);
            assert!(
                !returned || finished.load(Ordering::Relaxed) == workers,
                "returned too soon"
            );
        }));
    }
    for task in tasks {
        task.await.unwrap();
    }
}

async fn pause(yields: usize) {
    for _ in 0..yields {
        runtime::yield_now().await;
    }
}

/// Polls again and again, whether woken or not, and drops the future after so many polls;
/// `usize::MAX` leaves it to the waker.
async fn give_up_after(polls: usize, wait: sync::Wait<'_>) -> bool {
    let mut wait = pin!(wait);
    let mut left = polls;
    std::future::poll_fn(|cx| {
        if left == 0 {
            return Poll::Ready(false);
        }
        if polls != usize::MAX {
            left -= 1;
            cx.waker().wake_by_ref();
        }
        wait.as_mut().poll(cx).map(|()| true)
    })
    .await
}

/// The seed of a randomised test, printed if the test panics.
#[derive(Clone, Copy)]
struct Seed(u64);

impl Seed {
    fn choose() -> Self {
        let given = env::var("SEED")
            .ok()
            .map(|text| text.parse().expect("SEED is a number"));
        // Random keys of std's, which follow from Miri's own seed there; it has no clock that tells
        // the date.
        let seed = given.unwrap_or_else(|| RandomState::new().build_hasher().finish());
        Self(seed)
    }

    fn random(&self, stream: u64) -> Random {
        Random {
            seed: self.0,
            state: Cell::new((self.0 ^ (stream << 32)) | 1),
        }
    }
}

struct Random {
    seed: u64,
    /// Never zero.
    state: Cell<u64>,
}

impl Random {
    /// xorshift64*.
    fn below(&self, limit: usize) -> usize {
        let mut x = self.state.get();
        x ^= x >> 12;
        x ^= x << 25;
        x ^= x >> 27;
        self.state.set(x);
        (x.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) as usize % limit
    }
}

impl Drop for Random {
    fn drop(&mut self) {
        if thread::panicking() {
            eprintln!("repeat with SEED={}", self.seed);
        }
    }
}
