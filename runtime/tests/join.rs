//! Handles: results, aborts at every stage, panics wherever foreign code runs.

mod common;

use std::future::{Future, pending, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind, panic_any, resume_unwind};
use std::pin::pin;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use common::{each_size, pending_once, times, undisturbed, until, wait_until, watchdog};
use runtime::JoinHandle;

/// Counts its drops.
struct Dropped(Arc<AtomicUsize>);

impl Drop for Dropped {
    fn drop(&mut self) {
        self.0.fetch_add(1, SeqCst);
    }
}

fn dropped() -> (Dropped, Arc<AtomicUsize>) {
    let count = Arc::new(AtomicUsize::new(0));
    (Dropped(count.clone()), count)
}

/// Panics in its destructor.
struct Bomb(&'static str);

impl Drop for Bomb {
    fn drop(&mut self) {
        // Not `panic!`: the hook would fill the test's output.
        resume_unwind(Box::new(self.0));
    }
}

#[test]
fn a_result_is_delivered_whether_the_task_or_the_await_comes_first() {
    each_size(|rt| {
        assert_eq!(rt.block_on(rt.spawn(async { 1 })).unwrap(), 1);
        let task = rt.spawn(async { 2 });
        wait_until("the task ends", || task.is_finished());
        assert_eq!(rt.block_on(task).unwrap(), 2);
    });
}

#[test]
fn large_and_aligned_futures_and_outputs_arrive_whole() {
    const BIG: usize = if cfg!(miri) { 2_000 } else { 20_000 };
    #[derive(Debug, PartialEq, Clone, Copy)]
    #[repr(align(128))]
    struct Aligned([u8; 200]);
    each_size(|rt| {
        let value = Aligned([7; 200]);
        let big = [3_u8; BIG];
        let task = rt.spawn(async move {
            runtime::yield_now().await;
            assert_eq!((&raw const value).addr() % 128, 0);
            (value, big)
        });
        let (value, big) = rt.block_on(task).unwrap();
        assert_eq!((value, big[BIG - 1]), (Aligned([7; 200]), 3));
        drop(rt.spawn(async move { big }));
    });
}

#[test]
fn an_abort_before_the_first_poll_drops_the_future_unpolled() {
    let _watchdog = watchdog("abort before the first poll");
    let rt = undisturbed(1);
    rt.block_on(rt.spawn(async {
        let (guard, drops) = dropped();
        // The only worker is here, so that it cannot have started.
        let task = runtime::spawn(async move {
            let _guard = guard;
            unreachable!("it was aborted");
        });
        task.abort();
        task.abort();
        let error: Result<(), _> = task.await;
        assert!(error.unwrap_err().is_cancelled());
        assert_eq!(drops.load(SeqCst), 1);
    }))
    .unwrap();
}

#[test]
fn an_abort_while_parked_drops_the_future() {
    each_size(|rt| {
        let (guard, drops) = dropped();
        let started = Arc::new(AtomicBool::new(false));
        let starts = started.clone();
        let task = rt.spawn(async move {
            let _guard = guard;
            starts.store(true, SeqCst);
            pending::<()>().await;
        });
        wait_until("the task starts", || started.load(SeqCst));
        task.abort();
        assert!(rt.block_on(task).unwrap_err().is_cancelled());
        assert_eq!(drops.load(SeqCst), 1);
    });
}

#[test]
fn an_abort_from_inside_takes_effect_at_the_next_suspension() {
    each_size(|rt| {
        let (send, receive) = std::sync::mpsc::channel::<JoinHandle<()>>();
        let reached = Arc::new(AtomicBool::new(false));
        let reaches = reached.clone();
        let task = rt.spawn(async move {
            let me = receive.recv().unwrap();
            me.abort();
            reaches.store(true, SeqCst);
            runtime::yield_now().await;
            unreachable!("aborted");
        });
        let watch = task.abort_handle();
        send.send(task).unwrap();
        wait_until("the abort", || watch.is_finished());
        assert!(reached.load(SeqCst));
    });
}

#[test]
fn an_abort_of_a_task_that_then_ends_leaves_the_result() {
    each_size(|rt| {
        let (send, receive) = std::sync::mpsc::channel::<()>();
        let started = Arc::new(AtomicBool::new(false));
        let starts = started.clone();
        let task = rt.spawn(async move {
            starts.store(true, SeqCst);
            let _ = receive.recv();
            9
        });
        wait_until("the task starts", || started.load(SeqCst));
        task.abort();
        drop(send);
        assert_eq!(rt.block_on(task).unwrap(), 9, "it never suspended");
    });
}

#[test]
fn an_abort_after_the_end_changes_nothing() {
    each_size(|rt| {
        let task = rt.spawn(async { 5 });
        let abort = task.abort_handle();
        wait_until("the task ends", || task.is_finished());
        task.abort();
        abort.clone().abort();
        assert!(abort.is_finished());
        assert_eq!(abort.id(), task.id());
        assert_eq!(rt.block_on(task).unwrap(), 5);
        abort.abort();
    });
}

#[test]
fn a_detached_task_goes_on_and_its_output_is_dropped() {
    each_size(|rt| {
        let (guard, drops) = dropped();
        let go = Arc::new(AtomicBool::new(false));
        let goes = go.clone();
        drop(rt.spawn(async move {
            until(|| goes.load(SeqCst)).await;
            guard
        }));
        go.store(true, SeqCst);
        wait_until("the output is dropped", || drops.load(SeqCst) == 1);

        // Dropped by the handle, where the task has ended before.
        let (guard, drops) = dropped();
        let task = rt.spawn(async move { guard });
        wait_until("the task ends", || task.is_finished());
        assert_eq!(drops.load(SeqCst), 0);
        drop(task);
        assert_eq!(drops.load(SeqCst), 1);
    });
}

#[test]
fn the_future_is_gone_when_its_output_is_delivered() {
    each_size(|rt| {
        let (guard, drops) = dropped();
        let task = rt.spawn(async move {
            let _guard = guard;
            runtime::yield_now().await;
        });
        rt.block_on(task).unwrap();
        assert_eq!(drops.load(SeqCst), 1);
    });
}

#[test]
fn a_panic_says_what_and_which_task() {
    each_size(|rt| {
        let task: JoinHandle<()> = rt.spawn(async { panic_any("boom") });
        let id = task.id();
        let error: runtime::JoinError = rt.block_on(task).unwrap_err();
        assert!(error.is_panic() && !error.is_cancelled());
        assert_eq!(error.id(), id);
        assert_eq!(error.to_string(), format!("task {id} panicked: boom"));
        assert_eq!(*error.into_panic().downcast::<&str>().unwrap(), "boom");

        let task: JoinHandle<()> = rt.spawn(async { panic_any(17_u8) });
        let error = rt.block_on(task).unwrap_err();
        assert!(error.to_string().contains("not text"), "{error}");
        assert_eq!(*error.into_panic().downcast::<u8>().unwrap(), 17);

        let task = rt.spawn(pending::<()>());
        let id = task.id();
        task.abort();
        let error = rt.block_on(task).unwrap_err();
        assert_eq!(error.to_string(), format!("task {id} was cancelled"));
        assert!(error.try_into_panic().is_err());
    });
}

#[test]
fn a_panic_in_the_futures_destructor_is_delivered() {
    each_size(|rt| {
        let bomb = Bomb("at the end");
        let task = rt.spawn(async move {
            let _bomb = &bomb;
            3
        });
        let error = rt.block_on(task).unwrap_err();
        assert_eq!(
            *error.into_panic().downcast::<&str>().unwrap(),
            "at the end"
        );

        let bomb = Bomb("by the abort");
        let task = rt.spawn(async move {
            let _bomb = &bomb;
            pending::<()>().await;
        });
        task.abort();
        let error = rt.block_on(task).unwrap_err();
        let panic = error.into_panic().downcast::<&str>().unwrap();
        assert_eq!(*panic, "by the abort");
    });
}

#[test]
fn of_two_panics_the_first_is_delivered() {
    /// Panics when polled, and again when dropped.
    struct Both(#[expect(dead_code, reason = "it is there to be dropped")] Bomb);
    impl Future for Both {
        type Output = ();
        fn poll(self: std::pin::Pin<&mut Self>, _: &mut Context<'_>) -> Poll<()> {
            resume_unwind(Box::new("first"))
        }
    }
    each_size(|rt| {
        let task = rt.spawn(Both(Bomb("second")));
        let error = rt.block_on(task).unwrap_err();
        assert_eq!(*error.into_panic().downcast::<&str>().unwrap(), "first");
    });
}

#[test]
fn a_panic_in_the_destructor_of_an_unwanted_output_harms_nobody() {
    each_size(|rt| {
        for _ in 0..times(10) {
            // Dropped by the worker, and by the handle.
            drop(rt.spawn(async { Bomb("unwanted") }));
            let task = rt.spawn(async { Bomb("unwanted") });
            wait_until("the task ends", || task.is_finished());
            drop(task);
        }
        assert_eq!(rt.block_on(rt.spawn(async { 1 })).unwrap(), 1);
    });
}

#[test]
fn a_panic_payload_that_panics_when_dropped_harms_nobody() {
    each_size(|rt| {
        for _ in 0..times(10) {
            drop(rt.spawn(async { resume_unwind(Box::new(Bomb("payload"))) }));
        }
        wait_until("they end", || rt.handle().num_tasks() == 0);
        assert_eq!(rt.block_on(rt.spawn(async { 1 })).unwrap(), 1);
    });
}

#[test]
fn a_foreign_waker_that_panics_ends_no_worker() {
    struct Angry(AtomicUsize);
    impl Wake for Angry {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, SeqCst);
            resume_unwind(Box::new("woken"));
        }
    }
    each_size(|rt| {
        let go = Arc::new(AtomicBool::new(false));
        let goes = go.clone();
        let mut task = rt.spawn(async move { until(|| goes.load(SeqCst)).await });
        let angry = Arc::new(Angry(AtomicUsize::new(0)));
        let waker = Waker::from(angry.clone());
        let mut cx = Context::from_waker(&waker);
        assert!(pin!(&mut task).poll(&mut cx).is_pending());
        let _guard = rt.enter();
        // Far away until it has been polled: it would be ready if it were over by then.
        let mut sleep = pin!(runtime::time::sleep(Duration::from_secs(3600)));
        assert!(sleep.as_mut().poll(&mut cx).is_pending());
        let soon = runtime::time::Instant::now() + Duration::from_millis(5);
        // Where this thread stands still for so long, it is the reset that calls the waker, and
        // ours is the panic.
        let _ = catch_unwind(AssertUnwindSafe(|| sleep.as_mut().reset(soon)));
        go.store(true, SeqCst);
        wait_until("both call the waker", || angry.0.load(SeqCst) == 2);
        rt.block_on(task).unwrap();
        for _ in 0..times(20) {
            let nap = runtime::time::sleep(Duration::from_micros(100));
            rt.block_on(rt.spawn(nap)).unwrap();
        }
    });
}

