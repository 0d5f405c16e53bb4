//! HTTP is served, limited, and ended gracefully.

mod support;

use std::convert::Infallible;
use std::future::pending;
use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::{AsyncReadExt, AsyncWriteExt};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use net::hyper::{Io, Peer, serve};
use net::{TcpStream, UnixListener, UnixStream};
use runtime::JoinHandle;
use support::{HANG, SOON, listen, run, start};
use sync::{Notify, oneshot};

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

/// A tower service that has to be waited for.
#[derive(Clone)]
struct Slow {
    asked: bool,
}

impl tower_service::Service<Request<Incoming>> for Slow {
    type Response = Response<String>;
    type Error = Infallible;
    type Future = std::future::Ready<Result<Response<String>, Infallible>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        if self.asked {
            return Poll::Ready(Ok(()));
        }
        self.asked = true;
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    fn call(&mut self, _: Request<Incoming>) -> Self::Future {
        assert!(self.asked, "called before it was ready");
        std::future::ready(Ok(Response::new("hello from tower".to_owned())))
    }
}

#[test]
fn functions_closures_tower_and_hyper_services_answer() {
    run(async {
        let (listener, address) = listen().await?;
        let server = start(serve(listener.clone(), hello));
        assert!(
            ask(&TcpStream::connect(address).await?, "/a")
                .await?
                .ends_with("hello from /a")
        );
        end(server).await;

        let name = "a closure".to_owned();
        let server = start(serve(listener.clone(), move |_: Request<Incoming>| {
            let name = name.clone();
            async move { Ok::<_, Infallible>(Response::new(name)) }
        }));
        assert!(
            ask(&TcpStream::connect(address).await?, "/")
                .await?
                .ends_with("a closure")
        );
        end(server).await;

        let server = start(serve(listener.clone(), service_fn(hello)));
        assert!(
            ask(&TcpStream::connect(address).await?, "/b")
                .await?
                .ends_with("hello from /b")
        );
        end(server).await;

        let server = start(serve(listener, Slow { asked: false }));
        let answer = ask(&TcpStream::connect(address).await?, "/").await?;
        assert!(answer.ends_with("hello from tower"), "{answer}");
        end(server).await;
        Ok(())
    });
}

#[test]
fn requests_that_come_at_once_are_answered_in_their_order() {
    run(async {
        let (listener, address) = listen().await?;
        start(serve(listener, hello));
        let stream = TcpStream::connect(address).await?;
        let mut all = String::new();
        for i in 0..100 {
            all += &request(&format!("/{i}"), i == 99);
        }
        stream.write_all(all.as_bytes()).await?;
        let answers = rest(&stream).await?;
        let paths: Vec<_> = answers
            .split("hello from /")
            .skip(1)
            .map(|part| part.split("HTTP").next().unwrap().parse::<u32>().unwrap())
            .collect();
        assert_eq!(paths, (0..100).collect::<Vec<_>>());
        Ok(())
    });
}

#[test]
fn a_request_may_come_a_byte_at_a_time() {
    run(async {
        let (listener, address) = listen().await?;
        start(serve(listener, hello));
        // The first letters are those of HTTP/2's preface.
        let stream = TcpStream::connect(address).await?;
        for byte in request("/slow", true).replacen("GET", "PRIVATE", 1).bytes() {
            stream.write_all(&[byte]).await?;
            runtime::yield_now().await;
        }
        let answer = rest(&stream).await?;
        assert!(answer.ends_with("hello from /slow"), "{answer}");
        Ok(())
    });
}

#[test]
fn megabytes_come_back_as_they_were_sent() {
    run(async {
        let (listener, address) = listen().await?;
        start(serve(listener, |request: Request<Incoming>| async move {
            Ok::<_, Infallible>(Response::new(request.into_body()))
        }));
        const BYTES: usize = 4 << 20;
        let data: Arc<Vec<u8>> = Arc::new((0..BYTES).map(|i| (i * 31 % 251) as u8).collect());
        let stream = TcpStream::connect(address).await?;
        let (sending, sent) = (stream.clone(), Arc::clone(&data));
        let sender = runtime::spawn(async move {
            let head = format!(
                "POST / HTTP/1.1\r\nhost: here\r\nconnection: close\r\ncontent-length: {BYTES}\r\n\r\n"
            );
            sending.write_all(head.as_bytes()).await?;
            sending.write_all(&sent).await
        });
        let mut answer = Vec::new();
        AsyncReadExt::read_to_end(&mut &stream, &mut answer).await?;
        sender.await.unwrap()?;
        let body = answer
            .windows(4)
            .position(|four| four == b"\r\n\r\n")
            .unwrap()
            + 4;
        assert!(answer[body..] == data[..]);
        Ok(())
    });
}

