//! `errgroup` through its public face: what Go's own tests of it check, stated anew, and what only
//! exists here.
#![cfg(not(loom))]

mod support;

use std::future::{Future, pending};
use std::panic::AssertUnwindSafe;
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context as TaskContext, Poll, Wake, Waker};

use futures_util::FutureExt;
use runtime::task::coop::unconstrained;
use support::{
    Random, WORKERS, blocks, give_up_after, message_of, on, on_each, pause, poll_once, times,
    with_seeds,
};
use sync::context::{Context, ContextError};
use sync::errgroup::{Group, Spawner};
use sync::{channel, select};

// What Go tests.

/// Go: TestZeroGroup.
#[test]
fn the_first_error_is_returned_when_all_have_ended() {
    on_each(WORKERS, || async {
        let cases: [&[Option<u32>]; 5] = [
            &[],
            &[None],
            &[Some(1)],
            &[Some(1), None],
            &[Some(1), None, Some(2)],
        ];
        for outcomes in cases {
            let mut group = Group::new();
            let mut first = None;
            for &outcome in outcomes {
                let (tx, rx) = channel::<()>(0);
                let started = group
                    .spawn(async move {
                        drop(tx);
                        outcome.map_or(Ok(()), Err)
                    })
                    .await;
                assert_eq!(started, first.is_none(), "nothing new after a failure");
                rx.recv().await;
                while started && format!("{group:?}").contains("running: 1") {
                    runtime::yield_now().await;
                }
                first = first.or(outcome);
            }
            assert_eq!(group.wait().await, first.map_or(Ok(()), Err));
            assert_eq!(group.wait().await, Ok(()), "it is as new");
        }
    });
}

/// Go: TestWithContext.
#[test]
fn the_context_is_done_after_wait_also_without_an_error() {
    on_each(WORKERS, || async {
        for outcome in [Ok(()), Err("doomed")] {
            let (mut group, ctx) = Group::with_context(&Context::background());
            group.spawn(async move { outcome }).await;
            assert_eq!(group.wait().await, outcome);
            assert_eq!(ctx.err(), Some(ContextError::Canceled));
        }
    });
}

/// Go: TestTryGo.
#[test]
fn try_spawn_starts_as_many_as_the_limit_allows() {
    on_each(WORKERS, || async {
        let mut group = Group::<()>::new();
        let (tx, rx) = channel::<()>(0);
        const MANY: usize = times(42);
        group.set_limit(MANY);
        for _ in 0..MANY {
            let rx = rx.clone();
            assert!(group.try_spawn(async move { rx.recv().await.map_or(Ok(()), Ok) }));
        }
        assert!(!group.try_spawn(async { Ok(()) }));
        tx.close();
        group.wait().await.unwrap();

        let (tx, rx) = channel::<()>(0);
        group.set_limit(1);
        let held = rx.clone();
        assert!(group.try_spawn(async move { held.recv().await.map_or(Ok(()), Ok) }));
        assert!(!group.try_spawn(async { Ok(()) }));
        tx.close();
        group.wait().await.unwrap();
        group.set_limit(None);
        for _ in 0..times(100) {
            assert!(group.try_spawn(async { Ok(()) }));
        }
        group.wait().await.unwrap();
        group.set_limit(0);
        assert!(!group.try_spawn(async { Ok(()) }));
        blocks(group.spawn(async { Ok(()) })).await;
        group.wait().await.unwrap();
    });
}

/// Go: TestGoLimit.
#[test]
fn never_more_members_run_than_the_limit() {
    on_each(WORKERS, || async {
        const LIMIT: usize = times(10);
        let mut group = Group::<String>::new();
        group.set_limit(LIMIT);
        let active = Arc::new(AtomicUsize::new(0));
        for _ in 0..=times(1 << 10) {
            let active = active.clone();
            group
                .spawn(async move {
                    let now = active.fetch_add(1, Ordering::SeqCst) + 1;
                    runtime::yield_now().await;
                    active.fetch_sub(1, Ordering::SeqCst);
                    match now > LIMIT {
                        true => Err(format!("{now} at once")),
                        false => Ok(()),
                    }
                })
                .await;
        }
        assert_eq!(group.wait().await, Ok(()));
    });
}

