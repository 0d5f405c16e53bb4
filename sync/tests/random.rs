//! Random programs of tasks, channels, selects, timeouts, cancellations and closes, on several
//! numbers of workers.
//!
//! Each task notes what it sent and what it received. At the end nothing may be lost, nothing
//! doubled, nothing received that was not sent, and the values of one sender must have come to each
//! receiver in order. While a program runs, a supervisor looks for lost wake-ups: nobody gets
//! anywhere although some two could meet. Where all of them wait rightly, it closes a channel so
//! that they go on.
#![cfg(not(loom))]

mod support;

use std::collections::{HashMap, HashSet};
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::atomic::{AtomicUsize, Ordering::*};
use std::sync::{Arc, Mutex};
use std::task::Poll;
use std::time::{Duration, Instant};

use runtime::time::{sleep, timeout};
use runtime::{spawn, yield_now};
use support::{Random, on, with_seeds};
use sync::{Receiver, Select, Sender, channel, select};

/// Who sent it, and the how many-th of that task it is.
type Value = (usize, u32);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Arm {
    Recv(usize),
    Send(usize),
}

#[derive(Debug, Default)]
struct Log {
    sent: Vec<(usize, Value)>,
    /// Cancelled with the value inside: sent or not.
    perhaps: Vec<(usize, Value)>,
    received: Vec<(usize, Value)>,
}

/// What all tasks of a program share.
struct Shared {
    channels: Vec<(Sender<Value>, Receiver<Value>)>,
    /// What each task waits for at present.
    waiting: Vec<Mutex<Vec<Arm>>>,
    progress: AtomicUsize,
    finished: AtomicUsize,
    /// Whether some receive may be dropped with a value in it; values may then come late.
    cancels: bool,
}

struct Task {
    me: usize,
    next: u32,
    random: Random,
    shared: Arc<Shared>,
    log: Log,
}

impl Task {
    fn value(&mut self) -> Value {
        self.next += 1;
        (self.me, self.next)
    }

    fn tx(&self, on: usize) -> Sender<Value> {
        self.shared.channels[on].0.clone()
    }

    fn rx(&self, on: usize) -> Receiver<Value> {
        self.shared.channels[on].1.clone()
    }

    fn channel(&mut self) -> usize {
        self.random.below(self.shared.channels.len())
    }

    fn arm(&mut self) -> Arm {
        let on = self.channel();
        if self.random.chance(50) {
            Arm::Recv(on)
        } else {
            Arm::Send(on)
        }
    }

    /// Waits for one of these, on the record.
    async fn wait<F: Future>(&self, arms: &[Arm], future: F) -> F::Output {
        *self.shared.waiting[self.me].lock().unwrap() = arms.to_vec();
        let output = future.await;
        self.shared.waiting[self.me].lock().unwrap().clear();
        output
    }

    fn sent(&mut self, on: usize, value: Value, ok: bool) {
        if ok {
            self.log.sent.push((on, value));
        }
    }

    fn received(&mut self, on: usize, value: Option<Value>) {
        if let Some(value) = value {
            self.log.received.push((on, value));
        }
    }

    async fn run(mut self, operations: usize) -> Log {
        for _ in 0..operations {
            let cancels = self.shared.cancels;
            match self.random.below(100) {
                0..20 => self.plain_recv().await,
                20..40 => self.plain_send().await,
                40..70 => self.macro_select().await,
                70..80 => self.list_select().await,
                80..84 => self.try_both(),
                84..87 => yield_now().await,
                87..90 if cancels => self.cancelled_recv().await,
                90..93 if cancels => self.cancelled_select().await,
                93..96 => self.cancelled_send().await,
                96..98 => self.timed_send().await,
                98 if self.random.chance(15) => {
                    let on = self.channel();
                    self.shared.channels[on].0.close();
                }
                _ => self.plain_recv().await,
            }
            self.shared.progress.fetch_add(1, Relaxed);
        }
        self.shared.finished.fetch_add(1, Relaxed);
        self.log
    }

