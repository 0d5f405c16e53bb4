//! `context` through its public face: what Go's own tests of it check, stated anew, and what only
//! exists here.
#![cfg(not(loom))]

mod support;

use std::error::Error;
use std::fmt;
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::task::{Context as TaskContext, Poll, Wake, Waker};
use std::time::Duration;

use runtime::Runtime;
use runtime::time::Instant;
use support::{
    Random, WORKERS, blocks, give_up_after, on, on_each, pause, poll_once, with_seeds,
    within_a_minute,
};
use sync::context::{CancelFunc, Context, ContextError, Key};
use sync::{WaitGroup, channel, select};

/// Far enough that no test reaches it.
const HOUR: Duration = Duration::from_secs(3600);

fn cause_of(ctx: &Context) -> Option<String> {
    ctx.cause().map(|cause| cause.to_string())
}

/// Done, with this error, for every way to ask.
fn assert_ended(ctx: &Context, err: ContextError) {
    assert_eq!(ctx.err(), Some(err));
    assert!(ctx.is_done());
    assert!(
        poll_once(pin!(ctx.done())).is_ready(),
        "err says so, done does not"
    );
    assert!(ctx.cause().is_some());
}

fn assert_live(ctx: &Context) {
    assert_eq!(ctx.err(), None);
    assert!(poll_once(pin!(ctx.done())).is_pending());
    assert!(ctx.cause().is_none());
}

// What Go tests.

/// Go: TestBackground, TestTODO.
#[test]
fn a_background_context_never_ends() {
    on_each(WORKERS, || async {
        let ctx = Context::background();
        assert_live(&ctx);
        assert_eq!(ctx.deadline(), None);
        blocks(ctx.done()).await;
    });
}

/// Go: TestWithCancel. The whole tree is done when `cancel` returns.
#[test]
fn cancelling_is_synchronous_down_the_tree() {
    let (parent, cancel) = Context::background().with_cancel();
    let (child, _c) = parent.with_cancel();
    let (grandchild, _g) = child.with_cancel_cause();
    let valued = grandchild.with_value(Name, "x".into());
    for ctx in [&parent, &child, &grandchild, &valued] {
        assert_live(ctx);
    }
    cancel.cancel();
    for ctx in [&parent, &child, &grandchild, &valued] {
        assert_ended(ctx, ContextError::Canceled);
    }
}

/// Go: TestChildFinishesFirst.
#[test]
fn a_child_that_ends_leaves_its_parent_alone() {
    let (parent, _p) = Context::background().with_cancel();
    let (child, cancel) = parent.with_cancel();
    cancel.cancel();
    assert_ended(&child, ContextError::Canceled);
    assert_live(&parent);
}

/// Go: TestWithCancelCanceledParent.
#[test]
fn a_child_of_one_that_has_ended_is_done_from_the_start() {
    let (parent, cancel) = Context::background().with_cancel_cause();
    cancel.cancel("because it was finished");
    let (child, _c) = parent.with_cancel();
    assert_ended(&child, ContextError::Canceled);
    assert_eq!(cause_of(&child).unwrap(), "because it was finished");
}

/// Go: TestDeadline.
#[test]
fn a_deadline_ends_it() {
    on_each(WORKERS, || async {
        let deadline = Instant::now() + Duration::from_millis(5);
        let (ctx, _c) = Context::background().with_deadline(deadline);
        assert_eq!(ctx.deadline(), Some(deadline));
        assert_eq!(ctx.done().await, ContextError::DeadlineExceeded);
        assert!(Instant::now() >= deadline);
        assert_ended(&ctx, ContextError::DeadlineExceeded);
        assert_eq!(cause_of(&ctx).unwrap(), "context deadline exceeded");
    });
}

/// Go: TestDeadline, second half.
#[test]
fn a_deadline_that_is_past_ends_it_on_return() {
    let (ctx, _c) = Context::background().with_deadline(Instant::now());
    assert_ended(&ctx, ContextError::DeadlineExceeded);
}

/// Go: TestTimeout: the earlier of two deadlines counts, in either order.
#[test]
fn the_earliest_deadline_counts() {
    on_each(WORKERS, || async {
        let (short, _a) = Context::background().with_timeout(Duration::from_millis(5));
        let (below, _b) = short.with_timeout(HOUR);
        assert_eq!(below.deadline(), short.deadline());
        assert_eq!(below.done().await, ContextError::DeadlineExceeded);
        assert_ended(&short, ContextError::DeadlineExceeded);

        let (long, _c) = Context::background().with_timeout(HOUR);
        let (below, _d) = long.with_timeout(Duration::from_millis(5));
        assert!(below.deadline() < long.deadline());
        assert_eq!(below.done().await, ContextError::DeadlineExceeded);
        assert_live(&long);
    });
}

