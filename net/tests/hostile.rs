//! What nobody should do, or nearly nobody, and what comes of it: Go's tests of dialling, ends and
//! deadlines that have no other place.

mod support;

use std::future::poll_fn;
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::pin::{Pin, pin};
use std::task::{Context, Poll};
use std::time::Duration;

use futures_io::{AsyncRead, AsyncWrite};
use net::{Dialer, ListenConfig, TcpListener, TcpStream, UdpSocket, UnixDatagram, UnixStream};
use runtime::time::Instant;
use support::{alone, descriptors, pair, refusing, run_on, waits};

/// One after the other: some count the descriptors of the process.
fn run(test: impl Future<Output = io::Result<()>> + Send + 'static) {
    let _alone = alone();
    run_on(2, test);
}

/// Go: TestDialTimeoutMaxDuration.
#[test]
fn a_limit_of_for_ever_is_none() {
    run(async {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let mut dialer = Dialer::new();
        dialer.timeout(Duration::MAX);
        dialer.connect(address).await?;
        dialer.fallback_delay(Some(Duration::MAX));
        let (_taken, closed) = refusing(Ipv6Addr::LOCALHOST.into())?;
        let stream = dialer.connect(&[closed, address][..]).await?;
        assert_eq!(stream.peer_addr()?, address);
        Ok(())
    });
}

/// A backlog that is full: the next SYN is not answered. It has room for one more than it says.
async fn full(localhost: &str) -> io::Result<(TcpListener, Vec<TcpStream>)> {
    let listener = ListenConfig::new().backlog(0).listen(localhost).await?;
    let address = listener.local_addr()?;
    let mut waiting = Vec::new();
    loop {
        let mut dialer = Dialer::new();
        // Twice as long as the first SYN's repetition takes: who is not connected by then finds no
        // room.
        dialer.timeout(Duration::from_secs(2));
        match dialer.connect(address).await {
            Ok(stream) => waiting.push(stream),
            Err(error) if error.kind() == io::ErrorKind::TimedOut => {
                return Ok((listener, waiting));
            }
            Err(error) => return Err(error),
        }
    }
}

/// Go: TestDialParallelSpuriousConnection.
#[test]
fn the_loser_of_a_race_is_closed() {
    run(async {
        for (slow, quick) in [("127.0.0.1:0", "[::1]:0"), ("[::1]:0", "127.0.0.1:0")] {
            let (slow, waiting) = full(slow).await?;
            let quick = TcpListener::bind(quick).await?;
            let both = [slow.local_addr()?, quick.local_addr()?];
            let before = descriptors();
            for _ in 0..5 {
                let mut dialer = Dialer::new();
                dialer.fallback_delay(Some(Duration::from_millis(10)));
                let stream = dialer.connect(&both[..]).await?;
                assert_eq!(stream.peer_addr()?, both[1]);
                assert_eq!(descriptors(), before + 1);
            }
            drop(waiting);
        }
        Ok(())
    });
}

/// Go: TestDialerDualStackFDLeak.
#[test]
fn dials_that_fail_leave_no_descriptor() {
    run(async {
        let (_v4, closed_v4) = refusing(Ipv4Addr::LOCALHOST.into())?;
        let (_v6, closed_v6) = refusing(Ipv6Addr::LOCALHOST.into())?;
        let before = descriptors();
        for delay in [None, Some(Duration::ZERO), Some(Duration::from_secs(3600))] {
            for both in [[closed_v4, closed_v6], [closed_v6, closed_v4]] {
                let mut dialer = Dialer::new();
                dialer.fallback_delay(delay);
                dialer.connect(&both[..]).await.unwrap_err();
            }
        }
        assert_eq!(descriptors(), before);
        Ok(())
    });
}

/// Go: TestDialContextCancelRace.
#[test]
fn a_dial_may_be_dropped_at_any_moment() {
    run(async {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let both = [
            listener.local_addr()?,
            SocketAddr::from(([127, 0, 0, 2], 9)),
        ];
        let before = descriptors();
        for polls in (0..4).cycle().take(400) {
            let mut dialing = pin!(TcpStream::connect(&both[..]));
            for _ in 0..polls {
                if !waits(&mut dialing.as_mut()) {
                    break;
                }
                runtime::yield_now().await;
            }
        }
        assert_eq!(descriptors(), before);
        Ok(())
    });
}

/// Go: TestCancelAfterDial.
#[test]
fn the_limit_of_a_dial_ends_with_the_dial() {
    run(async {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let limit = Duration::from_millis(100);
        let mut dialer = Dialer::new();
        dialer.timeout(limit);
        // A machine that stands still may need longer; but not every time.
        let stream = loop {
            if let Ok(stream) = dialer.connect(listener.local_addr()?).await {
                break stream;
            }
        };
        runtime::time::sleep(limit * 2).await;
        stream.write_all(b"x").await
    });
}

/// Go: TestWriteToTimeout.
#[test]
fn an_expired_deadline_stops_datagrams_for_which_there_is_room() {
    run(async {
        let (a, b) = (
            UdpSocket::bind("127.0.0.1:0").await?,
            UdpSocket::bind("127.0.0.1:0").await?,
        );
        let to = b.local_addr()?;
        a.set_deadline(Instant::now())?;
        assert!(net::is_deadline(&a.send_to(b"x", to).await.unwrap_err()));
        a.set_deadline(None)?;
        a.send_to(b"x", to).await?;
        let mut buf = [0; 8];
        b.recv_from(&mut buf).await?;
        // Something is there, and the time is up.
        a.send_to(b"y", to).await?;
        b.peek_from(&mut buf).await?;
        b.set_deadline(Instant::now())?;
        assert!(net::is_deadline(&b.recv_from(&mut buf).await.unwrap_err()));
        b.set_deadline(None)?;
        assert_eq!(b.recv_from(&mut buf).await?.0, 1);
        Ok(())
    });
}

