//! `#[runtime::main]` and `#[runtime::test]` as users meet them: what they accept, where they run
//! the body, what they say when refused.
//!
//! What the attributes do to the tokens is tested inside the `macros` crate.

use std::cell::Cell;
use std::error::Error;
use std::process::{ExitCode, Termination};
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use runtime::__private::{AsTask, ChooseTask as _, ChooseThread as _, OnThread, probe, reported};

thread_local! {
    /// Set on the thread that calls; a body that sees it runs there.
    static CALLER: Cell<bool> = const { Cell::new(false) };
}

mod choice {
    //! The path is chosen from types alone, so nothing has to run.
    use super::*;

    /// The expression of the expansion, whose `&` is the point of it.
    macro_rules! path {
        ($future:expr) => {
            (&probe(&$future)).path()
        };
    }

    async fn plain() {
        runtime::yield_now().await;
    }

    async fn holds_an_rc() {
        let rc = Rc::new(1);
        runtime::yield_now().await;
        drop(rc);
    }

    async fn fails_with_a_box() -> Result<(), Box<dyn Error>> {
        runtime::yield_now().await;
        let _: u8 = "x".parse()?;
        Ok(())
    }

    async fn returns_an_rc() -> Rc<u8> {
        Rc::new(1)
    }

    #[test]
    fn a_plain_body_is_a_task() {
        let path: AsTask = path!(plain());
        assert_eq!(path, AsTask);
    }

    #[test]
    fn a_body_with_an_rc_across_an_await_stays_on_its_thread() {
        let path: OnThread = path!(holds_an_rc());
        assert_eq!(path, OnThread);
    }

    #[test]
    fn a_boxed_error_is_reported_in_place_and_so_does_not_keep_the_body_from_being_a_task() {
        let path: AsTask = path!(reported(fails_with_a_box()));
        assert_eq!(path, AsTask);
    }

    #[test]
    fn a_value_that_cannot_travel_is_made_where_it_is_wanted() {
        let path: OnThread = path!(returns_an_rc());
        assert_eq!(path, OnThread);
    }

    #[test]
    fn an_rc_that_never_meets_an_await_does_not_count() {
        async fn body() {
            drop(Rc::new(1));
            runtime::yield_now().await;
        }
        let path: AsTask = path!(body());
        assert_eq!(path, AsTask);
    }
}

#[runtime::main]
async fn answer() -> u32 {
    runtime::yield_now().await;
    42
}

#[runtime::main(max_procs = 1)]
async fn rc_and_thread() -> (Rc<u32>, bool) {
    let rc = Rc::new(1);
    runtime::yield_now().await;
    (rc, CALLER.get())
}

#[runtime::main(crate = "runtime", worker_threads = 3)]
async fn procs() -> usize {
    runtime::max_procs()
}

#[runtime::main]
async fn displayed() -> impl std::fmt::Display {
    runtime::yield_now().await;
    "shown"
}

#[runtime::main]
async fn fails() {
    runtime::spawn(async {}).await.unwrap();
    panic!("on purpose");
}

#[runtime::main]
async fn fails_on_its_thread() {
    let rc = Rc::new(1);
    runtime::yield_now().await;
    panic!("on purpose {rc}");
}

/// `main` as a program has it, inside a module so that it can be called.
mod program {
    #[runtime::main]
    pub(super) async fn main() -> Result<(), Box<dyn std::error::Error>> {
        runtime::yield_now().await;
        let number: u8 = "300".parse()?;
        unreachable!("{number} fits no byte");
    }
}

mod program_with_an_opaque_result {
    #[runtime::main]
    pub(super) async fn main() -> impl std::process::Termination {
        runtime::yield_now().await;
        std::process::ExitCode::from(7)
    }
}

static JOB_RUNS: AtomicBool = AtomicBool::new(false);

#[runtime::main]
async fn leaves_a_job_and_a_task_behind() {
    runtime::spawn(std::future::pending::<()>());
    runtime::spawn_blocking(|| {
        JOB_RUNS.store(true, Ordering::SeqCst);
        loop {
            thread::park();
        }
    });
    while !JOB_RUNS.load(Ordering::SeqCst) {
        runtime::yield_now().await;
    }
}

fn same(left: ExitCode, right: ExitCode) -> bool {
    format!("{left:?}") == format!("{right:?}")
}

fn message_of(f: fn()) -> String {
    let payload = std::panic::catch_unwind(f).expect_err("it panics");
    match payload.downcast::<String>() {
        Ok(text) => *text,
        Err(payload) => payload.downcast::<&str>().expect("a text").to_string(),
    }
}

#[test]
fn main_of_another_name_returns_its_value() {
    assert_eq!(answer(), 42);
    assert_eq!(displayed().to_string(), "shown");
}

#[test]
fn a_body_that_cannot_travel_runs_on_the_calling_thread() {
    CALLER.set(true);
    let (rc, on_caller) = rc_and_thread();
    assert_eq!((*rc, on_caller), (1, true));
}

#[test]
fn max_procs_reaches_the_runtime() {
    assert_eq!(procs(), 3);
}

#[test]
fn an_error_returned_from_main_becomes_the_failing_exit_code() {
    assert!(same(program::main(), ExitCode::FAILURE));
    assert!(same(
        program_with_an_opaque_result::main().report(),
        ExitCode::from(7)
    ));
}

#[test]
fn a_panic_of_the_body_is_the_caller_s_panic() {
    assert_eq!(message_of(fails), "on purpose");
    assert_eq!(message_of(fails_on_its_thread), "on purpose 1");
}

#[test]
fn main_waits_neither_for_a_task_nor_for_a_blocking_job() {
    let (returned, main) = mpsc::channel();
    thread::spawn(move || {
        leaves_a_job_and_a_task_behind();
        returned.send(()).unwrap();
    });
    main.recv_timeout(Duration::from_secs(300))
        .expect("main returns");
}

#[runtime::test]
async fn a_test_runs_on_two_procs() {
    assert_eq!(runtime::max_procs(), 2);
}

#[runtime::test(max_procs = 5)]
async fn a_test_runs_on_as_many_procs_as_it_asks_for() {
    assert_eq!(runtime::max_procs(), 5);
}

#[runtime::test]
async fn a_test_may_return_a_result() -> Result<(), Box<dyn Error>> {
    let number: u32 = runtime::spawn(async { "7".parse() }).await.unwrap()?;
    assert_eq!(number, 7);
    Ok(())
}

#[runtime::test]
#[should_panic(expected = "on purpose")]
async fn a_test_may_be_meant_to_panic() {
    runtime::yield_now().await;
    panic!("on purpose");
}

#[runtime::test]
#[ignore = "shows that the attribute is kept: it would fail"]
async fn a_test_may_be_ignored() {
    panic!("an ignored test has run");
}

#[runtime::test]
async fn a_test_may_hold_what_cannot_travel() {
    let rc = Rc::new(());
    runtime::yield_now().await;
    assert_eq!(Rc::strong_count(&rc), 1);
}

#[test]
fn refusals_point_at_the_fault() {
    trybuild::TestCases::new().compile_fail("tests/ui/*.rs");
}
