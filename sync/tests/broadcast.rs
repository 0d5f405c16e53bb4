//! `broadcast` through its public face.
#![cfg(not(loom))]

mod support;

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicUsize, Ordering::*};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};
use std::thread;

use futures_util::StreamExt;
use runtime::{spawn, yield_now};
use support::{
    Random, WORKERS, blocks, give_up_after, message_of, on, on_each, pause, poll_once, times,
    with_seeds,
};
use sync::broadcast::{self, Lagged, Receiver, RecvError, Sender, TryRecvError};
use sync::{WaitGroup, select};

#[test]
fn a_weak_sender_keeps_nobody_waiting_for_more() {
    on_each(WORKERS, || async {
        let (tx, mut rx) = broadcast::channel(4);
        let (weak, other) = (tx.downgrade(), tx.downgrade().clone());
        assert_eq!(tx.senders(), 1);
        let made = weak.upgrade().unwrap();
        assert_eq!((rx.senders(), made.same_channel(&tx)), (2, true));
        drop(tx);
        made.send(1).unwrap();
        assert_eq!(rx.recv().await, Ok(1));
        let waits = spawn(async move { rx.recv().await });
        yield_now().await;
        drop(made);
        assert_eq!(waits.await.unwrap(), Err(RecvError::Closed));
        assert!(weak.upgrade().is_none() && other.upgrade().is_none());
    });
}

/// None is made after the last has gone, however close the two come.
#[test]
fn a_sender_is_made_before_the_last_has_gone_or_never() {
    for _ in 0..times(2_000) {
        let (tx, mut rx) = broadcast::channel(1);
        let weak = tx.downgrade();
        let thread = thread::spawn(move || drop(tx));
        match weak.upgrade() {
            Some(made) => assert_eq!(made.send(1).ok(), Some(1)),
            None => assert_eq!(rx.try_recv(), Err(TryRecvError::Closed)),
        }
        thread.join().unwrap();
        assert!(weak.upgrade().is_none());
    }
}

#[test]
fn every_receiver_gets_every_value_in_order() {
    const VALUES: u32 = 200;
    on_each(WORKERS, || async {
        let (tx, rx) = broadcast::channel(VALUES as usize);
        drop(rx);
        let receivers: Vec<_> = (0..20)
            .map(|_| {
                let mut rx = tx.subscribe();
                spawn(async move {
                    for n in 0..VALUES {
                        assert_eq!(rx.recv().await, Ok(n));
                    }
                    assert_eq!(rx.recv().await, Err(RecvError::Closed));
                })
            })
            .collect();
        for n in 0..VALUES {
            assert_eq!(tx.send(n).unwrap(), 20);
            if n % 7 == 0 {
                pause(1).await;
            }
        }
        drop(tx);
        for receiver in receivers {
            receiver.await.unwrap();
        }
    });
}

#[test]
fn many_senders_are_seen_in_the_same_order_by_all() {
    const SENDERS: u64 = 4;
    const VALUES: u64 = 250;
    on_each(WORKERS, || async {
        let (tx, rx) = broadcast::channel((SENDERS * VALUES) as usize);
        let receivers: Vec<_> = (0..4)
            .map(|_| {
                let mut rx = tx.subscribe();
                spawn(async move {
                    let mut all = Vec::new();
                    while let Ok(value) = rx.recv().await {
                        all.push(value);
                    }
                    all
                })
            })
            .collect();
        drop(rx);
        for sender in 0..SENDERS {
            let tx = tx.clone();
            spawn(async move {
                for n in 0..VALUES {
                    tx.send((sender, n)).unwrap();
                    if n % 16 == 0 {
                        pause(1).await;
                    }
                }
            });
        }
        drop(tx);
        let mut seen = Vec::new();
        for receiver in receivers {
            seen.push(receiver.await.unwrap());
        }
        assert_eq!(seen[0].len() as u64, SENDERS * VALUES);
        assert!(seen.iter().all(|all| *all == seen[0]));
        for sender in 0..SENDERS {
            let of_one = seen[0].iter().filter(|(who, _)| *who == sender);
            assert!(of_one.map(|&(_, n)| n).eq(0..VALUES));
        }
    });
}

