//! Sockets against a model: readers, writers and somebody who sets deadlines, shuts down, closes,
//! resets and aborts, all at random, on TCP and Unix streams. What each operation says is held to
//! what it may say (`model.rs`), what was sent has to arrive, whoever waits has to be woken by what
//! ends his waiting, and in the end nothing is left.
//!
//! Five seconds of it always, a minute with `--ignored`. A failure prints the seed of the scene,
//! and `SEED=…` plays that one alone, again and again; how the tasks meet is up to the machine.

#![allow(
    unreachable_pub,
    reason = "the modules of a test program, which is no library"
)]

mod actors;
mod afterlife;
mod famine;
mod model;
#[path = "../support/mod.rs"]
mod support;

use std::collections::BTreeSet;
use std::io;
use std::net::Shutdown;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::Ordering::SeqCst;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use net::{Stream, StreamKind, TcpStream, UnixStream};
use runtime::time::{Instant, sleep};
use runtime::{Handle, JoinHandle, Runtime};
use socket2::SockRef;

use actors::Actor;
use model::Pair;
use support::{Random, alone, descriptors, pair, watched};

/// Connections at a time.
const PAIRS: usize = 6;

/// What one may do with the linger of a stream.
trait Resets {
    fn to_reset(&self) {}
}

impl Resets for TcpStream {
    fn to_reset(&self) {
        // It may be closed by now.
        let _ = self.set_linger(Some(Duration::ZERO));
    }
}

impl Resets for UnixStream {}

/// A connection and those who use it.
struct Scene<K: StreamKind> {
    pair: Arc<Pair>,
    streams: [Stream<K>; 2],
    /// Readers, then writers.
    tasks: [JoinHandle<()>; 4],
    /// The runtimes that those may be on.
    homes: Vec<Handle>,
    random: Random,
}

impl<K: StreamKind> Scene<K>
where
    Stream<K>: Resets,
{
    fn start(streams: [Stream<K>; 2], mut random: Random, homes: Vec<Handle>) -> io::Result<Self> {
        for stream in &streams {
            // So that writers come to wait.
            stream.control(|fd| SockRef::from(&fd).set_send_buffer_size(4096))?;
            stream.control(|fd| SockRef::from(&fd).set_recv_buffer_size(4096))?;
        }
        let pair = Arc::new(Pair::default());
        let tasks = [0, 1, 2, 3].map(|who| {
            let home = &homes[random.below(homes.len())];
            act(&pair, &streams, who, home, random.fork())
        });
        Ok(Self {
            pair,
            streams,
            tasks,
            homes,
            random,
        })
    }

    async fn play(mut self) {
        for _ in 0..self.random.below(60) {
            self.step().await;
        }
        self.pair.stop.store(true, SeqCst);
        self.end();
        self.join().await;
    }

    async fn step(&mut self) {
        match self.random.below(4) {
            0 => sleep(Duration::from_micros(self.random.below(500) as u64)).await,
            1 => runtime::yield_now().await,
            _ => {}
        }
        self.act().await;
    }

    /// Everybody has to end.
    async fn join(self) {
        for task in self.tasks {
            match task.await {
                Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
                _ => {}
            }
        }
        self.pair.balance();
    }

    async fn act(&mut self) {
        let at = self.random.below(2);
        match self.random.below(100) {
            0 => self.close(at),
            1 => {
                self.streams[at].to_reset();
                self.close(at);
            }
            2 => self.shutdown(at, Shutdown::Read),
            3 => self.shutdown(at, Shutdown::Write),
            4 => self.shutdown(at, Shutdown::Both),
            5..15 => {
                // Aborted, and another one goes on from there.
                let who = self.random.below(4);
                self.tasks[who].abort();
                if let Err(error) = (&mut self.tasks[who]).await {
                    assert!(error.is_cancelled(), "{error}");
                }
                let home = &self.homes[self.random.below(self.homes.len())];
                let random = self.random.fork();
                self.tasks[who] = act(&self.pair, &self.streams, who, home, random);
            }
            15..40 => self.set_read_deadline(at),
            40..65 => self.set_write_deadline(at),
            _ => {}
        }
    }

    /// Something after which nobody waits any more.
    fn end(&mut self) {
        match self.random.below(4) {
            0 => (0..2).for_each(|at| self.close(at)),
            1 => self.close(0),
            2 => self.tasks.iter().for_each(JoinHandle::abort),
            _ => {
                for at in 0..2 {
                    self.read_by(at, Some(Instant::now()));
                    self.write_by(at, Some(Instant::now()));
                }
            }
        }
    }

    fn close(&self, at: usize) {
        let closed = &self.pair.ends[at].closed;
        let _ = closed.happen(&self.pair.clock, || self.streams[at].close());
    }

    fn shutdown(&self, at: usize, how: Shutdown) {
        let (end, clock) = (&self.pair.ends[at], &self.pair.clock);
        let shut = || match self.streams[at].shutdown(how) {
            // TCP, when the peer has reset it.
            Err(error) if error.kind() == io::ErrorKind::NotConnected => {}
            said => said.unwrap(),
        };
        match how {
            Shutdown::Read => end.shut_read.happen(clock, shut),
            Shutdown::Write => end.shut_write.happen(clock, shut),
            Shutdown::Both => {
                let both = || end.shut_write.happen(clock, shut);
                end.shut_read.happen(clock, both)
            }
        }
    }

    fn some_time(&mut self) -> Option<Instant> {
        let now = Instant::now();
        match self.random.below(4) {
            0 => Some(now),
            1 => None,
            2 => Some(now + Duration::from_secs(3600)),
            _ => Some(now + Duration::from_micros(self.random.below(2000) as u64)),
        }
    }

    fn set_read_deadline(&mut self, at: usize) {
        let by = self.some_time();
        self.read_by(at, by);
    }

    fn set_write_deadline(&mut self, at: usize) {
        let by = self.some_time();
        self.write_by(at, by);
    }

    fn read_by(&self, at: usize, by: Option<Instant>) {
        let deadlines = &self.pair.ends[at].read_by;
        // A closed socket refuses it.
        let _ = deadlines.set(&self.pair.clock, by, || {
            self.streams[at].set_read_deadline(by)
        });
    }

    fn write_by(&self, at: usize, by: Option<Instant>) {
        let deadlines = &self.pair.ends[at].write_by;
        let _ = deadlines.set(&self.pair.clock, by, || {
            self.streams[at].set_write_deadline(by)
        });
    }
}

