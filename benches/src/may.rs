//! May's workloads. Its coroutines are closures on stacks of their own, so that they are written
//! again here, as close to [`crate::work`] as they come. Its channels are unbounded, which the
//! report marks with `∞`.
#![forbid(unsafe_code)]

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use may::coroutine::{self, JoinHandle};
use may::go;
use may::sync::{Mutex, Semphore, mpmc, mpsc};

use crate::meter::{Meter, Sample, resident};

/// Runs a workload; nothing where May has none.
pub(crate) fn run(name: &str, workers: usize, size: usize) -> Option<Sample> {
    may::config().set_workers(workers);
    let work: fn(usize) -> Sample = match name {
        "spawn_join" => spawn_join,
        "spawn_join_handles" => spawn_join_handles,
        "skynet" => skynet,
        "skynet_join" => skynet_join,
        "yield" => yields,
        "pingpong" => |n| pingpong(1, n),
        "pingpong_pairs" => |n| pingpong(100, n),
        "ring" => ring,
        "chan_spsc_unbuf" | "chan_spsc_128" => |n| mpsc_channel(1, n),
        "chan_mpsc_128" => |n| mpsc_channel(8, n),
        "chan_mpmc_unbuf" | "chan_mpmc_128" => mpmc_channel,
        "sieve" => sieve,
        "sleep100k" => sleep,
        "mutex" => mutex,
        "task_mem" => return Some(in_coroutine(move || task_mem(size))),
        "hog" => return Some(observe(size, 4, Some(Duration::from_millis(100)))),
        "hog_forever" => return Some(observe(size, 2, None)),
        _ => return None,
    };
    Some(in_coroutine(move || {
        work((size / 10).max(1));
        work(size)
    }))
}

fn in_coroutine(work: impl FnOnce() -> Sample + Send + 'static) -> Sample {
    // The first coroutine holds whole arrays of handles on its stack's frames; give it room.
    go!(coroutine::Builder::new().stack_size(1 << 20), work)
        .expect("a coroutine")
        .join()
        .expect("the coroutine panicked")
}

/// Counts down; the last one posts.
struct Gate {
    left: AtomicUsize,
    open: Semphore,
}

impl Gate {
    fn new(count: usize) -> Arc<Gate> {
        Arc::new(Gate {
            left: AtomicUsize::new(count),
            open: Semphore::new(0),
        })
    }

    fn done(&self) {
        if self.left.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.open.post();
        }
    }

    fn wait(&self) {
        self.open.wait();
    }
}

fn spawn_join(n: usize) -> Sample {
    let meter = Meter::start();
    let gate = Gate::new(n);
    for _ in 0..n {
        let gate = gate.clone();
        go!(move || gate.done());
    }
    gate.wait();
    meter.stop(n)
}

fn spawn_join_handles(n: usize) -> Sample {
    let meter = Meter::start();
    let handles: Vec<JoinHandle<usize>> = (0..n).map(|i| go!(move || i)).collect();
    let sum: usize = handles
        .into_iter()
        .map(|h| h.join().expect("no panic"))
        .sum();
    assert_eq!(sum, n * (n - 1) / 2);
    meter.stop(n)
}

fn skynet(leaves: usize) -> Sample {
    fn node(tx: &mpsc::Sender<usize>, first: usize, leaves: usize) {
        if leaves == 1 {
            let _ = tx.send(first);
            return;
        }
        let (child, rx) = mpsc::channel();
        for i in 0..10 {
            let child = child.clone();
            go!(move || node(&child, first + i * leaves / 10, leaves / 10));
        }
        let sum = (0..10).map(|_| rx.recv().expect("ten messages")).sum();
        let _ = tx.send(sum);
    }
    let leaves = 10_usize.pow(leaves.ilog10());
    let meter = Meter::start();
    let (tx, rx) = mpsc::channel();
    go!(move || node(&tx, 0, leaves));
    assert_eq!(rx.recv().expect("a sum"), leaves * (leaves - 1) / 2);
    meter.stop(1)
}