/// Go: TestCancelCause.
#[test]
fn the_cause_is_the_first_error_or_canceled() {
    on_each(WORKERS, || async {
        for (outcome, cause) in [(Ok(()), "context canceled"), (Err("doomed"), "doomed")] {
            let (mut group, ctx) = Group::with_context(&Context::background());
            group.spawn(async move { outcome }).await;
            let _ = group.wait().await;
            assert_eq!(ctx.cause().unwrap().to_string(), cause);
        }
    });
}

/// Go: `modify limit while … still active` panics.
#[test]
fn the_limit_cannot_be_changed_while_members_run() {
    on(2, async {
        let group = Group::<()>::new();
        group.spawn(pending()).await;
        let message = message_of(|| group.set_limit(3));
        assert!(
            message.starts_with("errgroup: modify limit while 1 members"),
            "{message}"
        );
    });
}

// What only exists here.

#[test]
fn a_member_is_told_of_the_failure_of_another() {
    on_each(WORKERS, || async {
        let (mut group, ctx) = Group::with_context(&Context::background());
        let (tx, rx) = channel(1);
        group
            .spawn(async move {
                ctx.done().await;
                tx.send(ctx.cause().unwrap().to_string()).await.unwrap();
                Ok(())
            })
            .await;
        group.spawn(async { Err("disk full") }).await;
        assert_eq!(group.wait().await, Err("disk full"));
        assert_eq!(rx.recv().await.unwrap(), "disk full");
    });
}

#[test]
fn waiting_for_a_place_ends_with_the_context() {
    on_each(WORKERS, || async {
        let (parent, cancel) = Context::background().with_cancel();
        let (mut group, ctx) = Group::<String>::with_context(&parent);
        group.set_limit(1);
        group
            .spawn(async move {
                ctx.done().await;
                Ok(())
            })
            .await;
        let spawner = group.spawner();
        let waiting = runtime::spawn(async move { spawner.spawn(async { unreachable!() }).await });
        pause(5).await;
        cancel.cancel();
        assert!(!waiting.await.unwrap());
        assert!(!group.spawn(async { unreachable!() }).await);
        assert!(!group.try_spawn(async { unreachable!() }));
        assert_eq!(group.wait().await, Ok(()));
    });
}

#[test]
fn a_failure_refuses_those_who_wait_for_a_place() {
    on_each(WORKERS, || async {
        let mut group = Group::new();
        group.set_limit(1);
        let (tx, rx) = channel::<()>(0);
        group
            .spawn(async move {
                rx.recv().await;
                Err("failed")
            })
            .await;
        let waiting: Vec<_> = (0..50)
            .map(|_| {
                let spawner = group.spawner();
                runtime::spawn(async move { spawner.spawn(async { unreachable!() }).await })
            })
            .collect();
        pause(5).await;
        drop(tx);
        for task in waiting {
            assert!(!task.await.unwrap());
        }
        assert_eq!(group.wait().await, Err("failed"));
    });
}

struct OnDrop(Arc<AtomicUsize>);

impl Drop for OnDrop {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

#[test]
fn abort_on_error_drops_the_others() {
    on_each(WORKERS, || async {
        let dropped = Arc::new(AtomicUsize::new(0));
        let mut group = Group::new();
        group.abort_on_error();
        for _ in 0..times(20) {
            let inside = OnDrop(dropped.clone());
            group
                .spawn(async move {
                    let _inside = inside;
                    pending().await
                })
                .await;
        }
        group.spawn(async { Err("no") }).await;
        assert_eq!(group.wait().await, Err("no"));
        assert_eq!(
            dropped.load(Ordering::SeqCst),
            times(20),
            "before wait returns"
        );
    });
}

/// Those that have not been polled see it by themselves; these have to be woken for it.
#[test]
fn members_that_wait_already_are_woken_to_give_up() {
    on_each(WORKERS, || async {
        let dropped = Arc::new(AtomicUsize::new(0));
        let waiting = Arc::new(AtomicUsize::new(0));
        let start = |group: &Group<&'static str>| {
            let (inside, waiting) = (OnDrop(dropped.clone()), waiting.clone());
            assert!(group.try_spawn(async move {
                let _inside = inside;
                waiting.fetch_add(1, Ordering::SeqCst);
                pending().await
            }));
        };
        let all_wait = || async {
            while waiting.load(Ordering::SeqCst) < times(20) {
                runtime::yield_now().await;
            }
            waiting.store(0, Ordering::SeqCst);
        };
        let mut group = Group::new();
        group.abort_on_error();
        (0..times(20)).for_each(|_| start(&group));
        all_wait().await;
        group.spawn(async { Err("no") }).await;
        assert_eq!(group.wait().await, Err("no"));
        assert_eq!(dropped.swap(0, Ordering::SeqCst), times(20));

        // The same group again; then it is dropped.
        (0..times(20)).for_each(|_| start(&group));
        all_wait().await;
        drop(group);
        while dropped.load(Ordering::SeqCst) < times(20) {
            runtime::yield_now().await;
        }
    });
}

