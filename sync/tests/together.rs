//! Random members of a group, who use all primitives one inside the other, and are given up at
//! random: after some polls, after some time, by their context, or with their task.
//!
//! Who is inside which lock is counted by guards of the test's own, which go when a future is
//! dropped. At any time the counts are those that the locks allow; at the end every lock is free,
//! every permit is back, and each value that was sent has come once.
#![cfg(not(loom))]

mod support;

use std::collections::HashMap;
use std::future::Future;
use std::sync::Arc;
use std::sync::Mutex as Std;
use std::sync::atomic::{AtomicUsize, Ordering::*};
use std::time::Duration;

use runtime::time::timeout;
use runtime::{spawn, yield_now};
use support::{Random, WORKERS, give_up_after, on, times, with_seeds};
use sync::context::Context;
use sync::{
    Mutex, Notify, Receiver, RwLock, RwLockUpgradableReadGuard, Semaphore, Sender, broadcast,
    channel, errgroup, oneshot, watch,
};

const PERMITS: usize = 3;

/// So many are somewhere, until each goes.
struct Inside<'a>(&'a AtomicUsize, usize);

impl<'a> Inside<'a> {
    fn enter(count: &'a AtomicUsize, by: usize, most: usize) -> Self {
        let before = count.fetch_add(by, SeqCst);
        assert!(before + by <= most, "{} where {most} may be", before + by);
        Self(count, by)
    }
}

impl Drop for Inside<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(self.1, SeqCst);
    }
}

struct World {
    mutex: Mutex<()>,
    locked: AtomicUsize,
    lock: RwLock<()>,
    writing: AtomicUsize,
    reading: AtomicUsize,
    semaphore: Semaphore,
    taken: AtomicUsize,
    ends: (Sender<u64>, Receiver<u64>),
    /// For each value: how often it was sent, perhaps sent, and received.
    values: Std<HashMap<u64, [u32; 3]>>,
    notify: Notify,
    watch: watch::Sender<u64>,
    cast: broadcast::Sender<u64>,
}

impl World {
    fn new(capacity: usize) -> Arc<Self> {
        Arc::new(Self {
            mutex: Mutex::new(()),
            locked: AtomicUsize::new(0),
            lock: RwLock::new(()),
            writing: AtomicUsize::new(0),
            reading: AtomicUsize::new(0),
            semaphore: Semaphore::new(PERMITS),
            taken: AtomicUsize::new(0),
            ends: channel(capacity),
            values: Std::default(),
            notify: Notify::new(),
            watch: watch::channel(0).0,
            cast: broadcast::channel(2).0,
        })
    }

    fn count(&self, value: u64, which: usize) {
        self.values.lock().unwrap().entry(value).or_default()[which] += 1;
    }

    async fn in_mutex(&self, inside: impl Future<Output = ()>) {
        let _guard = self.mutex.lock().await;
        let _inside = Inside::enter(&self.locked, 1, 1);
        inside.await;
    }

    async fn with_permits(&self, n: usize, inside: impl Future<Output = ()>) {
        let _permit = self.semaphore.acquire_many(n).await;
        let _inside = Inside::enter(&self.taken, n, PERMITS);
        inside.await;
    }

    async fn as_reader(&self, inside: impl Future<Output = ()>) {
        let _guard = self.lock.read().await;
        let _inside = Inside::enter(&self.reading, 1, usize::MAX);
        assert_eq!(self.writing.load(SeqCst), 0, "somebody writes");
        inside.await;
    }

    async fn as_writer(&self, upgrade: bool, inside: impl Future<Output = ()>) {
        let _guard = match upgrade {
            true => RwLockUpgradableReadGuard::upgrade(self.lock.upgradable_read().await).await,
            false => self.lock.write().await,
        };
        let _inside = Inside::enter(&self.writing, 1, 1);
        assert_eq!(self.reading.load(SeqCst), 0, "somebody reads");
        inside.await;
    }

