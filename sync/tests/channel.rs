//! What channels promise beyond Go: closing by dropping, values that come back, threads, streams,
//! and futures that are dropped.
#![cfg(not(loom))]

mod support;

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use futures_util::{Stream, StreamExt};
use runtime::time::timeout;
use runtime::{spawn, yield_now};
use support::{WORKERS, on, on_each, on_one_alone, poll_once, times, within_a_minute};
use sync::{Recv, Select, SendError, TryRecvError, TrySendError, channel, never, select};

#[test]
fn dropping_the_last_sender_closes() {
    on_each(WORKERS, || async {
        let (tx, rx) = channel(2);
        let other = tx.clone();
        tx.send(1).await.unwrap();
        drop(tx);
        assert!(!rx.is_closed());
        other.send(2).await.unwrap();
        drop(other);
        assert!(rx.is_closed());
        assert_eq!(
            [rx.recv().await, rx.recv().await, rx.recv().await],
            [Some(1), Some(2), None]
        );
    });
}

#[test]
fn a_weak_sender_keeps_nothing_open() {
    on_each(WORKERS, || async {
        let (tx, rx) = channel::<u32>(1);
        let (weak, other) = (tx.downgrade(), tx.downgrade().clone());
        let waiting = spawn(async move { (rx.recv().await, rx.recv().await) });
        weak.upgrade().unwrap().send(1).await.unwrap();
        drop(tx);
        let received = waiting.await.unwrap();
        assert_eq!(received, (Some(1), None));
        assert!(weak.upgrade().is_none() && other.upgrade().is_none());
    });
}

#[test]
fn each_end_counts_the_handles_of_both() {
    let (tx, rx) = channel::<u8>(1);
    let (weak, other) = (tx.downgrade(), tx.clone());
    let both = (rx.clone(), rx.clone());
    assert_eq!((tx.sender_count(), tx.receiver_count()), (2, 3));
    assert_eq!((rx.sender_count(), rx.receiver_count()), (2, 3));
    let made = weak.upgrade();
    assert_eq!(rx.sender_count(), 3);
    drop((tx, other, made));
    assert_eq!((rx.sender_count(), rx.receiver_count()), (0, 3));
    drop(both);
    assert_eq!(rx.receiver_count(), 1);
    assert_eq!(
        (never::<u8>().sender_count(), never::<u8>().receiver_count()),
        (0, 1)
    );
}

#[test]
fn a_sender_made_of_a_weak_one_is_as_good_as_any() {
    on_each(WORKERS, || async {
        let (tx, rx) = channel(1);
        let weak = tx.downgrade();
        let made = weak.upgrade().unwrap();
        assert!(made.same_channel(&tx));
        drop(tx);
        assert!(!rx.is_closed());
        made.send(1).await.unwrap();
        assert_eq!(rx.recv().await, Some(1));
        rx.close();
        // It exists, and says what any sender would.
        let other = weak.upgrade().unwrap();
        assert!(other.send(2).await.is_err());
        drop((made, other));
        assert!(weak.upgrade().is_none());
    });
}

#[test]
fn dropping_the_last_receiver_gives_waiting_senders_their_values_back() {
    on_each(WORKERS, || async {
        let (tx, rx) = channel(0);
        let waiting = spawn(async move { tx.send("unsent").await });
        for _ in 0..times(10) {
            yield_now().await;
        }
        let other = rx.clone();
        drop(rx);
        drop(other);
        assert_eq!(waiting.await.unwrap().unwrap_err().into_inner(), "unsent");
    });
}

#[test]
fn dropping_the_last_receiver_drops_what_is_buffered() {
    on(1, async {
        let (tx, rx) = channel(4);
        let value = Arc::new(());
        tx.send(value.clone()).await.unwrap();
        tx.send(value.clone()).await.unwrap();
        assert_eq!(Arc::strong_count(&value), 3);
        drop(rx);
        // The sender is still there; the values are not.
        assert_eq!(Arc::strong_count(&value), 1);
        drop(tx);
    });
}