#[test]
fn one_that_lags_is_told_how_many_it_missed_and_goes_on_with_the_oldest() {
    on_each(WORKERS, || async {
        let (tx, mut rx) = broadcast::channel(3);
        for n in 0..10 {
            tx.send(n).unwrap();
        }
        assert_eq!((rx.len(), tx.len()), (3, 3));
        assert_eq!(rx.recv().await, Err(RecvError::Lagged(7)));
        for n in 7..10 {
            assert_eq!(rx.recv().await, Ok(n));
        }
        blocks(rx.recv()).await;
        for n in 10..14 {
            tx.send(n).unwrap();
        }
        assert_eq!(rx.try_recv(), Err(TryRecvError::Lagged(1)));
        drop(tx);
        for n in 11..14 {
            assert_eq!(rx.try_recv(), Ok(n));
        }
        assert_eq!(rx.try_recv(), Err(TryRecvError::Closed));
        assert_eq!(rx.recv().await, Err(RecvError::Closed));
    });
}

#[test]
fn a_receiver_begins_with_what_is_sent_after_it_came() {
    let (tx, mut one) = broadcast::channel(4);
    tx.send(1).unwrap();
    let (mut two, mut three) = (tx.subscribe(), one.resubscribe());
    assert_eq!(tx.send(2).unwrap(), 3);
    assert_eq!((one.try_recv(), one.try_recv()), (Ok(1), Ok(2)));
    assert_eq!((two.try_recv(), three.try_recv()), (Ok(2), Ok(2)));
    for rx in [&mut one, &mut two, &mut three] {
        assert_eq!(rx.try_recv(), Err(TryRecvError::Empty));
    }
}

#[test]
fn the_end_of_the_last_sender_is_told_after_the_last_value() {
    on_each(WORKERS, || async {
        let (tx, mut rx) = broadcast::channel(4);
        let other = tx.clone();
        drop(tx);
        blocks(rx.recv()).await;
        assert!(!rx.is_closed());
        let waiting = spawn(async move { (rx.recv().await, rx.recv().await, rx.recv().await) });
        pause(3).await;
        other.send(1).unwrap();
        drop(other);
        let closed = Err(RecvError::Closed);
        assert_eq!(waiting.await.unwrap(), (Ok(1), closed, closed));
    });
}

#[test]
fn without_a_receiver_a_send_gives_the_value_back() {
    let tx = broadcast::Sender::new(2);
    assert_eq!(tx.send("lost").unwrap_err().into_inner(), "lost");
    let mut rx = tx.subscribe();
    assert_eq!(tx.send("seen"), Ok(1));
    assert_eq!(rx.try_recv(), Ok("seen"));
    drop(rx);
    assert!(tx.send("lost").is_err());
}

#[test]
fn a_capacity_of_zero_is_refused_with_the_cure() {
    let message = message_of(|| broadcast::channel::<u32>(0));
    assert!(message.contains("broadcast::channel") && message.contains("sync::channel(0)"));
}

/// Counts how many of it there are, and how many clones were made.
#[derive(Debug)]
struct Counted {
    alive: Arc<AtomicUsize>,
    clones: Arc<AtomicUsize>,
}

impl Counted {
    fn new(alive: &Arc<AtomicUsize>, clones: &Arc<AtomicUsize>) -> Self {
        alive.fetch_add(1, SeqCst);
        Self {
            alive: alive.clone(),
            clones: clones.clone(),
        }
    }
}

impl Clone for Counted {
    fn clone(&self) -> Self {
        self.clones.fetch_add(1, SeqCst);
        Self::new(&self.alive, &self.clones)
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.alive.fetch_sub(1, SeqCst);
    }
}

