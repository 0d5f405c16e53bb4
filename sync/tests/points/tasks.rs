//! What a runtime has of its own: handles of tasks, timers, descriptors, signals, and the wrappers.

use std::cell::{Cell, RefCell};
use std::future::{Future, poll_fn};
use std::io::{Read, Write};
use std::os::fd::AsFd;
use std::pin::Pin;
use std::process::Command;
use std::rc::Rc;
use std::time::Duration;

use futures_core::Stream;
use runtime::io::{Direction, Registration, Source, mio};
use runtime::signal::{SignalKind, ctrl_c, unix};
use runtime::task::{JoinSet, coop};
use runtime::time::{Instant, advance, settle, sleep, sleep_until, ticker, timeout, timeout_at};
use runtime::{Runtime, spawn, yield_now};
use sync::oneshot;

use crate::Back;
use crate::explore::{Scene, explore};
use crate::groups::runtime;

const SECOND: Duration = Duration::from_secs(1);

/// The clock goes on by a second.
fn moves_on(runtime: &Rc<Runtime>) -> impl FnOnce() + 'static {
    let runtime = runtime.clone();
    move || runtime.block_on(advance(SECOND))
}

#[test]
fn join_handle() {
    let runtime = runtime();
    let _inside = runtime.enter();
    explore("JoinHandle", || {
        let (tx, rx) = oneshot::channel();
        let task = spawn(rx);
        Scene::new(async move { assert_eq!(task.await.unwrap(), Some(1)) })
            .on(&runtime)
            .act("the task ends", move || tx.send(1))
    });
    explore("JoinHandle", || {
        let task = spawn(std::future::pending::<()>());
        let aborts = task.abort_handle();
        Scene::new(async move { assert!(task.await.unwrap_err().is_cancelled()) })
            .on(&runtime)
            .act("the task is aborted", move || aborts.abort())
    });
}

#[test]
fn join_set() {
    let runtime = runtime();
    let _inside = runtime.enter();
    explore("JoinSet::join_next", || {
        let mut set = JoinSet::new();
        let (first, one) = oneshot::channel();
        let (second, other) = oneshot::channel();
        set.spawn(one);
        set.spawn(other);
        let set = Rc::new(RefCell::new(Some(set)));
        let (mine, seen) = (set.clone(), Rc::new(Cell::new(0)));
        let all = seen.clone();
        Scene::new(async move {
            let mut mine = Back::take(&mine);
            assert!(mine.get().join_next().await.unwrap().is_ok());
            seen.set(seen.get() + 1);
        })
        .on(&runtime)
        .act("a task ends", move || first.send(1))
        .act("the other one ends", move || second.send(2))
        .check(move |_| {
            while let Some(ended) = Back::take(&set).get().try_join_next() {
                assert!(ended.is_ok());
                all.set(all.get() + 1);
            }
            assert_eq!(all.get(), 2);
        })
    });
    explore("JoinSet::join_next", || {
        let (tx, rx) = oneshot::channel();
        let mut set = JoinSet::new();
        set.spawn(rx);
        Scene::new(async move { assert!(set.join_next().await.is_some()) })
            .on(&runtime)
            .act("the task ends", move || tx.send(1))
    });
    explore("JoinSet::shutdown", || {
        let mut set = JoinSet::new();
        for _ in 0..2 {
            set.spawn(std::future::pending::<()>());
        }
        let aborts = set.spawn(std::future::pending::<()>());
        Scene::new(async move { set.shutdown().await })
            .on(&runtime)
            .act("one is aborted", move || aborts.abort())
            .check(|_| assert_eq!(runtime::num_tasks(), 0))
    });
}

#[test]
fn timers() {
    let runtime = runtime();
    let _inside = runtime.enter();
    explore("sleep", || {
        Scene::new(sleep(SECOND))
            .on(&runtime)
            .join("another one", sleep(SECOND / 2))
            .act("time passes", moves_on(&runtime))
    });
    explore("sleep_until", || {
        Scene::new(sleep_until(Instant::now() + SECOND))
            .on(&runtime)
            .join("another one", sleep(SECOND / 2))
            .act("time passes", moves_on(&runtime))
    });
    explore("Ticker::tick", || {
        let mut ticks = ticker(SECOND);
        Scene::new(async move {
            ticks.tick().await;
        })
        .on(&runtime)
        .act("time passes", moves_on(&runtime))
        .act("more time passes", moves_on(&runtime))
    });
    explore("Ticker as a Stream", || {
        let mut ticks = ticker(SECOND);
        Scene::new(async move {
            poll_fn(|cx| Pin::new(&mut ticks).poll_next(cx)).await;
        })
        .on(&runtime)
        .act("time passes", moves_on(&runtime))
    });
}

