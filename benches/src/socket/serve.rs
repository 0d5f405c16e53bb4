//! A server process: `--serve KIND PEER WORKERS`.
#![forbid(unsafe_code)]

use std::io::{self, Read, Write};

use super::http::{Http, http};
use super::proxy::{self, Relay, proxy};
use super::udp::{self, Datagrams, udp};
use super::{HELLO, Net, may, raw, requests};
use crate::rt::smol::Smol;
use crate::rt::tokio::Tokio;
use crate::rt::weftline::Weftline;
use crate::sys;

/// Serves until the standard input ends.
pub(crate) fn serve(kind: &str, peer: &str, workers: usize) -> Result<(), String> {
    sys::raise_file_limit();
    end_with_stdin();
    match peer {
        "weftline" => runtime::<Weftline>(kind, workers),
        "tokio" => runtime::<Tokio>(kind, workers),
        "smol" => runtime::<Smol>(kind, workers),
        "may" => may::serve(kind, workers),
        "raw" if kind == "proxy" => proxy::raw(),
        "raw" if kind.starts_with("udp") => udp::raw(kind == "udp_batch"),
        "raw" => raw::serve(kind, 1),
        "raw2" => raw::serve(kind, 2),
        _ => return Err(format!("{peer} has no server")),
    }
    .map_err(|e| format!("cannot serve: {e}"))
}

/// Prints the line that the load generator waits for.
pub(crate) fn announce(port: u16) -> io::Result<()> {
    let mut out = io::stdout();
    writeln!(out, "{port}")?;
    out.flush()
}

fn end_with_stdin() {
    std::thread::spawn(|| {
        let _ = io::stdin().read(&mut [0]);
        std::process::exit(0);
    });
}

fn runtime<N: Http + Relay + Datagrams>(kind: &str, workers: usize) -> io::Result<()> {
    if kind.starts_with("udp") {
        return N::run(workers, udp::<N>(kind == "udp_batch"));
    }
    let listener = sys::listen(0, false)?;
    let port = listener.local_addr()?.port();
    match kind {
        "echo" => N::run(workers, accept::<N, _, _>(port, listener, echo::<N>)),
        "lazy" => N::run(workers, accept::<N, _, _>(port, listener, lazy::<N>)),
        "httpmin" => N::run(workers, accept::<N, _, _>(port, listener, httpmin::<N>)),
        "http" => N::run(workers, accept::<N, _, _>(port, listener, http::<N>)),
        "proxy" => N::run(workers, accept::<N, _, _>(port, listener, proxy::<N>)),
        _ => Err(io::Error::other(format!("no server {kind}"))),
    }
}

/// Starts a task for each connection.
async fn accept<N, F, H>(port: u16, listener: std::net::TcpListener, handler: H) -> io::Result<()>
where
    N: Net,
    F: Future<Output = io::Result<()>> + Send + 'static,
    H: Fn(N::Stream) -> F + Send + Copy + 'static,
{
    let listener = N::listener(listener)?;
    announce(port)?;
    loop {
        let stream = N::accept(&listener).await?;
        // Called inside, or the task would hold the handler's future twice: as captured, and as
        // awaited.
        N::detach(async move {
            // A connection that breaks is the client's affair.
            let _ = handler(stream).await;
        });
    }
}

/// Owns its buffer.
async fn echo<N: Net>(mut stream: N::Stream) -> io::Result<()> {
    let mut buffer = [0; 1024];
    loop {
        let n = N::read(&mut stream, &mut buffer).await?;
        if n == 0 {
            return Ok(());
        }
        N::write_all(&mut stream, &buffer[..n]).await?;
    }
}

/// Holds no buffer while it waits.
async fn lazy<N: Net>(mut stream: N::Stream) -> io::Result<()> {
    loop {
        N::readable(&stream).await?;
        let bytes = match take::<N>(&stream) {
            Ok(bytes) => bytes,
            Err(e) if e.kind() == io::ErrorKind::WouldBlock => continue,
            Err(e) => return Err(e),
        };
        if bytes.is_empty() {
            return Ok(());
        }
        N::write_all(&mut stream, &bytes).await?;
    }
}

/// Reads into a buffer that is gone before the next wait.
fn take<N: Net>(stream: &N::Stream) -> io::Result<Vec<u8>> {
    let mut buffer = [0; 1024];
    let n = N::try_read(stream, &mut buffer)?;
    Ok(buffer[..n].to_vec())
}

/// Looks for the blank line that ends a request, and no further.
async fn httpmin<N: Net>(mut stream: N::Stream) -> io::Result<()> {
    let mut buffer = [0; 1024];
    let mut seen = 0;
    loop {
        let n = N::read(&mut stream, &mut buffer).await?;
        if n == 0 {
            return Ok(());
        }
        for _ in 0..requests(&buffer[..n], &mut seen) {
            N::write_all(&mut stream, HELLO).await?;
        }
    }
}
