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
//! # What for what
//!
//! | to | take |
//! |---|---|
//! | start a program, a test | [`#[runtime::main]`](macro@main), [`#[runtime::test]`](macro@test); [`Builder`] and [`Runtime`] by hand |
//! | start a task, and have its result | [`spawn()`], [`JoinHandle`]; of many [`task::JoinSet`]; with a name [`task::Builder`] |
//! | do what blocks | [`spawn_blocking`], or [`block_in_place`] |
//! | let others go first | [`yield_now`]; nobody has to: every operation that could wait does when it is time |
//! | wait for a time | [`time`]: [`sleep`](time::sleep()), [`timeout`](time::timeout()), [`ticker`](time::ticker()), [`after_func`](time::after_func()) |
//! | wait for a signal | [`signal::ctrl_c`], [`signal::unix`] |
//! | wait for a device of one's own | [`io::Source`] |
//! | give a task something to carry | [`task_local!`] |
//! | see what goes on | [`Handle::dump`], [`Handle::metrics`], [`Handle::leaks`] |
//!
//! Channels, `select!`, `WaitGroup`, locks and contexts are in the crate `sync`, sockets in `net`.
//!
//! # Environment
//!
//! | variable | |
//! |---|---|
//! | `RUNTIME_MAXPROCS=4` | how many tasks run at a time, where the program does not say; else the CPUs that the process may use |
//! | `RUNTIME_DEBUG=schedtrace=1000` | a line about the scheduler on stderr, each 1000 ms |
//! | `RUNTIME_DEBUG=deadlock=0` | no `all tasks are asleep - deadlock!`: see [`Builder::detect_deadlock`] |
//! | `RUNTIME_DEBUG=sigquit=0` | SIGQUIT (Ctrl-\\) prints no tasks: see [`Builder::dump_on_sigquit`] |
//! | `SEED=7` | the order in which a test with paused time runs its tasks: see [`Builder::seed`] |
//!
//! Several, with commas: `RUNTIME_DEBUG=schedtrace=1000,deadlock=0`.
//!
//! # The way of a task
//!
//! **spawn → queue → poll → park → event → wake → queue.** [`spawn()`] puts a future into a slot of
//! the calling worker's slab, one allocation with everything that belongs to the task, and into the
//! worker's run-next slot. A worker takes it out and polls it. When it has to wait, it leaves its
//! waker where the event will happen: in a channel (crate `sync`), a timer ([`time`]), a
//! descriptor's readiness ([`io`]), and it is then in no queue and costs nothing but its memory.
//! The event wakes it: it goes to the waking worker's run-next slot, and from there on as before.
//!
//! The modules in that order: `spawn`, [`task`], `scheduler`, [`io`], [`signal`], [`time`]; around
//! them `runtime`, `builder`, `handle`, `block_on`; and what says why: [`dump`], `traceback`,
//! `deadlock`, [`leaks`], `sigquit`, [`metrics`]. `docs/ARCHITECTURE.md` has the map,
//! `scheduler/README.md` the protocol by which workers sleep and are woken.
//!
//! # Coming from Go, from Tokio
//!
//! Each item says in its last line what Go calls it. The names are Tokio's wherever the meaning is.
//! `docs/FROM_GO.md` and `docs/FROM_TOKIO.md` have what differs; `docs/MISTAKES.md` has what goes
//! wrong, and what one sees then.
#![doc(test(attr(deny(warnings))))]

#[cfg(not(unix))]
compile_error!(
    "Weftline runs on Unix alone (Linux; macOS and the BSDs as far as they were tried): build it for such a target, for instance under WSL"
);

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
mod traceback;

mod block_on;
mod builder;
mod debug;
mod handle;
mod procs;
mod runtime;
mod unhandled_panic;

#[doc(hidden)]
pub mod __private;
#[doc(hidden)]
pub mod asymmetric;

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