#[test]
fn a_member_that_drops_its_group_and_waits_is_dropped() {
    on_each(WORKERS, || async {
        let dropped = Arc::new(AtomicUsize::new(0));
        let group = Arc::new(Mutex::new(None));
        let (inside, theirs) = (OnDrop(dropped.clone()), group.clone());
        let new = Group::<()>::new();
        let (tx, rx) = channel::<()>(0);
        assert!(new.try_spawn(async move {
            let _inside = inside;
            rx.recv().await;
            drop(theirs.lock().unwrap().take());
            // In the poll in which it is told to give up.
            pending().await
        }));
        *group.lock().unwrap() = Some(new);
        drop(tx);
        while dropped.load(Ordering::SeqCst) == 0 {
            runtime::yield_now().await;
        }
    });
}

#[test]
fn raising_a_limit_of_zero_starts_who_waits() {
    on_each(WORKERS, || async {
        let group = Arc::new(Group::<()>::new());
        group.set_limit(0);
        let started = Arc::new(AtomicUsize::new(0));
        // More than are woken in one go.
        let waiting: Vec<_> = (0..times(100))
            .map(|_| {
                let (group, started) = (group.clone(), started.clone());
                runtime::spawn(async move {
                    let member = async move {
                        started.fetch_add(1, Ordering::SeqCst);
                        Ok(())
                    };
                    group.spawn(member).await
                })
            })
            .collect();
        for _ in 0..times(10) {
            runtime::yield_now().await;
        }
        assert_eq!(started.load(Ordering::SeqCst), 0);
        group.set_limit(None);
        for spawn in waiting {
            assert!(spawn.await.unwrap(), "it was started");
        }
        let mut group = Arc::into_inner(group).expect("all have let go");
        group.wait().await.unwrap();
        assert_eq!(started.load(Ordering::SeqCst), times(100));
    });
}

#[test]
fn what_a_future_owns_goes_before_its_member_counts_as_ended() {
    /// Ready at once; says on drop what its group counts.
    struct Owner(Spawner<String>, Arc<Mutex<Vec<String>>>);

    impl Future for Owner {
        type Output = Result<(), String>;

        fn poll(self: Pin<&mut Self>, _: &mut TaskContext<'_>) -> Poll<Self::Output> {
            Poll::Ready(Ok(()))
        }
    }

    impl Drop for Owner {
        fn drop(&mut self) {
            self.1.lock().unwrap().push(format!("{:?}", self.0));
        }
    }

    on_each(WORKERS, || async {
        let said = Arc::default();
        let mut group = Group::new();
        group.spawn(Owner(group.spawner(), Arc::clone(&said))).await;
        group.wait().await.unwrap();
        let said = said.lock().unwrap();
        assert_eq!(said.len(), 1);
        assert!(said[0].contains("running: 1"), "{said:?}");
    });
}

/// Without a context, whose end would refuse them, too.
#[test]
fn dropping_the_group_refuses_who_waits_for_a_place_and_who_comes_later() {
    on_each(WORKERS, || async {
        let group = Group::<()>::new();
        group.set_limit(1);
        assert!(group.try_spawn(pending()));
        let spawner = group.spawner();
        let theirs = spawner.clone();
        let waiting = runtime::spawn(async move { theirs.spawn(async { unreachable!() }).await });
        for _ in 0..times(10) {
            runtime::yield_now().await;
        }
        drop(group);
        assert!(!waiting.await.unwrap());
        assert!(!spawner.spawn(async { unreachable!() }).await);
        assert!(!spawner.try_spawn(async { unreachable!() }));
    });
}

