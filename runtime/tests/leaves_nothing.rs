//! A dropped runtime leaves no thread and no descriptor. One test alone in its process, since it
//! counts what the process has.

mod common;

use std::fs;
use std::future::{pending, poll_fn};
use std::task::{Poll, Waker};
use std::time::Duration;

use common::{runtime, wait_until, watchdog};

/// Threads and descriptors of this process. (Reading a directory opens one: the same each time.)
fn owned() -> (usize, usize) {
    let count = |path| fs::read_dir(path).unwrap().count();
    (count("/proc/self/task"), count("/proc/self/fd"))
}

/// The system lists a thread for a moment after it has been joined.
#[track_caller]
fn owns_again(before: (usize, usize), when: &str) {
    wait_until(
        &format!(
            "{when} it has (threads, descriptors) {before:?}, now {:?}",
            owned()
        ),
        || owned() == before,
    );
}

#[test]
fn a_dropped_runtime_leaves_no_thread_and_no_descriptor() {
    let _watchdog = watchdog("runtimes come and go");
    // Whatever is made once for the process.
    let (threads, _) = owned();
    drop(runtime(2));
    wait_until("no thread of the first one is left", || {
        owned().0 == threads
    });
    let before = owned();
    for round in 0..50 {
        let rt = runtime(1 + round % 4);
        for _ in 0..10 {
            rt.spawn(pending::<()>());
            rt.spawn(runtime::time::sleep(Duration::from_secs(1000)));
            rt.spawn_blocking(|| ());
        }
        let mine = rt.spawn_blocking(|| 3);
        assert_eq!(rt.block_on(mine).unwrap(), 3);
        if round % 2 == 0 {
            drop(rt);
        } else {
            assert!(rt.shutdown(Duration::from_secs(50)));
        }
        owns_again(before, &format!("after round {round}"));
    }
    // Pool threads that ended long before the runtime does.
    let rt = runtime::Builder::new()
        .max_procs(1)
        .blocking_keep_alive(Duration::ZERO)
        .build()
        .unwrap();
    for _ in 0..100 {
        rt.block_on(rt.spawn_blocking(|| ())).unwrap();
    }
    drop(rt);
    owns_again(before, "after idle pool threads");
    // What outlives a runtime keeps nothing of it open: handles, and wakers of its tasks.
    let mut wakers = Vec::new();
    let rt = runtime(2);
    let handle = rt.handle().clone();
    for _ in 0..10 {
        let waker = rt.block_on(rt.spawn(poll_fn(|cx| Poll::Ready(cx.waker().clone()))));
        wakers.push(waker.unwrap());
    }
    drop(rt);
    owns_again(before, "while a handle and wakers live");
    wakers.into_iter().for_each(Waker::wake);
    assert!(handle.block_on(handle.spawn(async {})).is_err());
    owns_again(before, "after they were used");
}
