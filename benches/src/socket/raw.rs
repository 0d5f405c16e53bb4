//! The limit: level-triggered epoll loops with nothing in between, one thread or several with
//! SO_REUSEPORT.
#![forbid(unsafe_code)]

use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};

use super::serve::announce;
use super::{HELLO, requests};
use crate::sys::{self, Epoll, READABLE};

/// Serves with so many threads.
pub(crate) fn serve(kind: &str, threads: usize) -> io::Result<()> {
    let http = match kind {
        "echo" => false,
        "httpmin" => true,
        _ => return Err(io::Error::other(format!("no server {kind}"))),
    };
    let listener = sys::listen(0, threads > 1)?;
    let port = listener.local_addr()?.port();
    for _ in 1..threads {
        let listener = sys::listen(port, true)?;
        std::thread::spawn(move || Server::new(listener, http).and_then(|mut s| s.run()));
    }
    let mut first = Server::new(listener, http)?;
    announce(port)?;
    first.run()
}

struct Server {
    epoll: Epoll,
    listener: TcpListener,
    connections: Vec<Option<Connection>>,
    http: bool,
}

struct Connection {
    stream: TcpStream,
    seen: usize,
}

/// The listener's token; connections are named by their descriptor.
const LISTENER: usize = usize::MAX;

impl Server {
    fn new(listener: TcpListener, http: bool) -> io::Result<Server> {
        listener.set_nonblocking(true)?;
        let epoll = Epoll::new()?;
        epoll.add(&listener, LISTENER, READABLE)?;
        Ok(Server {
            epoll,
            listener,
            connections: Vec::new(),
            http,
        })
    }

    fn run(&mut self) -> io::Result<()> {
        let mut events = sys::events(1024);
        let mut buffer = [0; 1024];
        loop {
            let n = self.epoll.wait(&mut events, -1)?;
            for event in &events[..n] {
                match event.u64 as usize {
                    LISTENER => self.accept()?,
                    token => self.answer(token, &mut buffer),
                }
            }
        }
    }

    fn accept(&mut self) -> io::Result<()> {
        use std::os::fd::AsRawFd;
        loop {
            let stream = match self.listener.accept() {
                Ok((stream, _)) => stream,
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(e) => return Err(e),
            };
            stream.set_nonblocking(true)?;
            stream.set_nodelay(true)?;
            let token = stream.as_raw_fd() as usize;
            self.epoll.add(&stream, token, READABLE)?;
            if self.connections.len() <= token {
                self.connections.resize_with(token + 1, || None);
            }
            self.connections[token] = Some(Connection { stream, seen: 0 });
        }
    }

    /// One read, one write; what does not fit into the socket's buffer at once is more than this
    /// workload sends.
    fn answer(&mut self, token: usize, buffer: &mut [u8]) {
        let Some(connection) = &mut self.connections[token] else {
            return;
        };
        let open = match connection.stream.read(buffer) {
            Ok(0) => false,
            Ok(n) if self.http => (0..requests(&buffer[..n], &mut connection.seen))
                .all(|_| connection.stream.write_all(HELLO).is_ok()),
            Ok(n) => connection.stream.write_all(&buffer[..n]).is_ok(),
            Err(e) => e.kind() == io::ErrorKind::WouldBlock,
        };
        if !open {
            self.connections[token] = None;
        }
    }
}
