//! A runtime ends at a random moment, while tasks of another one use its sockets: whoever waits is
//! told, nobody waits for what cannot come, and what is there can still be read.

use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;
use std::time::Duration;

use net::{Stream, StreamKind, TcpStream, UnixStream};
use runtime::time::Instant;
use runtime::{Handle, Runtime};

use super::support::{Random, alone, descriptors, pair, watched};
use super::{Resets, Scene, Seeds, leaves_nothing, say_which};

const TIME: Duration = Duration::from_secs(3);

/// Only a hang lasts as long.
const PATIENCE: Duration = Duration::from_secs(120);

fn two_workers() -> Runtime {
    runtime::Builder::new().max_procs(2).build().unwrap()
}

/// On the runtime that stays.
async fn outlive<K: StreamKind>(home: Runtime, streams: [Stream<K>; 2], mut random: Random)
where
    Stream<K>: Resets,
{
    let homes = vec![home.handle().clone(), Handle::current()];
    let mut scene = Scene::start(streams, random.fork(), homes).unwrap();
    for _ in 0..random.below(40) {
        scene.step().await;
    }
    let pair = Arc::clone(&scene.pair);
    let ending = runtime::spawn_blocking(move || {
        let end = || home.shutdown(PATIENCE);
        assert!(pair.shutdown.happen(&pair.clock, end), "it does not end");
    });
    for _ in 0..random.below(40) {
        scene.step().await;
    }
    ending.await.unwrap();
    // Nothing else ends their waiting.
    scene.pair.stop.store(true, SeqCst);
    scene.join().await;
}

async fn scene(mut random: Random) {
    let home = two_workers();
    let make = random.below(2);
    let handle = home.handle().clone();
    if make == 0 {
        let streams: io::Result<(TcpStream, TcpStream)> = handle.spawn(pair()).await.unwrap();
        let (a, b) = streams.unwrap();
        outlive(home, [a, b], random).await;
    } else {
        let streams = handle.spawn(async { UnixStream::pair() }).await.unwrap();
        let (a, b) = streams.unwrap();
        outlive(home, [a, b], random).await;
    }
}

#[test]
fn sockets_of_a_runtime_that_has_ended_say_so_and_keep_nobody_waiting() {
    let _alone = alone();
    let _seeds = Seeds;
    watched(|| {
        let mut random = Random::new();
        let given = std::env::var("SEED").is_ok();
        let before = descriptors();
        let runtime = two_workers();
        let end = Instant::now() + TIME;
        let mut scenes = 0;
        while Instant::now() < end {
            let seed = if given { Random::new() } else { random.fork() };
            let scene = runtime.spawn(say_which(scene(seed.clone()), seed));
            runtime.block_on(scene).unwrap();
            scenes += 1;
        }
        println!("{scenes} scenes");
        leaves_nothing(&runtime);
        drop(runtime);
        assert_eq!(descriptors(), before);
    });
}
