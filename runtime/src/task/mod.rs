//! Tasks.
pub mod coop;
mod wait;
pub use wait::{WaitReason, waiting};
