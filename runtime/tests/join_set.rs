//! `JoinSet`: order, completeness, cancellation, what a drop does.

mod common;

use std::future::{Future, pending, poll_fn};
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, mpsc};
use std::task::{Context, Poll, Wake, Waker};

use common::{Seed, runtime, until, wait_until, watchdog};
use runtime::Runtime;
use runtime::task::JoinSet;

/// Runs a test on 1, 2 and 8 workers, each under a watchdog.
#[track_caller]
fn each_size(test: impl Fn(&Runtime)) {
    for workers in [1, 2, 8] {
        let _watchdog = watchdog(format!("with {workers} workers"));
        test(&runtime(workers));
    }
}

/// Counts its drops.
struct Dropped(Arc<AtomicUsize>);

impl Drop for Dropped {
    fn drop(&mut self) {
        self.0.fetch_add(1, SeqCst);
    }
}

/// Counts its wakes.
#[derive(Default)]
struct Wakes(AtomicUsize);

impl Wake for Wakes {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, SeqCst);
    }
}

fn poll<F: Future>(future: Pin<&mut F>, waker: &Waker) -> Poll<F::Output> {
    future.poll(&mut Context::from_waker(waker))
}

#[test]
fn an_empty_set_has_no_next() {
    each_size(|rt| {
        let mut set = JoinSet::<()>::new();
        assert!(set.is_empty());
        assert!(rt.block_on(set.join_next()).is_none());
        assert!(set.try_join_next().is_none());
        rt.block_on(set.shutdown());
        assert_eq!(format!("{set:?}"), "JoinSet { len: 0, ended: 0 }");
    });
}

#[test]
fn results_come_in_the_order_in_which_the_tasks_end() {
    each_size(|rt| {
        rt.block_on(async {
            let mut set = JoinSet::new();
            let mut gates = Vec::new();
            for i in 0..50 {
                let open = Arc::new(AtomicBool::new(false));
                gates.push(open.clone());
                set.spawn(async move {
                    until(|| open.load(SeqCst)).await;
                    i
                });
            }
            // One after the other, backwards: each is let go after the one before has been
            // delivered.
            for i in (0..50).rev() {
                gates[i].store(true, SeqCst);
                assert_eq!(set.join_next().await.unwrap().unwrap(), i);
                assert_eq!(set.len(), i);
            }
        });
    });
}

#[test]
fn tasks_that_ended_before_the_call_come_in_the_order_of_their_ends() {
    each_size(|rt| {
        let mut set = JoinSet::new();
        let gates: Vec<_> = (0..20)
            .map(|i| {
                let (open, gate) = mpsc::channel::<()>();
                let gate = std::sync::Mutex::new(gate);
                let abort = set.spawn_on(
                    async move {
                        until(|| gate.lock().unwrap().try_recv().is_ok()).await;
                        i
                    },
                    rt.handle(),
                );
                (open, abort)
            })
            .collect();
        for (ended, (open, abort)) in gates.iter().rev().enumerate() {
            open.send(()).unwrap();
            wait_until("the task ends", || abort.is_finished());
            // Its end is told just after it.
            wait_until("the set is told", || {
                format!("{set:?}").contains(&format!("ended: {} }}", ended + 1))
            });
        }
        for i in (0..20).rev() {
            assert_eq!(set.try_join_next().unwrap().unwrap(), i);
        }
        assert!(set.try_join_next().is_none());
    });
}

#[test]
fn every_result_arrives_once_whatever_the_order() {
    each_size(|rt| {
        let mut seed = Seed::new();
        rt.block_on(async {
            let mut set = JoinSet::new();
            let (mut seen, mut spawned) = (Vec::new(), 0);
            while spawned < 3_000 || !set.is_empty() {
                match seed.below(4) {
                    0 | 1 if spawned < 3_000 => {
                        let (i, yields) = (spawned, seed.below(4));
                        spawned += 1;
                        set.spawn(async move {
                            for _ in 0..yields {
                                runtime::yield_now().await;
                            }
                            i
                        });
                    }
                    2 => seen.extend(set.try_join_next().map(Result::unwrap)),
                    _ => seen.extend(set.join_next().await.map(Result::unwrap)),
                }
            }
            seen.sort_unstable();
            assert!(seen.into_iter().eq(0..3_000));
        });
    });
}

