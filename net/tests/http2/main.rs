//! HTTP/2 clients that are made by hand, and do what no well-behaved one does.

#[path = "../support/mod.rs"]
mod support;
mod uploads;

use std::convert::Infallible;
use std::future::pending;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use futures_util::{AsyncReadExt, AsyncWriteExt};
use hyper::body::Incoming;
use hyper::{Request, Response};
use net::TcpStream;
use net::hyper::serve;
use support::{HANG, SOON, listen, run, start};
use sync::Notify;

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RESET: u8 = 3;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const GO_AWAY: u8 = 7;
const WINDOW: u8 = 8;
const CONTINUATION: u8 = 9;

/// Of headers and data; of settings and pings it is the acknowledgement.
const END_STREAM: u8 = 1;
const ACK: u8 = 1;
const END_HEADERS: u8 = 4;

#[derive(Debug)]
struct Frame {
    kind: u8,
    flags: u8,
    stream: u32,
    payload: Vec<u8>,
}

struct Client {
    stream: TcpStream,
    /// Whether it answers pings.
    pongs: bool,
}

impl Client {
    /// Begins, and grants each answer so much room.
    async fn connect(address: std::net::SocketAddr, window: u32) -> io::Result<Self> {
        let stream = TcpStream::connect(address).await?;
        stream
            .write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
            .await?;
        let client = Self {
            stream,
            pongs: true,
        };
        client.grant_each(window).await?;
        Ok(client)
    }

    async fn send(&self, kind: u8, flags: u8, stream: u32, payload: &[u8]) -> io::Result<()> {
        let mut frame = (payload.len() as u32).to_be_bytes()[1..].to_vec();
        frame.extend([kind, flags]);
        frame.extend(stream.to_be_bytes());
        frame.extend(payload);
        self.stream.write_all(&frame).await
    }

    async fn grant_each(&self, window: u32) -> io::Result<()> {
        let mut setting = vec![0, 4];
        setting.extend(window.to_be_bytes());
        self.send(SETTINGS, 0, 0, &setting).await
    }

    async fn grant(&self, stream: u32, room: u32) -> io::Result<()> {
        self.send(WINDOW, 0, stream, &room.to_be_bytes()).await
    }

    async fn ask(&self, stream: u32, path: &str) -> io::Result<()> {
        self.head(stream, path, END_HEADERS | END_STREAM).await
    }

    async fn head(&self, stream: u32, path: &str, flags: u8) -> io::Result<()> {
        // GET, http, and literally the path and the authority.
        let mut block = vec![0x82, 0x86, 0x04, path.len() as u8];
        block.extend(path.as_bytes());
        block.extend([0x01, 4]);
        block.extend(b"here");
        self.send(HEADERS, flags, stream, &block).await
    }

    /// The next frame that is not about the connection as such; `None` at the end.
    async fn next(&self) -> io::Result<Option<Frame>> {
        loop {
            let mut head = [0; 9];
            match self.stream.read_exact(&mut head).await {
                Ok(()) => {}
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
                Err(error) if error.kind() == io::ErrorKind::ConnectionReset => return Ok(None),
                Err(error) => return Err(error),
            }
            let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
            let mut payload = vec![0; length as usize];
            self.stream.read_exact(&mut payload).await?;
            let frame = Frame {
                kind: head[3],
                flags: head[4],
                stream: u32::from_be_bytes([head[5], head[6], head[7], head[8]]),
                payload,
            };
            match frame.kind {
                // Nobody may be there any more to hear it.
                SETTINGS if frame.flags & ACK == 0 => {
                    let _ = self.send(SETTINGS, ACK, 0, &[]).await;
                }
                PING if frame.flags & ACK == 0 && self.pongs => {
                    let _ = self.send(PING, ACK, 0, &frame.payload).await;
                }
                SETTINGS | PING | WINDOW => {}
                _ => return Ok(Some(frame)),
            }
        }
    }

    /// The body of an answer, or `None` if the stream is reset.
    async fn body(&self, stream: u32) -> io::Result<Option<Vec<u8>>> {
        let mut body = Vec::new();
        loop {
            let frame = self.next().await?.expect("the connection goes on");
            match frame.kind {
                _ if frame.stream != stream => {}
                RESET => return Ok(None),
                DATA => body.extend(&frame.payload),
                _ => {}
            }
            let is_last = matches!(frame.kind, DATA | HEADERS) && frame.flags & END_STREAM != 0;
            if is_last && frame.stream == stream {
                return Ok(Some(body));
            }
        }
    }

