//! ⚠ [`Selecting`], the future of a [`select!`](macro@crate::select): its arms and its claim, in
//! one pinned place.

use std::fmt;
use std::future::Future;
use std::panic::Location;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use runtime::task::{WaitReason, coop, waiting};

use super::arm::{Arm, ArmList};
use super::claim::Claim;
use super::protocol::{self, Choice, Policy, Scratch};

/// Future of a `select!` with `N` arms: the number of the arm that has taken effect, or `N` for
/// `default`.
///
/// Arms and claim are pinned with it. The arms are dropped first, because their waiters point to
/// the claim.
pub struct Selecting<L, const N: usize> {
    arms: L,
    claim: Claim,
    policy: Policy,
    place: &'static Location<'static>,
}

impl<L, const N: usize> Drop for Selecting<L, N> {
    fn drop(&mut self) {
        // From here on nobody completes an arm; one that was completed before gives its value back
        // when it is dropped.
        self.claim.cancel();
    }
}

impl<L: ArmList, const N: usize> Selecting<L, N> {
    /// A select over these arms.
    #[track_caller]
    #[inline]
    pub fn new(arms: L, policy: Policy) -> Self {
        Self {
            arms,
            claim: Claim::new(),
            policy,
            place: Location::caller(),
        }
    }

    /// The arms, to take the output from the one that was chosen.
    #[inline]
    pub fn arms(self: Pin<&mut Self>) -> Pin<&mut L> {
        // SAFETY: a field of what is pinned; nothing moves it, `Drop` neither.
        unsafe { self.map_unchecked_mut(|this| &mut this.arms) }
    }
}

impl<L: ArmList, const N: usize> Future for Selecting<L, N> {
    type Output = usize;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<usize> {
        let proceed = ready!(coop::poll_proceed(cx));
        // SAFETY: nothing is moved out.
        let this = unsafe { self.get_unchecked_mut() };
        let (policy, place) = (this.policy, this.place);
        let mut arms = [const { Arm::Off }; N];
        // SAFETY: a field of what is pinned; nothing moves it, `Drop` neither.
        unsafe { Pin::new_unchecked(&mut this.arms) }.collect(&mut arms);
        let scratch = Scratch {
            order: &mut [0; N],
            by_address: &mut [0; N],
            held: &mut [const { None }; N],
        };
        // SAFETY: the claim is pinned beside the arms, which are always the same and dropped before
        // it.
        match unsafe { protocol::poll(&this.claim, &mut arms, scratch, policy, cx) } {
            Poll::Ready(choice) => {
                proceed.made_progress();
                Poll::Ready(match choice {
                    Choice::Arm(index) => usize::from(index),
                    Choice::Default => N,
                })
            }
            Poll::Pending => {
                waiting(reason(&arms), place);
                Poll::Pending
            }
        }
    }
}

/// Why this select waits.
pub(super) fn reason(arms: &[Arm<'_>]) -> WaitReason {
    if arms.iter().all(|arm| matches!(arm, Arm::Off)) {
        WaitReason::SelectNoCases
    } else {
        WaitReason::Select
    }
}

impl<L, const N: usize> fmt::Debug for Selecting<L, N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Selecting")
            .field("arms", &N)
            .field("claim", &self.claim)
            .finish_non_exhaustive()
    }
}
