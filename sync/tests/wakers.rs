//! Wakers and ordinary futures are foreign code: a channel runs none of it under its lock, and
//! loses no place in line because of it.
#![cfg(not(loom))]

mod support;

use std::future::{Future, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::*};
use std::task::{Context, Poll, RawWaker, RawWakerVTable, Wake, Waker};

use futures_util::Stream;
use support::{poll_once, within_a_minute};
use sync::context::Context as Ctx;
use sync::{
    Barrier, Mutex, Notify, Receiver, RwLock, Semaphore, Sender, WaitGroup, channel, select,
};

fn poll<F: Future>(future: Pin<&mut F>) -> Poll<F::Output> {
    future.poll(&mut Context::from_waker(Waker::noop()))
}

/// A waker that uses the channel whenever it is cloned, woken or dropped; under the lock it would
/// wait for itself.
struct Nosy {
    tx: Sender<u32>,
    touched: AtomicUsize,
}

impl Nosy {
    fn touch(&self) {
        let _ = (self.tx.len(), self.tx.is_full());
        self.touched.fetch_add(1, Relaxed);
    }
}

impl Wake for Nosy {
    fn wake(self: Arc<Self>) {
        self.touch();
    }
}

static VTABLE: RawWakerVTable = RawWakerVTable::new(clone, wake, wake_by_ref, drop_waker);

fn raw(nosy: Arc<Nosy>) -> RawWaker {
    RawWaker::new(Arc::into_raw(nosy).cast(), &VTABLE)
}

unsafe fn clone(data: *const ()) -> RawWaker {
    // SAFETY: made by `raw`, and the waker that is cloned keeps its count.
    let nosy = unsafe {
        Arc::increment_strong_count(data.cast::<Nosy>());
        Arc::from_raw(data.cast::<Nosy>())
    };
    nosy.touch();
    raw(nosy)
}

unsafe fn wake(data: *const ()) {
    // SAFETY: made by `raw`; waking uses the waker up.
    unsafe { Arc::from_raw(data.cast::<Nosy>()) }.touch();
}

unsafe fn wake_by_ref(data: *const ()) {
    // SAFETY: made by `raw`, and the waker is still there.
    unsafe { &*data.cast::<Nosy>() }.touch();
}

unsafe fn drop_waker(data: *const ()) {
    // SAFETY: made by `raw`; dropping uses the waker up.
    unsafe { Arc::from_raw(data.cast::<Nosy>()) }.touch();
}

fn nosy(tx: &Sender<u32>) -> (Waker, Arc<Nosy>) {
    let nosy = Arc::new(Nosy {
        tx: tx.clone(),
        touched: AtomicUsize::new(0),
    });
    // SAFETY: the functions keep the contract of `RawWakerVTable`: an `Arc` behind a pointer.
    (unsafe { Waker::from_raw(raw(nosy.clone())) }, nosy)
}

#[test]
fn no_waker_is_touched_under_the_lock() {
    let (tx, rx) = channel(0);
    let (waker, touched) = nosy(&tx);
    let (other, _) = nosy(&tx);
    let poll_with = |waker: &Waker, future: Pin<&mut dyn Future<Output = Option<u32>>>| {
        future.poll(&mut Context::from_waker(waker))
    };
    // Waiting, changing tasks, being woken.
    let mut recv = pin!(rx.recv());
    assert!(poll_with(&waker, recv.as_mut()).is_pending());
    assert!(poll_with(&other, recv.as_mut()).is_pending());
    assert!(poll_with(&waker, recv.as_mut()).is_pending());
    tx.try_send(1).unwrap();
    assert_eq!(poll_with(&waker, recv), Poll::Ready(Some(1)));
    // Being dropped while waiting, and with a value that goes to another.
    {
        let mut first = pin!(rx.recv());
        assert!(poll_with(&waker, first.as_mut()).is_pending());
    }
    let mut first = Box::pin(rx.recv());
    let mut second = pin!(rx.recv());
    assert!(poll_with(&waker, first.as_mut()).is_pending());
    assert!(poll_with(&waker, second.as_mut()).is_pending());
    tx.try_send(2).unwrap();
    drop(first);
    assert_eq!(poll_with(&other, second), Poll::Ready(Some(2)));
    // In a select, and being told of a close.
    let mut selecting = pin!(async {
        select! {
            n = rx.recv() => n,
            n = rx.recv() => n,
        }
    });
    assert!(poll_with(&waker, selecting.as_mut()).is_pending());
    assert!(poll_with(&other, selecting.as_mut()).is_pending());
    tx.close();
    assert_eq!(poll_with(&waker, selecting), Poll::Ready(None));
    assert!(touched.touched.load(Relaxed) > 5);
}