    async fn plain_recv(&mut self) {
        let on = self.channel();
        let rx = self.rx(on);
        let value = self.wait(&[Arm::Recv(on)], rx.recv()).await;
        self.received(on, value);
    }

    async fn plain_send(&mut self) {
        let (on, value) = (self.channel(), self.value());
        let tx = self.tx(on);
        let ok = self.wait(&[Arm::Send(on)], tx.send(value)).await.is_ok();
        self.sent(on, value, ok);
    }

    async fn macro_select(&mut self) {
        let (a, b, c) = (self.arm(), self.arm(), self.arm());
        let three = self.random.chance(50);
        let other = self.random.chance(20);
        let default = self.random.chance(15);
        let values = [self.value(), self.value(), self.value()];
        let on = |arm| match arm {
            Arm::Recv(on) | Arm::Send(on) => on,
        };
        let is_send = |arm| matches!(arm, Arm::Send(_));
        let tx = [a, b, c].map(|arm| self.tx(on(arm)));
        let rx = [a, b, c].map(|arm| self.rx(on(arm)));
        let arms = if three { vec![a, b, c] } else { vec![a, b] };
        let (sa, sb, sc) = (is_send(a), is_send(b), is_send(c));
        let outcome = if default {
            select! {
                sent = tx[0].send(values[0]), if sa => Some((a, Some(values[0]), sent.is_ok())),
                sent = tx[1].send(values[1]), if sb => Some((b, Some(values[1]), sent.is_ok())),
                value = rx[0].recv(), if !sa => Some((a, value, true)),
                value = rx[1].recv(), if !sb => Some((b, value, true)),
                default => None,
            }
        } else {
            let selecting = async {
                select! {
                    sent = tx[0].send(values[0]), if sa => Some((a, Some(values[0]), sent.is_ok())),
                    sent = tx[1].send(values[1]), if sb => Some((b, Some(values[1]), sent.is_ok())),
                    sent = tx[2].send(values[2]), if three && sc => Some((c, Some(values[2]), sent.is_ok())),
                    value = rx[0].recv(), if !sa => Some((a, value, true)),
                    value = rx[1].recv(), if !sb => Some((b, value, true)),
                    value = rx[2].recv(), if three && !sc => Some((c, value, true)),
                    _ = yields(3), if other => None,
                }
            };
            self.wait(&arms, selecting).await
        };
        match outcome {
            Some((Arm::Recv(on), value, _)) => self.received(on, value),
            Some((Arm::Send(on), value, ok)) => self.sent(on, value.unwrap(), ok),
            None => {}
        }
    }

    async fn list_select(&mut self) {
        let arms: Vec<_> = (0..1 + self.random.below(6)).map(|_| self.arm()).collect();
        let values: Vec<_> = arms.iter().map(|_| self.value()).collect();
        let shared = self.shared.clone();
        let mut select = Select::new();
        for (&arm, &value) in arms.iter().zip(&values) {
            match arm {
                Arm::Recv(on) => {
                    select.recv(&shared.channels[on].1, move |value| (arm, value, true))
                }
                Arm::Send(on) => select.send(&shared.channels[on].0, value, move |sent| {
                    (arm, Some(value), sent.is_ok())
                }),
            };
        }
        if self.random.chance(30) {
            select = select.biased();
        }
        match self.wait(&arms, select.wait()).await {
            (Arm::Recv(on), value, _) => self.received(on, value),
            (Arm::Send(on), value, ok) => self.sent(on, value.unwrap(), ok),
        }
    }

    fn try_both(&mut self) {
        let (on, value) = (self.channel(), self.value());
        let ok = self.shared.channels[on].0.try_send(value).is_ok();
        self.sent(on, value, ok);
        let on = self.channel();
        let value = self.shared.channels[on].1.try_recv().ok();
        self.received(on, value);
    }