fn skynet_join(leaves: usize) -> Sample {
    fn node(first: usize, leaves: usize) -> usize {
        if leaves == 1 {
            return first;
        }
        let children: Vec<JoinHandle<usize>> = (0..10)
            .map(|i| go!(move || node(first + i * leaves / 10, leaves / 10)))
            .collect();
        children
            .into_iter()
            .map(|c| c.join().expect("no panic"))
            .sum()
    }
    let leaves = 10_usize.pow(leaves.ilog10());
    let meter = Meter::start();
    let sum = go!(move || node(0, leaves)).join().expect("no panic");
    assert_eq!(sum, leaves * (leaves - 1) / 2);
    meter.stop(1)
}

fn yields(n: usize) -> Sample {
    const TASKS: usize = 1000;
    let meter = Meter::start();
    let gate = Gate::new(TASKS);
    for _ in 0..TASKS {
        let gate = gate.clone();
        go!(move || {
            for _ in 0..n {
                coroutine::yield_now();
            }
            gate.done();
        });
    }
    gate.wait();
    meter.stop(TASKS * n)
}

fn pingpong(pairs: usize, n: usize) -> Sample {
    let meter = Meter::start();
    let gate = Gate::new(2 * pairs);
    for _ in 0..pairs {
        let (ping, at_pong) = mpsc::channel::<usize>();
        let (pong, at_ping) = mpsc::channel::<usize>();
        let done = gate.clone();
        go!(move || {
            for i in 0..n {
                ping.send(i).expect("the other side is there");
                assert_eq!(at_ping.recv(), Ok(i));
            }
            done.done();
        });
        let done = gate.clone();
        go!(move || {
            for _ in 0..n {
                let v = at_pong.recv().expect("a ping");
                pong.send(v).expect("the other side is there");
            }
            done.done();
        });
    }
    gate.wait();
    meter.stop(pairs * n)
}

fn ring(hops: usize) -> Sample {
    const TASKS: usize = 1000;
    let meter = Meter::start();
    let gate = Gate::new(1);
    let (first, mut rx) = mpsc::channel::<usize>();
    for i in 0..TASKS {
        let last = i + 1 == TASKS;
        let (mut tx, next) = mpsc::channel();
        if last {
            tx = first.clone();
        }
        let done = gate.clone();
        let mine = std::mem::replace(&mut rx, next);
        go!(move || {
            while let Ok(left) = mine.recv() {
                if left == 0 {
                    done.done();
                    break;
                }
                let _ = tx.send(left - 1);
            }
        });
    }
    first.send(hops).expect("the ring is there");
    drop(first);
    gate.wait();
    meter.stop(hops)
}

fn mpsc_channel(senders: usize, n: usize) -> Sample {
    let meter = Meter::start();
    let (tx, rx) = mpsc::channel();
    for _ in 0..senders {
        let tx = tx.clone();
        go!(move || {
            for i in 0..n / senders {
                let _ = tx.send(i);
            }
        });
    }
    drop(tx);
    let count = go!(move || rx.iter().count()).join().expect("no panic");
    assert_eq!(count, n / senders * senders);
    meter.stop(count)
}

fn mpmc_channel(n: usize) -> Sample {
    let meter = Meter::start();
    let (tx, rx) = mpmc::channel();
    for _ in 0..4 {
        let tx = tx.clone();
        go!(move || {
            for i in 0..n / 4 {
                let _ = tx.send(i);
            }
        });
    }
    drop(tx);
    let receivers: Vec<JoinHandle<usize>> = (0..4)
        .map(|_| {
            let rx = rx.clone();
            go!(move || rx.iter().count())
        })
        .collect();
    let count: usize = receivers
        .into_iter()
        .map(|r| r.join().expect("no panic"))
        .sum();
    assert_eq!(count, n / 4 * 4);
    meter.stop(count)
}

