//! Locks and their friends: what tasks coordinate with beside channels, each beside its counterpart
//! in Tokio, smol and Go.
//!
//! The workloads are in [`work`] and [`group`], written once over the traits here; `weftline.rs`,
//! `tokio.rs` and `smol.rs` implement these, `go/locks.go` is Go's part. The peer `tokio-sync` is
//! `tokio::sync` on Weftline's runtime: it tells what is the primitive's and what the scheduler's.
//! smol has no oneshot, and uses a channel of capacity 1; its notification is `event-listener`.
#![forbid(unsafe_code)]

mod group;
mod lap;
mod meet;
mod smol;
mod tokio;
mod weftline;
mod work;

use std::future::Future;
use std::ops::{Deref, DerefMut};

use crate::meter::Sample;
use crate::rt::Rt;
use crate::rt::smol::Smol;
use crate::rt::tokio::Tokio;
use crate::rt::weftline::Weftline;
use crate::work::twice;

/// The primitives of one library, but for those that not all have.
pub(crate) trait Kit: Send + Sync + 'static {
    /// Its mutex.
    type Mutex: Mutex;
    /// Its readers-writer lock.
    type RwLock: RwLock;
    /// Its semaphore.
    type Semaphore: Semaphore;
    /// Its notification.
    type Notify: Notify;
    /// Its barrier.
    type Barrier: Barrier;
    /// Its value that is made once.
    type Once: Once;
    /// The sending end of its channel for one value.
    type OneTx<T: Send + 'static>: Send + 'static;
    /// The receiving end.
    type OneRx<T: Send + 'static>: Send + 'static;

    /// A channel for one value.
    fn oneshot<T: Send + 'static>() -> (Self::OneTx<T>, Self::OneRx<T>);

    /// Sends the value.
    fn send<T: Send + 'static>(tx: Self::OneTx<T>, value: T);

    /// Receives it.
    fn recv<T: Send + 'static>(rx: Self::OneRx<T>) -> impl Future<Output = T> + Send;
}

/// A mutex round a counter.
pub(crate) trait Mutex: Send + Sync + 'static {
    /// What holds the lock.
    type Guard<'a>: DerefMut<Target = usize> + Send;

    /// A new one.
    fn new() -> Self;

    /// Locks.
    fn lock(&self) -> impl Future<Output = Self::Guard<'_>> + Send;
}

/// A readers-writer lock round a counter.
pub(crate) trait RwLock: Send + Sync + 'static {
    /// What holds it for reading.
    type Read<'a>: Deref<Target = usize> + Send;
    /// What holds it for writing.
    type Write<'a>: DerefMut<Target = usize> + Send;

    /// A new one.
    fn new() -> Self;

    /// Locks for reading.
    fn read(&self) -> impl Future<Output = Self::Read<'_>> + Send;

    /// Locks for writing.
    fn write(&self) -> impl Future<Output = Self::Write<'_>> + Send;
}

/// A number of permits.
pub(crate) trait Semaphore: Send + Sync + 'static {
    /// One of them.
    type Permit<'a>: Send;

    /// So many.
    fn new(permits: usize) -> Self;

    /// Takes one.
    fn acquire(&self) -> impl Future<Output = Self::Permit<'_>> + Send;
}

/// Wakes one task. Who wants to be woken listens before the other side can notify, so that it need
/// keep no notification.
pub(crate) trait Notify: Send + Sync + 'static {
    /// A new one.
    fn new() -> Self;

    /// Ready once there is a notification after this call.
    fn listen(&self) -> impl Future<Output = ()> + Send;

    /// Wakes one.
    fn notify(&self);
}

/// Where so many tasks wait for each other.
pub(crate) trait Barrier: Send + Sync + 'static {
    /// For so many.
    fn new(tasks: usize) -> Self;

    /// Waits until all have come.
    fn wait(&self) -> impl Future<Output = ()> + Send;
}

/// A value that the first who asks makes: one.
pub(crate) trait Once: Send + Sync + 'static {
    /// One that is not made yet.
    fn new() -> Self;

    /// The value.
    fn value(&self) -> impl Future<Output = usize> + Send;
}

/// One value, of which everybody sees the newest.
pub(crate) trait Watch: 'static {
    /// The sending end.
    type Tx: Send + 'static;
    /// The receiving end.
    type Rx: Send + 'static;

    /// A channel, and so many receivers.
    fn watch(receivers: usize) -> (Self::Tx, Vec<Self::Rx>);

    /// Changes the value.
    fn send(tx: &Self::Tx, value: usize);

    /// The next value that this one has not seen; nothing when the sender is gone.
    fn next(rx: &mut Self::Rx) -> impl Future<Output = Option<usize>> + Send;
}