/// Go: TestCanceledTimeout.
#[test]
fn cancelling_before_the_deadline_is_what_counts() {
    on_each(WORKERS, || async {
        let (ctx, cancel) = Context::background().with_timeout(HOUR);
        let (child, _c) = ctx.with_timeout(HOUR);
        cancel.cancel();
        assert_ended(&ctx, ContextError::Canceled);
        assert_ended(&child, ContextError::Canceled);
    });
}

struct Name;
impl Key for Name {
    type Value = String;
}

struct Number;
impl Key for Number {
    type Value = u32;
}

/// Go: TestValues.
#[test]
fn values_are_found_from_below_and_the_newest_counts() {
    let root = Context::background();
    assert_eq!(root.value(Name), None);
    let one = root.with_value(Name, "one".into());
    let two = one.with_value(Number, 2);
    let (below, _c) = two.with_cancel();
    let three = below.with_value(Name, "three".into());
    assert_eq!(one.value(Number), None);
    assert_eq!(below.value(Name).unwrap(), "one");
    assert_eq!(
        (three.value(Name).unwrap().as_str(), three.value(Number)),
        ("three", Some(&2))
    );
    assert_eq!(
        below.value(Name).unwrap(),
        "one",
        "the parent keeps its own"
    );
}

/// Go: TestSimultaneousCancels: a tree of a hundred, cancelled in any order by as many tasks.
#[test]
fn a_tree_cancelled_from_everywhere_at_once_ends() {
    on_each(WORKERS, || async {
        let (root, cancel) = Context::background().with_cancel();
        let mut tree = vec![(root, cancel)];
        for n in 0..100 {
            let made = tree[n / 2].0.with_cancel();
            tree.push(made);
        }
        let group = WaitGroup::new();
        let contexts: Vec<_> = tree.iter().map(|(ctx, _)| ctx.clone()).collect();
        for (ctx, cancel) in tree.into_iter().rev() {
            let children: Vec<_> = contexts.clone();
            group.spawn(async move {
                cancel.cancel();
                assert!(ctx.is_done());
                drop(children);
            });
        }
        for ctx in &contexts {
            assert_eq!(ctx.done().await, ContextError::Canceled);
        }
        group.wait().await;
    });
}

/// Two cancel the same root at once: for each of them, all is done when its call returns.
#[test]
fn a_second_canceller_finds_everything_done_too() {
    on_each(WORKERS, || async {
        for _ in 0..100 {
            let (root, cancel) = Context::background().with_cancel();
            let leaves: Vec<_> = (0..30)
                .map(|_| {
                    let (middle, _m) = root.with_cancel();
                    _m.keep();
                    let (leaf, keep) = middle.with_cancel();
                    keep.keep();
                    leaf
                })
                .collect();
            let shared = Arc::new((cancel, leaves));
            let tasks: Vec<_> = (0..2)
                .map(|_| {
                    let shared = shared.clone();
                    runtime::spawn(async move {
                        shared.0.cancel();
                        assert!(shared.1.iter().all(Context::is_done));
                    })
                })
                .collect();
            for task in tasks {
                task.await.unwrap();
            }
        }
    });
}

/// Go: TestInterlockedCancels.
#[test]
fn a_child_can_be_cancelled_when_its_parent_is_done() {
    on_each(WORKERS, || async {
        let (parent, cancel_parent) = Context::background().with_cancel();
        let (child, cancel_child) = parent.with_cancel();
        let task = runtime::spawn(async move {
            parent.done().await;
            cancel_child.cancel();
        });
        cancel_parent.cancel();
        child.done().await;
        task.await.unwrap();
    });
}

/// Go: TestLayersCancel, TestLayersTimeout: random stacks of contexts; all above the cancelled one
/// live on, all below end.
#[test]
fn random_stacks_end_from_the_cancelled_one_down() {
    with_seeds(20, |seed| on(2, random_stack(seed)));
}

