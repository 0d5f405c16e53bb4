//! What a handler may be, and what comes back.

use std::convert::Infallible;
use std::future::pending;
use std::io;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};

use futures_util::AsyncReadExt;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Request, Response};
use net::hyper::{Io, Peer, RequestBody, serve};
use net::{TcpStream, UnixListener, UnixStream};
use sync::oneshot;

use crate::support::{listen, run, start};
use crate::{ask, end, hello, read_until, request, rest, until};

/// A tower service that has to be waited for.
#[derive(Clone)]
struct Slow {
    asked: bool,
}

impl tower_service::Service<Request<RequestBody>> for Slow {
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

    fn call(&mut self, _: Request<RequestBody>) -> Self::Future {
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