/// Many values, which everybody gets all of.
pub(crate) trait Broadcast: 'static {
    /// The sending end.
    type Tx: Send + 'static;
    /// The receiving end.
    type Rx: Send + 'static;

    /// A channel that keeps so many values, and so many receivers.
    fn broadcast(capacity: usize, receivers: usize) -> (Self::Tx, Vec<Self::Rx>);

    /// Sends.
    fn send(tx: &Self::Tx, value: usize);

    /// The next value; nothing when the sender is gone.
    fn recv(rx: &mut Self::Rx) -> impl Future<Output = Option<usize>> + Send;
}

/// A group of tasks that is waited for as a whole.
pub(crate) trait Group: Send + 'static {
    /// An empty one.
    fn new() -> Self;

    /// Starts a member.
    fn start<F>(&mut self, member: F) -> impl Future<Output = ()> + Send
    where
        F: Future<Output = Result<(), usize>> + Send + 'static;

    /// Waits for all.
    fn wait(self) -> impl Future<Output = ()> + Send;
}

/// Runs the workload on that peer, if it is one of these.
pub(crate) fn run(peer: &str, name: &str, workers: usize, size: usize) -> Option<Sample> {
    let order = Order {
        name,
        workers,
        size,
    };
    match peer {
        "weftline" => (order.kit::<Weftline, weftline::Kit>())
            .or_else(|| order.watch::<Weftline, weftline::Kit>())
            .or_else(|| order.broadcast::<Weftline, weftline::Kit>())
            .or_else(|| order.cond::<Weftline>())
            .or_else(|| order.waited::<Weftline, weftline::Waited>())
            .or_else(|| order.failing::<Weftline, weftline::Failing>()),
        "tokio-sync" => (order.kit::<Weftline, tokio::Kit>())
            .or_else(|| order.watch::<Weftline, tokio::Kit>())
            .or_else(|| order.broadcast::<Weftline, tokio::Kit>()),
        "tokio" => (order.kit::<Tokio, tokio::Kit>())
            .or_else(|| order.watch::<Tokio, tokio::Kit>())
            .or_else(|| order.broadcast::<Tokio, tokio::Kit>())
            .or_else(|| order.waited::<Tokio, tokio::Joined>())
            .or_else(|| order.failing::<Tokio, tokio::Joined>()),
        "smol" => order.kit::<Smol, smol::Kit>(),
        _ => None,
    }
}

struct Order<'a> {
    name: &'a str,
    workers: usize,
    size: usize,
}

impl Order<'_> {
    fn kit<R: Rt, K: Kit>(&self) -> Option<Sample> {
        let (workers, n) = (self.workers, self.size);
        Some(match self.name {
            "lock_alone" => R::run(workers, twice(n, work::lock_alone::<K>)),
            // The others bring theirs along with the runtime.
            "mutex" => R::run(workers, twice(n, work::mutex::<R, K>)),
            "lock_yield" => R::run(workers, twice(n, work::lock_yield::<R, K>)),
            "rwlock_alone" => R::run(workers, twice(n, work::rwlock_alone::<K>)),
            "rwlock_read" => R::run(workers, twice(n, work::rwlock_read::<R, K>)),
            "rwlock_mostly" => R::run(workers, twice(n, work::rwlock_mostly::<R, K>)),
            "rwlock_work" => R::run(workers, twice(n, work::rwlock_work::<R, K>)),
            "rwlock_yield" => R::run(workers, twice(n, work::rwlock_yield::<R, K>)),
            "sem_alone" => R::run(workers, twice(n, work::sem_alone::<K>)),
            "sem_yield" => R::run(workers, twice(n, work::sem_yield::<R, K>)),
            "notify" => R::run(workers, twice(n, work::notify::<R, K>)),
            "oneshot_same" => R::run(workers, twice(n, work::oneshot_same::<K>)),
            "oneshot_across" => R::run(workers, twice(n, work::oneshot_across::<R, K>)),
            "barrier" => R::run(workers, twice(n, meet::barrier::<R, K>)),
            "once_there" => R::run(workers, twice(n, meet::once_there::<K>)),
            "group_bare" => R::run(workers, twice(n, group::bare::<R>)),
            _ => return None,
        })
    }

    fn cond<R: Rt>(&self) -> Option<Sample> {
        (self.name == "cond").then(|| R::run(self.workers, twice(self.size, meet::cond::<R>)))
    }

    fn watch<R: Rt, W: Watch>(&self) -> Option<Sample> {
        (self.name == "watch").then(|| R::run(self.workers, twice(self.size, work::watch::<R, W>)))
    }

    fn broadcast<R: Rt, B: Broadcast>(&self) -> Option<Sample> {
        (self.name == "broadcast")
            .then(|| R::run(self.workers, twice(self.size, work::broadcast::<R, B>)))
    }

    fn waited<R: Rt, G: Group>(&self) -> Option<Sample> {
        (self.name == "group_wait").then(|| R::run(self.workers, twice(self.size, group::all::<G>)))
    }

    fn failing<R: Rt, G: Group>(&self) -> Option<Sample> {
        (self.name == "group_err").then(|| R::run(self.workers, twice(self.size, group::all::<G>)))
    }
}
