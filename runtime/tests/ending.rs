//! Who waits on a thread of its own, or in a destructor, for what nobody brings any more because
//! the runtime ends: it is told, and does not hold the end up for ever.
//!
//! Elsewhere programs hang here: <https://github.com/tokio-rs/tokio/issues/6463>. That jobs are
//! told by a panic, and not given the time, is as in
//! <https://github.com/tokio-rs/tokio/issues/4862>: one may wait for much longer than anybody
//! wants to wait for the end.

mod common;

use std::future::{Future, pending};
use std::io::Read;
use std::os::unix::net::UnixStream;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use common::{foreign_block_on, runtime, watchdog};
use runtime::io::{Source, is_shutdown};
use runtime::{Handle, JoinError, Runtime, time};

/// Longer than the test.
const LONG: Duration = Duration::from_secs(100_000);

/// What is waited for; it says how that ended, if not with a panic.
type Wait = fn() -> Pin<Box<dyn Future<Output = String>>>;

const WAITS: [(&str, Wait); 5] = [
    ("the runtime has shut down: its timers", || {
        Box::pin(async {
            time::sleep(LONG).await;
            String::new()
        })
    }),
    ("the runtime has shut down", || {
        Box::pin(async {
            let (near, _far) = UnixStream::pair().unwrap();
            near.set_nonblocking(true).unwrap();
            let near = Source::new(runtime::io::mio::net::UnixStream::from_std(near));
            let error = match near {
                Ok(near) => near.read_with(|mut near| near.read(&mut [0])).await,
                Err(error) => Err(error),
            };
            let error = error.unwrap_err();
            assert!(is_shutdown(&error));
            error.to_string()
        })
    }),
    ("cancelled", || said(runtime::spawn(pending::<()>()))),
    ("cancelled", || said(runtime::spawn(time::sleep(LONG)))),
    ("ended", || {
        Box::pin(async {
            // Unless it had begun.
            if let Err(error) = runtime::spawn_blocking(|| ()).await {
                assert!(error.is_cancelled());
            }
            "ended".into()
        })
    }),
];

fn said(
    task: impl Future<Output = Result<(), JoinError>> + 'static,
) -> Pin<Box<dyn Future<Output = String>>> {
    Box::pin(async { task.await.unwrap_err().to_string() })
}

/// Waits, by one executor or the other, and returns what was said.
fn outcome(wait: Wait, foreign: bool) -> String {
    let outcome = catch_unwind(AssertUnwindSafe(|| match foreign {
        true => foreign_block_on(wait()),
        false => runtime::block_in_place(|| Handle::current().block_on(wait())),
    }));
    outcome.unwrap_or_else(|panic| *panic.downcast::<String>().unwrap())
}

/// Has somebody wait.
type Place = fn(&Runtime, Box<dyn FnOnce() + Send>);

/// Before the end begins: a job, a task that blocks, a thread.
const PLACES: [Place; 3] = [
    |rt, waits| drop(rt.spawn_blocking(waits)),
    |rt, waits| drop(rt.spawn(async { runtime::block_in_place(waits) })),
    |rt, waits| {
        let handle = rt.handle().clone();
        thread::spawn(move || {
            let _entered = handle.enter();
            waits();
        });
    },
];

#[test]
fn threads_that_wait_for_a_runtime_that_ends_are_told() {
    let _watchdog = watchdog("");
    for place in PLACES {
        for (expected, wait) in WAITS {
            for foreign in [false, true] {
                let rt = runtime(2);
                let (tell, told) = mpsc::channel();
                let (begin, begun) = mpsc::channel();
                place(
                    &rt,
                    Box::new(move || {
                        begin.send(()).unwrap();
                        tell.send(outcome(wait, foreign)).unwrap();
                    }),
                );
                begun.recv().unwrap();
                drop(rt);
                let text = told.recv().unwrap();
                assert!(text.contains(expected), "{expected:?}: {text:?}");
            }
        }
    }
}

#[test]
fn destructors_that_wait_while_the_runtime_ends_are_told() {
    struct Waits(Wait, bool, mpsc::Sender<String>);
    impl Drop for Waits {
        fn drop(&mut self) {
            self.2.send(outcome(self.0, self.1)).unwrap();
        }
    }
    let _watchdog = watchdog("");
    for (expected, wait) in WAITS {
        for foreign in [false, true] {
            let rt = runtime(1);
            let (tell, told) = mpsc::channel();
            let (begin, begun) = mpsc::channel();
            rt.spawn(async move {
                let _waits = Waits(wait, foreign, tell);
                begin.send(()).unwrap();
                pending::<()>().await;
            });
            begun.recv().unwrap();
            drop(rt);
            let text = told.recv().unwrap();
            assert!(text.contains(expected), "{expected:?}: {text:?}");
        }
    }
}

/// It is cancelled after the poll, and needs neither a panic nor an error.
#[test]
fn a_task_whose_poll_outlasts_the_end_of_its_runtime_is_cancelled_without_a_word() {
    struct SaysHow(mpsc::Sender<bool>);
    impl Drop for SaysHow {
        fn drop(&mut self) {
            self.0.send(thread::panicking()).unwrap();
        }
    }
    let _watchdog = watchdog("");
    for reads in [false, true] {
        let rt = runtime(1);
        let (tell, told) = mpsc::channel();
        let (begin, begun) = mpsc::channel();
        let (near, _far) = UnixStream::pair().unwrap();
        near.set_nonblocking(true).unwrap();
        let near = runtime::io::mio::net::UnixStream::from_std(near);
        let near = rt.block_on(async { Source::new(near).unwrap() });
        let waiter = rt.spawn_blocking({
            let (handle, begin) = (rt.handle().clone(), begin.clone());
            move || {
                begin.send(()).unwrap();
                // Until nobody serves those who wait any more.
                catch_unwind(AssertUnwindSafe(|| handle.block_on(time::sleep(LONG)))).is_err()
            }
        });
        let task = rt.spawn(async move {
            let _says = SaysHow(tell);
            begin.send(()).unwrap();
            assert!(foreign_block_on(waiter).unwrap());
            match reads {
                true => drop(
                    near.read_with(|mut near| near.read(&mut [0]))
                        .await
                        .unwrap(),
                ),
                false => time::sleep(LONG).await,
            }
        });
        begun.recv().unwrap();
        begun.recv().unwrap();
        drop(rt);
        assert!(!told.recv().unwrap());
        assert!(runtime::block_on(task).unwrap_err().is_cancelled());
    }
}
