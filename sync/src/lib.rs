//! Channels, `select!`, `WaitGroup`.

mod blocking;
mod primitive;
mod wait_group;
mod waiters;

#[cfg(all(test, loom))]
mod models;

pub use wait_group::{Wait, WaitGroup, WaitGroupGuard};
