//! HTTP is served, limited, and ended gracefully.

mod answers;
mod arrived;
mod ending;
mod limits;
mod protocol;
#[path = "../support/mod.rs"]
mod support;
mod upgrades;

use std::convert::Infallible;
use std::io;

use futures_util::AsyncReadExt;
use hyper::body::Incoming;
use hyper::{Request, Response};
use net::TcpStream;
use runtime::JoinHandle;

async fn hello(request: Request<Incoming>) -> Result<Response<String>, Infallible> {
    Ok(Response::new(format!(
        "hello from {}",
        request.uri().path()
    )))
}

fn request(path: &str, last: bool) -> String {
    let connection = if last { "close" } else { "keep-alive" };
    format!("GET {path} HTTP/1.1\r\nhost: here\r\nconnection: {connection}\r\n\r\n")
}

/// Sends a request and reads to the end of the connection.
async fn ask(stream: &TcpStream, path: &str) -> io::Result<String> {
    stream.write_all(request(path, true).as_bytes()).await?;
    rest(stream).await
}

async fn rest(mut stream: &TcpStream) -> io::Result<String> {
    let mut answer = String::new();
    AsyncReadExt::read_to_string(&mut stream, &mut answer).await?;
    Ok(answer)
}

/// Reads until the text has come.
async fn read_until(stream: &TcpStream, text: &str) -> io::Result<String> {
    let mut answer = Vec::new();
    while !answer.ends_with(text.as_bytes()) {
        let mut buf = [0; 1024];
        let n = stream.read(&mut buf).await?;
        assert_ne!(n, 0, "ended after {:?}", String::from_utf8_lossy(&answer));
        answer.extend_from_slice(&buf[..n]);
    }
    Ok(String::from_utf8(answer).unwrap())
}

/// Only then is it certain that it accepts nobody any more.
async fn end(server: JoinHandle<io::Result<()>>) {
    server.abort();
    assert!(server.await.unwrap_err().is_cancelled());
}

/// Waits for what a connection's task does just after it has closed its stream.
async fn until(condition: impl Fn() -> bool) {
    while !condition() {
        runtime::yield_now().await;
    }
}
