//! The queue by itself, on one thread; what threads do to it is modelled in `models`.
#![forbid(unsafe_code)]

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, LazyLock, Mutex};
use std::task::{Context, Poll, Wake, Waker};

use super::{Batch, Waiter, Waiters, Withdrawn};

type Queue = Waiters<(), u32>;
type Entry<'a> = Waiter<'a, (), u32>;

/// Which wakers have been called, in order.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u32>>>);

struct Named(u32, Log);

impl Wake for Named {
    fn wake(self: Arc<Self>) {
        self.1.0.lock().unwrap().push(self.0);
    }
}

impl Log {
    fn waker(&self, name: u32) -> Waker {
        Waker::from(Arc::new(Named(name, self.clone())))
    }

    fn take(&self) -> Vec<u32> {
        std::mem::take(&mut self.0.lock().unwrap())
    }
}

/// Waiters 0, 1, 2 … in that order, each with its number as waker and as note.
fn queued<'a>(queue: &'a Queue, count: u32, log: &Log) -> Vec<Pin<Box<Entry<'a>>>> {
    let enqueued = (0..count).map(|name| {
        let mut entry = Box::pin(Entry::new(queue, name));
        entry.as_mut().enqueue(&mut queue.lock(), log.waker(name));
        entry
    });
    enqueued.collect()
}

fn is_ready(entry: &mut Pin<Box<Entry<'_>>>, waker: &Waker) -> bool {
    entry
        .as_mut()
        .poll_notified(&mut Context::from_waker(waker))
        == Poll::Ready(())
}

fn wake_front(queue: &Queue) -> bool {
    let waker = queue.lock().take_front();
    waker.map(Waker::wake).is_some()
}

#[test]
fn waiters_are_taken_in_the_order_in_which_they_came() {
    let (queue, log) = (Queue::new(()), Log::default());
    let mut entries = queued(&queue, 3, &log);
    assert!(wake_front(&queue) && wake_front(&queue));
    assert_eq!(log.take(), [0, 1]);
    assert!(is_ready(&mut entries[0], Waker::noop()));
    assert!(!is_ready(&mut entries[2], Waker::noop()));
    drop(entries);
    assert!(!wake_front(&queue), "the one that was dropped is gone");
}

#[test]
fn those_who_leave_from_any_place_leave_the_others_in_order() {
    for leaving in 0..4 {
        let (queue, log) = (Queue::new(()), Log::default());
        let mut entries = queued(&queue, 4, &log);
        drop(entries.remove(leaving));
        while wake_front(&queue) {}
        let stayed: Vec<u32> = (0..4).filter(|&name| name as usize != leaving).collect();
        assert_eq!(log.take(), stayed);
    }
}

#[test]
fn the_note_of_the_front_can_be_read_and_changed() {
    let (queue, log) = (Queue::new(()), Log::default());
    let _entries = queued(&queue, 2, &log);
    *queue.lock().front_mut().unwrap() += 10;
    assert_eq!(queue.lock().front_mut().copied(), Some(10));
    assert!(wake_front(&queue));
    assert_eq!(queue.lock().front_mut().copied(), Some(1));
}

#[test]
fn a_batch_stops_at_its_capacity_and_at_the_ticket() {
    let (queue, log) = (Queue::new(()), Log::default());
    let _early = queued(&queue, 40, &log);
    let until = queue.lock().ticket();
    let _late = queued(&queue, 1, &log);
    let mut batch = Batch::default();
    assert!(queue.lock().take_until(until, &mut batch), "some are left");
    batch.wake();
    assert_eq!(log.take(), Vec::from_iter(0..32));
    assert!(
        !queue.lock().take_until(until, &mut batch),
        "the late one is not meant"
    );
    batch.wake();
    batch.finish();
    assert_eq!(log.take(), Vec::from_iter(32..40));
    assert!(wake_front(&queue), "the late one waits still");
}

#[test]
fn withdrawing_says_what_the_waiter_was() {
    let (queue, log) = (Queue::new(()), Log::default());
    let mut entries = queued(&queue, 2, &log);
    assert!(wake_front(&queue));
    let leave = |entry: Pin<&mut Entry<'_>>| {
        let mut locked = queue.lock();
        let withdrawn = entry.withdraw(&mut locked);
        drop(locked);
        withdrawn
    };
    assert!(matches!(leave(entries[0].as_mut()), Withdrawn::Notified));
    assert!(matches!(leave(entries[1].as_mut()), Withdrawn::Waiting(..)));
    assert!(matches!(leave(entries[1].as_mut()), Withdrawn::Idle));
}

