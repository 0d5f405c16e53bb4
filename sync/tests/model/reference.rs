//! The reference: what channels and selects do, as plain code that never waits.

use std::collections::VecDeque;

/// What came of an operation. Values by number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    Received(usize, Option<u32>),
    Sent(usize),
    Refused(usize, u32),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Arm {
    Recv(usize),
    Send(usize, u32),
}

/// The reference: plain code, no waiting.
#[derive(Debug, Default)]
pub(crate) struct Model {
    pub(crate) channels: Vec<ModelChannel>,
    pub(crate) ops: Vec<ModelOp>,
    ticket: u32,
}

#[derive(Debug, Default)]
pub(crate) struct ModelChannel {
    capacity: usize,
    closed: bool,
    returned: Vec<(u32, u32)>,
    buffer: VecDeque<u32>,
}

#[derive(Debug)]
pub(crate) struct ModelOp {
    pub(crate) arms: Vec<Arm>,
    /// Since when it waits, for first come, first served.
    pub(crate) since: u32,
    pub(crate) state: ModelState,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ModelState {
    Waiting,
    /// Completed by a peer; with the ticket of the value that it was handed.
    Done(Outcome, u32),
    Gone,
}

impl ModelChannel {
    /// Values that can be received at once, and whether it is closed.
    pub(crate) fn seen_from_outside(&self) -> (usize, bool) {
        (self.buffer.len() + self.returned.len(), self.closed)
    }
}

impl Model {
    pub(crate) fn new(capacities: &[usize]) -> Self {
        let channels = capacities.iter().map(|&capacity| ModelChannel {
            capacity,
            ..Default::default()
        });
        Self {
            channels: channels.collect(),
            ..Default::default()
        }
    }

    /// Those whose futures are there.
    pub(crate) fn living(&self) -> Vec<usize> {
        (0..self.ops.len())
            .filter(|&op| self.ops[op].state != ModelState::Gone)
            .collect()
    }

    /// The waiting operation that has been in line for longest with an arm of this kind.
    fn first_waiting(&self, wanted: impl Fn(&Arm) -> bool) -> Option<usize> {
        (0..self.ops.len())
            .filter(|&op| {
                self.ops[op].state == ModelState::Waiting && self.ops[op].arms.iter().any(&wanted)
            })
            .min_by_key(|&op| self.ops[op].since)
    }

    fn first_receiver(&self, on: usize) -> Option<usize> {
        self.first_waiting(|arm| *arm == Arm::Recv(on))
    }

    fn first_sender(&self, on: usize) -> Option<(usize, u32)> {
        let op = self.first_waiting(|arm| matches!(arm, Arm::Send(ch, _) if *ch == on))?;
        let value = self.ops[op].arms.iter().find_map(|arm| match arm {
            Arm::Send(ch, value) if *ch == on => Some(*value),
            _ => None,
        });
        Some((op, value.unwrap()))
    }

    fn next_ticket(&mut self) -> u32 {
        self.ticket += 1;
        self.ticket
    }

    /// What an arm would do now; `None` if it would wait.
    pub(crate) fn peek(&self, arm: Arm) -> Option<Outcome> {
        match arm {
            Arm::Recv(on) => {
                let channel = &self.channels[on];
                if let Some((_, value)) = channel.returned.first() {
                    return Some(Outcome::Received(on, Some(*value)));
                }
                if let Some(value) = channel.buffer.front() {
                    return Some(Outcome::Received(on, Some(*value)));
                }
                if let Some((_, value)) = self.first_sender(on) {
                    return Some(Outcome::Received(on, Some(value)));
                }
                channel.closed.then_some(Outcome::Received(on, None))
            }
            Arm::Send(on, value) => {
                let channel = &self.channels[on];
                if channel.closed {
                    return Some(Outcome::Refused(on, value));
                }
                let goes =
                    self.first_receiver(on).is_some() || channel.buffer.len() < channel.capacity;
                goes.then_some(Outcome::Sent(on))
            }
        }
    }

    /// Does it; the arm has been found ready.
    pub(crate) fn commit(&mut self, arm: Arm) {
        match arm {
            Arm::Recv(on) => {
                if !self.channels[on].returned.is_empty() {
                    self.channels[on].returned.remove(0);
                } else if self.channels[on].buffer.pop_front().is_some() {
                    if let Some((op, value)) = self.first_sender(on) {
                        self.channels[on].buffer.push_back(value);
                        self.ops[op].state = ModelState::Done(Outcome::Sent(on), 0);
                    }
                } else if let Some((op, _)) = self.first_sender(on) {
                    self.ops[op].state = ModelState::Done(Outcome::Sent(on), 0);
                }
            }
            Arm::Send(on, value) => {
                if self.channels[on].closed {
                } else if let Some(op) = self.first_receiver(on) {
                    let ticket = self.next_ticket();
                    self.ops[op].state =
                        ModelState::Done(Outcome::Received(on, Some(value)), ticket);
                } else {
                    self.channels[on].buffer.push_back(value);
                }
            }
        }
    }

    pub(crate) fn close(&mut self, on: usize) -> bool {
        if std::mem::replace(&mut self.channels[on].closed, true) {
            return false;
        }
        while let Some(op) = self.first_receiver(on) {
            self.ops[op].state = ModelState::Done(Outcome::Received(on, None), 0);
        }
        while let Some((op, value)) = self.first_sender(on) {
            self.ops[op].state = ModelState::Done(Outcome::Refused(on, value), 0);
        }
        true
    }

    /// A future is dropped; a value that it had been handed goes back.
    pub(crate) fn forget(&mut self, op: usize) {
        let state = std::mem::replace(&mut self.ops[op].state, ModelState::Gone);
        let ModelState::Done(Outcome::Received(on, Some(value)), ticket) = state else {
            return;
        };
        if let Some(next) = self.first_receiver(on) {
            self.ops[next].state = ModelState::Done(Outcome::Received(on, Some(value)), ticket);
        } else {
            self.channels[on].returned.push((ticket, value));
            self.channels[on].returned.sort_unstable();
        }
    }
}