#[test]
fn a_value_is_kept_until_all_have_passed_it_and_the_last_gets_it_without_a_clone() {
    let (alive, clones) = <(Arc<AtomicUsize>, Arc<AtomicUsize>)>::default();
    let (tx, mut one) = broadcast::channel(4);
    let (mut two, three) = (tx.subscribe(), tx.subscribe());
    for _ in 0..2 {
        tx.send(Counted::new(&alive, &clones)).unwrap();
    }
    drop(one.try_recv().unwrap());
    assert_eq!((alive.load(SeqCst), clones.load(SeqCst)), (2, 1));
    drop(three); // passes both
    assert_eq!((alive.load(SeqCst), tx.len()), (2, 2));
    drop(two.try_recv().unwrap());
    assert_eq!(alive.load(SeqCst), 1, "the first has been seen by all");
    assert_eq!(clones.load(SeqCst), 1, "and the last took it");
    assert_eq!((tx.len(), one.len(), two.len()), (1, 1, 1));
    drop((one, two));
    assert_eq!((alive.load(SeqCst), tx.len()), (0, 0));
    drop(tx);
}

type Then = Box<dyn FnOnce() + Send>;

/// A value in whose clone something else happens, once.
struct Meanwhile {
    alive: Arc<()>,
    then: Arc<Mutex<Option<Then>>>,
}

impl Clone for Meanwhile {
    fn clone(&self) -> Self {
        let then = self.then.lock().unwrap().take();
        then.into_iter().for_each(|then| then());
        Self {
            alive: self.alive.clone(),
            then: self.then.clone(),
        }
    }
}

/// The last to see it finds another still cloning from where it lies: the ring keeps nothing.
#[test]
fn a_value_that_the_last_one_sees_while_another_clones_is_not_kept() {
    let (tx, mut one) = broadcast::channel(4);
    let mut two = tx.subscribe();
    let value = Meanwhile {
        alive: Arc::default(),
        then: Arc::default(),
    };
    let (alive, then) = (value.alive.clone(), value.then.clone());
    assert!(tx.send(value).is_ok());
    *then.lock().unwrap() = Some(Box::new(move || {
        drop(two.try_recv().unwrap());
    }));
    drop(one.try_recv().unwrap());
    assert_eq!((Arc::strong_count(&alive), tx.len()), (1, 0));
}

#[test]
fn values_that_are_overwritten_or_left_behind_are_dropped_once() {
    let (alive, clones) = <(Arc<AtomicUsize>, Arc<AtomicUsize>)>::default();
    let (tx, rx) = broadcast::channel(3);
    for _ in 0..8 {
        tx.send(Counted::new(&alive, &clones)).unwrap();
    }
    assert_eq!(alive.load(SeqCst), 3);
    drop(tx);
    assert_eq!(alive.load(SeqCst), 3);
    drop(rx);
    assert_eq!((alive.load(SeqCst), clones.load(SeqCst)), (0, 0));
}

/// Asks the channel for everything while it is cloned and while it is dropped: that would hang
/// under any lock.
struct Nosy(Option<Sender<Nosy>>);

impl Nosy {
    fn ask(&self) {
        if let Some(tx) = &self.0 {
            let _ = (tx.len(), tx.receivers(), tx.send(Nosy(None)).is_ok());
            let _ = tx.subscribe().try_recv().is_ok();
        }
    }
}

impl Clone for Nosy {
    fn clone(&self) -> Self {
        self.ask();
        Self(self.0.clone())
    }
}

impl Drop for Nosy {
    fn drop(&mut self) {
        self.ask();
    }
}

#[test]
fn values_are_cloned_and_dropped_under_no_lock() {
    on(2, async {
        for capacity in 1..4 {
            let (tx, mut one) = broadcast::channel(capacity);
            let two = tx.subscribe();
            for _ in 0..5 {
                tx.send(Nosy(Some(tx.clone()))).unwrap();
                let _ = one.try_recv();
            }
            drop(two);
            while one.try_recv().is_ok() {}
        }
    });
}

/// Blocks its first clone until it is told to go on.
struct Slow {
    number: u32,
    cloning: Arc<AtomicUsize>,
    go_on: Arc<AtomicUsize>,
}

impl Clone for Slow {
    fn clone(&self) -> Self {
        self.cloning.fetch_add(1, SeqCst);
        while self.go_on.load(SeqCst) == 0 {
            thread::yield_now();
        }
        Self {
            number: self.number,
            cloning: self.cloning.clone(),
            go_on: self.go_on.clone(),
        }
    }
}