#[test]
fn dropping_the_group_aborts_what_still_runs() {
    on_each(WORKERS, || async {
        let dropped = Arc::new(AtomicUsize::new(0));
        let (group, ctx) = Group::<String>::with_context(&Context::background());
        let (tx, rx) = channel::<()>(0);
        for _ in 0..times(20) {
            let (inside, tx) = (OnDrop(dropped.clone()), tx.clone());
            group
                .spawn(async move {
                    let _inside = (inside, tx);
                    pending().await
                })
                .await;
        }
        let spawner = group.spawner();
        drop((group, tx));
        assert!(ctx.is_done());
        assert_eq!(rx.recv().await, None); // all have let go
        while dropped.load(Ordering::SeqCst) < times(20) {
            runtime::yield_now().await;
        }
        assert!(!spawner.spawn(async { unreachable!() }).await);
    });
}

#[test]
fn a_panic_resumes_in_wait_while_others_still_run() {
    on_each(WORKERS, || async {
        let mut group = Group::<String>::new();
        group.spawn(pending()).await;
        group.spawn(async { panic!("boom") }).await;
        let panic = AssertUnwindSafe(group.wait())
            .catch_unwind()
            .await
            .unwrap_err();
        assert_eq!(*panic.downcast::<&str>().unwrap(), "boom");
        assert!(!group.try_spawn(async { Ok(()) }), "a panic is a failure");
    });
}

#[test]
fn a_panic_ends_the_context() {
    on_each(WORKERS, || async {
        let (mut group, ctx) = Group::<String>::with_context(&Context::background());
        group.spawn(async { panic!("boom") }).await;
        ctx.done().await;
        assert_eq!(
            ctx.cause().unwrap().to_string(),
            "a member of the group panicked: boom"
        );
        assert!(AssertUnwindSafe(group.wait()).catch_unwind().await.is_err());
    });
}

#[test]
fn a_panic_resumes_in_wait_all_and_in_a_thread_that_waits_too() {
    on_each(WORKERS, || async {
        let mut group = Group::new();
        group.collect_errors();
        group.spawn(async { Err(1) }).await;
        group.spawn(pending()).await;
        group.spawn(async { panic!("boom") }).await;
        let panic = AssertUnwindSafe(group.wait_all()).catch_unwind().await;
        assert_eq!(*panic.unwrap_err().downcast::<&str>().unwrap(), "boom");
        let mut group = Group::<()>::new();
        group.spawn(pending()).await;
        group.spawn(async { panic!("boom") }).await;
        let waiting = runtime::spawn_blocking(move || group.blocking_wait());
        assert!(waiting.await.unwrap_err().is_panic());
    });
}

#[test]
fn after_the_panic_the_others_can_still_be_waited_for() {
    on_each(WORKERS, || async {
        let (tx, rx) = channel::<()>(0);
        let mut group = Group::new();
        let held = rx.clone();
        group
            .spawn(async move { held.recv().await.ok_or("closed") })
            .await;
        group.spawn(async { panic!("boom") }).await;
        assert!(AssertUnwindSafe(group.wait()).catch_unwind().await.is_err());
        blocks(group.wait()).await;
        drop(tx);
        assert_eq!(group.wait().await, Err("closed"));
        assert!(group.spawn(async { Ok(()) }).await, "it is as new");
        assert_eq!(group.wait().await, Ok(()));
    });
}

#[test]
fn a_panic_that_nobody_waited_for_is_reported_by_its_runtime() {
    let runtime = runtime::Builder::new().max_procs(1).build().unwrap();
    let group = runtime.block_on(async {
        let (group, ctx) = Group::<String>::with_context(&Context::background());
        group.spawn(async { panic!("unseen") }).await;
        ctx.done().await;
        group
    });
    // Outside any runtime, and all the same a task of that one carries the panic on.
    let spawned = || runtime.handle().metrics().spawned;
    let before = spawned();
    drop(group);
    assert_eq!(spawned() - before, 1);
}

