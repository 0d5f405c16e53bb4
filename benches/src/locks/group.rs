//! Many tasks that are waited for as a whole, and the same without a group.
#![forbid(unsafe_code)]

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::Group;
use crate::gate::Gate;
use crate::meter::{Meter, Sample};
use crate::rt::Rt;

/// Members of a group.
const MEMBERS: usize = 100_000;

/// `n` times 100,000 tasks that add one, spawned bare, and counted down by hand.
pub(crate) async fn bare<R: Rt>(n: usize) -> Sample {
    let sum = Arc::new(AtomicUsize::new(0));
    let meter = Meter::start();
    for _ in 0..n {
        let gate = Gate::new(MEMBERS);
        for _ in 0..MEMBERS {
            let (sum, gate) = (sum.clone(), gate.clone());
            R::detach(async move {
                sum.fetch_add(1, Ordering::Relaxed);
                drop(sum);
                gate.done();
            });
        }
        gate.wait().await;
    }
    finish(meter, &sum, n)
}

/// `n` times 100,000 tasks that add one, in a group.
pub(crate) async fn all<G: Group>(n: usize) -> Sample {
    let sum = Arc::new(AtomicUsize::new(0));
    let meter = Meter::start();
    for _ in 0..n {
        let mut group = G::new();
        for _ in 0..MEMBERS {
            let sum = sum.clone();
            let member = async move {
                sum.fetch_add(1, Ordering::Relaxed);
                Ok(())
            };
            group.start(member).await;
        }
        group.wait().await;
    }
    finish(meter, &sum, n)
}

fn finish(meter: Meter, sum: &AtomicUsize, n: usize) -> Sample {
    let sample = meter.stop(n * MEMBERS);
    assert_eq!(sum.load(Ordering::Relaxed), n * MEMBERS);
    sample
}
