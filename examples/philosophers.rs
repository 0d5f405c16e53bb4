//! Dining philosophers: five of them, five forks, and an order in which forks are taken.
//!
//! If each took the left fork first, all could end with one fork in hand, waiting for the other for
//! ever. Here everybody takes the fork with the lower number first, so that there is no circle. Run
//! it with `left-first` to see what the runtime says when there is one.
//!
//! Go: five `sync.Mutex`; `fatal error: all goroutines are asleep - deadlock!`
//!
//! Run: `cargo run --release --example philosophers`, and
//! `cargo run --release --example philosophers left-first`
//!
//! Prints `every one of 5 has eaten 100 times`; or, within a second,
//! `all tasks are asleep - deadlock!` and who waits where.

use std::sync::Arc;

use sync::{Barrier, Mutex, WaitGroup};

const PHILOSOPHERS: usize = 5;
const MEALS: usize = 100;

async fn dine(first: Arc<Mutex<usize>>, second: Arc<Mutex<usize>>, table: Option<Arc<Barrier>>) {
    for _ in 0..MEALS {
        let mut one = first.lock().await;
        if let Some(table) = &table {
            table.wait().await; // Bad luck, made certain: all have their first fork.
        }
        let mut other = second.lock().await;
        *one += 1;
        *other += 1;
        drop((one, other));
        runtime::yield_now().await; // Think.
    }
}

#[runtime::main]
async fn main() {
    let left_first = std::env::args()
        .nth(1)
        .is_some_and(|how| how == "left-first");
    let forks: Vec<_> = (0..PHILOSOPHERS).map(|_| Arc::new(Mutex::new(0))).collect();
    let table = left_first.then(|| Arc::new(Barrier::new(PHILOSOPHERS)));

    let dinner = WaitGroup::new();
    for seat in 0..PHILOSOPHERS {
        let (left, right) = (seat, (seat + 1) % PHILOSOPHERS);
        let (first, second) = match left_first {
            true => (left, right),
            false => (left.min(right), left.max(right)),
        };
        let (first, second) = (Arc::clone(&forks[first]), Arc::clone(&forks[second]));
        dinner.spawn(dine(first, second, table.clone()));
    }
    dinner.wait().await;

    for fork in &forks {
        assert_eq!(*fork.lock().await, 2 * MEALS, "each fork has two users");
    }
    println!("every one of {PHILOSOPHERS} has eaten {MEALS} times");
}
