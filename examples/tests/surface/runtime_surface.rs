//! `runtime`: tasks, handles, time, signals, what tells why.

use std::io;
use std::pin::pin;
use std::rc::Rc;
use std::task::Context;
use std::time::Duration;

use futures_core::Stream;
use runtime::dump::{BlockOnInfo, TaskInfo, TaskState};
use runtime::metrics::{Histogram, WorkerMetrics};
use runtime::signal::{self, Signal, SignalKind};
use runtime::task::{self, AbortHandle, Id, JoinSet, LocalKey, WaitReason, coop};
use runtime::time::{self, Elapsed, Instant, Sleep, Ticker, Timeout, Timer};
use runtime::{
    Builder, Dump, Handle, JoinError, JoinHandle, Leaks, Metrics, Runtime, TryCurrentError,
    UnhandledPanic,
};

use crate::{clone, debug, default, error, names, says, send, send_sync, sendable, soon, unpin};

#[test]
fn the_types_go_where_users_take_them() {
    send_sync::<Runtime>();
    send_sync::<Handle>();
    clone::<Handle>();
    send_sync::<Builder>();
    send_sync::<JoinHandle<std::cell::Cell<u8>>>();
    unpin::<JoinHandle<std::marker::PhantomPinned>>();
    send_sync::<AbortHandle>();
    clone::<AbortHandle>();
    send_sync::<JoinSet<u8>>();
    send_sync::<Id>();
    send_sync::<Instant>();
    send::<Sleep>();
    send_sync::<Timer>();
    clone::<Timer>();
    send_sync::<Ticker>();
    send_sync::<Signal>();
    send_sync::<Dump>();
    send_sync::<Leaks>();
    clone::<Dump>();
    clone::<Metrics>();
    debug::<(Runtime, Handle, Builder, JoinHandle<Rc<u8>>, AbortHandle)>();
    debug::<(Sleep, Ticker, Timer, Timeout<Sleep>, Elapsed, Instant)>();
    debug::<(Dump, TaskInfo, TaskState, BlockOnInfo, Leaks)>();
    debug::<(Metrics, WorkerMetrics, Histogram, WaitReason)>();
    debug::<(Signal, SignalKind, signal::CtrlC, UnhandledPanic)>();
    debug::<(JoinSet<u8>, LocalKey<u8>, runtime::YieldNow)>();
    error::<JoinError>();
    error::<TryCurrentError>();
    error::<Elapsed>();
    error::<task::LocalAccessError>();
    let _: Builder = default();
    let _: JoinSet<u8> = default();
    let _: task::Builder = default();
}

#[test]
fn what_blocks_takes_anything() {
    let not_send = Rc::new(5);
    let borrowed = &not_send;
    assert_eq!(runtime::block_on(async { **borrowed }), 5);
    let answer = runtime::block_on(async { runtime::block_in_place(|| **borrowed) });
    assert_eq!(answer, 5);
}

#[test]
fn a_runtime_is_built_used_and_shut_down() -> io::Result<()> {
    let rt: Runtime = Builder::new().max_procs(2).build()?;
    let handle: &Handle = rt.handle();
    assert_eq!(handle.max_procs(), 2);
    assert_eq!(rt.block_on(rt.spawn(async { 1 })).unwrap(), 1);
    assert_eq!(handle.block_on(handle.spawn(async { 2 })).unwrap(), 2);
    assert_eq!(handle.block_on(handle.spawn_blocking(|| 3)).unwrap(), 3);
    {
        let _entered = handle.enter();
        assert!(Handle::try_current().is_ok());
        let _: Handle = Handle::current();
        assert_eq!(runtime::block_on(runtime::spawn(async { 4 })).unwrap(), 4);
    }
    let metrics: Metrics = handle.metrics();
    assert_eq!(metrics.workers.len(), 2);
    assert!(rt.shutdown(crate::HANG), "nothing is left to wait for");
    Ok(())
}

#[test]
fn outside_a_runtime_one_is_told_so() {
    assert_eq!(runtime::num_tasks(), 0);
    let error: TryCurrentError = Handle::try_current().unwrap_err();
    names(error, &["no runtime", "#[runtime::main]"]);
}