#[test]
fn a_value_in_a_dropped_receive_is_next_in_line() {
    on(1, async {
        let (tx, rx) = channel(1);
        let mut first = Box::pin(rx.recv());
        let mut second = Box::pin(rx.recv());
        assert!(poll_once(first.as_mut()).is_pending());
        assert!(poll_once(second.as_mut()).is_pending());
        tx.send(1).await.unwrap();
        tx.send(2).await.unwrap();
        tx.send(3).await.unwrap();
        // In the wrong order; they come back in the right one, before what is buffered.
        drop(second);
        drop(first);
        assert_eq!(rx.len(), 3);
        assert!(rx.is_full());
        for n in 1..=3 {
            assert_eq!(rx.recv().await, Some(n));
        }
        assert!(rx.is_empty());
    });
}

#[test]
fn a_value_in_a_dropped_receive_goes_to_whoever_waits() {
    on(1, async {
        let (tx, rx) = channel(0);
        let mut first = Box::pin(rx.recv());
        let mut second = Box::pin(rx.recv());
        assert!(poll_once(first.as_mut()).is_pending());
        assert!(poll_once(second.as_mut()).is_pending());
        tx.send(1).await.unwrap();
        drop(first);
        assert_eq!(poll_once(second.as_mut()), Poll::Ready(Some(1)));
    });
}

#[test]
fn a_receive_told_of_the_close_still_takes_what_came_back() {
    on(1, async {
        let (tx, rx) = channel(0);
        let mut first = Box::pin(rx.recv());
        let mut second = Box::pin(rx.recv());
        assert!(poll_once(first.as_mut()).is_pending());
        assert!(poll_once(second.as_mut()).is_pending());
        tx.send(1).await.unwrap();
        tx.close();
        drop(first);
        assert_eq!(second.await, Some(1));
        assert_eq!(rx.recv().await, None);
    });
}

#[test]
fn a_dropped_send_drops_its_value_once() {
    on(1, async {
        let (tx, rx) = channel(0);
        let value = Arc::new(());
        drop(tx.send(value.clone()));
        {
            let mut send = pin!(tx.send(value.clone()));
            assert!(poll_once(send.as_mut()).is_pending());
        }
        assert_eq!(Arc::strong_count(&value), 1);
        assert_eq!(rx.try_recv(), Err(TryRecvError::Empty));
        // Taken by a receiver before it is dropped.
        let mut send = Box::pin(tx.send(value.clone()));
        assert!(poll_once(send.as_mut()).is_pending());
        let received = rx.try_recv().unwrap();
        drop(send);
        drop(received);
        assert_eq!(Arc::strong_count(&value), 1);
    });
}

#[test]
fn send_from_keeps_what_it_does_not_send() {
    on(1, async {
        let (tx, rx) = channel(0);
        let mut value = Some(String::from("kept"));
        // Never polled, polled and dropped, timed out, and lost in a select.
        drop(tx.send_from(&mut value));
        assert!(value.is_some());
        assert!(poll_once(Box::pin(tx.send_from(&mut value)).as_mut()).is_pending());
        assert!(value.is_some());
        assert!(
            timeout(Duration::from_millis(1), tx.send_from(&mut value))
                .await
                .is_err()
        );
        assert!(value.is_some());
        select! {
            _ = tx.send_from(&mut value) => unreachable!(),
            default => {}
        }
        assert_eq!(value.as_deref(), Some("kept"));
        let receiver = spawn(async move { rx.recv().await });
        tx.send_from(&mut value).await.unwrap();
        assert_eq!(value, None);
        assert_eq!(receiver.await.unwrap().as_deref(), Some("kept"));
        // Closed by now: the value is in the error.
        value = Some(String::from("late"));
        assert_eq!(
            tx.send_from(&mut value).await.unwrap_err().into_inner(),
            "late"
        );
        assert_eq!(value, None);
    });
}

#[test]
#[should_panic(expected = "`send_from` found no value to send")]
fn send_from_without_a_value_says_so() {
    let (tx, _rx) = channel::<u32>(0);
    drop(tx.send_from(&mut None));
}

#[test]
fn an_aborted_task_loses_nothing() {
    on_each(WORKERS, || async {
        for _ in 0..times(500) {
            let (tx, rx) = channel(0);
            let quitter = {
                let rx = rx.clone();
                spawn(async move { rx.recv().await })
            };
            let sender = spawn(async move { tx.send(7).await });
            yield_now().await;
            quitter.abort();
            match quitter.await {
                Ok(received) => assert_eq!(received, Some(7)),
                Err(_) => assert_eq!(rx.recv().await, Some(7)),
            }
            sender.await.unwrap().unwrap();
        }
    });
}

