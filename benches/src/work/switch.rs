//! Switching between tasks: by yielding, and by handing a message over.
#![forbid(unsafe_code)]

use std::sync::Arc;

use crate::chan::Chan;
use crate::gate::Gate;
use crate::meter::{Meter, Sample};
use crate::rt::{Lock, Rt};

/// 1,000 tasks yield `n` times each.
pub(crate) async fn yields<R: Rt>(n: usize) -> Sample {
    const TASKS: usize = 1000;
    let meter = Meter::start();
    let gate = Gate::new(TASKS);
    for _ in 0..TASKS {
        let gate = gate.clone();
        R::detach(async move {
            for _ in 0..n {
                R::yield_now().await;
            }
            gate.done();
        });
    }
    gate.wait().await;
    meter.stop(TASKS * n)
}

/// `pairs` pairs of tasks with two unbuffered channels each, `n` round trips a pair.
pub(crate) async fn pingpong<R: Rt, C: Chan>(pairs: usize, n: usize) -> Sample {
    let meter = Meter::start();
    let gate = Gate::new(2 * pairs);
    for _ in 0..pairs {
        let (ping, mut at_pong) = C::bounded(0);
        let (pong, mut at_ping) = C::bounded(0);
        let done = gate.clone();
        R::detach(async move {
            for i in 0..n {
                assert!(C::send(&ping, i).await);
                assert_eq!(C::recv(&mut at_ping).await, Some(i));
            }
            done.done();
        });
        let done = gate.clone();
        R::detach(async move {
            for _ in 0..n {
                let v = C::recv(&mut at_pong).await.expect("a ping");
                assert!(C::send(&pong, v).await);
            }
            done.done();
        });
    }
    gate.wait().await;
    meter.stop(pairs * n)
}

/// 1,000 tasks in a ring of unbuffered channels; one token makes `hops` hops.
pub(crate) async fn ring<R: Rt, C: Chan>(hops: usize) -> Sample {
    const TASKS: usize = 1000;
    let meter = Meter::start();
    let gate = Gate::new(1);
    let (first, mut rx) = C::bounded(0);
    for i in 0..TASKS {
        let (tx, next) = if i + 1 == TASKS {
            (first.clone(), None)
        } else {
            let (tx, next) = C::bounded(0);
            (tx, Some(next))
        };
        let done = gate.clone();
        R::detach(async move {
            while let Some(left) = C::recv(&mut rx).await {
                if left == 0 {
                    // The others see their channels close, one after the other.
                    done.done();
                    break;
                }
                C::send(&tx, left - 1).await;
            }
        });
        match next {
            Some(next) => rx = next,
            None => break,
        }
    }
    C::send(&first, hops).await;
    drop(first);
    gate.wait().await;
    meter.stop(hops)
}

/// 8 tasks take the async mutex `n` times each.
pub(crate) async fn mutex<R: Rt, L: Lock>(n: usize) -> Sample {
    const TASKS: usize = 8;
    let meter = Meter::start();
    let gate = Gate::new(TASKS);
    let lock = Arc::new(L::new());
    for _ in 0..TASKS {
        let (gate, lock) = (gate.clone(), lock.clone());
        R::detach(async move {
            for _ in 0..n {
                lock.add().await;
            }
            gate.done();
        });
    }
    gate.wait().await;
    let sample = meter.stop(TASKS * n);
    assert_eq!(lock.total().await, TASKS * n);
    sample
}
