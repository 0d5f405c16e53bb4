//! `Pool`: an item is with one at a time, in whatever order they come, and none is lost but those
//! that a pool says it drops.
#![forbid(unsafe_code)]

use loom::sync::Arc;
use loom::thread;

use crate::pool::Pool;

/// The items that are left.
fn drain<F>(pool: &Pool<u32, F>) -> Vec<u32> {
    let mut all: Vec<_> = std::iter::from_fn(|| pool.take_as(0)).collect();
    all.sort_unstable();
    all
}

#[test]
fn an_item_goes_to_one_of_two_who_take() {
    loom::model(|| {
        let pool = Arc::new(Pool::new(|| 0));
        assert_eq!(pool.put_as(0, 1), None);
        let other = {
            let pool = pool.clone();
            thread::spawn(move || pool.take_as(1))
        };
        let mine = pool.take_as(0);
        let others = other.join().unwrap();
        // Each may have been passed over, because the other was inside just then.
        let mut all: Vec<_> = mine.into_iter().chain(others).collect();
        all.extend(drain(&pool));
        assert_eq!(all, [1]);
    });
}

#[test]
fn what_is_put_while_another_steals_is_in_one_place() {
    loom::model(|| {
        let pool = Arc::new(Pool::with_capacity(4, || 0));
        assert_eq!(pool.put_as(0, 1), None);
        let thief = {
            let pool = pool.clone();
            thread::spawn(move || pool.take_as(1))
        };
        let refused = pool.put_as(0, 2);
        let mut all: Vec<_> = thief.join().unwrap().into_iter().chain(refused).collect();
        all.extend(drain(&pool));
        all.sort_unstable();
        assert_eq!(all, [1, 2]);
    });
}

#[test]
fn two_who_put_first_share_the_shards_that_one_of_them_made() {
    loom::model(|| {
        let pool = Arc::new(Pool::with_capacity(4, || 0));
        let other = {
            let pool = pool.clone();
            thread::spawn(move || pool.put_as(1, 1))
        };
        let refused = pool.put_as(0, 2);
        let mut all: Vec<_> = other.join().unwrap().into_iter().chain(refused).collect();
        all.extend(drain(&pool));
        all.sort_unstable();
        assert_eq!(all, [1, 2]);
    });
}
