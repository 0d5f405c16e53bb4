//! Random programs: tasks that spawn, join, abort, yield, sleep, block, wake each other through
//! foreign threads, and build runtimes of their own. Whatever happens, each task ends, each
//! destructor runs once, and nothing hangs.
//!
//! `SEED=1 cargo test -p weftline-runtime --test random` runs the programs of a failure again.

mod common;

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex};
use std::task::{Poll, Waker};
use std::thread;
use std::time::Duration;

use common::{Seed, runtime, watchdog};
use runtime::{Builder, JoinHandle, time};

/// Programs for each number of workers.
const PROGRAMS: usize = if cfg!(miri) { 1 } else { 40 };

/// Tasks that one program makes at the most, in its tree.
const TASKS: usize = if cfg!(miri) { 20 } else { 300 };

/// What a program's tasks share.
struct World {
    /// Tasks still allowed.
    left: AtomicUsize,
    made: AtomicUsize,
    dropped: AtomicUsize,
    /// To the thread that wakes.
    foreign: Mutex<Sender<Waker>>,
}

impl World {
    fn may_spawn(&self) -> bool {
        self.left
            .fetch_update(SeqCst, SeqCst, |left| left.checked_sub(1))
            .is_ok()
    }
}

/// Counts a task, and its future's end.
struct Life(Arc<World>);

impl Life {
    fn new(world: &Arc<World>) -> Self {
        world.made.fetch_add(1, SeqCst);
        Self(world.clone())
    }
}

impl Drop for Life {
    fn drop(&mut self) {
        self.0.dropped.fetch_add(1, SeqCst);
    }
}

/// What a task returns, to be checked by whoever joins it.
type Answer = u64;

fn spawn(world: &Arc<World>, mut seed: Seed) -> (JoinHandle<Answer>, Answer) {
    let life = Life::new(world);
    let answer = seed.next();
    let body = Box::pin(act(life, seed, answer));
    (runtime::spawn(body), answer)
}

/// One task: some random steps, then the answer.
fn act(life: Life, mut seed: Seed, answer: Answer) -> Pin<Box<dyn Future<Output = Answer> + Send>> {
    Box::pin(async move {
        let world = life.0.clone();
        let mut children = Vec::new();
        for _ in 0..seed.below(8) {
            match seed.below(12) {
                0..=3 if world.may_spawn() => children.push(spawn(&world, seed.fork())),
                4 => runtime::yield_now().await,
                5 => time::sleep(Duration::from_micros(seed.below(300))).await,
                6 => wake_from_outside(&world).await,
                7 => {
                    if let Some((child, _)) = children.pop() {
                        child.abort();
                        drop(child);
                    }
                }
                8 => {
                    if let Some((child, answer)) = children.pop() {
                        assert_eq!(child.await.unwrap(), answer);
                    }
                }
                9 => {
                    if let Some((child, answer)) = children.pop() {
                        child.abort();
                        match child.await {
                            Ok(got) => assert_eq!(got, answer),
                            Err(error) => assert!(error.is_cancelled(), "{error}"),
                        }
                    }
                }
                10 => {
                    let n = seed.next();
                    assert_eq!(runtime::spawn_blocking(move || n).await.unwrap(), n);
                }
                11 if seed.below(20) == 0 => a_runtime_of_its_own(&world, seed.fork()),
                _ => runtime::task::coop::consume_budget().await,
            }
        }
        if seed.below(2) == 0 {
            for (child, answer) in children {
                assert_eq!(child.await.unwrap(), answer);
            }
        }
        answer
    })
}

/// Waits until the foreign thread has called the waker.
async fn wake_from_outside(world: &World) {
    let mut asked = false;
    poll_fn(|cx| {
        if std::mem::replace(&mut asked, true) {
            return Poll::Ready(());
        }
        let _ = world.foreign.lock().unwrap().send(cx.waker().clone());
        Poll::Pending
    })
    .await;
}

/// Builds a runtime, gives it a few tasks, and drops it in the middle of them.
fn a_runtime_of_its_own(world: &Arc<World>, mut seed: Seed) {
    let inner = runtime(1 + seed.below(2) as usize);
    for _ in 0..seed.below(5) {
        let mut seed = seed.fork();
        let (life, answer) = (Life::new(world), seed.next());
        drop(inner.spawn(act(life, seed, answer)));
    }
}

fn program(workers: usize, mut seed: Seed) {
    let (foreign, wakers) = channel::<Waker>();
    let waking = thread::spawn(move || wakers.into_iter().for_each(Waker::wake));
    let world = Arc::new(World {
        left: AtomicUsize::new(TASKS),
        made: AtomicUsize::new(0),
        dropped: AtomicUsize::new(0),
        foreign: Mutex::new(foreign),
    });
    let rt = Builder::new()
        .max_procs(workers)
        .blocking_keep_alive(Duration::from_micros(seed.below(1000)))
        .build()
        .unwrap();
    let roots: Vec<_> = {
        let _guard = rt.enter();
        (0..1 + seed.below(8))
            .map(|_| spawn(&world, seed.fork()))
            .collect()
    };
    let abandon = seed.below(4) == 0;
    for (root, answer) in roots {
        if !abandon {
            assert_eq!(rt.block_on(root).unwrap(), answer);
        }
    }
    // Detached children may be anywhere.
    drop(rt);
    let (made, dropped) = (world.made.load(SeqCst), world.dropped.load(SeqCst));
    assert_eq!(made, dropped, "a task was lost, or a destructor");
    drop(world);
    waking.join().unwrap();
}

#[test]
fn random_programs_end_whole() {
    let mut seed = Seed::new();
    for workers in [1, 2, 3, 8] {
        for n in 0..PROGRAMS {
            let _watchdog = watchdog(format!(
                "program {n} on {workers} workers, SEED={}",
                seed.number()
            ));
            program(workers, seed.fork());
        }
    }
}
