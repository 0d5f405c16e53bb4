//! Go's observable channel and select behaviour, one test a behaviour. Written anew after what the
//! tests of Go 1.27 check (`runtime/chan_test.go`, `test/chan/*.go`, `test/closedchan.go`,
//! `test/chancap.go`); the comment names them.
#![cfg(not(loom))]

mod support;

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::*};

use runtime::{spawn, yield_now};
use support::{WORKERS, blocks, on_each};
use sync::{Receiver, Sender, TryRecvError, TrySendError, channel, never, select};

/// Capacities that exercise the rendezvous, the smallest rings, and one with room.
const CAPACITIES: [usize; 5] = [0, 1, 2, 7, 100];

// TestChan
#[test]
fn receiving_from_an_empty_channel_waits() {
    on_each(WORKERS, || async {
        for capacity in CAPACITIES {
            let (tx, rx) = channel::<u32>(capacity);
            blocks(rx.recv()).await;
            assert_eq!(rx.try_recv(), Err(TryRecvError::Empty));
            let waited = select! { _ = rx.recv() => false, default => true };
            assert!(waited);
            drop(tx);
        }
    });
}

// TestChan
#[test]
fn sending_to_a_full_channel_waits() {
    on_each(WORKERS, || async {
        for capacity in CAPACITIES {
            let (tx, rx) = channel(capacity);
            for n in 0..capacity {
                tx.send(n).await.unwrap();
            }
            blocks(tx.send(0)).await;
            assert_eq!(tx.try_send(5), Err(TrySendError::Full(5)));
            let waited = select! { _ = tx.send(0) => false, default => true };
            assert!(waited);
            drop(rx);
        }
    });
}

// TestChan
#[test]
fn a_closed_channel_drains_and_then_yields_none() {
    on_each(WORKERS, || async {
        for capacity in CAPACITIES {
            let (tx, rx) = channel(capacity);
            for n in 0..capacity {
                tx.send(n).await.unwrap();
            }
            tx.close();
            for n in 0..capacity {
                assert_eq!(rx.recv().await, Some(n));
            }
            assert_eq!(rx.recv().await, None);
            assert_eq!(rx.recv().await, None);
            assert_eq!(rx.try_recv(), Err(TryRecvError::Closed));
        }
    });
}

// TestChan
#[test]
fn close_wakes_a_waiting_receiver() {
    on_each(WORKERS, || async {
        for capacity in CAPACITIES {
            let (tx, rx) = channel::<u32>(capacity);
            let waiting = spawn(async move { rx.recv().await });
            yield_now().await;
            tx.close();
            assert_eq!(waiting.await.unwrap(), None);
        }
    });
}

// TestChan
#[test]
fn values_arrive_in_the_order_of_sending() {
    on_each(WORKERS, || async {
        for capacity in CAPACITIES {
            let (tx, rx) = channel(capacity);
            spawn(async move {
                for n in 0..100 {
                    tx.send(n).await.unwrap();
                }
            });
            for n in 0..100 {
                assert_eq!(rx.recv().await, Some(n));
            }
        }
    });
}

// TestChan
#[test]
fn four_senders_and_four_receivers_exchange_each_value_once() {
    const EACH: u32 = 1000;
    on_each(WORKERS, || async {
        for capacity in CAPACITIES {
            let (tx, rx) = channel(capacity);
            for _ in 0..4 {
                let tx = tx.clone();
                spawn(async move {
                    for n in 0..EACH {
                        tx.send(n).await.unwrap();
                    }
                });
            }
            drop(tx);
            let mut receivers = Vec::new();
            for _ in 0..4 {
                let rx = rx.clone();
                receivers.push(spawn(async move {
                    let mut received = HashMap::new();
                    while let Some(n) = rx.recv().await {
                        *received.entry(n).or_insert(0) += 1;
                    }
                    received
                }));
            }
            let mut total = HashMap::new();
            for receiver in receivers {
                for (n, count) in receiver.await.unwrap() {
                    *total.entry(n).or_insert(0) += count;
                }
            }
            assert_eq!(total.len(), EACH as usize);
            assert!(total.values().all(|&count| count == 4));
        }
    });
}

// TestChan, test/chancap.go
#[test]
fn len_and_capacity_are_those_of_the_buffer() {
    on_each(WORKERS, || async {
        for capacity in CAPACITIES {
            let (tx, rx) = channel(capacity);
            assert_eq!((tx.len(), tx.capacity()), (0, capacity));
            for n in 0..capacity {
                tx.send(n).await.unwrap();
                assert_eq!(rx.len(), n + 1);
            }
            assert!(tx.is_full());
            assert_eq!((rx.len(), rx.capacity()), (capacity, capacity));
        }
    });
}

