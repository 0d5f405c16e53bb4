//! Bytes a parked task.
#![forbid(unsafe_code)]

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::chan::Chan;
use crate::meter::{Meter, Sample, resident};
use crate::rt::Rt;

/// `n` tasks parked on one channel: growth of resident memory. They receive, or, where a channel
/// has one receiver, send into a full channel. The process ends with them parked.
pub(crate) async fn task_mem<R: Rt, C: Chan>(n: usize) -> Sample {
    park::<R, C>(1000).await;
    let before = resident();
    let meter = Meter::start();
    park::<R, C>(n).await;
    let bytes = resident().saturating_sub(before);
    meter.stop(n).with("bytes", bytes as f64 / n as f64)
}

async fn park<R: Rt, C: Chan>(n: usize) {
    let (tx, rx) = C::bounded(1);
    let started = Arc::new(AtomicUsize::new(0));
    if !C::MPMC {
        C::send(&tx, 0).await;
    }
    for _ in 0..n {
        let counted = started.clone();
        if C::MPMC {
            let mut rx = C::clone_rx(&rx);
            R::detach(async move {
                counted.fetch_add(1, Ordering::Relaxed);
                C::recv(&mut rx).await;
            });
        } else {
            let tx = tx.clone();
            R::detach(async move {
                counted.fetch_add(1, Ordering::Relaxed);
                C::send(&tx, 1).await;
            });
        }
    }
    // Counting and parking are one poll, so that the last few at most are still on their way: a
    // page or two.
    while started.load(Ordering::Relaxed) < n {
        R::yield_now().await;
    }
    // The tasks stay parked until the process ends.
    std::mem::forget((tx, rx));
}
