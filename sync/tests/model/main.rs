//! Channels and selects against a reference model, step by step on one thread: what each operation
//! yields, who is served first, who is woken and who is not, and where a value goes when the future
//! that had it is dropped.
#![cfg(not(loom))]

#[path = "../support/mod.rs"]
mod support;

mod reference;

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::*};
use std::task::{Context, Poll, Wake, Waker};

use reference::{Arm, Model, ModelOp, ModelState, Outcome};
use support::{Random, with_seeds};
use sync::{Receiver, Select, SendError, Sender, TryRecvError, TrySendError, channel};

#[test]
fn every_step_is_as_in_the_reference_model() {
    with_seeds(if cfg!(miri) { 2 } else { 2_000 }, program);
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
    let mut run = Run {
        random,
        channels: &channels,
        alive: alive.clone(),
        reals: Vec::new(),
        model: Model::new(&capacities),
        number: 0,
        step: 0,
    };
    for step in 0..200 {
        run.step = step;
        run.step();
    }
    drop(run);
    drop(channels);
    assert_eq!(Arc::strong_count(&alive), 1, "a value leaked");
}

/// A program under way: the real operations, and beside them the model's, under the same numbers.
struct Run<'a> {
    random: Random,
    channels: &'a Channels,
    /// Of which each value has a clone.
    alive: Arc<()>,
    reals: Vec<Real<'a>>,
    model: Model,
    /// Of the last value that was made.
    number: u32,
    step: u32,
}

impl Run<'_> {
    /// Does something, on both sides, and compares what can be seen.
    fn step(&mut self) {
        let before: Vec<_> = self.model.ops.iter().map(|op| op.state).collect();
        let wakes: Vec<_> = self.reals.iter().map(Real::wakes).collect();
        let actor = self.act();
        self.compare_channels();
        for op in (0..before.len()).filter(|&op| Some(op) != actor) {
            let woken = self.reals[op].wakes() - wakes[op];
            let waits = self.model.ops[op].state == ModelState::Waiting;
            let completed = before[op] == ModelState::Waiting && !waits;
            let step = self.step;
            assert_eq!(
                woken,
                usize::from(completed),
                "step {step}: wakes of operation {op}"
            );
        }
    }

    /// Returns the operation whose own doing it was; the rules for wakers are about the others.
    fn act(&mut self) -> Option<usize> {
        let living = self.model.living();
        match self.random.below(100) {
            0..45 => return Some(self.start()),
            dice @ 45..80 if !living.is_empty() => {
                let op = living[self.random.below(living.len())];
                if dice < 65 {
                    self.poll_again(op);
                } else {
                    self.reals[op].future = None;
                    self.model.forget(op);
                }
                return Some(op);
            }
            80..88 => self.try_recv(),
            88..98 => self.try_send(),
            _ => self.close(),
        }
        None
    }

    /// A new operation, plain or a select, is polled for the first time.
    fn start(&mut self) -> usize {
        let arms = arms(&mut self.random, self.channels.len(), &mut self.number);
        let biased = self.random.chance(30);
        let mut real = Real {
            future: Some(make(self.channels, &arms, biased, &self.alive)),
            woken: Arc::new(CountingWaker(AtomicUsize::new(0))),
        };
        let mut ready: Vec<_> = arms
            .iter()
            .filter_map(|&arm| Some((arm, self.model.peek(arm)?)))
            .collect();
        if biased {
            ready.truncate(1);
        }
        let step = self.step;
        let state = match real.poll() {
            Poll::Ready(outcome) => {
                let chosen = ready.iter().find(|(_, expected)| *expected == outcome);
                let Some(&(arm, _)) = chosen else {
                    panic!("step {step}: {arms:?} yields {outcome:?}, not one of {ready:?}")
                };
                self.model.commit(arm);
                real.future = None;
                ModelState::Gone
            }
            Poll::Pending => {
                assert!(
                    ready.is_empty(),
                    "step {step}: {arms:?} waits although {ready:?} is ready"
                );
                ModelState::Waiting
            }
        };
        self.reals.push(real);
        self.model.ops.push(ModelOp {
            arms,
            since: step,
            state,
        });
        self.reals.len() - 1
    }

    /// One that waits, or has been completed, is polled, whether woken or not.
    fn poll_again(&mut self, op: usize) {
        let step = self.step;
        match (self.reals[op].poll(), self.model.ops[op].state) {
            (Poll::Pending, ModelState::Waiting) => {}
            (Poll::Ready(outcome), ModelState::Done(expected, _)) => {
                if let Outcome::Received(on, None) = expected {
                    // Closed while it waited. If a value has been given back since, it takes that.
                    assert_eq!(self.model.peek(Arm::Recv(on)), Some(outcome), "step {step}");
                    self.model.commit(Arm::Recv(on));
                } else {
                    assert_eq!(outcome, expected, "step {step}");
                }
                self.reals[op].future = None;
                self.model.ops[op].state = ModelState::Gone;
            }
            (real, model) => {
                panic!("step {step}: operation {op} is {real:?}, expected {model:?}")
            }
        }
    }

    fn try_recv(&mut self) {
        let on = self.random.below(self.channels.len());
        let outcome = match self.channels[on].1.try_recv() {
            Ok(value) => Some(Outcome::Received(on, Some(value.0))),
            Err(TryRecvError::Closed) => Some(Outcome::Received(on, None)),
            Err(TryRecvError::Empty) => None,
        };
        self.tried(Arm::Recv(on), outcome);
    }

    fn try_send(&mut self) {
        let on = self.random.below(self.channels.len());
        self.number += 1;
        let value = Value(self.number, self.alive.clone());
        let outcome = match self.channels[on].0.try_send(value) {
            Ok(()) => Some(Outcome::Sent(on)),
            Err(TrySendError::Closed(value)) => Some(Outcome::Refused(on, value.0)),
            Err(TrySendError::Full(_)) => None,
        };
        self.tried(Arm::Send(on, self.number), outcome);
    }

    /// This came of an operation that does not wait.
    fn tried(&mut self, arm: Arm, outcome: Option<Outcome>) {
        let (step, expected) = (self.step, self.model.peek(arm));
        assert_eq!(outcome, expected, "step {step}: {arm:?} at once");
        if expected.is_some() {
            self.model.commit(arm);
        }
    }

    fn close(&mut self) {
        let (on, step) = (self.random.below(self.channels.len()), self.step);
        let expected = self.model.close(on);
        assert_eq!(self.channels[on].0.close(), expected, "step {step}: close");
    }

    fn compare_channels(&self) {
        let step = self.step;
        for ((tx, rx), expected) in self.channels.iter().zip(&self.model.channels) {
            let (len, closed) = expected.seen_from_outside();
            assert_eq!(
                (tx.len(), rx.len(), tx.is_closed()),
                (len, len, closed),
                "step {step}"
            );
        }
    }
}

/// A value: its number, and a token that tells whether it is still alive.
#[derive(Clone, Debug)]
struct Value(u32, #[expect(dead_code, reason = "counted")] Arc<()>);

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
    /// How often its last waker was called.
    fn wakes(&self) -> usize {
        self.woken.0.load(SeqCst)
    }

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