#[test]
fn limits_of_time() {
    let runtime = runtime();
    let _inside = runtime.enter();
    for at in [false, true] {
        explore("timeout, timeout_at", || {
            let (tx, rx) = oneshot::channel();
            let limited = match at {
                true => timeout_at(Instant::now() + SECOND, rx),
                false => timeout(SECOND, rx),
            };
            Scene::new(async move {
                let _ = limited.await;
            })
            .on(&runtime)
            .act("it is sent", move || tx.send(1))
            .act("time passes", moves_on(&runtime))
        });
        explore("timeout, timeout_at", || {
            let never = std::future::pending::<()>();
            let limited = match at {
                true => timeout_at(Instant::now() + SECOND, never),
                false => timeout(SECOND, never),
            };
            Scene::new(async move { assert!(limited.await.is_err()) })
                .on(&runtime)
                .act("time passes", moves_on(&runtime))
        });
    }
}

#[test]
fn paused_clock() {
    let runtime = runtime();
    let _inside = runtime.enter();
    explore("advance", || {
        Scene::new(async { advance(SECOND).await })
            .join("one who waits for that", sleep(SECOND / 2))
            .act("time passes", moves_on(&runtime))
    });
    explore("settle", || {
        Scene::new(async { settle().await }).join("another one", async { settle().await })
    });
}

#[test]
fn turns_and_wrappers() {
    runtime::task_local! {
        static NUMBER: u32;
    }
    let runtime = runtime();
    let _inside = runtime.enter();
    explore("yield_now", || Scene::new(async { yield_now().await }));
    explore("consume_budget", || {
        Scene::new(async { coop::consume_budget().await })
    });
    explore("unconstrained", || {
        let (tx, rx) = oneshot::channel();
        Scene::new(async move { assert_eq!(coop::unconstrained(rx).await, Some(1)) })
            .act("it is sent", move || tx.send(1))
    });
    explore("LocalKey::scope", || {
        let (tx, rx) = oneshot::channel();
        let scope = NUMBER.scope(5, async move {
            assert_eq!(rx.await, Some(1));
            assert_eq!(NUMBER.get(), 5);
        });
        Scene::new(scope).act("it is sent", move || tx.send(1))
    });
}

/// A pipe, both ends registered.
struct Pipe {
    writes: Source<mio::unix::pipe::Sender>,
    reads: Source<mio::unix::pipe::Receiver>,
    /// The reading end once more, without a device of its own.
    registered: (Registration, RefCell<mio::unix::pipe::Receiver>),
}

impl Pipe {
    fn new() -> Rc<Self> {
        let (writes, reads) = mio::unix::pipe::new().unwrap();
        let again = reads.as_fd().try_clone_to_owned().unwrap();
        let mut again = mio::unix::pipe::Receiver::from(again);
        again.set_nonblocking(true).unwrap();
        Rc::new(Self {
            registered: (Registration::new(&mut again).unwrap(), RefCell::new(again)),
            writes: Source::new(writes).unwrap(),
            reads: Source::new(reads).unwrap(),
        })
    }

    /// One that takes nothing more.
    fn full() -> Rc<Self> {
        let pipe = Self::new();
        while pipe
            .writes
            .try_io(Direction::Write, |mut end| end.write(&[0; 4096]))
            .is_ok()
        {}
        pipe
    }

    fn write(&self) {
        assert_eq!(self.writes.get_ref().write(b"x").unwrap(), 1);
    }

    fn drain(&self) {
        while self.reads.get_ref().read(&mut [0; 65_536]).is_ok() {}
    }
}

