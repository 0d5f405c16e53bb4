//! The pieces one by one, beside their counterparts: `cargo bench -p benches`, or
//! `cargo bench -p benches -- channel` for one group.
//!
//! One thread, so that nothing is measured but the piece. What a piece is worth among many threads
//! tells `cargo run --release -p benches`. The private ones are reached through the public
//! operation that is little else: the task cell through spawn and join, the wheel through a sleep
//! that is armed and dropped, the ring and the channel's core through operations that are ready at
//! once.
#![forbid(unsafe_code)]

mod channel;
mod task;
mod wheel;

use std::time::Duration;

use criterion::Criterion;

fn main() {
    // Long enough for a percent on a quiet machine; more would only measure what else it does.
    let mut criterion = Criterion::default()
        .warm_up_time(Duration::from_millis(300))
        .measurement_time(Duration::from_secs(1))
        .configure_from_args();
    task::benches(&mut criterion);
    channel::benches(&mut criterion);
    wheel::benches(&mut criterion);
    criterion.final_summary();
}

/// A Weftline runtime with one worker.
fn weftline() -> runtime::Runtime {
    (runtime::Builder::new().max_procs(1).build()).expect("a runtime")
}

/// A Tokio runtime with one worker, which is another thread than the caller's, as ours is.
fn tokio() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .expect("a runtime")
}

/// Times so many iterations of what a task does, from within a task.
///
/// The future is made anew for each sample, and the time is taken inside, so that starting and
/// ending are no part of it; nor is what stands after `among`, which is kept meanwhile.
macro_rules! in_task {
    ($bencher:expr, $runtime:expr, $spawn:path, |$n:ident| $body:expr) => {
        in_task!($bencher, $runtime, $spawn, among(), |$n| $body)
    };
    ($bencher:expr, $runtime:expr, $spawn:path, among $others:expr, |$n:ident| $body:expr) => {
        $bencher.iter_custom(|$n| {
            $runtime
                .block_on(async move {
                    $spawn(async move {
                        let _others = $others;
                        let start = std::time::Instant::now();
                        $body;
                        start.elapsed()
                    })
                    .await
                })
                .expect("no panic")
        })
    };
}
pub(crate) use in_task;