// TestNonblockRecvRace
#[test]
fn trying_to_receive_beside_a_close_never_misses_the_value() {
    on_each(WORKERS, || async {
        for _ in 0..2_000 {
            let (tx, rx) = channel(1);
            tx.send(1).await.unwrap();
            let trying = spawn(async move {
                let taken = select! { n = rx.recv() => n, default => None };
                assert_eq!(taken, Some(1), "not ready although it held a value");
            });
            tx.close();
            trying.await.unwrap();
        }
    });
}

// TestNonblockSelectRace
#[test]
fn default_is_never_taken_while_one_of_two_sends_is_there() {
    on_each(WORKERS, || async {
        for _ in 0..5_000 {
            let (tx1, rx1) = channel(1);
            let (tx2, rx2) = channel(1);
            tx1.send(1).await.unwrap();
            let rx1b = rx1.clone();
            let trying = spawn(async move {
                select! {
                    _ = rx1.recv() => true,
                    _ = rx2.recv() => true,
                    default => false,
                }
            });
            // A value is in the second before it leaves the first.
            let _ = tx2.try_send(1);
            let _ = rx1b.try_recv();
            assert!(trying.await.unwrap(), "no channel was ready");
        }
    });
}

// TestNonblockSelectRace2
#[test]
fn default_is_never_taken_while_one_of_two_is_ready_or_closed() {
    on_each(WORKERS, || async {
        for _ in 0..5_000 {
            let (tx1, rx1) = channel(1);
            let (tx2, rx2) = channel::<u32>(0);
            tx1.send(1).await.unwrap();
            let rx1b = rx1.clone();
            let trying = spawn(async move {
                select! {
                    _ = rx1.recv() => true,
                    _ = rx2.recv() => true,
                    default => false,
                }
            });
            tx2.close();
            let _ = rx1b.try_recv();
            assert!(trying.await.unwrap(), "no channel was ready");
        }
    });
}

// TestSelfSelect
#[test]
fn a_select_never_receives_what_it_sends() {
    on_each(WORKERS, || async {
        for capacity in [0, 10] {
            let (tx, rx) = channel(capacity);
            let tasks: Vec<_> = (0..2)
                .map(|me| {
                    let (tx, rx) = (tx.clone(), rx.clone());
                    spawn(async move {
                        for round in 0..1_000 {
                            let swap = me == 0 || round % 2 == 0;
                            if swap {
                                select! {
                                    sent = tx.send(me) => sent.unwrap(),
                                    got = rx.recv() => assert!(capacity > 0 || got != Some(me), "self receive"),
                                }
                            } else {
                                select! {
                                    got = rx.recv() => assert!(capacity > 0 || got != Some(me), "self receive"),
                                    sent = tx.send(me) => sent.unwrap(),
                                }
                            }
                        }
                    })
                })
                .collect();
            for task in tasks {
                task.await.unwrap();
            }
        }
    });
}

// TestSelfSelect: alone, it waits
#[test]
fn a_select_alone_on_both_ends_waits() {
    on_each(WORKERS, || async {
        let (tx, rx) = channel(0);
        blocks(async {
            select! {
                _ = tx.send(1) => {}
                _ = rx.recv() => {}
            }
        })
        .await;
        // It left nothing behind.
        assert_eq!(rx.try_recv(), Err(TryRecvError::Empty));
        assert!(tx.try_send(1).unwrap_err().is_full());
    });
}

