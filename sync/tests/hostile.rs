//! What nobody should do, and somebody will: messages that use their own channel when they are
//! dropped, wakers that panic, sizes at the ends of their types, executors that know nothing of the
//! runtime, runtimes that are gone.
#![cfg(not(loom))]

mod support;

use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context as TaskContext, Poll, Wake, Waker};
use std::thread::{self, Thread};
use std::time::Duration;

use support::{WORKERS, message_of, on, on_each, pause, poll_once, within_a_minute};
use sync::context::Context;
use sync::{
    Barrier, Cond, Mutex, Notify, OnceCell, RwLock, Semaphore, Sender, WaitGroup, broadcast,
    channel, errgroup, oneshot, select, singleflight, watch,
};

/// An executor of one thread that knows nothing of the runtime.
fn foreign_block_on<F: Future>(future: F) -> F::Output {
    struct Unparker(Thread);
    impl Wake for Unparker {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    let waker = Waker::from(Arc::new(Unparker(thread::current())));
    let mut future = pin!(future);
    loop {
        if let Poll::Ready(output) = future.as_mut().poll(&mut TaskContext::from_waker(&waker)) {
            return output;
        }
        thread::park();
    }
}

/// A waker that panics when it is called.
struct Panics(AtomicUsize);

impl Wake for Panics {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
        panic!("a waker that panics");
    }
}

/// A waker that counts.
#[derive(Default)]
struct Counts(AtomicUsize);

