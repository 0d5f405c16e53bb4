//! `#[runtime::test(start_paused = true, runs = n)]`: a test that is run many times, each in
//! another order.

use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;
use std::process::ExitCode;
use std::rc::Rc;
use std::sync::{Arc, Mutex};

use runtime::__private::{Entry, until_one_fails};

const RUNS: usize = 50;

thread_local! {
    static ORDERS: RefCell<Vec<Vec<u32>>> = const { RefCell::new(Vec::new()) };
    static COUNT: Cell<usize> = const { Cell::new(0) };
}

/// One where the environment names the seed.
fn expected(runs: usize) -> usize {
    if std::env::var_os("SEED").is_some() {
        1
    } else {
        runs
    }
}

#[runtime::test(start_paused = true, runs = 50)]
async fn three_tasks_note_their_order() {
    // Not `Send`: the body stays on the test's own thread, and so finds its thread-local.
    let here = Rc::new(());
    let order = Arc::new(Mutex::new(Vec::new()));
    let tasks: Vec<_> = (0..3)
        .map(|n| {
            let order = Arc::clone(&order);
            runtime::spawn(async move { order.lock().unwrap().push(n) })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    ORDERS.with_borrow_mut(|all| all.push(order.lock().unwrap().clone()));
    drop(here);
}

#[test]
fn a_test_is_run_as_often_as_it_says_in_different_orders() {
    three_tasks_note_their_order();
    let orders = ORDERS.take();
    assert_eq!(orders.len(), expected(RUNS));
    let different: BTreeSet<_> = orders.iter().collect();
    // All fifty alike: once in 6 to the power of 49.
    assert!(orders.len() == 1 || different.len() > 1, "{different:?}");
}

#[test]
fn the_first_failure_ends_it() {
    let outcome = until_one_fails(Entry::test(), 9, |_| {
        COUNT.set(COUNT.get() + 1);
        if COUNT.get() == expected(3) {
            ExitCode::FAILURE
        } else {
            ExitCode::SUCCESS
        }
    });
    assert_eq!(outcome, ExitCode::FAILURE);
    assert_eq!(COUNT.get(), expected(3));
}

#[runtime::test(start_paused = true, runs = 50)]
#[should_panic(expected = "found")]
async fn a_panic_in_any_run_fails_the_test() {
    // One run in two has it.
    let lucky = runtime::task::random() % 2 == 0 && std::env::var_os("SEED").is_none();
    assert!(lucky, "found");
}
