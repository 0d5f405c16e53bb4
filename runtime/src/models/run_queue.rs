//! The ring, the run-next slot and the injector against thieves: each element comes out once, in
//! every order, also where the ring wraps and where it overflows.
//!
//! Killed by: `replace_next` whose store is relaxed.

use loom::sync::Arc;
use loom::thread;

use super::item::Item;
use crate::scheduler::injector::Injector;
use crate::scheduler::run_queue::{CAPACITY, RunQueue};

type Ring = RunQueue<Item>;

/// A ring whose position is `used`, so that it wraps in the course of the model.
fn ring(used: u32) -> Arc<Ring> {
    let ring = Ring::new();
    for n in 0..used {
        assert!(ring.push(Item::new(n as usize)).is_ok());
        assert!(ring.pop().is_some());
    }
    Arc::new(ring)
}

/// Pushes as a worker does: what overflows goes to the shared queue.
fn push(ring: &Ring, injector: &Injector<Item>, number: usize) {
    if let Err(overflow) = ring.push(Item::new(number)) {
        injector.push_batch(overflow);
    }
}

/// Everything in a ring, oldest first.
fn drain(ring: &Ring) -> Vec<usize> {
    let next = ring.take_next().into_iter();
    let rest = std::iter::from_fn(|| ring.pop());
    next.chain(rest).map(|item| item.number()).collect()
}

fn drain_injector(injector: &Injector<Item>) -> Vec<usize> {
    std::iter::from_fn(|| injector.pop())
        .map(|item| item.number())
        .collect()
}

/// A thief with a ring of its own: steals once, and returns all that it got.
fn steal(from: &Ring) -> Vec<usize> {
    let mine = Ring::new();
    let first = from.steal_into(&mine);
    let mut got: Vec<_> = first.iter().map(Item::number).collect();
    got.extend(drain(&mine));
    got
}

#[track_caller]
fn assert_each_once(mut got: Vec<usize>, n: usize) {
    got.sort_unstable();
    assert_eq!(got, (0..n).collect::<Vec<_>>(), "lost or doubled");
}

#[test]
fn owner_pops_while_a_thief_steals() {
    loom::model(|| {
        let ring = ring(3);
        for n in 0..3 {
            assert!(ring.push(Item::new(n)).is_ok());
        }
        let thief = {
            let ring = ring.clone();
            thread::spawn(move || steal(&ring))
        };
        let mut got: Vec<_> = ring.pop().iter().map(Item::number).collect();
        got.extend(ring.pop().iter().map(Item::number));
        got.extend(thief.join().unwrap());
        got.extend(drain(&ring));
        assert_each_once(got, 3);
    });
}

#[test]
fn owner_pushes_into_slots_that_a_thief_has_just_emptied() {
    loom::model(|| {
        let ring = ring(1);
        let injector = Injector::new();
        for n in 0..CAPACITY as usize {
            push(&ring, &injector, n);
        }
        let thief = {
            let ring = ring.clone();
            thread::spawn(move || steal(&ring))
        };
        // Either they overflow, or the thief was first and they go where its batch was.
        push(&ring, &injector, 4);
        push(&ring, &injector, 5);
        let mut got = thief.join().unwrap();
        got.extend(drain(&ring));
        got.extend(drain_injector(&injector));
        assert_each_once(got, 6);
    });
}

#[test]
fn two_thieves_and_the_owner_never_get_the_same() {
    loom::model(|| {
        let ring = ring(2);
        for n in 0..3 {
            assert!(ring.push(Item::new(n)).is_ok());
        }
        let thieves = [(); 2].map(|()| {
            let ring = ring.clone();
            thread::spawn(move || steal(&ring))
        });
        let mut got: Vec<_> = ring.pop().iter().map(Item::number).collect();
        for thief in thieves {
            got.extend(thief.join().unwrap());
        }
        got.extend(drain(&ring));
        assert_each_once(got, 3);
    });
}

#[test]
fn what_is_stolen_can_be_stolen_again() {
    loom::model(|| {
        let from = ring(0);
        for n in 0..4 {
            assert!(from.push(Item::new(n)).is_ok());
        }
        let middle = ring(3);
        let thief = {
            let middle = middle.clone();
            thread::spawn(move || steal(&middle))
        };
        let mut got: Vec<_> = from.steal_into(&middle).iter().map(Item::number).collect();
        got.extend(middle.pop().iter().map(Item::number));
        got.extend(thief.join().unwrap());
        got.extend(drain(&middle));
        got.extend(drain(&from));
        assert_each_once(got, 4);
    });
}

#[test]
fn run_next_goes_to_its_owner_or_to_a_thief() {
    loom::model(|| {
        let ring = ring(0);
        let thief = {
            let ring = ring.clone();
            thread::spawn(move || {
                let mut got: Vec<_> = ring.take_next().iter().map(Item::number).collect();
                got.extend(steal(&ring));
                got
            })
        };
        let mut got = Vec::new();
        for n in 0..3 {
            if let Some(displaced) = ring.replace_next(Item::new(n)) {
                assert!(ring.push(displaced).is_ok());
            }
        }
        got.extend(ring.take_next().iter().map(Item::number));
        got.extend(thief.join().unwrap());
        got.extend(drain(&ring));
        assert_each_once(got, 3);
    });
}

#[test]
fn a_ring_looks_empty_to_a_thief_only_when_it_is() {
    loom::model(|| {
        let ring = ring(3);
        let owner = {
            let ring = ring.clone();
            thread::spawn(move || {
                assert!(ring.push(Item::new(0)).is_ok());
                assert!(ring.push(Item::new(1)).is_ok());
                assert!(ring.pop().is_some());
            })
        };
        assert!(ring.len() <= 2, "an older head with a younger tail only");
        owner.join().unwrap();
        assert_eq!(ring.len(), 1);
        assert_eq!(drain(&ring), [1]);
    });
}

#[test]
fn an_injector_that_closes_refuses_or_keeps() {
    loom::model(|| {
        let injector = Arc::new(Injector::new());
        let pusher = {
            let injector = injector.clone();
            thread::spawn(move || {
                (0..2)
                    .filter_map(|n| injector.push(Item::new(n)).err())
                    .map(|refused| refused.number())
                    .collect::<Vec<_>>()
            })
        };
        let worker = {
            let injector = injector.clone();
            thread::spawn(move || {
                let mut got = Vec::new();
                injector.pop_batch(2, |item| got.push(item.number()));
                got
            })
        };
        injector.close();
        let mut got = pusher.join().unwrap();
        got.extend(worker.join().unwrap());
        // The shutdown drains after the close; nothing can follow.
        got.extend(drain_injector(&injector));
        assert_each_once(got, 2);
        assert!(injector.is_empty());
    });
}
