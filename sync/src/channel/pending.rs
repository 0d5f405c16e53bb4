//! ⚠ What a waiting send and a waiting receive have in common: looking again when polled early, and
//! withdrawing.
//!
//! Both halves rest on invariant 3 of [`waiter`](super::waiter): LINKED is left under the lock
//! only.

use std::pin::Pin;
use std::task::Context;

use runtime::leaks::trial;

use super::rehearsal;
use super::shared::{Channel, Locked};
use super::waiter::{List, Owner, Waiter, state};

/// Which of the two queues a waiter stands in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Queue {
    Receivers,
    Senders,
}

impl Queue {
    #[inline]
    fn of<'a, T>(self, core: &'a mut Locked<'_, T>) -> &'a mut List<T> {
        match self {
            Self::Receivers => &mut core.receivers,
            Self::Senders => &mut core.senders,
        }
    }

    /// Lets a waiter wait on behalf of `owner`.
    ///
    /// # Safety
    ///
    /// The waiter belongs to this channel and is not linked; its owner calls [`withdraw`] before it
    /// is freed. A claim in `owner` lives until then.
    #[inline]
    pub(super) unsafe fn push<T>(
        self,
        core: &mut Locked<'_, T>,
        waiter: Pin<&Waiter<T>>,
        owner: Owner,
    ) {
        // SAFETY: the lock is held, the rest is the caller's promise.
        unsafe { self.of(core).push(waiter, owner, 0) };
    }
}

/// A linked waiter is polled before its turn: makes sure that the task which polls now is the one
/// to be woken. False when the waiter has been completed meanwhile.
#[cold]
pub(super) fn keep_waiting<T>(channel: &Channel<T>, waiter: &Waiter<T>, cx: &Context<'_>) -> bool {
    let core = channel.lock();
    if waiter.state() != state::LINKED {
        return false;
    }
    // SAFETY: the lock is held and it is linked.
    if unsafe { waiter.would_wake(cx.waker()) } {
        return true;
    }
    drop(core);
    // Foreign code, so not under the lock.
    let fresh = Owner::Task(cx.waker().clone());
    let core = channel.lock();
    if waiter.state() != state::LINKED {
        drop(core);
        return false;
    }
    // SAFETY: as above.
    let old = unsafe { waiter.replace_owner(fresh) };
    drop(core);
    drop(old);
    true
}

/// Takes a waiter out of its queue, if it still is in there; afterwards it is the owner's alone.
pub(super) fn withdraw<T>(channel: &Channel<T>, waiter: &Waiter<T>, queue: Queue) {
    if waiter.state() != state::LINKED {
        return;
    }
    if trial::is_on() {
        // SAFETY: it is linked, and a trial has one thread.
        return unsafe { waiter.rehearse(rehearsal::on(channel)) };
    }
    let mut core = channel.lock();
    if waiter.state() != state::LINKED {
        return;
    }
    // SAFETY: the lock is held and it is linked, in the one queue that it is ever pushed to.
    let owner = unsafe { queue.of(&mut core).remove(waiter) };
    drop(core);
    drop(owner);
}
