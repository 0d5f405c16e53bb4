//! Go's channels, `select!` and `WaitGroup` for Rust, exactly as Go means them, and safe to drop at
//! any moment.
//!
//! ```
//! use std::time::Duration;
//!
//! use runtime::time;
//! use sync::{WaitGroup, channel, select};
//!
//! # runtime::block_on(async {
//! let (jobs, todo) = channel(0); // make(chan int)
//! let (results, done) = channel(8); // make(chan int, 8)
//! let workers = WaitGroup::new();
//! for _ in 0..3 {
//!     let (todo, results) = (todo.clone(), results.clone());
//!     workers.spawn(async move {
//!         // for n := range todo
//!         while let Some(n) = todo.recv().await {
//!             results.send(n * n).await.unwrap();
//!         }
//!     });
//! }
//! runtime::spawn(async move {
//!     for n in 1..=4 {
//!         jobs.send(n).await.unwrap();
//!     }
//!     // The last sender is dropped here: the channel closes, the workers end.
//! });
//! let mut sum = 0;
//! for _ in 1..=4 {
//!     select! {
//!         n = done.recv() => sum += n.unwrap(),
//!         _ = time::sleep(Duration::from_secs(60)) => panic!("too slow"),
//!     }
//! }
//! workers.wait().await;
//! assert_eq!(sum, 30);
//! # });
//! ```
//!
//! # What for what
//!
//! | to | take |
//! |---|---|
//! | hand values from task to task | [`channel()`]; with capacity 0 the two meet |
//! | wait for one of several things | [`select!`]; [`Select`] where they are known only at run time; [`never()`] for what is switched off |
//! | wait for many tasks | [`WaitGroup`]; [`errgroup`] if they may fail; a [`JoinSet`](runtime::task::JoinSet) for their results |
//! | give up together, after a time or on request | [`context`] |
//! | answer once | [`oneshot`] |
//! | tell all the latest value | [`watch`] |
//! | tell all every value | [`broadcast`] |
//! | protect data over an `.await` | [`Mutex`], [`RwLock`], with [`Cond`]; where there is no `.await`, std's |
//! | have at most so many at once | [`Semaphore`] |
//! | do something at most so often | [`rate`] |
//! | do something once | [`Once`], [`OnceCell`]; once at a time for each key: [`singleflight`] |
//! | wait for each other, or be woken | [`Barrier`], [`Notify`] |
//! | use buffers again | [`Pool`] |
//!
//! Whatever waits can be dropped at any moment, and loses nothing by it; and has a `blocking_`
//! sister for threads outside the runtime. The futures run on any executor: only timers and what
//! spawns need `runtime`. Nothing allocates to wait.
//!
//! The crate is called `sync`. Beside a `use std::sync;` that path means std's, so write
//! `::sync::…` there.

#[macro_use]
pub(crate) mod primitive;

#[cfg(not(loom))]
mod bed;
mod blocking;
mod gone;
#[cfg(any(not(loom), test))]
mod lock;
mod waiters;

mod channel;
mod select;

mod barrier;
pub mod broadcast;
mod cond;
pub mod context;
pub mod errgroup;
mod mutex;
mod notify;
mod once;
pub mod oneshot;
mod pool;
pub mod rate;
mod rwlock;
mod semaphore;
pub mod singleflight;
mod wait_group;
pub mod watch;

#[cfg(all(test, loom))]
mod models;

pub use barrier::{Barrier, BarrierResult, BarrierWait};
pub use channel::{
    Closed, Receiver, Recv, RecvMany, Send, SendError, SendFrom, Sender, TryRecvError,
    TrySendError, WeakSender, channel, never,
};
pub use cond::{Cond, CondWait};
pub use mutex::{
    MappedMutexGuard, Mutex, MutexGuard, MutexLock, OwnedMappedMutexGuard, OwnedMutexGuard,
};
pub use notify::{Notified, Notify};
pub use once::{Once, OnceCell};
pub use pool::{OwnedPooled, Pool, Pooled};
pub use rwlock::{
    MappedRwLockReadGuard, MappedRwLockWriteGuard, OwnedMappedRwLockReadGuard,
    OwnedMappedRwLockWriteGuard, OwnedRwLockReadGuard, OwnedRwLockWriteGuard, RwLock, RwLockRead,
    RwLockReadGuard, RwLockUpgradableRead, RwLockUpgradableReadGuard, RwLockUpgrade, RwLockWrite,
    RwLockWriteGuard,
};
#[doc(hidden)]
pub use select::__private;
pub use select::Select;
pub use semaphore::{
    Acquire, CheckedAcquire, OwnedSemaphorePermit, Semaphore, SemaphoreClosed, SemaphorePermit,
};
pub use wait_group::{Wait, WaitGroup, WaitGroupGuard};
