//! The `blocking_` methods of all primitives: a thread waits for tasks, and inside a task they say
//! what to do instead.
#![cfg(not(loom))]

mod support;

use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, mpsc};
use std::thread;

use support::{WORKERS, message_of, on, on_each, pause, within_a_minute};
use sync::context::{Context, ContextError};
use sync::{
    Barrier, Cond, Mutex, Notify, Once, OnceCell, RwLock, Semaphore, WaitGroup, broadcast, channel,
    errgroup, oneshot, singleflight, watch,
};

/// The message is that of `name`, and offers `cure`.
fn refuses<R>(name: &str, cure: &str, blocking: impl FnOnce() -> R) {
    let message = message_of(blocking);
    assert!(
        message.starts_with(&format!("{name} called inside a task")),
        "{message}"
    );
    assert!(
        message.contains(&format!("use {cure} instead")),
        "{message}"
    );
    assert!(message.contains("spawn_blocking"), "{message}");
}

#[test]
fn inside_a_task_each_says_what_to_do_instead() {
    on(1, async {
        let mutex = Arc::new(Mutex::new(1));
        refuses("Mutex::blocking_lock", "lock().await", || {
            mutex.blocking_lock()
        });
        refuses("Mutex::blocking_lock_owned", "lock_owned().await", || {
            mutex.clone().blocking_lock_owned()
        });
        let lock = Arc::new(RwLock::new(1));
        refuses("RwLock::blocking_read", "read().await", || {
            lock.blocking_read()
        });
        refuses("RwLock::blocking_write", "write().await", || {
            lock.blocking_write()
        });
        refuses("RwLock::blocking_read_owned", "read_owned().await", || {
            lock.clone().blocking_read_owned()
        });
        refuses(
            "RwLock::blocking_write_owned",
            "write_owned().await",
            || lock.clone().blocking_write_owned(),
        );
        let semaphore = Arc::new(Semaphore::new(2));
        refuses("Semaphore::blocking_acquire", "acquire().await", || {
            semaphore.blocking_acquire()
        });
        refuses(
            "Semaphore::blocking_acquire_many",
            "acquire_many(n).await",
            || semaphore.blocking_acquire_many(2),
        );
        refuses(
            "Semaphore::blocking_acquire_many_owned",
            "acquire_many_owned(n).await",
            || semaphore.clone().blocking_acquire_many_owned(2),
        );
        refuses("Cond::blocking_wait", "wait(guard).await", || {
            drop(Cond::new().blocking_wait(Mutex::new(1).try_lock().unwrap()));
        });
        refuses("WaitGroup::blocking_wait", "wait().await", || {
            WaitGroup::new().blocking_wait()
        });
        refuses("Barrier::blocking_wait", "wait().await", || {
            Barrier::new(1).blocking_wait()
        });
        refuses("Notify::blocking_notified", "notified().await", || {
            Notify::new().blocking_notified();
        });
        refuses("Once::blocking_call", "call(..).await", || {
            Once::new().blocking_call(|| ())
        });
        let cell = OnceCell::new();
        refuses(
            "OnceCell::blocking_get_or_init",
            "get_or_init(..).await",
            || *cell.blocking_get_or_init(|| 1),
        );
        refuses(
            "OnceCell::blocking_get_or_try_init",
            "get_or_try_init(..).await",
            || cell.blocking_get_or_try_init(|| Err(())).is_ok(),
        );
        assert!(cell.get().is_none());
        let (tx, rx) = channel(1);
        // Channels have words of their own.
        assert!(message_of(|| tx.blocking_send(1)).contains("inside a task"));
        assert!(message_of(|| rx.blocking_recv()).contains("inside a task"));
        let (_tx, rx) = oneshot::channel::<u32>();
        refuses("oneshot::Receiver::blocking_recv", "rx.await", || {
            rx.blocking_recv()
        });
        let (_tx, mut rx) = watch::channel(1);
        refuses(
            "watch::Receiver::blocking_changed",
            "changed().await",
            || rx.blocking_changed(),
        );
        refuses(
            "watch::Receiver::blocking_wait_for",
            "wait_for(..).await",
            || rx.blocking_wait_for(|_| true),
        );
        let (_tx, mut rx) = broadcast::channel::<u32>(1);
        refuses("broadcast::Receiver::blocking_recv", "recv().await", || {
            rx.blocking_recv()
        });
        refuses("Context::blocking_done", "done().await", || {
            Context::background().blocking_done()
        });
        let mut group = errgroup::Group::<u32>::new();
        refuses("errgroup::Group::blocking_wait", "wait().await", || {
            group.blocking_wait()
        });
        refuses(
            "errgroup::Group::blocking_wait_all",
            "wait_all().await",
            || group.blocking_wait_all(),
        );
        let flight = singleflight::Group::new();
        refuses("singleflight::Group::blocking_run", "run(..).await", || {
            flight.blocking_run(1, || async { 1 })
        });
    });
}

