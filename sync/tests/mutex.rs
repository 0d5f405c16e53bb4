//! `Mutex` through its public face: what Go's own tests of `sync.Mutex` check, stated anew, and
//! what only exists here.
#![cfg(not(loom))]

mod support;

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::time::{Duration, Instant};

use support::{
    Random, WORKERS, give_up_after, message_of, on, on_each, on_one_alone, pause, poll_once, times,
    with_seeds,
};
use sync::{Mutex, WaitGroup, select};

/// Go: TestMutex.
#[test]
fn one_at_a_time_is_inside_also_across_awaits() {
    on_each(WORKERS, || async {
        const TASKS: usize = times(10);
        const ROUNDS: usize = times(1000);
        let mutex = Arc::new(Mutex::new(0_u32));
        let inside = Arc::new(AtomicUsize::new(0));
        let group = WaitGroup::new();
        for task in 0..TASKS {
            let (mutex, inside) = (mutex.clone(), inside.clone());
            group.spawn(async move {
                for round in 0..ROUNDS {
                    if round % 3 == 0 {
                        drop(mutex.try_lock());
                        continue;
                    }
                    let mut guard = mutex.lock().await;
                    assert_eq!(inside.fetch_add(1, Ordering::Relaxed), 0, "two are inside");
                    let before = *guard;
                    pause((round + task) % 2).await;
                    *guard = before + 1;
                    inside.fetch_sub(1, Ordering::Relaxed);
                }
            });
        }
        group.wait().await;
        assert_eq!(
            *mutex.lock().await,
            TASKS as u32 * (ROUNDS - ROUNDS.div_ceil(3)) as u32
        );
    });
}

/// A lock that was taken and freed alone for long enough is freed in another way, which ends when
/// somebody has to wait: at the moment of the change, too, each unlock wakes who waits.
#[test]
fn a_lock_that_was_alone_for_long_wakes_those_who_come_at_last() {
    /// More than it takes, and so few that the change comes again and again.
    const ALONE: usize = times(1_500);
    const TASKS: usize = 3;
    on_each(WORKERS, || async {
        for round in 0..times(40) {
            let mutex = Arc::new(Mutex::new(0));
            for _ in 0..ALONE {
                *mutex.lock().await += 1;
            }
            let group = WaitGroup::new();
            for task in 0..TASKS {
                let mutex = mutex.clone();
                group.spawn(async move {
                    for lap in 0..20 {
                        let mut guard = mutex.lock().await;
                        pause((round + task + lap) % 3).await;
                        *guard += 1;
                    }
                });
            }
            group.wait().await;
            assert_eq!(
                *mutex.try_lock().expect("nobody holds it"),
                ALONE + 20 * TASKS
            );
        }
    });
}

/// Go: TestMutexFairness. One task holds the lock nearly all the time; another gets it all the
/// same.
#[test]
fn a_hog_does_not_starve_the_others() {
    on_each(WORKERS, || async {
        let mutex = Arc::new(Mutex::new(()));
        let stop = Arc::new(AtomicBool::new(false));
        let hog = runtime::spawn({
            let (mutex, stop) = (mutex.clone(), stop.clone());
            async move {
                while !stop.load(Ordering::Relaxed) {
                    let _guard = mutex.lock().await;
                    let since = Instant::now();
                    while since.elapsed() < Duration::from_micros(100) {
                        runtime::yield_now().await;
                    }
                }
            }
        });
        for _ in 0..times(10) {
            runtime::time::sleep(Duration::from_micros(100)).await;
            drop(mutex.lock().await);
        }
        stop.store(true, Ordering::Relaxed);
        hog.await.unwrap();
    });
}

/// Go: TestMutexMisuse. There it is fatal; here it does not compile, and locking what is locked can
/// be asked.
#[test]
fn try_lock_fails_while_it_is_locked_and_succeeds_after() {
    let mutex = Mutex::new(1);
    let guard = mutex.try_lock().unwrap();
    assert!(mutex.try_lock().is_none());
    assert!(mutex.is_locked());
    drop(guard);
    assert!(!mutex.is_locked());
    assert!(mutex.try_lock().is_some());
}

#[derive(Default)]
struct Calls(AtomicUsize);

