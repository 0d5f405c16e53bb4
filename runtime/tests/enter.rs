//! Which runtime a thread is in, whatever becomes of the guards.

mod common;

use std::cell::RefCell;
use std::mem;
use std::sync::mpsc::{Sender, channel};
use std::time::Duration;

use common::{runtime, watchdog};
use runtime::{Builder, EnterGuard, Handle, Runtime};

/// Runtimes are told apart by it here.
fn workers() -> Option<usize> {
    Handle::try_current().ok().map(|handle| handle.max_procs())
}

/// A handle that guards for ever may borrow.
fn leaked(rt: &Runtime) -> &'static Handle {
    Box::leak(Box::new(rt.handle().clone()))
}

#[test]
fn guards_nest_and_end_in_any_order() {
    let _watchdog = watchdog("");
    let (two, three) = (runtime(2), runtime(3));
    let outer = two.enter();
    let inner = three.enter();
    assert_eq!(workers(), Some(3));
    drop(outer);
    assert_eq!(workers(), None, "the outer one ends the inner one");
    drop(inner);
    assert_eq!(workers(), None);
}

#[test]
fn guards_in_a_task_nest_and_end_in_any_order() {
    let _watchdog = watchdog("");
    let (one, two) = (runtime(1), runtime(2));
    let (home, foreign) = (leaked(&one), leaked(&two));
    let task = one.spawn(async move {
        let outer = home.enter();
        let inner = foreign.enter();
        assert_eq!(workers(), Some(2));
        drop(outer);
        assert_eq!(workers(), Some(1), "the task's own");
        drop(inner);
        assert_eq!(workers(), Some(1));
    });
    one.block_on(task).unwrap();
}

#[test]
fn a_guard_that_a_task_forgets_does_not_put_the_next_one_into_another_runtime() {
    let _watchdog = watchdog("");
    let (one, two) = (runtime(1), runtime(2));
    let foreign = leaked(&two);
    let forgets = one.spawn(async move {
        mem::forget(foreign.enter());
        assert_eq!(workers(), Some(2));
    });
    one.block_on(forgets).unwrap();
    // The one worker there is; and another one that takes over where the machine is slow.
    for _ in 0..10 {
        let task = one.spawn(async { (workers(), runtime::spawn(async { workers() }).await) });
        let (inside, spawned) = one.block_on(task).unwrap();
        assert_eq!((inside, spawned.unwrap()), (Some(1), Some(1)));
    }
}

#[test]
fn a_guard_that_a_blocking_job_forgets_does_not_put_the_next_one_into_another_runtime() {
    let _watchdog = watchdog("");
    let one = Builder::new()
        .max_procs(1)
        .max_blocking_threads(1)
        .blocking_keep_alive(Duration::MAX)
        .build()
        .unwrap();
    let two = runtime(2);
    let foreign = leaked(&two);
    let forgets = one.spawn_blocking(|| {
        mem::forget(foreign.enter());
        workers()
    });
    assert_eq!(one.block_on(forgets).unwrap(), Some(2));
    let next = one.spawn_blocking(workers);
    assert_eq!(one.block_on(next).unwrap(), Some(1));
}

#[test]
fn a_worker_that_has_left_a_guard_behind_inside_block_in_place_comes_back() {
    let _watchdog = watchdog("");
    let (one, two) = (runtime(1), runtime(2));
    let foreign = leaked(&two);
    let forgets = one.spawn(async move {
        runtime::block_in_place(|| mem::forget(foreign.enter()));
        assert_eq!(workers(), Some(2));
    });
    one.block_on(forgets).unwrap();
    let task = one.spawn(async { runtime::spawn(async { workers() }).await.unwrap() });
    assert_eq!(one.block_on(task).unwrap(), Some(1));
}

/// A guard that outlives the worker on whose thread it was made, and says what the thread is in
/// then.
struct AtExit {
    guard: Option<EnterGuard<'static>>,
    other: &'static Handle,
    found: Sender<Option<usize>>,
}

impl Drop for AtExit {
    fn drop(&mut self) {
        // As deep as the guard was.
        let other = self.other.enter();
        drop(self.guard.take());
        let _ = self.found.send(workers());
        drop(other);
        let _ = self.found.send(workers());
    }
}

thread_local! {
    static AT_EXIT: RefCell<Option<AtExit>> = const { RefCell::new(None) };
}

