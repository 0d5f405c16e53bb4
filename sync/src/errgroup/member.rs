//! A member: a future that was spawned into a group, and that tells how it ended.
//!
//! When the group gives up, members are told by its word, which each looks at before every poll,
//! and those that wait for something are woken to look. For that a member leaves its waker the
//! first time that it has to wait. One that never does costs the group two atomic operations and no
//! lock.
//!
//! *Rejected*: an abort handle for each, as the runtime has them. To keep them all takes the lock
//! three times a member.
#![forbid(unsafe_code)]

use std::future::Future;
use std::panic::{AssertUnwindSafe, Location, catch_unwind};
use std::pin::Pin;
use std::task::{Context, Poll};

use pin_project_lite::pin_project;

use super::handle::{self, Seat};
use super::shared::Outcome;

pin_project! {
    /// One word more than the future: see `handle`. The fields are dropped in this order, so that
    /// the future's belongings are gone before the member has ended.
    #[project = Stage]
    enum Member<F, E> {
        Running {
            #[pin]
            future: F,
            seat: Seat<E>,
        },
        Ended,
    }
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
    let seat = Seat::new(member);
    // If this panics, for want of a runtime, the member is dropped and gives its place back.
    drop(runtime::task::spawn_at(
        Member::Running { future, seat },
        location,
    ));
}

impl<F, E> Future for Member<F, E>
where
    F: Future<Output = Result<(), E>>,
{
    type Output = ();

    #[inline]
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        if self.as_mut().running().1.group().is_aborting() {
            return self.give_up();
        }
        let mut ending = None;
        // A future that panicked is not polled again, and its drop is as safe as any drop while
        // unwinding.
        let polled = catch_unwind(AssertUnwindSafe(|| {
            let polled = self.as_mut().running().0.poll(cx);
            if polled.is_ready() {
                // Before what it owned goes, which may panic.
                ending = self.as_mut().running().1.take();
                self.set(Self::Ended);
            }
            polled
        }));
        let outcome = match polled {
            Ok(Poll::Pending) if self.as_mut().running().1.waits(cx.waker()) => {
                return Poll::Pending;
            }
            Ok(Poll::Pending) => return self.give_up(),
            Ok(Poll::Ready(Ok(()))) => Outcome::Ok,
            Ok(Poll::Ready(Err(error))) => Outcome::Err(error),
            Err(panic) => {
                if ending.is_none() {
                    ending = self.as_mut().running().1.take();
                    // What it owned goes before it counts as ended; a second panic is not worth
                    // more than the first.
                    let _ = catch_unwind(AssertUnwindSafe(|| self.set(Self::Ended)));
                }
                Outcome::Panic(panic)
            }
        };
        if let Some((member, place)) = ending {
            member.end(place, outcome);
        }
        Poll::Ready(())
    }
}

impl<F, E> Member<F, E> {
    #[inline]
    fn running(self: Pin<&mut Self>) -> (Pin<&mut F>, &mut Seat<E>) {
        match self.project() {
            Stage::Running { future, seat } => (future, seat),
            Stage::Ended => panic!("a member is polled until it ends"),
        }
    }

    /// The group has given up: the future is dropped, and then the seat, which ends the member;
    /// also when the first panics.
    #[cold]
    fn give_up(mut self: Pin<&mut Self>) -> Poll<()> {
        self.set(Self::Ended);
        Poll::Ready(())
    }
}

/// What a task of the group is larger than its future.
#[cfg(target_pointer_width = "64")]
const _: () = assert!(size_of::<Member<[usize; 2], ()>>() == 3 * size_of::<usize>());
