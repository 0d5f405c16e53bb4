//! Nobody starves: not by two tasks that wake each other, not by one that always finds its
//! operations ready.
//!
//! That is the workers' own doing, but for the last test: the monitor, which would put another
//! worker beside one that is in a poll for too long, does nothing here.

mod common;

use std::env;
use std::future::{Future, pending, poll_fn};
use std::io::{ErrorKind, Read, Write};
use std::os::unix::net::UnixStream;
use std::pin::Pin;
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex, mpsc};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use common::{runtime, undisturbed, watchdog};
use futures_util::future::join_all;
use runtime::io::{Direction, Source};
use runtime::task::{JoinSet, coop};
use runtime::{JoinHandle, Runtime, time};

/// Two tasks that wake each other for ever, so that run-next is never empty; until this is dropped.
struct PingPong(Arc<AtomicBool>);

impl PingPong {
    fn start(rt: &Runtime) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let wakers: Arc<Mutex<[Option<Waker>; 2]>> = Arc::default();
        for me in 0..2 {
            let (stop, wakers) = (stop.clone(), wakers.clone());
            rt.spawn(poll_fn(move |cx| {
                if stop.load(SeqCst) {
                    return Poll::Ready(());
                }
                let mut wakers = wakers.lock().unwrap();
                wakers[me] = Some(cx.waker().clone());
                let other = wakers[1 - me].take();
                drop(wakers);
                match other {
                    Some(other) => other.wake(),
                    None => cx.waker().wake_by_ref(),
                }
                Poll::Pending
            }));
        }
        Self(stop)
    }
}

impl Drop for PingPong {
    fn drop(&mut self) {
        self.0.store(true, SeqCst);
    }
}

#[test]
fn a_pair_that_wakes_each_other_does_not_starve_a_third_task() {
    let _watchdog = watchdog("a third task in the same queue");
    let rt = undisturbed(1);
    let _pair = PingPong::start(&rt);
    // Spawned by a task of the worker itself, into its own queue.
    let third = rt.spawn(async {
        let inner = runtime::spawn(async {
            for _ in 0..100 {
                runtime::yield_now().await;
            }
        });
        inner.await.unwrap();
    });
    rt.block_on(third).unwrap();
}

#[test]
fn a_pair_that_wakes_each_other_does_not_starve_the_shared_queue() {
    let _watchdog = watchdog("spawns from outside");
    let rt = undisturbed(1);
    let _pair = PingPong::start(&rt);
    for i in 0..100 {
        assert_eq!(rt.block_on(rt.spawn(async move { i })).unwrap(), i);
    }
}

#[test]
fn a_pair_that_wakes_each_other_does_not_starve_a_timer() {
    let _watchdog = watchdog("a timer");
    let rt = undisturbed(1);
    let _pair = PingPong::start(&rt);
    for _ in 0..20 {
        let nap = runtime::time::sleep(Duration::from_millis(1));
        rt.block_on(rt.spawn(nap)).unwrap();
    }
}

#[test]
fn a_pair_that_wakes_each_other_does_not_starve_the_reactor() {
    let _watchdog = watchdog("a socket");
    let rt = undisturbed(1);
    let _pair = PingPong::start(&rt);
    let (mut near, far) = UnixStream::pair().unwrap();
    far.set_nonblocking(true).unwrap();
    let (tell, told) = mpsc::channel();
    let reader = rt.spawn(async move {
        let far = Source::new(mio::net::UnixStream::from_std(far)).unwrap();
        // Taken for ready until a call says otherwise.
        let nothing = far.try_io(Direction::Read, |mut far| far.read(&mut [0]));
        assert_eq!(nothing.unwrap_err().kind(), ErrorKind::WouldBlock);
        tell.send(()).unwrap();
        far.read_with(|mut far| far.read(&mut [0])).await.unwrap()
    });
    told.recv().unwrap();
    near.write_all(b"x").unwrap();
    assert_eq!(rt.block_on(reader).unwrap(), 1);
}

#[test]
fn a_task_that_yields_lets_all_others_go_first() {
    let _watchdog = watchdog("a yield");
    let rt = undisturbed(1);
    rt.block_on(rt.spawn(async {
        let ran = Arc::new(AtomicUsize::new(0));
        for _ in 0..50 {
            let ran = ran.clone();
            runtime::spawn(async move { ran.fetch_add(1, SeqCst) });
        }
        runtime::yield_now().await;
        assert_eq!(ran.load(SeqCst), 50);
    }))
    .unwrap();
}

#[test]
fn a_task_whose_operations_are_always_ready_yields() {
    let _watchdog = watchdog("a task that never waits");
    let rt = undisturbed(1);
    let stop = Arc::new(AtomicBool::new(false));
    let stops = stop.clone();
    let greedy = rt.spawn(async move {
        while !stops.load(SeqCst) {
            coop::consume_budget().await;
        }
    });
    rt.block_on(rt.spawn(async move { stop.store(true, SeqCst) }))
        .unwrap();
    rt.block_on(greedy).unwrap();
}

