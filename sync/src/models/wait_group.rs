//! `WaitGroup`: the last `done` against waiters that come, go and come back.
#![forbid(unsafe_code)]

use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize as StdAtomicUsize, Ordering as StdOrdering};
use std::task::{Context, Poll, Wake, Waker};

use loom::cell::UnsafeCell;
use loom::thread::{self, Thread};

use crate::wait_group::{Wait, WaitGroup};

/// A waker that counts its calls. Its counter is not part of the model: it is read after the
/// threads have been joined.
#[derive(Default)]
struct Calls(StdAtomicUsize);

impl Wake for Calls {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, StdOrdering::SeqCst);
    }
}

impl Calls {
    fn get(&self) -> usize {
        self.0.load(StdOrdering::SeqCst)
    }
}

fn poll(wait: &mut Pin<Box<Wait<'_>>>, calls: &Arc<Calls>) -> bool {
    let waker = Waker::from(calls.clone());
    wait.as_mut().poll(&mut Context::from_waker(&waker)) == Poll::Ready(())
}

struct Unparker(Thread);

impl Wake for Unparker {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// Blocks the model's thread; a lost wake-up is a deadlock, which loom reports.
fn wait_for(future: impl Future<Output = ()>) {
    let mut future = pin!(future);
    let waker = Waker::from(Arc::new(Unparker(thread::current())));
    while future
        .as_mut()
        .poll(&mut Context::from_waker(&waker))
        .is_pending()
    {
        thread::park();
    }
}

fn nobody_counted(group: &WaitGroup) {
    assert_eq!(format!("{group:?}"), "WaitGroup { counter: 0, waiters: 0 }");
}

/// What loom checks when it is told that two threads touch it without order.
struct Written(UnsafeCell<u32>);

impl Written {
    fn new() -> loom::sync::Arc<Self> {
        loom::sync::Arc::new(Self(UnsafeCell::new(0)))
    }

    fn write(&self) {
        self.0.with_mut(|_| ());
    }

    fn read(&self) {
        self.0.with(|_| ());
    }
}

#[test]
fn wait_returns_after_every_done_and_sees_what_came_before_it() {
    loom::model(|| {
        let group = WaitGroup::new();
        group.add(2);
        let threads: Vec<_> = (0..2)
            .map(|_| {
                let (group, written) = (group.clone(), Written::new());
                let theirs = written.clone();
                let thread = thread::spawn(move || {
                    theirs.write();
                    group.done();
                });
                (thread, written)
            })
            .collect();
        wait_for(group.wait());
        for (_, written) in &threads {
            written.read();
        }
        for (thread, _) in threads {
            thread.join().unwrap();
        }
        nobody_counted(&group);
    });
}

#[test]
fn two_waiters_are_both_woken() {
    loom::model(|| {
        let group = WaitGroup::new();
        group.add(1);
        let waiter = {
            let group = group.clone();
            thread::spawn(move || wait_for(group.wait()))
        };
        let finisher = {
            let group = group.clone();
            thread::spawn(move || group.done())
        };
        wait_for(group.wait());
        waiter.join().unwrap();
        finisher.join().unwrap();
        nobody_counted(&group);
    });
}

#[test]
fn a_waiter_that_leaves_takes_no_other_s_wake_with_it() {
    loom::model(|| {
        let group = WaitGroup::new();
        group.add(1);
        let calls = [(); 3].map(|()| Arc::<Calls>::default());
        let mut waits = [(); 3].map(|()| Box::pin(group.wait()));
        for (wait, calls) in waits.iter_mut().zip(&calls) {
            assert!(!poll(wait, calls));
        }
        let finisher = {
            let group = group.clone();
            thread::spawn(move || group.done())
        };
        let [first, leaves, last] = waits;
        drop(leaves);
        finisher.join().unwrap();
        for (mut wait, calls) in [(first, &calls[0]), (last, &calls[2])] {
            assert_eq!(calls.get(), 1, "woken once");
            assert!(poll(&mut wait, calls));
        }
        nobody_counted(&group);
    });
}

/// The one who made the counter zero may find, once it has the lock, waiters for a later zero.
#[test]
fn a_late_finisher_does_not_wake_the_next_round() {
    loom::model(|| {
        let group = WaitGroup::new();
        group.add(1);
        let calls = Arc::<Calls>::default();
        let mut first = Box::pin(group.wait());
        assert!(!poll(&mut first, &calls));
        let finisher = {
            let group = group.clone();
            thread::spawn(move || group.done())
        };
        drop(first);
        group.add(1);
        let next = Arc::<Calls>::default();
        let mut second = Box::pin(group.wait());
        assert!(!poll(&mut second, &next), "its own `done` is to come");
        finisher.join().unwrap();
        assert!(!poll(&mut second, &next), "woken for the round before");
        group.done();
        assert!(poll(&mut second, &next));
        assert_eq!(next.get(), 1);
        nobody_counted(&group);
    });
}

/// `add` while the waiters are being woken is a mistake that is reported; it must not lose them.
#[test]
fn an_add_that_is_refused_leaves_nobody_behind() {
    static MET: Met = Met::new();
    loom::model(|| {
        beside_the_last_done(&MET, |group| {
            group.add(1);
            group.done();
        });
    });
    MET.both();
}

/// The same for what counts itself, which is a holder of the group as well.
#[test]
fn a_guard_that_is_refused_leaves_nobody_behind() {
    static MET: Met = Met::new();
    loom::model(|| beside_the_last_done(&MET, |group| drop(group.guard())));
    MET.both();
}

/// How often a mistake was made, and noticed.
struct Met {
    accepted: StdAtomicUsize,
    refused: StdAtomicUsize,
}

impl Met {
    const fn new() -> Self {
        Self {
            accepted: StdAtomicUsize::new(0),
            refused: StdAtomicUsize::new(0),
        }
    }