#[test]
fn a_handle_polled_by_one_task_after_the_other_wakes_the_last() {
    each_size(|rt| {
        let go = Arc::new(AtomicBool::new(false));
        let goes = go.clone();
        let wakers: Arc<Mutex<Vec<Waker>>> = Arc::default();
        let task = rt.spawn(async move {
            until(|| goes.load(SeqCst)).await;
            11
        });
        let shared = Arc::new(Mutex::new(task));
        for _ in 0..times(5) {
            // Each polls once, and leaves.
            let (shared, wakers) = (shared.clone(), wakers.clone());
            rt.block_on(rt.spawn(poll_fn(move |cx| {
                wakers.lock().unwrap().push(cx.waker().clone());
                assert!(pin!(&mut *shared.lock().unwrap()).poll(cx).is_pending());
                Poll::Ready(())
            })))
            .unwrap();
        }
        let last = rt
            .spawn(async move { poll_fn(|cx| pin!(&mut *shared.lock().unwrap()).poll(cx)).await });
        go.store(true, SeqCst);
        assert_eq!(rt.block_on(last).unwrap().unwrap(), 11);
    });
}

#[test]
fn a_dropped_await_loses_nothing() {
    each_size(|rt| {
        rt.block_on(rt.spawn(async {
            let mut task = runtime::spawn(async {
                runtime::yield_now().await;
                4
            });
            let value = loop {
                let mut once = pin!(async {
                    let mut task = pin!(&mut task);
                    let mut first = true;
                    poll_fn(|cx| match task.as_mut().poll(cx) {
                        Poll::Ready(value) => Poll::Ready(Some(value)),
                        Poll::Pending if std::mem::take(&mut first) => Poll::Ready(None),
                        Poll::Pending => Poll::Pending,
                    })
                    .await
                });
                match once.as_mut().await {
                    Some(value) => break value.unwrap(),
                    None => runtime::yield_now().await,
                }
            };
            assert_eq!(value, 4);
        }))
        .unwrap();
    });
}

