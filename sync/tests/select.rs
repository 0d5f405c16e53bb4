//! Selects in the hands of somebody who wants to break them: leaked, moved, nested, polled when
//! they are over, with more operations than fit, with peers and values that panic. What they
//! promise when nobody does is in `go.rs`, what they do under their own wakers in `wakers.rs`.
#![cfg(not(loom))]

mod support;

use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicUsize, Ordering::*};
use std::sync::{Arc, mpsc};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::future::join;
use runtime::{block_in_place, spawn, yield_now};
use support::{WORKERS, message_of, on, on_each, pause, poll_once, with_seeds, within_a_minute};
use sync::{Receiver, Select, SendError, TryRecvError, TrySendError, channel, select};

fn poll_with<F: Future + ?Sized>(waker: &Waker, future: Pin<&mut F>) -> Poll<F::Output> {
    future.poll(&mut Context::from_waker(waker))
}

/// A waker that counts, and its counter.
fn counting() -> (Waker, Arc<Calls>) {
    let calls = Arc::<Calls>::default();
    (Waker::from(calls.clone()), calls)
}

#[derive(Default)]
struct Calls(AtomicUsize);

impl Wake for Calls {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, SeqCst);
    }
}

impl Calls {
    fn get(&self) -> usize {
        self.0.load(SeqCst)
    }
}

/// A waker that panics.
struct Loud;

impl Wake for Loud {
    fn wake(self: Arc<Self>) {
        panic!("a loud waker");
    }
}

/// Its arms stay in their queues for ever: of all of them one is completed, and the rest are taken
/// for what they are.
#[test]
fn a_select_that_is_leaked_takes_one_value_along_and_no_second() {
    type Leak = for<'a> fn(&'a Receiver<u32>, &'a Receiver<u32>) -> Pending<'a>;
    type Pending<'a> = Pin<Box<dyn Future<Output = Option<u32>> + 'a>>;
    let leaks: [Leak; 2] = [
        |a, b| {
            Box::pin(async {
                select! { n = a.recv() => n, n = b.recv() => n }
            })
        },
        |a, b| {
            let mut select = Select::new();
            select.recv(a, |n| n).recv(b, |n| n);
            Box::pin(select.wait())
        },
    ];
    for leak in leaks {
        let ((a, from_a), (b, from_b)) = (channel(0), channel(0));
        let mut leaked = leak(&from_a, &from_b);
        assert!(poll_once(leaked.as_mut()).is_pending());
        std::mem::forget(leaked);
        assert_eq!(a.try_send(1), Ok(()), "it is still there");
        assert_eq!(a.try_send(2), Err(TrySendError::Full(2)));
        assert_eq!(b.try_send(2), Err(TrySendError::Full(2)));
        for (tx, rx) in [(&a, &from_a), (&b, &from_b)] {
            let mut send = pin!(tx.send(3));
            assert!(poll_once(send.as_mut()).is_pending());
            assert_eq!(rx.try_recv(), Ok(3));
            assert!(poll_once(send).is_ready());
        }
        drop((from_a, from_b));
        assert!(a.is_closed() && b.is_closed());
    }
}

#[test]
fn the_task_that_polled_last_is_woken() {
    let (tx, rx) = channel(0);
    let ((one, calls_of_one), (two, calls_of_two)) = (counting(), counting());
    let mut selecting = pin!(async {
        select! {
            n = rx.recv() => n,
            _ = std::future::pending::<()>() => None,
        }
    });
    for waker in [&one, &two, &one, &two] {
        assert!(poll_with(waker, selecting.as_mut()).is_pending());
    }
    tx.try_send(1).unwrap();
    assert_eq!((calls_of_one.get(), calls_of_two.get()), (0, 1));
    // Somebody else may come and fetch it.
    assert_eq!(poll_with(&one, selecting), Poll::Ready(Some(1)));
}

/// Wakes a thread.
struct Unparker(Thread);

