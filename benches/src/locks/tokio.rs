//! `tokio::sync`, and `JoinSet` for the groups.
#![forbid(unsafe_code)]

use std::future::Future;

use ::tokio::sync::{broadcast, oneshot, watch};
use ::tokio::task::JoinSet;

use super::{Barrier, Broadcast, Group, Mutex, Notify, Once, RwLock, Semaphore, Watch};

/// All of them.
pub(crate) struct Kit;

impl super::Kit for Kit {
    type Mutex = ::tokio::sync::Mutex<usize>;
    type RwLock = ::tokio::sync::RwLock<usize>;
    type Semaphore = ::tokio::sync::Semaphore;
    type Notify = ::tokio::sync::Notify;
    type Barrier = ::tokio::sync::Barrier;
    type Once = ::tokio::sync::OnceCell<usize>;
    type OneTx<T: Send + 'static> = oneshot::Sender<T>;
    type OneRx<T: Send + 'static> = oneshot::Receiver<T>;

    fn oneshot<T: Send + 'static>() -> (Self::OneTx<T>, Self::OneRx<T>) {
        oneshot::channel()
    }

    fn send<T: Send + 'static>(tx: Self::OneTx<T>, value: T) {
        assert!(tx.send(value).is_ok(), "the receiver waits");
    }

    async fn recv<T: Send + 'static>(rx: Self::OneRx<T>) -> T {
        rx.await.expect("a value")
    }
}

impl Mutex for ::tokio::sync::Mutex<usize> {
    type Guard<'a> = ::tokio::sync::MutexGuard<'a, usize>;

    fn new() -> Self {
        Self::new(0)
    }

    fn lock(&self) -> impl Future<Output = Self::Guard<'_>> + Send {
        self.lock()
    }
}

impl RwLock for ::tokio::sync::RwLock<usize> {
    type Read<'a> = ::tokio::sync::RwLockReadGuard<'a, usize>;
    type Write<'a> = ::tokio::sync::RwLockWriteGuard<'a, usize>;

    fn new() -> Self {
        Self::new(0)
    }

    fn read(&self) -> impl Future<Output = Self::Read<'_>> + Send {
        self.read()
    }

    fn write(&self) -> impl Future<Output = Self::Write<'_>> + Send {
        self.write()
    }
}

impl Semaphore for ::tokio::sync::Semaphore {
    type Permit<'a> = ::tokio::sync::SemaphorePermit<'a>;

    fn new(permits: usize) -> Self {
        Self::new(permits)
    }

    async fn acquire(&self) -> Self::Permit<'_> {
        self.acquire().await.expect("nobody closes it")
    }
}

impl Notify for ::tokio::sync::Notify {
    fn new() -> Self {
        Self::new()
    }

    fn listen(&self) -> impl Future<Output = ()> + Send {
        self.notified()
    }

    fn notify(&self) {
        self.notify_one();
    }
}

impl Barrier for ::tokio::sync::Barrier {
    fn new(tasks: usize) -> Self {
        Self::new(tasks)
    }

    async fn wait(&self) {
        self.wait().await;
    }
}

impl Once for ::tokio::sync::OnceCell<usize> {
    fn new() -> Self {
        Self::new()
    }

    async fn value(&self) -> usize {
        *self.get_or_init(async || 1).await
    }
}

impl Watch for Kit {
    type Tx = watch::Sender<usize>;
    type Rx = watch::Receiver<usize>;

    fn watch(receivers: usize) -> (Self::Tx, Vec<Self::Rx>) {
        let (tx, rx) = watch::channel(0);
        (tx, vec![rx; receivers])
    }

    fn send(tx: &Self::Tx, value: usize) {
        assert!(tx.send(value).is_ok(), "there are receivers");
    }

    async fn next(rx: &mut Self::Rx) -> Option<usize> {
        let changed = rx.changed().await;
        changed.is_ok().then(|| *rx.borrow())
    }
}

impl Broadcast for Kit {
    type Tx = broadcast::Sender<usize>;
    type Rx = broadcast::Receiver<usize>;

    fn broadcast(capacity: usize, receivers: usize) -> (Self::Tx, Vec<Self::Rx>) {
        let (tx, rx) = broadcast::channel(capacity);
        drop(rx);
        let receivers = (0..receivers).map(|_| tx.subscribe()).collect();
        (tx, receivers)
    }

    fn send(tx: &Self::Tx, value: usize) {
        assert!(tx.send(value).is_ok(), "there are receivers");
    }

    async fn recv(rx: &mut Self::Rx) -> Option<usize> {
        match rx.recv().await {
            Ok(value) => Some(value),
            Err(broadcast::error::RecvError::Closed) => None,
            Err(lagged) => panic!("{lagged}"),
        }
    }
}

/// `JoinSet`: Tokio has no other group.
pub(crate) struct Joined(JoinSet<Result<(), usize>>);

impl Group for Joined {
    fn new() -> Self {
        Self(JoinSet::new())
    }

    async fn start<F>(&mut self, member: F)
    where
        F: Future<Output = Result<(), usize>> + Send + 'static,
    {
        self.0.spawn(member);
    }

    async fn wait(mut self) {
        while let Some(ended) = self.0.join_next().await {
            ended.expect("nothing panics").expect("nothing fails");
        }
    }
}
