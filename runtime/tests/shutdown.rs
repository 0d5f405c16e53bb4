//! The end of a runtime, from every place and at every moment.

mod common;

use std::cell::RefCell;
use std::future::{Future, pending, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex, mpsc};
use std::task::{Context, Poll, Wake, Waker};
use std::thread;
use std::time::Duration;

use common::{runtime, times, wait_until, watchdog};
use runtime::{Builder, Handle, Runtime, time};

const LONG: Duration = Duration::from_secs(1000);

struct OnDrop<F: FnMut()>(F);

impl<F: FnMut()> Drop for OnDrop<F> {
    fn drop(&mut self) {
        (self.0)();
    }
}

/// Counts its drop.
type Guard = OnDrop<Box<dyn FnMut() + Send>>;

fn counter() -> (Arc<AtomicUsize>, impl Fn() -> Guard) {
    let count = Arc::new(AtomicUsize::new(0));
    let shared = count.clone();
    let make = move || {
        let count = shared.clone();
        OnDrop(Box::new(move || {
            count.fetch_add(1, SeqCst);
        }) as _)
    };
    (count, make)
}

#[test]
fn destructors_of_all_tasks_run_wherever_they_are() {
    for workers in [1, 2, 3, 8] {
        let _watchdog = watchdog(format!("{workers} workers"));
        let rt = runtime(workers);
        let (drops, guard) = counter();
        for i in 0..400 {
            let guard = guard();
            rt.spawn(async move {
                let _guard = guard;
                match i % 4 {
                    0 => pending().await,
                    1 => runtime::time::sleep(LONG).await,
                    2 => loop {
                        runtime::yield_now().await;
                    },
                    _ => {
                        let inner = runtime::spawn(pending::<()>());
                        let _ = inner.await;
                    }
                }
            });
        }
        drop(rt);
        assert_eq!(drops.load(SeqCst), 400);
    }
}

#[test]
fn tasks_that_are_spawned_by_destructors_are_dropped_too() {
    for workers in [1, 2, 8] {
        let _watchdog = watchdog(format!("{workers} workers"));
        let rt = runtime(workers);
        let (drops, guard) = counter();
        for _ in 0..50 {
            let guards = (guard(), guard());
            rt.spawn(async move {
                let (first, second) = guards;
                let mut second = Some(second);
                let _last_words = OnDrop(move || {
                    let second = second.take();
                    let task = runtime::spawn(async move {
                        let _second = second;
                        pending::<()>().await;
                    });
                    drop(task);
                });
                let _first = first;
                pending::<()>().await;
            });
        }
        drop(rt);
        assert_eq!(drops.load(SeqCst), 100);
    }
}

#[test]
fn a_destructor_that_panics_does_not_stop_the_others() {
    let _watchdog = watchdog("panics in destructors");
    let rt = runtime(2);
    let (drops, guard) = counter();
    let handles: Vec<_> = (0..20)
        .map(|i| {
            let guard = guard();
            // Made here, so that it is there also if the task is never polled.
            let bomb = (i % 2 == 0).then(|| OnDrop(|| resume_unwind(Box::new("bomb"))));
            rt.spawn(async move {
                let _guard = guard;
                let _bomb = bomb;
                pending::<()>().await;
            })
        })
        .collect();
    drop(rt);
    assert_eq!(drops.load(SeqCst), 20);
    for (i, handle) in handles.into_iter().enumerate() {
        let error = runtime::block_on(handle).unwrap_err();
        assert_eq!(error.is_panic(), i % 2 == 0);
    }
}

#[test]
fn a_deadline_holds_against_a_task_that_spins() {
    let _watchdog = watchdog("a spinning task");
    for workers in [1, 3] {
        let rt = runtime(workers);
        let (drops, guard) = counter();
        let (stop, started) = (
            Arc::new(AtomicBool::new(false)),
            Arc::new(AtomicBool::new(false)),
        );
        let (stops, starts, mine) = (stop.clone(), started.clone(), guard());
        rt.spawn(async move {
            let _mine = mine;
            starts.store(true, SeqCst);
            while !stops.load(SeqCst) {
                std::hint::spin_loop();
            }
            pending::<()>().await;
        });
        wait_until("it spins", || started.load(SeqCst));
        let other = guard();
        rt.spawn(async move {
            let _other = other;
            pending::<()>().await;
        });
        assert!(!rt.shutdown(Duration::from_millis(20)));
        wait_until("the other one is dropped", || drops.load(SeqCst) == 1);
        stop.store(true, SeqCst);
        wait_until("the spinner is dropped by its worker", || {
            drops.load(SeqCst) == 2
        });
    }
}