#[test]
fn threads_take_part() {
    on(2, async {
        let (tx, rx) = channel(0);
        let (back, returned) = channel(1);
        let thread = std::thread::spawn(move || {
            while let Some(n) = rx.blocking_recv() {
                back.blocking_send(n * 2).unwrap();
            }
        });
        for n in 0..times(100) {
            tx.send(n).await.unwrap();
            assert_eq!(returned.recv().await, Some(n * 2));
        }
        drop(tx);
        assert_eq!(returned.recv().await, None);
        thread.join().unwrap();
    });
}

#[test]
fn blocking_inside_a_task_is_refused_with_the_cure() {
    on(1, async {
        let (_tx, rx) = channel::<u32>(0);
        let error = spawn(async move { rx.blocking_recv() }).await.unwrap_err();
        let message = *error.into_panic().downcast::<String>().unwrap();
        assert!(message.contains("recv().await"), "{message}");
    });
}

/// Counts how often it is called.
#[derive(Default)]
struct Calls(AtomicUsize);

impl Wake for Calls {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, SeqCst);
    }
}

#[test]
fn a_close_wakes_all_who_wait_however_many() {
    // Many times what is woken under one lock.
    const CROWD: usize = if cfg!(miri) { 100 } else { 1000 };
    let calls = Arc::new(Calls::default());
    let waker = Waker::from(calls.clone());
    let mut cx = Context::from_waker(&waker);
    let (tx, rx) = channel::<usize>(0);
    let mut receives: Vec<_> = (0..CROWD).map(|_| Box::pin(rx.recv())).collect();
    for recv in &mut receives {
        assert!(recv.as_mut().poll(&mut cx).is_pending());
    }
    assert!(tx.close());
    assert_eq!(calls.0.load(SeqCst), CROWD);
    for recv in &mut receives {
        assert_eq!(recv.as_mut().poll(&mut cx), Poll::Ready(None));
    }
    let (tx, rx) = channel(0);
    let mut sends: Vec<_> = (0..CROWD).map(|n| Box::pin(tx.send(n))).collect();
    for send in &mut sends {
        assert!(send.as_mut().poll(&mut cx).is_pending());
    }
    drop(rx);
    assert_eq!(calls.0.load(SeqCst), 2 * CROWD);
    for (n, send) in sends.iter_mut().enumerate() {
        assert_eq!(send.as_mut().poll(&mut cx), Poll::Ready(Err(SendError(n))));
    }
}

#[test]
fn a_receiver_is_a_stream() {
    on_each(WORKERS, || async {
        let (tx, mut rx) = channel(0);
        spawn(async move {
            for n in 0..times(100) {
                tx.send(n).await.unwrap();
            }
        });
        assert_eq!(rx.next().await, Some(0));
        let rest: Vec<_> = rx.collect().await;
        assert_eq!(rest, (1..times(100)).collect::<Vec<_>>());
    });
}

#[test]
fn a_dropped_stream_gives_its_value_back() {
    on(1, async {
        let (tx, mut rx) = channel(0);
        let other = rx.clone();
        assert!(poll_once(pin!(rx.next())).is_pending());
        tx.send(1).await.unwrap();
        drop(rx);
        assert_eq!(other.recv().await, Some(1));
    });
}

/// As a stream a handle stays in line when a `next` is dropped. That must not hide a value from the
/// handle's other methods.
#[test]
fn what_a_handle_was_handed_as_a_stream_is_received_by_any_method() {
    let (tx, mut rx) = channel(0);
    for method in 0..4 {
        assert!(poll_once(pin!(rx.next())).is_pending());
        tx.try_send(method).unwrap();
        assert_eq!((rx.len(), rx.is_empty(), rx.size_hint().0), (1, false, 1));
        let received = match method {
            0 => rx.try_recv().ok(),
            1 => rx.blocking_recv(),
            2 => match poll_once(pin!(async {
                select! { n = rx.recv() => n }
            })) {
                Poll::Ready(received) => received,
                Poll::Pending => None,
            },
            _ => match poll_once(pin!(rx.next())) {
                Poll::Ready(received) => received,
                Poll::Pending => None,
            },
        };
        assert_eq!(received, Some(method));
    }
    // And it is out of line then: the value is nobody's.
    assert!(poll_once(pin!(rx.next())).is_pending());
    assert_eq!(rx.try_recv(), Err(TryRecvError::Empty));
    assert_eq!(tx.try_send(4), Err(TrySendError::Full(4)));
    // What it was handed before the close is received after it, in order.
    let (tx, mut rx) = channel(2);
    let other = rx.clone();
    assert!(poll_once(pin!(rx.next())).is_pending());
    for n in 5..8 {
        tx.try_send(n).unwrap();
    }
    tx.close();
    assert_eq!((rx.try_recv(), other.try_recv()), (Ok(5), Ok(6)));
    assert_eq!(poll_once(pin!(rx.next())), Poll::Ready(Some(7)));
    assert_eq!(rx.try_recv(), Err(TryRecvError::Closed));
}

