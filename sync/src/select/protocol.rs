//! ⚠ How a select is decided, in at most three passes.
//!
//! 1. Each arm that looks ready is tried alone, in random order: an ordinary future is polled, a
//!    channel is locked and asked. What completes wins. Nothing of ours can be completed by others
//!    meanwhile, because the claim is busy.
//! 2. If nothing was ready, all channels are locked, in the order of their addresses, and asked
//!    again. This makes the decision to wait, or to take `default`, one atomic look at all of them.
//!    To wait, each channel arm gets in line, and the claim goes to waiting before the first lock
//!    is released.
//! 3. When the task is woken, the claim says whether an arm has won. If none has, the claim goes
//!    back to busy and all begins anew, with the waiters keeping their places. Waiters of arms that
//!    lost are taken out when the arms are dropped.
//!
//! So at no time are two claims needed at once: a select that looks at its arms cannot be claimed,
//! and while it holds all its locks its peers can be neither. Of two selects that meet, the one
//! that gets the lock second finds the other waiting, or both see each other busy; then the one
//! that is later back in pass 2 finds the other.
//!
//! A select never matches itself: whenever it looks for peers its own waiters are busy, and busy
//! waiters are passed over.
//!
//! Lock order: channels by address, each once. Nobody else ever holds two channels' locks.

use std::ptr;
use std::task::{Context, Poll, Waker};

use super::arm::{Arm, ChannelCase};
use super::case::Attempt;
use super::claim::Claim;
use super::order::shuffle;
use crate::primitive::{Held, RANDOM_ORDER};

/// How the arms are to be treated.
#[derive(Clone, Copy, Debug)]
pub struct Policy {
    /// From top to bottom instead of random order.
    pub biased: bool,
    /// Never wait.
    pub default: bool,
}

/// Outcome of a select.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Choice {
    Arm(u16),
    Default,
}

/// Room for as many entries as there are arms: order of looking, order of locking, and the locks.
pub(crate) struct Scratch<'s, 'a> {
    pub(crate) order: &'s mut [u16],
    pub(crate) by_address: &'s mut [u16],
    pub(crate) held: &'s mut [Option<Held<'a>>],
}

/// One poll of a select over `arms`.
///
/// # Safety
///
/// The claim is pinned and outlives the operations in `arms`, which are the same at each poll.
pub(crate) unsafe fn poll<'a>(
    claim: &Claim,
    arms: &mut [Arm<'a>],
    scratch: Scratch<'_, 'a>,
    policy: Policy,
    cx: &mut Context<'_>,
) -> Poll<Choice> {
    if let Err(winner) = claim.begin() {
        if let Arm::Channel(channel) = &arms[usize::from(winner)] {
            channel.case.settle();
        }
        return Poll::Ready(Choice::Arm(winner));
    }
    let Scratch {
        order,
        by_address,
        held,
    } = scratch;
    if let Some(winner) = try_alone(arms, order, policy, cx) {
        return Poll::Ready(Choice::Arm(winner));
    }
    if !policy.default {
        // SAFETY: we are the owner, and the claim is busy.
        drop(unsafe { claim.set_waker(cx.waker()) });
    }
    let mut all = AllLocked::lock(arms, by_address, held);
    if let Some((winner, peer)) = all.look(order, policy) {
        drop(all);
        if let Some(waker) = peer {
            waker.wake();
        }
        return Poll::Ready(Choice::Arm(winner));
    }
    if policy.default {
        return Poll::Ready(Choice::Default);
    }
    // SAFETY: the caller's promise.
    unsafe { all.wait(claim, order, policy) };
    Poll::Pending
}

/// Pass 1. Returns the arm that has taken effect.
#[inline]
fn try_alone(
    arms: &mut [Arm<'_>],
    order: &mut [u16],
    policy: Policy,
    cx: &mut Context<'_>,
) -> Option<u16> {
    let candidates = candidates(arms, order, policy, true);
    for &index in candidates.iter() {
        let done = match &mut arms[usize::from(index)] {
            Arm::Off => false,
            Arm::Future(future) => future.as_mut().poll_arm(cx),
            Arm::Channel(channel) => attempt_alone(*channel),
        };
        if done {
            return Some(index);
        }
    }
    None
}

fn attempt_alone(ChannelCase { gate, case, .. }: ChannelCase<'_>) -> bool {
    let held = gate.hold();
    // SAFETY: the lock is held, and the claim is busy whenever arms are looked at.
    let attempt = unsafe { case.attempt() };
    drop(held);
    match attempt {
        Attempt::Done(peer) => {
            if let Some(waker) = peer {
                waker.wake();
            }
            true
        }
        Attempt::NotReady => false,
    }
}

/// The arms worth looking at, in the order in which to do it: channels that may be ready and, in
/// pass 1, all ordinary futures.
fn candidates<'s>(
    arms: &[Arm<'_>],
    order: &'s mut [u16],
    policy: Policy,
    futures: bool,
) -> &'s [u16] {
    let mut count = 0;
    for (index, arm) in arms.iter().enumerate() {
        let worthwhile = match arm {
            Arm::Off => false,
            Arm::Future(_) => futures,
            Arm::Channel(channel) => channel.maybe_ready(),
        };
        if worthwhile {
            order[count] = index as u16;
            count += 1;
        }
    }
    let order = &mut order[..count];
    if RANDOM_ORDER && !policy.biased {
        shuffle(order);
    }
    order
}

