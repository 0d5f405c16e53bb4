//! What the dump says of each task.

mod common;

use std::future::{pending, poll_fn};
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::task::{Poll, Waker};
use std::thread;
use std::time::Duration;

use runtime::dump::{Dump, TaskInfo, TaskState};
use runtime::task::{self, Id, WaitReason, waiting};
use runtime::{Handle, Runtime};

use common::{runtime, wait_until, watchdog};

fn find(dump: &Dump, id: Id) -> Option<&TaskInfo> {
    dump.tasks().iter().find(|task| task.id == id)
}

fn state(handle: &Handle, id: Id) -> Option<TaskState> {
    find(&handle.dump(), id).map(|task| task.state)
}

/// Waits until a task is parked, and returns what the dump says of it.
fn parked(rt: &Runtime, id: Id) -> TaskInfo {
    let waits = || matches!(state(rt.handle(), id), Some(TaskState::Waiting(_)));
    wait_until("the task is parked", waits);
    find(&rt.handle().dump(), id).unwrap().clone()
}

#[test]
fn a_parked_task_is_shown_with_why_and_where_it_waits_and_who_made_it() {
    let _watchdog = watchdog("");
    let rt = runtime(2);
    let line = line!() + 1;
    let parent = rt.spawn(async {
        let child = runtime::spawn(runtime::time::sleep(Duration::from_secs(600)));
        child.await
    });
    let parent = parked(&rt, parent.id());
    assert_eq!(parent.state, TaskState::Waiting(WaitReason::Join));
    assert_eq!((parent.parent, parent.spawned_at.line()), (None, line));
    assert_eq!(parent.waits_at.unwrap().line(), line + 2);
    let dump = rt.handle().dump();
    let child = dump.tasks().iter().find(|task| task.parent.is_some());
    let child = child.unwrap();
    assert_eq!(child.parent, Some(parent.id));
    assert_eq!(child.spawned_at.line(), line + 1);
    let child = parked(&rt, child.id);
    assert_eq!(child.state, TaskState::Waiting(WaitReason::Sleep));
    assert!(child.waits_for.unwrap() < Duration::from_secs(60));
    let file = file!();
    let text = format!(
        "task {} [sleep]:\n\t{file}:{}:36\ncreated by task {}\n\t{file}:{}:21\n",
        child.id,
        line + 1,
        parent.id,
        line + 1
    );
    assert_eq!(child.to_string(), text);
}

#[test]
fn what_a_task_waited_for_before_is_forgotten() {
    let _watchdog = watchdog("");
    let rt = runtime(2);
    let silent = Arc::new(AtomicBool::new(false));
    let slot: Arc<Mutex<Option<Waker>>> = Arc::default();
    let (theirs, quiet) = (slot.clone(), silent.clone());
    let task = rt.spawn(poll_fn(move |cx| {
        *theirs.lock().unwrap() = Some(cx.waker().clone());
        if !quiet.load(SeqCst) {
            waiting(WaitReason::Select, std::panic::Location::caller());
        }
        Poll::<()>::Pending
    }));
    let before = parked(&rt, task.id());
    assert_eq!(before.state, TaskState::Waiting(WaitReason::Select));
    silent.store(true, SeqCst);
    let waker = slot.lock().unwrap().take();
    waker.unwrap().wake();
    let unknown = Some(TaskState::Waiting(WaitReason::Unknown));
    wait_until("it is parked anew", || {
        state(rt.handle(), task.id()) == unknown
    });
    assert_eq!(parked(&rt, task.id()).waits_at, None);
}

#[test]
fn it_works_while_every_worker_is_stuck_and_says_who_runs_and_who_is_queued() {
    let _watchdog = watchdog("");
    let rt = runtime::Builder::new()
        .max_procs(1)
        .max_threads(1)
        .report_stuck(None)
        .build()
        .unwrap();
    let (stop, stuck) = (
        Arc::new(AtomicBool::new(false)),
        Arc::new(AtomicBool::new(false)),
    );
    let (theirs, flag) = (stop.clone(), stuck.clone());
    let spinner = rt.spawn(async move {
        flag.store(true, SeqCst);
        while !theirs.load(SeqCst) {
            thread::yield_now();
        }
    });
    wait_until("it spins", || stuck.load(SeqCst));
    let queued = rt.spawn(async {});
    assert_eq!(state(rt.handle(), spinner.id()), Some(TaskState::Running));
    assert_eq!(state(rt.handle(), queued.id()), Some(TaskState::Runnable));
    stop.store(true, SeqCst);
    rt.block_on(queued).unwrap();
    assert_eq!(state(rt.handle(), spinner.id()), None);
}

