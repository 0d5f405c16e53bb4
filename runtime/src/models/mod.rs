//! loom models of the protocols of this crate.
//!
//! `RUSTFLAGS="--cfg loom" LOOM_MAX_PREEMPTIONS=2 CARGO_TARGET_DIR=target/loom cargo test --release -p weftline-runtime --lib models`

mod alarm;
mod bell;
mod blocking;
mod deadlock;
mod event;
mod heavy;
mod idle;
mod in_turn;
mod item;
mod mark;
mod parker;
mod reactor;
mod readiness;
mod run_queue;
mod slab;
mod sleeper;
mod stillness;
mod stuck;
mod task_state;
mod timers;
mod turn;
mod vacancy;
mod woken;

/// Runs a model in every interleaving with so many preemptions.
fn explore(preemptions: usize, model: impl Fn() + Sync + Send + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(preemptions);
    builder.check(model);
}
