//! The readiness record: events, clears, waits, drops of waiting futures, reuse by another user,
//! close and shutdown, in every order.
//!
//! The kernel is a counter of bytes: an event follows each byte that arrives, as an edge. A reader
//! that finds no byte clears and waits. A lost wake-up shows as a deadlock, which loom reports.

use std::future::{Future, poll_fn};
use std::sync::atomic::{AtomicUsize as StdAtomicUsize, Ordering::Relaxed};
use std::task::{Poll, Wake, Waker};

use loom::future::block_on;
use loom::sync::Arc;
use loom::sync::atomic::{AtomicUsize, Ordering};
use loom::thread;

use crate::io::readiness::{Record, Seat};
use crate::io::state::{Direction, Ready, Stop};

const READ: Direction = Direction::Read;

/// A descriptor whose receive buffer is a count of bytes.
struct Device {
    record: Record,
    bytes: AtomicUsize,
}

impl Device {
    fn new(ready: Ready) -> (Arc<Self>, u64) {
        let record = Record::new();
        let generation = record.open(ready);
        let bytes = AtomicUsize::new(0);
        (Arc::new(Self { record, bytes }), generation)
    }

    /// A byte arrives, and then its edge is reported.
    fn arrive(&self, generation: u64) {
        self.bytes.fetch_add(1, Ordering::SeqCst);
        self.event(generation);
    }

    fn event(&self, generation: u64) {
        let mut woken = Vec::new();
        self.record
            .set_ready(generation, Ready::one(READ), &mut woken);
        woken.into_iter().for_each(Waker::wake);
    }

    fn stop(&self, stop: Stop, generation: u64) {
        let mut woken = Vec::new();
        match stop {
            Stop::Closed => self.record.close(&mut woken),
            Stop::Shutdown => self.record.shut_down(&mut woken),
            Stop::Expired => self.record.set_expired(generation, READ, true, &mut woken),
        }
        woken.into_iter().for_each(Waker::wake);
    }

    /// One byte, if there is one: the system call.
    fn take(&self) -> Option<()> {
        self.bytes
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, |n| n.checked_sub(1))
            .is_ok()
            .then_some(())
    }

    /// Reads up to `most` bytes; fewer mean drained.
    fn take_up_to(&self, most: usize) -> usize {
        (0..most).map_while(|_| self.take()).count()
    }

    /// What `Operation::poll` does.
    fn read(&self) -> impl Future<Output = Result<(), Stop>> {
        let mut seat = Seat::None;
        poll_fn(move |cx| {
            loop {
                let seen = self.record.state();
                if seen.refusal(READ).is_some() {
                    break;
                }
                if seen.is_ready(READ) {
                    match self.take() {
                        Some(()) => break,
                        None => {
                            self.record.clear_blocked(READ, seen);
                            continue;
                        }
                    }
                }
                match self.record.wait(READ, &mut seat, cx.waker()) {
                    Poll::Ready(Ok(())) => {}
                    Poll::Ready(Err(stop)) => return Poll::Ready(Err(stop)),
                    Poll::Pending => return Poll::Pending,
                }
            }
            self.record.forget(READ, &mut seat);
            Poll::Ready(self.record.state().stop(READ).map_or(Ok(()), Err))
        })
    }
}

/// Counts its wake-ups; not a loom type, for wakers whose order against others does not matter.
#[derive(Default)]
struct Count(StdAtomicUsize);

impl Wake for Count {
    fn wake(self: std::sync::Arc<Self>) {
        self.0.fetch_add(1, Relaxed);
    }
}

#[test]
fn no_event_is_lost_between_a_blocked_call_and_the_wait() {
    loom::model(|| {
        let (device, generation) = Device::new(Ready::BOTH);
        let kernel = Arc::clone(&device);
        let events = thread::spawn(move || {
            kernel.arrive(generation);
            kernel.arrive(generation);
        });
        block_on(device.read()).unwrap();
        block_on(device.read()).unwrap();
        events.join().unwrap();
        assert_eq!(device.record.waiters(), 0);
    });
}