fn sieve(n: usize) -> Sample {
    // The channels are unbounded: a source without an end would fill the memory.
    let last = nth_prime(n);
    let meter = Meter::start();
    let (tx, rx) = mpsc::channel();
    go!(move || {
        for i in 2..=last {
            let _ = tx.send(i);
        }
    });
    let done = go!(move || {
        let mut rx = rx;
        let mut prime = 0;
        for _ in 0..n {
            prime = rx.recv().expect("there is always one more");
            let (tx, next) = mpsc::channel();
            go!(move || {
                while let Ok(i) = rx.recv() {
                    if i % prime != 0 && tx.send(i).is_err() {
                        break;
                    }
                }
            });
            rx = next;
        }
        prime
    });
    assert_eq!(done.join().expect("no panic"), last);
    meter.stop(1)
}

fn nth_prime(n: usize) -> usize {
    let mut primes: Vec<usize> = Vec::with_capacity(n);
    for i in 2.. {
        if primes.iter().all(|prime| i % prime != 0) {
            primes.push(i);
            if primes.len() == n {
                return i;
            }
        }
    }
    unreachable!("there are infinitely many primes")
}

fn sleep(n: usize) -> Sample {
    let meter = Meter::start();
    let gate = Gate::new(n);
    let asleep = Arc::new((AtomicUsize::new(0), AtomicUsize::new(0)));
    for _ in 0..n {
        let (gate, asleep) = (gate.clone(), asleep.clone());
        go!(move || {
            let now = asleep.0.fetch_add(1, Ordering::Relaxed) + 1;
            asleep.1.fetch_max(now, Ordering::Relaxed);
            coroutine::sleep(Duration::from_millis(10));
            asleep.0.fetch_sub(1, Ordering::Relaxed);
            gate.done();
        });
    }
    gate.wait();
    let most = asleep.1.load(Ordering::Relaxed);
    meter.stop(1).with("asleep", most)
}

fn mutex(n: usize) -> Sample {
    const TASKS: usize = 8;
    let meter = Meter::start();
    let gate = Gate::new(TASKS);
    let lock = Arc::new(Mutex::new(0));
    for _ in 0..TASKS {
        let (gate, lock) = (gate.clone(), lock.clone());
        go!(move || {
            for _ in 0..n {
                *lock.lock().expect("no panic inside") += 1;
            }
            gate.done();
        });
    }
    gate.wait();
    let sample = meter.stop(TASKS * n);
    assert_eq!(*lock.lock().expect("no panic inside"), TASKS * n);
    sample
}

fn task_mem(n: usize) -> Sample {
    let park = |n: usize| {
        let (tx, rx) = mpmc::channel::<usize>();
        let started = Arc::new(AtomicUsize::new(0));
        for _ in 0..n {
            let (rx, started) = (rx.clone(), started.clone());
            go!(move || {
                started.fetch_add(1, Ordering::Relaxed);
                let _ = rx.recv();
            });
        }
        while started.load(Ordering::Relaxed) < n {
            coroutine::yield_now();
        }
        std::mem::forget((tx, rx));
    };
    park(1000);
    let before = resident();
    let meter = Meter::start();
    park(n);
    let bytes = resident().saturating_sub(before);
    meter.stop(n).with("bytes", bytes as f64 / n as f64)
}

/// The ticker beside `hogs` coroutines that spin for `turn` between yields, or for ever.
fn observe(millis: usize, hogs: usize, turn: Option<Duration>) -> Sample {
    let time = Duration::from_millis(millis as u64);
    let tick = Duration::from_millis(1);
    let lateness = Arc::new(std::sync::Mutex::new(Vec::with_capacity(100_000)));
    let record = lateness.clone();
    let meter = Meter::start();
    go!(move || {
        loop {
            let due = Instant::now() + tick;
            coroutine::sleep(tick);
            let late = Instant::now().saturating_duration_since(due);
            record.lock().expect("no panic inside").push(late);
        }
    });
    let end = Instant::now()
        + if turn.is_some() {
            time
        } else {
            Duration::from_secs(60)
        };
    for _ in 0..hogs {
        go!(move || {
            while Instant::now() < end {
                let stop = turn.map_or(end, |turn| Instant::now() + turn);
                while Instant::now() < stop {
                    std::hint::spin_loop();
                }
                coroutine::yield_now();
            }
        });
    }
    std::thread::sleep(time);
    crate::work::fair::lateness(meter, &lateness)
}