#[test]
fn the_end_closes_idle_connections_and_waits_for_busy_ones() {
    static BUSY: Notify = Notify::new();
    static MAY_ANSWER: Notify = Notify::new();
    run(async {
        let (listener, address) = listen().await?;
        let (stop, stopped) = oneshot::channel::<()>();
        let server = serve(listener, |request: Request<Incoming>| async move {
            if request.uri().path() == "/busy" {
                BUSY.notify_one();
                MAY_ANSWER.notified().await;
            }
            hello(request).await
        });
        let server = start(server.shutdown_on(stopped));

        // Who has connected and not said anything.
        let new = TcpStream::connect(address).await?;
        let idle = TcpStream::connect(address).await?;
        idle.write_all(request("/once", false).as_bytes()).await?;
        read_until(&idle, "hello from /once").await?;
        let busy = TcpStream::connect(address).await?;
        busy.write_all(request("/busy", false).as_bytes()).await?;
        BUSY.notified().await;

        drop(stop);
        assert_eq!(rest(&idle).await?, "", "an idle one is closed");
        assert_eq!(rest(&new).await?, "", "and so is a new one");
        let error = TcpStream::connect(address).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::ConnectionRefused);
        assert!(!server.is_finished());

        MAY_ANSWER.notify_one();
        assert!(rest(&busy).await?.ends_with("hello from /busy"));
        server.await.unwrap()
    });
}

#[test]
fn who_does_not_finish_in_time_is_cut_off_and_counted() {
    run(async {
        let (listener, address) = listen().await?;
        let (stop, stopped) = oneshot::channel::<()>();
        let server = serve(listener, |_: Request<Incoming>| {
            pending::<Result<Response<String>, Infallible>>()
        })
        .shutdown_on(stopped)
        .drain(SOON);
        let server = start(server);
        let streams = [
            TcpStream::connect(address).await?,
            TcpStream::connect(address).await?,
        ];
        for stream in &streams {
            stream.write_all(request("/", false).as_bytes()).await?;
            // Accepted, and its request read: only then has it something to finish.
            while is_unread(stream)? {
                runtime::time::sleep(Duration::from_millis(1)).await;
            }
        }
        drop(stop);
        let error = server.await.unwrap().unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        assert!(
            error
                .to_string()
                .starts_with("2 connections did not finish"),
            "{error}"
        );
        for stream in &streams {
            assert!(rest(stream).await.is_ok_and(|text| text.is_empty()));
        }
        Ok(())
    });
}

/// Whether there are bytes of ours that the other end has not read. (Loopback: what is sent is received at once.)
fn is_unread(stream: &TcpStream) -> io::Result<bool> {
    // Both ports: others may have connections, or remains of them, from a port of this number.
    let ends =
        [stream.peer_addr()?, stream.local_addr()?].map(|end| format!(":{:04X}", end.port()));
    let table = std::fs::read_to_string("/proc/net/tcp")?;
    let line = table.lines().skip(1).find(|line| {
        let mut found = line.split_whitespace().skip(1);
        ends.iter().all(|end| found.next().unwrap().ends_with(end))
    });
    let queues = line.unwrap().split_whitespace().nth(4).unwrap();
    Ok(!queues.ends_with(":00000000"))
}

#[test]
fn the_server_ends_well_when_its_listener_is_closed() {
    run(async {
        let (listener, address) = listen().await?;
        let server = start(serve(listener.clone(), hello));
        ask(&TcpStream::connect(address).await?, "/").await?;
        listener.close()?;
        server.await.unwrap()
    });
}

#[test]
fn a_server_that_is_dropped_lets_its_connections_finish() {
    static BUSY: Notify = Notify::new();
    static MAY_ANSWER: Notify = Notify::new();
    run(async {
        let (listener, address) = listen().await?;
        let server = start(serve(listener, |request| async move {
            BUSY.notify_one();
            MAY_ANSWER.notified().await;
            hello(request).await
        }));
        let busy = TcpStream::connect(address).await?;
        busy.write_all(request("/busy", false).as_bytes()).await?;
        BUSY.notified().await;
        server.abort();
        assert!(server.await.unwrap_err().is_cancelled());
        assert!(TcpStream::connect(address).await.is_err());
        MAY_ANSWER.notify_one();
        assert!(rest(&busy).await?.ends_with("hello from /busy"));
        Ok(())
    });
}

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
        // From here on a client may be so slow itself that it finds itself closed before it has said anything, and be reset.
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