    /// It was sent, unless that is said.
    async fn send(&self, value: u64) {
        struct Perhaps<'a>(&'a World, u64, usize);
        impl Drop for Perhaps<'_> {
            fn drop(&mut self) {
                self.0.count(self.1, self.2);
            }
        }
        let mut fate = Perhaps(self, value, 1);
        assert!(self.ends.0.send(value).await.is_ok(), "nobody closes it");
        fate.2 = 0;
    }

    async fn receive(&self) {
        let value = self.ends.1.recv().await.expect("nobody closes it");
        self.count(value, 2);
    }

    fn check(&self) {
        assert!(self.mutex.try_lock().is_some(), "a lock was left behind");
        assert!(self.lock.try_write().is_some(), "a lock was left behind");
        assert_eq!(self.semaphore.available(), PERMITS);
        for count in [&self.locked, &self.writing, &self.reading, &self.taken] {
            assert_eq!(count.load(SeqCst), 0);
        }
        while let Ok(value) = self.ends.1.try_recv() {
            self.count(value, 2);
        }
        for (value, [sent, perhaps, received]) in self.values.lock().unwrap().iter() {
            assert!(
                *received <= 1 && *received >= *sent && *received <= *sent + *perhaps,
                "{value}: sent {sent}, perhaps {perhaps}, received {received}"
            );
        }
        assert_eq!(self.watch.receivers() + self.cast.receivers(), 0);
    }
}

/// One after the other, inside each other where that is in the one order in which all take them:
/// mutex, permits, lock.
async fn operate(world: &World, random: &mut Random, value: u64) {
    let (n, upgrade) = (1 + random.below(PERMITS), random.chance(30));
    match random.below(12) {
        0 => world.in_mutex(yield_now()).await,
        1 => world.with_permits(n, yield_now()).await,
        2 => world.as_reader(yield_now()).await,
        3 => world.as_writer(upgrade, yield_now()).await,
        4 => world.in_mutex(world.with_permits(n, yield_now())).await,
        5 => {
            let writes = world.as_writer(upgrade, yield_now());
            world.in_mutex(world.with_permits(n, writes)).await;
        }
        6 => world.with_permits(n, world.as_reader(yield_now())).await,
        7 => world.send(value).await,
        8 => world.receive().await,
        9 => {
            let mut changes = world.watch.subscribe();
            world.watch.modify(|count| {
                *count += 1;
                true
            });
            let seen = *changes.borrow_and_update();
            world.notify.notify_one();
            changes.changed().await;
            assert!(*changes.borrow() > seen, "it goes up only");
        }
        10 => {
            let mut messages = world.cast.subscribe();
            let _ = world.cast.send(value);
            // Others may have sent more than there is room for since.
            let received = messages.recv().await;
            assert_ne!(received, Err(broadcast::RecvError::Closed));
            world.notify.notified().await;
        }
        _ => {
            let (tx, rx) = oneshot::channel();
            let task = spawn(async move {
                yield_now().await;
                let _ = tx.send(value);
            });
            match upgrade {
                true => task.abort(),
                false => assert_eq!(rx.await, Some(value)),
            }
        }
    }
}

/// Gives each of them up somehow, for some never come to an end by themselves.
async fn member(world: Arc<World>, ctx: Context, mut random: Random, me: u64) -> Result<(), u64> {
    for step in 0..times(30) as u64 {
        let value = me << 32 | step;
        let (how, polls) = (random.below(4), random.below(6));
        let operation = operate(&world, &mut random, value);
        match how {
            0 | 1 => drop(give_up_after(polls, operation).await),
            2 => drop(timeout(Duration::from_micros(polls as u64 * 50), operation).await),
            _ => {
                let (ctx, _cancel) = ctx.with_timeout(Duration::from_micros(polls as u64 * 50));
                let _ = ctx.run(operation).await;
            }
        }
        if ctx.is_done() {
            return Ok(());
        }
    }
    if random.chance(5) { Err(me) } else { Ok(()) }
}

async fn society(seed: u64) {
    let mut random = Random::new(seed);
    let world = World::new(random.below(3));
    let (mut group, ctx) = errgroup::Group::with_context(&Context::background());
    if random.chance(30) {
        group.abort_on_error();
    }
    if random.chance(50) {
        group.set_limit(3);
    }
    let mut failed = false;
    for me in 0..times(12) as u64 {
        let seeded = Random::new(seed ^ me << 8);
        failed |= !group
            .spawn(member(world.clone(), ctx.clone(), seeded, me))
            .await;
    }
    match random.below(3) {
        // With all members that run.
        0 => drop(group),
        1 => drop(give_up_after(random.below(40), group.wait()).await),
        _ => assert!(group.wait().await.is_err() || !failed || ctx.is_done()),
    }
    // Who was aborted may be in his last poll, and has the world until that is over.
    while Arc::strong_count(&world) > 1 {
        yield_now().await;
    }
    world.check();
}

#[test]
fn whoever_gives_up_leaves_everything_as_the_others_need_it() {
    with_seeds(40, |seed| {
        for &workers in WORKERS {
            on(workers, society(seed));
        }
    });
}