// TestSelectStress
#[test]
fn selects_and_plain_operations_mix_on_four_channels() {
    const N: usize = 2_000;
    on_each(WORKERS, || async {
        let channels: Vec<_> = [0, 0, 2, 3].into_iter().map(channel::<usize>).collect();
        let mut tasks = Vec::new();
        for (tx, rx) in &channels {
            let tx = tx.clone();
            tasks.push(spawn(async move {
                for _ in 0..N {
                    tx.send(0).await.unwrap();
                }
            }));
            let rx = rx.clone();
            tasks.push(spawn(async move {
                for _ in 0..N {
                    rx.recv().await.unwrap();
                }
            }));
        }
        let tx: Vec<_> = channels.iter().map(|(tx, _)| tx.clone()).collect();
        tasks.push(spawn(async move {
            let mut left = [N; 4];
            while left != [0; 4] {
                select! {
                    sent = tx[3].send(0), if left[3] > 0 => { sent.unwrap(); left[3] -= 1 }
                    sent = tx[2].send(0), if left[2] > 0 => { sent.unwrap(); left[2] -= 1 }
                    sent = tx[0].send(0), if left[0] > 0 => { sent.unwrap(); left[0] -= 1 }
                    sent = tx[1].send(0), if left[1] > 0 => { sent.unwrap(); left[1] -= 1 }
                }
            }
        }));
        let mut rx: Vec<_> = channels.iter().map(|(_, rx)| rx.clone()).collect();
        tasks.push(spawn(async move {
            let mut left = [N; 4];
            while left != [0; 4] {
                let from = select! {
                    got = rx[0].recv() => { got.unwrap(); 0 }
                    got = rx[1].recv() => { got.unwrap(); 1 }
                    got = rx[2].recv() => { got.unwrap(); 2 }
                    got = rx[3].recv() => { got.unwrap(); 3 }
                };
                left[from] -= 1;
                if left[from] == 0 {
                    rx[from] = never();
                }
            }
        }));
        for task in tasks {
            task.await.unwrap();
        }
    });
}

// TestSelectFairness
#[test]
fn two_ready_arms_of_four_are_chosen_equally_often() {
    const TRIALS: u32 = 10_000;
    on_each(WORKERS, || async {
        let (tx1, rx1) = channel(TRIALS as usize + 1);
        let (tx2, rx2) = channel(TRIALS as usize + 1);
        for n in 0..=TRIALS {
            tx1.send(n).await.unwrap();
            tx2.send(n).await.unwrap();
        }
        let (rx3, rx4) = (never::<u32>(), never::<u32>());
        let (mut first, mut second) = (0u32, 0u32);
        for _ in 0..TRIALS {
            select! {
                _ = rx3.recv() => unreachable!(),
                _ = rx1.recv() => first += 1,
                _ = rx2.recv() => second += 1,
                _ = rx4.recv() => unreachable!(),
            }
        }
        // 5,000 expected, with a standard deviation of 50.
        assert!(first.abs_diff(5_000) < 500, "{first} {second}");
    });
}

// TestPseudoRandomSend
#[test]
fn two_sends_to_one_channel_both_get_their_turn() {
    on_each(WORKERS, || async {
        for capacity in CAPACITIES {
            let (tx, rx) = channel(capacity);
            let receiver = spawn(async move {
                let mut ones = 0;
                for _ in 0..1_000 {
                    yield_now().await;
                    ones += rx.recv().await.unwrap();
                }
                ones
            });
            for _ in 0..1_000 {
                select! {
                    sent = tx.send(0) => sent.unwrap(),
                    sent = tx.send(1) => sent.unwrap(),
                }
            }
            let ones = receiver.await.unwrap();
            assert!((100..=900).contains(&ones), "{ones} of 1000");
        }
    });
}

// TestMultiConsumer
#[test]
fn twenty_three_workers_share_the_work() {
    const SHARING: usize = 23;
    const ITEMS: usize = 27_182;
    const PRIMES: [usize; 8] = [2, 3, 7, 11, 13, 17, 19, 29];
    on_each(WORKERS, || async {
        let (work, todo) = channel(SHARING * 3);
        let (done, results) = channel(SHARING * 3);
        for w in 0..SHARING {
            let (todo, done) = (todo.clone(), done.clone());
            spawn(async move {
                while let Some(n) = todo.recv().await {
                    if PRIMES[w % PRIMES.len()] == n {
                        yield_now().await;
                    }
                    done.send(n).await.unwrap();
                }
            });
        }
        drop((todo, done));
        let expected = spawn(async move {
            let mut sum = 0;
            for n in 0..ITEMS {
                let item = PRIMES[n % PRIMES.len()];
                sum += item;
                work.send(item).await.unwrap();
            }
            sum
        });
        let (mut count, mut sum) = (0, 0);
        while let Some(item) = results.recv().await {
            count += 1;
            sum += item;
        }
        assert_eq!((count, sum), (ITEMS, expected.await.unwrap()));
    });
}

