//! `singleflight`: whoever asks gets the outcome of a call, whether it lands before or after it
//! waits, and whoever else goes away.
#![forbid(unsafe_code)]

use std::panic::Location;
use std::pin::pin;

use loom::sync::Arc;
use loom::thread;

use super::{Group, Landed, Outcome};
use crate::models::{block_on, poll_once};

/// What `run` does, with the work done by the one whom it falls to. Says what it got, and whether
/// it did it.
fn run(group: &Group<u32, u32>, value: u32) -> (u32, bool) {
    let (call, landing) = group.enter(1);
    let works = landing.is_some();
    if let Some(mut landing) = landing {
        landing.outcome = Outcome::Value(value);
    }
    block_on(Landed::new(&call, Location::caller()));
    match call.outcome.get() {
        Some(Outcome::Value(value)) => (*value, works),
        _ => panic!("it was not lost"),
    }
}

#[test]
fn each_works_or_gets_what_another_made() {
    loom::model(|| {
        let group = Arc::new(Group::new());
        let threads = [2, 3].map(|n| {
            let group = group.clone();
            thread::spawn(move || run(&group, n))
        });
        let mut outcomes = vec![(1, run(&group, 1))];
        for (n, thread) in [2, 3].into_iter().zip(threads) {
            outcomes.push((n, thread.join().unwrap()));
        }
        let worked: Vec<_> = outcomes.iter().filter(|(_, (_, works))| *works).collect();
        assert!(worked.iter().all(|(n, (value, _))| n == value));
        for (_, (value, _)) in &outcomes {
            assert!(worked.iter().any(|(n, _)| n == value));
        }
        assert!(group.calls.lock().is_empty());
    });
}

#[test]
fn one_who_goes_away_takes_nobody_with_it() {
    loom::model(|| {
        let group = Arc::new(Group::<u32, u32>::new());
        let (call, landing) = group.enter(1);
        let quitter = {
            let call = call.clone();
            thread::spawn(move || {
                let mut landed = pin!(Landed::new(&call, Location::caller()));
                let _ = poll_once(landed.as_mut());
            })
        };
        let waiter = {
            let call = call.clone();
            thread::spawn(move || block_on(Landed::new(&call, Location::caller())))
        };
        drop(landing); // lost: that is an outcome, too
        waiter.join().unwrap();
        quitter.join().unwrap();
        assert!(matches!(call.outcome.get(), Some(Outcome::Lost)));
    });
}

#[test]
fn a_call_that_was_forgotten_leaves_the_next_one_alone() {
    loom::model(|| {
        let group = Arc::new(Group::<u32, u32>::new());
        let (_, first) = group.enter(1);
        let other = {
            let group = group.clone();
            thread::spawn(move || {
                group.forget(&1);
                run(&group, 2)
            })
        };
        drop(first);
        assert_eq!(other.join().unwrap(), (2, true));
        assert!(group.calls.lock().is_empty());
    });
}
