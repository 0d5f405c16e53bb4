//! Bodies that a client does not send in time: what their handlers are told, and the client.

use std::convert::Infallible;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use hyper::body::{Body, Incoming};
use hyper::{Request, Response, StatusCode};
use net::hyper::{RequestBody, serve};
use sync::Notify;

use super::support::{HANG, SOON, listen, run, start};
use super::{Client, DATA, END_HEADERS, END_STREAM, Frame, HEADERS, RESET, Tell};

/// How long the body is; to `/slow` not before a request would be late.
async fn measure(mut request: Request<Incoming>) -> Result<Response<String>, Infallible> {
    let mut n = 0;
    while let Some(frame) = frame(&mut request).await {
        n += frame.unwrap().into_data().map_or(0, |data| data.len());
    }
    if request.uri().path() == "/slow" {
        runtime::time::sleep(LIMIT * 2).await;
    }
    Ok(Response::new(format!("{n} bytes")))
}

/// For requests to come.
const LIMIT: Duration = SOON.saturating_mul(8);

/// The head of an answer that says 408: a literal for an indexed name, in Huffman's code.
const TOO_LATE: &[u8] = &[0x48, 0x83, 0x68, 0x0f, 0x7f];

/// That says 200.
const WELL: u8 = 0x88;

#[test]
fn a_body_that_trickles_is_answered_so_and_its_handler_is_dropped() {
    run(async {
        let (listener, address) = listen().await?;
        let dropped = Arc::new(Notify::new());
        let tell = Arc::clone(&dropped);
        let server = serve(listener, move |request| {
            let tell = Tell(Arc::clone(&tell));
            async move {
                let answer = measure(request).await;
                drop(tell);
                answer
            }
        });
        start(server.header_timeout(HANG).read_timeout(LIMIT));
        let client = Client::connect(address, 100).await?;
        client.head(1, "/", END_HEADERS).await?;
        let stream = client.stream.clone();
        runtime::spawn(async move {
            // A byte at a time, until the server ends the connection.
            let byte = [0, 0, 1, DATA, 0, 0, 0, 0, 1, b'x'];
            while stream.write_all(&byte).await.is_ok() {
                runtime::time::sleep(SOON / 10).await;
            }
        });
        let answer = client.next().await?.unwrap();
        assert_eq!((answer.kind, answer.stream), (HEADERS, 1));
        assert!(answer.payload.starts_with(TOO_LATE), "{answer:?}");
        assert_ne!(answer.flags & END_STREAM, 0);
        let reset = client.next().await?.unwrap();
        // Without an error: the answer holds.
        assert_eq!((reset.kind, &reset.payload[..]), (RESET, &[0; 4][..]));
        dropped.notified().await;
        // The connection goes on.
        client.ask(3, "/").await?;
        assert_eq!(client.body(3).await?.unwrap(), b"0 bytes");
        client.stream.close()
    });
}

#[test]
fn a_request_that_is_there_has_no_read_limit() {
    run(async {
        let (listener, address) = listen().await?;
        let server = serve(listener, measure).header_timeout(HANG);
        start(server.read_timeout(LIMIT));
        // A machine that stands still may be late itself; but not every time.
        loop {
            let Ok(client) = Client::connect(address, 100).await else {
                continue;
            };
            client.head(1, "/slow", END_HEADERS).await?;
            for flags in [0, 0, END_STREAM] {
                client.send(DATA, flags, 1, b"abcd").await?;
            }
            if client.body(1).await?.unwrap() == b"12 bytes" {
                return Ok(());
            }
        }
    });
}

