//! The members that run, with the handles by which they can be aborted: a list whose free places are used again.
//!
//! A member may end before the one who spawned it has come to leave the handle here; its place is free only when both have been.
#![forbid(unsafe_code)]

use std::mem;

use runtime::task::AbortHandle;

/// Where a member is in the list.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place(usize);

#[derive(Debug, Default)]
pub(super) struct Members {
    places: Vec<State>,
    free: Vec<usize>,
}

#[derive(Debug)]
enum State {
    Free,
    /// It is being spawned.
    Starting,
    Running(AbortHandle),
    /// Aborted; it has not ended yet.
    Aborted,
    /// It ended while it was being spawned.
    Ended,
}

impl Members {
    pub(super) fn enter(&mut self) -> Place {
        let place = self.free.pop().unwrap_or_else(|| {
            self.places.push(State::Free);
            self.places.len() - 1
        });
        self.places[place] = State::Starting;
        Place(place)
    }

    /// The member has been spawned. Gives the handle back if it has ended, to be dropped after the lock.
    pub(super) fn started(&mut self, place: Place, handle: AbortHandle) -> Option<AbortHandle> {
        let state = &mut self.places[place.0];
        if let State::Ended = state {
            self.vacate(place);
            return Some(handle);
        }
        *state = State::Running(handle);
        None
    }

    /// The member has ended; its handle is to be dropped after the lock.
    pub(super) fn ended(&mut self, place: Place) -> Option<AbortHandle> {
        match mem::replace(&mut self.places[place.0], State::Ended) {
            // Whoever spawns it will vacate the place.
            State::Starting => None,
            State::Running(handle) => {
                self.vacate(place);
                Some(handle)
            }
            _ => {
                self.vacate(place);
                None
            }
        }
    }

    fn vacate(&mut self, place: Place) {
        self.places[place.0] = State::Free;
        self.free.push(place.0);
    }

    /// All that run, to be aborted after the lock. Those that are being spawned are not among them.
    pub(super) fn take_all(&mut self) -> Vec<AbortHandle> {
        let take = |state: &mut State| match mem::replace(state, State::Aborted) {
            State::Running(handle) => Some(handle),
            other => {
                *state = other;
                None
            }
        };
        self.places.iter_mut().filter_map(take).collect()
    }
}