async fn random_stack(seed: u64) {
    let mut random = Random::new(seed);
    let mut layers: Vec<(Context, Option<CancelFunc>)> = vec![(Context::background(), None)];
    for n in 0..50 {
        let top = &layers.last().unwrap().0;
        let layer = match random.below(4) {
            0 => {
                let (ctx, cancel) = top.with_cancel();
                (ctx, Some(cancel))
            }
            1 => {
                let (ctx, cancel) = top.with_timeout(HOUR);
                (ctx, Some(cancel))
            }
            _ => (top.with_value(Number, n), None),
        };
        layers.push(layer);
    }
    let at = random.below(layers.len());
    let Some(cancel) = layers[at].1.take() else {
        return;
    };
    drop(cancel);
    let first_node = |index: usize| {
        layers[..=index]
            .iter()
            .map(|(ctx, _)| ctx.is_done())
            .collect::<Vec<_>>()
    };
    let done = first_node(layers.len() - 1);
    assert!(done[..at].iter().all(|&done| !done), "above it all live on");
    assert!(
        done[at..].iter().all(|&done| done),
        "below it all have ended"
    );
    assert_eq!(
        layers.last().unwrap().0.done().await,
        ContextError::Canceled
    );
}

#[derive(Debug)]
struct Finished(u32);

impl fmt::Display for Finished {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "finished {}", self.0)
    }
}

impl Error for Finished {}

/// Go: TestCause, the rows that can be stated here.
#[test]
fn the_cause_is_that_of_the_first_cancelling() {
    on(2, async {
        let canceled = Some(ContextError::Canceled);
        // A cause that is an error stays one.
        let (ctx, cancel) = Context::background().with_cancel_cause();
        cancel.cancel(Finished(1));
        cancel.cancel(Finished(2));
        assert_eq!(ctx.err(), canceled);
        assert_eq!(
            ctx.cause().unwrap().downcast_ref::<Finished>().unwrap().0,
            1
        );
        // No cause given: the error itself.
        let (ctx, cancel) = Context::background().with_cancel_cause();
        drop(cancel);
        assert_eq!(cause_of(&ctx).unwrap(), "context canceled");
        // The parent first: its cause. The child first: its own.
        let (parent, end_parent) = Context::background().with_cancel_cause();
        let (first, end_first) = parent.with_cancel_cause();
        let (second, end_second) = parent.with_cancel_cause();
        end_first.cancel("child");
        end_parent.cancel("parent");
        end_second.cancel("too late");
        assert_eq!(cause_of(&first).unwrap(), "child");
        assert_eq!(cause_of(&second).unwrap(), "parent");
        assert_eq!(cause_of(&parent).unwrap(), "parent");
        // A deadline has its own cause; its cancel function does not set it.
        let (ctx, _c) = Context::background().with_timeout_cause(Duration::ZERO, "too slow");
        assert_eq!(ctx.err(), Some(ContextError::DeadlineExceeded));
        assert_eq!(cause_of(&ctx).unwrap(), "too slow");
        let (ctx, cancel) = Context::background().with_timeout_cause(HOUR, "too slow");
        cancel.cancel();
        assert_eq!(ctx.err(), canceled);
        assert_eq!(cause_of(&ctx).unwrap(), "context canceled");
        // And by the timer.
        let (ctx, _c) =
            Context::background().with_timeout_cause(Duration::from_millis(1), "too slow");
        let (child, _d) = ctx.with_cancel();
        assert_eq!(child.done().await, ContextError::DeadlineExceeded);
        assert_eq!(cause_of(&child).unwrap(), "too slow");
        // Without cancel: none.
        assert!(ctx.without_cancel().cause().is_none());
    });
}

/// Go: TestCauseRace.
#[test]
fn who_sees_it_done_sees_the_cause() {
    on_each(WORKERS, || async {
        let (ctx, cancel) = Context::background().with_cancel_cause();
        let task = runtime::spawn({
            let ctx = ctx.clone();
            async move {
                while !ctx.is_done() {
                    runtime::yield_now().await;
                }
                cause_of(&ctx).unwrap()
            }
        });
        cancel.cancel("a reason");
        assert_eq!(task.await.unwrap(), "a reason");
    });
}

/// Go: TestWithoutCancel.
#[test]
fn without_cancel_keeps_the_values_alone() {
    let (ctx, cancel) = Context::background().with_value(Number, 1).with_cancel();
    let rest = ctx.without_cancel();
    cancel.cancel();
    assert_live(&rest);
    assert_eq!(rest.deadline(), None);
    assert_eq!(rest.value(Number), Some(&1));
}

