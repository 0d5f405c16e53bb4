//! Worker threads come when others are stuck, up to a bound, and go when they are not needed.
#![cfg(target_os = "linux")]

mod common;

use std::env;
use std::fs;
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::mpsc;
use std::sync::{Arc, Barrier, Mutex};
use std::thread;
use std::time::Duration;

use common::{wait_until, watchdog};
use runtime::{Builder, JoinHandle, Runtime};

/// A runtime whose threads can be told from those of other tests.
fn named(name: &str, workers: usize) -> Builder {
    let mut builder = Builder::new();
    builder
        .max_procs(workers)
        .thread_name(name)
        .report_stuck(None);
    builder
}

/// The system's threads with such a name: workers and the monitor.
fn threads(name: &str) -> usize {
    let tasks = fs::read_dir("/proc/self/task").unwrap();
    let comms = tasks.filter_map(|task| fs::read_to_string(task.ok()?.path().join("comm")).ok());
    comms.filter(|comm| comm.starts_with(name)).count()
}

/// Tasks that block their threads until all are there.
fn block_at_once(rt: &Runtime, tasks: usize) -> Vec<JoinHandle<()>> {
    let all = Arc::new(Barrier::new(tasks));
    let task = || {
        let all = all.clone();
        rt.spawn(async move {
            all.wait();
        })
    };
    (0..tasks).map(|_| task()).collect()
}

fn finish(rt: &Runtime, tasks: Vec<JoinHandle<()>>) {
    for task in tasks {
        rt.block_on(task).unwrap();
    }
}

#[test]
fn a_hundred_blocking_tasks_leave_no_thread_behind() {
    let _watchdog = watchdog("a hundred spares end");
    let rt = named("hu", 2).build().unwrap();
    wait_until("two workers and the monitor", || threads("hu-") == 3);
    finish(&rt, block_at_once(&rt, 100));
    assert!(rt.handle().metrics().workers.len() >= 100);
    wait_until("the spares end", || threads("hu-") == 3);
    wait_until("and are counted out", || rt.handle().metrics().spares == 0);
    // And again, in the same slots.
    let slots = rt.handle().metrics().workers.len();
    finish(&rt, block_at_once(&rt, 100));
    wait_until("the spares end again", || threads("hu-") == 3);
    // Some more, if the machine holds workers up that are not blocked; a hundred more, if none were
    // used again.
    assert!(rt.handle().metrics().workers.len() < slots + 50);
}

#[test]
fn a_spare_that_fell_asleep_while_it_was_needed_ends_afterwards() {
    let _watchdog = watchdog("a spare that sleeps ends");
    let rt = named("sl", 1).build().unwrap();
    let (release, stuck) = mpsc::channel::<()>();
    let (begin, begun) = mpsc::channel();
    let task = rt.spawn(async move {
        begin.send(()).unwrap();
        let _ = stuck.recv();
    });
    begun.recv().unwrap();
    rt.block_on(rt.spawn(async {})).unwrap();
    wait_until("the spare is through with it, and sleeps", || {
        let metrics = rt.handle().metrics();
        metrics.workers[1].parks > 0 && metrics.workers_running == 0
    });
    drop(release);
    rt.block_on(task).unwrap();
    wait_until("the spare ends", || threads("sl-") == 2);
}

#[test]
fn timers_of_threads_that_have_ended_fire() {
    let _watchdog = watchdog("timers without an owner");
    let rt = named("or", 1).build().unwrap();
    let all = Arc::new(Barrier::new(10));
    let tasks: Vec<_> = (0..10_u64)
        .map(|i| {
            let all = all.clone();
            rt.spawn(async move {
                all.wait();
                // Armed on a spare, and so far away that the spare is gone by then, unless the
                // machine is very slow.
                runtime::time::sleep(Duration::from_millis(2500 + 10 * i)).await;
            })
        })
        .collect();
    finish(&rt, tasks);
    wait_until("the spares end", || threads("or-") == 2);
}

#[test]
fn a_runtime_that_ends_while_spares_retire_leaves_nothing() {
    let _watchdog = watchdog("the end among other ends");
    for round in 0..8 {
        let rt = named("en", 2).build().unwrap();
        finish(&rt, block_at_once(&rt, 20));
        // About when they end.
        thread::sleep(Duration::from_millis(980 + 5 * round));
        drop(rt);
        // The system lists a thread for a moment after it has been joined.
        wait_until("no thread is left", || threads("en-") == 0);
    }
}

#[test]
fn fewer_procs_need_fewer_threads() {
    let _watchdog = watchdog("set_max_procs down");
    let rt = named("fw", 8).build().unwrap();
    wait_until("eight workers and the monitor", || threads("fw-") == 9);
    rt.handle().set_max_procs(1);
    wait_until("one worker and the monitor", || threads("fw-") == 2);
    assert_eq!(rt.block_on(rt.spawn(async { 7 })).unwrap(), 7);
    rt.handle().set_max_procs(3);
    // Tasks that need three at a time: they meet.
    finish(&rt, block_at_once(&rt, 3));
    wait_until("three workers and the monitor", || threads("fw-") <= 4);
}

#[test]
fn tasks_wait_where_no_thread_may_be_added_and_go_on_afterwards() {
    let _watchdog = watchdog("max_threads is reached");
    let rt = named("bo", 2).max_threads(4).build().unwrap();
    let (release, hold) = mpsc::channel::<()>();
    let hold = Arc::new(Mutex::new(hold));
    let blocked = Arc::new(AtomicUsize::new(0));
    let tasks: Vec<_> = (0..6)
        .map(|_| {
            let (hold, blocked) = (hold.clone(), blocked.clone());
            rt.spawn(async move {
                blocked.fetch_add(1, SeqCst);
                let _ = hold.lock().map(|hold| hold.recv());
            })
        })
        .collect();
    wait_until("it is counted", || {
        rt.handle().metrics().threads_exhausted >= 1
    });
    // The fourth may be on its way to its task when a fifth is asked for.
    wait_until("all four are blocked", || blocked.load(SeqCst) >= 4);
    assert_eq!(blocked.load(SeqCst), 4, "no more threads than allowed");
    drop(release);
    finish(&rt, tasks);
    wait_until("two of them end", || threads("bo-") == 3);
}

#[test]
fn the_bound_is_said_once() {
    const INSIDE: &str = "WEFTLINE_BOUND_INSIDE";
    let _watchdog = watchdog("a process that reaches the bound");
    if env::var_os(INSIDE).is_some() {
        let rt = named("sa", 1).max_threads(2).build().unwrap();
        for round in 1..=3 {
            let (release, hold) = mpsc::channel::<()>();
            let hold = Arc::new(Mutex::new(hold));
            let task = || {
                let hold = hold.clone();
                rt.spawn(async move {
                    let _ = hold.lock().map(|hold| hold.recv());
                })
            };
            let tasks = vec![task(), task(), task()];
            wait_until("it is counted", || {
                rt.handle().metrics().threads_exhausted >= round
            });
            drop(release);
            finish(&rt, tasks);
        }
        return;
    }
    let output = Command::new(env::current_exe().unwrap())
        .args(["--exact", "the_bound_is_said_once", "--nocapture"])
        .env(INSIDE, "1")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    assert_eq!(said.matches("Builder::max_threads").count(), 1, "{said}");
}
