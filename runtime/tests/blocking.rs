//! The pool for blocking jobs: its bound, its threads' end, aborts, panics.

mod common;

use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Barrier, mpsc};
use std::time::Duration;

use common::{runtime, wait_until, watchdog};
use runtime::{Builder, Runtime};

fn with_threads(threads: usize, keep_alive: Duration) -> Runtime {
    Builder::new()
        .max_procs(1)
        .max_blocking_threads(threads)
        .blocking_keep_alive(keep_alive)
        .build()
        .unwrap()
}

#[test]
fn as_many_jobs_as_allowed_run_at_once_and_no_more() {
    let _watchdog = watchdog("a pool of three");
    let rt = with_threads(3, Duration::from_secs(10));
    let (running, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    // The first three meet, so that there are three threads; the rest can then only wait for them.
    let meet = Arc::new(Barrier::new(3));
    let jobs: Vec<_> = (0..60)
        .map(|i| {
            let (running, most, meet) = (running.clone(), most.clone(), meet.clone());
            rt.spawn_blocking(move || {
                most.fetch_max(running.fetch_add(1, SeqCst) + 1, SeqCst);
                if i < 3 {
                    meet.wait();
                }
                running.fetch_sub(1, SeqCst);
                i
            })
        })
        .collect();
    for (i, job) in jobs.into_iter().enumerate() {
        assert_eq!(rt.block_on(job).unwrap(), i);
    }
    assert_eq!(most.load(SeqCst), 3);
}

#[test]
fn no_job_is_lost_to_a_thread_that_has_just_ended() {
    let _watchdog = watchdog("jobs against the end of the keep-alive");
    // Each job comes about when the thread of the one before gives up waiting.
    let rt = with_threads(1, Duration::from_micros(50));
    for i in 0..3000_u64 {
        assert_eq!(rt.block_on(rt.spawn_blocking(move || i)).unwrap(), i);
        let pause = std::time::Instant::now() + Duration::from_micros(i % 100);
        while std::time::Instant::now() < pause {
            std::hint::spin_loop();
        }
    }
}

#[test]
fn a_job_aborted_in_the_line_never_runs() {
    let _watchdog = watchdog("an abort in the line");
    let rt = with_threads(1, Duration::from_secs(10));
    let (release, hold) = mpsc::channel::<()>();
    let first = rt.spawn_blocking(move || {
        let _ = hold.recv();
    });
    let ran = Arc::new(AtomicUsize::new(0));
    let runs = ran.clone();
    let second = rt.spawn_blocking(move || runs.fetch_add(1, SeqCst));
    second.abort();
    drop(release);
    rt.block_on(first).unwrap();
    assert!(rt.block_on(second).unwrap_err().is_cancelled());
    assert_eq!((ran.load(SeqCst), Arc::strong_count(&ran)), (0, 1));
}

#[test]
fn a_job_that_runs_cannot_be_aborted() {
    let _watchdog = watchdog("an abort of a running job");
    let rt = with_threads(1, Duration::from_secs(10));
    let (release, hold) = mpsc::channel::<()>();
    let (starts, started) = mpsc::channel();
    let job = rt.spawn_blocking(move || {
        starts.send(()).unwrap();
        let _ = hold.recv();
        1
    });
    started.recv().unwrap();
    job.abort();
    drop(release);
    assert_eq!(rt.block_on(job).unwrap(), 1);
}

#[test]
fn a_panic_in_a_job_is_delivered_and_the_thread_goes_on() {
    let _watchdog = watchdog("panics in jobs");
    let rt = with_threads(1, Duration::from_secs(10));
    for _ in 0..5 {
        let job = rt.spawn_blocking::<_, ()>(|| std::panic::resume_unwind(Box::new("boom")));
        let error = rt.block_on(job).unwrap_err();
        assert!(error.is_panic());
        assert_eq!(rt.block_on(rt.spawn_blocking(|| 2)).unwrap(), 2);
    }
}

#[test]
fn inside_a_job_one_may_block_on_and_spawn() {
    let _watchdog = watchdog("block_on in a job");
    let rt = runtime(1);
    let job = rt.spawn_blocking(|| {
        let inner = runtime::spawn(async { 3 });
        runtime::block_on(async { inner.await.unwrap() + 1 })
    });
    assert_eq!(rt.block_on(job).unwrap(), 4);
}

#[test]
fn jobs_in_the_line_are_dropped_with_the_runtime() {
    let _watchdog = watchdog("a line at the end");
    let rt = with_threads(1, Duration::from_secs(10));
    let (release, hold) = mpsc::channel::<()>();
    let (starts, started) = mpsc::channel();
    let first = rt.spawn_blocking(move || {
        starts.send(()).unwrap();
        let _ = hold.recv();
    });
    started.recv().unwrap();
    let token = Arc::new(());
    let jobs: Vec<_> = (0..10)
        .map(|_| {
            let token = token.clone();
            rt.spawn_blocking(move || drop(token))
        })
        .collect();
    assert!(!rt.shutdown(Duration::from_millis(10)), "the first hangs");
    assert_eq!(Arc::strong_count(&token), 1);
    for job in jobs {
        assert!(runtime::block_on(job).unwrap_err().is_cancelled());
    }
    drop(release);
    wait_until("the first ends", || first.is_finished());
}

#[test]
fn a_thread_that_is_kept_for_ever_does_another_job() {
    let _watchdog = watchdog("blocking_keep_alive(Duration::MAX)");
    let rt = with_threads(1, Duration::MAX);
    for i in 0..3 {
        let job = rt.spawn_blocking(move || i);
        assert_eq!(rt.block_on(job).unwrap(), i);
        wait_until("the thread waits for a job", || {
            rt.handle().metrics().blocking_idle == 1
        });
    }
}