impl Wake for Unparker {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// Waits for it on this thread.
fn finish<T>(mut future: Pin<Box<dyn Future<Output = T> + Send>>) -> T {
    let waker = Waker::from(Arc::new(Unparker(thread::current())));
    loop {
        if let Poll::Ready(output) = poll_with(&waker, future.as_mut()) {
            return output;
        }
        thread::park();
    }
}

type Selecting = Pin<Box<dyn Future<Output = bool> + Send>>;

/// A thread that polls what it is given, once, with a waker of its own, and gives it back.
struct Poller(mpsc::Sender<Selecting>, mpsc::Receiver<(Selecting, bool)>);

impl Poller {
    fn new() -> Self {
        let ((tx, jobs), (polled, results)) = (mpsc::channel::<Selecting>(), mpsc::channel());
        thread::spawn(move || {
            let waker = Waker::from(Arc::new(Unparker(thread::current())));
            for mut selecting in jobs {
                let won = poll_with(&waker, selecting.as_mut()).is_ready();
                polled.send((selecting, won)).unwrap();
            }
        });
        Self(tx, results)
    }

    fn poll(&self, selecting: Selecting) -> (Selecting, bool) {
        self.0.send(selecting).unwrap();
        self.1.recv_timeout(Duration::from_secs(60)).unwrap()
    }
}

/// Each poll on another thread, with another waker, beside threads that send and receive: who was
/// told to wait is woken.
#[test]
fn a_select_that_wanders_from_thread_to_thread_is_found() {
    within_a_minute(wander);
}

fn wander() {
    const ROUNDS: usize = 300;
    let ((tx, rx), (to, from)) = (channel(0), channel(0));
    let make = move || -> Selecting {
        let (rx, to) = (rx.clone(), to.clone());
        Box::pin(async move {
            select! {
                n = rx.recv() => n.is_some(),
                sent = to.send(1) => sent.is_ok(),
            }
        })
    };
    let received = thread::spawn(move || {
        let mut received = 0;
        while from.blocking_recv().is_some() {
            received += 1;
        }
        received
    });
    let (enough, stop) = channel::<()>(0);
    let sent = thread::spawn(move || {
        let mut sent = 0;
        while !stop.is_closed() {
            sent += usize::from(tx.try_send(1).is_ok());
            thread::yield_now();
        }
        sent
    });
    let pollers = [(); 2].map(|()| Poller::new());
    let mut completed = 0;
    for round in 0..ROUNDS {
        let mut selecting = make();
        for poller in &pollers[..round % 3] {
            let (polled, won) = poller.poll(selecting);
            selecting = match won {
                true => make(),
                false => polled,
            };
            completed += usize::from(won);
        }
        completed += usize::from(finish(selecting));
    }
    drop((make, enough));
    assert_eq!(completed, sent.join().unwrap() + received.join().unwrap());
}

#[test]
fn selects_in_arms_of_selects_lose_nothing() {
    on_each(WORKERS, || async {
        const EACH: u32 = 300;
        let ((a, from_a), (b, from_b)) = (channel(0), channel(2));
        for tx in [a, b] {
            spawn(async move {
                for n in 1..=EACH {
                    tx.send(n).await.unwrap();
                }
            });
        }
        let mut readers = Vec::new();
        for _ in 0..3 {
            let (from_a, from_b) = (from_a.clone(), from_b.clone());
            readers.push(spawn(async move {
                let mut sum = 0;
                while !(from_a.is_closed() && from_b.is_closed()) {
                    let inner = async {
                        select! {
                            n = from_b.recv() => n,
                            n = async { select! { biased; n = from_a.recv() => n, n = from_b.recv() => n } } => n,
                        }
                    };
                    let received = select! {
                        n = from_a.recv(), if !from_a.is_closed() => n,
                        n = inner => n,
                    };
                    match received {
                        Some(n) => sum += n,
                        None => yield_now().await,
                    }
                }
                // Closed is not drained, and a select may find out about one of them only.
                for rx in [from_a, from_b] {
                    while let Some(n) = rx.recv().await {
                        sum += n;
                    }
                }
                sum
            }));
        }
        let mut sum = 0;
        for reader in readers {
            sum += reader.await.unwrap();
        }
        assert_eq!(sum, EACH * (EACH + 1));
    });
}

/// Two selects of one task, which can only meet each other.
#[test]
fn selects_that_are_joined_meet_each_other() {
    on_each(WORKERS, || async {
        let ((a, from_a), (b, from_b)) = (channel(0), channel(0));
        for round in 0..200 {
            let one = async {
                select! {
                    sent = a.send(round) => { sent.unwrap(); None }
                    n = from_b.recv() => n,
                }
            };
            let other = async {
                select! {
                    n = from_a.recv() => n,
                    sent = b.send(round) => { sent.unwrap(); None }
                }
            };
            let (one, other) = join(one, other).await;
            assert_eq!(one.xor(other), Some(round), "{one:?} {other:?}");
        }
    });
}

/// An arm that took effect again would send a value that is gone.
#[test]
fn a_list_that_has_completed_is_not_polled_again() {
    let (tx, rx) = channel(2);
    let expected = "a select was polled again after it had completed; make a new `Select`";
    let mut select = Select::new();
    select.send(&tx, String::from("once"), |sent| sent.is_ok());
    let mut trying = pin!(select.try_wait());
    assert_eq!(poll_once(trying.as_mut()), Poll::Ready(Some(true)));
    assert_eq!(message_of(|| poll_once(trying.as_mut())), expected);
    // The closure's panic ends it, too.
    let mut select = Select::<bool>::new();
    select.send(&tx, String::from("twice"), |_| panic!("in the closure"));
    let mut trying = pin!(select.try_wait());
    assert_eq!(message_of(|| poll_once(trying.as_mut())), "in the closure");
    assert_eq!(message_of(|| poll_once(trying.as_mut())), expected);
    let mut trying = pin!(Select::<bool>::new().try_wait());
    assert_eq!(poll_once(trying.as_mut()), Poll::Ready(None));
    assert_eq!(message_of(|| poll_once(trying.as_mut())), expected);
    assert_eq!(rx.try_recv().as_deref(), Ok("once"));
    assert_eq!(rx.try_recv().as_deref(), Ok("twice"));
    assert_eq!(rx.try_recv(), Err(TryRecvError::Empty));
}

#[test]
fn what_lost_is_gone_when_the_closure_runs() {
    let ((a, from_a), (b, from_b)) = (channel(1), channel(0));
    a.try_send(1).unwrap();
    let (mut job, lost) = (Some(String::from("a job")), b.clone());
    let mut select = Select::new();
    select
        .send_from(&b, &mut job, |_| 0)
        .future(std::future::pending::<()>(), |()| 0)
        .recv(&from_b, |_| 0)
        .recv(&from_a, |n| {
            // Neither the send nor the receive of this very select is there to be met.
            assert_eq!(
                lost.try_send(String::new()),
                Err(TrySendError::Full(String::new()))
            );
            n.unwrap()
        });
    assert_eq!(poll_once(pin!(select.wait())), Poll::Ready(1));
    assert_eq!(job.as_deref(), Some("a job"));
}

#[test]
fn a_biased_list_takes_the_first_that_is_ready() {
    for arms in [3, 40] {
        for ready in 0..50 {
            let channels: Vec<_> = (0..arms).map(|_| channel(1)).collect();
            let first = ready % arms;
            for (tx, _) in &channels[first..] {
                tx.try_send(()).unwrap();
            }
            let mut select = Select::new().biased();
            for (i, (_, rx)) in channels.iter().enumerate() {
                select.recv(rx, move |_| i);
            }
            assert_eq!(poll_once(pin!(select.wait())), Poll::Ready(first));
        }
    }
}

#[test]
fn a_list_may_have_65527_operations() {
    const MOST: usize = 65_527;
    on(2, async {
        let channels: Vec<_> = (0..MOST).map(|_| channel::<usize>(0)).collect();
        for lucky in [0, 40_000, MOST - 1] {
            let mut select = Select::new();
            for (i, (_, rx)) in channels.iter().enumerate() {
                select.recv(rx, move |n| (i, n));
            }
            assert_eq!(select.len(), MOST);
            let mut waiting = Box::pin(select.wait());
            assert!(poll_once(waiting.as_mut()).is_pending());
            // Looking again keeps its places.
            assert!(poll_once(waiting.as_mut()).is_pending());
            channels[lucky].0.try_send(lucky).unwrap();
            assert!(channels[1].0.try_send(0).is_err(), "one was enough");
            assert_eq!(waiting.await, (lucky, Some(lucky)));
        }
        let mut select = Select::new();
        for _ in 0..MOST {
            select.future(async {}, |()| ());
        }
        let message = message_of(|| select.future(async {}, |()| ()).len());
        assert_eq!(message, "a select has at most 65,527 operations");
        select.wait().await;
    });
}

/// The one who is woken is somebody else's code; that it panics takes nothing from those who met.
#[test]
fn a_peer_whose_waker_panics_costs_no_value() {
    let loud = Waker::from(Arc::new(Loud));
    // A select that finds a sender there.
    let (tx, rx) = channel(0);
    let mut send = pin!(tx.send(1));
    assert!(poll_with(&loud, send.as_mut()).is_pending());
    let select_it = || {
        poll_once(pin!(async {
            select! { n = rx.recv() => n }
        }))
    };
    assert_eq!(message_of(select_it), "a loud waker");
    assert!(poll_once(send).is_ready(), "it was sent");
    assert_eq!(rx.try_recv(), Ok(1), "and is still there");
    // A select that finds a receiver there.
    let mut recv = pin!(rx.recv());
    assert!(poll_with(&loud, recv.as_mut()).is_pending());
    let select_it = || {
        poll_once(pin!(async {
            select! { sent = tx.send(2) => sent.is_ok() }
        }))
    };
    assert_eq!(message_of(select_it), "a loud waker");
    assert_eq!(poll_once(recv), Poll::Ready(Some(2)));
    // A peer that finds a select there.
    let mut selecting = pin!(async {
        select! { n = rx.recv() => n }
    });
    assert!(poll_with(&loud, selecting.as_mut()).is_pending());
    assert_eq!(message_of(|| tx.try_send(3)), "a loud waker");
    assert_eq!(poll_once(selecting), Poll::Ready(Some(3)));
    // One that is dropped with a value, which goes to the next.
    let mut first = Box::pin(rx.recv());
    let mut second = pin!(rx.recv());
    assert!(poll_once(first.as_mut()).is_pending());
    assert!(poll_with(&loud, second.as_mut()).is_pending());
    tx.try_send(4).unwrap();
    assert_eq!(message_of(|| drop(first)), "a loud waker");
    assert_eq!(poll_once(second), Poll::Ready(Some(4)));
}

/// The last receiver goes, however loud those are who hear of it: what it leaves is dropped, and
/// all are told.
#[test]
fn a_receiver_that_goes_by_a_panic_is_gone() {
    let loud = Waker::from(Arc::new(Loud));
    let (tx, rx) = channel(1);
    let value = Arc::new(());
    tx.try_send(value.clone()).unwrap();
    let mut first = Box::pin(tx.send(value.clone()));
    let mut second = Box::pin(tx.send(value.clone()));
    assert!(poll_with(&loud, first.as_mut()).is_pending());
    assert!(poll_once(second.as_mut()).is_pending());
    assert_eq!(message_of(|| drop(rx)), "a loud waker");
    assert_eq!(
        Arc::strong_count(&value),
        3,
        "the buffered one has been dropped"
    );
    for send in [first, second] {
        assert!(matches!(runtime::block_on(send), Err(SendError(_))));
    }
    // One that goes as a stream with a value, to the next, who is loud.
    let (tx, mut rx) = channel(0);
    let other = rx.clone();
    assert!(poll_once(pin!(rx.next())).is_pending());
    let mut next = Box::pin(other.recv());
    assert!(poll_with(&loud, next.as_mut()).is_pending());
    tx.try_send(1).unwrap();
    assert_eq!(message_of(|| drop(rx)), "a loud waker");
    assert_eq!(poll_once(next.as_mut()), Poll::Ready(Some(1)));
    drop(next);
    drop(other);
    assert!(tx.is_closed(), "both handles are gone");
}

/// A value that panics when it is dropped.
struct LoudValue(bool);

impl Drop for LoudValue {
    fn drop(&mut self) {
        assert!(!self.0, "a loud value");
    }
}

#[test]
fn a_value_that_panics_when_it_loses_leaves_the_channels_usable() {
    let ((tx, rx), (won, winning)) = (channel(0), channel(1));
    let lose = |value| {
        won.try_send(1).unwrap();
        poll_once(pin!(async {
            select! {
                biased;
                n = winning.recv() => n,
                _ = tx.send(LoudValue(value)) => None,
            }
        }))
    };
    assert_eq!(message_of(|| lose(true)), "a loud value");
    assert_eq!(lose(false), Poll::Ready(Some(1)));
    // While it waits, too.
    let mut waiting = Box::pin(async {
        select! { _ = tx.send(LoudValue(true)) => {} }
    });
    assert!(poll_once(waiting.as_mut()).is_pending());
    assert_eq!(message_of(|| drop(waiting)), "a loud value");
    assert!(matches!(rx.try_recv(), Err(TryRecvError::Empty)));
    let mut send = pin!(tx.send(LoudValue(false)));
    assert!(poll_once(send.as_mut()).is_pending());
    assert!(rx.try_recv().is_ok() && poll_once(send).is_ready());
}

/// Closes both channels of selects that are about to meet, at any moment.
#[test]
fn closing_beside_selects_leaves_nobody_waiting() {
    for &workers in WORKERS {
        with_seeds(4, |seed| {
            on(workers, async move {
                let ((a, from_a), (b, from_b)) = (channel(0), channel(1));
                let mut selects = Vec::new();
                for i in 0..4_u64 {
                    let (a, from_a) = (a.clone(), from_a.clone());
                    let (b, from_b) = (b.clone(), from_b.clone());
                    selects.push(spawn(async move {
                        let (mut sum, mut out) = (0, 0);
                        loop {
                            let (sent, received) = select! {
                                sent = a.send(i) => (sent.map(|()| i), Ok(None)),
                                n = from_a.recv() => (Ok(0), n.map(Some).ok_or(())),
                                sent = b.send(i) => (sent.map(|()| i), Ok(None)),
                                n = from_b.recv() => (Ok(0), n.map(Some).ok_or(())),
                            };
                            let (Ok(sent), Ok(received)) = (sent, received) else {
                                return (sum, out);
                            };
                            out += sent;
                            sum += received.unwrap_or(0);
                        }
                    }));
                }
                pause(seed as usize % 12).await;
                a.close();
                pause(seed as usize % 7).await;
                from_b.close();
                let (mut sum, mut out) = (0, 0);
                for select in selects {
                    let (received, sent) = select.await.unwrap();
                    (sum, out) = (sum + received, out + sent);
                }
                while let Some(n) = from_b.recv().await {
                    sum += n;
                }
                assert_eq!(sum, out, "what was sent was received");
            });
        });
    }
}

#[test]
fn a_runtime_that_ends_takes_its_selects_with_it() {
    let ((tx, rx), (to, from)) = (channel::<u32>(0), channel(0));
    let runtime = runtime::Builder::new().max_procs(2).build().unwrap();
    for kind in 0..40 {
        let (rx, to) = (rx.clone(), to.clone());
        runtime.spawn(async move {
            if kind % 2 == 0 {
                select! { _ = rx.recv() => {}, _ = to.send(kind) => {} }
            } else {
                let mut select = Select::new();
                select.recv(&rx, |_| ()).send(&to, kind, |_| ());
                select.wait().await;
            }
        });
    }
    runtime.block_on(async { spawn(pause(10)).await.unwrap() });
    drop(runtime);
    assert_eq!(tx.try_send(1), Err(TrySendError::Full(1)));
    assert_eq!(from.try_recv(), Err(TryRecvError::Empty));
    assert!(!tx.is_closed() && !from.is_closed());
}

/// Where the worker has been given away a task may block as any thread.
#[test]
fn a_task_may_block_in_place_on_a_channel() {
    on_each(WORKERS, || async {
        let (tx, rx) = channel(0);
        let peer = spawn(async move {
            for n in 0..20 {
                tx.send(n).await.unwrap();
            }
        });
        let mut sum = 0;
        for _ in 0..20 {
            sum += block_in_place(|| rx.blocking_recv()).unwrap();
        }
        peer.await.unwrap();
        assert_eq!(sum, 190);
    });
}

/// A future that panics when it is polled takes the select with it, and another poll of the select
/// finds its channel arms in order.
#[test]
fn a_list_that_is_polled_after_a_panic_has_its_channels_in_order() {
    let (tx, rx) = channel(0);
    let mut polls = 0;
    let mut select = Select::new();
    select.recv(&rx, |n| n).future(
        poll_fn(move |_| {
            polls += 1;
            assert!(polls != 2, "on purpose");
            Poll::<()>::Pending
        }),
        |()| None,
    );
    let mut trying = Box::pin(select.wait());
    assert!(poll_once(trying.as_mut()).is_pending());
    assert_eq!(message_of(|| poll_once(trying.as_mut())), "on purpose");
    drop(trying);
    assert_eq!(tx.try_send(1), Err(TrySendError::Full(1)));
}
