//! A member: a future that was spawned into a group, and that tells how it ended.
//!
//! When the group gives up, members are told by its word, which each looks at before every poll, and those that wait for something are
//! woken to look. For that a member leaves its waker the first time that it has to wait. One that never does costs the group two atomic
//! operations and no lock.
//!
//! *Rejected*: an abort handle for each, as the runtime has them. To keep them all takes the lock three times a member.
#![forbid(unsafe_code)]

use std::future::Future;
use std::panic::{AssertUnwindSafe, Location, catch_unwind};
use std::pin::Pin;
use std::task::{Context, Poll};

use pin_project_lite::pin_project;

use super::handle;
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
    /// `None` once it has ended.
    member: Option<handle::Member<E>>,
    /// Where its waker is, if it has ever had to wait.
    place: Option<Place>,
}

/// Spawns a member.
#[track_caller]
#[inline]
pub(super) fn start<F, E>(
    member: handle::Member<E>,
    future: F,
    location: &'static Location<'static>,
) where
    F: Future<Output = Result<(), E>> + Send + 'static,
    E: Send + 'static,
{
    let member = Member {
        future: Some(future),
        membership: Membership {
            member: Some(member),
            place: None,
        },
    };
    // If this panics, for want of a runtime, the member is dropped and gives its place back.
    drop(runtime::task::spawn_at(member, location));
}

impl<F, E> Future for Member<F, E>
where
    F: Future<Output = Result<(), E>>,
{
    type Output = ();

    #[inline]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let mut this = self.project();
        if this.membership.group().is_aborting() {
            return give_up(this.future, this.membership);
        }
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
            Ok(Poll::Pending) if this.membership.waits(cx) => return Poll::Pending,
            Ok(Poll::Pending) => return give_up(this.future, this.membership),
            Ok(Poll::Ready(Ok(()))) if this.membership.leave() => return Poll::Ready(()),
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

/// The group has given up: the future is dropped. If that panics, so does the task, whose drop then ends the member.
#[cold]
fn give_up<F, E>(mut future: Pin<&mut Option<F>>, membership: &mut Membership<E>) -> Poll<()> {
    future.set(None);
    membership.end(Outcome::Dropped);
    Poll::Ready(())
}

impl<E> Membership<E> {
    #[inline]
    fn group(&self) -> &Shared<E> {
        self.member
            .as_ref()
            .expect("a member is polled until it ends")
    }

    /// Leaves the waker where the group finds it; once is enough, as a task has one waker all its life. Says no if the group has given up.
    #[inline]
    fn waits(&mut self, cx: &Context<'_>) -> bool {
        if self.place.is_none() {
            self.place = self.group().enter(cx.waker());
        }
        self.place.is_some()
    }

    /// The good end of one that has never waited, where nobody has to be told. Says whether that was all.
    #[inline]
    fn leave(&mut self) -> bool {
        if self.place.is_none() {
            self.member = self.member.take().and_then(handle::Member::leave);
        }
        self.member.is_none()
    }

    /// Kept apart from `leave`, so that this is short.
    #[inline(never)]
    fn end(&mut self, outcome: Outcome<E>) {
        if let Some(member) = self.member.take() {
            member.end(self.place, outcome);
        }
    }
}

impl<E> Drop for Membership<E> {
    #[inline]
    fn drop(&mut self) {
        if self.member.is_some() {
            self.end(Outcome::Dropped);
        }
    }
}