#[test]
fn a_busy_select_is_passed_over_and_keeps_its_place() {
    let (tx, rx) = channel(0);
    // When the select is polled for the second time, this arm sends on the very channel that the
    // other arm waits for.
    let polls = AtomicUsize::new(0);
    let sends = poll_fn(|_| {
        if polls.fetch_add(1, Relaxed) == 1 {
            tx.try_send(1).unwrap();
        }
        Poll::<()>::Pending
    });
    let mut selecting = pin!(async {
        select! {
            n = rx.recv() => n,
            _ = sends => None,
        }
    });
    let mut behind = pin!(rx.recv());
    let mut last = pin!(rx.recv());
    assert!(poll(selecting.as_mut()).is_pending());
    assert!(poll(behind.as_mut()).is_pending());
    assert!(poll(last.as_mut()).is_pending());
    assert!(poll(selecting.as_mut()).is_pending());
    // The value went to the next in line, since nobody may complete a select while it looks at its
    // arms…
    assert_eq!(poll(behind), Poll::Ready(Some(1)));
    // … and the next value goes to the select, which still stands before the last.
    tx.try_send(2).unwrap();
    assert_eq!(poll(selecting), Poll::Ready(Some(2)));
    tx.try_send(3).unwrap();
    assert_eq!(poll(last), Poll::Ready(Some(3)));
}

#[test]
fn a_peer_that_comes_while_a_select_is_busy_is_met() {
    let (tx, rx) = channel(0);
    let sending = std::cell::RefCell::new(Box::pin(tx.send(7)));
    let polls = AtomicUsize::new(0);
    let sends = poll_fn(|_| {
        if polls.fetch_add(1, Relaxed) == 1 {
            // It finds the select busy, and waits.
            assert!(poll(sending.borrow_mut().as_mut()).is_pending());
        }
        Poll::<()>::Pending
    });
    let mut selecting = pin!(async {
        select! {
            _ = sends => None,
            n = rx.recv() => n,
        }
    });
    assert!(poll(selecting.as_mut()).is_pending());
    // Whichever arm is looked at first, the sender is found before the select waits again.
    assert_eq!(poll(selecting), Poll::Ready(Some(7)));
    assert!(poll(sending.borrow_mut().as_mut()).is_ready());
}

#[test]
fn a_select_whose_future_panics_leaves_the_channel_usable() {
    fn waits(rx: &Receiver<u32>) -> impl Future<Output = Option<u32>> {
        let mut polls = 0;
        async move {
            select! {
                n = rx.recv() => n,
                _ = poll_fn(|_| {
                    polls += 1;
                    assert!(polls < 2, "on purpose");
                    Poll::<()>::Pending
                }) => None,
            }
        }
    }
    let (tx, rx) = channel(0);
    {
        let mut selecting = Box::pin(waits(&rx));
        assert!(poll(selecting.as_mut()).is_pending());
        let panicked =
            std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| poll(selecting.as_mut())));
        assert!(panicked.is_err());
        assert!(tx.try_send(1).is_err(), "nobody is there to take it");
    }
    let mut recv = pin!(rx.recv());
    assert!(poll(recv.as_mut()).is_pending());
    tx.try_send(2).unwrap();
    assert_eq!(poll(recv), Poll::Ready(Some(2)));
}

/// A waker that uses what it waits for when it is called, and when it is dropped.
struct Uses(Arc<dyn Fn() + Send + Sync>);

impl Wake for Uses {
    fn wake(self: Arc<Self>) {
        (self.0)();
    }
}

impl Drop for Uses {
    fn drop(&mut self) {
        (self.0)();
    }
}

/// What waits is polled by two such wakers and dropped, and another is polled and woken; under the
/// lock they would wait for themselves.
fn uses<F: Future>(
    make: impl Fn() -> F,
    touch: impl Fn() + Send + Sync + 'static,
    wake: impl FnOnce(),
) {
    let touch: Arc<dyn Fn() + Send + Sync> = Arc::new(touch);
    let poll = |future: Pin<&mut F>| {
        // The queue's is the last clone of it.
        let waker = Waker::from(Arc::new(Uses(touch.clone())));
        assert!(future.poll(&mut Context::from_waker(&waker)).is_pending());
    };
    let mut leaves = Box::pin(make());
    poll(leaves.as_mut());
    poll(leaves.as_mut());
    drop(leaves);
    let mut stays = Box::pin(make());
    poll(stays.as_mut());
    wake();
    assert!(poll_once(stays.as_mut()).is_ready());
}

