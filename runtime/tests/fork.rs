//! `fork` while a runtime runs: the child is told that it cannot use it, and never hangs; the
//! parent notices nothing. Each test is a process of its own, so that nobody else holds a lock when
//! the copy is made.
#![cfg(target_os = "linux")]

mod common;

use std::env;
use std::io::Write;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::{Command, Output};
use std::time::Duration;

use common::{runtime, watchdog};
use runtime::io::{Direction, Registration, mio};
use runtime::{Runtime, signal, time};

const IN_CHILD: &str = "WEFTLINE_FORK_TEST";

/// What a child ends with where all was as it should be.
const GOOD: i32 = 42;

/// Runs the test of this name in a process of its own.
#[track_caller]
fn alone(name: &str, test: fn()) -> Output {
    let _watchdog = watchdog(name);
    if env::var_os(IN_CHILD).is_some() {
        test();
        std::process::exit(0);
    }
    let mut command = Command::new(env::current_exe().unwrap());
    command.args(["--exact", name, "--nocapture", "--test-threads=1"]);
    let output = command.env(IN_CHILD, "1").output().unwrap();
    let (said, cried) = (&output.stdout, &output.stderr);
    let (said, cried) = (
        String::from_utf8_lossy(said),
        String::from_utf8_lossy(cried),
    );
    assert!(output.status.success(), "{}\n{said}{cried}", output.status);
    output
}

/// Makes a copy of the process. `None`: this is the copy, which an alarm ends if it hangs.
fn fork() -> Option<libc::pid_t> {
    // SAFETY: the child calls the allocator and std, which is no worse than what it is to show.
    match unsafe { libc::fork() } {
        0 => {
            // SAFETY: a plain system call.
            unsafe { libc::alarm(60) };
            None
        }
        child => Some(child),
    }
}

/// Ends the copy: with [`GOOD`], if so.
fn end(good: bool) -> ! {
    // SAFETY: ends the process.
    unsafe { libc::_exit(if good { GOOD } else { 1 }) }
}

/// Waits for a copy's end.
fn status(child: libc::pid_t) -> libc::c_int {
    let mut status = 0;
    // SAFETY: room for one number.
    assert_eq!(unsafe { libc::waitpid(child, &mut status, 0) }, child);
    status
}

#[track_caller]
fn assert_good(child: libc::pid_t) {
    let status = status(child);
    assert!(libc::WIFEXITED(status), "the child was killed: {status}");
    assert_eq!(libc::WEXITSTATUS(status), GOOD);
}

/// Whether `f` panics with what a child is to be told.
fn is_told(f: impl FnOnce()) -> bool {
    let panic = catch_unwind(AssertUnwindSafe(f)).err();
    let text = panic.and_then(|panic| panic.downcast::<String>().ok());
    text.is_some_and(|text| {
        text.contains("made by fork() after the runtime had been started")
            && text.contains("build a new Runtime in the child")
    })
}

#[test]
fn a_child_that_uses_the_runtime_it_has_inherited_is_told() {
    alone(
        "a_child_that_uses_the_runtime_it_has_inherited_is_told",
        || {
            let rt = runtime(2);
            rt.block_on(rt.spawn(async {})).unwrap();
            match fork() {
                Some(child) => assert_good(child),
                None => end(is_told(|| rt.block_on(async {}))
                    && is_told(|| drop(rt.spawn(async {})))
                    && is_told(|| drop(rt.spawn_blocking(|| {})))
                    && is_told(|| {
                        let _entered = rt.enter();
                        drop(signal::ctrl_c());
                    })),
            }
            assert_eq!(rt.block_on(rt.spawn(async { 7 })).unwrap(), 7);
        },
    );
}

#[test]
fn a_child_that_goes_on_inside_block_on_is_told_when_it_would_wait() {
    let name = "a_child_that_goes_on_inside_block_on_is_told_when_it_would_wait";
    alone(name, || {
        let rt = runtime(2);
        let mut here = None;
        let told = is_told(|| {
            rt.block_on(async {
                here = Some(fork());
                // Not for a time, which may be over before it is waited for.
                if here == Some(None) {
                    std::future::pending::<()>().await;
                }
            });
        });
        match here {
            Some(Some(child)) => {
                assert!(!told);
                assert_good(child);
            }
            _ => end(told),
        }
    });
}