    /// The heads of these streams' answers.
    async fn heads<const N: usize>(
        &self,
        mut streams: [u32; N],
    ) -> io::Result<Vec<(u32, Vec<u8>)>> {
        let mut heads = Vec::new();
        while heads.len() < streams.len() {
            let frame = self.next().await?.expect("the connection goes on");
            if frame.kind == HEADERS {
                let expected = streams.iter_mut().find(|id| **id == frame.stream);
                *expected.expect("one of those, and once") = 0;
                heads.push((frame.stream, frame.payload));
            }
        }
        Ok(heads)
    }

    /// Reads to the end of the connection, and says whether the server has said that it would come.
    async fn end(&self) -> io::Result<bool> {
        let mut told = false;
        while let Some(frame) = self.next().await? {
            told |= frame.kind == GO_AWAY;
        }
        Ok(told)
    }
}

fn bytes(n: usize) -> Vec<u8> {
    (0..n).map(|i| (i % 251) as u8).collect()
}

/// As many bytes as the path says.
async fn long(request: Request<Incoming>) -> Result<Response<String>, Infallible> {
    let n = request.uri().path()[1..].parse().unwrap();
    let text = bytes(n).iter().map(|byte| (byte % 128) as char).collect();
    Ok(Response::new(text))
}

fn is_long(body: &[u8], n: usize) -> bool {
    body.len() == n && body.iter().zip(bytes(n)).all(|(a, b)| *a == b % 128)
}

#[test]
fn answers_of_every_length_come_whole() {
    run(async {
        let (listener, address) = listen().await?;
        start(serve(listener, long));
        let lengths = [0, 1, 2, 100, 16_383, 16_384, 16_385, 16_386, 50_000];
        let client = Client::connect(address, 1 << 20).await?;
        client.grant(0, 1 << 20).await?;
        for (i, n) in lengths.into_iter().enumerate() {
            let stream = 2 * i as u32 + 1;
            client.ask(stream, &format!("/{n}")).await?;
            let body = client.body(stream).await?.unwrap();
            assert!(is_long(&body, n), "{n} bytes");
        }
        Ok(())
    });
}

#[test]
fn an_answer_that_just_fits_needs_no_more_room_than_that() {
    run(async {
        let (listener, address) = listen().await?;
        start(serve(listener, long));
        let client = Client::connect(address, 20_000).await?;
        client.ask(1, "/20000").await?;
        assert!(is_long(&client.body(1).await?.unwrap(), 20_000));
        Ok(())
    });
}

#[test]
fn who_only_answers_pings_is_told_to_go() {
    run(async {
        let (listener, address) = listen().await?;
        let server = serve(listener, long).header_timeout(HANG);
        start(server.idle_timeout(SOON));
        let client = Client::connect(address, 100).await?;
        client.ask(1, "/100").await?;
        assert!(is_long(&client.body(1).await?.unwrap(), 100));
        assert!(client.end().await?);
        // And who never asks at all.
        let client = Client::connect(address, 100).await?;
        assert!(client.end().await?);
        Ok(())
    });
}

#[test]
fn who_does_not_go_when_told_is_cut_off() {
    run(async {
        let (listener, address) = listen().await?;
        let server = serve(listener, long).header_timeout(HANG);
        start(server.idle_timeout(SOON));
        let mut client = Client::connect(address, 100).await?;
        client.pongs = false;
        client.end().await?;
        Ok(())
    });
}

#[test]
fn who_waits_for_an_answer_does_not_idle() {
    run(async {
        let (listener, address) = listen().await?;
        let go = Arc::new(Notify::new());
        let answer = Arc::clone(&go);
        let server = serve(listener, move |request| {
            let answer = Arc::clone(&answer);
            async move {
                answer.notified().await;
                long(request).await
            }
        });
        start(server.header_timeout(HANG).idle_timeout(SOON * 4));
        // A machine that stands still makes any client idle before it has asked; but not every
        // time.
        loop {
            let client = Client::connect(address, 100).await?;
            if client.ask(1, "/100").await.is_err() {
                continue;
            }
            let wake = Arc::clone(&go);
            runtime::spawn(async move {
                runtime::time::sleep(SOON * 16).await;
                wake.notify_one();
            });
            let first = client.next().await?;
            if first.is_some_and(|frame| frame.kind == HEADERS) {
                return Ok(());
            }
        }
    });
}

