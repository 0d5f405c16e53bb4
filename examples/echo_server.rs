//! An echo server: an accept loop, and one task for each connection.
//!
//! The code reads like blocking code, and each connection costs a task instead of a thread. It runs
//! until Ctrl-C, or for as long as `--for SECONDS` says.
//!
//! Go: `ln, _ := net.Listen("tcp", addr)`, then `go echo(conn)` for each `ln.Accept()`.
//!
//! Run: `cargo run --release --example echo_server -- [ADDRESS] [--for SECONDS]`, then
//! `nc 127.0.0.1 7777` in another terminal.
//!
//! Prints `listening on 127.0.0.1:7777`, then `connection from …` and `… bytes for …` as
//! connections come and go, and `time is up` at the end if it was given one.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use net::{TcpListener, TcpStream};
use runtime::time::timeout;

async fn echo(stream: &TcpStream) -> io::Result<usize> {
    let mut buf = [0; 1024];
    let mut total = 0;
    loop {
        let n = stream.read(&mut buf).await?;
        if n == 0 {
            return Ok(total);
        }
        stream.write_all(&buf[..n]).await?;
        total += n;
    }
}

async fn connection(stream: TcpStream, peer: SocketAddr) {
    println!("connection from {peer}");
    match echo(&stream).await {
        Ok(bytes) => println!("{bytes} bytes for {peer}"),
        Err(error) => println!("{peer}: {error}"),
    }
}

async fn serve(listener: TcpListener) -> io::Result<()> {
    loop {
        let (stream, peer) = listener.accept().await?;
        runtime::spawn(connection(stream, peer));
    }
}

fn options() -> Result<(String, Option<Duration>), String> {
    let mut address = "127.0.0.1:7777".to_owned();
    let mut limit = None;
    let mut args = std::env::args().skip(1);
    while let Some(arg) = args.next() {
        if arg == "--for" {
            let seconds = args
                .next()
                .and_then(|s| s.parse().ok())
                .ok_or("--for needs a number of seconds")?;
            limit = Some(Duration::from_secs(seconds));
        } else {
            address = arg;
        }
    }
    Ok((address, limit))
}

#[runtime::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let (address, limit) = options()?;
    let listener = TcpListener::bind(&address).await?;
    println!("listening on {}", listener.local_addr()?);

    match limit {
        None => serve(listener).await?,
        Some(limit) => match timeout(limit, serve(listener)).await {
            Ok(failed) => failed?,
            Err(_elapsed) => println!("time is up"),
        },
    }
    Ok(())
}
