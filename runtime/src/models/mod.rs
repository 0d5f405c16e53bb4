//! Loom models of the lock-free protocols.
mod slab;
