//! The members that wait for something, with the wakers by which they are told to give up: a list whose free places are used again.
//!
//! A member that ends in its first poll is never in here, and neither is one that has not had it: they look at the group's word before they
//! begin, so that nobody has to tell them.
#![forbid(unsafe_code)]

use std::mem;
use std::num::NonZeroUsize;
use std::task::Waker;

/// Where a member is in the list.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place(NonZeroUsize);

impl Place {
    /// The number is one more, so that an `Option` of it is as small as a place.
    fn new(index: usize) -> Self {
        Self(NonZeroUsize::MIN.saturating_add(index))
    }

    fn index(self) -> usize {
        self.0.get() - 1
    }
}

#[derive(Debug, Default)]
pub(super) struct Members {
    places: Vec<State>,
    free: Vec<usize>,
}

#[derive(Debug)]
enum State {
    Free,
    Waiting(Waker),
    /// Told to give up; it has not ended yet.
    Told,
}

impl Members {
    pub(super) fn enter(&mut self, waker: Waker) -> Place {
        let place = self.free.pop().unwrap_or_else(|| {
            self.places.push(State::Free);
            self.places.len() - 1
        });
        self.places[place] = State::Waiting(waker);
        Place::new(place)
    }

    /// The member has ended; its waker is to be dropped after the lock.
    pub(super) fn ended(&mut self, place: Place) -> Option<Waker> {
        self.free.push(place.index());
        match mem::replace(&mut self.places[place.index()], State::Free) {
            State::Waiting(waker) => Some(waker),
            State::Free | State::Told => None,
        }
    }

    /// All of them, to be woken after the lock.
    pub(super) fn tell_all(&mut self) -> Vec<Waker> {
        let tell = |state: &mut State| match mem::replace(state, State::Told) {
            State::Waiting(waker) => Some(waker),
            other => {
                *state = other;
                None
            }
        };
        self.places.iter_mut().filter_map(tell).collect()
    }
}