#[test]
fn an_answer_without_room_is_reset_and_others_come() {
    run(async {
        let (listener, address) = listen().await?;
        start(serve(listener, long).write_timeout(SOON * 4));
        let client = Client::connect(address, 1).await?;
        client.ask(1, "/50000").await?;
        assert!(client.body(1).await?.is_none());
        client.grant_each(50_000).await?;
        // A machine that stands still makes any answer late; but not every time.
        for stream in (3..).step_by(2) {
            client.grant(0, 50_000).await?;
            client.ask(stream, "/50000").await?;
            if let Some(body) = client.body(stream).await? {
                assert!(is_long(&body, 50_000));
                break;
            }
        }
        Ok(())
    });
}

#[test]
fn a_short_answer_without_room_is_reset_too() {
    run(async {
        let (listener, address) = listen().await?;
        // The connection itself would be there for ever.
        let server = serve(listener, long).header_timeout(None);
        start(server.write_timeout(SOON * 4));
        for (room, length) in [(0, 1), (1, 2), (1, 100), (99, 100), (1, 16_384)] {
            let client = Client::connect(address, room).await?;
            client.ask(1, &format!("/{length}")).await?;
            assert!(client.body(1).await?.is_none(), "{length} in {room}");
        }
        Ok(())
    });
}

#[test]
fn with_a_limit_answers_of_every_length_come_whole_too() {
    run(async {
        let (listener, address) = listen().await?;
        start(serve(listener, long).write_timeout(HANG));
        let client = Client::connect(address, 20_000).await?;
        for (i, n) in [0, 1, 2, 100, 16_384, 20_000].into_iter().enumerate() {
            let stream = 2 * i as u32 + 1;
            client.ask(stream, &format!("/{n}")).await?;
            let body = client.body(stream).await?.unwrap();
            assert!(is_long(&body, n), "{n} bytes");
        }
        Ok(())
    });
}

#[test]
fn half_a_preface_is_not_waited_for() {
    run(async {
        let (listener, address) = listen().await?;
        start(
            serve(listener, long)
                .header_timeout(None)
                .read_timeout(SOON),
        );
        let silent = TcpStream::connect(address).await?;
        silent.write_all(b"PRI * HTTP/2.0\r\n").await?;
        assert_eq!(silent.read(&mut [0]).await.unwrap_or(0), 0);
        Ok(())
    });
}

#[test]
fn a_handler_that_takes_too_long_is_dropped_and_its_stream_reset() {
    run(async {
        let (listener, address) = listen().await?;
        let dropped = Arc::new(Notify::new());
        let tell = Arc::clone(&dropped);
        let server = serve(listener, move |request| {
            let tell = Tell(Arc::clone(&tell));
            async move {
                std::future::pending::<()>().await;
                drop(tell);
                long(request).await
            }
        });
        start(server.write_timeout(SOON));
        let client = Client::connect(address, 100).await?;
        client.ask(1, "/100").await?;
        assert!(client.body(1).await?.is_none());
        dropped.notified().await;
        Ok(())
    });
}

struct Tell(Arc<Notify>);

impl Drop for Tell {
    fn drop(&mut self) {
        self.0.notify_one();
    }
}

#[test]
fn who_grants_no_room_for_a_little_is_cut_off_for_idling() {
    run(async {
        let (listener, address) = listen().await?;
        let server = serve(listener, long).header_timeout(HANG);
        start(server.idle_timeout(SOON));
        let client = Client::connect(address, 1).await?;
        client.ask(1, "/100").await?;
        client.end().await?;
        Ok(())
    });
}

#[test]
fn who_grants_no_room_for_much_is_not_idle_and_has_as_long_as_it_likes() {
    run(async {
        let (listener, address) = listen().await?;
        let server = serve(listener, long).header_timeout(HANG);
        start(server.idle_timeout(SOON * 4));
        // As above.
        loop {
            let client = Client::connect(address, 1).await?;
            if client.ask(1, "/50000").await.is_err() {
                continue;
            }
            if client.next().await?.is_none_or(|it| it.kind != HEADERS) {
                continue;
            }
            let first = client.next().await?.expect("it is not idle");
            assert_eq!(first.payload.len(), 1);
            runtime::time::sleep(SOON * 16).await;
            client.grant(1, 50_000).await?;
            let rest = client.body(1).await?.expect("it is not reset");
            assert_eq!(rest.len(), 49_999);
            return Ok(());
        }
    });
}