#[test]
fn the_waker_of_the_last_poll_is_the_one_that_is_called() {
    let (queue, log) = (Queue::new(()), Log::default());
    let mut entries = queued(&queue, 1, &log);
    let last = log.waker(7);
    assert!(!is_ready(&mut entries[0], &log.waker(6)));
    assert!(!is_ready(&mut entries[0], &last));
    assert!(!is_ready(&mut entries[0], &last));
    assert!(wake_front(&queue));
    assert_eq!(log.take(), [7]);
}

#[test]
fn a_waker_that_panics_keeps_no_other_from_being_called() {
    struct Panics;
    impl Wake for Panics {
        fn wake(self: Arc<Self>) {
            panic!("on purpose");
        }
    }
    let (queue, log) = (Queue::new(()), Log::default());
    let mut bad = Box::pin(Entry::new(&queue, 0));
    bad.as_mut()
        .enqueue(&mut queue.lock(), Waker::from(Arc::new(Panics)));
    let _good = queued(&queue, 2, &log);
    let mut batch = Batch::default();
    let until = queue.lock().ticket();
    let _ = queue.lock().take_until(until, &mut batch);
    batch.wake();
    assert_eq!(log.take(), [0, 1]);
    assert!(
        catch_unwind(AssertUnwindSafe(|| batch.finish())).is_err(),
        "the panic is not lost"
    );
}

/// A waker that takes the queue's lock whenever it is cloned, called or dropped would hang if that
/// happened under the lock.
#[test]
fn no_waker_is_touched_under_the_lock() {
    struct Locks(&'static Queue, &'static AtomicUsize);
    impl Wake for Locks {
        fn wake(self: Arc<Self>) {
            drop(self.0.lock());
        }
    }
    impl Drop for Locks {
        fn drop(&mut self) {
            drop(self.0.lock());
            self.1.fetch_add(1, Ordering::Relaxed);
        }
    }
    static DROPPED: AtomicUsize = AtomicUsize::new(0);
    static QUEUE: LazyLock<Queue> = LazyLock::new(|| Queue::new(()));
    let queue: &'static Queue = &QUEUE;
    let waker = move || Waker::from(Arc::new(Locks(queue, &DROPPED)));
    let (done, finished) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let enqueued = || {
            let mut entry = Box::pin(Entry::new(queue, 0));
            let waker = waker();
            entry.as_mut().enqueue(&mut queue.lock(), waker);
            entry
        };
        let (mut replaced, withdrawn, taken, dropped) =
            (enqueued(), enqueued(), enqueued(), enqueued());
        assert!(!is_ready(&mut replaced, &waker()));
        assert!(!is_ready(&mut replaced, &waker()));
        drop(replaced);
        drop(withdrawn);
        assert!(wake_front(queue));
        drop((taken, dropped));
        done.send(()).unwrap();
    });
    let patience = std::time::Duration::from_secs(300);
    finished
        .recv_timeout(patience)
        .expect("a waker was touched under the lock");
    assert_eq!(
        DROPPED.load(Ordering::Relaxed),
        6,
        "every waker was dropped"
    );
}

#[test]
fn misuse_is_refused() {
    let (queue, other, log) = (Queue::new(()), Queue::new(()), Log::default());
    let mut entries = queued(&queue, 1, &log);
    let refused = |f: &mut dyn FnMut()| catch_unwind(AssertUnwindSafe(f)).is_err();
    assert!(refused(&mut || entries[0]
        .as_mut()
        .enqueue(&mut queue.lock(), Waker::noop().clone())));
    assert!(refused(&mut || drop(
        entries[0].as_mut().withdraw(&mut other.lock())
    )));
    let idle = pin!(Entry::new(&queue, 1));
    let mut idle = Some(idle);
    assert!(refused(&mut || {
        let _ = idle
            .take()
            .unwrap()
            .poll_notified(&mut Context::from_waker(Waker::noop()));
    }));
    assert!(wake_front(&queue), "the queue is as it was");
}