/// Go: TestAfterFuncCalledAfterCancel, TestAfterFuncCalledAfterTimeout,
/// TestAfterFuncCalledImmediately.
#[test]
fn after_func_is_called_once_it_is_done() {
    on_each(WORKERS, || async {
        let (tx, rx) = channel(4);
        let call = |tx: &sync::Sender<&'static str>, what| {
            let tx = tx.clone();
            move || tx.try_send(what).unwrap()
        };
        let (ctx, cancel) = Context::background().with_cancel();
        let first = ctx.after_func(call(&tx, "cancelled"));
        blocks(rx.recv()).await;
        cancel.cancel();
        assert_eq!(rx.recv().await, Some("cancelled"));
        assert!(!first.stop());
        let late = ctx.after_func(call(&tx, "at once"));
        assert_eq!(rx.recv().await, Some("at once"));
        assert!(!late.stop());
        let (ctx, _c) = Context::background().with_timeout(Duration::from_millis(1));
        ctx.after_func(call(&tx, "timeout"));
        assert_eq!(rx.recv().await, Some("timeout"));
    });
}

/// Go: TestAfterFuncNotCalledAfterStop.
#[test]
fn after_func_is_not_called_once_it_is_stopped() {
    on_each(WORKERS, || async {
        let (ctx, cancel) = Context::background().with_cancel();
        let called = Arc::new(AtomicBool::new(false));
        let flag = called.clone();
        let stopped = ctx.after_func(move || flag.store(true, Ordering::SeqCst));
        let (tx, rx) = channel(1);
        ctx.after_func(move || tx.try_send(()).unwrap());
        assert!(stopped.stop());
        assert!(!stopped.stop());
        cancel.cancel();
        rx.recv().await;
        assert!(!called.load(Ordering::SeqCst));
        let never = Context::background().after_func(|| unreachable!());
        assert!(never.stop() && !never.stop());
    });
}

/// Go: TestAfterFuncCalledAsynchronously: cancelling does not wait for the function, which may wait
/// for what the canceller holds.
#[test]
fn after_func_runs_in_a_task_of_its_own() {
    on_each(WORKERS, || async {
        let (ctx, cancel) = Context::background().with_cancel();
        let lock = Arc::new(std::sync::Mutex::new(()));
        let (tx, rx) = channel(1);
        let held = lock.lock().unwrap();
        let theirs = lock.clone();
        ctx.after_func(move || {
            drop(theirs.lock());
            tx.try_send(()).unwrap();
        });
        cancel.cancel(); // would never return if it called the function
        drop(held);
        rx.recv().await;
    });
}

#[test]
fn the_task_of_an_after_func_was_spawned_where_that_was_called() {
    on_each(WORKERS, || async {
        let (tx, rx) = channel(1);
        let look = move || {
            let me = runtime::task::id();
            let dump = runtime::Handle::current().dump();
            let task = dump.tasks().iter().find(|task| Some(task.id) == me);
            tx.try_send(task.unwrap().spawned_at).unwrap();
        };
        let (ctx, cancel) = Context::background().with_cancel();
        let line = line!() + 1;
        ctx.after_func(look.clone());
        cancel.cancel();
        let place = rx.recv().await.unwrap();
        assert_eq!((place.file(), place.line()), (file!(), line));
        // And of one that is started at once.
        let line = line!() + 1;
        ctx.after_func(look);
        let place = rx.recv().await.unwrap();
        assert_eq!((place.file(), place.line()), (file!(), line));
    });
}

/// Go: TestContextErrDoneRace (issue 75533).
#[test]
fn err_implies_done() {
    on_each(WORKERS, || async {
        for _ in 0..200 {
            let (ctx, cancel) = Context::background().with_cancel();
            let canceller = runtime::spawn(async move { cancel.cancel() });
            while ctx.err().is_none() {
                runtime::yield_now().await;
            }
            assert_ended(&ctx, ContextError::Canceled);
            canceller.await.unwrap();
        }
    });
}

// What only exists here.

#[test]
fn dropping_the_cancel_function_cancels_unless_it_is_kept() {
    let (ctx, cancel) = Context::background().with_cancel();
    drop(cancel);
    assert_ended(&ctx, ContextError::Canceled);
    let (ctx, cancel) = Context::background().with_cancel();
    cancel.keep();
    assert_live(&ctx);
}

#[test]
fn a_merged_context_ends_with_either() {
    for first in [true, false] {
        let (a, end_a) = Context::background()
            .with_value(Number, 1)
            .with_cancel_cause();
        let (b, end_b) = Context::background()
            .with_value(Number, 2)
            .with_value(Name, "b".into())
            .with_cancel_cause();
        let (merged, _c) = a.merge(&b);
        assert_live(&merged);
        assert_eq!(
            (merged.value(Number), merged.value(Name).unwrap().as_str()),
            (Some(&1), "b")
        );
        match first {
            true => end_a.cancel("a"),
            false => end_b.cancel("b"),
        }
        assert_ended(&merged, ContextError::Canceled);
        assert_eq!(cause_of(&merged).unwrap(), if first { "a" } else { "b" });
        assert!(a.is_done() == first && b.is_done() != first);
    }
    let (ended, cancel) = Context::background().with_cancel();
    cancel.cancel();
    assert_ended(
        &Context::background().merge(&ended).0,
        ContextError::Canceled,
    );
}

