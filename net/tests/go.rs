//! What Go's tests of package net check and no other test here does; `README.md` beside this file
//! has all of them.

mod support;

use std::io;
use std::net::Shutdown;
use std::os::fd::AsFd;
use std::time::Duration;

use net::{TcpListener, TcpStream, UdpSocket, UnixDatagram, UnixListener, UnixStream};
use net::{is_closed, is_deadline};
use runtime::time::{Instant, sleep};
use support::{pair, run, run_on, waits};

/// Long enough to be noticed.
const SOON: Duration = Duration::from_millis(20);

fn temporary(name: &str) -> std::path::PathBuf {
    let path = std::env::temp_dir().join(format!("net-go-{name}-{}", std::process::id()));
    // Left behind by one that had the same number, and was killed.
    let _ = std::fs::remove_file(&path);
    path
}

/// TestWriteTimeout.
#[test]
fn an_expired_deadline_beats_room_to_write_until_it_is_lifted() {
    run(async {
        let (client, server) = pair().await?;
        for _ in 0..3 {
            client.set_write_deadline(Instant::now())?;
            assert!(is_deadline(&client.write(b"no").await.unwrap_err()));
            assert!(is_deadline(&client.try_write(b"no").unwrap_err()));
            assert!(is_deadline(&client.write_all(b"no").await.unwrap_err()));
            let slices = [io::IoSlice::new(b"no")];
            let error = client.write_vectored(&slices).await.unwrap_err();
            assert!(is_deadline(&error));
            client.set_write_deadline(None)?;
            client.write_all(b"y").await?;
        }
        client.shutdown(Shutdown::Write)?;
        let mut all = [0; 4];
        assert_eq!(server.read(&mut all).await?, 3);
        assert_eq!(&all[..3], b"yyy");
        Ok(())
    });
}

/// TestReadTimeoutFluctuation, TestWriteTimeoutFluctuation, TestAcceptTimeoutFluctuation: not
/// early. Later is the machine's affair.
#[test]
fn deadlines_are_never_early() {
    for workers in [1, 4] {
        run_on(workers, async {
            let listener = TcpListener::bind("127.0.0.1:0").await?;
            let (client, _server) = pair().await?;
            while client.try_write(&[0; 64 << 10]).is_ok() {}
            for micros in [1, 10, 100, 1_000, 10_000, 50_000] {
                let limit = Duration::from_micros(micros);
                let until = Instant::now() + limit;
                client.set_deadline(until)?;
                listener.set_deadline(until)?;
                assert!(is_deadline(&client.read(&mut [0]).await.unwrap_err()));
                assert!(Instant::now() >= until, "a read, {limit:?}");
                let error = client.write_all(&[0; 8 << 20]).await.unwrap_err();
                assert!(is_deadline(&error));
                assert!(Instant::now() >= until, "a write, {limit:?}");
                assert!(is_deadline(&listener.accept().await.unwrap_err()));
                assert!(Instant::now() >= until, "an accept, {limit:?}");
            }
            Ok(())
        });
    }
}

/// TestAcceptTimeoutMustReturn, TestAcceptTimeoutMustNotReturn.
#[test]
fn an_accept_that_waits_hears_of_a_deadline_and_without_one_waits_on() {
    run(async {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let acceptor = listener.clone();
        let accepting = runtime::spawn(async move { acceptor.accept().await.map(drop) });
        runtime::yield_now().await;
        listener.set_deadline(Instant::now() + SOON)?;
        assert!(is_deadline(&accepting.await.unwrap().unwrap_err()));

        listener.set_deadline(Instant::now() + SOON)?;
        listener.set_deadline(None)?;
        let acceptor = listener.clone();
        let accepting = runtime::spawn(async move { acceptor.accept().await.map(drop) });
        sleep(SOON * 2).await;
        assert!(!accepting.is_finished());
        listener.close()?;
        assert!(is_closed(&accepting.await.unwrap().unwrap_err()));
        Ok(())
    });
}

/// TestUDPZeroBytePayload, TestUDPZeroByteBuffer, TestUnixgramZeroBytePayload,
/// TestUnixgramZeroByteBuffer.
#[test]
fn a_datagram_of_nothing_arrives_and_a_buffer_of_nothing_takes_one_away() {
    run(async {
        let (a, b) = (
            UdpSocket::bind("127.0.0.1:0").await?,
            UdpSocket::bind("127.0.0.1:0").await?,
        );
        let (from, to) = (a.local_addr()?, b.local_addr()?);
        assert_eq!(a.send_to(b"", to).await?, 0);
        assert_eq!(b.recv_from(&mut [7; 4]).await?, (0, from));
        a.send_to(b"gone", to).await?;
        a.send_to(b"next", to).await?;
        assert_eq!(b.recv_from(&mut []).await?, (0, from));
        let mut buf = [0; 8];
        assert_eq!(b.recv_from(&mut buf).await?, (4, from));
        assert_eq!(&buf[..4], b"next");

        let (a, b) = UnixDatagram::pair()?;
        a.send(b"").await?;
        assert_eq!(b.recv(&mut [7; 4]).await?, 0);
        a.send(b"gone").await?;
        a.send(b"next").await?;
        assert_eq!(b.recv(&mut []).await?, 0);
        assert_eq!(b.recv(&mut buf).await?, 4);
        assert_eq!(&buf[..4], b"next");
        Ok(())
    });
}