#[test]
fn a_slow_clone_delays_neither_senders_nor_other_receivers() {
    on(1, async {
        let (cloning, go_on) = <(Arc<AtomicUsize>, Arc<AtomicUsize>)>::default();
        let slow = |number| Slow {
            number,
            cloning: cloning.clone(),
            go_on: go_on.clone(),
        };
        let (tx, mut one) = broadcast::channel(1);
        let mut two = tx.subscribe();
        tx.send(slow(1)).unwrap();
        let cloner = thread::spawn(move || (one.try_recv().unwrap().number, one));
        while cloning.load(SeqCst) == 0 {
            thread::yield_now();
        }
        // The slot is overwritten several times while the first value is still being cloned.
        for n in 2..5 {
            tx.send(slow(n)).unwrap();
        }
        assert_eq!(two.try_recv().err(), Some(TryRecvError::Lagged(3)));
        go_on.store(1, SeqCst);
        assert_eq!(two.try_recv().unwrap().number, 4);
        let (number, mut one) = cloner.join().unwrap();
        assert_eq!(number, 1);
        assert_eq!(one.try_recv().err(), Some(TryRecvError::Lagged(2)));
        assert_eq!(one.try_recv().unwrap().number, 4);
    });
}

/// Panics when it is cloned, or dropped, if it is told to.
struct Touchy {
    clone: bool,
    drop: bool,
}

impl Clone for Touchy {
    fn clone(&self) -> Self {
        assert!(!self.clone, "cannot be cloned");
        Self {
            clone: false,
            drop: false,
        }
    }
}

impl Drop for Touchy {
    fn drop(&mut self) {
        assert!(!self.drop, "cannot be dropped");
    }
}

#[test]
fn a_panic_in_clone_or_drop_leaves_the_channel_usable() {
    let (tx, mut one) = broadcast::channel(4);
    let mut two = tx.subscribe();
    let touchy = |clone, drop| Touchy { clone, drop };
    tx.send(touchy(true, false)).unwrap();
    tx.send(touchy(false, false)).unwrap();
    assert!(catch_unwind(AssertUnwindSafe(|| drop(one.try_recv()))).is_err());
    assert!(one.try_recv().is_ok(), "the first counts as received");
    assert!(two.try_recv().is_ok() && two.try_recv().is_ok());
    for drop in [true, false, false] {
        tx.send(touchy(false, drop)).unwrap();
    }
    drop(two);
    assert!(catch_unwind(AssertUnwindSafe(|| drop(one))).is_err());
    assert_eq!((tx.len(), tx.receivers()), (0, 0), "all were passed");
}

#[test]
fn a_recv_that_is_dropped_has_received_nothing() {
    let (tx, mut rx) = broadcast::channel(2);
    {
        let mut recv = pin!(rx.recv());
        assert!(poll_once(recv.as_mut()).is_pending());
        tx.send(1).unwrap();
    }
    assert_eq!(poll_once(pin!(rx.recv())), Poll::Ready(Ok(1)));
}

#[test]
fn it_can_be_an_arm_of_a_select() {
    on_each(WORKERS, || async {
        let (tx, mut rx) = broadcast::channel(2);
        for n in 0..10 {
            select! {
                _ = rx.recv() => unreachable!(),
                () = runtime::yield_now() => {}
            }
            tx.send(n).unwrap();
            select! {
                got = rx.recv() => assert_eq!(got, Ok(n)),
            }
        }
    });
}

#[test]
fn as_a_stream_it_yields_what_was_missed_and_ends() {
    on_each(WORKERS, || async {
        let (tx, mut rx) = broadcast::channel(2);
        for n in 0..3 {
            tx.send(n).unwrap();
        }
        assert_eq!(rx.next().await, Some(Err(Lagged(1))));
        let rest = spawn(rx.collect::<Vec<_>>());
        for n in [3, 4] {
            // There is room for it.
            while !tx.is_empty() {
                runtime::yield_now().await;
            }
            tx.send(n).unwrap();
        }
        drop(tx);
        assert_eq!(rest.await.unwrap(), [Ok(1), Ok(2), Ok(3), Ok(4)]);
    });
}