    /// There were interleavings of both kinds.
    fn both(&self) {
        assert!(self.accepted.load(StdOrdering::SeqCst) > 0, "never in time");
        assert!(self.refused.load(StdOrdering::SeqCst) > 0, "never refused");
    }
}

/// Counts one more while the last `done` is on its way.
fn beside_the_last_done(met: &Met, count: impl FnOnce(&WaitGroup)) {
    let group = WaitGroup::new();
    group.add(1);
    let calls = Arc::<Calls>::default();
    let mut wait = Box::pin(group.wait());
    assert!(!poll(&mut wait, &calls));
    let finisher = {
        let group = group.clone();
        thread::spawn(move || group.done())
    };
    match catch_unwind(AssertUnwindSafe(|| count(&group))) {
        Ok(()) => {
            met.accepted.fetch_add(1, StdOrdering::SeqCst);
        }
        Err(panic) => {
            met.refused.fetch_add(1, StdOrdering::SeqCst);
            let text = panic.downcast::<String>().expect("a text");
            let expected = "sync: WaitGroup misuse: Add called concurrently with Wait";
            assert!(text.starts_with(expected), "{text}");
        }
    }
    finisher.join().unwrap();
    assert_eq!(calls.get(), 1, "woken once");
    assert!(poll(&mut wait, &calls));
    nobody_counted(&group);
}

/// One `done` too many makes the counter negative for a moment. Who comes to wait just then is not
/// left behind when it is taken back.
#[test]
fn a_done_too_many_leaves_nobody_waiting() {
    loom::model(|| {
        let group = WaitGroup::new();
        let wrong = {
            let group = group.clone();
            thread::spawn(move || {
                let panic = catch_unwind(AssertUnwindSafe(|| group.done())).unwrap_err();
                let text = panic.downcast::<String>().expect("a text");
                let expected = "sync: negative WaitGroup counter";
                assert!(text.starts_with(expected), "{text}");
            })
        };
        wait_for(group.wait());
        wrong.join().unwrap();
        nobody_counted(&group);
    });
}

#[test]
fn a_waker_replaced_during_the_last_done_is_the_old_or_the_new_one() {
    loom::model(|| {
        let group = WaitGroup::new();
        group.add(1);
        let (old, new) = (Arc::<Calls>::default(), Arc::<Calls>::default());
        let mut wait = Box::pin(group.wait());
        assert!(!poll(&mut wait, &old));
        let finisher = {
            let group = group.clone();
            thread::spawn(move || group.done())
        };
        let ready = poll(&mut wait, &new);
        finisher.join().unwrap();
        assert!(
            ready || new.get() == 1,
            "pending, and the waker of that poll was not called"
        );
        assert!(poll(&mut wait, &new));
        nobody_counted(&group);
    });
}

/// Loom's tracking of what is allocated tells whether the group is freed, and the queue's cell
/// whether it is touched after that.
#[test]
fn the_last_to_go_frees_the_group_whoever_it_is() {
    loom::model(|| {
        let group = WaitGroup::new();
        let members: Vec<_> = (0..2)
            .map(|_| {
                let guard = group.guard();
                thread::spawn(move || drop(guard))
            })
            .collect();
        let calls = Arc::<Calls>::default();
        let mut wait = Box::pin(group.wait());
        let _ = poll(&mut wait, &calls);
        // It may be woken now, or be on its way out, while the group goes.
        drop(wait);
        drop(group);
        for member in members {
            member.join().unwrap();
        }
    });
}

#[test]
fn guards_and_calls_of_done_count_alike() {
    loom::model(|| {
        let group = WaitGroup::new();
        group.add(1);
        let guard = group.guard();
        let member = thread::spawn(move || drop(guard));
        let other = {
            let group = group.clone();
            thread::spawn(move || group.done())
        };
        wait_for(group.wait());
        member.join().unwrap();
        other.join().unwrap();
        nobody_counted(&group);
    });
}
