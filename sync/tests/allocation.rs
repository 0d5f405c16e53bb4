//! Channels allocate once when they are made and once for the buffer, and no operation allocates after that.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::future::Future;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker};

use sync::{channel, select};

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
