//! Tasks: what [`spawn`](crate::spawn()) makes of a future, and what one can do with it.
//!
//! | to | take |
//! |---|---|
//! | have its result, or stop it | [`JoinHandle`], [`AbortHandle`] |
//! | have the results of many as they come | [`JoinSet`] |
//! | give it a name, which the dump and reports show | [`Builder`] |
//! | give it values to carry along | [`task_local!`](macro@task_local) |
//! | know which one runs | [`id()`], [`name()`]; [`in_block_on()`] if none does |
//! | write a future that waits, as those of `sync` and `net` do | [`coop`], [`waiting()`] |
//!
//! # How it works
//!
//! A task is a future with a state word, wakers and a handle, all in one place in the slab. Four
//! kinds of pointer lead to a task, and each owns one reference:
//!
//! | type | exists | may |
//! |---|---|---|
//! | `Runnable` | while the task is queued or about to be | run it |
//! | [`std::task::Waker`] | anywhere | queue it |
//! | [`JoinHandle`] | at most once | take the output, abort |
//! | [`AbortHandle`] | anywhere | abort |
//!
//! In the order of a task's life: `slab` gives it a place, `cell` is its layout and `header` the
//! part of it that all tasks have, `state` says who may touch it, `runnable` runs it, `waker` wakes
//! it, `join` delivers its result, or `join_error`. `join_set` collects the results of many,
//! `local` is what a task carries with it. [`coop`] and [`waiting()`] are what leaf futures tell
//! the runtime.

use std::future::Future;
use std::panic::Location;

mod builder;
mod cell;
pub mod coop;
mod header;
mod id;
mod join;
mod join_error;
mod join_set;
mod latency;
mod local;
mod names;
mod panic;
mod place;
mod preempt;
pub(crate) mod random;
mod runnable;

pub(crate) mod state;
pub(crate) mod visit;
mod wait;
mod waker;

pub use builder::{Builder, name};
pub use id::Id;
pub use join::{AbortHandle, JoinHandle};
pub use join_error::JoinError;
pub use join_set::{JoinNext, JoinSet};
pub use local::{LocalAccessError, LocalKey, Scope};
pub use random::random;
pub use wait::{WaitReason, waiting};

pub use crate::spawn::spawn_at;
#[doc(inline)]
pub use crate::task_local;

pub(crate) use crate::slab::{Arena, Slab};
pub(crate) use header::{Cookie, Header};
pub(crate) use id::IdBlock;
pub(crate) use latency::Stamp;
pub(crate) use names::{Named, Names};
pub(crate) use place::Place;
pub(crate) use preempt::Preempt;
pub(crate) use runnable::{Ran, Runnable, Whom, shut_down};
pub(crate) use wait::{Noted, WaitNote};
pub(crate) use waker::{address_of, call as call_waker};

use crate::scheduler::current;
use crate::scheduler::worker::Worker;

/// The number of an arena that the calling thread owns: having one is the proof.
#[derive(Debug)]
pub(crate) struct ArenaIndex(usize);

impl ArenaIndex {
    /// The arena of the calling thread's worker.
    #[inline]
    pub(crate) fn worker(worker: &Worker) -> Self {
        Self(worker.index())
    }

    /// The arena for everybody else, for as long as the caller holds the lock that `_ids` lies
    /// under.
    pub(crate) fn outsiders(_ids: &IdBlock, workers: usize) -> Self {
        Self(workers)
    }
}

/// Makes a task of a future, ready to be queued.
#[inline]
pub(crate) fn create<F>(
    slab: &Slab<Cookie>,
    arena: ArenaIndex,
    future: F,
    id: Id,
    parent: Option<Id>,
    place: &'static Location<'static>,
) -> (Runnable, JoinHandle<F::Output>)
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    cell::create(slab, arena.0, future, id, parent, place)
}

/// Gives memory of ended tasks back to the system; for a worker about to sleep.
pub(crate) fn collect(slab: &Slab<Cookie>, arena: ArenaIndex) {
    cell::collect(slab, arena.0);
}

/// The id of the current task, or `None` outside tasks of this runtime (in
/// [`block_on`](crate::block_on()) itself, for instance).
///
/// ```
/// # runtime::block_on(async {
/// let id = runtime::spawn(async { runtime::task::id().unwrap() }).await.unwrap();
/// println!("task {id}");
/// # });
/// ```
///
/// **Go:** none.
pub fn id() -> Option<Id> {
    current::task_id()
}

/// Whether the calling thread is in the body of [`block_on`](crate::block_on()), which is no task.
///
/// For authors of operations that block a thread: there as in a task they had better refuse. The
/// thread would sleep where the runtime does not see it, with all that the body waits for beside,
/// and a deadlock would go unreported. Inside [`block_in_place`](crate::block_in_place) it is
/// `false`.
///
/// ```
/// runtime::block_on(async {
///     assert!(runtime::task::in_block_on());
///     assert!(!runtime::spawn(async { runtime::task::in_block_on() }).await.unwrap());
///     assert!(!runtime::block_in_place(runtime::task::in_block_on));
/// });
/// assert!(!runtime::task::in_block_on());
/// ```
///
/// **Go:** not needed: there only goroutines block.
pub fn in_block_on() -> bool {
    current::in_block_on()
}