/// Blocked there, the thread would be asleep where no deadlock is found.
#[test]
fn in_the_body_of_block_on_each_says_what_to_do_instead() {
    let runtime = runtime::Builder::new().max_procs(1).build().unwrap();
    let (tx, rx) = channel(1);
    let said = runtime.block_on(async { message_of(|| rx.blocking_recv()) });
    assert!(
        said.starts_with("blocking_recv called inside block_on"),
        "{said}"
    );
    assert!(said.contains("use recv().await instead"), "{said}");
    assert!(said.contains("block_in_place"), "{said}");
    let said = runtime.block_on(async { message_of(|| tx.blocking_send(1)) });
    assert!(said.contains("use send(…).await instead"), "{said}");
    let mutex = Mutex::new(1);
    let said = runtime.block_on(async { message_of(|| drop(mutex.blocking_lock())) });
    assert!(
        said.starts_with("Mutex::blocking_lock called inside block_on"),
        "{said}"
    );

    // A body inside another one, and after it.
    runtime.block_on(async {
        runtime::block_on(async { message_of(|| rx.blocking_recv()) });
        message_of(|| rx.blocking_recv());
    });
    // Outside, before it is polled and after it has ended, a thread may block; and where it says
    // that it will.
    assert!(tx.blocking_send(1).is_ok());
    runtime.block_on(async {
        assert_eq!(runtime::block_in_place(|| rx.blocking_recv()), Some(1));
        message_of(|| rx.blocking_recv());
        let sender = tx.clone();
        let blocking = runtime::spawn_blocking(move || sender.blocking_send(2).is_ok());
        assert!(blocking.await.unwrap());
    });
    assert_eq!(rx.blocking_recv(), Some(2));
}

#[test]
fn threads_wait_for_tasks_at_locks_and_conditions() {
    on_each(WORKERS, || async {
        let shared = Arc::new((
            Mutex::new(0),
            Cond::new(),
            RwLock::new(0),
            Semaphore::new(1),
        ));
        let (guard, writer) = (shared.0.lock().await, shared.2.write().await);
        let permit = shared.3.acquire().await;
        let theirs = shared.clone();
        let thread = thread::spawn(move || {
            let (mutex, changed, lock, semaphore) = &*theirs;
            drop(semaphore.blocking_acquire());
            let mut guard = mutex.blocking_lock();
            while *guard < 3 {
                guard = changed.blocking_wait(guard);
            }
            let read = *lock.blocking_read();
            read + *lock.blocking_write()
        });
        pause(5).await;
        drop((permit, guard, writer));
        for _ in 0..3 {
            *shared.0.lock().await += 1;
            shared.1.signal();
            *shared.2.write().await += 1;
            pause(2).await;
        }
        let sum = runtime::spawn_blocking(move || thread.join().unwrap())
            .await
            .unwrap();
        assert!(sum <= 6, "{sum}");
    });
}