#[test]
fn a_member_that_waits_is_not_polled_because_others_end() {
    each_size(|rt| {
        rt.block_on(async {
            let polls = Arc::new(AtomicUsize::new(0));
            let counts = polls.clone();
            let mut set = JoinSet::new();
            set.spawn(poll_fn(move |_| {
                counts.fetch_add(1, SeqCst);
                Poll::Pending
            }));
            until(|| polls.load(SeqCst) == 1).await;
            for _ in 0..100 {
                set.spawn(async {});
                set.join_next().await.unwrap().unwrap();
            }
            assert_eq!(polls.load(SeqCst), 1);
        });
    });
}

#[test]
fn a_waiting_set_is_woken_once_for_an_end_and_never_without_one() {
    each_size(|rt| {
        let open = Arc::new(AtomicBool::new(false));
        let opens = open.clone();
        let mut set = JoinSet::new();
        for _ in 0..10 {
            set.spawn_on(pending(), rt.handle());
        }
        let abort = set.spawn_on(
            async move { until(|| opens.load(SeqCst)).await },
            rt.handle(),
        );
        let wakes = Arc::new(Wakes::default());
        let waker = Waker::from(wakes.clone());
        let mut next = pin!(set.join_next());
        assert!(poll(next.as_mut(), &waker).is_pending());
        assert!(poll(next.as_mut(), &waker).is_pending());
        assert_eq!(wakes.0.load(SeqCst), 0);
        open.store(true, SeqCst);
        wait_until("the set is woken", || wakes.0.load(SeqCst) == 1);
        assert!(abort.is_finished());
        assert!(poll(next.as_mut(), &waker).is_ready());
        assert_eq!(wakes.0.load(SeqCst), 1);
    });
}

#[test]
fn only_the_last_waker_is_called_and_a_dropped_wait_keeps_none() {
    each_size(|rt| {
        let mut set = JoinSet::<()>::new();
        let abort = set.spawn_on(pending(), rt.handle());
        let (first, last) = (Arc::new(Wakes::default()), Arc::new(Wakes::default()));
        let mut next = Box::pin(set.join_next());
        assert!(poll(next.as_mut(), &Waker::from(first.clone())).is_pending());
        assert!(poll(next.as_mut(), &Waker::from(last.clone())).is_pending());
        assert_eq!(
            (Arc::strong_count(&first), Arc::strong_count(&last)),
            (1, 2)
        );
        drop(next);
        assert_eq!(Arc::strong_count(&last), 1);
        let mut next = pin!(set.join_next());
        assert!(poll(next.as_mut(), &Waker::from(last.clone())).is_pending());
        abort.abort();
        wait_until("the set is woken", || last.0.load(SeqCst) == 1);
        assert_eq!(first.0.load(SeqCst), 0);
    });
}

#[test]
fn a_dropped_join_next_loses_no_result() {
    each_size(|rt| {
        rt.block_on(async {
            let mut set = JoinSet::new();
            for i in 0..1_000_u32 {
                set.spawn(async move {
                    runtime::yield_now().await;
                    i
                });
            }
            let (mut sum, mut count) = (0, 0);
            while !set.is_empty() {
                // Polled once, then dropped.
                let once = {
                    let mut next = pin!(set.join_next());
                    poll_fn(|cx| Poll::Ready(next.as_mut().poll(cx))).await
                };
                match once {
                    Poll::Ready(result) => {
                        sum += result.unwrap().unwrap();
                        count += 1;
                    }
                    Poll::Pending => runtime::yield_now().await,
                }
            }
            assert_eq!((sum, count), (499_500, 1_000));
        });
    });
}

#[test]
fn panics_and_aborts_are_delivered_as_errors() {
    each_size(|rt| {
        rt.block_on(async {
            let mut set = JoinSet::<()>::new();
            set.spawn(async { std::panic::resume_unwind(Box::new("boom")) });
            let error = set.join_next().await.unwrap().unwrap_err();
            assert_eq!(*error.into_panic().downcast::<&str>().unwrap(), "boom");
            let abort = set.spawn(pending());
            abort.abort();
            let error = set.join_next().await.unwrap().unwrap_err();
            assert!(error.is_cancelled());
            assert_eq!(error.id(), abort.id());
        });
    });
}

#[test]
fn abort_all_ends_every_member_and_delivers_each() {
    each_size(|rt| {
        rt.block_on(async {
            let drops = Arc::new(AtomicUsize::new(0));
            let mut set = JoinSet::<()>::new();
            for _ in 0..100 {
                let guard = Dropped(drops.clone());
                set.spawn(async move {
                    let _guard = guard;
                    pending().await
                });
            }
            set.abort_all();
            assert_eq!(set.len(), 100);
            let mut ended = 0;
            while let Some(result) = set.join_next().await {
                assert!(result.unwrap_err().is_cancelled());
                ended += 1;
            }
            assert_eq!((ended, drops.load(SeqCst)), (100, 100));
        });
    });
}

