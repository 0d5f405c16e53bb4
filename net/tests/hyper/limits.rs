//! What clients may not do: dawdle, trickle, leave their answer unread, come in too great a number.

use std::convert::Infallible;
use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use hyper::body::Incoming;
use hyper::{Request, Response, StatusCode};
use net::TcpStream;
use net::hyper::serve;
use sync::oneshot;

use crate::support::{HANG, SOON, listen, run, start};
use crate::{ask, hello, read_until, request, rest, until};

#[test]
fn a_client_that_dawdles_is_closed() {
    run(async {
        let (listener, address) = listen().await?;
        let seen = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&seen);
        let server = serve(listener, hello)
            .header_timeout(SOON)
            .on_error(move |_| _ = count.fetch_add(1, Ordering::Relaxed));
        start(server);
        let silent = TcpStream::connect(address).await?;
        assert_eq!(rest(&silent).await?, "", "one that says nothing");
        let halting = TcpStream::connect(address).await?;
        // From here on a client may be so slow itself that it finds itself closed before it has
        // said anything, and be reset.
        let _ = halting.write_all(b"GET / HTTP/1.1\r\nhost: he").await;
        let _maybe_told = rest(&halting).await; // "one that stops in the middle of a head"
        let idle = TcpStream::connect(address).await?;
        let _ = idle.write_all(request("/", false).as_bytes()).await;
        let _maybe_answered = rest(&idle).await; // "one that has no more to ask"
        until(|| seen.load(Ordering::Relaxed) >= 2).await;
        Ok(())
    });
}

#[test]
fn between_two_requests_another_limit_holds_than_in_a_head() {
    run(async {
        let (listener, address) = listen().await?;
        let seen = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&seen);
        let server = serve(listener, hello)
            .header_timeout(SOON * 40)
            .idle_timeout(None)
            .on_error(move |_| _ = count.fetch_add(1, Ordering::Relaxed));
        start(server);
        let slow = TcpStream::connect(address).await?;
        for round in 0..2 {
            slow.write_all(request("/", false).as_bytes()).await?;
            read_until(&slow, "hello from /").await?;
            // Longer than a head may take; it does so for nothing if the limit is one for both.
            if round == 0 {
                runtime::time::sleep(SOON * 50).await;
            }
        }
        assert_eq!(seen.load(Ordering::Relaxed), 0);
        slow.write_all(b"GET / HT").await?;
        rest(&slow).await?;
        // It is told when the connection is gone.
        while seen.load(Ordering::Relaxed) == 0 {
            runtime::yield_now().await;
        }
        Ok(())
    });
}

#[test]
fn an_idle_connection_is_closed_and_that_is_no_error() {
    run(async {
        let (listener, address) = listen().await?;
        let server = serve(listener, hello)
            .header_timeout(HANG)
            .idle_timeout(SOON)
            .on_error(|error| panic!("{error}"));
        start(server);
        let idle = TcpStream::connect(address).await?;
        idle.write_all(request("/", false).as_bytes()).await?;
        assert!(rest(&idle).await?.ends_with("hello from /"));
        Ok(())
    });
}

#[test]
fn a_client_that_does_not_read_its_answer_is_closed() {
    run(async {
        let (listener, address) = listen().await?;
        let (tell, mut told) = oneshot::channel::<String>();
        let tell = Mutex::new(Some(tell));
        // More than the buffers on the way hold.
        let server = serve(listener, |request: Request<Incoming>| async move {
            let bytes = if request.uri().path() == "/long" {
                64 << 20
            } else {
                4
            };
            Ok::<_, Infallible>(Response::new("x".repeat(bytes)))
        })
        .max_connections(1)
        .write_timeout(SOON * 40)
        .on_error(move |error| {
            if let Some(tell) = tell.lock().unwrap().take() {
                tell.send(error.to_string()).unwrap();
            }
        });
        start(server);
        let stubborn = TcpStream::connect(address).await?;
        stubborn
            .write_all(request("/long", false).as_bytes())
            .await?;
        // There is room for this one when the other is gone.
        let next = TcpStream::connect(address).await?;
        assert!(ask(&next, "/short").await?.ends_with("xxxx"));
        let why = (&mut told).await.unwrap();
        assert!(why.contains("write timeout"), "{why}");
        drop(stubborn);
        Ok(())
    });
}

#[test]
fn a_client_that_has_finished_sending_gets_its_answer() {
    run(async {
        let (listener, address) = listen().await?;
        let server = serve(listener, |request| async move {
            // Time to find out that nothing more will come.
            runtime::time::sleep(SOON).await;
            hello(request).await
        });
        start(server);
        let stream = TcpStream::connect(address).await?;
        stream.write_all(request("/", true).as_bytes()).await?;
        stream.shutdown(std::net::Shutdown::Write)?;
        assert!(rest(&stream).await?.ends_with("hello from /"));
        Ok(())
    });
}

