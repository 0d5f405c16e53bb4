//! Requests that are not what a polite client sends: old, wrong, cut off, or with more to them.

use std::future::poll_fn;
use std::io;
use std::net::{Shutdown, SocketAddr};
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use hyper::body::{Body, Incoming};
use hyper::{Request, Response, StatusCode};
use net::TcpStream;
use net::hyper::{BoxError, serve};
use sync::Notify;

use crate::support::{listen, run, start};
use crate::{read_until, rest, until};

/// Bytes and trailers.
async fn read(mut body: Incoming) -> hyper::Result<(usize, usize)> {
    let (mut bytes, mut trailers) = (0, 0);
    while let Some(frame) = poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)).await {
        let frame = frame?;
        bytes += frame.data_ref().map_or(0, |data| data.len());
        trailers += frame.trailers_ref().map_or(0, |trailers| trailers.len());
    }
    Ok((bytes, trailers))
}

/// Says what has come: the length of the body and its trailers, or why it has not.
async fn weigh(request: Request<Incoming>) -> Result<Response<String>, BoxError> {
    if request.uri().path() == "/unread" {
        return Ok(Response::new("unread".to_owned()));
    }
    let mut response = Response::new("cut off".to_owned());
    match read(request.into_body()).await {
        Err(_) => *response.status_mut() = StatusCode::BAD_REQUEST,
        Ok((bytes, trailers)) => {
            *response.body_mut() = format!("{bytes} bytes, {trailers} trailers");
        }
    }
    Ok(response)
}

/// What a server says to these bytes and the end of sending, until it ends.
async fn told(address: SocketAddr, bytes: &[u8]) -> io::Result<String> {
    let stream = TcpStream::connect(address).await?;
    // It may be closed before it has all of them.
    let _ = stream.write_all(bytes).await;
    let _ = stream.shutdown(Shutdown::Write);
    rest(&stream).await
}

fn has(answer: &str, status: &str, body: &str) -> bool {
    answer.starts_with(&format!("HTTP/1.1 {status}")) && answer.ends_with(body)
}

#[test]
fn wrong_requests_are_refused_and_the_next_client_is_served() {
    run(async {
        let (listener, address) = listen().await?;
        let troubles = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&troubles);
        let server = serve(listener, weigh)
            .on_error(move |error| seen.lock().unwrap().push(error.to_string()));
        start(server);
        let wrong: [&[u8]; 6] = [
            b"GET\r\n\r\n",
            b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03 TLS hello",
            b"GET / HTTP/1.1\r\nhost: a\r\nbroken header\r\n\r\n",
            b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 3\r\ncontent-length: 4\r\n\r\nabcd",
            b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: -1\r\n\r\n",
            b"POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked, gzip\r\n\r\n",
        ];
        for (i, bytes) in wrong.iter().enumerate() {
            let answer = told(address, bytes).await?;
            assert!(has(&answer, "400", "\r\n\r\n"), "{i}: {answer:?}");
        }
        until(|| troubles.lock().unwrap().len() == wrong.len()).await;
        let head = format!(
            "GET / HTTP/1.1\r\nhost: a\r\nlong: {}\r\n\r\n",
            "x".repeat(1 << 20)
        );
        let answer = told(address, head.as_bytes()).await;
        // Told, or reset as there is more than it reads.
        assert!(answer.is_err() || has(&answer.unwrap(), "431", "\r\n\r\n"));
        let answer = told(address, b"GET / HTTP/1.1\r\nhost: a\r\n\r\n").await?;
        assert!(has(&answer, "200", "0 bytes, 0 trailers"), "{answer}");
        Ok(())
    });
}

#[test]
fn bodies_that_are_cut_off_or_nonsense_fail_in_the_handler() {
    run(async {
        let (listener, address) = listen().await?;
        start(serve(listener, weigh));
        for bytes in [
            &b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 10\r\n\r\nhalf"[..],
            b"POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhell",
            b"POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n",
            b"POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\nffffffffffffffffff\r\n",
        ] {
            let answer = told(address, bytes).await?;
            assert!(has(&answer, "400", "cut off"), "{answer:?}");
        }
        Ok(())
    });
}

