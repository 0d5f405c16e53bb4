//! A TCP proxy: what comes in on one side goes out on the other, both ways, until both have
//! finished.
//!
//! `net::copy_bidirectional` passes on the half-close of either side, and holds a sender back whose
//! receiver is slow. A target that does not answer in three seconds is given up.
//!
//! Go: two goroutines with `io.Copy` and `CloseWrite` a connection.
//!
//! Run: `cargo run --release -p weftline-servers --bin proxy -- 127.0.0.1:9000 127.0.0.1:8080`,
//! then `curl http://127.0.0.1:9000/`.
#![forbid(unsafe_code)]

use std::io;
use std::sync::Arc;
use std::time::Duration;

use net::{Dialer, TcpListener, TcpStream};

// cookbook: proxy
async fn pass(mut client: TcpStream, target: Arc<str>) -> io::Result<()> {
    let mut server = Dialer::new()
        .timeout(Duration::from_secs(3))
        .connect(&*target)
        .await?;
    net::copy_bidirectional(&mut client, &mut server).await?;
    Ok(())
}
// cookbook: end

#[runtime::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let target: Arc<str> = servers::argument(2)
        .ok_or("usage: proxy ADDRESS TARGET")?
        .into();
    let stop = servers::until_asked_to_stop()?;
    let listener = TcpListener::bind(servers::address()).await?;
    servers::announce(listener.local_addr()?);

    net::serve(listener, move |client, _peer, _stopping| {
        pass(client, target.clone())
    })
    .on_error(servers::report)
    .max_connections(10_000)
    .shutdown_on(async move { stop.done().await })
    .drain(Duration::from_secs(10))
    .await?;
    Ok(())
}
