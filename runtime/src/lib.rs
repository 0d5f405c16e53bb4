//! The runtime.
#![allow(missing_docs, missing_debug_implementations, dead_code, unused)]
#[cfg(all(test, loom))]
mod models;
pub(crate) mod primitive;
pub mod task;

use std::future::Future;
use std::io;
use std::time::Duration;

#[derive(Debug)]
pub struct JoinError;
pub struct JoinHandle<T>(std::marker::PhantomData<T>);
impl<T> JoinHandle<T> {
    pub fn abort(&self) {
        todo!()
    }
    pub fn is_finished(&self) -> bool {
        todo!()
    }
}
impl<T> Future for JoinHandle<T> {
    type Output = Result<T, JoinError>;
    fn poll(
        self: std::pin::Pin<&mut Self>,
        _: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Self::Output> {
        todo!()
    }
}
#[track_caller]
pub fn spawn<F>(future: F) -> JoinHandle<F::Output>
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    todo!()
}
#[track_caller]
pub fn spawn_blocking<F, T>(f: F) -> JoinHandle<T>
where
    F: FnOnce() -> T + Send + 'static,
    T: Send + 'static,
{
    todo!()
}
#[track_caller]
pub fn block_on<F: Future>(future: F) -> F::Output {
    todo!()
}
pub async fn yield_now() {
    todo!()
}
pub fn num_tasks() -> usize {
    todo!()
}
pub fn max_procs() -> usize {
    todo!()
}

#[derive(Default)]
pub struct Builder;
impl Builder {
    pub fn new() -> Self {
        todo!()
    }
    pub fn max_procs(&mut self, n: usize) -> &mut Self {
        todo!()
    }
    pub fn build(&mut self) -> io::Result<Runtime> {
        todo!()
    }
}
pub struct Runtime;
impl Runtime {
    pub fn new() -> io::Result<Self> {
        todo!()
    }
    #[track_caller]
    pub fn block_on<F: Future>(&self, f: F) -> F::Output {
        todo!()
    }
    #[track_caller]
    pub fn spawn<F>(&self, future: F) -> JoinHandle<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        todo!()
    }
    pub fn handle(&self) -> &Handle {
        todo!()
    }
    pub fn shutdown(self, timeout: Duration) {
        todo!()
    }
}
#[derive(Clone)]
pub struct Handle;
impl Handle {
    #[track_caller]
    pub fn current() -> Self {
        todo!()
    }
    pub fn try_current() -> Option<Self> {
        todo!()
    }
}
