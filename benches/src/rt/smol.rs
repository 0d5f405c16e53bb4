//! smol: one `async-executor` on N threads, each of which also drives `async-io`, as `smol::spawn`
//! does it.
#![forbid(unsafe_code)]

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use smol::future::FutureExt;
use smol::{Executor, Task, Timer};

use super::{Lock, Rt};
use crate::gate::Gate;

/// smol.
pub(crate) struct Smol;

static EXECUTOR: Executor<'static> = Executor::new();

impl Rt for Smol {
    type Join<T: Send + 'static> = Task<T>;
    type WaitGroup = Arc<Gate>;

    fn run<F>(workers: usize, future: F) -> F::Output
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        for n in 0..workers {
            std::thread::Builder::new()
                .name(format!("smol-{n}"))
                .spawn(|| smol::block_on(EXECUTOR.run(std::future::pending::<()>())))
                .expect("a thread");
        }
        // The waiting thread must not drive the reactor too: that would be one worker more.
        smol::future::block_on(EXECUTOR.spawn(future))
    }

    #[inline]
    fn spawn<F>(future: F) -> Task<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        EXECUTOR.spawn(future)
    }

    #[inline]
    fn detach<F>(future: F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        EXECUTOR.spawn(future).detach();
    }

    fn yield_now() -> impl Future<Output = ()> + Send {
        smol::future::yield_now()
    }

    async fn sleep(duration: Duration) {
        Timer::after(duration).await;
    }

    async fn timeout<F: Future + Send>(limit: Duration, future: F) -> Option<F::Output> {
        async { Some(future.await) }
            .or(async {
                Timer::after(limit).await;
                None
            })
            .await
    }
}

impl Lock for smol::lock::Mutex<usize> {
    fn new() -> Self {
        smol::lock::Mutex::new(0)
    }

    async fn add(&self) {
        *self.lock().await += 1;
    }

    async fn total(&self) -> usize {
        *self.lock().await
    }
}
