//! The load of a UDP echo: a fixed number of datagrams under way, sent and received by the batch,
//! so that the generator is not the limit.
//!
//! Each carries a number, and comes back in its turn: on one machine nothing is lost or overtaken
//! while the sockets' buffers suffice.
#![forbid(unsafe_code)]

use std::io;
use std::net::UdpSocket;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::load::{LEAST, Server, count_calls};
use crate::mmsg::{AT_ONCE, Burst};

/// Bytes of a datagram, as many as of a message of the TCP echo.
const SIZE: usize = 64;

/// Runs with so many datagrams under way.
pub(super) fn run(server: &Server, under_way: usize, time: Duration) -> io::Result<Value> {
    let socket = UdpSocket::bind("127.0.0.1:0")?;
    socket.connect(("127.0.0.1", server.port()))?;
    socket.set_read_timeout(Some(Duration::from_secs(1)))?;
    let mut load = Load {
        socket,
        burst: Burst::new(SIZE),
        sent: 0,
        received: 0,
    };
    while (load.sent as usize) < under_way {
        load.send(AT_ONCE.min(under_way - load.sent as usize))?;
    }
    load.exchange(time / 10)?;
    let before = (load.received, server.usage()?);
    let wall = load.exchange(time)?;
    let ops = load.received - before.0;
    let line = json!({ "wall_ns": wall.as_nanos() as u64, "ops": ops });
    let line = server.cost(before.1, line)?;
    count_calls(server, line, || {
        let before = load.received;
        load.exchange((time / 10).max(LEAST))?;
        Ok((load.received - before) as f64)
    })
}

struct Load {
    socket: UdpSocket,
    burst: Burst,
    sent: u64,
    received: u64,
}

impl Load {
    fn exchange(&mut self, time: Duration) -> io::Result<Duration> {
        let start = Instant::now();
        while start.elapsed() < time {
            let n = self.receive()?;
            self.send(n)?;
        }
        Ok(start.elapsed())
    }

    fn receive(&mut self) -> io::Result<usize> {
        let n = self.burst.receive(&self.socket)?;
        for datagram in self.burst.iter() {
            if datagram.len() != SIZE || datagram[..8] != self.received.to_le_bytes() {
                return Err(io::Error::other(
                    "a datagram was lost, changed or overtaken",
                ));
            }
            self.received += 1;
        }
        Ok(n)
    }

    fn send(&mut self, n: usize) -> io::Result<()> {
        let sent = &mut self.sent;
        self.burst.fill(n, |place| {
            place[..8].copy_from_slice(&sent.to_le_bytes());
            *sent += 1;
        });
        self.burst.send(&self.socket, false)
    }
}