#[test]
fn a_tunnel_does_not_idle() {
    run(async {
        let (listener, address) = listen().await?;
        let server = serve(listener, |mut request: Request<Incoming>| async move {
            let upgrade = hyper::upgrade::on(&mut request);
            runtime::spawn(async move {
                let mut stream = net::hyper::Io::new(upgrade.await.unwrap());
                let mut buf = [0; 4];
                stream.read_exact(&mut buf).await?;
                stream.write_all(&buf).await?;
                stream.flush().await
            });
            Ok::<_, Infallible>(Response::new(String::new()))
        });
        let server = server.header_timeout(HANG).idle_timeout(SOON * 4);
        start(server.write_timeout(SOON * 4));
        // A machine that stands still makes any client idle before it has asked; but not every
        // time.
        loop {
            let client = Client::connect(address, 100).await?;
            // CONNECT, literally, and the authority.
            let mut block = vec![0x02, 7];
            block.extend(b"CONNECT");
            block.extend([0x01, 4]);
            block.extend(b"here");
            if client.send(HEADERS, END_HEADERS, 1, &block).await.is_err() {
                continue;
            }
            let first = client.next().await?;
            if first.is_none_or(|frame| frame.kind != HEADERS) {
                continue;
            }
            runtime::time::sleep(SOON * 32).await;
            client.send(DATA, 0, 1, b"ping").await?;
            let back = client.next().await?.expect("it goes on");
            assert_eq!((back.kind, &back.payload[..]), (DATA, &b"ping"[..]));
            return Ok(());
        }
    });
}

/// Requests that are taken back as soon as they are made count against no limit of the protocol:
/// their handlers must not pile up (CVE-2023-44487).
#[test]
fn requests_that_are_reset_at_once_leave_no_handlers_behind() {
    /// Far more than the streams that a client may have open.
    const MANY: usize = 1_000;
    const REQUESTS: u32 = 20_000;

    struct Running(Arc<AtomicUsize>);
    impl Drop for Running {
        fn drop(&mut self) {
            self.0.fetch_sub(1, Ordering::SeqCst);
        }
    }

    run(async {
        let (listener, address) = listen().await?;
        let running = Arc::new(AtomicUsize::new(0));
        let most = Arc::new(AtomicUsize::new(0));
        start(serve(listener, {
            let (running, most) = (running.clone(), most.clone());
            move |_: Request<Incoming>| {
                let now = running.fetch_add(1, Ordering::SeqCst) + 1;
                most.fetch_max(now, Ordering::SeqCst);
                let running = Running(running.clone());
                async move {
                    let _running = running;
                    pending::<Result<Response<String>, Infallible>>().await
                }
            }
        }));
        let client = Client::connect(address, 100).await?;
        for i in 0..REQUESTS {
            let stream = 2 * i + 1;
            let asked = client.ask(stream, "/").await;
            let reset = client.send(RESET, 0, stream, &8u32.to_be_bytes()).await;
            if asked.is_err() || reset.is_err() {
                // It has had enough.
                break;
            }
        }
        drop(client);
        while running.load(Ordering::SeqCst) > 0 {
            runtime::yield_now().await;
        }
        let most = most.load(Ordering::SeqCst);
        assert!(most < MANY, "{most} handlers at once");
        Ok(())
    });
}

/// A head may go on in frame after frame (<https://kb.cert.org/vuls/id/421644>).
#[test]
fn a_head_without_end_is_not_collected_for_ever() {
    const FRAMES: usize = 10_000;

    run(async {
        let (listener, address) = listen().await?;
        start(serve(listener, long));
        let client = Client::connect(address, 100).await?;
        client.head(1, "/1", END_STREAM).await?;
        // A name and a value that are not to be remembered, again and again.
        let mut field = vec![0x00, 1, b'x', 100];
        field.extend([b'y'; 100]);
        let block = field.repeat(100);
        for _ in 0..FRAMES {
            if client.send(CONTINUATION, 0, 1, &block).await.is_err() {
                return Ok(());
            }
        }
        panic!(
            "{} bytes of a head, and nothing is said",
            FRAMES * block.len()
        );
    });
}