    async fn cancelled_recv(&mut self) {
        let on = self.channel();
        let (rx, polls) = (self.rx(on), self.random.below(5));
        if let Some(value) = give_up(rx.recv(), polls).await {
            self.received(on, value);
        }
    }

    async fn cancelled_send(&mut self) {
        let (on, value) = (self.channel(), self.value());
        let (tx, polls) = (self.tx(on), self.random.below(5));
        if self.random.chance(50) {
            let mut home = Some(value);
            let outcome = give_up(tx.send_from(&mut home), polls).await;
            let ok = match outcome {
                Some(result) => result.is_ok(),
                None => home.is_none(),
            };
            self.sent(on, value, ok);
        } else {
            match give_up(tx.send(value), polls).await {
                Some(result) => self.sent(on, value, result.is_ok()),
                None => self.log.perhaps.push((on, value)),
            }
        }
    }

    async fn timed_send(&mut self) {
        let (on, value) = (self.channel(), self.value());
        let tx = self.tx(on);
        let limit = Duration::from_micros(self.random.next() % 200);
        let mut home = Some(value);
        let ok = match timeout(limit, tx.send_from(&mut home)).await {
            Ok(result) => result.is_ok(),
            Err(_) => home.is_none(),
        };
        self.sent(on, value, ok);
    }

    async fn cancelled_select(&mut self) {
        let (a, b) = (self.channel(), self.channel());
        let value = self.value();
        let (rx, tx, polls) = (self.rx(a), self.tx(b), self.random.below(5));
        let mut home = Some(value);
        let selecting = async {
            select! {
                value = rx.recv() => Ok(value),
                sent = tx.send_from(&mut home) => Err(sent.is_ok()),
            }
        };
        let outcome = give_up(selecting, polls).await;
        match outcome {
            Some(Ok(value)) => self.received(a, value),
            Some(Err(ok)) => self.sent(b, value, ok),
            None => self.sent(b, value, home.is_none()),
        }
    }
}

async fn yields(n: usize) {
    for _ in 0..n {
        yield_now().await;
    }
}

/// Polls a few times, with others in between, and then drops the future.
async fn give_up<F: Future>(future: F, polls: usize) -> Option<F::Output> {
    let mut future = pin!(future);
    for n in 0..=polls {
        let poll = poll_fn(|cx| Poll::Ready(future.as_mut().poll(cx))).await;
        if let Poll::Ready(output) = poll {
            return Some(output);
        }
        if n < polls {
            yield_now().await;
        }
    }
    None
}

/// Watches over one program; returns when all its tasks have finished.
async fn supervise(shared: &Shared) {
    let mut open: Vec<_> = (0..shared.channels.len()).collect();
    let (mut last, mut since) = (usize::MAX, Instant::now());
    let mut rounds = 0;
    while shared.finished.load(Relaxed) < shared.waiting.len() {
        sleep(Duration::from_micros(300)).await;
        let progress = shared.progress.load(Relaxed);
        if progress != last {
            (last, since, rounds) = (progress, Instant::now(), 0);
            continue;
        }
        rounds += 1;
        if rounds < 3 {
            continue;
        }
        match lost_wakeup(shared) {
            // Perhaps somebody is just about to run; so much later nobody is.
            Some(what) => assert!(
                since.elapsed() < Duration::from_secs(200),
                "lost wake-up: {what}"
            ),
            None => {
                if let Some(on) = open.pop() {
                    shared.channels[on].0.close();
                    rounds = 0;
                }
            }
        }
    }
}

