//! Tasks whose polls are long, time and again: those that block get a thread each, those that
//! compute share as many as there are workers.
#![cfg(target_os = "linux")]

mod common;

use std::hint::spin_loop;
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Barrier};
use std::time::{Duration, Instant};

use common::{wait_until, watchdog};
use runtime::io::Source;
use runtime::{Builder, JoinHandle, Runtime};

fn two_workers() -> Runtime {
    let mut builder = Builder::new();
    builder.max_procs(2).report_stuck(None).build().unwrap()
}

fn finish(rt: &Runtime, tasks: Vec<JoinHandle<()>>) {
    for task in tasks {
        rt.block_on(task).unwrap();
    }
}

/// A long poll.
fn compute(time: Duration) {
    let end = Instant::now() + time;
    while Instant::now() < end {
        spin_loop();
    }
}

#[test]
fn sixty_tasks_that_compute_do_not_come_to_sixty_threads() {
    let _watchdog = watchdog("sixty hogs");
    let rt = two_workers();
    let task = || {
        rt.spawn(async {
            for _ in 0..2 {
                compute(Duration::from_millis(12));
                runtime::yield_now().await;
            }
        })
    };
    let tasks = (0..60).map(|_| task()).collect();
    finish(&rt, tasks);
    // Some ten; before there was a rule, all sixty.
    let threads = rt.handle().metrics().workers.len();
    assert!(threads <= 40, "{threads} workers at a time");
}

#[test]
fn tasks_that_block_time_and_again_get_a_thread_each() {
    let _watchdog = watchdog("blocking, and again");
    let rt = two_workers();
    let all = Arc::new(Barrier::new(50));
    let task = |_| {
        let all = all.clone();
        rt.spawn(async move {
            for _ in 0..3 {
                // Nobody goes on before all are here, each on a thread of its own.
                all.wait();
                runtime::yield_now().await;
            }
        })
    };
    finish(&rt, (0..50).map(task).collect());
}

#[test]
fn tasks_that_computed_before_and_block_now_do_not_wait_for_each_other() {
    let _watchdog = watchdog("blocking after computing");
    let rt = two_workers();
    let all = Arc::new(Barrier::new(20));
    let task = |_| {
        let all = all.clone();
        rt.spawn(async move {
            compute(Duration::from_millis(15));
            runtime::yield_now().await;
            all.wait();
        })
    };
    finish(&rt, (0..20).map(task).collect());
}

#[test]
fn a_heavy_task_gets_its_turn_beside_others_that_never_end() {
    let _watchdog = watchdog("heavy among endless");
    let rt = two_workers();
    let (stop, spinning) = (
        Arc::new(AtomicBool::new(false)),
        Arc::new(AtomicUsize::new(0)),
    );
    let endless = |_| {
        let (stop, spinning) = (stop.clone(), spinning.clone());
        rt.spawn(async move {
            compute(Duration::from_millis(15));
            runtime::yield_now().await;
            spinning.fetch_add(1, SeqCst);
            while !stop.load(SeqCst) {
                spin_loop();
            }
        })
    };
    let tasks = (0..5).map(endless).collect();
    let ends = rt.spawn(async {
        for _ in 0..3 {
            compute(Duration::from_millis(15));
            runtime::yield_now().await;
        }
    });
    rt.block_on(ends).unwrap();
    wait_until("all five are in their last poll", || {
        spinning.load(SeqCst) == 5
    });
    stop.store(true, SeqCst);
    finish(&rt, tasks);
}

#[test]
fn a_socket_is_answered_while_a_hundred_tasks_block() {
    let _watchdog = watchdog("an echo beside a hundred blocked threads");
    let rt = two_workers();
    let (mut near, far) = UnixStream::pair().unwrap();
    far.set_nonblocking(true).unwrap();
    let echo = rt.spawn(async move {
        let far = Source::new(mio::net::UnixStream::from_std(far)).unwrap();
        for _ in 0..200 {
            let mut byte = [0];
            far.read_with(|mut far| far.read_exact(&mut byte))
                .await
                .unwrap();
            far.write_with(|mut far| far.write_all(&byte))
                .await
                .unwrap();
        }
    });
    let (inside, all) = (Arc::new(AtomicUsize::new(0)), Arc::new(Barrier::new(101)));
    let task = |_| {
        let (inside, all) = (inside.clone(), all.clone());
        rt.spawn(async move {
            inside.fetch_add(1, SeqCst);
            all.wait();
        })
    };
    let tasks: Vec<_> = (0..100).map(task).collect();
    let mut answer = |byte| {
        near.write_all(&[byte]).unwrap();
        let mut back = [0];
        near.read_exact(&mut back).unwrap();
        assert_eq!(back, [byte]);
    };
    // While they come, and when all are there.
    (0..100).for_each(&mut answer);
    wait_until("all hundred block", || inside.load(SeqCst) == 100);
    (100..200).for_each(&mut answer);
    all.wait();
    finish(&rt, tasks);
    rt.block_on(echo).unwrap();
}
