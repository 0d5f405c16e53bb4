//! Channels and selects against a reference model, step by step on one thread: what each operation yields, who is served first, who
//! is woken and who is not, and where a value goes when the future that had it is dropped.
#![cfg(not(loom))]

mod support;

use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::*};
use std::task::{Context, Poll, Wake, Waker};

use support::{Random, with_seeds};
use sync::{Receiver, Select, SendError, Sender, TryRecvError, TrySendError, channel};

/// A value: its number, and a token that tells whether it is still alive.
#[derive(Clone, Debug)]
struct Value(u32, #[expect(dead_code, reason = "counted")] Arc<()>);

/// What came of an operation. Values by number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    Received(usize, Option<u32>),
    Sent(usize),
    Refused(usize, u32),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Arm {
    Recv(usize),
    Send(usize, u32),
}

/// The reference: plain code, no waiting.
#[derive(Debug, Default)]
struct Model {
    channels: Vec<ModelChannel>,
    ops: Vec<ModelOp>,
    ticket: u32,
}

#[derive(Debug, Default)]
struct ModelChannel {
    capacity: usize,
    closed: bool,
    returned: Vec<(u32, u32)>,
    buffer: VecDeque<u32>,
}

#[derive(Debug)]
struct ModelOp {
    arms: Vec<Arm>,
    /// Since when it waits, for first come, first served.
    since: u32,
    state: ModelState,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ModelState {
    Waiting,
    /// Completed by a peer; with the ticket of the value that it was handed.
    Done(Outcome, u32),
    Gone,
}

impl Model {
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
    fn peek(&self, arm: Arm) -> Option<Outcome> {
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
    fn commit(&mut self, arm: Arm) {
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

    fn close(&mut self, on: usize) -> bool {
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
    fn forget(&mut self, op: usize) {
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

struct CountingWaker(AtomicUsize);

impl Wake for CountingWaker {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, SeqCst);
    }
}

/// A real operation and the waker it was last polled with.
struct Real<'a> {
    future: Option<Pin<Box<dyn Future<Output = Outcome> + 'a>>>,
    woken: Arc<CountingWaker>,
}

impl Real<'_> {
    fn poll(&mut self) -> Poll<Outcome> {
        self.woken = Arc::new(CountingWaker(AtomicUsize::new(0)));
        let waker = Waker::from(self.woken.clone());
        self.future
            .as_mut()
            .unwrap()
            .as_mut()
            .poll(&mut Context::from_waker(&waker))
    }
}

type Channels = [(Sender<Value>, Receiver<Value>)];

fn received(on: usize, value: Option<Value>) -> Outcome {
    Outcome::Received(on, value.map(|value| value.0))
}

fn sent(on: usize, result: Result<(), SendError<Value>>) -> Outcome {
    match result {
        Ok(()) => Outcome::Sent(on),
        Err(SendError(value)) => Outcome::Refused(on, value.0),
    }
}

fn make<'a>(
    channels: &'a Channels,
    arms: &[Arm],
    biased: bool,
    alive: &Arc<()>,
) -> Pin<Box<dyn Future<Output = Outcome> + 'a>> {
    let alive = alive.clone();
    if let [arm] = *arms {
        return match arm {
            Arm::Recv(on) => Box::pin(async move { received(on, channels[on].1.recv().await) }),
            Arm::Send(on, n) => {
                Box::pin(async move { sent(on, channels[on].0.send(Value(n, alive)).await) })
            }
        };
    }
    let mut select = Select::new();
    for &arm in arms {
        match arm {
            Arm::Recv(on) => select.recv(&channels[on].1, move |value| received(on, value)),
            Arm::Send(on, n) => {
                select.send(&channels[on].0, Value(n, alive.clone()), move |result| {
                    sent(on, result)
                })
            }
        };
    }
    if biased {
        select = select.biased();
    }
    Box::pin(select.wait())
}

fn arms(random: &mut Random, channels: usize, number: &mut u32) -> Vec<Arm> {
    let count = if random.chance(60) {
        1
    } else {
        2 + random.below(4)
    };
    let mut arms: Vec<Arm> = Vec::new();
    for _ in 0..count {
        let on = random.below(channels);
        // Which of two sends to one channel goes first is random; the model has one.
        let send = random.chance(50)
            && !arms
                .iter()
                .any(|arm| matches!(arm, Arm::Send(ch, _) if *ch == on));
        *number += 1;
        arms.push(if send {
            Arm::Send(on, *number)
        } else {
            Arm::Recv(on)
        });
    }
    arms
}

/// One random program.
fn program(seed: u64) {
    let mut random = Random::new(seed);
    let alive = Arc::new(());
    let capacities: Vec<_> = (0..1 + random.below(3))
        .map(|_| [0, 0, 1, 2, 5][random.below(5)])
        .collect();
    let channels: Vec<_> = capacities
        .iter()
        .map(|&capacity| channel::<Value>(capacity))
        .collect();
    let mut model = Model::default();
    for &capacity in &capacities {
        model.channels.push(ModelChannel {
            capacity,
            ..Default::default()
        });
    }
    let mut reals: Vec<Real<'_>> = Vec::new();
    let mut number = 0;
    for step in 0..200 {
        let before: Vec<_> = model.ops.iter().map(|op| op.state).collect();
        let wakes: Vec<_> = reals.iter().map(|real| real.woken.0.load(SeqCst)).collect();
        // The one that acts in this step; the waker rules are about the others.
        let mut actor = usize::MAX;
        let waiting: Vec<_> = (0..reals.len())
            .filter(|&op| model.ops[op].state != ModelState::Gone)
            .collect();
        match random.below(100) {
            0..45 => {
                let arms = arms(&mut random, channels.len(), &mut number);
                let biased = random.chance(30);
                actor = reals.len();
                let mut real = Real {
                    future: Some(make(&channels, &arms, biased, &alive)),
                    woken: Arc::new(CountingWaker(AtomicUsize::new(0))),
                };
                let ready: Vec<_> = arms
                    .iter()
                    .filter_map(|&arm| Some((arm, model.peek(arm)?)))
                    .collect();
                let mut state = ModelState::Gone;
                match real.poll() {
                    Poll::Ready(outcome) => {
                        let candidates = if biased {
                            &ready[..ready.len().min(1)]
                        } else {
                            &ready[..]
                        };
                        let chosen = candidates.iter().find(|(_, expected)| *expected == outcome);
                        let Some((arm, _)) = chosen else {
                            panic!(
                                "step {step}: {arms:?} yields {outcome:?}, not one of {candidates:?}"
                            )
                        };
                        model.commit(*arm);
                        real.future = None;
                    }
                    Poll::Pending => {
                        assert!(
                            ready.is_empty(),
                            "step {step}: {arms:?} waits although {ready:?} is ready"
                        );
                        state = ModelState::Waiting;
                    }
                }
                reals.push(real);
                model.ops.push(ModelOp {
                    arms,
                    since: step,
                    state,
                });
            }
            45..65 if !waiting.is_empty() => {
                let op = waiting[random.below(waiting.len())];
                actor = op;
                match (reals[op].poll(), model.ops[op].state) {
                    (Poll::Pending, ModelState::Waiting) => {}
                    (Poll::Ready(outcome), ModelState::Done(expected, _)) => {
                        // Closed while it waited, but a value has been given back since: it takes that.
                        if let (
                            Outcome::Received(on, Some(_)),
                            Outcome::Received(expected_on, None),
                        ) = (outcome, expected)
                        {
                            assert_eq!(on, expected_on);
                            assert_eq!(model.peek(Arm::Recv(on)), Some(outcome), "step {step}");
                            model.commit(Arm::Recv(on));
                        } else if let Outcome::Received(on, None) = expected {
                            assert_eq!(model.peek(Arm::Recv(on)), Some(outcome), "step {step}");
                        } else {
                            assert_eq!(outcome, expected, "step {step}");
                        }
                        reals[op].future = None;
                        model.ops[op].state = ModelState::Gone;
                    }
                    (real, model) => {
                        panic!("step {step}: operation {op} is {real:?}, expected {model:?}")
                    }
                }
            }
            65..80 if !waiting.is_empty() => {
                let op = waiting[random.below(waiting.len())];
                actor = op;
                reals[op].future = None;
                model.forget(op);
            }
            80..88 => {
                let on = random.below(channels.len());
                let expected = model.peek(Arm::Recv(on));
                let outcome = match channels[on].1.try_recv() {
                    Ok(value) => Some(Outcome::Received(on, Some(value.0))),
                    Err(TryRecvError::Closed) => Some(Outcome::Received(on, None)),
                    Err(TryRecvError::Empty) => None,
                };
                assert_eq!(outcome, expected, "step {step}: try_recv");
                if expected.is_some() {
                    model.commit(Arm::Recv(on));
                }
            }
            88..98 => {
                let on = random.below(channels.len());
                number += 1;
                let expected = model.peek(Arm::Send(on, number));
                let outcome = match channels[on].0.try_send(Value(number, alive.clone())) {
                    Ok(()) => Some(Outcome::Sent(on)),
                    Err(TrySendError::Closed(value)) => Some(Outcome::Refused(on, value.0)),
                    Err(TrySendError::Full(_)) => None,
                };
                assert_eq!(outcome, expected, "step {step}: try_send");
                if expected.is_some() {
                    model.commit(Arm::Send(on, number));
                }
            }
            _ => {
                let on = random.below(channels.len());
                assert_eq!(
                    channels[on].0.close(),
                    model.close(on),
                    "step {step}: close"
                );
            }
        }
        for (on, (tx, rx)) in channels.iter().enumerate() {
            let expected = &model.channels[on];
            let len = expected.buffer.len() + expected.returned.len();
            assert_eq!(
                (tx.len(), rx.len(), tx.is_closed()),
                (len, len, expected.closed),
                "step {step}"
            );
        }
        for op in (0..before.len()).filter(|&op| op != actor) {
            let woken = reals[op].woken.0.load(SeqCst) - wakes[op];
            let completed =
                before[op] == ModelState::Waiting && model.ops[op].state != ModelState::Waiting;
            assert_eq!(
                woken,
                usize::from(completed),
                "step {step}: wakes of operation {op}"
            );
        }
    }
    drop(reals);
    drop(channels);
    assert_eq!(Arc::strong_count(&alive), 1, "a value leaked");
}

#[test]
fn every_step_is_as_in_the_reference_model() {
    with_seeds(if cfg!(miri) { 2 } else { 2_000 }, program);
}
