//! A dropped runtime leaves no thread and no descriptor. One test alone in its process, since it counts what the process has.

mod common;

use std::fs;
use std::future::{pending, poll_fn};
use std::task::{Poll, Waker};
use std::time::Duration;

use common::{runtime, watchdog};

/// Threads and descriptors of this process. (Reading a directory opens one: the same each time.)
fn owned() -> (usize, usize) {
    let count = |path| fs::read_dir(path).unwrap().count();
    (count("/proc/self/task"), count("/proc/self/fd"))
}

#[test]
fn a_dropped_runtime_leaves_no_thread_and_no_descriptor() {
    let _watchdog = watchdog("runtimes come and go");
    // Whatever is made once for the process.
    drop(runtime(2));
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
        assert_eq!(
            owned(),
            before,
            "after round {round}: (threads, descriptors)"
        );
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
    assert_eq!(
        owned(),
        before,
        "after idle pool threads: (threads, descriptors)"
    );
    // What outlives a runtime keeps nothing of it open: handles, and wakers of its tasks.
    let mut wakers = Vec::new();
    let rt = runtime(2);
    let handle = rt.handle().clone();
    for _ in 0..10 {
        let waker = rt.block_on(rt.spawn(poll_fn(|cx| Poll::Ready(cx.waker().clone()))));
        wakers.push(waker.unwrap());
    }
    drop(rt);
    assert_eq!(
        owned(),
        before,
        "while a handle and wakers live: (threads, descriptors)"
    );
    wakers.into_iter().for_each(Waker::wake);
    assert!(handle.block_on(handle.spawn(async {})).is_err());
    assert_eq!(
        owned(),
        before,
        "after they were used: (threads, descriptors)"
    );
}