#[test]
fn threads_that_share_a_handle_find_what_it_was_handed_once() {
    within_a_minute(|| {
        for _ in 0..200 {
            let (tx, mut rx) = channel(1);
            assert!(poll_once(pin!(rx.next())).is_pending());
            tx.try_send(1).unwrap();
            tx.try_send(2).unwrap();
            drop(tx);
            let mut received: Vec<_> = std::thread::scope(|scope| {
                let threads = [(); 3].map(|()| scope.spawn(|| rx.blocking_recv()));
                threads.map(|thread| thread.join().unwrap()).into()
            });
            received.sort();
            assert_eq!(received, [None, Some(1), Some(2)]);
        }
    });
}

#[test]
fn a_stream_that_has_ended_stays_ended() {
    let (tx, mut rx) = channel(1);
    assert!(poll_once(pin!(rx.next())).is_pending());
    drop(tx);
    for _ in 0..3 {
        assert_eq!(poll_once(pin!(rx.next())), Poll::Ready(None::<u32>));
    }
    // A value that comes back afterwards is still received.
    let (tx, mut rx) = channel(0);
    let held = rx.clone();
    let mut holds = Box::pin(held.recv());
    assert!(poll_once(holds.as_mut()).is_pending());
    tx.try_send(1).unwrap();
    drop(tx);
    assert_eq!(poll_once(pin!(rx.next())), Poll::Ready(None));
    drop(holds);
    assert_eq!(poll_once(pin!(rx.next())), Poll::Ready(Some(1)));
    assert_eq!(poll_once(pin!(rx.next())), Poll::Ready(None));
}

#[test]
fn a_stream_counts_on_what_is_its_own_alone() {
    let (tx, rx) = channel(3);
    tx.try_send(1).unwrap();
    tx.try_send(2).unwrap();
    assert_eq!(rx.size_hint(), (2, None));
    let other = rx.clone();
    assert_eq!(rx.size_hint(), (0, None), "the other may take them");
    drop(other);
    assert_eq!(rx.size_hint(), (2, None));
}

#[test]
fn many_are_received_at_once_and_in_order() {
    on_each(WORKERS, || async {
        for capacity in [0, 1, 7, 100] {
            let (tx, rx) = channel(capacity);
            let sender = spawn(async move {
                for n in 0..500 {
                    tx.send(n).await.unwrap();
                }
            });
            let (mut all, mut limit) = (Vec::with_capacity(3), 1);
            loop {
                let before = all.len();
                let n = rx.recv_many(&mut all, limit).await;
                assert!(n <= limit && all.len() == before + n);
                if n == 0 {
                    break;
                }
                limit = limit % 90 + 1;
            }
            assert_eq!(all, (0..500).collect::<Vec<_>>());
            sender.await.unwrap();
        }
    });
}

