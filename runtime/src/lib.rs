//! Weftline's runtime: tasks as cheap as goroutines, for Rust.
//!
//! ```
//! #[runtime::main]
//! async fn main() {
//!     let tasks: Vec<_> = (0..10).map(|i| runtime::spawn(async move { i * i })).collect();
//!     let mut sum = 0;
//!     for task in tasks {
//!         sum += task.await.unwrap();
//!     }
//!     assert_eq!(sum, 285);
//! }
//! ```
//!
//! # The way of a task
//!
//! **spawn → queue → poll → park → event → wake → queue.** [`spawn()`] puts a future into a slot of the calling worker's slab, one
//! allocation with everything that belongs to the task, and into the worker's run-next slot. A worker takes it out and polls it. When
//! it has to wait, it leaves its waker where the event will happen: in a channel (crate `sync`), a timer ([`time`]), a descriptor's
//! readiness ([`io`]), and it is then in no queue and costs nothing but its memory. The event wakes it: it goes to the waking worker's
//! run-next slot, and from there on as before.
//!
//! The modules in that order: `spawn`, [`task`], `scheduler`, [`io`], [`signal`], [`time`]; around them `runtime`, `builder`, `handle`, `block_on`;
//! and what says why: [`dump`], `deadlock`, [`leaks`], `sigquit`, [`metrics`].
//! `docs/ARCHITECTURE.md` has the map, `scheduler/README.md` the protocol by which workers sleep and are woken.
//!
//! # Coming from Tokio
//!
//! The names are the same wherever the meaning is. Differences: handles of timers and sockets need no feature flags; a spawn or a wake
//! touches nothing that other workers write; run-next can be stolen; `block_on` inside a task says what to do instead.
#![doc(test(attr(deny(warnings))))]

pub(crate) mod primitive;

mod spawn;
pub mod task;

mod slab;

mod scheduler;

pub mod io;
pub mod time;

mod deadlock;
pub mod dump;
mod histogram;
pub mod leaks;
pub mod metrics;
pub mod signal;
mod sigquit;
mod stderr;

mod block_on;
mod builder;
mod debug;
mod handle;
mod procs;
mod runtime;
mod unhandled_panic;

#[doc(hidden)]
pub mod __private;

#[cfg(all(test, loom))]
mod models;

pub use crate::builder::Builder;
pub use crate::dump::Dump;
pub use crate::handle::{EnterGuard, Handle, TryCurrentError};
pub use crate::leaks::Leaks;
pub use crate::metrics::Metrics;
pub use crate::runtime::Runtime;
pub use crate::spawn::{
    YieldNow, block_in_place, block_on, max_procs, num_tasks, set_max_procs, spawn, spawn_blocking,
    yield_now,
};
pub use crate::task::{JoinError, JoinHandle};
pub use crate::unhandled_panic::UnhandledPanic;
pub use macros::{main, test};
