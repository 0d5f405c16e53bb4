//! What users of other runtimes have met: each test is a report from the tracker of one of them,
//! which names it, and holds that it does not happen here.

mod common;

use std::cell::RefCell;
use std::env;
use std::future::{Future, pending, poll_fn};
use std::io::{self, Read, Write};
use std::panic::{self, AssertUnwindSafe, catch_unwind};
use std::pin::{Pin, pin};
use std::process;
use std::sync::mpsc;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll, Wake, Waker};
use std::thread;
use std::time::Duration;

use common::{runtime, watchdog};
use runtime::io::{Source, mio};
use runtime::{Builder, Runtime, time};

struct Counted;

impl Wake for Counted {
    fn wake(self: Arc<Self>) {}
}

/// tokio#4724, tokio#6505: two tasks that await each other's end keep each other's memory.
#[test]
fn a_task_keeps_no_waker_of_a_handle_that_is_gone() {
    let _watchdog = watchdog("");
    let rt = runtime(1);
    let (end, ended) = mpsc::channel();
    for ends_first in [false, true] {
        let end = end.clone();
        let (go, may_go) = mpsc::channel::<()>();
        let mut task = rt.spawn(async move {
            runtime::block_in_place(|| may_go.recv().unwrap());
            drop(end);
        });
        let kept = task.abort_handle();
        let counted = Arc::new(Counted);
        let waker = Waker::from(counted.clone());
        let polled = Pin::new(&mut task).poll(&mut Context::from_waker(&waker));
        assert!(polled.is_pending());
        drop(waker);
        if ends_first {
            go.send(()).unwrap();
            while !task.is_finished() {
                thread::yield_now();
            }
            drop(task);
        } else {
            drop(task);
            assert_eq!(Arc::strong_count(&counted), 1);
            go.send(()).unwrap();
        }
        while Arc::strong_count(&counted) > 1 {
            thread::yield_now();
        }
        drop(kept);
    }
    drop(end);
    assert!(ended.recv().is_err());
    let _: mpsc::Receiver<()> = ended;
}

/// tokio#6091, tokio#6148: a waker that is called, or dropped, while a thread's locals are
/// destroyed.
#[test]
fn wakers_may_be_called_while_a_threads_locals_are_destroyed() {
    struct WakesAtEnd(Option<Waker>);
    impl Drop for WakesAtEnd {
        fn drop(&mut self) {
            self.0.take().into_iter().for_each(Waker::wake);
        }
    }
    thread_local! {
        static LAST: RefCell<WakesAtEnd> = const { RefCell::new(WakesAtEnd(None)) };
    }
    let _watchdog = watchdog("");
    for dropped in [false, true] {
        let rt = runtime(1);
        let (wakers, waker) = mpsc::channel();
        let mut asked = false;
        let task = rt.spawn(poll_fn(move |cx| {
            if asked {
                return Poll::Ready(7);
            }
            asked = true;
            wakers.send(cx.waker().clone()).unwrap();
            Poll::Pending
        }));
        let waker = waker.recv().unwrap();
        let mut rt = Some(rt);
        if dropped {
            drop(rt.take());
        }
        let thread = thread::spawn(move || LAST.with_borrow_mut(|last| last.0 = Some(waker)));
        thread.join().unwrap();
        if let Some(rt) = rt {
            assert_eq!(rt.block_on(task).unwrap(), 7);
        }
    }
}

/// tokio#8384: intervals whose next time is beyond the clock.
#[test]
fn times_beyond_the_clock_are_never_and_no_panic() {
    let _watchdog = watchdog("");
    runtime(1).block_on(async {
        let mut ticker = time::ticker(Duration::from_millis(1));
        ticker.tick().await;
        ticker.reset(Duration::MAX);
        let timer = time::after_func(Duration::from_millis(1), || ());
        timer.reset(Duration::MAX);
        let never = time::timeout(Duration::from_millis(5), ticker.tick());
        assert!(never.await.is_err());
        assert!(timer.stop());
        let limit = time::timeout(Duration::MAX, async { 7 });
        assert_eq!(limit.await.unwrap(), 7);
    });
}

/// tokio#1982, tokio#2327: jobs inside jobs, and `block_in_place` inside them.
#[test]
fn jobs_may_start_jobs_and_block_in_place() {
    let _watchdog = watchdog("");
    let rt = runtime(1);
    let outer = rt.spawn_blocking(|| {
        let inner = runtime::spawn_blocking(|| runtime::block_in_place(|| 7));
        let inner = runtime::block_on(inner).unwrap();
        runtime::block_in_place(|| runtime::block_on(async move { inner + 1 }))
    });
    assert_eq!(rt.block_on(outer).unwrap(), 8);
}

/// tokio#5177: a panic in a `block_on` that must not be made leaves all in order.
#[test]
fn a_misused_block_on_leaves_no_trace() {
    let _watchdog = watchdog("");
    let (rt, other) = (runtime(1), Runtime::new().unwrap());
    let task = rt.spawn(async move {
        let misuse = catch_unwind(AssertUnwindSafe(|| other.block_on(async {})));
        assert!(misuse.is_err());
        runtime::spawn(async { 7 }).await.unwrap()
    });
    assert_eq!(rt.block_on(task).unwrap(), 7);
}