/// There are as many ways through these as there are atoms in a glass of water.
#[test]
fn contexts_that_are_merged_again_and_again_end_and_are_searched_in_no_time() {
    support::within_a_minute(|| {
        let (root, cancel) = Context::background().with_cancel();
        let mut ctx = root.with_value(Number, 7);
        let mut kept = Vec::new();
        for i in 0..80 {
            let (a, b) = (ctx.with_cancel(), ctx.with_cancel());
            let b_ctx = if i % 2 == 0 { &a.0 } else { &b.0 };
            let merged = a.0.merge(b_ctx);
            ctx = merged.0;
            kept.extend([a.1, b.1, merged.1]);
        }
        assert_eq!(ctx.value(Number), Some(&7));
        assert_eq!(ctx.value(Name), None);
        cancel.cancel();
        assert_ended(&ctx, ContextError::Canceled);
        // Once more, from where all has ended.
        cancel.cancel();
        drop(kept);
    });
}

#[test]
fn a_merged_context_has_the_earlier_deadline() {
    on(1, async {
        let (a, _a) = Context::background().with_timeout(HOUR);
        let (b, _b) = Context::background().with_timeout(2 * HOUR);
        assert_eq!(a.merge(&b).0.deadline(), a.deadline());
        assert_eq!(b.merge(&a).0.deadline(), a.deadline());
    });
}

struct OnDrop(Arc<AtomicUsize>);

impl Drop for OnDrop {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

#[test]
fn run_drops_the_future_when_the_context_ends() {
    on_each(WORKERS, || async {
        let dropped = Arc::new(AtomicUsize::new(0));
        let (ctx, cancel) = Context::background().with_cancel();
        let inside = OnDrop(dropped.clone());
        let mut run = pin!(ctx.run(async move {
            let _inside = inside;
            std::future::pending::<()>().await
        }));
        assert!(poll_once(run.as_mut()).is_pending());
        cancel.cancel();
        assert_eq!(run.as_mut().await, Err(ContextError::Canceled));
        assert_eq!(
            dropped.load(Ordering::SeqCst),
            1,
            "at once, not with the future of run"
        );
    });
}

#[test]
fn run_does_not_start_under_a_context_that_has_ended() {
    on(1, async {
        let (ctx, cancel) = Context::background().with_cancel();
        cancel.cancel();
        let ran = ctx.run(async { unreachable!("it was polled") }).await;
        assert_eq!(ran, Err::<(), _>(ContextError::Canceled));
    });
}

#[test]
fn done_is_an_arm_of_a_select() {
    on_each(WORKERS, || async {
        let (ctx, cancel) = Context::background().with_cancel();
        let (_tx, rx) = channel::<()>(0);
        let ended = select! {
            _ = ctx.done() => true,
            default => false,
        };
        assert!(!ended);
        runtime::spawn(async move { cancel.cancel() });
        select! {
            _ = rx.recv() => unreachable!(),
            err = ctx.done() => assert_eq!(err, ContextError::Canceled),
        }
    });
}

#[test]
fn cancelling_wakes_a_hundred_thousand() {
    on_each(WORKERS, || async {
        let (ctx, cancel) = Context::background().with_cancel();
        let group = WaitGroup::new();
        for _ in 0..100_000 {
            let ctx = ctx.clone();
            group.spawn(async move { assert_eq!(ctx.done().await, ContextError::Canceled) });
        }
        pause(3).await;
        cancel.cancel();
        group.wait().await;
    });
}

/// Counts how often it is called.
struct Counting(AtomicUsize);

impl std::task::Wake for Counting {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

/// A context for which so many wait, on its own and below it, with wakers that count.
struct Crowd {
    woken: Arc<Counting>,
    waiters: Vec<std::pin::Pin<Box<dyn Future<Output = ()> + Send>>>,
}

const CROWD: usize = 100_000;

impl Crowd {
    fn of(ctx: &Context) -> Self {
        let woken = Arc::new(Counting(AtomicUsize::new(0)));
        let waker = std::task::Waker::from(woken.clone());
        let waiters = (0..CROWD).map(|n| {
            // Most wait for the same, some for one below.
            let ctx = match n % 10 {
                0 => {
                    let (below, keep) = ctx.with_cancel();
                    keep.keep();
                    below
                }
                _ => ctx.clone(),
            };
            let mut waiter = Box::pin(async move {
                ctx.done().await;
            });
            let mut cx = std::task::Context::from_waker(&waker);
            let mut polled = std::pin::pin!(runtime::task::coop::unconstrained(waiter.as_mut()));
            assert!(polled.as_mut().poll(&mut cx).is_pending());
            waiter as std::pin::Pin<Box<dyn Future<Output = ()> + Send>>
        });
        let waiters = waiters.collect();
        Self { woken, waiters }
    }

