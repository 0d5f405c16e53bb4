//! Tasks.
mod bins;
mod calls;
mod chunk;
pub mod coop;
mod pages;
mod registry;
mod returns;
mod size_class;
pub(crate) mod slab;
mod wait;
pub use wait::{WaitReason, waiting};
