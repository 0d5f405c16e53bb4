//! What holds for every primitive: the dump says why a task waits and where, each can be an arm of
//! a `select!` again and again, and `Debug` waits for nobody.

#![cfg(not(loom))]

mod support;

use std::fmt::Debug;
use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use runtime::dump::TaskState;
use runtime::task::WaitReason;
use runtime::{JoinHandle, spawn};
use support::{WORKERS, on_each, on_one_alone, poll_once};
use sync::context::Context;
use sync::{
    Barrier, Cond, Mutex, Notify, Once, OnceCell, Pool, RwLock, Select, Semaphore, WaitGroup,
    broadcast, channel, errgroup, never, oneshot, select, singleflight, watch,
};

/// Waits until the dump shows the task waiting for this reason, in a line of this file; then ends
/// it.
async fn waits_for(reason: WaitReason, line: u32, task: JoinHandle<()>) {
    let handle = runtime::Handle::current();
    // The watchdog of the test ends this if it never comes.
    loop {
        let dump = handle.dump();
        let info = dump.tasks().iter().find(|info| info.id == task.id());
        let info = info.expect("the task does not end by itself");
        match (info.state, info.waits_at) {
            (TaskState::Waiting(WaitReason::Unknown), None) => {}
            (TaskState::Waiting(found), Some(place)) => {
                assert_eq!((found, place.line()), (reason, line), "{place}");
                assert!(place.file().ends_with("every.rs"), "{place}");
                break;
            }
            _ => {}
        }
        runtime::yield_now().await;
    }
    task.abort();
    assert!(task.await.unwrap_err().is_cancelled());
}

/// A task that waits in `$wait`, for `$reason`, in the line where this is written.
macro_rules! waits {
    ($reason:ident, $wait:expr) => {
        waits_for(
            WaitReason::$reason,
            line!(),
            spawn(async move {
                let _ = $wait.await;
            }),
        )
        .await
    };
}

#[test]
fn the_dump_says_for_what_a_task_waits_and_where() {
    on_each(WORKERS, || async {
        let mutex = Arc::new(Mutex::new(1));
        let _guard = mutex.clone().lock_owned().await;
        let other = mutex.clone();
        waits!(MutexLock, other.lock());
        waits!(MutexLock, mutex.lock_owned());

        let lock = Arc::new(RwLock::new(1));
        let _writer = lock.clone().write_owned().await;
        let others = (lock.clone(), lock.clone(), lock.clone());
        waits!(RwLockRead, others.0.read());
        waits!(RwLockWrite, others.1.write());
        waits!(RwLockRead, others.2.read_owned());
        waits!(RwLockWrite, lock.write_owned());

        let semaphore = Arc::new(Semaphore::new(2));
        let _permit = semaphore.clone().acquire_owned().await;
        let others = (semaphore.clone(), semaphore.clone());
        waits!(SemAcquire, others.0.acquire_many(2));
        waits!(SemAcquire, semaphore.acquire_many_owned(2));

        static TURN: Mutex<u32> = Mutex::new(1);
        static CHANGED: Cond = Cond::new();
        let turn = TURN.lock().await;
        waits!(CondWait, CHANGED.wait(turn));

        let group = WaitGroup::new();
        group.add(1);
        waits!(WaitGroupWait, group.wait());
        let barrier = Barrier::new(2);
        waits!(BarrierWait, barrier.wait());
        let notify = Notify::new();
        waits!(Notify, notify.notified());

        let cell = Arc::new(OnceCell::new());
        let (started, theirs) = (Arc::new(Notify::new()), cell.clone());
        let (begins, maker) = (started.clone(), cell.clone());
        let maker = spawn(async move {
            let never_made = async || {
                begins.notify_one();
                std::future::pending::<u32>().await
            };
            maker.get_or_init(never_made).await;
        });
        started.notified().await;
        waits!(OnceDo, theirs.get_or_init(|| async { 1 }));
        waits!(OnceDo, cell.get_or_init(|| async { 1 }));
        maker.abort();

        let (ctx, _cancel) = Context::background().with_cancel();
        let theirs = ctx.clone();
        waits!(ContextDone, theirs.done());
        waits!(ContextDone, Context::background().done());
    });
}