#[test]
fn a_stream_that_is_dropped_while_it_waits_leaves_no_waiter() {
    let (tx, mut rx) = broadcast::channel(2);
    let mut cx = Context::from_waker(Waker::noop());
    assert!(rx.poll_next_unpin(&mut cx).is_pending());
    // It may go from stream to future and back.
    assert!(poll_once(pin!(rx.recv())).is_pending());
    assert!(rx.poll_next_unpin(&mut cx).is_pending());
    drop(rx);
    assert!(tx.send(1).is_err());
    let mut rx = tx.subscribe();
    tx.send(2).unwrap();
    assert_eq!(rx.poll_next_unpin(&mut cx), Poll::Ready(Some(Ok(2))));
}

#[test]
fn a_thread_waits_for_a_task() {
    on_each(WORKERS, || async {
        let (tx, mut rx) = broadcast::channel(1);
        let thread = thread::spawn(move || (rx.blocking_recv(), rx.blocking_recv()));
        pause(10).await;
        tx.send(1).unwrap();
        while !tx.is_empty() {
            runtime::yield_now().await;
        }
        drop(tx);
        assert_eq!(thread.join().unwrap(), (Ok(1), Err(RecvError::Closed)));
    });
}

#[test]
fn blocking_inside_a_task_says_what_to_do_instead() {
    on(1, async {
        let (_tx, mut rx) = broadcast::channel::<u32>(1);
        let message = message_of(|| rx.blocking_recv());
        assert!(
            message.contains("blocking_recv called inside a task"),
            "{message}"
        );
        assert!(message.contains("recv().await"), "{message}");
    });
}

#[test]
fn one_send_wakes_ten_thousand_without_holding_the_lock() {
    on_each(WORKERS, || async {
        const RECEIVERS: usize = 10_000;
        let (tx, rx) = broadcast::channel(4);
        let group = WaitGroup::new();
        let ready = WaitGroup::new();
        for _ in 0..RECEIVERS {
            let mut rx = tx.subscribe();
            let ready = ready.guard();
            group.spawn(async move {
                let mut recv = pin!(rx.recv());
                assert!(poll_once(recv.as_mut()).is_pending());
                drop(ready);
                assert_eq!(recv.await, Ok(1));
            });
        }
        drop(rx);
        ready.wait().await;
        assert_eq!(tx.send(1).unwrap(), RECEIVERS);
        group.wait().await;
        assert!(tx.is_empty());
    });
}

#[test]
fn debug_shows_the_figures() {
    let (tx, mut rx) = broadcast::channel(4);
    tx.send(1).unwrap();
    assert_eq!(
        format!("{tx:?} {rx:?}"),
        "Sender { capacity: 4, len: 1, receivers: 1 } Receiver { len: 1, closed: false, .. }"
    );
    assert_eq!(format!("{:?}", rx.recv()), "Recv { next: 0, .. }");
}

#[test]
fn futures_and_handles_can_move_between_threads() {
    fn is_send_and_sync<T: Send + Sync>(_: &T) {}
    let (tx, mut rx) = broadcast::channel::<u32>(1);
    is_send_and_sync(&tx);
    is_send_and_sync(&rx);
    is_send_and_sync(&rx.recv());
}