impl Wake for Counts {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

/// A waker that does something when it is called.
struct Does<F>(F);

impl<F: Fn() + Send + Sync> Wake for Does<F> {
    fn wake(self: Arc<Self>) {
        (self.0)();
    }
}

/// Polls the futures, the first with a waker that panics; then does `wake`, which may panic, and
/// says how many of the others were called.
fn woken_beside_a_panic<F: Future>(
    mut waiting: Vec<Pin<Box<F>>>,
    wake: impl FnOnce(),
) -> (usize, usize) {
    let counts = Arc::new(Counts::default());
    let panics = Arc::new(Panics(AtomicUsize::new(0)));
    let (loud, quiet) = (Waker::from(panics.clone()), Waker::from(counts.clone()));
    for (i, future) in waiting.iter_mut().enumerate() {
        let waker = if i == 0 { &loud } else { &quiet };
        assert!(
            future
                .as_mut()
                .poll(&mut TaskContext::from_waker(waker))
                .is_pending()
        );
    }
    let message = message_of(wake);
    assert_eq!(message, "a waker that panics");
    assert_eq!(panics.0.load(Ordering::SeqCst), 1);
    (counts.0.load(Ordering::SeqCst), waiting.len() - 1)
}

/// More than two batches of wakers.
const CROWD: usize = 80;

fn crowd<F: Future>(make: impl Fn() -> F) -> Vec<Pin<Box<F>>> {
    (0..CROWD).map(|_| Box::pin(make())).collect()
}

#[test]
fn a_waker_that_panics_keeps_no_other_from_being_called() {
    let all = (CROWD - 1, CROWD - 1);

    let (tx, rx) = channel::<u32>(0);
    assert_eq!(woken_beside_a_panic(crowd(|| rx.recv()), || drop(tx)), all);
    let (tx, rx) = channel::<u32>(0);
    assert_eq!(woken_beside_a_panic(crowd(|| tx.send(1)), || drop(rx)), all);
    let (tx, rx) = channel::<u32>(0);
    let close = || assert!(tx.close());
    assert_eq!(woken_beside_a_panic(crowd(|| rx.recv()), close), all);

    let notify = Notify::new();
    let call = || notify.notify_waiters();
    assert_eq!(woken_beside_a_panic(crowd(|| notify.notified()), call), all);
    let group = WaitGroup::new();
    let guard = group.guard();
    assert_eq!(
        woken_beside_a_panic(crowd(|| group.wait()), || drop(guard)),
        all
    );
    let group = WaitGroup::new();
    group.add(1);
    assert_eq!(
        woken_beside_a_panic(crowd(|| group.wait()), || group.done()),
        all
    );
    let barrier = Barrier::new(CROWD + 1);
    let come = || assert!(barrier.blocking_wait().is_leader());
    assert_eq!(woken_beside_a_panic(crowd(|| barrier.wait()), come), all);
    let lock = RwLock::new(1);
    let writer = lock.try_write();
    assert_eq!(
        woken_beside_a_panic(crowd(|| lock.read()), || drop(writer)),
        all
    );
    let semaphore = Semaphore::new(CROWD);
    let held = semaphore.try_acquire_many(CROWD);
    assert_eq!(
        woken_beside_a_panic(crowd(|| semaphore.acquire()), || drop(held)),
        all
    );
    let semaphore = Semaphore::new(1);
    let _held = semaphore.try_acquire();
    let close = || assert!(semaphore.close());
    assert_eq!(
        woken_beside_a_panic(crowd(|| semaphore.checked_acquire(1)), close),
        all
    );
    let (ctx, cancel) = Context::background().with_cancel();
    assert_eq!(
        woken_beside_a_panic(crowd(|| ctx.done()), || cancel.cancel()),
        all
    );

    let (tx, rx) = watch::channel(1);
    let mut receivers: Vec<_> = (0..CROWD).map(|_| rx.clone()).collect();
    let waiting = receivers
        .iter_mut()
        .map(|rx| Box::pin(rx.changed()))
        .collect();
    assert_eq!(woken_beside_a_panic(waiting, || tx.send(2).unwrap()), all);
    let (tx, _rx) = broadcast::channel::<u32>(1);
    let mut receivers: Vec<_> = (0..CROWD).map(|_| tx.subscribe()).collect();
    let waiting = receivers.iter_mut().map(|rx| Box::pin(rx.recv())).collect();
    assert_eq!(
        woken_beside_a_panic(waiting, || assert!(tx.send(2).is_ok())),
        all
    );

    // Here each waits with a lock of its own.
    let (mutexes, cond) = (
        (0..CROWD).map(|_| Mutex::new(1)).collect::<Vec<_>>(),
        Cond::new(),
    );
    let waiting = (mutexes.iter())
        .map(|mutex| Box::pin(cond.wait(mutex.try_lock().unwrap())))
        .collect();
    assert_eq!(woken_beside_a_panic(waiting, || cond.broadcast()), all);
}

#[test]
fn a_stream_goes_on_after_a_sender_s_waker_has_panicked() {
    use futures_util::StreamExt;

    for capacity in [0, 1] {
        let (tx, mut rx) = channel(capacity);
        let loud = Waker::from(Arc::new(Panics(AtomicUsize::new(0))));
        let mut sends: Vec<_> = (0..2).map(|n| Box::pin(tx.send(n))).collect();
        for send in &mut sends {
            let _ = send.as_mut().poll(&mut TaskContext::from_waker(&loud));
        }
        assert_eq!(
            message_of(|| poll_once(pin!(rx.next()))),
            "a waker that panics"
        );
        drop(sends);
        while rx.try_recv().is_ok() {}
        assert!(poll_once(pin!(rx.next())).is_pending());
        tx.try_send(7).unwrap();
        assert_eq!(poll_once(pin!(rx.next())), Poll::Ready(Some(7)));
    }
}

/// A message that does to its channel what it can, when it is dropped.
struct Meddler {
    tx: Sender<Meddler>,
    dropped: Arc<AtomicUsize>,
}

impl Drop for Meddler {
    fn drop(&mut self) {
        let _ = (self.tx.len(), self.tx.is_full(), format!("{:?}", self.tx));
        self.tx.close();
        let again = self.dropped.fetch_add(1, Ordering::SeqCst) < 10;
        if again {
            // It comes back, and is dropped here.
            let _ = self.tx.try_send(Meddler {
                tx: self.tx.clone(),
                dropped: self.dropped.clone(),
            });
        }
    }
}

#[test]
fn messages_may_use_their_own_channel_when_they_are_dropped() {
    within_a_minute(|| {
        for capacity in [0, 1, 3] {
            let dropped = Arc::new(AtomicUsize::new(0));
            let (tx, rx) = channel(capacity);
            let meddler = || Meddler {
                tx: tx.clone(),
                dropped: dropped.clone(),
            };
            let mut sends: Vec<_> = (0..5).map(|_| Box::pin(tx.send(meddler()))).collect();
            for send in &mut sends {
                let _ = poll_once(send.as_mut());
            }
            let _ = poll_once(pin!(rx.recv()));
            drop(sends);
            let _ = poll_once(pin!(rx.recv()));
            drop(rx.clone());
        }
        // What is in the buffer goes with the last receiver, though each message keeps a sender.
        let dropped = Arc::new(AtomicUsize::new(100));
        let (tx, rx) = channel(3);
        for _ in 0..3 {
            let (tx, dropped) = (tx.clone(), dropped.clone());
            assert!(tx.clone().try_send(Meddler { tx, dropped }).is_ok());
        }
        drop((rx, tx));
        assert_eq!(dropped.load(Ordering::SeqCst), 103);
    });
}

#[test]
fn messages_may_use_a_watch_or_a_broadcast_when_they_are_dropped() {
    within_a_minute(|| {
        #[derive(Clone)]
        struct Echo(
            Option<Arc<watch::Sender<Echo>>>,
            Option<broadcast::Sender<Echo>>,
        );
        impl Drop for Echo {
            fn drop(&mut self) {
                if let Some(tx) = self.0.take() {
                    let _ = (tx.receivers(), tx.borrow().0.is_some());
                    let _ = tx.send(Echo(None, None));
                }
                if let Some(tx) = self.1.take() {
                    let _ = (tx.receivers(), tx.len());
                    let _ = tx.send(Echo(None, None));
                }
            }
        }
        let (tx, mut rx) = watch::channel(Echo(None, None));
        let tx = Arc::new(tx);
        for _ in 0..3 {
            tx.send(Echo(Some(tx.clone()), None)).ok().unwrap();
        }
        drop(tx.replace(Echo(None, None)));
        assert!(rx.blocking_changed());

        let (tx, mut rx) = broadcast::channel(2);
        let other = tx.subscribe();
        for _ in 0..5 {
            let _ = tx.send(Echo(None, Some(tx.clone())));
        }
        let _ = poll_once(pin!(rx.recv()));
        drop(other);
        drop(rx);
        drop(tx);
    });
}

#[test]
fn sizes_at_the_ends_of_their_types() {
    on_each(WORKERS, || async {
        let (tx, rx) = channel::<()>(usize::MAX);
        for _ in 0..100_000 {
            tx.try_send(()).unwrap();
        }
        assert_eq!(rx.len(), 100_000);
        let (tx, rx) = channel::<u64>(usize::MAX);
        tx.try_send(7).unwrap();
        assert_eq!(
            (rx.recv().await, tx.capacity() >= u32::MAX as usize),
            (Some(7), true)
        );

        // Sixteen kilobytes at once, from future to future.
        let (tx, rx) = channel(0);
        let sender = runtime::spawn(async move { tx.send([7_u8; 1 << 14]).await.is_ok() });
        assert_eq!(rx.recv().await.map(|big| big[99]), Some(7));
        assert!(sender.await.unwrap());

        let semaphore = Semaphore::new(usize::MAX >> 3);
        let all = semaphore.acquire_many(usize::MAX >> 3).await;
        assert!(semaphore.try_acquire().is_none());
        assert!(semaphore.try_acquire_many(usize::MAX).is_none());
        assert_eq!(semaphore.acquire_many(0).await.count(), 0);
        drop(all);
        let nothing = Semaphore::new(0);
        assert_eq!(nothing.acquire_many(0).await.count(), 0);
        assert!(message_of(|| nothing.acquire()).contains("would never come"));
        assert!(message_of(|| Semaphore::new(usize::MAX)).contains("more permits"));
        nothing.release(0);

        let group = WaitGroup::new();
        group.add(0);
        group.wait().await;
        let barrier = Barrier::new(0);
        assert!(barrier.wait().await.is_leader());
        assert!(poll_once(pin!(Barrier::new(usize::MAX).wait())).is_pending());

        let (ctx, _cancel) = Context::background().with_timeout(Duration::MAX);
        assert!(poll_once(pin!(ctx.done())).is_pending());
        let (ctx, _cancel) = Context::background().with_timeout(Duration::ZERO);
        ctx.done().await;
        let group = errgroup::Group::<()>::new();
        group.set_limit(usize::MAX);
        assert!(group.spawn(async { Ok(()) }).await);
        let group = errgroup::Group::<()>::new();
        group.set_limit(0);
        assert!(!group.try_spawn(async { Ok(()) }));
    });
    assert!(message_of(|| broadcast::channel::<u32>(0)).contains("capacity"));
}

#[test]
fn everything_works_on_an_executor_that_knows_nothing_of_the_runtime() {
    within_a_minute(|| {
        // Both sides on threads of their own, and no runtime anywhere.
        let (tx, rx) = channel(1);
        let (one, mutex) = (tx.clone(), Arc::new(Mutex::new(0)));
        let theirs = mutex.clone();
        let other = thread::spawn(move || {
            foreign_block_on(async {
                for i in 0..1000 {
                    one.send(i).await.unwrap();
                    *theirs.lock().await += 1;
                }
            });
        });
        drop(tx);
        foreign_block_on(async {
            let mut sum = 0;
            let never = sync::never::<u32>();
            loop {
                select! {
                    next = rx.recv() => match next {
                        Some(i) => sum += i,
                        None => break,
                    },
                    _ = never.recv() => unreachable!(),
                }
                *mutex.lock().await += 1;
            }
            assert_eq!((sum, *mutex.lock().await), (499_500, 2000));
        });
        other.join().unwrap();

        let (lock, barrier) = (Arc::new(RwLock::new(0)), Arc::new(Barrier::new(4)));
        let (semaphore, group) = (Arc::new(Semaphore::new(2)), WaitGroup::new());
        let threads: Vec<_> = (0..4)
            .map(|_| {
                let (lock, barrier, semaphore) = (lock.clone(), barrier.clone(), semaphore.clone());
                let guard = group.guard();
                thread::spawn(move || {
                    foreign_block_on(async {
                        barrier.wait().await;
                        for _ in 0..500 {
                            let _permit = semaphore.acquire().await;
                            *lock.write().await += 1;
                            let _ = *lock.read().await;
                            let seen = lock.upgradable_read().await;
                            *sync::RwLockUpgradableReadGuard::upgrade(seen).await += 1;
                        }
                    });
                    drop(guard);
                })
            })
            .collect();
        foreign_block_on(group.wait());
        threads
            .into_iter()
            .for_each(|thread| thread.join().unwrap());
        assert_eq!(*foreign_block_on(lock.read()), 4000);

        let cell = OnceCell::new();
        assert_eq!(foreign_block_on(cell.get_or_init(|| async { 7 })), &7);
        let (ctx, cancel) = Context::background().with_cancel();
        let canceller = thread::spawn(move || cancel.cancel());
        foreign_block_on(ctx.done());
        canceller.join().unwrap();
        let (tx, rx) = oneshot::channel();
        let sender = thread::spawn(move || tx.send(1).unwrap());
        assert_eq!(foreign_block_on(rx), Some(1));
        sender.join().unwrap();
    });
}

#[test]
fn what_needs_a_runtime_says_so() {
    let group = WaitGroup::new();
    assert!(message_of(|| group.spawn(async {})).contains("runtime"));
    foreign_block_on(group.wait()); // what could not be spawned counts no more
    let group = errgroup::Group::<()>::new();
    assert!(message_of(|| group.try_spawn(async { Ok(()) })).contains("runtime"));
    let group = errgroup::Group::<()>::new();
    assert!(message_of(|| foreign_block_on(group.spawn(async { Ok(()) }))).contains("runtime"));
    let flight = singleflight::Group::new();
    let run = || foreign_block_on(flight.run(1, || async { 1 }));
    assert!(message_of(run).contains("runtime"));
    assert!(
        message_of(run).contains("runtime"),
        "nobody waits for the first"
    );
    let (ctx, _cancel) = Context::background().with_cancel();
    assert!(message_of(|| ctx.after_func(|| {})).contains("runtime"));
    assert!(
        message_of(|| ctx.with_timeout(Duration::from_secs(1))).contains("runtime"),
        "it has nobody to call it"
    );
}

#[test]
fn functions_of_a_runtime_that_is_gone_are_no_burden_to_the_canceller() {
    within_a_minute(|| {
        let (ctx, cancel) = Context::background().with_cancel();
        let called = Arc::new(AtomicUsize::new(0));
        let theirs = ctx.clone();
        let called_there = called.clone();
        let first = runtime::Builder::new().max_procs(1).build().unwrap();
        first.block_on(async move {
            theirs.after_func(move || {
                called_there.fetch_add(1, Ordering::SeqCst);
            });
        });
        drop(first);
        let counts = Arc::new(Counts::default());
        let waker = Waker::from(counts.clone());
        let mut done = pin!(ctx.done());
        assert!(
            done.as_mut()
                .poll(&mut TaskContext::from_waker(&waker))
                .is_pending()
        );
        cancel.cancel();
        assert_eq!(counts.0.load(Ordering::SeqCst), 1);
        assert_eq!(called.load(Ordering::SeqCst), 0);
    });
}

#[test]
fn a_function_of_a_context_that_panics_ends_its_task_alone() {
    on_each(WORKERS, || async {
        let (ctx, cancel) = Context::background().with_cancel();
        let called = Arc::new(AtomicUsize::new(0));
        for i in 0..3 {
            let called = called.clone();
            ctx.after_func(move || {
                called.fetch_add(1, Ordering::SeqCst);
                assert!(i != 1, "the second panics");
            });
        }
        cancel.cancel();
        while called.load(Ordering::SeqCst) < 3 {
            runtime::yield_now().await;
        }
    });
}

/// A waiter of one runtime is woken by another, and moves there.
#[test]
fn primitives_are_shared_between_runtimes_and_futures_move() {
    within_a_minute(|| {
        let one = runtime::Builder::new().max_procs(1).build().unwrap();
        let two = runtime::Builder::new().max_procs(2).build().unwrap();
        let (mutex, group) = (Arc::new(Mutex::new(0)), WaitGroup::new());
        let (tx, rx) = channel(0);
        for runtime in [&one, &two] {
            for _ in 0..4 {
                let (mutex, tx, guard) = (mutex.clone(), tx.clone(), group.guard());
                runtime.spawn(async move {
                    let _guard = guard;
                    for _ in 0..200 {
                        let mut count = mutex.lock().await;
                        runtime::yield_now().await;
                        *count += 1;
                        drop(count);
                        tx.send(1).await.unwrap();
                    }
                });
            }
        }
        drop(tx);
        let sum = two.block_on(async move {
            let mut sum = 0;
            while let Some(n) = rx.recv().await {
                sum += n;
            }
            sum
        });
        assert_eq!(sum, 1600);
        group.blocking_wait();

        // Waits on the first, is finished on the second.
        let held = mutex.try_lock().unwrap();
        let theirs = mutex.clone();
        let mut waits = Box::pin(async move { *theirs.lock().await });
        let mut waits = one.block_on(async move {
            let polled = std::future::poll_fn(|cx| Poll::Ready(waits.as_mut().poll(cx))).await;
            assert!(polled.is_pending());
            Some(waits)
        });
        drop(one);
        drop(held);
        let waits = waits.take().expect("it waits");
        assert_eq!(two.block_on(waits), 1600);
    });
}

/// Dropped at each of its polls, nothing keeps what it waits for.
#[test]
fn a_runtime_that_ends_takes_its_waiters_out_of_what_others_hold() {
    within_a_minute(|| {
        let mutex = Arc::new(Mutex::new(1));
        let (semaphore, notify) = (Arc::new(Semaphore::new(1)), Arc::new(Notify::new()));
        let lock = Arc::new(RwLock::new(1));
        let (tx, rx) = channel::<u32>(0);
        let held = (mutex.try_lock(), semaphore.try_acquire(), lock.try_write());
        let runtime = runtime::Builder::new().max_procs(2).build().unwrap();
        for kind in 0..50 {
            let (mutex, semaphore, notify) = (mutex.clone(), semaphore.clone(), notify.clone());
            let (lock, rx) = (lock.clone(), rx.clone());
            runtime.spawn(async move {
                match kind % 6 {
                    0 => drop(mutex.lock().await),
                    1 => drop(semaphore.acquire().await),
                    2 => notify.notified().await,
                    3 => drop(lock.read().await),
                    4 => drop(lock.write().await),
                    _ => drop(rx.recv().await),
                }
            });
        }
        runtime.block_on(async { runtime::spawn(pause(10)).await.unwrap() });
        drop(runtime);
        drop(held);
        assert!(mutex.try_lock().is_some());
        assert!(semaphore.try_acquire().is_some());
        assert!(lock.try_write().is_some());
        notify.notify_one();
        assert!(
            poll_once(pin!(notify.notified())).is_ready(),
            "nobody took it"
        );
        let mut send = pin!(tx.send(1));
        assert!(poll_once(send.as_mut()).is_pending(), "nobody receives");
    });
}

/// A value whose `Debug` panics, under a lock that is looked at.
struct Shy;

impl std::fmt::Debug for Shy {
    fn fmt(&self, _: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        panic!("do not look");
    }
}

#[test]
fn a_debug_that_panics_leaves_no_lock_behind() {
    let (mutex, lock) = (Mutex::new(Shy), RwLock::new(Shy));
    assert_eq!(message_of(|| format!("{mutex:?}")), "do not look");
    assert_eq!(message_of(|| format!("{lock:?}")), "do not look");
    assert!(mutex.try_lock().is_some());
    assert!(lock.try_write().is_some());
    let cell: OnceCell<Shy> = OnceCell::new();
    on(1, async move {
        cell.get_or_init(|| async { Shy }).await;
        assert_eq!(message_of(|| format!("{cell:?}")), "do not look");
        cell.get_or_init(|| async { Shy }).await;
    });
}

/// Each future of an operation, dropped after each number of polls, changes nothing for those who
/// come after it.
#[test]
fn each_operation_can_be_dropped_before_and_after_its_first_poll() {
    fn twice<F: Future>(make: impl Fn() -> F) {
        drop(make());
        let mut future = Box::pin(make());
        assert!(poll_once(future.as_mut()).is_pending());
        let _ = poll_once(future.as_mut());
        drop(future);
    }
    let mutex = Mutex::new(1);
    let guard = mutex.try_lock();
    twice(|| mutex.lock());
    drop(guard);
    assert!(mutex.try_lock().is_some());
    let lock = RwLock::new(1);
    let guard = lock.try_write();
    twice(|| lock.read());
    twice(|| lock.write());
    twice(|| lock.upgradable_read());
    drop(guard);
    assert!(lock.try_write().is_some());
    let semaphore = Semaphore::new(1);
    let permit = semaphore.try_acquire();
    twice(|| semaphore.acquire());
    twice(|| semaphore.checked_acquire(1));
    drop(permit);
    assert!(semaphore.try_acquire().is_some());
    let notify = Notify::new();
    twice(|| notify.notified());
    notify.notify_one();
    assert!(poll_once(pin!(notify.notified())).is_ready());
    let group = WaitGroup::new();
    group.add(1);
    twice(|| group.wait());
    group.done();
    assert!(poll_once(pin!(group.wait())).is_ready());
    let barrier = Barrier::new(2);
    twice(|| barrier.wait());
    let mut first = pin!(barrier.wait());
    assert!(poll_once(first.as_mut()).is_pending(), "nobody has come");
    let (tx, rx) = channel(0);
    twice(|| tx.send(1));
    twice(|| rx.recv());
    let mut receive = pin!(rx.recv());
    assert!(poll_once(receive.as_mut()).is_pending());
    tx.try_send(2).unwrap();
    assert!(matches!(poll_once(receive.as_mut()), Poll::Ready(Some(2))));
}

/// Has a crowd wait, of which all are called; the first, when it is woken, waits anew and calls
/// one. Says whether that one was woken.
fn waits_and_is_called_while_the_crowd_is_woken<F>(
    make: impl Fn(usize) -> F + Copy + Send + Sync + 'static,
    call_one: impl Fn() + Send + Sync + 'static,
    call_all: impl FnOnce(),
) -> bool
where
    F: Future + Send + 'static,
{
    let counts = Arc::new(Counts::default());
    let (late, quiet) = (Arc::new(std::sync::Mutex::new(None)), counts.clone());
    let theirs = late.clone();
    let first = Waker::from(Arc::new(Does(move || {
        let mut waiting = Box::pin(make(CROWD));
        let waker = Waker::from(quiet.clone());
        let polled = waiting.as_mut().poll(&mut TaskContext::from_waker(&waker));
        assert!(polled.is_pending());
        *theirs.lock().unwrap() = Some(waiting);
        call_one();
    })));
    let mut crowd: Vec<_> = (0..CROWD).map(|i| Box::pin(make(i))).collect();
    for (i, future) in crowd.iter_mut().enumerate() {
        let waker = if i == 0 { &first } else { Waker::noop() };
        let polled = future.as_mut().poll(&mut TaskContext::from_waker(waker));
        assert!(polled.is_pending());
    }
    call_all();
    assert!(
        crowd
            .iter_mut()
            .all(|waits| poll_once(waits.as_mut()).is_ready())
    );
    let late = late.lock().unwrap().take();
    counts.0.load(Ordering::SeqCst) == 1 && poll_once(late.unwrap().as_mut()).is_ready()
}

/// Those who are called together are woken some at a time. A call for one in between is not for
/// them.
#[test]
fn a_call_for_one_is_not_spent_on_those_who_were_all_called_before() {
    let notify: &Notify = Box::leak(Box::default());
    assert!(waits_and_is_called_while_the_crowd_is_woken(
        |_| notify.notified(),
        || notify.notify_one(),
        || notify.notify_waiters(),
    ));
    // All have been called, and there is no queue: the next call is kept.
    notify.notify_one();
    assert!(poll_once(pin!(notify.notified())).is_ready());
    assert!(poll_once(pin!(notify.notified())).is_pending());

    let mutexes: &[Mutex<usize>] = Box::leak((0..=CROWD).map(Mutex::new).collect());
    let cond: &Cond = Box::leak(Box::default());
    assert!(waits_and_is_called_while_the_crowd_is_woken(
        |i| cond.wait(mutexes[i].try_lock().expect("its own")),
        || cond.signal(),
        || cond.broadcast(),
    ));
}

/// The same when the late one came and went: nobody is called by mistake, and a notification is
/// kept.
#[test]
fn a_call_for_one_beside_a_call_for_all_is_kept_when_nobody_else_waits() {
    let notify: &Notify = Box::leak(Box::default());
    let first = Waker::from(Arc::new(Does(|| notify.notify_one())));
    let mut crowd = crowd(|| notify.notified());
    for (i, future) in crowd.iter_mut().enumerate() {
        let waker = if i == 0 { &first } else { Waker::noop() };
        let polled = future.as_mut().poll(&mut TaskContext::from_waker(waker));
        assert!(polled.is_pending());
    }
    notify.notify_waiters();
    drop(crowd);
    assert!(poll_once(pin!(notify.notified())).is_ready());
    assert!(poll_once(pin!(notify.notified())).is_pending());
}

/// One who finds that another has made the value needs the lock no more under which it is made, and
/// may be kept for long all the same.
#[test]
fn a_finished_wait_for_a_value_holds_up_nobody() {
    let cell = OnceCell::new();
    let (tx, rx) = oneshot::channel::<u32>();
    let mut maker = Box::pin(cell.get_or_init(|| async { rx.await.unwrap() }));
    assert!(poll_once(maker.as_mut()).is_pending());
    let mut waiting = crowd(|| cell.get_or_init(|| async { 9 }));
    let counts: Vec<_> = waiting
        .iter()
        .map(|_| Arc::new(Counts::default()))
        .collect();
    let wakers: Vec<_> = counts.iter().cloned().map(Waker::from).collect();
    for (future, waker) in waiting.iter_mut().zip(&wakers) {
        let polled = future.as_mut().poll(&mut TaskContext::from_waker(waker));
        assert!(polled.is_pending());
    }
    tx.send(7).unwrap();
    assert!(poll_once(maker.as_mut()).is_ready());
    // Each is woken when the one before it has seen the value, and none of them is dropped.
    for (i, future) in waiting.iter_mut().enumerate() {
        assert_eq!(
            counts[i].0.load(Ordering::SeqCst),
            1,
            "the {i}th is not woken"
        );
        let polled = future
            .as_mut()
            .poll(&mut TaskContext::from_waker(&wakers[i]));
        assert_eq!(polled, Poll::Ready(&7));
    }
}

/// It blocks its worker, and nobody should do it; but it comes to an end.
#[test]
fn an_executor_inside_a_task_is_not_refused_for_ever() {
    for workers in [1, 2] {
        on(workers, async {
            foreign_block_on(async {
                let (tx, rx) = channel(1);
                let mutex = Mutex::new(0);
                for i in 0..1000 {
                    tx.send(i).await.unwrap();
                    *mutex.lock().await += rx.recv().await.unwrap();
                }
                assert_eq!(*mutex.lock().await, 499_500);
            });
        });
    }
}