impl Wake for Calls {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

impl Calls {
    fn poll<F: Future>(self: &Arc<Self>, future: std::pin::Pin<&mut F>) -> Poll<F::Output> {
        let waker = Waker::from(self.clone());
        future.poll(&mut Context::from_waker(&waker))
    }

    fn get(&self) -> usize {
        self.0.load(Ordering::SeqCst)
    }
}

#[test]
fn waiters_are_woken_one_at_a_time_in_the_order_in_which_they_came() {
    let mutex = Mutex::new(());
    let (first, second) = (Arc::new(Calls::default()), Arc::new(Calls::default()));
    let guard = mutex.try_lock().unwrap();
    let mut one = pin!(mutex.lock());
    let mut two = pin!(mutex.lock());
    assert!(first.poll(one.as_mut()).is_pending());
    assert!(second.poll(two.as_mut()).is_pending());
    drop(guard);
    assert_eq!((first.get(), second.get()), (1, 0));
    // A newcomer may be faster than one that was woken …
    let newcomer = mutex.try_lock().expect("free, and nobody has starved");
    assert!(first.poll(one.as_mut()).is_pending());
    drop(newcomer);
    // … which keeps its place in front.
    assert_eq!((first.get(), second.get()), (2, 0));
    let Poll::Ready(guard) = first.poll(one.as_mut()) else {
        panic!("the lock is free");
    };
    drop(guard);
    assert_eq!(second.get(), 1);
    assert!(second.poll(two.as_mut()).is_ready());
}

#[test]
fn one_who_has_waited_for_a_millisecond_is_handed_the_lock() {
    let mutex = Mutex::new(());
    let guard = mutex.try_lock().unwrap();
    let mut starving = pin!(mutex.lock());
    assert!(poll_once(starving.as_mut()).is_pending());
    let since = Instant::now();
    while since.elapsed() <= Duration::from_millis(2) {
        std::thread::yield_now();
    }
    drop(guard);
    let faster = mutex.try_lock().expect("nobody has said that it starves");
    assert!(poll_once(starving.as_mut()).is_pending());
    drop(faster);
    assert!(
        mutex.try_lock().is_none(),
        "it is owed to the one that starves"
    );
    let guard = poll_once(starving.as_mut());
    assert!(guard.is_ready());
    drop(guard);
    assert!(mutex.try_lock().is_some(), "starvation ends with it");
}

#[test]
fn one_who_was_handed_the_lock_and_goes_away_gives_it_on() {
    let mutex = Mutex::new(());
    let guard = mutex.try_lock().unwrap();
    let mut next = Box::pin(mutex.lock());
    {
        let mut starving = pin!(mutex.lock());
        assert!(poll_once(starving.as_mut()).is_pending());
        assert!(poll_once(next.as_mut()).is_pending());
        let since = Instant::now();
        while since.elapsed() <= Duration::from_millis(2) {
            std::thread::yield_now();
        }
        drop(guard);
        let faster = mutex.try_lock().unwrap();
        assert!(poll_once(starving.as_mut()).is_pending());
        drop(faster); // handed over …
    } // … and given on
    assert!(poll_once(next.as_mut()).is_ready());
    drop(next);
    assert!(mutex.try_lock().is_some());
}

#[test]
fn a_waiter_that_is_dropped_is_forgotten() {
    let mutex = Mutex::new(());
    let guard = mutex.try_lock().unwrap();
    let mut gone = Box::pin(mutex.lock());
    let mut stays = pin!(mutex.lock());
    assert!(poll_once(gone.as_mut()).is_pending());
    assert!(poll_once(stays.as_mut()).is_pending());
    drop(gone);
    drop(guard);
    assert!(poll_once(stays.as_mut()).is_ready());
}

#[test]
fn a_panic_unlocks_and_does_not_poison() {
    on_each(WORKERS, || async {
        let mutex = Arc::new(Mutex::new(1));
        let shared = mutex.clone();
        let task = runtime::spawn(async move {
            let mut guard = shared.lock().await;
            *guard = 2;
            panic!("inside");
        });
        assert!(task.await.unwrap_err().is_panic());
        assert_eq!(*mutex.lock().await, 2);
    });
}

#[test]
fn owned_guards_go_into_tasks() {
    on_each(WORKERS, || async {
        let mutex = Arc::new(Mutex::new(1));
        let mut guard = mutex.clone().lock_owned().await;
        assert!(mutex.clone().try_lock_owned().is_none());
        let task = runtime::spawn(async move { *guard += 1 });
        assert_eq!(*mutex.lock().await, 2);
        task.await.unwrap();
    });
}

#[test]
fn it_can_be_an_arm_of_a_select() {
    on_each(WORKERS, || async {
        let mutex = Mutex::new(());
        let guard = mutex.lock().await;
        let locked = select! {
            _guard = mutex.lock() => true,
            () = runtime::yield_now() => false,
        };
        assert!(!locked);
        drop(guard);
        assert!(
            mutex.try_lock().is_some(),
            "the arm that lost left nothing behind"
        );
    });
}

#[test]
fn threads_and_tasks_share_it() {
    on_each(WORKERS, || async {
        let mutex = Arc::new(Mutex::new(0));
        let threads: Vec<_> = (0..3)
            .map(|_| {
                let mutex = mutex.clone();
                std::thread::spawn(move || {
                    (0..times(500)).for_each(|_| *mutex.blocking_lock() += 1)
                })
            })
            .collect();
        for _ in 0..times(500) {
            *mutex.lock().await += 1;
            runtime::yield_now().await;
        }
        for thread in threads {
            runtime::spawn_blocking(move || thread.join().unwrap())
                .await
                .unwrap();
        }
        assert_eq!(*mutex.lock().await, 4 * times(500));
    });
}

#[test]
fn blocking_inside_a_task_says_what_to_do_instead() {
    on(1, async {
        let mutex = Mutex::new(());
        let message = message_of(|| drop(mutex.blocking_lock()));
        assert!(message.contains("Mutex::blocking_lock") && message.contains("lock().await"));
    });
}

#[test]
fn debug_does_not_wait() {
    let mutex = Mutex::new(5);
    assert_eq!(format!("{mutex:?}"), "Mutex { value: 5 }");
    let guard = mutex.try_lock().unwrap();
    assert_eq!(format!("{mutex:?}"), "Mutex { value: <locked> }");
    assert_eq!(format!("{guard:?} {guard}"), "5 5");
}

#[test]
fn a_loop_of_uncontended_locks_lets_other_tasks_run() {
    on_one_alone(async {
        let stop = Arc::new(AtomicBool::new(false));
        let other = stop.clone();
        runtime::spawn(async move { other.store(true, Ordering::Relaxed) });
        let mutex = Mutex::new(0);
        while !stop.load(Ordering::Relaxed) {
            *mutex.lock().await += 1;
        }
    });
}

#[test]
fn unsized_values_and_statics_work() {
    static COUNT: Mutex<u32> = Mutex::new(0);
    let any: Arc<Mutex<dyn std::fmt::Debug + Send>> = Arc::new(Mutex::new(7));
    on(1, async move {
        *COUNT.lock().await += 1;
        assert_eq!(*COUNT.lock().await, 1);
        assert_eq!(format!("{:?}", &*any.lock_owned().await), "7");
    });
}

/// Tasks lock, give up after a random number of polls, or are handed the lock just then; the lock
/// is never lost.
#[test]
fn random_cancellation_loses_no_lock() {
    with_seeds(4, |seed| {
        for &workers in WORKERS {
            on(workers, random_cancellation(seed));
        }
    });
}

async fn random_cancellation(seed: u64) {
    let mutex = Arc::new(Mutex::new(0_usize));
    let tasks: Vec<_> = (0..times(20) as u64)
        .map(|task| {
            let mutex = mutex.clone();
            let mut random = Random::new(seed ^ (task << 40));
            runtime::spawn(async move {
                let mut locked = 0;
                for _ in 0..times(100) {
                    let polls = if random.chance(50) {
                        usize::MAX
                    } else {
                        random.below(5)
                    };
                    if let Some(mut guard) = give_up_after(polls, mutex.lock()).await {
                        let before = *guard;
                        pause(random.below(3)).await;
                        *guard = before + 1;
                        locked += 1;
                    }
                    pause(random.below(2)).await;
                }
                locked
            })
        })
        .collect();
    let mut locked = 0;
    for task in tasks {
        locked += task.await.unwrap();
    }
    assert_eq!(*mutex.try_lock().expect("nobody holds it"), locked);
}