/// Nothing comes before it is written, to whoever waits for it in some way.
fn reads<F: Future<Output = ()> + 'static>(
    runtime: &Rc<Runtime>,
    way: impl Fn(Rc<Pipe>) -> F,
) -> Scene {
    let pipe = Pipe::new();
    let (other, writes) = (pipe.clone(), pipe.clone());
    // What was taken for ready in the beginning is not.
    for _ in 0..2 {
        let _ = pipe
            .reads
            .try_io(Direction::Read, |mut end| end.read(&mut [0]));
        let mut again = pipe.registered.1.borrow_mut();
        let _ = pipe
            .registered
            .0
            .try_io(Direction::Read, |_| again.read(&mut [0]));
    }
    Scene::new(way(pipe))
        .on(runtime)
        .join("another one", async move {
            other.reads.readable().await.unwrap()
        })
        .act("it is written to", move || writes.write())
}

fn writes<F: Future<Output = ()> + 'static>(
    runtime: &Rc<Runtime>,
    way: impl Fn(Rc<Pipe>) -> F,
) -> Scene {
    let pipe = Pipe::full();
    let (other, drains) = (pipe.clone(), pipe.clone());
    Scene::new(way(pipe))
        .on(runtime)
        .join("another one", async move {
            other.writes.writable().await.unwrap()
        })
        .act("it is drained", move || drains.drain())
}

#[test]
#[cfg_attr(miri, ignore = "it has no such pipes")]
fn descriptors() {
    let runtime = runtime();
    let _inside = runtime.enter();
    explore("Source::readable", || {
        reads(&runtime, |pipe| async move {
            pipe.reads.readable().await.unwrap()
        })
    });
    explore("Registration::ready", || {
        reads(&runtime, |pipe| async move {
            pipe.registered.0.ready(Direction::Read).await.unwrap();
        })
    });
    explore("Source::read_with", || {
        reads(&runtime, |pipe| async move {
            let n = pipe.reads.read_with(|mut end| end.read(&mut [0; 16])).await;
            assert_eq!(n.unwrap(), 1);
        })
    });
    explore("Registration::io", || {
        reads(&runtime, |pipe| async move {
            let again = &pipe.registered.1;
            let read = pipe
                .registered
                .0
                .io(Direction::Read, |_| again.borrow_mut().read(&mut [0; 16]));
            assert_eq!(read.await.unwrap(), 1);
        })
    });
    explore("Source::writable", || {
        writes(&runtime, |pipe| async move {
            pipe.writes.writable().await.unwrap()
        })
    });
    explore("Source::write_with", || {
        writes(&runtime, |pipe| async move {
            let n = pipe.writes.write_with(|mut end| end.write(b"xy")).await;
            assert_eq!(n.unwrap(), 2);
        })
    });
}

/// Sends this process a signal, which all threads have seen then.
fn raises(runtime: &Rc<Runtime>, kind: SignalKind, name: &'static str) -> impl FnOnce() + 'static {
    let runtime = runtime.clone();
    move || {
        let mut seen = unix(kind).unwrap();
        let process = std::process::id().to_string();
        let status = Command::new("kill").args(["-s", name, &process]).status();
        assert!(status.unwrap().success());
        assert_eq!(runtime.block_on(seen.recv()), Some(kind));
    }
}

#[test]
#[cfg_attr(miri, ignore = "it has no signals")]
fn signals() {
    let runtime = runtime();
    let _inside = runtime.enter();
    explore("Signal::recv", || {
        let kind = SignalKind::user_defined1();
        let (mut mine, mut other) = (unix(kind).unwrap(), unix(kind).unwrap());
        Scene::new(async move { assert_eq!(mine.recv().await, Some(kind)) })
            .on(&runtime)
            .join("another one", async move {
                assert_eq!(other.recv().await, Some(kind));
            })
            .act("it is sent", raises(&runtime, kind, "USR1"))
    });
    explore("ctrl_c", || {
        let mine = ctrl_c();
        Scene::new(async move { mine.await.unwrap() })
            .on(&runtime)
            .act(
                "it is sent",
                raises(&runtime, SignalKind::interrupt(), "INT"),
            )
            .never_ends()
    });
    explore("Signal as a Stream", || {
        let kind = SignalKind::user_defined1();
        let mut mine = unix(kind).unwrap();
        Scene::new(async move {
            poll_fn(|cx| Pin::new(&mut mine).poll_next(cx)).await;
        })
        .on(&runtime)
        .act("it is sent", raises(&runtime, kind, "USR1"))
    });
}
