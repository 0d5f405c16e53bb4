//! The load: a client process holds its share of the connections, and works through them phase by
//! phase.
//!
//! A few tasks, the *drivers*, share the connections out among themselves. In each phase a driver
//! takes its connections one after the other and waits for the answer of each before it turns to
//! the next. So as many connections are busy at once as there are drivers: connects cannot flood
//! the server's queue of the not yet accepted, and latency is that of a bounded load.
//!
//! Opening a connection includes message 0, there and back: only then has the server accepted it
//! and given it a task.
#![forbid(unsafe_code)]

use std::collections::BTreeMap;
use std::future::Future;
use std::io::{self, ErrorKind};
use std::net::{Ipv4Addr, Shutdown, SocketAddr};
use std::process::ExitCode;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use net::{Dialer, TcpStream};
use runtime::time::{sleep, timeout};

use crate::control::{self, say};
use crate::latency::Latency;
use crate::message::{self, message};
use crate::options::ClientJob;

/// How long one step of one connection may take before it counts as failed. Generous: a busy
/// machine is not an error.
const PATIENCE: Duration = Duration::from_secs(10);

/// What remains of the patience with a server that does not answer at all. Each step without an
/// answer takes three quarters of it away, and an answer brings it back: a server that hangs shall
/// not cost ten seconds for each of its connections.
const LAST_PATIENCE: Duration = Duration::from_millis(50);

/// How often a client tells the parent how far it is.
const PROGRESS: Duration = Duration::from_millis(100);

/// Connections of this process that are through with the current phase. Only shown to people, hence
/// `Relaxed`.
static THROUGH: AtomicU64 = AtomicU64::new(0);

/// One connection; without a stream before it is opened, and after it has failed.
struct Connection {
    id: u64,
    stream: Option<TcpStream>,
}

/// A task's share of the connections, and what it has seen in the current phase.
struct Driver {
    server: SocketAddr,
    per_source: usize,
    connections: Vec<Connection>,
    patience: Duration,
    seen: Tally,
}

/// What happened to connections in one phase.
struct Tally {
    ok: u64,
    failed: u64,
    wrong: u64,
    latency: Latency,
    errors: BTreeMap<(i32, String), u64>,
}

