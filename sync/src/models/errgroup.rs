//! `errgroup`: places against failures, `wait` against the last to end, and spawns that give up.
#![forbid(unsafe_code)]

use std::future::poll_fn;
use std::panic::{AssertUnwindSafe, Location, catch_unwind};
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;

use loom::thread;

use super::shared::{Call, Outcome, Shared};
use super::spawn::{ask, give_up};
use super::wait::Ended;
use crate::models::block_on;
use crate::waiters::Waiter;

/// A group with a limit of one, in which so many members run.
fn group(limit: usize, running: usize) -> Arc<Shared<u32>> {
    let shared = Shared::new(None);
    shared.set_limit(Some(limit)).unwrap();
    for _ in 0..running {
        let _locked = shared.waiters.lock();
        shared.take_place();
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
