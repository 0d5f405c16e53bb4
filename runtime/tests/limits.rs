//! Where the system gives no thread and no descriptor: what is said, and that all goes on when it
//! gives some again. Each test is a process of its own, since limits are the process'.
#![cfg(target_os = "linux")]

mod common;

use std::env;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::Command;
use std::time::Duration;

use common::{runtime, watchdog};
use runtime::{Runtime, time};

const IN_CHILD: &str = "WEFTLINE_LIMITS_TEST";

/// Runs the test of this name in a process of its own.
#[track_caller]
fn alone(name: &str, test: fn()) {
    let _watchdog = watchdog(name);
    if env::var_os(IN_CHILD).is_some() {
        return test();
    }
    let mut command = Command::new(env::current_exe().unwrap());
    command.args(["--exact", name, "--nocapture"]);
    let output = command.env(IN_CHILD, "1").output().unwrap();
    let texts = [&output.stdout, &output.stderr].map(|text| String::from_utf8_lossy(text));
    let [said, cried] = texts;
    assert!(output.status.success(), "{}\n{said}{cried}", output.status);
}

#[derive(Clone, Copy)]
enum What {
    Processes,
    Files,
}

/// Limits what this process may have, until it is limited otherwise.
fn limit(what: What, to: libc::rlim_t) {
    // The type of these numbers depends on the C library.
    let what = match what {
        What::Processes => libc::RLIMIT_NPROC,
        What::Files => libc::RLIMIT_NOFILE,
    };
    let mut limit = libc::rlimit {
        rlim_cur: 0,
        rlim_max: 0,
    };
    // SAFETY: reads and writes one live structure.
    unsafe {
        assert_eq!(libc::getrlimit(what, &mut limit), 0);
        limit.rlim_cur = to.min(limit.rlim_max);
        assert_eq!(libc::setrlimit(what, &limit), 0);
    }
}

/// The limit of processes does not hold for the superuser: from now on this is somebody else, with
/// a number that nobody has.
fn be_an_ordinary_user() {
    // SAFETY: plain system calls.
    unsafe {
        if libc::geteuid() == 0 {
            assert_eq!(libc::setuid(1_234_567), 0);
        }
    }
}

const ALL: libc::rlim_t = libc::rlim_t::MAX;

#[test]
fn a_runtime_that_gets_no_thread_says_what_to_do_and_the_next_one_is_well() {
    let name = "a_runtime_that_gets_no_thread_says_what_to_do_and_the_next_one_is_well";
    alone(name, || {
        be_an_ordinary_user();
        limit(What::Processes, 1);
        let error = Runtime::new().unwrap_err().to_string();
        assert!(error.contains("ulimit -u"), "{error}");
        limit(What::Processes, ALL);
        assert_eq!(runtime::block_on(async { 7 }), 7);
    });
}

#[test]
fn a_runtime_that_gets_no_descriptor_says_what_to_do() {
    alone("a_runtime_that_gets_no_descriptor_says_what_to_do", || {
        limit(What::Files, 3);
        let error = Runtime::new().unwrap_err().to_string();
        assert!(error.contains("ulimit -n"), "{error}");
        limit(What::Files, ALL);
        assert_eq!(runtime::block_on(async { 7 }), 7);
    });
}

/// blocking#24 of smol: a pool that once got no thread never works again.
#[test]
fn jobs_that_get_no_thread_fail_aloud_and_later_ones_run() {
    alone(
        "jobs_that_get_no_thread_fail_aloud_and_later_ones_run",
        || {
            be_an_ordinary_user();
            let rt = runtime(1);
            limit(What::Processes, 1);
            let refused = catch_unwind(AssertUnwindSafe(|| drop(rt.spawn_blocking(|| ()))));
            let text = refused.unwrap_err().downcast::<String>().unwrap();
            assert!(text.contains("ulimit -u"), "{text}");
            // What blocks, and finds no other thread, holds the worker up, and all goes on after
            // it.
            let task = rt.spawn(async {
                runtime::block_in_place(|| std::thread::sleep(Duration::from_millis(20)));
                time::sleep(Duration::from_millis(1)).await;
                7
            });
            assert_eq!(rt.block_on(task).unwrap(), 7);
            limit(What::Processes, ALL);
            assert_eq!(rt.block_on(rt.spawn_blocking(|| 7)).unwrap(), 7);
            assert!(rt.shutdown(Duration::from_secs(60)));
        },
    );
}
