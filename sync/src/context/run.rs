//! A future that ends with a context.
#![forbid(unsafe_code)]

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context as TaskContext, Poll};

use pin_project_lite::pin_project;

use super::done::Done;
use super::error::ContextError;

pin_project! {
    /// Future of [`Context::run`](super::Context::run).
    ///
    /// ```
    /// # use sync::context::{Context, Run};
    /// # runtime::block_on(async {
    /// let ctx = Context::background();
    /// let run: Run<'_, _> = ctx.run(async { 42 });
    /// assert_eq!(run.await, Ok(42));
    /// # });
    /// ```
    ///
    /// **Go:** none.
    #[must_use = "futures do nothing unless awaited"]
    pub struct Run<'a, F> {
        // `None` once it has ended, or the context has.
        #[pin]
        future: Option<F>,
        #[pin]
        done: Done<'a>,
    }
}

impl<'a, F> Run<'a, F> {
    pub(super) fn new(done: Done<'a>, future: F) -> Self {
        Self {
            future: Some(future),
            done,
        }
    }
}

impl<F: Future> Future for Run<'_, F> {
    type Output = Result<F::Output, ContextError>;

    fn poll(self: Pin<&mut Self>, cx: &mut TaskContext<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        if let Poll::Ready(err) = this.done.poll(cx) {
            this.future.set(None);
            return Poll::Ready(Err(err));
        }
        let future = this.future.as_mut().as_pin_mut();
        let polled = future
            .expect("Run polled after it ended: await it once")
            .poll(cx);
        if polled.is_ready() {
            this.future.set(None);
        }
        polled.map(Ok)
    }
}

impl<F> fmt::Debug for Run<'_, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Run")
            .field("ended", &self.future.is_none())
            .finish_non_exhaustive()
    }
}