/// Lets all members end.
async fn until_none_runs<E: Send + 'static>(group: &Group<E>) {
    while !format!("{group:?}").contains("running: 0") {
        runtime::yield_now().await;
    }
}

#[test]
fn of_two_panics_the_first_resumes_in_wait() {
    on_each(WORKERS, || async {
        let (mut group, ctx) = Group::<String>::with_context(&Context::background());
        group
            .spawn(async move {
                ctx.done().await;
                panic!("second")
            })
            .await;
        group.spawn(async { panic!("first") }).await;
        until_none_runs(&group).await;
        let panic = AssertUnwindSafe(group.wait()).catch_unwind().await;
        assert_eq!(*panic.unwrap_err().downcast::<&str>().unwrap(), "first");
        assert_eq!(group.wait().await, Ok(()));
    });
}

/// Nobody can wait for it any more, so it is its own task's: here it ends the runtime.
#[test]
fn a_panic_after_the_group_is_gone_is_reported() {
    let message = message_of(|| {
        let mut builder = runtime::Builder::new();
        builder.unhandled_panic(runtime::UnhandledPanic::ShutdownRuntime);
        let runtime = builder.max_procs(1).build().unwrap();
        runtime.block_on(async {
            let kept = Arc::new(Mutex::new(None));
            let group = Group::<String>::new();
            let taken = kept.clone();
            assert!(group.try_spawn(async move {
                let group: Option<Group<String>> = taken.lock().unwrap().take();
                drop(group.expect("kept before this runs"));
                panic!("nobody waits")
            }));
            *kept.lock().unwrap() = Some(group);
            pending::<()>().await;
        });
    });
    assert!(message.contains("nobody waits"), "{message}");
}

#[test]
fn a_limit_that_is_lifted_after_a_failure_lets_nothing_start_before_the_wait() {
    on_each(WORKERS, || async {
        let mut group = Group::new();
        let spawner = group.spawner();
        group.set_limit(1);
        group.spawn(async { Err("no") }).await;
        until_none_runs(&group).await;
        group.set_limit(None);
        assert!(!group.try_spawn(async { Ok(()) }));
        assert!(!spawner.spawn(async { Ok(()) }).await);
        assert_eq!(group.wait().await, Err("no"));
        assert!(spawner.try_spawn(async { Ok(()) }), "it is as new");
        assert_eq!(group.wait().await, Ok(()));
        drop(group);
        assert!(!spawner.try_spawn(async { Ok(()) }), "it is gone");
    });
}

#[test]
fn abort_on_error_counts_also_for_an_error_that_came_before() {
    on_each(WORKERS, || async {
        let dropped = Arc::new(AtomicUsize::new(0));
        let (mut group, ctx) = Group::with_context(&Context::background());
        let inside = OnDrop(dropped.clone());
        group
            .spawn(async move {
                let _inside = inside;
                pending().await
            })
            .await;
        group.spawn(async { Err("no") }).await;
        ctx.done().await;
        assert_eq!(dropped.load(Ordering::SeqCst), 0);
        group.abort_on_error();
        assert_eq!(group.wait().await, Err("no"));
        assert_eq!(dropped.load(Ordering::SeqCst), 1);
    });
}

#[test]
fn all_errors_can_be_collected() {
    on_each(WORKERS, || async {
        let (mut group, ctx) = Group::with_context(&Context::background());
        group.collect_errors();
        group.set_limit(3);
        for n in 0..30 {
            assert!(
                group
                    .spawn(async move { if n % 3 == 0 { Err(n) } else { Ok(()) } })
                    .await
            );
        }
        assert!(!ctx.is_done());
        let mut errors = group.wait_all().await.unwrap_err();
        errors.sort();
        assert_eq!(errors, (0..30).step_by(3).collect::<Vec<_>>());
        assert_eq!(group.wait_all().await, Ok(()));
    });
}

