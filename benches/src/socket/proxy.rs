//! A TCP proxy, with each runtime's own way to copy between two sockets, and the raw loop that is
//! their limit.
//!
//! What comes in on one side goes out on the other, and an end is passed on. Weftline and Go
//! splice, without being told to.
#![forbid(unsafe_code)]

use std::io;
use std::net::{Ipv4Addr, Shutdown, TcpStream};
use std::os::fd::OwnedFd;

use super::Net;
use super::serve::announce;
use crate::rt::smol::Smol;
use crate::rt::tokio::Tokio;
use crate::rt::weftline::Weftline;
use crate::sys::{self, EDGE, Epoll, READABLE, WRITABLE};

/// Names the port behind the proxy, for its process.
pub(crate) const TARGET: &str = "BENCHES_TARGET";

/// What a proxy asks of a runtime's sockets.
pub(crate) trait Relay: Net {
    /// Connects to a port of this machine, with Nagle's algorithm off.
    fn connect(port: u16) -> impl Future<Output = io::Result<Self::Stream>> + Send;

    /// Copies both ways until both have ended.
    fn relay(a: Self::Stream, b: Self::Stream) -> impl Future<Output = io::Result<()>> + Send;
}

/// Serves a connection.
pub(crate) async fn proxy<N: Relay>(client: N::Stream) -> io::Result<()> {
    N::relay(client, N::connect(target()?).await?).await
}

fn target() -> io::Result<u16> {
    let port = std::env::var(TARGET).map_err(io::Error::other)?;
    port.parse().map_err(io::Error::other)
}

impl Relay for Weftline {
    async fn connect(port: u16) -> io::Result<net::TcpStream> {
        net::TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await
    }

    async fn relay(mut a: net::TcpStream, mut b: net::TcpStream) -> io::Result<()> {
        net::copy_bidirectional(&mut a, &mut b).await.map(drop)
    }
}

impl Relay for Tokio {
    async fn connect(port: u16) -> io::Result<tokio::net::TcpStream> {
        let stream = tokio::net::TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await?;
        stream.set_nodelay(true)?;
        Ok(stream)
    }

    async fn relay(mut a: tokio::net::TcpStream, mut b: tokio::net::TcpStream) -> io::Result<()> {
        let copied = tokio::io::copy_bidirectional(&mut a, &mut b).await;
        copied.map(drop)
    }
}

impl Relay for Smol {
    async fn connect(port: u16) -> io::Result<Self::Stream> {
        let stream = smol::Async::<TcpStream>::connect((Ipv4Addr::LOCALHOST, port)).await?;
        stream.get_ref().set_nodelay(true)?;
        Ok(stream)
    }

    async fn relay(a: Self::Stream, b: Self::Stream) -> io::Result<()> {
        let one_way = async |from: &Self::Stream, to: &Self::Stream| {
            smol::io::copy(from, to).await?;
            to.get_ref().shutdown(Shutdown::Write)
        };
        let (there, back) = (one_way(&a, &b), one_way(&b, &a));
        smol::future::try_zip(there, back).await.map(drop)
    }
}

/// One thread, one epoll, a pipe a direction.
pub(crate) fn raw() -> io::Result<()> {
    let target = target()?;
    let listener = sys::listen(0, false)?;
    let port = listener.local_addr()?.port();
    listener.set_nonblocking(true)?;
    let epoll = Epoll::new()?;
    epoll.add(&listener, LISTENER, READABLE)?;
    announce(port)?;
    let mut pairs: Vec<Option<Pair>> = Vec::new();
    let mut events = sys::events(1024);
    loop {
        let n = epoll.wait(&mut events, -1)?;
        for event in &events[..n] {
            match event.u64 as usize {
                LISTENER => {
                    let (client, _) = listener.accept()?;
                    let pair = Pair::new(client, target)?;
                    for end in &pair.ends {
                        epoll.add(end, pairs.len(), READABLE | WRITABLE | EDGE)?;
                    }
                    pairs.push(Some(pair));
                }
                token => {
                    // A connection that breaks is the client's affair.
                    if pairs[token].as_mut().is_some_and(|pair| !pair.goes_on()) {
                        pairs[token] = None;
                    }
                }
            }
        }
    }
}

const LISTENER: usize = usize::MAX;

/// Bytes that a pipe holds; what Weftline asks for as well.
const PIPE: usize = 256 * 1024;

struct Pair {
    ends: [TcpStream; 2],
    ways: [Way; 2],
}

struct Way {
    pipe: [OwnedFd; 2],
    /// Bytes in the pipe.
    held: usize,
    ended: bool,
    told: bool,
}

impl Pair {
    fn new(client: TcpStream, target: u16) -> io::Result<Pair> {
        let ends = [client, TcpStream::connect((Ipv4Addr::LOCALHOST, target))?];
        for end in &ends {
            end.set_nonblocking(true)?;
            end.set_nodelay(true)?;
        }
        Ok(Pair {
            ends,
            ways: [Way::new()?, Way::new()?],
        })
    }

    /// Moves what can be moved, both ways; `false` when there is no more to come.
    fn goes_on(&mut self) -> bool {
        let [a, b] = &self.ends;
        let [there, back] = &mut self.ways;
        let moved = there.pump(a, b).and_then(|()| back.pump(b, a));
        moved.is_ok() && !(there.told && back.told)
    }
}

impl Way {
    fn new() -> io::Result<Way> {
        Ok(Way {
            pipe: sys::pipe(PIPE as i32)?,
            held: 0,
            ended: false,
            told: false,
        })
    }

    /// Until neither end lets anything through: then an edge will tell.
    fn pump(&mut self, from: &TcpStream, to: &TcpStream) -> io::Result<()> {
        let mut moving = true;
        while moving {
            moving = false;
            if !self.ended && self.held < PIPE {
                match now(sys::splice(from, &self.pipe[1], PIPE - self.held))? {
                    Some(0) => self.ended = true,
                    Some(n) => {
                        self.held += n;
                        moving = true;
                    }
                    None => {}
                }
            }
            if self.held > 0
                && let Some(n) = now(sys::splice(&self.pipe[0], to, self.held))?
            {
                self.held -= n;
                moving = true;
            }
        }
        if self.ended && self.held == 0 && !self.told {
            self.told = true;
            to.shutdown(Shutdown::Write)?;
        }
        Ok(())
    }
}

/// Nothing where it would block.
fn now(moved: io::Result<usize>) -> io::Result<Option<usize>> {
    match moved {
        Ok(n) => Ok(Some(n)),
        Err(e) if e.kind() == io::ErrorKind::WouldBlock => Ok(None),
        Err(e) => Err(e),
    }
}