/// All channels of a select, locked.
struct AllLocked<'s, 'a> {
    arms: &'s [Arm<'a>],
    /// The channel arms, by the address of their channels.
    by_address: &'s [u16],
    /// One lock a channel, beside its first arm in `by_address`.
    held: &'s mut [Option<Held<'a>>],
    /// Whether some channel is named more than once.
    twice: bool,
}

impl<'s, 'a> AllLocked<'s, 'a> {
    fn lock(
        arms: &'s [Arm<'a>],
        by_address: &'s mut [u16],
        held: &'s mut [Option<Held<'a>>],
    ) -> Self {
        let by_address = sort(arms, by_address);
        let (mut last, mut twice) = (0, false);
        for (place, &index) in by_address.iter().enumerate() {
            let gate = channel(&arms[usize::from(index)]).gate;
            if gate.address() != last {
                last = gate.address();
                held[place] = Some(gate.hold());
            } else {
                twice = true;
            }
        }
        Self {
            arms,
            by_address,
            held,
            twice,
        }
    }

    /// Completes an arm if one is ready.
    fn look(&mut self, order: &mut [u16], policy: Policy) -> Option<(u16, Option<Waker>)> {
        // What is known without the lock is exact while it is held.
        let candidates = candidates(self.arms, order, policy, false);
        for &index in candidates {
            let case = channel(&self.arms[usize::from(index)]).case;
            // SAFETY: all locks are held, and the claim is busy.
            let attempt = unsafe { case.attempt() };
            if let Attempt::Done(peer) = attempt {
                return Some((index, peer));
            }
        }
        None
    }

    /// Gets in line everywhere and lets peers claim.
    ///
    /// Arms of one channel stand in its queue one behind the other, and a peer takes the first: so
    /// that none of them is favoured, the order is random then.
    ///
    /// # Safety
    ///
    /// The claim outlives the operations in the arms.
    unsafe fn wait(self, claim: &Claim, order: &mut [u16], policy: Policy) {
        let order = &mut order[..self.by_address.len()];
        order.copy_from_slice(self.by_address);
        if self.twice && RANDOM_ORDER && !policy.biased {
            shuffle(order);
        }
        for &index in order.iter() {
            let case = channel(&self.arms[usize::from(index)]).case;
            // SAFETY: all locks are held, the claim is busy, and it lives long enough by the
            // caller's promise.
            unsafe { case.link(ptr::from_ref(claim), index) };
        }
        claim.wait();
    }
}

impl Drop for AllLocked<'_, '_> {
    fn drop(&mut self) {
        for held in &mut self.held[..self.by_address.len()] {
            *held = None;
        }
    }
}

/// The channel arms in the order of their channels' addresses, and those of one channel in their
/// own. By insertion, because most often there are two or three.
fn sort<'s>(arms: &[Arm<'_>], places: &'s mut [u16]) -> &'s [u16] {
    if arms.len() > FEW {
        return sort_many(arms, places);
    }
    let mut count = 0;
    for (index, arm) in arms.iter().enumerate() {
        let Arm::Channel(ChannelCase { gate, .. }) = arm else {
            continue;
        };
        let mut place = count;
        while place > 0 && address(&arms[usize::from(places[place - 1])]) > gate.address() {
            places[place] = places[place - 1];
            place -= 1;
        }
        places[place] = index as u16;
        count += 1;
    }
    &places[..count]
}

/// More arms than this are not inserted one by one, which takes the square of their number. A
/// guess.
const FEW: usize = 24;

#[cold]
#[inline(never)]
fn sort_many<'s>(arms: &[Arm<'_>], places: &'s mut [u16]) -> &'s [u16] {
    let mut count = 0;
    for (index, arm) in arms.iter().enumerate() {
        if let Arm::Channel(_) = arm {
            places[count] = index as u16;
            count += 1;
        }
    }
    let places = &mut places[..count];
    places.sort_unstable_by_key(|&index| (address(&arms[usize::from(index)]), index));
    places
}

fn address(arm: &Arm<'_>) -> usize {
    channel(arm).gate.address()
}

fn channel<'a>(arm: &Arm<'a>) -> ChannelCase<'a> {
    match arm {
        Arm::Channel(channel) => *channel,
        _ => unreachable!("only channel arms are locked"),
    }
}