#[test]
fn receiving_many_takes_what_is_there_and_wakes_who_gets_room() {
    let (tx, rx) = channel(40);
    for n in 0..40 {
        tx.try_send(n).unwrap();
    }
    let calls = Arc::<Calls>::default();
    let waker = Waker::from(calls.clone());
    let mut sends: Vec<_> = (40..120).map(|n| Box::pin(tx.send(n))).collect();
    for send in &mut sends {
        let polled = send.as_mut().poll(&mut Context::from_waker(&waker));
        assert!(polled.is_pending());
    }
    let mut all = Vec::new();
    assert_eq!(poll_once(pin!(rx.recv_many(&mut all, 0))), Poll::Ready(0));
    assert_eq!(poll_once(pin!(rx.recv_many(&mut all, 50))), Poll::Ready(50));
    assert_eq!(calls.0.load(SeqCst), 50);
    let rest = rx.recv_many(&mut all, usize::MAX);
    assert_eq!(poll_once(pin!(rest)), Poll::Ready(70));
    assert_eq!(calls.0.load(SeqCst), 80);
    assert_eq!(all, (0..120).collect::<Vec<_>>());
    assert!(
        sends
            .iter_mut()
            .all(|send| poll_once(send.as_mut()).is_ready())
    );
    // With nothing there it waits, and given up it has taken nothing.
    let mut none = Vec::<i32>::new();
    let mut many = Box::pin(rx.recv_many(&mut none, 9));
    assert!(poll_once(many.as_mut()).is_pending());
    tx.try_send(1).unwrap();
    tx.try_send(2).unwrap();
    drop(many);
    assert!(none.is_empty() && none.capacity() == 0);
    assert_eq!(rx.blocking_recv_many(&mut none, 9), 2);
    assert_eq!(none, [1, 2]);
    drop(sends);
    drop(tx);
    assert_eq!(rx.blocking_recv_many(&mut none, 9), 0);
}

#[test]
fn never_is_neither_ready_nor_closed() {
    on(1, async {
        let rx = never::<u32>();
        assert!(!rx.close() && !rx.is_closed());
        assert_eq!(rx.try_recv(), Err(TryRecvError::Empty));
        assert!(poll_once(pin!(rx.recv())).is_pending());
        assert_eq!((rx.len(), rx.capacity()), (0, 0));
    });
}

#[test]
fn timeouts_go_around_any_operation() {
    on_each(WORKERS, || async {
        let (tx, rx) = channel(1);
        let soon = Duration::from_millis(1);
        assert!(timeout(soon, rx.recv()).await.is_err());
        tx.send(1).await.unwrap();
        assert!(timeout(soon, tx.send(2)).await.is_err());
        assert_eq!(
            timeout(Duration::from_secs(60), rx.recv()).await.unwrap(),
            Some(1)
        );
        // The send that timed out has sent nothing.
        assert!(timeout(soon, rx.recv()).await.is_err());
    });
}

#[test]
#[cfg_attr(miri, ignore = "leaks, on purpose")]
fn a_future_that_is_leaked_leaves_the_channel_sound() {
    on(1, async {
        let (tx, rx) = channel(0);
        let mut value = Some(5);
        let mut recv = Box::pin(rx.recv());
        assert!(poll_once(recv.as_mut()).is_pending());
        std::mem::forget(recv);
        // The leaked one takes the first value along.
        tx.send(1).await.unwrap();
        let mut send = Box::pin(tx.send_from(&mut value));
        assert!(poll_once(send.as_mut()).is_pending());
        std::mem::forget(send);
        assert_eq!(rx.recv().await, Some(5));
        assert_eq!(value, None);
    });
}

#[test]
#[should_panic(expected = "polled again after it had completed")]
fn a_finished_receive_is_not_polled_again() {
    let (tx, rx) = channel(1);
    tx.try_send(1).unwrap();
    let mut recv = pin!(rx.recv());
    assert!(poll_once(recv.as_mut()).is_ready());
    let _ = poll_once(recv.as_mut());
}

#[test]
fn a_busy_channel_does_not_starve_others() {
    // Without a budget each of the two would go on for ever.
    on_one_alone(async {
        let (tx, rx) = channel(16);
        let endless = spawn(async move {
            loop {
                tx.send(1).await.unwrap();
                rx.recv().await.unwrap();
            }
        });
        for _ in 0..times(10) {
            yield_now().await;
        }
        endless.abort();
        // A select with a default never waits, and must not starve others either.
        let (_tx, rx) = channel::<u32>(0);
        let spinning = spawn(async move {
            loop {
                select! {
                    _ = rx.recv() => unreachable!(),
                    default => {}
                }
            }
        });
        for _ in 0..times(10) {
            yield_now().await;
        }
        spinning.abort();
    });
}