#[test]
fn timers_end_with_the_runtime_also_where_a_worker_is_stuck() {
    struct Told(AtomicBool);
    impl Wake for Told {
        fn wake(self: Arc<Self>) {
            self.0.store(true, SeqCst);
        }
    }
    const HOUR: Duration = Duration::from_secs(3600);
    let _watchdog = watchdog("a stuck worker");
    let rt = runtime(1);
    let (release, stuck) = mpsc::channel::<()>();
    let (started, has_started) = mpsc::channel();
    let task = rt.spawn(async move {
        started.send(()).unwrap();
        let _ = stuck.recv();
        time::sleep(HOUR).await;
    });
    has_started.recv().unwrap();
    // Awaited by an executor that is not ours.
    let told = Arc::new(Told(AtomicBool::new(false)));
    let waker = Waker::from(told.clone());
    let mut sleep = Box::pin(time::sleep(HOUR));
    let entered = rt.enter();
    assert!(
        sleep
            .as_mut()
            .poll(&mut Context::from_waker(&waker))
            .is_pending()
    );
    drop(entered);
    assert!(!rt.shutdown(Duration::from_millis(20)));
    assert!(told.0.load(SeqCst), "nobody will fire it any more");
    let panic = catch_unwind(AssertUnwindSafe(|| {
        let _ = sleep.as_mut().poll(&mut Context::from_waker(&waker));
    }));
    assert!(panic.is_err(), "there is no other runtime");
    drop(release);
    // Its sleep finds no wheel, and that is no mistake of the task's.
    assert!(runtime::block_on(task).unwrap_err().is_cancelled());
}

#[test]
fn a_deadline_holds_against_a_blocking_job_that_hangs() {
    let _watchdog = watchdog("a hung job");
    let rt = runtime(1);
    let (release, hangs) = mpsc::channel::<()>();
    let started = Arc::new(AtomicBool::new(false));
    let starts = started.clone();
    let job = rt.spawn_blocking(move || {
        starts.store(true, SeqCst);
        let _ = hangs.recv();
        5
    });
    wait_until("the job runs", || started.load(SeqCst));
    let (drops, guard) = counter();
    let guard = guard();
    rt.spawn(async move {
        let _guard = guard;
        pending::<()>().await;
    });
    assert!(!rt.shutdown(Duration::from_millis(20)));
    assert_eq!(drops.load(SeqCst), 1);
    drop(release);
    // It was too late to cancel it, and its result is not lost.
    assert_eq!(runtime::block_on(job).unwrap(), 5);
}

#[test]
fn a_runtime_can_be_dropped_inside_its_own_task_and_job() {
    for blocking in [false, true] {
        let _watchdog = watchdog(format!("blocking: {blocking}"));
        let (drops, guard) = counter();
        let rt = Arc::new(runtime(2));
        let guard = guard();
        rt.spawn(async move {
            let _guard = guard;
            pending::<()>().await;
        });
        let handle = rt.handle().clone();
        let last = Arc::new(Mutex::new(Some(rt)));
        let ended = Arc::new(AtomicBool::new(false));
        let ends = ended.clone();
        let drop_it = move || {
            let rt = last.lock().unwrap().take().unwrap();
            drop(Arc::into_inner(rt).expect("the last one"));
            ends.store(true, SeqCst);
        };
        if blocking {
            drop(handle.spawn_blocking(drop_it));
        } else {
            drop(handle.spawn(async move { drop_it() }));
        }
        wait_until("the drop returns", || ended.load(SeqCst));
        wait_until("the tasks are dropped", || drops.load(SeqCst) == 1);
    }
}

#[test]
fn a_runtime_can_be_dropped_inside_another_ones_task() {
    let _watchdog = watchdog("one runtime inside another");
    let outer = runtime(1);
    let inner = runtime(2);
    let (drops, guard) = counter();
    let guard = guard();
    inner.spawn(async move {
        let _guard = guard;
        pending::<()>().await;
    });
    outer
        .block_on(outer.spawn(async move { drop(inner) }))
        .unwrap();
    assert_eq!(drops.load(SeqCst), 1);
    assert_eq!(outer.block_on(outer.spawn(async { 1 })).unwrap(), 1);
}

#[test]
fn a_runtime_can_be_dropped_while_its_thread_ends() {
    thread_local! {
        static KEPT: RefCell<Option<Runtime>> = const { RefCell::new(None) };
    }
    let _watchdog = watchdog("a runtime in a thread-local");
    let (drops, guard) = counter();
    let guard = guard();
    thread::spawn(move || {
        // Before anything of the runtime's own is made in this thread, so that it goes after that.
        KEPT.with(|_| ());
        let rt = runtime(1);
        rt.spawn(async move {
            let _guard = guard;
            pending::<()>().await;
        });
        rt.block_on(async {});
        KEPT.set(Some(rt));
    })
    .join()
    .unwrap();
    assert_eq!(drops.load(SeqCst), 1);
}