/// Queues up and leaves, which takes the lock twice.
fn visit<F: Future>(future: F) {
    let _ = poll_once(pin!(future));
}

#[test]
fn no_primitive_touches_a_waker_under_its_lock() {
    within_a_minute(|| {
        let all = Arc::new(Semaphore::new(1));
        let (one, held) = (all.clone(), all.try_acquire());
        uses(
            || all.acquire(),
            move || visit(one.acquire()),
            || drop(held),
        );
        let one = all.clone();
        let held = all.try_acquire();
        let wake = || {
            all.close();
            drop(held);
        };
        let visit_it = move || visit(one.checked_acquire(1));
        uses(|| all.checked_acquire(1), visit_it, wake);

        let all = Arc::new(Mutex::new(1));
        let (one, held) = (all.clone(), all.try_lock());
        uses(|| all.lock(), move || visit(one.lock()), || drop(held));

        let all = Arc::new(RwLock::new(1));
        let (one, held) = (all.clone(), all.try_write());
        let visit_it = move || {
            visit(one.read());
            visit(one.write());
        };
        uses(|| all.read(), visit_it.clone(), || drop(held));
        let held = all.try_write();
        uses(|| all.write(), visit_it.clone(), || drop(held));
        let held = all.try_read();
        uses(|| all.write(), visit_it.clone(), || drop(held));
        let held = all.try_upgradable_read();
        uses(|| all.upgradable_read(), visit_it, || drop(held));

        let all = Arc::new(Notify::new());
        let one = all.clone();
        let visit_it = move || visit(one.notified());
        uses(|| all.notified(), visit_it.clone(), || all.notify_one());
        uses(|| all.notified(), visit_it, || all.notify_waiters());

        let all = WaitGroup::new();
        all.add(1);
        let one = all.clone();
        uses(|| all.wait(), move || visit(one.wait()), || all.done());

        let all = Arc::new(Barrier::new(2));
        let one = all.clone();
        let wake = || assert!(poll_once(pin!(all.wait())).is_ready());
        uses(|| all.wait(), move || drop(format!("{one:?}")), wake);

        let (all, cancel) = Ctx::background().with_cancel();
        let one = all.clone();
        uses(|| all.done(), move || visit(one.done()), || cancel.cancel());
    });
}

#[test]
fn no_channel_touches_a_waker_under_its_lock() {
    within_a_minute(|| {
        let (tx, rx) = channel(0);
        let to = tx.clone();
        let visit_it = move || {
            visit(to.closed());
            let _ = (to.len(), to.is_full());
        };
        // Met by each kind of peer: a plain one, and a select that finds it in its first pass. (One
        // of a single arm would be no select.)
        let (_nobody, nothing) = channel::<u32>(0);
        uses(
            || tx.send(1),
            visit_it.clone(),
            || {
                assert_eq!(rx.try_recv(), Ok(1));
            },
        );
        uses(
            || tx.send(2),
            visit_it.clone(),
            || {
                let mut selecting = pin!(async {
                    select! { n = rx.recv() => n, n = nothing.recv() => n }
                });
                assert_eq!(poll(selecting.as_mut()), Poll::Ready(Some(2)));
            },
        );
        uses(
            || rx.recv(),
            visit_it.clone(),
            || {
                let mut selecting = pin!(async {
                    select! { sent = tx.send(3) => sent.is_ok(), _ = nothing.recv() => false }
                });
                assert_eq!(poll(selecting.as_mut()), Poll::Ready(true));
            },
        );
        let select_it = || async {
            select! { n = rx.recv() => n }
        };
        uses(select_it, visit_it.clone(), || tx.try_send(4).unwrap());
        uses(|| tx.closed(), visit_it, || assert!(tx.close()));
    });
}

/// A peer takes the first of the arms that wait in one channel, so that these stand there in random
/// order.
#[test]
fn two_arms_that_wait_in_one_channel_are_met_equally_often() {
    let (tx, rx) = channel(0);
    let mut first = 0;
    for n in 0..1000 {
        let mut selecting = pin!(async {
            select! {
                got = rx.recv() => (1, got),
                got = rx.recv() => (0, got),
            }
        });
        assert!(poll(selecting.as_mut()).is_pending());
        tx.try_send(n).unwrap();
        match poll(selecting) {
            Poll::Ready((arm, Some(got))) if got == n => first += arm,
            other => panic!("{other:?}"),
        }
    }
    // 500 expected, with a standard deviation of 16.
    assert!((300..700).contains(&first), "{first} of 1000");
}

