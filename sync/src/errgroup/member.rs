//! A member: a future that was spawned into a group, and that tells how it ended.
#![forbid(unsafe_code)]

use std::future::Future;
use std::panic::{AssertUnwindSafe, Location, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use pin_project_lite::pin_project;

use super::members::Place;
use super::shared::{Outcome, Shared};

pin_project! {
    /// The fields are dropped in this order, so that the future's belongings are gone before the member has ended.
    struct Member<F, E> {
        #[pin]
        future: Option<F>,
        membership: Membership<E>,
    }
}

/// The place of a member, given back when it ends, or is dropped.
struct Membership<E> {
    shared: Arc<Shared<E>>,
    place: Place,
    ended: bool,
}

/// Spawns a member; the caller has taken a place for it.
#[track_caller]
pub(super) fn start<F, E>(shared: &Arc<Shared<E>>, future: F, location: &'static Location<'static>)
where
    F: Future<Output = Result<(), E>> + Send + 'static,
    E: Send + 'static,
{
    let place = shared.waiters.lock().enter();
    let member = Member {
        future: Some(future),
        membership: Membership {
            shared: shared.clone(),
            place,
            ended: false,
        },
    };
    // If this panics, for want of a runtime, the member is dropped and gives its place back.
    let handle = runtime::task::spawn_at(member, location).abort_handle();
    let left = shared.waiters.lock().started(place, handle);
    if let Some((handle, true)) = left {
        handle.abort();
    }
}

impl<F, E> Future for Member<F, E>
where
    F: Future<Output = Result<(), E>>,
{
    type Output = ();

    #[inline]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let mut this = self.project();
        // A future that panicked is not polled again, and its drop is as safe as any drop while unwinding.
        let polled = catch_unwind(AssertUnwindSafe(|| {
            let future = this.future.as_mut().as_pin_mut();
            let polled = future.expect("a member is polled until it ends").poll(cx);
            if polled.is_ready() {
                this.future.set(None);
            }
            polled
        }));
        let outcome = match polled {
            Ok(Poll::Pending) => return Poll::Pending,
            Ok(Poll::Ready(Ok(()))) => Outcome::Ok,
            Ok(Poll::Ready(Err(error))) => Outcome::Err(error),
            Err(panic) => {
                // What it owned goes before it counts as ended; a second panic is not worth more than the first.
                let _ = catch_unwind(AssertUnwindSafe(|| this.future.set(None)));
                Outcome::Panic(panic)
            }
        };
        this.membership.end(outcome);
        Poll::Ready(())
    }
}

impl<E> Membership<E> {
    fn end(&mut self, outcome: Outcome<E>) {
        self.ended = true;
        self.shared.end(Some(self.place), outcome);
    }
}

impl<E> Drop for Membership<E> {
    fn drop(&mut self) {
        if !self.ended {
            self.end(Outcome::Dropped);
        }
    }
}
