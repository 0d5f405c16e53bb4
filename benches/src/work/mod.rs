//! The workloads, each written once, generic over the runtime and the channel.
//! `docs/PERFORMANCE.md` defines them.
//!
//! A workload takes its size and returns what one run measured: from the first spawn to the end of
//! the work, inside a task.
#![forbid(unsafe_code)]

pub(crate) mod blocked;
pub(crate) mod chan;
pub(crate) mod fair;
pub(crate) mod limit;
pub(crate) mod memory;
pub(crate) mod select;
pub(crate) mod spawn;
pub(crate) mod switch;
pub(crate) mod timer;

use std::future::Future;

use crate::meter::Sample;

/// A warm-up of a tenth, then the run that counts.
pub(crate) async fn twice<F, W>(size: usize, mut work: W) -> Sample
where
    W: FnMut(usize) -> F,
    F: Future<Output = Sample>,
{
    work((size / 10).max(1)).await;
    work(size).await
}
