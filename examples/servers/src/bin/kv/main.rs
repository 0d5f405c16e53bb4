//! A small store that speaks Redis' protocol: strings, counters, expiry, lists, sets and hashes,
//! for `redis-cli` and Redis' own clients.
//!
//! One task a connection. It reads what has come, runs every command in it, and answers all of them
//! with one write, so that a client that sends a hundred commands at once (pipelining) costs two
//! system calls. Keys are spread over shards, each behind a lock of the standard library that is
//! held for microseconds and never across an `.await`. Memory is bounded a connection: a command
//! that is too long ends it, and nothing more is read while its answers are not taken.
//!
//! Go: `bufio.Reader` and `bufio.Writer` around the connection, a `sync.Mutex` a shard.
//!
//! Run: `cargo run --release -p weftline-servers --bin kv -- 127.0.0.1:6379`, then `redis-cli` and
//! `redis-benchmark -t set,get,incr -P 16 -c 50 -q`.
#![forbid(unsafe_code)]

mod command;
mod resp;
mod store;

use std::io;
use std::sync::Arc;
use std::time::Duration;

use net::{Stopping, TcpListener, TcpStream};
use runtime::time::{Instant, ticker};
use store::Store;

/// How long a client may be silent.
const IDLE: Duration = Duration::from_secs(300);

/// Bytes read at a time, and answers kept before they are sent.
const CHUNK: usize = 16 * 1024;

// cookbook: kv
async fn client(stream: TcpStream, store: Arc<Store>, stopping: Stopping) -> io::Result<()> {
    let (mut input, mut output) = (Vec::new(), Vec::new());
    let mut chunk = vec![0; CHUNK];
    loop {
        // Putting a deadline off costs nothing; a silent client, or one that takes no answers, runs
        // into it.
        stream.set_deadline(Instant::now() + IDLE)?;
        let n = match stopping.unless(stream.read(&mut chunk)).await {
            None | Some(Ok(0)) => return Ok(()),
            Some(n) => n?,
        };
        input.extend_from_slice(&chunk[..n]);
        let mut used = 0;
        while let Some((arguments, length)) = resp::parse(&input[used..])? {
            used += length;
            if command::run(&store, &arguments, &mut output) == command::Then::Quit {
                return stream.write_all(&output).await;
            }
            if output.len() > CHUNK {
                stream.write_all(&output).await?;
                output.clear();
            }
        }
        input.drain(..used);
        stream.write_all(&output).await?;
        output.clear();
    }
}
// cookbook: end

/// Removes what has expired and is never asked for.
async fn sweep(store: Arc<Store>) {
    let mut tick = ticker(Duration::from_secs(1));
    loop {
        tick.tick().await;
        store.sweep();
    }
}

// cookbook: serve
#[runtime::main]
async fn main() -> io::Result<()> {
    let stop = servers::until_asked_to_stop()?;
    let listener = TcpListener::bind(servers::address()).await?;
    servers::announce(listener.local_addr()?);
    let store = Arc::new(Store::default());
    runtime::spawn(sweep(store.clone()));

    net::serve(listener, move |stream, _peer, stopping| {
        client(stream, store.clone(), stopping)
    })
    .on_error(servers::report)
    .max_connections(10_000)
    .shutdown_on(async move { stop.done().await })
    .drain(Duration::from_secs(10))
    .await
}
// cookbook: end