#[test]
fn threads_wait_for_values_and_ends() {
    on_each(WORKERS, || async {
        let (once_tx, once_rx) = oneshot::channel();
        let (watch_tx, mut watch_rx) = watch::channel(0);
        let (cast_tx, mut cast_rx) = broadcast::channel(4);
        let (ctx, cancel) = Context::background().with_cancel();
        let notify = Arc::new(Notify::new());
        let notified = notify.clone();
        let thread = runtime::spawn_blocking(move || {
            assert_eq!(once_rx.blocking_recv(), Some(1));
            assert!(watch_rx.blocking_changed());
            assert!(watch_rx.blocking_wait_for(|&n| n == 3));
            assert!(!watch_rx.blocking_changed());
            assert_eq!(cast_rx.blocking_recv(), Ok(4));
            assert_eq!(ctx.blocking_done(), ContextError::Canceled);
            notified.blocking_notified();
        });
        pause(3).await;
        once_tx.send(1).unwrap();
        for n in 1..=3 {
            pause(2).await;
            watch_tx.replace(n);
        }
        drop(watch_tx);
        cast_tx.send(4).unwrap();
        pause(3).await;
        cancel.cancel();
        pause(3).await;
        notify.notify_one();
        thread.await.unwrap();
    });
}

#[test]
fn threads_and_tasks_do_it_once_together() {
    on_each(WORKERS, || async {
        let shared = Arc::new((Once::new(), OnceCell::new(), singleflight::Group::new()));
        let threads: Vec<_> = (0..4)
            .map(|n| {
                let shared = shared.clone();
                runtime::spawn_blocking(move || {
                    shared.0.blocking_call(thread::yield_now);
                    assert!(shared.0.is_done());
                    let answer = shared.2.blocking_run("key", || async { 42 });
                    (*shared.1.blocking_get_or_init(|| n), answer)
                })
            })
            .collect();
        let mine = *shared.1.get_or_init(|| async { 100 }).await;
        for thread in threads {
            assert_eq!(thread.await.unwrap(), (mine, 42));
        }
    });
}

#[test]
fn a_thread_waits_for_all_errors_of_a_group() {
    on_each(WORKERS, || async {
        let mut group = errgroup::Group::new();
        group.collect_errors();
        for n in 0..3 {
            group.spawn(async move { Err(n) }).await;
        }
        let errors = runtime::spawn_blocking(move || group.blocking_wait_all())
            .await
            .unwrap();
        let mut errors = errors.unwrap_err();
        errors.sort_unstable();
        assert_eq!(errors, [0, 1, 2]);
    });
}

/// Waits where it is dropped, which is at the end of its thread, and says what came of it.
struct WaitsAtTheEnd {
    rx: sync::Receiver<u32>,
    outcome: mpsc::Sender<thread::Result<Option<u32>>>,
}

impl Drop for WaitsAtTheEnd {
    fn drop(&mut self) {
        // Caught, since a panic here would end the process.
        let received = catch_unwind(AssertUnwindSafe(|| self.rx.blocking_recv()));
        self.outcome.send(received).unwrap();
    }
}

/// The destructors of a thread's locals run in an order that nobody promises: what the waiting
/// keeps in one may be gone when another waits.
#[test]
fn a_thread_that_ends_can_still_wait() {
    thread_local! {
        static BEFORE: RefCell<Option<WaitsAtTheEnd>> = const { RefCell::new(None) };
        static AFTER: RefCell<Option<WaitsAtTheEnd>> = const { RefCell::new(None) };
    }
    within_a_minute(|| {
        let (outcome, outcomes) = mpsc::channel();
        let (tx, rx) = channel(0);
        let waits = move || {
            Some(WaitsAtTheEnd {
                rx: rx.clone(),
                outcome: outcome.clone(),
            })
        };
        let (ready, start) = channel::<()>(0);
        let thread = thread::spawn(move || {
            // One is registered before what the waiting keeps, and one after it.
            BEFORE.set(waits());
            start.blocking_recv();
            AFTER.set(waits());
        });
        ready.blocking_send(()).unwrap();
        for n in 0..2 {
            tx.blocking_send(n).unwrap();
        }
        thread.join().unwrap();
        let outcomes: Vec<_> = outcomes.iter().map(Result::unwrap).collect();
        assert_eq!(outcomes, [Some(0), Some(1)]);
    });
}
