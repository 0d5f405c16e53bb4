//! Where tasks meet: at a barrier, at a value that is made once, in turns at a condition variable.
#![forbid(unsafe_code)]

use std::sync::Arc;

use super::{Barrier, Kit, Once};
use crate::gate::Gate;
use crate::meter::{Meter, Sample};
use crate::rt::Rt;

/// Tasks that meet.
const TASKS: usize = 8;

/// 8 tasks meet at a barrier, `n` times.
pub(crate) async fn barrier<R: Rt, K: Kit>(n: usize) -> Sample {
    let barrier = Arc::new(K::Barrier::new(TASKS));
    let meter = Meter::start();
    let gate = Gate::new(TASKS);
    for _ in 0..TASKS {
        let (gate, barrier) = (gate.clone(), barrier.clone());
        R::detach(async move {
            for _ in 0..n {
                barrier.wait().await;
            }
            gate.done();
        });
    }
    gate.wait().await;
    meter.stop(TASKS * n)
}

/// One task asks `n` times for a value that is there.
pub(crate) async fn once_there<K: Kit>(n: usize) -> Sample {
    let once = K::Once::new();
    once.value().await;
    let meter = Meter::start();
    let mut sum = 0;
    for _ in 0..n {
        sum += once.value().await;
    }
    let sample = meter.stop(n);
    assert_eq!(sum, n);
    sample
}

/// Two tasks take turns, and wait for each at a condition variable: `n` round trips. Only Weftline
/// and Go have one.
pub(crate) async fn cond<R: Rt>(n: usize) -> Sample {
    let turn = Arc::new((::sync::Mutex::new(0), ::sync::Cond::new()));
    let meter = Meter::start();
    let gate = Gate::new(2);
    for side in 0..2 {
        let (gate, turn) = (gate.clone(), turn.clone());
        R::detach(async move {
            let (turn, changed) = &*turn;
            for _ in 0..n {
                let mut now = turn.lock().await;
                while *now != side {
                    now = changed.wait(now).await;
                }
                *now = 1 - side;
                drop(now);
                changed.signal();
            }
            gate.done();
        });
    }
    gate.wait().await;
    meter.stop(n)
}