#[test]
fn a_guard_that_outlives_its_worker_in_a_thread_local_brings_nothing_back() {
    let _watchdog = watchdog("");
    let (one, two) = (runtime(1), runtime(2));
    let (home, foreign) = (leaked(&one), leaked(&two));
    for handle in [home, foreign] {
        let (found, in_the_end) = channel();
        let rt = runtime(3);
        let task = rt.spawn(async move {
            let at_exit = AtExit {
                guard: Some(handle.enter()),
                other: foreign,
                found,
            };
            AT_EXIT.set(Some(at_exit));
        });
        rt.block_on(task).unwrap();
        drop(rt);
        let found: Vec<_> = in_the_end.iter().collect();
        assert_eq!(found, [Some(3), Some(3)], "its own, though that has ended");
    }
}

#[test]
fn a_task_that_has_entered_another_runtime_may_drop_its_own() {
    let _watchdog = watchdog("a runtime waits for its own worker");
    let (one, two) = (runtime(1), runtime(2));
    let foreign = leaked(&two);
    let handle = one.handle().clone();
    let (dropped, told) = channel();
    let task = handle.spawn(async move {
        let guard = foreign.enter();
        drop(one);
        drop(guard);
        dropped.send(()).unwrap();
    });
    told.recv().unwrap();
    drop(task);
}

#[test]
fn a_task_that_has_entered_another_runtime_steps_aside_for_block_in_place() {
    let _watchdog = watchdog("");
    let (one, two) = (common::undisturbed(1), runtime(2));
    let foreign = leaked(&two);
    let handle = one.handle().clone();
    let task = one.spawn(async move {
        let _guard = foreign.enter();
        let (ran, told) = channel();
        runtime::block_in_place(move || {
            // Nobody looks after a worker that stands still here: only one that has stepped aside
            // is replaced.
            handle.spawn(async move { ran.send(()).unwrap() });
            told.recv().unwrap();
        });
    });
    one.block_on(task).unwrap();
}

thread_local! {
    static LAST_ACT: RefCell<Option<LastAct>> = const { RefCell::new(None) };
}

/// Calls a function when it is dropped.
struct LastAct(Box<dyn FnMut()>);

impl Drop for LastAct {
    fn drop(&mut self) {
        (self.0)();
    }
}

/// The thread spawns a task while its locals are destroyed, which sends; and says whether it was
/// spawned, and what became of it as far as is known.
fn spawn_at_the_end(spawned: Sender<runtime::JoinHandle<()>>, ran: Sender<usize>) {
    LAST_ACT.with(|act| {
        let at_the_end = move || {
            let ran = ran.clone();
            let task = runtime::spawn(async move {
                let _ = ran.send(runtime::max_procs());
            });
            let _ = spawned.send(task);
        };
        act.replace(Some(LastAct(Box::new(at_the_end))));
    });
}

#[test]
fn a_worker_that_is_not_needed_any_more_is_in_its_runtime_to_the_end() {
    let _watchdog = watchdog("");
    let rt = runtime(1);
    let ((spawned, tasks), (ran, runs)) = (channel(), channel());
    let all = std::sync::Arc::new(std::sync::Barrier::new(3));
    let blocked: Vec<_> = (0..3)
        .map(|_| {
            let (all, spawned, ran) = (all.clone(), spawned.clone(), ran.clone());
            rt.spawn(async move {
                // Each on a thread of its own: two end when it is over.
                all.wait();
                spawn_at_the_end(spawned, ran);
            })
        })
        .collect();
    for task in blocked {
        rt.block_on(task).unwrap();
    }
    for _ in 0..2 {
        assert_eq!(runs.recv().unwrap(), 1);
        rt.block_on(tasks.recv().unwrap()).unwrap();
    }
}

#[test]
fn a_pool_thread_is_in_its_runtime_to_the_end() {
    let _watchdog = watchdog("");
    let mut builder = Builder::new();
    let builder = builder
        .max_procs(2)
        .blocking_keep_alive(Duration::from_millis(1));
    let rt = builder.build().unwrap();
    let ((spawned, tasks), (ran, runs)) = (channel(), channel());
    rt.block_on(rt.spawn_blocking(|| spawn_at_the_end(spawned, ran)))
        .unwrap();
    assert_eq!(runs.recv().unwrap(), 2);
    rt.block_on(tasks.recv().unwrap()).unwrap();
}

#[test]
fn what_a_worker_spawns_while_it_ends_with_its_runtime_is_cancelled() {
    let _watchdog = watchdog("");
    let rt = runtime(1);
    let ((spawned, tasks), (ran, runs)) = (channel(), channel());
    rt.block_on(rt.spawn(async { spawn_at_the_end(spawned, ran) }))
        .unwrap();
    drop(rt);
    let error = runtime::block_on(tasks.recv().unwrap()).unwrap_err();
    assert!(error.is_cancelled());
    assert!(runs.recv().is_err(), "it never ran");
}