// TestSelectDuplicateChannel
#[test]
fn one_channel_twice_in_a_select_leaves_its_queue_intact() {
    on_each(WORKERS, || async {
        let (c, c_rx) = channel(0);
        let (d, d_rx) = channel(0);
        let (e, e_rx) = channel::<u32>(0);
        let first = spawn({
            let c_rx = c_rx.clone();
            async move {
                select! {
                    n = c_rx.recv() => n,
                    n = c_rx.recv() => n,
                    n = d_rx.recv() => n,
                }
            }
        });
        blocks(yield_many()).await;
        let second = spawn(async move { c_rx.recv().await });
        blocks(yield_many()).await;
        d.send(7).await.unwrap();
        assert_eq!(first.await.unwrap(), Some(7));
        c.send(8).await.unwrap();
        assert_eq!(second.await.unwrap(), Some(8));
        drop((e, e_rx));
    });
}

/// Lets others get where they wait; how long is not essential to any test that uses it.
async fn yield_many() {
    for _ in 0..50 {
        yield_now().await;
    }
    std::future::pending::<()>().await;
}

// TestChanSendInterface
#[test]
fn trait_objects_and_empty_values_can_be_sent() {
    on_each(WORKERS, || async {
        let (tx, rx) = channel::<Box<dyn std::fmt::Debug + Send>>(1);
        tx.send(Box::new(5)).await.unwrap();
        assert_eq!(format!("{:?}", rx.recv().await), "Some(5)");
        // test/chan/zerosize.go
        let (tx, rx) = channel::<()>(usize::MAX);
        for _ in 0..3 {
            tx.send(()).await.unwrap();
        }
        assert_eq!(rx.len(), 3);
        assert_eq!(rx.recv().await, Some(()));
    });
}

// test/chan/select3.go
#[test]
fn what_waits_and_what_does_not() {
    on_each(WORKERS, || async {
        // The nil channel.
        blocks(never::<u32>().recv()).await;
        let nil = never::<u32>();
        assert!(select! { _ = nil.recv() => false, default => true });
        // Closed: sending fails, receiving does not wait.
        let (tx, rx) = channel(0);
        tx.close();
        assert_eq!(tx.send(7).await.unwrap_err().into_inner(), 7);
        assert_eq!(rx.recv().await, None);
        assert!(select! { sent = tx.send(7) => sent.is_err(), default => false });
        assert!(select! { n = rx.recv() => n.is_none(), default => false });
        // No arm at all, and none that is alive.
        blocks(async {
            select! {}
        })
        .await;
        blocks(async {
            select! {
                _ = rx.recv(), if false => {}
                _ = tx.send(1), if false => {}
            }
        })
        .await;
        // Only a default.
        let taken = select! { default => true };
        assert!(taken);
    });
}

// test/chan/select4.go
#[test]
fn a_ready_arm_goes_ahead_of_one_that_waits() {
    on_each(WORKERS, || async {
        let (tx, rx) = channel(1);
        let (full, full_rx) = channel(0);
        tx.send(42).await.unwrap();
        let n = select! {
            n = rx.recv() => n,
            _ = full.send(1) => None,
        };
        assert_eq!(n, Some(42));
        drop(full_rx);
    });
}

// test/chan/select5.go
#[test]
fn operands_are_evaluated_once_each_in_order() {
    on_each(WORKERS, || async {
        let (tx, rx) = channel(1);
        let mut order = Vec::new();
        let mut note = |step| {
            order.push(step);
            step
        };
        select! {
            sent = { note(1); &tx }.send(note(2)) => sent.unwrap(),
            _ = { note(3); &rx }.recv() => unreachable!(),
            _ = { note(4); &rx }.recv(), if false => unreachable!(),
        }
        assert_eq!(order, [1, 2, 3]);
    });
}

// test/chan/select6.go
#[test]
fn arms_that_lost_leave_the_queue_usable() {
    on_each(WORKERS, || async {
        let (c1, r1) = channel(0);
        let (c2, r2) = channel::<bool>(0);
        let (c3, r3) = channel(0);
        let (c4, r4) = channel(0);
        spawn({
            let r1 = r1.clone();
            async move { r1.recv().await }
        });
        spawn(async move {
            select! {
                _ = r1.recv() => panic!("first waiter has not been served"),
                _ = r2.recv() => panic!("nobody sent"),
                _ = r3.recv() => c4.send(true).await.unwrap(),
            }
        });
        for _ in 0..100 {
            yield_now().await;
        }
        c3.send(true).await.unwrap();
        assert_eq!(r4.recv().await, Some(true));
        c1.send(true).await.unwrap();
        drop(c2);
    });
}

