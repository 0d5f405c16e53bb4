//! Members that end, with and without the lock, against the one who waits and against giving up.
#![forbid(unsafe_code)]

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use loom::sync::Arc;
use loom::sync::atomic::{AtomicUsize, Ordering};
use loom::thread;

use super::shared::{Outcome, Shared};
use super::wait::Ended;
use crate::models::block_on;

type Group = std::sync::Arc<Shared<u32>>;

fn wait(group: &Group) -> Vec<u32> {
    block_on(Ended::new(group, std::panic::Location::caller()))
}

#[test]
fn who_waits_sees_the_end_of_all() {
    loom::model(|| {
        let group: Group = Shared::new(None);
        let done = Arc::new(AtomicUsize::new(0));
        let members: Vec<_> = (0..2)
            .map(|_| {
                assert!(group.try_take_place());
                let (group, done) = (group.clone(), done.clone());
                thread::spawn(move || {
                    // Relaxed: what makes it visible is the group.
                    done.fetch_add(1, Ordering::Relaxed);
                    group.end(None, Outcome::Ok);
                })
            })
            .collect();
        assert_eq!(wait(&group), []);
        assert_eq!(done.load(Ordering::Relaxed), 2);
        // It can be used again.
        assert!(group.try_take_place());
        for member in members {
            member.join().unwrap();
        }
    });
}

#[test]
fn a_failure_beside_a_good_end_is_returned_when_both_have_ended() {
    loom::model(|| {
        let group: Group = Shared::new(None);
        assert!(group.try_take_place() && group.try_take_place());
        let members = [Outcome::Ok, Outcome::Err(7)].map(|outcome| {
            let group = group.clone();
            thread::spawn(move || group.end(None, outcome))
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
        let group: Group = Shared::new(None);
        group.abort_on_error();
        assert!(group.try_take_place() && group.try_take_place());
        let failing = {
            let group = group.clone();
            thread::spawn(move || group.end(None, Outcome::Err(7)))
        };
        let waiting = {
            let group = group.clone();
            thread::spawn(move || block_on(Suspended { group, place: None }))
        };
        assert_eq!(wait(&group), [7]);
        failing.join().unwrap();
        waiting.join().unwrap();
    });
}

#[test]
fn a_limit_is_not_set_beside_a_member() {
    loom::model(|| {
        let group: Group = Shared::new(None);
        let starting = {
            let group = group.clone();
            thread::spawn(move || group.try_take_place())
        };
        let limited = group.set_limit(Some(0)).is_ok();
        let started = starting.join().unwrap();
        assert!(limited != started, "one was first");
    });
}

/// A member whose future is never ready.
struct Suspended {
    group: Group,
    place: Option<super::members::Place>,
}

impl Future for Suspended {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        if !self.group.is_aborting() {
            if self.place.is_none() {
                self.place = self.group.enter(cx.waker());
            }
            if self.place.is_some() {
                return Poll::Pending;
            }
        }
        self.group.end(self.place, Outcome::Dropped);
        Poll::Ready(())
    }
}
