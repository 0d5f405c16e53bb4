//! Weftline's runtime, with its defaults.
#![forbid(unsafe_code)]

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use super::{Lock, Rt, WaitGroup};

/// Weftline.
pub(crate) struct Weftline;

pin_project_lite::pin_project! {
    /// A join handle that unwraps.
    pub(crate) struct Join<T> {
        #[pin]
        handle: runtime::JoinHandle<T>,
    }
}

impl<T> Future for Join<T> {
    type Output = T;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<T> {
        (self.project().handle)
            .poll(cx)
            .map(|result| result.expect("the task panicked"))
    }
}

impl Rt for Weftline {
    type Join<T: Send + 'static> = Join<T>;
    type WaitGroup = sync::WaitGroup;

    fn run<F>(workers: usize, future: F) -> F::Output
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        runtime::Builder::new()
            .max_procs(workers)
            .build()
            .expect("a runtime")
            .block_on(async { runtime::spawn(future).await.expect("the task panicked") })
    }

    #[inline]
    fn spawn<F>(future: F) -> Join<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        Join {
            handle: runtime::spawn(future),
        }
    }

    #[inline]
    fn detach<F>(future: F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        drop(runtime::spawn(future));
    }

    fn yield_now() -> impl Future<Output = ()> + Send {
        runtime::yield_now()
    }

    fn sleep(duration: Duration) -> impl Future<Output = ()> + Send {
        runtime::time::sleep(duration)
    }

    async fn timeout<F: Future + Send>(limit: Duration, future: F) -> Option<F::Output> {
        runtime::time::timeout(limit, future).await.ok()
    }
}

impl Lock for sync::Mutex<usize> {
    fn new() -> Self {
        sync::Mutex::new(0)
    }

    async fn add(&self) {
        *self.lock().await += 1;
    }

    async fn total(&self) -> usize {
        *self.lock().await
    }
}

impl WaitGroup for sync::WaitGroup {
    fn of(tasks: usize) -> Self {
        let group = sync::WaitGroup::new();
        group.add(tasks);
        group
    }

    fn done(&self) {
        sync::WaitGroup::done(self);
    }

    async fn wait(&self) {
        sync::WaitGroup::wait(self).await;
    }
}