#[test]
fn a_child_may_drop_the_runtime_it_has_inherited() {
    alone("a_child_may_drop_the_runtime_it_has_inherited", || {
        let rt = runtime(2);
        let idle = rt.spawn(std::future::pending::<()>());
        match fork() {
            Some(child) => assert_good(child),
            None => {
                drop(rt);
                end(true);
            }
        }
        assert!(!idle.is_finished());
    });
}

#[test]
fn a_task_that_forks_and_goes_on_ends_its_child_with_a_word_and_not_the_parent() {
    let name = "a_task_that_forks_and_goes_on_ends_its_child_with_a_word_and_not_the_parent";
    let output = alone(name, || {
        let rt = runtime(2);
        let child = rt.block_on(rt.spawn(async {
            let here = fork();
            // The worker finds out what it is in before it looks for something to do.
            time::sleep(Duration::from_millis(1)).await;
            here
        }));
        let status = status(child.unwrap().expect("the child's worker ends the child"));
        assert!(libc::WIFSIGNALED(status), "{status}");
        assert_eq!(libc::WTERMSIG(status), libc::SIGABRT);
        assert_eq!(rt.block_on(rt.spawn(async { 7 })).unwrap(), 7);
    });
    if env::var_os(IN_CHILD).is_none() {
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(
            said.contains("a task has called fork(), and goes on in the child"),
            "{said}"
        );
    }
}

#[test]
fn a_child_that_takes_a_descriptor_out_of_the_reactor_does_not_take_the_parents() {
    let name = "a_child_that_takes_a_descriptor_out_of_the_reactor_does_not_take_the_parents";
    alone(name, || {
        let rt = runtime(1);
        let _entered = rt.enter();
        let (mut sender, mut receiver) = mio::unix::pipe::new().unwrap();
        let registration = Registration::new_unready(&mut receiver).unwrap();
        match fork() {
            Some(child) => assert_good(child),
            None => end(registration.deregister(&mut receiver).is_ok()),
        }
        sender.write_all(b"x").unwrap();
        rt.block_on(registration.ready(Direction::Read)).unwrap();
    });
}

#[test]
fn a_runtime_that_a_child_builds_is_as_good_as_any() {
    alone("a_runtime_that_a_child_builds_is_as_good_as_any", || {
        let rt = runtime(2);
        rt.block_on(rt.spawn(async {})).unwrap();
        if let Some(child) = fork() {
            return assert_good(child);
        }
        let own = Runtime::new().unwrap();
        let slept = own.block_on(own.spawn(async {
            time::sleep(Duration::from_millis(1)).await;
            7
        }));
        // What is said of a deadlock needs all runtimes to be asked, but for the inherited ones.
        let stuck = catch_unwind(AssertUnwindSafe(|| {
            own.block_on(std::future::pending::<()>());
        }));
        drop(own);
        end(slept.unwrap() == 7 && stuck.is_err());
    });
}

#[test]
fn a_signal_that_the_parent_listens_for_ends_a_child() {
    alone("a_signal_that_the_parent_listens_for_ends_a_child", || {
        let rt = runtime(1);
        let _entered = rt.enter();
        let kind = signal::SignalKind::terminate();
        let mut heard = signal::unix(kind).unwrap();
        let Some(child) = fork() else {
            loop {
                // SAFETY: a plain system call.
                unsafe { libc::raise(libc::SIGTERM) };
            }
        };
        let status = status(child);
        assert!(libc::WIFSIGNALED(status), "{status}");
        assert_eq!(libc::WTERMSIG(status), libc::SIGTERM);
        // SAFETY: a plain system call; somebody listens.
        unsafe { libc::raise(libc::SIGTERM) };
        assert_eq!(rt.block_on(heard.recv()), Some(kind));
    });
}
