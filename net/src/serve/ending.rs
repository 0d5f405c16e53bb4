//! How a server ends: nobody new, then words to those who are there, then patience.
#![forbid(unsafe_code)]

use std::future::{Future, poll_fn};
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::pin::{Pin, pin};
use std::task::Poll;
use std::time::Duration;

use runtime::time::timeout;

use super::crowd::{Crowd, Word};
use crate::is_closed;

/// The patience where nothing else is said: what container managers wait after SIGTERM.
pub(crate) const DRAIN: Duration = Duration::from_secs(30);

/// What ends a server, when it is ready.
pub(crate) type Stop = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Accepts until the stop is ready or accepting fails, then ends the crowd. An error that says
/// "closed" is an end like any other.
pub(crate) async fn until_stopped(
    crowd: &Crowd,
    accepting: impl Future<Output = io::Error>,
    mut stop: Option<Stop>,
    patience: Duration,
) -> io::Result<()> {
    let _finish = FinishOnDrop(crowd);
    let ended = {
        let mut accepting = pin!(accepting);
        poll_fn(|cx| {
            let stop = stop.as_mut().map(|stop| stop.as_mut().poll(cx));
            if stop.is_some_and(|stop| stop.is_ready()) {
                return Poll::Ready(Ok(()));
            }
            accepting.as_mut().poll(cx).map(Err)
        })
        .await
        // The listener ends here: nobody new.
    };
    crowd.say(Word::Finish);
    let drained = timeout(patience, crowd.empty()).await;
    match ended {
        Err(error) if !is_closed(&error) => Err(error),
        _ if drained.is_ok() => Ok(()),
        _ => Err(cut_off(crowd, patience)),
    }
}

/// However the server ends, its connections are told.
struct FinishOnDrop<'a>(&'a Crowd);

impl Drop for FinishOnDrop<'_> {
    fn drop(&mut self) {
        self.0.say(Word::Finish);
    }
}

/// Ends those that are left. They hear it at their next poll; nobody waits for that, as the reason
/// may be that they are stuck in one.
fn cut_off(crowd: &Crowd, patience: Duration) -> io::Error {
    let left = crowd.open();
    crowd.say(Word::Cut);
    let text = format!("{left} connections did not finish within {patience:?} and were cut off");
    io::Error::new(io::ErrorKind::TimedOut, text)
}

/// Calls somebody else's code from the loop that accepts. If it panics, that is reported as if a
/// task had, and the loop goes on: it was about one connection, and the server is everybody's.
pub(crate) fn apart<R>(call: impl FnOnce() -> R) -> Option<R> {
    match catch_unwind(AssertUnwindSafe(call)) {
        Ok(returned) => Some(returned),
        Err(panic) => {
            drop(runtime::spawn(async move { resume_unwind(panic) }));
            None
        }
    }
}
