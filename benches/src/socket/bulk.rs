//! The load of a proxy: connections through it that are written to as fast as they take it, and
//! read at their other end.
//!
//! Both ends are here, on one thread. What arrives is compared with what was sent, every byte of
//! it, which costs a hundredth of moving it.
#![forbid(unsafe_code)]

use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::load::{LEAST, Server, count_calls};
use crate::sys::{self, Epoll, READABLE, WRITABLE};

/// Bytes a call, and the period of what is sent.
const CHUNK: usize = 128 * 1024;

const MIB: f64 = 1024.0 * 1024.0;

/// Connections through a server that runs already; `target` is what it connects to.
pub(super) fn run(
    server: &Server,
    target: &TcpListener,
    n: usize,
    time: Duration,
) -> io::Result<Value> {
    let mut bulk = Bulk::new(server, target, n)?;
    bulk.exchange(time / 10)?;
    bulk.moved = 0;
    let before = server.usage()?;
    let wall = bulk.exchange(time)?;
    let line = json!({ "wall_ns": wall.as_nanos() as u64, "ops": bulk.moved as f64 / MIB });
    let line = server.cost(before, line)?;
    bulk.moved = 0;
    count_calls(server, line, || {
        bulk.exchange((time / 10).max(LEAST))?;
        Ok(bulk.moved as f64 / MIB)
    })
}

struct Bulk {
    epoll: Epoll,
    /// Written to at even places, read at the odd ones that follow.
    ends: Vec<End>,
    /// As often as it takes, so that a chunk from any place of the first is there in one piece.
    pattern: Vec<u8>,
    buffer: Vec<u8>,
    moved: usize,
}

struct End {
    stream: TcpStream,
    /// Bytes so far.
    at: usize,
}

impl Bulk {
    fn new(server: &Server, target: &TcpListener, n: usize) -> io::Result<Bulk> {
        let epoll = Epoll::new()?;
        let mut ends = Vec::new();
        for _ in 0..n {
            let sender = TcpStream::connect(("127.0.0.1", server.port()))?;
            let (receiver, _) = target.accept()?;
            for (stream, interest) in [(sender, WRITABLE), (receiver, READABLE)] {
                stream.set_nonblocking(true)?;
                epoll.add(&stream, ends.len(), interest)?;
                ends.push(End { stream, at: 0 });
            }
        }
        // 251 has no divisor in common with the sizes of buffers: what is lost or moved about is
        // seen.
        let pattern = (0..2 * CHUNK).map(|i| (i % CHUNK % 251) as u8).collect();
        Ok(Bulk {
            epoll,
            ends,
            pattern,
            buffer: vec![0; CHUNK],
            moved: 0,
        })
    }

    fn exchange(&mut self, time: Duration) -> io::Result<Duration> {
        let start = Instant::now();
        let mut events = sys::events(64);
        while start.elapsed() < time {
            let n = self.epoll.wait(&mut events, 1000)?;
            if n == 0 {
                return Err(io::Error::other("nothing has moved for a second"));
            }
            for event in &events[..n] {
                let place = event.u64 as usize;
                match place % 2 {
                    0 => self.write(place)?,
                    _ => self.read(place)?,
                }
            }
        }
        Ok(start.elapsed())
    }

    fn write(&mut self, place: usize) -> io::Result<()> {
        let end = &mut self.ends[place];
        let from = end.at % CHUNK;
        end.at += end.stream.write(&self.pattern[from..from + CHUNK])?;
        Ok(())
    }

    fn read(&mut self, place: usize) -> io::Result<()> {
        let end = &mut self.ends[place];
        let n = end.stream.read(&mut self.buffer)?;
        let from = end.at % CHUNK;
        if n == 0 || self.buffer[..n] != self.pattern[from..from + n] {
            return Err(io::Error::other("the proxy passed on something else"));
        }
        end.at += n;
        self.moved += n;
        Ok(())
    }
}
