//! Loom models: every interleaving of a few threads, of the code that ships.
//!
//! ```text
//! RUSTFLAGS="--cfg loom" LOOM_MAX_PREEMPTIONS=2 CARGO_TARGET_DIR=target/loom cargo test --release -p weftline-sync --lib models
//! ```
#![forbid(unsafe_code)]

mod wait_group;
