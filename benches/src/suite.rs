//! The workloads by name, their sizes and units, and who takes part.
#![forbid(unsafe_code)]

use serde_json::Value;

/// One row of the table.
#[derive(Debug)]
pub(crate) struct Workload {
    /// Its name.
    pub(crate) name: &'static str,
    /// Its size, in what its function counts.
    pub(crate) size: usize,
    /// What its figure means.
    pub(crate) unit: Unit,
    /// Who takes part.
    pub(crate) peers: &'static [&'static str],
    /// One line for people.
    pub(crate) what: &'static str,
}

/// What a figure means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unit {
    /// Nanoseconds an operation.
    Ns,
    /// Milliseconds in all.
    Ms,
    /// Bytes each.
    Bytes,
    /// Milliseconds late, at the 99th percentile.
    LateMs,
    /// Operations a second; more is better.
    PerSecond,
}

impl Unit {
    /// The figure of one run.
    pub(crate) fn figure(self, line: &Value) -> Option<f64> {
        let wall = line["wall_ns"].as_f64()?;
        match self {
            Unit::Ns => Some(wall / line["ops"].as_f64()?),
            Unit::Ms => Some(wall / 1e6),
            Unit::Bytes => line["bytes"].as_f64(),
            Unit::LateMs => line["p99_ms"].as_f64(),
            Unit::PerSecond => Some(line["ops"].as_f64()? / wall * 1e9),
        }
    }

    /// As the table names it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Unit::Ns => "ns",
            Unit::Ms => "ms",
            Unit::Bytes => "B",
            Unit::LateMs => "ms late, p99",
            Unit::PerSecond => "/s",
        }
    }

    /// As a chart names it.
    pub(crate) fn title(self) -> &'static str {
        match self {
            Unit::Ns => "ns an operation",
            Unit::Ms => "ms in all",
            Unit::Bytes => "bytes each",
            Unit::LateMs => "late, 99 %, ms",
            Unit::PerSecond => "a second",
        }
    }

    /// More is better.
    pub(crate) fn rises(self) -> bool {
        self == Unit::PerSecond
    }
}

/// Workloads that share a chart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Group {
    /// Starting tasks, and yielding.
    Tasks,
    /// Handing over between tasks.
    Switch,
    /// Streams of messages.
    Channels,
    /// Waiting for one of several.
    Select,
    /// Sleeping, and limits in time.
    Timers,
    /// Locks and friends; whatever no other group claims.
    Locks,
    /// Bytes.
    Memory,
    /// Tasks that do not yield.
    Fairness,
    /// Plain TCP and UDP.
    Sockets,
    /// HTTP over TCP.
    Http,
}

impl Group {
    /// All, in the order of the report.
    pub(crate) const ALL: &[Group] = &[
        Group::Tasks,
        Group::Switch,
        Group::Channels,
        Group::Select,
        Group::Timers,
        Group::Locks,
        Group::Memory,
        Group::Fairness,
        Group::Sockets,
        Group::Http,
    ];

    /// The name of the chart's file.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Group::Tasks => "tasks",
            Group::Switch => "switch",
            Group::Channels => "channels",
            Group::Select => "select",
            Group::Timers => "timers",
            Group::Locks => "locks",
            Group::Memory => "memory",
            Group::Fairness => "fairness",
            Group::Sockets => "sockets",
            Group::Http => "http",
        }
    }

    /// The heading.
    pub(crate) fn title(self) -> &'static str {
        match self {
            Group::Tasks => "Starting tasks, and yielding",
            Group::Switch => "Handing over between tasks",
            Group::Channels => "Streams of messages",
            Group::Select => "Waiting for one of several channels",
            Group::Timers => "Sleeping, and limits in time",
            Group::Locks => "Locks and friends",
            Group::Memory => "Memory",
            Group::Fairness => "A ticker beside tasks that do not yield",
            Group::Sockets => "TCP and UDP",
            Group::Http => "HTTP",
        }
    }
}

