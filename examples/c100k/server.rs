//! The echo server, as anyone would write it: an accept loop, and one task for each connection.
//!
//! The one thing it takes care of is memory at rest. A connection that waits holds its stream and
//! nothing else: it waits for readability, and only then reads, into a buffer on the stack of the
//! thread that happens to run it. The common way to write it, `let mut buf = [0; 1024]` before the
//! loop, would keep that kilobyte in each task while nothing happens.
#![forbid(unsafe_code)]

use std::future::Future;
use std::io::{self, ErrorKind};
use std::pin::Pin;
use std::process::ExitCode;
use std::sync::atomic::{AtomicUsize, Ordering};

use net::{ListenConfig, TcpListener, TcpStream};

use crate::control::{self, say};
use crate::options::ServerJob;

/// Bytes taken from a connection at a time.
const SCRATCH: usize = 4096;

// Figures for the parent and no more; nothing else is handed over through them, so `Relaxed` is
// enough.
static ACCEPTED: AtomicUsize = AtomicUsize::new(0);
static OPEN: AtomicUsize = AtomicUsize::new(0);

/// Accepts connections until that fails for good.
async fn serve(listener: TcpListener) -> io::Result<()> {
    loop {
        let (stream, _peer) = listener.accept().await?;
        ACCEPTED.fetch_add(1, Ordering::Relaxed);
        runtime::spawn(echo(stream));
    }
}

/// One connection's task. A client that goes away in the middle is its own affair: nobody asks for
/// the error here.
async fn echo(stream: TcpStream) -> io::Result<()> {
    let _open = Open::count();
    loop {
        stream.readable().await?;
        let rest = match pass_on(&stream)? {
            Passed::All => continue,
            Passed::End => return Ok(()),
            Passed::But(rest) => rest,
        };
        later(&stream, rest).await?;
    }
}

/// What became of the bytes that were there to read.
enum Passed {
    /// They are on their way back, and there are no more for now.
    All,
    /// There was the end of the stream.
    End,
    /// These remain, as the peer does not read and its window is full.
    But(Vec<u8>),
}

/// Writes when the peer reads again. Boxed, so that what is needed once in a million times takes no
/// room in each task.
fn later(
    stream: &TcpStream,
    rest: Vec<u8>,
) -> Pin<Box<dyn Future<Output = io::Result<()>> + Send + '_>> {
    Box::pin(async move { stream.write_all(&rest).await })
}

/// Reads what is there and writes it back. The buffer is gone before the task waits again.
fn pass_on(stream: &TcpStream) -> io::Result<Passed> {
    let mut scratch = [0; SCRATCH];
    let n = match stream.try_read(&mut scratch) {
        Ok(0) => return Ok(Passed::End),
        Ok(n) => n,
        Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(Passed::All),
        Err(error) => return Err(error),
    };
    let written = match stream.try_write(&scratch[..n]) {
        Ok(written) => written,
        Err(error) if error.kind() == ErrorKind::WouldBlock => 0,
        Err(error) => return Err(error),
    };
    if written == n {
        Ok(Passed::All)
    } else {
        Ok(Passed::But(scratch[written..n].to_vec()))
    }
}

/// Counts a connection as open until it is dropped, however its task ends.
struct Open;

impl Open {
    fn count() -> Self {
        OPEN.fetch_add(1, Ordering::Relaxed);
        Self
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        OPEN.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A server process: listens, says so, and answers the parent until it lets go.
pub(crate) fn run(job: ServerJob) -> ExitCode {
    runtime::block_on(async {
        let orders = control::orders();
        let listener = match ListenConfig::new()
            .reuse_port(job.shared)
            .listen(job.address)
            .await
        {
            Ok(listener) => listener,
            Err(error) => return control::fatal(&format!("listening on {}", job.address), &error),
        };
        match listener.local_addr() {
            Ok(address) => say(format_args!("ready {address}")),
            Err(error) => return control::fatal("asking for the address", &error),
        }
        runtime::spawn(async {
            if let Err(error) = serve(listener).await {
                control::fatal("accepting", &error);
            }
        });
        while let Some(order) = orders.recv().await {
            if order == "count" {
                let (accepted, open) = (
                    ACCEPTED.load(Ordering::Relaxed),
                    OPEN.load(Ordering::Relaxed),
                );
                say(format_args!("count {accepted} {open}"));
            }
        }
        ExitCode::SUCCESS
    })
}
