//! The load generator: one thread, one epoll, plain blocking-free sockets, the same for every
//! server.
//!
//! It runs in the child process, starts the server as a process beside it, and reads the server's
//! CPU time, context switches and memory from `/proc` just before and just after the part that
//! counts.
#![forbid(unsafe_code)]

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::proxy::TARGET;
use super::{bulk, burst};
use crate::counter::Counter;
use crate::meter::{high_water, pages};
use crate::options::Order;
use crate::sys::{self, Epoll, Event, READABLE, WRITABLE};

/// Runs the workload against the peer's server; the line to print.
pub(crate) fn run(order: &Order, size: usize) -> io::Result<Value> {
    sys::raise_file_limit();
    let name = order.workload.as_str();
    let kind = match name {
        "conn_mem_lazy" => "lazy",
        _ if name.starts_with("httpmin") => "httpmin",
        _ if name.starts_with("http") => "http",
        "proxy" | "udp" | "udp_batch" => name,
        _ => "echo",
    };
    // What a proxy connects to; nobody else looks at it.
    let target = sys::listen(0, false)?;
    let server = Server::start(kind, order, target.local_addr()?.port())?;
    let time = TIME.mul_f64(order.scale);
    match name {
        "proxy" => bulk::run(&server, &target, size, time),
        "udp" | "udp_batch" => burst::run(&server, size, time),
        "accept" => Accepts::new(&server)?.run(time),
        "conn_mem" | "conn_mem_lazy" => idle_memory(&server, size),
        _ if kind.starts_with("http") => {
            let request = b"GET / HTTP/1.1\r\nhost: localhost\r\n\r\n";
            let answer = http_answer(&server, request)?;
            Load::new(&server, size, request, answer)?.run(time)
        }
        _ => Load::new(&server, size, MESSAGE, ECHO)?.run(time),
    }
}

/// How long a load lasts at full scale: tens of thousands of exchanges. What differs is from run to
/// run, not within one.
const TIME: Duration = Duration::from_secs(1);

/// System calls are counted for no less: at both ends of the count some are on their way.
pub(super) const LEAST: Duration = Duration::from_millis(100);

/// The server process. It ends when its standard input does, at the latest when this process ends.
pub(super) struct Server {
    process: Child,
    _stdin: Option<ChildStdin>,
    port: u16,
}

impl Server {
    fn start(kind: &str, order: &Order, target: u16) -> io::Result<Server> {
        let (peer, workers) = (order.peer.as_str(), order.workers);
        let mut command = match std::env::var_os(GO_PROGRAM) {
            Some(go) if peer == "go" => {
                let mut command = Command::new(go);
                command.args(["serve", kind, &workers.to_string()]);
                command
            }
            _ => {
                let mut command = Command::new(std::env::current_exe()?);
                command.args(["--serve", kind, peer, &workers.to_string()]);
                command
            }
        };
        command.env(TARGET, target.to_string());
        let mut process = (command.stdin(Stdio::piped()).stdout(Stdio::piped())).spawn()?;
        let mut line = String::new();
        if let Some(stdout) = process.stdout.take() {
            BufReader::new(stdout).read_line(&mut line)?;
        }
        let port = (line.trim().parse())
            .map_err(|_| io::Error::other(format!("the server says no port but {line:?}")))?;
        Ok(Server {
            _stdin: process.stdin.take(),
            process,
            port,
        })
    }

    /// Where it serves.
    pub(super) fn port(&self) -> u16 {
        self.port
    }

    fn resident(&self) -> io::Result<usize> {
        let statm = std::fs::read_to_string(format!("/proc/{}/statm", self.process.id()))?;
        Ok(pages(&statm) * 4096)
    }

    /// The most memory it has had.
    fn peak_kb(&self) -> io::Result<Option<i64>> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.process.id()))?;
        Ok(high_water(&status))
    }

    /// CPU seconds and voluntary context switches until now, of all threads that still live.
    pub(super) fn usage(&self) -> io::Result<(f64, u64)> {
        let (mut cpu, mut switches) = (0.0, 0);
        for thread in std::fs::read_dir(format!("/proc/{}/task", self.process.id()))? {
            let path = thread?.path();
            let field = |text: String, at: usize| text.split_whitespace().nth(at)?.parse().ok();
            let schedstat = std::fs::read_to_string(path.join("schedstat"))?;
            cpu += field(schedstat, 0).unwrap_or(0_u64) as f64 / 1e9;
            let status = std::fs::read_to_string(path.join("status"))?;
            let line = (status.lines()).find(|line| line.starts_with("voluntary_ctxt_switches"));
            switches += line.and_then(|line| field(line.to_owned(), 1)).unwrap_or(0);
        }
        Ok((cpu, switches))
    }

    /// What the part that began at `before` cost the server.
    pub(super) fn cost(&self, before: (f64, u64), mut line: Value) -> io::Result<Value> {
        let after = self.usage()?;
        line["cpu_s"] = json!(after.0 - before.0);
        line["vcsw"] = json!(after.1.saturating_sub(before.1));
        line["peak_kb"] = json!(self.peak_kb()?);
        Ok(line)
    }
}