/// Everyone, in the order of the columns.
pub(crate) const PEERS: &[&str] = &[
    "weftline",
    "go",
    "tokio",
    "smol",
    "may",
    "async-channel",
    "flume",
    "kanal",
    "crossfire",
    "raw",
    "raw2",
    "tokio-sync",
];

const RUNTIMES: &[&str] = &["weftline", "go", "tokio", "smol", "may"];
const CHANNELS: &[&str] = &[
    "weftline",
    "go",
    "tokio",
    "smol",
    "may",
    "async-channel",
    "flume",
    "kanal",
    "crossfire",
];
const SERVERS: &[&str] = &["weftline", "go", "tokio", "smol", "may", "raw", "raw2"];
const RELAYS: &[&str] = &["weftline", "go", "tokio", "smol", "raw"];
const MPMC: &[&str] = &[
    "weftline",
    "go",
    "smol",
    "may",
    "async-channel",
    "flume",
    "kanal",
    "crossfire",
];
const SELECT: &[&str] = &[
    "weftline",
    "go",
    "tokio",
    "smol",
    "async-channel",
    "flume",
    "kanal",
    "crossfire",
];
const HTTP: &[&str] = &["weftline", "go", "tokio", "smol"];
const TIMERS: &[&str] = &["weftline", "go", "tokio", "smol", "may"];
const TIMEOUTS: &[&str] = &["weftline", "go", "tokio", "smol"];
const LOCKS: &[&str] = &["weftline", "go", "tokio", "smol", "tokio-sync"];
const WATCHES: &[&str] = &["weftline", "go", "tokio", "tokio-sync"];
const CONDS: &[&str] = &["weftline", "go"];
const GROUPS: &[&str] = &["weftline", "go", "tokio"];