/// A waker of somebody who has gone mad.
struct Mad;

impl Wake for Mad {
    fn wake(self: Arc<Self>) {
        panic!("mad");
    }
}

/// What does not come back from a receive that panics is still there, in its place.
#[test]
fn a_value_is_not_lost_when_the_waker_of_its_sender_panics() {
    for capacity in 0..3 {
        for how in 0..4 {
            let (tx, rx) = channel(capacity);
            for n in 0..capacity {
                tx.try_send(n).unwrap();
            }
            let mad = Waker::from(Arc::new(Mad));
            let mut sends = [capacity, capacity + 1].map(|n| Box::pin(tx.send(n)));
            for send in &mut sends {
                let cx = &mut Context::from_waker(&mad);
                assert!(send.as_mut().poll(cx).is_pending());
            }
            let receive = || match how {
                0 => poll_once(pin!(rx.recv())).is_ready(),
                1 => rx.try_recv().is_ok(),
                2 => {
                    let mut stream = pin!(rx.clone());
                    let cx = &mut Context::from_waker(Waker::noop());
                    stream.as_mut().poll_next(cx).is_ready()
                }
                _ => rx.blocking_recv().is_some(),
            };
            assert!(catch_unwind(AssertUnwindSafe(receive)).is_err());
            assert_eq!(rx.len(), capacity + 1);
            assert!(poll(sends[0].as_mut()).is_ready(), "it was taken");
            // A sane one, for the rest.
            assert!(poll(sends[1].as_mut()).is_pending());
            let all: Vec<_> = std::iter::from_fn(|| rx.try_recv().ok()).collect();
            assert_eq!(
                all,
                (0..capacity + 2).collect::<Vec<_>>(),
                "{capacity} {how}"
            );
        }
    }
}

/// It is handed on to who waits by then, whose waker is called, even if that panics, too.
#[test]
fn a_value_that_was_not_taken_for_a_panic_goes_to_who_waits_meanwhile() {
    struct Asks(
        Receiver<u32>,
        std::sync::Mutex<Option<Pin<Box<dyn Future<Output = ()> + Send>>>>,
    );
    impl Wake for Asks {
        fn wake(self: Arc<Self>) {
            let rx = self.0.clone();
            let mut waits = Box::pin(async move { assert_eq!(rx.recv().await, Some(7)) });
            let mad = Waker::from(Arc::new(Mad));
            assert!(
                waits
                    .as_mut()
                    .poll(&mut Context::from_waker(&mad))
                    .is_pending()
            );
            *self.1.lock().unwrap() = Some(waits);
            panic!("mad");
        }
    }
    let (tx, rx) = channel(0);
    let asks = Arc::new(Asks(rx.clone(), std::sync::Mutex::default()));
    let mut send = pin!(tx.send(7));
    let waker = Waker::from(asks.clone());
    assert!(
        send.as_mut()
            .poll(&mut Context::from_waker(&waker))
            .is_pending()
    );
    assert!(catch_unwind(AssertUnwindSafe(|| rx.try_recv())).is_err());
    assert!(rx.is_empty());
    let waits = asks.1.lock().unwrap().take();
    assert!(poll_once(waits.unwrap().as_mut()).is_ready());
}

/// What a select has taken, and cannot return for a panic, goes back after what was handed to
/// others before, and before what came after it.
#[test]
fn a_value_that_a_select_took_goes_back_to_its_place() {
    let (tx, rx) = channel(0);
    let mut early = [Box::pin(rx.recv()), Box::pin(rx.recv())];
    for (n, recv) in early.iter_mut().enumerate() {
        assert!(poll_once(recv.as_mut()).is_pending());
        tx.try_send(n).unwrap();
    }
    let mad = Waker::from(Arc::new(Mad));
    let (mut third, mut last) = (Box::pin(tx.send(2)), Box::pin(tx.send(3)));
    assert!(
        third
            .as_mut()
            .poll(&mut Context::from_waker(&mad))
            .is_pending()
    );
    assert!(poll_once(last.as_mut()).is_pending());
    let select = || {
        poll_once(pin!(async {
            select! {
                _ = rx.recv() => {}
                _ = std::future::pending::<()>() => {}
            }
        }))
    };
    assert!(catch_unwind(AssertUnwindSafe(select)).is_err());
    drop(early);
    let all: Vec<_> = std::iter::from_fn(|| rx.try_recv().ok()).collect();
    assert_eq!(all, [0, 1, 2, 3]);
}
