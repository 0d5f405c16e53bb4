//! What is said to whoever uses the runtime wrongly: the mistake, the cure, and the line that made
//! it.
//!
//! One test, since it sets the process's panic hook.

mod common;

use std::future::Future;
use std::panic::{self, AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Waker};
use std::time::Duration;

use common::{runtime, watchdog};

#[test]
fn each_panic_names_mistake_cure_and_the_callers_line() {
    let _watchdog = watchdog("misuse");
    let seen: Arc<Mutex<Option<(String, u32, String)>>> = Arc::default();
    let sees = seen.clone();
    let before = panic::take_hook();
    panic::set_hook(Box::new(move |info| {
        let place = info.location().unwrap();
        // `payload_as_str` is younger than the Rust that this has to build with.
        let payload = info.payload();
        let text = payload.downcast_ref::<String>().cloned();
        let text = text.or_else(|| payload.downcast_ref::<&str>().map(|&text| text.to_owned()));
        let text = text.unwrap_or_default();
        *sees.lock().unwrap() = Some((place.file().to_owned(), place.line(), text));
    }));
    let mut failed = Vec::new();
    let mut check = |line: u32, what: &str, words: &[&str], misuse: &mut dyn FnMut()| {
        *seen.lock().unwrap() = None;
        let panicked = catch_unwind(AssertUnwindSafe(misuse)).is_err();
        let said = seen.lock().unwrap().take();
        let good = panicked
            && said.as_ref().is_some_and(|(file, at, text)| {
                // The statement may be broken over some lines.
                file.ends_with("misuse.rs")
                    && (line..line + 8).contains(at)
                    && words.iter().all(|word| text.contains(word))
            });
        if !good {
            failed.push(format!("{what}: panicked: {panicked}, said: {said:?}"));
        }
    };
    const NO_RUNTIME: &[&str] = &["no runtime", "#[runtime::main]"];

    check(line!(), "spawn", NO_RUNTIME, &mut || {
        drop(runtime::spawn(async {}));
    });
    check(line!(), "spawn_blocking", NO_RUNTIME, &mut || {
        drop(runtime::spawn_blocking(|| ()));
    });
    check(line!(), "current", NO_RUNTIME, &mut || {
        let _ = runtime::Handle::current();
    });
    check(line!(), "max_procs", NO_RUNTIME, &mut || {
        let _ = runtime::max_procs();
    });
    check(line!(), "after_func", NO_RUNTIME, &mut || {
        runtime::time::after_func(Duration::from_secs(1), || ());
    });
    check(line!(), "JoinSet::spawn", NO_RUNTIME, &mut || {
        runtime::task::JoinSet::new().spawn(async {});
    });
    check(line!(), "task::Builder::spawn", NO_RUNTIME, &mut || {
        drop(runtime::task::Builder::new().spawn(async {}));
    });
    check(line!(), "set_max_procs", NO_RUNTIME, &mut || {
        runtime::set_max_procs(1);
    });
    check(line!(), "pause", NO_RUNTIME, &mut || runtime::time::pause());
    check(line!(), "resume", NO_RUNTIME, &mut || {
        runtime::time::resume();
    });
    check(line!(), "settle", NO_RUNTIME, &mut || {
        drop(runtime::time::settle());
    });
    check(line!(), "signal", NO_RUNTIME, &mut || {
        drop(runtime::signal::unix(
            runtime::signal::SignalKind::user_defined1(),
        ));
    });

    let rt = runtime(1);
    check(
        line!(),
        "advance",
        &["time::advance", "pause()", "start_paused = true"],
        &mut || {
            let _entered = rt.enter();
            drop(runtime::time::advance(Duration::from_secs(1)));
        },
    );
    check(
        line!(),
        "ticker",
        &["must not be zero", "yield_now"],
        &mut || {
            drop(runtime::time::ticker(Duration::ZERO));
        },
    );
    check(
        line!(),
        "a local",
        &["LocalKey::get", "`scope`"],
        &mut || {
            runtime::task_local!(static LOCAL: u8);
            LOCAL.get();
        },
    );
    check(
        line!(),
        "an instant too late",
        &["overflow", "checked_add"],
        &mut || {
            let _ = runtime::time::Instant::now() + Duration::MAX;
        },
    );
    check(
        line!(),
        "an instant too early",
        &["overflow", "checked_sub"],
        &mut || {
            let _ = runtime::time::Instant::now() - Duration::MAX;
        },
    );
    check(
        line!(),
        "block_on",
        &["inside a task", "spawn_blocking"],
        &mut || {
            let inner = rt.spawn(async {
                runtime::block_on(async {});
            });
            panic::resume_unwind(rt.block_on(inner).unwrap_err().into_panic());
        },
    );
    check(line!(), "into_panic", &["is_panic()"], &mut || {
        let task = rt.spawn(std::future::pending::<()>());
        task.abort();
        let error = rt.block_on(task).unwrap_err();
        drop(error.into_panic());
    });
    check(line!(), "Builder::max_procs", &["from 1 to"], &mut || {
        runtime::Builder::new().max_procs(0);
    });
    check(
        line!(),
        "Builder::max_blocking_threads",
        &["give 1"],
        &mut || {
            runtime::Builder::new().max_blocking_threads(0);
        },
    );
    check(line!(), "time_slice", &["a millisecond"], &mut || {
        runtime::Builder::new().time_slice(Duration::ZERO);
    });
    check(line!(), "max_threads", &["give max_procs"], &mut || {
        runtime::Builder::new().max_threads(0);
    });
    check(line!(), "max_threads", &["1000000"], &mut || {
        runtime::Builder::new().max_threads(usize::MAX);
    });
    check(line!(), "thread_name", &["zero byte"], &mut || {
        runtime::Builder::new().thread_name("a\0b");
    });
    let paused = runtime::Builder::new().start_paused(true).build().unwrap();
    let entered = paused.enter();
    check(line!(), "advance", &["advance by"], &mut || {
        drop(runtime::time::advance(Duration::MAX));
    });
    drop(entered);
    // A poll has no caller of the user's. The text of a timer says where it was made instead.
    let made_at = format!("misuse.rs:{}", line!() + 1);
    let mut sleep = Box::pin(runtime::time::sleep(Duration::from_secs(1000)));
    let mut task = rt.spawn(async {});
    rt.block_on(async { (&mut task).await.unwrap() });
    let mut polled = |what: &str, words: &[&str], poll: &mut dyn FnMut(&mut Context<'_>)| {
        *seen.lock().unwrap() = None;
        let mut cx = Context::from_waker(Waker::noop());
        let panicked = catch_unwind(AssertUnwindSafe(|| poll(&mut cx))).is_err();
        let (_, _, text) = seen.lock().unwrap().take().unwrap_or_default();
        if !panicked || !words.iter().all(|word| text.contains(word)) {
            failed.push(format!("{what}: panicked: {panicked}, said: {text:?}"));
        }
    };
    polled(
        "sleep",
        &["no runtime", "#[runtime::main]", &made_at],
        &mut |cx| {
            let _ = sleep.as_mut().poll(cx);
        },
    );
    let gone = runtime(1);
    let handle = gone.handle().clone();
    drop(gone);
    let _entered = handle.enter();
    polled(
        "sleep on a runtime that has shut down",
        &["has shut down", "keep the Runtime", &made_at],
        &mut |cx| {
            let _ = sleep.as_mut().poll(cx);
        },
    );
    polled(
        "a handle twice",
        &["JoinHandle", "await it once"],
        &mut |cx| {
            let _ = Pin::new(&mut task).poll(cx);
        },
    );
    panic::set_hook(before);
    assert!(failed.is_empty(), "{}", failed.join("\n"));
}