#[test]
fn ids_are_unique_and_the_tasks_own() {
    each_size(|rt| {
        let many = if cfg!(miri) { 50 } else { 1000 };
        let tasks: Vec<_> = (0..many)
            .map(|_| rt.spawn(async { runtime::task::id() }))
            .collect();
        let mut ids: Vec<_> = tasks
            .into_iter()
            .map(|task| {
                let id = task.id();
                assert_eq!(rt.block_on(task).unwrap(), Some(id));
                id
            })
            .collect();
        ids.sort();
        ids.dedup();
        assert_eq!(ids.len(), many);
        assert_eq!(runtime::task::id(), None);
    });
}

#[test]
fn a_waker_kept_beyond_the_tasks_end_is_harmless() {
    each_size(|rt| {
        let kept: Arc<Mutex<Option<Waker>>> = Arc::default();
        let keeps = kept.clone();
        let task = rt.spawn(async move {
            poll_fn(|cx| {
                *keeps.lock().unwrap() = Some(cx.waker().clone());
                Poll::Ready(())
            })
            .await;
        });
        rt.block_on(task).unwrap();
        let waker = kept.lock().unwrap().take().unwrap();
        waker.wake_by_ref();
        let other = waker.clone();
        waker.wake();
        drop(other);
    });
}

#[test]
fn a_task_that_nobody_can_wake_any_more_stays_until_it_is_aborted() {
    each_size(|rt| {
        let task = rt.spawn(pending_once());
        let abort = task.abort_handle();
        drop(task);
        assert_eq!(rt.handle().num_tasks(), 1);
        abort.abort();
        wait_until("it is gone", || rt.handle().num_tasks() == 0);
    });
}