#[test]
fn a_waiting_receive_is_small() {
    assert!(size_of::<Recv<'_, u64>>() <= 56 + 8);
    assert!(size_of::<Recv<'_, ()>>() <= 56);
}

#[test]
fn debug_tells_state_and_not_values() {
    struct Secret;
    let (tx, rx) = channel(3);
    tx.try_send(Secret).ok().unwrap();
    assert_eq!(
        format!("{tx:?}"),
        "Sender { len: 1, capacity: 3, closed: false, .. }"
    );
    assert_eq!(
        format!("{rx:?}"),
        "Receiver { len: 1, capacity: 3, closed: false, .. }"
    );
    rx.close();
    assert!(format!("{rx:?}").contains("closed: true"));
    assert_eq!(format!("{:?}", rx.recv()), "Recv(Waiter(\"idle\"))");
    assert!(format!("{:?}", tx.try_send(Secret)).contains("Closed"));
}

#[test]
fn a_select_over_many_channels_known_at_run_time() {
    on_each(WORKERS, || async {
        // More than the arms that find room on the stack.
        let channels: Vec<_> = (0..40).map(|_| channel(0)).collect();
        let receivers: Vec<_> = channels.iter().map(|(_, rx)| rx.clone()).collect();
        for (n, (tx, _)) in channels.into_iter().enumerate() {
            spawn(async move { tx.send(n).await });
        }
        let mut seen = vec![false; receivers.len()];
        for _ in 0..receivers.len() {
            let mut select = Select::new();
            for (n, rx) in receivers.iter().enumerate() {
                // Closed channels are ready; one that has been seen is done with.
                if !seen[n] {
                    select.recv(rx, move |value| (n, value));
                }
            }
            let (n, value) = select.wait().await;
            assert_eq!(value, Some(n));
            seen[n] = true;
        }
    });
}

#[test]
fn bodies_may_await_and_fail() {
    async fn first(rx: &sync::Receiver<Result<u32, String>>) -> Result<u32, String> {
        let n = select! {
            biased;
            message = rx.recv() => {
                yield_now().await;
                message.ok_or("closed")??
            }
            _ = std::future::pending::<()>() => return Err("never".into()),
        };
        Ok(n + 1)
    }
    on_each(WORKERS, || async {
        let (tx, rx) = channel(3);
        tx.send(Ok(1)).await.unwrap();
        tx.send(Err("bad".into())).await.unwrap();
        drop(tx);
        assert_eq!(first(&rx).await, Ok(2));
        assert_eq!(first(&rx).await, Err("bad".into()));
        assert_eq!(first(&rx).await, Err("closed".into()));
    });
}

#[test]
fn biased_takes_the_topmost_ready_arm() {
    on(1, async {
        let (tx, rx) = channel(times(100));
        for n in 0..times(100) {
            tx.send(n).await.unwrap();
        }
        for n in 0..times(100) {
            let got = select! {
                biased;
                _ = std::future::pending::<()>() => None,
                got = rx.recv() => got,
                _ = async {} => None,
                _ = rx.recv() => None,
            };
            assert_eq!(got, Some(n));
        }
    });
}

#[test]
#[cfg_attr(miri, ignore = "statistics")]
fn eight_ready_arms_are_chosen_equally_often() {
    // Channels of both directions and ordinary futures, mixed.
    const ROUNDS: u32 = 100_000;
    on(1, async {
        let (tx, rx) = channel(1);
        rx.close();
        let mut counts = [0u32; 8];
        for _ in 0..ROUNDS {
            let chosen = select! {
                _ = rx.recv() => 0,
                _ = tx.send(1) => 1,
                _ = async {} => 2,
                _ = rx.recv() => 3,
                _ = std::future::ready(()) => 4,
                _ = tx.send(2) => 5,
                _ = async {} => 6,
                _ = rx.recv() => 7,
            };
            counts[chosen] += 1;
        }
        for count in counts {
            // 12,500 expected, with a standard deviation of 105.
            assert!(count.abs_diff(12_500) < 10 * 105, "{counts:?}");
        }
    });
}

#[test]
#[cfg_attr(miri, ignore = "statistics")]
fn a_pair_of_ready_arms_is_fair_wherever_the_two_stand() {
    const ROUNDS: u32 = 100_000;
    on(1, async {
        let (tx, rx) = channel::<u32>(1);
        rx.close();
        let nil = never::<u32>();
        let mut first = 0u32;
        for _ in 0..ROUNDS {
            select! {
                _ = rx.recv() => first += 1,
                _ = rx.recv() => {}
                _ = nil.recv() => unreachable!(),
                _ = nil.recv() => unreachable!(),
                _ = nil.recv() => unreachable!(),
            }
        }
        drop(tx);
        // 50,000 expected, with a standard deviation of 158.
        assert!(first.abs_diff(50_000) < 10 * 158, "{first}");
    });
}
