//! Connections are served in the order in which they become ready: one that comes back quickly does
//! not keep others waiting.

#![cfg(unix)]

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

use net::UnixStream;
use runtime::Builder;
use sync::WaitGroup;

/// More than a worker's ring holds, so that some would spill; two descriptors each, within the
/// usual limit of 1,024.
const CONNECTIONS: usize = 480;

/// Messages that each connection carries there and back if all have the same.
const ROUNDS: usize = 200;

async fn echo(stream: UnixStream) {
    let mut buf = [0; 64];
    while let Ok(n @ 1..) = stream.read(&mut buf).await {
        if stream.write_all(&buf[..n]).await.is_err() {
            return;
        }
    }
}

/// One message in flight, over and over, until all together have done enough. Returns how many this
/// one did.
async fn ask(stream: UnixStream, start: WaitGroup, left: Arc<AtomicUsize>) -> usize {
    start.done();
    start.wait().await;
    let mut buf = [0; 64];
    for round in 0.. {
        stream.write_all(&buf).await.unwrap();
        stream.read_exact(&mut buf).await.unwrap();
        let before = left.fetch_update(Relaxed, Relaxed, |left| left.checked_sub(1));
        if before.is_err() {
            return round;
        }
    }
    unreachable!("it ends when all have done enough")
}

#[test]
fn one_worker_serves_all_connections_alike() {
    // A slice that no pause exceeds, so that nobody takes over from the one worker.
    let slice = Duration::from_secs(60);
    let runtime = Builder::new()
        .max_procs(1)
        .time_slice(slice)
        .build()
        .unwrap();
    let left = Arc::new(AtomicUsize::new(CONNECTIONS * ROUNDS));
    let start = WaitGroup::new();
    start.add(CONNECTIONS);
    let asking = (0..CONNECTIONS).map(|_| {
        let _inside = runtime.enter();
        let (client, server) = UnixStream::pair().unwrap();
        drop(runtime.spawn(echo(server)));
        runtime.spawn(ask(client, start.clone(), left.clone()))
    });
    let asking: Vec<_> = asking.collect();
    let counts = runtime.block_on(async {
        let mut counts = Vec::new();
        for task in asking {
            counts.push(task.await.unwrap());
        }
        counts
    });
    let (fewest, most) = (counts.iter().min().unwrap(), counts.iter().max().unwrap());
    assert!(
        most - fewest <= ROUNDS * 2 / 5,
        "fewest {fewest}, most {most}"
    );
}