#[test]
fn wakers_that_outlive_the_runtime_do_nothing() {
    for workers in [1, 2, 8] {
        let _watchdog = watchdog(format!("{workers} workers"));
        let rt = runtime(workers);
        let wakers: Arc<Mutex<Vec<Waker>>> = Arc::default();
        for _ in 0..100 {
            let wakers = wakers.clone();
            rt.spawn(poll_fn::<(), _>(move |cx| {
                wakers.lock().unwrap().push(cx.waker().clone());
                Poll::Pending
            }));
        }
        wait_until("all have parked", || wakers.lock().unwrap().len() == 100);
        drop(rt);
        let threads: Vec<_> = (0..4)
            .map(|_| {
                let wakers = wakers.clone();
                thread::spawn(move || {
                    while let Some(waker) = { wakers.lock().unwrap().pop() } {
                        waker.wake_by_ref();
                        let other = waker.clone();
                        waker.wake();
                        drop(other);
                    }
                })
            })
            .collect();
        for thread in threads {
            thread.join().unwrap();
        }
    }
}

#[test]
fn tasks_that_are_woken_while_the_runtime_ends_are_dropped_once() {
    let _watchdog = watchdog("wakes against the end");
    for round in 0..100 {
        let rt = runtime(1 + round % 3);
        let wakers: Arc<Mutex<Vec<Waker>>> = Arc::default();
        let (drops, guard) = counter();
        for _ in 0..20 {
            let (wakers, guard) = (wakers.clone(), guard());
            rt.spawn(poll_fn::<(), _>(move |cx| {
                let _guard = &guard;
                wakers.lock().unwrap().push(cx.waker().clone());
                Poll::Pending
            }));
        }
        let stop = Arc::new(AtomicBool::new(false));
        let stops = stop.clone();
        let waking = thread::spawn(move || {
            while !stops.load(SeqCst) {
                let woken = std::mem::take(&mut *wakers.lock().unwrap());
                woken.into_iter().for_each(Waker::wake);
            }
        });
        thread::yield_now();
        drop(rt);
        assert_eq!(drops.load(SeqCst), 20);
        stop.store(true, SeqCst);
        waking.join().unwrap();
    }
}

#[test]
fn handles_that_outlive_the_runtime_deliver_what_there_is() {
    let _watchdog = watchdog("handles that outlive the runtime");
    let rt = runtime(2);
    let done = rt.spawn(async { 1 });
    wait_until("it ends", || done.is_finished());
    let never = rt.spawn(pending::<()>());
    let (abort, watch) = (never.abort_handle(), rt.spawn(pending::<()>()));
    drop(rt);
    assert!(never.is_finished());
    abort.abort();
    drop(watch);
    assert_eq!(runtime::block_on(done).unwrap(), 1);
    assert!(runtime::block_on(never).unwrap_err().is_cancelled());
}

#[test]
fn whoever_awaits_a_task_of_a_runtime_that_ends_is_woken() {
    let _watchdog = watchdog("a join across runtimes");
    let (ends, stays) = (runtime(1), runtime(1));
    let task = ends.spawn(pending::<()>());
    let joins = stays.spawn(task);
    wait_until("the join has parked", || stays.handle().num_tasks() == 1);
    drop(ends);
    assert!(stays.block_on(joins).unwrap().unwrap_err().is_cancelled());
}

#[test]
fn a_runtime_that_has_ended_refuses_and_drops() {
    let _watchdog = watchdog("spawn on a dead runtime");
    let rt = runtime(2);
    let handle: Handle = rt.handle().clone();
    drop(rt);
    let (drops, guard) = counter();
    let (first, second) = (guard(), guard());
    let mut task = handle.spawn(async move {
        let _first = first;
    });
    assert_eq!(drops.load(SeqCst), 1);
    assert!(task.is_finished());
    task.abort();
    assert!(task.abort_handle().is_finished());
    let mut cx = Context::from_waker(Waker::noop());
    let Poll::Ready(Err(error)) = std::pin::pin!(&mut task).poll(&mut cx) else {
        panic!("a refused task is over");
    };
    assert!(error.is_cancelled());
    let job = handle.spawn_blocking(move || drop(second));
    assert_eq!(drops.load(SeqCst), 2);
    assert!(runtime::block_on(job).unwrap_err().is_cancelled());
}

#[test]
fn spawns_from_outside_race_with_the_end_and_none_is_lost() {
    let _watchdog = watchdog("spawns against the end");
    for round in 0..50 {
        let rt = runtime(1 + round % 3);
        let (drops, guard) = counter();
        let handle = rt.handle().clone();
        let spawning = thread::spawn(move || {
            let made = 300;
            for _ in 0..made {
                let guard = guard();
                drop(handle.spawn(async move {
                    let _guard = guard;
                    runtime::yield_now().await;
                    pending::<()>().await;
                }));
            }
            made
        });
        thread::yield_now();
        drop(rt);
        let made = spawning.join().unwrap();
        assert_eq!(drops.load(SeqCst), made);
    }
}