#[test]
fn a_block_on_is_shown_with_its_place_and_what_it_waits_for() {
    let _watchdog = watchdog("");
    let rt = runtime(1);
    let handle = rt.handle().clone();
    let stop = Arc::new(AtomicBool::new(false));
    let stops = stop.clone();
    let sleeps = async move {
        while !stops.load(SeqCst) {
            runtime::time::sleep(Duration::from_millis(50)).await;
        }
    };
    let outside = thread::Builder::new()
        .name("outside".into())
        .spawn(move || handle.block_on(sleeps))
        .unwrap();
    let asleep = |dump: &Dump| {
        let mut all = dump.block_ons().iter();
        all.any(|block_on| block_on.waiting == Some(WaitReason::Sleep))
    };
    // What is looked at is the dump that shows it asleep: in the next one it may be awake.
    let seen = Mutex::new(rt.handle().dump());
    wait_until("it sleeps", || {
        let mut dump = seen.lock().unwrap();
        *dump = rt.handle().dump();
        asleep(&dump)
    });
    stop.store(true, SeqCst);
    outside.join().unwrap();
    let text = seen.into_inner().unwrap().to_string();
    let file = file!();
    assert!(
        text.starts_with(&format!(
            "block_on in thread \"outside\" [sleep]:\n\t{file}:"
        )),
        "{text}"
    );
    assert!(text.contains(&format!("called at\n\t{file}:")), "{text}");
}

#[test]
fn a_name_lives_as_long_as_its_task() {
    let _watchdog = watchdog("");
    let rt = runtime(2);
    let named = || task::Builder::new().name("worker bee");
    let task = named().spawn_on(
        async {
            runtime::yield_now().await;
            task::name()
        },
        rt.handle(),
    );
    assert_eq!(rt.block_on(task).unwrap().as_deref(), Some("worker bee"));
    let task = named().spawn_on(pending::<()>(), rt.handle());
    let info = parked(&rt, task.id());
    assert_eq!(info.name.as_deref(), Some("worker bee"));
    assert!(info.to_string().contains("\"worker bee\" [waiting]"));
    task.abort();
    assert!(rt.block_on(task).unwrap_err().is_cancelled());
    let unnamed = rt.spawn(async { task::name() });
    assert_eq!(rt.block_on(unnamed).unwrap(), None);
}

#[test]
fn the_error_of_a_named_task_that_panicked_has_its_name() {
    let _watchdog = watchdog("");
    let rt = runtime(1);
    let named = task::Builder::new().name("bomb");
    let task = named.spawn_on(
        async { assert_eq!(task::name(), None, "boom") },
        rt.handle(),
    );
    let id = task.id();
    let error = rt.block_on(task).unwrap_err().to_string();
    let start = format!("task {id} \"bomb\" panicked: ");
    assert!(error.starts_with(&start), "{error}");
}

#[test]
fn a_dump_of_tasks_that_come_and_go_shows_each_once() {
    let _watchdog = watchdog("");
    let rt = runtime(3);
    let stop = Arc::new(AtomicBool::new(false));
    for _ in 0..3 {
        let stop = stop.clone();
        rt.spawn(async move {
            while !stop.load(SeqCst) {
                let sleep = runtime::time::sleep(Duration::from_micros(50));
                let _ = runtime::spawn(sleep).await;
            }
        });
    }
    for _ in 0..500 {
        let dump = rt.handle().dump();
        let ids: Vec<_> = dump.tasks().iter().map(|task| task.id).collect();
        assert!(ids.is_sorted() && ids.windows(2).all(|two| two[0] != two[1]));
        assert!(ids.len() >= 3, "{dump}");
        assert_eq!(dump.to_string().matches("created ").count(), ids.len());
    }
    stop.store(true, SeqCst);
}