#[test]
fn an_answer_that_comes_too_late_is_not_written() {
    run(async {
        let (listener, address) = listen().await?;
        let server = serve(listener, |request| async move {
            runtime::time::sleep(SOON * 2).await;
            hello(request).await
        });
        start(server.write_timeout(SOON));
        let stream = TcpStream::connect(address).await?;
        assert_eq!(ask(&stream, "/").await?, "");
        Ok(())
    });
}

/// Reads the whole body; says how long it was, or that it did not come.
async fn measure(mut request: Request<Incoming>) -> Result<Response<String>, Infallible> {
    use hyper::body::Body;
    let mut length = 0;
    loop {
        let body = Pin::new(request.body_mut());
        let mut body = Some(body);
        let frame = std::future::poll_fn(|cx| body.as_mut().unwrap().as_mut().poll_frame(cx));
        match frame.await {
            Some(Ok(frame)) => length += frame.data_ref().map_or(0, |data| data.len()),
            None => return Ok(Response::new(format!("{length} bytes"))),
            Some(Err(error)) => {
                let mut late = Response::new(format!("{error:?}"));
                *late.status_mut() = StatusCode::REQUEST_TIMEOUT;
                return Ok(late);
            }
        }
    }
}

const UPLOAD: &str = "POST / HTTP/1.1\r\nhost: here\r\ncontent-length: 10\r\n\r\n";

#[test]
fn a_body_that_does_not_come_in_time_fails_and_the_handler_may_say_so() {
    run(async {
        let (listener, address) = listen().await?;
        start(serve(listener, measure).read_timeout(SOON));
        let slow = TcpStream::connect(address).await?;
        slow.write_all(UPLOAD.as_bytes()).await?;
        let answer = rest(&slow).await?;
        // The head may have been late, too, on a machine that stood still.
        if !answer.is_empty() {
            assert!(answer.starts_with("HTTP/1.1 408"), "{answer}");
            assert!(answer.contains("read timeout"), "{answer}");
        }
        Ok(())
    });
}

#[test]
fn a_body_that_trickles_has_no_more_time_than_one_that_does_not_come() {
    run(async {
        let (listener, address) = listen().await?;
        start(serve(listener, measure).read_timeout(SOON * 4));
        let slow = TcpStream::connect(address).await?;
        slow.write_all(UPLOAD.replace("10", "1000000").as_bytes())
            .await?;
        // Until the server closes.
        while slow.write_all(b"x").await.is_ok() {
            runtime::time::sleep(SOON / 10).await;
        }
        Ok(())
    });
}

#[test]
fn the_read_limit_ends_with_the_body_and_begins_with_the_next_request() {
    run(async {
        let (listener, address) = listen().await?;
        let limit = SOON * 4;
        let server = serve(listener, move |request| async move {
            let answer = measure(request).await;
            // Nothing is read meanwhile.
            runtime::time::sleep(limit * 2).await;
            answer
        });
        start(server.read_timeout(limit).idle_timeout(HANG));
        let twice = async || -> io::Result<()> {
            let stream = TcpStream::connect(address).await?;
            for body in ["0123456789", "9876543210"] {
                stream.write_all(UPLOAD.as_bytes()).await?;
                stream.write_all(body.as_bytes()).await?;
                let mut answer = Vec::new();
                while !answer.ends_with(b"10 bytes") {
                    let mut buf = [0; 1024];
                    match stream.read(&mut buf).await? {
                        0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                        n => answer.extend_from_slice(&buf[..n]),
                    }
                }
                // Idle for longer than the limit.
                runtime::time::sleep(limit * 2).await;
            }
            Ok(())
        };
        // A machine that stands still makes any client late; but not every time.
        while twice().await.is_err() {}
        Ok(())
    });
}

#[test]
fn at_the_limit_new_clients_wait_until_one_leaves() {
    run(async {
        let (listener, address) = listen().await?;
        start(serve(listener, hello).max_connections(2));
        let first = TcpStream::connect(address).await?;
        let second = TcpStream::connect(address).await?;
        for stream in [&first, &second] {
            stream.write_all(request("/", false).as_bytes()).await?;
            read_until(stream, "hello from /").await?;
        }
        let third = TcpStream::connect(address).await?;
        third.write_all(request("/third", true).as_bytes()).await?;
        third.set_read_deadline(runtime::time::Instant::now() + SOON)?;
        assert!(net::is_deadline(
            &third.read(&mut [0; 1]).await.unwrap_err()
        ));
        third.set_read_deadline(runtime::time::Instant::now() + HANG)?;
        drop(first);
        assert!(rest(&third).await?.ends_with("hello from /third"));
        Ok(())
    });
}