#[test]
fn members_start_members() {
    on_each(WORKERS, || async {
        fn walk(
            spawner: sync::errgroup::Spawner<String>,
            sum: Arc<AtomicUsize>,
            depth: usize,
        ) -> std::pin::Pin<Box<dyn Future<Output = Result<(), String>> + Send>> {
            Box::pin(async move {
                sum.fetch_add(1, Ordering::Relaxed);
                for _ in 0..if depth == 0 { 0 } else { 3 } {
                    let next = walk(spawner.clone(), sum.clone(), depth - 1);
                    spawner.spawn(next).await;
                }
                Ok(())
            })
        }
        const DEPTH: usize = if cfg!(miri) { 2 } else { 6 };
        let mut group = Group::new();
        let sum = Arc::new(AtomicUsize::new(0));
        group.spawn(walk(group.spawner(), sum.clone(), DEPTH)).await;
        group.wait().await.unwrap();
        assert_eq!(
            sum.load(Ordering::Relaxed),
            (3usize.pow(DEPTH as u32 + 1) - 1) / 2
        );
    });
}

#[test]
fn a_wait_that_is_dropped_loses_nothing() {
    on_each(WORKERS, || async {
        let mut group = Group::new();
        let (tx, rx) = channel::<()>(0);
        group
            .spawn(async move {
                rx.recv().await;
                Err("late")
            })
            .await;
        let ended = select! {
            _ = group.wait() => true,
            default => false,
        };
        assert!(!ended);
        drop(tx);
        assert_eq!(group.wait().await, Err("late"));
    });
}

/// Whether a waker was called.
#[derive(Default)]
struct Called(AtomicBool);

impl Wake for Called {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::SeqCst);
    }
}

#[test]
fn a_place_granted_to_a_spawn_that_is_dropped_goes_to_the_next() {
    on(1, async {
        let mut group = Group::<()>::new();
        group.set_limit(1);
        let (tx, rx) = channel::<()>(0);
        let held = rx.clone();
        group
            .spawn(async move { held.recv().await.map_or(Ok(()), Ok) })
            .await;
        let (first, second) = (group.spawner(), group.spawner());
        let ran = Arc::new(AtomicBool::new(false));
        let flag = ran.clone();
        let mut gone = Box::pin(first.spawn(async { unreachable!() }));
        let mut next = pin!(second.spawn(async move {
            flag.store(true, Ordering::SeqCst);
            Ok(())
        }));
        let called = Arc::new(Called::default());
        let waker = Waker::from(called.clone());
        {
            // Without a budget, whose end would look like waiting.
            let mut polled = pin!(unconstrained(gone.as_mut()));
            let mut cx = TaskContext::from_waker(&waker);
            assert!(polled.as_mut().poll(&mut cx).is_pending());
        }
        assert!(poll_once(next.as_mut()).is_pending());
        tx.close();
        while !called.0.load(Ordering::SeqCst) {
            runtime::yield_now().await;
        }
        drop(gone);
        assert!(next.await);
        let _ = group.wait().await;
        assert!(ran.load(Ordering::SeqCst));
    });
}

#[test]
fn a_member_ends_after_all_that_it_owned() {
    on_each(WORKERS, || async {
        let dropped = Arc::new(AtomicUsize::new(0));
        let mut group = Group::<()>::new();
        for _ in 0..times(100) {
            let inside = OnDrop(dropped.clone());
            group
                .spawn(async move {
                    let _inside = inside;
                    Ok(())
                })
                .await;
        }
        group.wait().await.unwrap();
        assert_eq!(dropped.load(Ordering::SeqCst), times(100));
    });
}

#[test]
fn a_thread_waits_for_members() {
    on_each(WORKERS, || async {
        let mut group = Group::new();
        group.spawn(async { Err(7) }).await;
        let waited = runtime::spawn_blocking(move || group.blocking_wait());
        assert_eq!(waited.await.unwrap(), Err(7));
    });
}

#[test]
fn members_dropped_with_their_runtime_are_not_taken_for_success() {
    let other = runtime::Builder::new().max_procs(1).build().unwrap();
    let mut group = Group::<()>::new();
    {
        let _entered = other.handle().enter();
        assert!(group.try_spawn(pending()));
    }
    drop(other);
    let message = message_of(|| group.blocking_wait());
    assert!(message.contains("its runtime shut down"), "{message}");
}

