//! Connections that go on as something else.

use std::convert::Infallible;
use std::io;

use futures_util::{AsyncReadExt, AsyncWriteExt};
use hyper::body::Incoming;
use hyper::{Request, Response, StatusCode};
use net::TcpStream;
use net::hyper::{Io, serve};
use sync::oneshot;

use crate::read_until;
use crate::support::{SOON, listen, run, start};

const UPGRADE: &[u8] =
    b"GET / HTTP/1.1\r\nhost: here\r\nconnection: upgrade\r\nupgrade: echo\r\n\r\n";

/// Makes an echo of the connection.
async fn take_over(mut request: Request<Incoming>) -> Result<Response<String>, Infallible> {
    let upgrade = hyper::upgrade::on(&mut request);
    runtime::spawn(async move {
        let mut stream = Io::new(upgrade.await.unwrap());
        let mut buf = [0; 64];
        loop {
            let n = AsyncReadExt::read(&mut stream, &mut buf).await?;
            if n == 0 {
                return io::Result::Ok(());
            }
            AsyncWriteExt::write_all(&mut stream, &buf[..n]).await?;
        }
    });
    let mut response = Response::new(String::new());
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    let headers = response.headers_mut();
    headers.insert("connection", "upgrade".parse().unwrap());
    headers.insert("upgrade", "echo".parse().unwrap());
    Ok(response)
}

#[test]
fn an_upgraded_connection_has_no_limits() {
    run(async {
        let (listener, address) = listen().await?;
        let limit = SOON * 4;
        let server = serve(listener, take_over).read_timeout(limit);
        start(server.write_timeout(limit).idle_timeout(limit));
        // A machine that stands still makes any client late with its head; but not every time.
        let stream = loop {
            let stream = TcpStream::connect(address).await?;
            let mut buf = [0; 1024];
            let asked = stream.write_all(UPGRADE).await;
            if asked.is_ok() && matches!(stream.read(&mut buf).await, Ok(1..)) {
                break stream;
            }
        };
        for round in 0..3u8 {
            runtime::time::sleep(limit * 2).await;
            stream.write_all(&[round; 7]).await?;
            let mut back = [0; 7];
            stream.read_exact(&mut back).await?;
            assert_eq!(back, [round; 7]);
        }
        Ok(())
    });
}

#[test]
fn an_upgraded_connection_is_its_handler_s() {
    run(async {
        let (listener, address) = listen().await?;
        let (stop, stopped) = oneshot::channel::<()>();
        let server = serve(listener, take_over);
        let server = start(server.shutdown_on(stopped));
        let stream = TcpStream::connect(address).await?;
        stream.write_all(UPGRADE).await?;
        read_until(&stream, "\r\n\r\n").await?;
        drop(stop);
        server.await.unwrap()?;
        for round in 0..100u8 {
            stream.write_all(&[round; 7]).await?;
            let mut back = [0; 7];
            stream.read_exact(&mut back).await?;
            assert_eq!(back, [round; 7]);
        }
        Ok(())
    });
}

/// A client that is sure of the answer sends its first message behind the request: those bytes are
/// in the server's buffer already when the connection is taken over.
#[test]
fn what_came_with_the_request_is_the_first_that_the_new_owner_reads() {
    run(async {
        let (listener, address) = listen().await?;
        start(serve(listener, take_over));
        for early in [1, 100, 8_000, 100_000] {
            let early: Vec<u8> = (0..early).map(|i| (i % 251) as u8).collect();
            let stream = TcpStream::connect(address).await?;
            let writer = stream.clone();
            let sent = [UPGRADE, &early].concat();
            let writes = runtime::spawn(async move { writer.write_all(&sent).await });
            read_head(&stream).await?;
            let mut back = vec![0; early.len()];
            stream.read_exact(&mut back).await?;
            assert_eq!(back, early);
            writes.await.unwrap()?;
        }
        Ok(())
    });
}

/// Reads an answer's head, and nothing of what follows.
async fn read_head(stream: &TcpStream) -> io::Result<()> {
    let mut last = [0; 4];
    while last != *b"\r\n\r\n" {
        last.rotate_left(1);
        stream.read_exact(&mut last[3..]).await?;
    }
    Ok(())
}