#[test]
fn the_dump_says_so_for_channels_and_groups() {
    on_each(WORKERS, || async {
        let (tx, rx) = channel(0);
        let others = (tx.clone(), rx.clone());
        waits!(ChanSend, others.0.send(1));
        waits!(ChanReceive, others.1.recv());
        let nil = never::<u32>();
        waits!(ChanReceiveNil, nil.recv());
        let (_once_tx, once_rx) = oneshot::channel::<u32>();
        waits!(ChanReceive, once_rx);
        let (_watch_tx, mut watch_rx) = watch::channel(1);
        let mut other = watch_rx.clone();
        waits!(WatchChanged, watch_rx.changed());
        waits_for(
            WaitReason::WatchChanged,
            line!() + 2,
            spawn(async move {
                other.changed().await;
            }),
        )
        .await;
        let (_cast_tx, mut cast_rx) = broadcast::channel::<u32>(1);
        waits!(ChanReceive, cast_rx.recv());

        // A few arms are kept in another place than many.
        for arms in [2, 40] {
            let rx = rx.clone();
            let waiting = async move {
                let mut select = Select::new();
                for _ in 0..arms {
                    select.recv(&rx, |_| {});
                }
                select.wait().await;
            };
            waits_for(WaitReason::Select, line!() - 2, spawn(waiting)).await;
        }

        let mut group = errgroup::Group::<u32>::new();
        group.set_limit(1);
        group.spawn(std::future::pending()).await;
        let spawner = group.spawner();
        waits!(SemAcquire, spawner.spawn(async { Ok(()) }));
        waits!(WaitGroupWait, group.wait());
        let flight = singleflight::Group::new();
        waits!(SingleFlight, flight.run(1, std::future::pending::<u32>));

        let (theirs, ctx) = (rx.clone(), Context::background());
        waits_for(
            WaitReason::Select,
            line!() + 2,
            spawn(async move {
                select! {
                    _ = theirs.recv() => {}
                    _ = ctx.done() => {}
                }
            }),
        )
        .await;
        drop(tx);
    });
}

/// Does an operation that is always ready again and again, until another task has had its turn.
macro_rules! lets_others_run {
    ($operation:expr) => {{
        let turn = Arc::new(AtomicBool::new(false));
        let theirs = turn.clone();
        spawn(async move { theirs.store(true, Relaxed) });
        // Far oftener than any budget allows.
        for _ in 0..10_000 {
            if turn.load(Relaxed) {
                break;
            }
            let _ = $operation.await;
        }
        assert!(turn.load(Relaxed), "{}", stringify!($operation));
    }};
}

#[test]
fn an_operation_that_is_always_ready_lets_others_run() {
    on_one_alone(async {
        let (mutex, lock, semaphore) = (Mutex::new(1), RwLock::new(1), Semaphore::new(1));
        lets_others_run!(mutex.lock());
        lets_others_run!(lock.read());
        lets_others_run!(lock.write());
        lets_others_run!(semaphore.acquire());
        let (group, barrier) = (WaitGroup::new(), Barrier::new(1));
        lets_others_run!(group.wait());
        lets_others_run!(barrier.wait());
        let notify = Notify::new();
        lets_others_run!({
            notify.notify_one();
            notify.notified()
        });
        let (once, cell) = (Once::new(), OnceCell::new());
        lets_others_run!(once.call(|| async {}));
        lets_others_run!(cell.get_or_init(|| async { 1 }));
        let (ctx, cancel) = Context::background().with_cancel();
        cancel.cancel();
        lets_others_run!(ctx.done());

        let (tx, rx) = channel(1);
        lets_others_run!({
            let _ = rx.try_recv();
            tx.send(1)
        });
        lets_others_run!({
            let _ = tx.try_send(1);
            rx.recv()
        });
        lets_others_run!(async {
            select! {
                _ = rx.recv() => {}
                default => {}
            }
        });
        rx.close();
        let _ = rx.try_recv();
        lets_others_run!(rx.recv());
        lets_others_run!(tx.send(1));
        lets_others_run!(async {
            select! {
                _ = rx.recv() => {}
                _ = tx.send(1) => {}
            }
        });
        lets_others_run!(async {
            let mut select = Select::new();
            select.recv(&rx, |_| {});
            select.wait().await;
        });
        let (watch_tx, mut watch_rx) = watch::channel(1);
        lets_others_run!(watch_rx.wait_for(|_| true));
        lets_others_run!({
            watch_tx.replace(2);
            watch_rx.changed()
        });
        let (cast_tx, mut cast_rx) = broadcast::channel(1);
        lets_others_run!({
            let _ = cast_tx.send(1);
            cast_rx.recv()
        });
    });
}

