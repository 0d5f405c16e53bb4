//! A bound on how many of something go on at once, first come, first served.
//!
//! A permit that is given back goes straight to the one who has waited longest, so that nobody
//! barges in. A waiter that is dropped after it was chosen passes its permit on.
#![forbid(unsafe_code)]

use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

/// Counts permits.
#[derive(Debug)]
pub(crate) struct Limit {
    state: Mutex<State>,
}

/// Under the lock.
#[derive(Debug)]
struct State {
    free: usize,
    /// The ticket of the next waiter.
    next: u64,
    /// In the order in which they came. Somebody waits only while `free` is zero.
    waiting: VecDeque<(u64, Waker)>,
    /// Waiters that hold a permit and do not know yet.
    chosen: Vec<u64>,
}

/// The right to be one of them; given back when dropped.
#[derive(Debug)]
pub(crate) struct Permit(&'static Limit);

impl Limit {
    pub(crate) const fn new(most: usize) -> Self {
        Self {
            state: Mutex::new(State {
                free: most,
                next: 0,
                waiting: VecDeque::new(),
                chosen: Vec::new(),
            }),
        }
    }

    pub(crate) fn acquire(&'static self) -> Acquire {
        Acquire {
            limit: self,
            ticket: None,
        }
    }

    fn release(&self) {
        let mut state = self.lock();
        let waker = match state.waiting.pop_front() {
            Some((ticket, waker)) => {
                state.chosen.push(ticket);
                Some(waker)
            }
            None => {
                state.free += 1;
                None
            }
        };
        drop(state);
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.0.release();
    }
}

/// Future of [`Limit::acquire`].
#[derive(Debug)]
pub(crate) struct Acquire {
    limit: &'static Limit,
    /// While it waits or has been chosen.
    ticket: Option<u64>,
}

impl Future for Acquire {
    type Output = Permit;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Permit> {
        let waker = cx.waker().clone();
        let limit = self.limit;
        let mut state = limit.lock();
        let Some(ticket) = self.ticket else {
            if state.free > 0 {
                state.free -= 1;
                drop(state);
                return Poll::Ready(Permit(limit));
            }
            let ticket = state.next;
            state.next += 1;
            state.waiting.push_back((ticket, waker));
            self.ticket = Some(ticket);
            return Poll::Pending;
        };
        if let Some(at) = state.chosen.iter().position(|&chosen| chosen == ticket) {
            state.chosen.swap_remove(at);
            drop(state);
            self.ticket = None;
            return Poll::Ready(Permit(limit));
        }
        let mine = state
            .waiting
            .iter_mut()
            .find(|(waiting, _)| *waiting == ticket);
        let old = mine.map(|(_, old)| std::mem::replace(old, waker));
        drop(state);
        drop(old);
        Poll::Pending
    }
}

impl Drop for Acquire {
    fn drop(&mut self) {
        let Some(ticket) = self.ticket else { return };
        let mut state = self.limit.lock();
        if let Some(at) = state.chosen.iter().position(|&chosen| chosen == ticket) {
            state.chosen.swap_remove(at);
            drop(state);
            return self.limit.release();
        }
        let at = state
            .waiting
            .iter()
            .position(|&(waiting, _)| waiting == ticket);
        let mine = at.and_then(|at| state.waiting.remove(at));
        drop(state);
        drop(mine);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn poll(future: &mut Acquire) -> Option<Permit> {
        let mut cx = Context::from_waker(Waker::noop());
        match Pin::new(future).poll(&mut cx) {
            Poll::Ready(permit) => Some(permit),
            Poll::Pending => None,
        }
    }

    #[test]
    fn permits_go_to_waiters_in_their_order() {
        static LIMIT: Limit = Limit::new(1);
        let held = poll(&mut LIMIT.acquire()).unwrap();
        let (mut first, mut second) = (LIMIT.acquire(), LIMIT.acquire());
        assert!(poll(&mut first).is_none() && poll(&mut second).is_none());
        drop(held);
        assert!(poll(&mut LIMIT.acquire()).is_none(), "nobody barges in");
        assert!(poll(&mut second).is_none());
        let held = poll(&mut first).unwrap();
        drop(held);
        assert!(poll(&mut second).is_some());
    }

    #[test]
    fn a_chosen_waiter_that_is_dropped_passes_its_permit_on() {
        static LIMIT: Limit = Limit::new(1);
        let held = poll(&mut LIMIT.acquire()).unwrap();
        let (mut first, mut second) = (LIMIT.acquire(), LIMIT.acquire());
        assert!(poll(&mut first).is_none() && poll(&mut second).is_none());
        drop(held);
        drop(first);
        assert!(poll(&mut second).is_some());
        assert_eq!(LIMIT.lock().free, 1);
    }

    #[test]
    fn a_waiter_that_is_dropped_leaves_the_queue() {
        static LIMIT: Limit = Limit::new(1);
        let held = poll(&mut LIMIT.acquire()).unwrap();
        let mut gone = LIMIT.acquire();
        assert!(poll(&mut gone).is_none());
        drop(gone);
        assert!(LIMIT.lock().waiting.is_empty());
        drop(held);
        assert_eq!(LIMIT.lock().free, 1);
    }
}
