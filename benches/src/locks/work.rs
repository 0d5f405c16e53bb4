//! What is done with the primitives: alone, among eight tasks, and back and forth between two.
#![forbid(unsafe_code)]

use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::lap::Lap;
use super::{Broadcast, Kit, Mutex, Notify, RwLock, Semaphore, Watch};
use crate::gate::Gate;
use crate::meter::{Meter, Sample};
use crate::rt::Rt;

/// Tasks that contend.
const TASKS: usize = 8;
/// One in so many accesses to the readers-writer lock writes.
const WRITES: usize = 32;

/// One task locks and unlocks `n` times.
pub(crate) async fn lock_alone<K: Kit>(n: usize) -> Sample {
    let mutex = K::Mutex::new();
    let meter = Meter::start();
    for _ in 0..n {
        *mutex.lock().await += 1;
    }
    let sample = meter.stop(n);
    assert_eq!(*mutex.lock().await, n);
    sample
}

/// 8 tasks lock `n` times each.
pub(crate) async fn mutex<R: Rt, K: Kit>(n: usize) -> Sample {
    let mutex = Arc::new(K::Mutex::new());
    let meter = Meter::start();
    let gate = Gate::new(TASKS);
    for _ in 0..TASKS {
        let (gate, mutex) = (gate.clone(), mutex.clone());
        R::detach(async move {
            for _ in 0..n {
                *mutex.lock().await += 1;
            }
            gate.done();
        });
    }
    gate.wait().await;
    let sample = meter.stop(TASKS * n);
    assert_eq!(*mutex.lock().await, TASKS * n);
    sample
}

/// 8 tasks lock `n` times each, and yield under the lock.
pub(crate) async fn lock_yield<R: Rt, K: Kit>(n: usize) -> Sample {
    let mutex = Arc::new(K::Mutex::new());
    let meter = Meter::start();
    let gate = Gate::new(TASKS);
    for _ in 0..TASKS {
        let (gate, mutex) = (gate.clone(), mutex.clone());
        R::detach(async move {
            for _ in 0..n {
                let mut count = mutex.lock().await;
                R::yield_now().await;
                *count += 1;
            }
            gate.done();
        });
    }
    gate.wait().await;
    let sample = meter.stop(TASKS * n);
    assert_eq!(*mutex.lock().await, TASKS * n);
    sample
}

/// One task reads `n` times.
pub(crate) async fn rwlock_alone<K: Kit>(n: usize) -> Sample {
    let lock = K::RwLock::new();
    let meter = Meter::start();
    for _ in 0..n {
        assert_eq!(*lock.read().await, 0);
    }
    meter.stop(n)
}

/// 8 tasks read `n` times each, as those do who look something up that hardly ever changes.
pub(crate) async fn rwlock_read<R: Rt, K: Kit>(n: usize) -> Sample {
    let lock = Arc::new(K::RwLock::new());
    *lock.write().await = 1;
    let meter = Meter::start();
    let gate = Gate::new(TASKS);
    for _ in 0..TASKS {
        let (gate, lock) = (gate.clone(), lock.clone());
        R::detach(async move {
            for _ in 0..n {
                assert_eq!(*lock.read().await, 1);
            }
            gate.done();
        });
    }
    gate.wait().await;
    meter.stop(TASKS * n)
}

/// 8 tasks read `n` times each; one access in 32 writes.
pub(crate) async fn rwlock_mostly<R: Rt, K: Kit>(n: usize) -> Sample {
    let lock = Arc::new(K::RwLock::new());
    let meter = Meter::start();
    let gate = Gate::new(TASKS);
    for _ in 0..TASKS {
        let (gate, lock) = (gate.clone(), lock.clone());
        R::detach(async move {
            for i in 0..n {
                if i % WRITES == 0 {
                    *lock.write().await += 1;
                } else {
                    assert!(*lock.read().await <= TASKS * n);
                }
            }
            gate.done();
        });
    }
    gate.wait().await;
    let sample = meter.stop(TASKS * n);
    assert_eq!(*lock.read().await, TASKS * n.div_ceil(WRITES));
    sample
}

/// 4 tasks read `n` times each, and compute for a microsecond after each: do they still share the
/// cores?
pub(crate) async fn rwlock_work<R: Rt, K: Kit>(n: usize) -> Sample {
    const COMPUTING: usize = 4;
    let lock = Arc::new(K::RwLock::new());
    let meter = Meter::start();
    let gate = Gate::new(COMPUTING);
    for _ in 0..COMPUTING {
        let (gate, lock) = (gate.clone(), lock.clone());
        R::detach(async move {
            for _ in 0..n {
                assert_eq!(*lock.read().await, 0);
                let begin = Instant::now();
                while begin.elapsed() < Duration::from_micros(1) {}
            }
            gate.done();
        });
    }
    gate.wait().await;
    meter.stop(COMPUTING * n)
}

/// As `rwlock_mostly`, and all yield under the lock.
pub(crate) async fn rwlock_yield<R: Rt, K: Kit>(n: usize) -> Sample {
    let lock = Arc::new(K::RwLock::new());
    let meter = Meter::start();
    let gate = Gate::new(TASKS);
    for _ in 0..TASKS {
        let (gate, lock) = (gate.clone(), lock.clone());
        R::detach(async move {
            for i in 0..n {
                if i % WRITES == 0 {
                    let mut count = lock.write().await;
                    R::yield_now().await;
                    *count += 1;
                } else {
                    let count = lock.read().await;
                    R::yield_now().await;
                    assert!(*count <= TASKS * n);
                }
            }
            gate.done();
        });
    }
    gate.wait().await;
    let sample = meter.stop(TASKS * n);
    assert_eq!(*lock.read().await, TASKS * n.div_ceil(WRITES));
    sample
}

