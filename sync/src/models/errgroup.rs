//! `errgroup`: places against failures, `wait` against the last to end, and spawns that give up.
#![forbid(unsafe_code)]

use std::future::{Future, poll_fn};
use std::panic::{AssertUnwindSafe, Location, catch_unwind};
use std::pin::{Pin, pin};
use std::task::{Context, Poll};

use loom::cell::UnsafeCell;
use loom::sync::atomic::{AtomicUsize, Ordering};
use loom::thread;

use super::handle::{Handle, Member, Seat};
use super::shared::{Call, Outcome, Shared};
use super::spawn::{ask, give_up};
use super::wait::Ended;
use crate::models::block_on;
use crate::waiters::Waiter;

type Group = Handle<u32>;

fn new() -> Group {
    Handle::new(Shared::new(None))
}

/// The good end of a member that has never waited.
fn well(member: Member<u32>) {
    member.end(None, Outcome::Ok);
}

/// A group with a limit of one, in which so many members run.
fn group(limit: usize, running: usize) -> Group {
    let shared = new();
    shared.set_limit(Some(limit)).unwrap();
    for _ in 0..running {
        shared.word.take_place();
    }
    shared
}

/// Waits for a place, for so many polls; says whether it got one, or `None` if it gave up.
fn ask_for(shared: &Shared<u32>, mut polls: usize) -> Option<bool> {
    let mut waiter = pin!(Waiter::new(&shared.waiters, Call::Refused));
    let answer = block_on(poll_fn(|cx| {
        if polls == 0 {
            return Poll::Ready(None);
        }
        polls -= 1;
        if polls == 0 {
            cx.waker().wake_by_ref();
        }
        ask(shared, waiter.as_mut(), cx).map(Some)
    }));
    if answer.is_none() {
        give_up(shared, waiter);
    }
    answer
}

fn wait(shared: &Shared<u32>) -> Vec<u32> {
    block_on(Ended::new(shared, Location::caller()))
}

#[test]
fn wait_returns_when_the_last_has_ended_with_the_first_error() {
    loom::model(|| {
        let shared = group(2, 2);
        let members = [1, 2].map(|n| {
            let shared = shared.clone();
            thread::spawn(move || shared.end(None, Outcome::Err(n)))
        });
        let errors = wait(&shared);
        assert!(errors == [1] || errors == [2], "{errors:?}");
        for member in members {
            member.join().unwrap();
        }
    });
}

#[test]
fn a_place_that_one_gives_up_goes_to_the_next() {
    loom::model(|| {
        let shared = group(1, 1);
        let quitter = {
            let shared = shared.clone();
            thread::spawn(move || {
                if ask_for(&shared, 1) == Some(true) {
                    shared.end(None, Outcome::Ok);
                }
            })
        };
        let patient = {
            let shared = shared.clone();
            thread::spawn(move || {
                assert_eq!(ask_for(&shared, usize::MAX), Some(true));
                shared.end(None, Outcome::Ok);
            })
        };
        shared.end(None, Outcome::Ok);
        quitter.join().unwrap();
        patient.join().unwrap();
        assert!(wait(&shared).is_empty());
    });
}

#[test]
fn a_failure_reaches_who_waits_for_a_place_and_gives_its_place_back() {
    loom::model(|| {
        let shared = group(1, 1);
        let waiter = {
            let shared = shared.clone();
            thread::spawn(move || {
                let granted = ask_for(&shared, usize::MAX);
                assert_eq!(
                    granted,
                    Some(false),
                    "the only place was that of the one that failed"
                );
            })
        };
        let member = {
            let shared = shared.clone();
            thread::spawn(move || shared.end(None, Outcome::Err(1)))
        };
        member.join().unwrap();
        waiter.join().unwrap();
        assert_eq!(wait(&shared), [1]);
    });
}

#[test]
fn a_panic_resumes_in_wait_while_another_still_runs() {
    loom::model(|| {
        let shared = group(2, 2);
        let member = {
            let shared = shared.clone();
            thread::spawn(move || shared.end(None, Outcome::Panic(Box::new("oh"))))
        };
        let waited = catch_unwind(AssertUnwindSafe(|| wait(&shared)));
        assert_eq!(waited.unwrap_err().downcast_ref(), Some(&"oh"));
        member.join().unwrap();
        shared.end(None, Outcome::Ok);
        shared.close();
    });
}

#[test]
fn closing_refuses_who_waits_for_a_place() {
    loom::model(|| {
        let shared = group(1, 1);
        let waiter = {
            let shared = shared.clone();
            thread::spawn(move || assert_eq!(ask_for(&shared, usize::MAX), Some(false)))
        };
        shared.close();
        shared.end(None, Outcome::Dropped);
        waiter.join().unwrap();
    });
}

#[test]
fn who_comes_after_wait_is_not_refused_for_the_failure_before() {
    loom::model(|| {
        let shared = group(1, 1);
        let member = {
            let shared = shared.clone();
            thread::spawn(move || shared.end(None, Outcome::Err(1)))
        };
        assert_eq!(wait(&shared), [1]);
        // The group is as new, while the member may still be telling others of its failure.
        assert_eq!(ask_for(&shared, usize::MAX), Some(true));
        let next = {
            let shared = shared.clone();
            thread::spawn(move || assert_eq!(ask_for(&shared, usize::MAX), Some(true)))
        };
        shared.end(None, Outcome::Ok);
        next.join().unwrap();
        member.join().unwrap();
    });
}

// Without the lock.