// test/chan/select7.go
#[test]
fn values_may_be_ignored() {
    on_each(WORKERS, || async {
        let (tx, rx) = channel(0);
        for form in 0..3 {
            let tx = tx.clone();
            spawn(async move {
                match form {
                    0 => tx.send(true).await.unwrap(),
                    1 => select! { sent = tx.send(true) => sent.unwrap() },
                    _ => {
                        select! { sent = tx.send(true) => sent.unwrap(), default => tx.send(true).await.unwrap() }
                    }
                }
            });
        }
        let _ = rx.recv().await;
        select! { _ = rx.recv() => {} }
        let nil = never::<bool>();
        select! { _ = rx.recv() => {}, _ = nil.recv() => {} }
    });
}

// test/chan/doubleselect.go
#[test]
fn only_one_of_two_arms_takes_effect() {
    const N: u32 = 10_000;
    on_each(WORKERS, || async {
        let channels: Vec<_> = (0..4).map(|_| channel::<u32>(0)).collect();
        let tx: Vec<_> = channels.iter().map(|(tx, _)| tx.clone()).collect();
        let rx: Vec<_> = channels.into_iter().map(|(_, rx)| rx).collect();
        let sender = spawn(async move {
            for n in 0..N {
                select! {
                    sent = tx[0].send(n) => sent.unwrap(),
                    sent = tx[1].send(n) => sent.unwrap(),
                    sent = tx[2].send(n) => sent.unwrap(),
                    sent = tx[3].send(n) => sent.unwrap(),
                }
            }
        });
        let (merge, merged) = channel(0);
        for rx in rx {
            let merge = merge.clone();
            spawn(async move {
                while let Some(n) = rx.recv().await {
                    merge.send(n).await.unwrap();
                }
            });
        }
        drop(merge);
        let mut seen = vec![false; N as usize];
        while let Some(n) = merged.recv().await {
            assert!(
                !std::mem::replace(&mut seen[n as usize], true),
                "{n} came twice"
            );
        }
        assert!(seen.into_iter().all(|seen| seen));
        sender.await.unwrap();
    });
}

// test/chan/fifo.go
#[test]
fn a_chain_of_tasks_is_served_in_order() {
    on_each(WORKERS, || async {
        for capacity in [0, 10] {
            let (tx, rx) = channel(capacity);
            let (mut turn, start) = {
                let (tx, rx) = channel::<()>(1);
                (rx, tx)
            };
            for n in 0..10 {
                let (next, after) = channel(1);
                let (rx, before) = (rx.clone(), turn);
                spawn(async move {
                    before.recv().await;
                    assert_eq!(rx.recv().await, Some(n), "out of order");
                    let _ = next.send(()).await;
                });
                turn = after;
            }
            start.send(()).await.unwrap();
            for n in 0..10 {
                tx.send(n).await.unwrap();
            }
            turn.recv().await;
        }
    });
}

// test/chan/nonblock.go
#[test]
fn trying_meets_a_peer_that_waits() {
    on_each(WORKERS, || async {
        let (tx, rx) = channel(0);
        let sender = spawn({
            let tx = tx.clone();
            async move { tx.send(1).await.unwrap() }
        });
        let got = loop {
            match rx.try_recv() {
                Ok(n) => break n,
                Err(_) => yield_now().await,
            }
        };
        assert_eq!(got, 1);
        sender.await.unwrap();
        let receiver = spawn(async move { rx.recv().await });
        while tx.try_send(2).is_err() {
            yield_now().await;
        }
        assert_eq!(receiver.await.unwrap(), Some(2));
    });
}

// test/chan/sieve1.go
#[test]
fn the_sieve_finds_primes() {
    async fn filter(input: Receiver<u32>, output: Sender<u32>, prime: u32) {
        while let Some(n) = input.recv().await {
            if n % prime != 0 && output.send(n).await.is_err() {
                break;
            }
        }
    }
    on_each(WORKERS, || async {
        let (tx, mut numbers) = channel(0);
        spawn(async move {
            for n in 2.. {
                if tx.send(n).await.is_err() {
                    break;
                }
            }
        });
        let mut primes = Vec::new();
        while primes.len() < 25 {
            let prime = numbers.recv().await.unwrap();
            primes.push(prime);
            let (tx, rx) = channel(0);
            spawn(filter(numbers, tx, prime));
            numbers = rx;
        }
        assert_eq!(primes[..10], [2, 3, 5, 7, 11, 13, 17, 19, 23, 29]);
        assert_eq!(primes[24], 97);
    });
}