/// One task takes a permit and gives it back, `n` times.
pub(crate) async fn sem_alone<K: Kit>(n: usize) -> Sample {
    let semaphore = K::Semaphore::new(2);
    let meter = Meter::start();
    for _ in 0..n {
        drop(semaphore.acquire().await);
    }
    meter.stop(n)
}

/// 8 tasks share 2 permits, which they take `n` times each and hold over a yield.
pub(crate) async fn sem_yield<R: Rt, K: Kit>(n: usize) -> Sample {
    let semaphore = Arc::new(K::Semaphore::new(2));
    let meter = Meter::start();
    let gate = Gate::new(TASKS);
    for _ in 0..TASKS {
        let (gate, semaphore) = (gate.clone(), semaphore.clone());
        R::detach(async move {
            for _ in 0..n {
                let permit = semaphore.acquire().await;
                R::yield_now().await;
                drop(permit);
            }
            gate.done();
        });
    }
    gate.wait().await;
    meter.stop(TASKS * n)
}

/// Two tasks notify each other in turn: `n` round trips.
pub(crate) async fn notify<R: Rt, K: Kit>(n: usize) -> Sample {
    let (ping, pong) = (Arc::new(K::Notify::new()), Arc::new(K::Notify::new()));
    let (ready, over) = (Gate::new(1), Gate::new(2));
    let meter = Meter::start();
    {
        let (ping, pong, ready, over) = (ping.clone(), pong.clone(), ready.clone(), over.clone());
        R::detach(async move {
            // Listens for the next one before the other side can know of this one.
            let mut turn = Box::pin(ping.listen());
            ready.done();
            for _ in 1..n {
                turn.as_mut().await;
                turn.set(ping.listen());
                pong.notify();
            }
            turn.await;
            pong.notify();
            over.done();
        });
    }
    ready.wait().await;
    {
        let over = over.clone();
        R::detach(async move {
            for _ in 0..n {
                let turn = pin!(pong.listen());
                ping.notify();
                turn.await;
            }
            over.done();
        });
    }
    over.wait().await;
    meter.stop(n)
}

/// One task makes a channel, sends and receives, `n` times.
pub(crate) async fn oneshot_same<K: Kit>(n: usize) -> Sample {
    let meter = Meter::start();
    for i in 0..n {
        let (tx, rx) = K::oneshot();
        K::send(tx, i);
        assert_eq!(K::recv(rx).await, i);
    }
    meter.stop(n)
}

/// What travels between the two: the way to answer.
struct Baton<K: Kit>(Option<K::OneTx<Baton<K>>>);

/// Two tasks answer each other, each answer with the way to answer that: `n` round trips, two
/// channels each.
pub(crate) async fn oneshot_across<R: Rt, K: Kit>(n: usize) -> Sample {
    let meter = Meter::start();
    let gate = Gate::new(2);
    let (first, rx) = K::oneshot::<Baton<K>>();
    let over = gate.clone();
    R::detach(async move {
        let mut rx = rx;
        // The end is an answer without a way to answer it.
        while let Baton(Some(tx)) = K::recv(rx).await {
            let (next, answer) = K::oneshot();
            K::send(tx, Baton(Some(next)));
            rx = answer;
        }
        over.done();
    });
    let over = gate.clone();
    R::detach(async move {
        let mut tx = first;
        for _ in 0..n {
            let (next, answer) = K::oneshot();
            K::send(tx, Baton(Some(next)));
            let Baton(Some(back)) = K::recv(answer).await else {
                panic!("the other side never ends it");
            };
            tx = back;
        }
        K::send(tx, Baton(None));
        over.done();
    });
    gate.wait().await;
    meter.stop(n)
}

/// One task changes a value `n` times, and each time waits until 8 have seen it.
pub(crate) async fn watch<R: Rt, W: Watch>(n: usize) -> Sample {
    let meter = Meter::start();
    let (tx, receivers) = W::watch(TASKS);
    let (lap, gate) = (Lap::new(), Gate::new(TASKS));
    for mut rx in receivers {
        let (lap, gate) = (lap.clone(), gate.clone());
        R::detach(async move {
            let mut last = 0;
            while let Some(value) = W::next(&mut rx).await {
                assert_eq!(value, last + 1);
                last = value;
                lap.done();
            }
            gate.done();
        });
    }
    for i in 1..=n {
        lap.begin(TASKS);
        W::send(&tx, i);
        lap.wait().await;
    }
    drop(tx);
    gate.wait().await;
    meter.stop(TASKS * n)
}

/// One task sends `n` bursts of 64 values, which 8 receive all of, and waits after each until they
/// have.
pub(crate) async fn broadcast<R: Rt, B: Broadcast>(n: usize) -> Sample {
    const BURST: usize = 64;
    let meter = Meter::start();
    let (tx, receivers) = B::broadcast(2 * BURST, TASKS);
    let (lap, gate) = (Lap::new(), Gate::new(TASKS));
    for mut rx in receivers {
        let (lap, gate) = (lap.clone(), gate.clone());
        R::detach(async move {
            let mut last = 0;
            while let Some(value) = B::recv(&mut rx).await {
                assert_eq!(value, last + 1);
                last = value;
                if value % BURST == 0 {
                    lap.done();
                }
            }
            gate.done();
        });
    }
    for burst in 0..n {
        lap.begin(TASKS);
        for i in 1..=BURST {
            B::send(&tx, burst * BURST + i);
        }
        lap.wait().await;
    }
    drop(tx);
    gate.wait().await;
    meter.stop(TASKS * BURST * n)
}
