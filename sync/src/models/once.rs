//! `Once` and `OnceCell`: made once, by whoever succeeds, and seen by all.
#![forbid(unsafe_code)]

use std::future::pending;
use std::pin::pin;

use loom::sync::Arc;
use loom::sync::atomic::{AtomicUsize, Ordering::*};
use loom::thread;

use super::{block_on, poll_once};
use crate::once::OnceCell;

/// How often it was made. Read by read-modify-writes, which see the newest: that std's `OnceLock`
/// publishes is nothing that a model can see.
type Made = Arc<AtomicUsize>;

fn get(cell: &OnceCell<u32>, made: &Made, value: u32) -> u32 {
    let value = *block_on(cell.get_or_init(|| async {
        made.fetch_add(1, Relaxed);
        value
    }));
    assert_eq!(made.fetch_add(0, Relaxed), 1);
    value
}

#[test]
fn of_three_who_come_one_makes_it() {
    loom::model(|| {
        let (cell, made) = (Arc::new(OnceCell::new()), Made::default());
        let others = [2, 3].map(|n| {
            let (cell, made) = (cell.clone(), made.clone());
            thread::spawn(move || get(&cell, &made, n))
        });
        let mine = get(&cell, &made, 1);
        for other in others {
            assert_eq!(other.join().unwrap(), mine);
        }
    });
}

#[test]
fn one_who_goes_away_in_the_middle_leaves_it_to_the_next() {
    loom::model(|| {
        let (cell, made) = (Arc::new(OnceCell::new()), Made::default());
        let quitter = {
            let cell = cell.clone();
            thread::spawn(move || {
                let mut get = pin!(cell.get_or_init(pending));
                let _ = poll_once(get.as_mut());
            })
        };
        assert_eq!(get(&cell, &made, 1), 1);
        quitter.join().unwrap();
        assert_eq!(cell.get(), Some(&1));
    });
}

#[test]
fn a_failure_leaves_it_to_the_next_and_set_keeps_out_of_the_way() {
    loom::model(|| {
        let cell = Arc::new(OnceCell::new());
        let fails = {
            let cell = cell.clone();
            thread::spawn(move || block_on(cell.get_or_try_init(|| async { Err(()) })).copied())
        };
        let sets = {
            let cell = cell.clone();
            thread::spawn(move || cell.set(2).is_ok())
        };
        let failed = fails.join().unwrap();
        let set = sets.join().unwrap();
        assert_eq!(cell.get().is_some(), set);
        assert!(failed.is_err() || failed == Ok(2) && set);
    });
}
