//! What the socket tests share.
#![allow(
    dead_code,
    unreachable_pub,
    reason = "each test program uses a part, and none is a library"
)]

use std::future::Future;
use std::io;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use net::{TcpListener, TcpStream};

/// Only a hang lasts as long.
pub const HANG: Duration = Duration::from_secs(60);

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

/// Open descriptors of this process.
pub fn descriptors() -> usize {
    std::fs::read_dir("/proc/self/fd").unwrap().count()
}

/// Polls once, and says whether the future waits.
pub fn waits<F: Future + Unpin>(future: &mut F) -> bool {
    let mut cx = std::task::Context::from_waker(std::task::Waker::noop());
    std::pin::Pin::new(future).poll(&mut cx).is_pending()
}
