//! Weftline's primitives.
#![forbid(unsafe_code)]

use std::future::Future;

use ::sync::{WaitGroup, broadcast, errgroup, oneshot, watch};

use super::{Barrier, Broadcast, Group, Mutex, Notify, Once, RwLock, Semaphore, Watch};

/// All of them.
pub(crate) struct Kit;

impl super::Kit for Kit {
    type Mutex = ::sync::Mutex<usize>;
    type RwLock = ::sync::RwLock<usize>;
    type Semaphore = ::sync::Semaphore;
    type Notify = ::sync::Notify;
    type Barrier = ::sync::Barrier;
    type Once = ::sync::OnceCell<usize>;
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

impl Mutex for ::sync::Mutex<usize> {
    type Guard<'a> = ::sync::MutexGuard<'a, usize>;

    fn new() -> Self {
        Self::new(0)
    }

    fn lock(&self) -> impl Future<Output = Self::Guard<'_>> + Send {
        self.lock()
    }
}

impl RwLock for ::sync::RwLock<usize> {
    type Read<'a> = ::sync::RwLockReadGuard<'a, usize>;
    type Write<'a> = ::sync::RwLockWriteGuard<'a, usize>;

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

impl Semaphore for ::sync::Semaphore {
    type Permit<'a> = ::sync::SemaphorePermit<'a>;

    fn new(permits: usize) -> Self {
        Self::new(permits)
    }

    fn acquire(&self) -> impl Future<Output = Self::Permit<'_>> + Send {
        self.acquire()
    }
}

impl Notify for ::sync::Notify {
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

impl Barrier for ::sync::Barrier {
    fn new(tasks: usize) -> Self {
        Self::new(tasks)
    }

    async fn wait(&self) {
        self.wait().await;
    }
}

impl Once for ::sync::OnceCell<usize> {
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
        changed.then(|| *rx.borrow())
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
            Err(broadcast::RecvError::Closed) => None,
            Err(lagged) => panic!("{lagged}"),
        }
    }
}

/// `WaitGroup::spawn`.
pub(crate) struct Waited(WaitGroup);

impl Group for Waited {
    fn new() -> Self {
        Self(WaitGroup::new())
    }

    async fn start<F>(&mut self, member: F)
    where
        F: Future<Output = Result<(), usize>> + Send + 'static,
    {
        drop(self.0.spawn(member));
    }

    async fn wait(self) {
        self.0.wait().await;
    }
}

/// `errgroup`.
pub(crate) struct Failing(errgroup::Group<usize>);

impl Group for Failing {
    fn new() -> Self {
        Self(errgroup::Group::new())
    }

    async fn start<F>(&mut self, member: F)
    where
        F: Future<Output = Result<(), usize>> + Send + 'static,
    {
        assert!(self.0.spawn(member).await, "nothing fails");
    }

    async fn wait(mut self) {
        self.0.wait().await.expect("nothing fails");
    }
}
