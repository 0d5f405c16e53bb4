//! The verdict against a program that is always about to fall asleep: one token goes from hand to
//! hand, by every means there is, and whoever does not have it sleeps. Meanwhile the question is
//! asked without a pause. It must never be answered by "deadlock" while the token lives, and must
//! be in the end, when it is dropped.
//!
//! The process must have no other test's threads, so that the test starts this program again with
//! itself as the only test.

use std::collections::VecDeque;
use std::env;
use std::future::poll_fn;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::task::{Poll, Waker};
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use super::{Answer, Harness, MESSAGE};
use crate::{Builder, Handle};

/// How long the token lives.
const LIFE: Duration = Duration::from_secs(3);

/// After that only a hang is to blame.
const PATIENCE: Duration = Duration::from_secs(300);

const IN_CHILD: &str = "WEFTLINE_DEADLOCK_STRESS";

/// Threads inside `block_on`, and tasks.
const THREADS: usize = 2;
const TASKS: usize = 3;

#[test]
fn no_false_alarm_while_a_token_goes_round_and_an_alarm_when_it_is_gone() {
    let seed = env::var("SEED").map_or_else(
        |_| {
            SystemTime::now()
                .duration_since(UNIX_EPOCH)
                .unwrap()
                .as_nanos() as u64
        },
        |seed| seed.parse().expect("SEED is a number"),
    );
    let mut child = Command::new(env::current_exe().unwrap());
    child.args([
        "--exact",
        "deadlock::stress::child",
        "--ignored",
        "--nocapture",
    ]);
    child.env(IN_CHILD, seed.to_string());
    let output = child.output().unwrap();
    assert!(
        output.status.success(),
        "SEED={seed}\n{}\n{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
}

#[test]
#[ignore = "run by the test above, alone in its process"]
fn child() {
    let Ok(seed) = env::var(IN_CHILD) else { return };
    let world = Arc::new(World {
        boxes: (0..THREADS + TASKS).map(|_| Mailbox::default()).collect(),
        dies_at: Instant::now() + LIFE,
    });
    let mut builder = Builder::new();
    let rt = builder
        .max_procs(2)
        .harness(Harness::of_tests())
        .build()
        .unwrap();
    for me in THREADS..THREADS + TASKS {
        rt.spawn(actor(world.clone(), me));
    }
    let threads: Vec<_> = (0..THREADS)
        .map(|me| {
            let (world, handle) = (world.clone(), rt.handle().clone());
            thread::spawn(move || {
                let caught = catch_unwind(AssertUnwindSafe(|| handle.block_on(actor(world, me))));
                let panic = caught.expect_err("an actor never ends");
                panic.downcast::<String>().expect("the report is text")
            })
        })
        .collect();
    world.boxes[0].send(Token {
        rng: Rng(seed.parse::<u64>().unwrap() | 1),
    });

    let scheduler = rt.handle().scheduler();
    let (mut asked, mut doubts) = (0u64, 0u64);
    while !threads.iter().all(|thread| thread.is_finished()) {
        asked += 1;
        doubts += u64::from(scheduler.look_for_deadlock() == Answer::NotNow);
        let alarm = threads.iter().any(|thread| thread.is_finished());
        assert!(!alarm || Instant::now() > world.dies_at, "a false alarm");
        assert!(Instant::now() < world.dies_at + PATIENCE, "no alarm");
    }
    println!("asked {asked} times, of which {doubts} were doubts");
    for thread in threads {
        assert!(thread.join().unwrap().starts_with(MESSAGE));
    }
}

struct World {
    boxes: Vec<Mailbox>,
    dies_at: Instant,
}

/// The only activity there is.
struct Token {
    rng: Rng,
}

/// Waits for the token, and passes it on, for ever.
async fn actor(world: Arc<World>, me: usize) {
    loop {
        let mut token = world.boxes[me].receive().await;
        if Instant::now() > world.dies_at {
            continue;
        }
        let to = token.rng.below(world.boxes.len() as u64) as usize;
        let pause = Duration::from_micros(token.rng.below(300));
        let handle = Handle::current();
        match token.rng.below(7) {
            0 => world.boxes[to].send(token),
            1 => {
                let world = world.clone();
                drop(handle.spawn(async move { world.boxes[to].send(token) }));
            }
            2 => {
                let world = world.clone();
                drop(handle.spawn_blocking(move || world.boxes[to].send(token)));
            }
            3 => {
                let world = world.clone();
                thread::spawn(move || {
                    thread::sleep(pause);
                    world.boxes[to].send(token);
                });
            }
            4 => {
                let world = world.clone();
                drop(handle.spawn_blocking(move || {
                    thread::sleep(pause);
                    world.boxes[to].send(token);
                }));
            }
            5 => {
                crate::time::sleep(pause).await;
                world.boxes[to].send(token);
            }
            _ => {
                crate::yield_now().await;
                world.boxes[to].send(token);
            }
        }
    }
}

#[derive(Default)]
struct Mailbox(Mutex<(VecDeque<Token>, Option<Waker>)>);

impl Mailbox {
    fn send(&self, token: Token) {
        let mut inner = self.0.lock().unwrap();
        inner.0.push_back(token);
        let waker = inner.1.take();
        drop(inner);
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    async fn receive(&self) -> Token {
        poll_fn(|cx| {
            let waker = cx.waker().clone();
            let mut inner = self.0.lock().unwrap();
            if let Some(token) = inner.0.pop_front() {
                return Poll::Ready(token);
            }
            let old = inner.1.replace(waker);
            drop(inner);
            drop(old);
            Poll::Pending
        })
        .await
    }
}

/// xorshift64.
struct Rng(u64);

impl Rng {
    fn below(&mut self, n: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % n
    }
}
