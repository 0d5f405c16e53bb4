//! ⚠ What a select needs to know of a channel operation: the same for a send and a receive of any
//! type.

use std::pin::Pin;
use std::task::Waker;

use super::claim::Claim;

/// Outcome of [`Case::attempt`].
#[derive(Debug)]
pub(crate) enum Attempt {
    /// The arm has taken effect; the peer is to be woken once all locks are released.
    Done(Option<Waker>),
    /// It would have to wait.
    NotReady,
}

/// A channel operation as an arm.
pub(crate) trait Case {
    /// Completes the operation if that is possible without waiting. Notes at the
    /// [gate](crate::channel::gate) what that leaves.
    ///
    /// # Safety
    ///
    /// The caller holds the channel's lock, and the claim is busy.
    unsafe fn attempt(&self) -> Attempt;

    /// Gets in line as arm `case` of the select with this claim, unless it stands there already.
    /// Notes that at the gate.
    ///
    /// # Safety
    ///
    /// The caller holds the channel's lock, and the claim is busy. The claim outlives this
    /// operation.
    unsafe fn link(self: Pin<&Self>, claim: *const Claim, case: u16);

    /// Waits, for some instructions, until a peer that has won the claim with this arm has moved
    /// the value.
    fn settle(&self);
}
