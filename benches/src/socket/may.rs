//! May's servers.
#![forbid(unsafe_code)]

use std::io::{self, Read, Write};

use may::go;
use may::net::{TcpListener, TcpStream};

use super::serve::announce;
use super::{HELLO, requests};
use crate::sys;

/// Serves.
pub(crate) fn serve(kind: &str, workers: usize) -> io::Result<()> {
    may::config().set_workers(workers);
    let handler: fn(TcpStream) -> io::Result<()> = match kind {
        "echo" => echo,
        "httpmin" => httpmin,
        _ => return Err(io::Error::other(format!("no server {kind}"))),
    };
    let listener = TcpListener::bind("127.0.0.1:0")?;
    sys::lengthen_backlog(listener.inner())?;
    announce(listener.local_addr()?.port())?;
    go!(move || {
        loop {
            let (stream, _) = listener.accept()?;
            stream.set_nodelay(true)?;
            go!(move || handler(stream));
        }
        #[expect(unreachable_code, reason = "names the type of the closure's result")]
        io::Result::Ok(())
    })
    .join()
    .expect("no panic")
}

fn echo(mut stream: TcpStream) -> io::Result<()> {
    let mut buffer = [0; 1024];
    loop {
        let n = stream.read(&mut buffer)?;
        if n == 0 {
            return Ok(());
        }
        stream.write_all(&buffer[..n])?;
    }
}

fn httpmin(mut stream: TcpStream) -> io::Result<()> {
    let mut buffer = [0; 1024];
    let mut seen = 0;
    loop {
        let n = stream.read(&mut buffer)?;
        if n == 0 {
            return Ok(());
        }
        for _ in 0..requests(&buffer[..n], &mut seen) {
            stream.write_all(HELLO)?;
        }
    }
}
