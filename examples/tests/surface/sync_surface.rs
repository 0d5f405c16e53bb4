//! `sync`: channels, what waits for many, context, locks.

use std::cell::Cell;
use std::io;
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use futures_core::Stream;
use runtime::JoinHandle;
use runtime::time::Instant;
use sync::context::{AfterFunc, CancelCauseFunc, CancelFunc, Cause, Context, ContextError, Key};
use sync::{
    Barrier, Cond, Mutex, Notify, Once, OnceCell, Pool, Receiver, RwLock, Select, Semaphore,
    SendError, Sender, TryRecvError, TrySendError, WaitGroup, WeakSender, broadcast, channel,
    errgroup, never, oneshot, rate, singleflight, watch,
};

use crate::{HANG, clone, debug, default, error, says, send, send_sync, sendable, soon, unpin};

/// `Send`, and not `Sync`: what a channel has to take.
type Parcel = Cell<u8>;

#[test]
fn the_types_go_where_users_take_them() {
    send_sync::<Sender<Parcel>>();
    send_sync::<Receiver<Parcel>>();
    clone::<Sender<Rc<u8>>>();
    send_sync::<WeakSender<Parcel>>();
    clone::<WeakSender<Rc<u8>>>();
    unpin::<WeakSender<Parcel>>();
    debug::<WeakSender<Rc<u8>>>();
    clone::<Receiver<Rc<u8>>>();
    unpin::<(Sender<Parcel>, Receiver<Parcel>)>();
    send::<sync::Send<'_, Parcel>>();
    send::<sync::Recv<'_, Parcel>>();
    send::<sync::SendFrom<'_, Parcel>>();
    send_sync::<broadcast::WeakSender<u8>>();
    clone::<broadcast::WeakSender<Rc<u8>>>();
    unpin::<broadcast::WeakSender<u8>>();
    debug::<broadcast::WeakSender<Rc<u8>>>();
    send_sync::<(rate::Limiter, rate::Limit, rate::Reservation<'_>)>();
    debug::<(rate::Limiter, rate::Limit, rate::Reservation<'_>)>();
    error::<rate::WaitError>();
    send_sync::<WaitGroup>();
    clone::<WaitGroup>();
    send_sync::<Context>();
    clone::<Context>();
    send_sync::<(CancelFunc, CancelCauseFunc, AfterFunc)>();
    send_sync::<errgroup::Group<io::Error>>();
    send_sync::<errgroup::Spawner<io::Error>>();
    clone::<errgroup::Spawner<io::Error>>();
    send_sync::<singleflight::Group<String, u8>>();
    send_sync::<(Mutex<Parcel>, RwLock<u8>, Cond, Once, OnceCell<u8>)>();
    send_sync::<(Barrier, Semaphore, Notify, Pool<Parcel>)>();
    send_sync::<(sync::MutexGuard<'_, u8>, sync::OwnedMutexGuard<u8>)>();
    send_sync::<(
        sync::RwLockReadGuard<'_, u8>,
        sync::RwLockWriteGuard<'_, u8>,
    )>();
    send_sync::<(sync::SemaphorePermit<'_>, sync::OwnedSemaphorePermit)>();
    send_sync::<(oneshot::Sender<Parcel>, oneshot::Receiver<Parcel>)>();
    send_sync::<(watch::Sender<u8>, watch::Receiver<u8>)>();
    send_sync::<(broadcast::Sender<u8>, broadcast::Receiver<u8>)>();
    clone::<(
        watch::Sender<u8>,
        watch::Receiver<u8>,
        broadcast::Sender<u8>,
    )>();
    debug::<(Sender<Rc<u8>>, Receiver<Rc<u8>>, WaitGroup, Context)>();
    debug::<(SendError<Parcel>, TrySendError<Parcel>, TryRecvError)>();
    debug::<(
        Select<'_, u8>,
        errgroup::Group<u8>,
        singleflight::Group<u8, u8>,
    )>();
    debug::<(Mutex<u8>, RwLock<u8>, Cond, Once, OnceCell<u8>, Barrier)>();
    debug::<(Semaphore, Notify, Pool<u8>)>();
    error::<SendError<u8>>();
    error::<TrySendError<u8>>();
    error::<TryRecvError>();
    error::<ContextError>();
    error::<broadcast::RecvError>();
    error::<broadcast::TryRecvError>();
    let _: (WaitGroup, Context, Cond, Once, Notify) = default();
    let _: (Mutex<u8>, RwLock<u8>, OnceCell<u8>, Pool<Vec<u8>>) = default();
    let _: errgroup::Group<u8> = default();
    let _: singleflight::Group<u8, u8> = default();
    let _: (Mutex<u8>, RwLock<u8>, OnceCell<u8>) = (1.into(), 2.into(), 3.into());
}

#[runtime::test]
async fn a_channel_has_gos_operations() {
    let (tx, rx) = channel::<u8>(1);
    assert_eq!(
        (tx.len(), tx.capacity(), tx.is_empty(), tx.is_full()),
        (0, 1, true, false)
    );
    soon(sendable(tx.send(1))).await.unwrap();
    assert_eq!(
        (rx.len(), rx.capacity(), rx.is_empty(), rx.is_full()),
        (1, 1, false, true)
    );
    assert!(tx.downgrade().upgrade().is_some());
    assert_eq!(tx.try_send(2), Err(TrySendError::Full(2)));
    assert_eq!(soon(sendable(rx.recv())).await, Some(1));
    assert_eq!(rx.try_recv(), Err(TryRecvError::Empty));
    let mut kept = Some(3);
    tx.send_from(&mut kept).await.unwrap();
    assert_eq!(kept, None);
    let mut batch = Vec::new();
    assert_eq!(soon(sendable(rx.recv_many(&mut batch, 4))).await, 1);
    tx.send(3).await.unwrap();
    assert!(tx.same_channel(&tx.clone()) && rx.same_channel(&rx.clone()));
    assert_eq!((tx.sender_count(), tx.receiver_count()), (1, 1));
    assert_eq!((rx.sender_count(), rx.receiver_count()), (1, 1));
    assert!(!tx.is_closed() && !rx.is_closed());
    assert!(tx.close(), "the first close");
    assert!(!tx.close() && !rx.close(), "closed already");
    soon(sendable(tx.closed())).await;
    assert_eq!(tx.send(4).await, Err(SendError(4)));
    assert_eq!(tx.try_send(4), Err(TrySendError::Closed(4)));
    assert_eq!(rx.try_recv(), Ok(3));
    assert_eq!(rx.try_recv(), Err(TryRecvError::Closed));
    assert_eq!(rx.recv().await, None);
    let mut stream = pin!(rx);
    assert_eq!(
        std::future::poll_fn(|cx| stream.as_mut().poll_next(cx)).await,
        None
    );
    assert_eq!(never::<u8>().try_recv(), Err(TryRecvError::Empty));
}

#[test]
fn threads_use_a_channel_too() {
    let (tx, rx) = channel(0);
    let thread = std::thread::spawn(move || tx.blocking_send(5));
    assert_eq!(rx.blocking_recv(), Some(5));
    assert_eq!(thread.join().unwrap(), Ok(()));
    assert_eq!(rx.blocking_recv(), None);
}

#[test]
fn the_errors_say_what_happened_and_give_back() {
    says(SendError(1), "send on a closed channel");
    says(TrySendError::Full(1), "send on a full channel");
    says(TrySendError::Closed(1), "send on a closed channel");
    says(TryRecvError::Empty, "receive on an empty channel");
    says(
        TryRecvError::Closed,
        "receive on a closed and drained channel",
    );
    says(ContextError::Canceled, "context canceled");
    says(ContextError::DeadlineExceeded, "context deadline exceeded");
    says(
        broadcast::RecvError::Lagged(3),
        "the receiver lagged behind and missed 3 values",
    );
    assert_eq!(SendError("back").into_inner(), "back");
    assert_eq!(TrySendError::from(SendError(1)), TrySendError::Closed(1));
    assert!(TrySendError::Full(1).is_full() && TrySendError::Closed(1).is_closed());
    assert_eq!(TrySendError::Full(1).into_inner(), 1);
    assert!(TryRecvError::Empty.is_empty() && TryRecvError::Closed.is_closed());
    assert!(ContextError::DeadlineExceeded.is_timeout());
    let late: io::Error = ContextError::DeadlineExceeded.into();
    assert_eq!(late.kind(), io::ErrorKind::TimedOut);
}

#[runtime::test]
async fn a_rate_is_kept() {
    let limiter = rate::Limiter::new(rate::Limit::every(Duration::from_micros(100)), 2);
    assert!(limiter.allow() && limiter.allow_n(1));
    soon(sendable(limiter.wait())).await;
    soon(sendable(limiter.wait_n(2))).await;
    let ctx = Context::background();
    soon(sendable(limiter.wait_with(&ctx))).await.unwrap();
    assert_eq!(
        soon(sendable(limiter.wait_n_with(3, &ctx))).await,
        Err(rate::WaitError::ExceedsBurst)
    );
    let reservation = limiter.reserve_n(2).unwrap();
    assert_eq!(reservation.count(), 2);
    let delay = reservation.delay();
    assert!(reservation.due() <= Instant::now() + delay);
    reservation.cancel();
    assert!(limiter.reserve().is_some());
    limiter.set_limit(rate::Limit::per_second(2.5));
    limiter.set_burst(3);
    assert_eq!(
        (limiter.limit().events_per_second(), limiter.burst()),
        (2.5, 3)
    );
    assert!(limiter.tokens() <= 3.0);
    says(rate::Limit::per_second(2.5), "2.5/s");
    says(rate::Limit::INFINITE, "no limit");
    says(
        rate::WaitError::ExceedsBurst,
        "rate: more tokens are wanted than the burst",
    );
    says(
        rate::WaitError::from(ContextError::Canceled),
        "context canceled",
    );
}

#[runtime::test]
async fn a_wait_group_waits() {
    let wg = WaitGroup::new();
    wg.add(2);
    let other = wg.clone();
    runtime::spawn(async move {
        other.done();
        other.done();
    });
    let task: JoinHandle<u8> = wg.spawn(async { 1 });
    let guard = wg.guard();
    runtime::spawn(async move { drop(guard) });
    soon(sendable(wg.wait())).await;
    assert_eq!(soon(task).await.unwrap(), 1);
    let misused = runtime::spawn(async { WaitGroup::new().done() });
    says_negative(soon(misused).await.unwrap_err());
}

fn says_negative(error: runtime::JoinError) {
    crate::names(error, &["sync: negative WaitGroup counter"]);
}

struct User;
impl Key for User {
    type Value = String;
}

#[runtime::test]
async fn a_context_is_gos() {
    let root = Context::background();
    let (ctx, cancel): (Context, CancelFunc) = root.with_cancel();
    let (below, cancel_cause): (Context, CancelCauseFunc) = ctx.with_cancel_cause();
    let (timed, _cancel) = ctx.with_timeout(HANG);
    let at = Instant::now() + HANG;
    let (until, _cancel) = ctx.with_deadline(at);
    assert_eq!((until.deadline(), ctx.deadline()), (Some(at), None));
    let valued = timed.with_value(User, "ann".to_owned());
    assert_eq!(valued.value(User).map(String::as_str), Some("ann"));
    let free = valued.without_cancel();

    cancel_cause.cancel("enough");
    assert_eq!(soon(sendable(below.done())).await, ContextError::Canceled);
    let cause: Cause = below.cause().unwrap();
    says(cause, "enough");
    assert_eq!(
        (below.err(), ctx.err()),
        (Some(ContextError::Canceled), None)
    );

    let (called, calls) = channel(1);
    let after: AfterFunc = ctx.after_func(move || called.try_send(()).unwrap());
    assert_eq!(soon(sendable(ctx.run(async { 7 }))).await, Ok(7));
    cancel.cancel();
    soon(calls.recv()).await.unwrap();
    assert!(!after.stop(), "it has run");
    assert!(valued.is_done() && !free.is_done());
    assert_eq!(
        ctx.run(std::future::pending::<()>()).await,
        Err(ContextError::Canceled)
    );
    let (late, _cancel) = root.with_timeout(Duration::ZERO);
    assert_eq!(soon(late.done()).await, ContextError::DeadlineExceeded);
}

#[runtime::test]
async fn a_group_ends_with_its_first_error() {
    let (mut group, ctx) = errgroup::Group::with_context(&Context::background());
    group.set_limit(2);
    group.abort_on_error();
    soon(sendable(
        group.spawn(async { Err(io::Error::other("full")) }),
    ))
    .await;
    soon(group.spawn(std::future::pending())).await;
    let result: io::Result<()> = soon(sendable(group.wait())).await;
    says(result.unwrap_err(), "full");
    assert!(ctx.is_done());
    let mut group = errgroup::Group::<String>::new();
    assert!(group.try_spawn(async { Ok(()) }));
    assert_eq!(soon(group.wait()).await, Ok(()));
}

#[runtime::test]
async fn locks_have_gos_names_and_rusts_guards() {
    let mutex = Arc::new(Mutex::new(1));
    *soon(sendable(mutex.lock())).await += 1;
    assert_eq!(mutex.try_lock().map(|guard| *guard), Some(2));
    drop(soon(sendable(mutex.clone().lock_owned())).await);
    let lock = RwLock::new(1);
    *soon(sendable(lock.write())).await += 1;
    let (one, two) = (soon(sendable(lock.read())).await, lock.try_read());
    assert_eq!((*one, two.map(|guard| *guard)), (2, Some(2)));

    let cond = Cond::new();
    let mut guard = mutex.lock().await;
    let waits = cond.wait(guard);
    let mut waits = pin!(sendable(waits));
    assert!(
        runtime::time::timeout(Duration::ZERO, &mut waits)
            .await
            .is_err()
    );
    cond.signal();
    guard = soon(waits).await;
    *guard += 1;
    drop(guard);
    cond.broadcast();

    let once = Once::new();
    let ran = Cell::new(0);
    once.call(|| async { ran.set(ran.get() + 1) }).await;
    once.call(|| async { ran.set(ran.get() + 1) }).await;
    assert_eq!((ran.get(), once.is_done()), (1, true));
    let cell = OnceCell::new();
    assert_eq!(*cell.get_or_init(|| async { 5 }).await, 5);
    assert_eq!(cell.get(), Some(&5));

    let barrier = Barrier::new(1);
    assert!(soon(sendable(barrier.wait())).await.is_leader());
}

#[runtime::test]
async fn what_counts_and_tells_is_there() {
    let semaphore = Arc::new(Semaphore::new(3));
    let two = soon(sendable(semaphore.acquire_many(2))).await;
    let one = semaphore.try_acquire().unwrap();
    assert!(semaphore.clone().try_acquire_owned().is_none());
    drop((one, two));
    assert_eq!((semaphore.available(), semaphore.size()), (3, 3));

    let notify = Notify::new();
    notify.notify_one();
    soon(sendable(notify.notified())).await;
    notify.notify_waiters();

    let group = singleflight::Group::new();
    assert_eq!(soon(sendable(group.run("key", || async { 1 }))).await, 1);

    let (tx, rx) = oneshot::channel();
    tx.send(1).unwrap();
    assert_eq!(soon(rx).await, Some(1));

    let (tx, mut rx) = watch::channel(1);
    tx.send(2).unwrap();
    assert!(soon(sendable(rx.changed())).await);
    assert_eq!(*rx.borrow(), 2);
    assert!(tx.same_channel(&tx.clone()) && rx.same_channel(&rx.clone()));
    drop(rx);
    soon(sendable(tx.closed())).await;
    assert!(tx.is_closed());

    let (tx, mut rx) = broadcast::channel(1);
    tx.send(1).unwrap();
    tx.send(2).unwrap();
    assert_eq!(
        soon(sendable(rx.recv())).await,
        Err(broadcast::RecvError::Lagged(1))
    );
    assert_eq!(soon(rx.recv()).await, Ok(2));
    drop(rx);
    soon(sendable(tx.closed())).await;
    assert!(tx.is_closed());

    let pool = Pool::new(Vec::<u8>::new);
    pool.get().push(1);
    assert_eq!(pool.len(), 1);
}
