//! Channels allocate once when they are made and once for the buffer, and no operation allocates
//! after that; nor does waiting at any primitive.
#![cfg(not(loom))]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::future::Future;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker};

use sync::{
    Barrier, Cond, Mutex, MutexGuard, Notify, OnceCell, Pool, RwLock, RwLockWriteGuard, Semaphore,
    WaitGroup, broadcast, channel, select, watch,
};

thread_local! {
    static ALLOCATED: Cell<(usize, usize)> = const { Cell::new((0, 0)) };
}

struct Counting;

// SAFETY: passes everything on to the system's allocator.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATED.with(|allocated| {
            let (count, bytes) = allocated.get();
            allocated.set((count + 1, bytes + layout.size()));
        });
        // SAFETY: the caller's promise.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        // SAFETY: the caller's promise.
        unsafe { System.dealloc(memory, layout) };
    }
}

#[global_allocator]
static COUNTING: Counting = Counting;

/// How often, and how much, `run` allocates on this thread.
fn allocations<R>(run: impl FnOnce() -> R) -> (R, (usize, usize)) {
    let before = ALLOCATED.get();
    let result = run();
    let after = ALLOCATED.get();
    (result, (after.0 - before.0, after.1 - before.1))
}

fn poll<F: Future>(future: Pin<&mut F>) -> Poll<F::Output> {
    future.poll(&mut Context::from_waker(Waker::noop()))
}

#[test]
fn a_channel_is_one_allocation_of_at_most_128_bytes() {
    let (_channel, (count, bytes)) = allocations(|| channel::<u64>(1_000_000));
    assert_eq!(count, 1);
    assert!(bytes <= 128, "{bytes}");
}

#[test]
fn the_buffer_is_allocated_when_it_is_needed() {
    let (tx, rx) = channel::<u64>(100);
    let ((), (count, bytes)) = allocations(|| {
        for n in 0..100 {
            tx.try_send(n).unwrap();
        }
    });
    assert_eq!((count, bytes), (1, 800));
    let ((), (count, _)) = allocations(|| {
        for n in 0..1000 {
            rx.try_recv().unwrap();
            tx.try_send(n).unwrap();
        }
    });
    assert_eq!(count, 0);
}

#[test]
fn waiting_sending_receiving_and_selecting_allocate_nothing() {
    let (tx, rx) = channel::<u64>(0);
    let (other_tx, other_rx) = channel::<u64>(0);
    let run = || {
        for n in 0..10 {
            let mut recv = pin!(rx.recv());
            assert!(poll(recv.as_mut()).is_pending());
            assert!(poll(pin!(tx.send(n))).is_ready());
            assert_eq!(poll(recv), Poll::Ready(Some(n)));

            let mut send = pin!(tx.send(n));
            assert!(poll(send.as_mut()).is_pending());
            let mut selecting = pin!(async {
                select! {
                    n = rx.recv() => n,
                    _ = other_tx.send(n) => None,
                }
            });
            assert_eq!(poll(selecting.as_mut()), Poll::Ready(Some(n)));
            assert!(poll(send).is_ready());

            let mut selecting = pin!(async {
                select! {
                    n = rx.recv() => n,
                    n = other_rx.recv() => n,
                }
            });
            assert!(poll(selecting.as_mut()).is_pending());
            other_tx.try_send(n).unwrap();
            assert_eq!(poll(selecting), Poll::Ready(Some(n)));
        }
    };
    // Once before, for what a thread sets up when it first runs.
    run();
    let ((), (count, _)) = allocations(run);
    assert_eq!(count, 0);
}

/// Allocations of the second of two runs: the first is for what a thread sets up when it first
/// runs, and for what is kept.
fn steady(mut run: impl FnMut()) -> usize {
    run();
    allocations(run).1.0
}

fn pending<F: Future>(future: Pin<&mut F>) {
    assert!(poll(future).is_pending());
}

fn ready<F: Future>(future: Pin<&mut F>) -> F::Output {
    match poll(future) {
        Poll::Ready(output) => output,
        Poll::Pending => panic!("it is not ready"),
    }
}

