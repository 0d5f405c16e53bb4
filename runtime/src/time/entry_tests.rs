//! One timer and its wheel, with a clock that the tests make up; and many, with threads.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::task::{Wake, Waker};
use std::thread;
use std::time::{Duration, Instant};

use super::entry::{Entry, NotArmed, State};
use super::timers::Timers;

const TICK: u64 = 1 << 15;

/// Counts its wake-ups.
#[derive(Default)]
struct Count(AtomicUsize);

impl Count {
    fn new() -> (Arc<Self>, Waker) {
        let count = Arc::<Self>::default();
        (count.clone(), Waker::from(count))
    }

    fn woken(&self) -> usize {
        self.0.load(Ordering::SeqCst)
    }
}

impl Wake for Count {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

fn armed(at: u64, waker: &Waker, timers: &'static Timers) -> Pin<Box<Entry>> {
    let mut entry = Box::pin(Entry::new());
    arm(&mut entry, at, waker, timers);
    entry
}

fn arm(entry: &mut Pin<Box<Entry>>, at: u64, waker: &Waker, timers: &'static Timers) {
    let alert = entry.as_mut().arm(at, 0, waker.clone(), timers, true);
    alert.expect("the deadline is ahead").ring();
}

#[test]
fn fires_once_at_its_time_and_not_before() {
    let timers = Timers::leak();
    let (count, waker) = Count::new();
    let entry = armed(10 * TICK, &waker, timers);
    assert_eq!(timers.next_deadline(), 10 * TICK);
    assert_eq!(timers.fire(10 * TICK - 1, usize::MAX), 0);
    assert_eq!((count.woken(), entry.state()), (0, State::Armed));
    assert_eq!(timers.fire(10 * TICK, usize::MAX), 1);
    assert_eq!((count.woken(), entry.state()), (1, State::Fired));
    assert_eq!(timers.fire(20 * TICK, usize::MAX), 0);
    assert_eq!(timers.next_deadline(), u64::MAX);
}

#[test]
fn a_dropped_timer_leaves_nothing_behind() {
    let timers = Timers::leak();
    let (count, waker) = Count::new();
    let entry = armed(10 * TICK, &waker, timers);
    drop(entry);
    assert_eq!(timers.next_deadline(), u64::MAX);
    assert_eq!(timers.fire(10 * TICK, usize::MAX), 0);
    drop(waker);
    assert_eq!((count.woken(), Arc::strong_count(&count)), (0, 1));
}

#[test]
fn cancel_tells_whether_it_was_first() {
    let timers = Timers::leak();
    let (_, waker) = Count::new();
    let mut entry = armed(10 * TICK, &waker, timers);
    assert!(entry.as_mut().cancel().is_some());
    assert!(entry.as_mut().cancel().is_none());
    arm(&mut entry, 10 * TICK, &waker, timers);
    timers.fire(10 * TICK, usize::MAX);
    assert!(entry.as_mut().cancel().is_none());
    assert_eq!(entry.state(), State::Fired);
}

#[test]
fn a_timer_put_off_fires_at_the_new_time_only() {
    let timers = Timers::leak();
    let (count, waker) = Count::new();
    let mut entry = armed(10 * TICK, &waker, timers);
    assert!(entry.as_mut().postpone(20 * TICK));
    assert!(!entry.as_mut().postpone(15 * TICK), "that is no later time");
    assert_eq!(timers.fire(10 * TICK, usize::MAX), 0);
    assert_eq!(timers.next_deadline(), 20 * TICK);
    assert_eq!(timers.fire(20 * TICK, usize::MAX), 1);
    assert!(!entry.as_mut().postpone(30 * TICK), "it has fired");
    assert_eq!((count.woken(), entry.state()), (1, State::Fired));
}

#[test]
fn wakes_the_waker_of_the_last_poll() {
    let timers = Timers::leak();
    let (first, first_waker) = Count::new();
    let (second, second_waker) = Count::new();
    let mut entry = armed(10 * TICK, &first_waker, timers);
    assert_eq!(entry.as_mut().refresh(&first_waker), State::Armed);
    assert_eq!(entry.as_mut().refresh(&second_waker), State::Armed);
    drop(first_waker);
    assert_eq!(Arc::strong_count(&first), 1, "the old waker is dropped");
    timers.fire(10 * TICK, usize::MAX);
    assert_eq!((first.woken(), second.woken()), (0, 1));
    assert_eq!(entry.as_mut().refresh(&second_waker), State::Fired);
}

#[test]
fn a_deadline_that_has_passed_is_due_at_once() {
    let timers = Timers::leak();
    let (count, waker) = Count::new();
    let _keep = armed(1000 * TICK, &waker, timers);
    let _earlier = armed(100 * TICK, &waker, timers);
    assert_eq!(timers.fire(100 * TICK, usize::MAX), 1);
    let mut entry = Box::pin(Entry::new());
    let refused = entry
        .as_mut()
        .arm(100 * TICK, 0, waker.clone(), timers, true);
    assert!(matches!(refused, Err(NotArmed::Due(_))));
    assert_eq!((count.woken(), entry.state()), (1, State::Fired));
}

#[test]
fn shutdown_wakes_the_waiting_and_takes_no_more() {
    let timers = Timers::leak();
    let (count, waker) = Count::new();
    let mut entries: Vec<_> = (1..=100)
        .map(|at| armed(at * TICK, &waker, timers))
        .collect();
    timers.close();
    assert_eq!(count.woken(), 100);
    assert_eq!(timers.next_deadline(), u64::MAX);
    for entry in &mut entries {
        assert_eq!(entry.state(), State::Idle);
        let refused = entry.as_mut().arm(TICK, 0, waker.clone(), timers, true);
        assert!(matches!(refused, Err(NotArmed::Closed(_))));
    }
    drop(entries);
    drop(waker);
    assert_eq!(Arc::strong_count(&count), 1);
}

#[test]
fn a_wheel_from_the_pool_is_open_again() {
    let timers = Timers::acquire(super::dial::Resolution::Coarse);
    timers.release();
    let timers = Timers::acquire(super::dial::Resolution::Coarse);
    let (_, waker) = Count::new();
    // The pool's wheel may have been anywhere in time.
    let far = u64::MAX / 2;
    let mut entry = armed(far, &waker, timers);
    assert!(entry.as_mut().cancel().is_some());
    timers.release();
}

#[test]
fn an_earlier_deadline_from_elsewhere_interrupts_the_owner() {
    let timers = Timers::leak();
    let (interrupts, interrupt) = Count::new();
    timers.set_interrupt(interrupt);
    let (_, waker) = Count::new();
    let mut entries = Vec::new();
    let mut insert = |at: u64, owned: bool| {
        let mut entry = Box::pin(Entry::new());
        let alert = entry.as_mut().arm(at, 0, waker.clone(), timers, owned);
        alert.expect("the deadline is ahead").ring();
        entries.push(entry);
        interrupts.woken()
    };
    assert_eq!(insert(100 * TICK, false), 1, "the first timer");
    assert_eq!(insert(200 * TICK, false), 1, "a later one");
    assert_eq!(insert(100 * TICK, false), 1, "an equal one");
    assert_eq!(insert(50 * TICK, true), 1, "the owner's own");
    assert_eq!(insert(40 * TICK, false), 2, "an earlier one");
}

#[test]
fn firing_stops_at_the_limit_and_says_that_more_are_due() {
    let timers = Timers::leak();
    let (count, waker) = Count::new();
    let _entries: Vec<_> = (0..100).map(|_| armed(TICK, &waker, timers)).collect();
    assert_eq!(timers.fire(TICK, 70), 70);
    assert!(timers.next_deadline() <= TICK);
    assert_eq!(timers.fire(TICK, 70), 30);
    assert_eq!(timers.next_deadline(), u64::MAX);
    assert_eq!(count.woken(), 100);
}

#[test]
fn a_waker_that_panics_does_not_cost_the_others_their_wake_up() {
    struct Bomb;
    impl Wake for Bomb {
        fn wake(self: Arc<Self>) {
            panic!("boom");
        }
    }
    let timers = Timers::leak();
    let (count, waker) = Count::new();
    let bomb = Waker::from(Arc::new(Bomb));
    let _entries: Vec<_> = (0..10)
        .map(|i| armed(TICK, if i == 3 { &bomb } else { &waker }, timers))
        .collect();
    assert_eq!(timers.fire(TICK, usize::MAX), 10);
    assert_eq!(count.woken(), 9);
}

#[test]
fn each_of_many_timers_on_many_threads_fires_or_is_cancelled_once() {
    const OWNERS: u64 = 3;
    let timers = Timers::leak();
    let clock = AtomicUsize::new(0);
    let finished = AtomicBool::new(false);
    let now = || clock.load(Ordering::SeqCst) as u64 * TICK;
    thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while !finished.load(Ordering::SeqCst) {
                    clock.fetch_add(1, Ordering::SeqCst);
                    timers.fire(now(), 3);
                    thread::yield_now();
                }
            });
        }
        let owners: Vec<_> = (0..OWNERS)
            .map(|owner| scope.spawn(move || own(owner, timers, &now)))
            .collect();
        for owner in owners {
            owner.join().expect("an owner failed");
        }
        finished.store(true, Ordering::SeqCst);
    });
    timers.fire(now(), usize::MAX);
    assert_eq!(timers.next_deadline(), u64::MAX);

    /// Arms, puts off, cancels and drops timers, and counts that each fires exactly when it was not
    /// cancelled.
    fn own(owner: u64, timers: &'static Timers, now: &impl Fn() -> u64) {
        let mut random = owner + 1;
        for _ in 0..if cfg!(miri) { 30 } else { 20_000 } {
            random = random.wrapping_mul(6_364_136_223_846_793_005) + 1;
            let (count, waker) = Count::new();
            let mut entry = Box::pin(Entry::new());
            let start = now();
            let delay = (random >> 33) % (40 * TICK);
            let expected = match entry
                .as_mut()
                .arm(start + delay, start, waker, timers, false)
            {
                Err(_) => 0,
                Ok(alert) => {
                    alert.ring();
                    if random >> 60 & 1 == 0 {
                        entry.as_mut().postpone(start + delay + 5 * TICK);
                    }
                    for _ in 0..(random >> 50) % 4 {
                        thread::yield_now();
                    }
                    usize::from(entry.as_mut().cancel().is_none())
                }
            };
            drop(entry);
            // The waker of one that has fired may still be in the hands of the thread that fired
            // it.
            let since = Instant::now();
            while Arc::strong_count(&count) > 1 {
                assert!(since.elapsed() < Duration::from_secs(300), "a waker leaked");
                thread::yield_now();
            }
            assert_eq!(count.woken(), expected);
        }
    }
}
