//! Task locals: who sees which value, across awaits, threads, panics and drops.

mod common;

use std::cell::Cell;
use std::future::{Future, pending, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::task::{Context, Poll, Waker};

use common::{pending_once, runtime, watchdog};
use runtime::{Runtime, task};

runtime::task_local! {
    /// A number.
    static NUMBER: u32;
    pub(crate) static NAME: String;
}

task::task_local!(static SHARED: Arc<AtomicUsize>);

runtime::task_local!(static NOT_SYNC: Cell<u32>);

/// Runs a test on 1, 2 and 8 workers, each under a watchdog.
#[track_caller]
fn each_size(test: impl Fn(&Runtime)) {
    for workers in [1, 2, 8] {
        let _watchdog = watchdog(format!("with {workers} workers"));
        test(&runtime(workers));
    }
}

fn poll_once<F: Future>(future: std::pin::Pin<&mut F>) -> Poll<F::Output> {
    future.poll(&mut Context::from_waker(Waker::noop()))
}

#[test]
fn each_task_keeps_its_own_value_wherever_it_is_polled() {
    each_size(|rt| {
        let tasks: Vec<_> = (0..200)
            .map(|i| {
                rt.spawn(NUMBER.scope(i, async move {
                    for _ in 0..50 {
                        assert_eq!(NUMBER.get(), i);
                        runtime::yield_now().await;
                    }
                }))
            })
            .collect();
        for task in tasks {
            rt.block_on(task).unwrap();
        }
    });
}

#[test]
fn a_value_need_not_be_sync_and_may_change_inside() {
    each_size(|rt| {
        let task = rt.spawn(NOT_SYNC.scope(Cell::new(0), async {
            for _ in 0..100 {
                NOT_SYNC.with(|n| n.set(n.get() + 1));
                runtime::yield_now().await;
            }
            NOT_SYNC.with(Cell::get)
        }));
        assert_eq!(rt.block_on(task).unwrap(), 100);
    });
}

#[test]
fn a_spawned_task_inherits_nothing() {
    each_size(|rt| {
        let seen = rt.block_on(NUMBER.scope(1, async {
            runtime::spawn(async { NUMBER.try_get() }).await.unwrap()
        }));
        assert!(seen.is_err());
    });
}

#[test]
fn between_polls_the_value_is_not_there() {
    let mut future = pin!(NUMBER.scope(1, pending_once()));
    assert!(poll_once(future.as_mut()).is_pending());
    assert!(NUMBER.try_with(|_| ()).is_err());
    assert!(poll_once(future.as_mut()).is_ready());
    assert!(NUMBER.try_with(|_| ()).is_err());
}

#[test]
fn scopes_nest_and_interleave() {
    NUMBER.sync_scope(1, || {
        let mut inner = pin!(NUMBER.scope(2, async {
            assert_eq!(NUMBER.get(), 2);
            pending_once().await;
            assert_eq!(NUMBER.sync_scope(3, || NUMBER.get()), 3);
            NUMBER.get()
        }));
        assert!(poll_once(inner.as_mut()).is_pending());
        assert_eq!(NUMBER.get(), 1);
        // Polled on from within another scope.
        NUMBER.sync_scope(9, || {
            assert_eq!(poll_once(inner.as_mut()), Poll::Ready(2));
            assert_eq!(NUMBER.get(), 9);
        });
        assert_eq!(NUMBER.get(), 1);
    });
    assert!(NUMBER.try_get().is_err());
}

#[test]
fn keys_are_independent() {
    NUMBER.sync_scope(1, || {
        assert!(NAME.try_get().is_err());
        NAME.sync_scope("ann".to_owned(), || {
            assert_eq!((NUMBER.get(), NAME.with(String::len)), (1, 3));
        });
    });
}

#[test]
fn a_poll_that_panics_restores_the_outer_value() {
    NUMBER.sync_scope(1, || {
        let mut future = Box::pin(NUMBER.scope(2, async {
            pending_once().await;
            resume_unwind(Box::new("boom"))
        }));
        assert!(poll_once(future.as_mut()).is_pending());
        let polled: Result<Poll<()>, _> =
            catch_unwind(AssertUnwindSafe(|| poll_once(future.as_mut())));
        assert!(polled.is_err());
        assert_eq!(NUMBER.get(), 1);
        assert_eq!(future.as_mut().take_value(), Some(2));
    });
    let call = || NUMBER.sync_scope(3, || resume_unwind(Box::new("boom")));
    let called: Result<(), _> = catch_unwind(call);
    assert!(called.is_err());
    assert!(NUMBER.try_get().is_err());
}

#[test]
fn a_panic_in_one_task_leaves_no_value_to_the_next() {
    each_size(|rt| {
        for _ in 0..20 {
            let task = rt.spawn(NUMBER.scope(1, async { resume_unwind(Box::new("boom")) }));
            let result: Result<(), _> = rt.block_on(task);
            assert!(result.unwrap_err().is_panic());
            let next = rt.spawn(async { NUMBER.try_get() });
            assert!(rt.block_on(next).unwrap().is_err());
        }
    });
}

/// Adds one to the task local when it is dropped.
struct AddsWhenDropped;

impl Drop for AddsWhenDropped {
    fn drop(&mut self) {
        SHARED.with(|count| count.fetch_add(1, SeqCst));
    }
}

#[test]
fn destructors_find_the_value_at_the_end_on_abort_and_on_drop() {
    each_size(|rt| {
        let count = Arc::new(AtomicUsize::new(0));
        // Captured, so that it is dropped with the future and not before.
        let guard = AddsWhenDropped;
        let ends = poll_fn(move |_| {
            let _guard = &guard;
            Poll::Ready(())
        });
        rt.block_on(SHARED.scope(count.clone(), ends));
        assert_eq!(count.load(SeqCst), 1);

        let guard = AddsWhenDropped;
        let task = rt.spawn(SHARED.scope(count.clone(), async move {
            let _guard = guard;
            pending::<()>().await;
        }));
        task.abort();
        assert!(rt.block_on(task).unwrap_err().is_cancelled());
        assert_eq!(count.load(SeqCst), 2);

        let guard = AddsWhenDropped;
        drop(SHARED.scope(count.clone(), async move { drop(guard) }));
        assert_eq!((count.load(SeqCst), Arc::strong_count(&count)), (3, 1));
    });
}

#[test]
fn the_value_can_be_taken_back_once() {
    let mut future = pin!(NAME.scope("ann".to_owned(), async { NAME.get() }));
    assert_eq!(poll_once(future.as_mut()), Poll::Ready("ann".to_owned()));
    assert_eq!(future.as_mut().take_value().as_deref(), Some("ann"));
    assert_eq!(future.as_mut().take_value(), None);
}

#[test]
#[should_panic(expected = "inside `with` of the same key")]
fn entering_a_scope_inside_with_panics() {
    NUMBER.sync_scope(1, || NUMBER.with(|_| NUMBER.sync_scope(2, || ())));
}

#[test]
#[should_panic(expected = "this task local has no value here")]
fn getting_outside_a_scope_says_what_to_do() {
    NUMBER.get();
}

#[test]
#[should_panic(expected = "polled after it ended")]
fn polling_a_scope_after_its_end_panics() {
    let mut future = pin!(NUMBER.scope(1, async {}));
    assert!(poll_once(future.as_mut()).is_ready());
    let _ = poll_once(future.as_mut());
}

#[test]
fn with_calls_may_nest() {
    let sum = NUMBER.sync_scope(2, || NUMBER.with(|a| NUMBER.with(|b| a + b)));
    assert_eq!(sum, 4);
}
