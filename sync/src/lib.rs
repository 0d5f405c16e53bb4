//! Go's channels, `select!` and `WaitGroup` for Rust, exactly as Go means them, and safe to drop at any moment.
//!
//! The crate is called `sync`. Beside a `use std::sync;` that path means std's, so write `::sync::…` there.

#[macro_use]
pub(crate) mod primitive;

mod blocking;
#[cfg(not(loom))]
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
mod rwlock;
mod semaphore;
pub mod singleflight;
mod wait_group;
pub mod watch;

#[cfg(all(test, loom))]
mod models;

pub use barrier::{Barrier, BarrierResult, BarrierWait};
pub use channel::{
    Receiver, Recv, Send, SendError, SendFrom, Sender, TryRecvError, TrySendError, channel, never,
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
