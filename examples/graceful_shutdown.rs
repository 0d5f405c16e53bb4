//! A server that stops without dropping anyone: it accepts nobody new, answers what has been asked,
//! and waits only so long.
//!
//! A signal says "stop": Ctrl-C, or the SIGTERM of a service manager. `net::serve` counts the
//! connections and tells them; each answers the request that it is at, however long that takes, and
//! ends. A second Ctrl-C is nobody's, and ends the program at once.
//!
//! Go: `signal.NotifyContext`, `server.Shutdown(ctx)`.
//!
//! Run: `cargo run --release --example graceful_shutdown -- [ADDRESS]`, then `nc 127.0.0.1 7788` in
//! another terminal, and Ctrl-C.
//!
//! Prints `listening on 127.0.0.1:7788`, then `SIGINT: stopping`, and `all connections have ended`.

use std::env;
use std::io;
use std::time::Duration;

use net::{Stopping, TcpListener, TcpStream};
use runtime::signal::{self, Signal, SignalKind};
use runtime::time;

/// Answers each request after a while of thinking.
async fn answer(stream: TcpStream, stopping: Stopping) -> io::Result<()> {
    let mut request = [0; 1024];
    // Between two requests the server's end is ours; in the middle of one it is not.
    while let Some(n) = stopping.unless(stream.read(&mut request)).await {
        let n = n?;
        if n == 0 {
            break;
        }
        time::sleep(Duration::from_millis(300)).await;
        stream.write_all(&request[..n]).await?;
    }
    Ok(())
}

async fn stop(mut signal: Signal) {
    if let Some(kind) = signal.recv().await {
        println!("{kind}: stopping");
    }
}

#[runtime::main]
async fn main() -> io::Result<()> {
    // Before anybody is told that the server is there: from here on a signal is not missed.
    let signal = signal::notify([SignalKind::interrupt(), SignalKind::terminate()])?;
    let address = env::args().nth(1);
    let listener = TcpListener::bind(address.as_deref().unwrap_or("127.0.0.1:7788")).await?;
    println!("listening on {}", listener.local_addr()?);

    net::serve(listener, |stream, _peer, stopping| answer(stream, stopping))
        .max_connections(10_000)
        .shutdown_on(stop(signal))
        .drain(Duration::from_secs(30))
        .await?;
    println!("all connections have ended");
    Ok(())
}
