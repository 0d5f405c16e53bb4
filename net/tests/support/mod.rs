//! What the socket tests share.
#![allow(
    dead_code,
    unreachable_pub,
    reason = "each test program uses a part, and none is a library"
)]

use std::future::{Future, IntoFuture};
use std::io;
use std::net::SocketAddr;
use std::process::Command;
use std::sync::{Mutex, MutexGuard, PoisonError, mpsc};
use std::thread;
use std::time::Duration;

use net::{TcpListener, TcpStream};
use runtime::JoinHandle;

/// Only a hang lasts as long.
pub const HANG: Duration = Duration::from_secs(300);

/// Much shorter than [`HANG`], and long enough to be noticed.
pub const SOON: Duration = Duration::from_millis(50);

/// Runs a test on a runtime of its own with two workers, and fails it when it hangs.
pub fn run<F>(test: F)
where
    F: Future<Output = io::Result<()>> + Send + 'static,
{
    run_on(2, test);
}

pub fn run_on<F>(workers: usize, test: F)
where
    F: Future<Output = io::Result<()>> + Send + 'static,
{
    watched(move || {
        let runtime = runtime::Builder::new().max_procs(workers).build().unwrap();
        runtime.block_on(test).unwrap();
    });
}

/// Runs a test as a task on one worker, for which nobody steps in however long a poll lasts: only
/// the budget lets other tasks run.
pub fn run_on_one_alone<F>(test: F)
where
    F: Future<Output = io::Result<()>> + Send + 'static,
{
    watched(move || {
        let mut builder = runtime::Builder::new();
        builder.max_procs(1).time_slice(Duration::from_secs(3600));
        let runtime = builder.build().unwrap();
        let test = runtime.spawn(test);
        runtime.block_on(test).unwrap().unwrap();
    });
}

/// Calls `f` in a thread and waits for it, but not for ever.
pub fn watched(f: impl FnOnce() + Send + 'static) {
    let (done, finished) = mpsc::channel();
    let thread = thread::spawn(move || {
        f();
        let _ = done.send(());
    });
    if let Err(mpsc::RecvTimeoutError::Timeout) = finished.recv_timeout(HANG) {
        panic!("the test hangs");
    }
    if let Err(panic) = thread.join() {
        std::panic::resume_unwind(panic);
    }
}

/// A listener on a port that the system has chosen, and its address.
pub async fn listen() -> io::Result<(TcpListener, SocketAddr)> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    Ok((listener, address))
}

/// Runs a server in a task of its own.
pub fn start<S>(server: S) -> JoinHandle<S::Output>
where
    S: IntoFuture<IntoFuture: Send + 'static, Output: Send + 'static>,
{
    runtime::spawn(server.into_future())
}

/// Both ends of a connection: who dialled, and who accepted.
pub async fn pair() -> io::Result<(TcpStream, TcpStream)> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let client = TcpStream::connect(listener.local_addr()?).await?;
    let (server, peer) = listener.accept().await?;
    assert_eq!(peer, client.local_addr()?);
    Ok((client, server))
}

/// Answers everything on one connection until its peer has finished.
pub async fn echo(stream: TcpStream) -> io::Result<()> {
    let mut buf = [0; 4096];
    loop {
        let n = stream.read(&mut buf).await?;
        if n == 0 {
            return Ok(());
        }
        stream.write_all(&buf[..n]).await?;
    }
}

/// Accepts for ever, and answers each connection.
pub async fn serve(listener: TcpListener) {
    while let Ok((stream, _)) = listener.accept().await {
        runtime::spawn(echo(stream));
    }
}

/// Open descriptors of this process, without those of files in `/proc`: the monitor opens one now
/// and then, and so does whoever counts.
pub fn descriptors() -> usize {
    let all = std::fs::read_dir("/proc/self/fd").unwrap();
    let links = all.filter_map(|entry| std::fs::read_link(entry.ok()?.path()).ok());
    links.filter(|link| !link.starts_with("/proc")).count()
}

/// Resident memory of this process, in bytes.
pub fn resident() -> usize {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap();
    statm.split(' ').nth(1).unwrap().parse::<usize>().unwrap() * 4096
}

/// A TCP address that refuses connections for as long as the socket lives: it has the port, so that
/// nobody else is given it, and does not listen.
pub fn refusing(ip: std::net::IpAddr) -> io::Result<(socket2::Socket, std::net::SocketAddr)> {
    let address = std::net::SocketAddr::new(ip, 0);
    let kind = socket2::Type::STREAM;
    let socket = socket2::Socket::new(socket2::Domain::for_address(address), kind, None)?;
    socket.bind(&address.into())?;
    let address = socket.local_addr()?.as_socket().unwrap();
    Ok((socket, address))
}

/// Polls once, and says whether the future waits.
pub fn waits<F: Future + Unpin>(future: &mut F) -> bool {
    let mut cx = std::task::Context::from_waker(std::task::Waker::noop());
    std::pin::Pin::new(future).poll(&mut cx).is_pending()
}

/// For tests that look at what the process shares: they run one after the other.
pub fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The test of this name runs itself again in a process of its own, where it may lower limits.
pub fn in_child(name: &str) -> bool {
    const CHILD: &str = "NET_TEST_CHILD";
    if std::env::var_os(CHILD).is_some() {
        return true;
    }
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", name, "--nocapture"])
        .env(CHILD, "1")
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    false
}

/// Sets how many descriptors this process may have open.
pub fn limit_descriptors(to: usize) {
    let limit = libc::rlimit {
        rlim_cur: to as libc::rlim_t,
        rlim_max: 20_000,
    };
    // SAFETY: the kernel reads one live rlimit.
    let result = unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &limit) };
    assert_eq!(result, 0, "{}", io::Error::last_os_error());
}

/// Of this process, in both modes.
pub fn cpu_time() -> Duration {
    // SAFETY: an rusage is plain integers: zero is a value of it.
    let mut usage: libc::rusage = unsafe { std::mem::zeroed() };
    // SAFETY: the kernel writes one live rusage.
    let result = unsafe { libc::getrusage(libc::RUSAGE_SELF, &mut usage) };
    assert_eq!(result, 0);
    let time = |t: libc::timeval| {
        Duration::from_secs(t.tv_sec as u64) + Duration::from_micros(t.tv_usec as u64)
    };
    time(usage.ru_utime) + time(usage.ru_stime)
}

/// Numbers from a seed that a failure shows.
#[derive(Clone, Debug)]
pub struct Random(u64);

impl Random {
    /// From `SEED`, or another one each run.
    pub fn new() -> Self {
        let now = || {
            let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
            since.unwrap().as_nanos() as u64
        };
        let seed = std::env::var("SEED").map_or_else(|_| now(), |seed| seed.parse().unwrap());
        // Shown by the harness if the test fails.
        println!("SEED={seed}");
        Self(seed)
    }

    pub fn from_seed(seed: u64) -> Self {
        Self(seed)
    }

    /// What makes the same numbers from here on.
    pub fn seed(&self) -> u64 {
        self.0
    }

    /// Others, that depend on these.
    pub fn fork(&mut self) -> Self {
        Self(self.next())
    }

    /// Splitmix64.
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ z >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ z >> 31
    }

    pub fn below(&mut self, end: usize) -> usize {
        (self.next() % end as u64) as usize
    }

    pub fn fill(&mut self, buf: &mut [u8]) {
        for chunk in buf.chunks_mut(8) {
            let bytes = self.next().to_le_bytes();
            chunk.copy_from_slice(&bytes[..chunk.len()]);
        }
    }
}