/// An operation that is not ready loses a `select!` three times; made ready, it wins.
async fn loses_and_wins<F: Future>(operation: impl Fn() -> F, make_ready: impl FnOnce()) {
    for _ in 0..3 {
        select! {
            _ = operation() => panic!("it was not ready"),
            () = runtime::yield_now() => {}
        }
    }
    make_ready();
    let nobody = never::<u32>();
    select! {
        _ = operation() => {}
        _ = nobody.recv() => unreachable!(),
    }
}

#[test]
fn each_can_be_an_arm_of_a_select_again_and_again() {
    on_each(WORKERS, || async {
        let mutex = Mutex::new(1);
        let guard = mutex.lock().await;
        loses_and_wins(|| mutex.lock(), || drop(guard)).await;
        let lock = RwLock::new(1);
        let guard = lock.write().await;
        loses_and_wins(|| lock.read(), || drop(guard)).await;
        let guard = lock.read().await;
        loses_and_wins(|| lock.write(), || drop(guard)).await;
        let semaphore = Semaphore::new(2);
        let permit = semaphore.acquire().await;
        loses_and_wins(|| semaphore.acquire_many(2), || drop(permit)).await;
        let notify = Notify::new();
        loses_and_wins(|| notify.notified(), || notify.notify_one()).await;
        let group = WaitGroup::new();
        group.add(1);
        loses_and_wins(|| group.wait(), || group.done()).await;
        let (ctx, cancel) = Context::background().with_cancel();
        loses_and_wins(|| ctx.done(), || cancel.cancel()).await;
        let (ctx, cancel) = Context::background().with_cancel();
        loses_and_wins(
            || ctx.run(std::future::pending::<u32>()),
            || cancel.cancel(),
        )
        .await;

        // One that gives up has not come to the barrier.
        let barrier = Barrier::new(2);
        let mut other = pin!(barrier.wait());
        let come = || assert!(poll_once(other.as_mut()).is_pending());
        loses_and_wins(|| barrier.wait(), come).await;
        assert!(poll_once(other.as_mut()).is_ready());

        let (once, cell) = (Once::new(), OnceCell::new());
        {
            let mut doing = Box::pin(once.call(std::future::pending));
            let mut making = Box::pin(cell.get_or_init(std::future::pending));
            assert!(poll_once(doing.as_mut()).is_pending());
            assert!(poll_once(making.as_mut()).is_pending());
            loses_and_wins(|| once.call(|| async {}), || drop(doing)).await;
            loses_and_wins(|| cell.get_or_init(|| async { 1 }), || drop(making)).await;
        }
        assert_eq!((once.is_done(), cell.get()), (true, Some(&1)));
    });
}

#[test]
fn a_wait_at_a_condition_that_loses_a_select_comes_back_for_the_lock() {
    on_each(WORKERS, || async {
        let (mutex, changed) = (Mutex::new(0), Cond::new());
        for _ in 0..3 {
            let guard = mutex.lock().await;
            select! {
                _ = changed.wait(guard) => panic!("nobody called"),
                () = runtime::yield_now() => {}
            }
        }
        let mut wait = pin!(changed.wait(mutex.try_lock().expect("no lock is held")));
        assert!(poll_once(wait.as_mut()).is_pending());
        changed.signal();
        select! {
            guard = wait.as_mut() => assert_eq!(*guard, 0),
        }
    });
}

#[test]
fn groups_can_be_arms_of_a_select() {
    on_each(WORKERS, || async {
        let mut group = errgroup::Group::new();
        let (tx, rx) = channel::<()>(0);
        group.set_limit(1);
        assert!(
            group
                .spawn(async move { rx.recv().await.ok_or("closed") })
                .await
        );
        for _ in 0..3 {
            select! {
                _ = group.spawn(async { Ok(()) }) => panic!("there was no place"),
                () = runtime::yield_now() => {}
            }
            select! {
                _ = group.wait() => panic!("a member runs"),
                () = runtime::yield_now() => {}
            }
        }
        drop(tx);
        select! {
            outcome = group.wait() => assert_eq!(outcome, Err("closed")),
        }
        let flight = Arc::new(singleflight::Group::new());
        let (tx, rx) = channel::<u32>(0);
        let theirs = rx.clone();
        let mut first = Box::pin(flight.run(1, move || async move { theirs.recv().await }));
        assert!(poll_once(first.as_mut()).is_pending());
        for _ in 0..3 {
            select! {
                _ = flight.run(1, || async { None }) => panic!("the first still runs"),
                () = runtime::yield_now() => {}
            }
        }
        tx.send(5).await.unwrap();
        select! {
            got = first.as_mut() => assert_eq!(got, Some(5)),
        }
    });
}