#[test]
fn of_requests_that_come_at_once_only_those_are_late_that_are_not_there() {
    run(async {
        let (listener, address) = listen().await?;
        let server = serve(listener, measure).header_timeout(HANG);
        let server = server.http2(|http| _ = http.max_concurrent_streams(5));
        start(server.read_timeout(LIMIT));
        // As above.
        'again: loop {
            let Ok(client) = Client::connect(address, 100).await else {
                continue;
            };
            let mut batch = Batch(Vec::new());
            batch.head(1, END_HEADERS);
            batch.head(3, END_HEADERS | END_STREAM);
            batch.head(5, END_HEADERS);
            batch.head(7, END_HEADERS);
            batch.frame(DATA, END_STREAM, 5, b"abcd");
            batch.head(9, END_HEADERS);
            // One too many, which nobody is called for.
            batch.head(11, END_HEADERS);
            batch.frame(DATA, 0, 9, b"ab");
            batch.frame(DATA, END_STREAM, 9, b"c");
            client.stream.write_all(&batch.0).await?;
            let answers = client.heads([1, 3, 5, 7, 9]).await?;
            for (stream, head) in answers {
                let is_late = head[0] != WELL;
                if is_late && matches!(stream, 3 | 5 | 9) {
                    continue 'again;
                }
                assert_eq!(is_late, matches!(stream, 1 | 7), "{stream}");
            }
            return Ok(());
        }
    });
}

/// Frames to be sent at once.
struct Batch(Vec<u8>);

impl Batch {
    fn frame(&mut self, kind: u8, flags: u8, stream: u32, payload: &[u8]) {
        self.0.extend(&(payload.len() as u32).to_be_bytes()[1..]);
        self.0.extend([kind, flags]);
        self.0.extend(stream.to_be_bytes());
        self.0.extend(payload);
    }

    fn head(&mut self, stream: u32, flags: u8) {
        let mut block = vec![0x82, 0x86, 0x04, 5];
        block.extend(b"/slow");
        block.extend([0x01, 4]);
        block.extend(b"here");
        self.frame(HEADERS, flags, stream, &block);
    }
}

#[test]
fn an_answer_that_has_begun_is_reset_when_its_request_is_late() {
    run(async {
        let (listener, address) = listen().await?;
        // What is sent comes back.
        let server = serve(listener, async |request: Request<Incoming>| {
            Ok::<_, Infallible>(Response::new(request.into_body()))
        });
        start(server.header_timeout(HANG).read_timeout(LIMIT));
        // As above.
        loop {
            let client = Client::connect(address, 1000).await?;
            client.head(1, "/", END_HEADERS).await?;
            client.send(DATA, 0, 1, b"abcd").await?;
            let answer = client.next().await?.unwrap();
            if answer.payload[0] != WELL {
                continue;
            }
            let data = client.next().await?.unwrap();
            assert_eq!((data.kind, &data.payload[..]), (DATA, &b"abcd"[..]));
            let reset = client.next().await?.unwrap();
            assert_eq!((reset.kind, reset.stream), (RESET, 1));
            return Ok(());
        }
    });
}

async fn frame(
    request: &mut Request<Incoming>,
) -> Option<hyper::Result<hyper::body::Frame<hyper::body::Bytes>>> {
    std::future::poll_fn(|cx| Pin::new(request.body_mut()).poll_frame(cx)).await
}

/// A tower service, which reads the body and answers how that went.
#[derive(Clone)]
struct Told;

type Said = Result<Response<String>, Infallible>;

impl tower_service::Service<Request<RequestBody>> for Told {
    type Response = Response<String>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Said> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<RequestBody>) -> Self::Future {
        Box::pin(tell(request))
    }
}

async fn tell(mut request: Request<RequestBody>) -> Said {
    if request.uri().path() == "/slow" {
        runtime::time::sleep(LIMIT * 2).await;
    }
    let mut n = 0;
    loop {
        match poll_fn(|cx| Pin::new(request.body_mut()).poll_frame(cx)).await {
            Some(Ok(frame)) => n += frame.data_ref().map_or(0, |data| data.len()),
            None => return Ok(Response::new(format!("{n} bytes"))),
            Some(Err(error)) => {
                // Once is enough.
                let after = poll_fn(|cx| Pin::new(request.body_mut()).poll_frame(cx)).await;
                assert!(after.is_none() && request.body().is_end_stream());
                let mut late = Response::new(format!("{:?}: {error}", error.kind()));
                *late.status_mut() = StatusCode::REQUEST_TIMEOUT;
                return Ok(late);
            }
        }
    }
}

/// A connection on which stream 1 has been answered: the preface, too, has to come in time, and a
/// machine that stands still may be late itself; but not every time.
async fn admitted(address: std::net::SocketAddr) -> std::io::Result<Client> {
    loop {
        let client = Client::connect(address, 1000).await?;
        if client.ask(1, "/").await.is_err() {
            continue;
        }
        if let Ok(Some(Frame { kind: HEADERS, .. })) = client.next().await {
            client.body(1).await?.unwrap();
            return Ok(client);
        }
    }
}