fn act<K: StreamKind>(
    pair: &Arc<Pair>,
    streams: &[Stream<K>; 2],
    who: usize,
    home: &Handle,
    random: Random,
) -> JoinHandle<()> {
    let actor = Actor {
        pair: Arc::clone(pair),
        stream: streams[who % 2].clone(),
        at: who % 2,
        random,
    };
    match who {
        0 | 1 => home.spawn(actor.read()),
        _ => home.spawn(actor.write()),
    }
}

/// One connection's life.
async fn scene(mut random: Random) {
    let here = vec![Handle::current()];
    if random.below(2) == 0 {
        let (a, b) = pair().await.unwrap();
        Scene::start([a, b], random, here).unwrap().play().await;
    } else {
        let (a, b) = UnixStream::pair().unwrap();
        Scene::start([a, b], random, here).unwrap().play().await;
    }
}

/// Scenes one after the other, several at once, and the same one where a seed is given.
fn play(time: Duration) {
    let _alone = alone();
    let _seeds = Seeds;
    watched(move || {
        let given = std::env::var("SEED").is_ok();
        let mut random = Random::new();
        let before = descriptors();
        let runtime = runtime::Builder::new().max_procs(2).build().unwrap();
        let end = Instant::now() + time;
        let tasks: Vec<_> = (0..PAIRS)
            .map(|_| {
                let mut random = random.fork();
                runtime.spawn(async move {
                    let mut scenes = 0;
                    while Instant::now() < end {
                        let seed = if given { Random::new() } else { random.fork() };
                        say_which(scene(seed.clone()), seed).await;
                        scenes += 1;
                    }
                    scenes
                })
            })
            .collect();
        let scenes: usize = tasks
            .into_iter()
            .map(|task| runtime.block_on(task).unwrap())
            .sum();
        println!("{scenes} scenes");
        leaves_nothing(&runtime);
        drop(runtime);
        assert_eq!(descriptors(), before);
    });
}

/// The scenes that are being played.
static SEEDS: Mutex<BTreeSet<u64>> = Mutex::new(BTreeSet::new());

/// Names them if it is dropped by a panic: one of them hangs.
struct Seeds;

impl Drop for Seeds {
    fn drop(&mut self) {
        let mut seeds = SEEDS.lock().unwrap_or_else(PoisonError::into_inner);
        if std::thread::panicking() {
            eprintln!("with one of these as SEED: {seeds:?}");
        }
        seeds.clear();
    }
}

/// Tells the seed of a scene that panics.
async fn say_which(scene: impl Future<Output = ()>, seed: Random) {
    SEEDS.lock().unwrap().insert(seed.seed());
    let mut scene = std::pin::pin!(scene);
    let ended = std::future::poll_fn(|cx| {
        let polled = catch_unwind(AssertUnwindSafe(|| scene.as_mut().poll(cx)));
        match polled {
            Ok(polled) => polled.map(Ok),
            Err(panic) => std::task::Poll::Ready(Err(panic)),
        }
    });
    if let Err(panic) = ended.await {
        eprintln!("play it again with SEED={}", seed.seed());
        std::panic::resume_unwind(panic);
    }
    SEEDS.lock().unwrap().remove(&seed.seed());
}

/// A task is counted until a moment after its handle is ready.
fn leaves_nothing(runtime: &Runtime) {
    loop {
        let left = runtime.handle().metrics();
        if (left.tasks, left.timers_armed, left.descriptors) == (0, 0, 0) {
            return;
        }
        std::thread::sleep(Duration::from_millis(1));
    }
}

#[test]
fn streams_say_what_they_may_and_nobody_is_forgotten() {
    play(Duration::from_secs(5));
}

#[test]
#[ignore = "takes a minute; `.ci/run storm` runs it"]
fn streams_say_what_they_may_for_a_minute() {
    play(Duration::from_secs(60));
}