#[test]
fn a_short_read_clears_only_what_it_has_seen() {
    loom::model(|| {
        let (device, generation) = Device::new(Ready::BOTH);
        let kernel = Arc::clone(&device);
        let events = thread::spawn(move || kernel.arrive(generation));
        let seen = device.record.state();
        let first = device.take_up_to(2);
        device.record.clear_drained(READ, seen);
        if first == 0 {
            block_on(device.read()).unwrap();
        }
        events.join().unwrap();
    });
}

#[test]
fn two_readers_each_get_their_byte() {
    loom::model(|| {
        let (device, generation) = Device::new(Ready::BOTH);
        let other = Arc::clone(&device);
        let reader = thread::spawn(move || block_on(other.read()).unwrap());
        let kernel = Arc::clone(&device);
        let events = thread::spawn(move || {
            kernel.bytes.fetch_add(2, Ordering::SeqCst);
            kernel.event(generation);
        });
        block_on(device.read()).unwrap();
        reader.join().unwrap();
        events.join().unwrap();
    });
}

#[test]
fn a_reader_that_is_dropped_takes_only_its_own_waker() {
    loom::model(|| {
        let (device, generation) = Device::new(Ready::NONE);
        let dropped = Arc::clone(&device);
        let canceller = thread::spawn(move || {
            let mut seat = Seat::None;
            let waker = Waker::from(std::sync::Arc::new(Count::default()));
            let _ = dropped.record.wait(READ, &mut seat, &waker);
            dropped.record.forget(READ, &mut seat);
        });
        let kernel = Arc::clone(&device);
        let events = thread::spawn(move || kernel.arrive(generation));
        block_on(device.read()).unwrap();
        canceller.join().unwrap();
        events.join().unwrap();
        assert_eq!(device.record.waiters(), 0);
    });
}

#[test]
fn a_stale_event_does_not_reach_the_next_user() {
    loom::model(|| {
        let (device, old) = Device::new(Ready::NONE);
        let kernel = Arc::clone(&device);
        let stale = thread::spawn(move || kernel.event(old));
        device.record.release();
        let new = device.record.open(Ready::NONE);
        assert_ne!(old, new);
        let count = std::sync::Arc::new(Count::default());
        let mut seat = Seat::None;
        let waker = Waker::from(std::sync::Arc::clone(&count));
        assert!(device.record.wait(READ, &mut seat, &waker).is_pending());
        stale.join().unwrap();
        assert_eq!(count.0.load(Relaxed), 0);
        assert_eq!(device.record.waiters(), 1);
        assert!(!device.record.state().is_ready(READ));
        device.record.forget(READ, &mut seat);
    });
}

#[test]
fn a_close_a_shutdown_and_a_deadline_reach_whoever_waits() {
    for stop in [Stop::Closed, Stop::Shutdown, Stop::Expired] {
        loom::model(move || {
            let (device, generation) = Device::new(Ready::BOTH);
            let closer = Arc::clone(&device);
            let closing = thread::spawn(move || closer.stop(stop, generation));
            assert_eq!(block_on(device.read()), Err(stop));
            closing.join().unwrap();
            assert_eq!(device.record.waiters(), 0);
        });
    }
}

#[test]
fn a_poller_and_a_future_are_both_woken() {
    loom::model(|| {
        let (device, generation) = Device::new(Ready::NONE);
        let kernel = Arc::clone(&device);
        let events = thread::spawn(move || kernel.event(generation));
        let other = Arc::clone(&device);
        let poller = thread::spawn(move || {
            block_on(poll_fn(|cx| other.record.poll_wait(READ, cx.waker()))).unwrap();
        });
        let mut seat = Seat::None;
        block_on(poll_fn(|cx| {
            device.record.wait(READ, &mut seat, cx.waker())
        }))
        .unwrap();
        device.record.forget(READ, &mut seat);
        poller.join().unwrap();
        events.join().unwrap();
    });
}
