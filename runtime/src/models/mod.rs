//! Loom models of this crate's protocols: `RUSTFLAGS="--cfg loom" cargo test --release -p weftline-runtime --lib models`.

mod timers;
