//! `async-lock`, `event-listener`, and a channel of capacity 1 in place of a oneshot.
#![forbid(unsafe_code)]

use std::future::Future;

use ::smol::channel;
use event_listener::Event;

use super::{Barrier, Mutex, Notify, Once, RwLock, Semaphore};

/// What there is of them.
pub(crate) struct Kit;

impl super::Kit for Kit {
    type Mutex = ::smol::lock::Mutex<usize>;
    type RwLock = ::smol::lock::RwLock<usize>;
    type Semaphore = ::smol::lock::Semaphore;
    type Notify = Event;
    type Barrier = ::smol::lock::Barrier;
    type Once = ::smol::lock::OnceCell<usize>;
    type OneTx<T: Send + 'static> = channel::Sender<T>;
    type OneRx<T: Send + 'static> = channel::Receiver<T>;

    fn oneshot<T: Send + 'static>() -> (Self::OneTx<T>, Self::OneRx<T>) {
        channel::bounded(1)
    }

    fn send<T: Send + 'static>(tx: Self::OneTx<T>, value: T) {
        assert!(tx.try_send(value).is_ok(), "there is room for one");
    }

    async fn recv<T: Send + 'static>(rx: Self::OneRx<T>) -> T {
        rx.recv().await.expect("a value")
    }
}

impl Mutex for ::smol::lock::Mutex<usize> {
    type Guard<'a> = ::smol::lock::MutexGuard<'a, usize>;

    fn new() -> Self {
        Self::new(0)
    }

    fn lock(&self) -> impl Future<Output = Self::Guard<'_>> + Send {
        self.lock()
    }
}

impl RwLock for ::smol::lock::RwLock<usize> {
    type Read<'a> = ::smol::lock::RwLockReadGuard<'a, usize>;
    type Write<'a> = ::smol::lock::RwLockWriteGuard<'a, usize>;

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

impl Semaphore for ::smol::lock::Semaphore {
    type Permit<'a> = ::smol::lock::SemaphoreGuard<'a>;

    fn new(permits: usize) -> Self {
        Self::new(permits)
    }

    fn acquire(&self) -> impl Future<Output = Self::Permit<'_>> + Send {
        self.acquire()
    }
}

impl Notify for Event {
    fn new() -> Self {
        Self::new()
    }

    fn listen(&self) -> impl Future<Output = ()> + Send {
        self.listen()
    }

    fn notify(&self) {
        self.notify(1);
    }
}

impl Barrier for ::smol::lock::Barrier {
    fn new(tasks: usize) -> Self {
        Self::new(tasks)
    }

    async fn wait(&self) {
        self.wait().await;
    }
}

impl Once for ::smol::lock::OnceCell<usize> {
    fn new() -> Self {
        Self::new()
    }

    async fn value(&self) -> usize {
        *self.get_or_init(async || 1).await
    }
}
