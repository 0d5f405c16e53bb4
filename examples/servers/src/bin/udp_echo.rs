//! UDP echo: each datagram goes back to where it came from, as it was.
//!
//! One task does it all: a datagram is received and sent without waiting for anyone. A datagram
//! that cannot be sent (its sender is gone, its port is closed) is nobody's loss.
//!
//! Go: `conn.ReadFromUDP`, `conn.WriteToUDP` in a loop.
//!
//! Run: `cargo run --release -p weftline-servers --bin udp_echo -- 127.0.0.1:7007`, then
//! `echo hello | socat - UDP:127.0.0.1:7007`.
#![forbid(unsafe_code)]

use std::io;

use net::UdpSocket;
use sync::select;

/// The largest datagram there is.
const LARGEST: usize = 65_535;

// cookbook: udp
async fn echo(socket: &UdpSocket) -> io::Result<()> {
    let mut buffer = vec![0; LARGEST];
    loop {
        // An error here may be the echo of a datagram that nobody took: it concerns that one alone.
        if let Ok((n, peer)) = socket.recv_from(&mut buffer).await {
            let _ = socket.send_to(&buffer[..n], peer).await;
        }
    }
}
// cookbook: end

#[runtime::main]
async fn main() -> io::Result<()> {
    let stop = servers::until_asked_to_stop()?;
    let socket = UdpSocket::bind(servers::address()).await?;
    servers::announce(socket.local_addr()?);
    select! {
        ended = echo(&socket) => ended,
        _ = stop.done() => Ok(()),
    }
}
