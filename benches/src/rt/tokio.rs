//! Tokio's multi-thread runtime, with its defaults.
#![forbid(unsafe_code)]

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::task::JoinHandle;

use super::{Lock, Rt};
use crate::gate::Gate;

/// Tokio.
pub(crate) struct Tokio;

/// A join handle that unwraps.
pub(crate) struct Join<T>(JoinHandle<T>);

impl<T> Future for Join<T> {
    type Output = T;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<T> {
        Pin::new(&mut self.0)
            .poll(cx)
            .map(|result| result.expect("the task panicked"))
    }
}

impl Rt for Tokio {
    type Join<T: Send + 'static> = Join<T>;
    type WaitGroup = Arc<Gate>;

    fn run<F>(workers: usize, future: F) -> F::Output
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        tokio::runtime::Builder::new_multi_thread()
            .worker_threads(workers)
            .enable_all()
            .build()
            .expect("a runtime")
            .block_on(async { tokio::spawn(future).await.expect("the task panicked") })
    }

    #[inline]
    fn spawn<F>(future: F) -> Join<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        Join(tokio::spawn(future))
    }

    #[inline]
    fn detach<F>(future: F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        drop(tokio::spawn(future));
    }

    fn yield_now() -> impl Future<Output = ()> + Send {
        tokio::task::yield_now()
    }

    fn sleep(duration: Duration) -> impl Future<Output = ()> + Send {
        tokio::time::sleep(duration)
    }

    async fn timeout<F: Future + Send>(limit: Duration, future: F) -> Option<F::Output> {
        tokio::time::timeout(limit, future).await.ok()
    }
}

impl Lock for tokio::sync::Mutex<usize> {
    fn new() -> Self {
        tokio::sync::Mutex::new(0)
    }

    async fn add(&self) {
        *self.lock().await += 1;
    }

    async fn total(&self) -> usize {
        *self.lock().await
    }
}