// test/chan/goroutines.go
#[test]
fn a_daisy_chain_of_ten_thousand_links() {
    on_each(WORKERS, || async {
        let (first, mut right) = channel(0);
        for _ in 0..10_000 {
            let (tx, rx) = channel::<u32>(0);
            let left = std::mem::replace(&mut right, rx);
            spawn(async move {
                let n = left.recv().await.unwrap();
                tx.send(n + 1).await.unwrap();
            });
        }
        first.send(0).await.unwrap();
        assert_eq!(right.recv().await, Some(10_000));
    });
}

// test/chan/select8.go
#[test]
fn break_and_continue_leave_the_select() {
    on_each(WORKERS, || async {
        let (tx, rx) = channel(1);
        let mut rounds = 0;
        'outer: loop {
            rounds += 1;
            select! {
                sent = tx.send(rounds), if rounds == 1 => { sent.unwrap(); continue 'outer }
                n = rx.recv() => {
                    assert_eq!(n, Some(1));
                    break 'outer;
                }
            }
        }
        assert_eq!(rounds, 2);
    });
}

// test/closedchan.go
#[test]
fn a_closed_channel_behaves_alike_in_every_form() {
    on_each(WORKERS, || async {
        for capacity in [0, 1] {
            let (tx, rx) = channel(capacity);
            let nil = never::<u32>();
            assert!(tx.close());
            assert!(!tx.close() && !rx.close());
            for _ in 0..2 {
                assert_eq!(rx.recv().await, None);
                assert_eq!(rx.try_recv(), Err(TryRecvError::Closed));
                assert!(select! { n = rx.recv() => n.is_none() });
                assert!(select! { n = rx.recv() => n.is_none(), _ = nil.recv() => false });
                assert!(tx.send(1).await.is_err());
                assert_eq!(tx.try_send(1), Err(TrySendError::Closed(1)));
                assert!(select! { sent = tx.send(1) => sent.is_err() });
                assert!(select! { sent = tx.send(1) => sent.is_err(), _ = nil.recv() => false });
            }
        }
    });
}

// BenchmarkChanSem, and the rule of doc/go_mem.html: the k-th receive happens before the completion
// of the (k+C)-th send.
#[test]
fn a_buffered_channel_is_a_semaphore() {
    on_each(WORKERS, || async {
        const LIMIT: usize = 3;
        let (enter, leave) = channel::<()>(LIMIT);
        let (inside, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let tasks: Vec<_> = (0..50)
            .map(|_| {
                let (enter, leave) = (enter.clone(), leave.clone());
                let (inside, most) = (inside.clone(), most.clone());
                spawn(async move {
                    enter.send(()).await.unwrap();
                    let now = inside.fetch_add(1, SeqCst) + 1;
                    most.fetch_max(now, SeqCst);
                    yield_now().await;
                    inside.fetch_sub(1, SeqCst);
                    leave.recv().await.unwrap();
                })
            })
            .collect();
        for task in tasks {
            task.await.unwrap();
        }
        assert!(most.load(SeqCst) <= LIMIT);
    });
}

// doc/go_mem.html: a receive from an unbuffered channel happens before the completion of the send.
#[test]
fn what_a_receiver_did_before_is_visible_after_an_unbuffered_send() {
    on_each(WORKERS, || async {
        for n in 0..2_000 {
            let (tx, rx) = channel(0);
            let cell = Arc::new(AtomicU64::new(0));
            let writer = spawn({
                let cell = cell.clone();
                async move {
                    cell.store(n, Relaxed);
                    rx.recv().await.unwrap();
                }
            });
            tx.send(()).await.unwrap();
            assert_eq!(cell.load(Relaxed), n);
            writer.await.unwrap();
        }
    });
}

// test/chan/select2.go: memory stays flat, because arms that lost leave no waiter behind.
#[test]
fn a_quiet_channel_collects_no_waiters() {
    on_each(WORKERS, || async {
        let (tx, rx) = channel(0);
        let (_quiet, quiet) = channel::<u32>(0);
        let receiver = spawn(async move {
            let mut sum = 0;
            loop {
                select! {
                    n = rx.recv() => match n {
                        Some(n) => sum += n,
                        None => break (sum, quiet),
                    },
                    _ = quiet.recv() => unreachable!(),
                }
            }
        });
        for _ in 0..10_000 {
            tx.send(1).await.unwrap();
        }
        drop(tx);
        let (sum, quiet) = receiver.await.unwrap();
        assert_eq!(sum, 10_000);
        // Had a waiter been left behind, this would hand the value to it.
        let _ = quiet;
        assert_eq!(_quiet.try_send(1), Err(TrySendError::Full(1)));
    });
}