/// All workloads.
#[rustfmt::skip]
pub(crate) const WORKLOADS: &[Workload] = &[
    row("spawn_join", 1_000_000, Unit::Ns, RUNTIMES, "spawn tasks that count down a WaitGroup, and wait"),
    row("spawn_join_handles", 1_000_000, Unit::Ns, RUNTIMES, "spawn tasks, await every handle"),
    row("skynet", 1_000_000, Unit::Ms, CHANNELS, "a tree of tasks, ten children each, sums through channels"),
    row("skynet_join", 1_000_000, Unit::Ms, &["weftline", "tokio", "smol", "may"], "the same through join handles"),
    row("yield", 1_000, Unit::Ns, &["weftline", "go", "tokio", "smol", "may", "raw"], "1,000 tasks yield 1,000 times each"),
    row("pingpong", 1_000_000, Unit::Ns, CHANNELS, "2 tasks, 2 unbuffered channels, a round trip"),
    row("pingpong_pairs", 10_000, Unit::Ns, CHANNELS, "100 such pairs"),
    row("ring", 1_000_000, Unit::Ns, CHANNELS, "1,000 tasks in a ring, one token, a hop"),
    row("chan_spsc_unbuf", 2_000_000, Unit::Ns, CHANNELS, "1 sender, 1 receiver, unbuffered"),
    row("chan_spsc_128", 4_000_000, Unit::Ns, CHANNELS, "1 sender, 1 receiver, capacity 128"),
    row("chan_mpmc_unbuf", 2_000_000, Unit::Ns, MPMC, "4 senders, 4 receivers, unbuffered"),
    row("chan_mpmc_128", 4_000_000, Unit::Ns, MPMC, "4 senders, 4 receivers, capacity 128"),
    row("chan_mpsc_128", 4_000_000, Unit::Ns, CHANNELS, "8 senders, 1 receiver, capacity 128"),
    row("select2", 1_000_000, Unit::Ns, SELECT, "receive by select over 2 unbuffered channels"),
    row("select8", 1_000_000, Unit::Ns, SELECT, "receive by select over 8 unbuffered channels"),
    row("select_send", 500_000, Unit::Ns, SELECT, "select over a send and a receive"),
    row("sieve", 2_000, Unit::Ms, CHANNELS, "chain of filter tasks up to the 2,000th prime"),
    row("sleep100k", 100_000, Unit::Ms, TIMERS, "100,000 tasks sleep 10 ms each"),
    row("timer_churn", 10_000, Unit::Ns, &["weftline", "go", "tokio", "smol", "raw"], "a limit of 10 s on what is ready at once"),
    row("timer_churn_yield", 10_000, Unit::Ns, TIMEOUTS, "a limit of 10 s on what yields once"),
    row("mutex", 250_000, Unit::Ns, RUNTIMES, "8 tasks take one async mutex"),
    row("lock_alone", 10_000_000, Unit::Ns, LOCKS, "1 task locks and unlocks an async mutex"),
    row("lock_yield", 100_000, Unit::Ns, LOCKS, "8 tasks, one async mutex, a yield under the lock"),
    row("rwlock_alone", 10_000_000, Unit::Ns, LOCKS, "1 task reads under a readers-writer lock"),
    row("rwlock_read", 1_000_000, Unit::Ns, LOCKS, "8 tasks that only read"),
    row("rwlock_mostly", 500_000, Unit::Ns, LOCKS, "8 tasks, one access in 32 writes"),
    row("rwlock_yield", 100_000, Unit::Ns, LOCKS, "the same, with a yield under the lock"),
    row("rwlock_work", 50_000, Unit::Ns, LOCKS, "4 tasks read, and compute for 1 µs after each access"),
    row("sem_alone", 10_000_000, Unit::Ns, LOCKS, "1 task takes a permit and gives it back"),
    row("sem_yield", 100_000, Unit::Ns, LOCKS, "8 tasks, 2 permits, a yield with the permit"),
    row("notify", 1_000_000, Unit::Ns, LOCKS, "2 tasks notify each other, a round trip"),
    row("oneshot_same", 5_000_000, Unit::Ns, LOCKS, "make a oneshot, send and receive in 1 task"),
    row("oneshot_across", 1_000_000, Unit::Ns, LOCKS, "2 tasks, a oneshot each way, a round trip"),
    row("once_there", 10_000_000, Unit::Ns, LOCKS, "ask for a value that was made once"),
    row("barrier", 50_000, Unit::Ns, LOCKS, "8 tasks meet at a barrier, one arrival"),
    row("cond", 500_000, Unit::Ns, CONDS, "2 tasks take turns at a condition variable, a round trip"),
    row("watch", 200_000, Unit::Ns, WATCHES, "1 value, 8 tasks that see each change"),
    row("broadcast", 20_000, Unit::Ns, WATCHES, "1 task sends bursts of 64 values, 8 tasks get them all"),
    row("group_bare", 20, Unit::Ns, TIMEOUTS, "spawn 100,000 tasks bare, as what the groups are held against"),
    row("group_wait", 20, Unit::Ns, GROUPS, "the same with a WaitGroup's spawn, or a JoinSet"),
    row("group_err", 20, Unit::Ns, GROUPS, "the same with an errgroup, or a JoinSet"),
    row("task_mem", 1_000_000, Unit::Bytes, CHANNELS, "1,000,000 tasks parked on one channel"),
    row("hog", 3_000, Unit::LateMs, TIMERS, "4 tasks spin 100 ms between yields, a ticker beside them"),
    row("hog_forever", 3_000, Unit::LateMs, TIMERS, "2 tasks spin for ever, a ticker beside them"),
    row("sleepers", 3_000, Unit::LateMs, TIMEOUTS, "100 tasks block their threads for 1 s, an echo server beside them"),
    row("echo_1", 1, Unit::PerSecond, SERVERS, "64 bytes there and back, 1 connection"),
    row("echo_100", 100, Unit::PerSecond, SERVERS, "64 bytes there and back, 100 connections"),
    row("echo_1000", 1_000, Unit::PerSecond, SERVERS, "64 bytes there and back, 1,000 connections"),
    row("echo_8000", 8_000, Unit::PerSecond, SERVERS, "64 bytes there and back, 8,000 connections"),
    row("accept", 64, Unit::PerSecond, SERVERS, "64 at a time: connect, one byte there and back, close"),
    row("proxy", 4, Unit::PerSecond, RELAYS, "MiB through a TCP proxy, one way, 4 connections as fast as they go"),
    row("udp", 128, Unit::PerSecond, RELAYS, "datagrams of 64 bytes there and back, 128 under way, one at a time"),
    row("udp_batch", 128, Unit::PerSecond, RELAYS, "the same in batches, where there are such; Go, Tokio and smol as above"),
    row("conn_mem", 9_000, Unit::Bytes, RUNTIMES, "9,000 idle connections, each with a buffer of 1 KiB"),
    row("conn_mem_lazy", 9_000, Unit::Bytes, TIMEOUTS, "9,000 idle connections that wait without a buffer"),
    row("httpmin_64", 64, Unit::PerSecond, SERVERS, "keep-alive Hello, World! by hand, 64 connections"),
    row("httpmin_1000", 1_000, Unit::PerSecond, SERVERS, "keep-alive Hello, World! by hand, 1,000 connections"),
    row("http_64", 64, Unit::PerSecond, HTTP, "keep-alive Hello, World!, hyper or net/http, 64 connections"),
    row("http_1000", 1_000, Unit::PerSecond, HTTP, "keep-alive Hello, World!, hyper or net/http, 1,000 connections"),
];