#[test]
fn waiting_for_locks_and_permits_allocates_nothing() {
    let (mutex, lock, semaphore) = (Mutex::new(1), RwLock::new(1), Semaphore::new(1));
    assert_eq!(
        steady(|| {
            let guard = MutexGuard::map(mutex.try_lock().unwrap(), |n| n);
            let mut waiting = pin!(mutex.lock());
            pending(waiting.as_mut());
            drop(guard);
            drop(ready(waiting));
            let guard = lock.try_write().unwrap();
            let (mut reader, mut writer) = (pin!(lock.read()), pin!(lock.write()));
            pending(reader.as_mut());
            pending(writer.as_mut());
            let guard = RwLockWriteGuard::downgrade(guard);
            drop((guard, ready(reader)));
            drop(ready(writer));
            let permit = semaphore.try_acquire().unwrap();
            let mut waiting = pin!(semaphore.acquire());
            pending(waiting.as_mut());
            drop(permit);
            drop(ready(waiting));
        }),
        0
    );
}

#[test]
fn waiting_for_others_allocates_nothing() {
    let (mutex, cond, notify, barrier) =
        (Mutex::new(1), Cond::new(), Notify::new(), Barrier::new(2));
    let (group, cell) = (WaitGroup::new(), OnceCell::new());
    let (watch_tx, mut watch_rx) = watch::channel(0);
    let (cast_tx, mut cast_rx) = broadcast::channel(2);
    let mut second_rx = cast_tx.subscribe();
    let (ctx, _cancel) = sync::context::Context::background().with_cancel();
    assert_eq!(
        steady(|| {
            let mut waiting = pin!(cond.wait(mutex.try_lock().unwrap()));
            pending(waiting.as_mut());
            cond.signal();
            drop(ready(waiting));
            let mut waiting = pin!(notify.notified());
            pending(waiting.as_mut());
            notify.notify_waiters();
            ready(waiting);
            let mut waiting = pin!(barrier.wait());
            pending(waiting.as_mut());
            ready(pin!(barrier.wait()));
            ready(waiting);
            group.add(1);
            let mut waiting = pin!(group.wait());
            pending(waiting.as_mut());
            group.done();
            ready(waiting);
            ready(pin!(cell.get_or_init(|| async { 1 })));
            let mut waiting = pin!(watch_rx.changed());
            pending(waiting.as_mut());
            watch_tx.send(1).unwrap();
            ready(waiting);
            pending(pin!(ctx.done()));
            for n in 0..4 {
                let mut waiting = pin!(cast_rx.recv());
                pending(waiting.as_mut());
                cast_tx.send(n).unwrap();
                assert_eq!(ready(waiting), Ok(n));
                assert_eq!(second_rx.try_recv(), Ok(n));
            }
        }),
        0
    );
}

#[test]
fn what_is_got_from_a_pool_and_put_back_allocates_nothing() {
    let pool: Pool<Vec<u8>> = Pool::new(|| Vec::with_capacity(100));
    let use_it = || {
        for n in 0..10_000 {
            let mut buffer = pool.get();
            buffer.clear();
            buffer.push(n as u8);
        }
    };
    assert_eq!(steady(use_it), 0);
}

/// Go: TestAllocs, whose limits these are.
#[test]
fn a_context_costs_no_more_allocations_than_go_s() {
    use sync::context::Context;

    let cancelled = || {
        let (ctx, cancel) = Context::background().with_cancel();
        cancel.cancel();
        drop(ctx);
    };
    assert!(steady(cancelled) <= 5, "{}", steady(cancelled));
    let runtime = runtime::Builder::new().max_procs(1).build().unwrap();
    let _entered = runtime.enter();
    let timed = || {
        let (ctx, cancel) =
            Context::background().with_timeout(std::time::Duration::from_secs(3600));
        cancel.cancel();
        drop(ctx);
    };
    assert!(steady(timed) <= 8, "{}", steady(timed));
}