/// TestUDPConnLocalName, TestUDPConnLocalAndRemoteNames, TestUDPReadTimeout's second half.
#[test]
fn a_udp_socket_knows_its_peer_when_it_has_one_and_hears_nobody_else() {
    run(async {
        let server = UdpSocket::bind("127.0.0.1:0").await?;
        let stranger = UdpSocket::bind("127.0.0.1:0").await?;
        let client = UdpSocket::bind("127.0.0.1:0").await?;
        let error = client.peer_addr().unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::NotConnected);
        client.connect(server.local_addr()?).await?;
        assert_eq!(client.peer_addr()?, server.local_addr()?);
        let to = client.local_addr()?;
        stranger.send_to(b"not heard", to).await?;
        server.send_to(b"heard", to).await?;
        let mut buf = [0; 16];
        assert_eq!(client.recv(&mut buf).await?, 5);
        assert_eq!(&buf[..5], b"heard");
        Ok(())
    });
}

/// TestUnixConnLocalAndRemoteNames, TestUnixgramConnLocalAndRemoteNames,
/// TestReadUnixgramWithUnnamedSocket.
#[test]
fn unix_sockets_know_the_names_of_both_ends() {
    run(async {
        let path = temporary("names");
        let listener = UnixListener::bind(&path)?;
        let client = UnixStream::connect(&path).await?;
        let (server, from) = listener.accept().await?;
        assert!(from.is_unnamed() && client.local_addr()?.is_unnamed());
        assert!(server.peer_addr()?.is_unnamed());
        assert_eq!(client.peer_addr()?.as_pathname(), Some(&*path));
        assert_eq!(server.local_addr()?.as_pathname(), Some(&*path));
        drop(listener);

        let here = temporary("here");
        let (named, unnamed) = (UnixDatagram::bind(&path)?, UnixDatagram::unbound()?);
        let other = UnixDatagram::bind(&here)?;
        unnamed.connect(&path)?;
        other.connect(&path)?;
        assert_eq!(other.peer_addr()?.as_pathname(), Some(&*path));
        unnamed.send(b"u").await?;
        assert!(named.recv_from(&mut [0]).await?.1.is_unnamed());
        other.send(b"o").await?;
        let (_, from) = named.recv_from(&mut [0]).await?;
        assert_eq!(from.as_pathname(), Some(&*here));
        for path in [path, here] {
            let _ = std::fs::remove_file(path);
        }
        Ok(())
    });
}

/// TestFileCloseRace: whoever is given the descriptor has the right one for as long as that takes.
#[test]
fn a_close_beside_a_control_waits_for_it_or_comes_first() {
    run(async {
        for _ in 0..200 {
            let (client, server) = pair().await?;
            let mine = client.local_addr()?;
            let closing = client.clone();
            let close = runtime::spawn(async move { closing.close() });
            let looking = runtime::spawn(async move {
                loop {
                    let looked = client.control(|descriptor| {
                        let same = descriptor.as_fd().try_clone_to_owned()?;
                        std::net::TcpStream::from(same).local_addr()
                    });
                    match looked {
                        Ok(address) => assert_eq!(address, mine),
                        Err(error) => return assert!(is_closed(&error), "{error}"),
                    }
                    runtime::yield_now().await;
                }
            });
            close.await.unwrap()?;
            looking.await.unwrap();
            assert_eq!(server.read(&mut [0]).await.unwrap_or(0), 0);
        }
        Ok(())
    });
}

/// TestCloseRead, TestCloseWrite on Unix sockets, and TestCloseUnblocksRead on datagrams of theirs.
#[test]
fn halves_of_unix_streams_end_and_a_close_wakes_receivers() {
    run(async {
        let (a, b) = UnixStream::pair()?;
        a.shutdown(Shutdown::Write)?;
        assert_eq!(b.read(&mut [0]).await?, 0);
        b.write_all(b"x").await?;
        a.read_exact(&mut [0]).await?;
        b.shutdown(Shutdown::Read)?;
        assert_eq!(b.read(&mut [0]).await?, 0);

        let (a, _b) = UnixDatagram::pair()?;
        let receiving = a.clone();
        let mut receive = Box::pin(async move { receiving.recv(&mut [0]).await });
        assert!(waits(&mut receive));
        a.close()?;
        assert!(is_closed(&receive.await.unwrap_err()));
        Ok(())
    });
}

/// TestTCPListenAfterClose, TestListenerClose: again and again, and at once.
#[test]
fn a_port_may_be_listened_on_again_when_its_listener_is_closed() {
    run(async {
        let mut listener = TcpListener::bind("127.0.0.1:0").await?;
        let mut again = 0;
        for _ in 0..50 {
            let address = listener.local_addr()?;
            let client = TcpStream::connect(address).await?;
            let (server, _) = listener.accept().await?;
            server.close()?;
            assert_eq!(client.read(&mut [0]).await?, 0);
            listener.close()?;
            assert!(is_closed(&listener.close().unwrap_err()));
            // What the last connection has left behind (TIME_WAIT) is no hindrance.
            listener = match TcpListener::bind(address).await {
                Ok(listener) => {
                    again += 1;
                    listener
                }
                // Somebody else on this machine has been given the port meanwhile.
                Err(_) => TcpListener::bind("127.0.0.1:0").await?,
            };
        }
        assert!(again > 25, "{again} of 50");
        Ok(())
    });
}