/// Does an operation that is always ready again and again, until another task has had its turn.
macro_rules! lets_others_run {
    ($operation:expr) => {{
        let turn = Arc::new(AtomicBool::new(false));
        let theirs = turn.clone();
        runtime::spawn(async move { theirs.store(true, SeqCst) });
        // Far oftener than any budget allows.
        for _ in 0..1_000 {
            if turn.load(SeqCst) {
                break;
            }
            let _ = $operation.await;
        }
        assert!(turn.load(SeqCst), "{}", stringify!($operation));
    }};
}

#[test]
fn an_operation_that_is_always_ready_lets_others_run() {
    let _watchdog = watchdog("operations that never wait");
    let rt = undisturbed(1);
    let task = rt.spawn(async {
        lets_others_run!(coop::consume_budget());
        lets_others_run!(time::sleep(Duration::ZERO));
        lets_others_run!(time::timeout(Duration::ZERO, pending::<()>()));
        lets_others_run!(time::timeout_at(time::Instant::now(), pending::<()>()));
        // Each has ended before its handle is awaited.
        let mut ended: Vec<_> = (0..1_000).map(|_| runtime::spawn(async {})).collect();
        while !ended.iter().all(JoinHandle::is_finished) {
            runtime::yield_now().await;
        }
        lets_others_run!(ended.pop().unwrap());
        let mut set = JoinSet::new();
        for _ in 0..1_000 {
            set.spawn(async {});
        }
        while runtime::num_tasks() > 1 {
            runtime::yield_now().await;
        }
        lets_others_run!(set.join_next());
        let (mut near, far) = UnixStream::pair().unwrap();
        far.set_nonblocking(true).unwrap();
        let far = Source::new(mio::net::UnixStream::from_std(far)).unwrap();
        near.write_all(b"x").unwrap();
        lets_others_run!(far.readable());
    });
    rt.block_on(task).unwrap();
}

#[test]
fn an_unconstrained_task_is_not_interrupted() {
    let _watchdog = watchdog("unconstrained");
    let rt = undisturbed(1);
    let polls = Arc::new(AtomicUsize::new(0));
    let counts = polls.clone();
    let mut inner = Box::pin(coop::unconstrained(async {
        for _ in 0..10_000 {
            coop::consume_budget().await;
        }
    }));
    rt.block_on(rt.spawn(poll_fn(move |cx| {
        counts.fetch_add(1, SeqCst);
        inner.as_mut().poll(cx)
    })))
    .unwrap();
    assert_eq!(polls.load(SeqCst), 1);
}

/// Set in the process in which all runs again without a monitor.
const INSIDE: &str = "WEFTLINE_FAIRNESS_INSIDE";

/// The monitor also fires timers, and looks at the reactor, that a worker has forgotten: so all of
/// this once more without one.
#[test]
fn it_is_the_workers_own_doing() {
    if env::var_os(INSIDE).is_some() {
        return;
    }
    let output = Command::new(env::current_exe().unwrap())
        .env(INSIDE, "1")
        .env("RUNTIME_DEBUG", "monitor=0")
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
}

/// Counts the polls of a future.
struct Counted<F>(Pin<Box<F>>, Arc<AtomicUsize>);

impl<F: Future> Future for Counted<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        self.1.fetch_add(1, SeqCst);
        self.0.as_mut().poll(cx)
    }
}

#[test]
fn join_all_of_many_ready_futures_polls_each_a_few_times_only() {
    const MANY: usize = 10_000;
    let _watchdog = watchdog("join_all");
    let rt = runtime(2);
    let polls = Arc::new(AtomicUsize::new(0));
    let counts = polls.clone();
    let all = rt.spawn(async move {
        let futures = (0..MANY).map(|_| Counted(Box::pin(coop::consume_budget()), counts.clone()));
        join_all(futures).await.len()
    });
    assert_eq!(rt.block_on(all).unwrap(), MANY);
    // A poll of the whole has budget for 128. Each time it runs out a few are polled in vain; a
    // rerun of all would be 80 polls each.
    let polls = polls.load(SeqCst);
    assert!(polls < 3 * MANY, "{polls} polls for {MANY} futures");
}

/// The monitor's doing: a task that computes between its operations is asked to yield at the next
/// one when its slice is over, long before it has used its budget up.
#[test]
fn a_task_that_computes_yields_at_its_next_operation_after_a_slice() {
    const BUDGET: usize = 128;
    if env::var_os(INSIDE).is_some() {
        return;
    }
    let _watchdog = watchdog("a task that is never asked to yield");
    let rt = runtime(1);
    let task = rt.spawn(async {
        loop {
            let mut operations = 0;
            poll_fn(|cx| {
                while let Poll::Ready(proceed) = coop::poll_proceed(cx) {
                    proceed.made_progress();
                    operations += 1;
                    let begin = std::time::Instant::now();
                    while begin.elapsed() < Duration::from_millis(5) {
                        std::hint::spin_loop();
                    }
                }
                Poll::Ready(())
            })
            .await;
            runtime::yield_now().await;
            if operations < BUDGET / 2 {
                break;
            }
        }
    });
    rt.block_on(task).unwrap();
}