#[runtime::test]
async fn a_handle_delivers_aborts_and_tells() {
    let task: JoinHandle<u8> = runtime::spawn(async { 7 });
    let _: Id = task.id();
    assert_eq!(soon(task).await.unwrap(), 7);
    assert_eq!(soon(runtime::spawn_blocking(|| 8)).await.unwrap(), 8);

    let task = runtime::spawn(std::future::pending::<()>());
    let abort: AbortHandle = task.abort_handle();
    assert!(!task.is_finished() && !abort.is_finished());
    assert_eq!(abort.id(), task.id());
    abort.abort();
    let id = task.id();
    let error: JoinError = soon(task).await.unwrap_err();
    assert!(error.is_cancelled() && !error.is_panic());
    assert_eq!(error.id(), id);
    says(&error, &format!("task {id} was cancelled"));
    assert!(error.try_into_panic().is_err());

    let task = task::Builder::new()
        .name("bomb")
        .spawn(async { panic!("boom") });
    let id = task.id();
    let error: JoinError = soon(task).await.unwrap_err();
    assert!(error.is_panic());
    says(&error, &format!("task {id} \"bomb\" panicked: boom"));
    assert_eq!(error.into_panic().downcast_ref(), Some(&"boom"));
}

#[runtime::test]
async fn a_task_knows_itself() {
    let task = task::Builder::new()
        .name(String::from("ann"))
        .spawn(async { (task::id(), task::name()) });
    assert!(!task::in_block_on());
    let expected = task.id();
    let (id, name) = soon(task).await.unwrap();
    assert_eq!(id, Some(expected));
    assert_eq!(name.as_deref(), Some("ann"));
    assert!(runtime::max_procs() >= 1);
    let before: usize = runtime::set_max_procs(1);
    assert_eq!(runtime::set_max_procs(before), 1);
    let _: u64 = task::random();
}

runtime::task_local! {
    /// Public, with an attribute.
    pub static USER: String;
    static DEPTH: u32;
}

#[runtime::test]
async fn a_task_carries_values() {
    let user: &'static LocalKey<String> = &USER;
    let both = user.scope(
        "ann".into(),
        DEPTH.scope(1, async { (USER.get(), DEPTH.get()) }),
    );
    assert_eq!(soon(sendable(both)).await, ("ann".to_owned(), 1));
    assert_eq!(DEPTH.sync_scope(2, || DEPTH.with(|depth| *depth)), 2);
    names(
        DEPTH.try_with(|_| ()).unwrap_err(),
        &["`scope`", "not inherit"],
    );
}

#[runtime::test]
async fn a_join_set_collects() {
    let mut set = JoinSet::new();
    let _: AbortHandle = set.spawn(async { 1 });
    set.spawn_blocking(|| 2);
    assert_eq!(set.len(), 2);
    let mut sum = 0;
    while let Some(one) = soon(set.join_next()).await {
        let one: Result<i32, JoinError> = one;
        sum += one.unwrap();
    }
    assert_eq!(sum, 3);
    assert!(set.is_empty());
    set.spawn(std::future::pending());
    set.abort_all();
    soon(set.shutdown()).await;
}

#[runtime::test]
async fn the_budget_can_be_spent_and_lifted() {
    coop::consume_budget().await;
    soon(coop::unconstrained(runtime::yield_now())).await;
    let proceed = std::future::poll_fn(coop::poll_proceed).await;
    proceed.made_progress();
    runtime::yield_now().await;
}

#[runtime::test(start_paused = true)]
async fn time_has_its_names() {
    let begin = Instant::now();
    time::sleep(Duration::from_secs(1)).await;
    time::sleep_until(begin + Duration::from_secs(2)).await;
    assert_eq!(begin.elapsed(), Duration::from_secs(2));

    let slow = std::future::pending::<()>();
    let elapsed: Elapsed = time::timeout(Duration::from_secs(1), slow)
        .await
        .unwrap_err();
    says(elapsed, "deadline has elapsed");
    assert_eq!(io::Error::from(elapsed).kind(), io::ErrorKind::TimedOut);
    let at = Instant::now() + Duration::from_secs(1);
    assert!(time::timeout_at(at, async {}).await.is_ok());

    let mut ticker: Ticker = time::ticker(Duration::from_secs(1));
    let _: Instant = ticker.tick().await;
    ticker.reset(Duration::from_secs(2));
    assert_eq!(ticker.period(), Duration::from_secs(2));
    ticker.stop();

    let (tx, rx) = sync::channel(1);
    let timer: Timer = time::after_func(Duration::from_secs(1), move || tx.try_send(()).unwrap());
    assert!(timer.reset(Duration::from_secs(2)));
    rx.recv().await.unwrap();
    assert!(!timer.stop());

    let before = Instant::now();
    time::advance(Duration::from_secs(5)).await;
    assert!(before.elapsed() >= Duration::from_secs(5));
    assert!(time::is_paused());
}