fn shows(what: &dyn Debug, part: &str) {
    let text = format!("{what:?}");
    assert!(text.contains(part), "{text}");
}

#[test]
fn debug_waits_for_nobody() {
    on_each(&[1], || async {
        let mutex = Arc::new(Mutex::new(1));
        shows(&mutex, "value: 1");
        let guard = mutex.lock().await;
        shows(&mutex, "<locked>");
        shows(&guard, "1");
        let mut waiting = pin!(mutex.lock());
        assert!(poll_once(waiting.as_mut()).is_pending());
        shows(&waiting, "MutexLock");

        let lock = RwLock::new(1);
        shows(&lock, "value: 1");
        let reader = lock.read().await;
        shows(&reader, "1");
        drop(reader);
        let writer = lock.write().await;
        shows(&lock, "<locked>");
        shows(&writer, "1");
        shows(&lock.read(), "RwLockRead");
        shows(&lock.write(), "RwLockWrite");

        let semaphore = Semaphore::new(3);
        let permit = semaphore.acquire().await;
        shows(&semaphore, "available: 2");
        shows(&permit, "count: 1");
        shows(&semaphore.acquire(), "Acquire");

        let cond = Cond::new();
        shows(&cond, "Cond");
        shows(&cond.wait(guard), "CondWait");
        let group = WaitGroup::new();
        let one = group.guard();
        shows(&group, "counter: 1");
        shows(&one, "WaitGroupGuard");
        shows(&group.wait(), "Wait");
        let barrier = Barrier::new(2);
        shows(&barrier, "size: 2");
        shows(&barrier.wait(), "BarrierWait");
        let notify = Notify::new();
        shows(&notify, "permit: false");
        shows(&notify.notified(), "Notified");

        // While it is being made.
        let (once, cell) = (Once::new(), OnceCell::<u32>::new());
        let mut doing = pin!(once.call(std::future::pending));
        let mut making = pin!(cell.get_or_init(std::future::pending));
        assert!(poll_once(doing.as_mut()).is_pending() && poll_once(making.as_mut()).is_pending());
        shows(&once, "done: false");
        shows(&cell, "value: None");

        let (tx, mut rx) = oneshot::channel::<u32>();
        shows(&tx, "closed: false");
        shows(&rx, "Open");
        rx.close();
        let (tx, mut rx) = watch::channel(1);
        // While somebody looks at the value.
        let value = tx.borrow();
        shows(&value, "1");
        shows(&tx, "receivers: 1");
        shows(&rx, "has_changed: false");
        drop(value);
        shows(&rx.changed(), "Changed");
        let (tx, mut rx) = broadcast::channel::<u32>(1);
        shows(&tx, "receivers: 1");
        shows(&rx, "len: 0");
        shows(&rx.recv(), "Recv");
        let (tx, rx) = channel::<u32>(1);
        shows(&tx, "Sender");
        shows(&rx, "Receiver");
        shows(&tx.send(1), "Send");
        shows(&rx.recv(), "Recv");

        let (ctx, cancel) = Context::background().with_cancel();
        shows(&ctx, "Context");
        shows(&cancel, "CancelFunc");
        shows(&ctx.done(), "Done");
        shows(&ctx.run(async {}), "Run");
        let group = errgroup::Group::<u32>::new();
        shows(&group, "running: 0");
        shows(&group.spawner(), "Spawner");
        shows(&group.spawn(async { Ok(()) }), "Spawn");
        shows(&singleflight::Group::<u32, u32>::new(), "running: 0");
        let pool: Pool<u32> = Pool::new(|| 7);
        shows(&pool.get(), "7");
        shows(&pool, "len: 1");
    });
}

/// A key whose comparison prints the group in which it is compared.
#[derive(Clone)]
struct Chatty(u32, Option<Arc<singleflight::Group<Chatty, u32>>>);

impl std::hash::Hash for Chatty {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        if let Some(group) = &self.1 {
            shows(group, "Group");
        }
        self.0.hash(state);
    }
}

impl PartialEq for Chatty {
    fn eq(&self, other: &Self) -> bool {
        self.0 == other.0
    }
}

impl Eq for Chatty {}

#[test]
fn debug_does_not_wait_for_a_lock_that_foreign_code_runs_under() {
    on_each(&[1], || async {
        let group = Arc::new(singleflight::Group::new());
        let key = Chatty(1, Some(group.clone()));
        assert_eq!(group.run(key, || async { 5 }).await, 5);
    });
}