/// System calls an operation, counted over a part of its own, which `exchange` runs and whose
/// operations it returns.
pub(super) fn count_calls(
    server: &Server,
    mut line: Value,
    exchange: impl FnOnce() -> io::Result<f64>,
) -> io::Result<Value> {
    match Counter::start(server.process.id()) {
        Ok(counter) => {
            line["syscalls_by"] = json!(counter.name());
            let ops = exchange()?;
            let calls = counter.stop().map_err(io::Error::other)?;
            line["syscalls"] = json!(calls as f64 / ops.max(f64::MIN_POSITIVE));
        }
        Err(why) => line["syscalls_by"] = json!(format!("not counted: {why}")),
    }
    Ok(line)
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Where the Go program is, for the child.
pub(crate) const GO_PROGRAM: &str = "BENCHES_GO";

/// Connections with one request in flight on each.
struct Load<'a> {
    server: &'a Server,
    epoll: Epoll,
    connections: Vec<Connection>,
    request: &'a [u8],
    answer: Answer<'a>,
    latencies: Vec<u32>,
}

/// What comes back: so many bytes, of which the last are these.
#[derive(Clone, Copy)]
struct Answer<'a> {
    length: usize,
    end: &'a [u8],
}

struct Connection {
    stream: TcpStream,
    sent: Instant,
    left: usize,
}

impl<'a> Load<'a> {
    /// Connects, a few hundred at a time, each with one exchange, so that no accept queue
    /// overflows.
    fn new(
        server: &'a Server,
        n: usize,
        request: &'a [u8],
        answer: Answer<'a>,
    ) -> io::Result<Load<'a>> {
        let epoll = Epoll::new()?;
        let mut connections = Vec::with_capacity(n);
        while connections.len() < n {
            let from = connections.len();
            for token in from..n.min(from + 512) {
                let mut stream = TcpStream::connect(("127.0.0.1", server.port))?;
                stream.set_nodelay(true)?;
                sys::reset_on_close(&stream)?;
                stream.write_all(request)?;
                epoll.add(&stream, token, READABLE)?;
                connections.push(Connection {
                    stream,
                    sent: Instant::now(),
                    left: answer.length,
                });
            }
            for connection in &mut connections[from..] {
                connection.stream.read_exact(&mut vec![0; answer.length])?;
                connection.stream.set_nonblocking(true)?;
            }
        }
        Ok(Load {
            server,
            epoll,
            connections,
            request,
            answer,
            latencies: Vec::with_capacity(1 << 20),
        })
    }

    /// A warm-up of a tenth, then the part that counts.
    fn run(mut self, time: Duration) -> io::Result<Value> {
        for connection in &mut self.connections {
            connection.sent = Instant::now();
            connection.stream.write_all(self.request)?;
        }
        self.exchange(time / 10)?;
        self.latencies.clear();
        let before = self.server.usage()?;
        let wall = self.exchange(time)?;
        let ops = self.latencies.len();
        self.latencies.sort_unstable();
        let us = |quantile: f64| {
            let at = (ops.saturating_sub(1) as f64 * quantile).ceil() as usize;
            self.latencies.get(at).map(|ns| f64::from(*ns) / 1e3)
        };
        let line = json!({
            "wall_ns": wall.as_nanos() as u64,
            "ops": ops,
            "p50_us": us(0.5),
            "p99_us": us(0.99),
            "p999_us": us(0.999),
        });
        let server = self.server;
        let line = server.cost(before, line)?;
        self.latencies.clear();
        count_calls(server, line, || {
            self.exchange((time / 10).max(LEAST))?;
            Ok(self.latencies.len() as f64)
        })
    }

    fn exchange(&mut self, time: Duration) -> io::Result<Duration> {
        let start = Instant::now();
        let mut events = sys::events(1024);
        let mut now = start;
        while now - start < time {
            let n = self.epoll.wait(&mut events, 1000)?;
            now = Instant::now();
            for event in &events[..n] {
                self.answered(event, now)?;
            }
        }
        Ok(start.elapsed())
    }

    fn answered(&mut self, event: &Event, now: Instant) -> io::Result<()> {
        let mut buffer = [0; 1024];
        let connection = &mut self.connections[event.u64 as usize];
        let n = connection.stream.read(&mut buffer[..connection.left])?;
        if n == 0 {
            return Err(io::Error::other("the server closed a connection"));
        }
        if !fits(self.answer.end, connection.left, &buffer[..n]) {
            return Err(io::Error::other("the server sent something else"));
        }
        connection.left -= n;
        if connection.left > 0 {
            return Ok(());
        }
        let latency = now.saturating_duration_since(connection.sent).as_nanos();
        (self.latencies).push(u32::try_from(latency).unwrap_or(u32::MAX));
        connection.left = self.answer.length;
        connection.sent = Instant::now();
        connection.stream.write_all(self.request)
    }
}