const fn row(
    name: &'static str,
    size: usize,
    unit: Unit,
    peers: &'static [&'static str],
    what: &'static str,
) -> Workload {
    Workload {
        name,
        size,
        unit,
        peers,
        what,
    }
}

impl Workload {
    /// The workload of that name.
    pub(crate) fn named(name: &str) -> Result<&'static Workload, String> {
        WORKLOADS
            .iter()
            .find(|workload| workload.name == name)
            .ok_or_else(|| format!("there is no workload {name}; --list names them"))
    }

    /// It needs a server and a load generator.
    pub(crate) fn on_sockets(&self) -> bool {
        ["echo", "accept", "conn", "http", "proxy", "udp"]
            .iter()
            .any(|part| self.name.starts_with(part))
    }

    /// The chart it is in.
    pub(crate) fn group(&self) -> Group {
        let starts = |parts: &[&str]| parts.iter().any(|part| self.name.starts_with(part));
        match () {
            () if starts(&["http"]) => Group::Http,
            () if starts(&["echo", "accept", "proxy", "udp"]) => Group::Sockets,
            () if starts(&["conn_mem", "task_mem"]) => Group::Memory,
            () if starts(&["hog", "sleepers"]) => Group::Fairness,
            () if starts(&["sleep100k", "timer"]) => Group::Timers,
            () if starts(&["select"]) => Group::Select,
            () if starts(&["chan"]) => Group::Channels,
            () if starts(&["pingpong", "ring", "sieve"]) => Group::Switch,
            () if starts(&["spawn", "skynet", "yield"]) => Group::Tasks,
            () => Group::Locks,
        }
    }

    /// Connections at that scale: they stay as many as the row says, and their time shrinks; only
    /// for a trial are there fewer of them.
    pub(crate) fn connections(&self, scale: f64) -> usize {
        ((self.size as f64 * (scale * 20.0).min(1.0)) as usize).max(1)
    }

    /// The size at that scale.
    pub(crate) fn scaled(&self, scale: f64) -> usize {
        ((self.size as f64 * scale) as usize).max(1)
    }
}

/// Prints the workloads.
pub(crate) fn list() {
    for workload in WORKLOADS {
        println!(
            "{:<20} {} ({})",
            workload.name,
            workload.what,
            workload.unit.name()
        );
        println!("{:<20} {}", "", workload.peers.join(", "));
    }
}