#[runtime::test(max_procs = 1)]
async fn time_can_be_paused_within() {
    time::pause();
    time::sleep(Duration::from_secs(3600)).await;
    time::resume();
}

#[test]
fn instants_are_values() {
    let now = Instant::now();
    assert!(now <= Instant::now());
    let std: std::time::Instant = now.into();
    assert_eq!(Instant::from(std), now);
    assert_eq!((now + Duration::from_secs(1)) - now, Duration::from_secs(1));
    assert_eq!(now.checked_sub(Duration::MAX), None);
    assert_eq!(
        now.saturating_duration_since(now + Duration::from_secs(1)),
        Duration::ZERO
    );
    let _: std::collections::HashSet<Instant> = [now].into();
}

#[runtime::test]
async fn a_ticker_is_a_stream() {
    let mut ticker = pin!(time::ticker(Duration::from_millis(1)));
    let next = std::future::poll_fn(|cx: &mut Context<'_>| ticker.as_mut().poll_next(cx));
    let _: Option<Instant> = soon(next).await;
}

#[runtime::test]
async fn signals_have_their_names() -> io::Result<()> {
    let mut usr: Signal = signal::unix(SignalKind::user_defined1())?;
    let waits = pin!(sendable(usr.recv()));
    assert!(
        time::timeout(Duration::from_millis(1), waits)
            .await
            .is_err()
    );
    let both = signal::notify([SignalKind::interrupt(), SignalKind::terminate()])?;
    assert_eq!(both.kinds().count(), 2);
    drop(signal::ctrl_c());
    says(SignalKind::terminate(), "SIGTERM");
    let refused = signal::unix(SignalKind::from_raw(9)).unwrap_err();
    assert_eq!(refused.kind(), io::ErrorKind::InvalidInput);
    Ok(())
}

#[runtime::test]
async fn a_dump_reads_like_gos() {
    let (tx, rx) = sync::channel::<u8>(0);
    let (ready, is_ready) = sync::channel(0);
    let reader = task::Builder::new().name("reader").spawn(async move {
        ready.send(()).await.unwrap();
        rx.recv().await
    });
    soon(is_ready.recv()).await.unwrap();
    let handle = Handle::current();
    let is_reader = |task: &&TaskInfo| {
        task.id == reader.id() && task.state == TaskState::Waiting(WaitReason::ChanReceive)
    };
    let dump: Dump = loop {
        let dump = handle.dump();
        if dump.tasks().iter().any(|task| is_reader(&task)) {
            break dump;
        }
        runtime::yield_now().await;
    };
    names(
        &dump,
        &[
            &format!("task {} \"reader\" [chan receive]:\n\t", reader.id()),
            "runtime_surface.rs:",
            "created by task ",
        ],
    );
    drop(tx);
    assert_eq!(soon(reader).await.unwrap(), None);
}

#[runtime::test(worker_threads = 2, leak_check)]
async fn leaks_are_asked_for() {
    let leaks: Leaks = Handle::current().leaks();
    assert!(leaks.is_empty(), "{leaks}");
}

#[runtime::test(seed = 7, crate = "renamed::runtime")]
async fn a_test_may_fix_its_seed() {
    assert_eq!(Handle::current().seed(), Some(7));
}

mod renamed {
    pub(super) use ::runtime;
}

#[test]
fn main_is_any_function() {
    #[runtime::main]
    async fn seven() -> u8 {
        7
    }
    #[runtime::main(max_procs = 3)]
    async fn three() -> usize {
        runtime::max_procs()
    }
    #[runtime::main(worker_threads = 2, crate = "renamed::runtime")]
    async fn two() -> usize {
        runtime::max_procs()
    }
    assert_eq!((seven(), three(), two()), (7, 3, 2));
}
