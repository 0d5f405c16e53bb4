//! The limit of two workloads: the same with function calls and no runtime at all.
#![forbid(unsafe_code)]

use std::collections::VecDeque;
use std::hint::black_box;

use crate::meter::{Meter, Sample};

/// Runs a workload; nothing where there is no such limit.
pub(crate) fn run(name: &str, n: usize) -> Option<Sample> {
    let work: fn(usize) -> Sample = match name {
        "yield" => yields,
        "timer_churn" => churn,
        _ => return None,
    };
    work((n / 10).max(1));
    Some(work(n))
}

/// 1,000 closures in a queue, each called `n` times in turn.
fn yields(n: usize) -> Sample {
    const TASKS: usize = 1000;
    let meter = Meter::start();
    let mut done = 0;
    let mut ready: VecDeque<Box<dyn FnMut() -> bool>> = VecDeque::new();
    for _ in 0..TASKS {
        let mut left = n;
        ready.push_back(Box::new(move || {
            left -= 1;
            left > 0
        }));
    }
    while let Some(mut task) = ready.pop_front() {
        done += 1;
        if task() {
            ready.push_back(task);
        }
    }
    assert_eq!(done, TASKS * n);
    meter.stop(done)
}

/// A call that the compiler cannot look through.
fn churn(n: usize) -> Sample {
    const TASKS: usize = 100;
    let meter = Meter::start();
    let operation: fn(usize) -> Option<usize> = black_box(Some);
    for i in 0..TASKS * n {
        assert_eq!(operation(i), Some(i));
    }
    meter.stop(TASKS * n)
}