    fn woken(&self) -> usize {
        self.woken.0.load(Ordering::SeqCst)
    }
}

#[test]
fn in_a_task_the_waking_of_a_crowd_is_left_to_a_task_of_its_own() {
    on_each(WORKERS, || async {
        let spawned = || runtime::Handle::current().metrics().spawned;
        let (ctx, cancel) = Context::background().with_cancel();
        let crowd = Crowd::of(&ctx);
        let before = spawned();
        cancel.cancel();
        assert_eq!(spawned() - before, 1);
        assert!(ctx.is_done(), "it has ended all the same");
        while crowd.woken() < CROWD {
            runtime::yield_now().await;
        }
        drop(crowd.waiters);
        // A few are woken at once.
        let (ctx, cancel) = Context::background().with_cancel();
        let mut few: Vec<_> = (0..100).map(|_| Box::pin(ctx.done())).collect();
        for done in &mut few {
            assert!(poll_once(done.as_mut()).is_pending());
        }
        let before = spawned();
        cancel.cancel();
        assert_eq!(spawned() - before, 0);
        drop(few);
    });
}

#[test]
fn those_who_wait_are_woken_also_when_the_runtime_of_the_canceller_ends() {
    let (ctx, cancel) = Context::background().with_cancel();
    let crowd = Crowd::of(&ctx);
    let runtime = runtime::Builder::new().max_procs(1).build().unwrap();
    runtime.block_on(async move {
        runtime::spawn(async move { cancel.cancel() })
            .await
            .unwrap();
    });
    drop(runtime);
    assert_eq!(crowd.woken(), CROWD);
    // Outside a task there is nobody to hold up, and it is done at once.
    let (ctx, cancel) = Context::background().with_cancel();
    let crowd = Crowd::of(&ctx);
    cancel.cancel();
    assert_eq!(crowd.woken(), CROWD);
}

#[test]
fn deep_trees_are_cancelled_and_dropped_without_a_deep_stack() {
    const DEPTH: usize = 100_000;
    let (root, cancel) = Context::background().with_cancel();
    let mut ctx = root.clone();
    for n in 0..DEPTH {
        let (next, keep) = ctx.with_cancel();
        keep.keep();
        ctx = next.with_value(Number, n as u32);
    }
    cancel.cancel();
    assert!(ctx.is_done());
    assert_eq!(ctx.value(Name), None);
    drop(ctx);

    let mut live = Context::background();
    for _ in 0..DEPTH {
        let (next, keep) = live.with_cancel();
        keep.keep();
        live = next.with_value(Number, 1);
        live = live.merge(&root).0.without_cancel();
    }
    drop(live);
}

/// Live contexts that nobody has are gone from their parent: seen by what their functions own.
#[test]
fn contexts_that_nobody_has_are_forgotten() {
    on(1, async {
        let dropped = Arc::new(AtomicUsize::new(0));
        let (root, _cancel) = Context::background().with_cancel();
        for _ in 0..10 {
            let (ctx, keep) = root.with_cancel();
            let owned = OnDrop(dropped.clone());
            ctx.after_func(move || drop(owned));
            keep.keep();
        }
        assert_eq!(dropped.load(Ordering::SeqCst), 10);
    });
}

#[test]
fn debug_shows_how_it_ended() {
    let (ctx, cancel) = Context::background().with_cancel();
    cancel.cancel();
    let text = format!("{ctx:?} {cancel:?}");
    assert!(text.contains("err: Some(Canceled)"), "{text}");
}

/// Waiters that come, give up and stay, on trees whose contexts end and are made meanwhile: whoever
/// stays returns.
#[test]
fn random_cancellation_loses_no_waiter() {
    with_seeds(4, |seed| {
        for &workers in WORKERS {
            on(workers, random_cancellation(seed));
        }
    });
}

async fn random_cancellation(seed: u64) {
    let mut random = Random::new(seed);
    for _ in 0..50 {
        let (root, cancel) = Context::background().with_cancel();
        let group = WaitGroup::new();
        for task in 0..20 {
            let root = root.clone();
            let mut random = Random::new(random.next() ^ (task << 40));
            group.spawn(async move {
                pause(random.below(4)).await;
                let (child, end) = root.with_cancel();
                let polls = if random.chance(60) {
                    usize::MAX
                } else {
                    random.below(4)
                };
                if random.chance(20) {
                    runtime::spawn(async move { end.cancel() });
                } else {
                    end.keep();
                }
                let ended = give_up_after(polls, child.done()).await;
                assert!(ended.is_some() || polls != usize::MAX);
            });
        }
        pause(random.below(6)).await;
        cancel.cancel();
        group.wait().await;
    }
}

#[test]
fn a_context_that_nobody_has_any_more_leaves_no_timer() {
    on(1, async {
        let armed = || runtime::Handle::current().metrics().timers_armed;
        let before = armed();
        let (parent, cancel) = Context::background().with_timeout(HOUR);
        cancel.keep();
        let (child, cancel) = parent.with_timeout(HOUR / 2);
        cancel.keep();
        assert_eq!(armed(), before + 2);
        drop(parent);
        assert_eq!(armed(), before + 2, "its child has it");
        drop(child);
        assert_eq!(armed(), before);
    });
}

/// Asks the context that it is woken by, which takes its lock.
struct Asks(Context, AtomicUsize);

impl Wake for Asks {
    fn wake(self: Arc<Self>) {
        assert!(self.0.cause().is_some());
        self.1.fetch_add(1, Ordering::Relaxed);
    }
}

#[test]
fn no_waker_is_called_under_the_lock_of_the_context() {
    on(1, async {
        let (ctx, cancel) = Context::background().with_cancel();
        let asks = Arc::new(Asks(ctx.clone(), AtomicUsize::new(0)));
        let waker = Waker::from(asks.clone());
        let mut waiting: Vec<_> = (0..100).map(|_| Box::pin(ctx.done())).collect();
        for done in &mut waiting {
            let polled = done.as_mut().poll(&mut TaskContext::from_waker(&waker));
            assert!(polled.is_pending());
        }
        cancel.cancel();
        assert_eq!(asks.1.load(Ordering::Relaxed), waiting.len());
    });
}

// In a `select!`: found by comparing with Go, where the end of a context is a channel that closes.

#[test]
fn a_select_that_waits_is_decided_when_its_context_ends() {
    let (root, cancel) = Context::background().with_cancel();
    let (child, _keep) = root.with_cancel();
    let (tx, rx) = channel(0);
    let (other_tx, other_rx) = channel::<u8>(0);
    let mut sends = Box::pin(async {
        select! {
            sent = tx.send(1) => Err(sent),
            err = root.done() => Ok(err),
        }
    });
    let mut receives = Box::pin(async {
        select! {
            got = other_rx.recv() => Err(got),
            err = child.done() => Ok(err),
        }
    });
    let mut listed = Box::pin(async {
        let mut select = sync::Select::new();
        select.recv(&other_rx, Err).done(&child, Ok);
        select.wait().await
    });
    assert!(poll_once(sends.as_mut()).is_pending());
    assert!(poll_once(receives.as_mut()).is_pending());
    assert!(poll_once(listed.as_mut()).is_pending());
    cancel.cancel();
    // None of the three has looked yet.
    assert!(rx.try_recv().is_err(), "it sends no more");
    assert!(other_tx.try_send(2).is_err(), "they receive no more");
    assert!(matches!(
        poll_once(sends.as_mut()),
        Poll::Ready(Ok(ContextError::Canceled))
    ));
    assert!(matches!(
        poll_once(receives.as_mut()),
        Poll::Ready(Ok(ContextError::Canceled))
    ));
    assert!(matches!(
        poll_once(listed.as_mut()),
        Poll::Ready(Ok(ContextError::Canceled))
    ));
}

#[test]
fn a_select_waits_again_for_a_context_that_did_not_end() {
    let (ctx, cancel) = Context::background().with_cancel();
    let (tx, rx) = channel(0);
    for round in 0..3 {
        let mut receives = Box::pin(async {
            select! {
                got = rx.recv() => got,
                _ = ctx.done() => None,
            }
        });
        assert!(poll_once(receives.as_mut()).is_pending());
        tx.try_send(round).unwrap();
        assert_eq!(poll_once(receives.as_mut()), Poll::Ready(Some(round)));
        let lost = Box::pin(async {
            select! { _ = rx.recv() => (), _ = ctx.done() => () }
        });
        let mut lost = lost;
        assert!(poll_once(lost.as_mut()).is_pending());
        drop(lost);
        assert!(
            tx.try_send(round).is_err(),
            "the one that was dropped stands in no line"
        );
    }
    cancel.cancel();
    let over = async {
        select! { _ = rx.recv() => None, err = ctx.done() => Some(err) }
    };
    assert_eq!(
        poll_once(pin!(over)),
        Poll::Ready(Some(ContextError::Canceled))
    );
}

#[test]
fn a_background_context_is_a_nil_channel_to_a_select() {
    let ctx = Context::background();
    let never = async {
        select! { _ = ctx.done() => () }
    };
    assert!(poll_once(pin!(never)).is_pending());
    let other = async {
        select! { _ = ctx.done() => 1, default => 2 }
    };
    assert_eq!(poll_once(pin!(other)), Poll::Ready(2));
}

/// Go: TestContextErrDoneRace, with a `select` that asks.
#[test]
fn who_sees_the_error_never_gets_the_default() {
    on_each(WORKERS, || async {
        for _ in 0..500 {
            let (ctx, cancel) = Context::background().with_cancel();
            let asks: Vec<_> = (0..2)
                .map(|_| {
                    let ctx = ctx.clone();
                    runtime::spawn(async move {
                        // One that waits, so that the signal is there.
                        let early = select! { _ = ctx.done() => true, default => false };
                        while ctx.err().is_none() {
                            runtime::yield_now().await;
                        }
                        early || select! { _ = ctx.done() => true, default => false }
                    })
                })
                .collect();
            runtime::yield_now().await;
            cancel.cancel();
            for ask in asks {
                assert!(ask.await.unwrap(), "err says so, done does not");
            }
        }
    });
}

#[test]
fn what_is_offered_to_a_select_goes_through_or_its_context_has_ended() {
    with_seeds(30, |seed| {
        on(2, async move {
            let mut random = Random::new(seed);
            for _ in 0..100 {
                let (ctx, cancel) = Context::background().with_cancel();
                let (tx, rx) = channel(0);
                let crowd: Vec<_> = (0..3)
                    .map(|_| {
                        let (ctx, rx) = (ctx.clone(), rx.clone());
                        runtime::spawn(async move {
                            select! { got = rx.recv() => got, _ = ctx.done() => None }
                        })
                    })
                    .collect();
                pause(random.below(4)).await;
                let before = tx.try_send(1).is_ok();
                cancel.cancel();
                let after = tx.try_send(2).is_ok();
                assert!(!after, "nobody is left who waits");
                let mut got = Vec::new();
                for task in crowd {
                    got.extend(task.await.unwrap());
                }
                assert_eq!(got, if before { vec![1] } else { vec![] });
            }
        });
    });
}

#[test]
fn a_deadline_outlives_the_runtime_that_it_was_made_on() {
    within_a_minute(|| {
        let (one, two) = (Runtime::new().unwrap(), Runtime::new().unwrap());
        let made = two.spawn(async {
            let (above, keep) =
                Context::background().with_timeout_cause(Duration::from_millis(200), "too slow");
            let (below, keep_below) = above.with_cancel();
            (above, below, (keep, keep_below))
        });
        let (above, below, _keep) = two.block_on(made).unwrap();
        let waits = {
            let below = below.clone();
            one.spawn(async move { below.done().await })
        };
        let selects = one.spawn(async move {
            let (_tx, rx) = channel::<()>(0);
            select! {
                _ = rx.recv() => unreachable!(),
                err = below.done() => err,
            }
        });
        drop(two);
        for task in [waits, selects] {
            assert_eq!(one.block_on(task).unwrap(), ContextError::DeadlineExceeded);
        }
        assert_eq!(cause_of(&above).unwrap(), "too slow");
    });
}

#[test]
fn run_drops_the_future_when_it_has_ended() {
    on(1, async {
        let (ctx, _cancel) = Context::background().with_cancel();
        let held = Arc::new(());
        let future = {
            let held = held.clone();
            poll_fn(move |_| Poll::Ready(Arc::strong_count(&held)))
        };
        let mut run = pin!(ctx.run(future));
        assert_eq!(run.as_mut().await, Ok(2));
        assert_eq!(Arc::strong_count(&held), 1, "while the run is still there");
    });
}