/// What is sent to an echo server: 64 bytes, no two alike.
const MESSAGE: &[u8] = b"0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ+/";

/// The same comes back.
const ECHO: Answer<'static> = Answer {
    length: MESSAGE.len(),
    end: MESSAGE,
};

/// Whether `got` is what should come when `left` bytes of an answer with this end have still to
/// come.
fn fits(end: &[u8], left: usize, got: &[u8]) -> bool {
    let before_end = left.saturating_sub(end.len()).min(got.len());
    let got = &got[before_end..];
    let at = end.len().saturating_sub(left);
    end.get(at..at + got.len()) == Some(got)
}

/// What comes back for the request.
fn http_answer(server: &Server, request: &[u8]) -> io::Result<Answer<'static>> {
    const END: &[u8] = b"Hello, World!";
    let mut stream = TcpStream::connect(("127.0.0.1", server.port))?;
    sys::reset_on_close(&stream)?;
    stream.write_all(request)?;
    let mut answer = Vec::new();
    while !answer.ends_with(END) {
        let mut buffer = [0; 1024];
        let n = stream.read(&mut buffer)?;
        if n == 0 {
            return Err(io::Error::other("the server closed the connection"));
        }
        answer.extend(&buffer[..n]);
    }
    Ok(Answer {
        length: answer.len(),
        end: END,
    })
}

/// 64 at a time: connect, one byte there and back, close.
struct Accepts<'a> {
    server: &'a Server,
    epoll: Epoll,
    slots: Vec<(TcpStream, bool)>,
    done: usize,
}

impl<'a> Accepts<'a> {
    fn new(server: &'a Server) -> io::Result<Accepts<'a>> {
        let epoll = Epoll::new()?;
        let mut slots = Vec::new();
        for token in 0..64 {
            slots.push(open(&epoll, token, server.port)?);
        }
        Ok(Accepts {
            server,
            epoll,
            slots,
            done: 0,
        })
    }

    fn run(mut self, time: Duration) -> io::Result<Value> {
        self.exchange(time / 10)?;
        self.done = 0;
        let before = self.server.usage()?;
        let wall = self.exchange(time)?;
        let line = json!({ "wall_ns": wall.as_nanos() as u64, "ops": self.done });
        let server = self.server;
        let line = server.cost(before, line)?;
        self.done = 0;
        count_calls(server, line, || {
            self.exchange((time / 10).max(LEAST))?;
            Ok(self.done as f64)
        })
    }

    fn exchange(&mut self, time: Duration) -> io::Result<Duration> {
        let start = Instant::now();
        let mut events = sys::events(256);
        while start.elapsed() < time {
            let n = self.epoll.wait(&mut events, 1000)?;
            for event in &events[..n] {
                self.step(event.u64 as usize)?;
            }
        }
        Ok(start.elapsed())
    }

    fn step(&mut self, token: usize) -> io::Result<()> {
        let (stream, connected) = &mut self.slots[token];
        if !*connected {
            *connected = true;
            stream.write_all(b"x")?;
            return self.epoll.modify(stream, token, READABLE);
        }
        if stream.read(&mut [0])? != 1 {
            return Err(io::Error::other("the server closed a connection"));
        }
        self.done += 1;
        self.slots[token] = open(&self.epoll, token, self.server.port)?;
        Ok(())
    }
}

fn open(epoll: &Epoll, token: usize, port: u16) -> io::Result<(TcpStream, bool)> {
    let stream = sys::connect(port)?;
    sys::reset_on_close(&stream)?;
    epoll.add(&stream, token, WRITABLE)?;
    Ok((stream, false))
}

/// `n` idle connections after one echo of 64 bytes: growth of the server's resident memory.
fn idle_memory(server: &Server, n: usize) -> io::Result<Value> {
    let _warm = Load::new(server, 100, MESSAGE, ECHO)?;
    let before = server.resident()?;
    let usage = server.usage()?;
    let start = Instant::now();
    let _idle = Load::new(server, n, MESSAGE, ECHO)?;
    let wall = start.elapsed();
    let bytes = server.resident()?.saturating_sub(before);
    let line = json!({
        "wall_ns": wall.as_nanos() as u64,
        "ops": n,
        "bytes": bytes as f64 / n as f64,
    });
    server.cost(usage, line)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_compared_wherever_it_is_cut() {
        let answer = b"head: 123\n\nthe end";
        let end = b"the end";
        for from in 0..answer.len() {
            for to in from..=answer.len() {
                let mut got = answer[from..to].to_vec();
                assert!(fits(end, answer.len() - from, &got), "{from}..{to}");
                if to > answer.len() - end.len() && to > from {
                    *got.last_mut().expect("not empty") ^= 1;
                    assert!(!fits(end, answer.len() - from, &got), "{from}..{to}");
                }
            }
        }
    }
}