#[test]
fn a_handler_s_panic_or_error_ends_its_connection_alone() {
    run(async {
        let (listener, address) = listen().await?;
        let (tell, mut told) = oneshot::channel();
        let tell = Mutex::new(Some(tell));
        let server = serve(listener, |request: Request<Incoming>| async move {
            match request.uri().path() {
                "/panic" => panic!("as the test wants it"),
                "/error" => Err(io::Error::other("out of tea")),
                _ => Ok(Response::new("well".to_owned())),
            }
        })
        .on_error(move |error| {
            if let Some(tell) = tell.lock().unwrap().take() {
                tell.send((error.peer().copied(), error.to_string()))
                    .unwrap();
            }
        });
        start(server);
        let well = TcpStream::connect(address).await?;
        well.write_all(request("/", false).as_bytes()).await?;
        read_until(&well, "well").await?;
        let mut last = None;
        for path in ["/panic", "/error"] {
            let broken = TcpStream::connect(address).await?;
            last = Some(broken.local_addr()?);
            assert_eq!(ask(&broken, path).await.unwrap_or_default(), "");
        }
        let (peer, text) = (&mut told).await.unwrap();
        assert_eq!(peer, last);
        let whose = format!("{}: ", last.unwrap());
        assert!(
            text.starts_with(&whose) && text.ends_with(": out of tea"),
            "{text}"
        );
        well.write_all(request("/", true).as_bytes()).await?;
        assert!(rest(&well).await?.ends_with("well"));
        Ok(())
    });
}

#[test]
fn a_handshake_that_fails_or_hangs_holds_up_nobody() {
    run(async {
        let (listener, address) = listen().await?;
        let failed = Arc::new(Mutex::new(Vec::new()));
        let failures = Arc::clone(&failed);
        let server = serve(listener, hello)
            .through(async |stream: TcpStream| {
                // By what the client says first: tasks may run in any order.
                let mut first = [0];
                stream.peek(&mut first).await?;
                match &first {
                    b"h" => pending().await,
                    b"f" => Err(io::Error::other("no")),
                    _ => Ok(Io::new(stream)),
                }
            })
            .on_error(move |error| failures.lock().unwrap().push(error.to_string()));
        start(server);
        let hangs = TcpStream::connect(address).await?;
        hangs.write_all(b"h").await?;
        let fails = TcpStream::connect(address).await?;
        fails.write_all(b"f").await?;
        // It may be reset, as nobody has read what it has sent.
        assert_eq!(rest(&fails).await.unwrap_or_default(), "");
        assert!(
            ask(&TcpStream::connect(address).await?, "/x")
                .await?
                .ends_with("hello from /x")
        );
        until(|| !failed.lock().unwrap().is_empty()).await;
        let text = format!("{}: handshake: no", fails.local_addr()?);
        assert_eq!(*failed.lock().unwrap(), [text]);
        drop(hangs);
        Ok(())
    });
}

#[test]
fn handlers_learn_who_asks() {
    run(async {
        let (listener, address) = listen().await?;
        let server = serve(listener, |request: Request<Incoming>| async move {
            let peer = request.extensions().get::<Peer<std::net::SocketAddr>>();
            Ok::<_, Infallible>(Response::new(format!("{}", peer.unwrap().0)))
        });
        start(server.tell_peer());
        let stream = TcpStream::connect(address).await?;
        let mine = stream.local_addr()?.to_string();
        assert!(ask(&stream, "/").await?.ends_with(&mine));
        Ok(())
    });
}

#[test]
fn unix_sockets_are_served_too() {
    run(async {
        let path = format!("@weftline-test-{}", std::process::id());
        let listener = UnixListener::bind(&path)?;
        start(serve(listener, hello));
        let stream = UnixStream::connect(&path).await?;
        stream.write_all(request("/unix", true).as_bytes()).await?;
        let mut answer = String::new();
        AsyncReadExt::read_to_string(&mut &stream, &mut answer).await?;
        assert!(answer.ends_with("hello from /unix"));
        Ok(())
    });
}

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
