//! An accept loop with everything that a server on the open network needs: a limit, an end, and patience with those who are there.
//!
//! `net::hyper::serve` does the same for HTTP.
#![forbid(unsafe_code)]

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use net::{TcpListener, TcpStream};
use sync::context::Context;
use sync::{Semaphore, WaitGroup, select};

/// How many connections at once, and how long they may go on after the end has come.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Connections at once; more wait in the backlog.
    pub connections: usize,
    /// From the stop to the cut.
    pub drain: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 10_000,
            drain: Duration::from_secs(10),
        }
    }
}

// cookbook: loop
/// Runs `handle` for each connection, in a task of its own, until `stop` is done; then waits for those that are left.
///
/// The handler's context is done when the server has lost patience.
pub async fn serve_each<H, R>(
    listener: TcpListener,
    stop: Context,
    limits: Limits,
    handle: H,
) -> io::Result<()>
where
    H: Fn(TcpStream, SocketAddr, Context) -> R,
    R: Future<Output = io::Result<()>> + Send + 'static,
{
    let room = Arc::new(Semaphore::new(limits.connections));
    let connections = WaitGroup::new();
    let (patience, out_of_patience) = Context::background().with_cancel();
    loop {
        // Room first: who is accepted is served.
        let place = select! {
            place = Arc::clone(&room).acquire_owned() => place,
            _ = stop.done() => break,
        };
        let (stream, peer) = select! {
            accepted = listener.accept() => accepted?,
            _ = stop.done() => break,
        };
        let handled = handle(stream, peer, patience.clone());
        let limit = patience.clone();
        connections.spawn(async move {
            let _place = place;
            if let Ok(Err(error)) = limit.run(handled).await {
                // A client that hangs up in the middle is not worth a line.
                if error.kind() != io::ErrorKind::ConnectionReset {
                    eprintln!("{peer}: {error}");
                }
            }
        });
    }
    drop(listener); // nobody new
    let (time, _cancel) = Context::background().with_timeout(limits.drain);
    let _ = time.run(connections.wait()).await;
    out_of_patience.cancel();
    connections.wait().await;
    Ok(())
}
// cookbook: end