/// tokio#4412, and what its mending left: payloads of panics that panic, each with another one.
#[test]
fn payloads_that_panic_with_payloads_that_panic_harm_nobody() {
    struct Nested(u32);
    impl Drop for Nested {
        fn drop(&mut self) {
            if self.0 > 0 {
                panic::panic_any(Nested(self.0 - 1));
            }
        }
    }
    let _watchdog = watchdog("");
    let rt = Builder::new().max_procs(1).build().unwrap();
    let hook = panic::take_hook();
    panic::set_hook(Box::new(|_| ()));
    for held in [false, true] {
        let task = rt.spawn(async { panic::panic_any(Nested(3)) });
        match held {
            true => drop(
                catch_unwind(AssertUnwindSafe(|| {
                    let error = rt.block_on(task).unwrap_err();
                    drop(error.into_panic());
                }))
                .map_err(std::mem::forget),
            ),
            false => drop(task),
        }
        assert_eq!(rt.block_on(rt.spawn(async { 7 })).unwrap(), 7);
    }
    panic::set_hook(hook);
}

/// tokio#2082, tokio#1972: a destructor that wakes others while the runtime ends, with a lock of
/// the program's own in its hands that they want.
#[test]
fn a_destructor_may_wake_others_under_a_lock_that_theirs_want() {
    struct WakesUnderLock {
        lock: Arc<std::sync::Mutex<Vec<Waker>>>,
    }
    impl Drop for WakesUnderLock {
        fn drop(&mut self) {
            let Ok(mut wakers) = self.lock.try_lock() else {
                panic!("dropped by a wake, inside the other's destructor");
            };
            wakers.drain(..).for_each(Waker::wake);
        }
    }
    let _watchdog = watchdog("");
    let rt = runtime(1);
    let lock = Arc::new(std::sync::Mutex::new(Vec::new()));
    let tasks: Vec<_> = (0..10)
        .map(|_| {
            let mine = WakesUnderLock { lock: lock.clone() };
            rt.spawn(async move {
                poll_fn(|cx| {
                    mine.lock.lock().unwrap().push(cx.waker().clone());
                    Poll::<()>::Pending
                })
                .await;
                pending::<()>().await;
            })
        })
        .collect();
    while lock.lock().unwrap().len() < 10 {
        thread::yield_now();
    }
    drop(rt);
    for task in tasks {
        let error = runtime::block_on(task).unwrap_err();
        assert!(error.is_cancelled() && !error.is_panic(), "{error}");
    }
}

/// tokio#6996: a `yield_now` that another executor polls, on a thread that is not the worker's any
/// more, was put off to a moment that never came.
#[test]
fn yields_end_under_any_executor() {
    let _watchdog = watchdog("");
    let yields = || common::foreign_block_on(async { runtime::yield_now().await });
    let rt = runtime(1);
    rt.block_on(async { runtime::block_in_place(yields) });
    rt.block_on(rt.spawn(async move {
        yields();
        runtime::block_in_place(yields);
    }))
    .unwrap();
    rt.block_on(rt.spawn_blocking(yields)).unwrap();
    let _entered = rt.enter();
    yields();
}

/// tokio-core#117, mio#1476: the end of a pipe is told by a hang-up or an error alone, without the
/// readiness that was waited for.
#[test]
fn the_end_of_one_side_of_a_pipe_wakes_the_other() {
    let _watchdog = watchdog("");
    runtime(1).block_on(async {
        let (sender, receiver) = mio::unix::pipe::new().unwrap();
        let receiver = Source::new(receiver).unwrap();
        let mut read = pin!(receiver.read_with(|mut pipe| pipe.read(&mut [0; 8])));
        assert!(is_pending(read.as_mut()).await);
        drop(sender);
        assert_eq!(read.await.unwrap(), 0);

        let (mut sender, receiver) = mio::unix::pipe::new().unwrap();
        while sender.write(&[0; 4096]).is_ok() {}
        let sender = Source::new(sender).unwrap();
        let mut write = pin!(sender.write_with(|mut pipe| pipe.write(&[0; 4096])));
        assert!(is_pending(write.as_mut()).await);
        drop(receiver);
        let error = write.await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::BrokenPipe);
    });
}

async fn is_pending<T>(mut future: Pin<&mut impl Future<Output = T>>) -> bool {
    poll_fn(|cx| Poll::Ready(future.as_mut().poll(cx).is_pending())).await
}

static OF_THE_PROGRAM: OnceLock<Runtime> = OnceLock::new();

type End = fn(&Runtime);

/// How a program may end, with a runtime that nobody drops; and its exit code.
const ENDS: [(End, i32); 4] = [
    (|_| (), 0),
    (|_| leaves(), 3),
    (|rt| rt.block_on(rt.spawn(async { leaves() })).unwrap(), 3),
    (|rt| rt.block_on(rt.spawn_blocking(leaves)).unwrap(), 3),
];

fn leaves() {
    process::exit(3)
}

/// tokio#2499: workers are in the midst of it when the process ends under them.
#[test]
fn a_program_may_end_while_its_runtime_works() {
    const NAME: &str = "a_program_may_end_while_its_runtime_works";
    const HOW: &str = "HOW_THE_PROGRAM_ENDS";
    if let Ok(how) = env::var(HOW) {
        let rt = OF_THE_PROGRAM.get_or_init(|| runtime(3));
        for _ in 0..50 {
            rt.spawn(async {
                loop {
                    runtime::yield_now().await;
                    time::sleep(Duration::from_micros(50)).await;
                }
            });
        }
        rt.spawn_blocking(|| {
            loop {
                thread::yield_now();
            }
        });
        return ENDS[how.parse::<usize>().unwrap()].0(rt);
    }
    let _watchdog = watchdog("");
    for (how, (_, code)) in ENDS.iter().enumerate() {
        for _ in 0..5 {
            let mut program = process::Command::new(env::current_exe().unwrap());
            program.args([NAME, "--exact", "--quiet"]);
            let output = program.env(HOW, how.to_string()).output().unwrap();
            assert_eq!(output.status.code(), Some(*code), "{how}: {output:?}");
        }
    }
}