#[test]
fn who_waits_sees_the_end_of_all() {
    loom::model(|| {
        let group = new();
        let done = loom::sync::Arc::new(AtomicUsize::new(0));
        let members: Vec<_> = (0..2)
            .map(|_| {
                let member = group.try_enter().unwrap();
                let done = done.clone();
                thread::spawn(move || {
                    // Relaxed: what makes it visible is the group.
                    done.fetch_add(1, Ordering::Relaxed);
                    well(member);
                })
            })
            .collect();
        assert_eq!(wait(&group), []);
        assert_eq!(done.load(Ordering::Relaxed), 2);
        // It can be used again.
        well(group.try_enter().unwrap());
        for member in members {
            member.join().unwrap();
        }
    });
}

#[test]
fn a_failure_beside_a_good_end_is_returned_when_both_have_ended() {
    loom::model(|| {
        let group = new();
        let both =
            [Outcome::Ok, Outcome::Err(7)].map(|outcome| (group.try_enter().unwrap(), outcome));
        let members = both.map(|(member, outcome)| {
            thread::spawn(move || match outcome {
                Outcome::Ok => well(member),
                outcome => member.end(None, outcome),
            })
        });
        assert_eq!(wait(&group), [7]);
        for member in members {
            member.join().unwrap();
        }
    });
}

#[test]
fn a_member_that_begins_to_wait_learns_that_it_is_to_give_up() {
    loom::model(|| {
        let group = new();
        group.abort_on_error();
        let (failing, waiting) = (group.try_enter().unwrap(), group.try_enter().unwrap());
        let failing = thread::spawn(move || failing.end(None, Outcome::Err(7)));
        let waiting = thread::spawn(move || {
            block_on(Suspended(Seat::new(waiting)));
        });
        assert_eq!(wait(&group), [7]);
        failing.join().unwrap();
        waiting.join().unwrap();
    });
}

#[test]
fn a_limit_is_not_set_beside_a_member() {
    loom::model(|| {
        let group = new();
        let starting = {
            let group = group.clone();
            thread::spawn(move || group.try_enter())
        };
        let limited = group.set_limit(Some(0)).is_ok();
        let started = starting.join().unwrap();
        assert!(limited != started.is_some(), "one was first");
    });
}

/// Who starts a member just when a limit is set takes a place for a moment, and is turned back.
#[test]
fn who_is_turned_back_by_a_limit_leaves_its_place_to_who_waits() {
    loom::model(|| {
        let group = new();
        let starting = {
            let group = group.clone();
            thread::spawn(move || group.try_enter())
        };
        let limited = group.set_limit(Some(1)).is_ok();
        // Only if the limit came first may the place be taken by one that is turned back.
        if limited {
            assert_eq!(ask_for(&group, usize::MAX), Some(true));
            group.end(None, Outcome::Ok);
        }
        let started = starting.join().unwrap();
        assert_ne!(limited, started.is_some(), "one was first");
        started.into_iter().for_each(well);
        assert!(wait(&group).is_empty());
    });
}

#[test]
fn who_is_turned_back_by_a_failure_does_not_keep_who_waits_for_the_end() {
    loom::model(|| {
        let group = new();
        let failing = group.try_enter().unwrap();
        let starting = {
            let group = group.clone();
            thread::spawn(move || group.try_enter().into_iter().for_each(well))
        };
        failing.end(None, Outcome::Err(7));
        assert_eq!(wait(&group), [7]);
        starting.join().unwrap();
    });
}

/// Loom fails if the group is freed twice, not at all, or before what others did with it.
#[test]
fn the_last_holder_frees_the_group() {
    loom::model(|| {
        let group = new();
        let plain = group.try_enter().unwrap();
        let failing = group.try_enter().unwrap();
        let plain = thread::spawn(move || well(plain));
        let failing = thread::spawn(move || failing.end(None, Outcome::Err(7)));
        group.close();
        drop(group);
        plain.join().unwrap();
        failing.join().unwrap();
    });
}

/// An error that looks at itself when it is dropped, with the group.
struct Looks(UnsafeCell<()>);

impl Drop for Looks {
    fn drop(&mut self) {
        self.0.with_mut(|_| ());
    }
}

/// Also what one did under the lock, which the one that frees it need not have taken since.
#[test]
fn the_group_is_freed_after_all_that_its_holders_did() {
    for both_fail in [false, true] {
        loom::model(move || {
            let group: Handle<Looks> = Handle::new(Shared::new(None));
            // So that no failure sends the others to the lock.
            group.collect_errors();
            let ends = |member: Member<Looks>, fails: bool| {
                thread::spawn(move || match fails {
                    true => member.end(None, Outcome::Err(Looks(UnsafeCell::new(())))),
                    false => member.end(None, Outcome::Ok),
                })
            };
            let members = [true, both_fail].map(|fails| ends(group.try_enter().unwrap(), fails));
            // Without `close`, which takes the errors.
            drop(group);
            for member in members {
                member.join().unwrap();
            }
        });
    }
}

#[test]
fn who_starts_after_an_abort_and_a_wait_is_not_aborted() {
    loom::model(|| {
        let group = new();
        group.abort_on_error();
        let failing = group.try_enter().unwrap();
        failing.end(None, Outcome::Err(7));
        let next = {
            let group = group.clone();
            thread::spawn(move || match group.try_enter() {
                Some(member) => {
                    assert!(!member.is_aborting());
                    well(member);
                }
                None => thread::yield_now(),
            })
        };
        assert_eq!(wait(&group), [7]);
        next.join().unwrap();
    });
}

/// A member whose future is never ready.
struct Suspended(Seat<u32>);

impl Future for Suspended {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        if !self.0.group().is_aborting() && self.0.waits(cx.waker()) {
            return Poll::Pending;
        }
        let (member, place) = self.0.take().unwrap();
        member.end(place, Outcome::Dropped);
        Poll::Ready(())
    }
}
