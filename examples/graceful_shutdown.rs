//! A server that stops without dropping anyone: it accepts nobody new, lets those finish who are there, and waits only so long.
//!
//! One context says "stop accepting"; a `WaitGroup` counts the connections; the last word has a deadline. (Here the server stops by itself,
//! once three clients are connected; in life a signal would cancel the context.)
//!
//! Go: `signal.NotifyContext`, `server.Shutdown(ctx)`.
//!
//! Run: `cargo run --release --example graceful_shutdown`
//!
//! Prints `stopping with 3 connections open`, `client …: answered after the stop` three times, and `all connections have ended`.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use net::{TcpListener, TcpStream};
use sync::context::{CancelFunc, Context};
use sync::{Semaphore, WaitGroup, select};

const CLIENTS: usize = 3;

/// Clients speak once the server has begun to stop.
static MAY_SPEAK: Semaphore = Semaphore::new(CLIENTS);

async fn serve(listener: TcpListener, stop: Context, connections: WaitGroup) -> io::Result<()> {
    loop {
        select! {
            accepted = listener.accept() => {
                let (stream, _) = accepted?;
                connections.spawn(echo(stream));
            }
            _ = stop.done() => return Ok(()), // the listener is dropped: nobody new
        }
    }
}

async fn echo(stream: TcpStream) -> io::Result<()> {
    let mut buffer = [0; 64];
    loop {
        match stream.read(&mut buffer).await? {
            0 => return Ok(()),
            n => stream.write_all(&buffer[..n]).await?,
        }
    }
}

async fn client(number: usize, server: SocketAddr, connected: WaitGroup) -> io::Result<()> {
    let stream = TcpStream::connect(server).await?;
    stream.write_all(b"hello").await?;
    let mut buffer = [0; 5];
    stream.read_exact(&mut buffer).await?; // so the server has accepted it
    connected.done();
    let _permit = MAY_SPEAK.acquire().await;
    stream.write_all(b"again").await?;
    stream.read_exact(&mut buffer).await?;
    assert_eq!(&buffer, b"again");
    println!("client {number}: answered after the stop");
    Ok(())
}

async fn shut_down(stop: CancelFunc, connections: &WaitGroup) {
    stop.cancel();
    println!("stopping with {CLIENTS} connections open");
    MAY_SPEAK.release(CLIENTS);
    let (patience, _cancel) = Context::background().with_timeout(Duration::from_secs(30));
    match patience.run(connections.wait()).await {
        Ok(()) => println!("all connections have ended"),
        Err(_) => println!("some did not end in time"),
    }
}

#[runtime::main]
async fn main() -> io::Result<()> {
    MAY_SPEAK.acquire_many(CLIENTS).await.forget();
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    let (stopping, stop) = Context::background().with_cancel();
    let (connections, connected) = (WaitGroup::new(), WaitGroup::new());
    let server = runtime::spawn(serve(listener, stopping, connections.clone()));

    connected.add(CLIENTS);
    let clients: Vec<_> = (0..CLIENTS)
        .map(|n| runtime::spawn(client(n, address, connected.clone())))
        .collect();
    connected.wait().await;
    shut_down(stop, &connections).await;
    for client in clients {
        client.await.expect("no client panics")?;
    }
    server.await.expect("the server does not panic")
}