/// How a step of a connection can fail.
enum Fault {
    Io(&'static str, io::Error),
    NoAnswer(&'static str),
    WrongBytes,
}

/// What the parent may order.
#[derive(Clone, Copy)]
enum Phase {
    Connect,
    Round(u64),
    Close,
}

impl Driver {
    async fn drive(mut self, phase: Phase) -> Self {
        self.seen = Tally::new();
        let mut connections = std::mem::take(&mut self.connections);
        for connection in &mut connections {
            // Taken out for the step: a connection that fails is closed there and then.
            match (phase, connection.stream.take()) {
                (Phase::Connect, _) => connection.stream = self.open(connection.id).await,
                (_, None) => continue,
                (Phase::Round(n), Some(stream)) => {
                    connection.stream = self.round(connection.id, n, stream).await;
                }
                (Phase::Close, Some(stream)) => {
                    let closed = within(self.patience, "closing", close(&stream)).await;
                    self.note(closed);
                }
            }
            THROUGH.fetch_add(1, Ordering::Relaxed);
        }
        self.connections = connections;
        self
    }

    async fn open(&mut self, id: u64) -> Option<TcpStream> {
        let mut dialer = Dialer::new();
        if let Some(source) = source(id as usize, self.per_source) {
            dialer.local_addr(source);
        }
        let opened = within(self.patience, "connecting", async {
            let stream = dialer
                .connect(self.server)
                .await
                .map_err(|e| Fault::Io("connecting", e))?;
            exchange(&stream, id, 0).await?;
            Ok(stream)
        });
        let opened = opened.await;
        self.note(opened)
    }

    /// Counts the outcome of a step, and draws the lesson for the next; what the step made, if it
    /// went well.
    fn note<T>(&mut self, outcome: Result<T, Fault>) -> Option<T> {
        match outcome {
            Ok(_) => self.patience = PATIENCE,
            Err(Fault::NoAnswer(_)) => self.patience = (self.patience / 4).max(LAST_PATIENCE),
            Err(_) => {}
        }
        self.seen.note(outcome)
    }

    async fn round(&mut self, id: u64, n: u64, stream: TcpStream) -> Option<TcpStream> {
        let start = Instant::now();
        let answered = within(self.patience, "echo", exchange(&stream, id, n)).await;
        let took = start.elapsed();
        self.note(answered)?;
        self.seen.latency.record(took);
        Some(stream)
    }
}

/// Sends message `n` and compares what comes back.
async fn exchange(stream: &TcpStream, id: u64, n: u64) -> Result<(), Fault> {
    let sent = message(id, n);
    let mut got = [0; message::LENGTH];
    stream
        .write_all(&sent)
        .await
        .map_err(|e| Fault::Io("sending", e))?;
    stream
        .read_exact(&mut got)
        .await
        .map_err(|e| Fault::Io("receiving", e))?;
    if got == sent {
        Ok(())
    } else {
        Err(Fault::WrongBytes)
    }
}

/// Says that nothing more will be sent, and waits for the server to say the same: no byte may come
/// any more.
async fn close(stream: &TcpStream) -> Result<(), Fault> {
    stream
        .shutdown(Shutdown::Write)
        .map_err(|e| Fault::Io("closing", e))?;
    match stream.read(&mut [0; 1]).await {
        Ok(0) => Ok(()),
        Ok(_) => Err(Fault::WrongBytes),
        Err(error) => Err(Fault::Io("closing", error)),
    }
}

async fn within<T>(
    patience: Duration,
    what: &'static str,
    step: impl Future<Output = Result<T, Fault>>,
) -> Result<T, Fault> {
    match timeout(patience, step).await {
        Ok(result) => result,
        Err(_elapsed) => Err(Fault::NoAnswer(what)),
    }
}

/// The source address of a connection: 127.1.0.1 for the first `per_source`, 127.1.0.2 for the
/// next, and so on.
///
/// The port is the system's choice; each address has its own set of them.
fn source(id: usize, per_source: usize) -> Option<SocketAddr> {
    let n = id.checked_div(per_source)?;
    // 250 addresses in each of 250 networks: .0 and .255 mean something else in places.
    let address = Ipv4Addr::new(
        127,
        1 + (n / 62_500) as u8,
        (n / 250 % 250) as u8,
        1 + (n % 250) as u8,
    );
    Some(SocketAddr::from((address, 0)))
}

impl Tally {
    fn new() -> Self {
        Self {
            ok: 0,
            failed: 0,
            wrong: 0,
            latency: Latency::new(),
            errors: BTreeMap::new(),
        }
    }

    /// Counts the outcome of a step; what the step made, if it went well.
    fn note<T>(&mut self, outcome: Result<T, Fault>) -> Option<T> {
        match outcome {
            Ok(made) => {
                self.ok += 1;
                return Some(made);
            }
            Err(Fault::WrongBytes) => self.wrong += 1,
            Err(Fault::Io(what, error)) => self.count(control::describe(what, &error)),
            Err(Fault::NoAnswer(what)) => {
                self.count((0, format!("{what}: the server does not answer")))
            }
        }
        self.failed += 1;
        None
    }

    fn count(&mut self, error: (i32, String)) {
        *self.errors.entry(error).or_default() += 1;
    }

    fn add(&mut self, other: &Self) {
        self.ok += other.ok;
        self.failed += other.failed;
        self.wrong += other.wrong;
        self.latency.merge(&other.latency);
        for (kind, count) in &other.errors {
            *self.errors.entry(kind.clone()).or_default() += count;
        }
    }

    fn say(&self) {
        for ((errno, text), count) in &self.errors {
            say(format_args!("error {count} {errno} {text}"));
        }
        if self.latency.max().is_some() {
            say(format_args!("latency {}", self.latency.to_line()));
        }
        say(format_args!(
            "done {} {} {}",
            self.ok, self.failed, self.wrong
        ));
    }
}

impl Phase {
    fn from_order(order: &str) -> Option<Self> {
        match order.split_once(' ') {
            None if order == "connect" => Some(Self::Connect),
            None if order == "close" => Some(Self::Close),
            Some(("round", n)) => Some(Self::Round(n.parse().ok()?)),
            _ => None,
        }
    }
}

/// Deals the connections out to the drivers.
fn drivers(job: &ClientJob) -> Vec<Driver> {
    let count = job.in_flight.min(job.count);
    let mut drivers: Vec<_> = (0..count)
        .map(|_| Driver {
            server: job.address,
            per_source: job.per_source,
            connections: Vec::with_capacity(job.count.div_ceil(count)),
            patience: PATIENCE,
            seen: Tally::new(),
        })
        .collect();
    for n in 0..job.count {
        let id = (job.first + n) as u64;
        drivers[n % count]
            .connections
            .push(Connection { id, stream: None });
    }
    drivers
}

/// Runs one phase on all drivers at once, and tells the parent what came of it.
async fn run_phase(drivers: &mut Vec<Driver>, phase: Phase) {
    THROUGH.store(0, Ordering::Relaxed);
    let progress = runtime::spawn(async {
        loop {
            sleep(PROGRESS).await;
            say(format_args!("progress {}", THROUGH.load(Ordering::Relaxed)));
        }
    });
    let running: Vec<_> = drivers
        .drain(..)
        .map(|driver| runtime::spawn(driver.drive(phase)))
        .collect();
    let mut all = Tally::new();
    for driver in running {
        let driver = driver.await.expect("a driver does not panic");
        all.add(&driver.seen);
        drivers.push(driver);
    }
    progress.abort();
    // Waited for, so that no `progress` comes after `done`.
    let _ = progress.await;
    all.say();
}

/// A client process: does what the parent orders until it lets go.
pub(crate) fn run(job: ClientJob) -> ExitCode {
    runtime::block_on(async {
        let orders = control::orders();
        let mut drivers = drivers(&job);
        say("ready");
        while let Some(order) = orders.recv().await {
            match Phase::from_order(&order) {
                Some(phase) => run_phase(&mut drivers, phase).await,
                None => {
                    let error = io::Error::new(ErrorKind::InvalidInput, order);
                    return control::fatal("unknown order", &error);
                }
            }
        }
        ExitCode::SUCCESS
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sources_are_spread_and_never_network_or_broadcast_addresses() {
        let at = |id| source(id, 1000).unwrap().ip().to_string();
        assert_eq!(at(0), "127.1.0.1");
        assert_eq!(at(999), "127.1.0.1");
        assert_eq!(at(1000), "127.1.0.2");
        assert_eq!(at(249_999), "127.1.0.250");
        assert_eq!(at(250_000), "127.1.1.1");
        assert_eq!(at(62_500_000), "127.2.0.1");
        assert_eq!(source(5, 0), None);
    }
}