/// Each step is done to the channel and to a plain list, and both must say the same.
fn program(seed: u64) {
    let mut random = Random::new(seed);
    let capacity = 1 + random.below(5);
    let (tx, rx) = broadcast::channel(capacity);
    let mut senders = vec![tx];
    // A receiver, and what it has yet to see with what it has missed before that.
    let mut receivers: Vec<(Receiver<u64>, VecDeque<u64>, u64)> = vec![(rx, VecDeque::new(), 0)];
    let mut number = 0;
    for _ in 0..300 {
        match random.below(10) {
            0..4 if !senders.is_empty() => {
                let sent = senders[random.below(senders.len())].send(number);
                assert_eq!(sent.ok(), Some(receivers.len()).filter(|&n| n > 0));
                for (_, expected, missed) in &mut receivers {
                    expected.push_back(number);
                    if expected.len() > capacity {
                        expected.pop_front();
                        *missed += 1;
                    }
                }
                number += 1;
            }
            4..8 if !receivers.is_empty() => {
                let which = random.below(receivers.len());
                let (rx, expected, missed) = &mut receivers[which];
                let outcome = match (std::mem::take(missed), senders.is_empty()) {
                    (0, closed) => match expected.pop_front() {
                        Some(value) => Ok(value),
                        None if closed => Err(TryRecvError::Closed),
                        None => Err(TryRecvError::Empty),
                    },
                    (missed, _) => Err(TryRecvError::Lagged(missed)),
                };
                let got = match random.below(3) {
                    0 => rx.try_recv(),
                    1 => match poll_once(pin!(rx.recv())) {
                        Poll::Ready(got) => got.map_err(TryRecvError::from),
                        Poll::Pending => Err(TryRecvError::Empty),
                    },
                    _ => {
                        match Pin::new(rx).poll_next_unpin(&mut Context::from_waker(Waker::noop()))
                        {
                            Poll::Ready(Some(got)) => {
                                got.map_err(|Lagged(n)| TryRecvError::Lagged(n))
                            }
                            Poll::Ready(None) => Err(TryRecvError::Closed),
                            Poll::Pending => Err(TryRecvError::Empty),
                        }
                    }
                };
                assert_eq!(got, outcome);
            }
            8 => match random.below(4) {
                0 if !senders.is_empty() && random.chance(10) => {
                    senders.swap_remove(random.below(senders.len()));
                }
                1 if !senders.is_empty() => senders.push(senders[0].clone()),
                _ => {}
            },
            _ => match random.below(3) {
                0 if !receivers.is_empty() && random.chance(50) => {
                    receivers.swap_remove(random.below(receivers.len()));
                }
                1 if !receivers.is_empty() => {
                    let rx = receivers[random.below(receivers.len())].0.resubscribe();
                    receivers.push((rx, VecDeque::new(), 0));
                }
                2 if !senders.is_empty() => {
                    receivers.push((senders[0].subscribe(), VecDeque::new(), 0));
                }
                _ => {}
            },
        }
        for (rx, expected, _) in &receivers {
            assert_eq!(
                (rx.len(), rx.is_closed()),
                (expected.len(), senders.is_empty())
            );
        }
        let most = receivers
            .iter()
            .map(|(_, expected, _)| expected.len())
            .max();
        if let Some(tx) = senders.first() {
            assert_eq!(
                (tx.len(), tx.receivers()),
                (most.unwrap_or(0), receivers.len())
            );
        }
    }
}

#[test]
fn every_step_is_as_in_the_reference_model() {
    with_seeds(300, program);
}

#[test]
fn random_cancellation_loses_no_value() {
    with_seeds(4, |seed| {
        for &workers in WORKERS {
            on(workers, random_cancellation(seed));
        }
    });
}

/// Receivers give up again and again; each still sees every value, or is told that it missed it.
async fn random_cancellation(seed: u64) {
    const VALUES: u64 = 60;
    let mut random = Random::new(seed);
    for _ in 0..10 {
        let (tx, rx) = broadcast::channel(1 + random.below(4));
        let group = WaitGroup::new();
        for task in 0..8 {
            let mut rx = tx.subscribe();
            let mut random = Random::new(random.next() ^ (task << 40));
            group.spawn(async move {
                let mut next = 0;
                loop {
                    let patient = random.chance(60);
                    let polls = if patient { usize::MAX } else { random.below(4) };
                    match give_up_after(polls, rx.recv()).await {
                        None => pause(random.below(2)).await,
                        Some(Ok(value)) => {
                            assert_eq!(value, next);
                            next += 1;
                        }
                        Some(Err(RecvError::Lagged(missed))) => next += missed,
                        Some(Err(RecvError::Closed)) => break,
                    }
                }
                assert_eq!(next, VALUES);
            });
        }
        drop(rx);
        for n in 0..VALUES {
            tx.send(n).unwrap();
            pause(random.below(3)).await;
        }
        drop(tx);
        group.wait().await;
    }
}