/// Two that wait and could meet.
fn lost_wakeup(shared: &Shared) -> Option<String> {
    let waiting: Vec<_> = shared
        .waiting
        .iter()
        .map(|arms| arms.lock().unwrap().clone())
        .collect();
    for (on, (tx, _)) in shared.channels.iter().enumerate() {
        let who = |wanted: Arm| -> Vec<usize> {
            (0..waiting.len())
                .filter(|&task| waiting[task].contains(&wanted))
                .collect()
        };
        let (receivers, senders) = (who(Arm::Recv(on)), who(Arm::Send(on)));
        let meet = receivers.iter().any(|r| senders.iter().any(|s| r != s));
        let problem = if tx.is_closed() {
            !receivers.is_empty() || !senders.is_empty()
        } else {
            meet || (!receivers.is_empty() && !tx.is_empty())
                || (!senders.is_empty() && !tx.is_full())
        };
        if problem {
            return Some(format!(
                "receivers {receivers:?}, senders {senders:?} on channel {on}: {tx:?}"
            ));
        }
    }
    None
}

/// One random program; returns how many operations it did.
async fn program(seed: u64) -> usize {
    let mut random = Random::new(seed);
    let channels: Vec<_> = (0..1 + random.below(4))
        .map(|_| channel([0, 0, 1, 3][random.below(4)]))
        .collect();
    let tasks = 2 + random.below(8);
    let operations = 20 + random.below(150);
    let shared = Arc::new(Shared {
        channels,
        waiting: (0..tasks).map(|_| Mutex::default()).collect(),
        progress: AtomicUsize::new(0),
        finished: AtomicUsize::new(0),
        cancels: random.chance(50),
    });
    let handles: Vec<_> = (0..tasks)
        .map(|me| {
            let random = Random::new(random.next());
            let task = Task {
                me,
                next: 0,
                random,
                shared: shared.clone(),
                log: Log::default(),
            };
            spawn(task.run(operations))
        })
        .collect();
    supervise(&shared).await;
    let mut logs = Vec::new();
    for handle in handles {
        logs.push(handle.await.unwrap());
    }
    check(&shared, &logs);
    shared.progress.load(Relaxed)
}

fn check(shared: &Shared, logs: &[Log]) {
    let sent: HashSet<_> = logs.iter().flat_map(|log| &log.sent).copied().collect();
    let perhaps: HashSet<_> = logs.iter().flat_map(|log| &log.perhaps).copied().collect();
    let mut received = HashSet::new();
    for log in logs {
        let mut latest = HashMap::new();
        for &(on, value) in &log.received {
            assert!(
                received.insert((on, value)),
                "{value:?} was received twice on channel {on}"
            );
            let (sender, n) = value;
            let before = latest.insert((on, sender), n).unwrap_or(0);
            assert!(
                before < n || shared.cancels,
                "{sender} sent {n} on channel {on} before {before}"
            );
        }
    }
    for (on, (_, rx)) in shared.channels.iter().enumerate() {
        while let Ok(value) = rx.try_recv() {
            assert!(
                received.insert((on, value)),
                "{value:?} was in channel {on} twice"
            );
        }
    }
    for value in &sent {
        assert!(received.contains(value), "{value:?} was lost");
    }
    for value in &received {
        assert!(
            sent.contains(value) || perhaps.contains(value),
            "{value:?} was not sent"
        );
    }
}

fn random_programs(workers: usize) {
    // A runtime for some programs each, so that the seed of the first one reproduces them.
    const PROGRAMS: u64 = 50;
    with_seeds(12, |seed| {
        let operations = on(workers, async move {
            let mut operations = 0;
            for n in 0..PROGRAMS {
                operations += program(seed.wrapping_mul(PROGRAMS).wrapping_add(n)).await;
            }
            operations
        });
        assert!(operations > 0);
    });
}

#[test]
fn random_programs_with_one_worker() {
    random_programs(1);
}

#[test]
fn random_programs_with_two_workers() {
    random_programs(2);
}

#[test]
fn random_programs_with_three_workers() {
    random_programs(3);
}

#[test]
fn random_programs_with_eight_workers() {
    random_programs(8);
}