#[test]
fn a_client_that_resets_in_mid_upload_ends_its_handler_s_read() {
    static ENDED: Notify = Notify::new();
    run(async {
        let (listener, address) = listen().await?;
        start(serve(listener, |request: Request<Incoming>| async move {
            assert!(read(request.into_body()).await.is_err());
            ENDED.notify_one();
            Ok::<_, BoxError>(Response::new(String::new()))
        }));
        let stream = TcpStream::connect(address).await?;
        stream
            .write_all(
                b"POST / HTTP/1.1\r\nhost: a\r\nexpect: 100-continue\r\ncontent-length: 9\r\n\r\n",
            )
            .await?;
        // Its handler reads.
        read_until(&stream, "100 Continue\r\n\r\n").await?;
        stream.set_linger(Some(Duration::ZERO))?;
        drop(stream);
        ENDED.notified().await;
        Ok(())
    });
}

#[test]
fn old_clients_are_answered_as_they_expect() {
    run(async {
        let (listener, address) = listen().await?;
        start(serve(listener, weigh));
        // Without a word about it the connection ends with the answer.
        let stream = TcpStream::connect(address).await?;
        stream.write_all(b"GET / HTTP/1.0\r\n\r\n").await?;
        let answer = rest(&stream).await?;
        assert!(answer.starts_with("HTTP/1.0 200"), "{answer}");
        assert!(answer.ends_with("0 bytes, 0 trailers"), "{answer}");
        // And with one it stays, and says so.
        let stream = TcpStream::connect(address).await?;
        for _ in 0..2 {
            stream
                .write_all(b"GET / HTTP/1.0\r\nconnection: keep-alive\r\n\r\n")
                .await?;
            let answer = read_until(&stream, "0 bytes, 0 trailers").await?;
            assert!(answer.contains("connection: keep-alive"), "{answer}");
        }
        Ok(())
    });
}

#[test]
fn a_client_that_asks_before_it_sends_is_told_to_go_on_only_if_somebody_reads() {
    run(async {
        let (listener, address) = listen().await?;
        start(serve(listener, weigh));
        let head = |path: &str| {
            format!(
                "POST {path} HTTP/1.1\r\nhost: a\r\nexpect: 100-continue\r\ncontent-length: 5\r\n\r\n"
            )
        };
        let stream = TcpStream::connect(address).await?;
        for _ in 0..2 {
            stream.write_all(head("/").as_bytes()).await?;
            read_until(&stream, "HTTP/1.1 100 Continue\r\n\r\n").await?;
            stream.write_all(b"hello").await?;
            read_until(&stream, "5 bytes, 0 trailers").await?;
        }
        // What it would send now might be the body, or not: the connection ends.
        stream.write_all(head("/unread").as_bytes()).await?;
        let answer = rest(&stream).await?;
        assert!(has(&answer, "200", "unread"), "{answer}");
        assert!(!answer.contains("100 Continue"), "{answer}");
        Ok(())
    });
}

#[test]
fn trailers_come_and_heads_alone_go() {
    run(async {
        let (listener, address) = listen().await?;
        start(serve(listener, weigh));
        let chunked =
            b"POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\ntrailer: x\r\n\r\n\
            5\r\nhello\r\n1\r\n!\r\n0\r\nx: 1\r\ny: 2\r\n\r\n\
            HEAD / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n\
            GET /never HTTP/1.1\r\nhost: a\r\n\r\n";
        let answer = told(address, chunked).await?;
        let second = answer.split_once("6 bytes, 2 trailers").unwrap().1;
        assert!(has(second, "200", "\r\n\r\n"), "{answer}");
        assert!(second.contains("content-length: 19"), "{answer}");
        assert_eq!(answer.matches("HTTP/1.1").count(), 2, "{answer}");
        Ok(())
    });
}

#[test]
fn an_upload_that_nobody_reads_does_not_become_the_next_request() {
    run(async {
        let (listener, address) = listen().await?;
        start(serve(listener, weigh));
        let inner = "GET /unread HTTP/1.1\r\nhost: a\r\nlong: \r\n";
        let outer = format!(
            "POST /unread HTTP/1.1\r\nhost: a\r\ncontent-length: {}\r\n\r\n{inner}\
            GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n",
            inner.len()
        );
        let answer = told(address, outer.as_bytes()).await?;
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
        // The body is skipped, or the connection ends.
        assert_eq!(answer.matches("unread").count(), 1, "{answer}");
        Ok(())
    });
}