#[test]
fn a_hundred_thousand_members() {
    on_each(WORKERS, || async {
        let mut group = Group::<()>::new();
        let sum = Arc::new(AtomicUsize::new(0));
        const MANY: usize = if cfg!(miri) { 50 } else { 100_000 };
        for n in 0..MANY {
            let sum = sum.clone();
            group
                .spawn(async move {
                    sum.fetch_add(n, Ordering::Relaxed);
                    Ok(())
                })
                .await;
        }
        group.wait().await.unwrap();
        assert_eq!(sum.load(Ordering::Relaxed), MANY * (MANY - 1) / 2);
    });
}

/// Members that succeed, fail and are aborted, spawns that give up: every member that was started
/// ends, and every place comes back.
#[test]
fn random_cancellation_loses_no_place() {
    with_seeds(4, |seed| {
        for &workers in WORKERS {
            on(workers, random_cancellation(seed));
        }
    });
}

async fn random_cancellation(seed: u64) {
    let mut random = Random::new(seed);
    for _ in 0..times(50) {
        let (mut group, _ctx) = Group::with_context(&Context::background());
        let limit = 1 + random.below(4);
        group.set_limit(limit);
        let fails = random.chance(30);
        if random.chance(50) {
            group.abort_on_error();
        }
        let (begun, ended) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let spawners: Vec<_> = (0..4)
            .map(|task| {
                let (spawner, begun, ended) = (group.spawner(), begun.clone(), ended.clone());
                let mut random = Random::new(random.next() ^ (task << 40));
                runtime::spawn(async move {
                    for _ in 0..times(20) {
                        let yields = random.below(4);
                        let failing = fails && random.chance(5);
                        let (begun, ended) = (begun.clone(), ended.clone());
                        let member = async move {
                            begun.fetch_add(1, Ordering::SeqCst);
                            let _ended = OnDrop(ended);
                            pause(yields).await;
                            if failing { Err(7_u32) } else { Ok(()) }
                        };
                        let polls = if random.chance(50) {
                            usize::MAX
                        } else {
                            random.below(4)
                        };
                        let started = give_up_after(polls, spawner.spawn(member)).await;
                        assert!(fails || polls != usize::MAX || started == Some(true));
                    }
                })
            })
            .collect();
        for spawner in spawners {
            spawner.await.unwrap();
        }
        let outcome = group.wait().await;
        assert!(fails || outcome.is_ok());
        assert_eq!(begun.load(Ordering::SeqCst), ended.load(Ordering::SeqCst));
        assert!(format!("{group:?}").contains("running: 0"));
    }
}

/// Whose place was granted before, and who has not looked since.
#[test]
fn one_that_was_granted_a_place_is_not_started_after_a_failure() {
    on(1, async {
        let mut group = Group::new();
        group.set_limit(2);
        let (well, ends_well) = channel::<()>(0);
        let (badly, ends_badly) = channel::<()>(0);
        assert!(group.try_spawn(async move {
            ends_well.recv().await;
            Ok(())
        }));
        assert!(group.try_spawn(async move {
            ends_badly.recv().await;
            Err(7)
        }));
        let started = Arc::new(AtomicBool::new(false));
        let flag = started.clone();
        let spawner = group.spawner();
        let mut spawn = pin!(spawner.spawn(async move {
            flag.store(true, Ordering::SeqCst);
            Ok(())
        }));
        assert!(poll_once(spawn.as_mut()).is_pending());
        // The first gives its place to the one that waits, then the second fails.
        for end in [well, badly] {
            drop(end);
            pause(10).await;
        }
        assert!(!spawn.await, "granted, and refused");
        assert_eq!(group.wait().await, Err(7), "the place has come back");
        assert!(!started.load(Ordering::SeqCst));
    });
}

#[test]
fn errors_after_the_first_are_dropped_at_once() {
    on(1, async {
        let mut group = Group::new();
        let error = Arc::new(());
        for _ in 0..3 {
            let error = error.clone();
            assert!(group.try_spawn(async move {
                runtime::yield_now().await;
                Err(error)
            }));
        }
        while Arc::strong_count(&error) > 2 {
            runtime::yield_now().await;
        }
        assert!(group.wait().await.is_err());
    });
}
