//! What a panic does that nobody is handed: by default it is printed and all goes on; else it ends
//! the runtime, or the process.
//!
//! Each case is this program, started again with the case as its only test.

use std::env;
use std::future::pending;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::{Command, Output, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use runtime::{Builder, Handle, Runtime, UnhandledPanic, spawn, task, time, yield_now};

/// So generous that only a hang takes longer.
const WATCHDOG: Duration = Duration::from_secs(300);

const IN_CHILD: &str = "WEFTLINE_UNHANDLED_PANIC";

fn run(case: &str) -> Output {
    let mut child = Command::new(env::current_exe().unwrap())
        .args([
            "--exact",
            &format!("child::{case}"),
            "--ignored",
            "--nocapture",
        ])
        .env(IN_CHILD, "1")
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let deadline = Instant::now() + WATCHDOG;
    while child.try_wait().unwrap().is_none() {
        if Instant::now() > deadline {
            child.kill().unwrap();
            panic!("{case} hangs: {:?}", child.wait_with_output());
        }
        thread::sleep(Duration::from_millis(5));
    }
    child.wait_with_output().unwrap()
}

#[track_caller]
fn says(output: &Output, parts: &[&str]) {
    let text = String::from_utf8_lossy(&output.stderr);
    for part in parts {
        assert!(text.contains(part), "{part:?} is not in:\n{text}");
    }
}

#[test]
fn by_default_it_is_printed_and_all_goes_on() {
    let output = run("goes_on");
    assert!(output.status.success(), "{output:?}");
    says(
        &output,
        &[
            " \"clumsy\" panicked and nobody holds its JoinHandle: oops 1\n",
            " was created at runtime/tests/unhandled_panic.rs:",
            "; await its handle to receive the panic\n",
        ],
    );
}

#[test]
fn it_can_end_the_process_as_in_go() {
    let output = run("exits");
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    says(
        &output,
        &["panicked and nobody holds its JoinHandle: oops\n"],
    );
}

#[test]
fn a_handle_dropped_later_ends_the_process_then() {
    let output = run("exits_when_the_handle_goes");
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    says(&output, &["the handle is still there\n", "nobody holds"]);
}

#[test]
fn it_can_end_the_runtime() {
    let output = run("falls");
    assert!(output.status.success(), "{output:?}");
    says(
        &output,
        &["panicked and nobody holds its JoinHandle: oops\n"],
    );
}

#[test]
fn a_panic_that_is_delivered_ends_nothing() {
    let output = run("is_handled");
    assert!(output.status.success(), "{output:?}");
}

mod child {
    use super::*;

    fn in_child() -> bool {
        env::var_os(IN_CHILD).is_some()
    }

    fn runtime(policy: UnhandledPanic) -> Runtime {
        Builder::new()
            .max_procs(2)
            .unhandled_panic(policy)
            .build()
            .unwrap()
    }

    #[test]
    #[ignore = "a part of another test"]
    fn goes_on() {
        if !in_child() {
            return;
        }
        runtime::block_on(async {
            task::Builder::new()
                .name("clumsy")
                .spawn(async { panic!("oops {}", 1) });
            while Handle::current().num_tasks() > 0 {
                yield_now().await;
            }
            spawn(async {}).await.unwrap();
        });
    }

    #[test]
    #[ignore = "a part of another test"]
    fn exits() {
        if !in_child() {
            return;
        }
        runtime(UnhandledPanic::ExitProcess).block_on(async {
            spawn(async { panic!("oops") });
            pending::<()>().await;
        });
    }

    #[test]
    #[ignore = "a part of another test"]
    fn exits_when_the_handle_goes() {
        if !in_child() {
            return;
        }
        runtime(UnhandledPanic::ExitProcess).block_on(async {
            let handle = spawn(async { panic!("oops") });
            while !handle.is_finished() {
                yield_now().await;
            }
            eprintln!("the handle is still there");
            drop(handle);
        });
    }

    #[test]
    #[ignore = "a part of another test"]
    fn is_handled() {
        if !in_child() {
            return;
        }
        for policy in [UnhandledPanic::ExitProcess, UnhandledPanic::ShutdownRuntime] {
            runtime(policy).block_on(async {
                let error = spawn(async { panic!("oops") }).await.unwrap_err();
                assert!(error.is_panic());
                spawn(async {}).await.unwrap();
            });
        }
    }

    /// Counts what is dropped.
    struct Counts(Arc<AtomicUsize>);

    impl Drop for Counts {
        fn drop(&mut self) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }

    fn message(result: thread::Result<()>) -> String {
        *result.unwrap_err().downcast::<String>().unwrap()
    }

    #[test]
    #[ignore = "a part of another test"]
    fn falls() {
        if !in_child() {
            return;
        }
        let rt = Arc::new(runtime(UnhandledPanic::ShutdownRuntime));
        let drops = Arc::new(AtomicUsize::new(0));
        for _ in 0..100 {
            let counts = Counts(drops.clone());
            rt.spawn(async move {
                let _counts = counts;
                pending::<()>().await;
            });
        }
        // Several threads wait, for what would come and for what would not.
        let threads: Vec<_> = (0..4)
            .map(|n| {
                let rt = rt.clone();
                thread::spawn(move || {
                    rt.block_on(async move {
                        match n % 2 {
                            0 => pending::<()>().await,
                            _ => time::sleep(Duration::from_secs(3600)).await,
                        }
                    })
                })
            })
            .collect();
        while rt.handle().dump().block_ons().len() < threads.len() {
            thread::sleep(Duration::from_millis(1));
        }
        rt.spawn(async { panic!("oops") });
        let told = |message: String| {
            assert!(
                message.starts_with("the runtime was shut down because task "),
                "{message}"
            );
            assert!(
                message.ends_with("nobody holds its JoinHandle: oops"),
                "{message}"
            );
        };
        for thread in threads {
            told(message(thread.join()));
        }
        // One that comes later is told, too, unless it need not wait.
        rt.block_on(async {});
        told(message(catch_unwind(AssertUnwindSafe(|| {
            rt.block_on(pending::<()>());
        }))));
        // Whatever is spawned now is dropped.
        let counts = Counts(drops.clone());
        let late = rt.spawn(async move { drop(counts) });
        drop(rt);
        assert_eq!(drops.load(Ordering::SeqCst), 101);
        assert!(late.is_finished());
    }
}