/// Ends the task when it is dropped.
struct AbortOnDrop(runtime::JoinHandle<()>);

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
}

#[test]
fn a_long_chain_of_tasks_that_wait_for_each_other_does_not_overflow_the_stack() {
    let _watchdog = watchdog("");
    for by_drop in [false, true] {
        let rt = runtime(1);
        let (drops, guard) = counter();
        let n = times(100_000);
        let spawns = rt.spawn(async move {
            let mut last = runtime::spawn(pending::<()>());
            for _ in 0..n {
                let guard = guard();
                last = runtime::spawn(async move {
                    let _guard = guard;
                    if by_drop {
                        let _last = AbortOnDrop(last);
                        pending::<()>().await;
                    } else {
                        let _ = last.await;
                    }
                });
            }
            // All have begun.
            for _ in 0..3 {
                runtime::yield_now().await;
            }
            [last]
        });
        // Its end would be the first link's.
        let [last] = rt.block_on(spawns).unwrap();
        drop(rt);
        assert_eq!(drops.load(SeqCst), n);
        drop(last);
    }
}

#[test]
fn who_waits_for_the_clock_of_a_runtime_that_ends_is_told() {
    let _watchdog = watchdog("");
    for settles in [false, true] {
        let rt = Builder::new().start_paused(true).build().unwrap();
        let handle = rt.handle().clone();
        // As long as this runs the clock stands.
        let (end, ended) = mpsc::channel::<()>();
        let (begin, begun) = mpsc::channel();
        let job = rt.spawn_blocking(move || {
            begin.send(()).unwrap();
            ended.recv().unwrap_err()
        });
        // One that has not would be forgotten.
        begun.recv().unwrap();
        let (tell, told) = mpsc::channel();
        let waits = thread::spawn(move || {
            handle.block_on(async {
                let mut moved: Pin<Box<dyn Future<Output = ()>>> = match settles {
                    true => Box::pin(runtime::time::settle()),
                    false => Box::pin(runtime::time::advance(LONG)),
                };
                poll_fn(|cx| {
                    let polled = moved.as_mut().poll(cx);
                    let _ = tell.send(());
                    polled
                })
                .await;
            });
        });
        told.recv().unwrap();
        assert!(!rt.shutdown(Duration::ZERO), "the job runs");
        let panic = waits.join().unwrap_err();
        let text = panic.downcast_ref::<String>().unwrap();
        assert!(text.contains("the runtime has shut down"), "{text}");
        drop(end);
        drop(job);
    }
}

/// quinn's endpoint does.
#[test]
fn a_destructor_may_wake_a_task_under_a_lock_that_its_destructor_takes() {
    #[derive(Default)]
    struct Shared(Mutex<Vec<Waker>>);
    struct Wakes(Arc<Shared>);
    impl Drop for Wakes {
        fn drop(&mut self) {
            let mut wakers = self.0.0.lock().unwrap();
            wakers.drain(..).for_each(Waker::wake);
        }
    }
    let _watchdog = watchdog("");
    let rt = runtime(1);
    rt.block_on(async {
        let shared = Arc::<Shared>::default();
        for _ in 0..10 {
            let mine = Wakes(shared.clone());
            runtime::spawn(poll_fn(move |cx| {
                mine.0.0.lock().unwrap().push(cx.waker().clone());
                Poll::<()>::Pending
            }));
        }
        while shared.0.lock().unwrap().len() < 10 {
            runtime::yield_now().await;
        }
    });
    drop(rt);
}

/// A job may wait for a task, which nobody runs any more, or for what such a task holds.
#[test]
fn a_job_that_waits_for_a_task_learns_that_the_runtime_ends() {
    let _watchdog = watchdog("");
    let rt = runtime(2);
    let (begin, begun) = mpsc::channel();
    let task = rt.spawn(pending::<()>());
    let (held, all_gone) = mpsc::channel::<()>();
    let holder = rt.spawn(async move {
        let _held = held;
        pending::<()>().await;
    });
    let joins = rt.spawn_blocking({
        let (begin, handle) = (begin.clone(), rt.handle().clone());
        move || {
            begin.send(()).unwrap();
            handle.block_on(task).unwrap_err().is_cancelled()
        }
    });
    let receives = rt.spawn_blocking(move || {
        begin.send(()).unwrap();
        all_gone.recv().is_err()
    });
    begun.recv().unwrap();
    begun.recv().unwrap();
    drop(rt);
    // What a job has come to is told although the runtime has ended meanwhile.
    assert!(runtime::block_on(joins).unwrap());
    assert!(runtime::block_on(receives).unwrap());
    assert!(runtime::block_on(holder).unwrap_err().is_cancelled());
}