#[test]
fn shutdown_returns_after_the_last_destructor_and_goes_on_when_called_again() {
    each_size(|rt| {
        rt.block_on(async {
            let drops = Arc::new(AtomicUsize::new(0));
            let mut set = JoinSet::<()>::new();
            for _ in 0..100 {
                let guard = Dropped(drops.clone());
                set.spawn(async move {
                    let _guard = guard;
                    pending().await
                });
            }
            {
                let mut first = pin!(set.shutdown());
                let _ = poll_fn(|cx| Poll::Ready(first.as_mut().poll(cx))).await;
            }
            set.shutdown().await;
            assert!(set.is_empty());
            assert_eq!(drops.load(SeqCst), 100);
        });
    });
}

#[test]
fn dropping_the_set_aborts_its_members() {
    each_size(|rt| {
        let drops = Arc::new(AtomicUsize::new(0));
        let mut set = JoinSet::<()>::new();
        for _ in 0..10 {
            let guard = Dropped(drops.clone());
            set.spawn_on(
                async move {
                    let _guard = guard;
                    pending().await
                },
                rt.handle(),
            );
        }
        drop(set);
        wait_until("the members are dropped", || drops.load(SeqCst) == 10);
        wait_until("no task is left", || rt.handle().num_tasks() == 0);
    });
}

#[test]
fn dropping_the_set_drops_results_that_nobody_took() {
    each_size(|rt| {
        let drops = Arc::new(AtomicUsize::new(0));
        let result = Dropped(drops.clone());
        let mut set = JoinSet::new();
        let abort = set.spawn_on(async move { result }, rt.handle());
        wait_until("the task ends", || abort.is_finished());
        assert_eq!(drops.load(SeqCst), 0);
        drop(set);
        assert_eq!(drops.load(SeqCst), 1);
    });
}

#[test]
fn detached_members_go_on_and_are_not_taken_for_later_ones() {
    each_size(|rt| {
        rt.block_on(async {
            for _ in 0..200 {
                let ran = Arc::new(AtomicUsize::new(0));
                let mut set = JoinSet::new();
                for _ in 0..4 {
                    let runs = ran.clone();
                    set.spawn(async move {
                        runtime::yield_now().await;
                        runs.fetch_add(1, SeqCst);
                        0
                    });
                }
                set.detach_all();
                assert!(set.is_empty());
                // They get the keys that the detached ones had.
                for _ in 0..4 {
                    set.spawn(async {
                        runtime::yield_now().await;
                        1
                    });
                }
                for _ in 0..4 {
                    assert_eq!(set.join_next().await.unwrap().unwrap(), 1);
                }
                assert!(set.join_next().await.is_none());
                until(|| ran.load(SeqCst) == 4).await;
            }
        });
    });
}

#[test]
fn blocking_members_are_joined_as_tasks_are() {
    each_size(|rt| {
        rt.block_on(async {
            let mut set = JoinSet::new();
            let (open, gate) = mpsc::channel();
            set.spawn_blocking(move || gate.recv().unwrap());
            set.spawn(async { 1 });
            assert_eq!(set.join_next().await.unwrap().unwrap(), 1);
            open.send(2).unwrap();
            assert_eq!(set.join_next().await.unwrap().unwrap(), 2);
        });
    });
}

#[test]
fn members_of_a_runtime_that_ends_are_delivered_as_cancelled() {
    each_size(|rt| {
        let other = runtime(2);
        let handle = other.handle().clone();
        let mut set = JoinSet::<()>::new();
        set.spawn_on(pending(), &handle);
        drop(other);
        // Refused: the runtime has ended before.
        set.spawn_on(pending(), &handle);
        assert_eq!(set.len(), 2);
        for _ in 0..2 {
            let error = rt.block_on(set.join_next()).unwrap().unwrap_err();
            assert!(error.is_cancelled());
        }
        assert!(rt.block_on(set.join_next()).is_none());
    });
}

#[test]
#[should_panic(expected = "JoinSet::spawn: no runtime")]
fn spawning_outside_a_runtime_says_what_is_missing() {
    JoinSet::new().spawn(async {});
}