/// A stream that is no socket: what is written comes back, a few bytes at a time.
#[derive(Default)]
struct Mirror {
    bytes: Vec<u8>,
    closed: bool,
    reader: Option<std::task::Waker>,
}

impl AsyncRead for Mirror {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        if self.bytes.is_empty() && !self.closed {
            self.reader = Some(cx.waker().clone());
            return Poll::Pending;
        }
        let n = self.bytes.len().min(buf.len()).min(7);
        buf[..n].copy_from_slice(&self.bytes[..n]);
        self.bytes.drain(..n);
        Poll::Ready(Ok(n))
    }
}

impl AsyncWrite for Mirror {
    fn poll_write(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let n = buf.len().min(5);
        self.bytes.extend_from_slice(&buf[..n]);
        self.reader.take().into_iter().for_each(|it| it.wake());
        Poll::Ready(Ok(n))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_close(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.closed = true;
        self.reader.take().into_iter().for_each(|it| it.wake());
        Poll::Ready(Ok(()))
    }
}

#[test]
fn a_socket_and_something_else_are_joined_too() {
    run(async {
        let (client, mut server) = pair().await?;
        let joining = runtime::spawn(async move {
            net::copy_bidirectional(&mut server, &mut Mirror::default()).await
        });
        client.write_all(b"there and back").await?;
        let mut buf = [0; 14];
        client.read_exact(&mut buf).await?;
        assert_eq!(&buf, b"there and back");
        client.shutdown(std::net::Shutdown::Write)?;
        assert_eq!(client.read(&mut buf).await?, 0);
        assert_eq!(joining.await.unwrap()?, (14, 14));
        Ok(())
    });
}

#[test]
fn a_stream_that_others_wait_on_is_not_given_away() {
    run(async {
        let (client, server) = pair().await?;
        let clone = client.clone();
        let reading = runtime::spawn(async move {
            let mut byte = [0];
            clone.read_exact(&mut byte).await.map(|()| byte)
        });
        runtime::yield_now().await;
        let error = client.into_std().unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::ResourceBusy);
        // Whoever waits is not disturbed.
        server.write_all(b"x").await?;
        assert_eq!(&reading.await.unwrap()?, b"x");
        Ok(())
    });
}

#[test]
fn sockets_that_block_do_so_no_more_once_they_are_here() {
    let _alone = alone();
    run_on(1, async {
        let listener = std::net::TcpListener::bind("127.0.0.1:0")?;
        let client = std::net::TcpStream::connect(listener.local_addr()?)?;
        let (server, _) = listener.accept()?;
        let (here, listener) = (
            TcpStream::from_std(server)?,
            TcpListener::from_std(listener)?,
        );
        let (one, other) = std::os::unix::net::UnixStream::pair()?;
        let udp = UdpSocket::from_std(std::net::UdpSocket::bind("127.0.0.1:0")?)?;
        let unix = UnixStream::from_std(one)?;
        // On the one worker that there is.
        let mut buf = [0; 1];
        assert!(waits(&mut pin!(here.read(&mut buf)).as_mut()));
        assert!(waits(&mut pin!(listener.accept()).as_mut()));
        assert!(waits(&mut pin!(unix.read(&mut [0])).as_mut()));
        assert!(waits(&mut pin!(udp.recv(&mut [0])).as_mut()));
        // Nor do those that leave.
        let here = here.into_std()?;
        let error = io::Read::read(&mut &here, &mut buf).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::WouldBlock);
        drop((client, other));
        Ok(())
    });
}

/// A file that goes when the test ends.
struct Path(std::path::PathBuf);

impl Path {
    fn new(name: &str) -> Self {
        Self(std::env::temp_dir().join(format!("net-hostile-{name}-{}", std::process::id())))
    }
}

impl Drop for Path {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

#[test]
fn datagrams_to_nobody_and_from_nobody_are_told() {
    run(async {
        let path = Path::new("datagrams");
        let nameless = UnixDatagram::unbound()?;
        let error = nameless.try_send_to(b"x", &path.0).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::NotFound);
        let named = UnixDatagram::bind(&path.0)?;
        nameless.try_send_to(b"hello", &path.0)?;
        let mut buf = [0; 8];
        let (n, from) = named.recv_from(&mut buf).await?;
        assert!((&buf[..n], from.is_unnamed()) == (b"hello", true));
        // A datagram of no bytes is one, and not the end.
        nameless.try_send_to(b"", &path.0)?;
        nameless.try_send_to(b"after", &path.0)?;
        assert_eq!(named.recv_from(&mut buf).await?.0, 0);
        assert_eq!(named.recv_from(&mut buf).await?.0, 5);
        // The file stays when its socket has gone: nobody listens there.
        nameless.connect(&path.0)?;
        drop(named);
        let error = nameless.send(b"x").await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::ConnectionRefused);
        let error = nameless.try_send_to(b"x", &path.0).unwrap_err();
        assert!(matches!(
            error.kind(),
            io::ErrorKind::ConnectionRefused | io::ErrorKind::NotFound
        ));
        Ok(())
    });
}

#[test]
fn lookups_that_are_given_up_leave_room_for_others() {
    run(async {
        // Many more than may be under way at once, each dropped when it has begun.
        for _ in 0..300 {
            let mut lookup = pin!(net::lookup_host("localhost:80"));
            poll_fn(|cx| {
                let _ = lookup.as_mut().poll(cx);
                Poll::Ready(())
            })
            .await;
        }
        assert!(!net::lookup_host("localhost:80").await?.is_empty());
        Ok(())
    });
}