const LATE: &[u8] = b"TimedOut: the request was not sent by the client within the read timeout";

#[test]
fn a_service_s_read_fails_when_the_body_does_not_come_and_it_may_answer() {
    run(async {
        let (listener, address) = listen().await?;
        start(serve(listener, Told).read_timeout(LIMIT));
        let client = admitted(address).await?;
        client.head(3, "/", END_HEADERS).await?;
        client.send(DATA, 0, 3, b"abcd").await?;
        let answer = client.body(3).await?.unwrap();
        assert_eq!(
            String::from_utf8_lossy(&answer),
            String::from_utf8_lossy(LATE)
        );
        // The connection goes on.
        client.ask(5, "/").await?;
        assert_eq!(client.body(5).await?.unwrap(), b"0 bytes");
        Ok(())
    });
}

#[test]
fn a_service_s_read_fails_too_when_the_body_trickles() {
    run(async {
        let (listener, address) = listen().await?;
        start(serve(listener, Told).read_timeout(LIMIT));
        let client = admitted(address).await?;
        client.head(3, "/", END_HEADERS).await?;
        let stream = client.stream.clone();
        let trickle = runtime::spawn(async move {
            let byte = [0, 0, 1, DATA, 0, 0, 0, 0, 3, b'x'];
            while stream.write_all(&byte).await.is_ok() {
                runtime::time::sleep(SOON / 10).await;
            }
        });
        assert_eq!(client.body(3).await?.unwrap(), LATE);
        client.stream.close()?;
        trickle.await.unwrap();
        Ok(())
    });
}

#[test]
fn a_service_that_reads_late_a_body_that_is_there_reads_it() {
    run(async {
        let (listener, address) = listen().await?;
        start(serve(listener, Told).read_timeout(LIMIT));
        // A machine that stands still may be late itself; but not every time.
        loop {
            let client = admitted(address).await?;
            client.head(3, "/slow", END_HEADERS).await?;
            for flags in [0, 0, END_STREAM] {
                client.send(DATA, flags, 3, b"abcd").await?;
            }
            if client.body(3).await?.unwrap() == b"12 bytes" {
                return Ok(());
            }
        }
    });
}

#[test]
fn a_body_that_is_late_is_the_same_error_in_http1() {
    run(async {
        let (listener, address) = listen().await?;
        start(serve(listener, Told).read_timeout(LIMIT));
        // As above: the head itself may be late.
        loop {
            let stream = net::TcpStream::connect(address).await?;
            let head = "POST / HTTP/1.1\r\nhost: here\r\ncontent-length: 10\r\n\r\nabcd";
            stream.write_all(head.as_bytes()).await?;
            let mut answer = Vec::new();
            let mut buf = [0; 1024];
            while let Ok(n @ 1..) = stream.read(&mut buf).await {
                answer.extend_from_slice(&buf[..n]);
            }
            let answer = String::from_utf8_lossy(&answer);
            if !answer.is_empty() {
                assert!(answer.starts_with("HTTP/1.1 408"), "{answer}");
                assert!(answer.contains("\r\n\r\nTimedOut: "), "{answer}");
                return Ok(());
            }
        }
    });
}

/// The service above behind a layer that takes hyper's body out, as for one that asks for it.
#[derive(Clone)]
struct Plain;

impl tower_service::Service<Request<RequestBody>> for Plain {
    type Response = Response<String>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Said> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<RequestBody>) -> Self::Future {
        Box::pin(measure(request.map(RequestBody::into_inner)))
    }
}

#[test]
fn a_service_that_takes_hyper_s_body_is_dropped_when_that_is_late() {
    run(async {
        let (listener, address) = listen().await?;
        start(serve(listener, Plain).read_timeout(LIMIT));
        let client = admitted(address).await?;
        client.head(3, "/", END_HEADERS).await?;
        let answer = client.next().await?.unwrap();
        assert!(answer.payload.starts_with(TOO_LATE), "{answer:?}");
        Ok(())
    });
}
