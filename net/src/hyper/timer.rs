//! hyper's executor and timer.
#![forbid(unsafe_code)]

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use ::hyper::rt;
use pin_project_lite::pin_project;
use runtime::time;

use super::streams::Limited;

/// Starts what hyper wants to run beside a connection: each as a task of the current runtime.
/// HTTP/2 needs one.
///
/// # Panics
///
/// `execute` panics outside a runtime.
///
/// ```
/// # fn http2() {
/// // `hyper::server::conn::http2::Builder::new(net::hyper::Executor)`, for instance.
/// # }
/// use hyper::rt::Executor as _;
///
/// # runtime::block_on(async {
/// net::hyper::Executor.execute(async { println!("beside the connection") });
/// # });
/// ```
///
/// **Go:** the `go` statement.
#[derive(Clone, Copy, Debug, Default)]
pub struct Executor;

impl<F> rt::Executor<F> for Executor
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    fn execute(&self, future: F) {
        drop(runtime::spawn(Limited::new(future)));
    }
}

/// Keeps hyper's time: header timeouts, keep-alive. It runs by [`runtime::time`], also where a test
/// has paused that.
///
/// Without a timer hyper has no header timeout, so always give it one.
///
/// ```
/// use std::time::Duration;
///
/// let mut http = hyper::server::conn::http1::Builder::new();
/// http.timer(net::hyper::Timer).header_read_timeout(Duration::from_secs(10));
/// ```
///
/// **Go:** package `time`.
#[derive(Clone, Copy, Debug, Default)]
pub struct Timer;

impl rt::Timer for Timer {
    fn sleep(&self, duration: Duration) -> Pin<Box<dyn rt::Sleep>> {
        Box::pin(Nap {
            sleep: time::sleep(duration),
        })
    }

    fn sleep_until(&self, deadline: std::time::Instant) -> Pin<Box<dyn rt::Sleep>> {
        Box::pin(Nap {
            sleep: time::sleep_until(deadline.into()),
        })
    }

    fn now(&self) -> std::time::Instant {
        time::Instant::now().into()
    }

    /// Moves the timer instead of making another: hyper does so for each request.
    fn reset(&self, sleep: &mut Pin<Box<dyn rt::Sleep>>, deadline: std::time::Instant) {
        match sleep.as_mut().downcast_mut_pin::<Nap>() {
            Some(nap) => nap.project().sleep.reset(deadline.into()),
            None => *sleep = self.sleep_until(deadline),
        }
    }
}

pin_project! {
    /// A sleep that may carry hyper's trait.
    struct Nap {
        #[pin]
        sleep: time::Sleep,
    }
}

impl rt::Sleep for Nap {}

impl Future for Nap {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        self.project().sleep.poll(cx)
    }
}

impl fmt::Debug for Nap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.sleep.fmt(f)
    }
}
